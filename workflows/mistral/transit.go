package mistral

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// after is what expressions see once a task has published.
func (s *stepper) after(e *entry) *env {
	return &env{s: s, frame: s.frames[e.frame], entry: e, ctx: s.left(e)}
}

// publish evaluates what a task publishes, all against the same variables. It is
// false where that failed the workflow.
func (s *stepper) publish(e *entry, st state) bool {
	p := e.task.publish
	if st == failure {
		p = e.task.publishOnError
	}
	env := s.envOf(e)
	v, err := p.eval(env)
	if err != nil {
		s.breakOff(e, "publish", err)
		return false
	}
	shown, _ := v.(*value.Map)
	own := 0 // the clause of the outcome
	if st == failure {
		own = 1
	}
	var global *value.Map
	for _, i := range []int{2, own} {
		for k, t := range []*template{e.task.branch[i], e.task.global[i]} {
			v, err := t.eval(env)
			if err != nil {
				s.breakOff(e, "publish", err)
				return false
			}
			m, _ := v.(*value.Map)
			if k == 0 {
				shown = over(shown, m)
			} else {
				global = over(global, m)
			}
		}
	}
	e.shown = shown
	if global.Len() > 0 { // seen by the whole workflow, below what branches publish
		f := s.touchFrame(s.frames[e.frame])
		f.vars = over(f.vars, global)
	}
	return true
}

// breakOff fails a workflow because an expression of it cannot be evaluated.
func (s *stepper) breakOff(e *entry, what string, err error) {
	if foreign(err) != err { //nolint:errorlint // identity is the question: foreign returns what it was given unless it is a need
		return
	}
	f := s.frames[e.frame]
	s.setState(e, failure)
	e.done = true
	s.touchFrame(f).open--
	s.endFrame(f, failure, "Failed to evaluate "+what+" of task '"+e.task.name+"': "+err.Error())
}

// transit goes through the clauses of a task that ended.
func (s *stepper) transit(e *entry) {
	f := s.frames[e.frame]
	if e.done || f.state.final() {
		return
	}
	if s.paused {
		s.backlog = append(s.backlog[:len(s.backlog):len(s.backlog)], e.index)
		return
	}
	s.touch(e).done = true
	// After a pause the targets that follow it are gone to once the run is resumed.
	took := bytes.Repeat([]byte{targetUnasked}, len(e.task.targets()))
	held := strings.IndexByte(e.took, targetHeld)
	if held >= 0 {
		took = []byte(e.took)
	}
	defer func() { e.took = string(took) }()
	var clauses [][]target
	at := []int{0, len(e.task.onSuccess) + len(e.task.onError)}
	switch e.state {
	case success:
		clauses = [][]target{e.task.onSuccess, e.task.onComplete}
	case failure:
		clauses = [][]target{e.task.onError, e.task.onComplete}
		at[0] = len(e.task.onSuccess)
	}
	env := s.after(e)
	for i, c := range clauses {
		for k, x := range c {
			verdict := &took[at[i]+k]
			if held >= 0 && *verdict != targetHeld {
				continue
			}
			if s.paused {
				*verdict = targetHeld
				continue
			}
			*verdict = targetRefused
			ok := x.when == nil
			if !ok {
				v, err := x.when.eval(env)
				if err != nil {
					*verdict = targetBroken
					s.endFrame(f, failure, "Failed to evaluate a condition of task '"+e.task.name+"': "+err.Error())
					return
				}
				ok = value.Truth(v)
			}
			if !ok {
				continue
			}
			*verdict = targetTaken
			if e.state == failure && i == 0 {
				e.handled = true
			}
			if s.follow(e, &x, env) {
				return
			}
		}
	}
	if s.paused && bytes.IndexByte(took, targetHeld) >= 0 {
		e.done = false
		s.backlog = append(s.backlog[:len(s.backlog):len(s.backlog)], e.index)
	}
	if f.wf.reverse && e.state == success {
		s.dependents(f)
	}
	s.later(func() { s.settle(f) })
}

// follow goes where a clause leads. over says that the workflow has ended.
func (s *stepper) follow(e *entry, x *target, env *env) (over bool) {
	f := s.frames[e.frame]
	switch x.to {
	case "noop":
	case "fail", "succeed":
		msg, _ := x.msg.eval(env)
		text := ""
		if msg != nil {
			text = value.Str(msg)
		}
		st := success
		if x.to == "fail" {
			st = failure
		}
		s.endFrame(f, st, text)
		return true
	case "pause":
		s.paused = true
		s.commands = append(s.commands, flow.Command{Kind: flow.PauseChildren})
	default:
		e.led = true
		t := f.wf.byName[x.to]
		s.later(func() { s.reach(f, t, e.index) })
	}
	return false
}

// dependents starts the tasks of a reverse workflow all of whose requirements have
// succeeded.
func (s *stepper) dependents(f *frame) {
	for _, t := range f.wf.tasks {
		if _, ok := f.newest[t.name]; ok || len(t.requires) == 0 {
			continue
		}
		var from []int
		for _, q := range t.requires {
			if i, ok := f.newest[q]; ok && s.entries[i].state == success {
				from = append(from, i)
			}
		}
		if len(from) != len(t.requires) {
			continue
		}
		for _, i := range from {
			s.touch(s.entries[i]).led = true
		}
		s.later(func() {
			if _, ok := f.newest[t.name]; ok {
				return
			}
			s.reach(f, t, from[0])
			if i, ok := f.newest[t.name]; ok {
				e := s.touch(s.entries[i])
				e.from, e.in = slices.Clone(from), nil
			}
		})
	}
}
