package jinja

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxNesting bounds how deep expressions and statements may be nested.
const maxNesting = 150

// parser reads tokens into nodes. The first error ends it, by panic with a
// parseError that parse recovers: nothing else in the package panics.
type parser struct {
	lex   *lexer
	o     *Options
	tok   token
	ahead []token
	depth int
	tags  []string   // the tags that are open
	ends  [][]string // what each is waiting for
	loops int
}

type parseError struct{ err error }

// run calls f and returns the error that it failed with.
func (p *parser) run(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			pe, ok := r.(parseError)
			if !ok {
				panic(r)
			}
			err = pe.err
		}
	}()
	f()
	return nil
}

func (p *parser) fail(at pos, format string, args ...any) {
	panic(parseError{syntaxError("TemplateSyntaxError", at, format, args...)})
}

func (p *parser) read() token {
	t, err := p.lex.next()
	if err != nil {
		panic(parseError{err})
	}
	return t
}

// next goes on to the next token and returns the one before.
func (p *parser) next() token {
	t := p.tok
	if len(p.ahead) > 0 {
		p.tok = p.ahead[0]
		p.ahead = p.ahead[1:]
	} else {
		p.tok = p.read()
	}
	return t
}

func (p *parser) look() token {
	if len(p.ahead) == 0 {
		p.ahead = append(p.ahead, p.read())
	}
	return p.ahead[0]
}

func (p *parser) is(kind string) bool { return p.tok.kind == kind }

func (p *parser) isName(name string) bool { return p.tok.kind == tokName && p.tok.text == name }

func (p *parser) skip(kind string) bool {
	if p.tok.kind == kind {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(kind string) token {
	if p.tok.kind != kind {
		want := describeKind(kind)
		if p.tok.kind == tokEOF {
			p.fail(p.tok.pos, "unexpected end of template, expected %s.", value.Repr(want))
		}
		p.fail(p.tok.pos, "expected token %s, got %s", value.Repr(want), value.Repr(p.tok.describe()))
	}
	return p.next()
}

func (p *parser) expectName(name string) token {
	if !p.isName(name) {
		if p.tok.kind == tokEOF {
			p.fail(p.tok.pos, "unexpected end of template, expected %s.", value.Repr(name))
		}
		p.fail(p.tok.pos, "expected token %s, got %s", value.Repr(name), value.Repr(p.tok.describe()))
	}
	return p.next()
}

// enter counts one level of nesting; the caller takes it off again.
func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.fail(p.tok.pos, "template is nested too deeply")
	}
}

// template reads statements up to the end, or up to a tag that ends them, which
// stays the current token.
func (p *parser) template(ends []string) []stmt {
	p.enter()
	defer func() { p.depth-- }()
	if ends != nil {
		p.ends = append(p.ends, ends)
		defer func() { p.ends = p.ends[:len(p.ends)-1] }()
	}
	var body []stmt
	for {
		switch p.tok.kind {
		case tokData:
			body = append(body, &textStmt{p.next().text})
		case tokVarBegin:
			p.next()
			body = append(body, &outStmt{p.tuple(true, nil)})
			p.expect(tokVarEnd)
		case tokStmtBegin:
			p.next()
			if p.tok.kind == tokName && slices.Contains(ends, p.tok.text) {
				return body
			}
			body = append(body, p.statement()...)
			p.expect(tokStmtEnd)
		default:
			return body
		}
	}
}

// body reads the statements of a tag, on from the end of the tag; the tag that
// ends them stays the current token.
func (p *parser) body(ends ...string) []stmt {
	p.skip(":")
	p.expect(tokStmtEnd)
	b := p.template(ends)
	if p.tok.kind == tokEOF {
		p.failEnd("", append(slices.Clone(p.ends), ends), p.tok.pos)
	}
	return b
}

// closed is body that takes the ending tag's name, too.
func (p *parser) closed(end string) []stmt {
	b := p.body(end)
	p.next()
	return b
}

