package routertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var claimTests = map[string]func(*testing.T, *fixture){
	"makes the worker the holder":               bothKinds(claimHolds),
	"refuses what is held":                      bothKinds(claimHeld),
	"refuses what is finished":                  bothKinds(claimFinished),
	"refuses what is canceled":                  claimCanceled,
	"knows no execution that is not there":      claimMissing,
	"waits for not before":                      bothKinds(claimNotBefore),
	"gives one execution to one of eight":       bothKinds(claimRaceOne),
	"gives a hundred executions to eight, once": bothKinds(claimRaceMany),
	"is seen by updates and readers":            bothKinds(claimSeen),
	"loses to an update, or wins, never both":   bothKinds(claimAgainstUpdate),
	"claims again after an update gave it back": bothKinds(claimAgain),
	"extends the lease":                         bothKinds(heartbeatExtends),
	"tells the holder to cancel":                bothKinds(heartbeatCancel),
	"refuses stale holds":                       bothKinds(staleHolds),
	"keeps output in order, once":               bothKinds(outputLines),
	"completes with result and verdict":         bothKinds(completeResult),
	"completes with every end":                  bothKinds(completeEnds),
	"completes as pending":                      completePending,
	"refuses an end that is none":               completeInvalid,
	"refers to a blob":                          completeBlob,
	"ends canceled what was to be canceled":     bothKinds(completeCanceling),
	"completes once of eight":                   bothKinds(completeRace),
	"commits the step with the completion":      bothKinds(completeStep),
	"refuses a stale step with the completion":  bothKinds(completeStaleStep),
	"refuses after close":                       claimsClosed,
}

// kind changes the executions of a test: idempotent or not.
type kind func(*hayate.Execution)

// bothKinds runs a test with executions that are idempotent and that are not:
// a store may keep the claims of the former in memory.
func bothKinds(test func(*testing.T, *fixture, kind)) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		source := f.source
		for _, idempotent := range []bool{true, false} {
			f.source = fmt.Sprint(source, "/", idempotent)
			t.Run(fmt.Sprintf("idempotent %t", idempotent), func(t *testing.T) {
				test(t, f, func(x *hayate.Execution) { x.Idempotent = idempotent })
			})
		}
	}
}

func claimHolds(t *testing.T, f *fixture, k kind) {
	x := f.get(t, f.accept(t, 1, k).ID)
	got := f.claim(t, x.ID, "worker-1", after(2))
	want := x
	want.Status, want.Attempt, want.Worker = hayate.StatusRunning, 1, "worker-1"
	want.LeaseUntil, want.Started = after(62), after(2)
	want.Log = append(want.Log[:len(want.Log):len(want.Log)], hayate.Transition{Time: after(2), Status: hayate.StatusRunning})
	want.Version = got.Version
	same(t, "claimed execution", got, want)
	if got.Version <= x.Version {
		t.Errorf("version went from %d to %d, want a greater one", x.Version, got.Version)
	}
}

func claimHeld(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	held := f.claim(t, x.ID, "a", after(2))
	for _, worker := range []string{"a", "b"} {
		_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: worker, At: after(500), Until: after(560)})
		wantKind(t, "Claim by "+worker, err, hayate.ErrConflict)
	}
	same(t, "held execution", f.get(t, x.ID), held)
}

func claimFinished(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	f.complete(t, &x, after(3))
	_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: "b", At: after(4), Until: after(60)})
	wantKind(t, "Claim", err, hayate.ErrConflict)
}

func claimCanceled(t *testing.T, f *fixture) {
	x := f.get(t, f.accept(t, 1, nil).ID)
	if err := x.To(hayate.StatusCanceled, after(2)); err != nil {
		t.Fatal(err)
	}
	f.commit(t, router.Change{Update: []hayate.Execution{x}})
	_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: "b", At: after(4), Until: after(60)})
	wantKind(t, "Claim", err, hayate.ErrConflict)
}

