package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/attempt"
	"github.com/hayate-run/hayate/router/render"
)

// work performs attempts, one after the other, until ctx ends.
func (r *Router) work(ctx context.Context) error {
	for {
		d, err := r.queue.Receive(ctx, r.cfg.Targets...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.log.Error("receive task", "err", err)
			if !pause(ctx, time.Second) {
				return ctx.Err()
			}
			continue
		}
		r.take(ctx, d, manner{record: r.finish})
	}
}

// manner is how an attempt is performed.
type manner struct {
	// record has a result recorded, here or beside the caller.
	record func(func())
	// until, where it is set, stops the attempt with its end, as the end of the
	// process would; nil: only the process's own end does.
	until context.Context //nolint:containedctx // an argument, handed on at once
}

// pause waits, and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// take claims a delivered execution and performs it. What happens to an attempt
// that has begun is not undone by the end of ctx: it is drained.
func (r *Router) take(ctx context.Context, d Delivery, how manner) {
	run := context.WithoutCancel(ctx)
	if d.Target == targetWorkflow {
		r.takeRun(run, d)
		return
	}
	if !r.admit(run, d) {
		return
	}
	// The clock may be set while the claim is on its way; the time since begun does not
	// mind.
	begun := time.Now()
	at := r.now()
	x, err := r.store.Claim(run, Claim{Execution: d.Execution, Worker: r.cfg.Worker, At: at, Until: at.Add(r.cfg.Lease)})
	switch {
	case errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound):
		r.refused(run, d, at)
		return
	case err != nil:
		r.log.Error("claim task", "execution_id", d.Execution, "err", err)
		if err := d.Nack(run, time.Second); err != nil {
			r.log.Warn("task not given back, the sweeper will", "execution_id", d.Execution, "err", err)
		}
		return
	}
	// The hold counts as alive from here on, so that this process's own sweeper
	// does not take it for lost while the delivery is being acknowledged.
	hold := Hold{Execution: x.ID, Attempt: x.Attempt, Worker: r.cfg.Worker}
	act := r.active.begin(run, hold)
	r.settle(run, d)
	if !r.inTime(run, hold, at, begun) {
		r.active.end(hold)
		return
	}
	if how.until != nil {
		defer context.AfterFunc(how.until, func() { act.cancel(errStopped) })()
	}
	r.perform(run, act, &x, how.record)
}

// inTime says whether an attempt may begin. Where the claim and what followed it
// took so long that the lease may be over and the attempt another's, the store is
// asked.
func (r *Router) inTime(ctx context.Context, h Hold, claimed, begun time.Time) bool {
	if bound := r.cfg.Lease / 3; time.Since(begun) < bound && r.now().Sub(claimed) < bound {
		return true
	}
	if _, err := r.store.Heartbeat(ctx, h, r.now().Add(r.cfg.Lease)); err != nil {
		r.log.Warn("claim came too late, attempt not begun", "execution_id", h.Execution, "attempt", h.Attempt, "err", err)
		return false
	}
	return true
}

// minAgain keeps a task that cannot be claimed yet from coming back in a circle.
// maxAgain bounds how long a process whose clock is behind keeps it from others, whose
// clock may be right.
const (
	minAgain = 100 * time.Millisecond
	maxAgain = 10 * time.Second
)

// refused ends a delivery whose claim was refused. Delivered twice, canceled or
// purged: nothing is left to do. Delivered too early, by a queue whose clock is
// ahead of this process's: it must come again, since nobody else brings it back.
func (r *Router) refused(ctx context.Context, d Delivery, at time.Time) {
	x, err := r.Execution(ctx, d.Execution)
	again := time.Second
	switch {
	case errors.Is(err, hayate.ErrNotFound):
		r.settle(ctx, d)
		return
	case err == nil && !x.Status.Claimable():
		r.settle(ctx, d)
		return
	case err == nil:
		again = min(max(x.NotBefore.Sub(at), minAgain), maxAgain)
	}
	if err := d.Nack(ctx, again); err != nil {
		r.log.Warn("task not given back, the sweeper will", "execution_id", d.Execution, "err", err)
	}
}

