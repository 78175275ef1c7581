package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
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
	// unstored says that not even the execution is stored: the first step does that.
	unstored bool
	head     json.RawMessage // of the stored run
	own      ownState
	seed     map[string]json.RawMessage // entries that a run begins with which continues another
	timer    *time.Timer
	// secrets are the secret texts that it knows: what of them is given to a task is
	// private there, and what of its own state holds one is stored sealed. nil: not read.
	secrets *[]string
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
	// Questions says that a task of it waited for an answer, or rested because one
	// below it did: a question may be open at its end.
	Questions bool `json:"questions,omitempty"`
	// Secrets are the secret texts that it knows, as a JSON list, sealed; "" for none.
	Secrets string `json:"secrets,omitempty"`
	// Owed is what its steps ask of others; nil for nothing.
	Owed *owed `json:"owed,omitempty"`
	due
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
	// instead is a retry that a policy makes follow the child; the run hears of that
	// one, unless it is to end.
	instead *hayate.Execution
	// paid is what the run owed to others and is done; there is no fact then.
	paid *owed
	// note changes when the run is due; false: there is nothing to tell any more. The
	// fact may then be none.
	note func(*step) bool
	done chan error
}

func newTold(f workflows.Fact) *told { return &told{fact: f, done: make(chan error, 1)} }

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
	for r.round(ctx, lr) {
	}
}

// round steps a run by the facts that wait. Where there are none it gives the run up,
// does what its steps ask of others, and returns false.
func (r *Router) round(ctx context.Context, lr *liveRun) bool {
	lr.mu.Lock()
	batch := lr.queue
	lr.queue = nil
	if len(batch) > 0 {
		lr.mu.Unlock()
		r.advance(ctx, lr, batch)
		return true
	}
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
	return false
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
	return fmt.Errorf("%w: %w", errContended, err)
}

// errContended says that others stepped the run again and again before a fact
// could be told; it is a conflict too.
var errContended = errors.New("the run keeps being stepped by others")

