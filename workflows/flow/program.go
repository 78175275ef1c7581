package flow

import (
	"encoding/json"

	"github.com/hayate-run/hayate"
)

// Program is a definition that has been read: what each dialect's front end makes.
// It is immutable and serves any number of runs at once.
type Program interface {
	// New returns a run that has not started.
	New(id string) Run
	// Load rebuilds a run from what its steps made durable.
	Load(id string, head json.RawMessage, entries map[string]json.RawMessage) (Run, error)
	// Graph shows the definition.
	Graph() Graph
}

// Run is the state of one run. It is advanced in place, by one caller at a time.
type Run interface {
	// Step tells the run a fact: see Step of package workflows.
	Step(Fact) (Delta, []Command, error)
	// Status is where the run stands, "" before it started.
	Status() hayate.Status
	// Tasks shows what the run went through, in order.
	Tasks() []Task
}

// Conducted is a Run that keeps a log of errors and the routes its branches took,
// both in StackStorm's shape.
type Conducted interface {
	// ErrorLog is a JSON array, nil where there are no errors.
	ErrorLog() json.RawMessage
	// Routes are the transitions that each route was split by.
	Routes() [][]string
}

// FindAction returns the parameters of an action, its runner's among them, and
// whether there is such an action.
type FindAction func(ref string) (hayate.Parameters, bool)

// Checker is a Program that can check the actions it names.
type Checker interface {
	Contents(find FindAction) []Problem
}

// Input is an input that a definition declares.
type Input struct {
	Name string `json:"name"`
	// Required says that it has no default: a run that is not given it goes without.
	Required bool `json:"required"`
}

// Declarer is a Program that declares its inputs.
type Declarer interface {
	Inputs() []Input
}

// Continuer is a Program that can continue a run of which StackStorm stored the state.
type Continuer interface {
	Continue(id string, conductor json.RawMessage) (Run, error)
}

// Graph is a definition as nodes and edges, for people to look at.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
}

// Node is a task, or a command to the engine. One of another workflow of a workbook
// has that workflow's name before its own: "sub/task".
type Node struct {
	Name    string `json:"name"`
	Action  string `json:"action,omitempty"` // as written, perhaps an expression
	Start   bool   `json:"start,omitempty"`
	Join    int    `json:"join,omitempty"` // how many tasks it waits for
	Split   bool   `json:"split,omitempty"`
	Items   bool   `json:"items,omitempty"`
	Retry   bool   `json:"retry,omitempty"`
	Command bool   `json:"command,omitempty"`
}

// Edge is a transition.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	When string `json:"when,omitempty"`
	// Call says that it leads into the workflow of the workbook which the task runs.
	Call bool `json:"call,omitempty"`
}

// Task is one run of a task, as far as it has come.
type Task struct {
	Entry   int           `json:"entry"`
	Name    string        `json:"name"`
	Route   int           `json:"route"`
	Status  hayate.Status `json:"status"`
	Attempt int           `json:"attempt,omitempty"`
	// Items and Done count the items of a task that has some.
	Items int `json:"items,omitempty"`
	Done  int `json:"done,omitempty"`
	// From are the entries that led here, of the first tasks of a workbook's workflow
	// the one that runs it; Next the destinations that followed.
	From []int    `json:"from,omitempty"`
	Next []string `json:"next,omitempty"`
	// Term says that it ended a branch, as Orquesta sees it.
	Term bool `json:"term,omitempty"`
	// Workflow is the workflow of a workbook that the task belongs to, "" for the one
	// that runs.
	Workflow string `json:"workflow,omitempty"`
	// Published are the variables that the task published whichever way it went on
	// (a JSON object), nil for none.
	Published json.RawMessage `json:"published,omitempty"`
	// Transitions are what became of the ways on, once the task ended.
	Transitions []Transition `json:"transitions,omitempty"`
}

// Transition is what became of one way on from a task.
type Transition struct {
	// Edge is its index among the edges of the graph, -1 where the graph does not
	// show it.
	Edge    int     `json:"edge"`
	To      string  `json:"to"`
	When    string  `json:"when,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Published are the variables published on this way only (a JSON object).
	Published json.RawMessage `json:"published,omitempty"`
}

// Verdict is what became of a transition.
type Verdict string

// The verdicts.
const (
	Taken   Verdict = "taken"
	Refused Verdict = "refused" // its condition does not hold
	Broken  Verdict = "broken"  // its condition, or what it publishes, cannot be evaluated
	Unasked Verdict = "unasked" // it belongs to another outcome, or the workflow had ended
)
