// Package jinja interprets Jinja 3.1 templates with Python's visible semantics,
// as StackStorm and Orquesta render them: texts of values, truth, arithmetic,
// methods of strings, lists and dicts, undefined values, messages of errors.
//
// Templates are compiled once and rendered many times, by any number of
// goroutines at once. Rendering does no I/O and is bounded in steps, data and
// depth; the sandbox hides names that begin with an underscore, and nothing can be
// loaded from files. What a template cannot know by itself (the context, the
// datastore, decryption) comes in through Vars and Options.
package jinja

import (
	"errors"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Options configure an Env. The zero value is Jinja's own default.
type Options struct {
	// Strict makes undefined values fail when they are printed, compared or looped
	// over (StrictUndefined).
	Strict bool
	// TrimBlocks takes off the first newline after a block tag, LstripBlocks the
	// white space before one.
	TrimBlocks, LstripBlocks bool
	KeepTrailingNewline      bool
	// Do and LoopControls add {% do %}, and {% break %} and {% continue %}.
	Do, LoopControls bool

	// Functions are global functions; Filters and Tests come on top of the built-in
	// ones, which they may replace.
	Functions, Filters, Tests map[string]Function

	// Steps and Bytes bound one rendering; 0 means DefaultSteps and DefaultBytes.
	Steps, Bytes int64
	// Random picks a number below n for the random filter and lipsum. The default
	// picks by a digest of what is chosen from, so that replays agree.
	Random func(n int) int
}

// The bounds of one rendering, unless Options say otherwise.
const (
	DefaultSteps = 2_000_000
	DefaultBytes = 32 << 20
	// maxSource bounds a template, in bytes.
	maxSource = 4 << 20
)

// Env compiles templates. It may be used by many goroutines at once.
type Env struct {
	o       Options
	filters map[string]*builtin
	tests   map[string]*builtin
	globals map[string]any
}

// New returns an Env with the options, of which it keeps the maps.
func New(o Options) *Env {
	if o.Steps == 0 {
		o.Steps = DefaultSteps
	}
	if o.Bytes == 0 {
		o.Bytes = DefaultBytes
	}
	e := &Env{o: o, filters: builtinFilters(), tests: builtinTests(), globals: builtinGlobals()}
	for n, f := range o.Filters {
		e.filters[n] = wrap(n, f)
	}
	for n, f := range o.Tests {
		e.tests[n] = wrap(n, f)
	}
	for n, f := range o.Functions {
		e.globals[n] = f
	}
	return e
}

// Vars gives the variables of a template. Lookup says with ok whether there is
// such a variable; an error ends the rendering and is returned as it is. One
// rendering looks a name up as often as the template uses it.
type Vars interface {
	Lookup(name string) (v any, ok bool, err error)
}

// Values are variables in a map.
type Values map[string]any

// Lookup returns the variable.
func (m Values) Lookup(name string) (any, bool, error) {
	v, ok := m[name]
	return v, ok, nil
}

// FromMap returns the entries of a map as variables.
func FromMap(m *value.Map) Vars { return mapVars{m} }

type mapVars struct{ m *value.Map }

func (v mapVars) Lookup(name string) (any, bool, error) {
	x, ok := v.m.Str(name)
	return x, ok, nil
}

// Object is a value that answers for its attributes and its string items itself,
// for example a part of the datastore. ok is false where there is no such
// attribute; an error ends the rendering.
type Object interface {
	Attr(name string) (v any, ok bool, err error)
}

// Lazy is a value that stands for another until that is needed: everywhere but
// before a dot.
type Lazy interface {
	Resolve() (any, error)
}

// Template is a compiled template.
type Template struct {
	env  *Env
	body []stmt
	// text is the whole template, where it has no tags.
	text    string
	plain   bool
	mutates bool
}

// Compile reads a template. Errors are of type *Error.
func (e *Env) Compile(src string) (*Template, error) {
	if len(src) > maxSource {
		return nil, &Error{Class: "TemplateSyntaxError", Message: "template is too large", Err: value.ErrLimit}
	}
	p := &parser{lex: newLexer(src, &e.o), o: &e.o}
	t := &Template{env: e}
	err := p.run(func() {
		p.tok = p.read()
		t.body = p.template(nil)
	})
	if err != nil {
		return nil, err
	}
	l := linker{env: e}
	for _, s := range t.body {
		l.check(s, false)
	}
	t.mutates = l.mutates
	switch {
	case len(t.body) == 0:
		t.plain = true
	case len(t.body) == 1:
		if x, ok := t.body[0].(*textStmt); ok {
			t.text, t.plain = x.text, true
		}
	}
	return t, l.err
}

// Render gives the text of a template. Errors of the template are of type
// *Error; errors of vars and functions are returned as they are.
func (t *Template) Render(vars Vars) (string, error) {
	if t.plain {
		return t.text, nil
	}
	s := newState(t.env, vars, t.mutates)
	if err := s.execAll(t.body); err != nil {
		return "", err
	}
	return string(s.out), nil
}

// Expression is a compiled expression, as it stands between {{ and }}.
type Expression struct {
	env     *Env
	x       expr
	mutates bool
}

// CompileExpression reads one expression. Errors are of type *Error.
func (e *Env) CompileExpression(src string) (*Expression, error) {
	if len(src) > maxSource {
		return nil, &Error{Class: "TemplateSyntaxError", Message: "expression is too large", Err: value.ErrLimit}
	}
	p := &parser{lex: newLexer(src, &e.o), o: &e.o}
	p.lex.mode = 'v'
	x := &Expression{env: e}
	if err := p.run(func() { p.tok = p.read() }); err != nil {
		// Jinja shows the place of an error in the first token only.
		var je *Error
		if errors.As(err, &je) {
			je.Message += "\n  line 1"
		}
		return nil, err
	}
	err := p.run(func() {
		x.x = p.expression(true)
		if p.tok.kind != tokEOF {
			p.fail(p.tok.pos, "chunk after expression")
		}
	})
	if err != nil {
		return nil, err
	}
	l := linker{env: e}
	l.check(x.x, false)
	x.mutates = l.mutates
	return x, l.err
}

// Eval gives the value of an expression: a value of package value, or an
// *Undefined, or an object of this package (an iterator, a function). A strict
// undefined value is no error here.
func (x *Expression) Eval(vars Vars) (any, error) {
	s := newState(x.env, vars, x.mutates)
	return x.x.eval(s)
}

// IsTemplate says whether a text has tags that print or do something, as
// StackStorm decides it.
func IsTemplate(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "{%")
}

