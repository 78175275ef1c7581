// Package flow has the words that every dialect of workflows shares: the facts
// that a run is told, the commands it answers with, and the delta that makes
// its new state durable. It holds no behaviour of its own.
package flow

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// FactKind says what happened to a run.
type FactKind string

// The kinds of fact.
const (
	// Started begins the run. It is the first fact, and comes once.
	Started FactKind = "started"
	// ChildChanged tells what a child execution has come to.
	ChildChanged FactKind = "child"
	// TimerDue tells that a timer the run set has come.
	TimerDue FactKind = "timer"
	// PauseAsked, ResumeAsked and CancelAsked are wishes of whoever owns the run.
	PauseAsked  FactKind = "pause"
	ResumeAsked FactKind = "resume"
	CancelAsked FactKind = "cancel"
	// RerunAsked continues an ended run from some of its tasks.
	RerunAsked FactKind = "rerun"
)

// Fact is something that happened to a run. Only the fields of its kind count.
type Fact struct {
	Kind FactKind
	// At is when it happened, as recorded. A run has no other clock.
	At time.Time

	// Inputs and Context are JSON objects: the parameters that the run was started
	// with, and what StackStorm calls the parent context (st2, parent). (Started.)
	Inputs, Context json.RawMessage

	Child Child  // (ChildChanged)
	Timer string // key of the timer (TimerDue)
	// Tasks are those to run again; empty means all that failed. (RerunAsked)
	Tasks []Rerun

	// More says that another fact of the same moment follows at once: Orquesta then
	// hands out nothing before it was told that one too. Nothing of it is durable,
	// so only who holds the run in memory, as a simulation does, may set it.
	More bool

	// Values are datastore values that an earlier answer asked for, by key. A
	// Lookup that is absent here is asked for again.
	Values map[Lookup]Value
}

// Child tells what a child execution has come to. Entry, Item and Attempt are
// those of the command that started it. A fact that was told already, or that
// belongs to an attempt given up since, changes nothing.
type Child struct {
	// ID is the child's execution, for results that name it.
	ID      string
	Task    string
	Route   int
	Entry   int
	Item    int // -1 where the task has no items
	Attempt int
	Status  hayate.Status
	Result  json.RawMessage // nil is null
}

// Rerun names a task to run again.
type Rerun struct {
	Task  string
	Route int
	// ResetItems runs all items again rather than those that failed.
	ResetItems bool
}

// Lookup is a question to the datastore.
type Lookup struct {
	Key     string // with its scope: "system.name", or "name" of the user
	Decrypt bool
}

// Value is the datastore's answer.
type Value struct {
	Value string
	Found bool
}

// Need is the error of a step that lacks datastore values: the run is as it was,
// and the same fact with the values added can be told again.
type Need struct{ Lookups []Lookup }

// Error names the keys.
func (n *Need) Error() string {
	keys := make([]string, len(n.Lookups))
	for i, l := range n.Lookups {
		keys[i] = l.Key
	}
	return "datastore values needed: " + strings.Join(keys, ", ")
}

// CommandKind says what a run asks for.
type CommandKind string

// The kinds of command.
const (
	StartChild     CommandKind = "start"  // start the execution in Start
	SetTimer       CommandKind = "timer"  // tell TimerDue with the key Timer after After
	PauseChildren  CommandKind = "pause"  // ask running workflow children to pause
	ResumeChildren CommandKind = "resume" // ask paused workflow children to go on
	CancelChildren CommandKind = "cancel" // cancel what still runs
	Rest           CommandKind = "status" // the run is now in Status: running, pausing, paused, canceling
	Finish         CommandKind = "finish" // the run ended with Status, Output and Errors
)

// Command is something a run asks for, once it is durable.
type Command struct {
	Kind  CommandKind
	Start Start
	Timer string        // key
	After time.Duration // from the fact's At

	// Status is how the run ended, or the status it came to rest in.
	Status hayate.Status
	// Output is the JSON that the workflow's output renders to, null where it has
	// none.
	Output json.RawMessage
	// Errors is a JSON array in StackStorm's shape, nil where there are none.
	Errors json.RawMessage
}

// Start asks for a child execution.
type Start struct {
	Task   string
	Route  int
	Entry  int // index of the task's entry in the run's sequence
	Item   int // -1 where the task has no items
	Items  int // how many items the task has
	Action string
	Input  json.RawMessage // JSON object, or null
	Delay  time.Duration
	// Attempt counts the starts of this item of this entry from 0: with Entry and
	// Item it makes the child's id.
	Attempt int
}

// Delta is what a step changed of the stored run: the head, always whole and
// small, and the entries that were added or replaced. An entry whose value is
// null is void. Applying a delta twice does what once does.
type Delta struct {
	Head    json.RawMessage
	Entries map[string]json.RawMessage
	// Done says that the run has ended and waits for nothing.
	Done bool
}

// Empty says that the step changed nothing.
func (d *Delta) Empty() bool { return d.Head == nil && len(d.Entries) == 0 }

// Problem is one finding about a definition, in the shape of StackStorm's
// inspection.
type Problem struct {
	// Category is syntax, semantics, expressions or context.
	Category string `json:"-"`
	// Language and Expression are those of the expression found fault with; they
	// belong to the categories expressions and context.
	Language   string `json:"language,omitempty"`
	Expression string `json:"expression,omitempty"`
	Message    string `json:"message"`
	// SpecPath is where in the document, SchemaPath which rule of the language.
	SpecPath   string `json:"spec_path"`
	SchemaPath string `json:"schema_path"`
	// Line and Column, counted from 1, are where it stands; 0 where unknown.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Hint says how to mend it, "" where nobody knows. It is for people: answers in
	// StackStorm's shape do not carry it.
	Hint string `json:"-"`
}

// Options say how a definition is read and run. The zero value is the default.
type Options struct {
	// Reevaluate evaluates strings that expressions and inputs yield as
	// expressions again, as StackStorm does (compat.reevaluate_results). What a
	// task returned can then run code in the workflow's name.
	Reevaluate bool
	// Known are names that the context of every run holds before its inputs; the
	// inspection takes them for assigned.
	Known []string
	// Workflow names the workflow of a Mistral workbook that is to run; "" means the
	// only one, or that called main.
	Workflow string
	// Rehearse leaves it to the caller what Orquesta's tasks without an action come
	// to, and starts the items of a task one by one, as StackStorm's rehearsals do.
	Rehearse bool
	// Target names the task at which a reverse workflow of Mistral ends: only what it
	// requires runs. "" runs all tasks.
	Target string
	// MaxEntries bounds the tasks a run may go through; default 100 000.
	MaxEntries int
	// MaxItems bounds the items of one task; default 100 000.
	MaxItems int
}
