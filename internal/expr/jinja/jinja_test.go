package jinja_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
)

const document = `{"n": 5, "f": 2.5, "s": "Hello World", "z": null, "l": [3, 1, 2], "d": {"a": 1, "b": {"c": [10, 20]}},
	"vms": [{"name": "web1", "region": "east", "cpu": 2}, {"name": "db1", "region": "east", "cpu": 8}, {"name": "web2", "region": "west", "cpu": 4}],
	"html": "<b>\"a\" & 'b'</b>", "ml": "one\ntwo\n\nthree"}`

func variables(t testing.TB) jinja.Vars {
	t.Helper()
	v, err := value.DecodeString(document)
	if err != nil {
		t.Fatal(err)
	}
	return jinja.FromMap(v.(*value.Map))
}

// render gives the text of a template, or the class and text of its error.
func render(env *jinja.Env, src string, vars jinja.Vars) string {
	tmpl, err := env.Compile(src)
	var text string
	if err == nil {
		text, err = tmpl.Render(vars)
	}
	var e *jinja.Error
	switch {
	case errors.As(err, &e):
		return e.Class + ": " + e.Message
	case err != nil:
		return err.Error()
	}
	return text
}

func strict() *jinja.Env { return jinja.New(jinja.StackStormOptions(jinja.Hooks{}, true)) }

func check(t *testing.T, env *jinja.Env, cases [][2]string) {
	t.Helper()
	for _, c := range cases {
		if got := render(env, c[0], variables(t)); got != c[1] {
			t.Errorf("%q:\ngot  %q\nwant %q", c[0], got, c[1])
		}
	}
}

// TestOddArguments has answers of Jinja where an argument is at the edge of what makes
// sense, and where characters are not of the Latin script.
func TestOddArguments(t *testing.T) {
	t.Parallel()
	check(t, strict(), [][2]string{
		{"{{ 'aa bb  cc dddddd e' | wordwrap(3) }}", "aa\nbb\ncc \nddd\nddd\ne"},
		{"{{ 'Hello World' | wordwrap(3) }}", "Hel\nlo \nWor\nld"},
		{"{{ 'abc' | batch(0) | list }}", "[[], ['a', 'b', 'c']]"},
		{"{{ '42.5' | int(7, none) }} {{ 'x' | int(7, 'y') }} {{ [1] | int(0, 'y') }}", "42 7 0"},
		{"{{ 'ΣΑΣ' | lower }} {{ 'ﬁx' | upper }} {{ 'ǆ' | title }}{{ 'ǆ'.title() }} {{ 'ꭰ'.casefold() }}", "σας FIX Ǆǅ Ꭰ"},
		{"{{ '一億'.isnumeric() }} {{ '⑴⒉'.isdigit() }} {{ 'ª'.islower() }}", "True True True"},
	})
}

