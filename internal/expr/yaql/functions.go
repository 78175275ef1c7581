package yaql

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Function is a function that a caller adds to the language: ctx, task, st2kv.
type Function struct {
	// Params are its parameters in order, by the names they can be given by.
	Params []Param
	// Rest says that further positional arguments are taken.
	Rest bool
	// Named says that further named arguments are taken.
	Named bool
	// Call computes the result: a value of package value. Its lists count as
	// YAQL's own, immutable lists; *value.Array as Python's, which Thaw makes.
	Call func(c *Call) (any, error)
}

// Param is a parameter of a Function. An optional parameter whose Default is a
// bool, an integer or a string takes that type or null, as in Python's yaql; all
// others take anything.
type Param struct {
	Name     string
	Optional bool
	Default  any
}

// Call is one call of a Function.
type Call struct {
	Args   []any // one for each parameter
	Rest   []any
	Named  *value.Map
	Env    any // Context.Env
	Budget *value.Budget

	ev *evaluator
}

// Plain returns an argument as plain data: lists and iterators as value.List,
// maps as *value.Map.
func (c *Call) Plain(v any) (any, error) { return c.ev.output(v, 0) }

// Text returns Python's str of an argument, charged to the budget.
func (c *Call) Text(v any) (string, error) { return c.ev.text(v) }

// Functions is a set of functions, ready to be used by any number of evaluations
// at once.
type Functions struct{ byName map[string][]*overload }

// NewFunctions returns a set of all the functions given. Of two with the same
// name the later one counts. Underscores at the end of a name do not matter.
func NewFunctions(sets ...map[string]Function) *Functions {
	fs := &Functions{byName: map[string][]*overload{}}
	for _, set := range sets {
		for name, f := range set {
			name = strings.TrimRight(name, "_")
			fs.byName[name] = []*overload{f.overload(name)}
		}
	}
	return fs
}

func (f Function) overload(name string) *overload {
	o := &overload{name: name, function: true}
	for _, p := range f.Params {
		q := param{name: p.Name, opt: p.Optional, def: p.Default}
		switch p.Default.(type) {
		case bool:
			q.typ = tBoolN
		case int64:
			q.typ = tIntN
		case string:
			q.typ = tStrN
		case value.Tuple:
			q.typ = tSeqN
		}
		o.params = append(o.params, q)
	}
	if f.Rest {
		o.rest = &param{}
	}
	if f.Named {
		o.named = &param{}
	}
	call := f.Call
	o.do = func(fr *frame) (any, error) {
		c := Call{Args: fr.args, Rest: fr.rest, Env: fr.ev.ctx.Env, Budget: fr.ev.budget, ev: fr.ev}
		if f.Named {
			c.Named = value.NewMap(len(fr.named))
			for _, n := range fr.named {
				c.Named.Set(n.name, n.val)
			}
		}
		return call(&c)
	}
	return o
}

// Thaw returns v with its lists and maps as Python's mutable ones: they are shown
// in brackets, equal no list of YAQL's, and cannot be keys. Functions that parse
// text return such values. It shares nothing with v.
func Thaw(v any) any {
	left := maxVisits
	return thaw(v, 0, &left)
}

func thaw(v any, depth int, left *int) any {
	if *left--; *left < 0 || depth > maxNested {
		return nil
	}
	switch v := v.(type) {
	case value.List:
		return thawItems(v, depth, left)
	case *value.Array:
		return thawItems(v.Items, depth, left)
	case *value.Map:
		m := value.NewMap(v.Len())
		for k, x := range v.All() {
			m.Set(k, thaw(x, depth+1, left))
		}
		return &dict{m}
	}
	return v
}

func thawItems(items []any, depth int, left *int) any {
	a := &value.Array{Items: make(value.List, len(items))}
	for i, x := range items {
		a.Items[i] = thaw(x, depth+1, left)
	}
	return a
}
