package jinja

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// getter makes a function that follows an attribute like "a.b.0"; fold makes
// text lower case, and missing parts give the default where there is one.
func (s *state) getter(attribute any, fold bool, def any) (func(any) (any, error), error) {
	parts := attributeParts(attribute)
	return func(x any) (any, error) {
		var err error
		for _, p := range parts {
			if err := s.step(); err != nil {
				return nil, err
			}
			if x, err = s.item(x, p); err != nil {
				return nil, err
			}
			if x, err = s.resolve(x); err != nil {
				return nil, err
			}
			if _, undefined := x.(*Undefined); undefined && given(def) {
				x = def
			}
		}
		if fold {
			if t, ok := asText(x); ok {
				return value.Lower(t), nil
			}
		}
		return x, nil
	}, nil
}

func attributeParts(attribute any) []any {
	if !given(attribute) {
		return nil
	}
	t, ok := asText(attribute)
	if !ok {
		return []any{attribute}
	}
	var parts []any
	for _, p := range strings.Split(t, ".") {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			if i, err := value.ParseInt(p, 10); err == nil {
				parts = append(parts, i)
				continue
			}
		}
		parts = append(parts, p)
	}
	return parts
}

// sorted sorts items by keys; equal ones keep their order, also in reverse.
func (s *state) sorted(items []any, key func(any) (any, error), reverse bool) ([]any, error) {
	type pair struct{ key, item any }
	pairs := make([]pair, len(items))
	for i, x := range items {
		k := x
		if key != nil {
			var err error
			if k, err = key(x); err != nil {
				return nil, err
			}
		}
		pairs[i] = pair{k, x}
	}
	if reverse {
		slices.Reverse(pairs)
	}
	var failed error
	slices.SortStableFunc(pairs, func(a, b pair) int {
		if failed != nil {
			return 0
		}
		if failed = s.step(); failed != nil {
			return 0
		}
		c, err := s.order(a.key, b.key)
		failed = err
		return c
	})
	if failed != nil {
		return nil, failed
	}
	if reverse {
		slices.Reverse(pairs)
	}
	out := make([]any, len(items))
	for i, p := range pairs {
		out[i] = p.item
	}
	return out, s.grow(16 * len(items))
}

// sortKey is the key that sort compares by.
type sortKey []any

// order compares two values for sorting.
func (s *state) order(a, b any) (int, error) {
	if x, ok := a.(sortKey); ok {
		for i, y := range b.(sortKey) {
			if same, err := s.equal(x[i], y); err != nil {
				return 0, err
			} else if !same {
				return s.order(x[i], y)
			}
		}
		return 0, nil
	}
	for _, v := range []any{a, b} {
		if u, ok := v.(*Undefined); ok {
			return 0, u.err()
		}
	}
	if m, ok := b.(Markup); ok && isText(a) {
		b = string(m)
	}
	return value.Compare(a, b)
}

func filterSort(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	attributes := []any{a[3]}
	if t, ok := asText(a[3]); ok {
		attributes = nil
		for _, p := range strings.Split(t, ",") {
			attributes = append(attributes, p)
		}
	}
	var gets []func(any) (any, error)
	for _, at := range attributes {
		g, err := s.getter(at, !flag(a[2]), nil)
		if err != nil {
			return nil, err
		}
		gets = append(gets, g)
	}
	// The key is a list, even of one: equal parts are never compared by order.
	key := func(x any) (any, error) {
		k := make(sortKey, len(gets))
		for i, g := range gets {
			if k[i], err = g(x); err != nil {
				return nil, err
			}
		}
		return k, nil
	}
	// Python compares from the second item on with the one before it; the error
	// for what cannot be compared names them in that order.
	if items, err = s.sortedAsPython(items, key, flag(a[1])); err != nil {
		return nil, err
	}
	return s.list(items)
}