func claimMissing(t *testing.T, f *fixture) {
	id := manual(f.source, 1).ID
	_, err := f.Claim(ctx(t), router.Claim{Execution: id, Worker: "a", At: after(1), Until: after(60)})
	wantKind(t, "Claim", err, hayate.ErrNotFound)
}

func claimNotBefore(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, func(x *hayate.Execution) {
		k(x)
		x.Status, x.NotBefore = hayate.StatusDelayed, after(60)
	})
	_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: "a", At: after(59), Until: after(90)})
	wantKind(t, "Claim too early", err, hayate.ErrConflict)
	if got := f.claim(t, x.ID, "a", after(60)); got.Status != hayate.StatusRunning {
		t.Errorf("status is %s, want running", got.Status)
	}
}

func claimRaceOne(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	won := 0
	for i, err := range race(8, func(i int) error {
		_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: fmt.Sprint("w", i), At: after(2), Until: after(60)})
		return err
	}) {
		if err == nil {
			won++
			continue
		}
		wantKind(t, fmt.Sprint("worker ", i), err, hayate.ErrConflict)
	}
	if got := f.get(t, x.ID); won != 1 || got.Attempt != 1 {
		t.Errorf("%d workers hold attempt %d, want one and the first", won, got.Attempt)
	}
}

func claimRaceMany(t *testing.T, f *fixture, k kind) {
	const n = 100
	e := f.event(1)
	xs := make([]hayate.Execution, n)
	for i := range xs {
		xs[i] = execution(&e, i)
		k(&xs[i])
	}
	if _, err := f.Accept(ctx(t), e, starts(xs...)); err != nil {
		t.Fatalf("Accept: %v", err)
	}
	var mu sync.Mutex
	holders := map[hayate.ExecutionID][]string{}
	for i, err := range race(8, func(i int) error {
		worker := fmt.Sprint("w", i)
		for j := range xs {
			id := xs[(j+i*7)%n].ID
			got, err := f.Claim(ctx(t), router.Claim{Execution: id, Worker: worker, At: after(2), Until: after(60)})
			if errors.Is(err, hayate.ErrConflict) {
				continue
			}
			if err != nil || got.ID != id || got.Worker != worker {
				return fmt.Errorf("claimed %s for %s: %w", got.ID, got.Worker, err)
			}
			mu.Lock()
			holders[id] = append(holders[id], worker)
			mu.Unlock()
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
	}
	for i := range xs {
		if h := holders[xs[i].ID]; len(h) != 1 {
			t.Errorf("execution %d is held by %v, want one worker", i, h)
		}
	}
}

func claimSeen(t *testing.T, f *fixture, k kind) {
	x := f.get(t, f.accept(t, 1, k).ID)
	held := f.claim(t, x.ID, "a", after(2))
	same(t, "execution read by id", f.get(t, x.ID), held)
	for status, want := range map[hayate.Status]int{hayate.StatusRunning: 1, hayate.StatusScheduled: 0} {
		p, err := f.Executions(ctx(t), router.Query{Event: x.Event, Status: []hayate.Status{status}, Limit: -1})
		if err != nil || p.Total != want || len(p.Items) != want {
			t.Errorf("%d executions are %s (%d listed), error %v; want %d", p.Total, status, len(p.Items), err, want)
		}
	}
	x.Cancel = "read before the claim"
	wantKind(t, "Commit", f.Commit(ctx(t), router.Change{Update: []hayate.Execution{x}}), hayate.ErrConflict)
}

func claimAgainstUpdate(t *testing.T, f *fixture, k kind) {
	for n := range 5 {
		x := f.get(t, f.accept(t, n, k).ID)
		errs := race(2, func(i int) error {
			if i == 0 {
				_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: "a", At: after(2), Until: after(60)})
				return err
			}
			next := x
			if err := next.To(hayate.StatusCanceled, after(2)); err != nil {
				return err
			}
			return f.Commit(ctx(t), router.Change{Update: []hayate.Execution{next}})
		})
		got := f.get(t, x.ID)
		switch {
		case errs[0] == nil && errors.Is(errs[1], hayate.ErrConflict) && got.Status == hayate.StatusRunning:
		case errs[1] == nil && errors.Is(errs[0], hayate.ErrConflict) && got.Status == hayate.StatusCanceled:
		default:
			t.Errorf("claim: %v, cancel: %v, status %s; want one of them to win", errs[0], errs[1], got.Status)
		}
	}
}

