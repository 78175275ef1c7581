package convert

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// work converts what a task does.
func (m *mistral) work(e yamldoc.Entry, s *step, path string, items []string) {
	n := e.Value
	at, sub := n.Get("action"), n.Get("workflow")
	text := at.Text()
	if sub != nil {
		at, text = sub, sub.Text()
	}
	ref, params := flow.Inline(text)
	c := m.scope(at, path+".action")
	c.items = items
	in := toValue(n.Get("input"))
	var a *adhoc
	if sub == nil {
		a = m.adhocOf(ref)
	}
	if in == nil || sub != nil || a != nil || strings.HasPrefix(ref, "std.") {
		in = over(in, params)
	}
	if a != nil {
		var own bool
		if ref, in, own = m.adhocCall(a, at, path, in, items); own {
			m.own[a.name] = a
			m.add(Beside, at, path+".action", "register the workbook's own action %q, which is written as a workflow, as the action %s, with its inputs as parameters%s", a.name, ref, m.lies(e))
		}
		if strings.HasPrefix(ref, "std.") {
			ref, in = m.standard(c, ref, in)
		}
		s.action, s.input = c.text(ref), in
		if x, ok := in.(*value.Map); ok && x.Len() == 0 {
			s.input = nil
		}
		return
	}
	switch {
	case sub != nil:
		ref = m.subWorkflow(e, at, path, ref)
	case ref == "" || strings.HasPrefix(ref, "std."):
		ref, in = m.standard(c, ref, in)
	}
	s.action = c.text(ref)
	if in != nil {
		i := m.scope(n.Get("input"), path+".input")
		if n.Get("input") == nil {
			i.at = at
		}
		i.items = items
		s.input = i.value(in)
		if x, ok := s.input.(*value.Map); ok && x.Len() == 0 {
			s.input = nil
		}
	}
}

// standard is an action of Mistral's own as one of StackStorm's.
func (m *mistral) standard(c *scope, ref string, in any) (string, any) {
	switch ref {
	case "", "std.noop":
		return "core.noop", nil
	case "std.fail":
		c.add(Differs, c.at, c.path, "std.fail has no result; core.local, which fails in its place, has that of a command")
		return "core.local", value.MapOf("cmd", "exit 1")
	case "std.http", "std.mistral_http":
		c.add(Differs, c.at, c.path, "core.http returns status_code and body, where %s returns status and content", ref)
		return "core.http", in
	}
	c.lost("the action %s; core.noop stands in its place", ref)
	return "core.noop", nil
}

// lies says where the result of a task is that has items: there the reader must see to
// it, elsewhere the result reads it where it is.
func (m *mistral) lies(e yamldoc.Entry) string {
	if m.get(e.Value, "with-items").IsNull() {
		return ""
	}
	return "; of each item its output is then below output"
}

// subWorkflow names the action that runs what was a workflow of the workbook.
func (m *mistral) subWorkflow(e yamldoc.Entry, at *yamldoc.Node, path, ref string) string {
	name := strings.TrimPrefix(ref, m.book+".")
	if !slices.Contains(m.siblings, name) {
		return ref
	}
	action := m.actionName(name)
	m.add(Beside, at, path+".workflow", "register the workflow %q as the action %s, with its inputs as parameters%s", name, action, m.lies(e))
	return action
}
