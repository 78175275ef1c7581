package hayate

import "encoding/json"

// The types of policies, with StackStorm's names.
const (
	// PolicyConcurrency bounds how many executions of an action run at once.
	PolicyConcurrency = "action.concurrency"
	// PolicyConcurrencyAttr bounds those whose parameters have equal values.
	PolicyConcurrencyAttr = "action.concurrency.attr"
	// PolicyRetry runs an action that failed or timed out once more.
	PolicyRetry = "action.retry"
)

// Policy bounds how an action is run, or says what follows when it fails.
type Policy struct {
	Pack        string          `json:"pack"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Enabled     bool            `json:"enabled"`
	ResourceRef Ref             `json:"resource_ref"`
	Type        string          `json:"policy_type"`
	Parameters  json.RawMessage `json:"parameters"` // defaults filled in
	Source      string          `json:"source,omitempty"`
}

// Ref is the policy's reference, pack.name.
func (p *Policy) Ref() Ref { return NewRef(p.Pack, p.Name) }

// PolicyType is a kind of policy and the parameters it takes.
type PolicyType struct {
	Name        string
	Description string
	Parameters  Parameters
}

// Ref is the type's reference: its name begins with the kind of resource it is for.
func (t *PolicyType) Ref() Ref { return Ref(t.Name) }

// PolicyTypes returns the types of policies that there are.
func PolicyTypes() []PolicyType {
	of := func(name, description, schema string) Parameter {
		return Parameter{Name: name, Description: description, Schema: json.RawMessage(schema)}
	}
	threshold := of("threshold", "how many executions may run at once",
		`{"type":"integer","required":true,"description":"how many executions may run at once"}`)
	action := of("action", "what happens to one too many",
		`{"type":"string","enum":["delay","cancel"],"default":"delay","description":"what happens to one too many"}`)
	return []PolicyType{
		{PolicyConcurrency, "Bounds how many executions of an action run at once.", Parameters{threshold, action}},
		{PolicyConcurrencyAttr, "Bounds how many executions of an action with equal values of some parameters run at once.", Parameters{threshold, action,
			of("attributes", "names of the parameters that are compared",
				`{"type":"array","uniqueItems":true,"items":{"type":"string","minLength":1},"description":"names of the parameters that are compared"}`)}},
		{PolicyRetry, "Runs an action again that failed or timed out.", Parameters{
			of("retry_on", "what is run again", `{"type":"string","enum":["failure","timeout"],"required":true,"description":"what is run again"}`),
			of("max_retry_count", "how often, at most", `{"type":"integer","minimum":1,"maximum":5,"default":2,"description":"how often, at most"}`),
			of("delay", "how many seconds later", `{"type":"number","minimum":0,"maximum":120,"default":0,"description":"how many seconds later"}`)}},
	}
}
