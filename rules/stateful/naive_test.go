package stateful_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// past is an event with what came of it, as the naive evaluator keeps it: all of
// them, for ever.
type past struct {
	at                  time.Time
	key                 string
	own, other, cleared bool
	fired               bool
}

// plan is what a generated form says.
type plan struct {
	keyed                    bool
	count                    int
	again                    bool
	within                   time.Duration // of count or both
	both                     bool
	once, cooldown, budgetIn time.Duration
	budget                   int
}

func (p *plan) yaml() string {
	var when, guard []string
	if p.keyed {
		when = append(when, `per: "{{ trigger.host }}"`)
	}
	switch {
	case p.both:
		when = append(when, fmt.Sprintf("both: {within: %s, trigger: {type: test.other}}", p.within))
	case p.count > 0:
		when = append(when, fmt.Sprintf("count: {at_least: %d, within: %s, again: %t}", p.count, p.within, p.again))
	}
	if p.once > 0 {
		when = append(when, fmt.Sprintf("once: %s", p.once))
	}
	when = append(when, "cleared: {trigger: {type: test.cleared}}")
	if p.cooldown > 0 {
		guard = append(guard, fmt.Sprintf("cooldown: %s", p.cooldown))
	}
	if p.budget > 0 {
		guard = append(guard, fmt.Sprintf("budget: {most: %d, within: %s}", p.budget, p.budgetIn))
	}
	return "when: {" + strings.Join(when, ", ") + "}\nguard: {" + strings.Join(guard, ", ") + "}\n"
}

// naive decides on the last event of a history by looking at all of it.
func (p *plan) naive(all []past) hayate.FiringStatus {
	now := &all[len(all)-1]
	if !now.own && !now.other {
		return hayate.FiringNoted
	}
	since := 0 // events of the key before this are settled: it fired, or was cleared
	var lastOwn, lastOther, lastFired *past
	cooled := (*past)(nil)
	spent := 0
	for i := range all {
		e := &all[i]
		if e.fired && e.at.After(now.at.Add(-p.budgetIn)) {
			spent++
		}
		if e.key != now.key {
			continue
		}
		if e.cleared {
			since, lastOwn, lastOther, lastFired = i, nil, nil, nil
		}
		if e.own {
			lastOwn = e
		}
		if e.other {
			lastOther = e
		}
		if e.fired {
			lastFired, cooled = e, e
			if !p.again {
				since = i + 1
			}
			lastOwn, lastOther = nil, nil
		}
	}
	switch {
	case p.both:
		if lastOwn == nil || lastOther == nil || !lastOwn.at.Add(p.within).After(now.at) || !lastOther.at.Add(p.within).After(now.at) {
			return hayate.FiringNoted
		}
	case p.count > 0:
		n := 0
		for i := since; i < len(all); i++ {
			if e := &all[i]; e.key == now.key && e.own && e.at.After(now.at.Add(-p.within)) {
				n++
			}
		}
		if n < p.count {
			return hayate.FiringNoted
		}
	}
	switch {
	case p.once > 0 && lastFired != nil && now.at.Before(lastFired.at.Add(p.once)),
		p.cooldown > 0 && cooled != nil && now.at.Before(cooled.at.Add(p.cooldown)),
		p.budget > 0 && spent >= p.budget:
		return hayate.FiringSuppressed
	}
	return ""
}

func (p *plan) random(rnd *rand.Rand) {
	span := func() time.Duration { return time.Duration(1+rnd.IntN(120)) * time.Second }
	maybe := func() bool { return rnd.IntN(2) == 0 }
	p.keyed, p.within = maybe(), span()
	switch rnd.IntN(3) {
	case 0:
		p.count, p.again = 2+rnd.IntN(5), maybe()
	case 1:
		p.both = true
	}
	if maybe() {
		p.once = span()
	}
	if maybe() {
		p.cooldown = span()
	}
	if maybe() {
		p.budget, p.budgetIn = 1+rnd.IntN(4), span()
	}
}

