package routertest

import (
	"encoding/json"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var upkeepTests = map[string]func(*testing.T, *fixture){
	"purges what is old and finished":      purgeOld,
	"never purges unfinished work":         purgeUnfinished,
	"purges a tree whole":                  purgeTree,
	"purges down to a number":              purgeKeep,
	"purges no more than the limit":        purgeLimit,
	"purges what a person started":         purgeManual,
	"knows the keys of purged events":      purgeKeys,
	"purges runs and output":               purgeRuns,
	"purges nothing of an empty store":     purgeEmpty,
	"counts what is there":                 statsCount,
	"finds nothing wrong with its records": checkFine,
	"refuses after close":                  upkeepClosed,
}

// finished is an event n whose execution has ended half a minute later.
func (f *fixture) finished(t *testing.T, n int) hayate.Execution {
	t.Helper()
	x := f.accept(t, n, nil)
	x = f.claim(t, x.ID, "a", after(n+1))
	f.complete(t, &x, after(n+30))
	return f.get(t, x.ID)
}

// purge calls Purge until nothing more is removed, and returns how many were.
func (f *fixture) purge(t *testing.T, q router.PurgeQuery) int {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	total := 0
	for range 1000 {
		n, err := f.Purge(ctx(t), q)
		if err != nil {
			t.Fatalf("Purge: %v", err)
		}
		if n == 0 {
			return total
		}
		total += n
	}
	t.Fatal("Purge goes on removing for ever")
	return 0
}

// totals returns the number of events and executions.
func (f *fixture) totals(t *testing.T) [2]int {
	t.Helper()
	e, err := f.Events(ctx(t), router.Query{})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	x, err := f.Executions(ctx(t), router.Query{})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	return [2]int{e.Total, x.Total}
}

func purgeOld(t *testing.T, f *fixture) {
	old := f.finished(t, 1)    // ends at 31
	edge := f.finished(t, 20)  // accepted before, ends after
	young := f.finished(t, 90) // ends at 120
	f.purge(t, router.PurgeQuery{Before: after(40)})
	f.absent(t, old.ID)
	same(t, "execution that ended later", f.get(t, edge.ID), edge)
	same(t, "execution that came later", f.get(t, young.ID), young)
	same(t, "events and executions", f.totals(t), [2]int{2, 2})
	if p, err := f.Firings(ctx(t), router.Query{Event: old.Event}); err != nil || p.Total != 0 {
		t.Errorf("%d firings of the purged event remain, error %v", p.Total, err)
	}
}

func purgeUnfinished(t *testing.T, f *fixture) {
	waiting := f.accept(t, 1, nil)
	running := f.accept(t, 2, nil)
	f.claim(t, running.ID, "a", after(3))
	volatile := f.accept(t, 3, func(x *hayate.Execution) { x.Idempotent = true })
	f.claim(t, volatile.ID, "a", after(3))
	e := f.event(4)
	done, open := execution(&e, 0), execution(&e, 1)
	if _, err := f.Accept(ctx(t), e, starts(done, open)); err != nil {
		t.Fatalf("Accept: %v", err)
	}
	done = f.claim(t, done.ID, "a", after(5))
	f.complete(t, &done, after(6))
	f.finished(t, 5)
	f.purge(t, router.PurgeQuery{Before: after(5000), Keep: 1, ForgetKeys: after(5000)})
	same(t, "events and executions", f.totals(t), [2]int{4, 5})
	for _, x := range []hayate.Execution{waiting, running, volatile, done, open} {
		f.get(t, x.ID)
	}
	if rc, err := f.Accept(ctx(t), f.event(1), starts()); err != nil || !rc.Duplicate {
		t.Errorf("the key of an event that was not purged is gone (duplicate %t, error %v)", rc.Duplicate, err)
	}
}

func purgeTree(t *testing.T, f *fixture) {
	parent, kid := f.family(t, 1, nil)
	f.complete(t, &kid, after(9))
	f.purge(t, router.PurgeQuery{Before: after(5000)})
	same(t, "events and executions while the parent runs", f.totals(t), [2]int{1, 2})
	f.complete(t, &parent, after(10))
	f.purge(t, router.PurgeQuery{Before: after(10)})
	same(t, "events and executions while the parent is young", f.totals(t), [2]int{1, 2})
	f.purge(t, router.PurgeQuery{Before: after(11)})
	same(t, "events and executions", f.totals(t), [2]int{0, 0})
}

func purgeKeep(t *testing.T, f *fixture) {
	var xs []hayate.Execution
	for n := range 6 {
		xs = append(xs, f.finished(t, n*10))
	}
	open := f.accept(t, 100, nil)
	f.purge(t, router.PurgeQuery{Keep: 100})
	same(t, "events and executions below the bound", f.totals(t), [2]int{7, 7})
	f.purge(t, router.PurgeQuery{Keep: 6})
	got := f.totals(t)
	// The unfinished event may count as one of six, or not.
	if got[1] < 3 || got[1] > 4 {
		t.Errorf("%d events and %d executions remain, want three or four executions", got[0], got[1])
	}
	f.get(t, open.ID)
	f.get(t, xs[5].ID)
	f.absent(t, xs[0].ID)
	f.absent(t, xs[1].ID)
}

func purgeLimit(t *testing.T, f *fixture) {
	for n := range 4 {
		f.finished(t, n)
	}
	n, err := f.Purge(ctx(t), router.PurgeQuery{Before: after(5000), Limit: 2})
	if err != nil || n < 1 || n > 2 {
		t.Errorf("Purge removed %d, error %v; want one or two", n, err)
	}
	if got := f.totals(t); got[0]+got[1] != 8-n {
		t.Errorf("%d things remain after %d of 8 were removed", got[0]+got[1], n)
	}
	f.purge(t, router.PurgeQuery{Before: after(5000), Limit: 2})
	same(t, "events and executions", f.totals(t), [2]int{0, 0})
}

func purgeManual(t *testing.T, f *fixture) {
	x, open := manual(f.source, 1), manual(f.source, 2)
	kid := child(&x, 0)
	f.commit(t, router.Change{Insert: []hayate.Execution{x, kid, open}})
	for _, id := range []hayate.ExecutionID{x.ID, kid.ID} {
		c := f.claim(t, id, "a", after(9))
		f.complete(t, &c, after(10))
	}
	f.purge(t, router.PurgeQuery{Before: after(5000)})
	f.absent(t, x.ID)
	f.absent(t, kid.ID)
	f.get(t, open.ID)
}

func purgeKeys(t *testing.T, f *fixture) {
	x := f.finished(t, 1)
	f.purge(t, router.PurgeQuery{Before: after(5000), ForgetKeys: after(0)})
	f.absent(t, x.ID)
	late := f.event(1)
	late.AcceptedAt = after(6000)
	rc, err := f.Accept(ctx(t), late, starts(x))
	if err != nil || !rc.Duplicate || rc.ID != x.Event || !rc.AcceptedAt.Equal(after(1)) {
		t.Errorf("late redelivery gave %+v, error %v; want the first receipt", rc, err)
	}
	f.absent(t, x.ID)
	f.purge(t, router.PurgeQuery{Before: after(5000), ForgetKeys: after(100)})
	rc, err = f.Accept(ctx(t), late, starts())
	if err != nil || rc.Duplicate || !rc.AcceptedAt.Equal(after(6000)) {
		t.Errorf("redelivery after the key was forgotten gave %+v, error %v; want a new event", rc, err)
	}
}

func purgeRuns(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	x = f.claim(t, x.ID, "a", after(2))
	f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(`{}`), Entries: map[string]json.RawMessage{"a": json.RawMessage(`1`)}}})
	if err := f.Output(ctx(t), hold(&x), []hayate.OutputLine{{Seq: 1, Time: after(3), Stream: hayate.Stdout, Text: "line"}}); err != nil {
		t.Fatalf("Output: %v", err)
	}
	f.complete(t, &x, after(4))
	f.purge(t, router.PurgeQuery{Before: after(5000)})
	_, err := f.Run(ctx(t), x.ID)
	wantKind(t, "Run", err, hayate.ErrNotFound)
	f.lines(t, x.ID, 0, -1)
}

