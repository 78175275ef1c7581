// Package chain runs StackStorm's ActionChains: tasks one after the other, each
// with a successor for success and one for failure.
package chain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// defaultMaxEntries bounds the tasks a run goes through.
const defaultMaxEntries = 100_000

// Definition is a chain that has been read. It is immutable.
type Definition struct {
	tasks  []*task
	byName map[string]*task
	first  *task
	vars   []param
	digest string
	max    int
}

// task is a link of the chain.
type task struct {
	name, ref            string
	params, publish      []param
	onSuccess, onFailure string
	line, column         int // of ref
}

// param is a name and what it is rendered from.
type param struct {
	name string
	val  any
	text string // val as the text that is rendered
	json bool   // text is JSON
	t    *jinja.Template
	err  error // why text is no template
}

// env renders the templates of all chains: StackStorm's filters, and undefined
// names are errors.
var env = jinja.New(jinja.StackStormOptions(jinja.Hooks{ParseYAML: parseYAML}, true))

func parseYAML(text string) (any, error) {
	root, diags := yamldoc.Parse([]byte(text), yamldoc.Options{})
	for _, d := range diags {
		if d.Severity == yamldoc.Error {
			return nil, value.Raise("YAMLError", "%s", d.Message)
		}
	}
	return value.Decode(root.JSON())
}

func newParam(name string, v any) param {
	p := param{name: name, val: v}
	switch v.(type) {
	case *value.Map, value.List:
		text, err := value.Dumps(v, value.DumpOptions{Indent: -1}, nil)
		if err != nil {
			p.err = err
			return p
		}
		p.text, p.json = text, true
	default:
		p.text = value.Str(v)
	}
	if !strings.Contains(p.text, "{{") && !strings.Contains(p.text, "{%") && !strings.Contains(p.text, "{#") {
		return p
	}
	p.t, p.err = env.Compile(p.text)
	return p
}

// render gives a parameter's value. A text that rendering does not change keeps
// its type; lists and maps are rendered as JSON and read again.
func (p *param) render(vars jinja.Vars) (any, error) {
	if p.err != nil {
		return nil, p.err
	}
	if p.t == nil {
		return p.val, nil
	}
	out, err := p.t.Render(vars)
	if err != nil {
		return nil, err
	}
	if out == p.text {
		return p.val, nil
	}
	if !p.json {
		return out, nil
	}
	v, err := value.Loads(out)
	if err != nil {
		return nil, fmt.Errorf("the rendered %q is no JSON: %w", p.name, err)
	}
	return v, nil
}

// parser gathers what is wrong with a chain.
type parser struct {
	problems []flow.Problem
}

func (p *parser) problem(n *yamldoc.Node, path, format string, args ...any) {
	p.problems = append(p.problems, flow.Problem{Category: "syntax", Message: fmt.Sprintf(format, args...), SpecPath: path,
		Line: n.Line(), Column: n.Column()})
}