func claimAgain(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	first := hold(&x)
	if err := x.To(hayate.StatusScheduled, after(70)); err != nil {
		t.Fatal(err)
	}
	x.Worker, x.LeaseUntil = "", time.Time{}
	f.commit(t, router.Change{Update: []hayate.Execution{x}})
	again := f.claim(t, x.ID, "a", after(71))
	if again.Attempt != 2 || !again.Started.Equal(after(2)) {
		t.Errorf("attempt is %d, started %s; want 2 and the start of the first", again.Attempt, again.Started)
	}
	_, err := f.Heartbeat(ctx(t), first, after(200))
	wantKind(t, "Heartbeat of the first attempt", err, hayate.ErrConflict)
	if _, err := f.Heartbeat(ctx(t), hold(&again), after(200)); err != nil {
		t.Errorf("Heartbeat of the second attempt: %v", err)
	}
}

func heartbeatExtends(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	sig, err := f.Heartbeat(ctx(t), hold(&x), after(500))
	if err != nil || sig.Cancel {
		t.Fatalf("Heartbeat gave %+v, error %v", sig, err)
	}
	got := f.get(t, x.ID)
	if !got.LeaseUntil.Equal(after(500)) || got.Status != hayate.StatusRunning || got.Attempt != 1 {
		t.Errorf("lease ends %s, status %s, attempt %d; want %s, running, 1", got.LeaseUntil, got.Status, got.Attempt, after(500))
	}
}

// cancel asks a running execution to end.
func (f *fixture) cancel(t *testing.T, id hayate.ExecutionID) {
	t.Helper()
	x := f.get(t, id)
	x.Cancel = "stanley"
	if err := x.To(hayate.StatusCanceling, after(5)); err != nil {
		t.Fatal(err)
	}
	f.commit(t, router.Change{Update: []hayate.Execution{x}})
}

func heartbeatCancel(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	f.cancel(t, x.ID)
	sig, err := f.Heartbeat(ctx(t), hold(&x), after(500))
	if err != nil || !sig.Cancel {
		t.Errorf("Heartbeat gave %+v, error %v; want the wish to cancel", sig, err)
	}
}

func staleHolds(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	h := router.Hold{Execution: x.ID, Attempt: 1, Worker: "a"}
	f.refuses(t, "before the claim", h)
	x = f.claim(t, x.ID, "a", after(2))
	f.refuses(t, "of another worker", router.Hold{Execution: x.ID, Attempt: 1, Worker: "b"})
	f.refuses(t, "of another attempt", router.Hold{Execution: x.ID, Attempt: 2, Worker: "a"})
	same(t, "execution after refusals", f.get(t, x.ID), x)
	f.complete(t, &x, after(3))
	done := f.get(t, x.ID)
	f.refuses(t, "after the end", h)
	same(t, "execution after refusals", f.get(t, x.ID), done)
	lines, err := f.Lines(ctx(t), x.ID, 0, -1)
	if err != nil || len(lines) != 0 {
		t.Errorf("%d lines of stale holds were kept, error %v", len(lines), err)
	}
}

func (f *fixture) refuses(t *testing.T, when string, h router.Hold) {
	t.Helper()
	_, err := f.Heartbeat(ctx(t), h, after(900))
	wantKind(t, "Heartbeat "+when, err, hayate.ErrConflict)
	err = f.Output(ctx(t), h, []hayate.OutputLine{{Seq: 1, Time: after(3), Stream: hayate.Stdout, Text: "stale"}})
	wantKind(t, "Output "+when, err, hayate.ErrConflict)
	err = f.Complete(ctx(t), router.Completion{Hold: h, At: after(4), Result: hayate.Result{Status: hayate.StatusFailed}})
	wantKind(t, "Complete "+when, err, hayate.ErrConflict)
}

