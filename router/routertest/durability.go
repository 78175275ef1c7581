package routertest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var durabilityTests = map[string]func(*testing.T, *fixture){
	"keeps history":                  reopened(durableHistory),
	"keeps keys":                     reopened(durableKeys),
	"keeps claims and lost attempts": reopened(durableClaims),
	"keeps runs and what is untold":  reopened(durableRuns),
	"brings all work back":           reopened(durableWork),
	"keeps output":                   reopened(durableOutput),
	"keeps counts":                   reopened(durableCounts),
}

// reopened skips a test for stores that leave nothing.
func reopened(test func(*testing.T, *fixture)) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		if f.reopen == nil {
			t.Skip("this store leaves nothing behind")
		}
		test(t, f)
	}
}

func (f *fixture) again(t *testing.T) {
	t.Helper()
	f.Store = f.reopen(t)
}

func durableHistory(t *testing.T, f *fixture) {
	a := f.archive(t)
	before, err := f.Events(ctx(t), router.Query{Limit: -1})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	f.again(t)
	p, err := f.Executions(ctx(t), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	same(t, "executions", p.Items, a.executions)
	e, err := f.Events(ctx(t), router.Query{Limit: -1})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	same(t, "events", e.Items, before.Items)
	n, err := f.Firings(ctx(t), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		t.Fatalf("Firings: %v", err)
	}
	same(t, "firings", n.Items, a.firings)
	f.accept(t, 500, nil)
	if p, err := f.Executions(ctx(t), router.Query{Limit: 1}); err != nil || p.Total != len(a.executions)+1 || !p.Items[0].Created.Equal(after(500)) {
		t.Errorf("a new execution is not the newest of %d: %+v, error %v", p.Total, p.Items, err)
	}
}

func durableKeys(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	f.again(t)
	e := f.event(1)
	e.AcceptedAt = after(99)
	rc, err := f.Accept(ctx(t), e, starts(x))
	if err != nil || !rc.Duplicate || rc.ID != x.Event || !rc.AcceptedAt.Equal(after(1)) || len(rc.Executions) != 0 {
		t.Errorf("redelivery gave %+v, error %v; want the first receipt", rc, err)
	}
}

func durableClaims(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	x = f.claim(t, x.ID, "a", after(2))
	f.again(t)
	same(t, "claimed execution", f.get(t, x.ID), x)
	_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: "b", At: after(3), Until: after(9)})
	wantKind(t, "Claim", err, hayate.ErrConflict)
	same(t, "lost", ids(f.sweep(t, router.SweepQuery{Now: after(63)}).Lost), idsOf(x.ID))
	f.complete(t, &x, after(64))
	f.again(t)
	if got := f.get(t, x.ID); got.Status != hayate.StatusSucceeded || string(got.Result) != `{"ok":true}` {
		t.Errorf("execution is %s with %s, want succeeded with its result", got.Status, got.Result)
	}
}

func durableRuns(t *testing.T, f *fixture) {
	parent, kid := f.family(t, 1, nil)
	entries := map[string]json.RawMessage{"a": json.RawMessage(`{"n": 1.0}`)}
	f.commit(t, router.Change{Run: &router.RunDelta{ID: parent.ID, From: 1, Head: json.RawMessage(`{"v":2}`), Entries: entries, Wake: after(60)}})
	f.complete(t, &kid, after(9))
	want, err := f.Run(ctx(t), parent.ID)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	f.again(t)
	got, err := f.Run(ctx(t), parent.ID)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	same(t, "run", got, want)
	s := f.sweep(t, router.SweepQuery{Now: after(61)})
	same(t, "untold", ids(s.Untold), idsOf(kid.ID))
	same(t, "due", idsOf(s.Due...), idsOf(parent.ID))
}

// durableWork has work in every state that a process may leave; after a restart
// all that may be claimed is found, portion by portion, whoever had queued it.
func durableWork(t *testing.T, f *fixture) {
	queued, stored := f.accept(t, 1, nil), f.accept(t, 2, nil)
	if err := f.Dispatched(ctx(t), queued.ID); err != nil {
		t.Fatalf("Dispatched: %v", err)
	}
	delayed := f.accept(t, 3, func(x *hayate.Execution) { x.Status, x.NotBefore = hayate.StatusDelayed, after(40) })
	future := f.accept(t, 4, func(x *hayate.Execution) { x.Status, x.NotBefore = hayate.StatusDelayed, after(4000) })
	done := f.accept(t, 5, nil)
	done = f.claim(t, done.ID, "a", after(6))
	f.complete(t, &done, after(7))
	f.again(t)
	found := map[hayate.ExecutionID]bool{}
	for range 10 {
		s := f.sweep(t, router.SweepQuery{Now: after(60), Limit: 2})
		if len(s.Dispatch) == 0 {
			break
		}
		for _, x := range s.Dispatch {
			found[x.ID] = true
			if err := f.Dispatched(ctx(t), x.ID); err != nil {
				t.Fatalf("Dispatched: %v", err)
			}
		}
	}
	for _, x := range []hayate.Execution{queued, stored, delayed} {
		if !found[x.ID] {
			t.Errorf("execution created %s was not brought back", x.Created)
		}
	}
	if found[done.ID] || found[future.ID] {
		t.Errorf("brought back what is finished (%t) or not yet due (%t)", found[done.ID], found[future.ID])
	}
	same(t, "due later", ids(f.sweep(t, router.SweepQuery{Now: after(4100), StaleAfter: time.Second}).Dispatch), idsOf(future.ID))
}

func durableOutput(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	x = f.claim(t, x.ID, "a", after(2))
	l := hayate.OutputLine{Execution: x.ID, Attempt: 1, Seq: 1, Time: after(3), Stream: hayate.Stderr, Text: "警告"}
	if err := f.Output(ctx(t), hold(&x), []hayate.OutputLine{l}); err != nil {
		t.Fatalf("Output: %v", err)
	}
	f.complete(t, &x, after(4))
	f.again(t)
	f.lines(t, x.ID, 0, -1, l)
}

func durableCounts(t *testing.T, f *fixture) {
	f.archive(t)
	want, err := f.Stats(ctx(t))
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	f.again(t)
	got, err := f.Stats(ctx(t))
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	got.Bytes, got.Commits, got.Writes = want.Bytes, want.Commits, want.Writes
	same(t, "counts", got, want)
	if found, err := f.Check(ctx(t)); err != nil || len(found) != 0 {
		t.Errorf("Check found %q, error %v; want nothing", found, err)
	}
}
