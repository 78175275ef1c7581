package orquesta

import (
	"errors"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// jinjaText is a text with Jinja in it.
type jinjaText struct{ t *jinja.Text }

// jinjaEnv compiles the Jinja of all workflows.
var jinjaEnv = newJinjaEnv()

func newJinjaEnv() *jinja.Env {
	functions := jinja.SharedFunctions(jinja.Hooks{ParseYAML: parseYAML})
	functions["json"] = jinjaJSON
	functions["zip"] = jinjaZip
	o := jinja.OrquestaOptions(functions)
	for _, name := range []string{"ctx", "item", "result", "succeeded", "failed", "completed", "task_status", "task", "st2kv"} {
		o.Filters[name] = jinja.FilterOfVars(name)
	}
	return jinja.New(o)
}

func compileJinja(s string, reevaluate bool) program {
	return jinjaText{jinjaEnv.CompileText(s, reevaluate)}
}

func (j jinjaText) run(e *env) (any, error) {
	v, err := j.t.Eval(e)
	if err == nil {
		v, err = jinja.Native(v)
	}
	if err == nil {
		return v, nil
	}
	var need *flow.Need
	if errors.As(err, &need) {
		return nil, need
	}
	var je *jinja.Error
	if errors.As(err, &je) {
		return nil, &Error{je.Class, je.Message}
	}
	var ve *value.Error
	if errors.As(err, &ve) {
		return nil, &Error{ve.Class, ve.Message}
	}
	return nil, err
}

// checkJinja returns the expressions of a text that Jinja cannot read: the text as
// a whole first, then each expression.
func checkJinja(s string) []fault {
	var out []fault
	add := func(text string, err error) {
		var je *jinja.Error
		if errors.As(err, &je) {
			out = append(out, fault{langJinja, text, je.Message})
		}
	}
	if _, err := jinjaEnv.Compile(s); err != nil {
		add(s, err)
		return out
	}
	for _, text := range expressionsIn(s, langJinja) {
		if _, err := jinjaEnv.Compile(text); err != nil {
			add(text, err)
		}
	}
	return out
}

// Lookup gives a template the functions that ask the run.
func (e *env) Lookup(name string) (any, bool, error) {
	call := func(required int, params []string, f func(a []any) (any, error)) (any, bool, error) {
		return jinja.Function(func(c *jinja.Call) (any, error) {
			a, err := c.Bind(name, required, params...)
			if err != nil {
				return nil, err
			}
			for i, x := range a {
				if x == (jinja.Absent{}) {
					a[i] = nil
				} else if u, ok := x.(*jinja.Undefined); ok && u.Strict {
					return nil, value.Raise(u.Class, "%s", u.Hint)
				}
			}
			return f(a)
		}), true, nil
	}
	switch name {
	case "ctx":
		return call(0, []string{"key"}, func(a []any) (any, error) { return e.context(a[0]) })
	case "item":
		return call(0, []string{"key"}, func(a []any) (any, error) { return e.itemOf(a[0]) })
	case "result":
		return call(0, nil, func([]any) (any, error) {
			_, err := e.current()
			return e.result, err
		})
	case "succeeded":
		return call(0, nil, func([]any) (any, error) {
			s, err := e.current()
			return s == succeeded, err
		})
	case "failed":
		return call(0, nil, func([]any) (any, error) {
			s, err := e.current()
			return s == failed, err
		})
	case "completed":
		return call(0, nil, func([]any) (any, error) {
			s, err := e.current()
			return s.Completed(), err
		})
	case "task_status":
		return call(1, []string{"task_id", "route"}, func(a []any) (any, error) {
			s, err := e.statusOf(value.Str(a[0]), int64(e.routeOf(a[1])))
			if s == "" {
				s = "null"
			}
			return s, err
		})
	case "task":
		return call(0, []string{"task_id", "route"}, func(a []any) (any, error) { return e.taskRecord(a[0], a[1]) })
	case "st2kv":
		return jinja.Function(func(c *jinja.Call) (any, error) {
			a, err := c.Bind(name, 1, "key", "decrypt", "default")
			if err != nil {
				return nil, err
			}
			def, given := a[2], a[2] != (jinja.Absent{})
			if !given {
				def = nil
			}
			return e.lookup(a[0], a[1] != (jinja.Absent{}) && value.Truth(a[1]), def, given)
		}), true, nil
	}
	return nil, false, nil
}

func jinjaJSON(c *jinja.Call) (any, error) {
	a, err := c.Bind("json", 1, "data")
	if err != nil {
		return nil, err
	}
	switch v := a[0].(type) {
	case *value.Map:
		return v, nil
	case string:
		out, err := value.Loads(v)
		var syntax *value.SyntaxError
		if errors.As(err, &syntax) {
			return nil, value.Raise("JSONDecodeError", "%s", syntax.Error())
		}
		return out, err
	}
	return nil, value.TypeErrorf("Given object is not typeof string.")
}

// jinjaZip joins lists to the length of the longest; pad fills the gaps.
func jinjaZip(c *jinja.Call) (any, error) {
	var pad any
	for i, n := range c.Names {
		if n == "pad" {
			pad = c.Named[i]
		}
	}
	if len(c.Args) == 1 {
		return c.Args[0], nil
	}
	longest := 0
	lists := make([][]any, len(c.Args))
	for i, a := range c.Args {
		if a == nil {
			continue
		}
		plain, err := jinja.Native(a)
		if err != nil {
			return nil, err
		}
		items, ok := value.Items(plain)
		if s, isText := plain.(string); isText {
			for _, r := range s {
				items = append(items, string(r))
			}
		} else if !ok {
			return nil, value.TypeErrorf("'%s' object is not iterable", value.Type(a))
		}
		lists[i] = items
		longest = max(longest, len(items))
	}
	if err := c.Budget().Grow(16 * longest * len(lists)); err != nil {
		return nil, err
	}
	out := make(value.List, longest)
	for i := range out {
		row := make(value.List, len(lists))
		for j, l := range lists {
			row[j] = pad
			if i < len(l) {
				row[j] = l[i]
			}
		}
		out[i] = row
	}
	return out, nil
}

func parseYAML(text string) (any, error) {
	root, diags := yamldoc.Parse([]byte(text), yamldoc.Options{})
	for _, d := range diags {
		if d.Severity == yamldoc.Error {
			return nil, value.Raise("YAMLError", "%s", d.Message)
		}
	}
	return toValue(root), nil
}
