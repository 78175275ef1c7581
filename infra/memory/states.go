package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
)

type stateKey struct {
	rule hayate.Ref
	name string
}

// settle makes the guarded firings of a decision final and keeps the new states;
// false says that the decision must be made anew, and nothing has changed. The
// store is locked.
func (s *Store) settle(d *router.Decision) bool {
	outs := make([]stateful.Outcome, len(d.Guarded))
	for i := range d.Guarded {
		g := &d.Guarded[i]
		have := make([]json.RawMessage, len(g.Names))
		missing := false
		for k, name := range g.Names {
			if r := s.states[stateKey{g.Rule, name}]; r != nil {
				have[k] = r.Body
			} else {
				missing = true
			}
		}
		if outs[i] = g.Decide(have, missing && s.stateCount(g.Rule) >= g.MaxKeys); outs[i].Again {
			return false
		}
	}
	for i := range d.Guarded {
		g := &d.Guarded[i]
		for k, st := range outs[i].States {
			key := stateKey{g.Rule, g.Names[k]}
			if st.Body == nil {
				delete(s.states, key)
				continue
			}
			s.states[key] = &router.StateRecord{Rule: key.rule, Name: key.name, Body: st.Body, Wake: st.Wake, Expires: st.Expires}
		}
		d.Settle(g, outs[i].Verdict)
	}
	return true
}

func (s *Store) stateCount(rule hayate.Ref) (n int) {
	for k := range s.states {
		if k.rule == rule {
			n++
		}
	}
	return n
}

// selectStates lists what a query selects, without offset and limit.
func (s *Store) selectStates(q router.StateQuery) []*router.StateRecord {
	var list []*router.StateRecord
	for _, r := range s.states {
		switch {
		case q.Rule != "" && q.Rule != r.Rule,
			len(q.Names) > 0 && !slices.Contains(q.Names, r.Name),
			!q.DueBy.IsZero() && (r.Wake.IsZero() || r.Wake.After(q.DueBy)),
			!q.ExpiredBy.IsZero() && (r.Expires.IsZero() || r.Expires.After(q.ExpiredBy)):
			continue
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *router.StateRecord) int {
		byName := cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Name, b.Name))
		if q.DueBy.IsZero() {
			return byName
		}
		return cmp.Or(a.Wake.Compare(b.Wake), byName)
	})
	return list
}

// States implements router.States.
func (s *Store) States(ctx context.Context, q router.StateQuery) (router.Page[router.StateRecord], error) {
	var p router.Page[router.StateRecord]
	if err := s.enter(ctx, "list states"); err != nil {
		return p, err
	}
	defer s.mu.Unlock()
	list := s.selectStates(q)
	p.Total = len(list)
	list = list[min(max(q.Offset, 0), len(list)):]
	if q.Limit >= 0 {
		list = list[:min(q.Limit, len(list))]
	}
	for _, r := range list {
		c := *r
		c.Body = bytes.Clone(r.Body)
		p.Items = append(p.Items, c)
	}
	return p, nil
}

// ForgetStates implements router.States.
func (s *Store) ForgetStates(ctx context.Context, q router.StateQuery) (int, error) {
	if err := s.enter(ctx, "forget states"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	list := s.selectStates(q)
	if q.Limit > 0 {
		list = list[:min(q.Limit, len(list))]
	}
	for _, r := range list {
		delete(s.states, stateKey{r.Rule, r.Name})
	}
	return len(list), nil
}
