package mistral

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// settle looks whether joins of a workflow can run, or never will, and whether the
// workflow has ended.
func (s *stepper) settle(f *frame) {
	if f.state.final() || s.paused {
		return
	}
	for _, i := range f.joins {
		e := s.entries[i]
		if e.state != waiting {
			continue
		}
		switch s.joinState(f, e) {
		case success:
			s.leave(f, i)
			s.touch(e).in = nil
			s.setState(e, idle)
			s.later(func() { s.begin(e) })
			s.later(func() { s.settle(f) })
			return
		case failure:
			s.leave(f, i)
			s.touch(e).info = "Failed by required tasks"
			s.finish(e, failure)
			return
		}
	}
	if f.open > 0 {
		return
	}
	st := success
	for _, i := range f.entries {
		e := s.entries[i]
		if e.state == cancelled {
			st = cancelled
			break
		}
		if e.state == failure && !e.handled {
			st = failure
		}
	}
	s.endFrame(f, st, s.reason(f, st))
}

func (s *stepper) leave(f *frame, i int) {
	s.touchFrame(f)
	f.joins = slices.DeleteFunc(slices.Clone(f.joins), func(x int) bool { return x == i })
}

// reason says which tasks made a workflow fail.
func (s *stepper) reason(f *frame, st state) string {
	if st != failure {
		return ""
	}
	text := "Failure caused by error in tasks: "
	for n, i := range f.entries {
		if e := s.entries[i]; e.state == failure && !e.handled {
			if n > 0 && text[len(text)-2] != ':' {
				text += ", "
			}
			text += e.task.name
		}
	}
	return text
}

// joinState is success where enough branches have come, failure where too few can.
func (s *stepper) joinState(f *frame, e *entry) state {
	ok, bad := 0, 0
	var live map[*task]bool
	for _, p := range e.task.inbound {
		i, there := f.newest[p.name]
		switch {
		case there && slices.ContainsFunc(e.from, func(x int) bool { return s.entries[x].task == p }):
			ok++
		case there && s.entries[i].done:
			bad++
		case there:
		default:
			if live == nil {
				live = s.reachable(f)
			}
			if !live[p] {
				bad++
			}
		}
	}
	need := e.task.join
	if need == joinAll {
		need = len(e.task.inbound)
	}
	switch {
	case ok >= need:
		return success
	case len(e.task.inbound)-bad < need:
		return failure
	}
	return waiting
}

// reachable are the tasks that may still run: those that follow, directly or not,
// on what is not done with.
func (s *stepper) reachable(f *frame) map[*task]bool {
	set := map[*task]bool{}
	var queue []*task
	for name, i := range f.newest {
		if !s.entries[i].done {
			queue = append(queue, f.wf.byName[name])
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, t := range queue[0].next {
			if !set[t] {
				set[t] = true
				queue = append(queue, t)
			}
		}
	}
	return set
}

// endFrame ends a workflow, and answers who runs it.
func (s *stepper) endFrame(f *frame, st state, text string) {
	if f.state.final() {
		return
	}
	s.touchFrame(f)
	f.state, f.info = st, text
	if len(s.needs) > 0 {
		return
	}
	f.output = s.render(f)
	if f.parent < 0 {
		s.later(func() { s.sweep(f) })
		return
	}
	e := s.entries[f.parent]
	s.later(func() { s.answer(e, f.item, f.state, f.output) })
}

// sweep drops what an ended run would still do: nothing of it happens any more.
func (s *stepper) sweep(f *frame) {
	if f.index == 0 {
		s.backlog = nil
		s.work = nil
	}
}

// render evaluates the output of a workflow. Without one it is all that tasks with
// nothing after them know.
func (s *stepper) render(f *frame) any {
	ctx := &value.Map{}
	for _, i := range f.entries {
		if e := s.entries[i]; e.state.final() && !e.led {
			ctx = over(ctx, s.left(e))
		}
	}
	t := f.wf.output
	if f.state != success {
		t = f.wf.outputOnError
		if t == nil {
			return &value.Map{}
		}
	} else if t == nil {
		return ctx
	}
	v, err := t.eval(&env{s: s, frame: f, ctx: ctx})
	if err != nil {
		if f.state == success {
			f.state, f.info = failure, "Failed to evaluate output: "+err.Error()
		}
		return &value.Map{}
	}
	return v
}

func (r *Run) entryID(i int) string { return r.id + "." + strconv.Itoa(i) }

const stamp = "2006-01-02 15:04:05"

// shownInput is the input of a task, null where it was too large to be kept.
func shownInput(raw json.RawMessage) any {
	v, err := value.Decode(raw)
	if err != nil {
		return nil
	}
	return v
}

// result is the run's result in StackStorm's shape: the output, and beside it the
// tasks and the state.
func (r *Run) result() json.RawMessage {
	root := r.frames[0]
	out := &value.Map{}
	if m, ok := root.output.(*value.Map); ok {
		out = m.Clone()
	} else if root.output != nil {
		out.Set("result", root.output)
	}
	tasks := value.List{}
	for _, e := range r.entries {
		published := any(e.shown)
		if e.shown == nil {
			published = &value.Map{}
		}
		f := r.frames[e.frame]
		var updated any
		if !e.ended.IsZero() {
			updated = e.ended.UTC().Format(stamp)
		}
		tasks = append(tasks, value.MapOf("id", r.entryID(e.index), "name", e.task.name, "workflow_execution_id", r.id+".f"+strconv.Itoa(f.index),
			"workflow_name", f.wf.name, "created_at", e.created.UTC().Format(stamp), "updated_at", updated, "state", string(e.state),
			"state_info", info(e.info), "input", shownInput(e.input), "published", published, "result", e.result))
	}
	out.Set("tasks", tasks)
	out.Set("extra", value.MapOf("state", string(root.state), "state_info", info(root.info)))
	b, err := value.AppendJSON(nil, out)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}
