package orquesta

import (
	"encoding/json"

	"github.com/hayate-run/hayate/workflows/flow"
)

// New returns a run that has not started.
func (d *Definition) New(id string) flow.Run { return New(d, id) }

// Load rebuilds a run: see the function Load.
func (d *Definition) Load(id string, head json.RawMessage, entries map[string]json.RawMessage) (flow.Run, error) {
	r, err := Load(d, head, entries)
	if err != nil {
		return nil, err
	}
	r.id = id
	return r, nil
}

// Inputs are the inputs that the definition declares, in order.
func (d *Definition) Inputs() []flow.Input {
	out := make([]flow.Input, len(d.spec.input))
	for i, b := range d.spec.input {
		out[i] = flow.Input{Name: b.name, Required: b.bare}
	}
	return out
}

// Graph shows what can be reached of the workflow.
func (d *Definition) Graph() flow.Graph {
	var g flow.Graph
	start := map[*node]bool{}
	for _, n := range d.graph.roots {
		start[n] = true
	}
	for _, n := range d.graph.nodes {
		x := flow.Node{Name: n.name, Start: start[n], Split: n.split, Retry: n.retry != nil, Command: n.command != ""}
		if n.barrier {
			x.Join = n.need
		}
		if n.task != nil {
			x.Action, _ = n.task.action.(string)
			x.Items = n.task.with != nil
		}
		g.Nodes = append(g.Nodes, x)
		for _, e := range n.out {
			g.Edges = append(g.Edges, flow.Edge{From: n.name, To: e.to.name, When: e.when})
		}
	}
	return g
}

// Tasks shows the tasks that the run went through, in the order in which they
// were started.
func (r *Run) Tasks() []flow.Task {
	out := make([]flow.Task, 0, len(r.seq))
	ways := r.ways()
	for _, e := range r.seq {
		t := flow.Task{Entry: e.index, Name: e.node.name, Route: e.route, Status: e.status, Attempt: e.attempt, Term: e.term}
		if set := r.setOf(e); set != nil {
			t.Items = set.len()
			for i, n := range set.counts {
				if itemStatuses[i].Completed() {
					t.Done += n
				}
			}
		}
		for l := e.in; l != nil; l = l.left {
			if l.edge != nil {
				t.From = append(t.From, l.from)
			}
		}
		for i, v := range e.next {
			if v == taken {
				t.Next = append(t.Next, e.node.out[i].to.name)
			}
			t.Transitions = append(t.Transitions, ways.of(e, e.node.out[i], v))
		}
		out = append(out, t)
	}
	return out
}

// ways knows what was published on each transition of each entry, and where the
// edges of a node begin among those of the graph.
type ways struct {
	published map[way]json.RawMessage
	first     map[*node]int
}

type way struct {
	entry int
	edge  *edge
}

func (r *Run) ways() *ways {
	w := &ways{published: map[way]json.RawMessage{}, first: make(map[*node]int, len(r.def.graph.nodes))}
	n := 0
	for _, x := range r.def.graph.nodes {
		w.first[x] = n
		n += len(x.out)
	}
	for _, l := range r.lists {
		if l.edge != nil && l.delta.Len() > 0 {
			w.published[way{l.from, l.edge}] = appendValue(nil, l.delta)
		}
	}
	return w
}

func (w *ways) of(e *entry, edge *edge, v verdict) flow.Transition {
	t := flow.Transition{Edge: w.first[e.node] + edge.index, To: edge.to.name, When: edge.when, Published: w.published[way{e.index, edge}]}
	switch v {
	case taken:
		t.Verdict = flow.Taken
	case refused:
		t.Verdict = flow.Refused
	default:
		t.Verdict = flow.Broken
	}
	return t
}

// ErrorLog is the log of errors, nil where there are none.
func (r *Run) ErrorLog() json.RawMessage { return r.errorsJSON() }

// Routes are the transitions that each route was split by.
func (r *Run) Routes() [][]string {
	out := make([][]string, len(r.routes))
	for i := range r.routes {
		out[i] = append([]string{}, r.path(i)...)
	}
	return out
}

// setOf returns the items of an entry, if they are still known.
func (r *Run) setOf(e *entry) *itemSet {
	if e.set != nil {
		return e.set
	}
	if s := r.staged[spot{e.node, e.route}]; s != nil && r.newest[s.spot] == e.index {
		return s.set
	}
	return nil
}
