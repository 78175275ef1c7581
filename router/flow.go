package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
)

// runs are the workflow runs that this process holds in memory. A run is stepped
// by one goroutine at a time, whoever told it a fact while nobody else did; facts
// that arrive meanwhile join the next step, so that many results cost one
// commit. The store's version is the safety: where another process stepped the
// run, the commit is refused, and the run is loaded anew.
type runs struct {
	mu   sync.Mutex
	live map[hayate.ExecutionID]*liveRun
}

// maxLive bounds the idle runs kept in memory; others are loaded when a fact comes.
const maxLive = 4096

// liveRun is one run in memory.
type liveRun struct {
	id hayate.ExecutionID

	mu    sync.Mutex // guards queue and busy
	queue []*told
	busy  bool

	// What follows belongs to the one who set busy.
	x       hayate.Execution // the workflow's execution, as stored
	def     *workflows.Definition
	run     *workflows.Run // nil: to be loaded
	version int64          // of the stored run; 0: not created
	own     ownState
	timer   *time.Timer
	// contexts are those of its tasks.
	contexts childContexts
	// after is what committed steps ask of other runs. It is done once nobody
	// steps this one, since they may have something to tell it in turn.
	after []func(context.Context)
}

// ownState is what the router itself keeps of a run, in an entry of its own.
type ownState struct {
	// Definition is the digest of the definition that the run was started with.
	Definition string `json:"definition"`
	variant
	// Timers are those the run has set, by key.
	Timers map[string]time.Time `json:"timers,omitempty"`
}

// ownEntry is the key of that entry; dialects use no such key.
const ownEntry = "router"

// told is a fact on its way to a run.
type told struct {
	fact workflows.Fact
	// complete ends the attempt whose outcome the fact is; nil where the child is
	// completed already, or the fact is of no child.
	complete *Completion
	// child is completed in the store and waits to be told.
	child hayate.ExecutionID
	done  chan error
}

func (rs *runs) get(id hayate.ExecutionID) *liveRun {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.live == nil {
		rs.live = map[hayate.ExecutionID]*liveRun{}
	}
	lr := rs.live[id]
	if lr == nil {
		lr = &liveRun{id: id}
		rs.live[id] = lr
	}
	return lr
}

// drop forgets a run that nobody is stepping.
func (rs *runs) drop(lr *liveRun) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	lr.mu.Lock()
	defer lr.mu.Unlock()
	if !lr.busy && len(lr.queue) == 0 && rs.live[lr.id] == lr {
		if lr.timer != nil {
			lr.timer.Stop()
		}
		delete(rs.live, lr.id)
	}
}

func (rs *runs) full() bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.live) > maxLive
}

// tell hands a fact to a run and returns once what it leads to is durable.
func (r *Router) tell(ctx context.Context, id hayate.ExecutionID, t *told) error {
	t.done = make(chan error, 1)
	lr := r.runs.get(id)
	lr.mu.Lock()
	lr.queue = append(lr.queue, t)
	lead := !lr.busy
	lr.busy = true
	lr.mu.Unlock()
	if lead {
		r.lead(context.WithoutCancel(ctx), lr)
	}
	return <-t.done
}

// lead steps a run until no fact is left, then does what the steps ask of others.
func (r *Router) lead(ctx context.Context, lr *liveRun) {
	for {
		lr.mu.Lock()
		batch := lr.queue
		lr.queue = nil
		if len(batch) == 0 {
			lr.busy = false
			over := lr.run == nil || lr.run.Status().Completed()
			after := lr.after
			lr.after = nil
			lr.mu.Unlock()
			if over || r.runs.full() {
				r.runs.drop(lr)
			}
			for _, f := range after {
				f(ctx)
			}
			return
		}
		lr.mu.Unlock()
		r.advance(ctx, lr, batch)
	}
}

// advance steps a run by a batch of facts, in one commit where that works, else
// one by one.
func (r *Router) advance(ctx context.Context, lr *liveRun, batch []*told) {
	err := r.stepOnce(ctx, lr, batch)
	if err == nil || len(batch) == 1 && !errors.Is(err, hayate.ErrConflict) {
		finish(batch, err)
		return
	}
	for _, t := range batch {
		finish([]*told{t}, r.stepAlone(ctx, lr, t))
	}
}

func finish(batch []*told, err error) {
	for _, t := range batch {
		t.done <- err
	}
}

