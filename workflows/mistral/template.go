package mistral

import (
	"errors"
	"strings"
	"time"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/workflows/flow"
)

// template is a value in which texts may hold expressions. It is immutable.
type template struct {
	lit        any
	src        string
	text       program
	list       []*template
	keys       []any
	vals       []*template
	structured bool // list or map with something to evaluate
}

// program is a compiled text.
type program interface {
	run(e *env) (any, error)
	mistakes() []string
}

// compile prepares a value; null gives nil.
func compile(v any) *template {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		switch {
		case strings.Contains(v, "<%"):
			if t := yaql.NewTemplate(v); t.HasExpressions() {
				return &template{src: v, text: yaqlText{t}}
			}
		case strings.Contains(v, "{{") || strings.Contains(v, "{%"):
			return &template{src: v, text: jinjaText{jinjaEnv.CompileText(v, false), v}}
		}
		return &template{lit: v, src: v}
	case value.List:
		t := &template{lit: v}
		for _, x := range v {
			c := compile(x)
			t.list = append(t.list, c)
			t.structured = t.structured || c.dynamic()
		}
		return t
	case *value.Map:
		t := &template{lit: v}
		for k, x := range v.All() {
			c := compile(x)
			t.keys, t.vals = append(t.keys, k), append(t.vals, c)
			t.structured = t.structured || c.dynamic()
		}
		return t
	}
	return &template{lit: v}
}

func (t *template) dynamic() bool { return t != nil && (t.text != nil || t.structured) }

// mistakes are the expressions that cannot be read.
func (t *template) mistakes() []string {
	if t == nil {
		return nil
	}
	if t.text != nil {
		return t.text.mistakes()
	}
	var out []string
	for _, x := range t.list {
		out = append(out, x.mistakes()...)
	}
	for _, x := range t.vals {
		out = append(out, x.mistakes()...)
	}
	return out
}

// eval evaluates a template; a nil one is null.
func (t *template) eval(e *env) (any, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.text != nil:
		v, err := t.text.run(e)
		return plain(v), err
	case !t.structured:
		return t.lit, nil
	case t.list != nil:
		out := make(value.List, len(t.list))
		for i, x := range t.list {
			v, err := x.eval(e)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}
	out := value.NewMap(len(t.keys))
	for i, x := range t.vals {
		v, err := x.eval(e)
		if err != nil {
			return nil, err
		}
		out.Set(t.keys[i], v)
	}
	return out, nil
}

// plain makes what an expression yields data that JSON can hold.
func plain(v any) any {
	switch v := v.(type) {
	case *value.Set:
		return plain(v.Items())
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			if _, ok := k.(string); !ok {
				k = value.Str(k)
			}
			out.Set(k, plain(x))
		}
		return out
	}
	if items, ok := value.Items(v); ok {
		out := make(value.List, len(items))
		for i, x := range items {
			out[i] = plain(x)
		}
		return out
	}
	if _, ok := v.(value.Object); ok {
		return value.Str(v)
	}
	return v
}

type yaqlText struct{ t *yaql.Template }

func (y yaqlText) run(e *env) (any, error) {
	v, err := y.t.Eval(&yaql.Context{Data: e.data(), Functions: yaqlFunctions, Env: e, Now: func() time.Time { return e.s.fact.At }}, yaql.Options{})
	return v, foreign(err)
}

func (y yaqlText) mistakes() []string {
	var out []string
	for _, m := range y.t.Check() {
		out = append(out, m.Err.Message)
	}
	return out
}

type jinjaText struct {
	t   *jinja.Text
	src string
}

func (j jinjaText) run(e *env) (any, error) {
	v, err := j.t.Eval(&names{e, strings.Contains(j.src, "st2kv."), strings.Contains(j.src, "decrypt_kv")})
	if err == nil {
		v, err = jinja.Native(v)
	}
	return v, foreign(err)
}

