package stateful

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
)

// Input is what a decision depends on beside the form and what it remembers.
type Input struct {
	At    time.Time // when the event was accepted
	Event string    // the event's identifier
	// Own, Other and Cleared say which of the rule's conditions the event satisfies.
	Own, Other, Cleared bool
	// Wake is the time of the wake that the event stands for; zero where it is none.
	Wake time.Time
	Key  string
	// Subject is the event that a firing would be about, where it is not this one:
	// what Subject returned for the state as it was a moment ago.
	Subject string
	// Started are the executions that a firing would start.
	Started []string
	// Ended tells what became of executions that were started before; one that is
	// not in it has not ended.
	Ended map[string]End
	// Full says that the rule remembers as many keys as it may, and not this one.
	Full bool
}

// End is what became of an execution.
type End struct {
	At     time.Time
	Failed bool // it failed, timed out or was abandoned
	// Void says that it proves nothing: it was canceled, or is not there any more.
	Void bool
}

// Verdict is what the past says about a firing.
type Verdict struct {
	// Status is noted, suppressed or failed; "" lets the firing stand.
	Status hayate.FiringStatus `json:"status,omitempty"`
	Reason string              `json:"reason,omitempty"`
	// Nothing says that there is no firing at all, not even one to be recorded.
	Nothing bool `json:"nothing,omitempty"`
}

// Fires says whether the firing stands.
func (v Verdict) Fires() bool { return v.Status == "" && !v.Nothing }

// State is what is to be remembered under a name.
type State struct {
	Body    json.RawMessage // nil: nothing any more
	Wake    time.Time       // when the rule wants to be woken; zero: never
	Expires time.Time       // from when it says nothing any more; zero: never
}

// Outcome is a decision: the verdict, and the new state under each of the names
// that it was given, in their order; none where all stay as they are.
type Outcome struct {
	Verdict Verdict
	States  []State
	// Again says that the firing would be about another event than Input.Subject:
	// look again, and decide anew. There is nothing to be stored then.
	Again bool
}

// decision is a decision being made.
type decision struct {
	f                 *Form
	in                *Input
	at                int64
	rule, key, target *state
	reasons           []string
}

// Decide is a pure function: the same form, input and states give the same
// outcome. have holds the states under the names that Keys returned, nil where
// there is none.
func (f *Form) Decide(in Input, have []json.RawMessage) Outcome {
	d := &decision{f: f, in: &in, at: micros(in.At)}
	states := make([]*state, len(have))
	for i, raw := range have {
		s, err := readState(raw)
		if err != nil {
			return unchanged(Verdict{Status: hayate.FiringFailed,
				Reason: fmt.Sprintf("what the rule remembers is damaged (%v); forget it with: hayate rule state --reset %s", err, f.rule)})
		}
		states[i] = s
	}
	d.key = states[0]
	d.rule, d.target = d.key, d.key
	if len(states) > 1 {
		d.key, d.target = states[1], states[1]
	}
	if len(states) > 2 {
		d.target = states[2]
	}
	if in.Cleared && !in.Own && !in.Other && len(have[min(1, len(have)-1)]) == 0 {
		return unchanged(d.noted("there is nothing to clear%s", d.forKey()))
	}
	if in.Full {
		return unchanged(Verdict{Status: hayate.FiringFailed,
			Reason: fmt.Sprintf("the rule remembers %d keys already, the most it may (when.max_keys); %q is not among them", f.maxKeys, in.Key)})
	}
	d.settleClock(states)
	v, again := d.decide()
	if again {
		return Outcome{Again: true}
	}
	if v.Nothing {
		return unchanged(v)
	}
	out := Outcome{Verdict: v, States: make([]State, len(states))}
	for i, s := range states {
		out.States[i] = d.encode(s)
	}
	return out
}

// unchanged leaves everything as it is.
func unchanged(v Verdict) Outcome { return Outcome{Verdict: v} }

// settleClock makes time go forward: an event that was recorded a little before
// one that was decided on already counts as at that time; where the clock was set
// back, what lies in the future is forgotten.
func (d *decision) settleClock(states []*state) {
	newest := d.at
	for _, s := range states {
		if s.At-d.at <= skew.Microseconds() {
			newest = max(newest, s.At)
		}
	}
	for _, s := range states {
		if s.At > newest {
			s.rewind(newest, d.f)
		}
		s.At = newest
	}
	d.at = newest
}

