package normalize

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// The parser accepts exactly what encoding/json does, if it is UTF-8, and finds
// the same members.
func FuzzParseAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,-0,true,false,null,"x\u00e9\n"],"a":{}}`, `[[],{}]`, `01`, `1.`, `"\q"`, ` {"\u0061" : 1 } `, "\"\x7f\"", `-`, `{"a"}`, `[1,]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parse(text, 1000)
		if valid := json.Valid(text) && utf8.Valid(text); valid != (err == nil) {
			t.Fatalf("%q: parse says %v, encoding/json says valid = %v", text, err, valid)
		}
		if err != nil || !v.isObject() {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(text, &members); err != nil {
			t.Fatal(err)
		}
		for name, want := range members {
			if got := string(v.get(name).raw()); got != string(want) {
				t.Errorf("%q: member %q is %q, want %q", text, name, got, want)
			}
			var s string
			if json.Unmarshal(want, &s) == nil && string(want) != "null" && v.str(name) != s {
				t.Errorf("%q: text of member %q is %q, want %q", text, name, v.str(name), s)
			}
		}
	})
}
