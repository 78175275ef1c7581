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
	f.stmts(t.body, &names{})
	return slices.Sorted(maps.Keys(f.found))
}

// Undeclared returns the names that an expression looks up in its variables, sorted.
func (x *Expression) Undeclared() []string {
	f := lookups{env: x.env, found: map[string]bool{}}
	f.expr(x.x, &names{})
	return slices.Sorted(maps.Keys(f.found))
}

// names are the names that a scope has set so far.
type names struct {
	parent *names
	set    map[string]bool
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

func (f *lookups) inner(body []stmt, n *names) { f.stmts(body, &names{parent: n}) }

func (f *lookups) stmt(s stmt, n *names) {
	switch s := s.(type) {
	case *setStmt:
		f.expr(s.x, n)
		f.target(s.target, n)
	case *setBlock:
		if s.filter != nil {
			f.expr(s.filter, n)
		}
		f.inner(s.body, n)
		f.target(s.target, n)
	case *ifStmt:
		f.branches(s, n)
	case *forStmt:
		f.expr(s.iter, n)
		in := &names{parent: n}
		f.target(s.target, in)
		if s.test != nil {
			f.expr(s.test, in)
		}
		in.add("loop")
		f.stmts(s.body, in)
		f.inner(s.other, n)
	case *withStmt:
		for _, v := range s.values {
			f.expr(v, n)
		}
		in := &names{parent: n}
		for _, t := range s.targets {
			f.target(t, in)
		}
		f.stmts(s.body, in)
	case *macroStmt:
		n.add(s.name)
		f.macro(s, n)
	case *callStmt:
		f.expr(s.call, n)
		f.macro(s.macro, n)
	case *filterStmt:
		f.expr(s.filter, n)
		f.inner(s.body, n)
	case *scopeStmt:
		if s.expr != nil {
			f.expr(s.expr, n)
		}
		f.inner(s.body, n)
	default:
		f.expr(s, n)
	}
}

func (f *lookups) macro(m *macroStmt, n *names) {
	in := &names{parent: n}
	for _, d := range m.defaults {
		f.expr(d, in)
	}
	for _, p := range append([]string{"varargs", "kwargs", "caller"}, m.params...) {
		in.add(p)
	}
	f.stmts(m.body, in)
}

// branches looks at every way through an if. A name that only some of them set
// is looked up on the others.
func (f *lookups) branches(s *ifStmt, n *names) {
	ways := append(slices.Clone(s.bodies), s.other)
	counts := map[string]int{}
	for _, t := range s.tests {
		f.expr(t, n)
	}
	for _, body := range ways {
		in := &names{parent: n}
		f.stmts(body, in)
		for name := range in.set {
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
