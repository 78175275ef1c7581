package orquesta

import (
	"slices"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// renderOutput evaluates the workflow's output, once it has completed.
func (r *Run) renderOutput() {
	if !r.status.Completed() || r.rendered {
		return
	}
	cur := r.terminalVars()
	out := value.NewMap(len(r.def.spec.output))
	bad := false
	for _, b := range r.def.spec.output {
		v, err := r.eval(b.val, &env{run: r, vars: cur, at: -1})
		if err != nil {
			r.logFailure(failure{message: describe(err), route: -1})
			bad = true
			continue
		}
		out.Set(b.name, v)
		cur = cur.set(b.name, v)
	}
	if bad && !isAbended(r.status) && r.status != canceled {
		r.fail()
	}
	if out.Len() > 0 {
		r.output, r.rendered, r.wroteOutput = out, true, true
	}
}

// terminalVars are the variables that the output sees: those of all entries that
// nothing followed, later ones over earlier ones.
func (r *Run) terminalVars() *vars {
	var cur *vars
	for _, e := range r.seq {
		switch {
		case e.stale || !e.term && !r.deadEnd(e):
		case cur == nil:
			cur = e.in.vars()
		default:
			cur = cur.merge(e.in.tail().all())
		}
	}
	if cur == nil {
		return noVars
	}
	return cur
}

// deadEnd says whether a task completed without anything to follow.
func (r *Run) deadEnd(e *entry) bool {
	return e.status.Completed() && e.next != nil && !slices.Contains(e.next, taken) && r.newest[spot{e.node, e.route}] == e.index
}