// step gathers what a batch of facts leads to.
type step struct {
	r        *Router
	lr       *liveRun
	at       time.Time
	change   Change
	head     json.RawMessage
	entries  map[string]json.RawMessage
	touched  bool // the run's own state has changed
	learned  bool // it was told secrets that the run does not keep yet
	renewed  bool // a commit without a change of it must still be computed from the stored run
	own      ownState
	x        hayate.Execution
	ended    bool
	failedAt []*told  // children that failed before they began: facts of the next step
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
	s := &step{r: r, lr: lr, at: r.now(), own: lr.own, x: lr.x, loaded: loaded}
	s.own.Timers = maps.Clone(lr.own.Timers)
	if lr.version == 0 {
		s.entries = maps.Clone(lr.seed)
	}
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
	if t.paid != nil {
		s.own.Owed = s.own.Owed.struck(t.paid)
		return nil
	}
	if end := t.end(); end != "" && s.r.cat.Load().actionTrigger {
		o := s.owe()
		o.Ends = append(o.Ends, end)
	}
	if t.instead != nil && s.x.Status != hayate.StatusCanceling && !s.x.Status.Completed() {
		s.change.Insert = append(s.change.Insert, *t.instead)
		s.renewed = true
		return nil
	}
	if !s.note(t) {
		return nil
	}
	if t.fact.Kind == workflows.ChildChanged && waits(t.fact.Child.Status) {
		s.own.Questions = true
		s.withdraw(s.lr.run.Status())
	}
	if t.fact.Kind == workflows.TimerDue {
		delete(s.own.Timers, t.fact.Timer) // it has come, whatever the run makes of it
	}
	if t.fact.At.IsZero() {
		t.fact.At = s.at
	}
	for range maxNeedRounds {
		delta, commands, err := workflows.Step(s.lr.def, s.lr.run, t.fact)
		var need *workflows.Need
		switch {
		case errors.As(err, &need):
			opened, err := s.r.answer(ctx, &t.fact, need, contextUser(s.x.Context))
			if err == nil {
				err = s.learn(ctx, opened)
			}
			if err != nil {
				return err
			}
			continue
		case errors.Is(err, hayate.ErrInvalid) && s.lr.version > 0:
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

// end is the task that has ended with the fact, "" where none has.
func (t *told) end() hayate.ExecutionID {
	if t.complete != nil && t.complete.Result.Status.Completed() {
		return t.complete.Execution
	}
	return t.child
}

// owe is what the run will owe to others once the step is committed.
func (s *step) owe() *owed {
	o := &owed{}
	if s.own.Owed != nil {
		*o = *s.own.Owed
		o.Ends = slices.Clone(o.Ends)
	}
	s.own.Owed = o
	return o
}

// take notes what one fact led to.
func (s *step) take(ctx context.Context, d workflows.Delta, commands []workflows.Command) error {
	if !d.Empty() {
		s.touched = true
		s.head = d.Head
		if len(s.entries) == 0 {
			s.entries = d.Entries // nobody else's
		} else {
			maps.Copy(s.entries, d.Entries)
		}
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
			result, status := boundedResult(s.overdueResult(workflowResult(s.x.Runner, c)), c.Status)
			if s.x.Runner == workflows.Mistral {
				known, err := s.secrets(ctx)
				if err != nil {
					return err
				}
				result = hideInputs(result, known)
			}
			s.x.Result = result
			s.ended = true
			if err := s.move(status); err != nil {
				return err
			}
			s.withdraw(status)
		case workflows.CancelChildren, workflows.PauseChildren, workflows.ResumeChildren:
			o := s.owe()
			o.Children, o.Asked = c.Kind, s.lr.version+1
		}
	}
	return nil
}

// move brings the workflow's own execution to a status. A detour over running is
// taken where the direct way is not legal. As with any other execution, one whose
// cancelation was asked ends canceled: its expressions may well fail on the
// results of canceled tasks. One that was stopped at its deadline ends as a timeout.
func (s *step) move(to hayate.Status) error {
	switch {
	case !to.Completed() || to == hayate.StatusAbandoned:
	case s.own.Overdue:
		to = hayate.StatusTimeout
	case s.x.Status == hayate.StatusCanceling:
		to = hayate.StatusCanceled
	}
	if to == hayate.StatusResuming && !s.x.Status.CanBecome(to) {
		to = hayate.StatusRunning // it was not paused: it continues another
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

// commit makes the step durable and does what it asks for.
func (s *step) commit(ctx context.Context) error {
	lr := s.lr
	created := lr.version == 0
	moved := s.x.Status != lr.x.Status
	if moved && s.x.Parent != "" && !created && !s.x.Status.Completed() {
		s.owe().Moved = lr.version + 1
	}
	if err := s.keepSecrets(ctx); err != nil {
		return err
	}
	noted := created || !maps.Equal(s.own.Timers, lr.own.Timers) || s.own.Owed != lr.own.Owed && !reflect.DeepEqual(s.own.Owed, lr.own.Owed) || s.own.Questions != lr.own.Questions || s.own.Secrets != lr.own.Secrets || s.own.due != lr.own.due
	changed := s.touched || s.renewed || noted
	if !changed && !s.loaded && !s.r.cfg.SoleOwner {
		// A change without a step is written whatever the run's version is. That the
		// facts mean nothing to a run may only be said of the run as it is stored.
		return fmt.Errorf("step run %s: another process may have stepped it: %w", lr.id, hayate.ErrConflict)
	}
	if s.head == nil {
		s.head = lr.head
	}
	if noted {
		own, err := json.Marshal(s.own)
		if err != nil {
			return err
		}
		if s.entries == nil {
			s.entries = map[string]json.RawMessage{}
		}
		s.entries[ownEntry] = own
	}
	if changed {
		head, entries, err := s.stored(ctx)
		if err != nil {
			return err
		}
		s.change.Run = &RunDelta{ID: lr.id, From: lr.version, Head: head, Entries: entries, Wake: s.wake(), Done: s.x.Status.Completed() && s.own.Owed.empty()}
	}
	if moved {
		s.x.Worker, s.x.LeaseUntil = "", time.Time{}
	}
	switch {
	case lr.unstored:
		s.change.Insert = append([]hayate.Execution{s.x}, s.change.Insert...)
	case moved:
		s.change.Update = append(s.change.Update, s.x)
	}
	if s.change.Run == nil && len(s.change.Update)+len(s.change.Complete)+len(s.change.Told)+len(s.change.Insert) == 0 {
		return nil
	}
	if err := s.r.store.Commit(ctx, s.change); err != nil {
		return fmt.Errorf("step run %s: %w", lr.id, err)
	}
	if moved && !lr.unstored {
		s.x.Version++
	}
	lr.unstored = false
	if s.change.Run != nil {
		lr.version++
	}
	fresh, newAlarm := s.own.Owed.since(lr.own.Owed), created || !s.alarm().Equal(lr.own.first())
	lr.x, lr.own, lr.head, lr.seed = s.x, s.own, s.head, nil
	for _, report := range s.refused {
		report()
	}
	if newAlarm || !s.r.cfg.Frozen {
		s.r.setAlarm(lr, s.alarm())
	}
	s.aftermath(ctx, moved, fresh)
	return nil
}

// aftermath does what a committed step asks for.
func (s *step) aftermath(ctx context.Context, moved bool, fresh *owed) {
	r, lr := s.r, s.lr
	r.dispatch(ctx, s.change.Insert) // not its own, which runs by now
	if len(s.failedAt) > 0 {
		lr.mu.Lock()
		lr.queue = append(lr.queue, s.failedAt...)
		lr.mu.Unlock()
	}
	if !fresh.empty() {
		o := *fresh
		lr.after = append(lr.after, func(ctx context.Context) { r.pay(ctx, lr.id, o) })
	}
	if moved {
		r.waiters.wake(s.x.ID)
	}
	if s.ended {
		x := s.x
		lr.after = append(lr.after, func(ctx context.Context) { r.over(ctx, &x) })
	} else if moved && s.x.Parent != "" && lr.version == 1 {
		// That it has begun is no news to a parent that waits for its end: where it is
		// lost, nothing is. What else moves it is owed.
		x := s.x
		lr.after = append(lr.after, func(ctx context.Context) {
			if err := r.tellParent(ctx, &x); err != nil {
				r.log.Warn("parent not told", "execution_id", x.ID, "run_id", x.Parent, "err", err)
			}
		})
	}
}

// tellParent passes the end (or the pause) of a task on to its workflow. Where a
// policy retries the task, the workflow hears of the retry instead.
func (r *Router) tellParent(ctx context.Context, x *hayate.Execution) error {
	result := x.Result
	if x.ResultRef != nil {
		var err error
		if result, err = r.readBlob(ctx, x.ResultRef.Hash); err != nil {
			return fmt.Errorf("read result of execution %s: %w", x.ID, err)
		}
	}
	f, err := childFact(x, x.Status, result, r.now())
	if err != nil {
		return err
	}
	t := &told{fact: f}
	if x.Status.Completed() {
		t.child = x.ID
		if t.instead = r.retryOf(x, r.now()); t.instead != nil {
			// Where it exists, the workflow knows: only the mark is missing.
			_, err := r.Execution(ctx, t.instead.ID)
			if err == nil {
				return r.store.Commit(ctx, Change{Told: []hayate.ExecutionID{x.ID}})
			}
			if !errors.Is(err, hayate.ErrNotFound) {
				return err
			}
		}
	}
	if err := r.tell(ctx, x.Parent, t); err != nil {
		return fmt.Errorf("tell run %s of execution %s: %w", x.Parent, x.ID, err)
	}
	return nil
}
