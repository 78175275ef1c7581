package mistral

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

func (s *stepper) envOf(e *entry) *env {
	return &env{s: s, frame: s.frames[e.frame], entry: e, ctx: s.seen(e)}
}

// reach starts a task that a transition leads to. from is the entry it comes from,
// -1 at the start. A join is reached by each of its branches and runs once.
func (s *stepper) reach(f *frame, t *task, from int) {
	if f.state.final() {
		return
	}
	if t.join != 0 && from >= 0 {
		if i, ok := f.newest[t.name]; ok {
			if e := s.entries[i]; e.state == waiting {
				s.touch(e).from = append(e.from[:len(e.from):len(e.from)], from)
			}
			return
		}
	}
	e := &entry{index: len(s.entries), frame: f.index, task: t, state: idle, created: s.fact.At, step: s.step}
	if from >= 0 {
		e.from = []int{from}
	} else {
		e.in = &value.Map{}
	}
	s.entries = append(s.entries, e)
	s.touchFrame(f)
	f.open++
	f.entries = append(f.entries[:len(f.entries):len(f.entries)], e.index)
	old, had := f.newest[t.name]
	f.newest[t.name] = e.index
	s.undo = append(s.undo, func() {
		if had {
			f.newest[t.name] = old
		} else {
			delete(f.newest, t.name)
		}
	})
	if t.join != 0 && from >= 0 {
		e.state = waiting
		f.joins = append(f.joins[:len(f.joins):len(f.joins)], e.index)
		return
	}
	s.begin(e)
}

// begin starts a task, unless the run is paused or the task waits before.
func (s *stepper) begin(e *entry) {
	if s.frames[e.frame].state.final() || e.state.final() {
		return
	}
	if s.paused {
		s.backlog = append(s.backlog[:len(s.backlog):len(s.backlog)], e.index)
		return
	}
	t := e.task
	if t.pauseBefore != nil && !e.checked {
		s.touch(e).checked = true
		v, err := t.pauseBefore.eval(s.envOf(e))
		if err != nil {
			s.fail(e, err)
			return
		}
		if value.Truth(v) {
			s.paused = true
			s.begin(e)
			return
		}
	}
	n, ok := s.seconds(e, t.waitBefore)
	switch {
	case !ok:
	case n > 0:
		s.setState(e, delayed)
		s.setTimer(timerBefore, e, n)
	default:
		s.perform(e)
	}
}

// seconds evaluates a duration; ok is false where that failed the task.
func (s *stepper) seconds(e *entry, t *template) (n float64, ok bool) {
	if t == nil {
		return 0, true
	}
	v, err := t.eval(s.envOf(e))
	if err == nil && v != nil {
		if text, isText := v.(string); isText {
			v, err = value.ParseFloat(text)
		}
		if err == nil {
			n, err = value.ToFloat(v)
		}
	}
	if err != nil {
		s.fail(e, err)
		return 0, false
	}
	return n, true
}

// fail ends a task with an error of its own making.
func (s *stepper) fail(e *entry, err error) {
	s.touch(e).info = err.Error()
	e.result = err.Error()
	s.finish(e, failure)
}

// perform starts what a task does.
func (s *stepper) perform(e *entry) {
	if s.frames[e.frame].state.final() || e.state.final() {
		return
	}
	s.setState(e, running)
	n, ok := s.seconds(e, e.task.timeout)
	if !ok {
		return
	}
	if n > 0 {
		s.setTimer(timerLimit, e, n)
	}
	if e.task.items == nil {
		s.launch(e, -1, s.envOf(e))
		return
	}
	if e.items == nil && !s.evaluateItems(e) {
		return
	}
	s.refill(e)
}

// answer takes in the outcome of a task's action, or of one item of it.
func (s *stepper) answer(e *entry, item int, st state, result any) {
	if e.state.final() || s.frames[e.frame].state.final() && e.state != running && e.state != held {
		return
	}
	if e.task.isHTTP() {
		result = httpResult(result)
	}
	if st == success && e.adhoc != nil && e.adhoc.output != nil {
		root, ok := result.(*value.Map)
		if !ok {
			root = value.MapOf("result", result)
		}
		v, err := e.adhoc.output.eval(&env{s: s, frame: s.frames[e.frame], entry: e, root: root})
		if err != nil {
			st, v = failure, err.Error()
		}
		result = v
	}
	if item < 0 {
		s.touch(e).result = result
		s.finish(e, st)
		return
	}
	s.itemEnded(e, item, st, result)
}

// finish ends a try of a task: publishes, waits, and decides whether it is tried
// again.
func (s *stepper) finish(e *entry, st state) {
	s.touch(e)
	if s.canceling {
		st = cancelled
	}
	t := e.task
	if st != cancelled {
		s.setState(e, st) // so that its expressions see it ended
		if !s.publish(e, st) {
			return
		}
		if e.waited == "" && t.waitAfter != nil {
			n, ok := s.seconds(e, t.waitAfter)
			if !ok {
				return
			}
			if n > 0 {
				e.waited = st
				s.setState(e, delayed)
				s.setTimer(timerAfter, e, n)
				return
			}
		}
		if st == success && t.failOn != nil {
			v, err := t.failOn.eval(s.after(e))
			if err != nil || value.Truth(v) {
				st = failure
				e.info = "Failed by 'fail-on' policy"
			}
		}
		if s.again(e, st) {
			return
		}
	}
	e.waited = ""
	s.setState(e, st)
	if t.keepResult != nil && st != cancelled {
		if v, err := t.keepResult.eval(s.after(e)); err == nil && !value.Truth(v) {
			e.result = nil
		}
	}
	e.ended = s.fact.At
	f := s.touchFrame(s.frames[e.frame])
	f.open--
	s.later(func() { s.transit(e) })
}

// again says whether a task is tried once more, and sees to it.
func (s *stepper) again(e *entry, st state) bool {
	r := e.task.retry
	if r == nil {
		return false
	}
	env := s.after(e)
	count, err := r.count.eval(env)
	if err != nil {
		return false
	}
	n, err := value.ToFloat(count)
	if err != nil || float64(e.tries) >= n {
		return false
	}
	cond := r.continueOn
	if st == failure {
		cond = r.breakOn
	}
	v, err := cond.eval(env)
	if err != nil || value.Truth(v) == (st == failure) {
		return false // break-on holds, or continue-on does not
	}
	wait, _ := r.delay.eval(env)
	seconds := 0.0
	if wait != nil {
		seconds, _ = value.ToFloat(wait)
	}
	e.tries++
	e.attempt++
	e.waited, e.items = "", nil
	s.setState(e, delayed)
	if seconds > 0 {
		s.setTimer(timerRetry, e, seconds)
	} else {
		s.later(func() { s.perform(e) })
	}
	return true
}
