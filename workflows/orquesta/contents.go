package orquesta

import (
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// Contents checks the definition's tasks: see flow.Checker.
func (d *Definition) Contents(find flow.FindAction) []flow.Problem { return d.spec.contents(find) }

// Contents checks the tasks of a text, whether or not it can be run.
func Contents(text []byte, find flow.FindAction) []flow.Problem {
	root, _ := yamldoc.Parse(text, yamldoc.Options{})
	if root.Kind() != yamldoc.Mapping {
		return nil
	}
	return (&reader{}).spec(root).contents(find)
}

// contents checks the tasks whose action is written out against the actions that
// there are, as StackStorm does when a workflow is about to run. An input that is
// one expression is not looked into.
func (s *spec) contents(find flow.FindAction) []flow.Problem {
	var out []flow.Problem
	for _, t := range s.tasks {
		ref, ok := t.action.(string)
		if !ok || ref == "" || languageOf(ref) != "" {
			continue
		}
		input, isMap := t.input.(*value.Map)
		c := flow.Call{Ref: ref, Open: t.hasInput && !isMap, Action: "tasks." + t.name + ".action", Input: "tasks." + t.name + ".input",
			SchemaAction: taskPath + ".properties.action", SchemaInput: taskPath + ".properties.input"}
		for k := range input.All() {
			c.Given = append(c.Given, value.Str(k))
		}
		out = append(out, c.Check(find)...)
	}
	return out
}
