package yaql

import (
	"fmt"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Template is a text with any number of expressions in <% %>, as Orquesta
// evaluates it. An expression does not go over the end of a line. A Template is
// immutable and may be used by many goroutines at once.
type Template struct {
	text  string
	parts []part
}

// part is an expression of a template.
type part struct {
	text string // with its delimiters
	expr *Expr
	err  error // why it does not compile: known when it is evaluated
}

// Spans returns where the expressions of a text are, with their delimiters, in
// bytes.
func Spans(text string) [][2]int {
	var out [][2]int
	for at := 0; ; {
		i := strings.Index(text[at:], "<%")
		if i < 0 {
			return out
		}
		start := at + i
		rest := text[start+2:]
		if line := strings.IndexByte(rest, '\n'); line >= 0 {
			rest = rest[:line]
		}
		end := strings.Index(rest, "%>")
		if end < 0 {
			at = start + 2 + len(rest) // nor does another on this line end
			continue
		}
		at = start + 2 + end + 2
		out = append(out, [2]int{start, at})
	}
}

// strip takes the delimiters off an expression: any number of their characters,
// as Orquesta does.
func strip(expr string) string {
	return strings.TrimFunc(strings.Trim(expr, "<%>"), isSpace)
}

// NewTemplate reads a text. Expressions that do not parse are reported by Check,
// and by Eval when their turn comes.
func NewTemplate(text string) *Template {
	t := &Template{text: text}
	for _, s := range Spans(text) {
		p := part{text: text[s[0]:s[1]]}
		p.expr, p.err = Compile(strip(p.text))
		t.parts = append(t.parts, p)
	}
	return t
}

// String returns the text.
func (t *Template) String() string { return t.text }

// HasExpressions says whether there is anything to evaluate.
func (t *Template) HasExpressions() bool { return len(t.parts) > 0 }

// Mistake is an expression that does not parse.
type Mistake struct {
	Text       string // with delimiters
	Expression string // without
	Err        *Error
}

// Check returns the expressions that do not parse, in order.
func (t *Template) Check() []Mistake {
	var out []Mistake
	for _, p := range t.parts {
		if p.err != nil {
			out = append(out, Mistake{p.text, strip(p.text), asError(p.err)})
		}
	}
	return out
}

// Options change how templates are evaluated.
type Options struct {
	// Reevaluate evaluates a string result again when it holds expressions, as
	// Orquesta does. That executes what action results, inputs and datastore
	// values bring along, so it is off unless asked for.
	Reevaluate bool
}

// maxReevaluations bounds how often a result is evaluated again.
const maxReevaluations = 50

// Eval evaluates a template. A text that is one expression gives the value of
// that, native; else each expression is replaced by its value's Python text. All
// expressions share the budget of the context. Errors are *Error of kind
// YaqlEvaluationException with Orquesta's text.
func (t *Template) Eval(c *Context, o Options) (any, error) { return t.eval(c, o, 0) }

func (t *Template) eval(c *Context, o Options, depth int) (any, error) {
	if len(t.parts) == 0 {
		return t.text, nil
	}
	if c == nil {
		c = &Context{}
	}
	if c.Budget == nil {
		shared := *c
		shared.Budget = value.NewBudget(defaultSteps, defaultBytes)
		c = &shared
	}
	output := t.text
	for _, p := range t.parts {
		v, err := p.eval(c, o, depth)
		if err != nil {
			return nil, p.failure(err)
		}
		if len(t.parts) == 1 && len(t.text) == len(p.text) {
			return v, nil
		}
		s, err := appended(v, c.Budget)
		if err != nil {
			return nil, p.failure(err)
		}
		n := strings.Count(output, p.text)
		if err := c.Budget.Grow(len(output) + n*len(s)); err != nil {
			return nil, p.failure(err)
		}
		output = strings.ReplaceAll(output, p.text, s)
	}
	return output, nil
}

func appended(v any, budget *value.Budget) (string, error) {
	b, err := value.AppendStr(nil, v, budget)
	return string(b), err
}

func (p part) eval(c *Context, o Options, depth int) (any, error) {
	if p.err != nil {
		return nil, p.err
	}
	v, err := p.expr.Eval(c)
	if err != nil || !o.Reevaluate {
		return v, err
	}
	s, ok := v.(string)
	if !ok || len(Spans(s)) == 0 {
		return v, nil
	}
	if depth >= maxReevaluations {
		return nil, &Error{Kind: "RecursionError", Message: "maximum recursion depth exceeded", Err: value.ErrLimit}
	}
	return NewTemplate(s).eval(c, o, depth+1)
}

// failure words an error as Orquesta does.
func (p part) failure(err error) error {
	e := asError(err)
	out := &Error{Kind: "YaqlEvaluationException", Position: e.Position, Err: e}
	if e.Kind == "KeyError" {
		out.Message = fmt.Sprintf("Unable to resolve key '%s' in expression '%s' from context.", strings.Trim(e.Message, "'"), p.text)
		return out
	}
	message := e.Message
	if stripped(e.Kind) {
		message = strings.Trim(message, "'")
	}
	out.Message = fmt.Sprintf("Unable to evaluate expression '%s'. %s: %s", p.text, e.Kind, message)
	return out
}

// stripped says whether Orquesta takes quotes off the ends of the message of such
// an error: of YAQL's own, of ValueError and of TypeError.
func stripped(kind string) bool {
	switch kind {
	case "ValueError", "TypeError", "JSONDecodeError", "UnicodeDecodeError", "ParserError",
		"NoFunctionRegisteredException", "NoMethodRegisteredException", "NoMatchingFunctionException",
		"NoMatchingMethodException", "AmbiguousFunctionException", "AmbiguousMethodException",
		"ArgumentException", "MappingTranslationException", "YaqlGrammarException", "YaqlLexicalException":
		return true
	}
	return false
}
