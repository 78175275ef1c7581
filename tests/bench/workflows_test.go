package bench_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// workload is what peers are measured with, too.
type workload struct {
	name, about string
	steps       int
	clients     []int
}

var workloads = []workload{
	{"W1", "five steps, one after the other", 5, []int{1, 64, 256}},
	{"W2", "one step", 1, []int{1, 64, 256}},
	{"W3", "a hundred parallel steps and a join", 100, []int{1, 64}},
	{"W4", "a thousand steps, one after the other", 1000, []int{1, 16}},
}

// row is one line of the report.
type row struct {
	engine   string
	w        *workload
	clients  int
	own      bool // hayate
	bound    bool // the model
	syncs    bool // it syncs what it acknowledges
	rate     float64
	p50, p99 time.Duration
	cpu      time.Duration // a step, of all parts
	disk     float64       // bytes a workflow
	memory   int64
	others   float64 // share of the machine that others used

	// What else hayate counts: commits of its store, and what it allocates, a step.
	commits, allocs, bytes float64
}

// counted is what the process and the store of an engine have counted so far.
type counted struct{ commits, allocs, bytes float64 }

func (e *engine) counted(t *testing.T) counted {
	t.Helper()
	st, err := e.store.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return counted{float64(st.Commits), float64(m.Mallocs), float64(m.TotalAlloc)}
}

// warmUp is how long a loop runs before it is measured.
const warmUp = time.Second

// drive is a closed loop of so many clients for the window; what ended within it
// counts.
func drive(t *testing.T, e *engine, w *workload, clients int, window time.Duration, fn func(ctx context.Context, n int64) error) row {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var next atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	from := time.Now().Add(warmUp)
	to := from.Add(window)
	for range clients {
		group.Go(func() {
			for begun := time.Now(); begun.Before(to); begun = time.Now() {
				if err := fn(ctx, next.Add(1)); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				}
				if end := time.Now(); end.After(from) && end.Before(to) {
					mu.Lock()
					took = append(took, end.Sub(begun))
					mu.Unlock()
				}
			}
		})
	}
	<-time.After(time.Until(from))
	begun, steps, cpu, disk := time.Now(), e.steps.n.Load(), ownCPU(t), diskUse(t, e.dir)
	busy, all := machine(t)
	first := e.counted(t)
	<-time.After(time.Until(to))
	n := float64(e.steps.n.Load() - steps)
	passed := time.Since(begun)
	cpu = ownCPU(t) - cpu
	disk = diskUse(t, e.dir) - disk
	busyEnd, allEnd := machine(t)
	last := e.counted(t)
	cancel() // long workflows are not waited for
	group.Wait()
	r := row{w: w, clients: clients, rate: n / passed.Seconds(), memory: ownMemory(t)}
	if n > 0 {
		r.cpu = time.Duration(float64(cpu) / n)
		r.disk = float64(disk) / n * float64(w.steps)
		r.commits, r.allocs, r.bytes = (last.commits-first.commits)/n, (last.allocs-first.allocs)/n, (last.bytes-first.bytes)/n
	}
	if all != allEnd {
		r.others = max(0, (float64(busyEnd-busy)-cpu.Seconds()*100)/float64(allEnd-all))
	}
	slices.Sort(took)
	if len(took) > 0 {
		r.p50, r.p99 = took[len(took)/2], took[len(took)*99/100]
	}
	return r
}

// machine returns how many hundredths of a second the machine was busy, and all.
func machine(t *testing.T) (busy, all int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0 // not on this system
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatalf("/proc/stat: %v", err)
		}
		all += n
		if i != 3 && i != 4 { // idle and waiting
			busy += n
		}
	}
	return busy, all
}

func ownMemory(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0 // not on this system
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatalf("/proc/self/statm: %v", err)
	}
	return pages * int64(os.Getpagesize())
}

// own measures hayate with a workload: as a workflow, or as an event and its action.
func own(t *testing.T, w *workload, clients int, asEvent bool) (r row) {
	t.Run(fmt.Sprintf("%s at %d, as event %t", w.name, clients, asEvent), func(t *testing.T) {
		e := newEngine(t)
		r = drive(t, e, w, clients, *window, func(ctx context.Context, n int64) error {
			if asEvent {
				return e.react(ctx, n)
			}
			return e.run(ctx, w.name, "")
		})
		r.engine, r.own, r.syncs = "hayate", true, true
		if asEvent {
			r.engine = "hayate, event and action"
		}
		t.Logf("%s: %.0f steps/s, %v of CPU a step, %.3f commits, %.0f allocations of %.0f B, %.0f B a workflow, others use %.0f %%",
			r.engine, r.rate, r.cpu, r.commits, r.allocs, r.bytes, r.disk, 100*r.others)
	})
	return r
}

