package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
)

// TargetOf says under which target an execution waits in a queue: its own, or,
// where a router is to step it, the one that routers receive for.
func TargetOf(x *hayate.Execution) string {
	if isWorkflow(x.Runner) {
		return targetWorkflow
	}
	return x.Target
}

// targetOf is who is to perform an action: as was asked, else as the action says.
// Workflows are stepped by routers, wherever their tasks are performed.
func targetOf(b *boundAction, asked string) string {
	switch {
	case isWorkflow(b.Runner):
		return ""
	case asked != "":
		return asked
	}
	return b.Target
}

// Drain performs, within the call, what an event led to and this process can
// perform: what waits for one of its targets and has a runner here. It is for
// functions that must have done their work when they return, and may be called
// again for an event that was drained already.
//
// ErrBusy says that something is left: another process is at it, or a claim
// could not be had. Whoever delivered the event delivers it again. What waits
// for a later time, for another target or for a runner that is not here is left
// to those who look after it.
func (r *Router) Drain(ctx context.Context, id hayate.EventID) error {
	var last []hayate.ExecutionID
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("drain event %s: %w", id, err)
		}
		p, err := r.store.Executions(ctx, Query{Event: id, Ascending: true, Limit: -1})
		if err != nil {
			return fmt.Errorf("drain event %s: %w", id, err)
		}
		var ready []*hayate.Execution
		var ids []hayate.ExecutionID
		var held *hayate.Execution
		settled := false
		for i := range p.Items {
			x := &p.Items[i]
			switch {
			case !r.performs(x):
			case x.Status.Claimable() && !x.NotBefore.After(r.now()):
				ready = append(ready, x)
				ids = append(ids, x.ID)
			case x.LeaseUntil.IsZero() || x.Status.Completed():
			case x.LeaseUntil.After(r.now()):
				held = x
			default:
				if err := r.settleLost(ctx, *x); err != nil && !errors.Is(err, hayate.ErrConflict) {
					return fmt.Errorf("drain event %s: %w", id, err)
				}
				settled = true
			}
		}
		switch {
		case len(ready) == 0 && held != nil:
			return fmt.Errorf("drain event %s: execution %s is held by %s until %s: %w",
				id, held.ID, held.Worker, held.LeaseUntil.Format(time.RFC3339), hayate.ErrBusy)
		case len(ready) == 0 && !settled:
			return nil
		case len(ready) > 0 && slices.Equal(ids, last):
			return fmt.Errorf("drain event %s: execution %s could not be claimed: %w", id, ids[0], hayate.ErrBusy)
		}
		last = ids
		for _, x := range ready {
			r.take(ctx, Delivery{QueueItem: QueueItem{Execution: x.ID, Target: TargetOf(x)}, Ack: ignored, Nack: notAgain}, manner{record: atOnce})
		}
	}
}

// ignored and notAgain answer for executions that no queue delivered.
func ignored(context.Context) error                 { return nil }
func notAgain(context.Context, time.Duration) error { return nil }

// atOnce records a result before the caller goes on.
func atOnce(record func()) { record() }

// performs says whether this process can do what the execution asks for.
func (r *Router) performs(x *hayate.Execution) bool {
	if isWorkflow(x.Runner) {
		return true
	}
	b := r.cat.Load().actions[x.Action]
	return slices.Contains(r.cfg.Targets, x.Target) && (b == nil || b.impl != nil)
}
