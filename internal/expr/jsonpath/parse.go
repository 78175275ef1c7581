package jsonpath

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// token is a piece of a path: an ID, a NUMBER, a NAMED_OPERATOR, WHERE,
// DOUBLEDOT, or a character that stands for itself. An empty kind is the end.
type token struct {
	kind      string
	text      string
	line, col int
}

type lexer struct {
	src     []rune
	i       int
	line    int
	newline int // where the last line ended
}

// next returns the next token.
func (l *lexer) next() (token, error) {
	for l.i < len(l.src) {
		c := l.src[l.i]
		switch {
		case c == ' ' || c == '\t':
			l.i++
			continue
		case c == '\n':
			l.line++
			l.newline = l.i
			l.i++
			continue
		case c == '\'' || c == '"' || c == '`':
			t, ok, err := l.quoted(c)
			if err != nil || ok {
				return t, err
			}
			return t, value.Raise("JsonPathLexerError", "Unexpected EOF in string literal or identifier")
		case isNameStart(c):
			return l.name(), nil
		case unicode.IsDigit(c), c == '-' && l.i+1 < len(l.src) && unicode.IsDigit(l.src[l.i+1]):
			return l.number(), nil
		case c == '.' && l.i+1 < len(l.src) && l.src[l.i+1] == '.':
			t := l.token("DOUBLEDOT", "..")
			l.i += 2
			return t, nil
		case strings.ContainsRune("*.[]()$,:|&", c):
			t := l.token(string(c), string(c))
			l.i++
			return t, nil
		}
		return token{}, value.Raise("JsonPathLexerError", "Error on line %d, col %d: Unexpected character: %c ", l.line, l.i-l.newline, c)
	}
	return token{}, nil
}

func (l *lexer) token(kind, text string) token {
	return token{kind, text, l.line, l.i - l.newline}
}

func isNameStart(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '@'
}

func (l *lexer) name() token {
	t := l.token("ID", "")
	start := l.i
	for l.i < len(l.src) && (isNameStart(l.src[l.i]) || l.src[l.i] >= '0' && l.src[l.i] <= '9' || l.src[l.i] == '-') {
		l.i++
	}
	t.text = string(l.src[start:l.i])
	if t.text == "where" {
		t.kind = "WHERE"
	}
	return t
}

func (l *lexer) number() token {
	t := l.token("NUMBER", "")
	start := l.i
	if l.src[l.i] == '-' {
		l.i++
	}
	for l.i < len(l.src) && unicode.IsDigit(l.src[l.i]) {
		l.i++
	}
	t.text = string(l.src[start:l.i])
	if v, err := value.ParseInt(t.text, 10); err == nil {
		t.text = value.Str(v)
	}
	return t
}

// quoted reads a quoted text; ok is false where it never ends.
func (l *lexer) quoted(q rune) (t token, ok bool, err error) {
	kind, what := "ID", map[rune]string{'\'': "singlequoted field", '"': "doublequoted field", '`': "backquoted operator"}[q]
	if q == '`' {
		kind = "NAMED_OPERATOR"
	}
	var text []rune
	for l.i++; l.i < len(l.src); l.i++ {
		c := l.src[l.i]
		switch {
		case c == q:
			t = l.token(kind, string(text))
			l.i++
			return t, true, nil
		case c != '\\':
			text = append(text, c)
		case l.i+1 < len(l.src) && l.src[l.i+1] != '\n':
			l.i++
			text = append(text, l.src[l.i])
		default:
			return t, false, value.Raise("JsonPathLexerError", "Error on line %d, col %d while lexing %s: Unexpected character: \\ ", l.line, l.i-l.newline, what)
		}
	}
	return t, false, nil
}

// parser is an operator-precedence parser with the precedences of the original's
// grammar, from loose to close: brackets, "..", ".", "|", "&", where.
type parser struct {
	lex lexer
	tok token
}

var levels = map[string]int{"DOUBLEDOT": 1, ".": 2, "|": 3, "&": 4, "WHERE": 5}

var kinds = map[string]kind{"DOUBLEDOT": descendants, ".": child, "|": union, "&": intersect, "WHERE": where}

