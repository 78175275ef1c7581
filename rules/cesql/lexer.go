package cesql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokInt
	tokString
	tokSign // operators and punctuation
)

type token struct {
	kind tokenKind
	text string // a name in upper case as keyword, a string's content, a sign
	raw  string
	num  int32
	at   int
	end  int
}

type lexer struct {
	s string
	i int
}

func failAt(at int, format string, args ...any) *Error {
	return &Error{ErrParse, fmt.Sprintf(format, args...), at}
}

// next reads a token. prefix says that an operand may begin here, so that a sign
// before digits belongs to the number.
func (l *lexer) next(prefix bool) (token, *Error) {
	for l.i < len(l.s) && strings.IndexByte(" \t\r\n", l.s[l.i]) >= 0 {
		l.i++
	}
	t := token{at: l.i}
	if l.i == len(l.s) {
		t.end = l.i
		return t, nil
	}
	c := l.s[l.i]
	switch {
	case c == '\'' || c == '"':
		return l.text(c)
	case isDigit(c), prefix && (c == '-' || c == '+') && l.i+1 < len(l.s) && isDigit(l.s[l.i+1]):
		return l.number()
	case isLetter(c):
		j := l.i
		for j < len(l.s) && (isLetter(l.s[j]) || isDigit(l.s[j]) || l.s[j] == '_') {
			j++
		}
		t.kind, t.raw = tokName, l.s[l.i:j]
		t.text = strings.ToUpper(t.raw)
		l.i, t.end = j, j
		return t, nil
	}
	for _, sign := range signs {
		if strings.HasPrefix(l.s[l.i:], sign) {
			t.kind, t.text, t.raw = tokSign, sign, sign
			l.i += len(sign)
			t.end = l.i
			return t, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.s[l.i:])
	return t, failAt(l.i, "unexpected character %q", r)
}

// signs are tried in this order: longer ones first.
var signs = []string{"!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ","}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (l *lexer) number() (token, *Error) {
	t := token{kind: tokInt, at: l.i}
	j := l.i + 1
	for j < len(l.s) && isDigit(l.s[j]) {
		j++
	}
	t.raw = l.s[l.i:j]
	if j < len(l.s) && (isLetter(l.s[j]) || l.s[j] == '_') {
		// Attribute names may begin with a digit, but the grammar has none such.
		return t, failAt(l.i, "%q is neither a number nor a name", t.raw+l.s[j:j+1])
	}
	n, err := strconv.ParseInt(t.raw, 10, 32)
	if err != nil {
		return t, failAt(l.i, "%s is not a 32-bit integer", t.raw)
	}
	t.num = int32(n)
	l.i, t.end = j, j
	return t, nil
}

// text reads a string. A backslash escapes quotes and itself; before other
// characters it stays, for LIKE. A doubled quote is one.
func (l *lexer) text(quote byte) (token, *Error) {
	t := token{kind: tokString, at: l.i}
	var b strings.Builder
	for j := l.i + 1; j < len(l.s); j++ {
		c := l.s[j]
		switch {
		case c == '\\' && j+1 < len(l.s):
			j++
			if e := l.s[j]; e != '\'' && e != '"' && e != '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(l.s[j])
		case c == quote && j+1 < len(l.s) && l.s[j+1] == quote:
			j++
			b.WriteByte(c)
		case c == quote:
			t.text = b.String()
			l.i, t.end = j+1, j+1
			return t, nil
		default:
			b.WriteByte(c)
		}
	}
	return t, failAt(l.i, "the string is not closed")
}
