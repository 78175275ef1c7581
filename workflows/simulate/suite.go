package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows"
)

// Suite is a file of cases for one workflow.
type Suite struct {
	// Workflow is the path of the definition, as written.
	Workflow string
	// Definition is the workflow itself, where the file holds it: that of a stored state.
	Definition []byte
	// Dialect is what the definition is written in, "" where the file does not say.
	Dialect string
	// Rehearsal says that the file is one of StackStorm's.
	Rehearsal bool
	Cases     []Case
}

// Case is one simulation, and what should come of it.
type Case struct {
	Name   string
	Plan   Plan
	Expect Expect
	Line   int
}

// IsSuite says whether a document holds cases rather than a workflow.
func IsSuite(text []byte) bool {
	root, _ := yamldoc.Parse(text, yamldoc.Options{})
	return root.Get("cases") != nil || root.Get("workflow").Kind() == yamldoc.String || root.Get("expected_task_sequence") != nil ||
		root.Get("workflow_state") != nil
}

// ReadSuite reads a file of cases: a rehearsal of StackStorm, or hayate's own form.
// open reads the files that outcomes name for their results. All mistakes are
// returned together, with their places.
func ReadSuite(text []byte, open func(path string) ([]byte, error)) (Suite, []yamldoc.Diagnostic) {
	root, diags := yamldoc.Parse(text, yamldoc.Options{RefuseDuplicates: true})
	if yamldoc.HasErrors(diags) {
		return Suite{}, diags
	}
	r := &suiteReader{open: open}
	var s Suite
	switch {
	case root.Kind() != yamldoc.Mapping:
		r.mistake(root, "a file of cases is a mapping, found %s", root.Kind())
	case root.Get("cases") != nil:
		s = r.own(root)
	default:
		s = r.rehearsal(root)
	}
	return s, r.diags
}

// ReadOutcomes reads what tasks come to: a mapping of their names to an outcome, or
// to a list of outcomes of which each is used once and the last for ever after.
func ReadOutcomes(text []byte, open func(path string) ([]byte, error)) ([]Outcome, []yamldoc.Diagnostic) {
	root, diags := yamldoc.Parse(text, yamldoc.Options{RefuseDuplicates: true})
	if yamldoc.HasErrors(diags) {
		return nil, diags
	}
	r := &suiteReader{open: open}
	return r.results(root), r.diags
}

// suiteReader turns a document into cases, and gathers what is wrong.
type suiteReader struct {
	open  func(string) ([]byte, error)
	diags []yamldoc.Diagnostic
}

func (r *suiteReader) mistake(n *yamldoc.Node, format string, args ...any) {
	r.diags = append(r.diags, yamldoc.Diagnostic{Line: n.Line(), Column: n.Column(), Severity: yamldoc.Error, Message: fmt.Sprintf(format, args...)})
}

func (r *suiteReader) keys(n *yamldoc.Node, known ...string) {
	for _, e := range n.Entries() {
		if !slices.Contains(known, e.Name()) {
			r.mistake(e.Key, "unknown key %q%s", e.Name(), yamldoc.Suggest(e.Name(), known))
		}
	}
}

// own reads hayate's form: a workflow and its cases.
func (r *suiteReader) own(root *yamldoc.Node) Suite {
	r.keys(root, "workflow", "runner", "cases")
	s := Suite{Workflow: r.text(root, "workflow", true), Dialect: r.text(root, "runner", false)}
	if s.Dialect != "" && !slices.Contains(workflows.Dialects, s.Dialect) {
		r.mistake(root.Get("runner"), "unknown runner %q; known are %s", s.Dialect, strings.Join(workflows.Dialects, ", "))
	}
	cases := root.Get("cases")
	if cases.Kind() != yamldoc.Sequence || len(cases.Items()) == 0 {
		r.mistake(cases, "cases must be a list of at least one case")
	}
	for i, n := range cases.Items() {
		if n.Kind() != yamldoc.Mapping {
			r.mistake(n, "a case is a mapping, found %s", n.Kind())
			continue
		}
		r.keys(n, "name", "inputs", "context", "datastore", "results", "stay-paused", "expect")
		c := Case{Name: r.text(n, "name", false), Line: n.Line()}
		if c.Name == "" {
			c.Name = "case " + strconv.Itoa(i+1)
		}
		c.Plan = Plan{Inputs: r.object(n, "inputs"), Context: r.object(n, "context"), Outcomes: r.results(n.Get("results"))}
		c.Plan.StayPaused, _ = n.Get("stay-paused").Bool()
		for _, e := range n.Get("datastore").Entries() {
			if c.Plan.Datastore == nil {
				c.Plan.Datastore = map[string]string{}
			}
			c.Plan.Datastore[e.Name()] = e.Value.Text()
		}
		c.Expect = r.expect(n.Get("expect"))
		s.Cases = append(s.Cases, c)
	}
	return s
}

func (r *suiteReader) expect(n *yamldoc.Node) Expect {
	e := Expect{Status: hayate.StatusSucceeded}
	if n == nil {
		return e
	}
	if n.Kind() != yamldoc.Mapping {
		r.mistake(n, "expect must be a mapping, found %s", n.Kind())
		return e
	}
	r.keys(n, "status", "tasks", "output", "errors", "took", "routes", "terminal")
	if v := n.Get("status"); v != nil {
		e.Status = r.status(v)
	}
	e.Tasks, e.Terminal = r.texts(n.Get("tasks")), r.texts(n.Get("terminal"))
	e.Routes = r.routes(n.Get("routes"))
	if v := n.Get("output"); v != nil {
		e.Output = v.JSON()
	}
	if v := n.Get("errors"); v != nil {
		e.Errors = v.JSON()
	}
	if v := n.Get("took"); v != nil {
		d := r.duration(v)
		e.Took = &d
	}
	return e
}

