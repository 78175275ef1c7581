package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
)

// sweepLimit bounds one sweep's lists.
const sweepLimit = 1000

// Recover brings back what an earlier process left behind: executions that wait
// are queued, attempts that were running are settled when nobody else can hold
// them. Run calls it first.
func (r *Router) Recover(ctx context.Context) error {
	if r.cfg.SoleOwner {
		if err := r.recoverLost(ctx); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
	}
	if r.cfg.SharedQueue {
		return nil
	}
	// Everything that may be claimed goes to the (empty) queue, page by page.
	q := Query{Status: []hayate.Status{hayate.StatusRequested, hayate.StatusScheduled, hayate.StatusDelayed}, Ascending: true, Limit: sweepLimit}
	n := 0
	for {
		p, err := r.store.Executions(ctx, q)
		if err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		r.dispatch(ctx, p.Items)
		n += len(p.Items)
		q.Offset += len(p.Items)
		if len(p.Items) < q.Limit {
			break
		}
	}
	if n > 0 {
		r.log.Info("waiting executions taken up", "executions", n)
	}
	return nil
}

// recoverLost settles all attempts of the process before: nobody else works on
// this store. It also ends what is left of those whose claim was in memory.
func (r *Router) recoverLost(ctx context.Context) error {
	q := Query{Status: []hayate.Status{hayate.StatusRunning, hayate.StatusCanceling}, Ascending: true, Limit: sweepLimit}
	for {
		p, err := r.store.Executions(ctx, q)
		if err != nil {
			return err
		}
		for _, x := range p.Items {
			if isWorkflow(x.Runner) {
				q.Offset++ // its run goes on by itself
				continue
			}
			r.cfg.OnLost(x)
			if err := r.settleLost(ctx, x); errors.Is(err, hayate.ErrConflict) {
				q.Offset++ // somebody canceled it meanwhile: it is looked at again by the sweeper
			} else if err != nil {
				return err
			}
		}
		if len(p.Items) < q.Limit {
			break
		}
	}
	for _, id := range r.cfg.Left() {
		x, err := r.Execution(ctx, id)
		switch {
		case errors.Is(err, hayate.ErrNotFound):
			continue // another store's
		case err != nil:
			return err
		case !x.Status.Completed():
			r.cfg.OnLost(x)
		}
	}
	return nil
}

// settleLost decides on an attempt whose worker is gone (DESIGN promise 3): an
// idempotent action gets another attempt, anything else is abandoned, visibly.
func (r *Router) settleLost(ctx context.Context, x hayate.Execution) error {
	at := r.now()
	again := false
	switch {
	case x.Status == hayate.StatusCanceling:
		x.Result = canceledResult(x.Cancel)
		if err := x.To(hayate.StatusCanceled, at); err != nil {
			return err
		}
	case x.Idempotent:
		again = true
		if err := x.To(hayate.StatusScheduled, at); err != nil {
			return err
		}
	default:
		x.Result = errorResult(fmt.Sprintf("worker %s was lost while it performed attempt %d; what the action did is unknown. "+
			"Look at the target, then re-run it with: hayate execution rerun %s", x.Worker, x.Attempt, x.ID))
		if err := x.To(hayate.StatusAbandoned, at); err != nil {
			return err
		}
	}
	x.Worker, x.LeaseUntil = "", time.Time{}
	if err := r.store.Commit(ctx, Change{Update: []hayate.Execution{x}}); err != nil {
		return fmt.Errorf("settle lost execution %s: %w", x.ID, err)
	}
	r.log.Warn("worker lost", "execution_id", x.ID, "action", x.Action, "attempt", x.Attempt, "status", x.Status)
	x.Version++
	if again {
		r.dispatch(ctx, []hayate.Execution{x})
		return nil
	}
	r.over(ctx, &x)
	return nil
}

// sweepLoop looks after what nobody may be working on, until ctx ends.
func (r *Router) sweepLoop(ctx context.Context) error {
	defer r.resign(ctx)
	soon := false
	for {
		stale, nudged, ok := r.awaitSweep(ctx, soon)
		if !ok {
			return ctx.Err()
		}
		soon = nudged // for what was accepted in the second before the queue was back
		if !r.leads(ctx) {
			continue
		}
		if err := r.sweepAll(ctx, stale); err != nil && ctx.Err() == nil {
			r.log.Error("sweep", "err", err)
		}
		if err := r.requeue(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("look for tasks that the queue lost", "err", err)
		}
	}
}

// Sweep looks once after what nobody may be working on: forgotten dispatches and
// lost attempts.
func (r *Router) Sweep(ctx context.Context) error { return r.sweepAll(ctx, r.staleAfter()) }

