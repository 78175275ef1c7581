package jinja

import (
	"maps"
	"slices"
)

// Undeclared returns the names that a template looks up in its variables, sorted:
// those that it uses before it sets them, or sets on some ways only, without
// Jinja's own globals (meta.find_undeclared_variables).
func (t *Template) Undeclared() []string {
	f := lookups{env: t.env, found: map[string]bool{}}
	f.scope(nil, func(n *names) { f.stmts(t.body, n) })
	return slices.Sorted(maps.Keys(f.found))
}

// Undeclared returns the names that an expression looks up in its variables, sorted.
func (x *Expression) Undeclared() []string {
	f := lookups{env: x.env, found: map[string]bool{}}
	f.expr(x.x, &names{})
	return slices.Sorted(maps.Keys(f.found))
}

// names are the names that a scope has set so far. The bodies of loops, macros
// and the like are scopes of their own, which Jinja looks at when all of the scope
// around them is known.
type names struct {
	parent *names
	frame  *names // the scope that this is a branch of, or itself
	set    map[string]bool
	later  []func()
}

func (n *names) has(name string) bool {
	for ; n != nil; n = n.parent {
		if n.set[name] {
			return true
		}
	}
	return false
}

func (n *names) add(name string) {
	if n.set == nil {
		n.set = map[string]bool{}
	}
	n.set[name] = true
}

type lookups struct {
	env   *Env
	found map[string]bool
}

// scope looks at a scope, and then at those inside of it.
func (f *lookups) scope(parent *names, look func(n *names)) {
	n := &names{parent: parent}
	n.frame = n
	look(n)
	for _, l := range n.later {
		l()
	}
}

// inner looks at a scope inside of n, later.
func (f *lookups) inner(n *names, look func(in *names)) {
	frame := n.frame
	frame.later = append(frame.later, func() { f.scope(frame, look) })
}

func (f *lookups) use(name string, n *names) {
	if n.has(name) {
		return
	}
	if _, global := f.env.globals[name]; !global {
		f.found[name] = true
	}
}

func (f *lookups) expr(x any, n *names) {
	visit(x, func(c any) bool {
		if name, ok := c.(*nameExpr); ok {
			f.use(name.name, n)
		}
		return true
	})
}

func (f *lookups) target(x expr, n *names) {
	switch x := x.(type) {
	case *nameExpr:
		n.add(x.name)
	case *nsExpr:
		f.use(x.name, n)
	case *tupleExpr:
		for _, i := range x.items {
			f.target(i, n)
		}
	}
}

func (f *lookups) stmts(body []stmt, n *names) {
	for _, s := range body {
		f.stmt(s, n)
	}
}

func (f *lookups) stmt(s stmt, n *names) {
	body := func(b []stmt) func(*names) { return func(in *names) { f.stmts(b, in) } }
	switch s := s.(type) {
	case *setStmt:
		f.expr(s.x, n)
		f.target(s.target, n)
	case *setBlock:
		if s.filter != nil {
			f.expr(s.filter, n)
		}
		f.target(s.target, n)
		f.inner(n, body(s.body))
	case *ifStmt:
		f.branches(s, n)
	case *forStmt:
		f.expr(s.iter, n)
		f.inner(n, func(in *names) {
			f.target(s.target, in)
			if s.test != nil {
				f.expr(s.test, in)
			}
			in.add("loop")
			f.stmts(s.body, in)
		})
		f.inner(n, body(s.other))
	case *withStmt:
		for _, v := range s.values {
			f.expr(v, n)
		}
		f.inner(n, func(in *names) {
			for _, t := range s.targets {
				f.target(t, in)
			}
			f.stmts(s.body, in)
		})
	case *macroStmt:
		n.add(s.name)
		f.macro(s, n)
	case *callStmt:
		f.expr(s.call, n)
		f.macro(s.macro, n)
	case *filterStmt:
		f.expr(s.filter, n)
		f.inner(n, body(s.body))
	case *scopeStmt:
		if s.expr != nil {
			f.expr(s.expr, n)
		}
		f.inner(n, body(s.body))
	default:
		f.expr(s, n)
	}
}

func (f *lookups) macro(m *macroStmt, n *names) {
	f.inner(n, func(in *names) {
		for _, d := range m.defaults {
			f.expr(d, in)
		}
		for _, p := range append([]string{"varargs", "kwargs", "caller"}, m.params...) {
			in.add(p)
		}
		f.stmts(m.body, in)
	})
}

// branches looks at every way through an if. Jinja counts three: the first body,
// everything under elif, and else. A name that one of them does not set is looked
// up there, so it is only known afterwards where all three set it.
func (f *lookups) branches(s *ifStmt, n *names) {
	f.expr(s.tests[0], n)
	ways := [3]*names{{parent: n, frame: n.frame}, {parent: n, frame: n.frame}, {parent: n, frame: n.frame}}
	f.stmts(s.bodies[0], ways[0])
	for i := 1; i < len(s.tests); i++ {
		f.branches(&ifStmt{tests: s.tests[i : i+1], bodies: s.bodies[i : i+1]}, ways[1])
	}
	f.stmts(s.other, ways[2])
	counts := map[string]int{}
	for _, w := range ways {
		for name := range w.set {
			counts[name]++
		}
	}
	for name, c := range counts {
		if c < len(ways) {
			f.use(name, n)
		}
		n.add(name)
	}
}
