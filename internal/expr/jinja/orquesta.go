package jinja

import (
	"errors"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Text is a text with Jinja in it as Orquesta evaluates it: where it is exactly
// one expression it becomes that expression's value, elsewhere each expression is
// replaced by its text. An expression that spans lines is left as text.
type Text struct {
	env *Env
	// raw are the raw blocks that were cut out.
	raw   []string
	part  part
	whole *Template // instead of part, where there are raw blocks and no reevaluation
	err   error
	src   string
	// reevaluate evaluates string results again, as the original does.
	reevaluate bool
}

// part is a text without raw blocks, compiled.
type part struct {
	src   string
	block *Template // where there are {% %} tags
	exprs []inlineExpr
	err   error // of compiling the block
}

type inlineExpr struct {
	src  string // with its braces
	at   int    // where it stands
	bare string
	x    *Expression
	err  error
}

// maxReevaluation bounds how often results are evaluated again.
const maxReevaluation = 20

// CompileText reads a text. It never fails: what is wrong with an expression is
// an error when it is evaluated. With reevaluate, a string that comes out is
// evaluated again, which executes what is in data.
func (e *Env) CompileText(src string, reevaluate bool) *Text {
	t := &Text{env: e, src: src, reevaluate: reevaluate}
	for _, r := range between(src, "{% raw %}", "{% endraw %}") {
		t.raw = append(t.raw, r.src)
	}
	if len(t.raw) > 0 && !reevaluate {
		t.whole, t.err = e.Compile(src)
		return t
	}
	for i, r := range t.raw {
		src = strings.ReplaceAll(src, r, "{"+strconv.Itoa(i)+"}")
	}
	t.part = e.compilePart(src)
	return t
}

// HasExpressions says whether there is anything to evaluate.
func (t *Text) HasExpressions() bool {
	return len(t.part.exprs) > 0 || t.part.block != nil || t.part.err != nil || len(t.raw) > 0
}

func (e *Env) compilePart(src string) part {
	p := part{src: src}
	if len(between(src, "{%", "%}")) > 0 {
		p.block, p.err = e.Compile(src)
		return p
	}
	p.exprs = between(src, "{{", "}}")
	for i := range p.exprs {
		x := &p.exprs[i]
		x.bare = strings.TrimFunc(strings.Trim(x.src, "{}"), isSpace)
		x.x, x.err = e.CompileExpression(x.bare)
	}
	return p
}

// between finds the pieces of a text from one mark to the next other one, on one
// line.
func between(src, open, end string) []inlineExpr {
	var out []inlineExpr
	for at := 0; ; {
		i := strings.Index(src[at:], open)
		if i < 0 {
			return out
		}
		at += i
		line := src[at:]
		if nl := strings.IndexByte(line, '\n'); nl >= 0 {
			line = line[:nl]
		}
		k := strings.Index(line[len(open):], end)
		if k < 0 {
			at += len(line)
			continue
		}
		n := len(open) + k + len(end)
		out = append(out, inlineExpr{src: line[:n], at: at})
		at += n
	}
}

// Eval evaluates the text. Errors are of type *Error and class
// JinjaEvaluationException, with the cause inside; errors of vars and functions
// that are no exceptions are returned as they are.
func (t *Text) Eval(vars Vars) (any, error) {
	if !t.reevaluate {
		return t.once(vars)
	}
	out, err := t.repeatedly(&t.part, vars, 0)
	if err != nil {
		return nil, err
	}
	text, ok := out.(string)
	if !ok {
		return out, nil
	}
	if left := between(text, "{{", "}}"); len(left) > 0 {
		var names []string
		for _, x := range left {
			names = append(names, strings.TrimFunc(strings.Trim(x.src, "{}"), isSpace))
		}
		return nil, unresolved(names)
	}
	if len(t.raw) == 0 {
		return text, nil
	}
	for i, r := range t.raw {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(i)+"}", r)
	}
	tmpl, err := t.env.Compile(text)
	if err != nil {
		return nil, err
	}
	return tmpl.Render(vars)
}

func unresolved(names []string) error {
	return &Error{Class: "JinjaEvaluationException", Message: "There are unresolved variables: " + strings.Join(names, ", ")}
}

// once evaluates each expression of the text, and nothing that comes out of one.
func (t *Text) once(vars Vars) (any, error) {
	p := &t.part
	block, err := p.block, p.err
	if len(t.raw) > 0 {
		block, err = t.whole, t.err
	}
	if err != nil {
		return nil, evaluationError(t.src, err)
	}
	if block != nil {
		s, err := block.Render(vars)
		if err != nil {
			return nil, evaluationError(t.src, err)
		}
		return s, nil
	}
	var b []byte
	var left []string
	at := 0
	for i := range p.exprs {
		x := &p.exprs[i]
		v, err := t.expression(x, vars, 0)
		if err != nil {
			return nil, evaluationError(x.src, err)
		}
		if u, ok := v.(*Undefined); ok && u.Strict {
			left = append(left, x.bare)
			continue
		}
		if len(p.src) == len(x.src) {
			return v, nil
		}
		by, err := t.text(v)
		if err == nil && int64(len(b)+len(by)) > t.env.o.Bytes {
			err = value.ErrLimit
		}
		if err != nil {
			return nil, evaluationError(x.src, err)
		}
		b = append(append(b, p.src[at:x.at]...), by...)
		at = x.at + len(x.src)
	}
	if left != nil {
		return nil, unresolved(left)
	}
	if at == 0 {
		return p.src, nil
	}
	return string(append(b, p.src[at:]...)), nil
}

