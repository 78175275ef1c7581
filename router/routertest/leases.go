package routertest

import (
	"fmt"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// TestLeases tests a keeper of leases.
func TestLeases(t *testing.T, open func(t *testing.T) router.Leases) {
	for name, test := range map[string]func(*testing.T, router.Leases){
		"is held by one, until it runs out": leaseHeld,
		"is extended by its holder":         leaseExtended,
		"is given up by its holder alone":   leaseReleased,
		"is given to one of eight":          leaseRace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func leaseHeld(t *testing.T, l router.Leases) {
	first, err := l.Acquire(ctx(t), "shard-1", "a", after(0), after(10))
	if err != nil || first <= 0 {
		t.Fatalf("Acquire gave token %d, error %v", first, err)
	}
	_, err = l.Acquire(ctx(t), "shard-1", "b", after(9), after(20))
	wantKind(t, "Acquire while another holds it", err, hayate.ErrConflict)
	if _, err := l.Acquire(ctx(t), "shard-2", "b", after(9), after(20)); err != nil {
		t.Errorf("Acquire of another lease: %v", err)
	}
	second, err := l.Acquire(ctx(t), "shard-1", "b", after(11), after(20))
	if err != nil || second <= first {
		t.Errorf("Acquire after it ran out gave token %d, error %v; want more than %d", second, err, first)
	}
	_, err = l.Acquire(ctx(t), "shard-1", "a", after(12), after(30))
	wantKind(t, "Acquire by the former holder", err, hayate.ErrConflict)
}

func leaseExtended(t *testing.T, l router.Leases) {
	first, err := l.Acquire(ctx(t), "x", "a", after(0), after(10))
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	again, err := l.Acquire(ctx(t), "x", "a", after(5), after(100))
	if err != nil || again != first {
		t.Errorf("extending gave token %d, error %v; want %d again", again, err, first)
	}
	_, err = l.Acquire(ctx(t), "x", "b", after(50), after(60))
	wantKind(t, "Acquire of an extended lease", err, hayate.ErrConflict)
}

func leaseReleased(t *testing.T, l router.Leases) {
	if err := l.Release(ctx(t), "x", "a"); err != nil {
		t.Errorf("Release of what nobody holds: %v", err)
	}
	first, err := l.Acquire(ctx(t), "x", "a", after(0), after(100))
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	if err := l.Release(ctx(t), "x", "b"); err != nil {
		t.Errorf("Release of what another holds: %v", err)
	}
	_, err = l.Acquire(ctx(t), "x", "b", after(1), after(100))
	wantKind(t, "Acquire", err, hayate.ErrConflict)
	if err := l.Release(ctx(t), "x", "a"); err != nil {
		t.Fatalf("Release: %v", err)
	}
	second, err := l.Acquire(ctx(t), "x", "b", after(1), after(100))
	if err != nil || second <= first {
		t.Errorf("Acquire after the release gave token %d, error %v; want more than %d", second, err, first)
	}
}

func leaseRace(t *testing.T, l router.Leases) {
	for round := range 3 {
		tokens := make([]int64, 8)
		won := -1
		for i, err := range race(8, func(i int) (err error) {
			tokens[i], err = l.Acquire(ctx(t), "x", fmt.Sprint("node-", i), after(round*100), after(round*100+50))
			return err
		}) {
			if err == nil && won >= 0 {
				t.Errorf("nodes %d and %d both hold the lease", won, i)
			}
			if err == nil {
				won = i
			} else {
				wantKind(t, fmt.Sprint("node ", i), err, hayate.ErrConflict)
			}
		}
		if won < 0 {
			t.Error("no node holds the lease")
		}
	}
}
