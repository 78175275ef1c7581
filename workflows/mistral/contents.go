package mistral

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// Contents checks the tasks of a text, whether or not it can be run.
func Contents(text []byte, find flow.FindAction) []flow.Problem {
	root, _ := yamldoc.Parse(text, yamldoc.Options{})
	d := &Definition{workflows: map[string]*workflow{}, actions: map[string]*adhoc{}}
	(&reader{}).definition(d, root, "", "")
	return d.Contents(find)
}

// Contents checks the actions and workflows that the tasks name against the
// actions that there are. Mistral's own std.… and what the workbook itself has
// are not among those.
func (d *Definition) Contents(find flow.FindAction) []flow.Problem {
	var names []string
	for name := range d.workflows {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []flow.Problem
	for _, name := range names {
		w := d.workflows[name]
		for _, t := range w.tasks {
			c := flow.Call{Action: w.name + ".tasks." + t.name + ".action", Input: w.name + ".tasks." + t.name + ".input", Line: t.line, Column: t.column}
			switch {
			case t.workflow != "":
				c.Ref, c.Action = t.workflow, w.name+".tasks."+t.name+".workflow"
			case t.action != nil:
				c.Ref, _ = t.action.lit.(string)
			}
			if c.Ref == "" || strings.Contains(c.Ref, "<%") || strings.Contains(c.Ref, "{{") || strings.HasPrefix(c.Ref, "std.") || d.has(c.Ref) {
				continue
			}
			if d.name != "" {
				c.Action, c.Input = "workflows."+c.Action, "workflows."+c.Input
			}
			c.Given, c.Open = given(t.input)
			out = append(out, c.Check(find)...)
		}
	}
	return out
}

// has says whether the workbook itself has an action or a workflow.
func (d *Definition) has(ref string) bool {
	name := strings.TrimPrefix(ref, d.name+".")
	return d.actions[name] != nil || d.workflows[name] != nil
}

// given are the names of an input; open says that they are not known.
func given(t *template) (names []string, open bool) {
	if t == nil {
		return nil, false
	}
	if m, ok := t.lit.(*value.Map); ok {
		for k := range m.All() {
			names = append(names, value.Str(k))
		}
		return names, false
	}
	if t.keys == nil {
		return nil, true
	}
	for _, k := range t.keys {
		names = append(names, value.Str(k))
	}
	return names, false
}
