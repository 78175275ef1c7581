package render_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
)

func open(s string) (string, error) {
	if !strings.HasPrefix(s, "box:") {
		return "", hayate.ErrInvalid
	}
	return s[4:], nil
}

func seal(s string) (string, error) { return "box:" + s, nil }

func param(name, schema string) hayate.Parameter {
	p := hayate.Parameter{Name: name, Schema: json.RawMessage(schema)}
	var v struct {
		Type      string
		Default   json.RawMessage
		Required  bool
		Immutable bool
		Secret    bool
	}
	if err := json.Unmarshal(p.Schema, &v); err != nil {
		panic(err)
	}
	p.Type, p.Default, p.Required, p.Immutable, p.Secret = v.Type, v.Default, v.Required, v.Immutable, v.Secret
	return p
}

func plan(t *testing.T, action, runner hayate.Parameters) *render.Plan {
	t.Helper()
	p, err := render.New(open).NewPlan("test.act", action, runner)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func event(data string) *render.Trigger {
	return render.NewTrigger(&hayate.Event{Data: []byte(data)})
}

func TestLive(t *testing.T) {
	ps := hayate.Parameters{
		param("s", `{"type":"string"}`), param("i", `{"type":"integer"}`), param("n", `{"type":"number"}`), param("b", `{"type":"boolean"}`),
		param("a", `{"type":"array"}`), param("o", `{"type":"object"}`), param("any", `{}`),
		param("greeting", `{"type":"string","default":"hello {{ s }}"}`), param("plain", `{"type":"string","default":"as it is"}`),
	}
	p := plan(t, ps, nil)
	const ev = `{"host":"web1","n":7,"list":[1,"a",{"b":null}],"big":12345678901234567890,"名":"障害"}`
	for _, c := range []struct{ name, given, want string }{
		{"nothing stores only defaults that are templates", `{"s":"x"}`, `{"s":"x","greeting":"hello x"}`},
		{"a text from the event", `{"s":"{{ trigger.host }}"}`, `{"s":"web1","greeting":"hello web1"}`},
		{"text in another script", `{"s":"{{ trigger.名 }}です"}`, `{"s":"障害です","greeting":"hello 障害です"}`},
		{"an integer keeps its kind", `{"s":"","i":"{{ trigger.n }}"}`, `{"s":"","i":7,"greeting":"hello "}`},
		{"a float given for an integer is cut", `{"s":"","i":5.7}`, `{"s":"","i":5,"greeting":"hello "}`},
		{"an integer given for a number becomes a float", `{"s":"","n":5}`, `{"s":"","n":5.0,"greeting":"hello "}`},
		{"a boolean is read from its name", `{"s":"","b":"true"}`, `{"s":"","b":true,"greeting":"hello "}`},
		{"an array from JSON", `{"s":"","a":"[1, 2]"}`, `{"s":"","a":[1,2],"greeting":"hello "}`},
		{"an array from a Python literal", `{"s":"","a":"{{ trigger.list }}"}`, `{"s":"","a":[1,"a",{"b":null}],"greeting":"hello "}`},
		{"a bare name in an object keeps its type", `{"s":"","i":3,"o":{"x":"{{i}}","y":"{{ trigger.n }}"}}`, `{"s":"","i":3,"o":{"x":3,"y":"7"},"greeting":"hello "}`},
		{"parameters refer to each other in any order", `{"any":"{{ s }}!","s":"{{ i }}","i":4}`, `{"any":"4!","s":"4","i":4,"greeting":"hello 4"}`},
		{"null takes the default", `{"s":"x","plain":null}`, `{"s":"x","greeting":"hello x"}`},
		{"use_none is null", `{"s":"{{ none | use_none }}","greeting":"g"}`, `{"s":null,"greeting":"g"}`},
		{"what is no valid template is a literal", `{"s":"100 {% of it","greeting":"g"}`, `{"s":"100 {% of it","greeting":"g"}`},
		{"large integers stay whole", `{"s":"","any":12345678901234567890,"greeting":"g"}`, `{"s":"","any":12345678901234567890,"greeting":"g"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, need, err := p.Live(&render.Scope{Trigger: event(ev)}, json.RawMessage(c.given))
			if err != nil || need != nil || string(got) != c.want {
				t.Errorf("Live(%s) is %s, %v, %v; want %s", c.given, got, need, err, c.want)
			}
		})
	}
}

func TestLiveRefuses(t *testing.T) {
	p := plan(t, hayate.Parameters{
		param("s", `{"type":"string","required":true}`), param("i", `{"type":"integer"}`), param("b", `{"type":"boolean"}`),
		param("fixed", `{"type":"string","immutable":true,"default":"x"}`), param("e", `{"type":"string","enum":["on","off"]}`),
	}, nil)
	for _, c := range []struct {
		name, given, text string
		kind              render.Kind
	}{
		{"a missing variable", `{"s":"{{ nowhere }}"}`, `"nowhere"`, render.Graph},
		{"a circle", `{"s":"{{ i }}","i":"{{ s }}"}`, "Cyclic", render.Graph},
		{"a template that fails", `{"s":"{{ trigger.a.b.c }}"}`, `"s"`, render.Template},
		{"an integer for a text", `{"s":5}`, "must be a string", render.Cast},
		{"half an integer", `{"s":"","i":"5.5"}`, "an integer", render.Cast},
		{"yes for a boolean", `{"s":"","b":"yes"}`, "a boolean", render.Cast},
		{"what is required and absent", `{}`, "s", render.Schema},
		{"a value that is not allowed", `{"s":"","e":"maybe"}`, "maybe", render.Schema},
		{"a name that is not there", `{"s":"","z":1}`, "z", render.Schema},
		{"a fixed parameter, though the value is the same", `{"s":"","fixed":"x"}`, "immutable", render.Immutable},
		{"a list", `[1]`, "object", render.Schema},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := p.Live(&render.Scope{Trigger: event(`{"a":{}}`)}, json.RawMessage(c.given))
			e, ok := render.AsError(err)
			if !ok || e.Kind != c.kind || !strings.Contains(e.Message, c.text) || !errors.Is(err, hayate.ErrInvalid) {
				t.Errorf("Live(%s) says %v; want kind %d and %q", c.given, err, c.kind, c.text)
			}
		})
	}
}

func TestDatastoreValuesAreAskedFor(t *testing.T) {
	p := plan(t, hayate.Parameters{param("s", `{"type":"string"}`)}, nil)
	given := json.RawMessage(`{"s":"{{ st2kv.system.db.host }}/{{ st2kv.user.name }}/{{ system.old }}/{{ st2kv.system.pw | decrypt_kv }}"}`)
	_, need, err := p.Live(&render.Scope{}, given)
	if want := []string{"system.db.host", "user.name", "system.old", "system.pw"}; err != nil || !slices.Equal(need, want) {
		t.Fatalf("needs %q, %v; want %q", need, err, want)
	}
	got, need, err := p.Live(&render.Scope{KV: map[string]string{"system.db.host": "db1", "user.name": "kai", "system.old": "", "system.pw": "box:secret"}}, given)
	if err != nil || need != nil || string(got) != `{"s":"db1/kai//secret"}` {
		t.Errorf("Live is %s, %q, %v", got, need, err)
	}
}

func TestFinalSplitsAndOpens(t *testing.T) {
	p := plan(t,
		hayate.Parameters{param("host", `{"type":"string"}`), param("pw", `{"type":"string","secret":true}`), param("cmd", `{"default":"ping {{ host }}","immutable":true}`)},
		hayate.Parameters{param("cmd", `{"type":"string"}`), param("timeout", `{"type":"integer","default":60}`)})
	live, _, err := p.Live(&render.Scope{}, json.RawMessage(`{"host":"{{ '{{ x }}' }}","pw":"s3cret"}`))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := p.Seal(live, nil, seal)
	if err != nil || strings.Contains(strings.ReplaceAll(string(stored), "box:", ""), `"s3cret"`) {
		t.Fatalf("stored is %s, %v", stored, err)
	}
	if got := string(p.Mask(stored, nil)); !strings.Contains(got, `"pw":"********"`) {
		t.Errorf("masked is %s", got)
	}
	f, _, err := p.Final(&render.Scope{}, stored)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"cmd":"ping {{ x }}","timeout":60}`; string(f.Runner) != want {
		t.Errorf("the runner gets %s, want %s: what is stored is data", f.Runner, want)
	}
	if want := `{"host":"{{ x }}","pw":"s3cret"}`; string(f.Action) != want {
		t.Errorf("the action gets %s, want %s", f.Action, want)
	}
	if !slices.Equal(f.Secrets, []string{"s3cret"}) {
		t.Errorf("secrets are %q", f.Secrets)
	}
}

func TestConfigContext(t *testing.T) {
	rd := render.New(open)
	c, err := rd.NewConfig(json.RawMessage(`{"url":"http://{{ st2kv.system.host }}/","token":"{{ st2kv.system.token }}","plain":"as is","nested":{"a":["{{ st2kv.system.none }}",1]}}`),
		json.RawMessage(`{"token":{"type":"string","secret":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := rd.NewPlan("test.act", hayate.Parameters{param("s", `{"type":"string"}`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	given := json.RawMessage(`{"s":"{{ config_context.url }} {{ config_context.token }} {{ config_context.plain }} {{ config_context.nested.a }}"}`)
	scope := &render.Scope{Config: c, KV: map[string]string{}}
	for range 5 {
		got, need, err := p.Live(scope, given)
		if err != nil {
			t.Fatal(err)
		}
		if len(need) == 0 {
			if want := `{"s":"http://h1/ t0ken as is [None, 1]"}`; string(got) != want {
				t.Errorf("Live is %s, want %s", got, want)
			}
			return
		}
		for _, k := range need {
			scope.KV[k] = map[string]string{"system.host": "h1", "system.token": "box:t0ken"}[k]
		}
	}
	t.Error("the configuration asks for ever more keys")
}

func TestMaskResult(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"password":{"type":"string","secret":true},"list":{"type":"array","items":{"type":"object","properties":{"key":{"secret":true}}}}}}`)
	got := render.MaskResult(json.RawMessage(`{"exit":0,"result":{"password":"p","list":[{"key":"k","name":"n"}]}}`), schema, "result")
	if want := `{"exit":0,"result":{"password":"********","list":[{"key":"********","name":"n"}]}}`; string(got) != want {
		t.Errorf("masked is %s, want %s", got, want)
	}
}

func BenchmarkLive(b *testing.B) {
	p, err := render.New(open).NewPlan("test.act", hayate.Parameters{param("host", `{"type":"string"}`), param("n", `{"type":"integer"}`)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	given := json.RawMessage(`{"host":"{{ trigger.host }}","n":"{{ trigger.n }}"}`)
	for b.Loop() {
		if _, _, err := p.Live(&render.Scope{Trigger: event(`{"host":"web1","n":7}`)}, given); err != nil {
			b.Fatal(err)
		}
	}
}

func ExamplePlan_Live() {
	p, err := render.New(open).NewPlan("demo.restart", hayate.Parameters{param("host", `{"type":"string"}`), param("count", `{"type":"integer"}`)}, nil)
	if err != nil {
		panic(err)
	}
	got, _, err := p.Live(&render.Scope{Trigger: event(`{"host":"web1","n":3}`)}, json.RawMessage(`{"host":"{{ trigger.host }}","count":"{{ trigger.n }}"}`))
	fmt.Println(string(got), err)
	// Output: {"host":"web1","count":3} <nil>
}

// sealAll goes the way of an execution: rendered, stored, shown, and made ready.
func sealAll(t *testing.T, p *render.Plan, s *render.Scope, given string) (stored, shown string, f render.Final) {
	t.Helper()
	live, need, err := p.Live(s, json.RawMessage(given))
	if err != nil || need != nil {
		t.Fatalf("live: %v, needs %q", err, need)
	}
	sealed, err := p.Seal(live, s.Private, func(text string) (string, error) {
		return "hex:" + hex.EncodeToString([]byte(text)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if live, sealed := string(p.Mask(live, s.Private)), string(p.Mask(sealed, nil)); live != sealed {
		t.Errorf("a firing shows %s, the execution %s", live, sealed)
	}
	f, _, err = p.Final(&render.Scope{}, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return string(sealed), string(p.Mask(sealed, nil)), f
}

func openHex(s string) (string, error) {
	if plain, ok := strings.CutPrefix(s, "box:"); ok {
		return plain, nil
	}
	b, err := hex.DecodeString(strings.TrimPrefix(s, "hex:"))
	return string(b), err
}

func TestParametersThatHoldSecretsAreSealed(t *testing.T) {
	rd := render.New(openHex)
	p, err := rd.NewPlan("test.act", hayate.Parameters{
		param("token", `{"type":"string","secret":true}`), param("a", `{}`), param("list", `{"type":"array"}`),
		param("cmd", `{"type":"string","default":"echo {{ token }}"}`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := rd.NewConfig(json.RawMessage(`{"key":"{{ st2kv.system.pw }}","host":"web1"}`), json.RawMessage(`{"key":{"secret":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, given, shown, action, secrets string }{
		{"a default that names a secret parameter", `{"token":"hunter2"}`,
			`{"token":"********","cmd":"********"}`, `"cmd":"echo hunter2"`, `[hunter2]`},
		{"a parameter that names one that does", `{"token":"hunter2","a":"{{ cmd }}!"}`,
			`{"token":"********","a":"********","cmd":"********"}`, `"a":"echo hunter2!"`, `[hunter2]`},
		{"a secret of the datastore", `{"a":"x {{ st2kv.system.pw | decrypt_kv }}"}`,
			`{"a":"********","cmd":"echo None"}`, `"a":"x opensesame"`, `[opensesame]`},
		{"one in a list", `{"list":["{{ st2kv.system.pw | decrypt_kv }}"]}`,
			`{"list":"********","cmd":"echo None"}`, `"list":["opensesame"]`, `[opensesame]`},
		{"a secret of the configuration", `{"a":"{{ config_context.key }}"}`,
			`{"a":"********","cmd":"echo None"}`, `"a":"opensesame"`, `[opensesame]`},
		{"what of the configuration is not secret", `{"a":"{{ config_context.host }}"}`,
			`{"a":"web1","cmd":"echo None"}`, `"a":"web1"`, `[]`},
		{"a text that is known", `{"a":"it is sesame-street"}`,
			`{"a":"********","cmd":"echo None"}`, `"a":"it is sesame-street"`, `[sesame-street]`},
		{"a ciphertext is none", `{"a":"{{ st2kv.system.pw }}"}`,
			`{"a":"box:opensesame","cmd":"echo None"}`, `"a":"box:opensesame"`, `[]`},
		{"what only looks sealed is not opened", `{"a":"sealed:v2:box:{\"value\":1}"}`,
			`{"a":"********","cmd":"echo None"}`, `"a":"sealed:v2:box:{\"value\":1}"`, `[]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &render.Scope{KV: map[string]string{"system.pw": "box:opensesame"}, Config: config, Known: []string{"sesame-street", "o"}}
			stored, shown, f := sealAll(t, p, s, c.given)
			if shown != c.shown {
				t.Errorf("shown is %s, want %s", shown, c.shown)
			}
			if !strings.Contains(string(f.Action), c.action) {
				t.Errorf("the action gets %s, want %s in it", f.Action, c.action)
			}
			if got := fmt.Sprint(f.Secrets); got != c.secrets {
				t.Errorf("secrets are %s, want %s", got, c.secrets)
			}
			for _, secret := range f.Secrets {
				if strings.Contains(stored, secret) {
					t.Errorf("stored is %s, with %q in clear", stored, secret)
				}
			}
			if shown := string(render.MaskSealed(json.RawMessage(stored))); len(f.Secrets) > 0 && shown != c.shown {
				t.Errorf("without its action, shown is %s", shown)
			}
		})
	}
}

func TestPrivateParametersStayPrivateWhenRunAgain(t *testing.T) {
	p, err := render.New(openHex).NewPlan("test.act", hayate.Parameters{param("a", `{}`), param("b", `{}`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const opening = `{{ st2kv.system.pw | decrypt_kv }}`
	s := &render.Scope{KV: map[string]string{"system.pw": "box:opensesame"}}
	stored, _, _ := sealAll(t, p, s, `{"a":"`+opening+`","b":"`+opening+`"}`)
	merged, private, err := p.Merge(json.RawMessage(stored), json.RawMessage(`{"b":"new"}`))
	if err != nil {
		t.Fatal(err)
	}
	stored, shown, f := sealAll(t, p, &render.Scope{Keep: private}, string(merged))
	if strings.Contains(stored, "opensesame") || shown != `{"a":"********","b":"new"}` || string(f.Action) != `{"a":"opensesame","b":"new"}` {
		t.Errorf("stored is %s, shown %s, the action gets %s", stored, shown, f.Action)
	}
	if !slices.Equal(f.Secrets, []string{"opensesame"}) {
		t.Errorf("secrets are %q", f.Secrets)
	}
}

func TestRefusalsDoNotShowSecrets(t *testing.T) {
	p := plan(t, hayate.Parameters{param("n", `{"type":"integer"}`), param("key", `{"type":"integer","secret":true}`)}, nil)
	for _, given := range []string{`{"n":"{{ st2kv.system.pw | decrypt_kv }}"}`, `{"key":"opensesame"}`} {
		_, _, err := p.Live(&render.Scope{KV: map[string]string{"system.pw": "box:opensesame"}}, json.RawMessage(given))
		if e, ok := render.AsError(err); !ok || e.Kind != render.Cast || strings.Contains(err.Error(), "opensesame") || !strings.Contains(err.Error(), "integer") {
			t.Errorf("%s: %v", given, err)
		}
	}
}
