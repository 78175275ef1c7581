package pyre_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
)

func compile(t testing.TB, pattern string, flags pyre.Flags) *pyre.Regexp {
	t.Helper()
	re, err := pyre.Compile(pattern, flags)
	if err != nil {
		t.Fatalf("compile %q: %v", pattern, err)
	}
	return re
}

// show writes the groups of a match: what they hold, - for those that took no part.
func show(m *pyre.Match) string {
	if m == nil {
		return "none"
	}
	var parts []string
	for g := 0; g <= m.Regexp().Groups(); g++ {
		s, ok := m.Group(g)
		if !ok {
			s = "-"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "|")
}

func TestSearchFindsWhatPythonFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		flags   pyre.Flags
		text    string
		want    string
	}{
		{`a+`, 0, "xaaab", "aaa"},
		{`(a)|b`, 0, "b", "b|-"},
		{`(a|ab)(c|bcd)(d*)`, 0, "abcd", "abcd|a|bcd|"},
		{`(?:(a)|b)*`, 0, "ab", "ab|a"},
		{`(a*)*`, 0, "b", "|"},
		{`(a*)+`, 0, "aa", "aa|"},
		{`c$`, 0, "abc\n", "c"},
		{`c\Z`, 0, "abc\n", "none"},
		{`c$`, pyre.Multiline, "c\nd", "c"},
		{`^b`, 0, "a\nb", "none"},
		{`^b`, pyre.Multiline, "a\nb", "b"},
		{`a.b`, 0, "a\nb", "none"},
		{`a.b`, pyre.DotAll, "a\nb", "a\nb"},
		{`\d+`, 0, "x٤٢", "٤٢"},
		{`\d+`, pyre.ASCII, "x٤٢", "none"},
		{`\w+`, 0, "-héllo_世9-", "héllo_世9"},
		{`\w+`, pyre.ASCII, "-héllo-", "h"},
		{`\s`, 0, "\u2028", "\u2028"},
		{`\bé`, 0, "a é", "é"},
		{`\Bé`, 0, "aé", "é"},
		{`\B`, 0, "", "none"},
		{`k`, pyre.IgnoreCase, "\u212a", "\u212a"},
		{`i`, pyre.IgnoreCase, "İ", "İ"},
		{`[^k]`, pyre.IgnoreCase, "K\u212ax", "x"},
		{`ÉT`, pyre.IgnoreCase, "été", "ét"},
		{`(?i:a)b`, 0, "Ab AB", "Ab"},
		{`(?i)a(?-i:b)`, 0, "AB Ab", "Ab"},
		{`foo(?=bar)`, 0, "foobar", "foo"},
		{`foo(?!bar)`, 0, "foobar foobaz", "foo"},
		{`(?<=x)bar`, 0, "bar xbar", "bar"},
		{`(?<!x)bar`, 0, "xbar ybar", "bar"},
		{`(?<=é.)b`, 0, "éab", "b"},
		{`(?=(a+))a*b\1`, 0, "baaabac", "aba|a"},
		{`(ab)\1`, 0, "abab", "abab|ab"},
		{`(?P<q>a)b(?P=q)`, 0, "aba", "aba|a"},
		{`(é)\1`, pyre.IgnoreCase, "éÉ", "éÉ|é"},
		{`(<)?a(?(1)>|$)`, 0, "<a a>", "none"},
		{`(<)?a(?(1)>|$)`, 0, "<a>", "<a>|<"},
		{`(?>a|ab)c`, 0, "abc", "none"},
		{`a++a`, 0, "aaa", "none"},
		{`a{2,}+`, 0, "aaa", "aaa"},
		{`(?:ab)++c`, 0, "ababc", "ababc"},
		{`a{,2}`, 0, "aaa", "aa"},
		{`x{1`, 0, "x{1", "x{1"},
		{`a{1,3}?`, 0, "aaa", "a"},
		{`(?:ab){2}?c`, 0, "ababc", "ababc"},
		{`(?:a|b)+?c`, 0, "abc", "abc"},
		{"(?x) a # first\n b", 0, "ab", "ab"},
		{`a(?#comment)b`, 0, "ab", "ab"},
		{`[]a]+`, 0, "]a", "]a"},
		{`[a-]+`, 0, "-a", "-a"},
		{`[\d\-x]+`, 0, "1-x", "1-x"},
		{`\x41\u0042\103\0`, 0, "ABC\x00", "ABC\x00"},
		{`[^\W\d]+`, 0, "12ab3", "ab"},
		{`\S+`, 0, " é\u00a0", "é"},
	} {
		m, err := compile(t, c.pattern, c.flags).Search(c.text)
		if got := show(m); err != nil || got != c.want {
			t.Errorf("search %q (flags %d) in %q: got %q, %v, want %q", c.pattern, c.flags, c.text, got, err, c.want)
		}
	}
}

