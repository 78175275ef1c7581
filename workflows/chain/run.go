package chain

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// Run is the state of one run of a chain: at most one task runs at a time.
type Run struct {
	def    *Definition
	id     string
	status hayate.Status
	// asked is what the owner wants once the current task ends: paused or canceled.
	asked   hayate.Status
	next    *task // what to do when the run is resumed
	entries []*entry
	inputs  *value.Map
	context *value.Map // of the execution: parent, user, config_context
	vars    map[string]any
	order   []string // names in vars, in the order in which they were set
	results map[string]any
	shown   *value.Map // what tasks published
	failed  string     // why the chain itself failed
	bare    bool       // it failed so that StackStorm shows no tasks
	output  json.RawMessage
}

// entry is one run of a task.
type entry struct {
	task           *task
	child          string
	status         hayate.Status
	result         any
	created, ended time.Time
	published      *value.Map
}

// New returns a run that has not started.
func New(d *Definition, id string) *Run {
	return &Run{def: d, id: id, vars: map[string]any{}, results: map[string]any{}, shown: &value.Map{}}
}

// New returns a run that has not started.
func (d *Definition) New(id string) flow.Run { return New(d, id) }

// Status is where the run stands, "" before it started.
func (r *Run) Status() hayate.Status { return r.status }

// Tasks shows what the run went through.
func (r *Run) Tasks() []flow.Task {
	out := make([]flow.Task, len(r.entries))
	g := r.def.Graph()
	for i, e := range r.entries {
		out[i] = flow.Task{Entry: i, Name: e.task.name, Status: e.status}
		if e.published.Len() > 0 {
			out[i].Published = encoded(e.published)
		}
		if i > 0 {
			out[i].From = []int{i - 1}
			out[i-1].Next = []string{e.task.name}
		}
	}
	for i, e := range r.entries {
		if e.status.Completed() {
			out[i].Transitions = ways(&g, e, i+1 < len(r.entries), r.status)
		}
	}
	return out
}

// ways are what became of the ways on from a task that ended. The way of its outcome
// is broken where the chain failed instead of taking it: what the task publishes
// could not be rendered.
func ways(g *flow.Graph, e *entry, wentOn bool, status hayate.Status) []flow.Transition {
	var out []flow.Transition
	for i, x := range g.Edges {
		if x.From != e.task.name {
			continue
		}
		t := flow.Transition{Edge: i, To: x.To, When: x.When, Verdict: flow.Unasked}
		switch ours := (x.When == "succeeded") == (e.status == hayate.StatusSucceeded); {
		case ours && wentOn:
			t.Verdict = flow.Taken
		case ours && e.status == hayate.StatusSucceeded && status == hayate.StatusFailed:
			t.Verdict = flow.Broken
		}
		out = append(out, t)
	}
	return out
}

// stepper is one step: a fact, and what is changed by it. Nothing of the run is
// changed before the step is known to succeed.
type stepper struct {
	*Run
	fact     *flow.Fact
	needs    []flow.Lookup
	commands []flow.Command
	undo     []func()
	dirty    map[int]bool
	started  bool
}

// Step tells the run a fact: see Step of package workflows.
func (r *Run) Step(f flow.Fact) (flow.Delta, []flow.Command, error) {
	s := &stepper{Run: r, fact: &f, dirty: map[int]bool{}}
	old := *r
	s.undo = append(s.undo, func() { *r = old })
	changed, err := s.tell()
	if err == nil && len(s.needs) > 0 {
		err = &flow.Need{Lookups: s.needs}
	}
	if err != nil || !changed {
		for i := len(s.undo) - 1; i >= 0; i-- {
			s.undo[i]()
		}
		var need *flow.Need
		if err != nil && !errors.As(err, &need) {
			err = fmt.Errorf("step chain with %s: %w", f.Kind, err)
		}
		return flow.Delta{}, nil, err
	}
	s.announce(old.status)
	return s.delta(), s.commands, nil
}

