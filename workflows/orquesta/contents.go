package orquesta

import (
	"fmt"
	"sort"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// Contents checks the tasks whose action is written out against the actions that
// there are, as StackStorm does when a workflow is about to run. An input that is
// one expression is not looked into.
func (d *Definition) Contents(find flow.FindAction) []flow.Problem {
	var out []flow.Problem
	for _, t := range d.spec.tasks {
		ref, ok := t.action.(string)
		if !ok || ref == "" || languageOf(ref) != "" {
			continue
		}
		add := func(prop, format string, args ...any) {
			out = append(out, flow.Problem{Category: "content", Message: fmt.Sprintf(format, args...),
				SpecPath: "tasks." + t.name + "." + prop, SchemaPath: taskPath + ".properties." + prop})
		}
		if pack, name, ok := strings.Cut(ref, "."); !ok || pack == "" || name == "" {
			add("action", `The action reference "%s" is not formatted correctly.`, ref)
			continue
		}
		params, ok := find(ref)
		if !ok {
			add("action", `The action "%s" is not registered in the database.`, ref)
			continue
		}
		input, isMap := t.input.(*value.Map)
		if t.hasInput && !isMap {
			continue
		}
		required := map[string]bool{}
		known := map[string]bool{}
		var missing, unexpected []string
		for _, p := range params {
			known[p.Name] = true
			if p.Required && p.Default == nil && !required[p.Name] {
				required[p.Name] = true
				if !input.Has(p.Name) {
					missing = append(missing, p.Name)
				}
			}
		}
		for k := range input.All() {
			if name := value.Str(k); !known[name] {
				unexpected = append(unexpected, name)
			}
		}
		sort.Strings(missing)
		sort.Strings(unexpected)
		for _, name := range missing {
			add("input", `Action "%s" is missing required input "%s".`, ref, name)
		}
		for _, name := range unexpected {
			add("input", `Action "%s" has unexpected input "%s".`, ref, name)
		}
	}
	return out
}
