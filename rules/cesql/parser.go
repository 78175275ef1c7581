package cesql

import (
	"slices"
	"strings"
)

// The bounds of an expression.
const (
	maxText  = 64 << 10
	maxDepth = 200
)

// node is a part of an expression.
type node struct {
	op   string // see eval
	at   int
	val  Value  // of a literal
	name string // of an attribute or a function
	args []*node
	like []likePart
	not  bool // of LIKE and IN
	fn   *function
}

// Parse reads an expression. The error is of kind ErrParse.
func Parse(text string) (*Expression, error) {
	x, err := parse(text)
	if err != nil {
		return nil, err
	}
	return x, nil
}

func parse(text string) (*Expression, *Error) {
	if len(text) > maxText {
		return nil, failAt(maxText, "the expression is longer than %d bytes", maxText)
	}
	p := &parser{lex: lexer{s: text}}
	if err := p.advance(true); err != nil {
		return nil, err
	}
	root, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, failAt(p.tok.at, "unexpected %q", text[p.tok.at:p.tok.end])
	}
	return &Expression{text, root, p.mixed}, nil
}

type parser struct {
	lex   lexer
	tok   token
	depth int
	mixed bool
}

func (p *parser) advance(prefix bool) *Error {
	t, err := p.lex.next(prefix)
	p.tok = t
	return err
}

// The precedence of the operators that stand behind an operand.
const (
	precLogic = 1 + iota
	precCompare
	precAdd
	precMultiply
	precIn
	precLike
)

var keywords = []string{"AND", "OR", "XOR", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "FALSE"}

// precedence returns how tightly the current token binds what is before it, 0
// where it is no operator.
func (p *parser) precedence() int {
	switch p.tok.kind {
	case tokName:
		switch p.tok.text {
		case "AND", "OR", "XOR":
			return precLogic
		case "IN":
			return precIn
		case "LIKE":
			return precLike
		case "NOT":
			return precIn // NOT LIKE or NOT IN; decided by what follows
		}
	case tokSign:
		switch p.tok.text {
		case "=", "!=", "<>", "<", "<=", ">", ">=":
			return precCompare
		case "+", "-":
			return precAdd
		case "*", "/", "%":
			return precMultiply
		}
	}
	return 0
}