func (s *stepper) tell() (changed bool, err error) {
	if s.fact.Kind != flow.Started && s.status == "" {
		return false, fmt.Errorf("the run has not started: %w", hayate.ErrInvalid)
	}
	switch s.fact.Kind {
	case flow.Started:
		if s.status != "" {
			return false, nil
		}
		return true, s.start()
	case flow.ChildChanged:
		return s.child(&s.fact.Child)
	case flow.TimerDue:
		return false, nil
	case flow.PauseAsked:
		if s.status != hayate.StatusRunning {
			return false, nil
		}
		s.status, s.asked = hayate.StatusPausing, hayate.StatusPaused
		s.commands = append(s.commands, flow.Command{Kind: flow.PauseChildren})
		return true, nil
	case flow.ResumeAsked:
		if s.status != hayate.StatusPaused && s.status != hayate.StatusPausing {
			return false, nil
		}
		s.status, s.asked = hayate.StatusRunning, ""
		s.commands = append(s.commands, flow.Command{Kind: flow.ResumeChildren})
		if s.current() != nil {
			return true, nil
		}
		return true, s.goOn(s.next)
	case flow.CancelAsked:
		if s.status.Completed() || s.status == hayate.StatusCanceling {
			return false, nil
		}
		s.status, s.asked = hayate.StatusCanceling, hayate.StatusCanceled
		s.commands = append(s.commands, flow.Command{Kind: flow.CancelChildren})
		if s.current() == nil {
			s.status = hayate.StatusCanceled
		}
		return true, nil
	case flow.RerunAsked:
		return false, fmt.Errorf("a chain cannot be continued; run it again: %w", hayate.ErrInvalid)
	}
	return false, fmt.Errorf("unknown fact %q: %w", s.fact.Kind, hayate.ErrInvalid)
}

// current is the task that runs, or nil.
func (r *Run) current() *entry {
	if n := len(r.entries); n > 0 && !r.entries[n-1].status.Completed() {
		return r.entries[n-1]
	}
	return nil
}

func object(raw json.RawMessage, what string) (*value.Map, error) {
	if len(raw) == 0 {
		return &value.Map{}, nil
	}
	v, err := value.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %v: %w", what, err, hayate.ErrInvalid)
	}
	m, ok := v.(*value.Map)
	if !ok && v != nil {
		return nil, fmt.Errorf("%s: found %s, want an object: %w", what, value.Type(v), hayate.ErrInvalid)
	}
	return m, nil
}

func (s *stepper) start() (err error) {
	if s.inputs, err = object(s.fact.Inputs, "inputs"); err != nil {
		return err
	}
	if s.context, err = object(s.fact.Context, "context"); err != nil {
		return err
	}
	s.status, s.started = hayate.StatusRunning, true
	for i := range s.def.vars {
		p := &s.def.vars[i]
		v, err := p.render(s.scope(false))
		if err != nil {
			return s.breakOff("Failed rendering vars: "+p.name, err)
		}
		s.set(p.name, v)
	}
	return s.goOn(s.def.first)
}

func (s *stepper) set(name string, v any) {
	old, had := s.vars[name]
	s.undo = append(s.undo, func() {
		if had {
			s.vars[name] = old
		} else {
			delete(s.vars, name)
		}
	})
	if !had {
		s.order = append(s.order[:len(s.order):len(s.order)], name)
	}
	s.vars[name] = v
}

// breakOff fails the chain because something of it cannot be rendered.
func (s *stepper) breakOff(what string, err error) error {
	var need *flow.Need
	if errors.As(err, &need) {
		s.needs = append(s.needs, need.Lookups...)
		return nil
	}
	s.failed = what + ": " + err.Error()
	s.status, s.next = hayate.StatusFailed, nil
	return nil
}

