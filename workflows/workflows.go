// Package workflows computes, from the definition of a workflow, the state of a
// run and a fact, the next state and what the run asks for. It knows no clock, no
// store and no network: time, values of the datastore and results of tasks come in
// as facts; what is to be done goes out as commands. So a run can be replayed,
// simulated and resumed by the same few lines.
//
// The dialects are packages below: orquesta is StackStorm's own,
// chain its older ActionChain, mistral what it ran until version 3.3.
package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/chain"
	"github.com/hayate-run/hayate/workflows/flow"
	"github.com/hayate-run/hayate/workflows/mistral"
	"github.com/hayate-run/hayate/workflows/orquesta"
)

// The dialects, by the names that StackStorm gives their runners.
const (
	Orquesta    = "orquesta"
	ActionChain = "action-chain"
	Mistral     = "mistral-v2"
)

// Dialects are the names that Parse knows.
var Dialects = []string{Orquesta, ActionChain, Mistral}

// The words that the dialects share.
type (
	Fact    = flow.Fact
	Child   = flow.Child
	Rerun   = flow.Rerun
	Lookup  = flow.Lookup
	Value   = flow.Value
	Need    = flow.Need
	Command = flow.Command
	Start   = flow.Start
	Delta   = flow.Delta
	Problem = flow.Problem
	Input   = flow.Input
	Options = flow.Options
	Graph   = flow.Graph
	Task    = flow.Task
	Node    = flow.Node
	Edge    = flow.Edge
	Way     = flow.Transition
)

// What may become of a transition.
const (
	Taken   = flow.Taken
	Refused = flow.Refused
	Broken  = flow.Broken
	Unasked = flow.Unasked
)

// The kinds of facts and commands.
const (
	Started        = flow.Started
	ChildChanged   = flow.ChildChanged
	TimerDue       = flow.TimerDue
	PauseAsked     = flow.PauseAsked
	ResumeAsked    = flow.ResumeAsked
	CancelAsked    = flow.CancelAsked
	RerunAsked     = flow.RerunAsked
	StartChild     = flow.StartChild
	SetTimer       = flow.SetTimer
	PauseChildren  = flow.PauseChildren
	ResumeChildren = flow.ResumeChildren
	CancelChildren = flow.CancelChildren
	Rest           = flow.Rest
	Finish         = flow.Finish
)

// Definition is a workflow that has been read, inspected and compiled. It is
// immutable and may be used by any number of runs at once.
type Definition struct {
	dialect, name, digest string
	program               flow.Program
}

// Parse reads a workflow of a dialect. name is what it is called in messages. The
// problems are all that could be found. A definition that can be run in spite of
// them is returned beside them; whoever starts runs refuses it. An unknown dialect
// is a problem.
func Parse(dialect, name string, text []byte, o Options) (*Definition, []Problem) {
	d := &Definition{dialect: dialect, name: name, digest: digestOf(dialect, text, o)}
	var problems []Problem
	switch dialect {
	case Orquesta:
		var p *orquesta.Definition
		if p, problems = orquesta.Parse(text, d.digest, o); p != nil {
			d.program = p
		}
	case ActionChain:
		var p *chain.Definition
		if p, problems = chain.Parse(text, d.digest, o); p != nil {
			d.program = p
		}
	case Mistral:
		var p *mistral.Definition
		if p, problems = mistral.Parse(text, d.digest, o); p != nil {
			d.program = p
		}
	default:
		problems = []Problem{{Category: "syntax", Message: fmt.Sprintf("unknown dialect %q; known are %s", dialect, strings.Join(Dialects, ", "))}}
	}
	if d.program == nil {
		return nil, problems
	}
	return d, problems
}

