package yaql_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/internal/sharedtest"
)

type recording struct {
	Format   string                     `json:"format"`
	Contexts map[string]json.RawMessage `json:"contexts"`
	Cases    []recordedCase             `json:"cases"`
}

type recordedCase struct {
	Group   string          `json:"group"`
	Mode    string          `json:"mode"`
	Ctx     string          `json:"ctx"`
	Expr    string          `json:"expr"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

// datastore stands for StackStorm's: one key has a value.
func datastore() map[string]yaql.Function {
	return map[string]yaql.Function{
		"st2kv": {
			Params: []yaql.Param{{Name: "key"}}, Named: true,
			Call: func(c *yaql.Call) (any, error) {
				key, ok := c.Args[0].(string)
				if !ok {
					return nil, yaql.Raise("TypeError", "Given key is not typeof string.")
				}
				if key == "system.k" {
					return "v1", nil
				}
				if v, ok := c.Named.Get("default"); ok {
					return v, nil
				}
				return nil, yaql.Raise("ExpressionEvaluationException", `The key "%s" does not exist in the StackStorm datastore.`, key)
			},
		},
	}
}

// recordedContext is how the cases were recorded.
func recordedContext(mode string, data any) *yaql.Context {
	c := &yaql.Context{
		Functions: allFunctions,
		Now:       func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) },
		Rand:      rand.NewPCG(1, 2),
	}
	if mode == "orquesta" {
		vars, _ := data.(*value.Map)
		c.Env = &yaql.Workflow{Vars: vars}
		return c
	}
	c.Data = data
	return c
}

var allFunctions = yaql.NewFunctions(yaql.OrquestaFunctions(),
	yaql.StackStormFunctions(yaql.StackStormOptions{RefuseNested: true}), datastore())

func evaluate(c recordedCase, data any) (any, error) {
	ctx := recordedContext(c.Mode, data)
	if c.Mode == "orquesta" {
		return yaql.NewTemplate(c.Expr).Eval(ctx, yaql.Options{Reevaluate: true})
	}
	e, err := yaql.Compile(c.Expr)
	if err != nil {
		return nil, err
	}
	return e.Eval(ctx)
}

// TestConformance compares with every recorded answer: that there is a result or
// an error and which result (tier 1), the class of the error (tier 2), its text
// (tier 3).
func TestConformance(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Conformance(t)
	files, err := filepath.Glob(filepath.Join(dir, "yaql*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no yaql*.json in %s", dir)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rec recording
		if err := json.Unmarshal(raw, &rec); err != nil {
			t.Fatal(err)
		}
		if rec.Format != "yaql-conformance/1" {
			t.Fatalf("%s: format %q", file, rec.Format)
		}
		compareAll(t, rec)
	}
}

func compareAll(t *testing.T, rec recording) {
	contexts := map[string]any{}
	for name, raw := range rec.Contexts {
		v, err := value.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		contexts[name] = v
	}
	var tier1, failing, class, message int
	for _, c := range rec.Cases {
		got, err := evaluate(c, contexts[c.Ctx])
		switch {
		case c.Error == "" && err != nil:
			t.Errorf("%s %s %q: got error %v, want %s", c.Mode, c.Group, c.Expr, err, c.Result)
		case c.Error == "":
			want, derr := value.Decode(c.Result)
			if derr != nil {
				t.Fatal(derr)
			}
			if !sameRecorded(got, want) {
				t.Errorf("%s %s %q: got %s, want %s", c.Mode, c.Group, c.Expr, value.Repr(got), c.Result)
				continue
			}
			tier1++
		case err == nil:
			t.Errorf("%s %s %q: got %s, want %s: %s", c.Mode, c.Group, c.Expr, value.Repr(got), c.Error, c.Message)
		default:
			tier1++
			failing++
			e, ok := err.(*yaql.Error)
			if !ok {
				t.Fatalf("%q: error of type %T", c.Expr, err)
			}
			if e.Kind == c.Error {
				class++
			} else {
				t.Logf("tier 2: %s %q: got %s, want %s: %s", c.Mode, c.Expr, e.Error(), c.Error, c.Message)
			}
			if e.Message == c.Message {
				message++
			} else {
				t.Logf("tier 3: %s %q: got %q, want %q", c.Mode, c.Expr, e.Message, c.Message)
			}
		}
	}
	t.Logf("%d cases, %d agree (tier 1); of %d errors %d agree in class (tier 2), %d in text (tier 3)",
		len(rec.Cases), tier1, failing, class, message)
	if 100*class < 99*failing || 100*message < 99*failing {
		t.Errorf("of %d errors only %d agree in class, %d in text", failing, class, message)
	}
}

// sameRecorded compares a result with its recorded form, in which sets, special
// floats and values of other types are spelled as maps, and keys are text.
func sameRecorded(got, want any) bool {
	if m, ok := want.(*value.Map); ok {
		if members, ok := m.Str("$set"); ok && m.Len() == 1 {
			return sameSet(got, members)
		}
		if f, ok := m.Str("$float"); ok && m.Len() == 1 {
			g, ok := got.(float64)
			return ok && value.FormatFloat(g) == f
		}
		if typ, ok := m.Str("$type"); ok {
			s, _ := m.Str("$str")
			o, ok := got.(value.Object)
			return ok && o.PyType() == typ && value.Str(got) == s
		}
		g, ok := got.(*value.Map)
		if !ok || g.Len() != m.Len() {
			return false
		}
		for k, v := range g.All() {
			w, ok := m.Get(keyText(k))
			if !ok || !sameRecorded(v, w) {
				return false
			}
		}
		return true
	}
	if w, ok := value.Items(want); ok {
		g, ok := value.Items(got)
		return ok && slices.EqualFunc(g, w, sameRecorded)
	}
	return value.Type(got) == value.Type(want) && value.Equal(got, want)
}

func sameSet(got, want any) bool {
	set, ok := got.(*value.Set)
	if !ok {
		return false
	}
	left := set.Items()
	members, _ := value.Items(want)
	for _, w := range members {
		i := slices.IndexFunc(left, func(g any) bool { return sameRecorded(g, w) })
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return len(left) == 0
}

// keyText is a key as JSON spells it.
func keyText(k any) any {
	if s, ok := k.(string); ok {
		return s
	}
	b, err := value.Encode(k)
	if err != nil {
		return value.Str(k)
	}
	return strings.Trim(string(b), `"`)
}
