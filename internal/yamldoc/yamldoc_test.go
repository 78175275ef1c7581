package yamldoc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

// parse reads a document that must be without errors.
func parse(t *testing.T, src string) *yamldoc.Node {
	t.Helper()
	n, found := yamldoc.Parse([]byte(src), yamldoc.Options{File: "t.yaml"})
	if yamldoc.HasErrors(found) {
		t.Fatalf("parse %q: %v", src, found)
	}
	return n
}

// The expected values are what PyYAML 6.0's safe_load returns for the same text.
func TestScalarsAreYAML11(t *testing.T) {
	t.Parallel()
	tests := []struct {
		src  string
		kind yamldoc.Kind
		json string
	}{
		{"yes", yamldoc.Bool, "true"},
		{"Off", yamldoc.Bool, "false"},
		{"yEs", yamldoc.String, `"yEs"`},
		{"y", yamldoc.String, `"y"`},
		{"~", yamldoc.Null, "null"},
		{"", yamldoc.Null, "null"},
		{"Null", yamldoc.Null, "null"},
		{"0777", yamldoc.Int, "511"},
		{"0o7", yamldoc.String, `"0o7"`},
		{"08", yamldoc.String, `"08"`},
		{"0x1F", yamldoc.Int, "31"},
		{"0b101", yamldoc.Int, "5"},
		{"1_000", yamldoc.Int, "1000"},
		{"-1:30", yamldoc.Int, "-90"},
		{"1:60", yamldoc.String, `"1:60"`},
		{"01:30", yamldoc.String, `"01:30"`},
		{"190:20:30.15", yamldoc.Float, "685230.15"},
		{"99999999999999999999999", yamldoc.Int, "99999999999999999999999"},
		{"1e3", yamldoc.String, `"1e3"`},
		{"1.0e3", yamldoc.String, `"1.0e3"`},
		{"1.0e+3", yamldoc.Float, "1000.0"},
		{"1.", yamldoc.Float, "1.0"},
		{".5", yamldoc.Float, "0.5"},
		{"-.5", yamldoc.String, `"-.5"`},
		{"1.0e+16", yamldoc.Float, "1e+16"},
		{"-.inf", yamldoc.Float, "null"},
		{"2001-12-14", yamldoc.Timestamp, `"2001-12-14"`},
		{"2001-1-1", yamldoc.String, `"2001-1-1"`},
		{"2001-12-14t21:59:43.10-05:00", yamldoc.Timestamp, `"2001-12-14T21:59:43.100000-05:00"`},
		{"2001-12-14 21:59:43Z", yamldoc.Timestamp, `"2001-12-14T21:59:43+00:00"`},
		{"!!str 12", yamldoc.String, `"12"`},
		{"!!int '0x10'", yamldoc.Int, "16"},
		{"!!float 1", yamldoc.Float, "1.0"},
		{"!!binary aGVs bG8=", yamldoc.Binary, `"aGVsbG8="`},
		{"'yes'", yamldoc.String, `"yes"`},
		{`"\u00e9\n"`, yamldoc.String, `"é\n"`},
	}
	for _, tt := range tests {
		n := parse(t, tt.src)
		if n.Kind() != tt.kind || string(n.JSON()) != tt.json {
			t.Errorf("%q is %s %s, want %s %s", tt.src, n.Kind(), n.JSON(), tt.kind, tt.json)
		}
	}
}

