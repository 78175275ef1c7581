package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
)

// Start asks for an execution of an action.
type Start struct {
	Action     hayate.Ref
	Parameters json.RawMessage // a JSON object; nil for none
	User       string          // who asks; "" is the system user
	Delay      time.Duration
	Context    json.RawMessage // further members of the execution's context, a JSON object
	Rerun      hayate.ExecutionID
	Target     string // who is to perform it; "" leaves it to the action
	// Deadline is when a workflow must be over, whatever its action says; zero: what
	// its action says.
	Deadline time.Time
	Again    Again // tasks from which it continues another; else zero

	trace   string         // that of the execution it repeats or continues
	private render.Private // those of its parameters that hold secrets
}

// Start stores a new execution and hands it to the queue. ErrInvalid says what
// is wrong with the request; nothing is stored then, unless the templates
// failed: StackStorm keeps a failed execution of those.
func (r *Router) Start(ctx context.Context, s Start) (hayate.Execution, error) {
	if n := r.queue.Depth(); n >= r.cfg.MaxBacklog {
		return hayate.Execution{}, fmt.Errorf("start %s: %d executions wait, the limit is %d: %w", s.Action, n, r.cfg.MaxBacklog, hayate.ErrBusy)
	}
	b, ok := r.cat.Load().actions[s.Action]
	switch {
	case !ok:
		return hayate.Execution{}, fmt.Errorf("Action %q cannot be found: %w", s.Action, hayate.ErrInvalid)
	case !b.Enabled:
		return hayate.Execution{}, fmt.Errorf("Unable to execute. Action %q is disabled: %w", s.Action, hayate.ErrInvalid)
	case !hayate.ValidTarget(s.Target):
		return hayate.Execution{}, fmt.Errorf("start %s: target %q: want amqp:TAG, TAG of letters, digits, dots, dashes and underscores: %w", s.Action, s.Target, hayate.ErrInvalid)
	case !s.Deadline.IsZero() && !isWorkflow(b.Runner):
		return hayate.Execution{}, fmt.Errorf("start %s, which is run by %s: %w: %w", s.Action, b.Runner, errDeadline, hayate.ErrInvalid)
	case !s.Deadline.IsZero() && !s.Deadline.After(r.now()):
		return hayate.Execution{}, fmt.Errorf("start %s: the deadline %s has passed: %w", s.Action, s.Deadline.Format(time.RFC3339), hayate.ErrInvalid)
	case s.Delay < 0:
		return hayate.Execution{}, fmt.Errorf("start %s: delay is negative: %w", s.Action, hayate.ErrInvalid)
	}
	for name, text := range map[string]json.RawMessage{"parameters": s.Parameters, "context": s.Context} {
		if err := hayate.CheckJSON(text); err != nil {
			return hayate.Execution{}, fmt.Errorf("start %s: %s: %w", s.Action, name, err)
		}
	}
	if s.User == "" {
		s.User = r.cfg.User
	}
	at := r.now()
	x := r.newPersonal(b, &s, at)
	var kv kvReader
	scope := &render.Scope{ActionContext: x.Context, User: s.User, Keep: s.private}
	params, renderErr := r.render(ctx, b, s.Parameters, scope, &kv, at)
	if renderErr != nil {
		re, isRender := render.AsError(renderErr)
		if !isRender || !re.Recorded() {
			return hayate.Execution{}, fmt.Errorf("start %s: %w", s.Action, renderErr)
		}
		params = s.Parameters
		x.Result = errorResult(re.Error())
		x.Follow = false // it never was
		if err := x.To(hayate.StatusFailed, at); err != nil {
			return hayate.Execution{}, err
		}
	}
	var err error
	if x.Parameters, err = b.plan.Seal(params, scope.Private, r.secrets.Seal); err != nil {
		return hayate.Execution{}, fmt.Errorf("start %s: seal parameters: %w", s.Action, err)
	}
	if err := r.request(context.WithoutCancel(ctx), &x); err != nil { // what is stored is dispatched
		return hayate.Execution{}, fmt.Errorf("start %s: %w", s.Action, err)
	}
	if renderErr != nil {
		return x, fmt.Errorf("start %s: %w", s.Action, renderErr)
	}
	return x, nil
}