// stepAlone steps a run by one fact, again and again while others step it too. A
// completion that the store refuses although the run is as loaded is a stale
// one: its worker is told so.
func (r *Router) stepAlone(ctx context.Context, lr *liveRun, t *told) error {
	var err error
	for range maxRetries {
		lr.run = nil
		if t.complete != nil {
			x, e := r.Execution(ctx, t.complete.Execution)
			if e != nil {
				return e
			}
			if x.Status.Completed() || x.Attempt != t.complete.Attempt {
				return fmt.Errorf("execution %s is %s, attempt %d: %w", x.ID, x.Status, x.Attempt, hayate.ErrConflict)
			}
		}
		if err = r.stepOnce(ctx, lr, []*told{t}); !errors.Is(err, hayate.ErrConflict) {
			return err
		}
	}
	return err
}

// step gathers what a batch of facts leads to.
type step struct {
	r        *Router
	lr       *liveRun
	at       time.Time
	change   Change
	head     json.RawMessage
	entries  map[string]json.RawMessage
	touched  bool
	done     bool
	own      ownState
	x        hayate.Execution
	ended    bool
	failedAt []*told // children that failed before they began: facts of the next step
	after    []func(context.Context)
	loaded   bool     // the run was read from the store for this step
	refused  []func() // report facts that the run refused
}

// stepOnce tells the run all facts of a batch and commits the outcome.
func (r *Router) stepOnce(ctx context.Context, lr *liveRun, batch []*told) error {
	loaded := lr.run == nil
	if loaded {
		if err := r.loadRun(ctx, lr); err != nil {
			return err
		}
	}
	s := &step{r: r, lr: lr, at: r.now(), entries: map[string]json.RawMessage{}, own: lr.own, x: lr.x, loaded: loaded}
	s.own.Timers = maps.Clone(lr.own.Timers)
	for _, t := range batch {
		if err := s.tell(ctx, t); err != nil {
			lr.run = nil
			return err
		}
	}
	if err := s.commit(ctx); err != nil {
		lr.run = nil
		return err
	}
	return nil
}

// tell steps the run by one fact, fetching the datastore values it needs.
func (s *step) tell(ctx context.Context, t *told) error {
	if t.complete != nil {
		s.change.Complete = append(s.change.Complete, *t.complete)
		if t.complete.Result.Status.Completed() {
			s.change.Told = append(s.change.Told, t.complete.Execution)
		}
	}
	if t.child != "" {
		s.change.Told = append(s.change.Told, t.child)
	}
	if t.fact.At.IsZero() {
		t.fact.At = s.at
	}
	for range maxNeedRounds {
		delta, commands, err := workflows.Step(s.lr.def, s.lr.run, t.fact)
		var need *workflows.Need
		switch {
		case errors.As(err, &need):
			if err := s.r.answer(ctx, &t.fact, need, contextUser(s.x.Context)); err != nil {
				return err
			}
			continue
		case errors.Is(err, hayate.ErrInvalid):
			// A fact that the run cannot make sense of must not block the others: what
			// happened is recorded, and somebody is told.
			s.refused = append(s.refused, func() {
				s.r.log.Error("run refused a fact", "run_id", s.lr.id, "fact", string(t.fact.Kind), "task", t.fact.Child.Task, "err", err)
			})
			return nil
		case err != nil:
			return err
		}
		return s.take(ctx, delta, commands)
	}
	return fmt.Errorf("run %s asks for ever more datastore keys: %w", s.lr.id, hayate.ErrInvalid)
}

// take notes what one fact led to.
func (s *step) take(ctx context.Context, d workflows.Delta, commands []workflows.Command) error {
	if !d.Empty() {
		s.touched = true
		s.head = d.Head
		maps.Copy(s.entries, d.Entries)
		s.done = d.Done
	}
	for i := range commands {
		c := &commands[i]
		switch c.Kind {
		case workflows.StartChild:
			if err := s.startChild(ctx, &c.Start); err != nil {
				return err
			}
		case workflows.SetTimer:
			if s.own.Timers == nil {
				s.own.Timers = map[string]time.Time{}
			}
			s.own.Timers[c.Timer] = s.at.Add(c.After)
		case workflows.Rest:
			if err := s.move(c.Status); err != nil {
				return err
			}
		case workflows.Finish:
			s.x.Result = workflowResult(s.x.Runner, c)
			s.ended = true
			if err := s.move(c.Status); err != nil {
				return err
			}
		case workflows.CancelChildren, workflows.PauseChildren, workflows.ResumeChildren:
			kind := c.Kind
			s.after = append(s.after, func(ctx context.Context) { s.r.tellChildren(ctx, s.lr.id, kind) })
		}
	}
	return nil
}