// takeRun does what a router is wanted for: it begins the run of a workflow that
// waits, tells a run that has begun of the timers that have come, and a run whose
// task has ended of that. Which of them is seen from the execution, so that a
// delivery that comes twice or late does no harm.
func (r *Router) takeRun(ctx context.Context, d Delivery) {
	if !r.admit(ctx, d) {
		return
	}
	x, err := r.Execution(ctx, d.Execution)
	switch {
	case err != nil:
	case isWorkflow(x.Runner) && x.Status.Claimable():
		err = r.beginRun(ctx, &x)
	case isWorkflow(x.Runner) && !x.Status.Completed():
		err = r.fireTimers(ctx, x.ID)
	case x.Status.Completed():
		err = r.follow(ctx, &x)
	}
	switch {
	case err == nil, errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound):
		r.settle(ctx, d)
	default:
		r.log.Error("step workflow", "execution_id", d.Execution, "err", err)
		if err := d.Nack(ctx, time.Second); err != nil {
			r.log.Warn("task not given back, the sweeper will", "execution_id", d.Execution, "err", err)
		}
	}
}

func (r *Router) settle(ctx context.Context, d Delivery) {
	if err := d.Ack(ctx); err != nil {
		r.log.Warn("task not acknowledged, it will come again", "execution_id", d.Execution, "err", err)
	}
}

// perform runs a claimed attempt to its end and has recorded what it came to.
func (r *Router) perform(ctx context.Context, act *activeAttempt, x *hayate.Execution, record func(func())) {
	hold := act.hold
	b := r.cat.Load().actions[x.Action]
	// The hold is kept alive until its outcome is stored.
	res := r.attempt(act.ctx, act, x, b, hold)
	if res.Status == "" {
		r.active.end(hold)
		return // another attempt owns the outcome, or will
	}
	record(func() {
		defer r.active.end(hold)
		r.complete(ctx, x, hold, res)
	})
}

// finish records a result beside the worker, which takes the next task meanwhile:
// so the results of many attempts share a commit, however few workers there are.
func (r *Router) finish(record func()) { r.recorders.do(record) }

// attempt performs the action. The status of its answer is "" when the hold was
// lost, or when the process stops and the action may be attempted again.
func (r *Router) attempt(ctx context.Context, act *activeAttempt, x *hayate.Execution, b *boundAction, hold Hold) hayate.Result {
	if b == nil {
		return failed("Action %q doesn't exist (any more)", x.Action)
	}
	if b.impl == nil {
		return failed("no runner %q in this process; the action needs a worker that has it", x.Runner)
	}
	task, err := r.task(ctx, x, b)
	if err != nil {
		return failed("%v", err)
	}
	out := r.newOutput(context.WithoutCancel(ctx), hold, task.Secrets)
	began := r.now()
	res, err := b.impl.Run(ctx, task, out.Line)
	out.Flush()
	switch {
	case act.lost(), act.abandoned() && x.Idempotent:
		return hayate.Result{}
	case act.abandoned():
		return attempt.Stopped()
	case err != nil:
		return failed("%v", err)
	}
	if res.Status == hayate.StatusCanceled {
		return res
	}
	return attempt.Verify(&task, b.runner.Asserts, began, r.now(), res)
}

func failed(format string, args ...any) hayate.Result { return attempt.Failed(format, args...) }

// withMember adds a member to a JSON object, or wraps another value.
func withMember(value json.RawMessage, key string, member json.RawMessage) json.RawMessage {
	b := bytes.TrimSpace(value)
	if len(b) < 2 || b[0] != '{' {
		b = []byte("{}")
	}
	out := append([]byte(nil), b[:len(b)-1]...)
	if len(bytes.TrimSpace(out)) > 1 {
		out = append(out, ',')
	}
	out = append(out, fmt.Sprintf("%q:", key)...)
	out = append(out, member...)
	return append(out, '}')
}

func orNull(v json.RawMessage) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("null")
	}
	return v
}