// sortedAsPython is sorted with the first comparison that Python makes: it looks
// for the run that the items begin with.
func (s *state) sortedAsPython(items []any, key func(any) (any, error), reverse bool) ([]any, error) {
	if len(items) > 1 {
		first, second := items[0], items[1]
		if reverse {
			first, second = items[len(items)-1], items[len(items)-2]
		}
		k1, err := key(first)
		if err != nil {
			return nil, err
		}
		k2, err := key(second)
		if err != nil {
			return nil, err
		}
		if _, err := s.order(k2, k1); err != nil {
			return nil, err
		}
	}
	return s.sorted(items, key, reverse)
}

func filterDictsort(s *state, a []any) (any, error) {
	by := "key"
	if a[2] != (Absent{}) {
		by, _ = asText(a[2])
	}
	if by != "key" && by != "value" {
		return nil, value.Raise("FilterArgumentError", `You can only sort by either "key" or "value"`)
	}
	m, ok := a[0].(*value.Map)
	if !ok {
		return nil, s.noMethod(a[0], "items")
	}
	at := map[string]int{"key": 0, "value": 1}[by]
	items, err := s.sortedAsPython((&View{m, "items"}).List(), func(x any) (any, error) {
		v := x.(value.Tuple)[at]
		if t, ok := asText(v); ok && !flag(a[1]) {
			return value.Lower(t), nil
		}
		return v, nil
	}, flag(a[3]))
	if err != nil {
		return nil, err
	}
	return s.list(items)
}

// noMethod is the error of calling a method that a value lacks.
func (s *state) noMethod(v any, name string) error {
	if u, ok := v.(*Undefined); ok {
		return u.err()
	}
	return value.Raise("AttributeError", "'%s' object has no attribute '%s'", value.Type(v), name)
}

// group is what groupby gives: a pair that also has names.
type group struct {
	key  any
	list *value.Array
}

func filterGroupby(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	key, err := s.getter(a[1], !flag(a[3]), a[2])
	if err != nil {
		return nil, err
	}
	name, err := s.getter(a[1], false, a[2])
	if err != nil {
		return nil, err
	}
	if items, err = s.sortedAsPython(items, key, false); err != nil {
		return nil, err
	}
	var out []any
	var last any
	var g *group
	for _, x := range items {
		k, err := key(x)
		if err != nil {
			return nil, err
		}
		if g == nil || !value.Equal(k, last) {
			shown, err := name(x)
			if err != nil {
				return nil, err
			}
			g = &group{shown, &value.Array{}}
			out = append(out, g)
			last = k
		}
		g.list.Items = append(g.list.Items, x)
	}
	for i, x := range out {
		g := x.(*group)
		out[i] = &Group{value.Tuple{g.key, g.list}}
	}
	return s.list(out)
}

// Group is one group of groupby: a pair whose parts are also called grouper and
// list.
type Group struct{ pair value.Tuple }

// PyType is the name of the class.
func (g *Group) PyType() string { return "_GroupTuple" }

// PyRepr shows the pair.
func (g *Group) PyRepr() string { return value.Repr(g.pair) }

// Pair returns the key and the list.
func (g *Group) Pair() value.Tuple { return g.pair }

// Attr answers grouper and list.
func (g *Group) Attr(name string) (any, bool, error) {
	switch name {
	case "grouper":
		return g.pair[0], true, nil
	case "list":
		return g.pair[1], true, nil
	}
	return nil, false, nil
}

func (g *Group) iterate(*state) ([]any, error) { return g.pair, nil }

func filterUnique(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	key, err := s.getter(a[2], !flag(a[1]), nil)
	if err != nil {
		return nil, err
	}
	seen := &value.Set{}
	var out []any
	for _, x := range items {
		k, err := key(x)
		if err == nil {
			err = hashable(k)
		}
		if err == nil {
			err = s.grow(32)
		}
		if err != nil {
			return nil, err
		}
		if seen.Add(plainKey(k)) {
			out = append(out, x)
		}
	}
	return s.generator(out)
}

