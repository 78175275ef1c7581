package mistral

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
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

// launch starts the action or the workflow of a task, or of one item.
func (s *stepper) launch(e *entry, item int, env *env) {
	in, err := e.task.input.eval(env)
	if err != nil {
		s.answerError(e, item, err)
		return
	}
	input, ok := in.(*value.Map)
	if !ok {
		input = &value.Map{}
	}
	if item < 0 {
		if raw := encoded(input); len(raw) <= maxShownInput {
			s.touch(e).input = raw
		}
	}
	if e.task.workflow != "" {
		s.launchWorkflow(e, item, input)
		return
	}
	name, err := e.task.action.eval(env)
	if err != nil {
		s.answerError(e, item, err)
		return
	}
	ref := value.Str(name)
	if a := s.def.actions[strings.TrimPrefix(ref, s.def.name+".")]; a != nil {
		if ref, input, err = s.resolve(a, input, env); err != nil {
			s.answerError(e, item, err)
			return
		}
		s.touch(e).adhoc = a
	}
	switch ref {
	case "std.noop":
		s.later(func() { s.answer(e, item, success, nil) })
	case "std.fail":
		s.later(func() { s.answer(e, item, failure, nil) })
	case "std.echo":
		out, _ := input.Str("output")
		s.later(func() { s.answer(e, item, success, out) })
	case "std.http", "std.mistral_http":
		s.startChild(e, item, "core.http", httpInput(input))
	default:
		s.startChild(e, item, ref, input)
	}
}

// httpInput is the input of std.http as core.http takes it.
func httpInput(in *value.Map) *value.Map {
	out := value.NewMap(in.Len())
	for k, v := range in.All() {
		switch k {
		case "verify":
			k = "verify_ssl_cert"
		case "cookies":
			if v == nil {
				continue
			}
		case "body":
			if _, text := v.(string); !text && v != nil {
				if s, err := value.Dumps(v, value.DumpOptions{Indent: -1}, nil); err == nil {
					v = s
				}
			}
		}
		out.Set(k, v)
	}
	return out
}

// isHTTP says whether a task's action is Mistral's own for HTTP.
func (t *task) isHTTP() bool {
	return t.action != nil && (t.action.src == "std.http" || t.action.src == "std.mistral_http")
}

// httpResult is a result of core.http as std.http gives it.
func httpResult(v any) any {
	m, ok := v.(*value.Map)
	if !ok || !m.Has("status_code") {
		return v
	}
	out := value.NewMap(4)
	for _, k := range [][2]string{{"status", "status_code"}, {"content", "body"}, {"headers", "headers"}, {"url", "url"}} {
		if x, ok := m.Str(k[1]); ok {
			out.Set(k[0], x)
		}
	}
	return out
}

// launchWorkflow starts a workflow of the same workbook as a frame of this run,
// any other as a child execution.
func (s *stepper) launchWorkflow(e *entry, item int, input *value.Map) {
	wf := s.def.workflows[strings.TrimPrefix(e.task.workflow, s.def.name+".")]
	if wf == nil {
		s.startChild(e, item, e.task.workflow, input)
		return
	}
	depth := 0
	for p := s.frames[e.frame]; p.parent >= 0; p = s.frames[s.entries[p.parent].frame] {
		if depth++; depth > maxDepth {
			s.answerError(e, item, value.Raise("WorkflowException", "sub-workflows are nested deeper than %d", maxDepth))
			return
		}
	}
	s.newFrame(wf, e.index, item, input)
}

// maxShownInput bounds the input of a task that the result of the workflow shows.
const maxShownInput = 4 << 10

// maxDepth bounds how deep workflows of a workbook call each other.
const maxDepth = 50

func (s *stepper) startChild(e *entry, item int, ref string, input *value.Map) {
	raw, err := value.AppendJSON(nil, input)
	if err != nil {
		s.answerError(e, item, err)
		return
	}
	items := 0
	if e.items != nil {
		items = e.items.len()
	}
	s.commands = append(s.commands, flow.Command{Kind: flow.StartChild, Start: flow.Start{Task: e.task.name, Route: 0, Entry: e.index, Item: item,
		Items: items, Action: ref, Input: raw, Attempt: e.attempt}})
}

// resolve turns the call of an ad-hoc action into that of its base.
func (s *stepper) resolve(a *adhoc, input *value.Map, outer *env) (string, *value.Map, error) {
	given := &value.Map{}
	for _, in := range a.input {
		if v, ok := input.Str(in.name); ok {
			given.Set(in.name, v)
		} else if !in.bare {
			v, err := in.def.eval(outer)
			if err != nil {
				return "", nil, err
			}
			given.Set(in.name, v)
		}
	}
	given = over(given, input)
	e := &env{s: s, frame: outer.frame, entry: outer.entry, root: given}
	name, err := a.base.eval(e)
	if err != nil {
		return "", nil, err
	}
	in, err := a.baseInput.eval(e)
	if err != nil {
		return "", nil, err
	}
	m, _ := in.(*value.Map)
	inline, err := compile(anyMap(a.inlineOfBase)).eval(e)
	if err != nil {
		return "", nil, err
	}
	top, _ := inline.(*value.Map)
	return value.Str(name), over(orEmpty(m), top), nil
}

func anyMap(m *value.Map) any {
	if m == nil {
		return nil
	}
	return m
}

func orEmpty(m *value.Map) *value.Map {
	if m == nil {
		return &value.Map{}
	}
	return m
}

func (s *stepper) answerError(e *entry, item int, err error) {
	if foreign(err) != err { //nolint:errorlint // identity is the question: foreign returns what it was given unless it is a need
		return // a need: the step is told again
	}
	s.touch(e).info = err.Error()
	s.later(func() { s.answer(e, item, failure, err.Error()) })
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