// results reads outcomes by task.
func (r *suiteReader) results(n *yamldoc.Node) []Outcome {
	if n.IsNull() {
		return nil
	}
	if n.Kind() != yamldoc.Mapping {
		r.mistake(n, "results are a mapping of tasks to what they come to, found %s", n.Kind())
		return nil
	}
	var out []Outcome
	for _, e := range n.Entries() {
		items := []*yamldoc.Node{e.Value}
		if e.Value.Kind() == yamldoc.Sequence {
			items = e.Value.Items()
		}
		for i, x := range items {
			last := i == len(items)-1
			for _, o := range r.outcome(e.Name(), x) {
				if !last && o.Times == 0 {
					o.Times = 1
				}
				out = append(out, o)
			}
		}
	}
	return out
}

// outcome reads what a task comes to: a mapping with status, result and the like,
// the bare name of a status, or for a task with items those of single items.
func (r *suiteReader) outcome(task string, n *yamldoc.Node) []Outcome {
	if n.Kind() == yamldoc.String {
		return []Outcome{{Task: task, Status: r.status(n)}}
	}
	if n.Kind() != yamldoc.Mapping {
		r.mistake(n, "the outcome of a task is a mapping with status and result, or a status, found %s", n.Kind())
		return nil
	}
	r.keys(n, "status", "result", "result_path", "takes", "times", "route", "entry", "items")
	o := Outcome{Task: task, Route: r.number(n, "route"), Entry: r.number(n, "entry"), Result: r.result(n)}
	if v := n.Get("status"); v != nil {
		o.Status = r.status(v)
	}
	if v := n.Get("takes"); v != nil {
		o.Takes = r.duration(v)
	}
	if t := r.number(n, "times"); t != nil {
		o.Times = *t
	}
	var out []Outcome
	for _, e := range n.Get("items").Entries() {
		i, err := strconv.Atoi(e.Name())
		if err != nil || i < 0 {
			r.mistake(e.Key, "items are counted from 0, found %q", e.Name())
			continue
		}
		for _, x := range r.outcome(task, e.Value) {
			x.Item = &i
			out = append(out, x)
		}
	}
	return append(out, o)
}

func (r *suiteReader) result(n *yamldoc.Node) json.RawMessage {
	if v := n.Get("result"); v != nil {
		return v.JSON()
	}
	v := n.Get("result_path")
	if v == nil {
		return nil
	}
	path, ok := v.Str()
	if !ok {
		r.mistake(v, "result_path must be a text")
		return nil
	}
	b, err := r.open(path)
	if err != nil {
		r.mistake(v, "%v", err)
		return nil
	}
	if strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml") {
		doc, diags := yamldoc.Parse(b, yamldoc.Options{})
		if yamldoc.HasErrors(diags) {
			r.mistake(v, "%s: %s", path, diags[0])
			return nil
		}
		return doc.JSON()
	}
	out, err := json.Marshal(string(b))
	if err != nil {
		r.mistake(v, "%v", err)
	}
	return out
}

func (r *suiteReader) text(n *yamldoc.Node, key string, required bool) string {
	v := n.Get(key)
	if v.IsNull() {
		if required {
			r.mistake(n, "%s is missing", key)
		}
		return ""
	}
	if v.Kind() == yamldoc.Mapping || v.Kind() == yamldoc.Sequence {
		r.mistake(v, "%s must be a text, found %s", key, v.Kind())
	}
	return v.Text()
}

func (r *suiteReader) number(n *yamldoc.Node, key string) *int {
	v := n.Get(key)
	if v.IsNull() {
		return nil
	}
	i, ok := v.Int()
	if !ok || i < 0 {
		r.mistake(v, "%s must be a whole number from 0, found %q", key, v.Text())
		return nil
	}
	out := int(i)
	return &out
}

// duration reads "90s", "1h30m", or a number of seconds.
func (r *suiteReader) duration(n *yamldoc.Node) time.Duration {
	if f, ok := n.Float(); ok {
		return time.Duration(f * float64(time.Second))
	}
	if i, ok := n.Int(); ok {
		return time.Duration(i) * time.Second
	}
	d, err := time.ParseDuration(n.Text())
	if err != nil || d < 0 {
		r.mistake(n, "%q is no duration; write 90s or 1h30m", n.Text())
	}
	return d
}

func (r *suiteReader) status(n *yamldoc.Node) hayate.Status {
	st := hayate.Status(n.Text())
	if st == "expired" {
		st = hayate.StatusTimeout
	}
	if !st.Completed() && st != hayate.StatusPaused {
		r.mistake(n, "unknown status %q; known are succeeded, failed, timeout, abandoned, canceled", n.Text())
	}
	return st
}

func (r *suiteReader) object(n *yamldoc.Node, key string) json.RawMessage {
	v := n.Get(key)
	if v.IsNull() {
		return nil
	}
	if v.Kind() != yamldoc.Mapping {
		r.mistake(v, "%s must be a mapping, found %s", key, v.Kind())
		return nil
	}
	return v.JSON()
}

func (r *suiteReader) texts(n *yamldoc.Node) []string {
	if n == nil {
		return nil
	}
	out := []string{}
	if n.Kind() != yamldoc.Sequence {
		r.mistake(n, "want a list, found %s", n.Kind())
	}
	for _, x := range n.Items() {
		out = append(out, x.Text())
	}
	return out
}

func (r *suiteReader) routes(n *yamldoc.Node) [][]string {
	if n == nil {
		return nil
	}
	out := [][]string{}
	for _, x := range n.Items() {
		out = append(out, append([]string{}, r.texts(x)...))
	}
	return out
}
