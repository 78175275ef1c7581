package jinja

import (
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// bounds is a slice as a value.
type bounds struct{ from, to, step any }

func (*bounds) PyType() string { return "slice" }

func (b *bounds) PyRepr() string {
	return "slice(" + value.Repr(b.from) + ", " + value.Repr(b.to) + ", " + value.Repr(b.step) + ")"
}

func (n *sliceExpr) eval(s *state) (any, error) {
	b := &bounds{}
	for _, p := range []struct {
		x expr
		v *any
	}{{n.from, &b.from}, {n.to, &b.to}, {n.step, &b.step}} {
		if p.x == nil {
			continue
		}
		v, err := p.x.eval(s)
		if err != nil {
			return nil, err
		}
		*p.v = v
	}
	return b, nil
}

// attr is x.name: an attribute of Python's, or else an item.
func (s *state) attr(x any, name string) (any, error) {
	switch x := x.(type) {
	case *value.Map:
		if _, ok := dictMethods[name]; ok {
			return &method{x, name}, nil
		}
		if v, ok := x.Str(name); ok {
			if isDunder(x, name) {
				return s.unsafe(x, name), nil
			}
			return v, nil
		}
	case *Undefined:
		if !isDunder(x, name) || x.Class != "UndefinedError" {
			return nil, x.err()
		}
	case Lazy, Object:
		return s.objectAttr(x, name)
	}
	if isDunder(x, name) {
		return s.unsafe(x, name), nil
	}
	if v, ok := s.builtinAttr(x, name); ok {
		return v, nil
	}
	return s.env.undefinedMember(x, name), nil
}

func (s *state) objectAttr(x any, name string) (any, error) {
	if o, ok := x.(Object); ok {
		v, ok, err := o.Attr(name)
		if err != nil || ok {
			return v, err
		}
	}
	if l, ok := x.(Lazy); ok {
		v, err := l.Resolve()
		if err != nil {
			return nil, err
		}
		if _, again := v.(Lazy); !again {
			return s.attr(v, name)
		}
	}
	return s.env.undefinedMember(x, name), nil
}

// The private attributes that Python's objects have: all of them, containers,
// sequences, numbers.
const (
	dundersOfAll = " __class__ __doc__ __init__ __new__ __dir__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __repr__ __str__" +
		" __format__ __sizeof__ __reduce__ __reduce_ex__ __getattribute__ __setattr__ __delattr__ __init_subclass__" +
		" __subclasshook__ __getstate__ "
	dundersOfContainers = " __len__ __iter__ __contains__ __getitem__ "
	dundersOfLists      = " __setitem__ __delitem__ __reversed__ __class_getitem__ "
	dundersOfSequences  = " __add__ __mul__ __rmul__ "
	dundersOfNumbers    = " __abs__ __add__ __sub__ __mul__ __truediv__ __floordiv__ __mod__ __pow__ __divmod__ __neg__ __pos__" +
		" __bool__ __int__ __float__ __round__ __trunc__ __radd__ __rsub__ __rmul__ __index__ "
	dundersOfFunctions = " __call__ __globals__ __code__ __closure__ __name__ __qualname__ __self__ __module__ "
)

// isDunder says whether a name is a private attribute of a value of Python's.
func isDunder(x any, name string) bool {
	if !strings.HasPrefix(name, "__") {
		return false
	}
	n := " " + name + " "
	if strings.Contains(dundersOfAll, n) {
		return true
	}
	if value.IsNumber(x) {
		return strings.Contains(dundersOfNumbers, n)
	}
	switch x.(type) {
	case string, Markup, value.Tuple:
		return strings.Contains(dundersOfContainers, n) || strings.Contains(dundersOfSequences, n)
	case value.List, *value.Array:
		return strings.Contains(dundersOfContainers, n) || strings.Contains(dundersOfSequences, n) || strings.Contains(dundersOfLists, n)
	case *value.Map, *value.Set:
		return strings.Contains(dundersOfContainers, n) || strings.Contains(dundersOfLists, n)
	case *method, Function:
		return strings.Contains(dundersOfFunctions, n)
	}
	return false
}

func (s *state) unsafe(x any, name string) *Undefined {
	return &Undefined{Hint: "access to attribute " + value.Repr(name) + " of " + value.Repr(value.Type(x)) + " object is unsafe.",
		Class: "SecurityError", Strict: s.env.o.Strict}
}

// item is x[key], or else an attribute where key is text.
func (s *state) item(x, key any) (any, error) {
	switch x := x.(type) {
	case *value.Map:
		if hashable(key) == nil {
			if v, ok := x.Get(plainKey(key)); ok {
				return v, nil
			}
		}
	case string:
		if v, ok, err := s.textItem(x, key); ok || err != nil {
			return v, err
		}
	case Markup:
		v, ok, err := s.textItem(string(x), key)
		if err != nil {
			return nil, err
		}
		if ok {
			return Markup(v.(string)), nil
		}
	case *Undefined:
		return nil, x.err()
	case *Group:
		if v, ok, err := s.listItem(x.pair, key); ok || err != nil {
			return v, err
		}
	case *Range:
		if v, ok, err := s.listItem(x.items(), key); ok || err != nil {
			return v, err
		}
	default:
		if items, ok := value.Items(x); ok {
			v, ok, err := s.listItem(items, key)
			if err != nil || ok {
				if _, tuple := x.(value.Tuple); tuple && ok {
					if a, sliced := v.(*value.Array); sliced && isBounds(key) {
						return value.Tuple(a.Items), nil
					}
				}
				return v, err
			}
		}
	}
	if name, ok := asText(key); ok {
		switch x.(type) {
		case Lazy, Object:
			return s.objectAttr(x, name)
		}
		if isDunder(x, name) {
			return s.unsafe(x, name), nil
		}
		if v, ok := s.builtinAttr(x, name); ok {
			return v, nil
		}
	}
	if l, ok := x.(Lazy); ok {
		v, err := l.Resolve()
		if err != nil {
			return nil, err
		}
		return s.item(v, key)
	}
	return s.env.undefinedMember(x, key), nil
}

// slice is x[from:to:step], which needs a sequence.
func (s *state) slice(x any, b *bounds) (any, error) {
	x, err := s.resolve(x)
	if err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case string, Markup, *Undefined, *Range, *Group:
		return s.item(x, b)
	case *value.Map:
		return nil, value.TypeErrorf("unhashable type: 'slice'")
	}
	if _, ok := value.Items(x); !ok {
		return nil, value.TypeErrorf("'%s' object is not subscriptable", value.Type(x))
	}
	return s.item(x, b)
}

