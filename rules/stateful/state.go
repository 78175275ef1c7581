package stateful

import (
	"encoding/json"
	"slices"
	"time"
)

// state is what a rule remembers under one name. Times are microseconds since
// 1970, 0 for never. One struct serves all names; what a name is not for stays
// empty.
type state struct {
	// At is the newest time that was decided on.
	At int64 `json:"at"`

	// Of a key.
	Seen   []int64 `json:"seen,omitempty"`   // what counts, oldest first, at most as many as the count asks for
	First  *mark   `json:"first,omitempty"`  // the event of the rule's own conditions that awaits the other
	Other  *mark   `json:"other,omitempty"`  // the other
	Last   *mark   `json:"last,omitempty"`   // the last that came of what is expected
	Late   *mark   `json:"late,omitempty"`   // what came after Due, before anybody looked
	Due    int64   `json:"due,omitempty"`    // when the next one is overdue
	Absent int64   `json:"absent,omitempty"` // since when it stays away
	Once   int64   `json:"once,omitempty"`   // the firing, or the repetition that prolongs it
	Held   *held   `json:"held,omitempty"`   // what the calendar held back

	// Of a target.
	Cool    int64     `json:"cool,omitempty"` // the last firing
	Running []started `json:"running,omitempty"`

	// Of the rule as a whole.
	Budget   []int64  `json:"budget,omitempty"`   // firings, oldest first
	Watched  []string `json:"watched,omitempty"`  // executions whose end the breaker awaits
	Failures []int64  `json:"failures,omitempty"` // their failures, oldest first
	Open     int64    `json:"open,omitempty"`     // since when the breaker is open
	Probe    []string `json:"probe,omitempty"`    // executions that try whether it may close
	Tell     int64    `json:"tell,omitempty"`     // when the breaker opened, until that was told
}

// mark is an event that is remembered.
type mark struct {
	At    int64  `json:"at"`
	Event string `json:"event"`
}

// held is a firing that the calendar held back: the last of those in the window.
type held struct {
	Event string `json:"event,omitempty"` // "" where nothing came: an absence
	Until int64  `json:"until"`
	N     int    `json:"n"`
}

type started struct {
	ID string `json:"id"`
	At int64  `json:"at"`
}

// The most executions that are watched at once; older ones are given up.
const maxWatched = 256

// skew is how far recorded times may go back before the clock counts as having
// been set.
const skew = time.Minute

func micros(t time.Time) int64 { return t.UnixMicro() }

func instant(u int64) time.Time { return time.UnixMicro(u).UTC() }

func readState(raw json.RawMessage) (*state, error) {
	s := &state{}
	if len(raw) == 0 {
		return s, nil
	}
	return s, json.Unmarshal(raw, s)
}

// rewind forgets what lies later than at: the clock was set back, and waiting
// for it to catch up would silence the rule.
func (s *state) rewind(at int64, f *Form) {
	later := func(u int64) bool { return u > at }
	s.Seen, s.Budget, s.Failures = slices.DeleteFunc(s.Seen, later), slices.DeleteFunc(s.Budget, later), slices.DeleteFunc(s.Failures, later)
	for _, m := range []**mark{&s.First, &s.Other} {
		if *m != nil && later((*m).At) {
			*m = nil
		}
	}
	for _, u := range []*int64{&s.Once, &s.Cool} {
		if later(*u) {
			*u = 0
		}
	}
	for _, u := range []*int64{&s.Open, &s.Absent, &s.Tell} {
		*u = min(*u, at)
	}
	for _, m := range []*mark{s.Last, s.Late} {
		if m != nil {
			m.At = min(m.At, at)
		}
	}
	if f.expected != nil && s.Due != 0 {
		s.Due = min(s.Due, at+f.expected.every.Microseconds())
	}
	s.At = at
}

// wake is when the state wants to be looked at though nothing happens, 0: never.
func (s *state) wake() int64 {
	w := int64(0)
	for _, u := range []int64{s.Due, s.Tell} {
		if u != 0 && (w == 0 || u < w) {
			w = u
		}
	}
	if s.Held != nil && s.Held.Until != 0 && (w == 0 || s.Held.Until < w) {
		w = s.Held.Until
	}
	return w
}

// The times that states are kept for beyond what they are needed for.
const (
	keepAbsent  = 7 * 24 * time.Hour // a key that stays away
	keepRunning = 7 * 24 * time.Hour // executions that nothing is heard of
	keepHeld    = 24 * time.Hour     // what waits for its wake
)

// expires is when the state says nothing any more, 0 for never.
func (s *state) expires(f *Form, forever bool) int64 {
	// An event that was recorded a little earlier may still come, and counts as now.
	e := s.At + skew.Microseconds()
	until := func(u int64, d time.Duration) {
		if u != 0 {
			e = max(e, u+d.Microseconds())
		}
	}
	if s.Last != nil || s.Due != 0 || s.Absent != 0 {
		if forever {
			return 0
		}
		until(s.At, max(keepAbsent, 10*f.expected.every))
	}
	if f.count != nil && len(s.Seen) > 0 {
		until(s.Seen[len(s.Seen)-1], f.count.within)
	}
	if f.both != nil {
		for _, m := range []*mark{s.First, s.Other} {
			if m != nil {
				until(m.At, f.both.within)
			}
		}
	}
	until(s.Once, f.once)
	if s.Held != nil {
		until(max(s.Held.Until, s.At), keepHeld)
	}
	until(s.Cool, f.cooldown)
	if n := len(s.Running); n > 0 {
		until(s.Running[n-1].At, keepRunning)
	}
	if n := len(s.Budget); n > 0 {
		until(s.Budget[n-1], f.budget.within)
	}
	if len(s.Watched)+len(s.Probe) > 0 {
		until(s.At, keepRunning)
	}
	if f.breaker != nil {
		if n := len(s.Failures); n > 0 {
			until(s.Failures[n-1], f.breaker.within)
		}
		if s.Open != 0 {
			until(s.At, f.breaker.open+keepRunning)
		}
	}
	until(s.Tell, keepHeld)
	return e
}

// addSorted adds a time to a list that is in order.
func addSorted(list []int64, u int64) []int64 {
	i, _ := slices.BinarySearch(list, u+1)
	return slices.Insert(list, i, u)
}

// within returns those of the times that lie in the window that ends at at.
func within(list []int64, at int64, d time.Duration) []int64 {
	from, _ := slices.BinarySearch(list, at-d.Microseconds()+1)
	to, _ := slices.BinarySearch(list, at+1)
	return list[from:max(from, to)]
}
