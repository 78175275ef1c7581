package stateful

import (
	"encoding/json"
	"fmt"
	"time"
)

// What a wake is about.
const (
	WakeAbsent  = "absent"  // what is expected has not come
	WakeResumed = "resumed" // the calendar lets a firing pass that it held back
	WakeBreaker = "breaker" // the circuit breaker has opened
)

// News is what a wake tells: the data of its event.
type News struct {
	Rule string `json:"rule"`
	Key  string `json:"key"`
	// Every and Since are of an absence: how often something is expected, and when
	// it came last or was first expected.
	Every string `json:"every,omitempty"`
	Since string `json:"since,omitempty"`
	// Event is the event that came last, or the one whose firing was held back.
	Event string `json:"event,omitempty"`
	// Held counts the firings that were held back.
	Held int `json:"held,omitempty"`
	// Opened is when the breaker opened.
	Opened string `json:"opened,omitempty"`
}

// Waking says what the next wake of a state is about.
func (f *Form) Waking(name string, raw json.RawMessage) (kind string, n News) {
	s, err := readState(raw)
	if err != nil {
		return WakeAbsent, News{}
	}
	key, _ := KeyOf(name)
	n = News{Rule: string(f.rule), Key: key}
	w := s.wake()
	absence := func() {
		if f.expected == nil {
			return
		}
		n.Every = Span(f.expected.every)
		switch {
		case s.Absent != 0:
			n.Since = f.moment(instant(s.Absent))
		case s.Last != nil:
			n.Since = f.moment(instant(s.Last.At))
		case s.Due != 0:
			n.Since = f.moment(instant(s.Due).Add(-f.expected.every))
		}
		if s.Last != nil {
			n.Event = s.Last.Event
		}
	}
	switch {
	case s.Held != nil && s.Held.Until == w:
		absence()
		n.Held = s.Held.N
		if s.Held.Event != "" {
			n.Event = s.Held.Event
		}
		return WakeResumed, n
	case s.Due != 0 && s.Due == w:
		absence()
		return WakeAbsent, n
	}
	if s.Open == 0 {
		s.Open = s.Tell
	}
	return WakeBreaker, f.Broken(key, instant(s.Open))
}

// Broken is what the wake of a circuit breaker tells that opened then, in the state
// of a key; "" for that of the rule.
func (f *Form) Broken(key string, opened time.Time) News {
	return News{Rule: string(f.rule), Key: key, Opened: f.moment(opened)}
}

// Summary describes a state for a reader, a line for each thing remembered. ended
// tells what became of the executions that the state watches.
func (f *Form) Summary(raw json.RawMessage, at time.Time, ended map[string]End) []string {
	s, err := readState(raw)
	if err != nil {
		return []string{"damaged: " + err.Error()}
	}
	f.heard(s, at, ended)
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	now := micros(at)
	when := func(u int64) string { return f.moment(instant(u)) }
	if b := f.breaker; b != nil {
		switch {
		case s.Open != 0 && now < s.Open+b.open.Microseconds():
			add("circuit breaker open since %s, tries again at %s", when(s.Open), f.moment(instant(s.Open).Add(b.open)))
		case len(s.Probe) > 0:
			add("circuit breaker half-open since %s, its probe %s is under way", f.moment(instant(s.Open).Add(b.open)), s.Probe[0])
		case s.Open != 0:
			add("circuit breaker half-open since %s, the next firing is its probe", f.moment(instant(s.Open).Add(b.open)))
		case len(s.Failures) > 0:
			add("%d of %d failures within %s", len(within(s.Failures, now, b.within)), b.failures, Span(b.within))
		}
	}
	if f.count != nil {
		if n := len(within(s.Seen, now, f.count.within)); n > 0 {
			add("%d of %d within %s", n, f.count.n, Span(f.count.within))
		}
	}
	if f.both != nil {
		if s.First != nil && now < s.First.At+f.both.within.Microseconds() {
			add("the rule's own condition at %s, the other awaited", when(s.First.At))
		}
		if s.Other != nil && now < s.Other.At+f.both.within.Microseconds() {
			add("the other condition at %s, the rule's own awaited", when(s.Other.At))
		}
	}
	switch {
	case s.Absent != 0:
		add("absent since %s", when(s.Absent))
	case s.Due != 0:
		add("expected by %s", when(s.Due))
	}
	if s.Once != 0 && now < s.Once+f.once.Microseconds() {
		add("fired at %s, not again before %s", when(s.Once), f.moment(instant(s.Once).Add(f.once)))
	}
	if s.Held != nil {
		add("held back until %s", when(s.Held.Until))
	}
	if s.Cool != 0 && now < s.Cool+f.cooldown.Microseconds() {
		add("cooldown until %s", f.moment(instant(s.Cool).Add(f.cooldown)))
	}
	if n := len(s.Running); n > 0 && f.most > 0 {
		add("%d of %d executions at once, the oldest is %s", n, f.most, s.Running[0].ID)
	}
	if f.budget != nil {
		if n := len(within(s.Budget, now, f.budget.within)); n > 0 {
			add("%d of %d within %s of the budget", n, f.budget.n, Span(f.budget.within))
		}
	}
	if len(out) == 0 {
		add("nothing of consequence")
	}
	return out
}
