package yaql

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// tokenKind tells tokens apart. Operators and brackets are tokOp; their text
// says which.
type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokDollar
	tokNumber
	tokFunc
	tokWord
	tokConst // true, false, null
	tokString
	tokOp
)

// token is one token. pos counts characters, as the messages do.
type token struct {
	kind tokenKind
	text string // operator, name, variable
	val  any    // value of a number, string or constant
	pos  int
}

// shown is the token as the messages of Python's parser show it.
func (t token) shown() string {
	switch t.kind {
	case tokNumber, tokString, tokConst:
		return value.Str(t.val)
	}
	return t.text
}

// lexer reads tokens one at a time, so that a mistake of grammar is reported
// before an illegal character behind it.
type lexer struct {
	src string
	off int // in bytes
	pos int // in characters
}

// operators by length, the longer first.
const (
	twoCharOps = "=> ?. =~ !~ >= <= != ->"
	oneCharOps = "+-*/><=.[]{}(),"
)

func isOperatorWord(s string) bool {
	switch s {
	case "and", "or", "not", "in", "mod":
		return true
	}
	return false
}

func isWordRune(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
}

// wordEnd returns the offset behind the word characters that start at off, and
// how many characters they are.
func wordEnd(s string, off int) (end, chars int) {
	for off < len(s) {
		r, n := utf8.DecodeRuneInString(s[off:])
		if !isWordRune(r) || r == utf8.RuneError && n == 1 {
			break
		}
		off += n
		chars++
	}
	return off, chars
}

func digitsEnd(s string, off int) int {
	for off < len(s) {
		r, n := utf8.DecodeRuneInString(s[off:])
		if !unicode.IsDigit(r) {
			break
		}
		off += n
	}
	return off
}

func (l *lexer) advance(to int) {
	l.pos += utf8.RuneCountInString(l.src[l.off:to])
	l.off = to
}

func (l *lexer) illegal() error {
	r, _ := utf8.DecodeRuneInString(l.src[l.off:])
	return &Error{
		Kind: "YaqlLexicalException", Position: l.pos,
		Message: fmt.Sprintf("Lexical error: illegal character '%c' at position %d", r, l.pos),
	}
}

// next returns the next token.
func (l *lexer) next() (token, error) {
	for l.off < len(l.src) && strings.IndexByte(" \t\r\n", l.src[l.off]) >= 0 {
		l.off++
		l.pos++
	}
	if l.off == len(l.src) {
		return token{kind: tokEnd, pos: l.pos}, nil
	}
	t := token{pos: l.pos}
	r, _ := utf8.DecodeRuneInString(l.src[l.off:])
	switch {
	case r == '$':
		end, _ := wordEnd(l.src, l.off+1)
		t.kind, t.text = tokDollar, l.src[l.off:end]
		l.advance(end)
		return t, nil
	case unicode.IsDigit(r):
		return l.number(t)
	case isWordRune(r):
		return l.word(t)
	case r == '\'' || r == '"' || r == '`':
		return l.quoted(t, byte(r))
	}
	return l.operator(t)
}

// number reads an integer or a float: the longest of the two that no word
// character follows.
func (l *lexer) number(t token) (token, error) {
	whole := digitsEnd(l.src, l.off)
	end, float := whole, false
	if whole < len(l.src) && l.src[whole] == '.' {
		if e := digitsEnd(l.src, whole+1); e > whole+1 && l.boundary(e) {
			end, float = e, true
		}
	}
	if !l.boundary(end) {
		return t, l.illegal()
	}
	text := plainDigits(l.src[l.off:end])
	t.kind = tokNumber
	if float {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && f == 0 {
			return t, l.illegal()
		}
		t.val = f
	} else if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		t.val = i
	} else {
		b, ok := new(big.Int).SetString(text, 10)
		if !ok {
			return t, l.illegal()
		}
		t.val = b
	}
	l.advance(end)
	return t, nil
}

// boundary says whether no word character stands at off.
func (l *lexer) boundary(off int) bool {
	if off >= len(l.src) {
		return true
	}
	r, _ := utf8.DecodeRuneInString(l.src[off:])
	return !isWordRune(r)
}

// plainDigits turns decimal digits of any script into ASCII ones.
func plainDigits(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(func(r rune) rune {
				if d := value.DigitValue(r); r >= utf8.RuneSelf && d >= 0 {
					return rune('0' + d)
				}
				return r
			}, s)
		}
	}
	return s
}

