package jinja

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

// method is a method bound to its object.
type method struct {
	self any
	name string
}

func (*method) PyType() string { return "builtin_function_or_method" }

func (m *method) PyRepr() string {
	return "<built-in method " + m.name + " of " + value.Type(m.self) + " object>"
}

func (m *method) call(s *state, c *Call) (any, error) {
	if err := s.budget.Step(4); err != nil {
		return nil, err
	}
	switch self := m.self.(type) {
	case string:
		f, _ := textMethodNamed(m.name)
		return f(s, self, c)
	case Markup:
		f, _ := textMethodNamed(m.name)
		v, err := f(s, string(self), c)
		if t, ok := v.(string); ok && err == nil {
			return Markup(t), nil
		}
		return v, err
	case *value.Map:
		return s.change(m.name, func() (any, error) { return dictMethods[m.name](s, self, c) })
	case *value.Array:
		return s.change(m.name, func() (any, error) { return listMethods[m.name](s, self, c) })
	case value.List:
		// A list from outside may only be read.
		return s.change(m.name, func() (any, error) { return listMethods[m.name](s, &value.Array{Items: self}, c) })
	case value.Tuple:
		if m.name == "index" && len(c.Args) > 0 {
			i, err := s.position(self, c, "tuple.index(x): x not in tuple")
			return int64(i), err
		}
		return listMethods[m.name](s, &value.Array{Items: value.List(self)}, c)
	case *value.Set:
		return s.change(m.name, func() (any, error) { return setMethods[m.name](s, self, c) })
	case interface {
		method(s *state, name string, c *Call) (any, error)
	}:
		return self.method(s, m.name, c)
	}
	return numberMethod(m.self, m.name)
}

// change calls a method, which may change its object only if everything that
// came from outside was copied.
func (s *state) change(name string, f func() (any, error)) (any, error) {
	if mutators[name] && !s.mutates {
		return nil, value.Raise("SecurityError", "%s() must be called by its name", name)
	}
	return f()
}

// builtinAttr is an attribute of a value of Python's or of this package.
func (s *state) builtinAttr(x any, name string) (any, bool) {
	known := false
	switch x := x.(type) {
	case string, Markup:
		_, known = textMethodNamed(name)
	case *value.Map:
		_, known = dictMethods[name]
	case value.List, *value.Array:
		_, known = listMethods[name]
	case value.Tuple:
		known = name == "index" || name == "count"
	case *value.Set:
		_, known = setMethods[name]
	case *loop:
		return x.attr(s, name)
	case *macro:
		return x.attr(name)
	case *namespace:
		return x.m.Str(name)
	case *cycler:
		if name == "current" {
			return x.items[x.i], true
		}
		known = name == "next" || name == "reset"
	case *Range:
		switch name {
		case "start":
			return x.from, true
		case "stop":
			return x.to, true
		case "step":
			return x.step, true
		}
	default:
		return numberAttr(x, name)
	}
	if !known {
		return nil, false
	}
	return &method{x, name}, true
}

func numberAttr(x any, name string) (any, bool) {
	if !value.IsNumber(x) {
		return nil, false
	}
	_, isFloat := x.(float64)
	plain, _ := value.Pos(x)
	switch name {
	case "real":
		return plain, true
	case "imag":
		if isFloat {
			return 0.0, true
		}
		return int64(0), true
	case "numerator":
		return plain, !isFloat
	case "denominator":
		return int64(1), !isFloat
	case "is_integer", "hex":
		return &method{x, name}, isFloat
	case "bit_length", "bit_count":
		return &method{x, name}, !isFloat
	case "conjugate":
		return &method{x, name}, true
	}
	return nil, false
}

func numberMethod(x any, name string) (any, error) {
	switch name {
	case "conjugate":
		return value.Pos(x)
	case "is_integer":
		f, err := value.ToFloat(x)
		if err != nil {
			return nil, err
		}
		i, err := value.Float(f)
		return err == nil && value.Equal(i, f), nil
	case "bit_length", "bit_count":
		if i, ok := value.ToBig(x); ok {
			if name == "bit_length" {
				return int64(i.BitLen()), nil
			}
			n := int64(0)
			for k := range i.BitLen() {
				n += int64(i.Bit(k))
			}
			return n, nil
		}
	}
	return nil, value.TypeErrorf("'%s' object has no method '%s'", value.Type(x), name)
}

