package router

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/rules"
	"github.com/hayate-run/hayate/rules/stateful"
)

// ownRef is the reference of the rule that a match is of, where the match may be
// of a further condition.
func ownRef(rule *hayate.Rule) hayate.Ref {
	name, _, _ := strings.Cut(rule.Name, "\x00")
	return hayate.NewRef(rule.Pack, name)
}

// remembers says whether a match needs what its rule remembers.
func remembers(m *rules.Match) bool {
	return m.Rule.Part != "" || stateful.Declared(m.Rule)
}

// groupOf counts the first matches that are of one rule: they stand side by side.
func groupOf(ms []rules.Match) int {
	n := 1
	for n < len(ms) && ms[n].Rule.Part != "" && ownRef(ms[n].Rule) == ownRef(ms[0].Rule) {
		n++
	}
	return n
}

// remember decides what a rule with a past does about an event that satisfies
// its conditions, or some of them.
func (d *decider) remember(ctx context.Context, ms []rules.Match) error {
	ref := ownRef(ms[0].Rule)
	rule, form := d.cat.rules[ref], d.cat.forms[ref]
	if rule == nil || form == nil {
		return nil // its form was refused, and so was the rule
	}
	f := d.firing(rule)
	if d.looped(ref) {
		d.stop(f)
		return nil
	}
	in := stateful.Input{At: d.event.AcceptedAt, Event: string(f.Event)}
	for i := range ms {
		if ms[i].Err != nil {
			d.unmatched(f, ms[i].Err)
			return nil
		}
		switch ms[i].Rule.Part {
		case stateful.PartOther:
			in.Other = true
		case stateful.PartCleared:
			in.Cleared = true
		default:
			in.Own = true
		}
	}
	part := stateful.PartCleared
	switch {
	case in.Own:
		part = ""
	case in.Other:
		part = stateful.PartOther
	}
	key, err := form.Key(part, d.event)
	if err != nil {
		f.Status, f.Reason = hayate.FiringFailed, err.Error()
		d.out.Firings = append(d.out.Firings, *f)
		return nil
	}
	in.Key = key
	return d.guard(ctx, rule, form, in, f)
}

// guard prepares a firing as if it stood, and lets the past decide whether it does.
func (d *decider) guard(ctx context.Context, rule *hayate.Rule, form *stateful.Form, in stateful.Input, f *hayate.Firing) error {
	r := d.r
	trigger := d.trigger
	acts := in.Own && !form.Awaits()
	target := in.Key
	if in.Other && !in.Own || !in.Wake.IsZero() {
		// The firing may be about an event that came before.
		have, err := r.bodies(ctx, rule.Ref(), form.Keys(in.Key, "")[keyAt(form, in.Key):][:1])
		if err != nil {
			return err
		}
		in.Subject = form.Subject(in.Other, in.Wake, have[0])
		acts = in.Subject != "" || !in.Wake.IsZero()
	}
	subject := d.event
	if in.Subject != "" {
		rec, err := r.event(ctx, hayate.EventID(in.Subject))
		switch {
		case err != nil:
			return err
		case rec == nil:
			acts = false
			f.Status, f.Reason = hayate.FiringFailed, fmt.Sprintf("event %s, which the firing is about, is not there any more", in.Subject)
		default:
			subject = &rec.Event
			trigger = render.NewTrigger(subject)
		}
	}
	if acts || in.Own {
		var err error
		if target, err = form.Target(subject, in.Key); err != nil {
			acts = false
			f.Status, f.Reason = hayate.FiringFailed, err.Error()
		}
	}
	if acts {
		own := d.trigger
		d.trigger = trigger
		err := d.actions(ctx, rule, f)
		if subject != d.event {
			d.trigger = own
		}
		if err != nil {
			return err
		}
		for _, id := range f.Executions {
			in.Started = append(in.Started, string(id))
		}
	}
	names := form.Keys(in.Key, target)
	if form.Watches() {
		have, err := r.bodies(ctx, rule.Ref(), names)
		if err != nil {
			return err
		}
		if in.Ended, err = r.endings(ctx, in.At, stateful.Watched(have)); err != nil {
			return err
		}
	}
	d.out.Firings = append(d.out.Firings, *f)
	d.out.Guarded = append(d.out.Guarded, Guarded{Firing: f.ID, Rule: rule.Ref(), Names: names, MaxKeys: form.MaxKeys(),
		Decide: func(have []json.RawMessage, full bool) stateful.Outcome {
			in := in
			in.Full = full
			out := form.Decide(in, have)
			d.wakes(out.States)
			return out
		}})
	return nil
}

// keyAt is the place of the key's state among the names.
func keyAt(form *stateful.Form, key string) int {
	if len(form.Keys(key, "")) > 1 {
		return 1
	}
	return 0
}

// bodies reads states.
func (r *Router) bodies(ctx context.Context, rule hayate.Ref, names []string) ([]json.RawMessage, error) {
	p, err := r.past.States(ctx, StateQuery{Rule: rule, Names: names, Limit: -1})
	if err != nil {
		return nil, fmt.Errorf("read what rule %s remembers: %w", rule, err)
	}
	have := make([]json.RawMessage, len(names))
	for _, s := range p.Items {
		have[slices.Index(names, s.Name)] = s.Body
	}
	return have, nil
}

// event reads an accepted event, nil where there is none any more.
func (r *Router) event(ctx context.Context, id hayate.EventID) (*EventRecord, error) {
	p, err := r.past.Events(ctx, Query{IDs: []string{string(id)}, Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("read event %s: %w", id, err)
	}
	if len(p.Items) == 0 {
		return nil, nil
	}
	return &p.Items[0], nil
}

// forgotten is the age from which an execution that is not there counts as gone,
// and not as one that is still to be stored.
const forgotten = time.Hour

// endings says what became of executions.
func (r *Router) endings(ctx context.Context, at time.Time, ids []string) (map[string]stateful.End, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	p, err := r.past.Executions(ctx, Query{IDs: ids, Limit: -1})
	if err != nil {
		return nil, fmt.Errorf("read executions: %w", err)
	}
	out := make(map[string]stateful.End, len(ids))
	there := make(map[string]bool, len(ids))
	for i := range p.Items {
		x := &p.Items[i]
		there[string(x.ID)] = true
		if !x.Status.Completed() || x.Ended.After(at) {
			continue
		}
		e := stateful.End{At: x.Ended, Void: x.Status == hayate.StatusCanceled}
		e.Failed = !e.Void && x.Status != hayate.StatusSucceeded
		out[string(x.ID)] = e
	}
	for _, id := range ids {
		if !there[id] && at.Sub(createdAt(id)) > forgotten {
			out[id] = stateful.End{At: at, Void: true}
		}
	}
	return out, nil
}

// createdAt is the second that an identifier begins with; the beginning of time
// where it is none of ours.
func createdAt(id string) time.Time {
	if len(id) < 8 {
		return time.Time{}
	}
	n, err := strconv.ParseUint(id[:8], 16, 32)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(int64(n), 0)
}