// task makes ready what the runner gets: parameters final, secrets opened.
func (r *Router) task(ctx context.Context, x *hayate.Execution, b *boundAction) (hayate.Task, error) {
	final, err := r.final(ctx, x, b)
	if err != nil {
		return hayate.Task{}, err
	}
	callback, err := r.callbackToken(x, b)
	if err != nil {
		return hayate.Task{}, err
	}
	return hayate.Task{
		Callback: callback, Execution: x.ID, Attempt: x.Attempt, Action: b.Action, RunnerParameters: final.Runner, Parameters: final.Action,
		PackDir: b.dir, Context: x.Context, Timeout: x.Timeout, Pipefail: b.pipefail, IdempotencyKey: string(x.ID),
		Env: taskEnv(x, b), Secrets: final.Secrets,
	}, nil
}

// final makes an execution's parameters final, fetching the datastore values that
// templates of defaults need.
func (r *Router) final(ctx context.Context, x *hayate.Execution, b *boundAction) (render.Final, error) {
	kv := kvReader{r: r}
	user := contextUser(x.Context)
	for range maxNeedRounds {
		final, need, err := b.plan.Final(&render.Scope{KV: kv.values, ActionContext: x.Context, User: user, Config: b.config}, x.Parameters)
		if err != nil || len(need) == 0 {
			return final, err
		}
		if err := kv.fetch(ctx, x.Created, user, need); err != nil {
			return render.Final{}, err
		}
	}
	return render.Final{}, fmt.Errorf("parameters of %s ask for ever more datastore keys: %w", x.Action, hayate.ErrInvalid)
}

// taskEnv is what the process of a task finds in its environment. It is made for each
// attempt: one text, of which the variables are parts.
func taskEnv(x *hayate.Execution, b *boundAction) []string {
	var ends [6]int
	text := make([]byte, 0, 256)
	for i, v := range [...]struct{ name, value string }{
		{"ST2_ACTION_PACK_NAME=", b.Pack},
		{"ST2_ACTION_EXECUTION_ID=", string(x.ID)},
		{"HAYATE_EXECUTION_ID=", string(x.ID)},
		{"HAYATE_IDEMPOTENCY_KEY=", string(x.ID)},
		{"HAYATE_ATTEMPT=", strconv.Itoa(x.Attempt)},
		{"HAYATE_TRACE=", x.Trace},
	} {
		text = append(append(text, v.name...), v.value...)
		ends[i] = len(text)
	}
	all, from, env := string(text), 0, make([]string, len(ends))
	for i, end := range ends {
		env[i], from = all[from:end], end
	}
	return env
}