// TestWorkflows measures workflows, beside peers where they are named, and reports.
func TestWorkflows(t *testing.T) {
	if os.Getenv(benchEnv) == "" {
		t.Skipf("measures for minutes; set %s=1", benchEnv)
	}
	beside := readPeers(t)
	var all []row
	for i := range workloads {
		w := &workloads[i]
		for _, clients := range w.clients {
			all = append(all, own(t, w, clients, false))
			if w.steps == 1 {
				all = append(all, own(t, w, clients, true))
			}
			for _, p := range beside {
				r, err := p.measure(t, w, clients)
				if err != nil {
					t.Logf("%s with %s at %d clients: not measured: %v", p.Name, w.name, clients, err)
					continue
				}
				all = append(all, r)
			}
		}
	}
	text := workflowReport(all, countSyncs(t, beside), history(t), tenThousand(t))
	t.Log("\n" + text)
	writeSection(t, "Workflows", text)
}

// TestProfile measures one workload, for a profile: -window 6s -cpuprofile FILE. The
// workload history:1 is that of long runs.
func TestProfile(t *testing.T) {
	name, clients, ok := strings.Cut(os.Getenv("HAYATE_BENCH_PROFILE"), ":")
	if !ok {
		t.Skip("set HAYATE_BENCH_PROFILE=W1:64, or event:64")
	}
	n, err := strconv.Atoi(clients)
	if err != nil {
		t.Fatal(err)
	}
	if name == "history" {
		history(t)
		return
	}
	w := &workloads[1]
	for i := range workloads {
		if workloads[i].name == name {
			w = &workloads[i]
		}
	}
	own(t, w, n, name == "event")
}

// synced is how often an engine syncs.
type synced struct {
	engine  string
	clients int
	steps   float64 // syncs a step of W1
}

// countSyncs counts with strace, which slows down: a pass of its own.
func countSyncs(t *testing.T, beside []peer) (all []synced) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Log("syncs are not counted: strace is missing")
		return nil
	}
	w := &workloads[0]
	for _, clients := range []int{1, 64} {
		e := newEngine(t)
		out := filepath.Join(t.TempDir(), "trace")
		cmd := exec.Command("strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", out, "-p", strconv.Itoa(os.Getpid()))
		if err := cmd.Start(); err != nil {
			t.Logf("syncs are not counted: %v", err)
			return nil
		}
		before := e.steps.n.Load()
		drive(t, e, w, clients, *window/2, func(ctx context.Context, _ int64) error { return e.run(ctx, w.name, "") })
		steps := e.steps.n.Load() - before
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it ends by the signal
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, m := range regexp.MustCompile(`(?m)^\s*\S+\s+\S+\s+\S+\s+(\d+)\s.*sync$`).FindAllStringSubmatch(string(b), -1) {
			k, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if n > 0 && steps > 0 {
			all = append(all, synced{"hayate", clients, float64(n) / float64(steps)})
		}
		for _, p := range beside {
			if p.Bound {
				continue
			}
			s, err := p.countSyncs(t, w, clients)
			if err != nil {
				t.Logf("syncs of %s at %d clients: not counted: %v", p.Name, clients, err)
				continue
			}
			all = append(all, synced{p.Name, clients, s})
		}
	}
	return all
}

// age is what a step costs, early and late in a long run.
type age struct{ early, late time.Duration }

// history runs loops of more than ten thousand turns side by side, and compares the
// CPU time of their first steps with that of those around the ten-thousandth.
func history(t *testing.T) (a age) {
	t.Run("history", func(t *testing.T) {
		const runs, turns, part = 8, 11_000, 1000
		e := newEngine(t)
		var group sync.WaitGroup
		for range runs {
			group.Go(func() {
				if err := e.run(context.Background(), "loop", fmt.Sprintf(`{"turns": %d}`, turns)); err != nil {
					t.Error(err)
				}
			})
		}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		at := func(n int64) time.Duration {
			for e.steps.n.Load() < n*runs && !t.Failed() {
				<-tick.C
			}
			return ownCPU(t)
		}
		first := at(10)
		a.early = (at(10+part) - first) / (runs * part)
		late := at(turns - part)
		group.Wait()
		a.late = (ownCPU(t) - late) / (runs * part)
		t.Logf("a step costs %v after ten, %v after ten thousand", a.early, a.late)
	})
	return a
}

// burst is how long ten thousand items take.
type burst struct{ took, cpu time.Duration }

func tenThousand(t *testing.T) (b burst) {
	t.Run("items", func(t *testing.T) {
		e := newEngine(t)
		begun, cpu := time.Now(), ownCPU(t)
		if err := e.run(context.Background(), "items", `{"count": 10000}`); err != nil {
			t.Fatal(err)
		}
		b = burst{time.Since(begun), ownCPU(t) - cpu}
		t.Logf("10 000 items took %v, %v of CPU", b.took, b.cpu)
	})
	return b
}
