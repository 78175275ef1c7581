package routertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// TimersUnderTest is a fresh keeper of timers. Reopen closes and opens it again;
// nil where nothing outlives that. Close closes it, twice is fine.
type TimersUnderTest struct {
	router.Timers
	Close  func() error
	Reopen func(t *testing.T) router.Timers
}

// TestTimers tests a keeper of timers.
func TestTimers(t *testing.T, open func(t *testing.T) TimersUnderTest) {
	for name, test := range map[string]func(*testing.T, TimersUnderTest){
		"remembers by id, in order":            timersKept,
		"refuses a writer that was overtaken":  timersFenced,
		"forgets, but not for the overtaken":   timersDropped,
		"lets one of eight tokens win":         timersRace,
		"remembers what it knew when reopened": timersReopened,
		"ends with its store":                  timersClosed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func timerState(id string, token int64, done int) router.TimerState {
	return router.TimerState{ID: id, Token: token, Anchor: after(0), Done: after(done).Add(7 * time.Microsecond), Last: after(done).Add(-time.Second)}
}

func wantTimers(t *testing.T, k router.Timers, want ...router.TimerState) {
	t.Helper()
	got, err := k.TimerStates(ctx(t))
	same := func(a, b router.TimerState) bool {
		return a.ID == b.ID && a.Token == b.Token && a.Anchor.Equal(b.Anchor) && a.Done.Equal(b.Done) && a.Last.Equal(b.Last)
	}
	if err != nil || !slices.EqualFunc(got, want, same) {
		t.Errorf("TimerStates gave %+v, %v; want %+v", got, err, want)
	}
}

func timersKept(t *testing.T, k TimersUnderTest) {
	wantTimers(t, k)
	b, a := timerState("b", 1, 5), timerState("a", 1, 3)
	if err := k.PutTimers(ctx(t), b, a); err != nil {
		t.Fatalf("PutTimers: %v", err)
	}
	wantTimers(t, k, a, b)
	b = timerState("b", 1, 9)
	for range 2 {
		if err := k.PutTimers(ctx(t), b); err != nil {
			t.Fatalf("PutTimers again: %v", err)
		}
	}
	wantTimers(t, k, a, b)
	if err := k.PutTimers(ctx(t)); err != nil {
		t.Errorf("PutTimers of nothing: %v", err)
	}
	never := router.TimerState{ID: "c", Token: 1, Anchor: after(1)}
	if err := k.PutTimers(ctx(t), never); err != nil {
		t.Fatalf("PutTimers: %v", err)
	}
	wantTimers(t, k, a, b, never)
}

func timersFenced(t *testing.T, k TimersUnderTest) {
	newer := timerState("x", 3, 9)
	if err := k.PutTimers(ctx(t), newer); err != nil {
		t.Fatalf("PutTimers: %v", err)
	}
	wantKind(t, "PutTimers under an older token", k.PutTimers(ctx(t), timerState("x", 2, 10)), hayate.ErrConflict)
	wantTimers(t, k, newer)
	newer = timerState("x", 4, 11)
	if err := k.PutTimers(ctx(t), newer); err != nil {
		t.Errorf("PutTimers under a newer token: %v", err)
	}
	wantTimers(t, k, newer)
}

func timersDropped(t *testing.T, k TimersUnderTest) {
	a, b := timerState("a", 1, 1), timerState("b", 5, 1)
	if err := k.PutTimers(ctx(t), a, b); err != nil {
		t.Fatalf("PutTimers: %v", err)
	}
	if err := k.DropTimers(ctx(t), 4, "a", "b", "nobody"); err != nil {
		t.Errorf("DropTimers: %v", err)
	}
	wantTimers(t, k, b)
	if err := k.DropTimers(ctx(t), 5, "b"); err != nil {
		t.Errorf("DropTimers: %v", err)
	}
	wantTimers(t, k)
}

func timersRace(t *testing.T, k TimersUnderTest) {
	errs := race(8, func(i int) error {
		return k.PutTimers(ctx(t), timerState("x", int64(i+1), i), timerState(fmt.Sprint("y", i), 1, 0))
	})
	if errs[7] != nil {
		t.Errorf("PutTimers under the greatest token: %v", errs[7])
	}
	for i, err := range errs[:7] {
		if err != nil {
			wantKind(t, fmt.Sprint("PutTimers under token ", i+1), err, hayate.ErrConflict)
		}
	}
	got, err := k.TimerStates(ctx(t))
	if err != nil || len(got) == 0 || got[0].ID != "x" || got[0].Token != 8 {
		t.Errorf("TimerStates gave %+v, %v; want x under token 8", got, err)
	}
}

func timersReopened(t *testing.T, k TimersUnderTest) {
	if k.Reopen == nil {
		t.Skip("nothing outlives the process")
	}
	x := timerState("x", 2, 4)
	if err := k.PutTimers(ctx(t), x); err != nil {
		t.Fatalf("PutTimers: %v", err)
	}
	again := k.Reopen(t)
	wantTimers(t, again, x)
	wantKind(t, "PutTimers under an older token", again.PutTimers(ctx(t), timerState("x", 1, 10)), hayate.ErrConflict)
}

func timersClosed(t *testing.T, k TimersUnderTest) {
	if err := k.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err := k.TimerStates(ctx(t))
	wantKind(t, "TimerStates after Close", err, hayate.ErrBusy)
	wantKind(t, "PutTimers after Close", k.PutTimers(ctx(t), timerState("x", 1, 1)), hayate.ErrBusy)
	wantKind(t, "DropTimers after Close", k.DropTimers(ctx(t), 1, "x"), hayate.ErrBusy)
}