// Parse reads a chain. A definition is returned only where there are no problems.
func Parse(text []byte, digest string, o flow.Options) (*Definition, []flow.Problem) {
	root, diags := yamldoc.Parse(text, yamldoc.Options{})
	p := &parser{}
	for _, d := range diags {
		if d.Severity == yamldoc.Error {
			p.problems = append(p.problems, flow.Problem{Category: "syntax", Message: d.Message, Line: d.Line, Column: d.Column})
		}
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	d := &Definition{byName: map[string]*task{}, digest: digest, max: o.MaxEntries}
	if d.max <= 0 {
		d.max = defaultMaxEntries
	}
	p.definition(d, root)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return d, nil
}

func (p *parser) definition(d *Definition, root *yamldoc.Node) {
	if root.Kind() != yamldoc.Mapping {
		p.problem(root, "", "a chain is a mapping with the key chain, found %s", root.Kind())
		return
	}
	for _, e := range root.Entries() {
		switch e.Name() {
		case "chain", "default", "vars":
		default:
			p.problem(e.Key, e.Name(), "unknown key %q%s", e.Name(), yamldoc.Suggest(e.Name(), []string{"chain", "default", "vars"}))
		}
	}
	links := root.Get("chain")
	if links.Kind() != yamldoc.Sequence || len(links.Items()) == 0 {
		p.problem(root, "chain", "chain must be a list of at least one task")
		return
	}
	for i, n := range links.Items() {
		t := p.task(n, fmt.Sprintf("chain[%d]", i), i == 0)
		if t == nil {
			continue
		}
		if d.byName[t.name] != nil {
			p.problem(n, fmt.Sprintf("chain[%d].name", i), "there is another task %q", t.name)
		}
		d.tasks = append(d.tasks, t)
		d.byName[t.name] = t
	}
	d.vars = p.params(root.Get("vars"), "vars")
	p.targets(d, links)
	p.start(d, root)
}

var taskKeys = []string{"name", "ref", "params", "parameters", "on-success", "on-failure", "publish", "notify", "description"}

// task reads a link of the chain. Only a strict one may not have other keys: that is
// how StackStorm checks, by oversight, and packs rely on it.
func (p *parser) task(n *yamldoc.Node, path string, strict bool) *task {
	if n.Kind() != yamldoc.Mapping {
		p.problem(n, path, "a task is a mapping, found %s", n.Kind())
		return nil
	}
	for _, e := range n.Entries() {
		if strict && !slices.Contains(taskKeys, e.Name()) {
			p.problem(e.Key, path, "unknown key %q%s", e.Name(), yamldoc.Suggest(e.Name(), taskKeys))
		}
	}
	t := &task{}
	text := func(key string, required bool) string {
		v := n.Get(key)
		if v.IsNull() && !required {
			return ""
		}
		s, ok := v.Str()
		if !ok || required && s == "" {
			at := v
			if v == nil {
				at = n
			}
			p.problem(at, path+"."+key, "%s must be a text", key)
		}
		return s
	}
	t.name, t.ref = text("name", true), text("ref", true)
	t.line, t.column = n.Get("ref").Line(), n.Get("ref").Column()
	t.onSuccess, t.onFailure = text("on-success", false), text("on-failure", false)
	params, parameters := n.Get("params"), n.Get("parameters")
	if !params.IsNull() && !parameters.IsNull() {
		p.problem(parameters, path, "params and parameters cannot both be given")
	}
	if params.IsNull() {
		params = parameters
	}
	t.params = p.params(params, path+".params")
	t.publish = p.params(n.Get("publish"), path+".publish")
	return t
}

func (p *parser) params(n *yamldoc.Node, path string) []param {
	if n.IsNull() {
		return nil
	}
	if n.Kind() != yamldoc.Mapping {
		p.problem(n, path, "%s must be a mapping, found %s", path, n.Kind())
		return nil
	}
	var out []param
	for _, e := range n.Entries() {
		v, err := value.Decode(e.Value.JSON())
		if err != nil {
			p.problem(e.Value, path+"."+e.Name(), "%v", err)
			continue
		}
		q := newParam(e.Name(), v)
		if q.err != nil {
			p.problem(e.Value, path+"."+e.Name(), "%v", q.err)
		}
		out = append(out, q)
	}
	return out
}

// targets checks that the tasks that others name are there. A name with Jinja in
// it is never rendered by StackStorm, and never found.
func (p *parser) targets(d *Definition, links *yamldoc.Node) {
	for i, t := range d.tasks {
		for key, to := range map[string]string{"on-success": t.onSuccess, "on-failure": t.onFailure} {
			if to == "" || d.byName[to] != nil || jinja.IsTemplate(to) || i >= len(links.Items()) {
				continue
			}
			n := links.Items()[i].Get(key)
			p.problem(n, fmt.Sprintf("chain[%d].%s", i, key), "Unable to find node with name %q referenced in %q in task %q.", to, key, t.name)
		}
	}
}

// start finds the first task: the default, else the first that no other names,
// else the first.
func (p *parser) start(d *Definition, root *yamldoc.Node) {
	if def := root.Get("default"); !def.IsNull() {
		name := def.Text()
		if d.first = d.byName[name]; d.first == nil && name != "" {
			p.problem(def, "default", "Unable to find node with name %q referenced in \"default\".", name)
		}
	}
	named := map[string]bool{}
	for _, t := range d.tasks {
		named[t.onSuccess], named[t.onFailure] = true, true
	}
	for _, t := range d.tasks {
		if d.first == nil && !named[t.name] {
			d.first = t
		}
	}
	if d.first == nil && len(d.tasks) > 0 {
		d.first = d.tasks[0]
	}
}

// Graph shows the chain.
func (d *Definition) Graph() flow.Graph {
	var g flow.Graph
	for _, t := range d.tasks {
		g.Nodes = append(g.Nodes, flow.Node{Name: t.name, Action: t.ref, Start: t == d.first})
		if d.byName[t.onSuccess] != nil {
			g.Edges = append(g.Edges, flow.Edge{From: t.name, To: t.onSuccess, When: "succeeded"})
		}
		if d.byName[t.onFailure] != nil {
			g.Edges = append(g.Edges, flow.Edge{From: t.name, To: t.onFailure, When: "failed"})
		}
	}
	return g
}
