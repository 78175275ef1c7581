package value

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Str is Python's str(v).
func Str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case Stringer:
		return v.PyStr()
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return Repr(v)
}

// Repr is Python's repr(v). What is nested deeper than MaxDepth, and all that
// comes after a text of 64 MiB, is shown as "...".
func Repr(v any) string {
	p := printer{limit: 64 << 20}
	p.value(v, 0)
	return string(p.b)
}

// AppendStr appends Str(v), and fails with ErrLimit where the budget does not
// allow the text.
func AppendStr(b []byte, v any, budget *Budget) ([]byte, error) {
	switch v := v.(type) {
	case string:
		if err := budget.Grow(len(v)); err != nil {
			return b, err
		}
		return append(b, v...), nil
	case Stringer:
		return append(b, v.PyStr()...), nil
	}
	return AppendRepr(b, v, budget)
}

// AppendRepr appends Repr(v), and fails with ErrLimit where the budget does not
// allow the text.
func AppendRepr(b []byte, v any, budget *Budget) ([]byte, error) {
	_, left := budget.Left()
	start := len(b)
	p := printer{b: b, limit: int(min(left, 64<<20)) + start}
	p.value(v, 0)
	if p.full {
		return b, budget.Grow(1<<63 - 1)
	}
	return p.b, budget.Grow(len(p.b) - start)
}

// printer writes a repr until its limit.
type printer struct {
	b     []byte
	limit int
	full  bool
}

func (p *printer) value(v any, depth int) {
	if p.full {
		return
	}
	if len(p.b) > p.limit || depth > MaxDepth {
		p.full = len(p.b) > p.limit
		p.b = append(p.b, "..."...)
		return
	}
	switch v := v.(type) {
	case nil:
		p.b = append(p.b, "None"...)
	case bool:
		if v {
			p.b = append(p.b, "True"...)
		} else {
			p.b = append(p.b, "False"...)
		}
	case int64:
		p.b = strconv.AppendInt(p.b, v, 10)
	case *big.Int:
		p.b = v.Append(p.b, 10)
	case float64:
		p.b = AppendFloat(p.b, v)
	case string:
		p.b = appendStringRepr(p.b, v)
	case Bytes:
		p.b = appendBytesRepr(p.b, v)
	case List:
		p.seq('[', v, ']', depth)
	case *Array:
		p.seq('[', v.Items, ']', depth)
	case Tuple:
		p.seq('(', v, ')', depth)
		if len(v) == 1 && !p.full {
			p.b = append(p.b[:len(p.b)-1], ',', ')')
		}
	case *Set:
		if v.Len() == 0 {
			p.b = append(p.b, "set()"...)
			return
		}
		p.seq('{', v.m.keys, '}', depth)
	case *Map:
		p.dict(v, depth)
	case Object:
		p.b = append(p.b, v.PyRepr()...)
	default:
		p.b = append(p.b, "<object>"...)
	}
}

func (p *printer) seq(open byte, items []any, end byte, depth int) {
	p.b = append(p.b, open)
	for i, x := range items {
		if p.full {
			return
		}
		if i > 0 {
			p.b = append(p.b, ", "...)
		}
		p.value(x, depth+1)
	}
	p.b = append(p.b, end)
}

func (p *printer) dict(m *Map, depth int) {
	p.b = append(p.b, '{')
	for i := 0; i < m.Len() && !p.full; i++ {
		if i > 0 {
			p.b = append(p.b, ", "...)
		}
		p.value(m.keys[i], depth+1)
		p.b = append(p.b, ": "...)
		p.value(m.vals[i], depth+1)
	}
	p.b = append(p.b, '}')
}

// FormatFloat is Python's repr of a float: the shortest digits that read back
// the same, with an exponent below 1e-4 and from 1e16 on.
func FormatFloat(f float64) string { return string(AppendFloat(nil, f)) }

// AppendFloat appends FormatFloat(f).
func AppendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

const lowerHex = "0123456789abcdef"

func appendStringRepr(b []byte, s string) []byte {
	q := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		q = '"'
	}
	b = append(b, q)
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == q || c == '\\':
				b = append(b, '\\', c)
			case c == '\n':
				b = append(b, `\n`...)
			case c == '\r':
				b = append(b, `\r`...)
			case c == '\t':
				b = append(b, `\t`...)
			case c < 0x20 || c == 0x7f:
				b = append(b, '\\', 'x', lowerHex[c>>4], lowerHex[c&15])
			default:
				b = append(b, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case unicode.IsPrint(r):
			b = append(b, s[i-n:i]...)
		case r < 0x100:
			b = append(b, '\\', 'x', lowerHex[r>>4&15], lowerHex[r&15])
		case r < 0x10000:
			b = appendHex(append(b, `\u`...), uint32(r), 4)
		default:
			b = appendHex(append(b, `\U`...), uint32(r), 8)
		}
	}
	return append(b, q)
}

func appendHex(b []byte, v uint32, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, lowerHex[v>>(4*i)&15])
	}
	return b
}

func appendBytesRepr(b []byte, s []byte) []byte {
	q := byte('\'')
	if strings.IndexByte(string(s), '\'') >= 0 && strings.IndexByte(string(s), '"') < 0 {
		q = '"'
	}
	b = append(b, 'b', q)
	for _, c := range s {
		switch {
		case c == q || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < 0x20 || c >= 0x7f:
			b = append(b, '\\', 'x', lowerHex[c>>4], lowerHex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, q)
}
