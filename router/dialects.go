package router

import (
	"encoding/json"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/flow"
	"github.com/hayate-run/hayate/workflows/orquesta"
)

// definition is a workflow that was read: what starts and loads runs.
type definition interface {
	start(id string) stepper
	load(id string, head json.RawMessage, entries map[string]json.RawMessage) (stepper, error)
}

// stepper is a run in memory. Step advances it in place; where its outcome is
// not committed, the run must be thrown away.
type stepper interface {
	Step(flow.Fact) (flow.Delta, []flow.Command, error)
	Status() hayate.Status
}

// dialects are the languages of workflows, by the runner that names them.
var dialects = map[string]func(text []byte, digest string, o flow.Options) (definition, []flow.Problem){
	"orquesta": func(text []byte, digest string, o flow.Options) (definition, []flow.Problem) {
		d, ps := orquesta.Parse(text, digest, o)
		if d == nil {
			return nil, ps
		}
		return orquestaDefinition{d}, ps
	},
}

// isWorkflow says whether executions of the runner are stepped by the router.
func isWorkflow(runner string) bool { return dialects[runner] != nil }

type orquestaDefinition struct{ def *orquesta.Definition }

func (d orquestaDefinition) start(id string) stepper { return orquesta.New(d.def, id) }

func (d orquestaDefinition) load(id string, head json.RawMessage, entries map[string]json.RawMessage) (stepper, error) {
	r, err := orquesta.Load(d.def, head, entries)
	if err != nil {
		return nil, err
	}
	r.SetID(id)
	return r, nil
}
