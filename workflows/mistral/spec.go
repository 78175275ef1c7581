// Package mistral runs OpenStack Mistral's v2 workflows and workbooks, as
// StackStorm's users wrote them until version 3.3, by Mistral's own rules rather
// than by translating them.
package mistral

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// defaultMaxEntries bounds the tasks a run goes through, maxItems those of one task.
const (
	defaultMaxEntries = 100_000
	defaultMaxItems   = 100_000
)

// Definition is a workflow, or a workbook of several. It is immutable.
type Definition struct {
	name      string // of the workbook, "" for a workflow
	workflows map[string]*workflow
	actions   map[string]*adhoc
	main      *workflow
	digest    string
	max       int
	maxItems  int
	size      int // tasks in all its workflows
}

type workflow struct {
	name          string
	reverse       bool
	input         []input
	vars          *template
	output        *template
	outputOnError *template
	tasks         []*task
	byName        map[string]*task
	start         []*task
}

type input struct {
	name string
	def  *template
	bare bool
}

type task struct {
	name       string
	action     *template // nil where there is a workflow
	workflow   string
	input      *template
	items      []itemSpec
	concurrent *template

	publish, publishOnError        *template
	keepResult                     *template
	branch, global                 [3]*template // what the clauses publish: on-success, on-error, on-complete
	retry                          *retry
	waitBefore, waitAfter          *template
	timeout, pauseBefore, failOn   *template
	join                           int // how many inbound tasks; joinAll for all; 0 for no join
	onSuccess, onError, onComplete []target
	hasError                       bool // there is an on-error clause
	requires                       []string
	inbound                        []*task
	next                           []*task // those it may lead to
	index                          int
	line, column                   int // of the action
	firstEdge                      int // of the graph
}

// targets are where all its clauses lead: on-success, on-error, on-complete.
func (t *task) targets() []target {
	return slices.Concat(t.onSuccess, t.onError, t.onComplete)
}

// condition says in words when target k is gone to.
func (t *task) condition(k int) string {
	when := "succeeded"
	if k >= len(t.onSuccess) {
		when = "failed"
	}
	if k >= len(t.onSuccess)+len(t.onError) {
		when = ""
	}
	if x := t.targets()[k]; x.when != nil {
		when = strings.TrimPrefix(when+" and "+x.when.src, " and ")
	}
	return when
}

const joinAll = -1

type itemSpec struct {
	name string
	list *template
}

type retry struct {
	count, delay, breakOn, continueOn *template
}

// target is where a clause leads: a task or an engine command.
type target struct {
	to   string
	when *template
	msg  *template
}

// adhoc is an action of a workbook: another action with some of its input given.
type adhoc struct {
	base         *template
	baseInput    *template
	input        []input
	output       *template
	inlineOfBase *value.Map
}

func isCommand(name string) bool {
	return name == "noop" || name == "fail" || name == "succeed" || name == "pause"
}

// reader turns a document into a Definition, and gathers what is wrong.
type reader struct {
	problems []flow.Problem
	adhocs   []string // names of the workbook's actions
}

func (r *reader) problem(n *yamldoc.Node, path, format string, args ...any) {
	r.problems = append(r.problems, flow.Problem{Category: "syntax", Message: fmt.Sprintf(format, args...), SpecPath: path,
		Line: n.Line(), Column: n.Column()})
}

