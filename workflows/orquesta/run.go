package orquesta

import (
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// Run is the state of one workflow run, what StackStorm calls the conductor. It
// is advanced in place, by one caller at a time, and is left as it was by
// whatever fails.
type Run struct {
	def *Definition
	head
	lists  []*list
	seq    []*entry
	routes []route
	staged map[spot]*staged
	newest map[spot]int // the latest entry of a task on a route
	counts map[spot]*arrivals
	errors []*failure
	known  map[string]bool // errors that are there, by their JSON
	values map[lookupKey]lookupValue
	at     time.Time // of the fact that is being handled
	drawn  int       // how often chance was asked in this step
	id     string
	needs  []lookupKey

	undo  []func()
	dirty []*entry // entries of earlier steps that this step changed
	items []*chunk // item chunks that this step changed
	// listed are the item sets that this step evaluated, removed the errors that it
	// took away.
	listed      []*itemSet
	removed     []int
	results     []itemResult // large ones that came in this step
	wroteOutput bool
	wroteReruns bool
	step        int // number of the step, to tell what is dirty
	base        marks
}

// head is the small part of the state that every step rewrites.
type head struct {
	status   hayate.Status
	contexts int // how many there are
	slots    int // how many tasks were ever staged
	output   any
	rendered bool
	reruns   [][]int
	started  bool
	// owes says that tasks are still to be handed out, since a fact of the same moment
	// was to follow; owedFrom is the status before it. Neither is durable.
	owes     bool
	owedFrom hayate.Status
	// finished says that the end was announced; pauseAsked that somebody wants the
	// run paused, not only a task that waits for a person.
	finished, pauseAsked bool

	active   int // newest entries in an active status
	held     int // newest entries pausing, paused or pending
	canceled int // newest entries canceling or canceled
	ready    int // staged tasks that may be handed out
}

// marks are the lengths of what only grows, as they were before the step.
type marks struct{ lists, seq, routes, errors int }

// spot is a task on a route.
type spot struct {
	node  *node
	route int
}

// route is the way a run was split to get here: that of parent and one more
// transition.
type route struct {
	parent int
	via    string // "" for the first route
}

// entry is one run of a task: what StackStorm keeps in its sequence.
type entry struct {
	index   int
	node    *node
	route   int
	slot    int // the staged task that it was handed out from
	status  hayate.Status
	in      *list
	next    []verdict // by edge; nil before the task completed
	out     int       // context published on outEdge, 0 for none
	outEdge *edge
	term    bool // it ends a branch, as StackStorm sees it
	stale   bool // a rerun goes over it again
	onFail  bool // it runs although the workflow failed, and so does what follows
	retry   *retryState
	attempt int      // how often it was handed out again
	set     *itemSet // items that were handed out; nil where it has none

	report  hayate.Status // what was last told of it, for task(); as are the following
	result  any
	started time.Time
	ended   time.Time

	step int // when it was last changed
}

// verdict is what became of a transition.
type verdict uint8

const (
	unasked verdict = iota
	refused
	taken
)

// retryState is how often an entry may be retried, and was.
type retryState struct {
	when      string
	count     int
	delay     any // an integer, or nil
	tally     int
	commanded bool // by do: retry, which has no delay
}

// staged is a task that waits to be handed out, or whose items still are.
type staged struct {
	spot
	slot      int
	in        *list
	ready     bool
	retry     *retryState
	set       *itemSet
	completed bool // its items failed; kept for a rerun
	runOnFail bool
	entry     int // the entry it is staged for again (retry, rerun), -1 for none
	step      int
}

// arrivals counts, for a barrier on a route, the inbound tasks whose newest entry
// leads there, and those that have an entry at all.
type arrivals struct{ satisfied, begun int }

// failure is an entry of the error log.
type failure struct {
	message, task, transition string
	route                     int // -1 for none
	result                    any
	hasResult                 bool
	gone                      bool // removed by a rerun
}

func isActive(s hayate.Status) bool {
	switch s {
	case requested, scheduled, delayed, running, resuming, pausing, canceling:
		return true
	}
	return false
}

func isRunning(s hayate.Status) bool {
	switch s {
	case requested, scheduled, delayed, running, resuming, retrying:
		return true
	}
	return false
}

func isStarting(s hayate.Status) bool {
	switch s {
	case requested, scheduled, delayed, running, pending:
		return true
	}
	return false
}

func isAbended(s hayate.Status) bool { return s == failed || s == timeout || s == abandoned }

func isHeld(s hayate.Status) bool { return s == pausing || s == paused || s == pending }

func isCanceled(s hayate.Status) bool { return s == canceling || s == canceled }

func newRun(def *Definition) *Run {
	return &Run{def: def, staged: map[spot]*staged{}, newest: map[spot]int{}, counts: map[spot]*arrivals{}, known: map[string]bool{}}
}

// begin opens a step: from here on changes can be undone.
func (r *Run) begin() {
	r.step++
	r.undo, r.dirty, r.items, r.needs = r.undo[:0], r.dirty[:0], r.items[:0], r.needs[:0]
	r.results = r.results[:0]
	r.listed, r.removed, r.wroteOutput, r.wroteReruns, r.drawn = r.listed[:0], r.removed[:0], false, false, 0
	r.base = marks{len(r.lists), len(r.seq), len(r.routes), len(r.errors)}
	h := r.head
	r.undo = append(r.undo, func() { r.head = h })
}

// rollback undoes the step.
func (r *Run) rollback() {
	for i := len(r.undo) - 1; i >= 0; i-- {
		r.undo[i]()
	}
	clear(r.lists[r.base.lists:])
	clear(r.seq[r.base.seq:])
	clear(r.errors[r.base.errors:])
	r.lists, r.seq = r.lists[:r.base.lists], r.seq[:r.base.seq]
	r.routes, r.errors = r.routes[:r.base.routes], r.errors[:r.base.errors]
	r.undo, r.dirty, r.items = r.undo[:0], r.dirty[:0], r.items[:0]
}

// touch prepares an entry to be changed.
func (r *Run) touch(e *entry) {
	if e.step == r.step {
		return
	}
	if e.index < r.base.seq {
		old := *e
		if e.next != nil {
			old.next = append([]verdict(nil), e.next...)
		}
		if e.retry != nil {
			re := *e.retry
			old.retry = &re
		}
		r.undo = append(r.undo, func() { *e = old })
		r.dirty = append(r.dirty, e)
	}
	e.step = r.step
}

// forget lets go of what a step that succeeded kept to be undone.
func (r *Run) forget() {
	if cap(r.undo) > maxKept {
		r.undo, r.dirty, r.items, r.results = nil, nil, nil, nil
	}
	clear(r.undo)
	r.undo = r.undo[:0]
}

// maxKept is how large the scratch lists of a run at rest may be.
const maxKept = 256

func (r *Run) count(s hayate.Status, by int) {
	if isActive(s) {
		r.active += by
	}
	if isHeld(s) {
		r.held += by
	}
	if isCanceled(s) {
		r.canceled += by
	}
}

// setStatus changes an entry's status.
func (r *Run) setStatus(e *entry, s hayate.Status) {
	if e.status == s {
		return
	}
	r.touch(e)
	if i, ok := r.newest[spot{e.node, e.route}]; ok && i == e.index {
		r.count(e.status, -1)
		r.count(s, 1)
	}
	e.status = s
}

// addEntry appends an entry and makes it the newest of its task and route.
func (r *Run) addEntry(e *entry) {
	e.index = len(r.seq)
	e.step = r.step
	r.seq = append(r.seq, e)
	at := spot{e.node, e.route}
	old, had := r.newest[at]
	r.newest[at] = e.index
	r.undo = append(r.undo, func() {
		if had {
			r.newest[at] = old
		} else {
			delete(r.newest, at)
		}
	})
	if had {
		r.count(r.seq[old].status, -1)
	}
	r.count(e.status, 1)
	for i, edge := range e.node.out {
		if edge.key != 0 || !edge.to.barrier {
			continue
		}
		if !had {
			r.arrived(edge.to, e.route, 0, 1)
		} else if r.leads(r.seq[old], edge.to, i) {
			r.arrived(edge.to, e.route, -1, 0)
		}
	}
}

// leads says whether one of an entry's edges, from index i on, leads to a node.
func (r *Run) leads(e *entry, to *node, i int) bool {
	for ; i < len(e.next); i++ {
		if e.next[i] == taken && e.node.out[i].to == to {
			return true
		}
	}
	return false
}

func (r *Run) arrived(to *node, route, satisfied, begun int) {
	at := spot{to, route}
	a := r.counts[at]
	if a == nil {
		a = &arrivals{}
		r.counts[at] = a
	}
	a.satisfied += satisfied
	a.begun += begun
	r.undo = append(r.undo, func() { a.satisfied -= satisfied; a.begun -= begun })
}

// judge records what became of an edge of the newest entry of a task.
func (r *Run) judge(e *entry, edge *edge, v verdict) {
	if v == taken && edge.to.barrier && r.newest[spot{e.node, e.route}] == e.index && !r.leads(e, edge.to, 0) {
		r.arrived(edge.to, e.route, 1, 0)
	}
	e.next[edge.index] = v
}

// put stages a task, or replaces it as staged.
func (r *Run) put(s *staged) {
	s.step = r.step
	r.swap(s.spot, s)
}

// own returns a staged task to be changed in this step.
func (r *Run) own(s *staged) *staged {
	if s.step == r.step {
		return s
	}
	c := *s
	c.step = r.step
	r.swap(c.spot, &c)
	return &c
}

func (r *Run) unstage(at spot) { r.swap(at, nil) }

func (r *Run) swap(at spot, s *staged) {
	old := r.staged[at]
	r.undo = append(r.undo, func() { r.restore(at, old) })
	if old != nil && old.waiting() {
		r.ready--
	}
	if s != nil && s.waiting() {
		r.ready++
	}
	r.restore(at, s)
}

func (r *Run) restore(at spot, s *staged) {
	if s == nil {
		delete(r.staged, at)
	} else {
		r.staged[at] = s
	}
}

// waiting says whether the task may be handed out.
func (s *staged) waiting() bool { return s.ready && !s.completed }

// setReady and setCompleted change what waiting depends on. s must be owned.
func (r *Run) setReady(s *staged, ready bool) {
	if s.waiting() {
		r.ready--
	}
	s.ready = ready
	if s.waiting() {
		r.ready++
	}
}

func (r *Run) setCompleted(s *staged, completed bool) {
	if s.waiting() {
		r.ready--
	}
	s.completed = completed
	if s.waiting() {
		r.ready++
	}
}

func (r *Run) addList(l *list) *list {
	l.id = len(r.lists)
	r.lists = append(r.lists, l)
	return l
}

// latest returns the newest entry of a task on a route, or nil.
func (r *Run) latest(at spot) *entry {
	if i, ok := r.newest[at]; ok {
		return r.seq[i]
	}
	return nil
}

// path returns the transitions that a route was split by.
func (r *Run) path(route int) []string {
	var out []string
	for i := route; r.routes[i].via != ""; i = r.routes[i].parent {
		out = append(out, r.routes[i].via)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// logFailure adds an error, unless an equal one is there.
func (r *Run) logFailure(f failure) {
	key := string(f.appendJSON(nil))
	if r.known[key] {
		return
	}
	r.known[key] = true
	r.errors = append(r.errors, &f)
	r.undo = append(r.undo, func() { delete(r.known, key) })
}

func (f *failure) appendJSON(b []byte) []byte {
	b = append(b, `{"type":"error","message":`...)
	b = value.AppendString(b, f.message, false)
	if f.task != "" {
		b = append(b, `,"task_id":`...)
		b = value.AppendString(b, f.task, false)
	}
	if f.route >= 0 {
		b = append(b, `,"route":`...)
		b = appendInt(b, f.route)
	}
	if f.transition != "" {
		b = append(b, `,"task_transition_id":`...)
		b = value.AppendString(b, f.transition, false)
	}
	if f.hasResult {
		b = append(b, `,"result":`...)
		b = appendValue(b, f.result)
	}
	return append(b, '}')
}

type lookupKey struct {
	key     string
	decrypt bool
}

type lookupValue struct {
	value string
	found bool
}
