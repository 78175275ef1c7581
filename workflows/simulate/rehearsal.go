package simulate

import (
	"encoding/json"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows"
)

// rehearsal reads a file of StackStorm's orquesta-rehearse: one case.
func (r *suiteReader) rehearsal(root *yamldoc.Node) Suite {
	s := Suite{Dialect: workflows.Orquesta, Rehearsal: true}
	c := Case{Name: "rehearsal", Line: root.Line()}
	own := []string{"workflow", "inputs"}
	state := root.Get("workflow_state")
	if state != nil {
		own = []string{"workflow_state", "rerun_tasks"}
	}
	r.keys(root, append(own, "expected_inspection_errors", "expected_routes", "expected_task_sequence", "mock_action_executions",
		"expected_term_tasks", "expected_workflow_status", "expected_errors", "expected_output")...)
	if state != nil {
		r.continued(root, state, &s, &c)
	} else {
		s.Workflow = r.text(root, "workflow", true)
		c.Plan.Inputs = r.object(root, "inputs")
	}
	for _, n := range root.Get("mock_action_executions").Items() {
		c.Plan.Outcomes = append(c.Plan.Outcomes, r.mock(n))
	}
	e := &c.Expect
	e.Status = hayate.StatusSucceeded
	if v := root.Get("expected_workflow_status"); v != nil {
		e.Status = r.status(v)
	}
	if root.Get("expected_task_sequence") == nil {
		r.mistake(root, "expected_task_sequence is missing")
	}
	e.Tasks, e.Terminal = r.texts(root.Get("expected_task_sequence")), r.texts(root.Get("expected_term_tasks"))
	if e.Routes = r.routes(root.Get("expected_routes")); e.Routes == nil {
		e.Routes = [][]string{{}}
	}
	if v := root.Get("expected_output"); v != nil {
		e.Output = v.JSON()
	}
	if v := root.Get("expected_errors"); v != nil {
		e.Errors = v.JSON()
	}
	e.Problems = map[string][]json.RawMessage{}
	for _, x := range root.Get("expected_inspection_errors").Entries() {
		for _, p := range x.Value.Items() {
			e.Problems[x.Name()] = append(e.Problems[x.Name()], p.JSON())
		}
	}
	s.Cases = []Case{c}
	return s
}

// continued reads a rehearsal that runs tasks of an ended workflow again: StackStorm's
// stored state, which holds the definition.
func (r *suiteReader) continued(root, state *yamldoc.Node, s *Suite, c *Case) {
	def := state.Get("spec").Get("spec")
	if def.Kind() != yamldoc.Mapping {
		r.mistake(state, "workflow_state is a serialized conductor, with the workflow's definition at spec.spec")
		return
	}
	s.Definition, c.Plan.State = def.JSON(), state.JSON()
	for _, n := range root.Get("rerun_tasks").Items() {
		r.keys(n, "task_id", "task_route", "reset_items")
		x := workflows.Rerun{Task: r.text(n, "task_id", true)}
		if route := r.number(n, "task_route"); route != nil {
			x.Route = *route
		}
		x.ResetItems, _ = n.Get("reset_items").Bool()
		c.Plan.Rerun = append(c.Plan.Rerun, x)
	}
}

// mock reads what a task's action comes to. As in StackStorm it is used num_iter
// times, once where that is absent; iter_id says only which iterations its author
// had in mind.
func (r *suiteReader) mock(n *yamldoc.Node) Outcome {
	r.keys(n, "task_id", "route", "seq_id", "item_id", "iter_id", "num_iter", "status", "result", "result_path")
	o := Outcome{Task: r.text(n, "task_id", true), Entry: r.number(n, "seq_id"), Item: r.number(n, "item_id"), Route: r.number(n, "route"), Times: 1, Result: r.result(n)}
	if v := r.number(n, "num_iter"); v != nil {
		o.Times = *v
	}
	if v := n.Get("status"); v != nil {
		o.Status = r.status(v)
	}
	return o
}