type (
	dictMethod func(s *state, m *value.Map, c *Call) (any, error)
	listMethod func(s *state, l *value.Array, c *Call) (any, error)
	setMethod  func(s *state, v *value.Set, c *Call) (any, error)
)

var dictMethods = map[string]dictMethod{
	"keys":   func(_ *state, m *value.Map, c *Call) (any, error) { return view(m, c, "keys") },
	"values": func(_ *state, m *value.Map, c *Call) (any, error) { return view(m, c, "values") },
	"items":  func(_ *state, m *value.Map, c *Call) (any, error) { return view(m, c, "items") },
	"get": func(_ *state, m *value.Map, c *Call) (any, error) {
		if err := positional(c, "get", 1, 2); err != nil {
			return nil, err
		}
		if err := hashable(c.Args[0]); err != nil {
			return nil, err
		}
		if v, ok := m.Get(plainKey(c.Args[0])); ok {
			return v, nil
		}
		if len(c.Args) > 1 {
			return c.Args[1], nil
		}
		return nil, nil
	},
	"copy": func(s *state, m *value.Map, _ *Call) (any, error) { return m.Clone(), s.grow(32 * m.Len()) },
	"clear": func(_ *state, m *value.Map, _ *Call) (any, error) {
		m.Clear()
		return nil, nil
	},
	"pop": dictPop,
	"popitem": func(_ *state, m *value.Map, _ *Call) (any, error) {
		if m.Len() == 0 {
			return nil, value.Raise("KeyError", "'popitem(): dictionary is empty'")
		}
		k, v := m.At(m.Len() - 1)
		m.Delete(k)
		return value.Tuple{k, v}, nil
	},
	"setdefault": func(s *state, m *value.Map, c *Call) (any, error) {
		if err := positional(c, "setdefault", 1, 2); err != nil {
			return nil, err
		}
		if err := hashable(c.Args[0]); err != nil {
			return nil, err
		}
		if v, ok := m.Get(plainKey(c.Args[0])); ok {
			return v, nil
		}
		var v any
		if len(c.Args) > 1 {
			v = c.Args[1]
		}
		m.Set(plainKey(c.Args[0]), v)
		return v, s.grow(32)
	},
	"update": func(s *state, m *value.Map, c *Call) (any, error) {
		if len(c.Args) > 1 {
			return nil, value.TypeErrorf("update expected at most 1 argument, got %d", len(c.Args))
		}
		for _, a := range c.Args {
			if err := update(s, m, a); err != nil {
				return nil, err
			}
		}
		for i, n := range c.Names {
			m.Set(n, c.Named[i])
		}
		return nil, s.grow(32 * len(c.Names))
	},
	"fromkeys": func(s *state, _ *value.Map, c *Call) (any, error) {
		if err := positional(c, "fromkeys", 1, 2); err != nil {
			return nil, err
		}
		keys, err := s.iterate(c.Args[0])
		if err != nil {
			return nil, err
		}
		var v any
		if len(c.Args) > 1 {
			v = c.Args[1]
		}
		m := value.NewMap(len(keys))
		for _, k := range keys {
			if err := hashable(k); err != nil {
				return nil, err
			}
			m.Set(plainKey(k), v)
		}
		return m, s.grow(32 * len(keys))
	},
}

func view(m *value.Map, c *Call, kind string) (any, error) {
	if n := len(c.Args); n > 0 {
		return nil, value.TypeErrorf("dict.%s() takes no arguments (%d given)", kind, n)
	}
	return &View{m, kind}, nil
}

