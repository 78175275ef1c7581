package routertest

import (
	"fmt"
	"testing"

	"github.com/hayate-run/hayate"
)

var gateTests = map[string]func(*testing.T, *fixture){
	"lets through as many as its limit": gateLimit,
	"knows those that hold a place":     gateTwice,
	"lets one of eight have the last":   gateRace,
	"keeps its places over a restart":   gateDurable,
}

const (
	x1 hayate.ExecutionID = "0000000000000000000000a1"
	x2 hayate.ExecutionID = "0000000000000000000000a2"
	x3 hayate.ExecutionID = "0000000000000000000000a3"
)

func gateLimit(t *testing.T, f *fixture) {
	for _, x := range []hayate.ExecutionID{x1, x2} {
		if err := f.Enter(ctx(t), "g", x, 2); err != nil {
			t.Fatalf("Enter: %v", err)
		}
	}
	wantKind(t, "Enter of a full gate", f.Enter(ctx(t), "g", x3, 2), hayate.ErrConflict)
	if err := f.Enter(ctx(t), "other", x3, 1); err != nil {
		t.Errorf("Enter of another gate: %v", err)
	}
	wantKind(t, "Enter with no places at all", f.Enter(ctx(t), "shut", x3, 0), hayate.ErrConflict)
	same(t, "holders", holders(t, f, "g"), []hayate.ExecutionID{x1, x2})
	if err := f.Leave(ctx(t), "g", x1, "0000000000000000000000ff"); err != nil {
		t.Fatalf("Leave: %v", err)
	}
	if err := f.Enter(ctx(t), "g", x3, 2); err != nil {
		t.Errorf("Enter after one has left: %v", err)
	}
	same(t, "holders", holders(t, f, "g"), []hayate.ExecutionID{x2, x3})
	if err := f.Leave(ctx(t), "never entered", x1); err != nil {
		t.Errorf("Leave of a gate that is not there: %v", err)
	}
	if got := holders(t, f, "never entered"); len(got) != 0 {
		t.Errorf("a gate that nobody entered has holders %v", got)
	}
}

func gateTwice(t *testing.T, f *fixture) {
	for range 2 {
		if err := f.Enter(ctx(t), "g", x1, 1); err != nil {
			t.Fatalf("Enter: %v", err)
		}
	}
	if err := f.Enter(ctx(t), "g", x1, 0); err != nil {
		t.Errorf("Enter by a holder after the limit was lowered: %v", err)
	}
	same(t, "holders", holders(t, f, "g"), []hayate.ExecutionID{x1})
	for range 2 {
		if err := f.Leave(ctx(t), "g", x1); err != nil {
			t.Fatalf("Leave: %v", err)
		}
	}
	if got := holders(t, f, "g"); len(got) != 0 {
		t.Errorf("holders %v after all have left", got)
	}
}

func gateRace(t *testing.T, f *fixture) {
	for round := range 3 {
		gate := fmt.Sprint("race-", round)
		if err := f.Enter(ctx(t), gate, x1, 2); err != nil {
			t.Fatalf("Enter: %v", err)
		}
		won := 0
		for i, err := range race(8, func(i int) error {
			return f.Enter(ctx(t), gate, hayate.ExecutionID(fmt.Sprintf("0000000000000000000000b%d", i)), 2)
		}) {
			if err == nil {
				won++
			} else {
				wantKind(t, fmt.Sprint("execution ", i), err, hayate.ErrConflict)
			}
		}
		if won != 1 {
			t.Errorf("%d of eight entered, want one", won)
		}
	}
}

func gateDurable(t *testing.T, f *fixture) {
	if f.reopen == nil {
		t.Skip("nothing outlives this store")
	}
	if err := f.Enter(ctx(t), "g", x1, 1); err != nil {
		t.Fatalf("Enter: %v", err)
	}
	f.Store = f.reopen(t)
	wantKind(t, "Enter after a restart", f.Enter(ctx(t), "g", x2, 1), hayate.ErrConflict)
}

func holders(t *testing.T, f *fixture, gate string) []hayate.ExecutionID {
	t.Helper()
	xs, err := f.Holders(ctx(t), gate)
	if err != nil {
		t.Fatalf("Holders: %v", err)
	}
	return xs
}
