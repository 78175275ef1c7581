package mongo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

// t0 is when the stories of these tests begin.
var t0 = time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

// scheduled is an execution that waits, of an action that does nothing.
func scheduled(name string, created time.Time) hayate.Execution {
	id := hayate.ExecutionID(hayate.NewID(created, name))
	return hayate.Execution{ID: id, Root: id, Trace: string(id), Action: "core.noop", Runner: "noop", Status: hayate.StatusScheduled,
		Created: created, Log: []hayate.Transition{{Time: created, Status: hayate.StatusScheduled}}}
}

func childOf(p *hayate.Execution, n int) hayate.Execution {
	x := scheduled(fmt.Sprint("child ", n), at(10+n))
	x.Parent, x.Root, x.Trace = p.ID, p.ID, p.Trace
	return x
}

var (
	happened = hayate.Event{ID: "1", Source: "//cut", Type: "cut.happened", Data: []byte(`{"n":1}`), AcceptedAt: at(1)}
	parent   = scheduled("parent", at(0))
)

// decide starts two executions for the event.
func decide(_ context.Context, e *hayate.Event) (router.Decision, error) {
	var d router.Decision
	for n := range 2 {
		x := scheduled(fmt.Sprint("of the event ", n), e.AcceptedAt)
		x.Event, x.Rule = hayate.EventIDOf(e.AcceptedAt, e.UID()), hayate.Ref(fmt.Sprint("cut.rule-", n))
		d.Executions = append(d.Executions, x)
		d.Firings = append(d.Firings, hayate.Firing{ID: hayate.FiringIDOf(e.AcceptedAt, e.UID(), x.Rule), Rule: x.Rule, Event: x.Event,
			At: e.AcceptedAt, Status: hayate.FiringSucceeded, Executions: []hayate.ExecutionID{x.ID}})
	}
	return d, nil
}

// decideByPast starts them if what their rules remember lets it: of each two events
// the first, and the number of events is kept under two names.
func decideByPast(ctx context.Context, e *hayate.Event) (router.Decision, error) {
	d, err := decide(ctx, e)
	for i, f := range d.Firings {
		d.Guarded = append(d.Guarded, router.Guarded{Firing: f.ID, Rule: f.Rule, Names: []string{"*", fmt.Sprint("k:", i)}, MaxKeys: 10,
			Decide: func(have []json.RawMessage, _ bool) stateful.Outcome {
				n := len(have[0]) // a byte an event
				var out stateful.Outcome
				if n%2 == 1 {
					out.Verdict = stateful.Verdict{Status: hayate.FiringSuppressed, Reason: fmt.Sprint(n)}
				}
				for _, raw := range have {
					out.States = append(out.States, stateful.State{Body: append(raw[:len(raw):len(raw)], '1')})
				}
				return out
			}})
	}
	return d, err
}

// family prepares a workflow that runs, with two children that run and a third
// that waits.
func family(ctx context.Context, s *mongo.Store) error {
	kids := []hayate.Execution{childOf(&parent, 0), childOf(&parent, 1), childOf(&parent, 2)}
	if err := s.Commit(ctx, router.Change{Insert: []hayate.Execution{parent}}); err != nil {
		return err
	}
	if _, err := s.Claim(ctx, router.Claim{Execution: parent.ID, Worker: "engine", At: at(5), Until: at(500)}); err != nil {
		return err
	}
	if err := s.Commit(ctx, router.Change{Insert: kids, Run: &router.RunDelta{ID: parent.ID, Head: json.RawMessage(`{"at":1}`)}}); err != nil {
		return err
	}
	for i := range kids[:2] {
		if _, err := s.Claim(ctx, router.Claim{Execution: kids[i].ID, Worker: "w", At: at(20), Until: at(500)}); err != nil {
			return err
		}
	}
	return nil
}

