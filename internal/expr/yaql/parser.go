package yaql

import "fmt"

// maxNesting bounds how deep expressions may be nested, maxHeight how many
// operators one may chain.
const (
	maxNesting = 250
	maxHeight  = 5000
)

// operator is how a binary operator binds: a higher level binds tighter.
type operator struct {
	level int
	right bool
	name  string
	op    opcode
}

func binaryOperator(text string) (operator, bool) {
	switch text {
	case ".":
		return operator{11, false, "#operator_.", opDot}, true
	case "?.":
		return operator{11, false, "#operator_?.", opSafeDot}, true
	case "=~":
		return operator{8, false, "#operator_=~", opMatch}, true
	case "!~":
		return operator{8, false, "#operator_!~", opNotMatch}, true
	case "*":
		return operator{7, false, "#operator_*", opMul}, true
	case "/":
		return operator{7, false, "#operator_/", opDiv}, true
	case "mod":
		return operator{7, false, "#operator_mod", opMod}, true
	case "+":
		return operator{6, false, "#operator_+", opAdd}, true
	case "-":
		return operator{6, false, "#operator_-", opSub}, true
	case ">":
		return operator{5, false, "#operator_>", opGreater}, true
	case "<":
		return operator{5, false, "#operator_<", opLess}, true
	case ">=":
		return operator{5, false, "#operator_>=", opGreaterEqual}, true
	case "<=":
		return operator{5, false, "#operator_<=", opLessEqual}, true
	case "!=":
		return operator{5, false, "*not_equal", opNotEqual}, true
	case "=":
		return operator{5, false, "*equal", opEqual}, true
	case "in":
		return operator{5, false, "#operator_in", opIn}, true
	case "and":
		return operator{3, false, "#operator_and", opAnd}, true
	case "or":
		return operator{2, false, "#operator_or", opOr}, true
	case "->":
		return operator{1, true, "#operator_->", opInto}, true
	}
	return operator{}, false
}

// The levels of what is not a binary operator.
const (
	levelIndex = 10
	levelSign  = 9
	levelNot   = 4
)

// parser is an operator-precedence parser with one token of lookahead.
type parser struct {
	lex   lexer
	tok   token
	depth int
}

// parse reads a whole expression.
func parse(text string) (node, error) {
	p := parser{lex: lexer{src: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) unexpected() error {
	if p.tok.kind == tokEnd {
		return &Error{Kind: "YaqlGrammarException", Message: "Parse error: unexpected end of statement", Position: p.tok.pos}
	}
	return &Error{
		Kind: "YaqlGrammarException", Position: p.tok.pos,
		Message: fmt.Sprintf("Parse error: unexpected '%s' at position %d of expression '%s'", p.tok.shown(), p.tok.pos, p.lex.src),
	}
}

func (p *parser) is(op string) bool { return p.tok.kind == tokOp && p.tok.text == op }

func (p *parser) expect(op string) error {
	if !p.is(op) {
		return p.unexpected()
	}
	return p.advance()
}

// expr reads an expression of operators that bind tighter than level.
func (p *parser) expr(level int) (node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, &Error{Kind: "RecursionError", Message: fmt.Sprintf("expression nested deeper than %d", maxNesting), Position: p.tok.pos}
	}
	defer func() { p.depth-- }()
	left, err := p.prefix()
	for height := 0; err == nil; height++ {
		if height > maxHeight {
			return nil, &Error{Kind: "RecursionError", Message: fmt.Sprintf("expression of more than %d parts", maxHeight), Position: p.tok.pos}
		}
		start := at(left.offset())
		if p.is("[") && levelIndex > level {
			if left, err = p.index(start, left); err != nil {
				return nil, err
			}
			continue
		}
		if p.tok.kind != tokOp {
			return left, nil
		}
		op, ok := binaryOperator(p.tok.text)
		if !ok || op.level <= level {
			return left, nil
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		bound := op.level
		if op.right {
			bound--
		}
		right, err := p.expr(bound)
		if err != nil {
			return nil, err
		}
		left = &callNode{at: start, name: op.name, op: op.op, args: []any{left, right}}
	}
	return left, err
}

func (p *parser) index(start at, left node) (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	args, err := p.args("]")
	if err != nil {
		return nil, err
	}
	return &callNode{at: start, name: "#indexer", op: opIndex, args: append([]any{left}, args...)}, nil
}

// prefix reads a value and the signs and nots before it.
func (p *parser) prefix() (node, error) {
	t := p.tok
	start := at(t.pos)
	switch t.kind {
	case tokNumber, tokString, tokConst:
		return &constNode{at: start, val: t.val}, p.advance()
	case tokWord:
		return &constNode{at: start, val: t.text, keyword: true}, p.advance()
	case tokDollar:
		return newVar(start, t.text), p.advance()
	case tokFunc:
		if err := p.advance(); err != nil {
			return nil, err
		}
		args, err := p.args(")")
		return &callNode{at: start, name: t.text, byName: true, args: args}, err
	case tokOp:
		return p.prefixOp(start, t.text)
	}
	return nil, p.unexpected()
}

func (p *parser) prefixOp(start at, text string) (node, error) {
	var (
		name  string
		op    opcode
		level int
	)
	switch text {
	case "(":
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		return &wrapNode{at: start, inner: inner}, p.expect(")")
	case "[", "{":
		if err := p.advance(); err != nil {
			return nil, err
		}
		if text == "[" {
			args, err := p.args("]")
			return &callNode{at: start, name: "#list", op: opList, args: args}, err
		}
		args, err := p.args("}")
		return &callNode{at: start, name: "#map", op: opMap, args: args}, err
	case "+":
		name, op, level = "#unary_operator_+", opPos, levelSign
	case "-":
		name, op, level = "#unary_operator_-", opNeg, levelSign
	case "not":
		name, op, level = "#unary_operator_not", opNot, levelNot
	default:
		return nil, p.unexpected()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	operand, err := p.expr(level)
	if err != nil {
		return nil, err
	}
	return &callNode{at: start, name: name, op: op, args: []any{operand}}, nil
}

// args reads arguments up to the closing bracket. Positional ones come first and
// may be left out between commas, but not the last; named ones follow, after at
// most one left out.
func (p *parser) args(end string) ([]any, error) {
	if p.is(end) {
		return nil, p.advance()
	}
	var (
		args   []any
		commas int  // since the last value
		named  bool // a named argument was read
	)
	for {
		for !named && p.is(",") {
			args = append(args, skipped)
			commas++
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		n, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		if p.is("=>") {
			if !named && commas > 0 && (commas > 1 || commas == len(args)) {
				return nil, p.unexpected()
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
			val, err := p.expr(0)
			if err != nil {
				return nil, err
			}
			n, named = &ruleNode{at: at(n.offset()), key: n, val: val}, true
		} else if named {
			return nil, p.unexpected()
		}
		args = append(args, n)
		commas = 0
		if p.is(end) {
			return args, p.advance()
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
	}
}

// newVar makes $name; names that are numbers get an index, and $ is $1.
func newVar(start at, text string) *varNode {
	name := text[1:]
	if name == "" {
		name = "1"
	}
	return &varNode{at: start, name: name, index: varIndex(name)}
}

// varIndex is the number a name spells in the one usual way, else 0.
func varIndex(name string) int {
	if len(name) > 4 || name == "" || name[0] == '0' {
		return 0
	}
	n := 0
	for i := 0; i < len(name); i++ {
		if name[i] < '0' || name[i] > '9' {
			return 0
		}
		n = n*10 + int(name[i]-'0')
	}
	return n
}
