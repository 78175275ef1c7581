// Package jsonpath finds parts of a value by a path, in the dialect that
// StackStorm's rules and its jsonpath_query filter use (that of the Python
// library jsonpath-rw 1.4):
//
//	name, 'any text', "any text"   fields; a,b for several; * for all
//	$, `this`, `parent`            the whole, the part itself, what holds it
//	a.b, a..b                      child, descendants
//	a[0], a[-1], a[1:3], a[*]      items; a[b] is a.b
//	a|b, a where b                 both, one after the other; a where it has b
//
// Two of its habits surprise: | and where bind closer than the dot, so a.b|c.d
// is a.(b|c).d; and brackets bind least, so they apply to all that stands before
// them.
package jsonpath

import (
	"fmt"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Path is a parsed path. It may be used by many goroutines at once.
type Path struct {
	text   string
	root   *node
	fields []string // the path as a chain of single fields, where it is one
}

// maxText bounds a path, in bytes.
const maxText = 8 << 10

// Parse reads a path. Wrong ones give a *value.Error with the class and text of
// the Python exception.
func Parse(text string) (*Path, error) {
	if len(text) > maxText {
		return nil, value.Raise("Exception", "path is longer than %d bytes", maxText)
	}
	p := &parser{lex: lexer{src: []rune(text), line: 1}}
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	path := &Path{text: text, root: root}
	if chain, ok := root.chain(nil); ok {
		path.fields = chain
	}
	return path, nil
}

// String returns the path as it was given.
func (p *Path) String() string { return p.text }

// Fields returns the names of a path that consists of names and dots alone, and
// whether it does.
func (p *Path) Fields() ([]string, bool) { return p.fields, p.fields != nil }

// Find returns what the path leads to in v, in the order of the document. A step
// that does not fit the value (an index into a number) gives the Python
// exception as a *value.Error; the budget counts every part that is looked at.
func (p *Path) Find(v any, budget *value.Budget) ([]any, error) {
	if p.fields != nil {
		if x, ok := follow(v, p.fields); ok {
			return []any{x}, nil
		}
		return nil, nil
	}
	f := finder{budget: budget}
	found, err := f.find(p.root, &datum{value: v})
	if err != nil {
		return nil, err
	}
	out := make([]any, len(found))
	for i, d := range found {
		if d == nil {
			return nil, noValue()
		}
		out[i] = d.value
	}
	return out, nil
}

// noValue is what the parent of the whole leads to.
func noValue() error {
	return value.Raise("AttributeError", "'NoneType' object has no attribute 'value'")
}

// maxSteps bounds First.
const maxSteps = 1_000_000

// First returns the first thing that the path leads to in v, and whether there
// is one. It does not allocate for a path of names.
func (p *Path) First(v any) (any, bool, error) {
	if p.fields != nil {
		x, ok := follow(v, p.fields)
		return x, ok, nil
	}
	found, err := p.Find(v, value.NewBudget(maxSteps, maxSteps))
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	return found[0], true, nil
}

func follow(v any, fields []string) (any, bool) {
	for _, f := range fields {
		m, ok := v.(*value.Map)
		if !ok {
			return nil, false
		}
		if v, ok = m.Str(f); !ok {
			return nil, false
		}
	}
	return v, true
}

// kind says what a node does.
type kind uint8

const (
	fields kind = iota
	index
	slice
	root
	this
	parent
	child
	descendants
	union
	intersect
	where
)

type node struct {
	kind        kind
	names       []string
	index       int
	start, end  *int
	left, right *node
}

// chain collects the names of a path that consists of single fields.
func (n *node) chain(names []string) ([]string, bool) {
	switch {
	case n.kind == fields && len(n.names) == 1 && n.names[0] != "*":
		return append(names, n.names[0]), true
	case n.kind == child:
		names, ok := n.left.chain(names)
		if !ok {
			return nil, false
		}
		return n.right.chain(names)
	case n.kind == root && names == nil:
		return []string{}, true
	}
	return nil, false
}

// datum is a value and what holds it.
type datum struct {
	value  any
	parent *datum
}

type finder struct{ budget *value.Budget }

func (f *finder) find(n *node, d *datum) ([]*datum, error) {
	if err := f.budget.Step(1); err != nil {
		return nil, fmt.Errorf("find by a path: %w", err)
	}
	if d == nil {
		d = &datum{} // the parent of the whole
	}
	switch n.kind {
	case fields:
		return f.fields(n, d)
	case index:
		return f.index(n, d)
	case slice:
		return f.slice(n, d)
	case root:
		for d.parent != nil {
			d = d.parent
		}
		return []*datum{d}, nil
	case this:
		return []*datum{d}, nil
	case parent:
		return []*datum{d.parent}, nil
	case intersect:
		return nil, value.Raise("NotImplementedError", "")
	}
	left, err := f.find(n.left, d)
	if err != nil {
		return nil, err
	}
	switch n.kind {
	case union:
		right, err := f.find(n.right, d)
		return append(left, right...), err
	case child:
		return f.each(left, n.right)
	case where:
		var out []*datum
		for _, l := range left {
			right, err := f.find(n.right, l)
			if err != nil {
				return nil, err
			}
			if len(right) > 0 {
				out = append(out, l)
			}
		}
		return out, nil
	}
	var out []*datum
	for _, l := range left {
		if l == nil {
			if _, err = f.find(n.right, nil); err == nil {
				err = noValue()
			}
			return nil, err
		}
		if out, err = f.descend(n.right, l, out, 0); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f *finder) each(ds []*datum, n *node) ([]*datum, error) {
	var out []*datum
	for _, d := range ds {
		found, err := f.find(n, d)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = found
		} else {
			out = append(out, found...)
		}
	}
	return out, nil
}

// descend appends what n finds in d and in everything below it.
func (f *finder) descend(n *node, d *datum, out []*datum, depth int) ([]*datum, error) {
	if depth > value.MaxDepth {
		return nil, fmt.Errorf("find by a path: value is nested too deeply: %w", value.ErrLimit)
	}
	found, err := f.find(n, d)
	if err != nil {
		return nil, err
	}
	out = append(out, found...)
	if m, ok := d.value.(*value.Map); ok {
		for i := 0; i < m.Len() && err == nil; i++ {
			_, v := m.At(i)
			out, err = f.descend(n, &datum{v, d}, out, depth+1)
		}
		return out, err
	}
	if items, ok := list(d.value); ok {
		for i := 0; i < len(items) && err == nil; i++ {
			out, err = f.descend(n, &datum{items[i], d}, out, depth+1)
		}
	}
	return out, err
}

func list(v any) ([]any, bool) {
	if _, ok := v.(value.Tuple); ok {
		return nil, false
	}
	return value.Items(v)
}

func (f *finder) fields(n *node, d *datum) ([]*datum, error) {
	m, ok := d.value.(*value.Map)
	if !ok {
		return nil, nil
	}
	for _, name := range n.names {
		if name == "*" {
			out := make([]*datum, m.Len())
			for i := range out {
				_, v := m.At(i)
				out[i] = &datum{v, d}
			}
			return out, f.budget.Step(len(out))
		}
	}
	var out []*datum
	for _, name := range n.names {
		if v, ok := m.Str(name); ok {
			out = append(out, &datum{v, d})
		}
	}
	return out, nil
}

func (f *finder) index(n *node, d *datum) ([]*datum, error) {
	size := -1
	var at func(i int) any
	switch v := d.value.(type) {
	case string:
		runes := []rune(v)
		size, at = len(runes), func(i int) any { return string(runes[i]) }
	case *value.Map:
		if v.Len() <= n.index {
			return nil, nil
		}
		x, ok := v.Get(int64(n.index))
		if !ok {
			return nil, value.Raise("KeyError", "%d", n.index)
		}
		return []*datum{{x, d}}, nil
	default:
		if items, ok := value.Items(v); ok {
			size, at = len(items), func(i int) any { return items[i] }
		}
	}
	i := n.index
	switch {
	case size < 0:
		return nil, noLength(d.value)
	case i >= size:
		return nil, nil
	case i < 0:
		if i += size; i < 0 {
			return nil, value.Raise("IndexError", "%s index out of range", indexed(d.value))
		}
	}
	return []*datum{{at(i), d}}, nil
}

func indexed(v any) string {
	if t := value.Type(v); t != "str" {
		return t
	}
	return "string"
}

func noLength(v any) error {
	return value.TypeErrorf("object of type '%s' has no len()", value.Type(v))
}

func (f *finder) slice(n *node, d *datum) ([]*datum, error) {
	var items []any
	switch v := d.value.(type) {
	case string, bool, *value.Map:
		// What is no list counts as a list of one.
		items = []any{v}
		d = &datum{value.List(items), d.parent}
	default:
		var ok bool
		if value.IsInt(v) {
			items = []any{v}
			d = &datum{value.List(items), d.parent}
		} else if items, ok = value.Items(v); !ok {
			return nil, noLength(v)
		}
	}
	from, to := bounds(n.start, n.end, len(items))
	var out []*datum
	for i := from; i < to; i++ {
		out = append(out, &datum{items[i], d})
	}
	return out, f.budget.Step(len(out))
}

// bounds are the ends of a Python slice of so many items.
func bounds(start, end *int, size int) (from, to int) {
	clip := func(p *int, def int) int {
		if p == nil {
			return def
		}
		i := *p
		if i < 0 {
			i += size
		}
		return min(max(i, 0), size)
	}
	return clip(start, 0), clip(end, size)
}
