package routertest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var sweepTests = map[string]func(*testing.T, *fixture){
	"finds nothing in an empty store":              sweepEmpty,
	"finds what was forgotten":                     sweepForgotten,
	"leaves what was dispatched":                   sweepDispatched,
	"brings everything in portions":                sweepPortions,
	"waits for not before":                         sweepNotBefore,
	"leaves what is claimed or finished":           bothKinds(sweepClaimed),
	"finds attempts whose lease ran out":           bothKinds(sweepLost),
	"finds lost attempts that were to be canceled": bothKinds(sweepLostCanceling),
	"takes a lost attempt back":                    bothKinds(sweepLostAgain),
	"finds completed children untold":              bothKinds(sweepUntold),
	"finds children canceled by an update":         sweepUntoldUpdate,
	"finds ends that something follows":            bothKinds(sweepFollow),
	"finds runs that are due":                      sweepDue,
	"bounds each list":                             sweepLimit,
	"refuses after close":                          sweepClosed,
}

func (f *fixture) sweep(t *testing.T, q router.SweepQuery) router.Swept {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	s, err := f.Sweep(ctx(t), q)
	if err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	return s
}

func sweepEmpty(t *testing.T, f *fixture) {
	if s := f.sweep(t, router.SweepQuery{Now: after(1000)}); len(s.Dispatch)+len(s.Lost)+len(s.Untold)+len(s.Due) != 0 {
		t.Errorf("Sweep found %+v, want nothing", s)
	}
}

func sweepForgotten(t *testing.T, f *fixture) {
	old := f.accept(t, 1, nil)
	young := f.accept(t, 50, nil)
	q := router.SweepQuery{Now: after(61), StaleAfter: 30 * time.Second}
	same(t, "forgotten for 30 s", ids(f.sweep(t, q).Dispatch), idsOf(old.ID))
	q.Now = after(100)
	s := f.sweep(t, q)
	same(t, "forgotten for 30 s, later", ids(s.Dispatch), idsOf(old.ID, young.ID))
	for _, x := range s.Dispatch {
		same(t, "swept execution", x, f.get(t, x.ID))
	}
	same(t, "all that may be claimed", ids(f.sweep(t, router.SweepQuery{Now: after(51)}).Dispatch), idsOf(old.ID, young.ID))
}

func sweepDispatched(t *testing.T, f *fixture) {
	a, b := f.accept(t, 1, nil), f.accept(t, 2, nil)
	if err := f.Dispatched(ctx(t), a.ID); err != nil {
		t.Fatalf("Dispatched: %v", err)
	}
	if err := f.Dispatched(ctx(t), manual(f.source, 1).ID); err != nil {
		t.Errorf("Dispatched of what is not there: %v", err)
	}
	if err := f.Dispatched(ctx(t)); err != nil {
		t.Errorf("Dispatched of nothing: %v", err)
	}
	same(t, "forgotten", ids(f.sweep(t, router.SweepQuery{Now: after(500), StaleAfter: time.Second}).Dispatch), idsOf(b.ID))
}

func sweepPortions(t *testing.T, f *fixture) {
	var want []hayate.ExecutionID
	for n := range 7 {
		want = append(want, f.accept(t, n, nil).ID)
	}
	var got []hayate.ExecutionID
	for range 10 {
		s := f.sweep(t, router.SweepQuery{Now: after(500), StaleAfter: time.Second, Limit: 3})
		if len(s.Dispatch) > 3 {
			t.Fatalf("Sweep found %d, want at most 3", len(s.Dispatch))
		}
		if len(s.Dispatch) == 0 {
			break
		}
		for _, x := range s.Dispatch {
			got = append(got, x.ID)
			if err := f.Dispatched(ctx(t), x.ID); err != nil {
				t.Fatalf("Dispatched: %v", err)
			}
		}
	}
	same(t, "found in portions", idsOf(got...), idsOf(want...))
}

func sweepNotBefore(t *testing.T, f *fixture) {
	x := f.accept(t, 1, func(x *hayate.Execution) { x.Status, x.NotBefore = hayate.StatusDelayed, after(60) })
	if s := f.sweep(t, router.SweepQuery{Now: after(59), StaleAfter: time.Second}); len(s.Dispatch) != 0 {
		t.Errorf("Sweep found %v, want nothing before its time", ids(s.Dispatch))
	}
	same(t, "forgotten", ids(f.sweep(t, router.SweepQuery{Now: after(70), StaleAfter: time.Second}).Dispatch), idsOf(x.ID))
}

