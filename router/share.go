package router

import (
	"context"
	"time"

	"github.com/hayate-run/hayate"
)

// TargetWorkflow is the target under which workflows wait for a router: what a
// process that performs no actions receives for.
const TargetWorkflow = targetWorkflow

// sweeper is the lease of the one process that sweeps.
const sweeper = "sweeper"

// leads says whether this process may sweep: it takes or extends the lease. A
// sweeper that dies is followed after its lease and one pause, 13 s by default. The
// version in every write is the fence: one that believes too long that it leads
// does harm to nothing.
func (r *Router) leads(ctx context.Context) bool {
	if r.cfg.Leases == nil {
		return true
	}
	now := r.now()
	_, err := r.cfg.Leases.Acquire(ctx, sweeper, r.cfg.Worker, now, now.Add(r.cfg.SweepEvery*8/5))
	if leads := err == nil; r.leading.Swap(leads) != leads {
		r.log.Info("sweeper", "leads", leads)
	}
	return err == nil
}

// resign gives the lease up, so that another process sweeps at once.
func (r *Router) resign(ctx context.Context) {
	if r.cfg.Leases == nil || !r.leading.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.cfg.Leases.Release(ctx, sweeper, r.cfg.Worker); err != nil {
		r.log.Warn("sweeper's lease not given up, it runs out", "err", err)
	}
}

// Nudge has the sweeper look at once, since the queue may take tasks again. It
// returns at once.
func (r *Router) Nudge() {
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

// fresh is how long an execution may be on its way to the queue.
const fresh = time.Second

// awaitSweep waits until it is time to sweep, and says from which age on a task
// that no queue took counts as forgotten, and whether the queue is just back; false
// says that ctx has ended.
func (r *Router) awaitSweep(ctx context.Context, soon bool) (stale time.Duration, nudged, ok bool) {
	every, stale := r.cfg.SweepEvery, r.staleAfter()
	if soon {
		every, stale = fresh+fresh/2, fresh
	}
	t := time.NewTimer(every)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return 0, false, false
	case <-t.C:
	case <-r.nudged:
		stale, nudged = fresh, true
	}
	return stale, nudged, ctx.Err() == nil
}

// waitingByTarget is what a queue may offer that lives longer than the processes
// that use it: how many items wait for a target, if that is known.
type waitingByTarget interface {
	// Waiting says how many items wait for a target, as of some seconds ago; with
	// again also those of any target that were given back for some seconds. false: it
	// is not known.
	Waiting(target string, again bool) (int, bool)
}

// requeueAfter is how long an execution may wait for its claim, though nothing
// waits in its queue, before it counts as lost by the queue.
const requeueAfter = 10 * time.Second

// requeue puts executions again that were dispatched but are in no queue any more:
// it was deleted, emptied, or gave them up. It costs a query a sweep; a task that is
// in a receiver's hands just then is sent twice, and the claim decides.
func (r *Router) requeue(ctx context.Context) error {
	queue, ok := r.queue.(waitingByTarget)
	if !ok || !r.cfg.SharedQueue {
		return nil
	}
	old := r.now().Add(-requeueAfter)
	// What is empty, by target, as it was when this look began. An execution that a
	// policy holds goes round: it is in its queue or has been given back.
	type place struct {
		target string
		round  bool
	}
	empty := map[place]bool{}
	gone := func(x *hayate.Execution) bool {
		if x.NotBefore.After(old) {
			return false
		}
		at := place{TargetOf(x), x.Status == hayate.StatusDelayed && x.NotBefore.IsZero()}
		is, asked := empty[at]
		if !asked {
			n, known := queue.Waiting(at.target, at.round)
			is = known && n == 0
			empty[at] = is
		}
		return is
	}
	q := Query{Status: []hayate.Status{hayate.StatusRequested, hayate.StatusScheduled, hayate.StatusDelayed}, Before: old, Ascending: true, Limit: sweepLimit}
	// Behind those that rightly wait for a worker may be others: look at some pages.
	for range requeuePages {
		p, err := r.store.Executions(ctx, q)
		if err != nil {
			return err
		}
		var lost []hayate.Execution
		for i := range p.Items {
			if gone(&p.Items[i]) {
				lost = append(lost, p.Items[i])
			}
		}
		if len(lost) > 0 && r.dispatch(ctx, lost) {
			r.log.Info("tasks that their queue had no more are queued again", "executions", len(lost))
		}
		if len(p.Items) < q.Limit {
			break
		}
		q.Offset += len(p.Items)
	}
	return nil
}

// requeuePages bounds how many pages of waiting executions one look reads.
const requeuePages = 20
