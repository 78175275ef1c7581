package jinja

import (
	"slices"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// expression reads one expression, with or without "a if b else c".
func (p *parser) expression(conditional bool) expr {
	p.enter()
	defer func() { p.depth-- }()
	if !conditional {
		return p.or()
	}
	at := p.tok.pos
	x := p.or()
	for p.skipName("if") {
		c := &condExpr{pos: at, test: p.or(), yes: x}
		if p.skipName("else") {
			c.no = p.expression(true)
		}
		x = c
		at = p.tok.pos
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for at := p.tok.pos; p.skipName("or"); at = p.tok.pos {
		x = &boolExpr{at, true, x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for at := p.tok.pos; p.skipName("and"); at = p.tok.pos {
		x = &boolExpr{at, false, x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	if p.isName("not") {
		p.enter()
		defer func() { p.depth-- }()
		at := p.next().pos
		return &notExpr{at, p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	at := p.tok.pos
	x := p.sum()
	var c *compareExpr
	for {
		op := ""
		switch {
		case slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, p.tok.kind):
			op = p.next().kind
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.look().kind == tokName && p.look().text == "in":
			p.next()
			p.next()
			op = "notin"
		default:
			if c != nil {
				return c
			}
			return x
		}
		if c == nil {
			c = &compareExpr{pos: at, first: x}
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, p.sum())
	}
}

func (p *parser) sum() expr {
	x := p.concat()
	for p.is("+") || p.is("-") {
		t := p.next()
		x = &arithExpr{t.pos, t.kind, x, p.concat()}
	}
	return x
}

func (p *parser) concat() expr {
	at := p.tok.pos
	items := []expr{p.product()}
	for p.skip("~") {
		items = append(items, p.product())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &concatExpr{at, items}
}

func (p *parser) product() expr {
	x := p.power()
	for p.is("*") || p.is("/") || p.is("//") || p.is("%") {
		t := p.next()
		x = &arithExpr{t.pos, t.kind, x, p.power()}
	}
	return x
}

func (p *parser) power() expr {
	x := p.unary(true)
	for p.is("**") {
		t := p.next()
		x = &arithExpr{t.pos, "**", x, p.unary(true)}
	}
	return x
}

func (p *parser) unary(filters bool) expr {
	var x expr
	if p.is("-") || p.is("+") {
		p.enter()
		t := p.next()
		x = &signExpr{t.pos, t.kind == "-", p.unary(false)}
		p.depth--
	} else {
		x = p.primary()
	}
	x = p.postfix(x)
	if filters {
		x = p.filters(x)
	}
	return x
}

func (p *parser) primary() expr {
	t := p.tok
	switch t.kind {
	case tokName:
		p.next()
		switch t.text {
		case "true", "True":
			return &constExpr{t.pos, true}
		case "false", "False":
			return &constExpr{t.pos, false}
		case "none", "None":
			return &constExpr{t.pos, nil}
		}
		return &nameExpr{t.pos, t.text}
	case tokString:
		s := p.next().text
		for p.is(tokString) {
			s += p.next().text
		}
		return &constExpr{t.pos, s}
	case tokInteger, tokFloat:
		p.next()
		return &constExpr{t.pos, t.val}
	case "(":
		p.next()
		x := p.parenthesis(t.pos)
		p.expect(")")
		return x
	case "[":
		return p.list()
	case "{":
		return p.dict()
	}
	p.fail(t.pos, "unexpected %s", value.Repr(t.describe()))
	return nil
}

// parenthesis reads an expression or a tuple, which may be empty.
func (p *parser) parenthesis(at pos) expr {
	if p.is(")") {
		return &tupleExpr{at, nil}
	}
	return p.tuple(true, nil)
}

func (p *parser) tupleEnd(names []string) bool {
	return p.is(tokVarEnd) || p.is(tokStmtEnd) || p.is(")") || p.is(tokName) && slices.Contains(names, p.tok.text)
}

// tuple reads one expression, or several with commas between them.
func (p *parser) tuple(conditional bool, ends []string) expr {
	at := p.tok.pos
	var items []expr
	tuple := false
	for {
		if len(items) > 0 {
			p.expect(",")
		}
		if p.tupleEnd(ends) {
			break
		}
		items = append(items, p.expression(conditional))
		if !p.is(",") {
			break
		}
		tuple = true
	}
	switch {
	case tuple:
		return &tupleExpr{at, items}
	case len(items) == 0:
		p.fail(p.tok.pos, "Expected an expression, got %s", value.Repr(p.tok.describe()))
	}
	return items[0]
}

func (p *parser) list() expr {
	n := &listExpr{pos: p.expect("[").pos}
	for !p.is("]") {
		if len(n.items) > 0 {
			p.expect(",")
		}
		if p.is("]") {
			break
		}
		n.items = append(n.items, p.expression(true))
	}
	p.expect("]")
	return n
}

func (p *parser) dict() expr {
	n := &dictExpr{pos: p.expect("{").pos}
	for !p.is("}") {
		if len(n.keys) > 0 {
			p.expect(",")
		}
		if p.is("}") {
			break
		}
		n.keys = append(n.keys, p.expression(true))
		p.expect(":")
		n.vals = append(n.vals, p.expression(true))
	}
	p.expect("}")
	return n
}

func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.is(".") || p.is("["):
			x = p.subscript(x)
		case p.is("("):
			at := p.tok.pos
			x = &callExpr{at, x, p.arguments()}
		default:
			return x
		}
	}
}

func (p *parser) filters(x expr) expr {
	for {
		switch {
		case p.is("|"):
			x = p.filter(x, false)
		case p.isName("is"):
			x = p.test(x)
		case p.is("("):
			at := p.tok.pos
			x = &callExpr{at, x, p.arguments()}
		default:
			return x
		}
	}
}

func (p *parser) subscript(x expr) expr {
	t := p.next()
	if t.kind == "." {
		a := p.next()
		switch a.kind {
		case tokName:
			return &attrExpr{t.pos, x, a.text}
		case tokInteger:
			return &itemExpr{t.pos, x, &constExpr{a.pos, a.val}}
		}
		p.fail(a.pos, "expected name or number")
	}
	var keys []expr
	for !p.is("]") {
		if len(keys) > 0 {
			p.expect(",")
		}
		keys = append(keys, p.subscribed())
	}
	p.expect("]")
	if len(keys) == 1 {
		return &itemExpr{t.pos, x, keys[0]}
	}
	return &itemExpr{t.pos, x, &tupleExpr{t.pos, keys}}
}

func (p *parser) subscribed() expr {
	n := &sliceExpr{pos: p.tok.pos}
	if !p.is(":") {
		x := p.expression(true)
		if !p.is(":") {
			return x
		}
		n.from = x
	}
	p.next()
	if !p.is(":") && !p.is("]") && !p.is(",") {
		n.to = p.expression(true)
	}
	if p.skip(":") && !p.is("]") && !p.is(",") {
		n.step = p.expression(true)
	}
	return n
}

func (p *parser) arguments() arguments {
	var a arguments
	at := p.expect("(").pos
	ensure := func(ok bool) {
		if !ok {
			p.fail(at, "invalid syntax for function call expression")
		}
	}
	for first := true; !p.is(")"); first = false {
		if !first {
			p.expect(",")
			if p.is(")") {
				break
			}
		}
		switch {
		case p.is("*"):
			ensure(a.star == nil && a.more == nil)
			p.next()
			a.star = p.expression(true)
		case p.is("**"):
			ensure(a.more == nil)
			p.next()
			a.more = p.expression(true)
		case p.is(tokName) && p.look().kind == "=":
			ensure(a.more == nil)
			a.names = append(a.names, p.next().text)
			p.next()
			a.named = append(a.named, p.expression(true))
		default:
			ensure(a.star == nil && a.more == nil && len(a.names) == 0)
			a.pos = append(a.pos, p.expression(true))
		}
	}
	p.expect(")")
	return a
}

// dotted reads the name of a filter or test.
func (p *parser) dotted() token {
	t := p.expect(tokName)
	for p.skip(".") {
		t.text += "." + p.expect(tokName).text
	}
	return t
}

// filter reads the filters that follow; inline means without the first bar.
func (p *parser) filter(x expr, inline bool) expr {
	for p.is("|") || inline {
		if !inline {
			p.next()
		}
		inline = false
		t := p.dotted()
		f := &filterExpr{pos: t.pos, x: x, name: t.text}
		if p.is("(") {
			f.args = p.arguments()
		}
		x = f
	}
	return x
}

func (p *parser) test(x expr) expr {
	at := p.next().pos
	negate := p.skipName("not")
	t := p.dotted()
	n := &testExpr{pos: t.pos, x: x, name: t.text}
	switch {
	case p.is("("):
		n.args = p.arguments()
	case p.isName("is"):
		p.fail(p.tok.pos, "You cannot chain multiple tests with is")
	case p.isName("else"), p.isName("or"), p.isName("and"):
	case p.is(tokName), p.is(tokString), p.is(tokInteger), p.is(tokFloat), p.is("["), p.is("{"):
		n.args.pos = []expr{p.postfix(p.primary())}
	}
	if negate {
		return &notExpr{at, n}
	}
	return n
}
