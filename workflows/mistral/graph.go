package mistral

import (
	"slices"
	"sort"
	"strings"

	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

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
	if len(w.start) == 0 && len(w.tasks) > 0 {
		r.problem(tasks, w.name+".tasks", "workflow %q has no task to start with: every task is led to by another", w.name)
	}
	sort.SliceStable(w.start, func(i, j int) bool { return w.start[i].index < w.start[j].index })
}

// drawn are the workflows that the graph shows: the one that runs, and those of the
// workbook that it runs in turn, in the order in which they are come to.
func (d *Definition) drawn() []*workflow {
	out := []*workflow{d.main}
	for i := 0; i < len(out); i++ {
		for _, t := range out[i].tasks {
			if w := d.called(t); w != nil && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// called is the workflow of the workbook that a task runs, nil for none.
func (d *Definition) called(t *task) *workflow {
	return d.workflows[strings.TrimPrefix(t.workflow, d.name+".")]
}

// number gives each task the place of its edges in the graph.
func (d *Definition) number() {
	edges := 0
	for _, w := range d.drawn() {
		for _, t := range w.tasks {
			t.firstEdge = edges
			edges += len(t.targets()) + len(t.requires)
		}
	}
}

// node is what a task, or a command, of a workflow is called in the graph.
func (d *Definition) node(w *workflow, name string) string {
	if w == d.main {
		return name
	}
	return w.name + "/" + name
}

// Graph shows the workflow that runs, and those of its workbook that it runs in turn.
func (d *Definition) Graph() flow.Graph {
	var g flow.Graph
	var calls []flow.Edge
	for _, w := range d.drawn() {
		commands := map[string]bool{}
		for _, t := range w.tasks {
			g.Nodes = append(g.Nodes, d.nodeOf(w, t))
			for k, x := range t.targets() {
				g.Edges = append(g.Edges, flow.Edge{From: d.node(w, t.name), To: d.node(w, x.to), When: t.condition(k)})
				commands[x.to] = isCommand(x.to)
			}
			for _, q := range t.requires {
				g.Edges = append(g.Edges, flow.Edge{From: d.node(w, q), To: d.node(w, t.name)})
			}
			if sub := d.called(t); sub != nil {
				for _, first := range sub.start {
					calls = append(calls, flow.Edge{From: d.node(w, t.name), To: d.node(sub, first.name), Call: true})
				}
			}
		}
		for _, name := range []string{"fail", "noop", "pause", "succeed"} {
			if commands[name] {
				g.Nodes = append(g.Nodes, flow.Node{Name: d.node(w, name), Command: true})
			}
		}
	}
	g.Edges = append(g.Edges, calls...)
	return g
}

func (d *Definition) nodeOf(w *workflow, t *task) flow.Node {
	n := flow.Node{Name: d.node(w, t.name), Start: w == d.main && slices.Contains(w.start, t), Items: len(t.items) > 0, Retry: t.retry != nil, Join: t.join}
	if t.join == joinAll {
		n.Join = len(t.inbound)
	}
	if n.Action = t.workflow; t.action != nil {
		n.Action = t.action.src
	}
	return n
}