// repeatedly evaluates a text and what comes out of it.
func (t *Text) repeatedly(p *part, vars Vars, depth int) (any, error) {
	if p.err != nil {
		return nil, evaluationError(p.src, p.err)
	}
	if p.block != nil {
		s, err := p.block.Render(vars)
		var v any
		if err == nil {
			v, err = t.again(s, vars, depth)
		}
		if err != nil {
			return nil, evaluationError(p.src, err)
		}
		return v, nil
	}
	var out any = p.src
	for i := range p.exprs {
		x := &p.exprs[i]
		v, err := t.expression(x, vars, depth)
		if err != nil {
			return nil, evaluationError(x.src, err)
		}
		if u, ok := v.(*Undefined); ok && u.Strict {
			continue // it stays in the text, and is reported in the end
		}
		text, ok := out.(string)
		if !ok || len(p.exprs) == 1 && len(text) == len(x.src) {
			out = v
			continue
		}
		by, err := t.text(v)
		if err != nil {
			return nil, evaluationError(x.src, err)
		}
		if n := strings.Count(text, x.src); int64(len(text))+int64(n)*int64(len(by)) > t.env.o.Bytes {
			return nil, evaluationError(x.src, value.ErrLimit)
		}
		out = strings.ReplaceAll(text, x.src, by)
	}
	return out, nil
}

func (t *Text) expression(x *inlineExpr, vars Vars, depth int) (any, error) {
	if x.err != nil {
		return nil, x.err
	}
	v, err := x.x.Eval(vars)
	if err != nil {
		return nil, err
	}
	switch r := v.(type) {
	case *Iterator:
		if r.IsGenerator() {
			return r.Take(), nil
		}
	case Markup:
		v = string(r)
	}
	if s, ok := v.(string); ok && t.reevaluate {
		return t.again(s, vars, depth)
	}
	return v, nil
}

// again evaluates a text that came out of an evaluation.
func (t *Text) again(s string, vars Vars, depth int) (any, error) {
	if !strings.Contains(s, "{{") && !strings.Contains(s, "{%") {
		return s, nil
	}
	if depth >= maxReevaluation {
		return nil, value.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	p := t.env.compilePart(s)
	return t.repeatedly(&p, vars, depth+1)
}

func (t *Text) text(v any) (string, error) { return newState(t.env, nil, false).str(v) }

// evaluationError wraps an exception as Orquesta does; other errors stay.
func evaluationError(src string, err error) error {
	class, message := "", ""
	var je *Error
	var ve *value.Error
	switch {
	case errors.As(err, &je):
		class, message = je.Class, je.Message
	case errors.As(err, &ve):
		class, message = ve.Class, ve.Message
	case errors.Is(err, value.ErrLimit):
		class, message = "LimitError", err.Error()
	default:
		return err
	}
	return &Error{Class: "JinjaEvaluationException",
		Message: "Unable to evaluate expression '" + src + "'. " + class + ": " + message, Err: err}
}

// Native turns a result into plain values: lists for tuples, groups and
// generators, sets for the keys and items of a dict, text for safe text. Objects
// that have no such form (ranges, undefined values) stay; a strict undefined
// value inside of another is an error.
func Native(v any) (any, error) {
	left := maxNative
	return native(v, 0, &left)
}

// maxNative bounds how many parts of a value Native looks at.
const maxNative = 1 << 22

func native(v any, depth int, left *int) (any, error) {
	*left--
	if depth > value.MaxDepth || *left < 0 {
		return nil, value.ErrLimit
	}
	switch v := v.(type) {
	case Markup:
		return string(v), nil
	case *Undefined:
		if depth > 0 && v.Strict {
			return nil, v.err()
		}
		return v, nil
	case *Group:
		return nativeItems(v.pair, depth, left)
	case *View:
		if v.IsSet() {
			return value.NewSet(v.List()...), nil
		}
		return nativeItems(v.List(), depth, left)
	case *Iterator:
		if v.IsGenerator() {
			return nativeItems(v.Take(), depth, left)
		}
		return v, nil
	case *value.Map:
		m := value.NewMap(v.Len())
		for k, x := range v.All() {
			y, err := native(x, depth+1, left)
			if err != nil {
				return nil, err
			}
			m.Set(k, y)
		}
		return m, nil
	}
	if items, ok := value.Items(v); ok {
		return nativeItems(items, depth, left)
	}
	return v, nil
}

func nativeItems(items []any, depth int, left *int) (any, error) {
	out := make(value.List, len(items))
	for i, x := range items {
		y, err := native(x, depth+1, left)
		if err != nil {
			return nil, err
		}
		out[i] = y
	}
	return out, nil
}

// FilterOfVars makes a filter of a function that the variables of a rendering hold
// under a name, as Orquesta's ctx and item are filters too: {{ 'x' | ctx }}.
func FilterOfVars(name string) Function {
	return func(c *Call) (any, error) {
		if c.s != nil && c.s.vars != nil {
			v, ok, err := c.s.vars.Lookup(name)
			if err != nil {
				return nil, err
			}
			if f, isFunction := v.(Function); ok && isFunction {
				return f(c)
			}
		}
		return nil, value.Raise("TemplateRuntimeError", "No filter named %s found.", value.Repr(name))
	}
}