// completion ends the attempt of the n-th child.
func completion(n int) router.Completion {
	return router.Completion{Hold: router.Hold{Execution: childOf(&parent, n).ID, Attempt: 1, Worker: "w"}, At: at(30),
		Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{"ok":true}`)}}
}

// canceled is the third child as it shall be.
func canceled() hayate.Execution {
	x := childOf(&parent, 2)
	if err := x.To(hayate.StatusCanceled, at(31)); err != nil {
		panic(err) // a scheduled one can be canceled
	}
	return x
}

// acts are calls that write more than one document.
var acts = map[string]struct {
	prepare func(context.Context, *mongo.Store) error
	act     func(context.Context, *mongo.Store) error
	// half: the act has a first part that may stand alone, since whoever finds it
	// goes on from there (a completed child, untold).
	half bool
}{
	"Accept": {
		act: func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Accept(ctx, happened, decide)
			return err
		},
	},
	"Accept where firings depend on states": {
		// An undecided event may stand alone: whoever sweeps accepts it again.
		half: true,
		act: func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Accept(ctx, happened, decideByPast)
			return err
		},
	},
	"Commit of a step": {
		prepare: family,
		act: func(ctx context.Context, s *mongo.Store) error {
			return s.Commit(ctx, router.Change{Insert: []hayate.Execution{childOf(&parent, 3), childOf(&parent, 4)}, Update: []hayate.Execution{canceled()},
				Complete: []router.Completion{completion(0), completion(1)}, Told: []hayate.ExecutionID{childOf(&parent, 0).ID, childOf(&parent, 1).ID, childOf(&parent, 2).ID},
				Run: &router.RunDelta{ID: parent.ID, From: 1, Head: json.RawMessage(`{"at":2}`), Entries: map[string]json.RawMessage{"e.1": json.RawMessage(`1`)}}})
		},
	},
	"Commit of updates": {
		prepare: family,
		act: func(ctx context.Context, s *mongo.Store) error {
			return s.Commit(ctx, router.Change{Insert: []hayate.Execution{childOf(&parent, 3)}, Update: []hayate.Execution{canceled()}, Told: []hayate.ExecutionID{childOf(&parent, 2).ID}})
		},
	},
	"Complete with a step": {
		prepare: family,
		half:    true,
		act: func(ctx context.Context, s *mongo.Store) error {
			c := completion(0)
			c.Step = &router.Change{Insert: []hayate.Execution{childOf(&parent, 3)}, Run: &router.RunDelta{ID: parent.ID, From: 1, Head: json.RawMessage(`{"at":2}`)}}
			return s.Complete(ctx, c)
		},
	},
	"Put into the registry": {
		act: func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Registry().Put(ctx, router.Document{DocumentKey: router.DocumentKey{Kind: "rule", Ref: "a.b"}, Body: json.RawMessage(`{}`)},
				router.Document{DocumentKey: router.DocumentKey{Kind: "pack", Ref: "a"}, Body: json.RawMessage(`{"v":1}`)})
			return err
		},
	},
	"Purge": {
		prepare: func(ctx context.Context, s *mongo.Store) error {
			rc, err := s.Accept(ctx, happened, decide)
			for _, x := range rc.Executions {
				if _, err := s.Claim(ctx, router.Claim{Execution: x.ID, Worker: "w", At: at(2), Until: at(60)}); err != nil {
					return err
				}
				if err := s.Complete(ctx, router.Completion{Hold: router.Hold{Execution: x.ID, Attempt: 1, Worker: "w"}, At: at(3), Result: hayate.Result{Status: hayate.StatusFailed}}); err != nil {
					return err
				}
			}
			return err
		},
		half: true,
		act: func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Purge(ctx, router.PurgeQuery{Before: at(100), Limit: 100})
			return err
		},
	},
}

// picture is all that a store shows once a sweep has finished what was cut off.
func picture(t *testing.T, s *mongo.Store) string {
	t.Helper()
	ctx := t.Context()
	sw, err := s.Sweep(ctx, router.SweepQuery{Now: at(40), Limit: 100})
	if err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	for _, e := range sw.Undecided {
		if _, err := s.Accept(ctx, e, decideByPast); err != nil {
			t.Fatalf("Accept of an undecided event: %v", err)
		}
	}
	states, err := s.States(ctx, router.StateQuery{Limit: -1})
	if err != nil {
		t.Fatalf("States: %v", err)
	}
	xs, err := s.Executions(ctx, router.Query{Ascending: true, Limit: -1})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	es, err := s.Events(ctx, router.Query{Limit: -1})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	docs, rev, err := s.Registry().List(ctx, "", 0)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	run, err := s.Run(ctx, parent.ID)
	if err != nil && !errors.Is(err, hayate.ErrNotFound) {
		t.Fatalf("Run: %v", err)
	}
	if found, err := s.Check(ctx); err != nil || len(found) != 0 {
		t.Errorf("a check found %q, error %v; want nothing", found, err)
	}
	var untold []hayate.ExecutionID
	for _, x := range sw.Untold {
		untold = append(untold, x.ID)
	}
	b, err := json.MarshalIndent([]any{xs.Items, es.Items, docs, rev, run, untold, states.Items}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// prepared is a store on a fresh database, and one that reaches it through a proxy.
func prepared(t *testing.T, prepare func(context.Context, *mongo.Store) error) (direct, cut *mongo.Store, p *mongotest.Proxy) {
	t.Helper()
	uri := database(t)
	p = mongotest.NewProxy(t, uri)
	direct, cut = open(t, uri), open(t, p.URI)
	if prepare != nil {
		if err := prepare(t.Context(), direct); err != nil {
			t.Fatalf("prepare: %v", err)
		}
	}
	return direct, cut, p
}

// TestCut has the process die at each command of an act in turn, before the
// server has carried it out and after, or lose just the answer and live. What is
// left shows as nothing of the act or all of it, and the act may be repeated.
func TestCut(t *testing.T) {
	t.Parallel()
	for name, a := range acts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct, whole, p := prepared(t, a.prepare)
			before := picture(t, direct)
			p.Arm(mongotest.Cut{})
			if err := a.act(t.Context(), whole); err != nil {
				t.Fatalf("the act itself: %v", err)
			}
			commands := p.Seen()
			after := picture(t, direct)
			if before == after || commands < 3 {
				t.Fatalf("the act sends %d commands and changes nothing", commands)
			}
			for n := 1; n <= commands; n++ {
				for _, c := range []struct{ done, dead bool }{{false, true}, {true, true}, {true, false}} {
					t.Run(fmt.Sprintf("command %d, done %t, dead %t", n, c.done, c.dead), func(t *testing.T) {
						direct, cut, p := prepared(t, a.prepare)
						p.Arm(mongotest.Cut{At: n, After: c.done, Dead: c.dead})
						err := a.act(t.Context(), cut)
						if err != nil && !errors.Is(err, hayate.ErrBusy) {
							t.Errorf("the act ended with %v, want busy: its outcome is unknown", err)
						}
						got := picture(t, direct)
						if got != before && got != after && !a.half {
							t.Errorf("the act is to be seen in part:\n%s\nwant all of it:\n%s", got, after)
						}
						if err == nil && got != after {
							t.Errorf("the act was acknowledged, and is not all there:\n%s\nwant\n%s", got, after)
						}
						if err := a.act(t.Context(), direct); err != nil && !errors.Is(err, hayate.ErrConflict) {
							t.Errorf("the act again: %v", err)
						}
						again := picture(t, direct)
						if strings.HasPrefix(name, "Put") { // which may be a change once more
							return
						}
						if again != after {
							t.Errorf("the act again left\n%s\nwant\n%s", again, after)
						}
					})
				}
			}
			t.Logf("%d commands, cut %d times", commands, 3*commands)
		})
	}
}
