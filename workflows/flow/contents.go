package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Call is what a task of a definition asks of an action, as far as it is written
// out.
type Call struct {
	Ref string
	// Given are the names of the input; Open says that they are not known, and only
	// the action is looked at.
	Given []string
	Open  bool
	// Action and Input are where they stand, SchemaAction and SchemaInput what the
	// language says of them, if anything. Line and Column are the action's.
	Action, Input             string
	SchemaAction, SchemaInput string
	Line, Column              int
}

// Check holds a call against the actions that there are, in the words of
// StackStorm, which looks when a workflow is about to run.
func (c *Call) Check(find FindAction) (out []Problem) {
	add := func(path, schema, format string, args ...any) {
		out = append(out, Problem{Category: "content", Message: fmt.Sprintf(format, args...), SpecPath: path, SchemaPath: schema, Line: c.Line, Column: c.Column})
	}
	if pack, name, ok := strings.Cut(c.Ref, "."); !ok || pack == "" || name == "" {
		add(c.Action, c.SchemaAction, `The action reference "%s" is not formatted correctly.`, c.Ref)
		return out
	}
	params, ok := find(c.Ref)
	if !ok {
		add(c.Action, c.SchemaAction, `The action "%s" is not registered in the database.`, c.Ref)
		return out
	}
	if c.Open {
		return nil
	}
	known := map[string]bool{}
	var missing, unexpected []string
	for _, p := range params {
		if p.Required && p.Default == nil && !known[p.Name] && !slices.Contains(c.Given, p.Name) {
			missing = append(missing, p.Name)
		}
		known[p.Name] = true
	}
	for _, name := range c.Given {
		if !known[name] {
			unexpected = append(unexpected, name)
		}
	}
	slices.Sort(missing)
	slices.Sort(unexpected)
	for _, name := range missing {
		add(c.Input, c.SchemaInput, `Action "%s" is missing required input "%s".`, c.Ref, name)
	}
	for _, name := range unexpected {
		add(c.Input, c.SchemaInput, `Action "%s" has unexpected input "%s".`, c.Ref, name)
	}
	return out
}
