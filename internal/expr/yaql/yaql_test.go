package yaql_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
)

// eval evaluates an expression over a small context.
func eval(t *testing.T, text string) (any, error) {
	t.Helper()
	return evalWithin(t, text, nil)
}

func evalWithin(t *testing.T, text string, budget *value.Budget) (any, error) {
	t.Helper()
	e, err := yaql.Compile(text)
	if err != nil {
		return nil, err
	}
	return e.Eval(&yaql.Context{
		Data:      value.MapOf("n", int64(5), "l", value.List{int64(3), int64(1), int64(2)}, "z", nil),
		Functions: allFunctions,
		Budget:    budget,
		Rand:      rand.NewPCG(1, 2),
		Now:       func() time.Time { return time.Date(2024, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600)) },
	})
}

func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		// An iterator is walked once, a list and a memorized iterator again.
		`let(r => range(3)) -> [$r.sum(), $r.sum(0)]`:           `[3, 0]`,
		`let(r => range(3).memorize()) -> [$r.sum(), $r.sum()]`: `[3, 3]`,
		// What nobody looks at is not evaluated.
		`let(x => $.l.select($.nope)) -> 1`:                         `1`,
		`sequence().where($ mod 2 = 1).take(3)`:                     `[1, 3, 5]`,
		`[1, 2, 3].takeWhile($ < 3).cycle().take(5)`:                `[1, 2, 1, 2, 1]`,
		`def(f, switch($ < 2 => 1, true => $ * f($ - 1))) -> f(25)`: `15511210043330985984000000`,
		`def(str, x) -> [1, 2].join('-')`:                           `'x-x'`,
		`def(max, 7) -> [1, 2].max()`:                               `7`,
		`[1, 2].select(let(x => $) -> [5].select($ + $x))`:          `[[6], [7]]`,
		`len_('abc')`: `3`,
		// Python's lists and YAQL's own differ.
		`'a b'.split() = [a, b]`:                  `False`,
		`str('a b'.split())`:                      `"['a', 'b']"`,
		`'a b'.split().toList() = [a, b]`:         `True`,
		`str($.l)`:                                `'(3, 1, 2)'`,
		`{a => 1}.keys() = set(a)`:                `True`,
		`$.l.orderByDescending($).first()`:        `3`,
		`2 + 3 * 4 - -1`:                          `15`,
		`-7 mod 3`:                                `2`,
		`9223372036854775807 + 1`:                 `9223372036854775808`,
		`'ß'.toUpper()`:                           `'SS'`,
		`' \u00e9\N{BULLET}'.trim()`:              `'é•'`,
		`now().hour`:                              `11`,
		`localtz().hours`:                         `1.0`,
		`datetime('10:30').day`:                   `29`,
		`random(1, 6) in range(1, 7)`:             `True`,
		`call('#operator_+', [1, 2], {})`:         `3`,
		`[[1, 2], [3]].select($.len())`:           `[2, 1]`,
		`{b => 1}.mergeWith({b => 2, c => [1]})`:  `{'b': 2, 'c': [1]}`,
		`to_yaml_string({a => {b => 'yes'}})`:     `"a:\n  b: 'yes'\n"`,
		`from_yaml_string('{a: 0777, b: [yes]}')`: `{'a': 511, 'b': [True]}`,
		`set(3, 1, 2).toList()`:                   `[1, 2, 3]`,
	} {
		got, err := eval(t, text)
		if err != nil {
			t.Errorf("%s: got error %v, want %s", text, err, want)
		} else if value.Repr(got) != want {
			t.Errorf("%s: got %s, want %s", text, value.Repr(got), want)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`1 +`:                                  `YaqlGrammarException: Parse error: unexpected end of statement`,
		`1 é é`:                                `YaqlGrammarException: Parse error: unexpected 'é' at position 2 of expression '1 é é'`,
		`'x' ~ 'y'`:                            `YaqlLexicalException: Lexical error: illegal character '~' at position 4`,
		`$.nope`:                               `KeyError: 'nope'`,
		`$.l.first(1, 2)`:                      `NoMatchingMethodException: No method "first" for receiver (3, 1, 2) matches supplied arguments`,
		`concat()`:                             `AmbiguousFunctionException: Ambiguous function "concat"`,
		`let('a' => 1)`:                        `MappingTranslationException: Cannot convert mapping to keyword argument`,
		`set([1, 2].select($), 'a b'.split())`: `TypeError: unhashable type: 'list'`,
		`$.l.skip(-1)`:                         `ValueError: Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.`,
		`$.l.take(-1)`:                         `ValueError: Stop argument for islice() must be None or an integer: 0 <= x <= sys.maxsize.`,
		`$.l.take(-2)`:                         `ValueError: Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.`,
		`regex('(')`:                           `error: missing ), unterminated subpattern at position 0`,
		`datetime(2023, 2, 29)`:                `ValueError: day is out of range for month`,
	} {
		_, err := eval(t, text)
		var e *yaql.Error
		if !errors.As(err, &e) || e.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestErrorsHaveAPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{`1 + $.n.foo`: 8, `$.l.select($).nope()`: 14, `len('a', 'b')`: 0, `[1, é, $.a.b]`: 9} {
		_, err := eval(t, text)
		var e *yaql.Error
		if !errors.As(err, &e) || e.Position != want {
			t.Errorf("%s: got %+v, want position %d", text, e, want)
		}
	}
}

// TestBounds takes what would run for ever, or fill the memory, and wants it to
// end with ErrLimit.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`sequence().sum()`, `sequence().toList()`, `1.repeat().len()`, `[1].cycle().last()`,
		`generate(1, true, $)`, `generateMany(1, [$, $])`, `def(f, f($)) -> f(1)`,
		`'x' * 100000000000`, `[1] * 100000000000`, `pow(10, 1000000)`, `shiftBitsLeft(1, 10000000)`,
		`range(40).aggregate($1 + $1, 'aaaaaaaa')`, `range(40).aggregate([$1, $1], 1)`,
		`range(100000).aggregate($1.append($2), [])`, `sequence().flatten().where(false).first()`,
		`'aaaaaaaaaaaaaaaa'.replace('a', 'a' * 10000000)`, `sequence().distinct().last()`,
		`range(1000000).select(range(1000000).sum()).sum()`, `sequence().orderBy($)`,
		`range(40).aggregate($1 + $1, [1, 2])`, `sequence().join(' ')`, `sequence().groupBy($)`,
	} {
		_, err := evalWithin(t, text, value.NewBudget(200_000, 4<<20))
		if !errors.Is(err, value.ErrLimit) {
			t.Errorf("%s: got %v, want %v", text, err, value.ErrLimit)
		}
	}
	for _, text := range []string{strings.Repeat("(", 100000), strings.Repeat("-", 100000) + "1", strings.Repeat("1+", 100000) + "1", strings.Repeat("1+", 4000) + "1", strings.Repeat("[", 300) + strings.Repeat("]", 300)} {
		if _, err := eval(t, text); err == nil {
			t.Errorf("an expression of %d characters: got no error", len(text))
		}
	}
}

