package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// calls is a queue that hands what it is given to whoever asks: the test plays
// the service that invokes a function with each item.
type calls struct {
	router.Queue
	t    *testing.T
	puts []router.QueueItem
}

func (c *calls) Put(_ context.Context, items ...router.QueueItem) error {
	c.puts = append(c.puts, items...)
	return nil
}

// deliver performs everything that was put, each in a call of its own, and
// returns what was given back.
func (c *calls) deliver(w *world) (again []router.QueueItem) {
	for len(c.puts) > 0 {
		it := c.puts[0]
		c.puts = c.puts[1:]
		if d := time.Until(it.NotBefore); d > 0 {
			time.Sleep(d)
		}
		w.Perform(c.t.Context(), router.Delivery{QueueItem: it, Ack: func(context.Context) error { return nil },
			Nack: func(context.Context, time.Duration) error { again = append(again, it); return nil }})
	}
	return again
}

// frozen is a world whose process stands still between calls.
func frozen(t *testing.T, runners ...router.Runner) (*world, *calls) {
	t.Helper()
	q := &calls{t: t}
	w := newWorld(t, func(c *router.Config) {
		c.SoleOwner, c.Frozen, c.RunnerTypes = false, true, []hayate.Runner{{Name: "orquesta"}, {Name: "mistral-v2"}}
		q.Queue = c.Queue
		c.Queue = q
	}, runners...)
	return w, q
}

func TestPerformGoesTheWayOfAWorkflowCallByCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, q := frozen(t, funcRunner{"fn", succeed})
		w.load(flowContent(laterFlow))
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		if again := q.deliver(w); len(again) != 0 {
			t.Errorf("given back: %+v, want nothing", again)
		}
		if y, err := w.Execution(t.Context(), x.ID); err != nil || y.Status != hayate.StatusSucceeded {
			t.Errorf("the workflow is %s, %v; want success", y.Status, err)
		}
		// What comes twice changes nothing.
		w.Perform(t.Context(), router.Delivery{QueueItem: router.QueueItem{Execution: x.ID, Target: router.TargetOf(&x)},
			Ack: func(context.Context) error { return nil }, Nack: func(context.Context, time.Duration) error { return errors.New("given back") }})
	})
}

func TestPerformIsStoppedByTheEndOfItsCall(t *testing.T) {
	for name, c := range map[string]struct {
		idempotent bool
		want       hayate.Status
	}{
		"an action with an effect is abandoned":            {false, hayate.StatusAbandoned},
		"an idempotent one waits for the end of its lease": {true, hayate.StatusRunning},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, q := frozen(t, funcRunner{"fn", func(ctx context.Context, _ hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
					<-ctx.Done()
					return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
				}})
				a := action("slow", "fn")
				a.Idempotent = c.idempotent
				w.load(router.Content{Actions: []hayate.Action{a}})
				x, err := w.Start(t.Context(), router.Start{Action: "test.slow"})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				w.Perform(ctx, router.Delivery{QueueItem: q.puts[0], Ack: func(context.Context) error { return nil }})
				y, err := w.Execution(t.Context(), x.ID)
				if err != nil || y.Status != c.want || y.Attempt != 1 {
					t.Errorf("after five minutes the execution is %s, attempt %d, %v; want %s: its lease was kept", y.Status, y.Attempt, err, c.want)
				}
			})
		})
	}
}

func TestTickSettlesWhatALostCallLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, q := frozen(t, funcRunner{"fn", succeed})
		w.load(router.Content{Actions: []hayate.Action{action("note", "fn")}})
		x, err := w.Start(t.Context(), router.Start{Action: "test.note"})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if _, err := w.cfg.Store.Claim(t.Context(), router.Claim{Execution: x.ID, Worker: "dead", At: now, Until: now.Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if err := w.Tick(t.Context()); err != nil {
			t.Fatalf("Tick: %v", err)
		}
		y, err := w.Execution(t.Context(), x.ID)
		if err != nil || y.Status != hayate.StatusAbandoned {
			t.Errorf("execution is %s, %v; want it abandoned: it is not idempotent", y.Status, err)
		}
		q.puts = nil
	})
}

func TestAcceptKeepsTheTimeOfAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := frozen(t)
		queued := time.Now().Add(-time.Hour).UTC()
		for name, c := range map[string]struct{ given, want time.Time }{
			"acknowledged an hour ago": {queued, queued},
			"in the future":            {time.Now().Add(time.Hour), time.Now().UTC()},
			"older than any queue":     {time.Now().AddDate(-1, 0, 0), time.Now().UTC()},
		} {
			rc, err := w.Accept(t.Context(), hayate.Event{ID: name, Source: "/test", Type: "test.happened", AcceptedAt: c.given})
			if err != nil || !rc.AcceptedAt.Equal(c.want.Truncate(time.Microsecond)) {
				t.Errorf("%s: accepted at %s, %v; want %s", name, rc.AcceptedAt, err, c.want)
			}
		}
	})
}
