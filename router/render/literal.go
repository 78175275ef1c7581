package render

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxLiteralDepth bounds the nesting of a Python literal.
const maxLiteralDepth = 100

// literal reads a Python literal: what ast.literal_eval accepts of strings,
// numbers, lists, tuples, dicts, sets, True, False and None.
func literal(s string) (any, error) {
	l := &litReader{s: s}
	v, err := l.value(0)
	if err != nil {
		return nil, err
	}
	if l.space(); l.i < len(l.s) {
		return nil, l.errorf("unexpected text")
	}
	return v, nil
}

type litReader struct {
	s string
	i int
}

func (l *litReader) errorf(format string, args ...any) error {
	return fmt.Errorf("column %d: %s", utf8.RuneCountInString(l.s[:l.i])+1, fmt.Sprintf(format, args...))
}

func (l *litReader) space() {
	for l.i < len(l.s) && strings.IndexByte(" \t\r\n", l.s[l.i]) >= 0 {
		l.i++
	}
}

func (l *litReader) eat(c byte) bool {
	l.space()
	if l.i < len(l.s) && l.s[l.i] == c {
		l.i++
		return true
	}
	return false
}

func (l *litReader) value(depth int) (any, error) {
	if depth > maxLiteralDepth {
		return nil, l.errorf("nested deeper than %d", maxLiteralDepth)
	}
	l.space()
	if l.i >= len(l.s) {
		return nil, l.errorf("unexpected end")
	}
	switch c := l.s[l.i]; {
	case c == '[':
		l.i++
		return l.sequence(']', depth)
	case c == '(':
		l.i++
		return l.sequence(')', depth)
	case c == '{':
		l.i++
		return l.braces(depth)
	case c == '\'' || c == '"':
		return l.text(c)
	case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
		return l.number()
	}
	for word, v := range map[string]any{"True": true, "False": false, "None": nil} {
		if strings.HasPrefix(l.s[l.i:], word) {
			l.i += len(word)
			return v, nil
		}
	}
	return nil, l.errorf("not a Python literal")
}

func (l *litReader) sequence(end byte, depth int) (any, error) {
	var out value.List
	for {
		if l.eat(end) {
			return out, nil
		}
		v, err := l.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if !l.eat(',') {
			if l.eat(end) {
				return out, nil
			}
			return nil, l.errorf("expected , or %c", end)
		}
	}
}

func (l *litReader) braces(depth int) (any, error) {
	m := new(value.Map)
	var items value.List
	for first := true; ; first = false {
		if l.eat('}') {
			break
		}
		k, err := l.value(depth + 1)
		if err != nil {
			return nil, err
		}
		switch {
		case l.eat(':'):
			if items != nil {
				return nil, l.errorf("a set cannot hold pairs")
			}
			v, err := l.value(depth + 1)
			if err != nil {
				return nil, err
			}
			ks, ok := k.(string)
			if !ok {
				ks = value.Str(k)
			}
			m.Set(ks, v)
		case first || items != nil:
			items = append(items, k)
		default:
			return nil, l.errorf("expected :")
		}
		if !l.eat(',') {
			if l.eat('}') {
				break
			}
			return nil, l.errorf("expected , or }")
		}
	}
	if items != nil {
		return items, nil
	}
	return m, nil
}

func (l *litReader) number() (any, error) {
	start := l.i
	for l.i < len(l.s) && strings.IndexByte("+-.0123456789eE_xXoObBabcdefABCDEF", l.s[l.i]) >= 0 {
		l.i++
	}
	text := strings.ReplaceAll(l.s[start:l.i], "_", "")
	if i, ok := new(big.Int).SetString(text, 0); ok && !(len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
		return normal(i), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xX") {
		return nil, l.errorf("%q is not a number", text)
	}
	return f, nil
}

var simpleEscapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '\'': '\'', '"': '"', 'a': 7, 'b': 8, 'f': 12, 'v': 11}

func (l *litReader) text(quote byte) (any, error) {
	l.i++
	var b strings.Builder
	for l.i < len(l.s) {
		c := l.s[l.i]
		l.i++
		switch {
		case c == quote:
			return b.String(), nil
		case c == '\n':
			return nil, l.errorf("a line ends inside a string")
		case c != '\\' || l.i >= len(l.s):
			b.WriteByte(c)
		default:
			if err := l.escape(&b); err != nil {
				return nil, err
			}
		}
	}
	return nil, l.errorf("the string has no end")
}

func (l *litReader) escape(b *strings.Builder) error {
	c := l.s[l.i]
	l.i++
	if r, ok := simpleEscapes[c]; ok {
		b.WriteByte(r)
		return nil
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits == 0 {
		b.WriteByte('\\')
		b.WriteByte(c)
		return nil
	}
	if l.i+digits > len(l.s) {
		return l.errorf("truncated \\%c escape", c)
	}
	n, err := strconv.ParseUint(l.s[l.i:l.i+digits], 16, 32)
	if err != nil || n > utf8.MaxRune {
		return l.errorf("bad \\%c escape", c)
	}
	l.i += digits
	b.WriteRune(rune(n))
	return nil
}