// goOn starts a task, or ends the chain where there is none.
func (s *stepper) goOn(t *task) error {
	s.next = nil
	if t == nil {
		s.end()
		return nil
	}
	if len(s.entries) >= s.def.max {
		return s.breakOff("stopped", fmt.Errorf("the chain went through %d tasks, more are not allowed", len(s.entries)))
	}
	params := value.NewMap(len(t.params))
	for i := range t.params {
		p := &t.params[i]
		v, err := p.render(s.scope(true))
		if err != nil {
			return s.breakOff(fmt.Sprintf("Failed to run task %q. Parameter rendering failed: %s", t.name, p.name), err)
		}
		params.Set(p.name, v)
	}
	input, err := value.AppendJSON(nil, params)
	if err != nil {
		return s.breakOff(fmt.Sprintf("Failed to run task %q", t.name), err)
	}
	s.entries = append(s.entries, &entry{task: t, status: hayate.StatusRunning, created: s.fact.At})
	at := len(s.entries) - 1
	s.dirty[at] = true
	s.commands = append(s.commands, flow.Command{Kind: flow.StartChild,
		Start: flow.Start{Task: t.name, Entry: at, Item: -1, Action: t.ref, Input: input}})
	return nil
}

// end gives the chain the status of its last task.
func (s *stepper) end() {
	s.status = hayate.StatusSucceeded
	if n := len(s.entries); n > 0 {
		s.status = s.entries[n-1].status
	}
}

// child tells what became of the current task.
func (s *stepper) child(c *flow.Child) (changed bool, err error) {
	e := s.current()
	if c.Entry < 0 || c.Entry >= len(s.entries) || s.entries[c.Entry].task.name != c.Task {
		return false, fmt.Errorf("child of task %q: it is not entry %d: %w", c.Task, c.Entry, hayate.ErrInvalid)
	}
	if e == nil || s.entries[c.Entry] != e || e.status == c.Status || c.Attempt != 0 {
		return false, nil
	}
	was := *e
	s.undo = append(s.undo, func() { *e = was })
	switch c.Status {
	case hayate.StatusPending, hayate.StatusPaused:
		e.status = c.Status
		if s.status != hayate.StatusCanceling {
			s.status = hayate.StatusPaused
		}
		s.dirty[c.Entry] = true
		return true, nil
	case hayate.StatusRunning:
		e.status = c.Status
		if s.status == hayate.StatusPaused && s.asked == "" {
			s.status = hayate.StatusRunning
		}
		s.dirty[c.Entry] = true
		return true, nil
	}
	if !c.Status.Completed() {
		return false, nil
	}
	if e.result, err = decode(c.Result); err != nil {
		return false, fmt.Errorf("child of task %q: result: %v: %w", c.Task, err, hayate.ErrInvalid)
	}
	e.status, e.ended, e.child = c.Status, s.fact.At, c.ID
	s.dirty[c.Entry] = true
	return true, s.completed(e)
}

func decode(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	return value.Decode(raw)
}

// completed publishes what a task yields, and goes on.
func (s *stepper) completed(e *entry) error {
	old, had := s.results[e.task.name]
	s.undo = append(s.undo, func() {
		if had {
			s.results[e.task.name] = old
		} else {
			delete(s.results, e.task.name)
		}
	})
	s.results[e.task.name] = e.result
	if s.asked == hayate.StatusCanceled || e.status == hayate.StatusCanceled {
		s.status = hayate.StatusCanceled
		return nil
	}
	if len(e.task.publish) > 0 {
		out := value.NewMap(len(e.task.publish))
		for i := range e.task.publish {
			p := &e.task.publish[i]
			v, err := p.render(s.scope(false))
			if err != nil {
				s.bare = true
				return s.breakOff(fmt.Sprintf("Failed rendering value for publish parameter %q in task %q", p.name, e.task.name), err)
			}
			out.Set(p.name, v)
		}
		e.published = out
		s.shown = s.shown.Clone()
		for k, v := range out.All() {
			name, _ := k.(string)
			s.set(name, v)
			s.shown.Set(name, v)
		}
	}
	to := s.def.byName[e.task.onFailure]
	if e.status == hayate.StatusSucceeded {
		to = s.def.byName[e.task.onSuccess]
	}
	if to == nil {
		s.end()
		return nil
	}
	if s.asked == hayate.StatusPaused {
		s.status, s.next = hayate.StatusPaused, to
		return nil
	}
	s.status = hayate.StatusRunning
	return s.goOn(to)
}