// Parse reads a workflow or a workbook. With several workflows, options name the
// one to run; else that called main, or like the workbook, is.
func Parse(text []byte, digest string, o flow.Options) (*Definition, []flow.Problem) {
	root, diags := yamldoc.Parse(text, yamldoc.Options{})
	r := &reader{}
	for _, d := range diags {
		if d.Severity == yamldoc.Error {
			r.problems = append(r.problems, flow.Problem{Category: "syntax", Message: d.Message, Line: d.Line, Column: d.Column})
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	d := &Definition{workflows: map[string]*workflow{}, actions: map[string]*adhoc{}, digest: digest, max: o.MaxEntries, maxItems: o.MaxItems}
	if d.max <= 0 {
		d.max = defaultMaxEntries
	}
	if d.maxItems <= 0 {
		d.maxItems = defaultMaxItems
	}
	r.definition(d, root, o.Workflow, o.Target)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	d.number()
	return d, nil
}

// limit drops all tasks of a reverse workflow that one does not require.
func (w *workflow) limit(last *task) {
	need := map[*task]bool{last: true}
	for queue := []*task{last}; len(queue) > 0; queue = queue[1:] {
		for _, name := range queue[0].requires {
			if t := w.byName[name]; t != nil && !need[t] {
				need[t] = true
				queue = append(queue, t)
			}
		}
	}
	drop := func(ts []*task) []*task { return slices.DeleteFunc(ts, func(t *task) bool { return !need[t] }) }
	w.tasks, w.start = drop(w.tasks), drop(w.start)
	for i, t := range w.tasks {
		t.index = i
	}
	for name, t := range w.byName {
		if !need[t] {
			delete(w.byName, name)
		}
	}
}

func (r *reader) definition(d *Definition, root *yamldoc.Node, wanted, target string) {
	if root.Kind() != yamldoc.Mapping {
		r.problem(root, "", "a workflow is a mapping, found %s", root.Kind())
		return
	}
	if v := root.Get("version").Text(); v != "2.0" && v != "2" {
		r.problem(root, "version", "version must be '2.0', found %q", v)
	}
	if ws := root.Get("workflows"); ws != nil {
		d.name = root.Get("name").Text()
		for _, e := range root.Get("actions").Entries() {
			r.adhocs = append(r.adhocs, e.Name(), d.name+"."+e.Name())
		}
		for _, e := range ws.Entries() {
			d.add(r.workflow(e.Name(), e.Value))
		}
		for _, e := range root.Get("actions").Entries() {
			d.actions[e.Name()] = r.adhoc(e.Value, "actions."+e.Name())
		}
	} else {
		for _, e := range root.Entries() {
			switch e.Name() {
			case "version", "name", "description", "tags":
			default:
				d.add(r.workflow(e.Name(), e.Value))
			}
		}
	}
	d.main = d.choose(wanted)
	switch {
	case len(d.workflows) == 0:
		r.problem(root, "", "there is no workflow")
	case d.main == nil && wanted != "":
		r.problem(root, "", "there is no workflow %q", wanted)
	case d.main != nil && target != "" && d.main.byName[target] == nil:
		r.problem(root, "", "workflow %q has no task %q to end at", d.main.name, target)
	case d.main != nil && target != "" && d.main.reverse:
		d.main.limit(d.main.byName[target])
	case d.main == nil:
		r.problem(root, "", "Workbook definition is detected. Default workflow cannot be determined.")
	}
}

func (d *Definition) add(w *workflow) {
	if w != nil {
		d.size += len(w.tasks)
		d.workflows[w.name] = w
	}
}

func (d *Definition) choose(wanted string) *workflow {
	if wanted != "" {
		return d.workflows[strings.TrimPrefix(wanted, d.name+".")]
	}
	if len(d.workflows) == 1 {
		for _, w := range d.workflows {
			return w
		}
	}
	return d.workflows["main"]
}

func (r *reader) inputs(n *yamldoc.Node) []input {
	var out []input
	for _, item := range n.Items() {
		if item.Kind() == yamldoc.Mapping {
			for _, e := range item.Entries() {
				out = append(out, input{name: e.Name(), def: compile(toValue(e.Value))})
			}
			continue
		}
		out = append(out, input{name: item.Text(), bare: true})
	}
	return out
}

func toValue(n *yamldoc.Node) any {
	if n == nil {
		return nil
	}
	v, err := value.Decode(n.JSON())
	if err != nil {
		return nil
	}
	return v
}

func (r *reader) template(n *yamldoc.Node, path string) *template {
	if n.IsNull() {
		return nil
	}
	t := compile(toValue(n))
	for _, err := range t.mistakes() {
		r.problem(n, path, "%s", err)
	}
	return t
}

var workflowKeys = []string{"type", "description", "tags", "name", "version", "input", "output", "output-on-error", "vars", "task-defaults", "tasks"}

func (r *reader) workflow(name string, n *yamldoc.Node) *workflow {
	if n.Kind() != yamldoc.Mapping {
		r.problem(n, name, "workflow %q is no mapping", name)
		return nil
	}
	r.keys(n, name, workflowKeys)
	w := &workflow{name: name, byName: map[string]*task{}, input: r.inputs(n.Get("input")),
		vars: r.template(n.Get("vars"), name+".vars"), output: r.template(n.Get("output"), name+".output"),
		outputOnError: r.template(n.Get("output-on-error"), name+".output-on-error")}
	w.reverse = n.Get("type").Text() == "reverse"
	tasks := n.Get("tasks")
	if tasks.Kind() != yamldoc.Mapping || len(tasks.Entries()) == 0 {
		r.problem(n, name+".tasks", "workflow %q has no tasks", name)
		return w
	}
	for _, e := range tasks.Entries() {
		if isCommand(e.Name()) {
			r.problem(e.Key, name+".tasks", "the task name %q is reserved", e.Name())
		}
		t := r.task(e.Name(), e.Value, n.Get("task-defaults"), name+".tasks."+e.Name())
		t.index = len(w.tasks)
		w.tasks = append(w.tasks, t)
		w.byName[t.name] = t
	}
	r.connect(w, tasks)
	return w
}

func (r *reader) keys(n *yamldoc.Node, path string, known []string) {
	for _, e := range n.Entries() {
		if !slices.Contains(known, e.Name()) {
			r.problem(e.Key, path, "unknown key %q%s", e.Name(), yamldoc.Suggest(e.Name(), known))
		}
	}
}

func (r *reader) adhoc(n *yamldoc.Node, path string) *adhoc {
	name, params := flow.Inline(n.Get("base").Text())
	return &adhoc{base: compile(name), baseInput: r.template(n.Get("base-input"), path+".base-input"), inlineOfBase: params,
		input: r.inputs(n.Get("input")), output: r.template(n.Get("output"), path+".output")}
}

// Inputs are the inputs that the workflow which runs declares, in order.
func (d *Definition) Inputs() []flow.Input {
	out := make([]flow.Input, len(d.main.input))
	for i, in := range d.main.input {
		out[i] = flow.Input{Name: in.name, Required: in.bare}
	}
	return out
}
