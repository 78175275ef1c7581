package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

const (
	lease   = 30 * time.Second
	drain   = 2 * time.Second
	rest    = 30 * time.Minute // by then everything has come to rest
	retries = 500 * time.Millisecond
)

// world is the whole system and those who use it.
type world struct {
	plan     *plan
	observed *observed
	sole     bool // one process that owns the store; else two share it
	store    *memory.Store
	themes   themes
	content  router.Content
	queue    *memory.Queue
	leases   *memory.Leases // nil where every process sweeps
	timers   *memory.Timers
	registry *memory.Registry
	data     *memory.Datastore
	blobs    *memory.Blobs
	slots    []*slot
	running  sync.WaitGroup // lives of processes
	want     undisturbed

	mu       sync.Mutex
	ids      int
	acked    map[string]hayate.EventID            // events by the sender's id
	flowOf   map[string]string                    // events' workflows, by the sender's id
	started  map[hayate.ExecutionID]bool          // starts and reruns that were acknowledged
	canceled map[hayate.ExecutionID]bool          // whose cancelation somebody tried
	obeyed   map[hayate.ExecutionID]hayate.Status // what an accepted cancelation answered
	answers  map[hayate.ExecutionID][]int         // to a question, that somebody tried to give
	accepted map[hayate.ExecutionID]int           // answers that were acknowledged
	off      time.Time                            // when the timer was switched off
}

func newWorld(p *plan, th themes, planted bug) *world {
	w := &world{plan: p, observed: newObserved(planted), store: memory.New(), registry: memory.NewRegistry(),
		data: memory.NewDatastore(), blobs: memory.NewBlobs(), acked: map[string]hayate.EventID{}, flowOf: map[string]string{},
		started: map[hayate.ExecutionID]bool{}, canceled: map[hayate.ExecutionID]bool{}, obeyed: map[hayate.ExecutionID]hayate.Status{},
		themes: th, content: content(th, p.start), timers: memory.NewTimers(), answers: map[hayate.ExecutionID][]int{}, accepted: map[hayate.ExecutionID]int{}}
	base := router.Item{Value: strconv.Itoa(base)}
	if err := w.data.Set(context.Background(), router.Key{Scope: "system", Name: "base"}, base); err != nil {
		w.observed.fail("set a key: %v", err)
	}
	w.sole = p.seed%2 == 0
	w.slots = []*slot{{name: "a"}}
	if !w.sole {
		w.slots = append(w.slots, &slot{name: "b", skew: time.Duration(p.random("skew").IntN(4000)-2000) * time.Millisecond})
		if p.quiet {
			w.slots[1].skew = 0
		}
	}
	if !w.sole && (th[timers] || p.random("leases").IntN(2) == 0) {
		w.leases = memory.NewLeases()
	}
	w.queue = memory.NewQueue(memory.QueueConfig{})
	return w
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id-%d", w.ids)
}

// live runs the system and its users until everything has come to rest, then
// stops it and waits for all of its goroutines.
func (w *world) live(users func(*world, *sync.WaitGroup)) {
	ctx, cancel := context.WithCancel(context.Background())
	var supervisors, others sync.WaitGroup
	for i, s := range w.slots {
		supervisors.Go(func() { w.supervise(ctx, s) })
		for _, k := range []faultKind{jump, restart, kill} {
			others.Go(func() { w.strike(ctx, s, k, i) })
		}
	}
	users(w, &others)
	others.Wait()
	for begun := time.Now(); ; time.Sleep(2 * time.Second) {
		busy := w.busy()
		if len(busy) == 0 {
			break
		}
		if time.Since(begun) > rest {
			w.observed.fail("after %s still at work: %v", rest, busy)
			break
		}
	}
	w.check()
	cancel()
	supervisors.Wait()
	w.running.Wait()
	w.queue.Close()
}

// busy says what has not come to rest.
func (w *world) busy() []string {
	ctx := context.Background()
	var list []string
	page, err := w.store.Executions(ctx, router.Query{Limit: -1, Ascending: true})
	if err != nil {
		return []string{err.Error()}
	}
	for _, x := range page.Items {
		if !x.Status.Completed() {
			list = append(list, fmt.Sprintf("execution %s of %s is %s", x.ID, x.Action, x.Status))
		}
	}
	sw, err := w.store.Sweep(ctx, router.SweepQuery{Now: time.Now().Add(24 * time.Hour), Limit: 100})
	if err != nil {
		return append(list, err.Error())
	}
	for i := range sw.Untold {
		list = append(list, fmt.Sprintf("run %s has not heard of execution %s", sw.Untold[i].Parent, sw.Untold[i].ID))
	}
	for _, id := range sw.Due {
		list = append(list, fmt.Sprintf("run %s has timers", id))
	}
	due, err := w.store.States(ctx, router.StateQuery{DueBy: time.Now().Add(time.Hour), Limit: -1})
	if err != nil {
		return append(list, err.Error())
	}
	for _, st := range due.Items {
		list = append(list, fmt.Sprintf("rule %s waits for %s", st.Rule, st.Name))
	}
	return list
}

// ask lets a user do something until a process has answered. An answer of one of
// the kinds is one too.
func (w *world) ask(what string, number int, do func(r *router.Router) error, answers ...error) {
	begun := time.Now()
	for i := number; ; i++ {
		if time.Since(begun) > rest {
			w.observed.fail("%s: no answer after %s", what, rest)
			return
		}
		p := w.slots[i%len(w.slots)].current()
		if p == nil {
			time.Sleep(retries)
			continue
		}
		err := do(p.r)
		if err == nil && p.isDead() {
			err = errWorld // the answer did not get out any more
		}
		if err == nil {
			return
		}
		for _, kind := range answers {
			if errors.Is(err, kind) {
				return
			}
		}
		if !errors.Is(err, errWorld) && !errors.Is(err, hayate.ErrBusy) && !errors.Is(err, context.Canceled) {
			w.observed.fail("%s: %v", what, err)
			return
		}
		time.Sleep(retries)
	}
}
