// Package simulation_test runs the whole system – ingest, router, workflow runs,
// workers, store and queue – in one process on virtual time, lets seeded faults
// strike it, and holds what has become of it against what hayate promises.
//
// A seed decides on the workload, on the kinds of fault and on each fault. What
// strikes the nth call of a kind about an object depends on the seed and on
// these three alone, and virtual time passes only while all goroutines wait, so
// a seed replays nearly always. What is not determined: the order in which
// goroutines run that are ready at the same virtual moment, and with it which of
// two racing calls comes first, which worker takes which of several waiting
// tasks, and which results share a step. A seed that failed by such a race may
// pass when it is replayed; -count repeats it.
//
// All of it, sleeps included, happens within the bubble of a synctest: time.Sleep
// lets virtual time pass and costs none.
//
//	go test ./tests/simulation -seed 4711           # replay one
//	HAYATE_SIM_SEEDS=10000 go test ./tests/simulation   # more than usual
package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
)

var seedFlag = flag.String("seed", "", "replay the simulation of this seed only")

// result is what a simulation came to.
type result struct {
	seed     uint64
	themes   themes
	wrong    []string
	struck   []fault
	outcomes undisturbed
}

// config is what is simulated.
type config struct {
	seed    uint64
	off     map[string]bool // faults left out
	quiet   bool            // no faults
	planted bug             // "" for none
	want    undisturbed
	users   func(*world, *sync.WaitGroup)
}

// simulate runs one world to its end. Goroutines that are left make it fail.
func simulate(t *testing.T, c config) (res result) {
	res.seed = c.seed
	defer func() {
		if p := recover(); p != nil {
			res.wrong = append(res.wrong, fmt.Sprintf("the world did not end: %v", p))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		p := newPlan(c.seed, c.off, c.quiet)
		th := themesOf(p)
		if c.quiet {
			th = themes{}
		}
		w := newWorld(p, th, c.planted)
		res.themes = th
		w.want = c.want
		defer func() { res.wrong, res.struck = w.observed.wrong, w.plan.schedule() }()
		w.live(c.users)
		if c.quiet {
			res.outcomes = w.outcomes()
		}
	})
	return res
}

// outcomes are those of all workflows in a world.
func (w *world) outcomes() undisturbed {
	u := undisturbed{}
	a, err := w.everything()
	if err != nil {
		w.observed.fail("read the store: %v", err)
		return u
	}
	for i := range a.executions {
		if x := &a.executions[i]; x.Runner == "orquesta" {
			u[name(x)] = w.outcomeOf(a, x)
		}
	}
	return u
}

// calm returns the outcomes of all workflows that no fault strikes.
func calm(t *testing.T) undisturbed {
	t.Helper()
	res := simulate(t, config{quiet: true, users: func(w *world, g *sync.WaitGroup) {
		g.Go(func() {
			time.Sleep(time.Second)
			for n := range 50 {
				for _, flow := range slices.Concat(flowNames, []string{"breaks"}) {
					w.send(fmt.Sprintf("%s-%d", flow, n), flow, n, 0)
				}
			}
			for n := range 50 {
				w.again(w.await(w.start("sim.breaks", n, 0), 0), 0)
			}
		})
	}})
	if len(res.wrong) > 0 {
		t.Fatalf("without faults: %s", strings.Join(res.wrong, "\n"))
	}
	if len(res.outcomes) < 50*len(flowNames) {
		t.Fatalf("%d workflows ended without faults, want at least %d", len(res.outcomes), 50*len(flowNames))
	}
	for name, o := range res.outcomes {
		if o.status != hayate.StatusSucceeded && !strings.HasPrefix(name, "sim.breaks {") {
			t.Fatalf("%s ended %s without faults, with %s", name, o.status, o.result)
		}
	}
	return res.outcomes
}

// shrink leaves out faults one by one while the simulation still fails.
func shrink(t *testing.T, c config, res result) result {
	t.Helper()
	c.off = map[string]bool{}
	for again := true; again; {
		again = false
		for _, f := range res.struck {
			if c.off[f.key] {
				continue
			}
			c.off[f.key] = true
			if less := simulate(t, c); len(less.wrong) > 0 {
				res, again = less, true
				break
			}
			delete(c.off, f.key)
		}
	}
	return res
}

func report(res, small result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %s (replay: go test ./tests/simulation -seed %d) fails under %d faults:\n", res.seed, res.themes, res.seed, len(res.struck))
	for _, s := range res.wrong {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	fmt.Fprintf(&b, "it still fails under these %d:\n", len(small.struck))
	for _, f := range small.struck {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	for _, s := range small.wrong {
		fmt.Fprintf(&b, "  so that %s\n", s)
	}
	return b.String()
}

// seeds simulates the seeds from..to-1 on all processors until one returns false.
func seeds(t *testing.T, from, to uint64, c config, each func(result) bool) {
	t.Helper()
	var next atomic.Uint64
	var stop atomic.Bool
	next.Store(from)
	var g sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() {
			for seed := next.Add(1) - 1; seed < to && !stop.Load(); seed = next.Add(1) - 1 {
				own := c
				own.seed = seed
				if !each(simulate(t, own)) {
					stop.Store(true)
				}
			}
		})
	}
	g.Wait()
}

// seedCount is how many seeds are tried.
func seedCount(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("HAYATE_SIM_SEEDS")
	if text == "" {
		if raceEnabled {
			return defaultSeeds / 20
		}
		return defaultSeeds
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("HAYATE_SIM_SEEDS: %v", err)
	}
	return n
}

const (
	defaultSeeds = 2000
	maxFailures  = 3 // reported and shrunk in one run
)

func TestSimulation(t *testing.T) {
	from, to := uint64(1), seedCount(t)+1
	if *seedFlag != "" {
		n, err := strconv.ParseUint(*seedFlag, 10, 64)
		if err != nil {
			t.Fatalf("-seed: %v", err)
		}
		from, to = n, n+1
	}
	c := config{want: calm(t), users: users}
	var mu sync.Mutex
	var failures []result
	done, struck := 0, 0
	begun := time.Now()
	seeds(t, from, to, c, func(res result) bool {
		mu.Lock()
		defer mu.Unlock()
		done++
		struck += len(res.struck)
		if len(res.wrong) > 0 {
			failures = append(failures, res)
		}
		return len(failures) < maxFailures
	})
	t.Logf("%d seeds, %d faults, %d failures, %s", done, struck, len(failures), time.Since(begun).Round(time.Millisecond))
	for _, res := range failures {
		c.seed = res.seed
		t.Error(report(res, shrink(t, c, res)))
	}
	if *seedFlag == "" && done > 10 && struck == 0 {
		t.Error("no fault has struck: nothing was tested")
	}
}
