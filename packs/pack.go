// Package packs reads packs: folders of YAML that describe actions, rules,
// trigger types, sensors, aliases and policies, in StackStorm's layout. It reads
// from an fs.FS, turns what it finds into values, and reports every mistake with
// its place. It is as lenient and as strict as StackStorm 3.9's registration,
// and takes a few keys of hayate's own.
//
// The packs that are shipped with hayate lie beside the code; see Shipped.
package packs

import (
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Diagnostic is a finding about a file of a pack.
type Diagnostic = yamldoc.Diagnostic

// The severities of a Diagnostic.
const (
	Error   = yamldoc.Error
	Warning = yamldoc.Warning
)

// Pack is what a pack's folder says. Files with errors are left out.
type Pack struct {
	Ref          string // names the pack in references
	Name         string // for people
	Version      string
	Description  string
	Author       string
	Email        string
	Keywords     []string
	Contributors []string
	Dependencies []string
	// PythonVersions are major versions; StackStormVersion is a list of
	// comparisons such as ">=3.0.0, <4.0.0".
	PythonVersions    []string
	StackStormVersion string
	// Pipefail is the pack's default for its actions, nil where it states none;
	// Read has applied it to Actions already.
	Pipefail *bool

	Actions      []hayate.Action
	Rules        []hayate.Rule
	TriggerTypes []hayate.TriggerType // of triggers/ and of sensors
	Sensors      []Sensor
	Aliases      []Alias
	Policies     []hayate.Policy
	// ConfigSchema is the JSON object of config.schema.yaml: attribute to schema;
	// nil where there is none.
	ConfigSchema json.RawMessage

	// Refused are the actions and rules that have errors, as far as they could be
	// read: what refers to them is not wrong for that, and may hold more mistakes.
	Refused Refused

	// Digest identifies the content: see Digest.
	Digest string
	// Documents are the documents that were read, by file name inside the pack,
	// so that findings of later checks can point into them.
	Documents map[string]*yamldoc.Node

	dir string
}

// Refused are resources that are not to be used.
type Refused struct {
	Actions []hayate.Action
	Rules   []hayate.Rule
}

// Sensor describes a program that watches something and emits triggers.
type Sensor struct {
	Pack        string `json:"pack"`
	ClassName   string `json:"class_name"`
	EntryPoint  string `json:"entry_point"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"enabled"`
	// PollInterval is in seconds; 0 says that the sensor runs by itself.
	PollInterval float64      `json:"poll_interval,omitempty"`
	TriggerTypes []hayate.Ref `json:"trigger_types"`
	Source       string       `json:"source,omitempty"`
}

// Ref is the sensor's reference, pack.class_name.
func (s *Sensor) Ref() hayate.Ref { return hayate.NewRef(s.Pack, s.ClassName) }

// Alias lets an action be called by a line of chat.
type Alias struct {
	Pack        string          `json:"pack"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Enabled     bool            `json:"enabled"`
	ActionRef   hayate.Ref      `json:"action_ref"`
	Formats     []AliasFormat   `json:"formats"`
	Ack         json.RawMessage `json:"ack,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Extra       json.RawMessage `json:"extra,omitempty"`
	// ImmutableParameters are passed to the action every time.
	ImmutableParameters json.RawMessage `json:"immutable_parameters,omitempty"`
	Source              string          `json:"source,omitempty"`
}

// Ref is the alias's reference, pack.name.
func (a *Alias) Ref() hayate.Ref { return hayate.NewRef(a.Pack, a.Name) }

// AliasFormat is how an alias is shown, and what is understood as it.
type AliasFormat struct {
	Display        string   `json:"display"`
	Representation []string `json:"representation"`
}

// At makes a finding about a place: a file inside the pack, and a JSON pointer
// into it. Where the pointer leads nowhere, its nearest parent is named.
func (p *Pack) At(file, pointer string, s yamldoc.Severity, code, format string, args ...any) Diagnostic {
	n := p.Documents[file].At(pointer)
	for n == nil && pointer != "" {
		cut := len(pointer) - 1
		for cut > 0 && pointer[cut] != '/' {
			cut--
		}
		pointer = pointer[:cut]
		n = p.Documents[file].At(pointer)
	}
	return Diagnostic{File: inDir(p.dir, file), Line: n.Line(), Column: n.Column(), Severity: s, Code: code,
		Message: fmt.Sprintf(format, args...)}
}
