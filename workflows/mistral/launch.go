package mistral

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

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
	wf := s.def.called(e.task)
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
