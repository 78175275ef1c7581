package mistral

import (
	"encoding/json"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// state is where a task or a workflow stands, in Mistral's words.
type state string

const (
	idle      state = "IDLE"
	waiting   state = "WAITING" // a join, for its branches
	delayed   state = "DELAYED"
	running   state = "RUNNING"
	held      state = "PAUSED" // it waits for a person
	success   state = "SUCCESS"
	failure   state = "ERROR"
	cancelled state = "CANCELLED"
)

func (s state) final() bool { return s == success || s == failure || s == cancelled }

// status is a state in StackStorm's words.
func (s state) status() hayate.Status {
	switch s {
	case success:
		return hayate.StatusSucceeded
	case failure:
		return hayate.StatusFailed
	case cancelled:
		return hayate.StatusCanceled
	case delayed, waiting, idle:
		return hayate.StatusDelayed
	case held:
		return hayate.StatusPaused
	}
	return hayate.StatusRunning
}

// Run is the state of one run: the workflow and the sub-workflows of its workbook
// that it runs, each a frame, and the tasks of all of them in the order in which
// they were reached.
type Run struct {
	def     *Definition
	id      string
	frames  []*frame
	entries []*entry
	backlog []int // entries to go on with once the run is resumed
	context *value.Map
	env     *value.Map

	started, paused, canceling, finished bool
	working                              int // tasks whose action runs
	holding                              int // tasks that wait for a person
	step                                 int
}

// frame is one run of one workflow.
type frame struct {
	index   int
	wf      *workflow
	parent  int // entry that runs it, -1 for the outermost
	item    int
	input   *value.Map
	vars    *value.Map
	state   state
	info    string
	open    int // entries that are not done with
	newest  map[string]int
	joins   []int // entries that wait for branches
	entries []int
	output  any
	step    int
}

// entry is one run of a task.
type entry struct {
	index   int
	frame   int
	task    *task
	state   state
	info    string
	from    []int // entries that led here
	result  any
	shown   *value.Map // what it published
	attempt int        // of its children
	tries   int        // retries made
	waited  state      // its outcome while it waits after
	checked bool       // pause-before was asked
	done    bool       // its transitions were gone through
	handled bool       // its error was
	led     bool       // something followed
	took    string     // what became of its targets
	input   json.RawMessage
	items   *items
	child   string
	created time.Time
	ended   time.Time
	adhoc   *adhoc
	in      *value.Map // what it sees of earlier tasks, once computed
	step    int
}

// items is the progress of a task with items.
type items struct {
	names   []string
	lists   []value.List
	states  []state
	results []any
	open    int // handed out and not ended
	next    int // no item before this one is to be handed out
	ended   int
	bad     int
}

func (it *items) len() int { return len(it.states) }

// New returns a run that has not started.
func New(d *Definition, id string) *Run { return &Run{def: d, id: id, context: &value.Map{}} }

// New returns a run that has not started.
func (d *Definition) New(id string) flow.Run { return New(d, id) }

// Status is where the run stands, "" before it started.
func (r *Run) Status() hayate.Status {
	switch {
	case !r.started:
		return ""
	case r.frames[0].state.final():
		return r.frames[0].state.status()
	case r.canceling:
		return hayate.StatusCanceling
	case r.paused && r.working > 0:
		return hayate.StatusPausing
	case r.paused, r.holding > 0 && r.working == 0:
		return hayate.StatusPaused
	}
	return hayate.StatusRunning
}

// Tasks shows what the run went through.
func (r *Run) Tasks() []flow.Task {
	out := make([]flow.Task, len(r.entries))
	for i, e := range r.entries {
		t := flow.Task{Entry: i, Name: e.task.name, Route: e.frame, Status: e.state.status(), Attempt: e.attempt, From: e.from}
		if e.items != nil {
			t.Items, t.Done = e.items.len(), e.items.ended
		}
		if f := r.frames[e.frame]; f.wf != r.def.main || f.parent >= 0 {
			t.Workflow = f.wf.name
			if len(t.From) == 0 && f.parent >= 0 {
				t.From = []int{f.parent}
			}
		}
		if e.shown.Len() > 0 {
			t.Published = encoded(e.shown)
		}
		t.Transitions = r.ways(e)
		out[i] = t
		for _, f := range e.from {
			out[f].Next = append(out[f].Next, e.task.name)
		}
	}
	return out
}

// The letters of what became of a task's targets, in the order of its clauses.
const (
	targetUnasked = '.'
	targetRefused = '-'
	targetTaken   = '+'
	targetBroken  = '!'
	targetHeld    = '?' // the run paused before it
)

// ways are what became of the ways on from a task that ended.
func (r *Run) ways(e *entry) []flow.Transition {
	var out []flow.Transition
	for k, x := range e.task.targets() {
		if k >= len(e.took) {
			break
		}
		t := flow.Transition{Edge: e.task.firstEdge + k, To: x.to, When: e.task.condition(k), Verdict: flow.Unasked}
		switch e.took[k] {
		case targetRefused:
			t.Verdict = flow.Refused
		case targetTaken:
			t.Verdict = flow.Taken
		case targetBroken:
			t.Verdict = flow.Broken
		}
		out = append(out, t)
	}
	return out
}

// seen is what a task sees of those before it: the variables that they published,
// later ones over earlier ones.
func (r *Run) seen(e *entry) *value.Map {
	if e.in != nil {
		return e.in
	}
	var path []*entry // along the first branch, which may be as long as the run
	for x := e; x.in == nil; x = r.entries[x.from[0]] {
		path = append(path, x)
		if len(x.from) == 0 {
			break
		}
	}
	for i := len(path) - 1; i >= 0; i-- {
		x := path[i]
		m := &value.Map{}
		for k, f := range x.from {
			out := r.left(r.entries[f])
			if k == 0 {
				m = out
				continue
			}
			m = over(m, out)
		}
		x.in = m
	}
	return e.in
}

// left is what a task leaves to those after it.
func (r *Run) left(e *entry) *value.Map { return over(r.seen(e), e.shown) }

func over(base, top *value.Map) *value.Map {
	if top.Len() == 0 {
		return base
	}
	if base.Len() == 0 {
		return top
	}
	m := base.Clone()
	for k, v := range top.All() {
		m.Set(k, v)
	}
	return m
}

// env is what an expression sees.
type env struct {
	s     *stepper
	frame *frame
	entry *entry     // the current task; nil outside of one
	ctx   *value.Map // variables that tasks published
	item  *value.Map // variables of the item
	root  *value.Map // what $ is instead, for ad-hoc actions
	made  *value.Map
}

// data is $ and _: the item over what tasks published, over the environment, the
// workflow's variables and its input.
func (e *env) data() any {
	if e.root != nil {
		return e.root
	}
	if e.made == nil {
		m := over(e.frame.input, e.frame.vars)
		m = over(m, value.MapOf("__env", e.s.environment(), "__execution", e.execution()))
		e.made = over(over(m, e.ctx), e.item)
	}
	return e.made
}

func (e *env) environment() *value.Map { return e.s.environment() }

// environment is env(): what StackStorm tells a workflow about itself.
func (r *Run) environment() *value.Map {
	if r.env == nil {
		st2, _ := r.context.Str("st2")
		m, _ := st2.(*value.Map)
		url, _ := m.Str("api_url")
		r.env = value.MapOf("st2_execution_id", r.id, "st2_liveaction_id", r.id, "st2_action_api_url", url, "__actions", &value.Map{})
	}
	return r.env
}

// global is global(name): a variable of the whole workflow, null where there is none.
func (e *env) global(name any) any {
	v, _ := e.frame.vars.Get(name)
	return v
}

func (e *env) execution() *value.Map {
	return value.MapOf("id", e.s.id, "name", e.frame.wf.name, "input", e.frame.input, "spec", nil)
}

// task is task(name): the current task where it has that name, or none is given, else
// the newest run of a task of this workflow; null where there is none.
func (e *env) task(name any) (any, error) {
	x := e.entry
	if s, ok := name.(string); ok && s != "" && (x == nil || x.task.name != s) {
		i, ok := e.frame.newest[s]
		if !ok {
			return nil, nil
		}
		x = e.s.entries[i]
	}
	if x == nil {
		return nil, nil
	}
	published := any(x.shown)
	if x.shown == nil {
		published = &value.Map{}
	}
	return value.MapOf("id", e.s.entryID(x.index), "name", x.task.name, "state", string(x.state), "state_info", info(x.info),
		"result", x.result, "published", published, "spec", value.MapOf("name", x.task.name), "type", kindOf(x.task)), nil
}

func info(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func kindOf(t *task) string {
	if t.workflow != "" {
		return "WORKFLOW"
	}
	return "ACTION"
}

// lookup is st2kv(key, decrypt).
func (e *env) lookup(key any, decrypt bool) (any, error) {
	name, ok := key.(string)
	if !ok {
		return nil, value.TypeErrorf("Given key is not typeof string.")
	}
	l := flow.Lookup{Key: name, Decrypt: decrypt}
	v, ok := e.s.fact.Values[l]
	if !ok {
		e.s.want(l)
		return nil, &flow.Need{Lookups: []flow.Lookup{l}}
	}
	if !v.Found {
		return nil, value.ValueErrorf("Key %s does not exist in StackStorm datastore.", name)
	}
	return v.Value, nil
}
