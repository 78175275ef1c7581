package router

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// RuleState is what a rule remembers, for a reader.
type RuleState struct {
	StateRecord
	// Of says what the state is of: a "key", a "target" of its guards, or the "rule".
	Of  string
	Key string
	// Summary describes it, a line for each thing remembered; it is empty where the
	// rule has no past any more.
	Summary []string
}

// RuleStates lists what a rule remembers, or, where key is given, what it
// remembers under that key. ErrNotFound says that there is no such rule.
func (r *Router) RuleStates(ctx context.Context, ref hayate.Ref, key *string, offset, limit int) (Page[RuleState], error) {
	var out Page[RuleState]
	rule, err := r.Rule(ref)
	if err != nil {
		return out, err
	}
	p, err := r.store.States(ctx, StateQuery{Rule: ref, Names: namesOf(key), Offset: offset, Limit: limit})
	if err != nil {
		return out, fmt.Errorf("list what rule %s remembers: %w", ref, err)
	}
	form, _ := stateful.Parse(&rule)
	out.Total = p.Total
	ended, err := r.watched(ctx, form, p.Items)
	if err != nil {
		return out, err
	}
	for _, s := range p.Items {
		st := RuleState{StateRecord: s, Of: stateful.Of(s.Name), Summary: []string{}}
		st.Key, _ = stateful.KeyOf(s.Name)
		if form != nil {
			st.Summary = form.Summary(s.Body, r.now(), ended)
		}
		out.Items = append(out.Items, st)
	}
	return out, nil
}

// watched says what became of the executions that states watch: the next decision
// would look, and a reader is told what it would find.
func (r *Router) watched(ctx context.Context, form *stateful.Form, states []StateRecord) (map[string]stateful.End, error) {
	if form == nil || !form.Watches() {
		return nil, nil
	}
	bodies := make([]json.RawMessage, len(states))
	for i := range states {
		bodies[i] = states[i].Body
	}
	return r.endings(ctx, r.now(), stateful.Watched(bodies))
}

// namesOf are the states of a key; nil for all.
func namesOf(key *string) []string {
	if key == nil {
		return nil
	}
	return stateful.Names(*key)
}

// ForgetRule makes a rule forget, all or what it remembers under one key, and
// returns how many states that were. It begins anew with the next event.
func (r *Router) ForgetRule(ctx context.Context, ref hayate.Ref, key *string) (int, error) {
	if _, err := r.Rule(ref); err != nil {
		return 0, err
	}
	n, err := r.store.ForgetStates(ctx, StateQuery{Rule: ref, Names: namesOf(key)})
	if err != nil {
		return n, fmt.Errorf("forget what rule %s remembers: %w", ref, err)
	}
	return n, nil
}