func TestCollections(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, json string }{
		{"order is kept", "z: 1\na: [1, 2.0, x]\n", `{"z":1,"a":[1,2.0,"x"]}`},
		{"the last duplicate counts in the first place", "a: 1\nb: 2\na: 3\n", `{"a":3,"b":2}`},
		{"1, 1.0 and true are one key", "{1: a, true: b, 1.0: c}", `{"1":"c"}`},
		{"own keys override merged ones, which come first", "{c: 0, <<: {a: 1, c: 2}}", `{"a":1,"c":0}`},
		{"the first of merged mappings wins", "{<<: [{a: 1}, {a: 2, b: 3}], c: 4}", `{"a":1,"b":3,"c":4}`},
		{"a quoted merge key is text", `{"<<": {a: 1}}`, `{"<<":{"a":1}}`},
		{"aliases repeat", "a: &x [1]\nb: *x\n", `{"a":[1],"b":[1]}`},
		{"a set has null values", "!!set {a, b}", `{"a":null,"b":null}`},
		{"an ordered map is a list of pairs", "!!omap [a: 1, b: 2]", `[["a",1],["b",2]]`},
		{"keys that are not text become text", "{1: a, ~: b, 1.5: c, 2001-01-01: d}", `{"1":"a","null":"b","1.5":"c","2001-01-01":"d"}`},
		{"nothing is null", "# nothing\n", `null`},
	}
	for _, tt := range tests {
		if got := string(parse(t, tt.src).JSON()); got != tt.json {
			t.Errorf("%s: %q is %s, want %s", tt.name, tt.src, got, tt.json)
		}
	}
}

