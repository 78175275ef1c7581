package stateful_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/rules/stateful"
)

// t0 is when the stories of these tests begin: a Monday.
var t0 = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// rule reads a rule's past from YAML.
func rule(t testing.TB, text string) *hayate.Rule {
	t.Helper()
	doc, ds := yamldoc.Parse([]byte(text), yamldoc.Options{File: "rule.yaml"})
	if yamldoc.HasErrors(ds) {
		t.Fatalf("%v", ds)
	}
	r := &hayate.Rule{Pack: "test", Name: "rule", Enabled: true, Trigger: hayate.Trigger{Type: "test.happened"}}
	for name, to := range map[string]*json.RawMessage{"when": &r.When, "guard": &r.Guard, "calendar": &r.Calendar} {
		if n := doc.Get(name); !n.IsNull() {
			*to = n.JSON()
		}
	}
	return r
}

func form(t testing.TB, text string) *stateful.Form {
	t.Helper()
	f, issues := stateful.Parse(rule(t, text))
	if f == nil {
		t.Fatalf("the form is refused: %v", issues)
	}
	return f
}

// memory is what a rule remembers, as a store would keep it.
type memory struct {
	f      *stateful.Form
	states map[string]stateful.State
}

func remember(f *stateful.Form) *memory { return &memory{f, map[string]stateful.State{}} }

// decide decides and keeps the new states. target is "" where it is the key.
func (m *memory) decide(t testing.TB, in stateful.Input, target string) stateful.Verdict {
	t.Helper()
	names := m.f.Keys(in.Key, target)
	have := make([]json.RawMessage, len(names))
	for i, n := range names {
		have[i] = m.states[n].Body
	}
	out := m.f.Decide(in, have)
	if again := m.f.Decide(in, have); fmt.Sprint(again) != fmt.Sprint(out) {
		t.Errorf("the same decision is %v, then %v", out, again)
	}
	if out.Again {
		t.Fatalf("the decision asks for another subject than %q", in.Subject)
	}
	for i, st := range out.States {
		if st.Body == nil {
			delete(m.states, names[i])
		} else {
			m.states[names[i]] = st
		}
	}
	return out.Verdict
}

// next is the state that is due first, by a time.
func (m *memory) next(by time.Time) (name string, at time.Time, ok bool) {
	for n, s := range m.states {
		if !s.Wake.IsZero() && !s.Wake.After(by) && (!ok || s.Wake.Before(at) || s.Wake.Equal(at) && n < name) {
			name, at, ok = n, s.Wake, true
		}
	}
	return name, at, ok
}

// step is a moment of a story. What happens is "own", "other", "cleared", or ""
// for nothing: time goes by, and what is due wakes.
type step struct {
	after time.Duration // t0
	what  string
	key   string
	ended map[string]stateful.End
	want  string // "fires", or the status, then what the reason holds
}

// tell runs a story.
func tell(t *testing.T, text string, steps []step) {
	t.Helper()
	m := remember(form(t, text))
	for i, s := range steps {
		at := t0.Add(s.after)
		var woken []string
		for {
			name, due, ok := m.next(at)
			if !ok {
				break
			}
			key, _ := stateful.KeyOf(name)
			in := stateful.Input{At: due, Event: fmt.Sprint("wake-", i), Wake: due, Key: key, Started: []string{fmt.Sprint("x", i)},
				Subject: m.f.Subject(false, due, m.states[name].Body)}
			woken = append(woken, show(m.decide(t, in, key)))
		}
		if s.what == "" {
			check(t, i, s, strings.Join(woken, " | "))
			continue
		}
		if len(woken) > 0 {
			t.Errorf("step %d: before it %q came, which the story does not tell", i, woken)
		}
		in := stateful.Input{At: at, Event: fmt.Sprint("e", i), Own: strings.Contains(s.what, "own"), Other: strings.Contains(s.what, "other"),
			Cleared: strings.Contains(s.what, "cleared"), Key: s.key, Started: []string{fmt.Sprint("x", i)}, Ended: s.ended}
		if in.Other && !in.Own {
			in.Subject = m.f.Subject(true, time.Time{}, m.states["k:"+s.key].Body)
		}
		check(t, i, s, show(m.decide(t, in, s.key)))
	}
}

