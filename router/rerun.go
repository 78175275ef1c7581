package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

// Again says from which tasks an ended workflow is continued.
type Again struct {
	Ref hayate.ExecutionID `json:"ref"`
	// Tasks are names; each stands for all its routes.
	Tasks []string `json:"tasks,omitempty"`
	// Reset are those of Tasks all of whose items run again; of the others only those
	// that did not succeed.
	Reset []string `json:"reset,omitempty"`
}

// againOf reads from the context of an execution whether it continues another.
func againOf(context json.RawMessage) Again {
	var a Again
	if raw := member(context, "re-run"); raw == nil || json.Unmarshal(raw, &a) != nil {
		return Again{}
	}
	return a
}

// RerunTasks continues a workflow that has ended without success, from some of its
// tasks, as a new execution: tasks that are finished keep their results and their
// executions, and the definition is the one that the workflow was started with.
// ErrInvalid says what is wrong with the request; ErrConflict that tasks of the
// workflow still run.
func (r *Router) RerunTasks(ctx context.Context, a Again, user string, delay time.Duration) (hayate.Execution, error) {
	old, err := r.Execution(ctx, a.Ref)
	if err != nil {
		return hayate.Execution{}, err
	}
	refuse := func(format string, args ...any) (hayate.Execution, error) {
		return hayate.Execution{}, fmt.Errorf("re-run tasks of execution %s: %s: %w", a.Ref, fmt.Sprintf(format, args...), hayate.ErrInvalid)
	}
	switch {
	case old.Runner != workflows.Orquesta && old.Runner != workflows.Mistral:
		return refuse("tasks can be named for workflows of %s and %s only; %s is run by %s", workflows.Orquesta, workflows.Mistral, old.Action, old.Runner)
	case len(a.Tasks) == 0:
		return refuse("no task is named")
	case old.Status == hayate.StatusSucceeded:
		return refuse("the workflow succeeded; run it again whole")
	case !old.Status.Completed():
		return refuse("the workflow is %s and not in a completed state", old.Status)
	}
	for _, t := range a.Reset {
		if !slices.Contains(a.Tasks, t) {
			return refuse("task %q is to be reset but not to be run again", t)
		}
	}
	lr, st, err := r.ended(ctx, a.Ref)
	if err != nil {
		return hayate.Execution{}, err
	}
	tasks, err := again(lr.run, &a)
	if err != nil {
		return hayate.Execution{}, fmt.Errorf("re-run tasks of execution %s: %w", a.Ref, err)
	}
	// What the stepper thinks of it is heard now, on a copy.
	copied, err := workflows.Load(lr.def, string(a.Ref), st.Head, st.Entries)
	if err == nil {
		_, _, err = workflows.Step(lr.def, copied, workflows.Fact{Kind: workflows.RerunAsked, At: r.now(), Tasks: tasks})
	}
	var need *workflows.Need
	if err != nil && !errors.As(err, &need) {
		return hayate.Execution{}, fmt.Errorf("re-run tasks of execution %s: %w", a.Ref, err)
	}
	b, ok := r.cat.Load().actions[old.Action]
	if !ok {
		return refuse("Action %q cannot be found", old.Action)
	}
	params, private, err := b.plan.Merge(old.Parameters, nil)
	if err != nil {
		return hayate.Execution{}, fmt.Errorf("re-run tasks of execution %s: %w", a.Ref, err)
	}
	return r.Start(ctx, Start{Action: old.Action, Parameters: params, User: user, Delay: delay, Again: a, trace: old.Trace, private: private})
}

// ended loads the run of a workflow that has ended, to be looked at.
func (r *Router) ended(ctx context.Context, id hayate.ExecutionID) (*liveRun, Run, error) {
	lr := &liveRun{id: id}
	st, err := r.readRun(ctx, lr)
	if errors.Is(err, hayate.ErrNotFound) {
		return nil, st, fmt.Errorf("execution %s never came to its tasks, or its run is gone; run it again whole: %w", id, hayate.ErrInvalid)
	}
	if err != nil {
		return nil, st, err
	}
	return lr, st, nil
}

// again names the tasks for the stepper, each with all its routes. ErrConflict says
// that some task still runs: what comes of it the copy would never hear.
func again(run *workflows.Run, a *Again) ([]workflows.Rerun, error) {
	var out []workflows.Rerun
	found := map[string]bool{}
	for _, t := range run.Tasks() {
		if active(t.Status) {
			return nil, fmt.Errorf("task %q is still %s, repeat when it has ended: %w", t.Name, t.Status, hayate.ErrConflict)
		}
		if !slices.Contains(a.Tasks, t.Name) {
			continue
		}
		found[t.Name] = true
		re := workflows.Rerun{Task: t.Name, Route: t.Route, ResetItems: slices.Contains(a.Reset, t.Name)}
		if !slices.Contains(out, re) {
			out = append(out, re)
		}
	}
	var missing []string
	for _, name := range a.Tasks {
		if !found[name] {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("the workflow never came to the task %s: %w", strings.Join(missing, ", "), hayate.ErrInvalid)
	}
	return out, nil
}

// active says whether a task's executions may be under way.
func active(s hayate.Status) bool {
	switch s {
	case hayate.StatusRequested, hayate.StatusScheduled, hayate.StatusDelayed, hayate.StatusRunning, hayate.StatusPending, hayate.StatusPausing,
		hayate.StatusPaused, hayate.StatusResuming, hayate.StatusCanceling:
		return true
	}
	return false
}

// beginAgain starts the run of an execution that continues another: with a copy of
// that one's state. The commit that stores the copy is the claim.
func (r *Router) beginAgain(ctx context.Context, x *hayate.Execution, a Again) error {
	old, st, err := r.ended(ctx, a.Ref)
	if errors.Is(err, hayate.ErrInvalid) {
		return r.failRun(ctx, x, errorResult(err.Error()))
	}
	if err != nil {
		return err
	}
	tasks, err := again(old.run, &a)
	if err != nil {
		return r.failRun(ctx, x, errorResult(err.Error()))
	}
	run, err := workflows.Load(old.def, string(x.ID), st.Head, st.Entries)
	if err != nil {
		return r.failRun(ctx, x, errorResult(err.Error()))
	}
	y := *x
	var limit due
	if b := r.cat.Load().actions[x.Action]; b != nil {
		if limit, err = r.dueOf(&y, b); err != nil {
			return r.failRun(ctx, x, errorResult(err.Error()))
		}
	}
	return r.beginWith(ctx, &y, workflows.Fact{Kind: workflows.RerunAsked, Tasks: tasks}, func(lr *liveRun) {
		lr.def, lr.run, lr.seed = old.def, run, st.Entries
		lr.own = ownState{Definition: old.own.Definition, variant: old.own.variant, Secrets: old.own.Secrets, due: limit}
	})
}
