package router

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
)

// DiffQuery says which events are held against which change of the rules.
type DiffQuery struct {
	// Content are packs as they would be: their rules and actions take the place of
	// what is registered of packs of these names. Other packs stay as they are.
	Content Content
	// After and Before bound the time at which the events were accepted, both
	// excluded; a zero Before means now. Type selects events of one type.
	After, Before time.Time
	Type          string
	// Recorded compares with the firings as they were recorded, rather than with
	// those that the registered rules would lead to today.
	Recorded bool
}

// The kinds of Difference.
const (
	DiffAdded   = "added"
	DiffRemoved = "removed"
	DiffChanged = "changed"
)

// Difference is a firing that would be otherwise.
type Difference struct {
	Change    string         `json:"change"` // added, removed, changed
	Rule      hayate.Ref     `json:"rule"`
	Event     hayate.EventID `json:"event"`
	EventType string         `json:"event_type"`
	At        time.Time      `json:"at"`
	// Status and Reason are those of the firing that would be, or was; of one that
	// would be held back, Reason says why. Before is the status that it had, where
	// that changes.
	Status hayate.FiringStatus `json:"status"`
	Before hayate.FiringStatus `json:"status_before,omitempty"`
	Reason string              `json:"reason,omitempty"`
	// Parameters are those of each action of an added or removed firing, secrets
	// masked; Parameter those that change.
	Parameters []json.RawMessage `json:"parameters,omitempty"`
	Changed    []ParameterChange `json:"changed,omitempty"`
}