func outputLines(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	line := func(seq int64, text string) hayate.OutputLine {
		return hayate.OutputLine{Execution: x.ID, Attempt: 1, Seq: seq, Time: after(int(seq)), Stream: hayate.Stdout, Text: text}
	}
	one, two, three, four := line(1, "一行目"), line(2, ""), line(3, "three\ttabs"), line(4, "four")
	three.Stream = hayate.Stderr
	for _, batch := range [][]hayate.OutputLine{{one, two}, {line(2, "repeated"), three}, nil, {one}, {four}} {
		if err := f.Output(ctx(t), hold(&x), batch); err != nil {
			t.Fatalf("Output: %v", err)
		}
	}
	f.lines(t, x.ID, 0, -1, one, two, three, four)
	f.complete(t, &x, after(9))
	f.lines(t, x.ID, 0, -1, one, two, three, four)
	f.lines(t, x.ID, 2, -1, three, four)
	f.lines(t, x.ID, 1, 2, two, three)
	f.lines(t, x.ID, 4, -1)
	f.lines(t, manual(f.source, 9).ID, 0, -1)
}

func (f *fixture) lines(t *testing.T, id hayate.ExecutionID, from int64, limit int, want ...hayate.OutputLine) {
	t.Helper()
	got, err := f.Lines(ctx(t), id, from, limit)
	if err != nil {
		t.Fatalf("Lines: %v", err)
	}
	if len(got) == 0 && len(want) == 0 {
		return
	}
	same(t, fmt.Sprintf("lines after %d, limit %d", from, limit), got, want)
}

func completeResult(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	value := json.RawMessage(`{"stdout":"日本 <&>","n":1.0,"return_code":0}`)
	err := f.Complete(ctx(t), router.Completion{Hold: hold(&x), At: after(7),
		Result: hayate.Result{Status: hayate.StatusSucceeded, Value: value, Verified: true}})
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
	got := f.get(t, x.ID)
	if got.Status != hayate.StatusSucceeded || string(got.Result) != string(value) || !got.Verified || got.ResultRef != nil {
		t.Errorf("execution is %s, verified %t, with %s; want succeeded, verified, %s", got.Status, got.Verified, got.Result, value)
	}
	if !got.Ended.Equal(after(7)) || got.Version <= x.Version || got.Attempt != 1 || got.Worker != "a" {
		t.Errorf("ended %s, version %d, attempt %d of %s; want %s, more than %d, 1 of a", got.Ended, got.Version, got.Attempt, got.Worker, after(7), x.Version)
	}
	if last := got.Log[len(got.Log)-1]; last.Status != hayate.StatusSucceeded || !last.Time.Equal(after(7)) || len(got.Log) != 3 {
		t.Errorf("log is %v, want three transitions", got.Log)
	}
}

func completeEnds(t *testing.T, f *fixture, k kind) {
	for i, status := range []hayate.Status{hayate.StatusSucceeded, hayate.StatusFailed, hayate.StatusTimeout, hayate.StatusAbandoned, hayate.StatusCanceled} {
		x := f.accept(t, i, k)
		x = f.claim(t, x.ID, "a", after(2))
		err := f.Complete(ctx(t), router.Completion{Hold: hold(&x), At: after(7), Result: hayate.Result{Status: status}})
		if err != nil {
			t.Fatalf("Complete as %s: %v", status, err)
		}
		if got := f.get(t, x.ID); got.Status != status || got.Verified || len(got.Result) != 0 {
			t.Errorf("execution is %s, verified %t, with %s; want %s and nothing", got.Status, got.Verified, got.Result, status)
		}
	}
}