func (d *decision) encode(s *state) State {
	forever := d.f.expected != nil && (d.f.per == nil || slices.Contains(d.f.expected.keys, d.in.Key))
	e := s.expires(d.f, forever)
	w := s.wake()
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and texts only
	}
	out := State{Body: b}
	if w != 0 {
		out.Wake = instant(w)
		if e != 0 {
			e = max(e, w+keepHeld.Microseconds())
		}
	}
	if e != 0 {
		out.Expires = instant(e)
	}
	return out
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (d *decision) decide() (v Verdict, again bool) {
	if !d.in.Wake.IsZero() {
		return d.woken()
	}
	if d.in.Cleared {
		d.key.Seen, d.key.First, d.key.Other, d.key.Held, d.key.Once = nil, nil, nil, nil, 0
		if !d.in.Own && !d.in.Other {
			return d.noted("cleared%s", d.forKey()), false
		}
	}
	f := d.f
	subject := ""
	switch {
	case f.expected != nil:
		return d.came(), false
	case f.count != nil:
		if !d.counted() {
			return d.noted("%d of %d within %s%s", len(d.key.Seen), f.count.n, Span(f.count.within), d.forKey()), false
		}
	case f.both != nil:
		var met bool
		if met, v = d.together(); !met {
			return v, false
		}
		if !d.in.Own {
			subject = d.key.First.Event
		}
	}
	if subject != d.in.Subject {
		return v, true
	}
	return d.pass(subject), false
}

// woken decides on a wake: of the absence, of what the calendar held back, of
// news about the breaker. A wake that is not the one awaited is nothing.
func (d *decision) woken() (v Verdict, again bool) {
	w := micros(d.in.Wake)
	k := d.key
	switch {
	case k.Held != nil && k.Held.Until == w:
		h := *k.Held
		if h.Event != d.in.Subject {
			return v, true
		}
		k.Held = nil
		if k.Absent != 0 {
			d.reason("nothing came%s since %s", d.forKey(), d.f.moment(instant(k.Absent)))
		}
		if c := d.f.count; c != nil {
			if n := len(within(k.Seen, d.at, c.within)); n < c.n {
				return d.noted("held back until now%s; %d of %d within %s are left", d.forKey(), n, c.n, Span(c.within)), false
			}
		}
		d.reason("held back until now%s", times(h.N))
		return d.pass(h.Event), false
	case d.f.expected != nil && k.Due == w:
		d.overdue()
		return d.pass(""), false
	}
	return d.broke(w), false
}

// broke tells that the circuit breaker has opened: at w, by executions that are
// heard of only now, or earlier, where w is when a decision heard of them.
func (d *decision) broke(w int64) Verdict {
	r := d.rule
	was := r.Open
	d.hear()
	if r.Tell == 0 || r.Tell != w && (was != 0 || r.Open != w) {
		return Verdict{Nothing: true}
	}
	r.Tell = 0
	if r.Open == 0 {
		return d.noted("the circuit breaker opened, and has closed since")
	}
	b, open := d.f.breaker, instant(r.Open)
	return d.noted("the circuit breaker opened at %s after %d failures within %s; tries again at %s", d.f.moment(open), b.failures, Span(b.within), d.f.moment(open.Add(b.open)))
}

func times(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(", the last of %d", n)
}

// overdue notes that what is expected has not come in time. What came later,
// before anybody looked, counts from when it came.
func (d *decision) overdue() {
	k, every := d.key, d.f.expected.every
	k.Absent, k.Due = k.Due-every.Microseconds(), 0
	if k.Last != nil {
		k.Absent = k.Last.At
		d.reason("nothing came%s since %s; expected every %s", d.forKey(), d.f.moment(instant(k.Absent)), Span(every))
	} else {
		d.reason("nothing has come%s; expected every %s", d.forKey(), Span(every))
	}
	if k.Late != nil {
		d.reason("it came at %s", d.f.moment(instant(k.Late.At)))
		k.Last, k.Late, k.Absent = k.Late, nil, 0
		k.Due = k.Last.At + every.Microseconds()
	}
}

// came notes the arrival of what is expected. An arrival that is late does not
// undo the absence: that is decided by the recorded times, however soon the rule
// is woken.
func (d *decision) came() Verdict {
	k := d.key
	every := d.f.expected.every
	var now *mark
	if d.in.Event != "" {
		now = &mark{d.at, d.in.Event}
	}
	if k.Due != 0 && d.at >= k.Due {
		k.Late = now
		return d.noted("came too late%s: it was expected by %s", d.forKey(), d.f.moment(instant(k.Due)))
	}
	back := ""
	if k.Absent != 0 {
		back = ", back after " + Span(time.Duration(d.at-k.Absent)*time.Microsecond)
	}
	k.Last, k.Due, k.Absent, k.Held = now, d.at+every.Microseconds(), 0, nil
	return d.noted("came%s%s; expected again by %s", d.forKey(), back, d.f.moment(instant(k.Due)))
}