// linker connects filters and tests with what implements them.
type linker struct {
	env     *Env
	err     error
	mutates bool
}

// mutators are the methods that change their object.
var mutators = map[string]bool{"append": true, "clear": true, "extend": true, "insert": true, "pop": true, "popitem": true,
	"remove": true, "reverse": true, "setdefault": true, "sort": true, "update": true, "add": true, "discard": true}

// check links a node and everything below. In a soft place, inside of an
// alternative, an unknown filter is an error only when it is reached.
func (l *linker) check(n any, soft bool) {
	below := soft
	switch n := n.(type) {
	case *condExpr, *ifStmt:
		below = true
	case *forStmt:
		// What is looped over is evaluated outside of the loop.
		l.check(n.iter, soft)
		if n.test != nil {
			l.check(n.test, false)
		}
		l.checkAll(n.body)
		l.checkAll(n.other)
		return
	case *withStmt:
		for _, v := range n.values {
			l.check(v, soft)
		}
		l.checkAll(n.body)
		return
	case *callStmt:
		l.check(n.call, soft)
		l.check(n.macro, false)
		return
	case *macroStmt, *filterStmt, *setBlock, *scopeStmt:
		below = false
	case *attrExpr:
		l.mutates = l.mutates || mutators[n.name]
	case *constExpr:
		if s, ok := n.v.(string); ok {
			l.mutates = l.mutates || mutators[s]
		}
	case *callExpr:
		// A method that was looked up by a computed name may change things, too.
		switch fn := n.fn.(type) {
		case *nameExpr, *attrExpr:
		case *itemExpr:
			if _, ok := fn.key.(*constExpr); !ok {
				l.mutates = true
			}
		default:
			l.mutates = true
		}
	case *filterExpr:
		if n.fn = l.env.filters[n.name]; n.fn == nil {
			l.unknown("filter", n.name, n.pos, soft)
		}
		defer l.children(n, below)
		return
	case *testExpr:
		if n.fn = l.env.tests[n.name]; n.fn == nil {
			l.unknown("test", n.name, n.pos, soft)
		}
	}
	l.children(n, below)
}

func (l *linker) checkAll(body []stmt) {
	for _, b := range body {
		l.check(b, false)
	}
}

func (l *linker) children(n any, soft bool) {
	children(n, func(c any) { l.check(c, soft) })
}

func (l *linker) unknown(what, name string, p pos, soft bool) {
	if l.err == nil && !soft {
		l.err = syntaxError("TemplateAssertionError", p, "No %s named %s.", what, value.Repr(name))
	}
}