// maxNesting bounds parentheses.
const maxNesting = 100

func (p *parser) parse() (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.path(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != "" {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

// unexpected is the original's answer to a token that does not fit.
func (p *parser) unexpected() error {
	if p.tok.kind == "" {
		return value.Raise("AttributeError", "'NoneType' object has no attribute 'lineno'")
	}
	return value.Raise("Exception", "Parse error at %d:%d near token %s (%s)", p.tok.line, p.tok.col, p.tok.text, p.tok.kind)
}

// path reads up to a closing parenthesis or the end.
func (p *parser) path(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, value.Raise("Exception", "path is nested too deeply")
	}
	first, err := p.primary(depth)
	if err != nil {
		return nil, err
	}
	operands, operators := []*node{first}, []string{}
	reduce := func(level int) {
		for n := len(operators); n > 0 && levels[operators[n-1]] >= level; n-- {
			l, r := operands[n-1], operands[n]
			operands = append(operands[:n-1], &node{kind: kinds[operators[n-1]], left: l, right: r})
			operators = operators[:n-1]
		}
	}
	for {
		op := p.tok.kind
		if op == "[" {
			reduce(0)
			b, err := p.brackets()
			if err != nil {
				return nil, err
			}
			operands[0] = &node{kind: child, left: operands[0], right: b}
			continue
		}
		level, ok := levels[op]
		if !ok {
			reduce(0)
			return operands[0], nil
		}
		reduce(level)
		if err := p.advance(); err != nil {
			return nil, err
		}
		right, err := p.primary(depth)
		if err != nil {
			return nil, err
		}
		operands, operators = append(operands, right), append(operators, op)
	}
}

func (p *parser) primary(depth int) (*node, error) {
	t := p.tok
	switch t.kind {
	case "ID":
		return p.fields()
	case "[":
		return p.brackets()
	case "(":
		if err := p.advance(); err != nil {
			return nil, err
		}
		n, err := p.path(depth + 1)
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case "*":
		return &node{kind: fields, names: []string{"*"}}, p.advance()
	case "$":
		return &node{kind: root}, p.advance()
	case "NAMED_OPERATOR":
		switch t.text {
		case "this":
			return &node{kind: this}, p.advance()
		case "parent":
			return &node{kind: parent}, p.advance()
		}
		return nil, value.Raise("Exception", "Unknown named operator `%s` at %d:%d", t.text, t.line, p.lex.i-1)
	}
	return nil, p.unexpected()
}

func (p *parser) expect(kind string) error {
	if p.tok.kind != kind {
		return p.unexpected()
	}
	return p.advance()
}

// fields reads names with commas between them.
func (p *parser) fields() (*node, error) {
	n := &node{kind: fields}
	for {
		if p.tok.kind != "ID" {
			return nil, p.unexpected()
		}
		n.names = append(n.names, p.tok.text)
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.kind != "," {
			return n, nil
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

// brackets reads [index], [from:to], [*] or [names].
func (p *parser) brackets() (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	var n *node
	switch p.tok.kind {
	case "ID":
		f, err := p.fields()
		if err != nil {
			return nil, err
		}
		n = f
	case "*":
		n = &node{kind: slice}
		if err := p.advance(); err != nil {
			return nil, err
		}
	case "NUMBER", ":":
		start, err := p.number()
		if err != nil {
			return nil, err
		}
		if p.tok.kind != ":" {
			n = &node{kind: index, index: *start}
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		end, err := p.number()
		if err != nil {
			return nil, err
		}
		n = &node{kind: slice, start: start, end: end}
	default:
		return nil, p.unexpected()
	}
	return n, p.expect("]")
}

// number reads a number, if there is one.
func (p *parser) number() (*int, error) {
	if p.tok.kind != "NUMBER" {
		return nil, nil
	}
	i, err := strconv.Atoi(p.tok.text)
	if err != nil {
		// No list is that long: any number beyond means the same.
		i = 1 << 40
		if strings.HasPrefix(p.tok.text, "-") {
			i = -i
		}
	}
	return &i, p.advance()
}
