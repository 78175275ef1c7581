package router

import (
	"context"
	"fmt"

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
	x.Rules, err = r.Explain(ctx, &x.Event.Event, "")
	return x, err
}

// Explain holds an event against one rule, or with ref "" against all registered
// rules, enabled or not.
func (r *Router) Explain(ctx context.Context, e *hayate.Event, ref hayate.Ref) ([]rules.Explanation, error) {
	if e.AcceptedAt.IsZero() {
		e.AcceptedAt = r.now()
	}
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
