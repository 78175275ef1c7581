package router

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
)

// heldAgain is how often an execution asks again for a place that it does not
// get. Whoever frees one calls the oldest that waits; this is for what was missed.
const heldAgain = 2500 * time.Millisecond

// governNew makes a new execution what the policies of its action want it to be:
// one that must pass a gate is requested until it has. It is called before the
// execution is stored.
func (c *catalog) governNew(x *hayate.Execution) {
	g := c.governed[x.Action]
	x.Follow = x.Parent == "" && (g != nil || c.actionTrigger || c.breaks(x.Rule))
	if g == nil || len(g.gates) == 0 || x.Status != hayate.StatusScheduled {
		return
	}
	x.Status = hayate.StatusRequested
	if n := len(x.Log); n > 1 && x.Log[n-1].Status == hayate.StatusScheduled {
		x.Log = x.Log[:n-1]
	}
}

// name is the gate that an execution must pass.
func (p *gatePolicy) name(x *hayate.Execution, b *boundAction) string {
	if !p.keyed || b == nil {
		return string(p.ref)
	}
	values, err := b.plan.Compared(x.Parameters, p.attributes)
	if err != nil {
		return string(p.ref) // its secrets cannot be opened: it will fail when it is begun
	}
	h := sha256.New()
	for _, v := range values {
		fmt.Fprintf(h, "%d:%s", len(v), v)
	}
	return string(p.ref) + "/" + hex.EncodeToString(h.Sum(nil)[:16])
}

// admit lets an execution through the gates of its action. Where it may not begin
// now, admit has seen to its delivery and returns false.
func (r *Router) admit(ctx context.Context, d Delivery) bool {
	cat := r.cat.Load()
	if !cat.gated {
		return true
	}
	x, err := r.Execution(ctx, d.Execution)
	g := cat.governed[x.Action]
	if err == nil && (g == nil || len(g.gates) == 0 || !x.Status.Claimable() || x.NotBefore.After(r.now())) {
		return true // or the claim says what is wrong
	}
	for i := 0; err == nil && i < len(g.gates); i++ {
		p := &g.gates[i]
		var in bool
		if in, err = r.enterGate(ctx, p, &x, cat.actions[x.Action]); err == nil && !in {
			err = r.turnAway(ctx, p, &x, d)
			if err == nil {
				return false
			}
		}
	}
	if err == nil {
		err = r.schedule(ctx, &x)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, hayate.ErrNotFound):
		r.settle(ctx, d)
		return false
	}
	if !errors.Is(err, hayate.ErrConflict) { // else somebody was first: look again
		r.log.Error("pass gates", "execution_id", d.Execution, "err", err)
	}
	if err := d.Nack(ctx, minAgain); err != nil {
		r.log.Warn("task not given back, the sweeper will", "execution_id", d.Execution, "err", err)
	}
	return false
}

// schedule notes that an execution has passed its gates.
func (r *Router) schedule(ctx context.Context, x *hayate.Execution) error {
	if x.Status == hayate.StatusScheduled {
		return nil
	}
	at := r.now()
	if err := x.To(hayate.StatusRequested, at); err != nil {
		return err
	}
	if err := x.To(hayate.StatusScheduled, at); err != nil {
		return err
	}
	return r.store.Commit(ctx, Change{Update: []hayate.Execution{*x}})
}

