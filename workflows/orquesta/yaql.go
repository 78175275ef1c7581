package orquesta

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/workflows/flow"
)

// yaqlText is a text with YAQL in it.
type yaqlText struct{ t *yaql.Template }

func compileYAQL(s string) program {
	t := yaqlText{yaql.NewTemplate(s)}
	if m := askedStatus.FindStringSubmatch(s); m != nil {
		return statusCondition{t, m[1]}
	}
	return t
}

// askedStatus are the conditions that most transitions have. They are answered
// without YAQL.
var askedStatus = regexp.MustCompile(`^<%[ \t]*(succeeded|failed|completed)\(\)[ \t]*%>$`)

// statusCondition asks for the status of the current task.
type statusCondition struct {
	yaqlText
	function string
}

func (c statusCondition) run(e *env) (any, error) {
	status, err := e.current()
	if err != nil {
		return c.yaqlText.run(e) // it words the error
	}
	switch c.function {
	case "succeeded":
		return status == succeeded, nil
	case "failed":
		return status == failed, nil
	}
	return status.Completed(), nil
}

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

// Workflow shows a run to Orquesta's own functions. The variables are left out:
// only ctx() asks for all of them, and gathering them is dear.
func (e *env) Workflow() *yaql.Workflow {
	if e.shown == nil {
		w := &yaql.Workflow{Item: e.item, Status: e.statusOf}
		if e.node != nil {
			w.Task = &yaql.CurrentTask{ID: e.node.name, Route: int64(e.route), Result: e.result}
		}
		e.shown = w
	}
	return e.shown
}

// yaqlFunctions are YAQL's, Orquesta's and StackStorm's functions, and those that
// ask the run.
var yaqlFunctions = newYAQLFunctions()

func newYAQLFunctions() *yaql.Functions {
	orquesta := yaql.OrquestaFunctions()
	whole := orquesta["ctx"].Call
	own := map[string]yaql.Function{
		// One variable is found without looking at the others.
		"ctx": {Params: orquesta["ctx"].Params, Call: func(c *yaql.Call) (any, error) {
			e := c.Env.(*env)
			if name, ok := c.Args[0].(string); ok && name != "" {
				return e.variable(name)
			}
			e.Workflow().Vars = e.vars.all()
			return whole(c)
		}},
		"task": {Params: []yaql.Param{{Name: "task_id", Optional: true}, {Name: "route", Optional: true}}, Call: func(c *yaql.Call) (any, error) {
			v, err := c.Env.(*env).taskRecord(c.Args[0], c.Args[1])
			return yaql.Thaw(v), err
		}},
		"st2kv": {Params: []yaql.Param{{Name: "key"}, {Name: "decrypt", Optional: true}}, Named: true, Call: func(c *yaql.Call) (any, error) {
			def, given := c.Named.Str("default")
			return c.Env.(*env).lookup(c.Args[0], value.Truth(c.Args[1]), def, given)
		}},
	}
	return yaql.NewFunctions(orquesta, yaql.StackStormFunctions(yaql.StackStormOptions{}), own)
}

func checkYAQL(s string) []fault {
	var out []fault
	for _, text := range expressionsIn(s, langYAQL) {
		for _, m := range yaql.NewTemplate(text).Check() {
			out = append(out, fault{langYAQL, text, m.Err.Message})
		}
	}
	return out
}
