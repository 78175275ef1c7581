// Package routertest holds a suite of tests for each port of router. An adapter
// passes the suite of every port it implements; what the suites demand is what
// the comments of the ports say, and nothing beyond.
//
// Each suite is given a function that returns a fresh, empty adapter. It is
// called once for every test, and tests run in parallel. Times that the suites
// store are whole milliseconds in UTC, which is what every store can keep.
package routertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// StoreUnderTest is a store and how the suite may treat it.
type StoreUnderTest struct {
	Store router.Store
	// Reopen closes the store, as a process that ends does, and opens what it
	// left. nil where nothing is left.
	Reopen func(t *testing.T) router.Store
	// Another is the store as another process has it open at the same time; nil
	// where there can be none.
	Another func(t *testing.T) router.Store
}

// TestStore tests the ports of a store: Journal, Claims, History, States and Upkeep.
func TestStore(t *testing.T, open func(t *testing.T) StoreUnderTest) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*testing.T, *fixture)
	}{
		{"Accept", acceptTests},
		{"Commit", commitTests},
		{"Claims", claimTests},
		{"Sweep", sweepTests},
		{"History", historyTests},
		{"States", stateTests},
		{"Upkeep", upkeepTests},
		{"Durability", durabilityTests},
		{"Gates", gateTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					u := open(t)
					f := &fixture{Store: u.Store, reopen: u.Reopen, source: "//suite/" + strings.ReplaceAll(t.Name(), "/", ".")}
					if u.Another != nil {
						f.another = u.Another(t)
					}
					t.Cleanup(func() {
						if err := f.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
					})
					test(t, f)
				})
			}
		})
	}
}

// fixture is a store with what the tests of it share.
type fixture struct {
	router.Store
	reopen func(*testing.T) router.Store
	// another is the store in another process, nil where there is none.
	another router.Store
	source  string // of this test's events
}

// t0 is when the stories of the tests begin.
var t0 = time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)

func after(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c
}

// event is the n-th event of the test, accepted n seconds after t0.
func (f *fixture) event(n int) hayate.Event {
	return hayate.Event{
		ID: fmt.Sprint("event-", n), Source: f.source, Type: "suite.happened", Subject: "disk /var",
		Data: []byte(fmt.Sprintf(`{"n":%d}`, n)), AcceptedAt: after(n),
	}
}

// execution is the n-th execution that the event starts: scheduled, of core.noop.
func execution(e *hayate.Event, n int) hayate.Execution {
	rule := hayate.Ref(fmt.Sprint("suite.rule-", n))
	id := hayate.RuleExecutionID(e.AcceptedAt, e.UID(), rule, 0)
	event := hayate.EventIDOf(e.AcceptedAt, e.UID())
	return hayate.Execution{
		ID: id, Root: id, Action: "core.noop", Runner: "noop", Rule: rule, Event: event, Trace: string(event),
		Status: hayate.StatusScheduled, Parameters: json.RawMessage(`{"host":"web-1"}`), Context: json.RawMessage(`{"user":"suite"}`),
		Created: e.AcceptedAt, Log: []hayate.Transition{{Time: e.AcceptedAt, Status: hayate.StatusScheduled}},
	}
}

// firing is the decision that starts x.
func firing(e *hayate.Event, x *hayate.Execution) hayate.Firing {
	return hayate.Firing{
		ID: hayate.FiringIDOf(e.AcceptedAt, e.UID(), x.Rule), Rule: x.Rule, RuleRevision: "r1", Event: x.Event,
		At: e.AcceptedAt, Status: hayate.FiringSucceeded, Executions: []hayate.ExecutionID{x.ID},
		Parameters: []json.RawMessage{x.Parameters},
	}
}

// child is the n-th child of an execution.
func child(parent *hayate.Execution, n int) hayate.Execution {
	at := parent.Created.Add(time.Duration(n+1) * time.Second)
	return hayate.Execution{
		ID:   hayate.ChildExecutionID(parent.Created, parent.ID, n, -1, 0),
		Root: parent.Root, Parent: parent.ID, Event: parent.Event, Trace: parent.Trace, Action: "core.local", Runner: "local-shell-cmd",
		Status: hayate.StatusScheduled, Created: at, Log: []hayate.Transition{{Time: at, Status: hayate.StatusScheduled}},
	}
}