// staleAfter is the age from which an undispatched execution counts as forgotten.
func (r *Router) staleAfter() time.Duration { return max(2*r.cfg.SweepEvery, time.Second) }

func (r *Router) sweepAll(ctx context.Context, stale time.Duration) error {
	for {
		more, err := r.sweep(ctx, stale)
		if err != nil || !more || ctx.Err() != nil {
			return err
		}
	}
}

// sweep sweeps once, and says whether there is more that can be had at once.
func (r *Router) sweep(ctx context.Context, stale time.Duration) (more bool, err error) {
	sw, err := r.store.Sweep(ctx, SweepQuery{Now: r.now(), StaleAfter: stale, Limit: sweepLimit})
	if err != nil {
		return false, err
	}
	if len(sw.Dispatch) > 0 && r.dispatch(ctx, sw.Dispatch) {
		r.log.Info("forgotten tasks queued", "executions", len(sw.Dispatch))
		more = len(sw.Dispatch) == sweepLimit
	}
	var errs []error
	for _, x := range sw.Lost {
		if r.active.has(x.ID) {
			continue // it is ours and alive: the heartbeat is late, not lost
		}
		if isWorkflow(x.Runner) {
			continue // a run has no worker that could be lost
		}
		if r.spare(ctx, &x) {
			continue
		}
		r.cfg.OnLost(x)
		if err := r.settleLost(ctx, x); err != nil && !errors.Is(err, hayate.ErrConflict) {
			errs = append(errs, err)
		}
	}
	for i := range sw.Untold {
		if err := r.follow(ctx, &sw.Untold[i]); err != nil {
			r.log.Warn("what follows the end of an execution not done", "execution_id", sw.Untold[i].ID, "err", err)
		}
	}
	for _, id := range sw.Due {
		r.tick(ctx, id)
	}
	if err := r.expireInquiries(ctx); err != nil {
		errs = append(errs, err)
	}
	for _, e := range sw.Undecided {
		var wake time.Time
		rc, err := r.store.Accept(ctx, e, func(ctx context.Context, e *hayate.Event) (Decision, error) { return r.decide(ctx, e, &wake) })
		if err != nil {
			errs = append(errs, fmt.Errorf("decide on event %s: %w", e.ID, err))
			continue
		}
		r.dispatch(ctx, rc.Executions)
	}
	if err := r.wakeRules(ctx); err != nil {
		errs = append(errs, err)
	}
	if err := r.expireCallbacks(ctx); err != nil {
		errs = append(errs, err)
	}
	return more, errors.Join(errs...)
}

// keepAlive extends the leases of this process's attempts and hears what is
// asked of them, until ctx has ended and no attempt is left.
func (r *Router) keepAlive(ctx context.Context) error {
	run := context.WithoutCancel(ctx)
	every := r.cfg.Lease / 3
	for {
		alive := pause(ctx, every)
		if !alive {
			if len(r.active.holds()) == 0 {
				return ctx.Err()
			}
			// Draining: leases must be held until the last attempt has ended.
			pause(run, min(every, 100*time.Millisecond))
		}
		r.heartbeats(run)
	}
}

// heartbeats extends the lease of each attempt of this process once.
func (r *Router) heartbeats(ctx context.Context) {
	for _, h := range r.active.holds() {
		at := r.now()
		sig, err := r.store.Heartbeat(ctx, h, at.Add(r.cfg.Lease))
		switch {
		case errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound):
			r.active.lose(h)
		case err != nil:
			r.log.Warn("heartbeat not stored", "execution_id", h.Execution, "err", err)
		case sig.Cancel:
			r.active.cancel(h.Execution)
		}
	}
}

// purgeLoop removes history beyond its retention, in small portions.
func (r *Router) purgeLoop(ctx context.Context) error {
	if r.cfg.Retention < 0 && r.cfg.RetainCount == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	for pause(ctx, time.Minute) {
		for {
			n, err := r.Purge(ctx)
			if err != nil && ctx.Err() == nil {
				r.log.Error("purge history", "err", err)
			}
			if n < sweepLimit || err != nil || !pause(ctx, 50*time.Millisecond) {
				break
			}
		}
	}
	return ctx.Err()
}

// tombstones is how long the key of a purged event is remembered (DESIGN §2).
const tombstones = 14 * 24 * time.Hour

// Purge removes one portion of history that is beyond its retention.
func (r *Router) Purge(ctx context.Context) (int, error) {
	at := r.now()
	q := PurgeQuery{Keep: r.cfg.RetainCount, Limit: sweepLimit}
	if r.cfg.Retention >= 0 {
		q.Before = at.Add(-r.cfg.Retention)
		q.ForgetKeys = q.Before.Add(-tombstones)
	}
	return r.store.Purge(ctx, q)
}