// complete records the end of an attempt. The attempt's effect has happened, so
// recording it is repeated until it is stored or another attempt owns it.
func (r *Router) complete(ctx context.Context, x *hayate.Execution, hold Hold, res hayate.Result) {
	c := Completion{Hold: hold, At: r.now(), Result: res}
	wait := 100 * time.Millisecond
	for {
		err := r.record(ctx, x, c)
		switch {
		case err == nil:
			r.completed(ctx, x, c)
			return
		case errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound):
			r.log.Warn("result refused, another attempt owns the execution", "execution_id", x.ID, "attempt", hold.Attempt, "err", err)
			return
		}
		r.log.Error("record result, will repeat", "execution_id", x.ID, "attempt", hold.Attempt, "err", err)
		if r.active.stopped() || !pause(ctx, wait) {
			return // the store is gone and so are we: the lease runs out
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// record stores the end of an attempt; for a task, together with the step of its
// workflow that it leads to.
func (r *Router) record(ctx context.Context, x *hayate.Execution, c Completion) error {
	value := c.Result.Value
	if len(value) > r.cfg.InlineResult {
		ref, err := r.blobs.Put(ctx, bytes.NewReader(value))
		if err != nil {
			return err
		}
		c.Blob, c.Result.Value = &ref, nil
	}
	if x.Parent == "" {
		return r.store.Complete(ctx, c)
	}
	f, err := childFact(x, c.Result.Status, value, c.At)
	if err != nil {
		return r.store.Complete(ctx, c)
	}
	t := &told{fact: f, complete: &c}
	ended, err := r.wouldRetry(ctx, x, &c)
	if err != nil {
		return err
	}
	if ended != nil {
		t.instead = r.retryOf(ended, c.At)
	}
	err = r.tell(ctx, x.Parent, t)
	if !errors.Is(err, errContended) {
		return err
	}
	// So many tasks of the run end at once that this one does not get its turn. Its
	// result is stored by itself, and whoever steps runs hears of it.
	if err := r.store.Complete(ctx, c); err != nil {
		return err
	}
	r.wakeRun(ctx, x.ID, time.Time{})
	return nil
}

// wouldRetry is a task as this end leaves it, where a policy might make a retry
// follow it; else nil. The error says that it could not be looked at: without it the
// workflow would be told of a failure that is to be retried.
func (r *Router) wouldRetry(ctx context.Context, x *hayate.Execution, c *Completion) (*hayate.Execution, error) {
	if g := r.cat.Load().governed[x.Action]; g == nil || len(g.retries) == 0 || !c.Result.Status.Completed() {
		return nil, nil
	}
	y, err := r.Execution(ctx, x.ID)
	if err != nil || y.Status != hayate.StatusRunning {
		return nil, err // canceled meanwhile, say
	}
	y.Status = c.Result.Status
	return &y, nil
}

func (r *Router) completed(ctx context.Context, x *hayate.Execution, c Completion) {
	// Who waits for the end may see what follows it.
	defer r.waiters.wake(x.ID)
	if c.Result.Status == hayate.StatusPending {
		r.log.Info("execution waits for an answer", "execution_id", x.ID, "action", x.Action, "trace", x.Trace)
		r.asked(ctx, x, c.At, c.Result.Value)
		return
	}
	r.metrics.ended(c.Result.Status)
	if r.log.Enabled(ctx, slog.LevelInfo) {
		r.log.Info("execution ended", "execution_id", x.ID, "action", x.Action, "status", c.Result.Status,
			"attempt", c.Attempt, "verified", c.Result.Verified, "trace", x.Trace)
	}
	r.followAttempt(ctx, x)
}

// activeAttempts are the attempts that this process performs now.
type activeAttempts struct {
	mu   sync.Mutex
	m    map[hayate.ExecutionID]*activeAttempt
	stop bool
}

// activeAttempt is one of them.
type activeAttempt struct {
	hold   Hold
	cancel context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // its cause tells why the attempt was stopped
}

var (
	errLost    = errors.New("the hold on the execution was lost")
	errStopped = errors.New("the worker is stopping")
)

func (a *activeAttempt) lost() bool      { return errors.Is(context.Cause(a.ctx), errLost) }
func (a *activeAttempt) abandoned() bool { return errors.Is(context.Cause(a.ctx), errStopped) }

func (a *activeAttempts) init() { a.m = map[hayate.ExecutionID]*activeAttempt{} }

func (a *activeAttempts) begin(ctx context.Context, h Hold) *activeAttempt {
	ctx, cancel := context.WithCancelCause(ctx)
	t := &activeAttempt{hold: h, cancel: cancel, ctx: ctx}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.m[h.Execution] = t
	if a.stop {
		cancel(errStopped)
	}
	return t
}

func (a *activeAttempts) end(h Hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.m[h.Execution]; t != nil && t.hold == h {
		t.cancel(nil)
		delete(a.m, h.Execution)
	}
}

// cancel stops an attempt of this process because somebody asked for it.
func (a *activeAttempts) cancel(id hayate.ExecutionID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.m[id]; t != nil {
		t.cancel(context.Canceled)
	}
}

// lose stops an attempt whose hold is gone.
func (a *activeAttempts) lose(h Hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.m[h.Execution]; t != nil && t.hold == h {
		t.cancel(errLost)
	}
}

func (a *activeAttempts) stopAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop = true
	for _, t := range a.m {
		t.cancel(errStopped)
	}
}

func (a *activeAttempts) stopped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stop
}

func (a *activeAttempts) holds() []Hold {
	a.mu.Lock()
	defer a.mu.Unlock()
	hs := make([]Hold, 0, len(a.m))
	for _, t := range a.m {
		hs = append(hs, t.hold)
	}
	return hs
}

func (a *activeAttempts) has(id hayate.ExecutionID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.m[id] != nil
}
