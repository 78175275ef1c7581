package router

import (
	"context"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// Explained is the answer to "what did the rules make of this event, and why".
type Explained struct {
	Event EventRecord `json:"event"`
	// Rules holds the explanation of every rule of the event's trigger, then of the
	// others; the nearest misses first.
	Rules []rules.Explanation `json:"rules"`
}

// ExplainEvent holds a recorded event against the rules as they are now. It
// changes nothing.
func (r *Router) ExplainEvent(ctx context.Context, id hayate.EventID) (Explained, error) {
	p, err := r.store.Events(ctx, Query{IDs: []string{string(id)}, Limit: 1})
	if err != nil {
		return Explained{}, fmt.Errorf("read event %s: %w", id, err)
	}
	if len(p.Items) == 0 {
		return Explained{}, fmt.Errorf("event %s: %w", id, hayate.ErrNotFound)
	}
	x := Explained{Event: p.Items[0]}
	if x.Rules, err = r.explain(ctx, &x.Event.Event, ""); err != nil {
		return x, err
	}
	forms := r.cat.Load().forms
	for i := range x.Event.Firings {
		f := &x.Event.Firings[i]
		for k := range x.Rules {
			if e := &x.Rules[k]; e.Rule == f.Rule && forms[f.Rule] != nil {
				e.Past = &rules.Past{Recorded: true, Status: f.Status, Reason: f.Reason}
			}
		}
	}
	return x, nil
}

// Explain holds an event against one rule, or with ref "" against all registered
// rules, enabled or not.
func (r *Router) Explain(ctx context.Context, e *hayate.Event, ref hayate.Ref) ([]rules.Explanation, error) {
	if e.AcceptedAt.IsZero() {
		e.AcceptedAt = r.now()
	}
	xs, err := r.explain(ctx, e, ref)
	if err != nil {
		return nil, err
	}
	return xs, r.foresee(ctx, e, xs)
}

// foresee adds what rules with a past would decide on the event now. It changes
// nothing.
func (r *Router) foresee(ctx context.Context, e *hayate.Event, xs []rules.Explanation) error {
	if len(r.cat.Load().forms) == 0 {
		return nil
	}
	var wake time.Time
	d, err := r.decide(ctx, e, &wake)
	if err != nil {
		return err
	}
	for i := range d.Guarded {
		g := &d.Guarded[i]
		have, err := r.bodies(ctx, g.Rule, g.Names)
		if err != nil {
			return err
		}
		out := g.Decide(have, false)
		if out.Again {
			continue // it has changed this moment
		}
		d.Settle(g, out.Verdict)
		for _, f := range d.Firings {
			for k := range xs {
				if f.ID == g.Firing && xs[k].Rule == f.Rule {
					xs[k].Past = &rules.Past{Status: f.Status, Reason: f.Reason}
				}
			}
		}
	}
	return nil
}

func (r *Router) explain(ctx context.Context, e *hayate.Event, ref hayate.Ref) ([]rules.Explanation, error) {
	var rs []hayate.Rule
	for _, rule := range r.Rules() {
		if ref == "" || rule.Ref() == ref {
			rs = append(rs, rule)
		}
	}
	if ref != "" && len(rs) == 0 {
		return nil, fmt.Errorf("rule %s: %w", ref, hayate.ErrNotFound)
	}
	kv := kvReader{r: r}
	for range maxNeedRounds {
		out, need := rules.ExplainAll(rs, e, kv.values)
		if len(need) == 0 {
			return out, nil
		}
		if err := kv.fetch(ctx, e.AcceptedAt, "", need); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("explain event %s: rules ask for ever more datastore keys: %w", e.ID, hayate.ErrInvalid)
}
