package hayate

import (
	"encoding/json"
	"time"
)

// Action is what can be done: metadata with StackStorm's schema, and the runner
// that knows how.
type Action struct {
	Pack        string `json:"pack"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Runner      string `json:"runner_type"`
	EntryPoint  string `json:"entry_point"`
	Enabled     bool   `json:"enabled"` // defaults to true
	// Parameters are the action's own, in the order of the document. A runner's
	// parameters join them when a request is checked.
	Parameters   Parameters      `json:"parameters,omitempty"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	Tags         json.RawMessage `json:"tags,omitempty"`
	Notify       json.RawMessage `json:"notify,omitempty"`

	// Idempotent declares that performing the action twice does what once does.
	// A lost worker then leads to another attempt, and its claim needs no disk.
	Idempotent bool `json:"idempotent,omitempty"`
	// Target says who performs the action: "" any local worker, "amqp:<tag>" a worker
	// with that tag behind a firewall. A rule or a request may say otherwise.
	Target string `json:"target,omitempty"`
	// Pipefail makes a shell command fail when any member of a pipeline fails.
	// nil means: as the pack's default says.
	Pipefail *bool `json:"pipefail,omitempty"`
	// Expect holds assertions on the result; nil means the action proves nothing.
	Expect *Expect `json:"expect,omitempty"`
	// Deadline bounds a run of the action, which is a workflow; nil: nothing does.
	Deadline *Deadline `json:"deadline,omitempty"`

	Source   string `json:"source,omitempty"`
	Revision string `json:"revision,omitempty"`
}

// Ref is the action's reference, pack.name.
func (a *Action) Ref() Ref { return NewRef(a.Pack, a.Name) }

// Deadline says when a run must be over. It has either After or At.
type Deadline struct {
	After time.Duration `json:"after,omitempty"` // counted from when the run begins
	// At is the next time of day, "05:00", in the zone of that name; "" is the
	// server's zone for timers.
	At   string `json:"at,omitempty"`
	Zone string `json:"timezone,omitempty"`
	// The warning before comes when WarnPercent of the time has passed (0: 80; 100:
	// never), or WarnBefore ahead of the end.
	WarnPercent int           `json:"warn_percent,omitempty"`
	WarnBefore  time.Duration `json:"warn_before,omitempty"`
}

// String tells the deadline as it may be written in an action's file.
func (d *Deadline) String() string {
	if d.At == "" {
		return d.After.String()
	}
	if d.Zone == "" {
		return d.At
	}
	return d.At + " " + d.Zone
}

// Parameters are named parameter schemas in the order of the document.
type Parameters []Parameter

// Get returns the parameter of that name, or nil.
func (p Parameters) Get(name string) *Parameter {
	for i := range p {
		if p[i].Name == name {
			return &p[i]
		}
	}
	return nil
}

// Parameter is one parameter: the keys that hayate itself reads, and the whole
// schema (JSON schema draft 4 with a boolean "required", as StackStorm has it).
type Parameter struct {
	Name        string          `json:"name"`
	Type        string          `json:"type,omitempty"` // "" accepts anything
	Description string          `json:"description,omitempty"`
	Default     json.RawMessage `json:"default,omitempty"` // nil: no default; "null": a null default
	Required    bool            `json:"required,omitempty"`
	Immutable   bool            `json:"immutable,omitempty"`
	Secret      bool            `json:"secret,omitempty"`
	Position    *int            `json:"position,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"` // the property as written, a JSON object
}

// Expect is what must hold for an execution to count as verified.
type Expect struct {
	// ExitCodes lists the exit codes that count as success; empty means {0}.
	ExitCodes []int `json:"exit_codes,omitempty"`
	// Stdout and Stderr are regular expressions that must be found in the text.
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	// NotStdout and NotStderr must not be found.
	NotStdout string `json:"not_stdout,omitempty"`
	NotStderr string `json:"not_stderr,omitempty"`
	// Schema is a JSON schema that the result must satisfy.
	Schema json.RawMessage `json:"schema,omitempty"`
	// Ranges bound numbers in the result, found by a dotted path.
	Ranges []Range `json:"ranges,omitempty"`
	// Files must be there, on the host that performed the action, once it has ended.
	Files []File `json:"files,omitempty"`
}

// File is what must be true of a file when the action has ended.
type File struct {
	// Path is a Jinja template over the action's parameters.
	Path   string `json:"path"`
	Absent bool   `json:"absent,omitempty"` // it must not be there
	// MaxAge is the longest time, in seconds, since the file was last written; 0:
	// no bound. Fresh bounds it by the start of the attempt: the action wrote it.
	MaxAge  float64 `json:"max_age,omitempty"`
	Fresh   bool    `json:"fresh,omitempty"`
	MinSize int64   `json:"min_size,omitempty"` // in bytes
}

// Range bounds a number in a result.
type Range struct {
	Path string   `json:"path"`
	Min  *float64 `json:"min,omitempty"`
	Max  *float64 `json:"max,omitempty"`
}

// Runner describes a way of running actions: the parameters it takes and the
// form of its results.
type Runner struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Aliases     []string   `json:"aliases,omitempty"`
	Parameters  Parameters `json:"parameters,omitempty"`
	// OutputKey names the member of the result that an action's output_schema
	// describes; "" means the whole result.
	OutputKey    string          `json:"output_key,omitempty"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	// NoEffect says that running has no effect outside hayate (noop), so that an
	// attempt may be repeated freely.
	NoEffect bool `json:"no_effect,omitempty"`
	// Callback says that the runner hands work over to somebody who ends the
	// execution later, by Task.Callback.
	Callback bool `json:"callback,omitempty"`
	// Asserts says that the runner's own verdict proves something beyond "it ran"
	// (an HTTP status, say), so a success counts as verified.
	Asserts bool `json:"asserts,omitempty"`
}