func sweepClaimed(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	q := router.SweepQuery{Now: after(30)}
	if s := f.sweep(t, q); len(s.Dispatch)+len(s.Lost) != 0 {
		t.Errorf("Sweep found %+v, want nothing while it is held", s)
	}
	f.complete(t, &x, after(5))
	q.Now = after(5000)
	if s := f.sweep(t, q); len(s.Dispatch)+len(s.Lost)+len(s.Untold) != 0 {
		t.Errorf("Sweep found %+v, want nothing once it is finished", s)
	}
}

func sweepLost(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2)) // until 62
	if s := f.sweep(t, router.SweepQuery{Now: after(61)}); len(s.Lost) != 0 {
		t.Errorf("Sweep found %v lost before the lease ran out", ids(s.Lost))
	}
	s := f.sweep(t, router.SweepQuery{Now: after(63)})
	same(t, "lost", s.Lost, []hayate.Execution{x})
	if len(s.Dispatch) != 0 {
		t.Errorf("Sweep would dispatch %v, which is held", ids(s.Dispatch))
	}
	if _, err := f.Heartbeat(ctx(t), hold(&x), after(100)); err != nil {
		t.Fatalf("Heartbeat: %v", err)
	}
	if s := f.sweep(t, router.SweepQuery{Now: after(63)}); len(s.Lost) != 0 {
		t.Errorf("Sweep found %v lost although the lease was extended", ids(s.Lost))
	}
	same(t, "lost later", ids(f.sweep(t, router.SweepQuery{Now: after(101)}).Lost), idsOf(x.ID))
	// Settled, so that the next of the two kinds finds nothing of it.
	f.complete(t, &x, after(102))
}

func sweepLostCanceling(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	f.cancel(t, x.ID)
	same(t, "lost", ids(f.sweep(t, router.SweepQuery{Now: after(63)}).Lost), idsOf(x.ID))
	f.complete(t, &x, after(64))
}

func sweepLostAgain(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	if err := f.Dispatched(ctx(t), x.ID); err != nil {
		t.Fatalf("Dispatched: %v", err)
	}
	lost := f.sweep(t, router.SweepQuery{Now: after(63)}).Lost
	if len(lost) != 1 {
		t.Fatalf("Sweep found %d lost, want 1", len(lost))
	}
	next := lost[0]
	if err := next.To(hayate.StatusScheduled, after(63)); err != nil {
		t.Fatal(err)
	}
	next.Worker, next.LeaseUntil = "", time.Time{}
	f.commit(t, router.Change{Update: []hayate.Execution{next}})
	s := f.sweep(t, router.SweepQuery{Now: after(200), StaleAfter: time.Second})
	if same(t, "to be dispatched", ids(s.Dispatch), idsOf(x.ID)); len(s.Lost) != 0 {
		t.Errorf("Sweep found %v still lost", ids(s.Lost))
	}
	x = f.claim(t, x.ID, "b", after(201))
	f.complete(t, &x, after(202))
}

func sweepUntold(t *testing.T, f *fixture, k kind) {
	parent, kid := f.family(t, 1, k)
	if s := f.sweep(t, router.SweepQuery{Now: after(20)}); len(s.Untold) != 0 {
		t.Errorf("Sweep found %v untold while it runs", ids(s.Untold))
	}
	f.complete(t, &kid, after(9))
	s := f.sweep(t, router.SweepQuery{Now: after(20)})
	same(t, "untold", s.Untold, []hayate.Execution{f.get(t, kid.ID)})
	f.commit(t, router.Change{Told: []hayate.ExecutionID{kid.ID, manual(f.source, 5).ID},
		Run: &router.RunDelta{ID: parent.ID, From: 1, Head: json.RawMessage(`{}`)}})
	if s := f.sweep(t, router.SweepQuery{Now: after(20)}); len(s.Untold) != 0 {
		t.Errorf("Sweep found %v untold although its parent was told", ids(s.Untold))
	}
}

