package schema_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/schema"
)

func compile(t testing.TB, doc string, o schema.Options) *schema.Schema {
	t.Helper()
	s, err := schema.Compile(json.RawMessage(doc), o)
	if err != nil {
		t.Fatalf("compile %s: %v", doc, err)
	}
	return s
}

// The wanted messages are python-jsonschema 4.26's for the same schema and value.
func TestMessages(t *testing.T) {
	t.Parallel()
	tests := []struct{ schema, value, want string }{
		{`{"type":"integer"}`, `"x"`, `'x' is not of type 'integer'`},
		{`{"type":"integer"}`, `1.0`, `1.0 is not of type 'integer'`},
		{`{"type":"integer"}`, `12345678901234567890`, ``},
		{`{"type":"number"}`, `true`, `True is not of type 'number'`},
		{`{"type":"number"}`, `1`, ``},
		{`{"type":["string","null"]}`, `5`, `5 is not of type 'string', 'null'`},
		{`{"type":"object"}`, `[1, "a'b", null]`, `[1, "a'b", None] is not of type 'object'`},
		{`{"enum":["a","b"]}`, `"c"`, `'c' is not one of ['a', 'b']`},
		{`{"enum":[1]}`, `1.0`, ``},
		{`{"enum":[1]}`, `true`, `True is not one of [1]`},
		{`{"enum":[{"a":[1]}]}`, `{"a":[1.0]}`, ``},
		{`{"minimum":3}`, `1`, `1 is less than the minimum of 3`},
		{`{"minimum":3,"exclusiveMinimum":true}`, `3`, `3 is less than or equal to the minimum of 3`},
		{`{"maximum":3}`, `5`, `5 is greater than the maximum of 3`},
		{`{"maximum":3,"exclusiveMaximum":true}`, `3`, `3 is greater than or equal to the maximum of 3`},
		{`{"multipleOf":3}`, `5`, `5 is not a multiple of 3`},
		{`{"minLength":3}`, `"é"`, `'é' is too short`},
		{`{"maxLength":1}`, `"abc"`, `'abc' is too long`},
		{`{"pattern":"^a"}`, `"b"`, `'b' does not match '^a'`},
		{`{"pattern":"b"}`, `"abc"`, ``},
		{`{"pattern":"^(?!-).*$"}`, `"-a"`, `'-a' does not match '^(?!-).*$'`},
		{`{"minItems":1}`, `[]`, `[] should be non-empty`},
		{`{"minItems":2}`, `[1]`, `[1] is too short`},
		{`{"maxItems":1}`, `[1,2]`, `[1, 2] is too long`},
		{`{"uniqueItems":true}`, `[1,1.0]`, `[1, 1.0] has non-unique elements`},
		{`{"uniqueItems":true}`, `[1,true,"1",[1],[2]]`, ``},
		{`{"items":[{}],"additionalItems":false}`, `[1,2]`, `Additional items are not allowed (2 was unexpected)`},
		{`{"items":{"type":"string"}}`, `["a",1]`, `[1]: 1 is not of type 'string'`},
		{`{"minProperties":1}`, `{}`, `{} should be non-empty`},
		{`{"minProperties":2}`, `{"a":null}`, `{'a': None} does not have enough properties`},
		{`{"maxProperties":1}`, `{"a":1,"b":2}`, `{'a': 1, 'b': 2} has too many properties`},
		{`{"additionalProperties":false,"properties":{"a":{}}}`, `{"a":1,"b":2,"c":3}`, `Additional properties are not allowed ('b', 'c' were unexpected)`},
		{`{"additionalProperties":false,"properties":{"a":{}}}`, `{"b":2}`, `Additional properties are not allowed ('b' was unexpected)`},
		{`{"additionalProperties":false,"patternProperties":{"^x":{}}}`, `{"b":2}`, `'b' does not match any of the regexes: '^x'`},
		{`{"patternProperties":{"^x":{"type":"string"}}}`, `{"xy":2}`, `xy: 2 is not of type 'string'`},
		{`{"properties":{"a":{"required":true}}}`, `{}`, `'a' is a required property`},
		{`{"properties":{"a":{"properties":{"b":{"required":true}}}}}`, `{"a":{}}`, `a: 'b' is a required property`},
		{`{"required":["q"]}`, `{}`, `'q' is a required property`},
		{`{"dependencies":{"a":["b"]}}`, `{"a":1}`, `'b' is a dependency of 'a'`},
		{`{"anyOf":[{"type":"string"}]}`, `5`, `5 is not valid under any of the given schemas`},
		{`{"oneOf":[{"type":"integer"},{"minimum":2}]}`, `5`, `5 is valid under each of {'type': 'integer'}, {'minimum': 2}`},
		{`{"allOf":[{"type":"integer"},{"minimum":7}]}`, `5`, `5 is less than the minimum of 7`},
		{`{"not":{"type":"integer"}}`, `5`, `5 should not be valid under {'type': 'integer'}`},
		{`{"properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"string"}}}`, `{"a":1}`, `a: 1 is not of type 'string'`},
		{`{"properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}`, `{"next":{"next":{"v":"x"}}}`, `next.next.v: 'x' is not of type 'integer'`},
		{`{"type":"string","format":"email"}`, `"not an address"`, ``},
		{`{"properties":{"pw":{"type":"integer","secret":true}}}`, `{"pw":"hunter2"}`, `pw: '********' is not of type 'integer'`},
		{`{"properties":{"a":{"type":"integer"},"b":{"type":"boolean"}}}`, `{"a":"x","b":1}`, `a: 'x' is not of type 'integer'; b: 1 is not of type 'boolean'`},
	}
	for _, tt := range tests {
		err := compile(t, tt.schema, schema.Options{}).Validate(json.RawMessage(tt.value))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s against %s: got %q, want %q", tt.value, tt.schema, got, tt.want)
		}
	}
}

