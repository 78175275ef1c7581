package jinja

import (
	"math"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func filterFilesize(s *state, a []any) (any, error) {
	f, err := s.toFloat(a[0])
	if err != nil {
		return nil, err
	}
	base, i, rest := 1000.0, "", "B"
	if flag(a[1]) {
		base, i = 1024, "i"
	}
	switch {
	case f == 1:
		return "1 Byte", nil
	case f < base:
		n, err := value.Float(f)
		return value.Str(n) + " Bytes", err
	}
	prefixes := []string{"K", "M", "G", "T", "P", "E", "Z", "Y"}
	if i == "" {
		prefixes[0] = "k"
	}
	unit := base
	for k, p := range prefixes {
		unit *= base
		if f < unit || k == len(prefixes)-1 {
			t, err := value.Format(base*f/unit, ".1f")
			return t + " " + p + i + rest, err
		}
	}
	return nil, nil
}

// toFloat is float(v).
func (s *state) toFloat(v any) (float64, error) {
	if t, ok := asText(v); ok {
		return value.ParseFloat(t)
	}
	if u, ok := v.(*Undefined); ok {
		return 0, u.err()
	}
	if !value.IsNumber(v) {
		return 0, value.TypeErrorf("float() argument must be a string or a real number, not '%s'", value.Type(v))
	}
	return value.ToFloat(v)
}

func filterFloat(s *state, a []any) (any, error) {
	f, err := s.toFloat(a[0])
	if err == nil {
		return f, nil
	}
	if !recoverable(err, "TypeError", "ValueError") {
		return nil, err
	}
	if a[1] == (Absent{}) {
		return 0.0, nil
	}
	return a[1], nil
}

// recoverable says whether an error is one of the exceptions that a filter
// answers with its default.
func recoverable(err error, classes ...string) bool {
	e, ok := err.(*value.Error)
	if !ok {
		return false
	}
	for _, c := range classes {
		if e.Class == c {
			return true
		}
	}
	return false
}

func filterInt(s *state, a []any) (any, error) {
	base, err := 10, error(nil)
	if _, ok := asText(a[0]); ok { // only a text has a base, and a wrong one is like a wrong text
		base, err = integer(a[2], 10)
	}
	var v any
	if err == nil {
		v, err = s.toInt(a[0], base)
	}
	if err == nil {
		return v, nil
	}
	if recoverable(err, "TypeError", "ValueError") {
		f, ferr := s.toFloat(a[0])
		if err = ferr; err == nil {
			if v, err = value.Float(f); err == nil {
				return v, nil
			}
		}
		if recoverable(err, "TypeError", "ValueError", "OverflowError") {
			if a[1] == (Absent{}) {
				return int64(0), nil
			}
			return a[1], nil
		}
	}
	return nil, err
}

func (s *state) toInt(v any, base int) (any, error) {
	if t, ok := asText(v); ok {
		if base != 0 && (base < 2 || base > 36) {
			return nil, value.ValueErrorf("int() base must be >= 2 and <= 36, or 0")
		}
		return value.ParseInt(t, base)
	}
	switch v := v.(type) {
	case float64:
		return value.Float(v)
	case *Undefined:
		return nil, v.err()
	}
	if value.IsNumber(v) {
		return value.Pos(v)
	}
	return nil, value.TypeErrorf("int() argument must be a string, a bytes-like object or a real number, not '%s'", value.Type(v))
}

func filterRound(s *state, a []any) (any, error) {
	n, err := integer(a[1], 0)
	if err != nil {
		return nil, err
	}
	method := "common"
	if a[2] != (Absent{}) {
		method, _ = asText(a[2])
	}
	if method != "common" && method != "ceil" && method != "floor" {
		return nil, value.Raise("FilterArgumentError", "method must be common, ceil or floor")
	}
	if !value.IsNumber(a[0]) && method != "common" {
		return nil, value.TypeErrorf("must be real number, not %s", value.Type(a[0]))
	}
	if !value.IsNumber(a[0]) {
		return nil, value.TypeErrorf("type %s doesn't define __round__ method", value.Type(a[0]))
	}
	if method != "common" {
		p, err := value.Arith("**", int64(10), int64(n))
		if err != nil {
			return nil, err
		}
		v, err := value.Arith("*", a[0], p)
		if err != nil {
			return nil, err
		}
		if f, ok := v.(float64); ok {
			round := math.Ceil
			if method == "floor" {
				round = math.Floor
			}
			if v, err = value.Float(round(f)); err != nil {
				return nil, err
			}
		}
		return value.Arith("/", v, p)
	}
	if f, ok := a[0].(float64); ok {
		return value.Round(f, n), nil
	}
	if n >= 0 {
		return value.Pos(a[0])
	}
	f, err := value.ToFloat(a[0])
	if err != nil {
		return nil, err
	}
	return value.Float(value.Round(f, n))
}