func (l *lexer) word(t token) (token, error) {
	if r, _ := utf8.DecodeRuneInString(l.src[l.off:]); unicode.IsDigit(r) {
		return t, l.illegal()
	}
	end, _ := wordEnd(l.src, l.off)
	t.text = l.src[l.off:end]
	if end < len(l.src) && l.src[end] == '(' {
		t.kind = tokFunc
		l.advance(end + 1)
		return t, nil
	}
	if strings.HasPrefix(t.text, "__") {
		return t, l.illegal()
	}
	l.advance(end)
	switch t.text {
	case "true":
		t.kind, t.val = tokConst, true
	case "false":
		t.kind, t.val = tokConst, false
	case "null":
		t.kind, t.val = tokConst, nil
	default:
		t.kind = tokWord
		if isOperatorWord(t.text) {
			t.kind = tokOp
		}
	}
	return t, nil
}

func (l *lexer) operator(t token) (token, error) {
	t.kind = tokOp
	if l.off+2 <= len(l.src) {
		two := l.src[l.off : l.off+2]
		if i := strings.Index(twoCharOps, two); i >= 0 && i%3 == 0 {
			t.text = two
			l.advance(l.off + 2)
			return t, nil
		}
	}
	if strings.IndexByte(oneCharOps, l.src[l.off]) < 0 {
		return t, l.illegal()
	}
	t.text = l.src[l.off : l.off+1]
	l.advance(l.off + 1)
	return t, nil
}

// quoted reads a string. A backslash protects the character behind it, unless
// that is the end of a line, which makes the string unreadable.
func (l *lexer) quoted(t token, q byte) (token, error) {
	end := -1
	for i := l.off + 1; i < len(l.src); i++ {
		if l.src[i] == q {
			end = i
			break
		}
		if l.src[i] == '\\' {
			i++
			if i < len(l.src) && l.src[i] == '\n' {
				break
			}
		}
	}
	if end < 0 {
		return t, l.illegal()
	}
	body := l.src[l.off+1 : end]
	t.kind = tokString
	if q == '`' {
		t.val = strings.ReplaceAll(body, "\\`", "`")
	} else {
		s, err := unescape(body)
		if err != nil {
			err.Position = l.pos
			return t, err
		}
		t.val = s
	}
	l.advance(end + 1)
	return t, nil
}

const simpleEscapes = `\'"abfnrtv`
const simpleMeanings = "\\'\"\a\b\f\n\r\t\v"

// unescape resolves the escapes of a quoted string; unknown ones stay as they
// are. Broken \x, \u and \U give Python's UnicodeDecodeError.
func unescape(s string) (string, *Error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			b.WriteByte(c)
			i++
			continue
		}
		c = s[i+1]
		if k := strings.IndexByte(simpleEscapes, c); k >= 0 {
			b.WriteByte(simpleMeanings[k])
			i += 2
			continue
		}
		n, err := escape(&b, s[i:], c)
		if err != nil {
			return "", err
		}
		i += n
	}
	return b.String(), nil
}

// escape writes what the escape at the start of s means, and returns its length.
func escape(b *strings.Builder, s string, c byte) (int, *Error) {
	switch c {
	case 'x':
		return hexEscape(b, s, 2, `truncated \xXX escape`)
	case 'u':
		return hexEscape(b, s, 4, `truncated \uXXXX escape`)
	case 'U':
		return hexEscape(b, s, 8, `truncated \UXXXXXXXX escape`)
	case 'N':
		if end := strings.IndexByte(s, '}'); len(s) > 3 && s[2] == '{' && end > 3 {
			r, ok := runeByName(s[3:end])
			if !ok {
				return 0, undecodable(end, "unknown Unicode character name")
			}
			b.WriteRune(r)
			return end + 1, nil
		}
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n, r := 1, rune(0)
		for n < len(s) && n < 4 && s[n] >= '0' && s[n] <= '7' {
			r = r*8 + rune(s[n]-'0')
			n++
		}
		b.WriteRune(r)
		return n, nil
	}
	b.WriteByte('\\')
	return 1, nil
}

// hexEscape reads \xHH, \uHHHH or \UHHHHHHHH. With fewer characters left than it
// needs, or the end of a line among them, it is no escape at all.
func hexEscape(b *strings.Builder, s string, digits int, problem string) (int, *Error) {
	end := 2
	for k := 0; k < digits; k++ {
		r, n := utf8.DecodeRuneInString(s[end:])
		if n == 0 || r == '\n' {
			b.WriteByte('\\')
			return 1, nil
		}
		end += n
	}
	v, err := strconv.ParseUint(s[2:end], 16, 32)
	if err != nil || strings.ContainsAny(s[2:end], "_+-") {
		valid := 2
		for valid < len(s) && isHex(s[valid]) {
			valid++
		}
		return 0, undecodable(valid-1, problem)
	}
	if v > unicode.MaxRune {
		return 0, undecodable(end-1, "illegal Unicode character")
	}
	b.WriteRune(rune(v))
	return end, nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func undecodable(last int, problem string) *Error {
	return &Error{
		Kind:    "UnicodeDecodeError",
		Message: fmt.Sprintf("'unicodeescape' codec can't decode bytes in position 0-%d: %s", last, problem),
	}
}
