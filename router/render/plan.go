// Package render turns the parameters that a rule, a person or a workflow gives
// to an action into the ones that are stored with the execution, and those into
// the ones that a runner gets. It follows StackStorm's util/param.py: templates
// are rendered in the order of their dependencies, values are cast to the types
// of the schema, and what is stored holds only what was supplied and what a
// default's template made of it.
//
// Rendering does no I/O: a datastore value that is not at hand is asked for, and
// the caller renders again with it.
package render

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/schema"
)

// Plan is what is known of an action's parameters before any request: compiled
// once, used by many goroutines.
type Plan struct {
	rd     *Renderer
	ref    hayate.Ref
	params []*param // the action's, then the runner's that it does not name
	byName map[string]*param
	// schema is compiled when it is first needed: most of thousands of registered
	// actions never run, and reading a pack has checked the schemas' form.
	schema func() (*schema.Schema, error)
	secret bool // some parameter is secret

	// templates says that some default is a template. Where none is, all requests
	// that supply nothing come to the same, which is kept.
	templates           bool
	bareLive, bareFinal sync.Once
	bare                struct {
		live              json.RawMessage
		final             Final
		liveErr, finalErr error
	}
}

// param is one parameter with what the runner says of it.
type param struct {
	hayate.Parameter
	castType string // the runner's type where both define the name
	runner   bool   // it goes to the runner
	def      any    // the decoded default
	hasDef   bool
	tpl      bool // the default is a template
}

// NewPlan merges an action's parameters with its runner's. ErrInvalid names the
// parameter that does not fit.
func (r *Renderer) NewPlan(ref hayate.Ref, action, runner hayate.Parameters) (*Plan, error) {
	p := &Plan{rd: r, ref: ref, byName: map[string]*param{}}
	for _, a := range action {
		if err := p.add(a, runner.Get(a.Name)); err != nil {
			return nil, err
		}
	}
	for _, x := range runner {
		if p.byName[x.Name] == nil {
			if err := p.add(x, &x); err != nil {
				return nil, err
			}
		}
	}
	merged := make(hayate.Parameters, len(p.params))
	for i, x := range p.params {
		merged[i] = x.Parameter
	}
	p.schema = sync.OnceValues(func() (*schema.Schema, error) {
		s, err := schema.Parameters(properties(merged), false, schema.Options{AllowNull: true, Pattern: pattern})
		if err != nil {
			return nil, fmt.Errorf("%v: %w", err, hayate.ErrInvalid)
		}
		return s, nil
	})
	return p, nil
}

func properties(ps hayate.Parameters) []schema.Property {
	out := make([]schema.Property, len(ps))
	for i, p := range ps {
		out[i] = schema.Property{Name: p.Name, Schema: p.Schema}
	}
	return out
}

// pattern compiles a schema's regular expression in Python's dialect.
func pattern(expr string) (func(string) bool, error) {
	re, err := pyre.Compile(expr, 0)
	if err != nil {
		return nil, err
	}
	return func(text string) bool {
		m, err := re.Search(text)
		return err == nil && m != nil
	}, nil
}

func (p *Plan) add(a hayate.Parameter, r *hayate.Parameter) error {
	x := &param{Parameter: a, castType: a.Type}
	if r != nil {
		x.runner = true
		x.inherit(r)
	}
	if x.Default != nil {
		v, err := value.Decode(x.Default)
		if err != nil {
			return fmt.Errorf("parameter %s: default: %v: %w", a.Name, err, hayate.ErrInvalid)
		}
		x.def, x.hasDef, x.tpl = v, v != nil, isTemplate(v)
	}
	p.secret = p.secret || x.Secret
	p.templates = p.templates || x.tpl
	p.params = append(p.params, x)
	p.byName[a.Name] = x
	return nil
}

// inherit takes from the runner's parameter what the action leaves open.
func (x *param) inherit(r *hayate.Parameter) {
	if r.Type != "" {
		x.castType = r.Type
	}
	if x.Type == "" {
		x.Type = r.Type
	}
	if x.Default == nil {
		x.Default = r.Default
	}
	x.Secret = x.Secret || r.Secret
	x.Immutable = x.Immutable || r.Immutable
	if len(x.Schema) == 0 {
		x.Schema = r.Schema
		x.Required = x.Required || r.Required
		return
	}
	if merged, err := schema.Merge(r.Schema, x.Schema); err == nil {
		x.Schema = merged
	}
	var probe struct{ Required *bool }
	if json.Unmarshal(x.Schema, &probe) == nil && probe.Required != nil {
		x.Required = *probe.Required
	}
}

// Names returns the names of all parameters: the action's, then the runner's.
func (p *Plan) Names() []string {
	names := make([]string, len(p.params))
	for i, x := range p.params {
		names[i] = x.Name
	}
	return names
}

// Parameters returns the merged parameters: the action's, then the runner's.
func (p *Plan) Parameters() hayate.Parameters {
	out := make(hayate.Parameters, len(p.params))
	for i, x := range p.params {
		out[i] = x.Parameter
	}
	return out
}
