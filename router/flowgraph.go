package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

// RunGraph is the workflow of an execution as a graph, with the path that its run
// has taken so far.
type RunGraph struct {
	Execution hayate.ExecutionID `json:"execution"`
	Action    hayate.Ref         `json:"action"`
	Runner    string             `json:"runner"`
	Status    hayate.Status      `json:"status"`
	Graph     workflows.Graph    `json:"graph"`
	// Tasks are what the run went through, in order, without the values it published.
	Tasks []workflows.Task `json:"tasks"`
}

// Graph shows the workflow of an execution and its path, in the definition that the
// run is pinned to. It reads what is stored and disturbs no run. An execution that is
// no workflow is ErrInvalid; so is one whose definition cannot be read.
func (r *Router) Graph(ctx context.Context, id hayate.ExecutionID) (RunGraph, error) {
	x, err := r.Execution(ctx, id)
	if err != nil {
		return RunGraph{}, err
	}
	if !isWorkflow(x.Runner) {
		return RunGraph{}, fmt.Errorf("execution %s is run by %s; only workflows have a graph: %w", id, x.Runner, hayate.ErrInvalid)
	}
	out := RunGraph{Execution: x.ID, Action: x.Action, Runner: x.Runner, Status: x.Status, Tasks: []workflows.Task{}}
	st, err := r.store.Run(ctx, id)
	if errors.Is(err, hayate.ErrNotFound) {
		return r.graphBefore(&x, out)
	}
	if err != nil {
		return RunGraph{}, fmt.Errorf("load run %s: %w", id, err)
	}
	var own ownState
	if err := json.Unmarshal(st.Entries[ownEntry], &own); err != nil {
		return RunGraph{}, fmt.Errorf("load run %s: its router entry: %v: %w", id, err, hayate.ErrInvalid)
	}
	delete(st.Entries, ownEntry)
	if err := r.openRun(&st); err != nil {
		return RunGraph{}, fmt.Errorf("load %w", err)
	}
	text, err := r.readBlob(ctx, own.Definition)
	if err != nil {
		return RunGraph{}, fmt.Errorf("load run %s: its definition: %w", id, err)
	}
	_, p := r.definitions.parse(x.Runner, text, own.variant)
	if p.def == nil {
		return RunGraph{}, fmt.Errorf("load run %s: its definition cannot be read any more: %w", id, hayate.ErrInvalid)
	}
	run, err := workflows.Load(p.def, string(id), st.Head, st.Entries)
	if err != nil {
		return RunGraph{}, fmt.Errorf("load run %s: %w", id, err)
	}
	out.Graph, out.Tasks = p.def.Graph(), run.Tasks()
	for i := range out.Tasks {
		t := &out.Tasks[i]
		t.Published = nil // may hold secrets
		for k := range t.Transitions {
			t.Transitions[k].Published = nil
		}
	}
	return out, nil
}

// graphBefore shows the workflow of an execution whose run has not begun.
func (r *Router) graphBefore(x *hayate.Execution, out RunGraph) (RunGraph, error) {
	b := r.cat.Load().actions[x.Action]
	if b == nil || len(b.workflow) == 0 {
		return RunGraph{}, fmt.Errorf("execution %s never began, and the definition of %s is not there: %w", x.ID, x.Action, hayate.ErrInvalid)
	}
	_, p := r.definitions.parse(x.Runner, b.workflow, variant{})
	if p.def == nil {
		return RunGraph{}, fmt.Errorf("execution %s never began: the definition of %s cannot be read: %w", x.ID, x.Action, hayate.ErrInvalid)
	}
	out.Graph = p.def.Graph()
	return out, nil
}
