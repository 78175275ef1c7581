package jinja

import (
	"fmt"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// iterable is something of this package that can be looped over.
type iterable interface {
	iterate(s *state) ([]any, error)
}

// iterate returns the items of anything that can be looped over; they must not
// be changed.
func (s *state) iterate(v any) ([]any, error) {
	switch v := v.(type) {
	case value.List:
		return v, nil
	case value.Tuple:
		return v, nil
	case *value.Array:
		return append([]any(nil), v.Items...), s.grow(16 * len(v.Items))
	case *value.Map:
		return v.Keys(), s.grow(16 * v.Len())
	case *value.Set:
		return v.Items(), s.grow(16 * v.Len())
	case string:
		return s.characters(v)
	case Markup:
		return s.characters(string(v))
	case *Undefined:
		if v.Strict {
			return nil, v.err()
		}
		return nil, nil
	case iterable:
		return v.iterate(s)
	}
	return nil, value.TypeErrorf("'%s' object is not iterable", value.Type(v))
}

func (s *state) characters(t string) ([]any, error) {
	if err := s.grow(20 * len(t)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(t))
	for _, r := range t {
		out = append(out, string(r))
	}
	return out, nil
}

// Iterator is what a filter like map gives: items that can be taken once. Its
// items were computed when it was made.
type Iterator struct {
	name string // generator, reversed, …
	rest []any
}

// PyType is the name of the type.
func (i *Iterator) PyType() string { return i.name }

// PyRepr is what Python shows of a generator.
func (i *Iterator) PyRepr() string { return "<" + i.name + " object>" }

// IsGenerator says whether Python would count it as a generator, which Orquesta
// turns into a list.
func (i *Iterator) IsGenerator() bool { return i.name == "generator" }

// Take returns the items that are left and leaves none.
func (i *Iterator) Take() value.List {
	items := i.rest
	i.rest = nil
	return items
}

func (i *Iterator) iterate(*state) ([]any, error) { return i.Take(), nil }

func (s *state) generator(items []any) (any, error) {
	return &Iterator{"generator", items}, s.grow(16 * len(items))
}

// Range is Python's range.
type Range struct{ from, to, step int64 }

// PyType is "range".
func (r *Range) PyType() string { return "range" }

// PyRepr is range(0, 3).
func (r *Range) PyRepr() string {
	if r.step == 1 {
		return fmt.Sprintf("range(%d, %d)", r.from, r.to)
	}
	return fmt.Sprintf("range(%d, %d, %d)", r.from, r.to, r.step)
}

// PyTruth says whether there are items.
func (r *Range) PyTruth() bool { return r.size() > 0 }

func (r *Range) size() int64 {
	switch {
	case r.step > 0 && r.from < r.to:
		return (r.to-r.from-1)/r.step + 1
	case r.step < 0 && r.from > r.to:
		return (r.from-r.to-1)/-r.step + 1
	}
	return 0
}

func (r *Range) items() []any {
	out := make([]any, r.size())
	for i := range out {
		out[i] = r.from + int64(i)*r.step
	}
	return out
}

func (r *Range) iterate(s *state) ([]any, error) {
	if err := s.grow(16 * int(r.size())); err != nil {
		return nil, err
	}
	return r.items(), s.budget.Step(int(r.size()))
}

// maxRange is the sandbox's bound of a range.
const maxRange = 100_000

func newRange(_ *state, c *Call) (any, error) {
	n := len(c.Args)
	if n == 0 {
		return nil, value.TypeErrorf("range expected at least 1 argument, got 0")
	}
	if n > 3 {
		return nil, value.TypeErrorf("range expected at most 3 arguments, got %d", n)
	}
	r := &Range{step: 1}
	dst := []*int64{&r.from, &r.to, &r.step}
	if n == 1 {
		dst = []*int64{&r.to}
	}
	for i, v := range c.Args {
		switch v := v.(type) {
		case int64:
			*dst[i] = min(max(v, -1<<61), 1<<61)
		case bool:
			if v {
				*dst[i] = 1
			}
		case *Undefined:
			return nil, v.err()
		default:
			return nil, value.TypeErrorf("'%s' object cannot be interpreted as an integer", value.Type(v))
		}
	}
	if r.step == 0 {
		return nil, value.ValueErrorf("range() arg 3 must not be zero")
	}
	if r.size() > maxRange {
		return nil, value.Raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).")
	}
	return r, nil
}

// View is what keys(), values() and items() of a dict give.
type View struct {
	m    *value.Map
	kind string // keys, values, items
}

// PyType is dict_keys, dict_values or dict_items.
func (v *View) PyType() string { return "dict_" + v.kind }

// PyRepr is dict_keys(['a', 'b']).
func (v *View) PyRepr() string { return v.PyType() + "(" + value.Repr(v.List()) + ")" }