func TestParametersMayBeNullWhereOptional(t *testing.T) {
	t.Parallel()
	props := []schema.Property{
		{"host", json.RawMessage(`{"type":"string","required":true}`)},
		{"port", json.RawMessage(`{"type":"integer","default":22}`)},
		{"user", json.RawMessage(`{"type":"string"}`)},
		{"maybe", json.RawMessage(`{"type":"integer","required":true,"default":null}`)},
		{"untyped", json.RawMessage(`{"description":"optional and untyped is text"}`)},
		{"any", nil},
		{"choice", json.RawMessage(`{"anyOf":[{"type":"integer"}]}`)},
		{"nested", json.RawMessage(`{"type":"object","properties":{"x":{"type":"integer"}}}`)},
	}
	s, err := schema.Parameters(props, false, schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ value, want string }{
		{`{"host":"a","user":null,"maybe":null,"any":null,"choice":null,"nested":{"x":null}}`, ``},
		{`{"host":"a","maybe":1,"any":[1]}`, ``},
		{`{"host":null,"maybe":1}`, `host: None is not of type 'string'`},
		{`{"maybe":1}`, `'host' is a required property`},
		{`{"host":"a","maybe":1,"untyped":5}`, `untyped: 5 is not of type 'string', 'null'`},
		{`{"host":"a","maybe":1,"choice":"x"}`, `choice: 'x' is not valid under any of the given schemas`},
		{`{"host":"a","maybe":1,"hots":"b"}`, `Additional properties are not allowed ('hots' was unexpected)`},
	}
	for _, tt := range tests {
		_, err := s.Complete(json.RawMessage(tt.value))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestCompleteFillsInDefaults(t *testing.T) {
	t.Parallel()
	const doc = `{"type":"object","properties":{
		"port":{"type":"integer","default":22},
		"tls":{"type":"object","properties":{"verify":{"type":"boolean","default":true},"depth":{"type":"integer"}}},
		"servers":{"type":"array","items":{"type":"object","properties":{"port":{"type":"integer","default":80}}}},
		"late":{"type":"object","default":{"a":{}},"properties":{"a":{"type":"object","properties":{"b":{"default":"c"}}}}},
		"exclusive":{"type":"boolean","default":false},"limit":{"type":"integer"}},
		"dependencies":{"exclusive":["limit"]}}`
	tests := []struct{ value, want string }{
		{`{}`, `{"port":22,"late":{"a":{"b":"c"}}}`},
		{`{"port":null,"x":1}`, `{"port":22,"x":1,"late":{"a":{"b":"c"}}}`},
		{`{"limit":1,"port":1,"late":{}}`, `{"limit":1,"port":1,"late":{},"exclusive":false}`},
		{`{"tls":{},"servers":[{},{"port":1}],"port":1,"late":{}}`, `{"tls":{"verify":true},"servers":[{"port":80},{"port":1}],"port":1,"late":{}}`},
		{`{"port": 1, "late": {}}`, `{"port": 1, "late": {}}`},
	}
	s := compile(t, doc, schema.Options{AllowNull: true})
	for range 2 { // twice: defaults must not be changed by use
		for _, tt := range tests {
			got, err := s.Complete(json.RawMessage(tt.value))
			if err != nil || string(got) != tt.want {
				t.Errorf("%s: got %s, %v, want %s", tt.value, got, err, tt.want)
			}
		}
	}
}

func TestCompileNamesAllMistakes(t *testing.T) {
	t.Parallel()
	_, err := schema.Compile(json.RawMessage(`{"type":"strnig","properties":{"a":{"minimum":"x","pattern":"("},"b":{"$ref":"http://x/y"},"c":{"$ref":"#/nope"}}}`), schema.Options{})
	for _, want := range []string{"/type: unknown type 'strnig'", "/properties/a/minimum: expected a number", "/properties/a/pattern: missing ), unterminated subpattern",
		"/properties/b/$ref: cannot follow", "/properties/c/$ref: nothing is at #/nope"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to contain %q", err, want)
		}
	}
}

func TestPatternEngineCanBeChosen(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"pattern":"(?=x)"}`, schema.Options{Pattern: func(string) (func(string) bool, error) {
		return func(text string) bool { return text == "xy" }, nil
	}})
	if err := s.Validate(json.RawMessage(`"xy"`)); err != nil {
		t.Error(err)
	}
	if err := s.Validate(json.RawMessage(`"y"`)); err == nil {
		t.Error("got no error for a text that does not match")
	}
}

func TestListOfRequiredNames(t *testing.T) {
	t.Parallel()
	const doc = `{"type":"object","required":["a"]}`
	if err := compile(t, doc, schema.Options{}).Validate(json.RawMessage(`{}`)); err == nil {
		t.Error("got no error for what draft 4 requires")
	}
	if err := compile(t, doc, schema.Options{AllowNull: true}).Validate(json.RawMessage(`{}`)); err != nil {
		t.Errorf("got %v, but StackStorm does not know the list", err)
	}
}

func TestSelfReferenceEnds(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`, schema.Options{})
	var e *schema.Error
	if err := s.Validate(json.RawMessage(`1`)); !errors.As(err, &e) {
		t.Errorf("got %v, want a schema error", err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	got, err := schema.Merge(json.RawMessage(`{"a":{"type":"string","default":1},"b":2}`), json.RawMessage(`{"c":3,"a":{"default":{"x":1}}}`))
	if want := `{"a":{"type":"string","default":{"x":1}},"b":2,"c":3}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestNotJSON(t *testing.T) {
	t.Parallel()
	s := compile(t, `{}`, schema.Options{})
	for _, src := range []string{"", "{", "[1,]", `{"a" 1}`, "01", "1.", "tru", `"a`, "\"\x01\"", "1 2", strings.Repeat("[", 1000)} {
		if err := s.Validate(json.RawMessage(src)); err == nil {
			t.Errorf("%q: got no error", src)
		}
	}
}