func sweepFollow(t *testing.T, f *fixture, k kind) {
	plain := f.accept(t, 1, k)
	x := f.accept(t, 2, func(x *hayate.Execution) {
		k(x)
		x.Follow = true
	})
	canceled := f.accept(t, 3, func(x *hayate.Execution) { x.Follow = true })
	for _, id := range []hayate.ExecutionID{plain.ID, x.ID} {
		y := f.claim(t, id, "w", after(5))
		if s := f.sweep(t, router.SweepQuery{Now: after(20)}); len(s.Untold) != 0 {
			t.Errorf("Sweep found %v untold while it runs", ids(s.Untold))
		}
		f.complete(t, &y, after(6))
	}
	same(t, "untold", f.sweep(t, router.SweepQuery{Now: after(20)}).Untold, []hayate.Execution{f.get(t, x.ID)})
	canceled = f.get(t, canceled.ID)
	if err := canceled.To(hayate.StatusCanceled, after(7)); err != nil {
		t.Fatal(err)
	}
	f.commit(t, router.Change{Update: []hayate.Execution{canceled}})
	same(t, "untold, one of them canceled", ids(f.sweep(t, router.SweepQuery{Now: after(20)}).Untold), idsOf(x.ID, canceled.ID))
	again := manual(f.source, 9)
	f.commit(t, router.Change{Insert: []hayate.Execution{again}, Told: []hayate.ExecutionID{x.ID, canceled.ID}})
	if s := f.sweep(t, router.SweepQuery{Now: after(20)}); len(s.Untold) != 0 {
		t.Errorf("Sweep found %v untold although what follows was done", ids(s.Untold))
	}
	f.get(t, again.ID)
}

func sweepUntoldUpdate(t *testing.T, f *fixture) {
	parent := f.accept(t, 1, nil)
	kid, failed := child(&parent, 0), child(&parent, 1)
	if err := failed.To(hayate.StatusFailed, after(3)); err != nil {
		t.Fatal(err)
	}
	f.commit(t, router.Change{Insert: []hayate.Execution{kid, failed}, Run: &router.RunDelta{ID: parent.ID, Head: json.RawMessage(`{}`)}})
	same(t, "untold that began failed", ids(f.sweep(t, router.SweepQuery{Now: after(20)}).Untold), idsOf(failed.ID))
	x := f.get(t, kid.ID)
	if err := x.To(hayate.StatusCanceled, after(4)); err != nil {
		t.Fatal(err)
	}
	f.commit(t, router.Change{Update: []hayate.Execution{x}, Told: []hayate.ExecutionID{failed.ID}})
	same(t, "untold that was canceled", ids(f.sweep(t, router.SweepQuery{Now: after(20)}).Untold), idsOf(kid.ID))
}

func sweepDue(t *testing.T, f *fixture) {
	var run [4]hayate.ExecutionID
	for n := range run {
		run[n] = f.accept(t, n, nil).ID
	}
	for n, d := range []router.RunDelta{{Wake: after(60)}, {Wake: after(90)}, {}, {Wake: after(50), Done: true}} {
		d.ID, d.Head = run[n], json.RawMessage(`{}`)
		f.commit(t, router.Change{Run: &d})
	}
	due := func(seconds int) []string {
		got := f.sweep(t, router.SweepQuery{Now: after(seconds)}).Due
		return idsOf(got...)
	}
	same(t, "due at 59", due(59), []string{})
	same(t, "due at 61", due(61), idsOf(run[0]))
	same(t, "due at 91", due(91), idsOf(run[0], run[1]))
	f.commit(t, router.Change{Run: &router.RunDelta{ID: run[0], From: 1, Head: json.RawMessage(`{}`), Wake: after(200)}})
	f.commit(t, router.Change{Run: &router.RunDelta{ID: run[1], From: 1, Head: json.RawMessage(`{}`), Done: true}})
	same(t, "due at 91 after steps", due(91), []string{})
	same(t, "due at 201", due(201), idsOf(run[0]))
}

func sweepLimit(t *testing.T, f *fixture) {
	for n := range 4 {
		_, kid := f.family(t, n*10, nil)
		lost := f.accept(t, n*10+5, nil)
		f.claim(t, lost.ID, "a", after(2))
		f.complete(t, &kid, after(9))
		f.commit(t, router.Change{Run: &router.RunDelta{ID: lost.ID, Head: json.RawMessage(`{}`), Wake: after(10)}})
		f.accept(t, n*10+6, nil)
	}
	s := f.sweep(t, router.SweepQuery{Now: after(900), Limit: 2})
	got := []int{len(s.Dispatch), len(s.Lost), len(s.Untold), len(s.Due)}
	if want := []int{2, 2, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("Sweep found %v of each kind, want %v", got, want)
	}
}

func sweepClosed(t *testing.T, f *fixture) {
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err := f.Sweep(ctx(t), router.SweepQuery{Now: after(1), Limit: 1})
	wantKind(t, "Sweep", err, hayate.ErrBusy)
}
