// Package mistral runs OpenStack Mistral's v2 workflows and workbooks, as
// StackStorm's users wrote them until version 3.3, by Mistral's own rules rather
// than by translating them.
package mistral

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
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
	edges := 0
	for i, t := range w.tasks {
		t.index, t.firstEdge = i, edges
		edges += len(t.targets()) + len(t.requires)
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

var taskKeys = []string{"action", "workflow", "input", "with-items", "concurrency", "publish", "publish-on-error", "retry", "wait-before",
	"wait-after", "timeout", "pause-before", "fail-on", "keep-result", "target", "safe-rerun", "description", "join", "on-success", "on-error",
	"on-complete", "requires", "name", "type", "version", "tags"}

// task reads a task. Where it lacks a key that the defaults have, theirs counts.
func (r *reader) task(name string, n, defaults *yamldoc.Node, path string) *task {
	t := &task{name: name}
	if n.Kind() != yamldoc.Mapping {
		if !n.IsNull() {
			r.problem(n, path, "task %q is no mapping", name)
		}
		n = nil
	}
	r.keys(n, path, taskKeys)
	get := func(key string) *yamldoc.Node {
		if v := n.Get(key); v != nil {
			return v
		}
		return defaults.Get(key)
	}
	own := func(key string) *template { return r.template(n.Get(key), path+"."+key) }
	either := func(key string) *template { return r.template(get(key), path+"."+key) }
	r.work(t, n, path)
	t.publish, t.publishOnError = own("publish"), own("publish-on-error")
	t.concurrent = either("concurrency")
	t.waitBefore, t.waitAfter, t.timeout = either("wait-before"), either("wait-after"), either("timeout")
	t.pauseBefore, t.failOn = either("pause-before"), either("fail-on")
	t.keepResult = own("keep-result")
	t.items = r.withItems(n.Get("with-items"), path+".with-items")
	t.retry = r.retry(get("retry"), path+".retry")
	switch j := n.Get("join"); {
	case j.IsNull():
	case j.Text() == "all":
		t.join = joinAll
	case j.Text() == "one":
		t.join = 1
	default:
		if i, ok := j.Int(); ok && i > 0 {
			t.join = int(i)
		} else {
			r.problem(j, path+".join", "join must be all, one or a number, found %q", j.Text())
		}
	}
	clauses := []string{"on-success", "on-error", "on-complete"}
	clause := func(key string) []target {
		src := get(key)
		if p := src.Get("publish"); src.Kind() == yamldoc.Mapping && src.Get("next") != nil || p.Kind() == yamldoc.Mapping {
			i := slices.Index(clauses, key)
			r.keys(p, path+"."+key+".publish", []string{"branch", "global", "atomic"})
			t.branch[i] = r.template(p.Get("branch"), path+"."+key+".publish.branch")
			t.global[i] = r.template(p.Get("global"), path+"."+key+".publish.global")
		}
		ts := r.clause(src, path+"."+key)
		if n.Get(key) == nil { // a task does not follow itself by default
			ts = slices.DeleteFunc(ts, func(x target) bool { return x.to == name })
		}
		return ts
	}
	t.onSuccess, t.onError, t.onComplete = clause("on-success"), clause("on-error"), clause("on-complete")
	t.hasError = len(t.onError) > 0
	if q := get("requires"); q.Kind() == yamldoc.String {
		t.requires = []string{q.Text()}
	} else {
		for _, x := range q.Items() {
			t.requires = append(t.requires, x.Text())
		}
	}
	return t
}

// work reads what a task does: an action or a workflow, with its input. Inline
// parameters of StackStorm's actions count only where there is no input, as
// StackStorm had it; those of workflows and of Mistral's own actions go over it.
func (r *reader) work(t *task, n *yamldoc.Node, path string) {
	action, sub := n.Get("action"), n.Get("workflow")
	if action != nil && sub != nil {
		r.problem(sub, path, "a task has an action or a workflow, not both")
	}
	in := toValue(n.Get("input"))
	text := action
	if sub != nil {
		text = sub
	}
	t.line, t.column = text.Line(), text.Column()
	name, params := splitInline(text.Text())
	if given, ok := in.(*value.Map); ok && params != nil && (sub != nil || strings.HasPrefix(name, "std.") || slices.Contains(r.adhocs, name)) {
		in = over(given, params)
	}
	if in == nil && params != nil {
		in = params
	}
	t.input = compile(in)
	for _, err := range t.input.mistakes() {
		r.problem(n.Get("input"), path+".input", "%s", err)
	}
	switch {
	case sub != nil:
		t.workflow = name
	case action == nil:
		t.action = compile("std.noop")
	default:
		t.action = compile(name)
	}
}

var (
	inlineName  = regexp.MustCompile(`^\s*(<%.*?%>|\{\{.*?\}\}|[^\s=("']+)`)
	inlineParam = regexp.MustCompile(`([-\w]+)=("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|\{[^{}]*\}|<%.*?%>|\{\{.*?\}\}|[^\s,]+)`)
)

// splitInline takes "std.http url='x'" apart.
func splitInline(s string) (string, *value.Map) {
	name := strings.TrimSpace(inlineName.FindString(s))
	rest := strings.TrimPrefix(strings.TrimSpace(s), name)
	var m *value.Map
	for _, p := range inlineParam.FindAllStringSubmatch(rest, -1) {
		if m == nil {
			m = &value.Map{}
		}
		m.Set(p[1], inlineValue(p[2]))
	}
	return name, m
}

func inlineValue(s string) any {
	if len(s) > 1 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	switch strings.ToLower(s) {
	case "true":
		return true
	case "false":
		return false
	}
	if v, err := value.DecodeString(s); err == nil {
		return v
	}
	return s
}

func (r *reader) withItems(n *yamldoc.Node, path string) []itemSpec {
	var texts []*yamldoc.Node
	switch n.Kind() {
	case yamldoc.String:
		texts = []*yamldoc.Node{n}
	case yamldoc.Sequence:
		texts = n.Items()
	default:
		return nil
	}
	var out []itemSpec
	for _, x := range texts {
		name, list, ok := strings.Cut(x.Text(), " in ")
		if !ok {
			r.problem(x, path, "with-items must read \"name in list\", found %q", x.Text())
			continue
		}
		list = strings.TrimSpace(list)
		t := compile(list)
		if t.text == nil {
			v, err := value.DecodeString(list)
			if err != nil {
				r.problem(x, path, "%q is no list", list)
			}
			t = &template{lit: v}
		}
		for _, err := range t.mistakes() {
			r.problem(x, path, "%s", err)
		}
		out = append(out, itemSpec{strings.TrimSpace(name), t})
	}
	return out
}

func (r *reader) retry(n *yamldoc.Node, path string) *retry {
	if n.IsNull() {
		return nil
	}
	if s, ok := n.Str(); ok {
		_, m := splitInline("retry " + s)
		get := func(k string) *template {
			v, _ := m.Str(k)
			return compile(v)
		}
		return &retry{get("count"), get("delay"), get("break-on"), get("continue-on")}
	}
	r.keys(n, path, []string{"count", "delay", "break-on", "continue-on"})
	get := func(k string) *template { return r.template(n.Get(k), path+"."+k) }
	return &retry{get("count"), get("delay"), get("break-on"), get("continue-on")}
}

// clause reads on-success and the like: a name, a list of names and of conditions
// by name, or publish and next.
func (r *reader) clause(n *yamldoc.Node, path string) []target {
	switch n.Kind() {
	case yamldoc.String:
		return []target{r.target(n, n.Text(), nil, path)}
	case yamldoc.Sequence:
		var out []target
		for _, x := range n.Items() {
			if x.Kind() != yamldoc.Mapping {
				out = append(out, r.target(x, x.Text(), nil, path))
				continue
			}
			for _, e := range x.Entries() {
				out = append(out, r.target(e.Key, e.Name(), e.Value, path))
			}
		}
		return out
	case yamldoc.Mapping:
		if next := n.Get("next"); next != nil {
			return r.clause(next, path+".next")
		}
		if n.Get("publish").Kind() == yamldoc.Mapping {
			return nil
		}
		var out []target
		for _, e := range n.Entries() {
			out = append(out, r.target(e.Key, e.Name(), e.Value, path))
		}
		return out
	}
	return nil
}

func (r *reader) target(n *yamldoc.Node, text string, when *yamldoc.Node, path string) target {
	name, params := splitInline(text)
	if i := strings.IndexByte(text, '('); i > 0 && isCommand(strings.TrimSpace(text[:i])) {
		name = strings.TrimSpace(text[:i])
		_, params = splitInline("x " + strings.TrimSuffix(strings.TrimSpace(text[i+1:]), ")"))
	}
	t := target{to: name}
	if v, ok := params.Str("msg"); ok {
		t.msg = compile(v)
	}
	if when != nil {
		t.when = r.template(when, path)
	}
	return t
}

func (r *reader) adhoc(n *yamldoc.Node, path string) *adhoc {
	name, params := splitInline(n.Get("base").Text())
	return &adhoc{base: compile(name), baseInput: r.template(n.Get("base-input"), path+".base-input"), inlineOfBase: params,
		input: r.inputs(n.Get("input")), output: r.template(n.Get("output"), path+".output")}
}

// connect finds who leads where, and the tasks that the workflow starts with.
func (r *reader) connect(w *workflow, tasks *yamldoc.Node) {
	pointed := map[*task]bool{}
	for _, t := range w.tasks {
		var names []string
		for _, c := range [][]target{t.onSuccess, t.onError, t.onComplete} {
			for _, x := range c {
				names = append(names, x.to)
			}
		}
		for _, name := range append(names, t.requires...) {
			to := w.byName[name]
			if to == nil {
				if !isCommand(name) {
					r.problem(tasks.Get(t.name), w.name+".tasks."+t.name, "task %q leads to %q, which is not there", t.name, name)
				}
				continue
			}
			if slices.Contains(names, name) {
				pointed[to] = true
				if n := len(to.inbound); n == 0 || to.inbound[n-1] != t {
					to.inbound = append(to.inbound, t)
					t.next = append(t.next, to)
				}
			}
		}
	}
	for _, t := range w.tasks {
		if w.reverse && len(t.requires) == 0 || !w.reverse && !pointed[t] {
			w.start = append(w.start, t)
		}
	}
	edges := 0
	for _, t := range w.tasks {
		t.firstEdge = edges
		edges += len(t.targets()) + len(t.requires)
	}
	if len(w.start) == 0 && len(w.tasks) > 0 {
		r.problem(tasks, w.name+".tasks", "workflow %q has no task to start with: every task is led to by another", w.name)
	}
	sort.SliceStable(w.start, func(i, j int) bool { return w.start[i].index < w.start[j].index })
}

// Inputs are the inputs that the workflow which runs declares, in order.
func (d *Definition) Inputs() []flow.Input {
	out := make([]flow.Input, len(d.main.input))
	for i, in := range d.main.input {
		out[i] = flow.Input{Name: in.name, Required: in.bare}
	}
	return out
}

// Graph shows the workflow that runs.
func (d *Definition) Graph() flow.Graph {
	var g flow.Graph
	commands := map[string]bool{}
	for _, t := range d.main.tasks {
		n := flow.Node{Name: t.name, Start: slices.Contains(d.main.start, t), Items: len(t.items) > 0, Retry: t.retry != nil, Join: t.join}
		if t.join == joinAll {
			n.Join = len(t.inbound)
		}
		if t.action != nil {
			n.Action = t.action.src
		} else {
			n.Action = t.workflow
		}
		g.Nodes = append(g.Nodes, n)
		for k, x := range t.targets() {
			g.Edges = append(g.Edges, flow.Edge{From: t.name, To: x.to, When: t.condition(k)})
			commands[x.to] = isCommand(x.to)
		}
		for _, q := range t.requires {
			g.Edges = append(g.Edges, flow.Edge{From: q, To: t.name})
		}
	}
	for _, name := range []string{"fail", "noop", "pause", "succeed"} {
		if commands[name] {
			g.Nodes = append(g.Nodes, flow.Node{Name: name, Command: true})
		}
	}
	return g
}