func ExampleSchema_Complete() {
	s, err := schema.Parameters([]schema.Property{
		{Name: "host", Schema: json.RawMessage(`{"type":"string","required":true}`)},
		{Name: "port", Schema: json.RawMessage(`{"type":"integer","default":22}`)},
	}, false, schema.Options{})
	if err != nil {
		panic(err)
	}
	full, err := s.Complete(json.RawMessage(`{"host":"db1"}`))
	fmt.Println(string(full), err)
	_, err = s.Complete(json.RawMessage(`{"prot":2222}`))
	fmt.Println(err)
	// Output:
	// {"host":"db1","port":22} <nil>
	// 'host' is a required property; Additional properties are not allowed ('prot' was unexpected)
}

func FuzzComplete(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"default":1}}}`), []byte(`{"b":[1,2.5e3,"\u00e9"]}`))
	f.Add([]byte(`{"items":[{"$ref":"#"}],"uniqueItems":true}`), []byte(`[[],[]]`))
	f.Add([]byte(`{"anyOf":[{"enum":[1,"a"]},{"not":{}}]}`), []byte(`"a"`))
	f.Fuzz(func(t *testing.T, doc, value []byte) {
		s, err := schema.Compile(doc, schema.Options{AllowNull: true})
		if err != nil {
			return
		}
		got, err := s.Complete(value)
		if valid := json.Valid(value); err == nil && !valid && len(value) < 200 {
			t.Fatalf("%q was taken for JSON", value)
		}
		if err == nil && !json.Valid(got) {
			t.Fatalf("%q became %q", value, got)
		}
	})
}

func BenchmarkComplete(b *testing.B) {
	s, err := schema.Parameters([]schema.Property{
		{Name: "cmd", Schema: json.RawMessage(`{"type":"string","required":true}`)},
		{Name: "cwd", Schema: json.RawMessage(`{"type":"string"}`)},
		{Name: "env", Schema: json.RawMessage(`{"type":"object"}`)},
		{Name: "sudo", Schema: json.RawMessage(`{"type":"boolean","default":false}`)},
		{Name: "timeout", Schema: json.RawMessage(`{"type":"integer","default":60}`)},
	}, false, schema.Options{})
	if err != nil {
		b.Fatal(err)
	}
	value := json.RawMessage(`{"cmd":"systemctl restart nginx","cwd":"/tmp","env":{"A":"b"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Complete(value); err != nil {
			b.Fatal(err)
		}
	}
}
