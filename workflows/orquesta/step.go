package orquesta

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// maxIdle bounds the tasks without an action that one step goes through, unless the
// workflow has half as many tasks: beyond it a workflow is taken to run in circles.
const maxIdle = 10_000

// New returns a run that has not started. id is what the run is called in the
// records that expressions see.
func New(def *Definition, id string) *Run {
	r := newRun(def)
	r.id = id
	return r
}

// SetID names a run that was loaded.
func (r *Run) SetID(id string) { r.id = id }

// Status returns where the run stands; "" before it started.
func (r *Run) Status() hayate.Status { return r.status }

// stepper gathers what one step asks for.
type stepper struct {
	*Run
	at       time.Time
	commands []flow.Command
	idle     int
}

// Step tells the run a fact. It returns what to make durable and, once that is
// done, to do. Where it fails the run is as it was: with *flow.Need the fact can
// be told again with more values, other errors are ErrInvalid. A fact that the
// run knows already, or that concerns nothing it waits for, changes nothing and
// gives an empty delta.
func (r *Run) Step(f flow.Fact) (flow.Delta, []flow.Command, error) {
	r.begin()
	r.at = f.At
	r.values = nil
	if len(f.Values) > 0 {
		r.values = make(map[lookupKey]lookupValue, len(f.Values))
		for k, v := range f.Values {
			r.values[lookupKey{k.Key, k.Decrypt}] = lookupValue{v.Value, v.Found}
		}
	}
	s := stepper{Run: r, at: f.At}
	before := r.status
	if r.owes {
		before = r.owedFrom
	}
	changed, err := s.tell(&f)
	more := f.More && err == nil && (changed || r.owes)
	if err == nil && !more && (changed || r.owes) {
		changed = true
		err = s.pump()
	}
	if err == nil && len(r.needs) > 0 {
		err = r.need()
	}
	if err != nil || !changed {
		r.rollback()
		return flow.Delta{}, nil, wrapStep(err, f.Kind)
	}
	r.owes, r.owedFrom = more, before
	if !more {
		s.announce(before)
	}
	if len(r.needs) > 0 {
		err := r.need()
		r.rollback()
		return flow.Delta{}, nil, err
	}
	d := r.delta()
	r.forget()
	return d, s.commands, nil
}

func wrapStep(err error, kind flow.FactKind) error {
	var need *flow.Need
	if err == nil || errors.As(err, &need) {
		return err
	}
	return fmt.Errorf("step run with %s: %w", kind, err)
}

// tell hands a fact to the conductor. changed is false where it is no news.
func (s *stepper) tell(f *flow.Fact) (changed bool, err error) {
	r := s.Run
	if f.Kind != flow.Started && !r.started {
		return false, fmt.Errorf("the run has not started: %w", hayate.ErrInvalid)
	}
	switch f.Kind {
	case flow.Started:
		if r.started {
			return false, nil
		}
		return true, s.start(f)
	case flow.ChildChanged:
		return s.child(&f.Child)
	case flow.TimerDue:
		return false, nil // delays are those of the children
	case flow.PauseAsked:
		if r.status == paused && !r.pauseAsked {
			r.pauseAsked = true // it rests for a person; the answer shall not wake it
			return true, nil
		}
		if !isActive(r.status) && r.status != retrying || r.status == canceling || r.pauseAsked {
			return false, nil
		}
		r.pauseAsked = true
		s.commands = append(s.commands, flow.Command{Kind: flow.PauseChildren})
		return true, r.request(pausing)
	case flow.ResumeAsked:
		if r.status != paused && r.status != pausing {
			return false, nil
		}
		r.pauseAsked = false
		s.commands = append(s.commands, flow.Command{Kind: flow.ResumeChildren})
		return true, s.resume()
	case flow.CancelAsked:
		if r.status.Completed() || r.status == canceling {
			return false, nil
		}
		s.commands = append(s.commands, flow.Command{Kind: flow.CancelChildren})
		return true, r.request(canceling)
	case flow.RerunAsked:
		reqs := make([]rerunRequest, len(f.Tasks))
		for i, t := range f.Tasks {
			reqs[i] = rerunRequest{t.Task, t.Route, t.ResetItems}
		}
		return true, r.rerun(reqs)
	}
	return false, fmt.Errorf("unknown fact %q: %w", f.Kind, hayate.ErrInvalid)
}

