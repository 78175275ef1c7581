package stateful

import (
	"encoding/json"
	"slices"
	"time"
)

// guarded holds a firing against the guard rails, and notes it where they let it
// pass.
func (d *decision) guarded() (Verdict, bool) {
	f, t, r := d.f, d.target, d.rule
	d.hear()
	if f.cooldown > 0 && t.Cool != 0 && d.at < t.Cool+f.cooldown.Microseconds() {
		return d.suppressed("cooldown until %s", f.moment(instant(t.Cool).Add(f.cooldown))), false
	}
	if f.most > 0 && len(t.Running) >= f.most {
		return d.suppressed("%d of at most %d executions at once are under way, the oldest is %s", len(t.Running), f.most, t.Running[0].ID), false
	}
	if f.budget != nil {
		r.Budget = slices.Clone(within(r.Budget, d.at, f.budget.within))
		if n := len(r.Budget); n >= f.budget.n {
			return d.suppressed("the budget of %d within %s is used up until %s", f.budget.n, Span(f.budget.within),
				f.moment(instant(r.Budget[n-f.budget.n]).Add(f.budget.within))), false
		}
	}
	if v, ok := d.broken(); !ok {
		return v, false
	}
	if f.cooldown > 0 {
		t.Cool = d.at
	}
	if f.most > 0 {
		for _, id := range d.in.Started {
			t.Running = append(t.Running, started{id, d.at})
		}
		t.Running = t.Running[max(0, len(t.Running)-maxWatched):]
	}
	if f.budget != nil {
		r.Budget = append(r.Budget, d.at)
	}
	if f.breaker != nil && len(r.Probe) == 0 {
		r.Watched = append(r.Watched, d.in.Started...)
		r.Watched = r.Watched[max(0, len(r.Watched)-maxWatched):]
	}
	return Verdict{}, true
}

// broken asks the circuit breaker.
func (d *decision) broken() (Verdict, bool) {
	b, r := d.f.breaker, d.rule
	if b == nil || r.Open == 0 {
		return Verdict{}, true
	}
	again := instant(r.Open).Add(b.open)
	switch {
	case d.at < micros(again):
		return d.suppressed("circuit breaker open since %s after %d failures within %s; tries again at %s", d.f.moment(instant(r.Open)),
			b.failures, Span(b.within), d.f.moment(again)), false
	case len(r.Probe) > 0:
		return d.suppressed("circuit breaker half-open since %s: its probe %s is under way", d.f.moment(again), r.Probe[0]), false
	}
	d.reason("the probe of a circuit breaker open since %s", d.f.moment(instant(r.Open)))
	r.Probe = slices.Clone(d.in.Started)
	return Verdict{}, true
}

// hear takes in what became of executions.
func (d *decision) hear() {
	t, r := d.target, d.rule
	t.Running = slices.DeleteFunc(t.Running, func(s started) bool { return d.ended(s.ID) })
	b := d.f.breaker
	if b == nil {
		return
	}
	rest := r.Watched[:0:0]
	for _, id := range r.Watched {
		if !d.ended(id) {
			rest = append(rest, id)
		} else if e := d.in.Ended[id]; e.Failed {
			r.Failures = addSorted(r.Failures, min(micros(e.At), d.at))
		}
	}
	r.Watched = rest
	d.hearProbe()
	if r.Open != 0 {
		return
	}
	if r.Open = b.opened(r.Failures); r.Open != 0 {
		r.Tell = d.at
	}
	r.Failures = slices.Clone(within(r.Failures, d.at, b.within))
}

// opened is the first moment at which so many failures lay within the breaker's
// time, 0 where there is none. When they are heard of does not matter: that they
// are long past by then makes no difference.
func (b *breaker) opened(failures []int64) int64 {
	for i := b.failures - 1; i < len(failures); i++ {
		if failures[i]-failures[i-b.failures+1] < b.within.Microseconds() {
			return failures[i]
		}
	}
	return 0
}

// Breaks says whether the rule has a circuit breaker.
func (f *Form) Breaks() bool { return f.breaker != nil }

// Opens says whether a circuit breaker that is closed in the state opens by what
// became of executions, and when it did. The wake of that time, decided on with
// the same ends, opens it.
func (f *Form) Opens(raw json.RawMessage, at time.Time, ended map[string]End) (time.Time, bool) {
	s, err := readState(raw)
	if err != nil || f.breaker == nil || s.Open != 0 {
		return time.Time{}, false
	}
	f.heard(s, at, ended)
	return instant(s.Open), s.Open != 0
}

// heard takes in what became of executions, in a state of its own.
func (f *Form) heard(s *state, at time.Time, ended map[string]End) {
	d := &decision{f: f, in: &Input{Ended: ended}, at: max(micros(at), s.At), rule: s, key: s, target: s}
	d.hear()
}

// hearProbe closes the breaker where its probe has succeeded, and opens it anew
// where that has failed.
func (d *decision) hearProbe() {
	r := d.rule
	if len(r.Probe) == 0 || !d.ended(r.Probe...) {
		return
	}
	failed, void := int64(0), false
	for _, id := range r.Probe {
		e := d.in.Ended[id]
		if e.Failed {
			failed = max(failed, min(micros(e.At), d.at))
		}
		void = void || e.Void
	}
	r.Probe = nil
	switch {
	case failed != 0:
		r.Open = failed
	case !void:
		r.Open, r.Failures = 0, nil
	}
}

// ended says whether executions are over.
func (d *decision) ended(ids ...string) bool {
	for _, id := range ids {
		if _, ok := d.in.Ended[id]; !ok {
			return false
		}
	}
	return true
}

// Watched lists the executions whose end matters to the next decision.
func Watched(have []json.RawMessage) []string {
	var out []string
	for _, raw := range have {
		s, err := readState(raw)
		if err != nil {
			continue
		}
		out = append(append(out, s.Watched...), s.Probe...)
		for _, x := range s.Running {
			out = append(out, x.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Subject is the event that a firing would be about, other than the one at hand:
// "" where it is that one. other says that the event satisfies the other of two
// conditions and not the rule's own; wake is the time of a wake, else zero. raw
// is the state of the key.
func (f *Form) Subject(other bool, wake time.Time, raw json.RawMessage) string {
	s, err := readState(raw)
	if err != nil {
		return ""
	}
	switch {
	case !wake.IsZero():
		if s.Held != nil && s.Held.Until == micros(wake) {
			return s.Held.Event
		}
	case other && s.First != nil:
		return s.First.Event
	}
	return ""
}