func show(v stateful.Verdict) string {
	switch {
	case v.Nothing:
		return "nothing"
	case v.Fires():
		return "fires: " + v.Reason
	}
	return string(v.Status) + ": " + v.Reason
}

func check(t *testing.T, i int, s step, got string) {
	t.Helper()
	if s.want == "" && got == "" {
		return
	}
	first, rest, _ := strings.Cut(s.want, " ")
	if s.want == "" || !strings.HasPrefix(got, first) || !strings.Contains(got, rest) {
		t.Errorf("step %d (%s %q after %s): got %q, want %q", i, s.what, s.key, s.after, got, s.want)
	}
}

const (
	second = time.Second
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * hour
)

func TestStories(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct {
		form  string
		steps []step
	}{
		"a count fires when it is reached, for its key alone, and begins anew": {`
when: {per: "{{ trigger.host }}", count: {at_least: 3, within: 10m}}`, []step{
			{0, "own", "a", nil, "noted 1 of 3 within 10m for a"},
			{minute, "own", "b", nil, "noted 1 of 3"},
			{2 * minute, "own", "a", nil, "noted 2 of 3"},
			{3 * minute, "own", "a", nil, "fires 3 of 3 within 10m for a"},
			{4 * minute, "own", "a", nil, "noted 1 of 3"},
			{5 * minute, "own", "b", nil, "noted 2 of 3"},
		}},
		"what is as old as the window does not count": {`
when: {count: {at_least: 2, within: 10m}}`, []step{
			{0, "own", "", nil, "noted 1 of 2 within 10m"},
			{10 * minute, "own", "", nil, "noted 1 of 2"},
			{20*minute - second, "own", "", nil, "fires 2 of 2"},
		}},
		"a count that goes on fires while it holds": {`
when: {count: {at_least: 2, within: 10m, again: true}}`, []step{
			{0, "own", "", nil, "noted"}, {minute, "own", "", nil, "fires"}, {2 * minute, "own", "", nil, "fires 2 of 2"}, {20 * minute, "own", "", nil, "noted 1 of 2"},
		}},
		"what clears empties the count": {`
when: {count: {at_least: 2, within: 10m}, cleared: {criteria: {trigger.ok: {type: equals, pattern: true}}}}`, []step{
			{0, "own", "", nil, "noted"}, {minute, "cleared", "", nil, "noted cleared"}, {2 * minute, "own", "", nil, "noted 1 of 2"}, {3 * minute, "own", "", nil, "fires"},
		}},
		"absence fires once, and again only after it came": {`
when: {per: "{{ trigger.host }}", expected: {every: 5m}}`, []step{
			{0, "own", "a", nil, "noted came for a; expected again by 2026-01-05T09:05:00Z"},
			{4 * minute, "own", "a", nil, "noted came"},
			{8 * minute, "", "", nil, ""},
			{9 * minute, "", "", nil, "fires nothing came for a since 2026-01-05T09:04:00Z; expected every 5m"},
			{3 * hour, "", "", nil, ""},
			{4 * hour, "own", "a", nil, "noted came for a, back after 3h56m"},
			{4*hour + 5*minute, "", "", nil, "fires nothing came"},
		}},
		"pairs fire in either order, each once": {`
when: {per: "{{ trigger.host }}", both: {within: 1m, criteria: {trigger.k: {type: equals, pattern: b}}}}`, []step{
			{0, "own", "a", nil, "noted 1 of 2 within 1m for a: the rule's own"},
			{30 * second, "other", "b", nil, "noted 1 of 2 within 1m for b: the other"},
			{59 * second, "other", "a", nil, "fires 2 of 2 within 1m for a"},
			{60 * second, "own", "a", nil, "noted"},
			{80 * second, "own", "b", nil, "fires"},
			{3 * minute, "own", "a", nil, "noted"},
			{4 * minute, "other", "a", nil, "noted 1 of 2"},
			{5 * minute, "own other", "c", nil, "fires"},
		}},
		"once lets one through": {`
when: {per: "{{ trigger.host }}", once: 1h}`, []step{
			{0, "own", "a", nil, "fires"}, {30 * minute, "own", "a", nil, "suppressed once within 1h for a: seen at 2026-01-05T09:00:00Z"},
			{31 * minute, "own", "b", nil, "fires"}, {hour, "own", "a", nil, "fires"},
		}},
		"repetition prolongs once": {`
when: {once: {within: 1h, prolonged: true}}`, []step{
			{0, "own", "", nil, "fires"}, {50 * minute, "own", "", nil, "suppressed"}, {100 * minute, "own", "", nil, "suppressed seen at 2026-01-05T09:50:00Z"},
			{160 * minute, "own", "", nil, "fires"},
		}},
		"what clears lets once begin anew": {`
when: {once: 1h, cleared: {criteria: {trigger.ok: {type: equals, pattern: true}}}}`, []step{
			{0, "own", "", nil, "fires"}, {minute, "own", "", nil, "suppressed"}, {2 * minute, "cleared", "", nil, "noted"}, {3 * minute, "own", "", nil, "fires"},
		}},
		"cooldown begins with a firing, not with what it suppresses": {`
guard: {cooldown: 10m}`, []step{
			{0, "own", "", nil, "fires"}, {5 * minute, "own", "", nil, "suppressed cooldown until 2026-01-05T09:10:00Z"}, {10 * minute, "own", "", nil, "fires"},
		}},
		"a count that a guard suppresses goes on": {`
when: {count: {at_least: 2, within: 1h}}
guard: {cooldown: 10m}`, []step{
			{0, "own", "", nil, "noted"}, {minute, "own", "", nil, "fires"}, {2 * minute, "own", "", nil, "noted 1 of 2"},
			{3 * minute, "own", "", nil, "suppressed 2 of 2 within 1h; cooldown until 2026-01-05T09:11:00Z"}, {11 * minute, "own", "", nil, "fires 2 of 2"},
		}},
		"a budget is for all keys": {`
when: {per: "{{ trigger.host }}"}
guard: {budget: {most: 2}}`, []step{
			{0, "own", "a", nil, "fires"}, {minute, "own", "b", nil, "fires"},
			{2 * minute, "own", "c", nil, "suppressed the budget of 2 within 1h is used up until 2026-01-05T10:00:00Z"},
			{hour, "own", "c", nil, "fires"}, {hour, "own", "d", nil, "suppressed until 2026-01-05T10:01:00Z"},
		}},
		"no more at once for a key than allowed": {`
when: {per: "{{ trigger.host }}"}
guard: {concurrent: 1}`, []step{
			{0, "own", "a", nil, "fires"}, {minute, "own", "a", nil, "suppressed 1 of at most 1 executions at once are under way, the oldest is x0"},
			{minute, "own", "b", nil, "fires"},
			{2 * minute, "own", "a", map[string]stateful.End{"x0": {At: t0.Add(90 * second)}}, "fires"},
		}},
		"a breaker opens, tries once, and closes": {`
guard: {breaker: {failures: 2, within: 10m, open: 5m}}`, []step{
			{0, "own", "", nil, "fires"},
			{minute, "own", "", map[string]stateful.End{"x0": {At: t0.Add(10 * second), Failed: true}}, "fires"},
			{2 * minute, "own", "", map[string]stateful.End{"x1": {At: t0.Add(70 * second), Failed: true}},
				"suppressed circuit breaker open since 2026-01-05T09:01:10Z after 2 failures within 10m; tries again at 2026-01-05T09:06:10Z"},
			{2*minute + second, "", "", nil, "noted the circuit breaker opened"},
			{6 * minute, "own", "", nil, "suppressed open since"},
			{7 * minute, "own", "", nil, "fires the probe of a circuit breaker"},
			{8 * minute, "own", "", nil, "suppressed half-open since 2026-01-05T09:06:10Z: its probe x5 is under way"},
			{9 * minute, "own", "", map[string]stateful.End{"x5": {At: t0.Add(8*minute + second)}}, "fires"},
			{9 * minute, "own", "", nil, "fires"},
		}},
		"a breaker opens by failures that are heard of late": {`
guard: {breaker: {failures: 2, within: 1m, open: 10m}}`, []step{
			{0, "own", "", nil, "fires"}, {30 * second, "own", "", nil, "fires"},
			{5 * minute, "own", "", map[string]stateful.End{"x0": {At: t0.Add(second), Failed: true}, "x1": {At: t0.Add(31 * second), Failed: true}},
				"suppressed circuit breaker open since 2026-01-05T09:00:31Z after 2 failures within 1m; tries again at 2026-01-05T09:10:31Z"},
			{5*minute + second, "", "", nil, "noted the circuit breaker opened at 2026-01-05T09:00:31Z"},
			{11 * minute, "own", "", nil, "fires probe"},
		}},
		"failures that are too far apart open nothing, however late they are heard of": {`
guard: {breaker: {failures: 2, within: 1m, open: 10m}}`, []step{
			{0, "own", "", nil, "fires"}, {2 * minute, "own", "", nil, "fires"},
			{5 * minute, "own", "", map[string]stateful.End{"x0": {At: t0.Add(second), Failed: true}, "x1": {At: t0.Add(121 * second), Failed: true}}, "fires"},
		}},
		"a probe that fails opens the breaker anew": {`
guard: {breaker: {failures: 1, within: 10m, open: 5m}}`, []step{
			{0, "own", "", nil, "fires"},
			{minute, "own", "", map[string]stateful.End{"x0": {At: t0.Add(second), Failed: true}}, "suppressed open"},
			{minute + second, "", "", nil, "noted"},
			{6 * minute, "own", "", nil, "fires probe"},
			{7 * minute, "own", "", map[string]stateful.End{"x3": {At: t0.Add(6*minute + second), Failed: true}}, "suppressed open since 2026-01-05T09:06:01Z"},
			{12 * minute, "own", "", nil, "fires probe"},
			{13 * minute, "own", "", map[string]stateful.End{"x5": {At: t0.Add(12 * minute), Void: true}}, "fires probe"},
		}},
		"maintenance drops what comes in it": {`
calendar: {silent: [{days: mon, from: "10:00", to: "11:00"}]}`, []step{
			{0, "own", "", nil, "fires"}, {hour, "own", "", nil, "suppressed silent: mon 10:00–11:00 until 2026-01-05T11:00:00Z"}, {2 * hour, "own", "", nil, "fires"},
		}},
		"what maintenance held back fires at its end, once for all": {`
when: {cleared: {criteria: {trigger.ok: {type: equals, pattern: true}}}}
calendar: {silent: [{name: patching, from: "10:00", to: "11:00"}], after: fire}`, []step{
			{hour, "own", "", nil, "suppressed silent: patching until 2026-01-05T11:00:00Z, fires then"},
			{hour + minute, "own", "", nil, "suppressed"},
			{2 * hour, "", "", nil, "fires held back until now, the last of 2"},
			{25 * hour, "own", "", nil, "suppressed"},
			{25*hour + minute, "cleared", "", nil, "noted cleared"},
			{26 * hour, "", "", nil, ""},
		}},
		"a count that maintenance held back fires only if it still holds": {`
when: {count: {at_least: 2, within: 10m}}
calendar: {silent: [{from: "10:00", to: "11:00"}], after: fire}`, []step{
			{hour, "own", "", nil, "noted"}, {hour + minute, "own", "", nil, "suppressed"},
			{2 * hour, "", "", nil, "noted 0 of 2 within 10m are left"},
			{26*hour - 2*minute, "own", "", nil, "noted"}, {26*hour - minute, "own", "", nil, "suppressed"},
			{26 * hour, "", "", nil, "fires held back"},
		}},
		"an absence in maintenance fires at its end, unless it came": {`
when: {expected: {every: 30m}}
calendar: {silent: [{from: "10:00", to: "11:00"}], after: fire}`, []step{
			{50 * minute, "own", "", nil, "noted came"},
			{90 * minute, "", "", nil, "suppressed nothing came since 2026-01-05T09:50:00Z; expected every 30m; silent: 10:00–11:00 until 2026-01-05T11:00:00Z"},
			{2 * hour, "", "", nil, "fires held back until now"},
			{24*hour + 45*minute, "own", "", nil, "noted back after"},
			{25*hour + 20*minute, "", "", nil, "suppressed"},
			{25*hour + 40*minute, "own", "", nil, "noted came"},
			{26 * hour, "", "", nil, ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(t, s.form, s.steps)
		})
	}
}

func TestLateArrivalDoesNotUndoAnAbsence(t *testing.T) {
	t.Parallel()
	m := remember(form(t, `when: {expected: {every: 5m}}`))
	m.decide(t, stateful.Input{At: t0, Event: "e1", Own: true}, "")
	// Nobody has looked at 09:05; what comes later must not hide that.
	v := m.decide(t, stateful.Input{At: t0.Add(6 * minute), Event: "e2", Own: true}, "")
	if v.Status != hayate.FiringNoted || !strings.Contains(v.Reason, "came too late") {
		t.Errorf("the late one is %s", show(v))
	}
	_, due, ok := m.next(t0.Add(7 * minute))
	if !ok || !due.Equal(t0.Add(5*minute)) {
		t.Fatalf("due at %s (%t), want 09:05", due, ok)
	}
	v = m.decide(t, stateful.Input{At: t0.Add(7 * minute), Event: "w", Wake: due}, "")
	if !v.Fires() || !strings.Contains(v.Reason, "it came at 2026-01-05T09:06:00Z") {
		t.Errorf("the absence is %s", show(v))
	}
	if v := m.decide(t, stateful.Input{At: t0.Add(7 * minute), Event: "w", Wake: due}, ""); !v.Nothing {
		t.Errorf("the same wake once more is %s", show(v))
	}
	if _, due, ok := m.next(t0.Add(hour)); !ok || !due.Equal(t0.Add(11*minute)) {
		t.Errorf("next due at %s (%t), want 5m after what came late", due, ok)
	}
}

func TestAClockThatWasSetBackSilencesNothing(t *testing.T) {
	t.Parallel()
	m := remember(form(t, `
when: {count: {at_least: 2, within: 10m}}
guard: {cooldown: 10m, budget: {most: 1}}`))
	for range 2 {
		m.decide(t, stateful.Input{At: t0.Add(365 * day), Event: "e", Own: true}, "")
	}
	m.decide(t, stateful.Input{At: t0, Event: "e", Own: true}, "")
	if v := m.decide(t, stateful.Input{At: t0.Add(second), Event: "e", Own: true}, ""); !v.Fires() {
		t.Errorf("a year after the clock was a year ahead: %s", show(v))
	}
	// A little backwards is nothing.
	m.decide(t, stateful.Input{At: t0.Add(second - 100*time.Millisecond), Event: "e", Own: true}, "")
	if v := m.decide(t, stateful.Input{At: t0.Add(minute), Event: "e", Own: true}, ""); v.Status != hayate.FiringSuppressed {
		t.Errorf("within the cooldown: %s", show(v))
	}
}

func TestPairIsAboutTheRulesOwnEvent(t *testing.T) {
	t.Parallel()
	f := form(t, `when: {both: {within: 1m, criteria: {trigger.k: {type: equals, pattern: b}}}}`)
	m := remember(f)
	m.decide(t, stateful.Input{At: t0, Event: "first", Own: true}, "")
	if got := f.Subject(true, time.Time{}, m.states["k:"].Body); got != "first" {
		t.Fatalf("the pair is about %q", got)
	}
	out := f.Decide(stateful.Input{At: t0.Add(second), Event: "second", Other: true}, []json.RawMessage{m.states["k:"].Body})
	if !out.Again {
		t.Errorf("a decision that was prepared for another event is %v, want again", out)
	}
}

func TestFullAndDamagedSaySo(t *testing.T) {
	t.Parallel()
	f := form(t, `when: {per: "{{ trigger.host }}", once: 1h, max_keys: 7}`)
	out := f.Decide(stateful.Input{At: t0, Event: "e", Own: true, Key: "a", Full: true}, []json.RawMessage{nil})
	if out.Verdict.Status != hayate.FiringFailed || !strings.Contains(out.Verdict.Reason, "remembers 7 keys already") || out.States != nil {
		t.Errorf("full: %v", out)
	}
	out = f.Decide(stateful.Input{At: t0, Event: "e", Own: true, Key: "a"}, []json.RawMessage{json.RawMessage(`{"at":"x"}`)})
	if out.Verdict.Status != hayate.FiringFailed || !strings.Contains(out.Verdict.Reason, "hayate rule state --reset test.rule") {
		t.Errorf("damaged: %v", out)
	}
}

func TestStatesExpireWhenTheySayNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		`when: {count: {at_least: 2, within: 10m}}`:                               10 * minute,
		`when: {once: 2h}`:                                                        2 * hour,
		`guard: {cooldown: 3h}`:                                                   3 * hour,
		`guard: {budget: {most: 5, within: 4h}}`:                                  4 * hour,
		`when: {per: "{{ trigger.host }}", expected: {every: 5m}}`:                7 * day,
		`when: {per: "{{ trigger.host }}", expected: {every: 1d}}`:                10 * day,
		`when: {expected: {every: 5m}}`:                                           0,
		`when: {both: {within: 6h, trigger: {type: test.other}}}`:                 6 * hour,
		`{when: {count: {at_least: 2, within: 10m}}, guard: {budget: {most: 5}}}`: 10 * minute,
	} {
		m := remember(form(t, text))
		m.decide(t, stateful.Input{At: t0, Event: "e", Own: true}, "")
		s, ok := m.states["k:"]
		got := s.Expires.Sub(t0)
		if s.Expires.IsZero() {
			got = 0
		}
		if !ok || got != want {
			t.Errorf("%s: expires after %s (there: %t), want %s", text, got, ok, want)
		}
	}
	m := remember(form(t, `when: {cleared: {trigger: {type: test.cleared}}, count: {at_least: 2, within: 10m}}`))
	m.decide(t, stateful.Input{At: t0, Event: "e", Own: true}, "")
	m.decide(t, stateful.Input{At: t0, Event: "e", Cleared: true}, "")
	if got := m.states["k:"].Expires.Sub(t0); got != minute {
		t.Errorf("what was cleared expires after %s, want a minute, for late events", got)
	}
	if v := remember(m.f).decide(t, stateful.Input{At: t0, Event: "e", Cleared: true}, ""); v.Status != hayate.FiringNoted || !strings.Contains(v.Reason, "nothing to clear") {
		t.Errorf("clearing nothing is %s", show(v))
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	e := hayate.Event{ID: "1", Source: "/s", Type: "test.happened", Subject: "disk", Data: []byte(`{"host":"web-1","n":1.0,"tags":["a"]}`)}
	e.SetExtension("correlationkey", "c7")
	for per, want := range map[string]string{
		`"{{ trigger.host }}"`:                                 "web-1",
		`"{{ event.subject }}"`:                                "disk",
		`["{{ trigger.host }}", "{{ event.correlationkey }}"]`: "web-1/c7",
		`"{{ trigger.host | upper }}:{{ trigger.n }}"`:         "WEB-1:1.0",
	} {
		got, err := form(t, `when: {once: 1h, per: `+per+`}`).Key("", &e)
		if err != nil || got != want {
			t.Errorf("%s is %q, error %v; want %q", per, got, err, want)
		}
	}
	f := form(t, `when: {once: 1h, per: "{{ trigger.nowhere }}"}`)
	if _, err := f.Key("", &e); err == nil || !strings.Contains(err.Error(), "when.per") {
		t.Errorf("a value that is not there gives %v", err)
	}
	long := hayate.Event{Data: []byte(`{"host":"` + strings.Repeat("障", 200) + `"}`)}
	key, err := form(t, `when: {once: 1h, per: "{{ trigger.host }}"}`).Key("", &long)
	if err != nil || len(key) > 200 || !strings.HasPrefix(key, "障") || !strings.Contains(key, "~") {
		t.Errorf("a long key is %q (%d bytes), error %v", key, len(key), err)
	}
}

func TestNamesOfStates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`when: {once: 1h}`: {"k:a"},
		`guard: {cooldown: 1h, budget: {most: 1}, breaker: {failures: 1, within: 1m, open: 1m}}`: {"k:a"},
		`{when: {per: "{{ trigger.h }}"}, guard: {cooldown: 1h, concurrent: 1}}`:                 {"k:a"},
		`{when: {per: "{{ trigger.h }}"}, guard: {budget: {most: 1}}}`:                           {"*", "k:a"},
		`{when: {per: "{{ trigger.h }}"}, guard: {per: "{{ trigger.h }}", cooldown: 1h}}`:        {"k:a"},
		`{when: {per: "{{ trigger.h }}"}, guard: {per: "{{ trigger.t }}", cooldown: 1h}}`:        {"*", "k:a", "t:b"},
	} {
		if got := form(t, text).Keys("a", "b"); !slices.Equal(got, want) {
			t.Errorf("%s needs %q, want %q", text, got, want)
		}
	}
}