func (s *stepper) resume() error {
	if err := s.request(resuming); err != nil {
		return err
	}
	if s.status == resuming {
		return s.request(running)
	}
	return nil
}

func (s *stepper) start(f *flow.Fact) error {
	inputs, err := object(f.Inputs)
	if err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	context, err := object(f.Context)
	if err != nil {
		return fmt.Errorf("context: %w", err)
	}
	s.initialize(context, inputs)
	if s.status == failed {
		return nil
	}
	return s.request(running)
}

// object reads a JSON object; nothing and null are an empty one.
func object(raw json.RawMessage) (*value.Map, error) {
	if len(raw) == 0 {
		return value.NewMap(0), nil
	}
	v, err := value.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, hayate.ErrInvalid)
	}
	m, ok := v.(*value.Map)
	if !ok && v != nil {
		return nil, fmt.Errorf("found %s, want an object: %w", value.Type(v), hayate.ErrInvalid)
	}
	return m, nil
}

// child tells what became of a child execution.
func (s *stepper) child(c *flow.Child) (changed bool, err error) {
	r := s.Run
	if c.Entry < 0 || c.Entry >= len(r.seq) {
		return false, fmt.Errorf("child of task %q: there is no entry %d: %w", c.Task, c.Entry, hayate.ErrInvalid)
	}
	e := r.seq[c.Entry]
	if e.node.name != c.Task || e.route != c.Route {
		return false, fmt.Errorf("child of task %q: entry %d is of task %q: %w", c.Task, c.Entry, e.node.name, hayate.ErrInvalid)
	}
	if e.attempt != c.Attempt || r.newest[spot{e.node, e.route}] != e.index {
		return false, nil
	}
	now := e.status
	if c.Item >= 0 {
		st := r.staged[spot{e.node, e.route}]
		if st == nil || st.set == nil || c.Item >= st.set.len() {
			return false, nil
		}
		now = itemStatuses[st.set.status[c.Item]]
	}
	if now.Completed() || now == c.Status || now == retrying || now == "" || !relevant(c.Status) {
		return false, nil
	}
	ev := event{status: c.Status, item: c.Item}
	if c.Result != nil {
		if ev.result, err = value.Decode(c.Result); err != nil {
			return false, fmt.Errorf("child of task %q: result: %v: %w", c.Task, err, hayate.ErrInvalid)
		}
	}
	if c.Status.Completed() && isHeld(now) {
		// Who waited for a person, or was paused, runs again before it ends.
		if err := r.update(e.node, e.route, event{status: running, item: c.Item}); err != nil {
			return false, err
		}
	}
	if err := r.update(e.node, e.route, ev); err != nil {
		return false, err
	}
	if r.pauseAsked && r.status == running {
		return true, r.request(pausing)
	}
	if isHeld(now) && !r.pauseAsked && r.held == 0 && (r.status == pausing || r.status == paused) {
		return true, s.resume()
	}
	return true, nil
}

// relevant says whether a child's status matters to a workflow. That it is being
// paused or canceled shows when it has been.
func relevant(status hayate.Status) bool {
	switch status {
	case running, pending, paused:
		return true
	}
	return status.Completed()
}

// pump hands out tasks until the run waits for something.
func (s *stepper) pump() error {
	r := s.Run
	for {
		batch := r.next()
		if len(r.needs) > 0 {
			return r.need()
		}
		if len(batch) == 0 {
			break
		}
		for i := range batch {
			if err := s.handOut(&batch[i]); err != nil {
				return err
			}
		}
		if len(r.seq) > r.def.maxEntries || s.idle > max(maxIdle, 2*len(r.def.graph.nodes)) {
			s.stop()
			break
		}
	}
	if r.status.Completed() {
		r.renderOutput()
	}
	return nil
}