// positional checks the number of arguments of a method without names.
func positional(c *Call, name string, least, most int) error {
	n := len(c.Args)
	s := func(k int) string {
		if k == 1 {
			return ""
		}
		return "s"
	}
	switch {
	case len(c.Names) > 0:
		return value.TypeErrorf("%s() takes no keyword arguments", name)
	case n < least && least == most, n > most && least == most:
		return value.TypeErrorf("%s expected %d argument%s, got %d", name, least, s(least), n)
	case n < least:
		return value.TypeErrorf("%s expected at least %d argument%s, got %d", name, least, s(least), n)
	case n > most:
		return value.TypeErrorf("%s expected at most %d argument%s, got %d", name, most, s(most), n)
	}
	return nil
}

func dictPop(_ *state, m *value.Map, c *Call) (any, error) {
	if err := positional(c, "pop", 1, 2); err != nil {
		return nil, err
	}
	if err := hashable(c.Args[0]); err != nil {
		return nil, err
	}
	k := plainKey(c.Args[0])
	if v, ok := m.Get(k); ok {
		m.Delete(k)
		return v, nil
	}
	if len(c.Args) > 1 {
		return c.Args[1], nil
	}
	return nil, value.Raise("KeyError", "%s", value.Repr(k))
}

var listMethods = map[string]listMethod{
	"append": func(s *state, l *value.Array, c *Call) (any, error) {
		if len(c.Args) != 1 {
			return nil, value.TypeErrorf("list.append() takes exactly one argument (%d given)", len(c.Args))
		}
		l.Items = append(l.Items, c.Args[0])
		return nil, s.grow(16)
	},
	"extend": func(s *state, l *value.Array, c *Call) (any, error) {
		if len(c.Args) != 1 {
			return nil, value.TypeErrorf("list.extend() takes exactly one argument (%d given)", len(c.Args))
		}
		items, err := s.iterate(c.Args[0])
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, items...)
		return nil, s.grow(16 * len(items))
	},
	"insert": func(s *state, l *value.Array, c *Call) (any, error) {
		if err := positional(c, "insert", 2, 2); err != nil {
			return nil, err
		}
		i, ok := c.Args[0].(int64)
		if !ok {
			return nil, value.TypeErrorf("'%s' object cannot be interpreted as an integer", value.Type(c.Args[0]))
		}
		n := int64(len(l.Items))
		if i < 0 {
			i = max(i+n, 0)
		}
		i = min(i, n)
		l.Items = append(l.Items[:i:i], append(value.List{c.Args[1]}, l.Items[i:]...)...)
		return nil, s.grow(16 * (int(n-i) + 1))
	},
	"pop": func(_ *state, l *value.Array, c *Call) (any, error) {
		if err := positional(c, "pop", 0, 1); err != nil {
			return nil, err
		}
		if len(l.Items) == 0 {
			return nil, value.Raise("IndexError", "pop from empty list")
		}
		key := any(int64(-1))
		if len(c.Args) > 0 {
			key = c.Args[0]
		}
		i, ok := index(key, len(l.Items))
		if !ok {
			return nil, value.Raise("IndexError", "pop index out of range")
		}
		v := l.Items[i]
		l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
		return v, nil
	},
	"remove": func(s *state, l *value.Array, c *Call) (any, error) {
		i, err := s.position(l.Items, c, "list.remove(x): x not in list")
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
		return nil, nil
	},
	"index": func(s *state, l *value.Array, c *Call) (any, error) {
		if len(c.Args) == 0 {
			return nil, value.TypeErrorf("index expected at least 1 argument, got 0")
		}
		i, err := s.position(l.Items, c, value.Repr(c.Args[0])+" is not in list")
		return int64(i), err
	},
	"count": func(s *state, l *value.Array, c *Call) (any, error) {
		if len(c.Args) != 1 {
			return nil, value.TypeErrorf("list.count() takes exactly one argument (%d given)", len(c.Args))
		}
		n := int64(0)
		for _, x := range l.Items {
			same, err := s.equal(x, c.Args[0])
			if err != nil {
				return nil, err
			}
			if same {
				n++
			}
		}
		return n, s.budget.Step(len(l.Items)/8 + 1)
	},
	"clear": func(_ *state, l *value.Array, _ *Call) (any, error) {
		l.Items = nil
		return nil, nil
	},
	"copy": func(s *state, l *value.Array, _ *Call) (any, error) { return s.list(append([]any(nil), l.Items...)) },
	"reverse": func(s *state, l *value.Array, _ *Call) (any, error) {
		l.Items = reversed(l.Items)
		return nil, s.grow(16 * len(l.Items))
	},
	"sort": func(s *state, l *value.Array, c *Call) (any, error) {
		a, err := c.Bind("sort", 0, "reverse")
		if err != nil {
			return nil, err
		}
		items, err := s.sorted(l.Items, nil, value.Truth(a[0]) && a[0] != Absent{})
		l.Items = items
		return nil, err
	},
}

