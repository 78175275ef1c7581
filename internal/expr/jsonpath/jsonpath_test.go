package jsonpath_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/jsonpath"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
)

const document = `{"a": {"b": {"c": "deep"}, "n": [{"x": 1, "y": "one"}, {"x": 2}, {"y": "three"}], "0": "zero"},
	"s": "text", "i": 5, "z": null, "e": [], "k-k": true, "k.k": 1, "f": 1.5}`

func find(path, doc string) string {
	p, err := jsonpath.Parse(path)
	if err != nil {
		return err.Error()
	}
	v, err := value.DecodeString(doc)
	if err != nil {
		return err.Error()
	}
	found, err := p.Find(v, value.NewBudget(10_000, 10_000))
	if err != nil {
		return err.Error()
	}
	return value.Repr(value.List(found))
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, want string }{
		{"a.b.c", "['deep']"},
		{"$.a.b.c", "['deep']"},
		{"a.n[0].x", "[1]"},
		{"a.n[-1].y", "['three']"},
		{"a.n[*].x", "[1, 2]"},
		{"a.n[1:].x", "[2]"},
		{"a.n[:-1].x", "[1, 2]"},
		{"a.n[0:1].y", "['one']"},
		{"a.n.x", "[]"},
		{"a.n[9]", "[]"},
		{"$..x", "[1, 2]"},
		{"a..y", "['one', 'three']"},
		{"a.*", "[{'c': 'deep'}, [{'x': 1, 'y': 'one'}, {'x': 2}, {'y': 'three'}], 'zero']"},
		{"a.'0'", "['zero']"},
		{"a['0']", "['zero']"},
		{`a."b".c`, "['deep']"},
		{`'k.k'`, "[1]"},
		{`'k\.k'`, "[1]"},
		{"k-k", "[True]"},
		{"a.[b].c", "['deep']"},
		{"s,i", "['text', 5]"},
		{"s|i", "['text', 5]"},
		{"a.b|n[0]", "KeyError: 0"}, // the brackets apply to b, too
		{"a.n|e[0]", "[{'x': 1, 'y': 'one'}]"},
		{"a.(b|n).c", "['deep']"},
		{"(a.n[*]) where x", "[{'x': 1, 'y': 'one'}, {'x': 2}]"},
		{"a.b.`parent`.'0'", "['zero']"},
		{"`this`.s", "['text']"},
		{"s[0]", "['t']"},
		{"s[*]", "['text']"},
		{"i[*]", "[5]"},
		{"e[*]", "[]"},
		{"e[0]", "[]"},
		{"e[-1]", "IndexError: list index out of range"},
		{"i[0]", "TypeError: object of type 'int' has no len()"},
		{"z[*]", "TypeError: object of type 'NoneType' has no len()"},
		{"a[0]", "KeyError: 0"},
		{"a & s", "NotImplementedError: "},
		{"", "AttributeError: 'NoneType' object has no attribute 'lineno'"},
		{"a.", "AttributeError: 'NoneType' object has no attribute 'lineno'"},
		{"a b", "Exception: Parse error at 1:2 near token b (ID)"},
		{"a.1b", "Exception: Parse error at 1:2 near token 1 (NUMBER)"},
		{"a.ü", "JsonPathLexerError: Error on line 1, col 2: Unexpected character: ü "},
		{"a.'b", "JsonPathLexerError: Unexpected EOF in string literal or identifier"},
		{"`up`", "Exception: Unknown named operator `up` at 1:3"},
		{"a[1", "AttributeError: 'NoneType' object has no attribute 'lineno'"},
	} {
		if got := find(c.path, document); got != c.want {
			t.Errorf("%s: got %s, want %s", c.path, got, c.want)
		}
	}
}