func purgeEmpty(t *testing.T, f *fixture) {
	if n := f.purge(t, router.PurgeQuery{Before: after(1), Keep: 1, ForgetKeys: after(1)}); n != 0 {
		t.Errorf("Purge removed %d of nothing", n)
	}
}

func statsCount(t *testing.T, f *fixture) {
	f.finished(t, 1)
	f.accept(t, 2, nil)
	held := f.accept(t, 3, func(x *hayate.Execution) { x.Idempotent = true })
	f.claim(t, held.ID, "a", after(4))
	if _, err := f.Accept(ctx(t), f.event(4), starts()); err != nil {
		t.Fatalf("Accept: %v", err)
	}
	st, err := f.Stats(ctx(t))
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	if st.Engine == "" || st.Events != 4 || st.Firings != 3 || st.Keys != 4 || !st.Oldest.Equal(after(1)) {
		t.Errorf("Stats gave %+v, want 4 events, 3 firings, 4 keys, oldest %s", st, after(1))
	}
	same(t, "executions by status", st.Executions, map[string]int64{"succeeded": 1, "scheduled": 1, "running": 1})
	f.purge(t, router.PurgeQuery{Before: after(5000), ForgetKeys: after(5000)})
	if st, err = f.Stats(ctx(t)); err != nil || st.Events != 2 || st.Firings != 2 || st.Keys != 2 {
		t.Errorf("Stats after a purge gave %+v, error %v; want 2 events, 2 firings, 2 keys", st, err)
	}
}

func checkFine(t *testing.T, f *fixture) {
	f.archive(t)
	f.family(t, 200, nil)
	f.finished(t, 300)
	found, err := f.Check(ctx(t))
	if err != nil || len(found) != 0 {
		t.Errorf("Check found %q, error %v; want nothing", found, err)
	}
	f.purge(t, router.PurgeQuery{Before: after(5000)})
	if found, err = f.Check(ctx(t)); err != nil || len(found) != 0 {
		t.Errorf("Check after a purge found %q, error %v; want nothing", found, err)
	}
}

func upkeepClosed(t *testing.T, f *fixture) {
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err := f.Purge(ctx(t), router.PurgeQuery{Limit: 1})
	wantKind(t, "Purge", err, hayate.ErrBusy)
	_, err = f.Stats(ctx(t))
	wantKind(t, "Stats", err, hayate.ErrBusy)
	_, err = f.Check(ctx(t))
	wantKind(t, "Check", err, hayate.ErrBusy)
}
