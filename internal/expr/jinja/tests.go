package jinja

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// about describes a test of one value.
func about(py string, f func(v any) bool) *builtin {
	return bound(py, 1, "value", func(_ *state, a []any) (any, error) { return f(a[0]), nil })
}

// compared describes a test by an operator of Python's.
func compared(py, op string) *builtin {
	return bound(py, 2, "a b", func(s *state, a []any) (any, error) { return s.compare(op, a[0], a[1]) })
}

// builtinTests returns Jinja's tests, in a map of its own.
func builtinTests() map[string]*builtin {
	undefined := func(v any) bool {
		_, ok := v.(*Undefined)
		return ok
	}
	m := map[string]*builtin{
		"odd":         bound("test_odd", 1, "value", remainder(2, 1)),
		"even":        bound("test_even", 1, "value", remainder(2, 0)),
		"divisibleby": bound("test_divisibleby", 2, "value num", testDivisible),
		"defined":     about("test_defined", func(v any) bool { return !undefined(v) }),
		"undefined":   about("test_undefined", undefined),
		"filter":      bound("test_filter", 1, "value", func(s *state, a []any) (any, error) { return named(s.env.filters, a[0]) }),
		"test":        bound("test_test", 1, "value", func(s *state, a []any) (any, error) { return named(s.env.tests, a[0]) }),
		"none":        about("test_none", func(v any) bool { return v == nil }),
		"boolean":     about("test_boolean", func(v any) bool { return v == true || v == false }),
		"false":       about("test_false", func(v any) bool { return v == false }),
		"true":        about("test_true", func(v any) bool { return v == true }),
		"integer":     about("test_integer", value.IsInt),
		"float": about("test_float", func(v any) bool {
			_, ok := v.(float64)
			return ok
		}),
		"lower":    bound("test_lower", 1, "value", testCase("islower")),
		"upper":    bound("test_upper", 1, "value", testCase("isupper")),
		"string":   about("test_string", isText),
		"mapping":  about("test_mapping", isMapping),
		"number":   about("test_number", value.IsNumber),
		"sequence": about("test_sequence", isSequence),
		"iterable": bound("test_iterable", 1, "value", testIterable),
		"callable": about("callable", isCallable),
		"sameas":   bound("test_sameas", 2, "value other", func(_ *state, a []any) (any, error) { return same(a[0], a[1]), nil }),
		"escaped": about("test_escaped", func(v any) bool {
			_, ok := v.(Markup)
			return ok
		}),
		"in": bound("test_in", 2, "value seq", func(s *state, a []any) (any, error) { return s.contains(a[1], a[0]) }),
		"==": compared("eq", "=="), "!=": compared("ne", "!="),
		">": compared("gt", ">"), ">=": compared("ge", ">="),
		"<": compared("lt", "<"), "<=": compared("le", "<="),
	}
	for names, op := range map[string]string{"eq equalto": "==", "ne": "!=", "gt greaterthan": ">", "ge": ">=", "lt lessthan": "<", "le": "<="} {
		for _, n := range strings.Fields(names) {
			m[n] = m[op]
		}
	}
	return m
}

func remainder(by, want int64) filterFunc {
	return func(s *state, a []any) (any, error) {
		r, err := s.arith("%", a[0], by)
		if err != nil {
			return nil, err
		}
		return value.Equal(r, want), nil
	}
}

func testDivisible(s *state, a []any) (any, error) {
	r, err := s.arith("%", a[0], a[1])
	if err != nil {
		return nil, err
	}
	return value.Equal(r, int64(0)), nil
}

func named(m map[string]*builtin, v any) (any, error) {
	n, ok := asText(v)
	return ok && m[n] != nil, hashable(v)
}

func testCase(method string) filterFunc {
	return func(s *state, a []any) (any, error) {
		t, err := s.str(a[0])
		if err != nil {
			return nil, err
		}
		return textMethods[method](s, t, &Call{s: s})
	}
}

func isText(v any) bool {
	_, ok := asText(v)
	return ok
}

func isMapping(v any) bool {
	_, ok := v.(*value.Map)
	return ok
}

func isSequence(v any) bool {
	if _, ok := value.Items(v); ok || isText(v) || isMapping(v) {
		return true
	}
	switch v := v.(type) {
	case *Range, *Group, value.Bytes:
		return true
	case *Undefined:
		return !v.Strict
	}
	return false
}

func testIterable(s *state, a []any) (any, error) {
	switch v := a[0].(type) {
	case *Iterator, iterable:
		return true, nil
	case *Undefined:
		if v.Strict {
			return nil, v.err()
		}
		return true, nil
	case *value.Set, value.Bytes:
		return true, nil
	}
	return isSequence(a[0]), nil
}

func isCallable(v any) bool {
	switch v.(type) {
	case Function, callable, *Undefined:
		return true
	}
	return false
}

// same is Python's "is", for values: small ones are the same when they are equal
// and of one type.
func same(a, b any) bool {
	if value.Type(a) != value.Type(b) {
		return false
	}
	switch x := a.(type) {
	case *value.Map:
		return x == b
	case *value.Array:
		return x == b
	case value.List:
		y, ok := b.(value.List)
		return ok && len(x) == len(y) && len(x) > 0 && &x[0] == &y[0]
	}
	return value.Equal(a, b)
}