// failEnd says that the template, or a tag, came where others were expected.
func (p *parser) failEnd(tag string, ends [][]string, at pos) {
	looking := ""
	known := false
	for i, e := range ends {
		known = known || slices.Contains(e, tag)
		if i == len(ends)-1 {
			var quoted []string
			for _, n := range e {
				quoted = append(quoted, value.Repr(n))
			}
			looking = strings.Join(quoted, " or ")
		}
	}
	msg := "Unexpected end of template."
	if tag != "" {
		msg = "Encountered unknown tag " + value.Repr(tag) + "."
	}
	switch {
	case looking == "":
	case tag != "" && known:
		msg += " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for " + looking + "."
	default:
		msg += " Jinja was looking for the following tags: " + looking + "."
	}
	if n := len(p.tags); n > 0 {
		msg += " The innermost block that needs to be closed is " + value.Repr(p.tags[n-1]) + "."
	}
	p.fail(at, "%s", msg)
}

func (p *parser) statement() []stmt {
	t := p.tok
	if t.kind != tokName {
		p.fail(t.pos, "tag name expected")
	}
	p.tags = append(p.tags, t.text)
	defer func() { p.tags = p.tags[:max(len(p.tags)-1, 0)] }()
	one := func(s stmt) []stmt { return []stmt{s} }
	switch t.text {
	case "for":
		return one(p.forLoop())
	case "if":
		return one(p.ifElse())
	case "set":
		return one(p.set())
	case "with":
		return one(p.with())
	case "macro":
		return one(p.macro())
	case "call":
		return one(p.callBlock())
	case "filter":
		p.next()
		f := p.filter(nil, true)
		return one(&filterStmt{t.pos, f, p.closed("endfilter")})
	case "print":
		return p.print()
	case "block":
		return one(p.block())
	case "autoescape":
		p.next()
		x := p.expression(true)
		return one(&scopeStmt{pos: t.pos, expr: x, body: p.closed("endautoescape")})
	case "include", "import", "from", "extends":
		return one(p.load())
	case "do":
		if p.o.Do {
			p.next()
			return one(&doStmt{t.pos, p.tuple(true, nil)})
		}
	case "break", "continue":
		if p.o.LoopControls {
			p.next()
			if p.loops == 0 {
				p.fail(t.pos, "'%s' outside loop", t.text)
			}
			return one(&jumpStmt{t.pos, t.text == "break"})
		}
	}
	p.tags = p.tags[:len(p.tags)-1]
	p.failEnd(t.text, p.ends, t.pos)
	return nil
}

func (p *parser) print() []stmt {
	p.next()
	var out []stmt
	for !p.is(tokStmtEnd) {
		if len(out) > 0 {
			p.expect(",")
		}
		out = append(out, &outStmt{p.expression(true)})
	}
	return out
}

func (p *parser) set() stmt {
	at := p.next().pos
	target := p.target(nil, true)
	if p.skip("=") {
		return &setStmt{at, target, p.tuple(true, nil)}
	}
	var filter expr
	if p.is("|") {
		filter = p.filter(nil, false)
	}
	return &setBlock{at, target, filter, p.closed("endset")}
}

func (p *parser) forLoop() stmt {
	n := &forStmt{pos: p.next().pos}
	n.target = p.target([]string{"in"}, false)
	p.expectName("in")
	n.iter = p.tuple(false, []string{"recursive"})
	if p.skipName("if") {
		n.test = p.expression(true)
	}
	n.recursive = p.skipName("recursive")
	p.loops++
	n.body = p.body("endfor", "else")
	p.loops--
	if p.next().text == "else" {
		n.other = p.closed("endfor")
	}
	n.usesLoop = n.recursive
	for _, s := range n.body {
		visit(s, func(x any) bool {
			if name, ok := x.(*nameExpr); ok && name.name == "loop" {
				n.usesLoop = true
			}
			switch x.(type) {
			case *macroStmt, *callStmt:
				n.keeps = true
			}
			return true
		})
	}
	return n
}

func (p *parser) ifElse() stmt {
	p.next()
	n := &ifStmt{}
	for {
		n.tests = append(n.tests, p.tuple(false, nil))
		n.bodies = append(n.bodies, p.body("elif", "else", "endif"))
		switch p.next().text {
		case "elif":
			continue
		case "else":
			n.other = p.closed("endif")
		}
		return n
	}
}