// move brings the workflow's own execution to a status. A detour over running is
// taken where the direct way is not legal. As with any other execution, one whose
// cancelation was asked ends canceled: its expressions may well fail on the
// results of canceled tasks.
func (s *step) move(to hayate.Status) error {
	if s.x.Status == hayate.StatusCanceling && to.Completed() && to != hayate.StatusAbandoned {
		to = hayate.StatusCanceled
	}
	if s.x.Status == to {
		return nil
	}
	if !s.x.Status.CanBecome(to) && s.x.Status.CanBecome(hayate.StatusRunning) {
		if err := s.x.To(hayate.StatusRunning, s.at); err != nil {
			return err
		}
	}
	return s.x.To(to, s.at)
}

// workflowResult is the result of a workflow in StackStorm's shape. The output of an
// action chain, and that of a Mistral workflow, is the whole of it.
func workflowResult(runner string, c *workflows.Command) json.RawMessage {
	if (runner == workflows.ActionChain || runner == workflows.Mistral) && len(c.Output) > 0 {
		return c.Output
	}
	out := struct {
		Errors json.RawMessage `json:"errors,omitempty"`
		Output json.RawMessage `json:"output"`
	}{c.Errors, orNull(c.Output)}
	b, err := json.Marshal(out)
	if err != nil {
		return errorResult("the workflow's output is not JSON: " + err.Error())
	}
	return b
}

// childFact is what a run is told of a child.
func childFact(x *hayate.Execution, st hayate.Status, result json.RawMessage, at time.Time) (workflows.Fact, error) {
	p, err := placeOf(x)
	if err != nil {
		return workflows.Fact{}, err
	}
	c := workflows.Child{ID: string(x.ID), Task: p.Task, Route: p.Route, Entry: p.Entry, Item: -1, Attempt: p.Attempt, Status: st, Result: result}
	if p.Item != nil {
		c.Item = *p.Item
	}
	return workflows.Fact{Kind: workflows.ChildChanged, At: at, Child: c}, nil
}

// startChild makes the execution of a task. A task that cannot be started is an
// execution that has failed, with the reason.
func (s *step) startChild(ctx context.Context, st *workflows.Start) error {
	p := &s.x
	root := hayate.IDTime(string(p.Root))
	id := hayate.ChildExecutionID(root, s.lr.id, st.Entry, st.Item, st.Attempt)
	pl := place{Run: s.lr.id, Task: st.Task, TaskID: st.Task, Route: st.Route, Entry: st.Entry, Attempt: st.Attempt,
		TaskEx: hayate.NewID(root, "task", string(s.lr.id), strconv.Itoa(st.Entry))}
	if st.Item >= 0 {
		pl.Item = &st.Item
	}
	x := hayate.Execution{ID: id, Parent: s.lr.id, Root: p.Root, Trace: p.Trace, Event: p.Event, Rule: p.Rule, Lineage: p.Lineage,
		Action: hayate.Ref(st.Action), Created: s.at, Status: hayate.StatusScheduled, Log: append(make([]hayate.Transition, 0, 2), hayate.Transition{Time: s.at, Status: hayate.StatusRequested})}
	if st.Delay > 0 {
		x.Status, x.NotBefore = hayate.StatusDelayed, s.at.Add(st.Delay)
	}
	x.Log = append(x.Log, hayate.Transition{Time: s.at, Status: x.Status})
	b, ok := s.r.cat.Load().actions[x.Action]
	contexts := &s.lr.contexts
	contexts.prepare(p)
	x.Context = contexts.context(&pl, x.Action.Pack())
	var err error
	switch {
	case !ok:
		err = render.Errorf(render.Schema, "Action \"%s\" cannot be found.", st.Action)
	case !b.Enabled:
		err = render.Errorf(render.Schema, "Action \"%s\" is disabled.", st.Action)
	default:
		x.Runner, x.Idempotent = b.Runner, b.Idempotent || isWorkflow(b.Runner)
		err = s.renderChild(ctx, b, st.Input, &x)
	}
	if err != nil {
		if _, isRender := render.AsError(err); !isRender {
			return err
		}
		x.Result, x.NotBefore = errorResult(err.Error()), time.Time{}
		if err := x.To(hayate.StatusFailed, s.at); err != nil {
			return err
		}
		f, ferr := childFact(&x, hayate.StatusFailed, x.Result, s.at)
		if ferr != nil {
			return ferr
		}
		s.failedAt = append(s.failedAt, &told{fact: f, child: x.ID, done: make(chan error, 1)})
	}
	s.change.Insert = append(s.change.Insert, x)
	return nil
}

