package mistral

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// maxIdle bounds what one step does without waiting for anything, unless the
// definition has so many tasks that it may be more: beyond it a workflow is taken to
// run in circles. A task is some four pieces of work.
const maxIdle = 20_000

// stepper is one step of a run.
type stepper struct {
	*Run
	fact     *flow.Fact
	work     []func() // what is still to be done in this step
	commands []flow.Command
	needs    []flow.Lookup
	undo     []func()
	dirty    []*entry
	frameSet []*frame
	chunks   map[chunkKey]bool
	lists    []*entry // whose items were evaluated
	base     int      // entries before the step
	baseF    int
}

type chunkKey struct{ entry, chunk int }

// Step tells the run a fact: see Step of package workflows.
func (r *Run) Step(f flow.Fact) (flow.Delta, []flow.Command, error) {
	r.step++
	s := &stepper{Run: r, fact: &f, base: len(r.entries), baseF: len(r.frames)}
	old, before := *r, r.Status()
	s.undo = append(s.undo, func() { step := r.step; *r = old; r.step = step })
	changed, err := s.tell()
	for n := 0; err == nil && len(s.work) > 0; n++ {
		w := s.work[0]
		s.work = s.work[1:]
		if n > max(maxIdle, 8*s.def.size) || len(s.entries) > s.def.max {
			s.endFrame(s.frames[0], failure, fmt.Sprintf("The workflow was stopped after %d tasks: a loop without end.", len(s.entries)))
			break
		}
		w()
	}
	if err == nil && s.canceling && s.working == 0 && s.holding == 0 {
		s.endFrame(s.frames[0], cancelled, "")
	}
	if err == nil && len(s.needs) > 0 {
		err = &flow.Need{Lookups: s.needs}
	}
	if err != nil || !changed {
		for i := len(s.undo) - 1; i >= 0; i-- {
			s.undo[i]()
		}
		var need *flow.Need
		if err != nil && !errors.As(err, &need) {
			err = fmt.Errorf("step run with %s: %w", f.Kind, err)
		}
		return flow.Delta{}, nil, err
	}
	s.announce(before)
	return s.delta(), s.commands, nil
}

func (s *stepper) want(l flow.Lookup) {
	for _, n := range s.needs {
		if n == l {
			return
		}
	}
	s.needs = append(s.needs, l)
}

// touch prepares an entry to be changed.
func (s *stepper) touch(e *entry) *entry {
	if e.step == s.step {
		return e
	}
	if e.index < s.base {
		old := *e
		s.undo = append(s.undo, func() { *e = old })
		s.dirty = append(s.dirty, e)
	}
	e.step = s.step
	return e
}

func (s *stepper) touchFrame(f *frame) *frame {
	if f.step == s.step {
		return f
	}
	if f.index < s.baseF {
		old := *f
		s.undo = append(s.undo, func() { *f = old })
		s.frameSet = append(s.frameSet, f)
	}
	f.step = s.step
	return f
}

func (s *stepper) setState(e *entry, st state) {
	s.touch(e)
	count := func(st state, by int) {
		if st == running && e.task.workflow == "" {
			s.working += by
		}
		if st == held {
			s.holding += by
		}
	}
	count(e.state, -1)
	count(st, 1)
	e.state = st
}

func (s *stepper) later(w func()) { s.work = append(s.work, w) }

func (s *stepper) tell() (changed bool, err error) {
	f := s.fact
	if f.Kind != flow.Started && !s.started {
		return false, fmt.Errorf("the run has not started: %w", hayate.ErrInvalid)
	}
	over := s.started && s.frames[0].state.final()
	switch f.Kind {
	case flow.Started:
		if s.started {
			return false, nil
		}
		return true, s.start()
	case flow.ChildChanged:
		return s.child(&f.Child)
	case flow.TimerDue:
		return !over && s.timer(f.Timer), nil
	case flow.PauseAsked:
		if over || s.paused || s.canceling {
			return false, nil
		}
		s.paused = true
		s.commands = append(s.commands, flow.Command{Kind: flow.PauseChildren})
		return true, nil
	case flow.ResumeAsked:
		if over || !s.paused {
			return false, nil
		}
		s.resume()
		return true, nil
	case flow.CancelAsked:
		if over || s.canceling {
			return false, nil
		}
		s.canceling = true
		s.commands = append(s.commands, flow.Command{Kind: flow.CancelChildren})
		if s.working == 0 && s.holding == 0 {
			s.endFrame(s.frames[0], cancelled, "")
		}
		return true, nil
	case flow.RerunAsked:
		return true, s.rerun(f.Tasks)
	}
	return false, fmt.Errorf("unknown fact %q: %w", f.Kind, hayate.ErrInvalid)
}

