package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// peer is another engine, driven by a program of its own: JSON lines of the file
// that HAYATE_BENCH_PEERS names. The command gets the arguments -w W2 -c CLIENTS
// -d WINDOW -out FILE added and appends a JSON object with wf_s, p50_ms, p99_ms,
// pss_mib, server_cpu_ms_per_step and errs to FILE.
type peer struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	// Data is a folder that is emptied before each run; "" for none.
	Data string `json:"data"`
}

func peers(t *testing.T, clients int) []figure {
	file := os.Getenv(peersEnv)
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []figure
	for line := range bytes.Lines(b) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var p peer
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		f, err := p.run(t, clients)
		if err != nil {
			t.Logf("%s at %d clients: not measured: %v", p.Name, clients, err)
			continue
		}
		out = append(out, f)
	}
	return out
}

func (p *peer) run(t *testing.T, clients int) (figure, error) {
	if p.Data != "" {
		if err := os.RemoveAll(p.Data); err != nil {
			return figure{}, err
		}
		if err := os.MkdirAll(p.Data, 0o755); err != nil {
			return figure{}, err
		}
	}
	result := filepath.Join(t.TempDir(), "result")
	args := append(p.Command[1:len(p.Command):len(p.Command)], "-w", "W2", "-c", fmt.Sprint(clients), "-d", window.String(), "-out", result)
	if out, err := exec.Command(p.Command[0], args...).CombinedOutput(); err != nil {
		return figure{}, fmt.Errorf("%w: %s", err, out)
	}
	b, err := os.ReadFile(result)
	if err != nil {
		return figure{}, err
	}
	var r struct {
		Rate float64 `json:"wf_s"`
		P50  float64 `json:"p50_ms"`
		P99  float64 `json:"p99_ms"`
		PSS  float64 `json:"pss_mib"`
		CPU  float64 `json:"server_cpu_ms_per_step"`
		Errs int     `json:"errs"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return figure{}, err
	}
	if r.Rate == 0 || r.Errs > 0 {
		return figure{}, fmt.Errorf("%d errors, %.0f a second", r.Errs, r.Rate)
	}
	ms := func(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }
	return figure{Engine: p.Name, Clients: clients, Rate: r.Rate, P50: ms(r.P50), P99: ms(r.P99), RSS: int64(r.PSS * (1 << 20)), CPU: ms(r.CPU)}, nil
}

// report is docs/reference/benchmarks.md.
func report(all []figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

The way of an event: sent, accepted, matched by one rule, `+"`core.noop`"+` run, its result on disk. Each client sends the
next event when the one before is acknowledged; the time runs from sending to the end of the execution, the rate counts
finished executions until the last one. Everything acknowledged has been synced to the disk.

Made on %s with %d CPUs (%s/%s, %s), %s for each figure, the load generator on the same machine, by

    make bench

Ratios and CPU time count; absolute figures depend on the machine and on what else it does. In process, CPU and memory
include the load generator; over HTTP they are the server's. Peers run in the same run, where
`+"`HAYATE_BENCH_PEERS`"+` names a file that says how to start them: one step of a workflow each (over HTTP: one request and
its answer), with their own driver.

| engine | clients | finished a second | p50 | p99 | CPU an event | memory | disk an event | peer : hayate |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), *window)
	for _, f := range all {
		cpu, memory, disk, ratio := "–", "–", "–", "–"
		if f.CPU > 0 {
			cpu = fmt.Sprintf("%.2f ms", float64(f.CPU)/1e6)
		}
		if f.RSS > 0 {
			memory = fmt.Sprintf("%.0f MB", float64(f.RSS)/1e6)
		}
		if f.Disk > 0 {
			disk = fmt.Sprintf("%.0f B", f.Disk)
		}
		if !strings.HasPrefix(f.Engine, "hayate") {
			if own := counterpart(all, f); own > 0 {
				ratio = fmt.Sprintf("1 : %.1f", own/f.Rate)
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %s | %s | %s | %s | %s | %s |\n", f.Engine, f.Clients, f.Rate, short(f.P50), short(f.P99), cpu, memory, disk, ratio)
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

func short(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
