package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Timers keeps what timers remember.
type Timers struct {
	mu     sync.Mutex
	states map[string]router.TimerState
	closed bool
}

var _ router.Timers = (*Timers)(nil)

// NewTimers returns a keeper of no timers.
func NewTimers() *Timers { return &Timers{states: map[string]router.TimerState{}} }

func (k *Timers) enter(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return fmt.Errorf("%s: the timers are closed: %w", act, hayate.ErrBusy)
	}
	return nil
}

// TimerStates implements router.Timers.
func (k *Timers) TimerStates(ctx context.Context) ([]router.TimerState, error) {
	if err := k.enter(ctx, "read timers"); err != nil {
		return nil, err
	}
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Values(k.states), func(a, b router.TimerState) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// PutTimers implements router.Timers.
func (k *Timers) PutTimers(ctx context.Context, states ...router.TimerState) error {
	if err := k.enter(ctx, "store timers"); err != nil {
		return err
	}
	defer k.mu.Unlock()
	for i := range states {
		if have := k.states[states[i].ID].Token; have > states[i].Token {
			return fmt.Errorf("store timer %s: token %d comes after %d: %w", states[i].ID, states[i].Token, have, hayate.ErrConflict)
		}
	}
	for i := range states {
		k.states[states[i].ID] = states[i]
	}
	return nil
}

// DropTimers implements router.Timers.
func (k *Timers) DropTimers(ctx context.Context, token int64, ids ...string) error {
	if err := k.enter(ctx, "forget timers"); err != nil {
		return err
	}
	defer k.mu.Unlock()
	for _, id := range ids {
		if k.states[id].Token <= token {
			delete(k.states, id)
		}
	}
	return nil
}

// Close ends the keeper. Twice is fine.
func (k *Timers) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	return nil
}