// request stores a new execution and hands it to the queue, or begins it at once.
func (r *Router) request(ctx context.Context, x *hayate.Execution) error {
	begun := false
	var err error
	if r.beginsAtOnce(x) {
		begun, err = r.beginAtOnce(ctx, x)
	}
	if !begun && err == nil {
		err = r.store.Commit(ctx, Change{Insert: []hayate.Execution{*x}})
	}
	if err != nil {
		return err
	}
	r.log.Info("execution requested", "execution_id", x.ID, "action", x.Action, "trace", x.Trace)
	if !begun {
		r.dispatch(ctx, []hayate.Execution{*x})
	}
	return nil
}

func (r *Router) newPersonal(b *boundAction, s *Start, at time.Time) hayate.Execution {
	id := hayate.ExecutionID(hayate.NewID(at, "request", r.cfg.NewID()))
	x := hayate.Execution{
		ID: id, Root: id, Trace: string(id), Action: b.Ref(), Runner: b.Runner, Idempotent: b.Idempotent, Created: at, Target: targetOf(b, s.Target),
		Status: hayate.StatusScheduled, Context: personalContext(s, b.Pack), Deadline: s.Deadline.UTC().Truncate(time.Microsecond),
		Log: []hayate.Transition{{Time: at, Status: hayate.StatusRequested}},
	}
	if s.Delay > 0 {
		x.Status = hayate.StatusDelayed
		x.NotBefore = at.Add(s.Delay)
	}
	if s.trace != "" {
		x.Trace = s.trace
	}
	x.Log = append(x.Log, hayate.Transition{Time: at, Status: x.Status})
	r.cat.Load().governNew(&x)
	return x
}

// personalContext lays user and pack over the caller's context, as StackStorm does:
// who starts an execution cannot do so in another's name.
func personalContext(s *Start, pack string) json.RawMessage {
	ctx := map[string]json.RawMessage{}
	if len(s.Context) > 0 && json.Unmarshal(s.Context, &ctx) != nil || ctx == nil {
		ctx = map[string]json.RawMessage{} // no object
	}
	set := func(k string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings only
		}
		ctx[k] = b
	}
	set("user", s.User)
	set("pack", pack)
	switch {
	case len(s.Again.Tasks) > 0:
		set("re-run", s.Again)
	case s.Rerun != "":
		set("re-run", Again{Ref: s.Rerun})
	}
	b, err := json.Marshal(ctx)
	if err != nil {
		panic(err) // raw messages that were just read
	}
	return b
}

// Execution returns one execution: ErrNotFound where there is none.
func (r *Router) Execution(ctx context.Context, id hayate.ExecutionID) (hayate.Execution, error) {
	p, err := r.store.Executions(ctx, Query{IDs: []string{string(id)}, Limit: 1})
	if err != nil {
		return hayate.Execution{}, fmt.Errorf("read execution %s: %w", id, err)
	}
	if len(p.Items) == 0 {
		return hayate.Execution{}, fmt.Errorf("execution %s: %w", id, hayate.ErrNotFound)
	}
	return p.Items[0], nil
}

// maxRetries bounds how often a compare-and-set on one execution is tried again:
// each failure means that somebody else got on with it.
const maxRetries = 16

// Cancel asks for the end of an execution. One that waits is canceled at once;
// one that runs is told to stop and is canceled when its worker has obeyed, or
// was lost. ErrConflict says that it cannot be canceled in its status.
func (r *Router) Cancel(ctx context.Context, id hayate.ExecutionID, user string) (hayate.Execution, error) {
	for range maxRetries {
		x, err := r.Execution(ctx, id)
		if err != nil {
			return x, err
		}
		if x.Status == hayate.StatusCanceling {
			return x, nil
		}
		if !x.Status.Cancelable() {
			return x, fmt.Errorf("Action cannot be canceled. State = %s: %w", x.Status, hayate.ErrConflict)
		}
		if isWorkflow(x.Runner) && !x.Status.Claimable() {
			if err := r.tell(ctx, id, &told{fact: workflows.Fact{Kind: workflows.CancelAsked}}); err != nil {
				return x, fmt.Errorf("cancel execution %s: %w", id, err)
			}
			r.log.Info("cancel asked", "execution_id", id, "user", user)
			return r.Execution(ctx, id)
		}
		at := r.now()
		x.Cancel = user
		next := hayate.StatusCanceled
		if x.Status == hayate.StatusRunning {
			next = hayate.StatusCanceling
		}
		if next == hayate.StatusCanceled {
			x.Result = canceledResult(user)
		}
		if err := x.To(next, at); err != nil {
			return x, err
		}
		err = r.store.Commit(ctx, Change{Update: []hayate.Execution{x}})
		if errors.Is(err, hayate.ErrConflict) {
			continue
		}
		if err != nil {
			return x, fmt.Errorf("cancel execution %s: %w", id, err)
		}
		x.Version++
		r.log.Info("cancel asked", "execution_id", id, "user", user, "status", x.Status)
		r.active.cancel(id)
		if x.Status.Completed() {
			r.over(ctx, &x)
		}
		return x, nil
	}
	return hayate.Execution{}, fmt.Errorf("cancel execution %s: it keeps changing: %w", id, hayate.ErrBusy)
}

