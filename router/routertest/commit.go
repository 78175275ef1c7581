package routertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var commitTests = map[string]func(*testing.T, *fixture){
	"inserts executions, once":                        commitInserts,
	"updates what was read":                           commitUpdates,
	"refuses an update of another version":            commitStaleUpdate,
	"lets one of eight updates of a version win":      commitRace,
	"counts every increment of racing callers":        commitCounter,
	"creates and steps a run":                         commitRun,
	"adds and replaces entries by key":                commitEntries,
	"refuses a step of another version":               commitStaleStep,
	"creates a run once":                              commitCreateOnce,
	"shows nothing of a refused change":               commitRefusedWhole,
	"shows nothing of a step refused for an update":   commitRefusedForUpdate,
	"lets one of eight steps of a version win":        commitStepRace,
	"knows no run that was not made":                  commitNoRun,
	"does nothing where there is nothing to do":       commitNothing,
	"refuses after close":                             commitClosed,
	"keeps the parts of a change together in a crowd": commitCrowd,
	"ends attempts with a step":                       bothKinds(commitEnds),
	"refuses a step with a stale end":                 bothKinds(commitStaleEnd),
}

func (f *fixture) commit(t *testing.T, c router.Change) {
	t.Helper()
	if err := f.Commit(ctx(t), c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func commitInserts(t *testing.T, f *fixture) {
	x := manual(f.source, 1)
	f.commit(t, router.Change{Insert: []hayate.Execution{x}})
	first := f.get(t, x.ID)
	again := x
	again.Action = "core.other"
	f.commit(t, router.Change{Insert: []hayate.Execution{again}})
	same(t, "execution after it was inserted again", f.get(t, x.ID), first)
	if first.Action != x.Action {
		t.Errorf("action is %s, want %s", first.Action, x.Action)
	}
}

func commitUpdates(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	read := f.get(t, x.ID)
	next := read
	if err := next.To(hayate.StatusCanceled, after(5)); err != nil {
		t.Fatal(err)
	}
	next.Cancel = "stanley"
	next.Result = json.RawMessage(`{"message":"canceled"}`)
	f.commit(t, router.Change{Update: []hayate.Execution{next}})
	want := next
	want.Version = read.Version + 1
	same(t, "updated execution", f.get(t, x.ID), want)
}

func commitStaleUpdate(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	read := f.get(t, x.ID)
	f.claim(t, x.ID, "w", after(2))
	before := f.get(t, x.ID)
	next := read
	next.Cancel = "too late"
	wantKind(t, "Commit of a stale update", f.Commit(ctx(t), router.Change{Update: []hayate.Execution{next}}), hayate.ErrConflict)
	same(t, "execution after a refused update", f.get(t, x.ID), before)
}

func commitRace(t *testing.T, f *fixture) {
	x := f.get(t, f.accept(t, 1, nil).ID)
	won := 0
	for i, err := range race(8, func(i int) error {
		next := x
		next.Cancel = fmt.Sprint("caller ", i)
		return f.Commit(ctx(t), router.Change{Update: []hayate.Execution{next}})
	}) {
		switch {
		case err == nil:
			won++
		default:
			wantKind(t, fmt.Sprint("caller ", i), err, hayate.ErrConflict)
		}
	}
	if got := f.get(t, x.ID); won != 1 || got.Version != x.Version+1 || got.Cancel == "" {
		t.Errorf("%d updates of one version won, version went from %d to %d; want one", won, x.Version, got.Version)
	}
}

func commitCounter(t *testing.T, f *fixture) {
	const callers, each = 4, 10
	x := f.accept(t, 1, nil)
	for i, err := range race(callers, func(int) error {
		for done := 0; done < each; {
			p, err := f.Executions(ctx(t), router.Query{IDs: []string{string(x.ID)}, Limit: 1})
			if err != nil || len(p.Items) != 1 {
				return fmt.Errorf("read %d executions: %w", len(p.Items), err)
			}
			next := p.Items[0]
			next.Attempt++
			err = f.Commit(ctx(t), router.Change{Update: []hayate.Execution{next}})
			if err == nil {
				done++
			} else if !errors.Is(err, hayate.ErrConflict) {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if got := f.get(t, x.ID); got.Attempt != callers*each {
		t.Errorf("counted %d increments, want %d", got.Attempt, callers*each)
	}
}

func commitRun(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	wake := after(60)
	f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(`{"step":1}`), Wake: wake,
		Entries: map[string]json.RawMessage{"task/0": json.RawMessage(`{"a": 1.0}`)}}})
	r, err := f.Run(ctx(t), x.ID)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if r.ID != x.ID || r.Version != 1 || string(r.Head) != `{"step":1}` || !r.Wake.Equal(wake) {
		t.Errorf("run is %+v, want version 1 with its head and wake", r)
	}
	f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, From: 1, Head: json.RawMessage(`{"step":2}`)}})
	r, err = f.Run(ctx(t), x.ID)
	if err != nil || r.Version != 2 || string(r.Head) != `{"step":2}` || !r.Wake.IsZero() {
		t.Errorf("run is %+v, error %v; want version 2 without a wake", r, err)
	}
	same(t, "entries", r.Entries, map[string]json.RawMessage{"task/0": json.RawMessage(`{"a": 1.0}`)})
}