func completePending(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	x = f.claim(t, x.ID, "a", after(2))
	c := router.Completion{Hold: hold(&x), At: after(7), Result: hayate.Result{Status: hayate.StatusPending, Value: json.RawMessage(`{"ask":"go on?"}`)}}
	if err := f.Complete(ctx(t), c); err != nil {
		t.Fatalf("Complete: %v", err)
	}
	got := f.get(t, x.ID)
	if got.Status != hayate.StatusPending || !got.Ended.IsZero() {
		t.Errorf("execution is %s, ended %s; want pending and not ended", got.Status, got.Ended)
	}
	f.refuses(t, "of a pending execution", hold(&x))
	s, err := f.Sweep(ctx(t), router.SweepQuery{Now: after(9000), Limit: 100})
	if err != nil || len(s.Lost) != 0 || len(s.Dispatch) != 0 {
		t.Errorf("a sweep found %v, error %v; want nothing: it waits for a person", s, err)
	}
}

func completeInvalid(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	x = f.claim(t, x.ID, "a", after(2))
	for _, status := range []hayate.Status{hayate.StatusRunning, hayate.StatusScheduled, ""} {
		err := f.Complete(ctx(t), router.Completion{Hold: hold(&x), At: after(7), Result: hayate.Result{Status: status}})
		wantKind(t, fmt.Sprintf("Complete as %q", status), err, hayate.ErrInvalid)
	}
	same(t, "execution", f.get(t, x.ID), x)
}

func completeBlob(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	x = f.claim(t, x.ID, "a", after(2))
	ref := &hayate.BlobRef{Hash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Size: 300_000}
	err := f.Complete(ctx(t), router.Completion{Hold: hold(&x), At: after(7), Blob: ref,
		Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`"preview"`)}})
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
	got := f.get(t, x.ID)
	if got.ResultRef == nil || *got.ResultRef != *ref || string(got.Result) != `"preview"` {
		t.Errorf("result is %s at %v, want the preview and %v", got.Result, got.ResultRef, ref)
	}
}

func completeCanceling(t *testing.T, f *fixture, k kind) {
	for i, c := range []struct{ result, want hayate.Status }{
		{hayate.StatusSucceeded, hayate.StatusCanceled},
		{hayate.StatusFailed, hayate.StatusCanceled},
		{hayate.StatusCanceled, hayate.StatusCanceled},
		{hayate.StatusAbandoned, hayate.StatusAbandoned},
	} {
		x := f.accept(t, i, k)
		x = f.claim(t, x.ID, "a", after(2))
		f.cancel(t, x.ID)
		err := f.Complete(ctx(t), router.Completion{Hold: hold(&x), At: after(7), Result: hayate.Result{Status: c.result, Value: json.RawMessage(`{"a":1}`)}})
		if err != nil {
			t.Fatalf("Complete as %s: %v", c.result, err)
		}
		if got := f.get(t, x.ID); got.Status != c.want || string(got.Result) != `{"a":1}` {
			t.Errorf("completed as %s, execution is %s with %s; want %s and the value", c.result, got.Status, got.Result, c.want)
		}
	}
}

func completeRace(t *testing.T, f *fixture, k kind) {
	x := f.accept(t, 1, k)
	x = f.claim(t, x.ID, "a", after(2))
	won := -1
	for i, err := range race(8, func(i int) error {
		return f.Complete(ctx(t), router.Completion{Hold: hold(&x), At: after(7), Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(fmt.Sprint(i))}})
	}) {
		if err == nil {
			if won >= 0 {
				t.Errorf("callers %d and %d both completed it", won, i)
			}
			won = i
			continue
		}
		wantKind(t, fmt.Sprint("caller ", i), err, hayate.ErrConflict)
	}
	if got := f.get(t, x.ID); string(got.Result) != fmt.Sprint(won) {
		t.Errorf("result is %s, want that of caller %d", got.Result, won)
	}
}

