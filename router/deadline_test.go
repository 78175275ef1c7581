package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// untilStopped waits until it is canceled.
func untilStopped(ctx context.Context, _ hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	<-ctx.Done()
	return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
}

const (
	waitingFlow = "version: 1.0\ntasks:\n  one: {action: test.note, next: [{do: two}]}\n  two: {action: test.wait}\n"
	quickFlow   = "version: 1.0\ntasks:\n  one: {action: test.note}\n"
	waitChain   = "chain:\n  - {name: one, ref: test.wait}\n"
	waitMistral = "version: '2.0'\ntest.flow:\n  type: direct\n  tasks:\n    one: {action: test.wait}\n"
	outerFlow   = "version: 1.0\ntasks:\n  one: {action: test.flow}\n"
	askingFlow  = "version: 1.0\ntasks:\n  one: {action: test.ask}\n"
)

func ask(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
	return hayate.Result{Status: hayate.StatusPending, Value: json.RawMessage(`{"schema":{},"route":"","users":[],"roles":[],"ttl":0}`)}, nil
}

// deadlineWorld is a router whose workflow test.flow has a deadline. Its second
// attempts share everything durable with the first.
func deadlineWorld(t *testing.T, c *clock, d *hayate.Deadline, runner, text string, change func(*router.Config)) *world {
	t.Helper()
	w := newWorld(t, func(cfg *router.Config) {
		cfg.Now, cfg.SweepEvery, cfg.Retention = c.now, 5*time.Second, -1
		cfg.Queue = memory.NewQueue(memory.QueueConfig{Now: c.now})
		cfg.RunnerTypes = []hayate.Runner{{Name: "orquesta"}, {Name: "action-chain"}, {Name: "mistral-v2"}}
		if change != nil {
			change(cfg)
		}
	}, funcRunner{"fn", succeed}, funcRunner{"wait", untilStopped}, funcRunner{"inquirer", ask})
	flow := action("flow", runner)
	flow.Deadline = d
	w.load(router.Content{
		Actions:   []hayate.Action{action("note", "fn"), action("wait", "wait"), action("ask", "inquirer"), flow, action("outer", "orquesta")},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(text), "test.outer": []byte(outerFlow)},
	})
	return w
}

// deadlineEvents are the events about the deadline of a run, with the second at which they came.
func (w *world) deadlineEvents(began time.Time) string {
	w.t.Helper()
	p, err := w.Events(w.t.Context(), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, r := range p.Items {
		if name, ok := strings.CutPrefix(r.Event.Type, "core.hayate.deadline_"); ok {
			out = append(out, name+" "+r.Event.AcceptedAt.Sub(began).Round(time.Second).String())
		}
	}
	return strings.Join(out, ", ")
}

func TestARunEndsAtItsDeadline(t *testing.T) {
	for _, tt := range []struct {
		name, runner, text string
		deadline           *hayate.Deadline
		asked              time.Duration // by whoever starts it
		wait               time.Duration
		status             hayate.Status
		events, result     string
	}{
		{"with a warning at 80 %", "orquesta", waitingFlow, &hayate.Deadline{After: 10 * time.Minute}, 0, 11 * time.Minute,
			hayate.StatusTimeout, "near 8m0s, passed 10m0s", "The run did not end by its deadline 2026-11-24T10:10:00Z"},
		{"as an action chain", "action-chain", waitChain, &hayate.Deadline{After: 10 * time.Minute, WarnPercent: 50}, 0, 11 * time.Minute,
			hayate.StatusTimeout, "near 5m0s, passed 10m0s", "The run did not end by its deadline"},
		{"as a Mistral workflow", "mistral-v2", waitMistral, &hayate.Deadline{After: 10 * time.Minute, WarnBefore: time.Minute}, 0, 11 * time.Minute,
			hayate.StatusTimeout, "near 9m0s, passed 10m0s", "The run did not end by its deadline"},
		{"at a time of day", "orquesta", waitingFlow, &hayate.Deadline{At: "19:05", Zone: "Asia/Tokyo", WarnBefore: 2 * time.Minute}, 0, 6 * time.Minute,
			hayate.StatusTimeout, "near 3m0s, passed 5m0s", "deadline 2026-11-24T10:05:00Z"},
		{"that it was asked with", "orquesta", waitingFlow, &hayate.Deadline{After: time.Hour}, 10 * time.Minute, 11 * time.Minute,
			hayate.StatusTimeout, "near 8m0s, passed 10m0s", "The run did not end"},
		{"without a warning", "orquesta", waitingFlow, &hayate.Deadline{After: 10 * time.Minute, WarnPercent: 100}, 0, 11 * time.Minute,
			hayate.StatusTimeout, "passed 10m0s", "The run did not end"},
		{"which is not reached", "orquesta", quickFlow, &hayate.Deadline{After: 10 * time.Minute}, 0, 11 * time.Minute,
			hayate.StatusSucceeded, "", `"output":null`},
		{"though it waits for a person", "orquesta", askingFlow, &hayate.Deadline{After: 10 * time.Minute}, 0, 11 * time.Minute,
			hayate.StatusTimeout, "near 8m0s, passed 10m0s", "The run did not end"},
		{"or goes on without", "orquesta", waitingFlow, nil, 0, time.Hour, hayate.StatusRunning, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c clock
				c.set("2026-11-24T10:00:00Z")
				w := deadlineWorld(t, &c, tt.deadline, tt.runner, tt.text, nil)
				w.running()
				began := c.now()
				st := router.Start{Action: "test.flow"}
				if tt.asked > 0 {
					st.Deadline = began.Add(tt.asked)
				}
				x, err := w.Start(t.Context(), st)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				x, err = w.Execution(t.Context(), x.ID)
				if err != nil || x.Status != tt.status || !strings.Contains(string(x.Result), tt.result) {
					t.Errorf("the run is %s with %s, %v; want %s and %q", x.Status, x.Result, err, tt.status, tt.result)
				}
				if got := w.deadlineEvents(began); got != tt.events {
					t.Errorf("events %q came, want %q", got, tt.events)
				}
				p, err := w.Executions(t.Context(), router.Query{Parent: x.ID, Limit: -1})
				if err != nil || len(p.Items) == 0 {
					t.Fatalf("children: %+v, %v", p.Items, err)
				}
				for _, child := range p.Items {
					if child.Status.Completed() != tt.status.Completed() && child.Action != "test.note" {
						t.Errorf("%s of the run is %s", child.Action, child.Status)
					}
				}
			})
		})
	}
}