func commitEntries(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	want := map[string]json.RawMessage{}
	deltas := []map[string]json.RawMessage{
		{"a": json.RawMessage(`1`), "b": json.RawMessage(`"日本"`)},
		{"c": json.RawMessage(`{}`)},
		{"a": json.RawMessage(`[2]`)},
		nil,
		{"dotted.key$": json.RawMessage(`null`), "": json.RawMessage(`true`)},
	}
	for i, d := range deltas {
		f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, From: int64(i), Head: json.RawMessage(`{}`), Entries: d}})
		maps.Copy(want, d)
	}
	r, err := f.Run(ctx(t), x.ID)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	same(t, "entries", r.Entries, want)
}

func commitStaleStep(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	for i := range 2 {
		f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, From: int64(i), Head: json.RawMessage(`{}`)}})
	}
	for _, from := range []int64{0, 1, 3} {
		err := f.Commit(ctx(t), router.Change{Run: &router.RunDelta{ID: x.ID, From: from, Head: json.RawMessage(`{"stale":true}`),
			Entries: map[string]json.RawMessage{"stale": json.RawMessage(`1`)}, Wake: after(1)}})
		wantKind(t, fmt.Sprint("step from version ", from), err, hayate.ErrConflict)
	}
	r, err := f.Run(ctx(t), x.ID)
	if err != nil || r.Version != 2 || string(r.Head) != `{}` || len(r.Entries) != 0 || !r.Wake.IsZero() {
		t.Errorf("run is %+v, error %v; want version 2 with nothing of the refused steps", r, err)
	}
}

func commitCreateOnce(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	err := f.Commit(ctx(t), router.Change{Run: &router.RunDelta{ID: x.ID, From: 1, Head: json.RawMessage(`{}`)}})
	wantKind(t, "step of a run that is not there", err, hayate.ErrConflict)
	f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(`{"first":true}`)}})
	err = f.Commit(ctx(t), router.Change{Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(`{"second":true}`)}})
	wantKind(t, "creation of a run that is there", err, hayate.ErrConflict)
	if r, err := f.Run(ctx(t), x.ID); err != nil || string(r.Head) != `{"first":true}` {
		t.Errorf("run is %s, error %v; want the first", r.Head, err)
	}
}