// family is a workflow with a run and a child that is being worked on.
func (f *fixture) family(t *testing.T, n int, k kind) (parent, kid hayate.Execution) {
	t.Helper()
	parent = f.accept(t, n, func(x *hayate.Execution) { x.Runner, x.Action = "orquesta", "suite.flow" })
	parent = f.claim(t, parent.ID, "engine", after(2))
	kid = child(&parent, 0)
	if k != nil {
		k(&kid)
	}
	f.commit(t, router.Change{Insert: []hayate.Execution{kid}, Run: &router.RunDelta{ID: parent.ID, Head: json.RawMessage(`{"at":0}`)}})
	kid = f.claim(t, kid.ID, "a", after(3))
	return parent, kid
}

func completeStep(t *testing.T, f *fixture, k kind) {
	parent, kid := f.family(t, 1, k)
	next := child(&parent, 1)
	err := f.Complete(ctx(t), router.Completion{Hold: hold(&kid), At: after(7), Result: hayate.Result{Status: hayate.StatusSucceeded},
		Step: &router.Change{Insert: []hayate.Execution{next}, Told: []hayate.ExecutionID{kid.ID},
			Run: &router.RunDelta{ID: parent.ID, From: 1, Head: json.RawMessage(`{"at":1}`), Entries: map[string]json.RawMessage{"0": json.RawMessage(`"done"`)}}}})
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
	if got := f.get(t, kid.ID); got.Status != hayate.StatusSucceeded {
		t.Errorf("child is %s, want succeeded", got.Status)
	}
	if got := f.get(t, next.ID); got.Status != hayate.StatusScheduled || got.Parent != parent.ID {
		t.Errorf("next child is %s of %s, want scheduled of %s", got.Status, got.Parent, parent.ID)
	}
	if r, err := f.Run(ctx(t), parent.ID); err != nil || r.Version != 2 || string(r.Head) != `{"at":1}` {
		t.Errorf("run is %+v, error %v; want version 2", r, err)
	}
	s, err := f.Sweep(ctx(t), router.SweepQuery{Now: after(30), Limit: 100})
	if err != nil || len(s.Untold) != 0 {
		t.Errorf("a sweep found %v untold, error %v; want none", ids(s.Untold), err)
	}
}

func completeStaleStep(t *testing.T, f *fixture, k kind) {
	parent, kid := f.family(t, 1, k)
	next := child(&parent, 1)
	c := router.Completion{Hold: hold(&kid), At: after(7), Result: hayate.Result{Status: hayate.StatusSucceeded},
		Step: &router.Change{Insert: []hayate.Execution{next}, Told: []hayate.ExecutionID{kid.ID},
			Run: &router.RunDelta{ID: parent.ID, From: 9, Head: json.RawMessage(`{"at":9}`)}}}
	wantKind(t, "Complete", f.Complete(ctx(t), c), hayate.ErrConflict)
	same(t, "child", f.get(t, kid.ID), kid)
	f.absent(t, next.ID)
	c.Step.Run.From = 1
	if err := f.Complete(ctx(t), c); err != nil {
		t.Errorf("Complete with the step computed anew: %v", err)
	}
}

func claimsClosed(t *testing.T, f *fixture) {
	x := f.accept(t, 1, func(x *hayate.Execution) { x.Idempotent = true })
	x = f.claim(t, x.ID, "a", after(2))
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	c := context.WithoutCancel(t.Context())
	_, err := f.Claim(c, router.Claim{Execution: x.ID, Worker: "b", At: after(3), Until: after(9)})
	wantKind(t, "Claim", err, hayate.ErrBusy)
	_, err = f.Heartbeat(c, hold(&x), after(9))
	wantKind(t, "Heartbeat", err, hayate.ErrBusy)
	wantKind(t, "Output", f.Output(c, hold(&x), []hayate.OutputLine{{Seq: 1}}), hayate.ErrBusy)
	wantKind(t, "Complete", f.Complete(c, router.Completion{Hold: hold(&x), At: after(3), Result: hayate.Result{Status: hayate.StatusFailed}}), hayate.ErrBusy)
	wantKind(t, "Dispatched", f.Dispatched(c, x.ID), hayate.ErrBusy)
}
