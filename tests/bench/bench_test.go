package bench_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

const (
	defaultWindow = 6 * time.Second
	drainWait     = 5 * time.Minute
)

// figure is one row of the report.
type figure struct {
	Engine   string
	Clients  int
	Rate     float64 // finished a second
	P50, P99 time.Duration
	CPU      time.Duration // an event
	RSS      int64         // bytes at the end
	Disk     float64       // bytes an event
}

// load is a closed loop: each client sends the next event once the one before is
// acknowledged. send notes when each was sent.
type load struct {
	mu   sync.Mutex
	sent map[string]time.Time // by the id of the accepted event
}

// run sends for the window, waits until all is finished, and returns how many
// events there were and how long that took.
func (l *load) run(t *testing.T, clients int, send func(n int64) (id string, err error), finished func() int) (int, time.Duration) {
	l.sent = map[string]time.Time{}
	var next atomic.Int64
	var group sync.WaitGroup
	begun := time.Now()
	over := begun.Add(*window)
	for range clients {
		group.Go(func() {
			own := map[string]time.Time{}
			for at := time.Now(); at.Before(over); at = time.Now() {
				id, err := send(next.Add(1))
				if err != nil {
					t.Error(err)
					return
				}
				own[id] = at
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for id, at := range own {
				l.sent[id] = at
			}
		})
	}
	group.Wait()
	n := len(l.sent)
	hayatetest.Eventually(t, drainWait, fmt.Sprintf("%d events are finished", n), func() (bool, string) {
		got := finished()
		return got >= n, fmt.Sprint(got)
	})
	return n, time.Since(begun)
}

// percentiles of the time from sending an event to the end of its execution.
func (l *load) percentiles(ends map[string]time.Time) (p50, p99 time.Duration) {
	all := make([]time.Duration, 0, len(l.sent))
	for id, at := range l.sent {
		if end, ok := ends[id]; ok {
			all = append(all, end.Sub(at))
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0, 0
	}
	return all[len(all)/2], all[len(all)*99/100]
}

// TestBenchmark measures and reports.
func TestBenchmark(t *testing.T) {
	if os.Getenv(benchEnv) == "" {
		t.Skipf("measures for minutes; set %s=1", benchEnv)
	}
	var all []figure
	for _, clients := range []int{1, 64, 256} {
		all = append(all, overHTTP(t, clients), inProcess(t, clients))
		all = append(all, peers(t, clients)...)
	}
	text := eventReport(all)
	t.Log("\n" + text)
	writeSection(t, "The way of an event", text)
}

func overHTTP(t *testing.T, clients int) figure {
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "bench", map[string]string{"rules/noop.yaml": "name: noop\nenabled: true\ntrigger: {type: bench.event}\naction: {ref: core.noop}\n"})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs, Args: []string{"--log-level", "warn"}})
	defer s.Kill()
	var l load
	before, cpu := diskUse(t, s.Data), s.CPU(t)
	n, took := l.run(t, clients, func(n int64) (string, error) {
		status, a, err := s.Post(hayatetest.Event("/bench", strconv.FormatInt(n, 10), "bench.event", `{"host": "shop-web-02", "severity": "High", "value": 17}`))
		if err == nil && status != 202 {
			err = fmt.Errorf("status %d", status)
		}
		return a.ID, err
	}, func() int { return s.Count(t, "executions", "status=succeeded") })
	cpu = s.CPU(t) - cpu
	ends := map[string]time.Time{}
	for _, x := range s.Executions(t, "include_attributes=end_timestamp,trigger_instance.id") {
		id, _ := x.TriggerInstance["id"].(string)
		if end, err := time.Parse(time.RFC3339Nano, x.End); err == nil {
			ends[id] = end
		}
	}
	f := figure{Engine: "hayate, HTTP", Clients: clients, Rate: float64(n) / took.Seconds(), RSS: s.RSS(t), CPU: cpu / time.Duration(n), Disk: float64(diskUse(t, s.Data)-before) / float64(n)}
	f.P50, f.P99 = l.percentiles(ends)
	return f
}

func inProcess(t *testing.T, clients int) (f figure) {
	t.Run(fmt.Sprintf("in process at %d", clients), func(t *testing.T) {
		e := newEngine(t)
		ctx := context.Background()
		before, cpu := diskUse(t, e.dir), ownCPU(t)
		var l load
		n, took := l.run(t, clients, func(n int64) (string, error) {
			rc, err := e.Accept(ctx, event(n, "bench.event"))
			return string(rc.ID), err
		}, func() int { return int(e.Counts().Ended[hayate.StatusSucceeded]) })
		cpu = ownCPU(t) - cpu
		p, err := e.Executions(ctx, router.Query{Limit: -1})
		if err != nil {
			t.Fatal(err)
		}
		ends := map[string]time.Time{}
		for _, x := range p.Items {
			ends[string(x.Event)] = x.Ended
		}
		f = figure{Engine: "hayate, in process", Clients: clients, Rate: float64(n) / took.Seconds(), CPU: cpu / time.Duration(n),
			Disk: float64(diskUse(t, e.dir)-before) / float64(n)}
		f.P50, f.P99 = l.percentiles(ends)
	})
	return f
}

// ownCPU is the CPU time that this process has used.
func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// diskUse is what the files below a folder take.
func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