// announce asks for what the change of the chain's status means.
func (s *stepper) announce(before hayate.Status) {
	r := s.Run
	switch {
	case r.status == before:
	case r.status.Completed():
		r.output = r.result()
		s.commands = append(s.commands, flow.Command{Kind: flow.Finish, Status: r.status, Output: r.output})
	default:
		s.commands = append(s.commands, flow.Command{Kind: flow.Rest, Status: r.status})
	}
}

const stamp = "2006-01-02T15:04:05.000000Z"

// result is the chain's result in StackStorm's shape.
func (r *Run) result() json.RawMessage {
	out := value.NewMap(3)
	tasks := value.List{}
	for i, e := range r.entries {
		var ended any
		if !e.ended.IsZero() {
			ended = e.ended.UTC().Format(stamp)
		}
		tasks = append(tasks, value.MapOf("id", r.id+"."+strconv.Itoa(i), "name", e.task.name, "execution_id", e.child, "liveaction_id", e.child,
			"workflow", nil, "created_at", e.created.UTC().Format(stamp), "updated_at", ended, "state", string(e.status), "result", e.result))
	}
	if r.failed != "" {
		out.Set("error", r.failed)
		out.Set("traceback", "")
	}
	if !r.bare {
		out.Set("tasks", tasks)
		out.Set("published", r.shown)
	}
	b, err := value.AppendJSON(nil, out)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

// scope is what templates see: later sources hide earlier ones. params adds what
// only a task's parameters may see.
func (s *stepper) scope(params bool) jinja.Vars { return &scope{s: s, params: params} }

type scope struct {
	s      *stepper
	params bool
}

// Lookup finds a name: scopes of the datastore, variables, results of tasks,
// parameters of the chain.
func (c *scope) Lookup(name string) (any, bool, error) {
	r := c.s.Run
	switch name {
	case "system":
		return &keys{c.s, "system."}, true, nil
	case "st2kv":
		return &scopes{c.s}, true, nil
	case "__results":
		m := value.NewMap(len(r.results))
		for _, e := range r.entries {
			if v, ok := r.results[e.task.name]; ok {
				m.Set(e.task.name, v)
			}
		}
		return m, true, nil
	case "action_context":
		if c.params {
			m := r.context.Clone()
			m.Delete("config_context")
			return m, true, nil
		}
	case "config_context":
		if c.params {
			v, _ := r.context.Str("config_context")
			if v == nil {
				v = &value.Map{}
			}
			return v, true, nil
		}
	}
	if v, ok := r.vars[name]; ok {
		return v, true, nil
	}
	if v, ok := r.results[name]; ok {
		return v, true, nil
	}
	v, ok := r.inputs.Str(name)
	return v, ok, nil
}

// scopes is st2kv: system, and the user's own keys.
type scopes struct{ s *stepper }

// Attr returns a scope of the datastore.
func (x *scopes) Attr(name string) (any, bool, error) {
	switch name {
	case "system":
		return &keys{x.s, "system."}, true, nil
	case "user":
		return &keys{x.s, ""}, true, nil
	}
	return nil, false, nil
}

// keys is a scope of the datastore.
type keys struct {
	s      *stepper
	prefix string
}

// Attr returns the value of a key, the empty text where there is none.
func (k *keys) Attr(name string) (any, bool, error) {
	l := flow.Lookup{Key: k.prefix + name}
	v, ok := k.s.fact.Values[l]
	if !ok {
		return nil, false, &flow.Need{Lookups: []flow.Lookup{l}}
	}
	return v.Value, true, nil
}
