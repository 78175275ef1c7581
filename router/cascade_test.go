package router_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// nested is a workflow in a workflow; its second task waits for a long time.
func nested() router.Content {
	c := router.Content{Actions: []hayate.Action{action("note", "fn"), action("flow", "orquesta"), action("inner", "orquesta")}}
	c.Workflows = map[hayate.Ref][]byte{
		"test.flow":  []byte("version: 1.0\ntasks:\n  sub: {action: test.inner, next: [{do: last}]}\n  last: {action: test.note}\n"),
		"test.inner": []byte("version: 1.0\ntasks:\n  one: {action: test.note, delay: 60, next: [{do: two}]}\n  two: {action: test.note, delay: 60}\n"),
	}
	return c
}

// doomed is a store whose process dies right after it has committed a change of
// one execution to a status: nothing that it does later happens.
type doomed struct {
	router.Store
	mu   sync.Mutex
	id   hayate.ExecutionID
	at   hayate.Status
	dead bool
}

func (d *doomed) set(id hayate.ExecutionID, at hayate.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.id, d.at = id, at
}

func (d *doomed) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (d *doomed) Commit(ctx context.Context, c router.Change) error {
	if d.isDead() {
		return hayate.ErrBusy
	}
	err := d.Store.Commit(ctx, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range c.Update {
		if c.Update[i].ID == d.id && c.Update[i].Status == d.at {
			d.dead = true
			return hayate.ErrBusy
		}
	}
	return err
}

func (d *doomed) Executions(ctx context.Context, q router.Query) (router.Page[hayate.Execution], error) {
	if d.isDead() {
		return router.Page[hayate.Execution]{}, hayate.ErrBusy
	}
	return d.Store.Executions(ctx, q)
}

func (d *doomed) Claim(ctx context.Context, c router.Claim) (hayate.Execution, error) {
	if d.isDead() {
		return hayate.Execution{}, hayate.ErrBusy
	}
	return d.Store.Claim(ctx, c)
}

func (d *doomed) Sweep(ctx context.Context, q router.SweepQuery) (router.Swept, error) {
	if d.isDead() {
		return router.Swept{}, hayate.ErrBusy
	}
	return d.Store.Sweep(ctx, q)
}

func (d *doomed) Run(ctx context.Context, id hayate.ExecutionID) (router.Run, error) {
	if d.isDead() {
		return router.Run{}, hayate.ErrBusy
	}
	return d.Store.Run(ctx, id)
}

// openEmbedded is a store on disk, closed when the test ends.
func openEmbedded(t *testing.T) router.Store {
	t.Helper()
	s, err := embedded.Open(embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// What a workflow asks of its children, and what it tells its parent, is done by
// the next process where the one that committed the step died right after it.
func TestWhatAStepAsksOfOthersOutlivesItsProcess(t *testing.T) {
	type story struct {
		name string
		of   string        // whose change is the last that is committed: flow or inner
		at   hayate.Status // to what
		act  func(context.Context, *router.Router, hayate.ExecutionID) error
		// before is done and over before act.
		before      func(context.Context, *router.Router, hayate.ExecutionID) error
		flow, inner hayate.Status // two minutes later
	}
	pause := func(ctx context.Context, r *router.Router, id hayate.ExecutionID) error {
		_, err := r.Pause(ctx, id)
		return err
	}
	resume := func(ctx context.Context, r *router.Router, id hayate.ExecutionID) error {
		_, err := r.Resume(ctx, id)
		return err
	}
	cancel := func(ctx context.Context, r *router.Router, id hayate.ExecutionID) error {
		_, err := r.Cancel(ctx, id, "operator")
		return err
	}
	stories := []story{
		{name: "cancel", of: "flow", at: hayate.StatusCanceling, act: cancel, flow: hayate.StatusCanceled, inner: hayate.StatusCanceled},
		{name: "pause", of: "flow", at: hayate.StatusPausing, act: pause, flow: hayate.StatusPaused, inner: hayate.StatusPaused},
		{name: "the child is paused", of: "inner", at: hayate.StatusPaused, act: pause, flow: hayate.StatusPaused, inner: hayate.StatusPaused},
		{name: "resume", of: "flow", at: hayate.StatusRunning, before: pause, act: resume, flow: hayate.StatusSucceeded, inner: hayate.StatusSucceeded},
	}
	stores := map[string]func(t *testing.T) router.Store{
		"memory":   func(*testing.T) router.Store { return memory.New() },
		"embedded": openEmbedded,
	}
	for i := range 2 * len(stories) {
		s, kind := stories[i/2], []string{"memory", "embedded"}[i%2]
		t.Run(s.name+" in the store "+kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &doomed{Store: stores[kind](t)}
				blobs := memory.NewBlobs()
				fn := funcRunner{"fn", succeed}
				change := func(c *router.Config) {
					c.Store, c.Blobs, c.RunnerTypes = store, blobs, []hayate.Runner{{Name: "orquesta"}}
				}
				w := newWorld(t, change, fn)
				w.load(nested())
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- w.Run(ctx, time.Second) }()
				x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				kids, err := store.Executions(t.Context(), router.Query{Parent: x.ID, Limit: -1})
				if err != nil || len(kids.Items) != 1 {
					t.Fatalf("children: %+v, %v", kids.Items, err)
				}
				inner := kids.Items[0].ID
				if s.before != nil {
					if err := s.before(t.Context(), w.Router, x.ID); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Minute)
				}
				store.set(map[string]hayate.ExecutionID{"flow": x.ID, "inner": inner}[s.of], s.at)
				if err := s.act(t.Context(), w.Router, x.ID); err == nil && s.of == "flow" {
					t.Fatal("the request was answered by a dead process")
				}
				time.Sleep(2 * time.Minute)
				if !store.isDead() {
					t.Fatal("the process did not die")
				}
				stop()
				<-done
				next := newWorld(t, func(c *router.Config) {
					change(c)
					c.Store = store.Store
				}, fn)
				next.load(nested())
				next.serve()
				time.Sleep(3 * time.Minute)
				for id, want := range map[hayate.ExecutionID]hayate.Status{x.ID: s.flow, inner: s.inner} {
					y, err := next.Execution(t.Context(), id)
					if err != nil || y.Status != want {
						t.Errorf("%s is %s, %v; want %s", y.Action, y.Status, err, want)
					}
				}
				run, err := store.Store.Run(t.Context(), x.ID)
				var own struct{ Owed json.RawMessage }
				if err != nil || json.Unmarshal(run.Entries["router"], &own) != nil || own.Owed != nil {
					t.Errorf("the run still owes %s, %v", own.Owed, err)
				}
			})
		})
	}
}
