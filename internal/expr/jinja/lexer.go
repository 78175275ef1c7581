package jinja

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// The kinds of token. Operators have their own text as kind.
const (
	tokEOF       = "eof"
	tokData      = "data"
	tokName      = "name"
	tokString    = "string"
	tokInteger   = "integer"
	tokFloat     = "float"
	tokVarBegin  = "variable_begin"
	tokVarEnd    = "variable_end"
	tokStmtBegin = "block_begin"
	tokStmtEnd   = "block_end"
)

type token struct {
	kind string
	text string // the name, the data, the text of a string
	val  any    // the number
	pos
}

// describe names a token in messages.
func (t token) describe() string {
	if t.kind == tokName {
		return t.text
	}
	return describeKind(t.kind)
}

func describeKind(kind string) string {
	switch kind {
	case tokEOF:
		return "end of template"
	case tokData:
		return "template data / text"
	case tokVarBegin:
		return "begin of print statement"
	case tokVarEnd:
		return "end of print statement"
	case tokStmtBegin:
		return "begin of statement block"
	case tokStmtEnd:
		return "end of statement block"
	}
	return kind
}

// lexer cuts a template into tokens, as they are asked for.
type lexer struct {
	src   string
	i     int
	mode  byte // 0 for data, 'v' in {{ }}, 'b' in {% %}
	trim  bool // trim_blocks
	strip bool // lstrip_blocks

	lineStart bool // the last tag ended with a newline, or nothing was read yet
	nesting   []byte
	pending   []token

	here pos // the place of the offset seen
	seen int
}

func newLexer(src string, o *Options) *lexer {
	if strings.IndexByte(src, '\r') >= 0 {
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	if !o.KeepTrailingNewline {
		src = strings.TrimSuffix(src, "\n")
	}
	return &lexer{src: src, trim: o.TrimBlocks, strip: o.LstripBlocks, lineStart: true, here: pos{1, 1}}
}

// at gives the place of an offset, which must not lie before the last one.
func (l *lexer) at(i int) pos {
	if i > l.seen {
		l.here = l.here.behind(l.src[l.seen:i])
		l.seen = i
	}
	return l.here
}

// behind is the place after some text.
func (p pos) behind(text string) pos {
	if n := strings.Count(text, "\n"); n > 0 {
		return pos{p.line + n, utf8.RuneCountInString(text[strings.LastIndexByte(text, '\n')+1:]) + 1}
	}
	return pos{p.line, p.col + utf8.RuneCountInString(text)}
}

func (l *lexer) fail(i int, format string, args ...any) error {
	return syntaxError("TemplateSyntaxError", pos{1, 1}.behind(l.src[:i]), format, args...)
}

func syntaxError(class string, p pos, format string, args ...any) error {
	e := value.Raise(class, format, args...)
	return &Error{Class: e.Class, Message: e.Message, Line: p.line, Column: p.col}
}

// next returns the next token; at the end always the end.
func (l *lexer) next() (token, error) {
	for {
		if len(l.pending) > 0 {
			t := l.pending[0]
			l.pending = l.pending[1:]
			return t, nil
		}
		if l.mode != 0 {
			t, ok, err := l.code()
			if err != nil || ok {
				return t, err
			}
			continue
		}
		if l.i >= len(l.src) {
			return token{kind: tokEOF, pos: l.at(len(l.src))}, nil
		}
		if err := l.data(); err != nil {
			return token{}, err
		}
	}
}

// push queues data, unless it is empty.
func (l *lexer) push(text string, p pos) {
	if text != "" {
		l.pending = append(l.pending, token{kind: tokData, text: text, pos: p})
	}
}

// data reads text up to the next tag, and the beginning of that tag; comments
// and raw blocks are read whole.
func (l *lexer) data() error {
	start := l.i
	j := start
	for {
		k := strings.IndexByte(l.src[j:], '{')
		if k < 0 || j+k+1 >= len(l.src) {
			l.push(l.src[start:], l.at(start))
			l.i = len(l.src)
			return nil
		}
		if j += k; strings.IndexByte("{%#", l.src[j+1]) >= 0 {
			break
		}
		j++
	}
	where := l.at(start)
	kind := l.src[j+1]
	l.i = j + 2
	if kind == '%' {
		if end, sign, ok := l.rawBegin(j); ok {
			l.push(l.stripped(l.src[start:j], sign, true), where)
			l.i = end
			l.lineStart = l.src[end-1] == '\n'
			return l.raw(j)
		}
	}
	sign := byte(0)
	if l.i < len(l.src) && (l.src[l.i] == '-' || l.src[l.i] == '+') {
		sign = l.src[l.i]
		l.i++
	}
	l.push(l.stripped(l.src[start:j], sign, kind != '{'), where)
	l.lineStart = false
	switch kind {
	case '#':
		return l.comment(j)
	case '{':
		l.mode = 'v'
		l.pending = append(l.pending, token{kind: tokVarBegin, pos: l.at(j)})
	default:
		l.mode = 'b'
		l.pending = append(l.pending, token{kind: tokStmtBegin, pos: l.at(j)})
	}
	return nil
}

// stripped takes off the white space that a tag's sign, or lstrip_blocks, takes
// off the text before it.
func (l *lexer) stripped(text string, sign byte, block bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || !l.strip || !block {
		return text
	}
	n := strings.LastIndexByte(text, '\n') + 1
	if (n > 0 || l.lineStart) && n < len(text) && strings.TrimFunc(text[n:], isSpace) == "" {
		return text[:n]
	}
	return text
}

func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}