func commitRefusedWhole(t *testing.T, f *fixture) {
	x := f.get(t, f.accept(t, 1, nil).ID)
	f.commit(t, router.Change{Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(`{}`)}})
	next := x
	next.Cancel = "somebody"
	kid := child(&x, 0)
	err := f.Commit(ctx(t), router.Change{
		Insert: []hayate.Execution{kid}, Update: []hayate.Execution{next},
		Run: &router.RunDelta{ID: x.ID, From: 7, Head: json.RawMessage(`{"bad":true}`), Entries: map[string]json.RawMessage{"e": json.RawMessage(`1`)}},
	})
	wantKind(t, "Commit", err, hayate.ErrConflict)
	same(t, "execution", f.get(t, x.ID), x)
	f.absent(t, kid.ID)
	if r, err := f.Run(ctx(t), x.ID); err != nil || r.Version != 1 || len(r.Entries) != 0 {
		t.Errorf("run is %+v, error %v; want it as it was", r, err)
	}
}

func commitRefusedForUpdate(t *testing.T, f *fixture) {
	x := f.get(t, f.accept(t, 1, nil).ID)
	stale := x
	stale.Version += 5
	kid := child(&x, 0)
	err := f.Commit(ctx(t), router.Change{
		Insert: []hayate.Execution{kid}, Update: []hayate.Execution{stale},
		Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(`{}`)},
	})
	wantKind(t, "Commit", err, hayate.ErrConflict)
	f.absent(t, kid.ID)
	_, err = f.Run(ctx(t), x.ID)
	wantKind(t, "Run", err, hayate.ErrNotFound)
}

func commitStepRace(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	won := -1
	for i, err := range race(8, func(i int) error {
		return f.Commit(ctx(t), router.Change{Run: &router.RunDelta{ID: x.ID, Head: json.RawMessage(fmt.Sprint(i)),
			Entries: map[string]json.RawMessage{fmt.Sprint("by-", i): json.RawMessage(`1`)}}})
	}) {
		if err == nil {
			if won >= 0 {
				t.Errorf("callers %d and %d both stepped version 0", won, i)
			}
			won = i
			continue
		}
		wantKind(t, fmt.Sprint("caller ", i), err, hayate.ErrConflict)
	}
	r, err := f.Run(ctx(t), x.ID)
	if err != nil || r.Version != 1 || string(r.Head) != fmt.Sprint(won) || len(r.Entries) != 1 || r.Entries[fmt.Sprint("by-", won)] == nil {
		t.Errorf("run is %+v, error %v; want the step of caller %d alone", r, err, won)
	}
}

func commitNoRun(t *testing.T, f *fixture) {
	_, err := f.Run(ctx(t), manual(f.source, 1).ID)
	wantKind(t, "Run", err, hayate.ErrNotFound)
}

func commitNothing(t *testing.T, f *fixture) { f.commit(t, router.Change{}) }

