package router

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
)

// Ending is how an execution of a rehearsal ends.
type Ending struct {
	// Status is that of an execution that has ended, or running for one that does
	// not end.
	Status hayate.Status
	After  time.Duration // from its start
	Result json.RawMessage
}

// EndAs has executions end as f says, which is asked for each that is started, in
// their order. Those of which it says nothing succeed at once, and no rule hears
// of them. Of the others rules hear as in a server: those that wait for
// core.st2.generic.actiontrigger, and the circuit breaker of their own rule.
func (h *Rehearsal) EndAs(f func(*hayate.Execution) (Ending, bool)) { h.past.ends.as = f }

// LastEnd is when the last of the executions ends that are under way; zero where
// none will.
func (h *Rehearsal) LastEnd() (last time.Time) {
	for i := range h.past.ends.due {
		if at := h.past.ends.due[i].Ended; at.After(last) {
			last = at
		}
	}
	return last
}

// rehearsedEnds are executions whose end was told.
type rehearsedEnds struct {
	as  func(*hayate.Execution) (Ending, bool)
	by  map[hayate.ExecutionID]hayate.Execution // as they will have ended
	due []hayate.Execution                      // those that have not yet
}

// started notes how new executions will end.
func (n *rehearsedEnds) started(xs []hayate.Execution) {
	if n.as == nil {
		return
	}
	for i := range xs {
		x := xs[i]
		if x.Status.Completed() {
			continue // it never ran
		}
		e, told := n.as(&x)
		if !told {
			continue
		}
		if n.by == nil {
			n.by = map[hayate.ExecutionID]hayate.Execution{}
		}
		x.Status, x.Result = e.Status, e.Result
		if x.Status.Completed() {
			x.Ended = x.Created.Add(e.After)
			n.due = append(n.due, x)
		}
		n.by[x.ID] = x
	}
}

// first takes the execution that ends first, up to a moment; nil where none does.
func (n *rehearsedEnds) first(to time.Time) *hayate.Execution {
	k := -1
	for i := range n.due {
		if !n.due[i].Ended.After(to) && (k < 0 || n.due[i].Ended.Before(n.due[k].Ended)) {
			k = i
		}
	}
	if k < 0 {
		return nil
	}
	return &n.due[k]
}

// end decides on what comes of the end of an execution, which is not due any more
// then.
func (h *Rehearsal) end(ctx context.Context, ended *hayate.Execution) ([]Woken, error) {
	x := *ended
	n := &h.past.ends
	n.due = slices.DeleteFunc(n.due, func(d hayate.Execution) bool { return d.ID == x.ID })
	var es []hayate.Event
	cat := h.r.cat.Load()
	if cat.actionTrigger {
		e, err := actionEvent(cat, &x)
		if err != nil {
			return nil, err
		}
		es = append(es, e)
	}
	e, err := h.r.breakerEvent(ctx, &x, x.Ended)
	if err != nil {
		return nil, err
	}
	if e != nil {
		es = append(es, *e)
	}
	var out []Woken
	for i := range es {
		es[i].AcceptedAt = x.Ended
		fs, err := h.decide(ctx, &es[i])
		if err != nil {
			return out, err
		}
		out = append(out, Woken{es[i], fs})
	}
	return out, nil
}
