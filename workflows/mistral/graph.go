package mistral

import (
	"slices"
	"sort"

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
