package router

import (
	"encoding/json"
	"testing"

	"github.com/hayate-run/hayate"
)

func TestMemberFindsWhatDecodingFinds(t *testing.T) {
	t.Parallel()
	for _, object := range []string{
		`{}`, ` { } `, `{"user":"ann"}`, "{\n \"a\" : [1, {\"user\": 2}] , \"user\" : \"b\\\"c\" }", `{"a":"}","user":{"x":[1,2,"]"]}}`,
		`{"user":1,"user":2}`, `{"a":{"user":1},"user":null}`, `{"user":true,"z":-1.5e3}`, `{"z":-1.5e3,"user":false}`, `[1]`, `"user"`, ``, `null`,
	} {
		var m map[string]json.RawMessage
		_ = json.Unmarshal([]byte(object), &m) // what is no object has no member
		if got, want := string(member([]byte(object), "user")), string(m["user"]); got != want {
			t.Errorf("member user of %s is %q, want %q", object, got, want)
		}
	}
}

func FuzzMember(f *testing.F) {
	f.Add(`{"a":1,"user":"x"}`, "user")
	f.Add(`{"a":[{"b":"\\\""}], "c" : 2}`, "c")
	f.Fuzz(func(t *testing.T, object, name string) {
		got := member([]byte(object), name)
		var m map[string]json.RawMessage
		if json.Unmarshal([]byte(object), &m) != nil {
			return
		}
		plain, err := json.Marshal(name)
		if err != nil || string(plain) != `"`+name+`"` {
			return // a name with escapes
		}
		for k := range m {
			if b, _ := json.Marshal(k); string(b) != `"`+k+`"` {
				return
			}
		}
		want, ok := m[name]
		if !ok && got != nil || ok && string(got) != string(want) {
			t.Errorf("member %q of %s is %q, want %q", name, object, got, want)
		}
	})
}

func TestPlacesAreReadAsWritten(t *testing.T) {
	t.Parallel()
	three := 3
	for _, p := range []place{
		{Run: "5f0000000000000000000001", Task: "t1", TaskID: "t1", TaskEx: "5f0000000000000000000002"},
		{Run: "5f0000000000000000000001", Task: `日本 "x" <y>`, TaskID: "t", TaskEx: "e", Route: 7, Item: &three, Entry: 12345, Attempt: 2},
	} {
		x := hayate.Execution{ID: "5f0000000000000000000003", Context: json.RawMessage(`{"user":"ann","pack":"p","parent":{"user":"eve"}}`)}
		var c childContexts
		c.prepare(&x)
		child := hayate.Execution{Context: c.context(&p, `a"b`)}
		if !json.Valid(child.Context) {
			t.Fatalf("the context is no JSON: %s", child.Context)
		}
		got, err := placeOf(&child)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Orquesta place
			User     string
			Pack     string
			Parent   map[string]any
		}
		if err := json.Unmarshal(child.Context, &want); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want.Orquesta)
		if string(a) != string(b) || want.User != "ann" || want.Pack != `a"b` || want.Parent["execution_id"] != string(x.ID) || contextUser(child.Context) != "ann" {
			t.Errorf("read %s, decoded %s of %s", a, b, child.Context)
		}
	}
}
