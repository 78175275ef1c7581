// Package yaql evaluates YAQL 3.2 expressions as StackStorm's workflow engines
// Orquesta and Mistral use them: the same grammar, functions, overloads, text
// forms and errors as the Python implementation, bounded in steps, memory and
// depth, and deterministic: the time and chance come in through Context.
//
// An expression is compiled once and evaluated any number of times, by any
// number of goroutines at once. Text with expressions in <% %> is a Template.
package yaql

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxSource bounds the text of an expression.
const maxSource = 256 << 10

// The bounds of an evaluation whose Context has no Budget.
const (
	defaultSteps = 2_000_000
	defaultBytes = 64 << 20
)

// Expr is a compiled expression. It is immutable.
type Expr struct {
	text string
	root node
}

// Compile reads an expression without delimiters. Errors are *Error of kind
// YaqlGrammarException or YaqlLexicalException with the parser's message.
func Compile(text string) (*Expr, error) {
	if len(text) > maxSource {
		return nil, &Error{Kind: "LimitExceeded", Message: fmt.Sprintf("expression longer than %d bytes", maxSource), Err: value.ErrLimit}
	}
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Expr{text: text, root: root}, nil
}

// String returns the text the expression was compiled from.
func (e *Expr) String() string { return e.text }

// Context is what one evaluation may see. The zero Context has no data, no
// functions but YAQL's own, and the default bounds.
type Context struct {
	// Data is $: nil, or a value of package value, whose lists and maps are not
	// changed.
	Data any
	// Vars are the values of $name, by the name without $.
	Vars map[string]any
	// Functions are the functions beside YAQL's own.
	Functions *Functions
	// Env is handed to Functions in Call.Env.
	Env any
	// Budget bounds the evaluation. The default is two million steps and 64 MiB.
	Budget *value.Budget
	// Now tells the time to now() and localtz(); without it they fail.
	Now func() time.Time
	// Rand is the source of random(); without it that fails.
	Rand rand.Source
}

// Eval evaluates the expression. The result is a plain value: lists and iterators
// are value.List, maps *value.Map, sets *value.Set; dates, spans, patterns and
// contexts are value.Object. Parts of the result may be shared with the Data and
// must not be changed. Errors are *Error.
func (e *Expr) Eval(c *Context) (any, error) {
	if c == nil {
		c = &Context{}
	}
	ev := evaluator{ctx: c, budget: c.Budget, std: standard}
	if ev.budget == nil {
		ev.budget = value.NewBudget(defaultSteps, defaultBytes)
	}
	root := &scope{}
	if c.Data != nil {
		root.first[0], root.n = c.Data, 1
	}
	for name, v := range c.Vars {
		root.set(name, v)
	}
	v, err := ev.eval(e.root, root)
	if err == nil {
		v, err = ev.output(v, 0)
	}
	if err != nil {
		return nil, asError(err)
	}
	return v, nil
}