func (l *lexer) spaces(i int) int {
	for i < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[i:])
		if !isSpace(r) {
			break
		}
		i += n
	}
	return i
}

// rawBegin reads {% raw %} at i and says where it ends.
func (l *lexer) rawBegin(i int) (end int, sign byte, ok bool) {
	end, sign, ok = l.bare(i, "raw")
	if !ok {
		return 0, 0, false
	}
	switch {
	case strings.HasPrefix(l.src[end:], "-%}"):
		return l.spaces(end + 3), sign, true
	case strings.HasPrefix(l.src[end:], "%}"):
		return end + 2, sign, true
	}
	return 0, 0, false
}

// bare reads the beginning of a tag that has only a name.
func (l *lexer) bare(i int, name string) (end int, sign byte, ok bool) {
	if !strings.HasPrefix(l.src[i:], "{%") {
		return 0, 0, false
	}
	i += 2
	if i < len(l.src) && (l.src[i] == '-' || l.src[i] == '+') {
		sign = l.src[i]
		i++
	}
	i = l.spaces(i)
	if !strings.HasPrefix(l.src[i:], name) {
		return 0, 0, false
	}
	return l.spaces(i + len(name)), sign, true
}

func (l *lexer) raw(begin int) error {
	start := l.i
	for j := start; ; j++ {
		k := strings.Index(l.src[j:], "{%")
		if k < 0 {
			return l.fail(begin, "Missing end of raw directive")
		}
		j += k
		end, sign, ok := l.bare(j, "endraw")
		if !ok {
			continue
		}
		if end, ok = l.tagEnd(end); !ok {
			continue
		}
		l.push(l.stripped(l.src[start:j], sign, true), l.at(start))
		l.i = end
		l.lineStart = l.src[end-1] == '\n'
		return nil
	}
}

// tagEnd reads the end of a statement or comment at i: %}, -%} or +%}, and the
// white space it takes off.
func (l *lexer) tagEnd(i int) (int, bool) { return l.end(i, "%}") }

func (l *lexer) end(i int, mark string) (int, bool) {
	s := l.src[i:]
	switch {
	case strings.HasPrefix(s, "+"+mark):
		return i + 3, true
	case strings.HasPrefix(s, "-"+mark):
		return l.spaces(i + 3), true
	case strings.HasPrefix(s, mark):
		i += 2
		if l.trim && i < len(l.src) && l.src[i] == '\n' {
			i++
		}
		return i, true
	}
	return i, false
}

func (l *lexer) comment(begin int) error {
	for j := l.i; j < len(l.src); j++ {
		c := l.src[j]
		if c != '#' && c != '-' && c != '+' {
			continue
		}
		if end, ok := l.end(j, "#}"); ok {
			l.i = end
			l.lineStart = l.src[end-1] == '\n'
			return nil
		}
	}
	return l.fail(begin, "Missing end of comment tag")
}

// operators, the longest first.
var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
	">", "<", "=", ".", ":", "|", ",", ";"}

// code reads one token inside of a tag; ok is false where it read white space.
func (l *lexer) code() (token, bool, error) {
	if len(l.nesting) == 0 {
		if t, ok := l.close(); ok {
			return t, true, nil
		}
	}
	if l.i >= len(l.src) {
		l.mode = 0
		return token{kind: tokEOF, pos: l.at(len(l.src))}, true, nil
	}
	if j := l.spaces(l.i); j > l.i {
		l.i = j
		return token{}, false, nil
	}
	start := l.i
	where := l.at(start)
	c := l.src[start]
	switch {
	case c >= '0' && c <= '9':
		return l.number(where), true, nil
	case c == '"' || c == '\'':
		if t, ok, err := l.str(where, c); ok || err != nil {
			return t, true, err
		}
	case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf:
		j := start
		for j < len(l.src) {
			r, n := utf8.DecodeRuneInString(l.src[j:])
			if !isNameRune(r) {
				break
			}
			j += n
		}
		if j > start {
			l.i = j
			return token{kind: tokName, text: l.src[start:j], pos: where}, true, nil
		}
	}
	for _, op := range operators {
		if strings.HasPrefix(l.src[start:], op) {
			l.i += len(op)
			return token{kind: op, pos: where}, true, l.balance(start, op)
		}
	}
	r, _ := utf8.DecodeRuneInString(l.src[start:])
	return token{}, true, l.fail(start, "unexpected char %s at %d", value.Repr(string(r)), utf8.RuneCountInString(l.src[:start]))
}

func isNameRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// close reads the end of the tag.
func (l *lexer) close() (token, bool) {
	start, end, ok := l.i, l.i, false
	kind := tokStmtEnd
	if l.mode == 'v' {
		kind = tokVarEnd
		switch s := l.src[start:]; {
		case strings.HasPrefix(s, "-}}"):
			end, ok = l.spaces(start+3), true
		case strings.HasPrefix(s, "}}"):
			end, ok = start+2, true
		}
	} else {
		end, ok = l.tagEnd(start)
	}
	if !ok {
		return token{}, false
	}
	t := token{kind: kind, pos: l.at(start)}
	l.i, l.mode = end, 0
	l.lineStart = l.src[end-1] == '\n'
	return t, true
}

// balance keeps account of brackets: a tag cannot end inside of one.
func (l *lexer) balance(at int, op string) error {
	switch op {
	case "{", "(", "[":
		l.nesting = append(l.nesting, map[string]byte{"{": '}', "(": ')', "[": ']'}[op])
	case "}", ")", "]":
		n := len(l.nesting)
		if n == 0 {
			return l.fail(at, "unexpected '%s'", op)
		}
		want := l.nesting[n-1]
		l.nesting = l.nesting[:n-1]
		if want != op[0] {
			return l.fail(at, "unexpected '%s', expected '%c'", op, want)
		}
	}
	return nil
}

// number reads an integer or a float.
func (l *lexer) number(where pos) token {
	s := l.src[l.i:]
	if len(s) > 2 && s[0] == '0' {
		base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'O': 8, 'b': 2, 'B': 2}[s[1]]
		if n := l.digits(2, base); base > 0 && n > 2 {
			l.i += n
			i, _ := new(big.Int).SetString(strings.ReplaceAll(s[2:n], "_", ""), base)
			return token{kind: tokInteger, val: value.BigInt(i), pos: where}
		}
	}
	n := l.digits(0, 10)
	end := n
	if end+1 < len(s) && s[end] == '.' && isDigit(s[end+1]) {
		end = l.digits(end+1, 10)
	}
	if end < len(s) && s[end]|0x20 == 'e' {
		k := end + 1
		if k < len(s) && (s[k] == '+' || s[k] == '-') {
			k++
		}
		if k < len(s) && isDigit(s[k]) {
			end = l.digits(k, 10)
		}
	}
	// A number right behind a dot is an item, never a fraction: x.0.1
	if end > n && (l.i == 0 || l.src[l.i-1] != '.') {
		l.i += end
		f, _ := strconv.ParseFloat(strings.ReplaceAll(s[:end], "_", ""), 64)
		return token{kind: tokFloat, val: f, pos: where}
	}
	// Python has no integers with leading zeroes but zero itself.
	if s[0] == '0' {
		for n = 1; n < len(s) && (s[n] == '0' || s[n] == '_' && n+1 < len(s) && s[n+1] == '0'); n++ {
		}
	}
	l.i += n
	i, _ := new(big.Int).SetString(strings.ReplaceAll(s[:n], "_", ""), 10)
	return token{kind: tokInteger, val: value.BigInt(i), pos: where}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// digits returns where the digits of a base end that begin at k behind the
// current place; single underscores may stand before each.
func (l *lexer) digits(k, base int) int {
	s := l.src[l.i:]
	for k < len(s) {
		j := k
		if s[j] == '_' && j > 0 && j+1 < len(s) {
			j++
		}
		d := 99
		switch c := s[j] | 0x20; {
		case isDigit(s[j]):
			d = int(s[j] - '0')
		case c >= 'a' && c <= 'f':
			d = int(c-'a') + 10
		}
		if d >= base {
			break
		}
		k = j + 1
	}
	return k
}

// str reads a string; ok is false where it has no end.
func (l *lexer) str(where pos, q byte) (token, bool, error) {
	for j := l.i + 1; j < len(l.src); j++ {
		switch l.src[j] {
		case '\\':
			j++
		case q:
			s, err := unescape(l.src[l.i+1 : j])
			if err != "" {
				return token{}, false, l.fail(l.i, "%s", err)
			}
			l.i = j + 1
			return token{kind: tokString, text: s, pos: where}, true, nil
		}
	}
	return token{}, false, nil
}

// unescape resolves the escapes of a Python string.
func unescape(s string) (text, problem string) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, ""
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 >= len(s) {
			b.WriteByte(c)
			continue
		}
		i++
		switch c = s[i]; c {
		case '\n':
		case '\\', '\'', '"':
			b.WriteByte(c)
		case 'a', 'b', 'f', 'n', 'r', 't', 'v':
			b.WriteByte("\a\b\f\n\r\t\v"[strings.IndexByte("abfnrtv", c)])
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v := rune(0)
			n := 0
			for ; n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7'; n++ {
				v = v*8 + rune(s[i+n]-'0')
			}
			b.WriteRune(v)
			i += n - 1
		case 'x', 'u', 'U':
			n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			v, err := strconv.ParseUint(s[i+1:min(i+1+n, len(s))], 16, 32)
			if err != nil || i+1+n > len(s) {
				return "", "truncated \\" + string(c) + strings.Repeat("X", n) + " escape"
			}
			if v > unicode.MaxRune {
				return "", "illegal Unicode character"
			}
			b.WriteRune(rune(v))
			i += n
		case 'N':
			return "", "unknown Unicode character name"
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
