package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	queue    *memory.Queue
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
}

func newWorld(p *plan, planted bool) *world {
	w := &world{plan: p, observed: newObserved(planted), store: memory.New(), registry: memory.NewRegistry(),
		data: memory.NewDatastore(), blobs: memory.NewBlobs(), acked: map[string]hayate.EventID{}, flowOf: map[string]string{},
		started: map[hayate.ExecutionID]bool{}, canceled: map[hayate.ExecutionID]bool{}, obeyed: map[hayate.ExecutionID]hayate.Status{}}
	w.sole = p.seed%2 == 0
	w.slots = []*slot{{name: "a"}}
	if !w.sole {
		w.slots = append(w.slots, &slot{name: "b", skew: time.Duration(p.random("skew").IntN(4000)-2000) * time.Millisecond})
		if p.quiet {
			w.slots[1].skew = 0
		}
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

// send delivers an event until it is acknowledged.
func (w *world) send(id, flow string, n, number int) {
	e := hayate.Event{ID: id, Source: "/sim", Type: "sim.alert", Data: fmt.Appendf(nil, `{"flow":%q,"n":%d}`, flow, n)}
	w.ask("event "+id, number, func(r *router.Router) error {
		rc, err := r.Accept(context.Background(), e)
		if err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if first, ok := w.acked[id]; ok && first != rc.ID {
			w.observed.fail("event %s was acknowledged as %s and as %s", id, first, rc.ID)
		}
		w.acked[id], w.flowOf[id] = rc.ID, flow
		return nil
	})
}

// start starts an execution and returns it once that is acknowledged. A start
// that failed and is repeated may have happened as well.
func (w *world) start(ref hayate.Ref, n, number int) (id hayate.ExecutionID) {
	w.ask("start of "+string(ref), number, func(r *router.Router) error {
		x, err := r.Start(context.Background(), router.Start{Action: ref, Parameters: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))})
		if err == nil {
			id = x.ID
			w.mu.Lock()
			defer w.mu.Unlock()
			w.started[id] = true
		}
		return err
	})
	return id
}

// rerun starts an execution once more.
func (w *world) rerun(id hayate.ExecutionID, number int) {
	w.ask("rerun of "+string(id), number, func(r *router.Router) error {
		x, err := r.Rerun(context.Background(), id, nil, "", 0)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.started[x.ID] = true
		}
		return err
	})
}

// cancel asks for the end of an execution, which may have ended.
func (w *world) cancel(id hayate.ExecutionID, number int) {
	w.mu.Lock()
	w.canceled[id] = true
	w.mu.Unlock()
	w.ask("cancel of "+string(id), number, func(r *router.Router) error {
		x, err := r.Cancel(context.Background(), id, "somebody")
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.obeyed[id] = x.Status
		}
		return err
	}, hayate.ErrConflict)
}

// users is the workload of a seed.
func users(w *world, g *sync.WaitGroup) {
	rnd := w.plan.random("workload")
	moment := func() time.Duration { return time.Duration(rnd.IntN(20_000)) * time.Millisecond }
	for i := range 1 + rnd.IntN(3) {
		id, flow, n := fmt.Sprintf("event-%d", i), flowNames[rnd.IntN(len(flowNames))], rnd.IntN(50)
		for range 1 + rnd.IntN(3) {
			at, number := moment(), rnd.IntN(2)
			g.Go(func() {
				time.Sleep(at)
				w.send(id, flow, n, number)
			})
		}
	}
	for range rnd.IntN(3) {
		ref := hayate.NewRef("sim", flowNames[rnd.IntN(len(flowNames))])
		at, later, n, what, number := moment(), moment()/2, rnd.IntN(50), rnd.IntN(3), rnd.IntN(2)
		g.Go(func() {
			time.Sleep(at)
			id := w.start(ref, n, number)
			time.Sleep(later)
			switch {
			case id == "":
			case what == 0:
				w.cancel(id, number+1)
			case what == 1:
				w.rerun(id, number+1)
			}
		})
	}
}
