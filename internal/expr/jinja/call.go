package jinja

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Function is a function, filter or test that a caller adds. It must not keep
// the Call. A filter gets its value as the first argument.
type Function func(c *Call) (any, error)

// PyType is the name of the type.
func (Function) PyType() string { return "function" }

// PyRepr is what Python shows of a function.
func (Function) PyRepr() string { return "<function>" }

// Call is one call of a Function.
type Call struct {
	Args  []any
	Names []string // of the keyword arguments
	Named []any
	s     *state
}

// Budget is the rendering's budget, for functions that make much data.
func (c *Call) Budget() *value.Budget {
	if c.s == nil {
		return nil
	}
	return c.s.budget
}

// Vars are the variables that the template was rendered with; nil outside of one.
func (c *Call) Vars() Vars {
	if c.s == nil {
		return nil
	}
	return c.s.vars
}

// Str is str(v), as the template would print it.
func (c *Call) Str(v any) (string, error) {
	if c.s == nil {
		return value.Str(v), nil
	}
	return c.s.str(v)
}

// Absent stands for an argument that was not given.
type Absent struct{}

// Bind assigns the arguments to parameters as Python does: by position, then by
// name. The first required ones must be given, others are Absent without. name is
// the function's name in messages.
func (c *Call) Bind(name string, required int, params ...string) ([]any, error) {
	out := make([]any, len(params))
	for i := range out {
		if i < len(c.Args) {
			out[i] = c.Args[i]
		} else {
			out[i] = Absent{}
		}
	}
	if len(c.Args) > len(params) {
		return nil, tooMany(name, required, len(params), len(c.Args))
	}
	for i, n := range c.Names {
		k := -1
		for j, p := range params {
			if p == n {
				k = j
			}
		}
		if k < 0 {
			return nil, value.TypeErrorf("%s() got an unexpected keyword argument '%s'", name, n)
		}
		if _, absent := out[k].(Absent); !absent {
			return nil, value.TypeErrorf("%s() got multiple values for argument '%s'", name, n)
		}
		out[k] = c.Named[i]
	}
	var missing []string
	for i := 0; i < required; i++ {
		if _, absent := out[i].(Absent); absent {
			missing = append(missing, "'"+params[i]+"'")
		}
	}
	if len(missing) > 0 {
		return nil, missingArguments(name, missing)
	}
	return out, nil
}

func tooMany(name string, required, most, given int) error {
	takes := value.Str(int64(most))
	if required < most {
		takes = "from " + value.Str(int64(required)) + " to " + takes
	}
	plural, verb := "s", "were"
	if most == 1 && required == most {
		plural = ""
	}
	if given == 1 {
		verb = "was"
	}
	return value.TypeErrorf("%s() takes %s positional argument%s but %d %s given", name, takes, plural, given, verb)
}

func missingArguments(name string, missing []string) error {
	plural := "s"
	list := ""
	switch n := len(missing); {
	case n == 1:
		plural, list = "", missing[0]
	case n == 2:
		list = missing[0] + " and " + missing[1]
	default:
		list = strings.Join(missing[:n-1], ", ") + ", and " + missing[n-1]
	}
	return value.TypeErrorf("%s() missing %d required positional argument%s: %s", name, len(missing), plural, list)
}

// builtin is a filter or test: its name in Python, its parameters, and what it
// does with the bound arguments; or, for those that take any arguments, with the
// call.
type builtin struct {
	py       string
	hidden   bool // one more argument counts in messages
	required int
	params   []string
	fn       func(s *state, a []any) (any, error)
	free     func(s *state, c *Call) (any, error)
}

// wrap makes a builtin of a caller's function.
func wrap(name string, f Function) *builtin {
	return &builtin{py: name, free: func(_ *state, c *Call) (any, error) { return f(c) }}
}

func (b *builtin) call(s *state, c *Call) (any, error) {
	if b.free != nil {
		return b.free(s, c)
	}
	// The common case, without names: no binding needed.
	if len(c.Names) == 0 && len(c.Args) == len(b.params) {
		return b.fn(s, c.Args)
	}
	if b.hidden && len(c.Args) > len(b.params) {
		return nil, tooMany(b.py, b.required+1, len(b.params)+1, len(c.Args)+1)
	}
	a, err := c.Bind(b.py, b.required, b.params...)
	if err != nil {
		return nil, err
	}
	return b.fn(s, a)
}

