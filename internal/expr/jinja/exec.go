package jinja

import (
	"errors"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func (s *state) execAll(body []stmt) error {
	for _, b := range body {
		if err := b.exec(s); err != nil {
			return err
		}
	}
	return nil
}

// scoped executes statements in a scope of their own.
func (s *state) scoped(body []stmt) error {
	old := s.push()
	err := s.execAll(body)
	s.scope = old
	return err
}

func (n *textStmt) exec(s *state) error {
	if err := s.grow(len(n.text)); err != nil {
		return locate(err, pos{})
	}
	s.out = append(s.out, n.text...)
	return s.step()
}

func (n *outStmt) exec(s *state) error {
	v, err := n.x.eval(s)
	if err == nil {
		err = s.step()
	}
	if err == nil {
		err = s.write(v)
	}
	if err != nil {
		return locate(err, n.x.place())
	}
	return nil
}

func (n *setStmt) exec(s *state) error {
	v, err := n.x.eval(s)
	if err != nil {
		return err
	}
	if err := s.assign(n.target, v); err != nil {
		return locate(err, n.pos)
	}
	return s.step()
}

// assign stores a value in a target.
func (s *state) assign(target expr, v any) error {
	switch t := target.(type) {
	case *nameExpr:
		s.scope.set(t.name, v)
		return s.grow(32)
	case *nsExpr:
		x, err := s.lookup(t.name)
		if err != nil {
			return err
		}
		ns, ok := x.(*namespace)
		if !ok {
			return value.Raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
		}
		ns.m.Set(t.attr, v)
		return s.grow(32)
	case *tupleExpr:
		items, err := s.unpack(v, len(t.items))
		if err != nil {
			return err
		}
		for i := range items {
			if err := s.assign(t.items[i], items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack returns the items of v, which must be so many.
func (s *state) unpack(v any, n int) ([]any, error) {
	items, err := s.iterate(v)
	switch {
	case err != nil && recoverable(err, "TypeError"):
		return nil, value.TypeErrorf("cannot unpack non-iterable %s object", value.Type(v))
	case err != nil:
		return nil, err
	case len(items) < n:
		return nil, value.ValueErrorf("not enough values to unpack (expected %d, got %d)", n, len(items))
	case len(items) > n:
		return nil, value.ValueErrorf("too many values to unpack (expected %d)", n)
	}
	return items, nil
}

func (n *setBlock) exec(s *state) error {
	v, err := s.block(func() error { return s.scoped(n.body) })
	if err != nil {
		return err
	}
	if f, ok := n.filter.(*filterExpr); ok {
		if v, err = f.on(s, v); err != nil {
			return err
		}
	}
	return s.assign(n.target, v)
}

func (n *ifStmt) exec(s *state) error {
	for i, t := range n.tests {
		v, err := t.eval(s)
		if err != nil {
			return err
		}
		ok, err := s.truth(v)
		if err != nil {
			return locate(err, t.place())
		}
		if ok {
			return s.execAll(n.bodies[i])
		}
	}
	return s.execAll(n.other)
}

func (n *withStmt) exec(s *state) error {
	// The values are evaluated outside, before any of the names is set.
	vals, err := s.evalAll(n.values)
	if err != nil {
		return locate(err, n.pos)
	}
	old := s.push()
	defer func() { s.scope = old }()
	for i, t := range n.targets {
		if err := s.assign(t, vals[i]); err != nil {
			return locate(err, n.pos)
		}
	}
	return s.execAll(n.body)
}

func (n *scopeStmt) exec(s *state) error {
	if n.expr != nil {
		v, err := n.expr.eval(s)
		if err != nil {
			return err
		}
		old := s.escaping
		defer func() { s.escaping = old }()
		if s.escaping, err = s.truth(v); err != nil {
			return locate(err, n.pos)
		}
	}
	if n.name != "" {
		// A block sees what the template set at its top, and nothing between.
		old := s.scope
		s.scope = &scope{parent: s.root}
		defer func() { s.scope = old }()
		return s.execAll(n.body)
	}
	return s.scoped(n.body)
}

func (n *filterStmt) exec(s *state) error {
	v, err := s.block(func() error { return s.scoped(n.body) })
	if err != nil {
		return err
	}
	v, err = n.filter.(*filterExpr).on(s, v)
	if err == nil {
		err = s.write(v)
	}
	if err != nil {
		return locate(err, n.pos)
	}
	return nil
}

func (n *doStmt) exec(s *state) error {
	_, err := n.x.eval(s)
	return err
}

func (n *loadStmt) exec(s *state) error {
	if _, err := n.x.eval(s); err != nil {
		return err
	}
	return locate(value.TypeErrorf("no loader for this environment specified"), n.pos)
}

// The ways to leave the body of a loop.
var (
	errBreak    = errors.New("break outside of a loop")
	errContinue = errors.New("continue outside of a loop")
)

func (n *jumpStmt) exec(*state) error {
	if n.leave {
		return errBreak
	}
	return errContinue
}

func (n *forStmt) exec(s *state) error {
	v, err := n.iter.eval(s)
	if err != nil {
		return err
	}
	return n.run(s, v, 0)
}

// run loops over a value; depth counts the levels of a recursive loop.
func (n *forStmt) run(s *state, v any, depth int) error {
	items, err := s.iterate(v)
	if err != nil {
		return locate(err, n.pos)
	}
	if n.test != nil {
		if items, err = n.filtered(s, items); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return s.scoped(n.other)
	}
	outer := s.scope
	defer func() { s.scope = outer }()
	var l *loop
	if n.usesLoop {
		l = &loop{stmt: n, items: items, depth: depth, outer: outer}
	}
	inner := &scope{}
	for i, x := range items {
		if n.keeps {
			inner = &scope{}
		}
		*inner = scope{parent: outer, names: inner.names[:0], vals: inner.vals[:0]}
		s.scope = inner
		if err = s.budget.Step(2); err == nil {
			if l != nil {
				l.i = i
				inner.set("loop", l)
			}
			err = s.assign(n.target, x)
		}
		if err != nil {
			return locate(err, n.pos)
		}
		switch err := s.execAll(n.body); {
		case err == nil || errors.Is(err, errContinue):
		case errors.Is(err, errBreak):
			return nil
		default:
			return err
		}
	}
	return nil
}

// filtered keeps the items for which the loop's condition holds.
func (n *forStmt) filtered(s *state, items []any) ([]any, error) {
	old := s.push()
	defer func() { s.scope = old }()
	var out []any
	for _, x := range items {
		if err := s.assign(n.target, x); err != nil {
			return nil, locate(err, n.pos)
		}
		v, err := n.test.eval(s)
		if err != nil {
			return nil, err
		}
		ok, err := s.truth(v)
		if err != nil {
			return nil, locate(err, n.pos)
		}
		if ok {
			out = append(out, x)
		}
	}
	return out, nil
}

// loop is the variable loop.
type loop struct {
	stmt    *forStmt
	items   []any
	i       int
	depth   int
	outer   *scope
	changed []any
	started bool
}

func (l *loop) PyType() string { return "LoopContext" }

func (l *loop) PyRepr() string {
	return "<LoopContext " + value.Str(int64(l.i+1)) + "/" + value.Str(int64(len(l.items))) + ">"
}

// JinjaName is what messages call it.
func (l *loop) JinjaName() string { return "jinja2.runtime.LoopContext object" }

// attr answers loop.name.
func (l *loop) attr(s *state, name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.i + 1), true
	case "index0":
		return int64(l.i), true
	case "revindex":
		return int64(n - l.i), true
	case "revindex0":
		return int64(n - l.i - 1), true
	case "first":
		return l.i == 0, true
	case "last":
		return l.i == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.i > 0 {
			return l.items[l.i-1], true
		}
		return s.env.undefinedHint("there is no previous item"), true
	case "nextitem":
		if l.i < n-1 {
			return l.items[l.i+1], true
		}
		return s.env.undefinedHint("there is no next item"), true
	case "cycle", "changed":
		return &method{l, name}, true
	}
	return nil, false
}

// call runs a recursive loop again.
func (l *loop) call(s *state, c *Call) (any, error) {
	if !l.stmt.recursive {
		return nil, value.TypeErrorf("The loop must have the 'recursive' marker to be called recursively.")
	}
	a, err := c.Bind("LoopContext.__call__", 1, "iterable")
	if err != nil {
		return nil, err
	}
	old := s.scope
	s.scope = l.outer
	defer func() { s.scope = old }()
	return s.block(func() error { return l.stmt.run(s, a[0], l.depth+1) })
}

func (l *loop) method(s *state, name string, c *Call) (any, error) {
	if name == "cycle" {
		if len(c.Args) == 0 {
			return nil, value.TypeErrorf("no items for cycling given")
		}
		return c.Args[l.i%len(c.Args)], nil
	}
	if l.started && value.Equal(value.List(l.changed), value.List(c.Args)) {
		return false, nil
	}
	l.started, l.changed = true, append([]any(nil), c.Args...)
	return true, nil
}

// macro is a macro, or the body of a call block.
type macro struct {
	stmt  *macroStmt
	scope *scope
}

func (m *macro) PyType() string { return "Macro" }

func (m *macro) PyRepr() string { return "<Macro " + value.Repr(m.stmt.name) + ">" }

func (m *macro) attr(name string) (any, bool) {
	switch name {
	case "name":
		return m.stmt.name, true
	case "arguments":
		t := value.Tuple{}
		for _, p := range m.stmt.params {
			t = append(t, p)
		}
		return t, true
	case "catch_kwargs":
		return m.stmt.kwargs, true
	case "catch_varargs":
		return m.stmt.varargs, true
	case "caller":
		return m.stmt.caller, true
	}
	return nil, false
}

func (m *macroStmt) exec(s *state) error {
	s.scope.set(m.name, &macro{m, s.scope})
	return s.grow(64)
}

func (n *callStmt) exec(s *state) error {
	c := Call{s: s, Names: []string{"caller"}, Named: []any{&macro{n.macro, s.scope}}}
	v, err := n.call.invoke(s, &c)
	if err == nil {
		err = s.write(v)
	}
	if err != nil {
		return locate(err, n.pos)
	}
	return nil
}

// call runs a macro.
func (m *macro) call(s *state, c *Call) (any, error) {
	n := m.stmt
	old := s.scope
	defer func() { s.scope = old }()
	inner := &scope{parent: m.scope}
	s.scope = inner
	extra := value.NewMap(0)
	given := make([]bool, len(n.params))
	for i, p := range n.params {
		if i < len(c.Args) {
			inner.set(p, c.Args[i])
			given[i] = true
		}
	}
	var caller any
	for k, name := range c.Names {
		i := -1
		for j, p := range n.params {
			if p == name && !given[j] {
				i = j
			}
		}
		switch {
		case i >= 0:
			inner.set(name, c.Named[k])
			given[i] = true
		case name == "caller" && n.caller:
			caller = c.Named[k]
		default:
			extra.Set(name, c.Named[k])
		}
	}
	for i, p := range n.params {
		if given[i] {
			continue
		}
		d := i - (len(n.params) - len(n.defaults))
		if d < 0 {
			inner.set(p, s.env.undefinedHint("parameter %s was not provided", value.Repr(p)))
			continue
		}
		v, err := n.defaults[d].eval(s)
		if err != nil {
			return nil, err
		}
		inner.set(p, v)
	}
	if n.caller {
		if caller == nil {
			caller = s.env.undefinedHint("No caller defined")
		}
		inner.set("caller", caller)
	}
	switch {
	case n.kwargs:
		inner.set("kwargs", extra)
	case extra.Has("caller"):
		return nil, value.TypeErrorf("macro %s was invoked with two values for the special caller argument. This is most likely a bug.", value.Repr(n.name))
	case extra.Len() > 0:
		k, _ := extra.At(0)
		return nil, value.TypeErrorf("macro %s takes no keyword argument %s", value.Repr(n.name), value.Repr(k))
	}
	if n.varargs {
		inner.set("varargs", append(value.Tuple{}, c.Args[min(len(c.Args), len(n.params)):]...))
	} else if len(c.Args) > len(n.params) {
		return nil, value.TypeErrorf("macro %s takes not more than %d argument(s)", value.Repr(n.name), len(n.params))
	}
	return s.block(func() error { return s.execAll(n.body) })
}
