package router

import (
	"context"
	"errors"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

// beginning is all that it takes to create the run of an execution.
type beginning struct {
	x     hayate.Execution
	first workflows.Fact
	make  func(*liveRun) // gives the run its definition and its state
}

// refusal is how a workflow ends that cannot begin.
type refusal struct {
	status hayate.Status
	result []byte
}

func refused(result []byte) *refusal { return &refusal{hayate.StatusFailed, result} }

// beginRun starts the run of a workflow's execution. It is what performing such
// an execution means: the commit that creates the run is the claim.
func (r *Router) beginRun(ctx context.Context, x *hayate.Execution) error {
	if a := againOf(x.Context); len(a.Tasks) > 0 && x.Parent == "" {
		return r.beginAgain(ctx, x, a)
	}
	b, no, err := r.prepare(ctx, x)
	switch {
	case err != nil:
		return err
	case no != nil:
		return r.endRun(ctx, x, no.status, no.result)
	}
	return r.beginWith(ctx, &b.x, b.first, b.make)
}

// prepare finds out how the run of an execution begins, or why it cannot.
func (r *Router) prepare(ctx context.Context, x *hayate.Execution) (*beginning, *refusal, error) {
	b := r.cat.Load().actions[x.Action]
	if b == nil {
		return nil, refused(errorResult(fmt.Sprintf("Action %q doesn't exist (any more)", x.Action))), nil
	}
	if len(b.workflow) == 0 {
		return nil, refused(errorResult(fmt.Sprintf("the workflow of %s cannot be read: its entry point %q is not in the pack", x.Action, b.EntryPoint))), nil
	}
	inputs, v, err := r.runInputs(ctx, x, b)
	if err != nil {
		return nil, refused(errorResult(err.Error())), nil
	}
	digest, p := r.definitions.parse(b.Runner, b.workflow, v)
	if len(p.problems) == 0 && p.def != nil {
		p.problems = r.missingActions(p.def)
	}
	if len(p.problems) > 0 || p.def == nil {
		return nil, refused(problemResult(p.problems)), nil
	}
	y := *x
	due, err := r.dueOf(&y, b)
	if err != nil {
		return nil, refused(errorResult(err.Error())), nil
	}
	if !due.Deadline.IsZero() && !due.Deadline.After(r.now()) {
		return nil, &refusal{hayate.StatusTimeout, errorResult(lateText(due.Deadline))}, nil
	}
	// The text itself is kept by content, so that a pack registered anew never
	// changes a run in flight.
	if err := r.keepDefinition(ctx, digest, b.workflow); err != nil {
		return nil, nil, err
	}
	return &beginning{y, workflows.Fact{Kind: workflows.Started, Inputs: inputs, Context: runContext(x, b)}, func(lr *liveRun) {
		lr.def, lr.run, lr.seed = p.def, workflows.New(p.def, string(x.ID)), nil
		lr.own = ownState{Definition: digest, variant: v, due: due}
	}}, nil, nil
}

// beginWith creates the run of an execution by its first fact. make gives it its
// definition and its state.
func (r *Router) beginWith(ctx context.Context, x *hayate.Execution, first workflows.Fact, make func(*liveRun)) error {
	lr := r.runs.get(x.ID)
	t := newTold(first)
	lr.mu.Lock()
	if lr.busy {
		lr.mu.Unlock()
		return fmt.Errorf("run %s is being stepped: %w", x.ID, hayate.ErrConflict)
	}
	lr.start(x, t, make)
	lr.unstored = false
	lr.mu.Unlock()
	r.lead(context.WithoutCancel(ctx), lr)
	err := <-t.done
	if errors.Is(err, hayate.ErrInvalid) {
		return r.failRun(ctx, x, errorResult(err.Error()))
	}
	return err
}

// start makes the run one that is about to be created by a fact. The caller holds
// the lock, and leads the run.
func (lr *liveRun) start(x *hayate.Execution, t *told, make func(*liveRun)) {
	lr.busy = true
	make(lr)
	lr.version, lr.head, lr.x = 0, nil, *x
	lr.queue = append([]*told{t}, lr.queue...)
	// Running is part of the first commit; a workflow has no worker and no lease.
	lr.x.Attempt++
}

// maxAhead is how many tasks may wait while workflows begin where they are asked
// for; beyond, they take their turn in the queue.
const maxAhead = 1024

// beginsAtOnce says whether the run of a new execution may be created by the commit that
// stores the execution: where this process alone has the store, which applies a change
// whole, and nothing must be waited for.
func (r *Router) beginsAtOnce(x *hayate.Execution) bool {
	return r.cfg.SoleOwner && !r.cfg.NoUpkeep && !r.cfg.Frozen && isWorkflow(x.Runner) && x.Status == hayate.StatusScheduled &&
		x.NotBefore.IsZero() && len(againOf(x.Context).Tasks) == 0 && r.queue.Depth() < maxAhead
}

// beginAtOnce stores a new execution together with the first step of its run, one
// commit instead of two and no way through the queue. It returns false, and has stored
// nothing, where the run cannot begin: who takes the execution from the queue finds out
// once more, and records why.
func (r *Router) beginAtOnce(ctx context.Context, x *hayate.Execution) (bool, error) {
	b, no, err := r.prepare(ctx, x)
	if err != nil || no != nil {
		return false, nil //nolint:nilerr // see above
	}
	lr := r.runs.get(x.ID)
	t := newTold(b.first)
	lr.mu.Lock()
	lr.start(&b.x, t, b.make)
	lr.unstored = true
	lr.mu.Unlock()
	// Many facts may come while it is led: the caller waits for the first only.
	for r.round(ctx, lr) {
		if lr.asked() && r.recorders.try(func() { r.lead(ctx, lr) }) {
			break
		}
	}
	err = <-t.done
	if errors.Is(err, hayate.ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}

// asked says whether facts wait for the run.
func (lr *liveRun) asked() bool {
	lr.mu.Lock()
	defer lr.mu.Unlock()
	return len(lr.queue) > 0
}