// stop fails a run that does not come to an end.
func (s *stepper) stop() {
	message := fmt.Sprintf("WorkflowLimitError: The workflow was stopped after %d tasks, more than the %d allowed.", len(s.seq), s.def.maxEntries)
	if len(s.seq) <= s.def.maxEntries {
		message = fmt.Sprintf("WorkflowLimitError: The workflow was stopped because it went through %d tasks without an action at once: a loop without end.", s.idle)
	}
	s.logFailure(failure{message: message, route: -1})
	s.fail()
	s.commands = append(s.commands, flow.Command{Kind: flow.CancelChildren})
}

// handOut marks a task as running and asks for its actions. Tasks without an
// action are done at once.
func (s *stepper) handOut(h *handout) error {
	r := s.Run
	n := h.node
	if n.command != "" {
		return r.update(n, h.route, event{kind: commandEvent, item: -1})
	}
	if h.itemized && h.items > 0 {
		return s.handOutItems(h)
	}
	old := r.latest(h.spot)
	wasActive := old != nil && isActive(old.status)
	if err := r.update(n, h.route, event{status: running, item: -1}); err != nil {
		return s.failTask(h, err)
	}
	e := r.latest(h.spot)
	if wasActive && e == old {
		return nil // a late arrival at a join that runs already
	}
	if h.itemized || h.actions[0].ref == nil && !r.def.rehearse {
		s.idle++
		return r.update(n, h.route, event{status: succeeded, item: -1})
	}
	return s.startAction(h, e, &h.actions[0], h.delay)
}

// failTask fails the workflow because a task could not be begun.
func (s *stepper) failTask(h *handout, err error) error {
	var need *flow.Need
	if errors.As(err, &need) {
		return err
	}
	s.logFailure(failure{message: describe(err), task: h.node.name, route: h.route})
	s.unstage(h.spot)
	s.fail()
	return nil
}

func (s *stepper) handOutItems(h *handout) error {
	r := s.Run
	first := h.staged.set.counts[0] == h.staged.set.len()
	for i := range h.actions {
		a := &h.actions[i]
		if err := r.update(h.node, h.route, event{status: running, item: a.item}); err != nil {
			return s.failTask(h, err)
		}
		var delay any
		if first {
			delay = h.delay
		}
		if err := s.startAction(h, r.latest(h.spot), a, delay); err != nil {
			return err
		}
	}
	return nil
}

// startAction asks for a child execution.
func (s *stepper) startAction(h *handout, e *entry, a *action, delay any) error {
	ref, ok := a.ref.(string)
	if (!ok || ref == "") && (a.ref != nil || !s.def.rehearse) {
		message := value.MapOf("error", "The action "+value.Repr(a.ref)+" is not the name of an action.")
		return s.update(h.node, h.route, event{status: failed, result: message, item: a.item})
	}
	start := flow.Start{Task: h.node.name, Route: h.route, Entry: e.index, Item: a.item, Items: h.items, Action: ref,
		Input: appendValue(nil, a.input), Attempt: e.attempt}
	if d, ok := delay.(int64); ok && d > 0 {
		start.Delay = time.Duration(min(d, maxDelay)) * time.Second
	}
	s.commands = append(s.commands, flow.Command{Kind: flow.StartChild, Start: start})
	return nil
}

// maxDelay bounds a delay, in seconds: a hundred years.
const maxDelay = 100 * 366 * 24 * 3600

// announce asks for what the change of the workflow's status means.
func (s *stepper) announce(before hayate.Status) {
	r := s.Run
	switch {
	case r.status.Completed() && (!r.finished || r.status != before):
		r.finished = true
		c := flow.Command{Kind: flow.Finish, Status: r.status, Output: appendValue(nil, r.output)}
		if isAbended(r.status) {
			c.Errors = r.errorsJSON()
		}
		s.commands = append(s.commands, c)
	case !r.status.Completed() && r.status != before:
		s.commands = append(s.commands, flow.Command{Kind: flow.Rest, Status: r.status})
	}
}

// errorsJSON is the list of errors as StackStorm shows it, nil where there are
// none.
func (r *Run) errorsJSON() json.RawMessage {
	var b []byte
	for _, f := range r.errors {
		if f.gone {
			continue
		}
		if b == nil {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b = f.appendJSON(b)
	}
	if b != nil {
		b = append(b, ']')
	}
	return b
}
