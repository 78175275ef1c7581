// Package simulate runs workflows on given outcomes instead of real actions, and on
// a clock that jumps: delays, retries and time limits pass at once. It is the same
// stepper that runs a workflow for real, so what is simulated is what will happen.
// It also reads files of such cases: StackStorm's rehearsals, and hayate's own.
package simulate

import (
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

// Outcome is what a task's action comes to. The first outcome of a plan that fits
// and is not used up counts.
type Outcome struct {
	Task string
	// Item, Entry and Route select an item of the task, an entry of the run's sequence
	// and a route; nil selects all.
	Item, Entry, Route *int
	// Times is how often it may be used, 0 without end.
	Times  int
	Status hayate.Status // "" is succeeded
	Result json.RawMessage
	Takes  time.Duration
}

// Plan is what a workflow is simulated with.
type Plan struct {
	Inputs, Context json.RawMessage // JSON objects; nil is an empty one
	Outcomes        []Outcome
	// State is the state of a run that StackStorm stored, and that is continued from
	// Rerun (all that failed where that is empty); nil starts a run.
	State json.RawMessage
	Rerun []workflows.Rerun
	// Datastore are the values that expressions can ask for, by key with its scope:
	// "system.name", or "name" of the user.
	Datastore map[string]string
	// Start is when the run starts.
	Start time.Time
	// StayPaused leaves a run paused that pauses itself; else it is resumed at once.
	StayPaused bool
}

// Try is one attempt of a task's action, or of one item of it.
type Try struct {
	Item    int             `json:"item"` // -1 where the task has no items
	Attempt int             `json:"attempt"`
	Action  string          `json:"action"`
	Input   json.RawMessage `json:"input,omitempty"`
	Status  hayate.Status   `json:"status"`
	Result  json.RawMessage `json:"result,omitempty"`
	// Assumed says that no outcome was given for it: it succeeded with null.
	Assumed bool `json:"assumed,omitempty"`
	// Began and Ended count from the start of the run.
	Began time.Duration `json:"began_ns"`
	Ended time.Duration `json:"ended_ns"`
}

// Task is one run of a task with what was tried for it.
type Task struct {
	workflows.Task
	Tries []Try `json:"tries,omitempty"`
}

// Report is what a simulated run came to.
type Report struct {
	Dialect string        `json:"dialect"`
	Status  hayate.Status `json:"status"`
	// Output is the workflow's output without what a dialect puts around it.
	Output json.RawMessage `json:"output"`
	// Errors is a JSON array of objects with a message, nil where there are none.
	Errors json.RawMessage `json:"errors,omitempty"`
	Took   time.Duration   `json:"took_ns"`
	Tasks  []Task          `json:"tasks"`
	Routes [][]string      `json:"routes,omitempty"`
	// Pauses are when the run paused, counted from its start.
	Pauses []time.Duration `json:"pauses_ns,omitempty"`
	// Missing are the inputs that the workflow declares without a default and that the
	// plan does not give: they are null in an Orquesta run, and unset in a Mistral one.
	Missing []string `json:"missing_inputs,omitempty"`
	// Unused are the outcomes of the plan that nothing came to.
	Unused []string `json:"unused,omitempty"`
}

// maxSteps bounds the facts a simulation tells: a workflow that goes on for ever is
// stopped by its own bound long before.
const maxSteps = 1_000_000

// Run simulates a workflow. It fails with ErrInvalid where the plan does not fit, or
// where the run waits for something that never comes.
func Run(def *workflows.Definition, p Plan) (Report, error) {
	s := &simulator{def: def, run: workflows.New(def, "simulated"), plan: p, now: p.Start, uses: make([]int, len(p.Outcomes)),
		tries: map[int][]Try{}, values: map[workflows.Lookup]workflows.Value{}}
	for _, o := range p.Outcomes {
		if o.Status != "" && !o.Status.Completed() {
			return Report{}, fmt.Errorf("outcome of task %q: %q is not how an action ends: %w", o.Task, o.Status, hayate.ErrInvalid)
		}
	}
	first := workflows.Fact{Kind: workflows.Started, Inputs: p.Inputs, Context: p.Context}
	var err error
	if p.State != nil {
		first = workflows.Fact{Kind: workflows.RerunAsked, Tasks: p.Rerun}
		s.run, err = workflows.Continue(def, "simulated", p.State)
	}
	if err == nil {
		err = s.tell(first)
	}
	for n := 0; err == nil && (s.queue.Len() > 0 || s.rests()); n++ {
		switch {
		case n > maxSteps:
			err = fmt.Errorf("the simulation was stopped after %d steps: %w", maxSteps, hayate.ErrInvalid)
		case s.rests():
			s.pauses = append(s.pauses, s.now.Sub(p.Start))
			err = s.tell(workflows.Fact{Kind: workflows.ResumeAsked})
		default:
			err = s.moment()
		}
	}
	if err != nil {
		return Report{}, err
	}
	if st := s.run.Status(); !st.Completed() && st != hayate.StatusPaused {
		return Report{}, fmt.Errorf("the workflow is %s and waits for what never comes: %w", st, hayate.ErrInvalid)
	}
	return s.report(), nil
}

// simulator is one simulation.
type simulator struct {
	def    *workflows.Definition
	run    *workflows.Run
	plan   Plan
	now    time.Time
	queue  queue
	order  int
	uses   []int
	tries  map[int][]Try // by entry
	values map[workflows.Lookup]workflows.Value
	finish *workflows.Command
	ended  time.Time // when the run finished
	pauses []time.Duration
}

// event is something that will happen: a child ends, or a timer comes.
type event struct {
	at    time.Time
	order int
	fact  workflows.Fact
	try   int // index among the tries of the child's entry, -1 for a timer
}

type queue []*event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push adds an event.
func (q *queue) Push(x any) { *q = append(*q, x.(*event)) }

// Pop takes the last event.
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func (s *simulator) schedule(after time.Duration, f workflows.Fact, try int) {
	s.order++
	heap.Push(&s.queue, &event{at: s.now.Add(after), order: s.order, fact: f, try: try})
}

// moment tells everything that happens at the next moment.
func (s *simulator) moment() error {
	var batch []*event
	for s.queue.Len() > 0 && (len(batch) == 0 || s.queue[0].at.Equal(batch[0].at)) {
		batch = append(batch, heap.Pop(&s.queue).(*event))
	}
	s.now = batch[0].at
	for i, e := range batch {
		e.fact.More = i < len(batch)-1
		if e.try >= 0 {
			c := &e.fact.Child
			t := &s.tries[c.Entry][e.try]
			t.Status, t.Ended = c.Status, s.now.Sub(s.plan.Start)
			t.Result = c.Result
		}
		if err := s.tell(e.fact); err != nil {
			return err
		}
	}
	return nil
}

// rests says whether the run is paused and is to be resumed.
func (s *simulator) rests() bool {
	return s.run.Status() == hayate.StatusPaused && !s.plan.StayPaused
}

// tell steps the run by a fact, with the datastore values that it needs.
func (s *simulator) tell(f workflows.Fact) error {
	f.At = s.now
	for range maxNeeds {
		f.Values = s.values
		_, commands, err := workflows.Step(s.def, s.run, f)
		var need *workflows.Need
		if errors.As(err, &need) {
			for _, l := range need.Lookups {
				v, ok := s.plan.Datastore[l.Key]
				s.values[l] = workflows.Value{Value: v, Found: ok}
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
		for i := range commands {
			s.do(&commands[i])
		}
		return nil
	}
	return fmt.Errorf("simulate: the workflow asks for ever more datastore keys: %w", hayate.ErrInvalid)
}

// maxNeeds bounds how often one fact may ask for datastore values.
const maxNeeds = 1000

func (s *simulator) do(c *workflows.Command) {
	switch c.Kind {
	case workflows.StartChild:
		s.start(&c.Start)
	case workflows.SetTimer:
		s.schedule(c.After, workflows.Fact{Kind: workflows.TimerDue, Timer: c.Timer}, -1)
	case workflows.CancelChildren:
		s.cancel()
	case workflows.Finish:
		f := *c
		s.finish, s.ended = &f, s.now
	}
}

// start lets an action run for as long as its outcome says.
func (s *simulator) start(st *workflows.Start) {
	o, ok := s.outcome(st)
	try := Try{Item: st.Item, Attempt: st.Attempt, Action: st.Action, Input: st.Input, Status: hayate.StatusRunning, Assumed: !ok,
		Began: s.now.Add(st.Delay).Sub(s.plan.Start)}
	s.tries[st.Entry] = append(s.tries[st.Entry], try)
	status := o.Status
	if status == "" {
		status = hayate.StatusSucceeded
	}
	n := len(s.tries[st.Entry]) - 1
	s.schedule(st.Delay+max(o.Takes, 0), workflows.Fact{Kind: workflows.ChildChanged, Child: workflows.Child{
		ID: "simulated." + strconv.Itoa(st.Entry) + "." + strconv.Itoa(n), Task: st.Task, Route: st.Route, Entry: st.Entry, Item: st.Item,
		Attempt: st.Attempt, Status: status, Result: o.Result}}, n)
}

// outcome finds what an action comes to.
func (s *simulator) outcome(st *workflows.Start) (Outcome, bool) {
	for i, o := range s.plan.Outcomes {
		if o.Task != st.Task || o.Item != nil && *o.Item != st.Item || o.Entry != nil && *o.Entry != st.Entry ||
			o.Route != nil && *o.Route != st.Route || o.Times > 0 && s.uses[i] >= o.Times {
			continue
		}
		s.uses[i]++
		return o, true
	}
	return Outcome{}, false
}

// cancel ends what still runs as canceled.
func (s *simulator) cancel() {
	for _, e := range s.queue {
		if e.try >= 0 {
			e.at, e.fact.Child.Status, e.fact.Child.Result = s.now, hayate.StatusCanceled, nil
		}
	}
	heap.Init(&s.queue)
}

func (s *simulator) report() Report {
	r := Report{Dialect: s.def.Dialect(), Status: s.run.Status(), Routes: s.run.Routes(), Pauses: s.pauses,
		Output: json.RawMessage("null"), Errors: s.run.ErrorLog()}
	_, r.Missing = CheckInputs(s.def, s.plan.Inputs)
	for _, t := range s.run.Tasks() {
		r.Tasks = append(r.Tasks, Task{Task: t, Tries: s.tries[t.Entry]})
	}
	at := s.now
	if s.finish != nil {
		r.read(s.finish)
		at = s.ended
	}
	r.Took = at.Sub(s.plan.Start)
	for i, o := range s.plan.Outcomes {
		if s.uses[i] == 0 {
			r.Unused = append(r.Unused, o.name())
		}
	}
	return r
}

// name says which outcome it is.
func (o *Outcome) name() string {
	name := o.Task
	if o.Item != nil {
		name += "[" + strconv.Itoa(*o.Item) + "]"
	}
	if o.Entry != nil {
		name += " (entry " + strconv.Itoa(*o.Entry) + ")"
	}
	return name
}

// read takes the output and the errors out of what a dialect ends with.
func (r *Report) read(c *workflows.Command) {
	switch r.Dialect {
	case workflows.Orquesta:
		r.Output = c.Output
		return
	case workflows.ActionChain:
		var out struct {
			Error     string          `json:"error"`
			Published json.RawMessage `json:"published"`
		}
		if json.Unmarshal(c.Output, &out) == nil {
			r.Output, r.Errors = orNull(out.Published), errorList(out.Error)
		}
		return
	}
	var extra struct {
		Extra struct {
			Info string `json:"state_info"`
		} `json:"extra"`
	}
	if json.Unmarshal(c.Output, &extra) == nil {
		r.Errors = errorList(extra.Extra.Info)
	}
	r.Output = without(c.Output, "tasks", "extra")
}

func errorList(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	b, err := json.Marshal([]map[string]string{{"type": "error", "message": text}})
	if err != nil {
		return nil
	}
	return b
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
