// Package inquirer runs actions that ask a person: the execution becomes pending
// until somebody answers (StackStorm: core.ask, contrib/runners/inquirer_runner).
package inquirer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
)

// Name is the runner's name in actions.
const Name = "inquirer"

// Runner asks.
type Runner struct{}

// New returns a Runner.
func New() *Runner { return &Runner{} }

// Describe implements router.Runner. Asking twice is as asking once: the
// question is the execution itself.
func (*Runner) Describe() []hayate.Runner {
	p := func(name, schema, dflt string) hayate.Parameter {
		var typ struct{ Type string }
		if err := json.Unmarshal([]byte(schema), &typ); err != nil {
			panic(err) // a constant of this file
		}
		return hayate.Parameter{Name: name, Type: typ.Type, Default: json.RawMessage(dflt), Schema: json.RawMessage(schema)}
	}
	return []hayate.Runner{{
		Name: Name, Description: "Asks a person and waits for the answer.", NoEffect: true,
		Parameters: hayate.Parameters{
			p("schema", `{"type":"object","description":"JSON schema of the answer."}`,
				`{"title":"response_data","type":"object","properties":{"continue":{"type":"boolean","description":"Whether to go on.","required":true}}}`),
			p("route", `{"type":"string","description":"Word by which rules route the question."}`, `""`),
			p("roles", `{"type":"array","description":"Roles that may answer."}`, `[]`),
			p("users", `{"type":"array","description":"Users that may answer."}`, `[]`),
			p("ttl", `{"type":"integer","description":"Minutes after which the question is withdrawn; 0 or less: never."}`, `1440`),
		},
	}}
}

// Run returns at once: the execution is pending, its result is the question.
func (*Runner) Run(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	v := bytes.TrimSpace(t.RunnerParameters)
	if len(v) == 0 || v[0] != '{' {
		return hayate.Result{}, fmt.Errorf("ask: the parameters are no object: %w", hayate.ErrInvalid)
	}
	return hayate.Result{Status: hayate.StatusPending, Value: json.RawMessage(v)}, nil
}
