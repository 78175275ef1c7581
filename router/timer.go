package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/rules"
)

// timer is one schedule that enabled rules wait for. Rules whose trigger type and
// parameters are equal share it: a tick is one event for all of them.
type timer struct {
	id       string
	trigger  string
	params   string // as rules.TriggerParameters gives them
	schedule cron.Schedule
	rules    []hayate.Ref
}

// timersOf gathers the timers that enabled rules wait for, by id. What is wrong
// with one is an error that names the rule; its timer never ticks.
func timersOf(enabled []hayate.Rule, zone *time.Location) (map[string]*timer, error) {
	out := map[string]*timer{}
	var errs []error
	for i := range enabled {
		tr := &enabled[i].Trigger
		if !cron.IsTimer(tr.Type) {
			continue
		}
		params := rules.TriggerParameters(tr.Type, tr.Parameters)
		id := hayate.NewID(time.Unix(0, 0), "timer", tr.Type, params)
		t := out[id]
		if t == nil {
			s, err := cron.Parse(tr.Type, tr.Parameters, zone)
			if err != nil {
				for _, p := range cron.Problems(err) {
					errs = append(errs, fmt.Errorf("rule %s: the parameters of %s: %w: %w", enabled[i].Ref(), tr.Type, p, hayate.ErrInvalid))
				}
				continue
			}
			t = &timer{id: id, trigger: tr.Type, params: params, schedule: s}
			out[id] = t
		}
		t.rules = append(t.rules, enabled[i].Ref())
	}
	for _, t := range out {
		slices.Sort(t.rules)
	}
	return out, errors.Join(errs...)
}

// text tells the schedule to people: the parameters, one after the other.
func (t *timer) text() string {
	v, err := value.Decode([]byte(t.params))
	m, ok := v.(*value.Map)
	if err != nil || !ok {
		return t.params
	}
	if unit, ok := m.Str("unit"); ok {
		delta, _ := m.Str("delta")
		if n := value.Str(delta); n != "1" {
			return "every " + n + " " + value.Str(unit)
		}
		return "every " + strings.TrimSuffix(value.Str(unit), "s")
	}
	if date, ok := m.Str("date"); ok {
		return "at " + value.Str(date)
	}
	var parts []string
	for k, x := range m.All() {
		if name := value.Str(k); x != nil && name != "timezone" && name != "misfire" {
			parts = append(parts, name+"="+value.Str(x))
		}
	}
	return strings.Join(parts, " ")
}

// event is the timer's tick. Its id depends on nothing but the timer and the
// time that was scheduled, so that a tick is one event whoever fires it, and
// however often. The payload is StackStorm's, whose schedule is always null.
func (t *timer) event(tick, now time.Time) (hayate.Event, error) {
	layout := "2006-01-02 15:04:05.000000-07:00"
	if now.Nanosecond() == 0 {
		layout = "2006-01-02 15:04:05-07:00" // as Python writes a whole second
	}
	data, err := json.Marshal(struct {
		ExecutedAt string          `json:"executed_at"`
		Schedule   json.RawMessage `json:"schedule"`
	}{now.Format(layout), nil})
	if err != nil {
		return hayate.Event{}, fmt.Errorf("tick of timer %s: %w", t.id, err)
	}
	tick = tick.UTC()
	e := hayate.Event{ID: tick.Format(time.RFC3339Nano), Source: "/hayate/timers/" + t.id, Type: t.trigger, Subject: t.text(), Time: tick,
		DataContentType: "application/json", Data: data}
	e.SetExtension(hayate.ExtTriggerParameters, t.params)
	e.SetExtension(hayate.ExtTraceTag, hayate.Ref(t.trigger).Name()+"-"+t.id)
	return e, nil
}

// maxMissed bounds the missed ticks of one timer that come late.
const maxMissed = 1000

// dueTicks are the ticks of a timer that are to be fired at a time.
type dueTicks struct {
	ticks []time.Time
	// done is up to where ticks have been dealt with once these are fired.
	done time.Time
	// lost says that ticks before were missed and never come.
	lost bool
}

// due says which ticks come at now. A tick that is late by at most grace comes,
// as if it were in time; what becomes of earlier ones the policy says.
func (t *timer) due(st *TimerState, now time.Time, grace time.Duration, policy cron.Misfire) dueTicks {
	s := t.schedule.From(st.Anchor)
	if p := s.Misfire(); p != "" {
		policy = p
	}
	from := st.Done
	d := dueTicks{done: from}
	if edge := now.Add(-grace); from.Before(edge) {
		most := map[cron.Misfire]int{cron.Once: 1, cron.All: maxMissed}[policy]
		d.ticks, d.lost = newest(s, from, edge, most)
		// Whatever ticks at the edge itself is in time.
		from = edge.Add(-time.Microsecond)
		if d.lost || len(d.ticks) > 0 {
			d.done = from
		}
	}
	for len(d.ticks) < 2*maxMissed {
		tick, ok := s.Next(from)
		if !ok || tick.After(now) {
			break
		}
		d.ticks = append(d.ticks, tick)
		from, d.done = tick, tick
	}
	return d
}

// newest returns the n newest ticks after from and before to, and whether there
// are more. It looks back from the end, twice as far each time, so that it costs
// what n ticks cost and not what a long standstill would.
func newest(s cron.Schedule, from, to time.Time, n int) (ticks []time.Time, more bool) {
	for window := time.Second; ; window *= 2 {
		start := from
		if to.Sub(from) > window {
			start = to.Add(-window)
		}
		ticks = ticks[:0]
		for at := start; ; {
			tick, ok := s.Next(at)
			if !ok || !tick.Before(to) {
				break
			}
			if ticks = append(ticks, tick); len(ticks) > n {
				more = true
				ticks = ticks[1:]
			}
			at = tick
			if n == 0 {
				return nil, true
			}
		}
		if more || !start.After(from) {
			return slices.Clip(ticks), more
		}
	}
}

// next returns the first n ticks after a time.
func (t *timer) next(anchor, after time.Time, n int) []time.Time {
	s := t.schedule.From(anchor)
	out := []time.Time{}
	for len(out) < n {
		tick, ok := s.Next(after)
		if !ok {
			break
		}
		out = append(out, tick)
		after = tick
	}
	return out
}

// sortedTimers are the timers in the order of their ids.
func sortedTimers(m map[string]*timer) []*timer {
	out := make([]*timer, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[id])
	}
	return out
}
