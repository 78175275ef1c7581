package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
)

// Router is Claims for workers that reach it but no store: it adds the step of the
// parent's run to Complete, and what else the end of an execution leads to.
var _ Claims = (*Router)(nil)

// LaterError says that an execution may not begin yet: a policy holds it. Whoever
// received its task gives it back for a while. It is an ErrBusy.
type LaterError struct{ After time.Duration }

func (e *LaterError) Error() string { return "held by a policy, ask again in " + e.After.String() }

// Unwrap makes it an ErrBusy.
func (e *LaterError) Unwrap() error { return hayate.ErrBusy }

// Claim implements Claims. A claim that a policy does not let through is a
// *LaterError, or an ErrConflict where the policy has ended the execution.
func (r *Router) Claim(ctx context.Context, c Claim) (hayate.Execution, error) {
	var held error
	d := Delivery{QueueItem: QueueItem{Execution: c.Execution},
		Ack: func(context.Context) error {
			held = fmt.Errorf("claim execution %s: it has ended: %w", c.Execution, hayate.ErrConflict)
			return nil
		},
		Nack: func(_ context.Context, after time.Duration) error { held = &LaterError{after}; return nil }}
	if !r.admit(ctx, d) {
		if held == nil {
			held = &LaterError{heldAgain}
		}
		return hayate.Execution{}, held
	}
	return r.store.Claim(ctx, c)
}

// Heartbeat implements Claims.
func (r *Router) Heartbeat(ctx context.Context, h Hold, until time.Time) (Signal, error) {
	return r.store.Heartbeat(ctx, h, until)
}

// Output implements Claims.
func (r *Router) Output(ctx context.Context, h Hold, lines []hayate.OutputLine) error {
	return r.store.Output(ctx, h, lines)
}

// Complete implements Claims.
func (r *Router) Complete(ctx context.Context, c Completion) error {
	x, err := r.Execution(ctx, c.Execution)
	if err != nil {
		return err
	}
	if !holdOf(&x, c.Hold) {
		return fmt.Errorf("complete execution %s: it is %s and attempt %d is not the one of %s any more: %w", x.ID, x.Status, c.Attempt, c.Worker, hayate.ErrConflict)
	}
	if err := r.record(ctx, &x, c); err != nil {
		return err
	}
	r.completed(ctx, &x, c)
	return nil
}

// holdOf says whether h is the hold on x; attempt 0 stands for any.
func holdOf(x *hayate.Execution, h Hold) bool {
	return !x.Status.Completed() && !x.Status.Claimable() && x.Worker == h.Worker && (h.Attempt == 0 || x.Attempt == h.Attempt)
}

// TaskOf makes ready what a runner elsewhere gets for a claimed execution, with its
// pack: parameters final, secrets opened. PackDir is that of this process.
func (r *Router) TaskOf(ctx context.Context, x *hayate.Execution) (hayate.Task, Pack, error) {
	cat := r.cat.Load()
	b := cat.actions[x.Action]
	if b == nil {
		return hayate.Task{}, Pack{}, fmt.Errorf("Action %q doesn't exist (any more): %w", x.Action, hayate.ErrInvalid)
	}
	t, err := r.task(ctx, x, b)
	if err != nil {
		return hayate.Task{}, Pack{}, err
	}
	var p Pack
	if known := cat.packs[b.Pack]; known != nil {
		p = *known
	}
	return t, p, nil
}

// Release gives a hold back whose attempt was not begun: the execution may be
// claimed again at once. Attempt 0 stands for whatever the worker holds of it.
// ErrConflict says that the hold is none (any more).
func (r *Router) Release(ctx context.Context, h Hold) error { return r.giveUp(ctx, h, r.freed) }

// Lost says that a worker began an attempt and died with it: what is done about it
// is what is done when its lease runs out.
func (r *Router) Lost(ctx context.Context, h Hold) error { return r.giveUp(ctx, h, r.settleLost) }

func (r *Router) giveUp(ctx context.Context, h Hold, settle func(context.Context, hayate.Execution) error) error {
	for range maxRetries {
		x, err := r.Execution(ctx, h.Execution)
		if err != nil {
			return err
		}
		if !holdOf(&x, h) {
			return fmt.Errorf("give up execution %s: it is %s and not held by %s: %w", x.ID, x.Status, h.Worker, hayate.ErrConflict)
		}
		if err := settle(ctx, x); !errors.Is(err, hayate.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("give up execution %s: it keeps changing: %w", h.Execution, hayate.ErrBusy)
}

// freed makes an execution claimable whose attempt was not begun.
func (r *Router) freed(ctx context.Context, x hayate.Execution) error {
	if x.Status != hayate.StatusRunning {
		return r.settleLost(ctx, x) // its cancellation was asked
	}
	if err := x.To(hayate.StatusScheduled, r.now()); err != nil {
		return err
	}
	x.Worker, x.LeaseUntil = "", time.Time{}
	if err := r.store.Commit(ctx, Change{Update: []hayate.Execution{x}}); err != nil {
		return fmt.Errorf("release execution %s: %w", x.ID, err)
	}
	x.Version++
	r.log.Info("task given back unbegun", "execution_id", x.ID, "attempt", x.Attempt)
	r.dispatch(ctx, []hayate.Execution{x})
	return nil
}

// spare extends the lease of an attempt whose worker may only be cut off, so that
// it is not settled as lost: how long, Config.Spare says.
func (r *Router) spare(ctx context.Context, x *hayate.Execution) bool {
	if r.cfg.Spare == nil {
		return false
	}
	more := r.cfg.Spare(x)
	if more <= 0 {
		return false
	}
	h := Hold{Execution: x.ID, Attempt: x.Attempt, Worker: x.Worker}
	if _, err := r.store.Heartbeat(ctx, h, r.now().Add(more)); err != nil {
		r.log.Debug("lease of a worker that may be cut off not extended", "execution_id", x.ID, "err", err)
	}
	return true
}