func (s *stepper) resume() {
	s.paused = false
	s.commands = append(s.commands, flow.Command{Kind: flow.ResumeChildren})
	backlog := s.backlog
	s.backlog = nil
	defer func() {
		s.later(func() { // once all of the backlog has led on
			for _, f := range s.frames {
				s.later(func() { s.settle(f) })
			}
		})
	}()
	for _, i := range backlog {
		e := s.entries[i]
		if e.state.final() {
			s.later(func() { s.transit(e) })
		} else {
			s.later(func() { s.begin(e) })
		}
	}
}

func object(raw json.RawMessage, what string) (*value.Map, error) {
	if len(raw) == 0 {
		return &value.Map{}, nil
	}
	v, err := value.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %v: %w", what, err, hayate.ErrInvalid)
	}
	m, ok := v.(*value.Map)
	if !ok && v != nil {
		return nil, fmt.Errorf("%s: found %s, want an object: %w", what, value.Type(v), hayate.ErrInvalid)
	}
	return m, nil
}

func (s *stepper) start() error {
	inputs, err := object(s.fact.Inputs, "inputs")
	if err != nil {
		return err
	}
	if s.context, err = object(s.fact.Context, "context"); err != nil {
		return err
	}
	s.started = true
	s.env = nil
	s.newFrame(s.def.main, -1, -1, inputs)
	return nil
}

// newFrame starts a workflow.
func (s *stepper) newFrame(wf *workflow, parent, item int, given *value.Map) {
	f := &frame{index: len(s.frames), wf: wf, parent: parent, item: item, state: running, input: &value.Map{}, newest: map[string]int{}, step: s.step}
	s.frames = append(s.frames, f)
	e := &env{s: s, frame: f}
	for _, in := range wf.input {
		v, ok := given.Str(in.name)
		if !ok {
			if in.bare {
				continue
			}
			var err error
			if v, err = in.def.eval(e); err != nil {
				s.endFrame(f, failure, "input "+in.name+": "+err.Error())
				return
			}
		}
		f.input.Set(in.name, v)
	}
	v, err := wf.vars.eval(e)
	if err != nil {
		s.endFrame(f, failure, "vars: "+err.Error())
		return
	}
	f.vars, _ = v.(*value.Map)
	for _, t := range wf.start {
		s.later(func() { s.reach(f, t, -1) })
	}
}

// child tells what became of a child execution.
func (s *stepper) child(c *flow.Child) (changed bool, err error) {
	if c.Entry < 0 || c.Entry >= len(s.entries) || s.entries[c.Entry].task.name != c.Task {
		return false, fmt.Errorf("child of task %q: it is not entry %d: %w", c.Task, c.Entry, hayate.ErrInvalid)
	}
	e := s.entries[c.Entry]
	if e.attempt != c.Attempt || e.state != running && e.state != held || c.Item >= 0 && (e.items == nil || c.Item >= e.items.len()) {
		return false, nil
	}
	switch c.Status {
	case hayate.StatusPending, hayate.StatusPaused:
		if e.state == held || c.Item >= 0 {
			return false, nil
		}
		s.setState(e, held)
		return true, nil
	case hayate.StatusRunning:
		if e.state != held {
			return false, nil
		}
		s.setState(e, running)
		return true, nil
	}
	if !c.Status.Completed() {
		return false, nil
	}
	var result any
	if len(c.Result) > 0 {
		if result, err = value.Decode(c.Result); err != nil {
			return false, fmt.Errorf("child of task %q: result: %v: %w", c.Task, err, hayate.ErrInvalid)
		}
	}
	if c.Item >= 0 && e.items.states[c.Item] != running {
		return false, nil
	}
	s.touch(e).child = c.ID
	st := failure
	switch c.Status {
	case hayate.StatusSucceeded:
		st = success
	case hayate.StatusCanceled:
		st = cancelled
	}
	s.answer(e, c.Item, st, result)
	return true, nil
}