// PyTruth says whether there are entries.
func (v *View) PyTruth() bool { return v.m.Len() > 0 }

// List returns the keys, the values, or pairs of both.
func (v *View) List() value.List {
	switch v.kind {
	case "keys":
		return v.m.Keys()
	case "values":
		return v.m.Values()
	}
	out := make(value.List, v.m.Len())
	for i := range out {
		k, x := v.m.At(i)
		out[i] = value.Tuple{k, x}
	}
	return out
}

// IsSet says whether Python counts the view as a set: keys and items do.
func (v *View) IsSet() bool { return v.kind != "values" }

func (v *View) iterate(s *state) ([]any, error) {
	if err := s.grow(32 * v.m.Len()); err != nil {
		return nil, err
	}
	return v.List(), nil
}

// namespace is what namespace() makes: an object that blocks can change.
type namespace struct{ m *value.Map }

func (*namespace) PyType() string { return "Namespace" }

func (n *namespace) PyRepr() string { return "<Namespace " + value.Repr(n.m) + ">" }

func (*namespace) JinjaName() string { return "jinja2.utils.Namespace object" }

// dictFrom is dict(…): from a mapping or pairs, and names.
func dictFrom(s *state, c *Call) (*value.Map, error) {
	if len(c.Args) > 1 {
		return nil, value.TypeErrorf("dict expected at most 1 argument, got %d", len(c.Args))
	}
	m := value.NewMap(len(c.Names))
	if len(c.Args) == 1 {
		if err := update(s, m, c.Args[0]); err != nil {
			return nil, err
		}
	}
	for i, n := range c.Names {
		m.Set(n, c.Named[i])
	}
	return m, s.grow(32 * m.Len())
}

// update is m.update(from).
func update(s *state, m *value.Map, from any) error {
	if f, ok := from.(*value.Map); ok {
		for k, v := range f.All() {
			m.Set(k, v)
		}
		return s.grow(32 * f.Len())
	}
	pairs, err := s.iterate(from)
	if err != nil {
		return err
	}
	for i, p := range pairs {
		kv, err := s.iterate(p)
		if err != nil {
			return value.TypeErrorf("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		if len(kv) != 2 {
			return value.ValueErrorf("dictionary update sequence element #%d has length %d; 2 is required", i, len(kv))
		}
		if err := hashable(kv[0]); err != nil {
			return err
		}
		m.Set(plainKey(kv[0]), kv[1])
	}
	return s.grow(32 * len(pairs))
}

// cycler walks through values in a circle.
type cycler struct {
	items []any
	i     int
}

func (*cycler) PyType() string { return "Cycler" }

func (*cycler) PyRepr() string { return "<Cycler>" }

func (*cycler) JinjaName() string { return "jinja2.utils.Cycler object" }

func (c *cycler) method(_ *state, name string, _ *Call) (any, error) {
	if name == "reset" {
		c.i = 0
		return nil, nil
	}
	v := c.items[c.i]
	c.i = (c.i + 1) % len(c.items)
	return v, nil
}

// joiner is empty when it is called first, and a separator from then on.
type joiner struct {
	sep  any
	used bool
}

func (*joiner) PyType() string { return "Joiner" }

func (*joiner) PyRepr() string { return "<Joiner>" }

func (j *joiner) call(*state, *Call) (any, error) {
	if !j.used {
		j.used = true
		return "", nil
	}
	return j.sep, nil
}

// global is a global function of Jinja.
type global struct {
	name string
	fn   func(s *state, c *Call) (any, error)
}

func (g *global) PyType() string { return "type" }

func (g *global) PyRepr() string { return "<class '" + g.name + "'>" }

func (g *global) call(s *state, c *Call) (any, error) { return g.fn(s, c) }

func builtinGlobals() map[string]any {
	out := map[string]any{}
	for name, fn := range map[string]func(s *state, c *Call) (any, error){
		"range":     newRange,
		"dict":      func(s *state, c *Call) (any, error) { return dictFrom(s, c) },
		"lipsum":    lipsum,
		"cycler":    newCycler,
		"joiner":    newJoiner,
		"namespace": newNamespace,
	} {
		out[name] = &global{name, fn}
	}
	return out
}

func newCycler(_ *state, c *Call) (any, error) {
	if len(c.Args) == 0 {
		return nil, value.Raise("RuntimeError", "at least one item has to be provided")
	}
	return &cycler{items: c.Args}, nil
}

func newJoiner(_ *state, c *Call) (any, error) {
	a, err := c.Bind("Joiner.__init__", 0, "sep")
	if err != nil {
		return nil, err
	}
	if _, absent := a[0].(Absent); absent {
		a[0] = ", "
	}
	return &joiner{sep: a[0]}, nil
}

func newNamespace(s *state, c *Call) (any, error) {
	m, err := dictFrom(s, c)
	if err != nil {
		return nil, err
	}
	return &namespace{m}, nil
}