// ParameterChange is a parameter of an action that would be another: absent
// values are nil.
type ParameterChange struct {
	Action int             `json:"action"` // index in the rule
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// DiffCounts sums a diff up.
type DiffCounts struct {
	Events  int        `json:"events"`
	Added   int        `json:"added"`
	Removed int        `json:"removed"`
	Changed int        `json:"changed"`
	Rules   []RuleDiff `json:"rules"` // those with a difference, by reference
}

// RuleDiff counts the differences of one rule.
type RuleDiff struct {
	Rule    hayate.Ref `json:"rule"`
	Added   int        `json:"added"`
	Removed int        `json:"removed"`
	Changed int        `json:"changed"`
}

// diffPage is how many events are read and held at once.
const diffPage = 500

// Diff holds recorded events against the rules as they would be, oldest first, and
// tells yield of every firing that would be otherwise. Nothing is stored, queued
// or run. Datastore values are those of today, and rules that remember begin with
// nothing. An error of yield ends it. The
// error also says what of the content would be refused.
func (r *Router) Diff(ctx context.Context, q DiffQuery, yield func(Difference) error) (DiffCounts, error) {
	now, then, err := r.rehearsals(ctx, q.Content)
	if err != nil {
		return DiffCounts{}, err
	}
	if q.Before.IsZero() {
		q.Before = r.now()
	}
	d := &differ{yield: yield, by: map[hayate.Ref]*RuleDiff{}, now: now, then: then, recorded: q.Recorded}
	err = r.eachEvent(ctx, q, func(rec *EventRecord) error { return d.event(ctx, rec) })
	if err == nil {
		err = d.advance(ctx, q.Before)
	}
	for _, c := range d.by {
		d.counts.Rules = append(d.counts.Rules, *c)
	}
	slices.SortFunc(d.counts.Rules, func(a, b RuleDiff) int { return cmp.Compare(a.Rule, b.Rule) })
	return d.counts, err
}

// rehearsals decide by the registered rules, and by what they would be with other
// versions of some packs.
func (r *Router) rehearsals(ctx context.Context, change Content) (now, then *Rehearsal, err error) {
	over, _, err := r.registry.List(ctx, registryRule, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("compare rules: %w", err)
	}
	r.loading.Lock()
	content, cat := r.content, r.cat.Load()
	r.loading.Unlock()
	other := map[string]bool{}
	for i := range change.Packs {
		other[change.Packs[i].Ref] = true
	}
	next := change
	next.Packs = slices.Clone(change.Packs)
	for _, p := range content.Packs {
		if i := slices.IndexFunc(next.Packs, func(x Pack) bool { return x.Ref == p.Ref }); i >= 0 {
			next.Packs[i].Config, next.Packs[i].ConfigSchema = p.Config, p.ConfigSchema // the operator's
			continue
		}
		next.Packs = append(next.Packs, p)
	}
	next.Rules = keep(content.Rules, change.Rules, func(x *hayate.Rule) bool { return other[x.Pack] })
	next.Actions = keep(content.Actions, change.Actions, func(x *hayate.Action) bool { return other[x.Pack] })
	next.Triggers = keep(content.Triggers, change.Triggers, func(x *hayate.TriggerType) bool { return other[x.Pack] })
	changed, err := r.build(next, over)
	if err != nil {
		return nil, nil, fmt.Errorf("the changed packs: %w", err)
	}
	return r.rehearse(cat), r.rehearse(changed), nil
}

// rehearse returns a Rehearsal of a catalog, with the datastore and the secrets of
// r, and with no past.
func (r *Router) rehearse(cat *catalog) *Rehearsal {
	h := newRehearsal(&Router{data: r.data, secrets: r.secrets, log: slog.New(slog.DiscardHandler), runners: r.runners, renderer: r.renderer, cfg: r.cfg})
	h.r.cat.Store(cat)
	return h
}

// keep joins what is registered and not replaced with what replaces the rest.
func keep[T any](registered, change []T, replaced func(*T) bool) []T {
	out := make([]T, 0, len(registered)+len(change))
	for i := range registered {
		if !replaced(&registered[i]) {
			out = append(out, registered[i])
		}
	}
	return append(out, change...)
}

// eachEvent reads events slice by slice of time, oldest first. Stores list them in
// the order of their commits, which is not quite that of their times; a slice holds
// whoever belongs to it, so that each event comes once. Slices become shorter where
// events are dense, and longer where they are few.
func (r *Router) eachEvent(ctx context.Context, q DiffQuery, f func(*EventRecord) error) error {
	all, err := r.store.Events(ctx, Query{Type: q.Type, After: q.After, Before: q.Before, Ascending: true, Limit: 1})
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if len(all.Items) == 0 {
		return nil
	}
	from := q.After.Truncate(time.Microsecond).Add(time.Microsecond)
	if begun := all.Items[0].At.Add(-diffSkew); from.Before(begun) {
		from = begun
	}
	step := q.Before.Sub(from) / time.Duration(all.Total/diffPage+1)
	for from.Before(q.Before) {
		step = max(step.Truncate(time.Microsecond), time.Microsecond)
		to := from.Add(step)
		if to.After(q.Before) {
			to = q.Before
		}
		items, total, err := r.slice(ctx, q.Type, from, to, step > time.Microsecond)
		if err != nil {
			return err
		}
		if total > len(items) {
			step /= 2
			continue
		}
		for i := range items {
			if err := f(&items[i]); err != nil {
				return err
			}
		}
		if from = to; total < diffPage/2 {
			step *= 2
		}
	}
	return nil
}

// diffSkew is how far the first event of a list may be behind the oldest.
const diffSkew = time.Minute

// slice returns the events from one moment to before another, oldest first, and how
// many there are. Where there are more than a page, and the slice can be cut, there
// are none: the caller cuts it.
func (r *Router) slice(ctx context.Context, typ string, from, to time.Time, cut bool) ([]EventRecord, int, error) {
	q := Query{Type: typ, After: from.Add(-time.Microsecond), Before: to, Ascending: true, Limit: diffPage}
	var out []EventRecord
	for {
		p, err := r.store.Events(ctx, q)
		if err != nil {
			return nil, 0, fmt.Errorf("read events: %w", err)
		}
		if cut && p.Total > diffPage {
			return nil, p.Total, nil
		}
		out = append(out, p.Items...)
		if len(p.Items) < diffPage {
			slices.SortStableFunc(out, func(a, b EventRecord) int { return a.At.Compare(b.At) })
			return out, len(out), nil
		}
		q.Offset += len(p.Items)
	}
}

// differ compares firings.
type differ struct {
	yield     func(Difference) error
	counts    DiffCounts
	by        map[hayate.Ref]*RuleDiff
	now, then *Rehearsal
	recorded  bool
	// woken are recorded events that rules with a past gave rise to, not yet compared.
	woken []EventRecord
}

// event decides on a recorded event once more. What rules gave rise to themselves
// as time went by is not decided on again: it comes of advancing.
func (d *differ) event(ctx context.Context, rec *EventRecord) error {
	rec.Event.AcceptedAt = rec.At
	if _, _, _, ours := wakeOf(&rec.Event); ours {
		d.woken = append(d.woken, *rec)
		return nil
	}
	d.counts.Events++
	if err := d.advance(ctx, rec.At); err != nil {
		return err
	}
	was := rec.Firings
	if !d.recorded {
		var err error
		if was, err = d.now.Decide(ctx, &rec.Event); err != nil {
			return err
		}
	}
	will, err := d.then.Decide(ctx, &rec.Event)
	if err != nil {
		return err
	}
	return d.compare(rec, was, will)
}

// advance lets time go by for the rules that remember, and compares what comes of it.
func (d *differ) advance(ctx context.Context, to time.Time) error {
	was := d.woken
	d.woken = nil
	if !d.recorded {
		var err error
		if was, err = wokenBy(ctx, d.now, to); err != nil {
			return err
		}
	}
	will, err := wokenBy(ctx, d.then, to)
	if err != nil {
		return err
	}
	for i := range will {
		k := slices.IndexFunc(was, func(x EventRecord) bool { return x.Event.UID() == will[i].Event.UID() })
		var before []hayate.Firing
		if k >= 0 {
			before = was[k].Firings
			was = slices.Delete(was, k, k+1)
		}
		if err := d.compare(&will[i], before, will[i].Firings); err != nil {
			return err
		}
	}
	for i := range was {
		if err := d.compare(&was[i], was[i].Firings, nil); err != nil {
			return err
		}
	}
	return nil
}

// wokenBy are the events that come of time going by, with the firings for them.
func wokenBy(ctx context.Context, h *Rehearsal, to time.Time) ([]EventRecord, error) {
	ws, err := h.Advance(ctx, to)
	out := make([]EventRecord, len(ws))
	for i := range ws {
		e := ws[i].Event
		out[i] = EventRecord{ID: hayate.EventIDOf(e.AcceptedAt, e.UID()), Event: e, At: e.AcceptedAt, Firings: ws[i].Firings}
	}
	return out, err
}

// compare tells of the rules that fire otherwise for an event.
func (d *differ) compare(rec *EventRecord, was, will []hayate.Firing) error {
	find := func(fs []hayate.Firing, ref hayate.Ref) *hayate.Firing {
		i := slices.IndexFunc(fs, func(f hayate.Firing) bool { return f.Rule == ref })
		if i < 0 {
			return nil
		}
		return &fs[i]
	}
	for i := range was {
		if err := d.compareOne(rec, &was[i], find(will, was[i].Rule)); err != nil {
			return err
		}
	}
	for i := range will {
		if !held(&will[i]) && find(was, will[i].Rule) == nil {
			if err := d.tell(rec, DiffAdded, &will[i], nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// held says whether a rule with a past only noted the event, or held its firing
// back.
func held(f *hayate.Firing) bool {
	return f.Status == hayate.FiringNoted || f.Status == hayate.FiringSuppressed
}

// compareOne tells of a rule that fires otherwise than it did; next is nil where it
// would not. One that is held back does not fire.
func (d *differ) compareOne(rec *EventRecord, old, next *hayate.Firing) error {
	switch {
	case held(old) && (next == nil || held(next)):
		return nil
	case held(old):
		return d.tell(rec, DiffAdded, next, &Difference{Before: old.Status})
	case next == nil:
		return d.tell(rec, DiffRemoved, old, nil)
	case held(next):
		return d.tell(rec, DiffRemoved, old, &Difference{Reason: fmt.Sprintf("%s: %s", next.Status, next.Reason)})
	}
	changed := changes(d.now.Outer(old), d.then.Outer(next))
	if len(changed) == 0 {
		changed = changes(old.Parameters, next.Parameters) // an action fixes what differs
	}
	if len(changed) == 0 && old.Status == next.Status {
		return nil
	}
	return d.tell(rec, DiffChanged, next, &Difference{Before: old.Status, Changed: changed})
}

func (d *differ) tell(rec *EventRecord, change string, f *hayate.Firing, more *Difference) error {
	c := d.by[f.Rule]
	if c == nil {
		c = &RuleDiff{Rule: f.Rule}
		d.by[f.Rule] = c
	}
	x := Difference{Change: change, Rule: f.Rule, Event: rec.ID, EventType: rec.Event.Type, At: rec.At, Status: f.Status, Reason: f.Reason}
	if more == nil {
		more = &Difference{}
	}
	if more.Reason != "" {
		x.Reason = more.Reason
	}
	if more.Before != f.Status {
		x.Before = more.Before
	}
	switch change {
	case DiffAdded:
		d.counts.Added, c.Added = d.counts.Added+1, c.Added+1
		x.Parameters = d.then.Outer(f)
	case DiffRemoved:
		d.counts.Removed, c.Removed = d.counts.Removed+1, c.Removed+1
		x.Parameters = d.now.Outer(f)
	case DiffChanged:
		d.counts.Changed, c.Changed = d.counts.Changed+1, c.Changed+1
		x.Changed = more.Changed
	}
	return d.yield(x)
}

// changes are the parameters that differ, action by action.
func changes(old, next []json.RawMessage) (out []ParameterChange) {
	for i := range max(len(old), len(next)) {
		a, b := members(old, i), members(next, i)
		names := make([]string, 0, len(a)+len(b))
		for name := range a {
			names = append(names, name)
		}
		for name := range b {
			if _, both := a[name]; !both {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			if !bytes.Equal(a[name], b[name]) {
				out = append(out, ParameterChange{Action: i, Name: name, Before: a[name], After: b[name]})
			}
		}
	}
	return out
}

// members are the parameters of action i, each in compact JSON.
func members(list []json.RawMessage, i int) map[string]json.RawMessage {
	if i >= len(list) {
		return nil
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(list[i], &m) != nil {
		return map[string]json.RawMessage{"": list[i]}
	}
	for name, v := range m {
		var b bytes.Buffer
		if json.Compact(&b, v) == nil {
			m[name] = b.Bytes()
		}
	}
	return m
}