func (s *step) renderChild(ctx context.Context, b *boundAction, input json.RawMessage, x *hayate.Execution) error {
	var kv kvReader
	params, err := s.r.render(ctx, b, input, &render.Scope{ActionContext: x.Context, User: text(s.lr.contexts.user)}, &kv, s.at)
	if err != nil {
		return err
	}
	x.Parameters, err = b.plan.Seal(params, s.r.secrets.Seal)
	return err
}

// commit makes the step durable and does what it asks for.
func (s *step) commit(ctx context.Context) error {
	lr := s.lr
	created := lr.version == 0
	if !s.touched && !created && !s.loaded && !s.r.cfg.SoleOwner {
		// A change without a step is written whatever the run's version is. That the
		// facts mean nothing to a run may only be said of the run as it is stored.
		return fmt.Errorf("step run %s: another process may have stepped it: %w", lr.id, hayate.ErrConflict)
	}
	if s.touched || created {
		if created || !maps.Equal(s.own.Timers, lr.own.Timers) {
			own, err := json.Marshal(s.own)
			if err != nil {
				return err
			}
			s.entries[ownEntry] = own
		}
		s.change.Run = &RunDelta{ID: lr.id, From: lr.version, Head: s.head, Entries: s.entries, Wake: s.wake(), Done: s.ended}
	}
	moved := s.x.Status != lr.x.Status
	if moved {
		s.x.Worker, s.x.LeaseUntil = "", time.Time{}
		s.change.Update = append(s.change.Update, s.x)
	}
	if s.change.Run == nil && len(s.change.Update)+len(s.change.Complete)+len(s.change.Told)+len(s.change.Insert) == 0 {
		return nil
	}
	if err := s.r.store.Commit(ctx, s.change); err != nil {
		return fmt.Errorf("step run %s: %w", lr.id, err)
	}
	if moved {
		s.x.Version++
	}
	if s.change.Run != nil {
		lr.version++
	}
	lr.x, lr.own = s.x, s.own
	for _, report := range s.refused {
		report()
	}
	s.aftermath(ctx, moved)
	return nil
}

// wake is when the run wants to be swept next: at its first timer.
func (s *step) wake() time.Time {
	var first time.Time
	for _, at := range s.own.Timers {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// aftermath does what a committed step asks for.
func (s *step) aftermath(ctx context.Context, moved bool) {
	r, lr := s.r, s.lr
	r.dispatch(ctx, s.change.Insert)
	if len(s.failedAt) > 0 {
		lr.mu.Lock()
		lr.queue = append(lr.queue, s.failedAt...)
		lr.mu.Unlock()
	}
	r.setAlarm(lr, s.wake())
	lr.after = append(lr.after, s.after...)
	if moved {
		r.waiters.wake(s.x.ID)
	}
	if s.ended {
		r.metrics.ended(s.x.Status)
		r.log.Info("execution ended", "execution_id", s.x.ID, "action", s.x.Action, "status", s.x.Status, "trace", s.x.Trace)
		x := s.x
		lr.after = append(lr.after, func(ctx context.Context) {
			r.announce(ctx, &x, Completion{At: s.at, Result: hayate.Result{Status: x.Status, Value: x.Result}})
			r.tellParent(ctx, &x)
		})
	} else if moved && s.x.Parent != "" {
		x := s.x
		lr.after = append(lr.after, func(ctx context.Context) { r.tellParent(ctx, &x) })
	}
}

// tellParent passes the end (or the pause) of a workflow on to the workflow it is
// a task of. Where that fails the sweeper does it: the store knows what is untold.
func (r *Router) tellParent(ctx context.Context, x *hayate.Execution) {
	if x.Parent == "" {
		return
	}
	f, err := childFact(x, x.Status, x.Result, r.now())
	if err == nil {
		t := &told{fact: f}
		if x.Status.Completed() {
			t.child = x.ID
		}
		err = r.tell(ctx, x.Parent, t)
	}
	if err != nil {
		r.log.Warn("parent not told, the sweeper will", "execution_id", x.ID, "run_id", x.Parent, "err", err)
	}
}

// setAlarm arranges that the run is told of its next timer.
func (r *Router) setAlarm(lr *liveRun, wake time.Time) {
	if lr.timer != nil {
		lr.timer.Stop()
		lr.timer = nil
	}
	if wake.IsZero() || r.closing.Load() {
		return
	}
	id := lr.id
	lr.timer = time.AfterFunc(max(wake.Sub(r.now()), 0), func() {
		if !r.closing.Load() {
			r.tick(context.Background(), id)
		}
	})
}