func isBounds(v any) bool {
	_, ok := v.(*bounds)
	return ok
}

// index returns a position in a sequence of so many items.
func index(key any, size int) (int, bool) {
	var i int64
	switch k := key.(type) {
	case int64:
		i = k
	case bool:
		if k {
			i = 1
		}
	default:
		return 0, false
	}
	if i < 0 {
		i += int64(size)
	}
	return int(i), i >= 0 && i < int64(size)
}

func (s *state) textItem(x string, key any) (any, bool, error) {
	if b, ok := key.(*bounds); ok {
		runes := []rune(x)
		at, err := b.positions(len(runes))
		if err != nil {
			return nil, false, err
		}
		out := make([]rune, len(at))
		for i, k := range at {
			out[i] = runes[k]
		}
		return string(out), true, s.grow(len(x))
	}
	if isASCII(x) {
		if i, ok := index(key, len(x)); ok {
			return x[i : i+1], true, nil
		}
		return nil, false, nil
	}
	i, ok := index(key, utf8.RuneCountInString(x))
	if !ok {
		return nil, false, nil
	}
	for at := range x {
		if i == 0 {
			_, n := utf8.DecodeRuneInString(x[at:])
			return x[at : at+n], true, nil
		}
		i--
	}
	return nil, false, nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (s *state) listItem(items []any, key any) (any, bool, error) {
	if b, ok := key.(*bounds); ok {
		at, err := b.positions(len(items))
		if err != nil {
			return nil, false, err
		}
		out := make([]any, len(at))
		for i, k := range at {
			out[i] = items[k]
		}
		v, err := s.list(out)
		return v, err == nil, err
	}
	if i, ok := index(key, len(items)); ok {
		return items[i], true, nil
	}
	return nil, false, nil
}

// positions are the places that a slice picks from so many items.
func (b *bounds) positions(size int) ([]int, error) {
	get := func(v any, def int) (int, error) {
		switch v := v.(type) {
		case nil:
			return def, nil
		case int64:
			return int(min(max(v, -1<<40), 1<<40)), nil
		case bool:
			if v {
				return 1, nil
			}
			return 0, nil
		case *Undefined:
			return 0, v.err()
		}
		return 0, value.TypeErrorf("slice indices must be integers or None or have an __index__ method")
	}
	step, err := get(b.step, 1)
	if err != nil {
		return nil, err
	}
	if step == 0 {
		return nil, value.ValueErrorf("slice step cannot be zero")
	}
	low, high := 0, size
	if step < 0 {
		low, high = -1, size-1
	}
	clip := func(v any, def int) (int, error) {
		i, err := get(v, def)
		if v != nil && i < 0 {
			i += size
		}
		if v == nil {
			return i, err
		}
		return min(max(i, low), high), err
	}
	from, to := low, high
	if step < 0 {
		from, to = high, low
	}
	if from, err = clip(b.from, from); err != nil {
		return nil, err
	}
	if to, err = clip(b.to, to); err != nil {
		return nil, err
	}
	var out []int
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, i)
	}
	return out, nil
}