func TestBudgetIsTheCallers(t *testing.T) {
	t.Parallel()
	e, err := yaql.Compile(`range(1000).sum()`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Eval(&yaql.Context{Budget: value.NewBudget(100, 1<<20)}); !errors.Is(err, value.ErrLimit) {
		t.Errorf("100 steps: got %v, want %v", err, value.ErrLimit)
	}
	if v, err := e.Eval(&yaql.Context{Budget: value.NewBudget(1<<20, 1<<20)}); err != nil || v != any(int64(499500)) {
		t.Errorf("many steps: got %v, %v", v, err)
	}
}

// TestWithoutClockAndChance wants errors where nothing was handed in.
func TestWithoutClockAndChance(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`now()`, `localtz()`, `random()`, `random(1, 2)`, `datetime('10:30')`} {
		e, err := yaql.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := e.Eval(nil); err == nil {
			t.Errorf("%s: got %v, want an error", text, v)
		}
	}
}

// TestDataIsNotChanged evaluates what makes changed copies.
func TestDataIsNotChanged(t *testing.T) {
	t.Parallel()
	data := value.MapOf("l", value.List{int64(2), int64(1)}, "d", value.MapOf("a", int64(1)))
	before := value.Repr(data)
	for _, text := range []string{
		`$.l.insert(0, 9)`, `$.d.set(a, 2)`, `$.d.delete(a)`, `$.l + [3]`, `$.l.orderBy($)`, `$.l.reverse()`,
		`$.d.mergeWith({a => 2})`, `$.l.append(4)`, `$.set(x => 1)`, `$.l.delete(0)`, `$.l * 2`,
	} {
		e, err := yaql.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Eval(&yaql.Context{Data: data}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if after := value.Repr(data); after != before {
			t.Fatalf("%s: the data became %s", text, after)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	tmpl := yaql.NewTemplate(`<% ctx(l).select($ + ctx(n)).where($ =~ regex('.') or true).sum() %>`)
	var wg sync.WaitGroup
	for i := range int64(8) {
		wg.Go(func() {
			vars := value.MapOf("n", i, "l", value.List{int64(1), int64(2)})
			v, err := tmpl.Eval(&yaql.Context{Functions: allFunctions, Env: &yaql.Workflow{Vars: vars}}, yaql.Options{})
			if err == nil {
				t.Errorf("a number matched a pattern: %v", v)
			}
		})
	}
	wg.Wait()
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	vars := value.MapOf("n", int64(5), "evil", "<% ctx(n) %>", "z", nil, "__hidden", true)
	c := &yaql.Context{Functions: allFunctions, Env: &yaql.Workflow{
		Vars: vars, Item: value.MapOf("k", "v"),
		Task: &yaql.CurrentTask{ID: "t1", Route: 1, Result: value.MapOf("out", "done")},
		Status: func(task string, route int64) (string, error) {
			if task == "t1" && route == 1 {
				return "failed", nil
			}
			return "", nil
		},
	}}
	for _, tt := range []struct {
		text       string
		want       string
		reevaluate bool
	}{
		{`no expression`, `'no expression'`, false},
		{`<% ctx(n) %>`, `5`, false},
		{`a <% ctx(n) %> b <% ctx(z) %>`, `'a 5 b None'`, false},
		{`<% ctx(evil) %>`, `'<% ctx(n) %>'`, false},
		{`<% ctx(evil) %>`, `5`, true},
		{"<% ctx(n)\n %>", `'<% ctx(n)\n %>'`, false},
		{`<% ctx() %>`, `{'n': 5, 'evil': '<% ctx(n) %>', 'z': None}`, false},
		{`<% item(k) + item().k %>`, `'vv'`, false},
		{`<% failed() and completed() and not succeeded() %>`, `True`, false},
		{`<% result().out %>`, `'done'`, false},
		{`<% task_status(t1) %>/<% task_status(t1, 0) %>/<% task_status(t2, route => 2) %>`, `'failed/null/null'`, false},
	} {
		got, err := yaql.NewTemplate(tt.text).Eval(c, yaql.Options{Reevaluate: tt.reevaluate})
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
		} else if value.Repr(got) != tt.want {
			t.Errorf("%q: got %s, want %s", tt.text, value.Repr(got), tt.want)
		}
	}
	_, err := yaql.NewTemplate(`<% ctx('__hidden') %>`).Eval(c, yaql.Options{})
	if want := "VariableInaccessibleError"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a hidden variable: got %v, want %s", err, want)
	}
	bad := yaql.NewTemplate(`<% 1 + %> <% 2 %> <% ) %>`).Check()
	if len(bad) != 2 || bad[0].Expression != "1 +" || bad[1].Err.Position != 0 {
		t.Errorf("Check: got %+v", bad)
	}
}

// TestNestedMapsCanBeWritten: StackStorm refuses a map in a list; here that takes
// an option.
func TestNestedMapsCanBeWritten(t *testing.T) {
	t.Parallel()
	e, err := yaql.Compile(`to_json_string([{a => 1}])`)
	if err != nil {
		t.Fatal(err)
	}
	for refuse, want := range map[bool]string{false: `[{"a": 1}]`, true: ""} {
		fs := yaql.NewFunctions(yaql.StackStormFunctions(yaql.StackStormOptions{RefuseNested: refuse}))
		v, err := e.Eval(&yaql.Context{Functions: fs})
		if (err != nil) != refuse || !refuse && v != any(want) {
			t.Errorf("RefuseNested %v: got %v, %v", refuse, v, err)
		}
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``: `[]`, `<%`: `[]`, `<%%>`: `[[0 4]]`, `<%>`: `[]`, `a <% b %> c <%d%>`: `[[2 9] [12 17]]`,
		"<% a\n%> <% b %>": `[[8 15]]`, `<% <% a %> %>`: `[[0 10]]`, "<% <%\n<% é %>": `[[6 14]]`,
	} {
		if got := fmt.Sprint(yaql.Spans(text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if got := yaql.Spans(strings.Repeat("<%", 1<<20)); len(got) != 0 {
		t.Errorf("a million openings: got %d spans", len(got))
	}
}

func ExampleCompile() {
	e, err := yaql.Compile(`$.vms.where($.region = 'eu').name`)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, _ := value.DecodeString(`{"vms": [{"name": "a", "region": "eu"}, {"name": "b", "region": "us"}]}`)
	v, err := e.Eval(&yaql.Context{Data: data})
	fmt.Println(value.Repr(v), err)
	// Output: ['a'] <nil>
}

func ExampleTemplate() {
	vars := value.MapOf("host", "web1", "ports", value.List{int64(80), int64(443)})
	c := &yaql.Context{Functions: yaql.NewFunctions(yaql.OrquestaFunctions()), Env: &yaql.Workflow{Vars: vars}}
	for _, text := range []string{`<% ctx(ports) %>`, `<% ctx(host) %> listens on <% ctx(ports) %>`} {
		v, err := yaql.NewTemplate(text).Eval(c, yaql.Options{})
		fmt.Println(value.Repr(v), err)
	}
	// Output:
	// [80, 443] <nil>
	// 'web1 listens on [80, 443]' <nil>
}

func ExampleNewFunctions() {
	greet := yaql.Function{
		Params: []yaql.Param{{Name: "name"}, {Name: "loud", Optional: true, Default: false}},
		Call: func(c *yaql.Call) (any, error) {
			s, err := c.Text(c.Args[0])
			if c.Args[1] == true {
				s = strings.ToUpper(s)
			}
			return "hello " + s, err
		},
	}
	e, _ := yaql.Compile(`greet(world, loud => true)`)
	v, err := e.Eval(&yaql.Context{Functions: yaql.NewFunctions(map[string]yaql.Function{"greet": greet})})
	fmt.Println(v, err)
	// Output: hello WORLD <nil>
}