// extreme makes min ("<") or max (">").
func extreme(op string) filterFunc {
	return func(s *state, a []any) (any, error) {
		items, err := s.iterate(a[0])
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return s.env.undefinedHint("No aggregated item, sequence was empty."), nil
		}
		key, err := s.getter(a[2], !flag(a[1]), nil)
		if err != nil {
			return nil, err
		}
		best := items[0]
		bestKey, err := key(best)
		if err != nil {
			return nil, err
		}
		for _, x := range items[1:] {
			k, err := key(x)
			if err == nil {
				err = s.step()
			}
			if err != nil {
				return nil, err
			}
			better, err := s.compare(op, k, bestKey)
			if err != nil {
				return nil, err
			}
			if better {
				best, bestKey = x, k
			}
		}
		return best, nil
	}
}

// filterMap applies a filter to each item, or takes an attribute of each.
func filterMap(s *state, c *Call) (any, error) {
	if len(c.Args) == 0 {
		return nil, missingArguments("do_map", []string{"'value'"})
	}
	if ok, err := s.truth(c.Args[0]); err != nil || !ok {
		return s.nothing(err)
	}
	items, err := s.iterate(c.Args[0])
	if err != nil {
		return nil, err
	}
	f, err := s.mapper(c)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, x := range items {
		if out[i], err = f(x); err != nil {
			return nil, err
		}
	}
	return s.generator(out)
}

// nothing is what map and select make of what is false, iterable or not.
func (s *state) nothing(err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return s.generator(nil)
}

func (s *state) mapper(c *Call) (func(any) (any, error), error) {
	if len(c.Args) > 1 {
		name, _ := asText(c.Args[1])
		return s.each(s.env.filters[name], "filter", c.Args[1], c.Args[2:], c)
	}
	var attribute, def any = nil, nil
	found := false
	for i, n := range c.Names {
		switch n {
		case "attribute":
			attribute, found = c.Named[i], true
		case "default":
			def = c.Named[i]
		}
	}
	if !found {
		return nil, value.Raise("FilterArgumentError", "map requires a filter argument")
	}
	for _, n := range c.Names {
		if n != "attribute" && n != "default" {
			return nil, value.Raise("FilterArgumentError", "Unexpected keyword argument %s", value.Repr(n))
		}
	}
	return s.getter(attribute, false, def)
}

// each makes a function that calls a filter or test with more arguments.
func (s *state) each(b *builtin, what string, name any, args []any, c *Call) (func(any) (any, error), error) {
	return func(x any) (any, error) {
		if b == nil {
			return nil, value.Raise("TemplateRuntimeError", "No %s named %s.", what, value.Repr(name))
		}
		if err := s.step(); err != nil {
			return nil, err
		}
		call := Call{s: s, Args: append([]any{x}, args...), Names: c.Names, Named: c.Named}
		v, err := b.call(s, &call)
		if err != nil {
			return nil, err
		}
		return s.resolve(v)
	}, nil
}

// chooser makes select and reject, and their forms for attributes.
func chooser(byAttribute, keep bool) func(s *state, c *Call) (any, error) {
	return func(s *state, c *Call) (any, error) {
		if len(c.Args) == 0 {
			return nil, missingArguments("do_select", []string{"'value'"})
		}
		if ok, err := s.truth(c.Args[0]); err != nil || !ok {
			return s.nothing(err)
		}
		items, err := s.iterate(c.Args[0])
		if err != nil {
			return nil, err
		}
		args := c.Args[1:]
		get := func(x any) (any, error) { return x, nil }
		if byAttribute {
			if len(args) == 0 {
				return nil, value.Raise("FilterArgumentError", "Missing parameter for attribute name")
			}
			if get, err = s.getter(args[0], false, nil); err != nil {
				return nil, err
			}
			args = args[1:]
		}
		test := func(x any) (any, error) { return x, nil }
		if len(args) > 0 {
			name, _ := asText(args[0])
			if test, err = s.each(s.env.tests[name], "test", args[0], args[1:], c); err != nil {
				return nil, err
			}
		}
		var out []any
		for _, x := range items {
			v, err := get(x)
			if err != nil {
				return nil, err
			}
			if v, err = test(v); err != nil {
				return nil, err
			}
			ok, err := s.truth(v)
			if err != nil {
				return nil, err
			}
			if ok == keep {
				out = append(out, x)
			}
		}
		return s.generator(out)
	}
}
