package jinja

import (
	"fmt"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// state is one rendering.
type state struct {
	env    *Env
	vars   Vars
	scope  *scope
	root   *scope
	out    []byte
	budget *value.Budget
	depth  int
	// mutates says that the template can change lists and dicts, so that what comes
	// from outside is copied before it can be.
	mutates  bool
	escaping bool // inside of {% autoescape true %}
	copies   map[string]any
	own      value.Budget
	first    scope
}

// maxDepth bounds calls within calls.
const maxDepth = 150

func newState(e *Env, vars Vars, mutates bool) *state {
	s := &state{env: e, vars: vars, mutates: mutates}
	s.own = *value.NewBudget(e.o.Steps, e.o.Bytes)
	s.budget = &s.own
	s.scope = &s.first
	s.root = &s.first
	return s
}

// scope holds the names that a block sets.
type scope struct {
	parent *scope
	names  []string
	vals   []any
}

func (s *state) push() *scope {
	old := s.scope
	s.scope = &scope{parent: old}
	return old
}

func (c *scope) set(name string, v any) {
	for i, n := range c.names {
		if n == name {
			c.vals[i] = v
			return
		}
	}
	c.names = append(c.names, name)
	c.vals = append(c.vals, v)
}

func (c *scope) get(name string) (any, bool) {
	for ; c != nil; c = c.parent {
		for i, n := range c.names {
			if n == name {
				return c.vals[i], true
			}
		}
	}
	return nil, false
}

// lookup finds a name: what the template set, the variables, the globals.
func (s *state) lookup(name string) (any, error) {
	if v, ok := s.scope.get(name); ok {
		return v, nil
	}
	if s.vars != nil {
		v, ok, err := s.outside(name)
		if err != nil || ok {
			return v, err
		}
	}
	if v, ok := s.env.globals[name]; ok {
		return v, nil
	}
	return s.env.undefinedName(name), nil
}

func (s *state) outside(name string) (any, bool, error) {
	if !s.mutates {
		return s.vars.Lookup(name)
	}
	if v, ok := s.copies[name]; ok {
		return v, true, nil
	}
	v, ok, err := s.vars.Lookup(name)
	if err != nil || !ok {
		return v, ok, err
	}
	if v, err = s.changeable(v, 0); err != nil {
		return nil, false, err
	}
	if s.copies == nil {
		s.copies = map[string]any{}
	}
	s.copies[name] = v
	return v, true, nil
}

// changeable copies lists and dicts so that the template may change them.
func (s *state) changeable(v any, depth int) (any, error) {
	if depth > value.MaxDepth {
		return nil, fmt.Errorf("copy a value: %w", value.ErrLimit)
	}
	switch v := v.(type) {
	case value.List:
		if err := s.grow(16 * len(v)); err != nil {
			return nil, err
		}
		items := make(value.List, len(v))
		for i, x := range v {
			y, err := s.changeable(x, depth+1)
			if err != nil {
				return nil, err
			}
			items[i] = y
		}
		return &value.Array{Items: items}, nil
	case *value.Map:
		if err := s.grow(32 * v.Len()); err != nil {
			return nil, err
		}
		m := value.NewMap(v.Len())
		for k, x := range v.All() {
			y, err := s.changeable(x, depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(k, y)
		}
		return m, nil
	}
	return v, nil
}

func (s *state) step() error { return s.budget.Step(1) }

func (s *state) grow(n int) error { return s.budget.Grow(n) }

// enter counts one level of calls; leave takes it off.
func (s *state) enter() error {
	if s.depth++; s.depth > maxDepth {
		return value.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	return nil
}

func (s *state) leave() { s.depth-- }

// truth is bool(v); asking a strict undefined value is an error.
func (s *state) truth(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case *Undefined:
		if v.Strict {
			return false, v.err()
		}
		return false, nil
	case Markup:
		return v != "", nil
	}
	return value.Truth(v), nil
}

// str is str(v), within the budget.
func (s *state) str(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case Markup:
		return string(v), nil
	case *Undefined:
		if v.Strict {
			return "", v.err()
		}
		return "", nil
	}
	b, err := value.AppendStr(nil, v, s.budget)
	return string(b), err
}

// write prints a value.
func (s *state) write(v any) error {
	switch v := v.(type) {
	case string:
		if s.escaping {
			v = escape(v)
		}
		if err := s.grow(len(v)); err != nil {
			return err
		}
		s.out = append(s.out, v...)
		return nil
	case Markup:
		if err := s.grow(len(v)); err != nil {
			return err
		}
		s.out = append(s.out, v...)
		return nil
	case *Undefined:
		if v.Strict {
			return v.err()
		}
		return nil
	}
	if s.escaping {
		t, err := s.str(v)
		if err != nil {
			return err
		}
		return s.write(t)
	}
	var err error
	s.out, err = value.AppendStr(s.out, v, s.budget)
	return err
}

// block is capture for what becomes a value: safe text where texts are escaped.
func (s *state) block(f func() error) (any, error) {
	text, err := s.capture(f)
	if s.escaping {
		return Markup(text), err
	}
	return text, err
}

// capture runs f and returns what it wrote.
func (s *state) capture(f func() error) (string, error) {
	old := s.out
	s.out = nil
	err := f()
	text := string(s.out)
	s.out = old
	return text, err
}

// resolve replaces a lazy value by what it stands for.
func (s *state) resolve(v any) (any, error) {
	if l, ok := v.(Lazy); ok {
		return l.Resolve()
	}
	return v, nil
}

// list makes a list of a template's own, within the budget.
func (s *state) list(items []any) (any, error) {
	if err := s.grow(16 * len(items)); err != nil {
		return nil, err
	}
	return &value.Array{Items: items}, nil
}

// Markup is text that counts as safe HTML: escaping it again does nothing.
type Markup string

// PyType is the name of the class.
func (m Markup) PyType() string { return "Markup" }

// PyRepr is Markup('…').
func (m Markup) PyRepr() string { return "Markup(" + value.Repr(string(m)) + ")" }

// PyStr is the text.
func (m Markup) PyStr() string { return string(m) }

// JinjaName is what messages call it.
func (m Markup) JinjaName() string { return "markupsafe.Markup object" }

// PyTruth says whether there is any text.
func (m Markup) PyTruth() bool { return m != "" }

// PyEqual compares the text.
func (m Markup) PyEqual(other any) bool {
	s, ok := asText(other)
	return ok && s == string(m)
}

// PyLess orders by the text.
func (m Markup) PyLess(other any) (less, ok bool) {
	s, ok := asText(other)
	return string(m) < s, ok
}

// HashKey is that of the text.
func (m Markup) HashKey() any { return string(m) }

// asText returns the text of a string.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Markup:
		return string(v), true
	}
	return "", false
}