func TestStatements(t *testing.T) {
	t.Parallel()
	check(t, strict(), [][2]string{
		{"{% for x in l %}{{ loop.index }}/{{ loop.length }}:{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "1/3:3, 2/3:1, 3/3:2"},
		{"{% for x in l if x > 1 %}{{ x }}{{ loop.revindex0 }} {% else %}none{% endfor %}", "31 20 "},
		{"{% for x in [] %}a{% else %}none{% endfor %}", "none"},
		{"{% for k, v in d|dictsort %}{{ k }};{% endfor %}", "a;b;"},
		{"{% for i in [1,[2,[3]]] recursive %}{{ loop.depth }}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{% endif %}{% endfor %}", "111(222(33))"},
		{"{% for i in [1,1,2] %}{% if loop.changed(i) %}{{ i }}{% endif %}{{ loop.cycle('a','b') }}{% endfor %}", "1ab2a"},
		{"{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}", "1"},
		{"{% set ns = namespace(t=0) %}{% for i in l %}{% set ns.t = ns.t + i %}{% endfor %}{{ ns.t }}", "6"},
		{"{% set x | upper %}block {{ n }}{% endset %}{{ x }}", "BLOCK 5"},
		{"{% set a, b = 1, 2 %}{{ a + b }}", "3"},
		{"{% set a, b = [1, 2, 3] %}", "ValueError: too many values to unpack (expected 2)"},
		{"{% set x = [] %}{% for i in l %}{% set _ = x.append(i) %}{% endfor %}{{ x }}{{ l.append(9) }}{{ l }}", "[3, 1, 2]None[3, 1, 2, 9]"},
		{"{% with a = n, b = 1 %}{{ a + b }}{% endwith %}{{ a is defined }}", "6False"},
		{"{% macro m(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }} {{ m(1, 3, 4, z=5) }}", "12(){} 13(4,){'z': 5}"},
		{"{% macro m() %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(x) m() %}<{{ x }}>{% endcall %}", "<3><1><2>"},
		{"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "TypeError: macro 'm' takes not more than 1 argument(s)"},
		{"{% filter upper %}a{{ n }}{% endfilter %}{% print n, s %}", "A55Hello World"},
		{"{% autoescape true %}{{ html }}{{ html | safe }}{% endautoescape %}", "&lt;b&gt;&#34;a&#34; &amp; &#39;b&#39;&lt;/b&gt;<b>\"a\" & 'b'</b>"},
		{"{% block x %}{{ n }}{% endblock %}", "5"},
		{"{% include 'a' %}", "TypeError: no loader for this environment specified"},
		{"{% do 1 %}", "TemplateSyntaxError: Encountered unknown tag 'do'."},
	})
	more := jinja.New(jinja.Options{Do: true, LoopControls: true})
	check(t, more, [][2]string{
		{"{% set x = [] %}{% do x.append(1) %}{{ x }}", "[1]"},
		{"{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% endfor %}", "32"},
		{"{% break %}", "TemplateSyntaxError: 'break' outside loop"},
	})
}

func TestWhiteSpace(t *testing.T) {
	t.Parallel()
	check(t, strict(), [][2]string{
		{"  {% if n %}\nA\n  {% endif %}\nB\n", "A\nB"},
		{"a  {%- if n -%}  b  {%- endif -%}  c", "abc"},
		{"  {%+ if n +%}\nx{% endif %}", "  \nx"},
		{"{{ n -}}  \n  x {#- c -#} y", "5xy"},
		{"a\r\nb\r{{ n }}\r\n", "a\nb\n5"},
		{"  {# c #}\nx", "x"},
		{"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
		{"{% raw -%}  {% if %}  {%- endraw %}!", "{% if %}!"},
		{"{ {{ '}' }} }}", "{ } }}"},
	})
	check(t, jinja.New(jinja.Options{KeepTrailingNewline: true}), [][2]string{{"  {% if n %}\nA{% endif %}\n", "  \nA\n"}})
}

func TestUndefined(t *testing.T) {
	t.Parallel()
	check(t, strict(), [][2]string{
		{"{{ nope }}", "UndefinedError: 'nope' is undefined"},
		{"{{ d.nope }}", "UndefinedError: 'dict object' has no attribute 'nope'"},
		{"{{ d.nope.x }}", "UndefinedError: 'dict object' has no attribute 'nope'"},
		{"{{ l[9] }}", "UndefinedError: list object has no element 9"},
		{"{{ z.x }}", "UndefinedError: 'None' has no attribute 'x'"},
		{"{{ nope == 1 }}", "UndefinedError: 'nope' is undefined"},
		{"{% if nope %}{% endif %}", "UndefinedError: 'nope' is undefined"},
		{"{% for x in nope %}{% endfor %}", "UndefinedError: 'nope' is undefined"},
		{"{{ nope is defined }} {{ nope | default('x') }} {{ [nope] }}", "False x [Undefined]"},
		{"{{ 'a' if false }}|", "|"},
	})
	check(t, jinja.New(jinja.StackStormOptions(jinja.Hooks{}, false)), [][2]string{
		{"{{ nope }}|{{ d.nope }}|{% if nope %}x{% endif %}{% for x in nope %}x{% endfor %}{{ nope == 1 }}", "||False"},
		{"{{ d.nope.x }}", "UndefinedError: 'dict object' has no attribute 'nope'"},
		{"{{ nope + 1 }}", "UndefinedError: 'nope' is undefined"},
	})
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	check(t, strict(), [][2]string{
		{"{{ s.__class__ }}", "SecurityError: access to attribute '__class__' of 'str' object is unsafe."},
		{"{{ s['__class__'] }}", "SecurityError: access to attribute '__class__' of 'str' object is unsafe."},
		{"{{ s | attr('__class__') }}", "SecurityError: access to attribute '__class__' of 'str' object is unsafe."},
		{"{{ '{0.__class__}'.format(n) }}", "SecurityError: access to attribute '__class__' of 'int' object is unsafe."},
		{"{{ l.__len__() }}", "SecurityError: access to attribute '__len__' of 'list' object is unsafe."},
		{"{{ range(1000000) }}", "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."},
		{"{{ d['upd' ~ 'ate']({'x': 1}) }}{{ d.x }}", "None1"},
		{"{% set f = d['upd' ~ 'ate'] %}{{ f({'x': 1}) }}", "SecurityError: update() must be called by its name"},
	})
}

func TestRenderingDoesNotChangeItsVariables(t *testing.T) {
	t.Parallel()
	vars := variables(t)
	env := strict()
	before := render(env, "{{ d }}{{ l }}{{ vms }}", vars)
	for _, src := range []string{
		"{{ d.update({'x': 1}) }}{{ l.append(1) }}{{ vms[0].clear() }}",
		"{% for v in vms %}{{ v.pop('name') }}{% endfor %}{{ l.sort() }}",
		"{{ d | attr('clear') }}{{ (d | attr('clear'))() }}{{ (vms | first).update(a=1) }}",
		"{% set x = l | sort %}{{ x.reverse() }}{% set y = vms | list %}{{ y.pop() }}{{ (vms | map('items') | list) }}",
	} {
		render(env, src, vars)
		if got := render(env, "{{ d }}{{ l }}{{ vms }}", vars); got != before {
			t.Errorf("%s changed the variables to %s", src, got)
		}
	}
}

func TestRenderingIsBounded(t *testing.T) {
	t.Parallel()
	o := jinja.StackStormOptions(jinja.Hooks{}, true)
	o.Steps, o.Bytes = 100_000, 1<<20
	env := jinja.New(o)
	for _, src := range []string{
		"{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}",
		"{{ 'x' * 100000000 }}",
		"{{ [1] * 100000000 }}",
		"{{ 10 ** 100000000 }}",
		"{{ '%1000000000d' % 1 }}",
		"{{ '{:1000000000}'.format(1) }}",
		"{{ 'a' | center(1000000000) }}",
		"{{ 'a'.ljust(1000000000) }}",
		"{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | pprint }}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | to_yaml_string }}",
		"{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | jsonpath_query('$..x') }}",
		"{% set x = [] %}{% for i in range(100) %}{% set _ = x.extend(x + [1]) %}{% endfor %}",
		"{{ ('a,' * 1000).replace('a', 'b' * 10000) }}",
		"{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' | regex_match('(?:a|a)*(?=c)(x)?') }}",
		"{{ '\t'.expandtabs(1000000000) ~ '\t\t\t\t'.expandtabs(1000000000) }}",
		"{{ [1] | batch(1000000000, 0) | list }}",
		"{{ lipsum(n=1000000) }}",
	} {
		tmpl, err := env.Compile(src)
		if err == nil {
			_, err = tmpl.Render(variables(t))
		}
		if !errors.Is(err, value.ErrLimit) {
			t.Errorf("%s: got %v, want ErrLimit", src, err)
		}
	}
	if got := render(env, "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", variables(t)); !strings.HasPrefix(got, "RecursionError") {
		t.Errorf("endless recursion: got %.80s", got)
	}
	for _, src := range []string{strings.Repeat("(", 5000), strings.Repeat("{% if 1 %}", 3000), "{{ " + strings.Repeat("-", 9000) + "1 }}",
		"{{ " + strings.Repeat("not ", 9000) + "1 }}", "{% for " + strings.Repeat("(", 9000)} {
		if _, err := env.Compile("{{ " + src); err == nil {
			t.Errorf("%.20s… compiled", src)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"a\n  {{ 1 + 'a' }}": "TypeError: unsupported operand type(s) for +: 'int' and 'str' (line 2, column 8)",
		"{% if 1 %}\n\n{{ x": "TemplateSyntaxError: unexpected end of template, expected 'end of print statement'. (line 3, column 5)",
		"é{{ nope }}":        "UndefinedError: 'nope' is undefined (line 1, column 5)",
	} {
		tmpl, err := strict().Compile(src)
		if err == nil {
			_, err = tmpl.Render(nil)
		}
		if err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", src, err, want)
		}
	}
}

// datastore is a lazy object that answers a chain of attributes, and notes which
// keys it was asked for.
type datastore struct {
	key  string
	kv   map[string]string
	need *[]string
}

func (d datastore) Attr(name string) (any, bool, error) {
	d.key = strings.TrimPrefix(d.key+"."+name, ".")
	return d, true, nil
}

var errNeed = errors.New("need a key")

func (d datastore) Resolve() (any, error) {
	v, ok := d.kv[d.key]
	if !ok {
		*d.need = append(*d.need, d.key)
		return nil, errNeed
	}
	return v, nil
}

func TestLazyObjects(t *testing.T) {
	t.Parallel()
	var need []string
	kv := datastore{kv: map[string]string{"a.b": "v", "num": "7"}, need: &need}
	vars := jinja.Values{"st2kv": kv}
	check := func(src, want string) {
		t.Helper()
		if got := render(strict(), src, vars); got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
	check("{{ st2kv.a.b }}", "v")
	check("{{ st2kv['a']['b'] | upper }}", "V")
	check("{{ st2kv.a.b == 'v' }} {{ st2kv.num | int + 1 }} {{ st2kv.a.b ~ '!' }} {{ st2kv.a.b is string }}", "True 8 v! True")
	tmpl, err := strict().Compile("{{ st2kv.x.y }}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.Render(vars); !errors.Is(err, errNeed) || len(need) != 1 || need[0] != "x.y" {
		t.Errorf("a missing key: got %v, asked for %v", err, need)
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	h := jinja.Hooks{Decrypt: func(s string) (string, error) { return "plain " + s, nil }}
	env := jinja.New(jinja.StackStormOptions(h, true))
	check(t, env, [][2]string{
		{"{{ 'x' | decrypt_kv }}", "plain x"},
		{"{{ 'a: 1' | from_yaml_string }}", "ValueError: from_yaml_string is not available here"},
		{"{{ '' | decrypt_kv }}", "ValueError: Referenced datastore item doesn't exist or it contains an empty string."},
	})
}

func TestStackStormFilters(t *testing.T) {
	t.Parallel()
	check(t, strict(), [][2]string{
		{"{{ d | to_json_string }}", `{"a": 1,"b": {"c": [10,20]}}`},
		{"{{ d | to_complex }}", `{"a": 1, "b": {"c": [10, 20]}}`},
		{"{{ '{\"a\": 1.0}' | from_json_string }}", "{'a': 1.0}"},
		{"{{ 'x' | from_json_string }}", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"},
		{"{{ 'a\"b\\n' | json_escape }}", `a\"b\n`},
		{"{{ vms | jsonpath_query('[*].name') }}", "['web1', 'db1', 'web2']"},
		{"{{ s | regex_replace('(\\\\w+) (\\\\w+)', '\\\\2 \\\\1') }}", "World Hello"},
		{"{{ 'a1b22' | regex_substring('[0-9]+', 1) }} {{ 'a1b22' | regex_substring('([a-z])([0-9])') }}", "22 ('a', '1')"},
		{"{{ s | regex_match('(') }}", "error: missing ), unterminated subpattern at position 0"},
		{"{{ 90061 | to_human_time_from_seconds }} {{ 0.5 | to_human_time_from_seconds }} {{ 40 * 86400 | to_human_time_from_seconds }}",
			"1d1h1m1s 0.5μs " + strings.Repeat("1d0h0m0s", 40)},
		{"{{ '1.2.3-rc.1' | version_compare('1.2.3') }} {{ '1.10.0' | version_match('>=1.9.0') }} {{ '1.2.3' | version_bump_major }}", "-1 True 2.0.0"},
		{"{{ '/a/b/c.txt' | dirname }} {{ '/a/b/' | basename }} {{ 'x' | dirname }}", "/a/b  "},
		{"{{ none | use_none }}", jinja.NoneMarker},
	})
}

func TestYAMLIsPyYAMLs(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`{"b": [1, [2, {"x": null}]], "a": {"k": {}}}`:                               "a:\n  k: {}\nb:\n- 1\n- - 2\n  - x: null\n",
		`["yes", "1", "0777", "1:30", "2024-01-02", "it's", "", "a: b", "- x", "x"]`: "- 'yes'\n- '1'\n- '0777'\n- '1:30'\n- '2024-01-02'\n- it's\n- ''\n- 'a: b'\n- '- x'\n- x\n",
		`{"k": "line one\nline two\n"}`:                                              "k: 'line one\n\n  line two\n\n  '\n",
		`["tab\there", 1.0, 1e16, true, "é"]`:                                        "- \"tab\\there\"\n- 1.0\n- 1.0e+16\n- true\n- é\n",
		`"` + strings.Repeat("word ", 20) + `end"`:                                   strings.Repeat("word ", 16) + "word\n  word word word end\n",
		`"x"`: "x\n",
	} {
		v, err := value.DecodeString(src)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jinja.DumpYAML(v, 2, true, nil); err != nil || got != want {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", src, got, err, want)
		}
	}
}

func TestUndeclared(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"{{ a.b }} {{ c[d] }} {{ range(e) }}":                           "a c d e",
		"{% set x = y %}{{ x }}":                                        "y",
		"{{ x }}{% set x = 1 %}":                                        "x",
		"{% for i in l %}{{ i }}{{ loop.index }}{{ k }}{% endfor %}":    "k l",
		"{% for i in l %}{% endfor %}{{ i }}":                           "i l",
		"{% if a %}{% set b = 1 %}{% endif %}{{ b }}":                   "a b",
		"{% if a %}{% set b = 1 %}{% else %}{% set b = 2 %}{% endif %}": "a b",
		"{% macro m(p) %}{{ p }}{{ q }}{% endmacro %}{{ m(r) }}":        "q r",
		"{% with a = b %}{{ a }}{% endwith %}":                          "b",
		"{% for i in l %}{{ x }}{% endfor %}{% set x = 1 %}":            "l",
		"plain": "",
	} {
		tmpl, err := strict().Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(tmpl.Undeclared(), " "); got != want {
			t.Errorf("%s: got %q, want %q", src, got, want)
		}
	}
	x, err := strict().CompileExpression("a.b + [c][0]")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(x.Undeclared(), " "); got != "a c" {
		t.Errorf("expression: got %q", got)
	}
}

func TestTextWithoutReevaluation(t *testing.T) {
	t.Parallel()
	env := jinja.New(jinja.OrquestaOptions(nil))
	vars := jinja.Values{"n": int64(5), "evil": "{{ n }}", "tag": "{% if %}", "l": value.List{int64(1)}}
	for src, want := range map[string]string{
		"{{ n }}":                              "5",
		"{{ l }}":                              "[1]",
		"{{ evil }}":                           "'{{ n }}'",
		"a {{ evil }} {{ n }} {{ tag }}":       "'a {{ n }} 5 {% if %}'",
		"{% if n %}{{ evil }}{% endif %}":      "'{{ n }}'",
		"{% raw %}{{ x }}{% endraw %} {{ n }}": "'{{ x }} 5'",
		"{{\nn }}":                             `'{{\nn }}'`,
		"{{ nope }} {{ no.way }}":              "JinjaEvaluationException: Unable to evaluate expression '{{ no.way }}'. UndefinedError: 'no' is undefined",
		"{{ nope }} {{ n }}":                   "JinjaEvaluationException: There are unresolved variables: nope",
	} {
		v, err := env.CompileText(src, false).Eval(vars)
		got := value.Repr(v)
		var e *jinja.Error
		if errors.As(err, &e) {
			got = e.Class + ": " + e.Message
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", src, got, want)
		}
	}
	if env.CompileText("plain", false).HasExpressions() || !env.CompileText("{% x %}", false).HasExpressions() {
		t.Error("HasExpressions")
	}
	var e *jinja.Error
	if _, err := env.CompileText("{{ x }}", true).Eval(jinja.Values{"x": "{{ x }}"}); !errors.As(err, &e) {
		t.Errorf("a text that holds itself: got %v", err)
	}
}

func TestConcurrentRendering(t *testing.T) {
	t.Parallel()
	tmpl, err := strict().Compile("{% set x = l %}{% for i in x %}{{ x.append(i) }}{{ loop.index }}{% endfor %}{{ d.update(a=2) }}{{ d.a }}")
	if err != nil {
		t.Fatal(err)
	}
	vars := variables(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := tmpl.Render(vars); err != nil || got != "None1None2None3None2" {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"{{ n|default(1) }}{% for x in l %}{{ loop.index }}{{ x }}{% endfor %}", "{% macro m(a,b=1) %}{{ a }}{% endmacro %}{{ m(1) }}",
		"{% set x %}a{% endset %}{{ x[1:] ~ '%s' % d }}", "{{ vms | groupby('region') | map('last') | list | tojson }}", "{#- c -#}{% raw %}{{{% endraw %}",
		"{{ '{0.real:>{1}}'.format(n, 5) }}{{ d.items() | list | to_yaml_string }}", "{% if a is not in [1,2] and b or c %}{% elif x %}{% else %}{% endif %}",
		"{{ s.center(20, '*').partition('o') }}{{ (s, 1)[0] | wordwrap(3) | urlize }}",
	} {
		f.Add(s)
	}
	o := jinja.StackStormOptions(jinja.Hooks{}, false)
	o.Steps, o.Bytes = 20_000, 1<<18
	env := jinja.New(o)
	vars := variables(f)
	before := render(env, "{{ d }}{{ l }}{{ vms }}", vars)
	f.Fuzz(func(t *testing.T, src string) {
		first := render(env, src, vars)
		if again := render(env, src, vars); again != first {
			t.Errorf("%q: first %q, then %q", src, first, again)
		}
		if after := render(env, "{{ d }}{{ l }}{{ vms }}", vars); after != before {
			t.Errorf("%q changed its variables: %s", src, after)
		}
		if tmpl, err := env.Compile(src); err == nil {
			tmpl.Undeclared()
		}
		v, err := env.CompileText(src, true).Eval(vars)
		if err == nil {
			jinja.Native(v)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	trigger, _ := value.DecodeString(`{"host": "web1", "state": "down", "tags": ["a", "b"], "nested": {"x": {"y": 1}}}`)
	vars := jinja.FromMap(value.MapOf("trigger", trigger))
	for name, src := range map[string]string{
		"attribute": "{{ trigger.host }}",
		"text":      "host {{ trigger.host }} is {{ trigger.state | upper }}",
		"loop":      "{% for t in trigger.tags %}{{ loop.index }}:{{ t }} {% endfor %}",
	} {
		b.Run(name, func(b *testing.B) {
			tmpl, err := strict().Compile(src)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Render(vars); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleTemplate_Render() {
	env := jinja.New(jinja.StackStormOptions(jinja.Hooks{}, true))
	tmpl, err := env.Compile("{{ trigger.host }} is {{ trigger.state | default('unknown') | upper }}")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := tmpl.Render(jinja.Values{"trigger": value.MapOf("host", "web1")})
	fmt.Println(text, err)
	// Output: web1 is UNKNOWN <nil>
}

func ExampleText_Eval() {
	ctx := value.MapOf("vms", value.List{"web1", "db1"})
	env := jinja.New(jinja.OrquestaOptions(map[string]jinja.Function{
		"ctx": func(*jinja.Call) (any, error) { return ctx, nil },
	}))
	v, err := env.CompileText("{{ ctx().vms | length }}", false).Eval(nil)
	fmt.Printf("%T %v %v\n", v, v, err)
	// Output: int64 2 <nil>
}