// enterGate takes a place for x. Where the gate is full, it looks whether all that
// hold a place still run.
func (r *Router) enterGate(ctx context.Context, p *gatePolicy, x *hayate.Execution, b *boundAction) (bool, error) {
	name := p.name(x, b)
	err := r.store.Enter(ctx, name, x.ID, p.threshold)
	if !errors.Is(err, hayate.ErrConflict) {
		return err == nil, err
	}
	holders, err := r.store.Holders(ctx, name)
	if err != nil {
		return false, err
	}
	gone, err := r.gone(ctx, holders)
	if err != nil || len(gone) == 0 {
		return false, err
	}
	if err := r.store.Leave(ctx, name, gone...); err != nil {
		return false, err
	}
	err = r.store.Enter(ctx, name, x.ID, p.threshold)
	if errors.Is(err, hayate.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// gone are those of some executions that take no place any more. As in StackStorm
// one that is paused or waits for an answer does not count, and may go on whoever
// took its place.
func (r *Router) gone(ctx context.Context, ids []hayate.ExecutionID) ([]hayate.ExecutionID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	q := Query{Limit: -1}
	for _, id := range ids {
		q.IDs = append(q.IDs, string(id))
	}
	page, err := r.store.Executions(ctx, q)
	if err != nil {
		return nil, err
	}
	runs := map[hayate.ExecutionID]bool{}
	for i := range page.Items {
		st := page.Items[i].Status
		runs[page.Items[i].ID] = !st.Completed() && st != hayate.StatusPaused && st != hayate.StatusPending
	}
	var out []hayate.ExecutionID
	for _, id := range ids {
		if !runs[id] {
			out = append(out, id)
		}
	}
	return out, nil
}

// turnAway does with one too many what the policy says: it waits, or is canceled.
func (r *Router) turnAway(ctx context.Context, p *gatePolicy, x *hayate.Execution, d Delivery) error {
	at := r.now()
	if !p.cancel {
		if x.Status != hayate.StatusDelayed {
			if err := x.To(hayate.StatusDelayed, at); err != nil {
				return err
			}
			if err := r.store.Commit(ctx, Change{Update: []hayate.Execution{*x}}); err != nil {
				return err
			}
			r.log.Info("execution waits", "execution_id", x.ID, "action", x.Action, "policy", p.ref, "threshold", p.threshold)
		}
		if err := d.Nack(ctx, heldAgain); err != nil {
			r.log.Warn("task not given back, the sweeper will", "execution_id", x.ID, "err", err)
			return nil
		}
		if err := r.store.Dispatched(ctx, x.ID); err != nil {
			r.log.Warn("dispatch not marked, task may be queued twice", "execution_id", x.ID, "err", err)
		}
		return nil
	}
	if err := x.To(hayate.StatusCanceling, at); err != nil {
		return err
	}
	if err := x.To(hayate.StatusCanceled, at); err != nil {
		return err
	}
	x.Cancel = r.cfg.User
	x.Result = messageResult(fmt.Sprintf("Canceled by policy %s: %d executions of %s may run at once.", p.ref, max(p.threshold, 0), x.Action), r.cfg.User)
	if err := r.store.Commit(ctx, Change{Update: []hayate.Execution{*x}}); err != nil {
		return err
	}
	x.Version++
	r.settle(ctx, d)
	r.over(ctx, x)
	return nil
}

// maxCalled bounds how many that wait are looked at when a place becomes free.
const maxCalled = 100

// leaveGates frees the places of an execution that has ended and calls those that
// wait for them, the oldest first.
func (r *Router) leaveGates(ctx context.Context, x *hayate.Execution) error {
	cat := r.cat.Load()
	g := cat.governed[x.Action]
	if g == nil || len(g.gates) == 0 {
		return nil
	}
	b := cat.actions[x.Action]
	free := map[string]int{}
	for i := range g.gates {
		name := g.gates[i].name(x, b)
		if err := r.store.Leave(ctx, name, x.ID); err != nil {
			return err
		}
		free[name]++
	}
	page, err := r.store.Executions(ctx, Query{Action: x.Action, Status: []hayate.Status{hayate.StatusRequested, hayate.StatusDelayed}, Ascending: true, Limit: maxCalled})
	if err != nil {
		return err
	}
	var called []hayate.Execution
	for i := range page.Items {
		w := &page.Items[i]
		if w.NotBefore.After(r.now()) {
			continue
		}
		for j := range g.gates {
			if name := g.gates[j].name(w, b); free[name] > 0 {
				free[name]--
				called = append(called, *w)
				break
			}
		}
	}
	r.dispatch(ctx, called)
	return nil
}

// RetriedBy returns the execution that a policy made follow x, "" where there is none.
func (r *Router) RetriedBy(ctx context.Context, x *hayate.Execution) (hayate.ExecutionID, error) {
	if x.Status != hayate.StatusFailed && x.Status != hayate.StatusTimeout {
		return "", nil
	}
	y, err := r.Execution(ctx, RetryID(x.ID))
	if errors.Is(err, hayate.ErrNotFound) {
		return "", nil
	}
	return y.ID, err
}

// HeldBy returns the policy that keeps an execution from beginning, "" where none
// does.
func (r *Router) HeldBy(ctx context.Context, x *hayate.Execution) (hayate.Ref, error) {
	cat := r.cat.Load()
	g := cat.governed[x.Action]
	if g == nil || x.Status != hayate.StatusDelayed || x.NotBefore.After(r.now()) {
		return "", nil
	}
	for i := range g.gates {
		p := &g.gates[i]
		in, err := r.store.Holders(ctx, p.name(x, cat.actions[x.Action]))
		if err != nil {
			return "", err
		}
		if len(in) >= p.threshold && !slices.Contains(in, x.ID) {
			return p.ref, nil
		}
	}
	return "", nil
}

// retryOf is the execution that a policy makes follow one that has ended, or nil.
// Its identifier depends on that one alone.
func (r *Router) retryOf(x *hayate.Execution, at time.Time) *hayate.Execution {
	cat := r.cat.Load()
	g := cat.governed[x.Action]
	if g == nil {
		return nil
	}
	for i := range g.retries {
		p := &g.retries[i]
		n := retryCount(x.Context)
		if p.on != x.Status || n >= p.most {
			continue
		}
		y := hayate.Execution{
			ID: RetryID(x.ID), Parent: x.Parent, Root: x.Root, Event: x.Event, Rule: x.Rule, Trace: x.Trace, Lineage: x.Lineage,
			Action: x.Action, Runner: x.Runner, Parameters: x.Parameters, Context: retryContext(x, p.ref, n+1), Idempotent: x.Idempotent,
			Target: x.Target, Timeout: x.Timeout, Created: at, Status: hayate.StatusScheduled, Log: []hayate.Transition{{Time: at, Status: hayate.StatusRequested}},
		}
		if x.Parent == "" {
			y.Root = y.ID
		}
		if p.delay > 0 {
			y.Status, y.NotBefore = hayate.StatusDelayed, at.Add(p.delay)
		}
		y.Log = append(y.Log, hayate.Transition{Time: at, Status: y.Status})
		cat.governNew(&y)
		return &y
	}
	return nil
}

// RetryID is the identifier of the execution that a policy makes follow another.
func RetryID(id hayate.ExecutionID) hayate.ExecutionID {
	return hayate.ExecutionID(hayate.NewID(hayate.IDTime(string(id)), "retry", string(id)))
}

// retried is what the context of a retry says, as in StackStorm.
type retried struct {
	Policy hayate.Ref         `json:"applied_policy"`
	Count  int                `json:"retry_count"`
	Of     hayate.ExecutionID `json:"retried_liveaction_id"`
}

func retryCount(context json.RawMessage) int {
	var c struct {
		Policies struct {
			Retry retried `json:"retry"`
		} `json:"policies"`
	}
	if json.Unmarshal(context, &c) != nil {
		return 0
	}
	return c.Policies.Retry.Count
}

func retryContext(x *hayate.Execution, policy hayate.Ref, n int) json.RawMessage {
	m := map[string]json.RawMessage{}
	if len(x.Context) > 0 && json.Unmarshal(x.Context, &m) != nil {
		m = map[string]json.RawMessage{}
	}
	b, err := json.Marshal(map[string]retried{"retry": {policy, n, x.ID}})
	if err == nil {
		m["policies"] = b
		b, err = json.Marshal(m)
	}
	if err != nil {
		panic(err) // strings, a number, and raw messages that were just read
	}
	return b
}
