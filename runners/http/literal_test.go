package http

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPythonLiteral(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{'a': 1, "b": [True, False, None], 'c': ('x', 2.0)}`, `{"a":1,"b":[true,false,null],"c":["x",2.0]}`},
		{`{}`, `{}`},
		{`[]`, `[]`},
		{`()`, `[]`},
		{`(1,)`, `[1]`},
		{`(1)`, `1`},
		{`[1, 2,]`, `[1,2]`},
		{`{1: 2, None: 3, True: 4, 1.5: 5}`, `{"1":2,"null":3,"true":4,"1.5":5}`},
		{`-5`, `-5`},
		{`0x1F`, `31`},
		{`1_000`, `1000`},
		{`123456789012345678901234567890`, `123456789012345678901234567890`},
		{`1.`, `1.0`},
		{`.5e3`, `500.0`},
		{`-2.5E-3`, `-0.0025`},
		{`'it\'s' "\u3042\n"`, `"it'sあ\n"`},
		{`u'\xe9' r'\d'`, `"é\\d"`},
		{`'\101\q'`, `"A\\q"`},
		{`'''a
b'''`, `"a\nb"`},
		{` [ 'a' , ] `, `["a"]`},
		{`'日本'`, `"日本"`},
	}
	for _, tt := range tests {
		if got, err := pythonLiteral(tt.in); err != nil || string(got) != tt.want {
			t.Errorf("pythonLiteral(%q) = %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "a", "[1", "[1 2]", "{'a'}", "{'a': }", "{[1]: 2}", "'a", "'a\nb'", "b'a'", "__import__('os')",
		"1 + 1", "[,]", "007", "1e999", "nan", "{1, 2}", `'\xZZ'`, strings.Repeat("[", 1000), "1j", "True False", "--5"} {
		if got, err := pythonLiteral(in); err == nil {
			t.Errorf("pythonLiteral(%.40q) = %s, want an error", in, got)
		}
	}
}

func FuzzPythonLiteral(f *testing.F) {
	for _, s := range []string{`{'a': [1, 2.5, (None,)]}`, `u'x' r"\d" '''y'''`, `-0x1f`, `{1: 'a', True: {}}`, `'\x41\u3042\777'`, "((1))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := pythonLiteral(s)
		if err == nil && !json.Valid(out) {
			t.Errorf("pythonLiteral(%q) = %q is not JSON", s, out)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("caf\xe9"), "text/plain")
	f.Add([]byte("\x8f\xe1"), "text/html; charset=shift_jis")
	f.Fuzz(func(t *testing.T, raw []byte, contentType string) {
		if out := jsonText(decode(raw, contentType)); !json.Valid(out) {
			t.Errorf("decode(%q, %q) is not text", raw, contentType)
		}
	})
}
