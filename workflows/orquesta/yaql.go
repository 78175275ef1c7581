package orquesta

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/workflows/flow"
)

// yaqlText is a text with YAQL in it.
type yaqlText struct{ t *yaql.Template }

func compileYAQL(s string) program { return yaqlText{yaql.NewTemplate(s)} }

func (y yaqlText) run(e *env) (any, error) {
	v, err := y.t.Eval(&yaql.Context{Functions: yaqlFunctions, Env: e, Now: e.now, Rand: e.rand()},
		yaql.Options{Reevaluate: e.run.def.reevaluate})
	if err == nil {
		return v, nil
	}
	var need *flow.Need
	if errors.As(err, &need) {
		return nil, need
	}
	var ye *yaql.Error
	if errors.As(err, &ye) {
		return nil, &Error{ye.Kind, ye.Message}
	}
	return nil, err
}

// now is the time of the fact that is being handled.
func (e *env) now() time.Time { return e.run.at }

// rand is a source of chance that gives the same numbers when the same fact is
// told to the same run again.
func (e *env) rand() rand.Source { return &chance{run: e.run} }

// chance makes its generator when it is asked first, for few expressions need it.
type chance struct {
	run *Run
	pcg *rand.PCG
}

// Uint64 returns the next number.
func (c *chance) Uint64() uint64 {
	if c.pcg == nil {
		c.run.drawn++
		c.pcg = rand.NewPCG(uint64(c.run.at.UnixNano()), uint64(len(c.run.seq))<<32|uint64(c.run.drawn))
	}
	return c.pcg.Uint64()
}

var yaqlFunctions = yaql.NewFunctions(map[string]yaql.Function{
	"ctx": {Params: []yaql.Param{{Name: "key", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
		return c.Env.(*env).ctx(c.Args[0])
	}},
	"item": {Params: []yaql.Param{{Name: "key", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
		return c.Env.(*env).itemOf(c.Args[0])
	}},
	"result": {Call: func(c *yaql.Call) (any, error) { return c.Env.(*env).taskResult() }},
	"task_status": {Params: []yaql.Param{{Name: "task_id"}, {Name: "route", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
		return c.Env.(*env).taskStatus(c.Args[0], c.Args[1])
	}},
	"succeeded": {Call: func(c *yaql.Call) (any, error) { return c.Env.(*env).status() == succeeded, nil }},
	"failed":    {Call: func(c *yaql.Call) (any, error) { return c.Env.(*env).status() == failed, nil }},
	"completed": {Call: func(c *yaql.Call) (any, error) { return c.Env.(*env).status().Completed(), nil }},
	"json": {Params: []yaql.Param{{Name: "data"}}, Call: func(c *yaql.Call) (any, error) {
		s, ok := c.Args[0].(string)
		if !ok {
			return nil, value.TypeErrorf("Given object is not typeof string.")
		}
		v, err := value.Loads(s)
		if err != nil {
			return nil, jsonError(err)
		}
		return yaql.Thaw(v), nil
	}},
	"zip": {Rest: true, Named: true, Call: func(c *yaql.Call) (any, error) {
		args := make([]any, len(c.Rest))
		for i, a := range c.Rest {
			p, err := c.Plain(a)
			if err != nil {
				return nil, err
			}
			args[i] = p
		}
		pad, _ := c.Named.Str("pad")
		return zipLists(args, pad)
	}},
	"task": {Params: []yaql.Param{{Name: "task_name"}, {Name: "route", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
		return c.Env.(*env).taskRecord(c.Args[0], c.Args[1])
	}},
	"st2kv": {Params: []yaql.Param{{Name: "key"}, {Name: "decrypt", Optional: true}, {Name: "default", Optional: true}}, Named: true,
		Call: func(c *yaql.Call) (any, error) {
			_, given := c.Named.Str("default")
			return c.Env.(*env).lookup(c.Args[0], value.Truth(c.Args[1]), c.Args[2], given || c.Args[2] != nil)
		}},
})

func checkYAQL(s string) []fault {
	var out []fault
	for _, text := range expressionsIn(s, langYAQL) {
		for _, m := range yaql.NewTemplate(text).Check() {
			out = append(out, fault{langYAQL, text, m.Err.Message})
		}
	}
	return out
}
