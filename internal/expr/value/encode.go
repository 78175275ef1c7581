package value

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode returns v as compact JSON: the order of maps is kept, floats keep their
// point (1.0), characters are written as they are. Values that JSON does not know
// (sets, NaN) are errors.
func Encode(v any) ([]byte, error) { return AppendJSON(nil, v) }

// AppendJSON appends Encode(v).
func AppendJSON(b []byte, v any) ([]byte, error) {
	e := encoder{b: b, item: ",", key: ":", strict: true, left: 64 << 20}
	err := e.value(v, 0)
	return e.b, err
}

// DumpOptions are the arguments of Python's json.dumps.
type DumpOptions struct {
	// Indent puts every item on a line of its own, indented by so many spaces a
	// level; negative for none.
	Indent int
	// ItemSeparator and KeySeparator default to ", " and ": "; with an indent the
	// first defaults to ",".
	ItemSeparator, KeySeparator string
	SortKeys                    bool
	// Raw writes characters beyond ASCII as they are (ensure_ascii=False).
	Raw bool
}

// Dumps is Python's json.dumps. Its errors are Python's; the budget bounds the
// length.
func Dumps(v any, o DumpOptions, budget *Budget) (string, error) {
	_, left := budget.Left()
	e := encoder{item: o.ItemSeparator, key: o.KeySeparator, indent: o.Indent, sorted: o.SortKeys, ascii: !o.Raw,
		left: min(left, 64<<20), lines: o.Indent >= 0}
	if e.item == "" {
		e.item = ", "
		if e.lines {
			e.item = ","
		}
	}
	if e.key == "" {
		e.key = ": "
	}
	if err := e.value(v, 0); err != nil {
		return "", err
	}
	return string(e.b), budget.Grow(len(e.b))
}

type encoder struct {
	b         []byte
	item, key string
	indent    int
	lines     bool
	sorted    bool
	ascii     bool
	strict    bool // no NaN
	left      int64
}

func (e *encoder) value(v any, depth int) error {
	if depth > MaxDepth || int64(len(e.b)) > e.left {
		return fmt.Errorf("write JSON: %w", ErrLimit)
	}
	switch v := v.(type) {
	case nil:
		e.b = append(e.b, "null"...)
	case bool:
		e.b = strconv.AppendBool(e.b, v)
	case string:
		e.str(v)
	case int64:
		e.b = strconv.AppendInt(e.b, v, 10)
	case *big.Int:
		e.b = v.Append(e.b, 10)
	case float64:
		return e.float(v)
	case List:
		return e.array(v, depth)
	case Tuple:
		return e.array(v, depth)
	case *Array:
		return e.array(v.Items, depth)
	case *Map:
		return e.object(v, depth)
	default:
		return TypeErrorf("Object of type %s is not JSON serializable", Type(v))
	}
	return nil
}

func (e *encoder) float(f float64) error {
	switch {
	case math.IsNaN(f), math.IsInf(f, 0):
		if e.strict {
			return ValueErrorf("Out of range float values are not JSON compliant")
		}
		switch {
		case math.IsNaN(f):
			e.b = append(e.b, "NaN"...)
		case f > 0:
			e.b = append(e.b, "Infinity"...)
		default:
			e.b = append(e.b, "-Infinity"...)
		}
	default:
		e.b = AppendFloat(e.b, f)
	}
	return nil
}

func (e *encoder) array(items []any, depth int) error {
	if len(items) == 0 {
		e.b = append(e.b, "[]"...)
		return nil
	}
	e.b = append(e.b, '[')
	for i, x := range items {
		if i > 0 {
			e.b = append(e.b, e.item...)
		}
		e.line(depth + 1)
		if err := e.value(x, depth+1); err != nil {
			return err
		}
	}
	e.line(depth)
	e.b = append(e.b, ']')
	return nil
}

func (e *encoder) line(depth int) {
	if e.lines {
		e.b = append(e.b, '\n')
		for range depth * e.indent {
			e.b = append(e.b, ' ')
		}
	}
}

func (e *encoder) object(m *Map, depth int) error {
	if m.Len() == 0 {
		e.b = append(e.b, "{}"...)
		return nil
	}
	order := make([]int, 0, 16)
	if e.sorted {
		var err error
		if order, err = sortedOrder(m); err != nil {
			return err
		}
	}
	e.b = append(e.b, '{')
	for i := 0; i < m.Len(); i++ {
		k, v := m.keys[i], m.vals[i]
		if e.sorted {
			k, v = m.keys[order[i]], m.vals[order[i]]
		}
		if i > 0 {
			e.b = append(e.b, e.item...)
		}
		e.line(depth + 1)
		if s, ok := k.(string); ok {
			e.str(s)
		} else {
			s, err := keyText(k)
			if err != nil {
				return err
			}
			e.str(s)
		}
		e.b = append(e.b, e.key...)
		if err := e.value(v, depth+1); err != nil {
			return err
		}
	}
	e.line(depth)
	e.b = append(e.b, '}')
	return nil
}

// sortedOrder gives the positions of a map's entries in the order of the keys.
func sortedOrder(m *Map) ([]int, error) {
	order := make([]int, m.Len())
	for i := range order {
		order[i] = i
	}
	var failed error
	slices.SortStableFunc(order, func(a, b int) int {
		c, err := Compare(m.keys[a], m.keys[b])
		if err != nil && failed == nil {
			failed = err
		}
		return c
	})
	return order, failed
}

// keyText is the text that json.dumps makes of a key that is not a string.
func keyText(k any) (string, error) {
	switch k := k.(type) {
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(k), nil
	case int64, *big.Int, float64:
		return Str(k), nil
	}
	return "", TypeErrorf("keys must be str, int, float, bool or None, not %s", Type(k))
}

func (e *encoder) str(s string) { e.b = appendQuoted(e.b, s, e.ascii) }

// AppendString appends a string as JSON. With ascii, characters beyond ASCII are
// escaped as Python does by default.
func AppendString(b []byte, s string, ascii bool) []byte { return appendQuoted(b, s, ascii) }

func appendQuoted(b []byte, s string, ascii bool) []byte {
	b = append(b, '"')
	plain := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf || c == 0x7f {
			r, n := utf8.DecodeRuneInString(s[i:])
			if !ascii && !(r == utf8.RuneError && n == 1) {
				i += n
				continue
			}
			b = append(b, s[plain:i]...)
			b = appendEscapedRune(b, r, ascii)
			i += n
			plain = i
			continue
		}
		b = append(b, s[plain:i]...)
		b = appendEscapedByte(b, c)
		i++
		plain = i
	}
	b = append(b, s[plain:]...)
	return append(b, '"')
}

func appendEscapedByte(b []byte, c byte) []byte {
	if i := strings.IndexByte("\"\\\n\r\t\f\b", c); i >= 0 {
		return append(b, '\\', `"\nrtfb`[i])
	}
	return appendHex(append(b, `\u`...), uint32(c), 4)
}

func appendEscapedRune(b []byte, r rune, ascii bool) []byte {
	if !ascii {
		return utf8.AppendRune(b, r)
	}
	if r >= 0x10000 {
		r -= 0x10000
		b = appendHex(append(b, `\u`...), uint32(0xd800+r>>10), 4)
		return appendHex(append(b, `\u`...), uint32(0xdc00+r&0x3ff), 4)
	}
	return appendHex(append(b, `\u`...), uint32(r), 4)
}