func (p *parser) with() stmt {
	n := &withStmt{pos: p.next().pos}
	for !p.is(tokStmtEnd) {
		if len(n.targets) > 0 {
			p.expect(",")
		}
		n.targets = append(n.targets, p.target(nil, false))
		p.expect("=")
		n.values = append(n.values, p.expression(true))
	}
	n.body = p.closed("endwith")
	return n
}

func (p *parser) block() stmt {
	n := &scopeStmt{pos: p.next().pos}
	n.name = p.expect(tokName).text
	p.skipName("scoped")
	p.skipName("required")
	if p.is("-") {
		p.fail(p.tok.pos, "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.")
	}
	n.body = p.closed("endblock")
	p.skipName(n.name)
	return n
}

// load reads include, import, from and extends.
func (p *parser) load() stmt {
	t := p.next()
	n := &loadStmt{t.pos, p.expression(true)}
	switch t.text {
	case "import":
		p.expectName("as")
		p.expect(tokName)
	case "from":
		p.expectName("import")
		for p.is(tokName) {
			p.next()
			if p.skipName("as") {
				p.expect(tokName)
			}
			if !p.skip(",") {
				break
			}
		}
	case "include":
		if p.isName("ignore") && p.look().text == "missing" {
			p.next()
			p.next()
		}
	}
	if (p.isName("with") || p.isName("without")) && p.look().text == "context" {
		p.next()
		p.next()
	}
	return n
}

// signature reads the parameters of a macro.
func (p *parser) signature(m *macroStmt) {
	p.expect("(")
	for !p.is(")") {
		if len(m.params) > 0 {
			p.expect(",")
		}
		m.params = append(m.params, p.expect(tokName).text)
		if p.skip("=") {
			m.defaults = append(m.defaults, p.expression(true))
		} else if len(m.defaults) > 0 {
			p.fail(p.tok.pos, "non-default argument follows default argument")
		}
	}
	p.expect(")")
}

func (p *parser) macro() stmt {
	m := &macroStmt{pos: p.next().pos}
	m.name = p.expect(tokName).text
	p.signature(m)
	m.body = p.closed("endmacro")
	m.learn()
	return m
}

// learn finds out which special names the body of a macro uses.
func (m *macroStmt) learn() {
	for _, s := range m.body {
		visit(s, func(x any) bool {
			if n, ok := x.(*nameExpr); ok {
				m.varargs = m.varargs || n.name == "varargs"
				m.kwargs = m.kwargs || n.name == "kwargs"
				m.caller = m.caller || n.name == "caller"
			}
			return true
		})
	}
}

func (p *parser) callBlock() stmt {
	at := p.next().pos
	m := &macroStmt{pos: at, name: "caller"}
	if p.is("(") {
		p.signature(m)
	}
	call, ok := p.expression(true).(*callExpr)
	if !ok {
		p.fail(at, "expected call")
	}
	m.body = p.closed("endcall")
	m.learn()
	return &callStmt{at, m, call}
}

// target reads what is assigned to.
func (p *parser) target(ends []string, namespaces bool) expr {
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
		items = append(items, p.targetItem(namespaces))
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

func (p *parser) targetItem(namespaces bool) expr {
	p.enter()
	defer func() { p.depth-- }()
	if namespaces && p.is(tokName) && p.look().kind == "." {
		t := p.next()
		p.next()
		return &nsExpr{t.pos, t.text, p.expect(tokName).text}
	}
	x := p.primary()
	p.assignable(x)
	return x
}

func (p *parser) assignable(x expr) {
	switch x := x.(type) {
	case *nameExpr:
		return
	case *tupleExpr:
		for _, i := range x.items {
			p.assignable(i)
		}
	case *constExpr:
		p.fail(x.pos, "can't assign to 'const'")
	case *listExpr:
		p.fail(x.pos, "can't assign to 'list'")
	case *dictExpr:
		p.fail(x.pos, "can't assign to 'dict'")
	default:
		p.fail(x.place(), "can't assign to expression")
	}
}
