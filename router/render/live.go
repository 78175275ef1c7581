package render

import (
	"encoding/json"
	"slices"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// Trigger is the event behind a rule's parameters: its data, decoded once.
type Trigger struct {
	event   *hayate.Event
	decoded bool
	data    any
}

// NewTrigger wraps an event.
func NewTrigger(e *hayate.Event) *Trigger { return &Trigger{event: e} }

func (t *Trigger) value() any {
	if !t.decoded {
		t.decoded = true
		t.data = Payload(t.event)
	}
	return t.data
}

// Payload is an event's data as StackStorm's rules see it: JSON as the value it
// is, other text as a string, nothing as an empty mapping.
func Payload(e *hayate.Event) any {
	if len(e.Data) == 0 {
		return new(value.Map)
	}
	if e.IsJSON() {
		if v, err := value.Decode(e.Data); err == nil {
			return v
		}
	}
	return string(e.Data)
}

// Scope is what templates may look at besides each other.
type Scope struct {
	Trigger       *Trigger        // nil outside rules
	ActionContext json.RawMessage // the execution's context
	Config        *Config         // the pack's configuration; nil for none
	User          string
	// KV holds the datastore values at hand: "system.a.b" and "user.a"; an absent
	// key's value is "".
	KV map[string]string
	// Known are texts that are secret wherever they come from: a parameter that holds
	// one is private. Keep names parameters that are private since they were before.
	Known []string
	Keep  Private
	// Private is set by Live: what of its outcome is private.
	Private Private
}

// Live renders supplied parameters (a JSON object or nothing) into those that
// are stored. It returns the datastore keys it needs and does not have; then the
// caller asks again with them. Errors of the request are *Error.
func (p *Plan) Live(s *Scope, supplied json.RawMessage) (json.RawMessage, []string, error) {
	if !p.templates && nothing(supplied) {
		p.bareLive.Do(func() { p.bare.live, _, p.bare.liveErr = p.live(&Scope{}, nil) })
		s.Private = nil
		return slices.Clip(p.bare.live), nil, p.bare.liveErr
	}
	return p.live(s, supplied)
}

// nothing says that no parameter is supplied.
func nothing(supplied json.RawMessage) bool {
	return len(supplied) == 0 || string(supplied) == "{}" || string(supplied) == "null"
}

func (p *Plan) live(s *Scope, supplied json.RawMessage) (json.RawMessage, []string, error) {
	given, err := decodeObject(supplied)
	if err != nil {
		return nil, nil, err
	}
	s.Private = nil
	g := newGraph(p.rd, s)
	out := new(value.Map)
	for k, v := range given.All() {
		name := k.(string) // keys of a JSON object are texts
		x := p.byName[name]
		if x != nil && x.Immutable {
			return nil, nil, Errorf(Immutable, "Parameter %q is immutable: its value is fixed to the default and cannot be given", name)
		}
		if x != nil && v == nil && x.hasDef {
			continue // a supplied null takes the default
		}
		if x != nil && x.tpl && isTemplate(v) {
			continue // StackStorm lets a default's template win over a supplied one
		}
		g.add(name, v, isTemplate(v))
		out.Set(name, nil)
	}
	for _, x := range p.params {
		if _, ok := g.nodes[x.Name]; ok {
			continue
		}
		g.add(x.Name, x.def, x.tpl)
		if x.tpl {
			out.Set(x.Name, nil)
		}
	}
	if err := g.run(p); err != nil {
		return nil, nil, err
	}
	if len(g.need) > 0 {
		return nil, g.need, nil
	}
	for i := range out.Len() {
		k, _ := out.At(i)
		out.Set(k, g.nodes[k.(string)].value)
	}
	if err := p.check(out); err != nil {
		return nil, nil, err
	}
	b, err := value.Encode(out)
	if err != nil {
		return nil, nil, Errorf(Cast, "parameters of %s: %v", p.ref, err)
	}
	s.Private = p.private(g, out)
	return b, nil, nil
}

// private gathers what of the outcome holds secrets though its schema does not say so.
func (p *Plan) private(g *graph, out *value.Map) Private {
	var private Private
	for k := range out.All() {
		name, _ := k.(string)
		if x := p.byName[name]; x != nil && x.Secret {
			continue
		}
		n := g.nodes[name]
		kept, keep := g.scope.Keep[name]
		secrets := slices.Concat(n.secrets, kept, holding(n.value, g.scope.Known))
		if len(secrets) == 0 && !keep {
			continue
		}
		if private == nil {
			private = Private{}
		}
		private[name] = secrets
	}
	return private
}

// check holds the stored parameters, defaults filled in, against the schema.
func (p *Plan) check(out *value.Map) error {
	b, err := value.Encode(out)
	if err != nil {
		return Errorf(Cast, "parameters of %s: %v", p.ref, err)
	}
	s, err := p.schema()
	if err != nil {
		return err
	}
	if _, err := s.Complete(b); err != nil {
		return Errorf(Schema, "%v", err)
	}
	return nil
}

func decodeObject(raw json.RawMessage) (*value.Map, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return new(value.Map), nil
	}
	v, err := value.Decode(raw)
	if err != nil {
		return nil, Errorf(Schema, "parameters: %v", err)
	}
	m, ok := v.(*value.Map)
	if !ok {
		return nil, Errorf(Schema, "parameters must be an object, found %s", value.Type(v))
	}
	return m, nil
}