func commitClosed(t *testing.T, f *fixture) {
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantKind(t, "Commit", f.Commit(ctx(t), router.Change{Insert: []hayate.Execution{manual(f.source, 1)}}), hayate.ErrBusy)
	_, err := f.Run(ctx(t), manual(f.source, 1).ID)
	wantKind(t, "Run", err, hayate.ErrBusy)
	if err := f.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

// commitCrowd steps several runs from several callers; each step starts a child
// that bears the version it came from, so that a torn change shows.
func commitCrowd(t *testing.T, f *fixture) {
	const runs, callers, each = 3, 4, 5
	parents := make([]hayate.Execution, runs)
	for i := range parents {
		parents[i] = f.get(t, f.accept(t, i, nil).ID)
	}
	for i, err := range race(callers, func(i int) error {
		for k := range runs * each {
			p := &parents[(i+k)%runs]
			if err := f.stepOnce(t, p); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	for i := range parents {
		r, err := f.Run(ctx(t), parents[i].ID)
		if err != nil {
			t.Fatalf("Run: %v", err)
		}
		p, err := f.Executions(ctx(t), router.Query{Parent: parents[i].ID})
		if err != nil {
			t.Fatalf("Executions: %v", err)
		}
		if want := callers * each; r.Version != int64(want) || p.Total != want || len(r.Entries) != want {
			t.Errorf("run %d has version %d, %d entries and %d children, want %d of each", i, r.Version, len(r.Entries), p.Total, want)
		}
	}
}

// stepOnce steps a run by one version, however often others come first.
func (f *fixture) stepOnce(t *testing.T, parent *hayate.Execution) error {
	for range 1000 {
		r, err := f.Run(ctx(t), parent.ID)
		if err != nil && !errors.Is(err, hayate.ErrNotFound) {
			return err
		}
		key := fmt.Sprint(r.Version)
		kid := child(parent, int(r.Version))
		kid.Created = parent.Created.Add(time.Duration(r.Version) * time.Second)
		err = f.Commit(ctx(t), router.Change{Insert: []hayate.Execution{kid}, Run: &router.RunDelta{
			ID: parent.ID, From: r.Version, Head: json.RawMessage(key), Entries: map[string]json.RawMessage{key: json.RawMessage(`1`)}}})
		if err == nil || !errors.Is(err, hayate.ErrConflict) {
			return err
		}
	}
	return errors.New("another was first a thousand times")
}

// ends is a step that ends the attempts of both children.
func (f *fixture) ends(t *testing.T, k kind) (parent hayate.Execution, kids [2]hayate.Execution, c router.Change) {
	t.Helper()
	parent, kids[0] = f.family(t, 1, k)
	kids[1] = child(&parent, 1)
	k(&kids[1])
	f.commit(t, router.Change{Insert: kids[1:]})
	kids[1] = f.claim(t, kids[1].ID, "b", after(4))
	c = router.Change{Insert: []hayate.Execution{child(&parent, 2)}, Told: []hayate.ExecutionID{kids[0].ID},
		Run: &router.RunDelta{ID: parent.ID, From: 1, Head: json.RawMessage(`{"at":1}`)}}
	for i := range kids {
		c.Complete = append(c.Complete, router.Completion{Hold: hold(&kids[i]), At: after(9),
			Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(fmt.Sprint(i)), Verified: true}})
	}
	return parent, kids, c
}

func commitEnds(t *testing.T, f *fixture, k kind) {
	parent, kids, c := f.ends(t, k)
	f.commit(t, c)
	for i := range kids {
		if got := f.get(t, kids[i].ID); got.Status != hayate.StatusSucceeded || string(got.Result) != fmt.Sprint(i) || !got.Verified || !got.Ended.Equal(after(9)) {
			t.Errorf("child %d is %s with %s, want succeeded with its result", i, got.Status, got.Result)
		}
	}
	f.get(t, c.Insert[0].ID)
	if r, err := f.Run(ctx(t), parent.ID); err != nil || r.Version != 2 {
		t.Errorf("run is %+v, error %v; want version 2", r, err)
	}
	same(t, "untold: the one that Told does not name", ids(f.sweep(t, router.SweepQuery{Now: after(30)}).Untold), idsOf(kids[1].ID))
	wantKind(t, "Commit again", f.Commit(ctx(t), c), hayate.ErrConflict)
	f.commit(t, router.Change{Told: []hayate.ExecutionID{kids[1].ID}})
}

func commitStaleEnd(t *testing.T, f *fixture, k kind) {
	parent, kids, c := f.ends(t, k)
	c.Complete[1].Attempt++
	wantKind(t, "Commit", f.Commit(ctx(t), c), hayate.ErrConflict)
	for i := range kids {
		same(t, fmt.Sprint("child ", i), f.get(t, kids[i].ID), kids[i])
	}
	f.absent(t, c.Insert[0].ID)
	if r, err := f.Run(ctx(t), parent.ID); err != nil || r.Version != 1 {
		t.Errorf("run is %+v, error %v; want it as it was", r, err)
	}
}