func TestFirstAndFields(t *testing.T) {
	t.Parallel()
	v, _ := value.DecodeString(document)
	for path, want := range map[string]string{"a.b.c": "deep", "a.n[*].x": "1", "a.nope": "-", "z": "None"} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		x, ok, err := p.First(v)
		got := value.Str(x)
		if !ok {
			got = "-"
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v", path, got, err)
		}
	}
	for path, want := range map[string]string{"a.'b.c'.d": "a/b.c/d", "$.a": "a", "a[0]": "-", "a..b": "-", "a.*": "-", "a,b": "-"} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := p.Fields()
		got := strings.Join(f, "/")
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("fields of %s: got %s, want %s", path, got, want)
		}
	}
}

func TestFindIsBounded(t *testing.T) {
	t.Parallel()
	v := any(int64(1))
	for range 300 {
		v = value.MapOf("a", v)
	}
	p, err := jsonpath.Parse("$..a..a..a..a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Find(v, value.NewBudget(100_000, 1)); !errors.Is(err, value.ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
	if _, err := jsonpath.Parse(strings.Repeat("(", 4000)); err == nil {
		t.Error("4000 open parentheses were taken")
	}
}

// TestConformanceCriteriaKeys looks at the criteria whose answer depends on the
// key alone: exists and nexists.
func TestConformanceCriteriaKeys(t *testing.T) {
	t.Parallel()
	var file struct {
		Meta struct {
			Default json.RawMessage `json:"default_payload"`
		}
		Cases []struct {
			ID, Note string
			Criteria map[string]struct{ Type string }
			Payload  json.RawMessage
			Match    *bool
			Errors   []string `json:"enforcement_errors"`
		}
	}
	if err := json.Unmarshal(sharedtest.Answers(t, "st2_criteria.json"), &file); err != nil {
		t.Fatal(err)
	}
	payload, err := value.Decode(file.Meta.Default)
	if err != nil {
		t.Fatal(err)
	}
	n, agree := 0, 0
	for _, c := range file.Cases {
		if len(c.Criteria) != 1 || string(c.Payload) != `"default"` || c.Match == nil {
			continue
		}
		for key, rule := range c.Criteria {
			if rule.Type != "exists" && rule.Type != "nexists" {
				continue
			}
			n++
			found, class := lookUp(key, payload)
			want := ""
			if len(c.Errors) > 0 {
				want = c.Errors[0]
			}
			if class != want || class == "" && (found == (rule.Type == "exists")) != *c.Match {
				t.Errorf("%s: %s (%s): got %t, %q", c.ID, key, c.Note, found, class)
				continue
			}
			agree++
		}
	}
	t.Logf("%d cases, %d agree", n, agree)
}

// lookUp says whether a key of criteria leads to something, or the class of the
// exception.
func lookUp(key string, payload any) (found bool, class string) {
	key, _, _ = strings.Cut(key, "#")
	p, err := jsonpath.Parse(key)
	var v any
	if err == nil {
		v, _, err = p.First(value.MapOf("trigger", payload))
	}
	var e *value.Error
	if errors.As(err, &e) {
		return false, e.Class
	}
	return v != nil, ""
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a.b[0]..c", "a|b where `parent`.c", "'x\\'y'[1:-2]", "$.*,a", "(((a"} {
		f.Add(s)
	}
	v, _ := value.DecodeString(document)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := jsonpath.Parse(s)
		if err != nil {
			return
		}
		first, ok, err := p.First(v)
		all, err2 := p.Find(v, value.NewBudget(1_000_000, 1_000_000))
		if (err == nil) != (err2 == nil) || err == nil && (ok != (len(all) > 0) || ok && !value.Equal(first, all[0])) {
			t.Errorf("%q: first %v, %v; all %v, %v", s, first, err, all, err2)
		}
	})
}

func BenchmarkFirst(b *testing.B) {
	v, _ := value.DecodeString(document)
	p, _ := jsonpath.Parse("a.b.c")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, _ := p.First(v); !ok {
			b.Fatal("not found")
		}
	}
}

func ExamplePath_Find() {
	doc, _ := value.DecodeString(`{"vms": [{"name": "web1"}, {"name": "db1"}]}`)
	p, _ := jsonpath.Parse("vms[*].name")
	names, _ := p.Find(doc, nil)
	fmt.Println(names)
	// Output: [web1 db1]
}
