package orquesta

import (
	"errors"
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/workflows/flow"
)

// env is what an expression can see of a run.
type env struct {
	run       *Run
	vars      *vars
	node      *node // the current task; nil outside of one
	route     int
	at        int // sequence index of the current task's entry, -1 for none
	result    any
	hasResult bool
	item      any
	shown     *yaql.Workflow // what Workflow returned
}

// program is a compiled text with expressions. Errors are *Error, or *flow.Need.
type program interface {
	run(e *env) (any, error)
}

// template is a value in which texts may hold expressions. It is immutable.
type template struct {
	lit        any // the value, where there is nothing to evaluate
	text       program
	list       []*template
	keys, vals []*template
	isMap      bool
}

// compile prepares a value for evaluation. It returns nil for null.
func (d *Definition) compile(v any) *template {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if p := d.compileText(v); p != nil {
			return &template{text: p}
		}
	case value.List:
		list, dynamic := make([]*template, len(v)), false
		for i, x := range v {
			list[i] = d.compile(x)
			dynamic = dynamic || list[i].dynamic()
		}
		if dynamic {
			return &template{list: list}
		}
	case *value.Map:
		t, dynamic := &template{isMap: true}, false
		for k, x := range v.All() {
			kt, vt := d.compile(k), d.compile(x)
			t.keys, t.vals = append(t.keys, kt), append(t.vals, vt)
			dynamic = dynamic || kt.dynamic() || vt.dynamic()
		}
		if dynamic {
			return t
		}
	}
	return &template{lit: v}
}

func (t *template) dynamic() bool {
	return t != nil && (t.text != nil || t.list != nil || t.isMap)
}

// compileText compiles a text, nil where it holds no expression.
func (d *Definition) compileText(s string) program {
	switch languageOf(s) {
	case langYAQL:
		return compileYAQL(s)
	case langJinja:
		return compileJinja(s, d.reevaluate)
	}
	return nil
}

// inputTemplate is what a value given from outside is evaluated as: itself, or an
// expression where the definition is run as StackStorm does.
func (d *Definition) inputTemplate(v any) *template {
	if d.reevaluate {
		return d.compile(v)
	}
	return &template{lit: v}
}

// eval evaluates a template; a nil one is null.
func (r *Run) eval(t *template, e *env) (any, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.text != nil:
		v, err := t.text.run(e)
		if err != nil {
			return nil, err
		}
		if len(r.needs) > 0 {
			return nil, r.need()
		}
		return plain(v), nil
	case t.list != nil:
		out := make(value.List, len(t.list))
		for i, x := range t.list {
			v, err := r.eval(x, e)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case t.isMap:
		out := value.NewMap(len(t.keys))
		for i := range t.keys {
			k, err := r.eval(t.keys[i], e)
			if err != nil {
				return nil, err
			}
			if herr := value.Hashable(k); herr != nil {
				return nil, raise("TypeError", "%s", errorText(herr))
			}
			v, err := r.eval(t.vals[i], e)
			if err != nil {
				return nil, err
			}
			out.Set(k, v)
		}
		return out, nil
	}
	return t.lit, nil
}

// need is the error of an evaluation that asked for datastore values.
func (r *Run) need() error {
	n := &flow.Need{}
	for _, k := range r.needs {
		n.Lookups = append(n.Lookups, flow.Lookup{Key: k.key, Decrypt: k.decrypt})
	}
	return n
}

func errorText(err error) string {
	var v *value.Error
	if errors.As(err, &v) {
		return v.Message
	}
	return err.Error()
}

// plain returns what an expression yields as data that lasts, the same whether the
// run stays in memory or is rebuilt: sets and tuples become lists, keys that are
// no text become text, dates and the like their text.
func plain(v any) any {
	if isPlain(v, 0) {
		return v
	}
	switch v := v.(type) {
	case *value.Set:
		return plain(v.Items())
	case value.List, value.Tuple, *value.Array:
		items, _ := value.Items(v)
		out := make(value.List, len(items))
		for i, x := range items {
			out[i] = plain(x)
		}
		return out
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			out.Set(keyText(k), plain(x))
		}
		return out
	}
	return value.Str(v)
}

// keyText is a key as JSON has it.
func keyText(k any) string {
	switch k := k.(type) {
	case string:
		return k
	case nil:
		return "null"
	case bool:
		if k {
			return "true"
		}
		return "false"
	}
	return value.Str(k)
}

func isPlain(v any, depth int) bool {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *big.Int:
		return true
	case value.List:
		for _, x := range v {
			if depth > value.MaxDepth || !isPlain(x, depth+1) {
				return false
			}
		}
		return true
	case *value.Map:
		for k, x := range v.All() {
			if _, ok := k.(string); !ok || depth > value.MaxDepth || !isPlain(x, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}
