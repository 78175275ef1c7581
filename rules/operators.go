package rules

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// operator is one of StackStorm's operators (st2common/operators.py).
type operator uint8

const (
	opEquals operator = iota + 1
	opNotEquals
	opEqualsFold
	opHas
	opHasFold
	opHasNot
	opHasNotFold
	opStarts
	opStartsFold
	opEnds
	opEndsFold
	opMatchWildcard
	opRegex
	opRegexFold
	opMatchRegex
	opLess
	opGreater
	opYounger
	opOlder
	opExistsValue
	opMissingValue
	opInside
	opNotInside
	opSearch
)

// operators maps the names that rules use.
var operators = map[string]operator{
	"equals": opEquals, "eq": opEquals,
	"nequals": opNotEquals, "neq": opNotEquals,
	"iequals": opEqualsFold, "ieq": opEqualsFold,
	"contains": opHas, "icontains": opHasFold, "ncontains": opHasNot, "incontains": opHasNotFold,
	"startswith": opStarts, "istartswith": opStartsFold, "endswith": opEnds, "iendswith": opEndsFold,
	"matchwildcard": opMatchWildcard,
	"regex":         opRegex, "iregex": opRegexFold, "matchregex": opMatchRegex,
	"lessthan": opLess, "lt": opLess, "greaterthan": opGreater, "gt": opGreater,
	"timediff_lt": opYounger, "td_lt": opYounger, "timediff_gt": opOlder, "td_gt": opOlder,
	"exists": opExistsValue, "nexists": opMissingValue,
	"inside": opInside, "in": opInside, "ninside": opNotInside, "nin": opNotInside,
	"search": opSearch,
}

// operatorList has the names for messages.
var operatorList = sortedNames(operators)

func sortedNames(m map[string]operator) []string {
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// operands is what operators need beside value and pattern.
type operands struct {
	re    *pyre.Regexp
	reErr error
	now   time.Time
}

// apply evaluates an operator as StackStorm does: Python's equality and order,
// its errors where types do not fit, and false for a null pattern.
func apply(o operator, v, p any, x operands) (bool, error) {
	switch o {
	case opExistsValue:
		return v != nil, nil
	case opMissingValue:
		return v == nil, nil
	case opNotEquals:
		return !value.Equal(v, p), nil
	}
	if p == nil {
		return false, nil
	}
	switch o {
	case opEquals:
		return value.Equal(v, p), nil
	case opHas:
		return isIn(p, v)
	case opHasNot:
		ok, err := isIn(p, v)
		return !ok && err == nil, err
	case opInside:
		return isIn(v, p)
	case opNotInside:
		ok, err := isIn(v, p)
		return !ok && err == nil, err
	case opLess:
		return value.Order("<", v, p)
	case opGreater:
		return value.Order(">", v, p)
	case opYounger, opOlder:
		return timeDiff(o, v, p, x.now)
	case opRegex, opRegexFold, opMatchRegex:
		return matchRegex(o, v, x)
	case opMatchWildcard:
		s, ok := v.(string)
		t, ok2 := p.(string)
		if !ok || !ok2 {
			return false, value.TypeErrorf("expected str, bytes or os.PathLike object, not %s", value.Type(pick(ok, p, v)))
		}
		return fnmatch(t, s), nil
	}
	return applyText(o, v, p)
}

func pick(second bool, a, b any) any {
	if second {
		return a
	}
	return b
}

// applyText evaluates the operators that call methods of strings.
func applyText(o operator, v, p any) (bool, error) {
	s, ok := v.(string)
	if !ok {
		return false, noAttribute(o, v)
	}
	t, ok := p.(string)
	if !ok {
		if o == opStarts || o == opEnds {
			return false, value.TypeErrorf("%s first arg must be str or a tuple of str, not %s", methods[o], value.Type(p))
		}
		return false, noAttribute(o, p)
	}
	switch o {
	case opStarts:
		return strings.HasPrefix(s, t), nil
	case opEnds:
		return strings.HasSuffix(s, t), nil
	}
	s, t = lower(s), lower(t)
	switch o {
	case opEqualsFold:
		return s == t, nil
	case opHasFold:
		return strings.Contains(s, t), nil
	case opHasNotFold:
		return !strings.Contains(s, t), nil
	case opStartsFold:
		return strings.HasPrefix(s, t), nil
	case opEndsFold:
		return strings.HasSuffix(s, t), nil
	}
	return false, nil
}

// methods are Python's methods behind operators, for its messages.
var methods = map[operator]string{opStarts: "startswith", opEnds: "endswith"}

func noAttribute(o operator, v any) error {
	m := methods[o]
	if m == "" {
		m = "lower"
	}
	return value.Raise("AttributeError", "'%s' object has no attribute '%s'", value.Type(v), m)
}

// isIn is Python's "x in c".
func isIn(x, c any) (bool, error) {
	switch c := c.(type) {
	case string:
		s, ok := x.(string)
		if !ok {
			return false, value.TypeErrorf("'in <string>' requires string as left operand, not %s", value.Type(x))
		}
		return strings.Contains(c, s), nil
	case value.List:
		for _, y := range c {
			if value.Equal(y, x) {
				return true, nil
			}
		}
		return false, nil
	case *value.Map:
		if err := value.Hashable(x); err != nil {
			return false, err
		}
		return c.Has(x), nil
	}
	return false, value.TypeErrorf("argument of type '%s' is not iterable", value.Type(c))
}

// compileRegex compiles a pattern for the operators that take one; for others
// it returns nil.
func compileRegex(o operator, p any) (*pyre.Regexp, error) {
	var flags pyre.Flags
	switch o {
	case opRegex:
	case opRegexFold:
		flags = pyre.IgnoreCase
	case opMatchRegex:
		flags = pyre.DotAll
	default:
		return nil, nil
	}
	s, ok := p.(string)
	if !ok {
		return nil, value.TypeErrorf("first argument must be string or compiled pattern")
	}
	re, err := pyre.Compile(s, flags)
	var bad *pyre.Error
	if errors.As(err, &bad) {
		return nil, value.Raise("error", "%s", bad.Message)
	}
	return re, err
}

func matchRegex(o operator, v any, x operands) (bool, error) {
	if x.reErr != nil {
		return false, x.reErr
	}
	s, ok := v.(string)
	if !ok {
		return false, value.TypeErrorf("expected string or bytes-like object, got '%s'", value.Type(v))
	}
	if o == opMatchRegex {
		return x.re.Starts(s)
	}
	return x.re.Found(s)
}

// lower is Python's str.lower: full case mapping, of which İ and the Σ at the
// end of a word differ from character-by-character mapping.
func lower(s string) string {
	if !strings.ContainsAny(s, "İΣ") {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for i, r := range s {
		switch r {
		case 'İ':
			b.WriteString("i̇")
		case 'Σ':
			if casedBefore(s[:i]) && !casedAfter(s[i+len("Σ"):]) {
				b.WriteRune('ς')
			} else {
				b.WriteRune('σ')
			}
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

func casedBefore(s string) bool {
	for s != "" {
		r, n := utf8.DecodeLastRuneInString(s)
		if !caseIgnorable(r) {
			return isCased(r)
		}
		s = s[:len(s)-n]
	}
	return false
}

func casedAfter(s string) bool {
	for _, r := range s {
		if !caseIgnorable(r) {
			return isCased(r)
		}
	}
	return false
}

func isCased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) || unicode.Is(unicode.Other_Lowercase, r) || unicode.Is(unicode.Other_Uppercase, r)
}

func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:·’‘․", r)
}
