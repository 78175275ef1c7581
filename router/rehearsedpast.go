package router

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// past is what decisions look up of what came before. The store is one.
type past interface {
	States(ctx context.Context, q StateQuery) (Page[StateRecord], error)
	Events(ctx context.Context, q Query) (Page[EventRecord], error)
	Executions(ctx context.Context, q Query) (Page[hayate.Execution], error)
}

// rehearsedPast is the past of a rehearsal. Executions that a rule starts succeed
// as soon as they are there, unless it is said how they end.
type rehearsedPast struct {
	states map[[2]string]StateRecord // by rule and name
	events map[string]EventRecord    // those that states may name
	begun  bool                      // what is expected from the start is expected
	ends   rehearsedEnds
}

// States returns what the query selects.
func (p *rehearsedPast) States(_ context.Context, q StateQuery) (Page[StateRecord], error) {
	var out Page[StateRecord]
	for _, s := range p.states {
		if (q.Rule == "" || q.Rule == s.Rule) && (len(q.Names) == 0 || slices.Contains(q.Names, s.Name)) &&
			(q.DueBy.IsZero() || !s.Wake.IsZero() && !s.Wake.After(q.DueBy)) {
			out.Items = append(out.Items, s)
		}
	}
	slices.SortFunc(out.Items, func(a, b StateRecord) int {
		if c := a.Wake.Compare(b.Wake); c != 0 && !q.DueBy.IsZero() {
			return c
		}
		return strings.Compare(string(a.Rule)+"\x00"+a.Name, string(b.Rule)+"\x00"+b.Name)
	})
	out.Total = len(out.Items)
	return out, nil
}

// Events returns the events named.
func (p *rehearsedPast) Events(_ context.Context, q Query) (Page[EventRecord], error) {
	var out Page[EventRecord]
	for _, id := range q.IDs {
		if e, ok := p.events[id]; ok {
			out.Items = append(out.Items, e)
		}
	}
	out.Total = len(out.Items)
	return out, nil
}

// Executions returns the executions named.
func (p *rehearsedPast) Executions(_ context.Context, q Query) (Page[hayate.Execution], error) {
	var out Page[hayate.Execution]
	for _, id := range q.IDs {
		if x, ok := p.ends.by[hayate.ExecutionID(id)]; ok {
			out.Items = append(out.Items, x)
			continue
		}
		out.Items = append(out.Items, hayate.Execution{ID: hayate.ExecutionID(id), Status: hayate.StatusSucceeded, Ended: createdAt(id)})
	}
	out.Total = len(out.Items)
	return out, nil
}

// settle makes the guarded firings of a decision final; false says that it must
// be made anew.
func (p *rehearsedPast) settle(d *Decision) bool {
	outs := make([]stateful.Outcome, len(d.Guarded))
	for i := range d.Guarded {
		g := &d.Guarded[i]
		have := make([]json.RawMessage, len(g.Names))
		for k, name := range g.Names {
			have[k] = p.states[[2]string{string(g.Rule), name}].Body
		}
		if outs[i] = g.Decide(have, false); outs[i].Again {
			return false
		}
	}
	for i := range d.Guarded {
		g := &d.Guarded[i]
		for k, st := range outs[i].States {
			key := [2]string{string(g.Rule), g.Names[k]}
			if st.Body == nil {
				delete(p.states, key)
				continue
			}
			p.states[key] = StateRecord{Rule: g.Rule, Name: g.Names[k], Body: st.Body, Wake: st.Wake, Expires: st.Expires}
		}
		d.Settle(g, outs[i].Verdict)
	}
	return true
}

// decide decides on an event, and remembers it.
func (h *Rehearsal) decide(ctx context.Context, e *hayate.Event) ([]hayate.Firing, error) {
	var wake time.Time
	for range MaxAgain {
		d, err := h.r.decide(ctx, e, &wake)
		if err != nil {
			return nil, err
		}
		if !h.past.settle(&d) {
			continue
		}
		if len(d.Guarded) > 0 {
			id := hayate.EventIDOf(e.AcceptedAt, e.UID())
			h.past.events[string(id)] = EventRecord{ID: id, Event: *e, At: e.AcceptedAt}
		}
		h.past.ends.started(d.Executions)
		return d.Firings, nil
	}
	return nil, fmt.Errorf("decide on event %s: it leads to ever new decisions: %w", e.ID, hayate.ErrInvalid)
}

// Woken is an event that comes as time goes by, of a rule with a past or of an
// execution that ends, and what is decided on it.
type Woken struct {
	Event   hayate.Event
	Firings []hayate.Firing
}

// maxWoken bounds the events of one advance.
const maxWoken = 10_000

// Advance lets time go by up to a moment: rules fire for what does not come, and
// for what a calendar held back, and executions end. The first call says from when
// on rules are in force that expect something. What comes at the same moment as an
// event is for Advance to decide before Decide.
func (h *Rehearsal) Advance(ctx context.Context, to time.Time) ([]Woken, error) {
	if !h.past.begun {
		h.past.begun = true
		if err := h.begin(ctx, to); err != nil {
			return nil, err
		}
	}
	var out []Woken
	for range maxWoken {
		ws, more, err := h.next(ctx, to)
		out = append(out, ws...)
		if err != nil || !more {
			return out, err
		}
	}
	return out, fmt.Errorf("rules wake more than %d times until %s: %w", maxWoken, to, hayate.ErrTooLarge)
}

// next does what is due first up to a moment; false says that nothing is.
func (h *Rehearsal) next(ctx context.Context, to time.Time) ([]Woken, bool, error) {
	x := h.past.ends.first(to)
	if x != nil {
		to = x.Ended
	}
	if len(h.r.cat.Load().forms) > 0 {
		due, err := h.past.States(ctx, StateQuery{DueBy: to})
		if err != nil {
			return nil, false, err
		}
		if len(due.Items) > 0 && (x == nil || due.Items[0].Wake.Before(to)) {
			w, err := h.wake(ctx, &due.Items[0])
			return w, true, err
		}
	}
	if x == nil {
		return nil, false, nil
	}
	ws, err := h.end(ctx, x)
	return ws, true, err
}

// wake decides on what a state is due for.
func (h *Rehearsal) wake(ctx context.Context, s *StateRecord) ([]Woken, error) {
	key := [2]string{string(s.Rule), s.Name}
	kind, news := h.r.cat.Load().forms[s.Rule].Waking(s.Name, s.Body)
	e, err := wakeEvent("hayate.rule."+kind, s.Rule, s.Name, s.Wake, news)
	if err != nil {
		return nil, err
	}
	e.AcceptedAt = s.Wake
	fs, err := h.decide(ctx, &e)
	if err != nil {
		return nil, err
	}
	if now := h.past.states[key]; now.Wake.Equal(s.Wake) {
		return nil, fmt.Errorf("rule %s wakes for ever at %s: %w", s.Rule, s.Wake, hayate.ErrInvalid)
	}
	return []Woken{{e, fs}}, nil
}

// begin begins to expect what rules name.
func (h *Rehearsal) begin(ctx context.Context, at time.Time) error {
	for ref, form := range h.r.cat.Load().forms {
		for _, key := range form.Initial() {
			e, err := wakeEvent(triggerExpecting, ref, form.Keys(key, key)[keyAt(form, key)], at, stateful.News{Rule: string(ref), Key: key})
			if err != nil {
				return err
			}
			e.AcceptedAt = at
			if _, err := h.decide(ctx, &e); err != nil {
				return err
			}
		}
	}
	return nil
}
