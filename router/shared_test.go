package router_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// laterFlow has a second task that waits for a long time.
const laterFlow = `
version: 1.0
tasks:
  one: {action: test.note, next: [{do: two}]}
  two: {action: test.note, delay: 3600}
`

// publishing reads of its task's result what is there only if the task succeeds.
const publishing = `
version: 1.0
vars: [{x: 0}]
tasks:
  one: {action: test.wait, next: [{publish: [{x: <% result().found.x %>}]}]}
output: [{x: <% ctx(x) %>}]
`

func flowContent(text string) router.Content {
	return router.Content{
		Actions:   []hayate.Action{action("note", "fn"), action("wait", "wait"), action("flow", "orquesta")},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(text)},
	}
}

func TestARunHearsOfAChildThatAnotherProcessStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		share := func(c *router.Config) {
			c.SoleOwner, c.RunnerTypes = false, []hayate.Runner{{Name: "orquesta"}}
		}
		// The first process begins the run and keeps it in memory; it takes no tasks.
		first := newWorld(t, func(c *router.Config) {
			share(c)
			c.Targets = []string{"elsewhere"}
		}, funcRunner{"fn", succeed})
		first.load(flowContent(laterFlow))
		first.serve()
		x, err := first.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// The second one performs the first task, and so starts the second.
		second := newWorld(t, func(c *router.Config) {
			share(c)
			c.Store, c.Queue, c.Blobs = first.cfg.Store, first.cfg.Queue, first.cfg.Blobs
		}, funcRunner{"fn", succeed})
		second.load(flowContent(laterFlow))
		second.serve()
		time.Sleep(time.Minute)
		p, err := first.Executions(t.Context(), router.Query{Parent: x.ID, Status: []hayate.Status{hayate.StatusDelayed}, Limit: -1})
		if err != nil || len(p.Items) != 1 {
			t.Fatalf("tasks that wait: %+v, %v; want one", p.Items, err)
		}
		// The first one has to tell its run of a task that it never heard of.
		if _, err := first.Cancel(t.Context(), p.Items[0].ID, "operator"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if y, err := first.Wait(ctx, x.ID); err != nil || !y.Status.Completed() {
			t.Errorf("the workflow is %s, %v; want its end", y.Status, err)
		}
	})
}

func TestATaskDeliveredTooEarlyComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *router.Config) {
			ahead := func() time.Time { return time.Now().Add(time.Hour) }
			c.Queue = memory.NewQueue(memory.QueueConfig{Now: ahead})
		}, funcRunner{"fn", succeed})
		w.load(router.Content{Actions: []hayate.Action{action("note", "fn")}})
		w.serve()
		x, err := w.Start(t.Context(), router.Start{Action: "test.note", Delay: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		y, err := w.Wait(ctx, x.ID)
		if err != nil || y.Status != hayate.StatusSucceeded || y.Started.Before(x.NotBefore) {
			t.Errorf("execution is %s since %s, %v; want success after %s", y.Status, y.Started, err, x.NotBefore)
		}
	})
}

func TestAProcessWhoseClockIsBehindKeepsNoTaskFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := router.Content{Actions: []hayate.Action{action("note", "fn")}}
		right := newWorld(t, func(c *router.Config) { c.SoleOwner = false }, funcRunner{"fn", succeed})
		right.load(content)
		behind := newWorld(t, func(c *router.Config) {
			c.SoleOwner = false
			c.Store, c.Queue, c.Blobs = right.cfg.Store, right.cfg.Queue, right.cfg.Blobs
			c.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		}, funcRunner{"fn", succeed})
		behind.load(content)
		behind.serve()
		x, err := right.Start(t.Context(), router.Start{Action: "test.note", Delay: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second) // by now the other one has refused it
		right.serve()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if y, err := right.Wait(ctx, x.ID); err != nil || y.Status != hayate.StatusSucceeded {
			t.Errorf("execution is %s, %v; want success", y.Status, err)
		}
	})
}

func TestACanceledWorkflowEndsCanceledWhateverItsExpressions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} },
			funcRunner{"fn", succeed},
			funcRunner{"wait", func(ctx context.Context, _ hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
				<-ctx.Done()
				return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
			}})
		w.load(flowContent(publishing))
		w.serve()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.Cancel(t.Context(), x.ID, "operator"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if y, err := w.Wait(ctx, x.ID); err != nil || y.Status != hayate.StatusCanceled {
			t.Errorf("the workflow is %s, %v; want canceled", y.Status, err)
		}
	})
}

// slowClaim is a store whose first claim is answered late.
type slowClaim struct {
	router.Store
	slow *atomic.Bool
	late time.Duration
}

func (s slowClaim) Claim(ctx context.Context, c router.Claim) (hayate.Execution, error) {
	x, err := s.Store.Claim(ctx, c)
	if s.slow.CompareAndSwap(false, true) {
		time.Sleep(s.late)
	}
	return x, err
}

func TestAClaimAnsweredAfterItsLeaseBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var attempts []int
		w := newWorld(t, func(c *router.Config) {
			c.Store, c.SweepEvery = slowClaim{c.Store, new(atomic.Bool), 5 * time.Minute}, time.Second
		}, funcRunner{"fn", func(ctx context.Context, task hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, task.Attempt)
			return succeed(ctx, task, out)
		}})
		a := action("note", "fn")
		a.Idempotent = true
		w.load(router.Content{Actions: []hayate.Action{a}})
		w.serve()
		if _, err := w.Start(t.Context(), router.Start{Action: "test.note"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(attempts) != 1 || attempts[0] != 2 {
			t.Errorf("attempts %v were performed, want the second only", attempts)
		}
	})
}

// slowAck is a queue whose first acknowledgement takes a while, in which
// something happens.
type slowAck struct {
	router.Queue
	slow      *atomic.Bool
	meanwhile func()
}

func (q slowAck) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	d, err := q.Queue.Receive(ctx, targets...)
	ack := d.Ack
	d.Ack = func(ctx context.Context) error {
		if q.slow.CompareAndSwap(false, true) {
			q.meanwhile()
			time.Sleep(5 * time.Second)
		}
		return ack(ctx)
	}
	return d, err
}

func TestAnAttemptIsNotLostToItsOwnProcessWhenTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var attempts []int
		var ahead atomic.Int64
		w := newWorld(t, func(c *router.Config) {
			c.Now, c.SweepEvery = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, time.Second
			c.Queue = slowAck{c.Queue, new(atomic.Bool), func() { ahead.Store(int64(time.Hour)) }}
		}, funcRunner{"fn", func(ctx context.Context, task hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, task.Attempt)
			return succeed(ctx, task, out)
		}})
		a := action("note", "fn")
		a.Idempotent = true
		w.load(router.Content{Actions: []hayate.Action{a}})
		w.serve()
		if _, err := w.Start(t.Context(), router.Start{Action: "test.note"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(attempts) != 1 || attempts[0] != 1 {
			t.Errorf("attempts %v were performed, want the first only", attempts)
		}
	})
}
