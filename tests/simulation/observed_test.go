package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// observed is what really happened, seen beneath all faults: what the store
// accepted, and what the actions did. Its methods may be called from many
// goroutines.
type observed struct {
	planted bug

	mu      sync.Mutex
	jumped  bool                                    // some clock was set
	apart   bool                                    // clocks of processes differ by more than leases bear
	ends    map[hayate.ExecutionID]int              // accepted ends
	steps   map[hayate.ExecutionID]int              // accepted steps of runs
	effects map[string]int                          // by idempotency key
	status  map[hayate.ExecutionID]hayate.Status    // of runs, as committed
	holds   map[string]map[hayate.ExecutionID]bool  // running attempts, by what bounds them
	expired map[hayate.ExecutionID]hayate.Execution // questions that the planted bug lets expire again
	turns   atomic.Int64                            // decisions made by what rules remember
	decided map[hayate.EventID]int64                // the turn of each such event
	wrong   []string
}

func newObserved(planted bug) *observed {
	return &observed{planted: planted, ends: map[hayate.ExecutionID]int{}, steps: map[hayate.ExecutionID]int{}, effects: map[string]int{},
		status: map[hayate.ExecutionID]hayate.Status{}, holds: map[string]map[hayate.ExecutionID]bool{},
		expired: map[hayate.ExecutionID]hayate.Execution{}, decided: map[hayate.EventID]int64{}}
}

func (o *observed) fail(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed(format, args...)
}

// failed is fail with mu held.
func (o *observed) failed(format string, args ...any) {
	o.wrong = append(o.wrong, fmt.Sprintf(format, args...))
}

func (o *observed) commit(ctx context.Context, s router.Store, c router.Change) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.planted == uncheckedVersion && c.Run != nil {
		blind := *c.Run
		blind.From = int64(o.steps[blind.ID])
		c.Run = &blind
	}
	if o.expiresAgain(&c) {
		return nil
	}
	if err := s.Commit(ctx, c); err != nil {
		return err
	}
	o.changed(&c)
	return nil
}

// complete implements Claims.Complete beneath the faults.
func (o *observed) complete(ctx context.Context, s router.Store, c router.Completion) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := s.Complete(ctx, c); err != nil {
		return err
	}
	o.ended(&c)
	if c.Step != nil {
		o.changed(c.Step)
	}
	return nil
}

func (o *observed) changed(c *router.Change) {
	for i := range c.Complete {
		o.ended(&c.Complete[i])
	}
	if c.Run != nil && o.status[c.Run.ID] == hayate.StatusPaused {
		moved := slices.ContainsFunc(c.Update, func(x hayate.Execution) bool { return x.ID == c.Run.ID })
		if len(c.Insert) > 0 && !moved {
			o.failed("run %s, which is paused, started %s", c.Run.ID, c.Insert[0].Action)
		}
	}
	for i := range c.Update {
		x := &c.Update[i]
		if isFlow(x.Runner) {
			o.status[x.ID] = x.Status
		}
		if x.Status.Completed() {
			o.end(x.ID)
		}
		if x.Status != hayate.StatusRunning && x.Status != hayate.StatusCanceling {
			o.letGo(x.ID)
		}
	}
	if c.Run != nil {
		o.steps[c.Run.ID]++
	}
}

func (o *observed) ended(c *router.Completion) {
	if c.Result.Status.Completed() {
		o.end(c.Execution)
	}
}

func (o *observed) end(id hayate.ExecutionID) {
	o.letGo(id)
	o.ends[id]++
	if n := o.ends[id]; n > 1 {
		o.failed("execution %s was ended %d times", id, n)
	}
}

// setApart notes that one of several clocks was set. A lease is an agreement
// between clocks: where they differ by more than it, an attempt counts as lost
// while its worker is about to begin it.
func (o *observed) setApart(several bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jumped, o.apart = true, o.apart || several
}

// began notes that an attempt begins.
func (o *observed) began(t *hayate.Task) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ends[t.Execution] > 0 && !o.apart {
		o.failed("execution %s of %s, which had ended, is performed again", t.Execution, t.Action.Ref())
	}
}

// effect notes what an action does to the world.
func (o *observed) effect(t *hayate.Task) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.effects[t.IdempotencyKey]++
	if n := o.effects[t.IdempotencyKey]; n > 1 && !t.Action.Idempotent {
		o.failed("the effect of execution %s of %s, which is not idempotent, happened %d times", t.Execution, t.Action.Ref(), n)
	}
}