// collect evaluates arguments behind those already given.
func (s *state) collect(a *arguments, c *Call) error {
	for _, x := range a.pos {
		v, err := x.eval(s)
		if err != nil {
			return err
		}
		c.Args = append(c.Args, v)
	}
	for i, x := range a.named {
		v, err := x.eval(s)
		if err != nil {
			return err
		}
		if err := c.name(a.names[i], v); err != nil {
			return err
		}
	}
	if a.star != nil {
		v, err := a.star.eval(s)
		if err != nil {
			return err
		}
		items, err := s.iterate(v)
		if err != nil {
			return err
		}
		c.Args = append(c.Args, items...)
	}
	if a.more != nil {
		v, err := a.more.eval(s)
		if err != nil {
			return err
		}
		m, ok := v.(*value.Map)
		if !ok {
			return value.TypeErrorf("argument after ** must be a mapping, not %s", value.Type(v))
		}
		for k, x := range m.All() {
			name, ok := k.(string)
			if !ok {
				return value.TypeErrorf("keywords must be strings")
			}
			if err := c.name(name, x); err != nil {
				return err
			}
		}
	}
	return s.budget.Step(1 + len(c.Args))
}

func (c *Call) name(name string, v any) error {
	for _, n := range c.Names {
		if n == name {
			return value.TypeErrorf("got multiple values for keyword argument '%s'", name)
		}
	}
	c.Names, c.Named = append(c.Names, name), append(c.Named, v)
	return nil
}

func (n *filterExpr) eval(s *state) (any, error) {
	c := Call{s: s}
	if n.x != nil {
		v, err := n.x.eval(s)
		if err != nil {
			return nil, err
		}
		c.Args = append(make([]any, 0, 1+len(n.args.pos)), v)
	}
	return n.apply(s, &c)
}

// on applies the filters to a text, as {% filter %} does.
func (n *filterExpr) on(s *state, text any) (any, error) {
	if inner, ok := n.x.(*filterExpr); ok {
		var err error
		if text, err = inner.on(s, text); err != nil {
			return nil, err
		}
	}
	return n.apply(s, &Call{s: s, Args: []any{text}})
}

func (n *filterExpr) apply(s *state, c *Call) (any, error) {
	if n.fn == nil {
		return nil, syntaxError("TemplateRuntimeError", n.pos, "No filter named %s found.", value.Repr(n.name))
	}
	err := s.collect(&n.args, c)
	var v any
	if err == nil {
		v, err = n.fn.call(s, c)
	}
	if err == nil {
		v, err = s.received(v)
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return v, nil
}

// received takes a value from a function.
func (s *state) received(v any) (any, error) {
	v, err := s.resolve(v)
	if err != nil || !s.mutates {
		return v, err
	}
	switch v.(type) {
	case value.List:
		return s.changeable(v, 0)
	}
	return v, nil
}

func (n *testExpr) eval(s *state) (any, error) {
	if n.fn == nil {
		return nil, syntaxError("TemplateRuntimeError", n.pos, "No test named %s found.", value.Repr(n.name))
	}
	v, err := n.x.eval(s)
	if err != nil {
		return nil, err
	}
	c := Call{s: s, Args: append(make([]any, 0, 1+len(n.args.pos)), v)}
	if err = s.collect(&n.args, &c); err == nil {
		v, err = n.fn.call(s, &c)
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	ok, err := s.truth(v)
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return ok, nil
}

func (n *callExpr) eval(s *state) (any, error) {
	c := Call{s: s}
	v, err := n.invoke(s, &c)
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return v, nil
}

func (n *callExpr) invoke(s *state, c *Call) (any, error) {
	fn, err := s.raw(n.fn)
	if err != nil {
		return nil, err
	}
	if err := s.collect(&n.args, c); err != nil {
		return nil, err
	}
	return s.call(fn, c)
}

// callable is something of this package that can be called.
type callable interface {
	call(s *state, c *Call) (any, error)
}

// call calls a value.
func (s *state) call(fn any, c *Call) (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	switch f := fn.(type) {
	case Function:
		v, err := f(c)
		if err != nil {
			return nil, err
		}
		if s.mutates {
			v, err = s.resolve(v)
			if err != nil {
				return nil, err
			}
			return s.changeable(v, 0)
		}
		return s.resolve(v)
	case callable:
		return f.call(s, c)
	case *Undefined:
		return nil, f.err()
	}
	return nil, value.TypeErrorf("'%s' object is not callable", value.Type(fn))
}