func canceledResult(user string) json.RawMessage {
	return messageResult("Action canceled by user.", user)
}

func messageResult(message, user string) json.RawMessage {
	b, err := json.Marshal(map[string]string{"message": message, "user": user})
	if err != nil {
		panic(err) // strings only
	}
	return b
}

// Rerun starts a new execution of the same action with the same parameters, the
// given ones laid over them.
func (r *Router) Rerun(ctx context.Context, id hayate.ExecutionID, parameters json.RawMessage, user string, delay time.Duration) (hayate.Execution, error) {
	old, err := r.Execution(ctx, id)
	if err != nil {
		return hayate.Execution{}, err
	}
	b, ok := r.cat.Load().actions[old.Action]
	if !ok {
		return hayate.Execution{}, fmt.Errorf("Action %q cannot be found: %w", old.Action, hayate.ErrInvalid)
	}
	merged, private, err := b.plan.Merge(old.Parameters, parameters)
	if err != nil {
		return hayate.Execution{}, fmt.Errorf("re-run execution %s: %w", id, err)
	}
	return r.Start(ctx, Start{Action: old.Action, Parameters: merged, User: user, Delay: delay, Rerun: id, Target: old.Target, trace: old.Trace, private: private})
}

// Masked returns the execution as anybody may see it: secret parameters and
// secret members of the result and of the answer to an inquiry are ********.
func (r *Router) Masked(x hayate.Execution) hayate.Execution {
	x.Result = maskAnswer(&x)
	if b, ok := r.cat.Load().actions[x.Action]; ok {
		x.Parameters = b.plan.Mask(x.Parameters, nil)
		x.Result = render.MaskResult(x.Result, b.OutputSchema, outputKey(b))
	} else {
		x.Parameters = render.MaskSealed(x.Parameters)
	}
	return x
}

func outputKey(b *boundAction) string {
	if b.runner == nil {
		return ""
	}
	return b.runner.OutputKey
}

// Executions lists executions, masked.
func (r *Router) Executions(ctx context.Context, q Query) (Page[hayate.Execution], error) {
	p, err := r.store.Executions(ctx, q)
	for i := range p.Items {
		p.Items[i] = r.Masked(p.Items[i])
	}
	return p, err
}

// Events lists accepted events.
func (r *Router) Events(ctx context.Context, q Query) (Page[EventRecord], error) {
	return r.store.Events(ctx, q)
}

// Firings lists the rules' decisions.
func (r *Router) Firings(ctx context.Context, q Query) (Page[hayate.Firing], error) {
	return r.store.Firings(ctx, q)
}

// Lines returns an execution's output with a Seq greater than after.
func (r *Router) Lines(ctx context.Context, id hayate.ExecutionID, after int64, limit int) ([]hayate.OutputLine, error) {
	return r.store.Lines(ctx, id, after, limit)
}

// Result returns an execution's whole result, masked, wherever it lies.
func (r *Router) Result(ctx context.Context, x hayate.Execution) (json.RawMessage, error) {
	if x.ResultRef == nil {
		return r.Masked(x).Result, nil
	}
	rd, err := r.blobs.Get(ctx, x.ResultRef.Hash)
	if err != nil {
		return nil, fmt.Errorf("read result of execution %s: %w", x.ID, err)
	}
	defer rd.Close()
	if x.Result, err = io.ReadAll(rd); err != nil {
		return nil, fmt.Errorf("read result of execution %s: %w", x.ID, err)
	}
	return r.Masked(x).Result, nil
}

// Stats counts what the store holds.
func (r *Router) Stats(ctx context.Context) (Stats, error) { return r.store.Stats(ctx) }

// CheckStore looks for damage in the store; each line is a finding.
func (r *Router) CheckStore(ctx context.Context) ([]string, error) { return r.store.Check(ctx) }

// Backup writes a consistent copy of the store.
func (r *Router) Backup(ctx context.Context, path string) error { return r.store.Backup(ctx, path) }
