package orquesta

import (
	"fmt"
	"sort"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// Error is what StackStorm's conductor raises: a class, and a text.
type Error struct{ Class, Message string }

// Error returns "Class: message".
func (e *Error) Error() string { return e.Class + ": " + e.Message }

// Unwrap makes it an ErrInvalid.
func (e *Error) Unwrap() error { return hayate.ErrInvalid }

func raise(class, format string, args ...any) *Error {
	return &Error{class, fmt.Sprintf(format, args...)}
}

// event is what a conductor is told about a task.
type event struct {
	kind   eventKind
	status hayate.Status
	result any
	item   int        // -1 for none
	all    value.List // results of all items so far; nil where the run knows them itself
}

type eventKind uint8

const (
	actionEvent  eventKind = iota
	commandEvent           // an engine command was reached
	retryEvent
)

// name is the event as the state machine of tasks knows it.
func (ev *event) name(n *node) string {
	switch ev.kind {
	case commandEvent:
		return "task_" + n.command + "_requested"
	case retryEvent:
		return "task_retry_requested"
	}
	return "action_" + string(ev.status)
}

// initialize evaluates inputs and variables and stages the start tasks. It is
// done once, before anything else.
func (r *Run) initialize(context, inputs *value.Map) {
	if r.started {
		return
	}
	r.started = true
	cur := newVars(context)
	ok := true
	eval := func(t *template) any {
		v, err := r.eval(t, &env{run: r, vars: cur, at: -1})
		if err != nil {
			r.logFailure(failure{message: describe(err), route: -1})
			ok = false
			return nil
		}
		return v
	}
	given := value.NewMap(len(r.def.spec.input))
	for _, b := range r.def.spec.input {
		t := b.val
		if v, there := inputs.Str(b.name); there {
			t = r.def.inputTemplate(v)
		}
		v := eval(t)
		if ok {
			given.Set(b.name, v)
			cur = cur.set(b.name, v)
		}
	}
	cur = newVars(context).merge(given)
	set := value.NewMap(len(r.def.spec.vars))
	for _, b := range r.def.spec.vars {
		v := eval(b.val)
		if ok {
			set.Set(b.name, v)
			cur = cur.set(b.name, v)
		}
	}
	if !ok {
		r.status = failed
		return
	}
	first := r.addList(&list{delta: newVars(context).merge(given).merge(set).all()})
	r.contexts = 1
	r.routes = append(r.routes, route{})
	for _, n := range r.def.graph.roots {
		r.put(&staged{spot: spot{n, 0}, slot: r.slots, in: first, ready: true, entry: -1})
		r.slots++
	}
}

// describe is the text of an error in the log.
func describe(err error) string { return err.Error() }

// update tells the run what happened to a task.
func (r *Run) update(n *node, route int, ev event) error {
	at := spot{n, route}
	st := r.staged[at]
	e := r.latest(at)
	if st == nil && e == nil {
		return raise("InvalidTaskStateEntry", `Task "%s" is not staged or has not started yet.`, n.name)
	}
	fresh := e == nil || ev.kind == commandEvent ||
		(ev.kind == actionEvent && e.status.Completed() && isStarting(ev.status))
	if fresh {
		if st == nil {
			return raise("InvalidTaskStatusTransition", `Unable to process event "%s" for task in "%s" status.`, ev.name(n), statusText(e.status))
		}
		made, err := r.startEntry(n, st)
		if err != nil {
			return err
		}
		if nextStatus(made, st, &ev, n) == "" {
			return raise("InvalidTaskStatusTransition", `Unable to process event "%s" for task in "null" status.`, ev.name(n))
		}
		e = made
		r.addEntry(e)
	}
	if st != nil && st.set == nil {
		r.unstage(at)
	}
	if ev.kind == actionEvent && ev.item < 0 {
		r.report(e, &ev)
	}
	if st != nil && st.set != nil && ev.kind == actionEvent && ev.item >= 0 && ev.item < st.set.len() {
		r.setItem(st.set, ev.item, &ev)
		if e.set != st.set {
			r.touch(e)
			e.set = st.set
		}
	}
	if ev.kind != retryEvent && eventStatus(&ev, n) == failed {
		f := failure{message: "Execution failed. See result for details.", task: n.name, route: -1, result: ev.result, hasResult: ev.result != nil}
		r.logFailure(f)
	}
	return r.advance(e, st, &ev)
}

// report keeps what task() tells about a task: what was reported of it, which is
// not always what the workflow takes it for.
func (r *Run) report(e *entry, ev *event) {
	if !r.def.keepResults {
		return
	}
	r.touch(e)
	if ev.status == running && e.report.Completed() {
		e.result = nil
	}
	if e.started.IsZero() {
		e.started = r.at
	}
	e.report = ev.status
	if ev.status.Completed() {
		e.ended = r.at
		if value.Truth(ev.result) {
			e.result = ev.result
		}
	}
}

// statusText shows a status; that before the first event is "null".
func statusText(s hayate.Status) string {
	if s == "" {
		return "null"
	}
	return string(s)
}

// eventStatus is the status that an event speaks of.
func eventStatus(ev *event, n *node) hayate.Status {
	if ev.kind == commandEvent {
		if n.command == "fail" {
			return failed
		}
		return succeeded
	}
	return ev.status
}

// startEntry makes the record of a task that is handed out.
func (r *Run) startEntry(n *node, st *staged) (*entry, error) {
	e := &entry{node: n, route: st.route, slot: st.slot, in: st.in, onFail: st.runOnFail}
	if n.retry == nil {
		return e, nil
	}
	env := r.taskEnv(n, st.route, st.in)
	count, err := r.eval(n.retry.countT, env)
	if err == nil && !isInteger(count) {
		err = raise("ValueError", `The retry count for task "%s" is not an integer.`, n.name)
	}
	if err != nil {
		return nil, err
	}
	delay, err := r.eval(n.retry.delayT, env)
	if err == nil && delay != nil && !isInteger(delay) {
		err = raise("ValueError", `The retry delay for task "%s" is not an integer.`, n.name)
	}
	if err != nil {
		return nil, err
	}
	c, err := value.ToFloat(count)
	if err != nil {
		c = maxRetries
	}
	e.retry = &retryState{when: n.retry.when, count: int(min(c, maxRetries)), delay: delay, commanded: n.retry.commanded}
	return e, nil
}

// maxRetries bounds how often a task is retried, whatever its definition says.
const maxRetries = 1 << 30

// isInteger says whether Python counts a value among the integers.
func isInteger(v any) bool { return value.IsInt(v) || isBool(v) }

// nextStatus is what an event makes of a task; "" where it says nothing about a
// task that has no status yet.
func nextStatus(e *entry, st *staged, ev *event, n *node) hayate.Status {
	name := ev.name(n)
	if st != nil && st.set != nil && ev.item >= 0 {
		if s := st.set.suffix(ev.status, ev.item); s != "" {
			if to, ok := itemMoves[name+s][e.status]; ok {
				return to
			}
			return e.status
		}
	}
	to, ok := taskMoves[name][e.status]
	if !ok {
		if e.status == "" && (ev.status == timeout || ev.status == abandoned) {
			return failed // it never ran
		}
		return e.status
	}
	if to == timeout || to == abandoned {
		return failed
	}
	return to
}

// advance moves a task's state machine, and what follows from it.
func (r *Run) advance(e *entry, st *staged, ev *event) error {
	n := e.node
	before := e.status
	after := nextStatus(e, st, ev, n)
	r.setStatus(e, after)
	if after == retrying && before != retrying {
		r.stageRetry(e)
	}
	var commands []spot
	if after.Completed() {
		result := ev.result
		if n.task != nil && n.task.with != nil {
			result = resultsOf(st, ev)
		}
		again, queue, err := r.completed(e, st, before, result)
		if err != nil || again {
			return err
		}
		commands = queue
	}
	r.moveWorkflow(e)
	for _, c := range commands {
		if err := r.update(c.node, c.route, event{kind: commandEvent, item: -1}); err != nil {
			return err
		}
	}
	if r.status.Completed() {
		r.setTerm(e, true)
	}
	return nil
}

// resultsOf are the results of all items of a task.
func resultsOf(st *staged, ev *event) value.List {
	switch {
	case ev.all != nil:
		return ev.all
	case st != nil && st.set != nil:
		return append(value.List{}, st.set.result...)
	}
	return value.List{}
}

func (r *Run) setTerm(e *entry, term bool) {
	if e.term != term {
		r.touch(e)
		e.term = term
	}
}

func (r *Run) stageRetry(e *entry) {
	r.touch(e)
	re := *e.retry
	re.tally++
	e.retry = &re
	e.attempt++
	r.put(&staged{spot: spot{e.node, e.route}, slot: r.newSlot(), in: e.in, ready: true, retry: &re, entry: e.index})
}

func (r *Run) newSlot() int {
	r.slots++
	return r.slots - 1
}

// completed does what follows on a task's completion. again says that the task is
// retried instead.
func (r *Run) completed(e *entry, st *staged, before hayate.Status, result any) (again bool, commands []spot, err error) {
	at := spot{e.node, e.route}
	if st != nil && st.set != nil {
		if e.status == failed {
			st = r.own(st)
			r.setCompleted(st, true)
		} else {
			r.unstage(at)
		}
	}
	env := &env{run: r, vars: e.in.vars(), node: e.node, route: e.route, at: e.index, result: result, hasResult: true}
	if isActive(r.status) {
		if r.wantsRetry(e, env) {
			return true, nil, r.update(e.node, e.route, event{kind: retryEvent, item: -1})
		}
	}
	if before == e.status {
		return false, nil, nil
	}
	return false, r.transit(e, env), nil
}

// wantsRetry says whether a completed task is to be tried again. A condition that
// cannot be evaluated fails the workflow.
func (r *Run) wantsRetry(e *entry, env *env) bool {
	if e.retry == nil || e.retry.tally >= e.retry.count || e.status == canceled {
		return false
	}
	if e.node.retry.whenT == nil {
		return isAbended(e.status)
	}
	v, err := r.eval(e.node.retry.whenT, env)
	if err != nil {
		r.logFailure(failure{message: describe(err), task: e.node.name, route: e.route})
		r.fail()
		return false
	}
	return value.Truth(v)
}

// moveWorkflow tells the workflow's state machine what became of a task.
func (r *Run) moveWorkflow(e *entry) {
	name := "task_" + string(e.status)
	switch {
	case isAbended(e.status):
		name = "task_failed"
		if r.remediated(e) {
			name = "task_remediated"
		}
		fallthrough
	case e.status == succeeded, e.status == pending, e.status == paused, e.status == canceled, e.status == retrying:
		name += r.activity()
	}
	if e.status == succeeded || name[:8] == "task_rem" {
		switch {
		case r.head.canceled > 0:
			name += "_canceled"
		case r.held > 0:
			name += "_paused"
		case r.ready > 0 || r.goesOn(e):
			name += "_incompl"
		default:
			name += "_compl"
		}
	}
	to, ok := workflowMoves[name][r.status]
	if !ok {
		return
	}
	r.status = to
	if to.Completed() {
		r.failUnreachable()
	}
}

func (r *Run) activity() string {
	if r.active > 0 {
		return "_act"
	}
	return "_dor"
}

// remediated says whether a transition handles the failure of a task.
func (r *Run) remediated(e *entry) bool {
	for i, v := range e.next {
		if v == taken && e.node.out[i].to.command != "continue" {
			return true
		}
	}
	return false
}

// goesOn says whether something follows a task.
func (r *Run) goesOn(e *entry) bool {
	for i, v := range e.next {
		to := e.node.out[i].to
		if v == taken && to.command != "continue" && (!to.barrier || r.inbound(to, e.route) != unsatisfied) {
			return true
		}
	}
	return false
}

// failUnreachable fails a completed workflow in which a join still waits for
// branches that will not come.
func (r *Run) failUnreachable() {
	if len(r.staged) == 0 {
		return
	}
	for _, s := range r.stagedInOrder() {
		if s.ready || !s.node.barrier || r.inbound(s.node, s.route) != unsatisfied {
			continue
		}
		r.logFailure(failure{message: fmt.Sprintf(`UnreachableJoinError: The join task|route "%s|%d" is partially satisfied but unreachable.`, s.node.name, s.route),
			task: s.node.name, route: s.route})
		r.status = failed
	}
}

// stagedInOrder returns the staged tasks in the order in which they were staged.
func (r *Run) stagedInOrder() []*staged {
	out := make([]*staged, 0, len(r.staged))
	for _, s := range r.staged {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].slot < out[j].slot })
	return out
}

// request asks the workflow to take a status.
func (r *Run) request(status hayate.Status) error {
	event := "workflow_" + string(status)
	suffixed := event
	switch status {
	case pausing, paused, canceling, canceled:
		r.pushToItems(event)
		suffixed += r.activity()
	case running, resuming:
		if r.status == paused && r.active == 0 && r.ready == 0 && r.held == 0 {
			suffixed += "_wfdone"
		}
	}
	to, ok := workflowMoves[suffixed][r.status]
	if !ok {
		to = r.status
	}
	if to == r.status && to != status && !(status == paused && to == pausing) && !(status == canceled && to == canceling) {
		return raise("InvalidWorkflowStatusTransition", `Unable to process event "%s" for workflow in "%s" status.`, event, statusText(r.status))
	}
	r.status = to
	return nil
}

// pushToItems tells the tasks whose items are handed out of a request.
func (r *Run) pushToItems(name string) {
	for at, i := range r.newest {
		e := r.seq[i]
		s := r.staged[at]
		if !isActive(e.status) || s == nil || s.set == nil {
			continue
		}
		if to, ok := itemMoves[name+s.set.whole()][e.status]; ok {
			r.setStatus(e, to)
		}
	}
}