func TestCompileSaysWhatPythonSays(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`(`:              "missing ), unterminated subpattern at position 0",
		`a)`:             "unbalanced parenthesis at position 1",
		`*a`:             "nothing to repeat at position 0",
		`a**`:            "multiple repeat at position 2",
		`[a-`:            "unterminated character set at position 0",
		`[z-a]`:          "bad character range z-a at position 1",
		`[a-\d]`:         `bad character range a-\d at position 1`,
		`b\z`:            `bad escape \z at position 1`,
		`a\`:             "bad escape (end of pattern) at position 1",
		`(a)\2`:          "invalid group reference 2 at position 4",
		`(?P=x)`:         "unknown group name 'x' at position 4",
		`(?P<1>a)`:       "bad character in group name '1' at position 4",
		`(?P<a>)(?P<a>)`: "redefinition of group name 'a' as group 2; was group 1 at position 11",
		`(?<=a+)b`:       "look-behind requires fixed-width pattern",
		`a(?i)`:          "global flags not at the start of the expression at position 1",
		`a{3,2}`:         "min repeat greater than max repeat at position 2",
		`(?y)`:           "unknown extension ?y at position 1",
		`(?(2)a)`:        "invalid group reference 2 at position 3",
		`\x1`:            `incomplete escape \x1 at position 0`,
		"a\n*b(":         "missing ), unterminated subpattern at position 4 (line 2, column 3)",
		`(?`:             "unexpected end of pattern at position 2",
		`(\1)`:           "cannot refer to an open group at position 1",
	} {
		_, err := pyre.Compile(pattern, 0)
		var e *pyre.Error
		if !errors.As(err, &e) || e.Message != want {
			t.Errorf("compile %q: got %v, want %s", pattern, err, want)
		}
	}
}

func TestAllWalksAsPythonDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, text, want string }{
		{`a*`, "aab", "aa,,"},
		{`\b`, "ab é", ",,,"},
		{`a|(?=b)`, "ab", "a,"},
		{`o`, "foo", "o,o"},
		{`^a`, "aa", "a"},
		{`(?<=a)a`, "aaa", "a,a"},
		{``, "é", ","},
	} {
		ms, err := compile(t, c.pattern, 0).FindAll(c.text)
		var got []string
		for _, m := range ms {
			got = append(got, show(m))
		}
		if err != nil || strings.Join(got, ",") != c.want {
			t.Errorf("find all %q in %q: got %q, %v", c.pattern, c.text, got, err)
		}
	}
}

func TestSubAndSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, repl, text string
		count               int
		want                string
	}{
		{`(\w+) (\w+)`, `\2 \1`, "Hello World", 0, "World Hello"},
		{`(?P<a>o)`, `<\g<a>\g<1>\g<0>>`, "foo", 1, "f<ooo>o"},
		{`x*`, `-`, "abxd", 0, "-a-b--d-"},
		{`(a)|b`, `[\1]`, "ab", 0, "[a][]"},
		{`o`, `\n\t\\\x`, "o", 0, `error: bad escape \x at position 6`},
		{`o`, `\1`, "o", 0, "error: invalid group reference 1 at position 1"},
		{`o`, `\g<n>`, "o", 0, "error: IndexError: unknown group name 'n'"},
		{`o`, `\061\0`, "o", 0, "1\x00"},
		{`z`, `\q`, "o", 0, `error: bad escape \q at position 0`},
	} {
		got, err := compile(t, c.pattern, 0).Sub(c.repl, c.text, c.count, nil)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("sub %q by %q in %q: got %q, want %q", c.pattern, c.repl, c.text, got, c.want)
		}
	}
	pieces, ok, err := compile(t, `(,)|;`, 0).Split("a,b;c,d", 2)
	if got := fmt.Sprintf("%q %v", pieces, ok); err != nil || got != `["a" "," "b" "" "c,d"] [true true true false true]` {
		t.Errorf("split: got %s, %v", got, err)
	}
	if _, err := compile(t, `a`, 0).Sub(strings.Repeat("x", 100), strings.Repeat("a", 100), 0, value.NewBudget(1, 500)); !errors.Is(err, value.ErrLimit) {
		t.Errorf("a result beyond the budget: got %v", err)
	}
}

func TestAnchoredMatches(t *testing.T) {
	t.Parallel()
	re := compile(t, `a|ab`, 0)
	if m, _ := re.Match("abc"); show(m) != "a" {
		t.Errorf("match: got %s", show(m))
	}
	if m, _ := re.Match("xab"); m != nil {
		t.Errorf("match behind the start: got %s", show(m))
	}
	if m, _ := re.FullMatch("ab"); show(m) != "ab" {
		t.Errorf("full match: got %s", show(m))
	}
	if m, _ := compile(t, `(?=a)a|(?>ab)`, 0).FullMatch("ab"); show(m) != "ab" {
		t.Errorf("full match on the machine: got %s", show(m))
	}
	if ok, _ := re.Starts("xab"); ok {
		t.Error("Starts looked behind the start")
	}
	if ok, _ := re.Found("xab"); !ok {
		t.Error("Found looked at the start only")
	}
}

func TestPathologicalPatternsEnd(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a", 5000) + "b"
	if ok, err := compile(t, `(a+)+$`, 0).Found(text); ok || err != nil {
		t.Errorf("what RE2 can do: got %t, %v", ok, err)
	}
	for _, p := range []string{`(a+)+\1$(?=c)`, `(?:a|a)*(?=c)`, `(a*)*c(?!x)`, `(x+x+)+y(?=z)|(?:(?:a+)+)+(?<=c)`} {
		re := compile(t, p, 0)
		for range 2 {
			if _, err := re.Found(text); !errors.Is(err, pyre.ErrSteps) || !errors.Is(err, value.ErrLimit) {
				t.Errorf("%s: got %v, want ErrSteps", p, err)
			}
		}
	}
	if _, err := pyre.Compile(strings.Repeat("(", 5000), 0); err == nil {
		t.Error("a pattern nested 5000 deep was taken")
	}
	if re, err := pyre.Compile(`(?:(?:(?:a{1000}){1000}){1000})`, 0); err == nil {
		if ok, err := re.Found(text); ok || err != nil && !errors.Is(err, pyre.ErrSteps) {
			t.Errorf("nested counts: got %t, %v", ok, err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	re := compile(t, `(a|b)\1(?=c)`, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if m, err := re.Search("xaabbc"); err != nil || show(m) != "bb|b" {
					t.Errorf("got %s, %v", show(m), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestEscapeMatchesItself(t *testing.T) {
	t.Parallel()
	s := "a.b*c[d]é\n# -&~^$\\"
	if m, err := compile(t, pyre.Escape(s), pyre.Verbose).FullMatch(s); m == nil || err != nil {
		t.Errorf("%q does not match %q: %v", pyre.Escape(s), s, err)
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"web-??", "web-01", true}, {"web-??", "web-1", false},
		{"a*b*c", "aXbYbc", true}, {"a*b*c", "aXbYb", false}, {"a*b", "a\nb", true}, {"a", "a\n", false},
		{"[a-c]?", "b1", true}, {"[!a-c]", "d", true}, {"[!a-c]", "b", false}, {"[^a]", "^", true}, {"[^a]", "b", false},
		{"[[]x]", "[x]", true}, {"[]]", "]", true}, {"[!]]", "x", true}, {"a[a-]b", "a-b", true}, {"a[b", "a[b", true},
		{"[z-a]", "z", false}, {"[!z-a]", "é", true}, {"[a-c-e]", "-", true}, {"[a-c-e]", "d", false}, {"[--a]", "5", true},
		{"é?", "éé", true}, {"**a", "bba", true}, {"A", "a", false}, {`\`, `\`, true},
	} {
		if got := pyre.CompileGlob(c.pattern).Match(c.text); got != c.want {
			t.Errorf("%q against %q: got %t", c.pattern, c.text, got)
		}
	}
	if s, ok := pyre.CompileGlob("web").Literal(); s != "web" || !ok {
		t.Errorf("literal: got %q, %t", s, ok)
	}
	if ok := pyre.CompileGlob(strings.Repeat("a*", 200) + "b").Match(strings.Repeat("a", 20000)); ok {
		t.Error("matched what is not there")
	}
}

func TestConformanceOperators(t *testing.T) {
	t.Parallel()
	var file struct {
		Cases []struct {
			ID, Operator   string
			Value, Pattern any
			Result         *bool
			Error          *struct{ Type string }
		}
	}
	if err := json.Unmarshal(sharedtest.Answers(t, "st2_operators.json"), &file); err != nil {
		t.Fatal(err)
	}
	n, agree := 0, 0
	for _, c := range file.Cases {
		text, ok1 := c.Value.(string)
		pattern, ok2 := c.Pattern.(string)
		if !ok1 || !ok2 {
			continue
		}
		var got bool
		var err error
		switch c.Operator {
		case "matchwildcard":
			got = pyre.CompileGlob(pattern).Match(text)
		case "regex", "iregex", "matchregex":
			got, err = operator(c.Operator, pattern, text)
		default:
			continue
		}
		n++
		if (err != nil) != (c.Error != nil) || c.Result != nil && got != *c.Result {
			t.Errorf("%s: %s(%q, %q): got %t, %v", c.ID, c.Operator, text, pattern, got, err)
			continue
		}
		agree++
	}
	t.Logf("%d cases, %d agree", n, agree)
}

func operator(name, pattern, text string) (bool, error) {
	flags := map[string]pyre.Flags{"iregex": pyre.IgnoreCase, "matchregex": pyre.DotAll}[name]
	re, err := pyre.Compile(pattern, flags)
	if err != nil {
		return false, err
	}
	if name == "matchregex" {
		return re.Starts(text)
	}
	return re.Found(text)
}

func BenchmarkFound(b *testing.B) {
	for name, pattern := range map[string]string{"re2": `disk (full|failing) on \w+`, "machine": `disk (?=full|failing)\w+ on \w+`} {
		b.Run(name, func(b *testing.B) {
			re := compile(b, pattern, 0)
			b.ReportAllocs()
			for b.Loop() {
				if ok, _ := re.Found("2026-01-15 12:00:00 web1 kernel: disk failing on sda1"); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

func ExampleRegexp_Sub() {
	re, _ := pyre.Compile(`(?P<host>[\w-]+)\.example`, 0)
	s, _ := re.Sub(`\g<host>`, "from web-1.example to db.example", 0, nil)
	fmt.Println(s)
	// Output: from web-1 to db
}

func ExampleGlob_Match() {
	fmt.Println(pyre.CompileGlob("web-[0-9]*").Match("web-01.prod"))
	// Output: true
}
