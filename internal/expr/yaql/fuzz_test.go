package yaql_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
)

// FuzzEval compiles and evaluates foreign text with a small budget: whatever it
// is, there is a value or an error, and the same one the second time.
func FuzzEval(f *testing.F) {
	for _, s := range []string{
		`$.l.where($ > 1).select($ * 2)`, `let(x => 1) -> $x + 1`, `def(f, f($)) -> f(1)`, `sequence().sum()`,
		`{a => [1, 2], 'b' => null}.items()`, `$.d[nope, 7]`, `'a' + "b" + ` + "`c`", `1.5e`, `[1,,2]`, `f(, a => 1)`,
		`regex('(a|b)*c').searchAll($.s, $2.value)`, `datetime('2020-01-02T03:04:05Z').format('%c %j')`,
		`generateMany(1, [$, $ + 1], decycle => true).take(5)`, `range(9).groupBy($ mod 3, $, $.sum())`,
		`call(max, [1, 2], {})`, `pow(2, 100000)`, `'x' * 1000000000000`, `$.s.split().join(', ')`, `1 < 2 = true`,
		`[3, 1].orderBy($).thenBy(-$)`, `'\u00e9\x41\N{BULLET}'`, `shiftBitsLeft(1, 100000000)`, `not not $.z?.a`,
		`to_yaml_string($)`, `version_match('1.2.3', '>=1.0.0')`, `<% ctx(s) %> and <% ctx().l %>`,
		`[1].cycle().memorize().take(3)`, `$.l.splitWhere($ = 1)`, `[1,2].zipLongest([3], default => 0)`,
	} {
		f.Add(s)
	}
	data := value.MapOf("l", value.List{int64(3), int64(1), nil}, "s", "Hello wörld", "z", nil, "d", value.MapOf("a", 1.5))
	run := func(text string) (any, error) {
		c := &yaql.Context{
			Data: data, Functions: allFunctions, Env: &yaql.Workflow{Vars: data},
			Budget: value.NewBudget(3000, 1<<20), Rand: rand.NewPCG(1, 1),
			Now: func() time.Time { return time.Unix(1700000000, 0).UTC() },
		}
		if e, err := yaql.Compile(text); err == nil {
			return e.Eval(c)
		}
		return yaql.NewTemplate(text).Eval(c, yaql.Options{Reevaluate: true})
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := run(text)
		w, again := run(text)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("%q: got %v, then %v", text, err, again)
		}
		if err == nil && value.Repr(v) != value.Repr(w) {
			t.Fatalf("%q: got %s, then %s", text, value.Repr(v), value.Repr(w))
		}
	})
}
