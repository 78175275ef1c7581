package packs

import (
	"encoding/json"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/schema"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// systemOwner stands before the events that hayate itself gives rise to, such as
// hayate.rule.absent.
const systemOwner = "hayate"

func (r *reader) readTriggerType(n *yamldoc.Node) {
	r.addTriggerType(n)
}

// addTriggerType adds a trigger type of a file or a sensor, and returns its
// reference, "" where it is not fine.
func (r *reader) addTriggerType(n *yamldoc.Node) hayate.Ref {
	if !r.check(n, r.shapes.triggerType, "the trigger type") {
		return ""
	}
	t := hayate.TriggerType{
		Pack:             r.ownerOf(n),
		Name:             text(n.Get("name")),
		Description:      text(n.Get("description")),
		PayloadSchema:    filled(n.Get("payload_schema")),
		ParametersSchema: filled(n.Get("parameters_schema")),
		Tags:             jsonOf(n.Get("tags")),
		Source:           r.file,
	}
	for _, key := range []string{"payload_schema", "parameters_schema"} {
		if s := filled(n.Get(key)); s != nil {
			if _, err := schema.Compile(s, schema.Options{AllowNull: true}); err != nil {
				r.warnf(n.Get(key), "bad-schema", "%q is no schema that can be checked: %s", key, strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		}
	}
	r.pack.TriggerTypes = put(r, r.pack.TriggerTypes, t, n.Get("name"), "trigger type", (*hayate.TriggerType).Ref,
		func(t *hayate.TriggerType) string { return t.Source })
	return t.Ref()
}

// ownerOf is the pack that a trigger type is named by. The pack core has those of
// hayate itself, too.
func (r *reader) ownerOf(n *yamldoc.Node) string {
	if r.pack.Ref == "core" && text(n.Get("pack")) == systemOwner {
		return systemOwner
	}
	return r.pack.Ref
}

func (r *reader) readSensor(n *yamldoc.Node) {
	fine := r.check(n, r.shapes.sensor, "the sensor")
	s := Sensor{
		Pack:        r.pack.Ref,
		ClassName:   text(n.Get("class_name")),
		EntryPoint:  text(n.Get("entry_point")),
		Description: text(n.Get("description")),
		Enabled:     boolOr(n.Get("enabled"), true),
		Source:      r.file,
	}
	s.PollInterval, _ = n.Get("poll_interval").Float()
	for _, t := range n.Get("trigger_types").Items() {
		ref := r.addTriggerType(t)
		if ref == "" {
			fine = false
			continue
		}
		s.TriggerTypes = append(s.TriggerTypes, ref)
	}
	if fine {
		r.pack.Sensors = put(r, r.pack.Sensors, s, n.Get("class_name"), "sensor", (*Sensor).Ref, func(s *Sensor) string { return s.Source })
	}
}

func (r *reader) readAlias(n *yamldoc.Node) {
	if !r.check(n, r.shapes.alias, "the alias") {
		return
	}
	a := Alias{
		Pack:                r.pack.Ref,
		Name:                text(n.Get("name")),
		Description:         text(n.Get("description")),
		Enabled:             boolOr(n.Get("enabled"), true),
		ActionRef:           hayate.Ref(text(n.Get("action_ref"))),
		Ack:                 jsonOf(n.Get("ack")),
		Result:              jsonOf(n.Get("result")),
		Extra:               jsonOf(n.Get("extra")),
		ImmutableParameters: jsonOf(n.Get("immutable_parameters")),
		Source:              r.file,
	}
	for _, f := range n.Get("formats").Items() {
		if s, ok := f.Str(); ok {
			a.Formats = append(a.Formats, AliasFormat{Display: s, Representation: []string{s}})
			continue
		}
		a.Formats = append(a.Formats, AliasFormat{Display: text(f.Get("display")), Representation: texts(f.Get("representation"))})
	}
	r.pack.Aliases = put(r, r.pack.Aliases, a, n.Get("name"), "alias", (*Alias).Ref, func(a *Alias) string { return a.Source })
}

// checkPolicy checks that the type exists and takes the parameters.
func (r *reader) checkPolicy(n *yamldoc.Node) { r.policyParameters(n) }

// policyParameters returns a policy's parameters with defaults.
func (r *reader) policyParameters(n *yamldoc.Node) json.RawMessage {
	at := n.Get("policy_type")
	name, ok := at.Str()
	if !ok {
		return nil // reported already
	}
	var known []string
	for _, t := range hayate.PolicyTypes() {
		if t.Name != name {
			known = append(known, t.Name)
			continue
		}
		var properties []schema.Property
		for _, p := range t.Parameters {
			properties = append(properties, schema.Property{Name: p.Name, Schema: p.Schema})
		}
		s, err := schema.Parameters(properties, false, schema.Options{})
		if err != nil {
			r.errorf(at, "bad-value", "%v", err)
			return nil
		}
		given := n.Get("parameters")
		value := jsonOf(given)
		if value == nil {
			value, given = []byte("{}"), n
		}
		if r.fullWidth(given, name) {
			return nil
		}
		full, err := s.Complete(value)
		r.schemaErrors(given, err, "the parameters of "+name)
		return full
	}
	r.errorf(at, "unknown-policy", "unknown policy type %q%s", name, yamldoc.Suggest(name, known))
	return nil
}

// fullWidth notes numbers in full-width digits: YAML takes them for text, and few
// see the difference.
func (r *reader) fullWidth(given *yamldoc.Node, policy string) (found bool) {
	for _, e := range given.Entries() {
		text, ok := e.Value.Str()
		if !ok || text == "" || strings.Trim(text, "０１２３４５６７８９") != "" {
			continue
		}
		found = true
		plain := strings.Map(func(c rune) rune { return c - '０' + '0' }, text)
		r.errorf(e.Value, "bad-value", "the parameters of %s: %s: %s is text, its digits are full-width; write %s", policy, e.Name(), text, plain)
	}
	return found
}

func (r *reader) readPolicy(n *yamldoc.Node) {
	if !r.check(n, r.shapes.policy, "the policy") {
		return
	}
	p := hayate.Policy{
		Pack:        r.pack.Ref,
		Name:        text(n.Get("name")),
		Description: text(n.Get("description")),
		Enabled:     boolOr(n.Get("enabled"), true),
		ResourceRef: hayate.Ref(text(n.Get("resource_ref"))),
		Type:        text(n.Get("policy_type")),
		Parameters:  r.policyParameters(n),
		Source:      r.file,
	}
	r.pack.Policies = put(r, r.pack.Policies, p, n.Get("name"), "policy", (*hayate.Policy).Ref, func(p *hayate.Policy) string { return p.Source })
}