func TestMistakesHaveAPlace(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, want string }{
		{"syntax", "a: 1\nb: [1\nc: 2\n", "t.yaml:2:1: did not find expected ',' or ']': check indentation, brackets and quotes from here on"},
		{"indentation", "a: 1\n  b: 2\n", "t.yaml:2:3: mapping values are not allowed in this context"},
		{"unknown anchor", "a: 1\nb: *nope\n", "t.yaml:2:4: there is no anchor &nope before this alias"},
		{"duplicate", "name: a\nref: b\nname: c\n", `t.yaml:3:1: warning: duplicate key "name": it stands in line 1 already; the last one counts`},
		{"bad day", "on: 2024-02-30\n", "t.yaml:1:5: there is no day 2024-02-30"},
		{"bare equals", "op: =\n", `t.yaml:1:5: a bare "=" has no value in YAML 1.1: quote it`},
		{"unknown tag", "a:\n  - !python/name x\n", "t.yaml:2:5: unknown tag !python/name"},
		{"list as key", "? [a]\n: b\n", "t.yaml:1:3: a list cannot be a key"},
		{"bad merge", "<<: 3\na: 1\n", "t.yaml:1:5: expected a mapping or a list of mappings to merge, found an integer"},
		{"second document", "a: 1\n---\nb: 2\n", "t.yaml:2:1: expected one document, found another"},
		{"recursive alias", "a: &x\n  b: *x\n", "t.yaml:2:6: the alias *x stands inside what it repeats"},
	}
	for _, tt := range tests {
		_, found := yamldoc.Parse([]byte(tt.src), yamldoc.Options{File: "t.yaml"})
		if len(found) != 1 || found[0].String() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, found, tt.want)
		}
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, found := yamldoc.Parse([]byte("a: !x 1\nb: 2024-13-01\na: 2\n"), yamldoc.Options{RefuseDuplicates: true})
	if len(found) != 3 || found[2].Severity != yamldoc.Error {
		t.Errorf("got %v, want three errors", found)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 30; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), i-1)
	}
	chain := "a0: &a0 [x]\n"
	for i := 1; i < 200; i++ {
		chain += fmt.Sprintf("a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	var wide strings.Builder
	wide.WriteString("a: &a {")
	for i := range 2000 {
		fmt.Fprintf(&wide, "k%d: 1, ", i)
	}
	wide.WriteString("z: 1}\nb: {<<: [" + strings.Repeat("*a,", 2000) + "*a]}\n")
	tests := []struct{ name, src, code string }{
		{"a billion laughs", laughs, "too-large"},
		{"depth", strings.Repeat("[", 500) + strings.Repeat("]", 500), "too-deep"},
		{"depth by aliases", chain, "too-deep"},
		{"merging over and over", wide.String(), "too-large"},
		{"bytes", "a: " + strings.Repeat("x", 5<<20), "too-large"},
	}
	for _, tt := range tests {
		n, found := yamldoc.Parse([]byte(tt.src), yamldoc.Options{})
		if n != nil || len(found) != 1 || found[0].Code != tt.code {
			t.Errorf("%s: got %v with %d findings, want none with %s", tt.name, n != nil, len(found), tt.code)
		}
	}
}

func TestParseAll(t *testing.T) {
	t.Parallel()
	docs, found := yamldoc.ParseAll([]byte("a: 1\n---\n- b\n"), yamldoc.Options{})
	if len(found) != 0 || len(docs) != 2 || string(docs[1].JSON()) != `["b"]` {
		t.Errorf("got %d documents, %v", len(docs), found)
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	n := parse(t, "a:\n  b/c:\n    - x: 1\n    - y~: 2\n  7: seven\n")
	tests := []struct {
		pointer string
		line    int
		json    string
	}{
		{"", 1, ""}, {"/a/b~1c/0/x", 3, "1"}, {"/a/b~1c/1/y~0", 4, "2"}, {"/a/7", 5, `"seven"`},
		{"/a/b~1c/2", 0, ""}, {"/a/b~1c/x", 0, ""}, {"/q", 0, ""}, {"a", 0, ""}, {"/a/7/z", 0, ""},
	}
	for _, tt := range tests {
		got := n.At(tt.pointer)
		if got.Line() != tt.line || (tt.json != "" && string(got.JSON()) != tt.json) {
			t.Errorf("At(%q) is in line %d with %s, want line %d with %s", tt.pointer, got.Line(), got.JSON(), tt.line, tt.json)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"trigger", "criteria", "action", "actions", "enabled", "on-complete"}
	tests := map[string]string{
		"triger": "trigger", "tirgger": "trigger", "Criteria": "criteria", "actoin": "action", "actionss": "actions",
		"on_complete": "on-complete", "enable": "enabled", "zzz": "", "": "", "pattern": "",
	}
	for written, want := range tests {
		if got := yamldoc.Nearest(written, known); got != want {
			t.Errorf("Nearest(%q) is %q, want %q", written, got, want)
		}
	}
}

func ExampleParse() {
	src := "enabled: yes\nhours: 0777\nenabled: no\n"
	doc, found := yamldoc.Parse([]byte(src), yamldoc.Options{File: "rules/mail.yaml"})
	fmt.Println(string(doc.JSON()))
	fmt.Println(found[0])
	// Output:
	// {"enabled":false,"hours":511}
	// rules/mail.yaml:3:1: warning: duplicate key "enabled": it stands in line 1 already; the last one counts
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: 1\n", "- &a [x]\n- *a\n", "{<<: [{a: 1}], b: 2001-01-01}", "a: |\n  x\n", "!!omap [a: 1]",
		"? a\n: b\n", "\xff\xfea\x00", "%YAML 1.1\n---\n1:30\n...\n", "a: {b: [c, {d: e}]}\n# c\n", "[*x]", "0b_", "!!set {a}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		o := yamldoc.Options{MaxBytes: 1 << 16, MaxValues: 10_000}
		n, found := yamldoc.Parse(src, o)
		if n == nil {
			if !yamldoc.HasErrors(found) {
				t.Fatalf("%q: no document and no error", src)
			}
			return
		}
		if js := n.JSON(); !json.Valid(js) {
			t.Fatalf("%q became %s, which is not JSON", src, js)
		}
		for _, d := range found {
			if d.Line < 0 || d.Column < 0 || d.Message == "" {
				t.Fatalf("%q: bad finding %+v", src, d)
			}
		}
	})
}

func TestTagsOfOnesOwn(t *testing.T) {
	t.Parallel()
	o := yamldoc.Options{Tags: map[string]string{"!Ref": "Ref", "!Join": "Fn::Join", "!Number": "n"}}
	n, ds := yamldoc.Parse([]byte("a: !Ref Queue\nb: !Join ['', [x, !Ref Y]]\nc: !Number {n: 1}\n"), o)
	if len(ds) != 0 {
		t.Fatalf("findings: %v", ds)
	}
	if got, want := string(n.JSON()), `{"a":{"Ref":"Queue"},"b":{"Fn::Join":["",["x",{"Ref":"Y"}]]},"c":{"n":{"n":1}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, ds := yamldoc.Parse([]byte("a: !Other x\n"), o); len(ds) != 1 {
		t.Errorf("a tag that is not listed gave %v, want one finding", ds)
	}
}
