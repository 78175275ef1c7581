package value

import (
	"fmt"
	"strings"
)

// Lookup finds what a field of a format string names: first is a number (as
// int64) or a name; steps lead on from there.
type Lookup func(first any, steps []FieldStep) (any, error)

// FieldStep is one step of a field name: .name or [key].
type FieldStep struct {
	Attr bool
	Key  any // a string, or an int64 in brackets
}

// FormatFields is Python's str.format: it replaces {…} by what lookup finds.
// repr and str conversions and nested specifications work as in Python; the
// budget bounds the result.
func FormatFields(format string, budget *Budget, lookup Lookup) (string, error) {
	f := fields{budget: budget, lookup: lookup}
	b, err := f.run(format, 2)
	return string(b), err
}

type fields struct {
	budget *Budget
	lookup Lookup
	auto   int  // the next automatic number
	manual bool // numbers were given
}

func (f *fields) run(s string, depth int) ([]byte, error) {
	if depth < 0 {
		return nil, ValueErrorf("Max string recursion exceeded")
	}
	var b []byte
	for i := 0; i < len(s); {
		c := s[i]
		if c != '{' && c != '}' {
			k := strings.IndexAny(s[i:], "{}")
			if k < 0 {
				k = len(s) - i
			}
			b = append(b, s[i:i+k]...)
			i += k
			continue
		}
		if i+1 < len(s) && s[i+1] == c {
			b = append(b, c)
			i += 2
			continue
		}
		if c == '}' {
			return nil, ValueErrorf("Single '}' encountered in format string")
		}
		end, err := fieldEnd(s, i+1)
		if err != nil {
			return nil, err
		}
		t, err := f.field(s[i+1:end], depth)
		if err == nil {
			err = f.budget.Grow(len(t))
		}
		if err != nil {
			return nil, err
		}
		b = append(b, t...)
		i = end + 1
	}
	return b, f.budget.Grow(len(s))
}

// fieldEnd finds the brace that closes a field.
func fieldEnd(s string, i int) (int, error) {
	if i >= len(s) {
		return 0, ValueErrorf("Single '{' encountered in format string")
	}
	depth, bracket := 1, false
	for ; i < len(s); i++ {
		switch s[i] {
		case '[':
			bracket = true
		case ']':
			bracket = false
		case '{':
			if !bracket {
				depth++
			}
		case '}':
			if !bracket {
				if depth--; depth == 0 {
					return i, nil
				}
			}
		}
	}
	return 0, ValueErrorf("expected '}' before end of string")
}

func (f *fields) field(s string, depth int) (string, error) {
	name, spec, conv := s, "", byte(0)
	bracket := false
	for i := 0; i < len(s); i++ {
		if s[i] == '[' {
			bracket = true
		} else if s[i] == ']' {
			bracket = false
		}
		if bracket || s[i] != ':' && s[i] != '!' {
			continue
		}
		name, spec = s[:i], s[i+1:]
		if s[i] == '!' {
			if spec == "" {
				return "", ValueErrorf("end of string while looking for conversion specifier")
			}
			conv = spec[0]
			if spec = spec[1:]; spec != "" && spec[0] != ':' {
				return "", ValueErrorf("expected ':' after conversion specifier")
			}
			spec = strings.TrimPrefix(spec, ":")
		}
		break
	}
	v, err := f.find(name)
	if err != nil {
		return "", err
	}
	switch conv {
	case 0:
	case 's':
		v = Str(v)
	case 'r', 'a':
		v = Repr(v)
	default:
		return "", ValueErrorf("Unknown conversion specifier %c", conv)
	}
	if strings.ContainsAny(spec, "{}") {
		b, err := f.run(spec, depth-1)
		if err != nil {
			return "", err
		}
		spec = string(b)
	}
	return Format(v, spec)
}

func (f *fields) find(name string) (any, error) {
	i := strings.IndexAny(name, ".[")
	if i < 0 {
		i = len(name)
	}
	var first any = name[:i]
	n, isNumber := fieldNumber(name[:i])
	switch {
	case i == 0:
		if f.manual {
			return nil, ValueErrorf("cannot switch from manual field specification to automatic field numbering")
		}
		first = int64(f.auto)
		f.auto++
	case isNumber:
		if f.auto > 0 {
			return nil, ValueErrorf("cannot switch from manual field specification to automatic field numbering")
		}
		f.manual = true
		first = n
	}
	steps, err := fieldSteps(name[i:])
	if err != nil {
		return nil, err
	}
	return f.lookup(first, steps)
}

func fieldNumber(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

func fieldSteps(s string) ([]FieldStep, error) {
	var steps []FieldStep
	for s != "" {
		if len(steps) > MaxDepth {
			return nil, fmt.Errorf("format a text: %w", ErrLimit)
		}
		if s[0] == '.' {
			k := strings.IndexAny(s[1:], ".[")
			if k < 0 {
				k = len(s) - 1
			}
			if k == 0 {
				return nil, ValueErrorf("Empty attribute in format string")
			}
			steps = append(steps, FieldStep{true, s[1 : 1+k]})
			s = s[1+k:]
			continue
		}
		if s[0] != '[' {
			return nil, ValueErrorf("Only '.' or '[' may follow ']' in format field specifier")
		}
		k := strings.IndexByte(s, ']')
		if k < 0 {
			return nil, ValueErrorf("Missing ']' in format string")
		}
		if k == 1 {
			return nil, ValueErrorf("Empty attribute in format string")
		}
		var key any = s[1:k]
		if n, ok := fieldNumber(s[1:k]); ok {
			key = n
		}
		steps = append(steps, FieldStep{false, key})
		s = s[k+1:]
	}
	return steps, nil
}