// timer goes on with what waited: before a task, after it, for a retry, or for a
// time limit.
func (s *stepper) timer(key string) bool {
	if len(key) < 4 {
		return false
	}
	i, attempt, ok := strings.Cut(key[1:], ".")
	n, err := strconv.Atoi(i)
	m, err2 := strconv.Atoi(attempt)
	if !ok || err != nil || err2 != nil || n < 0 || n >= len(s.entries) || s.entries[n].attempt != m {
		return false
	}
	e := s.entries[n]
	switch {
	case key[0] == timerBefore && e.state == delayed && e.waited == "":
		s.later(func() { s.perform(e) })
	case key[0] == timerRetry && e.state == delayed && e.waited == "":
		s.later(func() { s.perform(e) })
	case key[0] == timerAfter && e.state == delayed && e.waited != "":
		s.later(func() { s.finish(e, e.waited) })
	case key[0] == timerLimit && (e.state == running || e.state == held):
		limit, _ := e.task.timeout.eval(s.envOf(e))
		s.touch(e).info = "Task timed out [timeout(s)=" + value.Str(limit) + "]."
		e.result = e.info
		s.later(func() { s.finish(e, failure) })
	default:
		return false
	}
	return true
}

const (
	timerBefore = 'b'
	timerAfter  = 'a'
	timerRetry  = 'r'
	timerLimit  = 't'
)

func (s *stepper) setTimer(kind byte, e *entry, seconds float64) {
	seconds = min(seconds, 100*366*24*3600)
	s.commands = append(s.commands, flow.Command{Kind: flow.SetTimer, Timer: string(kind) + strconv.Itoa(e.index) + "." + strconv.Itoa(e.attempt),
		After: time.Duration(seconds * float64(time.Second))})
}

// rerun goes on with an ended run from tasks that failed.
func (s *stepper) rerun(tasks []flow.Rerun) error {
	if !s.frames[0].state.final() {
		return fmt.Errorf("the workflow has not ended: %w", hayate.ErrInvalid)
	}
	var again []*entry
	reset := map[*entry]bool{}
	for _, i := range s.frames[0].entries {
		e := s.entries[i]
		if e.state != failure || s.frames[0].newest[e.task.name] != i {
			continue
		}
		chosen := len(tasks) == 0 && !e.handled
		for _, t := range tasks {
			if t.Task == e.task.name {
				chosen = true
				reset[e] = t.ResetItems
			}
		}
		if chosen {
			again = append(again, e)
		}
	}
	if len(again) == 0 {
		return fmt.Errorf("there is no failed task to run again: %w", hayate.ErrInvalid)
	}
	f := s.touchFrame(s.frames[0])
	f.state, f.info, f.output = running, "", nil
	s.canceling, s.paused, s.finished = false, false, false
	for _, e := range again {
		s.touch(e)
		e.done, e.handled, e.info, e.tries = false, false, "", 0
		e.attempt++
		f.open++
		if e.task.join != 0 && e.result == nil && len(e.from) < len(e.task.inbound) {
			s.setState(e, waiting) // it never ran: its branches did not all come
			f.joins = append(f.joins[:len(f.joins):len(f.joins)], e.index)
			continue
		}
		s.setState(e, idle)
		if e.items != nil && !reset[e] {
			s.reopen(e)
		} else {
			e.items = nil
		}
		s.later(func() { s.perform(e) })
	}
	return nil
}

// announce asks for what the change of the run's status means.
func (s *stepper) announce(before hayate.Status) {
	now := s.Status()
	switch {
	case now.Completed() && !s.finished:
		s.finished = true
		s.commands = append(s.commands, flow.Command{Kind: flow.Finish, Status: now, Output: s.result()})
	case !now.Completed() && now != before:
		s.commands = append(s.commands, flow.Command{Kind: flow.Rest, Status: now})
	}
}
