package outpost

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/attempt"
	"github.com/hayate-run/hayate/router/remote"
)

// take claims a task and performs it. The task is acknowledged once its claim is
// granted; what has begun is not undone by the end of ctx.
func (w *Worker) take(ctx context.Context, d router.Delivery) {
	run := context.WithoutCancel(ctx)
	e := Entry{State: Claiming, Claim: remote.NewID(), Execution: d.Execution, Token: d.Token}
	w.active.ask(e.Claim, true)
	defer w.active.ask(e.Claim, false)
	if err := w.c.Spool.Put(e); err != nil {
		w.c.Log.Error("the spool takes nothing, so no task is begun", "err", err)
		w.giveBack(run, d, 5*time.Second)
		pause(ctx, time.Second)
		return
	}
	claiming, cancel := context.WithTimeout(ctx, w.c.ClaimWait)
	g, err := w.c.Client.Take(claiming, router.Claim{Execution: d.Execution, Token: d.Token}, e.Claim)
	cancel()
	var later *router.LaterError
	switch {
	case err == nil:
	case errors.As(err, &later): // a policy holds it
		w.drop(e.Claim)
		w.giveBack(run, d, max(later.After, 100*time.Millisecond))
		return
	case errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound): // delivered twice, canceled, purged
		w.c.Log.Debug("claim refused", "execution_id", d.Execution, "err", err)
		w.drop(e.Claim)
		w.ack(run, d)
		return
	case errors.Is(err, hayate.ErrDenied), errors.Is(err, hayate.ErrInvalid):
		w.c.Log.Error("claim refused", "execution_id", d.Execution, "err", err)
		w.drop(e.Claim)
		w.ack(run, d)
		return
	default:
		// Nobody answered: it may be granted all the same, so it is taken back.
		w.c.Log.Warn("claim not answered, task given back", "execution_id", d.Execution, "err", err)
		w.active.ask(e.Claim, false)
		w.nudge()
		w.giveBack(run, d, 5*time.Second)
		return
	}
	if had := w.lease.Load(); g.Lease > 0 && (had == 0 || int64(g.Lease) < had) {
		w.lease.Store(int64(g.Lease))
	}
	e.State, e.Token, e.Attempt, e.Worker = Begun, g.Token, g.Attempt, g.Worker
	if err := w.c.Spool.Put(e); err != nil {
		w.c.Log.Error("the spool takes nothing, so the task is not begun", "execution_id", d.Execution, "err", err)
		if err := w.c.Client.Abandon(run, d.Execution, e.Claim, g.Token); err != nil {
			w.c.Log.Warn("claim not taken back", "execution_id", d.Execution, "err", err)
		}
		w.ack(run, d)
		return
	}
	act := w.active.begin(run, &g)
	w.ack(run, d)
	w.finish(e, act, g.Idempotent, w.perform(act, &g))
}

// finish writes down what an attempt came to; from then on it is told until it is
// answered.
func (w *Worker) finish(e Entry, act *running, idempotent bool, res hayate.Result) {
	switch cause := context.Cause(act.ctx); {
	case errors.Is(cause, errLost): // another attempt owns the outcome
		w.active.end(e.Claim)
		w.drop(e.Claim)
		return
	case errors.Is(cause, errStopped) && idempotent: // told as lost: it may be attempted again
		w.active.end(e.Claim)
		w.nudge()
		return
	}
	e.State, e.Result, e.At = Done, &res, w.now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := w.c.Spool.Put(e)
		if err == nil {
			break
		}
		w.c.Log.Error("result not written down, will repeat", "execution_id", e.Execution, "err", err)
		if pause(context.WithoutCancel(act.ctx), wait); w.active.stopped() {
			break // the entry says that it was begun: the next process tells that it was lost
		}
	}
	w.c.Log.Info("attempt ended", "execution_id", e.Execution, "attempt", e.Attempt, "status", res.Status)
	w.nudge()
}

// perform runs a granted attempt to its end.
func (w *Worker) perform(act *running, g *remote.Granted) hayate.Result {
	t := g.Task
	r, ok := w.runners[t.Action.Runner]
	if !ok {
		return attempt.Failed("no runner %q in this worker", t.Action.Runner)
	}
	dir, err := w.c.Pack(act.ctx, g)
	if err != nil && act.ctx.Err() == nil {
		return attempt.Failed("the pack %s could not be had: %v", g.Pack, err)
	}
	t.PackDir = dir
	out := attempt.NewLines(attempt.LinesConfig{Execution: g.Execution, Attempt: g.Attempt, Secrets: t.Secrets, Now: w.now,
		Store: func(lines []hayate.OutputLine) { w.output(act, g.Hold, lines) }})
	began := w.now()
	res, err := r.Run(act.ctx, t, out.Line)
	out.Flush()
	switch {
	case errors.Is(context.Cause(act.ctx), errStopped):
		return attempt.Stopped()
	case err != nil:
		return attempt.Failed("%v", err)
	}
	if res.Status == hayate.StatusCanceled {
		return res
	}
	return attempt.Verify(&t, r.asserts, began, w.now(), res)
}

// output sends lines to those who watch. It waits for nobody long: the result
// carries the output too.
func (w *Worker) output(act *running, h router.Hold, lines []hayate.OutputLine) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(act.ctx), time.Second)
	defer cancel()
	if err := w.c.Client.Output(ctx, h, lines); err != nil {
		w.c.Log.Debug("output not told", "execution_id", h.Execution, "lines", len(lines), "err", err)
	}
}

func (w *Worker) ack(ctx context.Context, d router.Delivery) {
	if err := d.Ack(ctx); err != nil {
		w.c.Log.Warn("task not acknowledged, it will come again and be refused", "execution_id", d.Execution, "err", err)
	}
}

func (w *Worker) giveBack(ctx context.Context, d router.Delivery, delay time.Duration) {
	if err := d.Nack(ctx, delay); err != nil {
		w.c.Log.Debug("task not given back, it comes again by itself", "execution_id", d.Execution, "err", err)
	}
}

func (w *Worker) drop(claim string) {
	if err := w.c.Spool.Drop(claim); err != nil {
		w.c.Log.Error("spool", "err", err)
	}
}

var (
	errLost    = errors.New("the hold on the execution was lost")
	errStopped = errors.New("the worker is stopping")
)

// active are the attempts that are performed now, by claim.
type active struct {
	mu sync.Mutex
	m  map[string]*running
	// asking are the claims that wait for their answer.
	asking map[string]bool
	stop   bool
}

// ask notes a claim that waits for its answer, or no longer does.
func (a *active) ask(claim string, on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if on {
		a.asking[claim] = true
	} else {
		delete(a.asking, claim)
	}
}

type running struct {
	hold   router.Hold
	cancel context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // its cause tells why the attempt was stopped
}

func (a *active) begin(ctx context.Context, g *remote.Granted) *running {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{hold: g.Hold, cancel: cancel, ctx: ctx}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.m[g.Claim] = r
	if a.stop {
		cancel(errStopped)
	}
	return r
}

func (a *active) end(claim string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.m[claim]; r != nil {
		r.cancel(nil)
		delete(a.m, claim)
	}
}

func (a *active) has(claim string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.m[claim] != nil
}

func (a *active) stopAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop = true
	for _, r := range a.m {
		r.cancel(errStopped)
	}
}

func (a *active) stopped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stop
}

func (a *active) list() []*running {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*running, 0, len(a.m))
	for _, r := range a.m {
		out = append(out, r)
	}
	return out
}
