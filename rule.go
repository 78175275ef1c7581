package hayate

import "encoding/json"

// Rule says: when an event of this trigger satisfies the conditions, then run
// the actions. It has StackStorm's schema and hayate's additions; a rule may
// state conditions in several dialects, and all of them must hold.
type Rule struct {
	Pack        string `json:"pack"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Enabled defaults to false, as in StackStorm.
	Enabled bool `json:"enabled"`
	// Kind is "standard", or "backstop": evaluated only where no standard rule of
	// the same trigger matched.
	Kind string `json:"kind,omitempty"`
	// Mode is "" (act) or "shadow": decide, render and record, but do nothing.
	Mode    string  `json:"mode,omitempty"`
	Trigger Trigger `json:"trigger"`

	// Criteria is StackStorm's mapping of keys to {type, pattern, condition}, a
	// JSON object in the order of the document; nil where there is none.
	Criteria json.RawMessage `json:"criteria,omitempty"`
	// Pattern is an EventBridge event pattern over the event's data, where that is a
	// JSON object: an EventBridge envelope is kept as data.
	Pattern json.RawMessage `json:"pattern,omitempty"`
	// Filters is a list of CloudEvents Subscriptions filters.
	Filters json.RawMessage `json:"filters,omitempty"`

	// When, Guard and Calendar are JSON objects that say what the rule's past has to
	// do with its next firing (see rules/stateful); nil where there is none.
	When     json.RawMessage `json:"when,omitempty"`
	Guard    json.RawMessage `json:"guard,omitempty"`
	Calendar json.RawMessage `json:"calendar,omitempty"`

	Actions []RuleAction    `json:"actions"`
	Tags    json.RawMessage `json:"tags,omitempty"`

	// Source is the file that holds the rule, for messages.
	Source string `json:"source,omitempty"`
	// Revision identifies this content of the rule; it is recorded with each firing.
	Revision string `json:"revision,omitempty"`
	// Part names the further condition of a rule that this is, "" for the rule itself.
	Part string `json:"-"`
}

// Ref is the rule's reference, pack.name.
func (r *Rule) Ref() Ref { return NewRef(r.Pack, r.Name) }

// Trigger is the kind of event a rule waits for.
type Trigger struct {
	// Type is the CloudEvent type: pack.trigger in StackStorm's packs, or any
	// other CloudEvent type. "" (only beside pattern or filters) means any.
	Type string `json:"type"`
	// Parameters narrow a parameterised trigger type (a webhook's url, a timer's
	// unit); a JSON object, nil where there are none.
	Parameters json.RawMessage `json:"parameters,omitempty"`
}

// RuleAction is one action that a rule starts.
type RuleAction struct {
	Ref Ref `json:"ref"`
	// Parameters is a JSON object of templates, in the order of the document.
	Parameters json.RawMessage `json:"parameters,omitempty"`
	// Target wins over the action's own; "" leaves it.
	Target string `json:"target,omitempty"`
}

// The kinds of rule.
const (
	KindStandard = "standard"
	KindBackstop = "backstop"
	ModeShadow   = "shadow"
)

// TriggerType describes a kind of event that a pack's sensor or source emits.
type TriggerType struct {
	Pack             string          `json:"pack"`
	Name             string          `json:"name"`
	Description      string          `json:"description,omitempty"`
	PayloadSchema    json.RawMessage `json:"payload_schema,omitempty"`
	ParametersSchema json.RawMessage `json:"parameters_schema,omitempty"`
	Tags             json.RawMessage `json:"tags,omitempty"`
	Source           string          `json:"source,omitempty"`
}

// Ref is the trigger type's reference, pack.name.
func (t *TriggerType) Ref() Ref { return NewRef(t.Pack, t.Name) }