// Final is what a runner gets.
type Final struct {
	Runner, Action json.RawMessage
	// Secrets are the texts of secret parameters and those that are secret in private
	// ones, to be masked in every output.
	Secrets []string
}

// Final makes ready the stored parameters of an execution for its runner:
// secrets opened, the remaining defaults rendered and filled in, the whole split
// into the runner's and the action's.
func (p *Plan) Final(s *Scope, stored json.RawMessage) (Final, []string, error) {
	if !p.templates && nothing(stored) {
		p.bareFinal.Do(func() { p.bare.final, _, p.bare.finalErr = p.final(&Scope{}, nil) })
		f := p.bare.final
		f.Runner, f.Action, f.Secrets = slices.Clip(f.Runner), slices.Clip(f.Action), slices.Clip(f.Secrets)
		return f, nil, p.bare.finalErr
	}
	return p.final(s, stored)
}

func (p *Plan) final(s *Scope, stored json.RawMessage) (Final, []string, error) {
	given, err := decodeObject(stored)
	if err != nil {
		return Final{}, nil, err
	}
	opened, private, err := p.open(given)
	if err != nil {
		return Final{}, nil, err
	}
	g := newGraph(p.rd, s)
	for k, v := range opened.All() {
		name, _ := k.(string)
		g.add(name, v, false) // what is stored is data, whatever it looks like
		g.nodes[name].secrets = private[name]
	}
	for _, x := range p.params {
		if n, ok := g.nodes[x.Name]; ok && !(n.value == nil && x.hasDef) {
			continue
		}
		g.add(x.Name, x.def, x.tpl)
	}
	if err := g.run(p); err != nil {
		return Final{}, nil, err
	}
	if len(g.need) > 0 {
		return Final{}, g.need, nil
	}
	return p.split(g)
}

func (p *Plan) split(g *graph) (Final, []string, error) {
	runner, action := new(value.Map), new(value.Map)
	var f Final
	for _, x := range p.params {
		v := g.nodes[x.Name].value
		if x.runner {
			runner.Set(x.Name, v)
		} else {
			action.Set(x.Name, v)
		}
		if x.Secret {
			f.Secrets = appendSecrets(f.Secrets, v)
		}
	}
	for _, name := range g.order {
		for _, s := range g.nodes[name].secrets {
			if !slices.Contains(f.Secrets, s) {
				f.Secrets = append(f.Secrets, s)
			}
		}
	}
	for _, name := range g.order {
		if p.byName[name] == nil {
			action.Set(name, g.nodes[name].value)
		}
	}
	var err error
	if f.Runner, err = value.Encode(runner); err == nil {
		f.Action, err = value.Encode(action)
	}
	if err != nil {
		return Final{}, nil, Errorf(Cast, "parameters of %s: %v", p.ref, err)
	}
	return f, nil, nil
}

// appendSecrets collects the texts in a secret value.
func appendSecrets(to []string, v any) []string {
	switch v := v.(type) {
	case nil, bool:
	case string:
		if v != "" {
			to = append(to, v)
		}
	case value.List:
		for _, x := range v {
			to = appendSecrets(to, x)
		}
	case *value.Map:
		for _, x := range v.All() {
			to = appendSecrets(to, x)
		}
	default:
		to = append(to, value.Str(v))
	}
	return to
}