func (j jinjaText) mistakes() []string {
	if _, err := jinjaEnv.Compile(j.src); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// foreign finds a need in an error of an expression.
func foreign(err error) error {
	var need *flow.Need
	if errors.As(err, &need) {
		return need
	}
	return err
}

var jinjaEnv = newJinjaEnv()

// newJinjaEnv compiles the Jinja of all workflows. A text that names the filter
// decrypt_kv has its datastore values opened as they are read.
func newJinjaEnv() *jinja.Env {
	o := jinja.OrquestaOptions(jinja.SharedFunctions(jinja.Hooks{}))
	o.Filters["decrypt_kv"] = func(c *jinja.Call) (any, error) {
		a, err := c.Bind("decrypt_kv", 1, "value")
		if err != nil {
			return nil, err
		}
		return a[0], nil
	}
	return jinja.New(o)
}

// names are what a Jinja text can name.
type names struct {
	e      *env
	scopes bool // st2kv is used with dots
	open   bool // values are decrypted
}

// Lookup gives a template the context and the functions that ask the run.
func (n *names) Lookup(name string) (any, bool, error) {
	fn := func(f func(a []any) (any, error)) (any, bool, error) {
		return jinja.Function(func(c *jinja.Call) (any, error) {
			a, err := c.Bind(name, 0, "key", "decrypt")
			if err != nil {
				return nil, err
			}
			for i := range a {
				if a[i] == (jinja.Absent{}) {
					a[i] = nil
				}
			}
			return f(a)
		}), true, nil
	}
	switch name {
	case "_":
		return n.e.data(), true, nil
	case "task":
		return fn(func(a []any) (any, error) { return n.e.task(a[0]) })
	case "global":
		return fn(func(a []any) (any, error) { return n.e.global(a[0]), nil })
	case "execution":
		return fn(func([]any) (any, error) { return n.e.execution(), nil })
	case "env":
		return fn(func([]any) (any, error) { return n.e.environment(), nil })
	case "st2kv":
		if n.scopes {
			return &scopes{n.e, n.open}, true, nil
		}
		return fn(func(a []any) (any, error) { return n.e.lookup(a[0], value.Truth(a[1])) })
	}
	return nil, false, nil
}

// scopes is st2kv with dots: st2kv.system.key, st2kv.user.key.
type scopes struct {
	e    *env
	open bool
}

// Attr returns a scope.
func (s *scopes) Attr(name string) (any, bool, error) {
	switch name {
	case "system":
		return &keys{s.e, "system.", s.open}, true, nil
	case "user":
		return &keys{s.e, "", s.open}, true, nil
	}
	return nil, false, nil
}

type keys struct {
	e      *env
	prefix string
	open   bool
}

// Attr returns the value of a key.
func (k *keys) Attr(name string) (any, bool, error) {
	v, err := k.e.lookup(k.prefix+name, k.open)
	return v, err == nil, err
}

var yaqlFunctions = newYAQLFunctions()

func newYAQLFunctions() *yaql.Functions {
	return yaql.NewFunctions(yaql.StackStormFunctions(yaql.StackStormOptions{}), map[string]yaql.Function{
		"task": {Params: []yaql.Param{{Name: "taskName", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
			return c.Env.(*env).task(c.Args[0])
		}},
		"global": {Params: []yaql.Param{{Name: "name"}}, Call: func(c *yaql.Call) (any, error) {
			return c.Env.(*env).global(c.Args[0]), nil
		}},
		"execution": {Call: func(c *yaql.Call) (any, error) { return c.Env.(*env).execution(), nil }},
		"env":       {Call: func(c *yaql.Call) (any, error) { return c.Env.(*env).environment(), nil }},
		"st2kv": {Params: []yaql.Param{{Name: "key"}, {Name: "decrypt", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
			return c.Env.(*env).lookup(c.Args[0], value.Truth(c.Args[1]))
		}},
		"json_pp": {Params: []yaql.Param{{Name: "value"}}, Call: func(c *yaql.Call) (any, error) {
			v, err := c.Plain(c.Args[0])
			if err != nil {
				return nil, err
			}
			return value.Dumps(v, value.DumpOptions{Indent: 4}, c.Budget)
		}},
	})
}