// Expect begins to expect a key for which nothing has come yet.
func (f *Form) Expect(key string, at time.Time, have []json.RawMessage) Outcome {
	for _, raw := range have {
		if len(raw) > 0 {
			if s, err := readState(raw); err == nil && (s.Due != 0 || s.Absent != 0 || s.Last != nil) {
				return Outcome{Verdict: Verdict{Nothing: true}}
			}
		}
	}
	return f.Decide(Input{At: at, Own: true, Key: key}, have)
}

// counted adds the event to those that count, and says whether there are enough.
func (d *decision) counted() bool {
	c, k := d.f.count, d.key
	k.Seen = append([]int64(nil), within(addSorted(k.Seen, d.at), d.at, c.within)...)
	if n := len(k.Seen); n > c.n {
		k.Seen = k.Seen[n-c.n:]
	}
	if len(k.Seen) < c.n {
		return false
	}
	d.reason("%d of %d within %s%s", len(k.Seen), c.n, Span(c.within), d.forKey())
	return true
}

// together notes one of two events, and says whether both are there.
func (d *decision) together() (bool, Verdict) {
	b, k := d.f.both, d.key
	for _, m := range []**mark{&k.First, &k.Other} {
		if *m != nil && (*m).At <= d.at-b.within.Microseconds() {
			*m = nil
		}
	}
	if d.in.Own {
		k.First = &mark{d.at, d.in.Event}
	}
	if d.in.Other {
		k.Other = &mark{d.at, d.in.Event}
	}
	end := func(m *mark) string { return d.f.moment(instant(m.At).Add(b.within)) }
	switch {
	case k.First == nil:
		return false, d.noted("1 of 2 within %s%s: the other condition; the rule's own is awaited until %s", Span(b.within), d.forKey(), end(k.Other))
	case k.Other == nil:
		return false, d.noted("1 of 2 within %s%s: the rule's own condition; the other is awaited until %s", Span(b.within), d.forKey(), end(k.First))
	}
	d.reason("2 of 2 within %s%s", Span(b.within), d.forKey())
	return true, Verdict{}
}

// pass holds a firing whose condition is complete against the guards, and notes
// it where they let it pass. subject is the event it is about, where that is not
// the one at hand.
func (d *decision) pass(subject string) Verdict {
	f, k := d.f, d.key
	if f.once > 0 {
		if k.Once != 0 && d.at < k.Once+f.once.Microseconds() {
			since := instant(k.Once)
			if f.prolonged {
				k.Once = d.at
			}
			return d.suppressed("once within %s%s: seen at %s", Span(f.once), d.forKey(), f.moment(since))
		}
	}
	if v, blocked := d.blocked(subject); blocked {
		return v
	}
	if v, ok := d.guarded(); !ok {
		return v
	}
	k.Once = d.at * b2i(f.once > 0)
	if f.count != nil && !f.count.again {
		k.Seen = nil
	}
	k.First, k.Other, k.Held = nil, nil, nil
	return Verdict{Reason: d.text("")}
}

// blocked holds the firing back where the calendar says so.
func (d *decision) blocked(subject string) (Verdict, bool) {
	c := d.f.calendar
	blocked, until, why := c.Blocked(instant(d.at))
	if !blocked {
		return Verdict{}, false
	}
	end := ""
	if !until.IsZero() {
		end = " until " + d.f.moment(until)
	}
	if c.after && !until.IsZero() {
		h := &held{Event: subject, Until: micros(until), N: 1}
		if subject == "" && d.in.Wake.IsZero() {
			h.Event = d.in.Event
		}
		if d.key.Held != nil {
			h.N = d.key.Held.N + 1
		}
		d.key.Held = h
		end += ", fires then if the condition stands"
	}
	return d.suppressed("%s%s", why, end), true
}

func (d *decision) reason(format string, args ...any) {
	d.reasons = append(d.reasons, fmt.Sprintf(format, args...))
}

// text is a reason with those before it.
func (d *decision) text(last string) string {
	out := ""
	for _, r := range append(d.reasons, last) {
		if out != "" && r != "" {
			out += "; "
		}
		out += r
	}
	return out
}

func (d *decision) noted(format string, args ...any) Verdict {
	return Verdict{Status: hayate.FiringNoted, Reason: d.text(fmt.Sprintf(format, args...))}
}

func (d *decision) suppressed(format string, args ...any) Verdict {
	return Verdict{Status: hayate.FiringSuppressed, Reason: d.text(fmt.Sprintf(format, args...))}
}

// forKey names the key in a message.
func (d *decision) forKey() string {
	if d.f.per == nil {
		return ""
	}
	return " for " + d.in.Key
}