// manual is an execution that a person starts, the n-th.
func manual(source string, n int) hayate.Execution {
	at := after(n)
	id := hayate.ExecutionID(hayate.NewID(at, "manual", source, fmt.Sprint(n)))
	return hayate.Execution{
		ID: id, Root: id, Trace: string(id), Action: "core.echo", Runner: "noop", Status: hayate.StatusScheduled, Created: at,
		Log: []hayate.Transition{{Time: at, Status: hayate.StatusScheduled}},
	}
}

// starts decides that the event starts the given executions, a firing each.
func starts(xs ...hayate.Execution) router.Decide {
	return func(_ context.Context, e *hayate.Event) (router.Decision, error) {
		d := router.Decision{Executions: xs}
		for i := range xs {
			d.Firings = append(d.Firings, firing(e, &xs[i]))
		}
		return d, nil
	}
}

// accept accepts the n-th event, which starts one execution changed by edit.
func (f *fixture) accept(t *testing.T, n int, edit func(*hayate.Execution)) hayate.Execution {
	t.Helper()
	e := f.event(n)
	x := execution(&e, 0)
	if edit != nil {
		edit(&x)
	}
	rc, err := f.Accept(ctx(t), e, starts(x))
	if err != nil {
		t.Fatalf("Accept event %d: %v", n, err)
	}
	if len(rc.Executions) != 1 {
		t.Fatalf("Accept event %d stored %d executions, want 1", n, len(rc.Executions))
	}
	return rc.Executions[0]
}

// claim claims an execution for the worker for a minute.
func (f *fixture) claim(t *testing.T, id hayate.ExecutionID, worker string, at time.Time) hayate.Execution {
	t.Helper()
	x, err := f.Claim(ctx(t), router.Claim{Execution: id, Worker: worker, At: at, Until: at.Add(time.Minute)})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return x
}

func hold(x *hayate.Execution) router.Hold {
	return router.Hold{Execution: x.ID, Attempt: x.Attempt, Worker: x.Worker}
}

// complete ends the attempt of x with success.
func (f *fixture) complete(t *testing.T, x *hayate.Execution, at time.Time) {
	t.Helper()
	err := f.Complete(ctx(t), router.Completion{Hold: hold(x), At: at,
		Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{"ok":true}`)}})
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
}

// get reads an execution.
func (f *fixture) get(t *testing.T, id hayate.ExecutionID) hayate.Execution {
	t.Helper()
	p, err := f.Executions(ctx(t), router.Query{IDs: []string{string(id)}, Limit: -1})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	if len(p.Items) != 1 || p.Total != 1 {
		t.Fatalf("Executions of one id gave %d of %d, want one", len(p.Items), p.Total)
	}
	return p.Items[0]
}

// absent fails the test if the execution exists.
func (f *fixture) absent(t *testing.T, id hayate.ExecutionID) {
	t.Helper()
	p, err := f.Executions(ctx(t), router.Query{IDs: []string{string(id)}, Limit: -1})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	if len(p.Items) != 0 || p.Total != 0 {
		t.Errorf("execution %s exists, want none", id)
	}
}

// wantKind fails the test unless err is of the kind.
func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got error %v, want a kind of %q", what, err, kind)
	}
}

// same compares two values by their JSON.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if string(g) != string(w) {
		t.Errorf("%s\n got %s\nwant %s", what, g, w)
	}
}

// race runs f n times at once and returns the errors.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	wg.Wait()
	return errs
}

// ids returns the ids of executions, sorted.
func ids(xs []hayate.Execution) []string {
	list := make([]string, len(xs))
	for i := range xs {
		list[i] = string(xs[i].ID)
	}
	slices.Sort(list)
	return list
}

func idsOf(xs ...hayate.ExecutionID) []string {
	list := make([]string, len(xs))
	for i := range xs {
		list[i] = string(xs[i])
	}
	slices.Sort(list)
	return list
}
