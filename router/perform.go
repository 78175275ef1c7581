package router

import (
	"context"
	"errors"
	"time"

	"github.com/hayate-run/hayate"
)

// Perform does what a queue delivered, within the call: it claims the execution,
// performs it and records what came of it, or steps a run where the target is
// that of routers. It acknowledges the delivery, or gives it back with a delay,
// before it returns. The lease of an attempt is extended meanwhile. When ctx
// ends, the attempt is stopped as if this process ended: an idempotent action is
// attempted again once its lease has run out, any other is abandoned.
func (r *Router) Perform(ctx context.Context, d Delivery) {
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		r.beat(alive)
	}()
	r.take(ctx, d, manner{record: atOnce, until: ctx})
	stop()
	<-beating
}

// beat extends the leases of this process's attempts until ctx ends.
func (r *Router) beat(ctx context.Context) {
	for pause(ctx, r.cfg.Lease/3) {
		r.heartbeats(ctx)
	}
}

// Tick does once what Run does again and again: it sweeps until nothing is left
// that nobody works on, fires the ticks of timers that are due, and removes a
// portion of old history. It is for
// processes that are called by a clock. Several may tick at once.
func (r *Router) Tick(ctx context.Context) error {
	errs := []error{r.Sweep(ctx), r.requeue(ctx)}
	if r.hasTimers() {
		_, err := r.TickTimers(ctx)
		errs = append(errs, err)
	}
	if r.cfg.Retention >= 0 || r.cfg.RetainCount > 0 {
		if _, err := r.Purge(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// maxWake is how far ahead a wake is put into a queue. What is later is found by
// the sweep, which the store answers by time.
const maxWake = 15 * time.Minute

// wakeRun asks for a run to be looked at, through the queue: the id is that of the
// run, or of a task of it that has ended. Where it does not arrive, the next
// sweep does the same.
func (r *Router) wakeRun(ctx context.Context, id hayate.ExecutionID, at time.Time) {
	if !at.IsZero() && at.Sub(r.now()) > maxWake {
		return
	}
	if err := r.queue.Put(context.WithoutCancel(ctx), QueueItem{Execution: id, Target: targetWorkflow, NotBefore: at}); err != nil {
		r.log.Warn("run not woken, the sweeper will", "execution_id", id, "err", err)
	}
}
