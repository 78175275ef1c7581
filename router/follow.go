package router

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/flow"
)

// over counts the stored end of an execution, and does what follows it.
func (r *Router) over(ctx context.Context, x *hayate.Execution) {
	r.metrics.ended(x.Status)
	r.log.Info("execution ended", "execution_id", x.ID, "action", x.Action, "status", x.Status, "trace", x.Trace)
	if err := r.follow(ctx, x); err != nil {
		r.log.Warn("what follows the end of an execution not done, the sweeper will", "execution_id", x.ID, "err", err)
	}
	r.waiters.wake(x.ID)
}

// follow does what follows the stored end of an execution and marks it as done:
// its places in gates are freed; of a task its workflow hears; else it is
// announced, its rule's circuit breaker hears of it, and it is followed by a retry
// where a policy says so. Each part may be done
// twice, so that a sweeper repeats the whole where a process died in it.
func (r *Router) follow(ctx context.Context, x *hayate.Execution) error {
	if err := r.leaveGates(ctx, x); err != nil {
		return err
	}
	if x.Parent != "" {
		return r.tellParent(ctx, x)
	}
	if err := r.announce(ctx, x); err != nil {
		return err
	}
	if err := r.tellBreaker(ctx, x); err != nil {
		return err
	}
	var again []hayate.Execution
	if y := r.retryOf(x, r.now()); y != nil {
		again = append(again, *y)
	}
	if !x.Follow && again == nil {
		return nil
	}
	if err := r.store.Commit(ctx, Change{Insert: again, Told: []hayate.ExecutionID{x.ID}}); err != nil {
		return fmt.Errorf("follow the end of execution %s: %w", x.ID, err)
	}
	for i := range again {
		r.log.Info("execution is retried", "execution_id", x.ID, "action", x.Action, "status", x.Status, "retry", again[i].ID)
	}
	r.dispatch(ctx, again)
	return nil
}

// followAttempt does what follows an attempt whose end is stored, and of which its
// workflow, if it is a task, has heard.
func (r *Router) followAttempt(ctx context.Context, x *hayate.Execution) {
	cat := r.cat.Load()
	if !x.Follow && cat.governed[x.Action] == nil && (x.Parent != "" || !cat.actionTrigger && !cat.breaks(x.Rule)) {
		return
	}
	y, err := r.Execution(ctx, x.ID) // what its end was is for the store to say
	switch {
	case err != nil:
	case y.Parent != "":
		err = r.leaveGates(ctx, &y)
	case y.Status.Completed():
		err = r.follow(ctx, &y)
	}
	if err != nil && !errors.Is(err, hayate.ErrNotFound) {
		r.log.Warn("what follows the end of an execution not done, the sweeper will", "execution_id", x.ID, "err", err)
	}
}

// owed is what committed steps of a run ask of others. It is stored with the step
// and struck out once it is done, so that a sweeper does it where the process that
// stepped the run died. Doing it twice does no harm.
type owed struct {
	// Children is what its children are asked for: to cancel, to pause, to resume.
	Children flow.CommandKind `json:"children,omitempty"`
	Asked    int64            `json:"asked,omitempty"` // the run's version that asks it
	// Moved is the run's version that made it pause or go on, of which its parent is
	// to hear; 0 for none.
	Moved int64 `json:"moved,omitempty"`
	// Ends are tasks that have ended and are to be announced.
	Ends []hayate.ExecutionID `json:"ends,omitempty"`
}

func (o *owed) empty() bool { return o == nil || o.Children == "" && o.Moved == 0 && len(o.Ends) == 0 }

// since is what o asks beyond what before did.
func (o *owed) since(before *owed) *owed {
	if o == nil || before == nil {
		return o
	}
	fresh := *o
	if fresh.Asked == before.Asked {
		fresh.Children, fresh.Asked = "", 0
	}
	if fresh.Moved == before.Moved {
		fresh.Moved = 0
	}
	fresh.Ends = slices.DeleteFunc(slices.Clone(fresh.Ends), func(id hayate.ExecutionID) bool { return slices.Contains(before.Ends, id) })
	return &fresh
}

// struck is what is left of o once done is done: what was asked since remains.
func (o *owed) struck(done *owed) *owed {
	if o == nil {
		return nil
	}
	left := *o
	if left.Asked == done.Asked {
		left.Children, left.Asked = "", 0
	}
	if left.Moved == done.Moved {
		left.Moved = 0
	}
	left.Ends = slices.DeleteFunc(slices.Clone(left.Ends), func(id hayate.ExecutionID) bool { return slices.Contains(done.Ends, id) })
	if left.empty() {
		return nil
	}
	return &left
}

// pay does what a run owes to others and strikes it out.
func (r *Router) pay(ctx context.Context, id hayate.ExecutionID, o owed) {
	var errs []error
	if o.Children != "" {
		errs = append(errs, r.tellChildren(ctx, id, o.Children))
	}
	if o.Moved != 0 {
		x, err := r.Execution(ctx, id)
		if err == nil {
			err = r.tellParent(ctx, &x)
		}
		errs = append(errs, err)
	}
	for _, end := range o.Ends {
		x, err := r.Execution(ctx, end)
		if err == nil {
			err = r.announce(ctx, &x)
		}
		if !errors.Is(err, hayate.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	err := errors.Join(errs...)
	if err == nil {
		err = r.tell(ctx, id, &told{paid: &o})
	}
	if err != nil {
		r.log.Warn("what a run asks of others not done, the sweeper will", "run_id", id, "err", err)
	}
}