func TestADeadlineOutlivesItsProcess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		down   time.Duration
		events string
	}{
		{"which was away for a moment", time.Minute, "near 8m0s, passed 10m0s"},
		{"which was away over the warning", 8*time.Minute + 30*time.Second, "near 9m30s, passed 10m0s"},
		{"which was away over the deadline", 20 * time.Minute, "passed 21m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c clock
				c.set("2026-11-24T10:00:00Z")
				d := &hayate.Deadline{After: 10 * time.Minute}
				first := deadlineWorld(t, &c, d, "orquesta", askingFlow, nil)
				stop := first.running()
				began := c.now()
				x, err := first.Start(t.Context(), router.Start{Action: "test.flow"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				stop()
				time.Sleep(tt.down)
				second := deadlineWorld(t, &c, d, "orquesta", askingFlow, func(cfg *router.Config) {
					cfg.Store, cfg.Queue, cfg.Blobs, cfg.Registry = first.cfg.Store, first.cfg.Queue, first.cfg.Blobs, first.cfg.Registry
					cfg.SweepEvery = 100 * time.Millisecond
				})
				second.running()
				time.Sleep(11 * time.Minute)
				synctest.Wait()
				if x, err = second.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusTimeout {
					t.Errorf("the run is %s, %v; want a timeout", x.Status, err)
				}
				if got := second.deadlineEvents(began); got != tt.events {
					t.Errorf("events %q came, want %q", got, tt.events)
				}
				if r, err := second.store.Run(t.Context(), x.ID); err == nil && !r.Wake.IsZero() {
					t.Errorf("the run that is over still wakes at %s", r.Wake)
				}
			})
		})
	}
}

func TestAWorkflowHearsThatItsTaskTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := deadlineWorld(t, &c, &hayate.Deadline{After: time.Minute}, "orquesta", waitingFlow, nil)
		w.running()
		x, err := w.Start(t.Context(), router.Start{Action: "test.outer"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if x, err = w.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusFailed {
			t.Errorf("the outer run is %s, %v; want it to fail with its task", x.Status, err)
		}
	})
}

func TestWhatIsCanceledBeforeItsDeadlineEndsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		release := make(chan struct{})
		w := newWorld(t, func(cfg *router.Config) {
			cfg.Now, cfg.RunnerTypes = c.now, []hayate.Runner{{Name: "orquesta"}}
		}, funcRunner{"wait", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
			<-release // it does not listen
			return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
		}})
		flow := action("flow", "orquesta")
		flow.Deadline = &hayate.Deadline{After: time.Minute}
		w.load(router.Content{Actions: []hayate.Action{action("wait", "wait"), flow},
			Workflows: map[hayate.Ref][]byte{"test.flow": []byte("version: 1.0\ntasks:\n  one: {action: test.wait}\n")}})
		w.running()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.Cancel(t.Context(), x.ID, "operator"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		close(release)
		time.Sleep(time.Minute)
		synctest.Wait()
		if x, err = w.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusCanceled {
			t.Errorf("the run is %s, %v; want canceled", x.Status, err)
		}
	})
}

func TestADeadlineThatCannotBeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := deadlineWorld(t, &c, nil, "orquesta", quickFlow, nil)
		for what, st := range map[string]router.Start{
			"of no workflow": {Action: "test.note", Deadline: c.now().Add(time.Hour)},
			"in the past":    {Action: "test.flow", Deadline: c.now().Add(-time.Hour)},
		} {
			if _, err := w.Start(t.Context(), st); !errors.Is(err, hayate.ErrInvalid) {
				t.Errorf("a deadline %s gives %v, want ErrInvalid", what, err)
			}
		}
		// It waits for longer than it may take.
		w.running()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow", Deadline: c.now().Add(time.Minute), Delay: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if x, err = w.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusTimeout || !strings.Contains(string(x.Result), "did not begin before its deadline") {
			t.Errorf("the run is %s with %s, %v", x.Status, x.Result, err)
		}
	})
}

func TestATimerOfARunThatHasComeIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		text := "version: '2.0'\ntest.flow:\n  type: direct\n  tasks:\n    one: {action: test.wait, wait-before: 30}\n"
		w := deadlineWorld(t, &c, nil, "mistral-v2", text, nil)
		w.running()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			wait time.Duration
			wake bool
		}{{10 * time.Second, true}, {30 * time.Second, false}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if r, err := w.store.Run(t.Context(), x.ID); err != nil || r.Wake.IsZero() == step.wake {
				t.Errorf("the run wakes at %s, %v; want it to: %v", r.Wake, err, step.wake)
			}
		}
		if p, err := w.Executions(t.Context(), router.Query{Parent: x.ID, Limit: -1}); err != nil || len(p.Items) != 1 || p.Items[0].Status != hayate.StatusRunning {
			t.Errorf("the task is %+v, %v; want it to run", p.Items, err)
		}
	})
}