// expression reads operands and the operators that bind tighter than least.
func (p *parser) expression(least int) (*node, *Error) {
	if p.depth++; p.depth > maxDepth {
		return nil, failAt(p.tok.at, "nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	logic := ""
	for {
		prec := p.precedence()
		if prec <= least {
			return left, nil
		}
		op := p.tok
		switch prec {
		case precIn, precLike:
			next, err := p.membership(left, least)
			if err != nil || next == nil {
				return left, err
			}
			left = next
			continue
		case precLogic:
			p.mixed = p.mixed || logic != "" && logic != op.text
			logic = op.text
		}
		if err := p.advance(true); err != nil {
			return nil, err
		}
		right, err := p.expression(prec)
		if err != nil {
			return nil, err
		}
		left = &node{op: op.text, at: op.at, args: []*node{left, right}}
	}
}

// membership reads [NOT] LIKE 'pattern' and [NOT] IN (…). It returns nil where
// LIKE or IN binds less than the caller needs.
func (p *parser) membership(left *node, least int) (*node, *Error) {
	n := &node{at: p.tok.at, args: []*node{left}}
	saved, tok := p.lex, p.tok
	if p.tok.text == "NOT" {
		n.not = true
		if err := p.advance(false); err != nil {
			return nil, err
		}
	}
	prec := map[string]int{"LIKE": precLike, "IN": precIn}[p.tok.text]
	switch {
	case p.tok.kind != tokName || prec == 0:
		return nil, failAt(p.tok.at, "NOT behind a value must be followed by LIKE or IN")
	case prec <= least:
		p.lex, p.tok = saved, tok
		return nil, nil
	}
	n.op = p.tok.text
	if err := p.advance(false); err != nil {
		return nil, err
	}
	if n.op == "LIKE" {
		if p.tok.kind != tokString {
			return nil, failAt(p.tok.at, "LIKE takes a string literal")
		}
		n.like = parseLike(p.tok.text)
		return n, p.advance(false)
	}
	if p.tok.kind != tokSign || p.tok.text != "(" {
		return nil, failAt(p.tok.at, "IN takes a list in parentheses")
	}
	list, err := p.list()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, failAt(n.at, "IN takes at least one value")
	}
	n.args = append(n.args, list...)
	return n, nil
}

// list reads expressions in parentheses, the current token being the first one.
func (p *parser) list() ([]*node, *Error) {
	if err := p.advance(true); err != nil {
		return nil, err
	}
	var out []*node
	if p.tok.kind == tokSign && p.tok.text == ")" {
		return nil, p.advance(false)
	}
	for {
		x, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
		switch {
		case p.tok.kind == tokSign && p.tok.text == ",":
			if err := p.advance(true); err != nil {
				return nil, err
			}
		case p.tok.kind == tokSign && p.tok.text == ")":
			return out, p.advance(false)
		default:
			return nil, failAt(p.tok.at, "expected , or )")
		}
	}
}

// operand reads what stands before an operator.
func (p *parser) operand() (*node, *Error) {
	t := p.tok
	switch t.kind {
	case tokInt:
		return &node{op: "literal", at: t.at, val: integer(t.num)}, p.advance(false)
	case tokString:
		return &node{op: "literal", at: t.at, val: textValue(t.text)}, p.advance(false)
	case tokName:
		return p.named(t)
	case tokEnd:
		return nil, failAt(t.at, "the expression ends where a value should stand")
	}
	switch t.text {
	case "-":
		return p.prefixed("negate", t)
	case "(":
		if err := p.advance(true); err != nil {
			return nil, err
		}
		x, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if p.tok.kind != tokSign || p.tok.text != ")" {
			return nil, failAt(p.tok.at, "the parenthesis opened at %d is not closed", t.at)
		}
		return x, p.advance(false)
	}
	return nil, failAt(t.at, "unexpected %q", t.text)
}

// prefixed reads the operand of NOT or -, which bind tighter than everything
// behind an operand.
func (p *parser) prefixed(op string, t token) (*node, *Error) {
	if p.depth++; p.depth > maxDepth {
		return nil, failAt(t.at, "nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	if err := p.advance(true); err != nil {
		return nil, err
	}
	x, err := p.operand()
	if err != nil {
		return nil, err
	}
	return &node{op: op, at: t.at, args: []*node{x}}, nil
}

// named reads what begins with a word.
func (p *parser) named(t token) (*node, *Error) {
	switch t.text {
	case "TRUE", "FALSE":
		return &node{op: "literal", at: t.at, val: boolean(t.text == "TRUE")}, p.advance(false)
	case "NOT":
		return p.prefixed("NOT", t)
	case "EXISTS":
		if err := p.advance(false); err != nil {
			return nil, err
		}
		n := &node{op: "EXISTS", at: t.at, name: strings.ToLower(p.tok.raw)}
		if !p.isAttribute() {
			return nil, failAt(p.tok.at, "EXISTS takes the name of an attribute")
		}
		return n, p.advance(false)
	}
	attribute := p.isAttribute()
	if err := p.advance(false); err != nil {
		return nil, err
	}
	if p.tok.kind == tokSign && p.tok.text == "(" && !slices.Contains(keywords, t.text) {
		n := &node{op: "call", at: t.at, name: t.text}
		var err *Error
		if n.args, err = p.list(); err != nil {
			return nil, err
		}
		n.fn = functions[t.text]
		return n, nil
	}
	if !attribute {
		return nil, failAt(t.at, "%q is not the name of an attribute", t.raw)
	}
	return &node{op: "attribute", at: t.at, name: strings.ToLower(t.raw)}, nil
}

// isAttribute says whether the current token can name an attribute.
func (p *parser) isAttribute() bool {
	return p.tok.kind == tokName && !strings.Contains(p.tok.raw, "_") && !slices.Contains(keywords, p.tok.text)
}