func reversed(items []any) value.List {
	out := make(value.List, len(items))
	for i, x := range items {
		out[len(items)-1-i] = x
	}
	return out
}

// position finds the first argument among the items.
func (s *state) position(items []any, c *Call, missing string) (int, error) {
	if len(c.Args) == 0 {
		return 0, value.TypeErrorf("expected 1 argument, got 0")
	}
	if err := s.budget.Step(len(items)/8 + 1); err != nil {
		return 0, err
	}
	from, to := 0, len(items)
	for k, p := range []*int{&from, &to} {
		if len(c.Args) > k+1 {
			if i, ok := c.Args[k+1].(int64); ok {
				if i < 0 {
					i += int64(len(items))
				}
				*p = int(min(max(i, 0), int64(len(items))))
			}
		}
	}
	for i := from; i < to; i++ {
		if same, err := s.equal(items[i], c.Args[0]); err != nil || same {
			return i, err
		}
	}
	return 0, value.ValueErrorf("%s", missing)
}

var setMethods = map[string]setMethod{
	"add": func(s *state, v *value.Set, c *Call) (any, error) {
		if len(c.Args) != 1 {
			return nil, value.TypeErrorf("set.add() takes exactly one argument (%d given)", len(c.Args))
		}
		if err := hashable(c.Args[0]); err != nil {
			return nil, err
		}
		v.Add(plainKey(c.Args[0]))
		return nil, s.grow(16)
	},
	"discard": func(_ *state, v *value.Set, c *Call) (any, error) {
		for _, x := range c.Args {
			v.Delete(plainKey(x))
		}
		return nil, nil
	},
	"union":        func(s *state, v *value.Set, c *Call) (any, error) { return s.setOp(v, c, (*value.Set).Union) },
	"intersection": func(s *state, v *value.Set, c *Call) (any, error) { return s.setOp(v, c, (*value.Set).Intersect) },
	"difference":   func(s *state, v *value.Set, c *Call) (any, error) { return s.setOp(v, c, (*value.Set).Minus) },
	"copy":         func(s *state, v *value.Set, _ *Call) (any, error) { return v.Union(&value.Set{}), s.grow(16 * v.Len()) },
	"issubset": func(s *state, v *value.Set, c *Call) (any, error) {
		o, err := s.setFrom(c)
		return err == nil && v.SubsetOf(o), err
	},
	"issuperset": func(s *state, v *value.Set, c *Call) (any, error) {
		o, err := s.setFrom(c)
		return err == nil && o.SubsetOf(v), err
	},
}

func (s *state) setFrom(c *Call) (*value.Set, error) {
	o := &value.Set{}
	for _, a := range c.Args {
		items, err := s.iterate(a)
		if err != nil {
			return nil, err
		}
		for _, x := range items {
			if err := hashable(x); err != nil {
				return nil, err
			}
			o.Add(plainKey(x))
		}
	}
	return o, s.grow(16 * o.Len())
}

func (s *state) setOp(v *value.Set, c *Call, op func(a, b *value.Set) *value.Set) (any, error) {
	o, err := s.setFrom(c)
	if err != nil {
		return nil, err
	}
	return op(v, o), s.grow(16 * (v.Len() + o.Len()))
}
