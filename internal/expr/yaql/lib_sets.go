package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

func setLibrary() []*overload {
	s := p("set", tSet)
	two := []param{p("left", tSet), p("right", tSet)}
	out := []*overload{
		fn("isSet", func(f *frame) (any, error) { return isSet(f.args[0]), nil }, p("arg", tAny)),
		fn("set", doSet).more(tAny),
		mt("toSet", doToSet, p("collection", tIterable)),
		ext("len", func(f *frame) (any, error) { return int64(asSet(f.args[0]).Len()), nil }, s),
		mt("add", setMethod("union", (*value.Set).Union), s).more(tAny),
		mt("remove", setMethod("difference", (*value.Set).Minus), s).more(tAny),
		mt("union", setMethod("union", (*value.Set).Union), two...),
		mt("intersect", setMethod("intersection", (*value.Set).Intersect), two...),
		mt("difference", setMethod("difference", (*value.Set).Minus), two...),
		fn("#operator_-", setMethod("difference", (*value.Set).Minus), two...),
		mt("symmetricDifference", setMethod("symmetric_difference", func(a, b *value.Set) *value.Set {
			return a.Minus(b).Union(b.Minus(a))
		}), two...),
	}
	for _, name := range []string{"<", "<=", ">", ">="} {
		out = append(out, fn("#operator_"+name, func(f *frame) (any, error) {
			a, b := asSet(f.args[0]), asSet(f.args[1])
			if err := f.ev.budget.Step(a.Len() + b.Len()); err != nil {
				return nil, err
			}
			return value.Order(name, a, b)
		}, two...))
	}
	return out
}

// setOf makes a set of items, each hashable and charged to the budget.
func (f *frame) setOf(items []any) (*value.Set, error) {
	s := value.NewSet()
	for _, v := range items {
		if err := f.member(s, v); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (f *frame) member(s *value.Set, v any) error {
	if err := f.ev.hashable(v); err != nil {
		return err
	}
	if err := f.grow(2 * wordSize); err != nil {
		return err
	}
	s.Add(v)
	return nil
}

func doSet(f *frame) (any, error) {
	s := value.NewSet()
	err := f.ev.spread(f.rest, func(v any) error { return f.member(s, v) })
	return s, err
}

func doToSet(f *frame) (any, error) {
	s := value.NewSet()
	err := f.ev.each(f.args[0], func(v any) (bool, error) { return false, f.member(s, v) })
	return s, err
}

// setMethod makes a function of an operation on sets. The second set is an
// argument, or made of all further arguments. Views of maps lack such methods in
// Python.
func setMethod(name string, op func(a, b *value.Set) *value.Set) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		a, ok := f.args[0].(*value.Set)
		if !ok {
			return nil, Raise("AttributeError", "'%s' object has no attribute '%s'", shortClass(f.args[0]), name)
		}
		var b *value.Set
		if len(f.args) > 1 {
			b = asSet(f.args[1])
		} else {
			var err error
			if b, err = f.setOf(f.rest); err != nil {
				return nil, err
			}
		}
		if err := f.grow((a.Len() + b.Len()) * 2 * wordSize); err != nil {
			return nil, err
		}
		return op(a, b), f.ev.budget.Step(a.Len() + b.Len())
	}
}
