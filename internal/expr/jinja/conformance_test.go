package jinja_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
)

// hooks reads just enough YAML for the recorded cases: what is JSON, too, one
// pair, or one item.
var hooks = jinja.Hooks{ParseYAML: func(s string) (any, error) {
	if item, ok := strings.CutPrefix(s, "- "); ok {
		v, err := value.DecodeString(item)
		return value.List{v}, err
	}
	if k, v, ok := strings.Cut(s, ": "); ok && !strings.HasPrefix(s, "{") {
		x, err := value.DecodeString(v)
		return value.MapOf(k, x), err
	}
	return value.DecodeString(s)
}}

// orquesta returns an environment with Orquesta's own functions over a context.
func orquesta(context *value.Map) *jinja.Env {
	functions := jinja.SharedFunctions(hooks)
	functions["ctx"] = func(c *jinja.Call) (any, error) {
		a, err := c.Bind("ctx", 0, "key")
		if err != nil || a[0] == nil || a[0] == (jinja.Absent{}) {
			return context, err
		}
		if u, ok := a[0].(*jinja.Undefined); ok {
			return nil, value.Raise(u.Class, "%s", u.Hint)
		}
		v, ok := context.Get(a[0])
		if !ok {
			return nil, value.Raise("VariableUndefinedError", `The variable "%s" is undefined.`, value.Str(a[0]))
		}
		return v, nil
	}
	functions["item"] = func(*jinja.Call) (any, error) { return nil, nil }
	functions["zip"] = zip
	functions["json"] = func(c *jinja.Call) (any, error) { return value.Loads(value.Str(c.Args[0])) }
	functions["st2kv"] = func(c *jinja.Call) (any, error) {
		if len(c.Args) == 1 && c.Args[0] == "system.k" && c.Names == nil {
			return "v1", nil
		}
		if len(c.Named) == 1 {
			return c.Named[0], nil
		}
		return nil, value.Raise("ExpressionEvaluationException", `The key "%s" does not exist in the StackStorm datastore.`, value.Str(c.Args[0]))
	}
	for _, n := range []string{"succeeded", "failed", "completed", "result"} {
		functions[n] = func(*jinja.Call) (any, error) {
			return nil, value.Raise("ExpressionEvaluationException", "The current task is not set in the context.")
		}
	}
	o := jinja.OrquestaOptions(functions)
	filters := map[string]jinja.Function{}
	for n, f := range functions {
		filters[n] = f
	}
	// As a filter, st2kv gets the value in place of the context.
	filters["st2kv"] = func(*jinja.Call) (any, error) {
		return nil, value.TypeErrorf("st2kv() missing 1 required positional argument: 'key'")
	}
	o.Filters = filters
	return jinja.New(o)
}

func zip(c *jinja.Call) (any, error) {
	if len(c.Args) == 1 {
		return c.Args[0], nil
	}
	var pad any
	if len(c.Named) > 0 {
		pad = c.Named[0]
	}
	n := 0
	for _, a := range c.Args {
		items, _ := value.Items(a)
		n = max(n, len(items))
	}
	out := value.List{}
	for i := range n {
		row := value.Tuple{}
		for _, a := range c.Args {
			x := pad
			if items, _ := value.Items(a); i < len(items) {
				x = items[i]
			}
			row = append(row, x)
		}
		out = append(out, row)
	}
	return out, nil
}

type recorded struct {
	Mode    string
	Expr    json.RawMessage
	Result  json.RawMessage
	Error   string
	Message string
}

func TestConformanceJinja(t *testing.T) {
	t.Parallel()
	var file struct {
		Context json.RawMessage
		Cases   []recorded
	}
	if err := json.Unmarshal(sharedtest.Answers(t, "jinja.json"), &file); err != nil {
		t.Fatal(err)
	}
	v, err := value.Decode(file.Context)
	if err != nil {
		t.Fatal(err)
	}
	context := v.(*value.Map)
	envs := map[string]*jinja.Env{
		"orquesta":   orquesta(context),
		"st2":        jinja.New(jinja.StackStormOptions(hooks, true)),
		"st2-lax":    jinja.New(jinja.StackStormOptions(hooks, false)),
		"st2-values": jinja.New(jinja.StackStormOptions(hooks, true)),
	}
	answers, messages := 0, 0
	for _, c := range file.Cases {
		expr, err := value.Decode(c.Expr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := answer(envs[c.Mode], c.Mode, expr, context)
		if err != nil {
			var e *jinja.Error
			class, message := "", err.Error()
			if errors.As(err, &e) {
				class, message = e.Class, e.Message
			}
			if c.Error == "" {
				t.Errorf("%s %s: failed with %v, want %s", c.Mode, c.Expr, err, c.Result)
				continue
			}
			answers++
			if class != c.Error || message != c.Message {
				t.Errorf("%s %s:\ngot  %s: %s\nwant %s: %s", c.Mode, c.Expr, class, message, c.Error, c.Message)
				continue
			}
			messages++
			continue
		}
		if c.Error != "" {
			t.Errorf("%s %s: got %s, want %s: %s", c.Mode, c.Expr, got, c.Error, c.Message)
			continue
		}
		want, err := value.Decode(c.Result)
		if err != nil {
			t.Fatal(err)
		}
		if got != value.Repr(want) {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.Mode, c.Expr, got, value.Repr(want))
			continue
		}
		answers++
		messages++
	}
	t.Logf("%d cases, %d agree, %d in their messages too", len(file.Cases), answers, messages)
}

// answer evaluates a case; the result is shown as the recordings show it.
func answer(env *jinja.Env, mode string, expr any, context *value.Map) (string, error) {
	vars := jinja.Values{}
	for k, v := range context.All() {
		vars[k.(string)] = v
	}
	switch mode {
	case "orquesta":
		v, err := env.CompileText(expr.(string), true).Eval(jinja.Values{})
		if err == nil {
			v, err = jinja.Native(v)
		}
		if err != nil {
			var ve *value.Error
			var je *jinja.Error
			if !errors.As(err, &je) && errors.As(err, &ve) {
				err = &jinja.Error{Class: ve.Class, Message: ve.Message}
			}
			return "", err
		}
		return value.Repr(shown(v)), nil
	case "st2-values":
		vars["__context"] = context
		v, err := renderAll(env, expr, vars)
		return value.Repr(v), err
	}
	tmpl, err := env.Compile(expr.(string))
	if err != nil {
		return "", err
	}
	text, err := tmpl.Render(vars)
	return value.Repr(text), err
}

// shown writes what JSON cannot hold as the recordings do.
func shown(v any) any {
	switch v := v.(type) {
	case *value.Set:
		return value.MapOf("$set", shown(v.Items()))
	case value.List:
		out := value.List{}
		for _, x := range v {
			out = append(out, shown(x))
		}
		return out
	case value.Tuple:
		return shown(value.List(v))
	case value.Object:
		return value.MapOf("$type", v.PyType(), "$str", value.Str(v))
	}
	return v
}

func renderAll(env *jinja.Env, v any, vars jinja.Values) (any, error) {
	switch v := v.(type) {
	case string:
		tmpl, err := env.Compile(v)
		if err != nil {
			return nil, err
		}
		return tmpl.Render(vars)
	case value.List:
		out := value.List{}
		for _, x := range v {
			y, err := renderAll(env, x, vars)
			if err != nil {
				return nil, err
			}
			out = append(out, y)
		}
		return out, nil
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			y, err := renderAll(env, x, vars)
			if err != nil {
				return nil, err
			}
			out.Set(k, y)
		}
		return out, nil
	}
	return v, nil
}