// digestOf names the text and whatever of the options changes what a run does.
func digestOf(dialect string, text []byte, o Options) string {
	h := sha256.New()
	h.Write([]byte(dialect + "\n" + strconv.FormatBool(o.Reevaluate) + "\n" + o.Workflow + "\n"))
	if o.Target != "" {
		h.Write([]byte(o.Target + "\n"))
	}
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Dialect is the name of the dialect it is written in.
func (d *Definition) Dialect() string { return d.dialect }

// Name is what it was called when it was parsed.
func (d *Definition) Name() string { return d.name }

// Digest identifies the definition's text and meaning. A run is pinned to it.
func (d *Definition) Digest() string { return d.digest }

// Graph shows the definition.
func (d *Definition) Graph() Graph { return d.program.Graph() }

// Inputs are the inputs that the definition declares, in order; known is false for a
// dialect that declares none (an action chain takes those of its action).
func (d *Definition) Inputs() (inputs []Input, known bool) {
	if p, ok := d.program.(flow.Declarer); ok {
		return p.Inputs(), true
	}
	return nil, false
}

// Contents checks the actions that a text of a dialect names, and what it gives
// them, against those that there are, even where it cannot be run.
func Contents(dialect string, text []byte, find flow.FindAction) []Problem {
	switch dialect {
	case Orquesta:
		return orquesta.Contents(text, find)
	case ActionChain:
		return chain.Contents(text, find)
	case Mistral:
		return mistral.Contents(text, find)
	}
	return nil
}

// Contents checks the actions that a definition names, and what it gives them,
// against those that there are. Dialects that cannot tell find nothing.
func (d *Definition) Contents(find flow.FindAction) []Problem {
	if c, ok := d.program.(flow.Checker); ok {
		return c.Contents(find)
	}
	return nil
}

// Run is the state of one run, in memory: what Step works on. It may be used by
// one caller at a time.
type Run struct {
	digest string
	run    flow.Run
}

// New returns a run that has not started; its first fact is Started. id is what
// expressions see as the run's name.
func New(d *Definition, id string) *Run { return &Run{d.digest, d.program.New(id)} }

// Load rebuilds a run from the last head and all entries that its steps made
// durable. It fails with ErrConflict where the run was started with another
// definition, and with ErrInvalid where head and entries do not fit. Entries of a
// step whose head was never stored do no harm.
func Load(d *Definition, id string, head json.RawMessage, entries map[string]json.RawMessage) (*Run, error) {
	r, err := d.program.Load(id, head, entries)
	if err != nil {
		return nil, err
	}
	return &Run{d.digest, r}, nil
}

// Continue rebuilds a run from the state that StackStorm stored of it: the JSON of its
// serialized conductor, without results of single items. It fails with ErrInvalid where
// that does not fit the definition, or where the dialect is not Orquesta.
func Continue(d *Definition, id string, conductor json.RawMessage) (*Run, error) {
	c, ok := d.program.(flow.Continuer)
	if !ok {
		return nil, fmt.Errorf("continue a stored state of %s: only that of %s can be read: %w", d.dialect, Orquesta, hayate.ErrInvalid)
	}
	r, err := c.Continue(id, conductor)
	if err != nil {
		return nil, err
	}
	return &Run{d.digest, r}, nil
}

// Status is where the run stands, "" before it started.
func (r *Run) Status() hayate.Status { return r.run.Status() }

// Tasks shows what the run went through, in order.
func (r *Run) Tasks() []Task { return r.run.Tasks() }

// Step tells a run a fact. It returns what is to be made durable, and what is to
// be done once it is. The run is advanced in place; if the delta cannot be made
// durable, the run is spent and must be loaded again.
//
// A fact that was told before, or that concerns nothing the run waits for, gives
// an empty delta and no commands. Where Step fails the run is as it was: *Need
// says which datastore values the fact must bring along, any other error is
// ErrInvalid, or ErrConflict where the run belongs to another definition.
//
// The cost of a step does not depend on how many went before it.
func Step(d *Definition, r *Run, f Fact) (Delta, []Command, error) {
	if r.digest != d.digest {
		return Delta{}, nil, fmt.Errorf("step run of definition %s with %s: %w", r.digest, d.digest, hayate.ErrConflict)
	}
	return r.run.Step(f)
}

// ErrorLog is the run's log of errors in StackStorm's shape, those that were
// handled among them; nil where there are none, and for dialects that keep none.
func (r *Run) ErrorLog() json.RawMessage {
	if c, ok := r.run.(flow.Conducted); ok {
		return c.ErrorLog()
	}
	return nil
}

// Routes are the transitions that each route of an Orquesta run was split by; nil
// for other dialects.
func (r *Run) Routes() [][]string {
	if c, ok := r.run.(flow.Conducted); ok {
		return c.Routes()
	}
	return nil
}
