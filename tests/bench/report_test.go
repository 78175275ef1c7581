package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// writeSection puts a section into docs/reference/benchmarks.md, in place of the one
// of that name.
func writeSection(t *testing.T, name, text string) {
	t.Helper()
	if !*write || t.Failed() {
		return
	}
	root, err := hayatetest.Root()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "docs", "reference", "benchmarks.md")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := "## " + name + "\n"
	before, rest, found := strings.Cut(string(b), section)
	if !found {
		before += "\n"
	}
	after := ""
	if i := strings.Index(rest, "\n## "); i >= 0 {
		after = rest[i:]
	}
	if err := os.WriteFile(file, []byte(before+section+"\n"+text+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// made says when, where and how a section was measured.
func made(command string) string {
	return fmt.Sprintf("Made on %s with %d CPUs (%s/%s, %s), %s for each figure, the load generator on the same machine, by\n\n    %s\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), *window, command)
}

func short(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f ms", float64(d)/1e6)
}

func orDash(format string, v float64) string {
	if v <= 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// eventReport is the section of the way of an event.
func eventReport(all []figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, `Sent, accepted, matched by one rule, `+"`core.noop`"+` run, its result on disk. Each client sends the next event when the
one before is acknowledged; the time runs from sending to the end of the execution, the rate counts finished executions until
the last one. Everything acknowledged has been synced to the disk.

%s
In process, CPU and memory include the load generator; over HTTP they are the server's. Peers run in the same run, where
`+"`HAYATE_BENCH_PEERS`"+` names a file that says how to start them: one step of a workflow each (over HTTP: one request and
its answer), with their own driver.

| engine | clients | finished a second | p50 | p99 | CPU an event | memory | disk an event | peer : hayate |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`, made("make bench"))
	for _, f := range all {
		ratio := "–"
		if !strings.HasPrefix(f.Engine, "hayate") {
			if own := counterpart(all, f); own > 0 {
				ratio = fmt.Sprintf("1 : %.1f", own/f.Rate)
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %s | %s | %s | %s | %s | %s |\n", f.Engine, f.Clients, f.Rate, short(f.P50), short(f.P99),
			orDash("%.2f ms", float64(f.CPU)/1e6), orDash("%.0f MB", float64(f.RSS)/1e6), orDash("%.0f B", f.Disk), ratio)
	}
	return b.String()
}

// counterpart is hayate's rate of the same kind: over HTTP beside a peer over HTTP,
// in process beside a library.
func counterpart(all []figure, f figure) float64 {
	want := "hayate, in process"
	if strings.HasSuffix(f.Engine, "HTTP") {
		want = "hayate, HTTP"
	}
	for _, own := range all {
		if own.Engine == want && own.Clients == f.Clients {
			return own.Rate
		}
	}
	return 0
}

// goals are what DESIGN asks: so many times the best peer that syncs.
var goals = []struct {
	w       string
	clients int
	times   float64
}{{"W1", 64, 5}, {"W2", 64, 5}, {"W3", 64, 2}, {"W4", 16, 3}}

// workflowReport is the section of workflows.
func workflowReport(all []row, syncs []synced, a age, b burst) string {
	var s strings.Builder
	fmt.Fprintf(&s, `A closed loop of so many clients: each starts a workflow and waits until its end is durable. A step is a function of the
process that is called, with its result recorded; every engine does the same. Ours is an action declared idempotent, so it goes through
queue, claim and completion. "Event and action" is the same step as an event that a rule runs an action for.

%s
With a checkout of the harness beside this one, peers run in the same run, one after the other for each workload. CPU is of all
processes an engine needs, its driver included. "Others" is the share of the machine that other programs took meanwhile: rates suffer
by it, CPU hardly. The models are no engines: one document, one commit a step, nothing else; they say what the disk and a store allow.

`, made("make bench-workflows"))
	for i := range workloads {
		w := &workloads[i]
		fmt.Fprintf(&s, "**%s: %s**\n\n| engine | clients | steps a second | p50 | p99 | CPU a step | disk a workflow | memory | others | hayate : engine |\n"+
			"| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n", w.name, w.about)
		for j := range all {
			r := &all[j]
			if r.w != w {
				continue
			}
			ratio := "–"
			if mine := find(all, w.name, r.clients); mine != nil && !r.own && r.rate > 0 {
				ratio = fmt.Sprintf("%.2f", mine.rate/r.rate)
			}
			fmt.Fprintf(&s, "| %s | %d | %.0f | %s | %s | %s | %s | %s | %.0f %% | %s |\n", r.engine, r.clients, r.rate, short(r.p50), short(r.p99),
				orDash("%.3f ms", float64(r.cpu)/1e6), orDash("%.0f B", r.disk), orDash("%.0f MB", float64(r.memory)/1e6), 100*r.others, ratio)
		}
		s.WriteString("\n")
	}
	s.WriteString(summary(all))
	if len(syncs) > 0 {
		s.WriteString("\n**Syncs a step**, W1, in a pass of its own under strace\n\n| engine | clients | syncs a step |\n| --- | ---: | ---: |\n")
		for _, x := range syncs {
			fmt.Fprintf(&s, "| %s | %d | %.3f |\n", x.engine, x.clients, x.steps)
		}
	}
	fmt.Fprintf(&s, "\n**Long runs**: a step of a loop costs %.3f ms of CPU after ten turns and %.3f ms after ten thousand (%.2f times). A task with\n"+
		"10 000 items takes %.1f s, %.1f s of CPU.\n", float64(a.early)/1e6, float64(a.late)/1e6, float64(a.late)/float64(max(a.early, 1)),
		b.took.Seconds(), b.cpu.Seconds())
	return s.String()
}

// find returns hayate's row.
func find(all []row, w string, clients int) *row {
	for i := range all {
		if r := &all[i]; r.own && r.w.name == w && r.clients == clients {
			return r
		}
	}
	return nil
}

// summary holds hayate against the best peer that syncs, and the best model.
func summary(all []row) string {
	var s strings.Builder
	s.WriteString("**Against the best peer that syncs**, and the better of the models\n\n" +
		"| workload | clients | hayate : best peer | goal | CPU a step, best peer : hayate | hayate of the model's rate |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	n := 0
	for _, g := range goals {
		mine := find(all, g.w, g.clients)
		var best, model, cpu *row
		for i := range all {
			switch r := &all[i]; {
			case r.own || r.w.name != g.w || r.clients != g.clients:
			case r.bound:
				if model == nil || r.rate > model.rate {
					model = r
				}
			case r.syncs:
				if best == nil || r.rate > best.rate {
					best = r
				}
				if r.cpu > 0 && (cpu == nil || r.cpu < cpu.cpu) {
					cpu = r
				}
			}
		}
		if mine == nil || best == nil {
			continue
		}
		n++
		thrift, bound := "–", "–"
		if cpu != nil && mine.cpu > 0 {
			thrift = fmt.Sprintf("%.1f", float64(cpu.cpu)/float64(mine.cpu))
		}
		if model != nil {
			bound = fmt.Sprintf("%.0f %%", 100*mine.rate/model.rate)
		}
		fmt.Fprintf(&s, "| %s | %d | %.1f (%s) | ≥ %g | %s | %s |\n", g.w, g.clients, mine.rate/best.rate, best.engine, g.times, thrift, bound)
	}
	if n == 0 {
		return "No peer was measured in this run.\n"
	}
	return s.String()
}
