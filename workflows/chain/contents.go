package chain

import (
	"fmt"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// Contents checks the tasks of a text, whether or not it can be run.
func Contents(text []byte, find flow.FindAction) []flow.Problem {
	root, _ := yamldoc.Parse(text, yamldoc.Options{})
	d := &Definition{byName: map[string]*task{}}
	(&parser{}).definition(d, root)
	return d.Contents(find)
}

// Contents checks the actions that the tasks name against those that there are.
func (d *Definition) Contents(find flow.FindAction) []flow.Problem {
	var out []flow.Problem
	for i, t := range d.tasks {
		if t.ref == "" || jinja.IsTemplate(t.ref) {
			continue
		}
		c := flow.Call{Ref: t.ref, Action: fmt.Sprintf("chain[%d].ref", i), Input: fmt.Sprintf("chain[%d].params", i), Line: t.line, Column: t.column}
		for _, p := range t.params {
			c.Given = append(c.Given, p.name)
		}
		out = append(out, c.Check(find)...)
	}
	return out
}
