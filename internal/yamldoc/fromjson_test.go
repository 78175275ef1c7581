package yamldoc_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

func TestFromJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, json, yaml string }{
		{"order and nesting", `{"z":1,"a":[1,{"b":null}],"c":{}}`, "z: 1\na:\n  - 1\n  - b: null\nc: {}\n"},
		{"text that looks like something else", `["yes","1_000","1:30","0x1",".5","~","","2001-01-01","<<","="," a"]`,
			"- \"yes\"\n- \"1_000\"\n- \"1:30\"\n- \"0x1\"\n- \".5\"\n- \"~\"\n- \"\"\n- \"2001-01-01\"\n- \"<<\"\n- \"=\"\n- \" a\"\n"},
		{"text that YAML 1.2 would take for a number, and text that is text", `["0o7","1e3","a b","障害"]`, "- \"0o7\"\n- \"1e3\"\n- a b\n- 障害\n"},
		{"numbers", `[1,1.0,1e3,1e20,123456789012345678901234567890,-0.5]`, "- 1\n- 1.0\n- 1000.0\n- 1.0e+20\n- 123456789012345678901234567890\n- -0.5\n"},
		{"lines", `"a\nb\n"`, "|\n  a\n  b\n"},
	}
	for _, tt := range tests {
		got, err := yamldoc.FromJSON(json.RawMessage(tt.json))
		if err != nil || string(got) != tt.yaml {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.yaml)
		}
	}
	for _, bad := range []string{"", "{", "[1] 2", `{"a"}`, "x"} {
		if got, err := yamldoc.FromJSON(json.RawMessage(bad)); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func ExampleFromJSON() {
	b, err := yamldoc.FromJSON(json.RawMessage(`{"name":"greet","enabled":true,"version":"1.0"}`))
	if err != nil {
		panic(err)
	}
	fmt.Print(string(b))
	// Output:
	// name: greet
	// enabled: true
	// version: "1.0"
}

func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e300,"x\ny",null,true]}`, `"\u0085\u2028\ufeff\u0007"`, `["- a","#b","a: b","a #b","*x","&y","!z","%d","@e","|","? a"]`,
		`{"":{"":[]}}`, `"\n"`, `" a\n b"`, `"a \n"`, `"\t"`, `-0.0`, `{"":[1e1000]}`, `1e400`, `"---"`, `"...\n"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := yamldoc.FromJSON(raw)
		if err != nil || bytes.Contains(text, []byte(".inf")) {
			return // an infinity, which a number too large is, has no JSON
		}
		n, found := yamldoc.Parse(text, yamldoc.Options{MaxDepth: 2000})
		if len(found) > 0 && !yamldoc.HasErrors(found) {
			return // keys that are repeated
		}
		if yamldoc.HasErrors(found) {
			t.Fatalf("%q became %q, which is not read: %v", raw, text, found)
		}
		again, err := yamldoc.FromJSON(n.JSON())
		if err != nil || string(again) != string(text) {
			t.Fatalf("%q became %q, then %s, then %q, %v", raw, text, n.JSON(), again, err)
		}
	})
}
