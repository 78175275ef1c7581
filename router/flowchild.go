package router

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
)

// childFact is what a run is told of a child.
func childFact(x *hayate.Execution, st hayate.Status, result json.RawMessage, at time.Time) (workflows.Fact, error) {
	p, err := placeOf(x)
	if err != nil {
		return workflows.Fact{}, err
	}
	c := workflows.Child{ID: string(x.ID), Task: p.Task, Route: p.Route, Entry: p.Entry, Item: -1, Attempt: p.Attempt, Status: st, Result: result}
	if p.Item != nil {
		c.Item = *p.Item
	}
	return workflows.Fact{Kind: workflows.ChildChanged, At: at, Child: c}, nil
}

// startChild makes the execution of a task. A task that cannot be started is an
// execution that has failed, with the reason.
func (s *step) startChild(ctx context.Context, st *workflows.Start) error {
	p := &s.x
	root := hayate.IDTime(string(p.Root))
	id := hayate.ChildExecutionID(root, s.lr.id, st.Entry, st.Item, st.Attempt)
	pl := place{Run: s.lr.id, Task: st.Task, TaskID: st.Task, Route: st.Route, Entry: st.Entry, Attempt: st.Attempt,
		TaskEx: hayate.NewID(root, "task", string(s.lr.id), strconv.Itoa(st.Entry))}
	if st.Item >= 0 {
		pl.Item = &st.Item
	}
	x := hayate.Execution{ID: id, Parent: s.lr.id, Root: p.Root, Trace: p.Trace, Event: p.Event, Rule: p.Rule, Lineage: p.Lineage,
		Action: hayate.Ref(st.Action), Created: s.at, Status: hayate.StatusScheduled, Log: append(make([]hayate.Transition, 0, 2), hayate.Transition{Time: s.at, Status: hayate.StatusRequested})}
	if st.Delay > 0 {
		x.Status, x.NotBefore = hayate.StatusDelayed, s.at.Add(st.Delay)
	}
	x.Log = append(x.Log, hayate.Transition{Time: s.at, Status: x.Status})
	b, ok := s.r.cat.Load().actions[x.Action]
	contexts := &s.lr.contexts
	contexts.prepare(p)
	x.Context = contexts.context(&pl, x.Action.Pack())
	var err error
	switch {
	case !ok:
		err = render.Errorf(render.Schema, "Action \"%s\" cannot be found.", st.Action)
	case !b.Enabled:
		err = render.Errorf(render.Schema, "Action \"%s\" is disabled.", st.Action)
	case contexts.depth >= maxNesting && isWorkflow(b.Runner):
		err = render.Errorf(render.Schema, "The workflow \"%s\" is not started: workflows are nested deeper than %d. Does one start itself?", st.Action, maxNesting)
	default:
		x.Runner, x.Idempotent, x.Target = b.Runner, b.Idempotent || isWorkflow(b.Runner), targetOf(b, "")
		s.r.cat.Load().governNew(&x)
		err = s.renderChild(ctx, b, st.Input, &x)
	}
	if err != nil {
		if _, isRender := render.AsError(err); !isRender {
			return err
		}
		x.Result, x.NotBefore = errorResult(err.Error()), time.Time{}
		if err := x.To(hayate.StatusFailed, s.at); err != nil {
			return err
		}
		f, ferr := childFact(&x, hayate.StatusFailed, x.Result, s.at)
		if ferr != nil {
			return ferr
		}
		s.failedAt = append(s.failedAt, &told{fact: f, child: x.ID, done: make(chan error, 1)})
	}
	s.change.Insert = append(s.change.Insert, x)
	return nil
}

// renderChild renders what a task is given. What of it holds a secret of the
// workflow's own parameters is private.
func (s *step) renderChild(ctx context.Context, b *boundAction, input json.RawMessage, x *hayate.Execution) error {
	var kv kvReader
	known, err := s.secrets(ctx)
	if err != nil {
		return err
	}
	scope := &render.Scope{ActionContext: x.Context, User: text(s.lr.contexts.user), Known: known}
	params, err := s.r.render(ctx, b, input, scope, &kv, s.at)
	if err != nil {
		return err
	}
	x.Parameters, err = b.plan.Seal(params, scope.Private, s.r.secrets.Seal)
	return err
}