// TestDecisionsAreThoseOfTheWholeList: what a rule remembers leads to the same
// decisions as the whole list of events would, also where events arrive a little
// out of order, and whenever what it remembers is written and read.
func TestDecisionsAreThoseOfTheWholeList(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	seen := map[hayate.FiringStatus]int{}
	for n := range 200 {
		var p plan
		p.random(rnd)
		m := remember(form(t, p.yaml()))
		var all []past
		at := t0
		for i := range 150 {
			at = at.Add(time.Duration(rnd.IntN(20_000)) * time.Millisecond)
			e := past{at: at, key: "", own: true}
			if rnd.IntN(10) == 0 {
				e.at = at.Add(-time.Duration(rnd.IntN(5000)) * time.Millisecond)
			}
			if p.keyed {
				e.key = string(rune('a' + rnd.IntN(3)))
			}
			switch k := rnd.IntN(12); {
			case k == 0:
				e.own, e.cleared = false, true
			case k < 5 && p.both:
				e.own, e.other = rnd.IntN(4) == 0, true
			}
			in := stateful.Input{At: e.at, Event: fmt.Sprint("e", i), Own: e.own, Other: e.other, Cleared: e.cleared, Key: e.key}
			if e.other && !e.own {
				in.Subject = m.f.Subject(true, time.Time{}, m.states["k:"+e.key].Body)
			}
			// An event a little late counts as at the time of the one before it. What
			// has been forgotten has no time any more, and no effect.
			for _, name := range m.f.Keys(e.key, e.key) {
				if seen := m.clock(t, name); seen.After(e.at) {
					e.at = seen
				}
			}
			all = append(all, e)
			want := p.naive(all)
			got := m.decide(t, in, e.key)
			if got.Status != want {
				t.Fatalf("seed %d, form %d:\n%sevent %d at %s for %q: got %q (%s), want %q", seed, n, p.yaml(), i, e.at.Sub(t0), e.key, got.Status, got.Reason, want)
			}
			all[len(all)-1].fired = want == ""
			seen[want]++
		}
	}
	if seen[""] < 500 || seen[hayate.FiringNoted] < 500 || seen[hayate.FiringSuppressed] < 500 {
		t.Errorf("the verdicts were %v: one is hardly tried", seen)
	}
}

// clock is the newest time that a state was decided on; zero where there is none.
func (m *memory) clock(t *testing.T, name string) time.Time {
	t.Helper()
	s, ok := m.states[name]
	if !ok {
		return time.Time{}
	}
	var c struct{ At int64 }
	if err := json.Unmarshal(s.Body, &c); err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(c.At).UTC()
}

// TestAbsencesAreTheGaps: of any arrivals, each gap that is too long fires once,
// however late somebody looks.
func TestAbsencesAreTheGaps(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	for range 200 {
		every := time.Duration(1+rnd.IntN(60)) * time.Second
		m := remember(form(t, fmt.Sprintf("when: {expected: {every: %s}}", every)))
		at, last, want, fired := t0, time.Time{}, 0, 0
		wake := func(by time.Time) {
			for {
				_, due, ok := m.next(by)
				if !ok {
					return
				}
				if m.decide(t, stateful.Input{At: by, Event: "w", Wake: due}, "").Fires() {
					fired++
				}
			}
		}
		for i := range 60 {
			at = at.Add(time.Duration(rnd.IntN(90_000)) * time.Millisecond)
			if !last.IsZero() && !at.Before(last.Add(every)) {
				want++
			}
			if rnd.IntN(2) == 0 { // else nobody looks before the next comes
				wake(at)
			}
			m.decide(t, stateful.Input{At: at, Event: fmt.Sprint("e", i), Own: true}, "")
			wake(at)
			last = at
		}
		wake(at.Add(time.Hour))
		if want++; fired != want {
			t.Fatalf("every %s: %d absences, want %d", every, fired, want)
		}
	}
}
