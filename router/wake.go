package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// The types of the events that rules with a past give rise to when their time has
// come. They are accepted like any other, so that each is decided on once; other
// rules may wait for them.
const (
	TriggerAbsent  = "hayate.rule." + stateful.WakeAbsent  // what is expected has not come
	TriggerResumed = "hayate.rule." + stateful.WakeResumed // a firing that a calendar held back is due
	TriggerBreaker = "hayate.rule." + stateful.WakeBreaker // a circuit breaker has opened
	// triggerExpecting begins to expect a key before anything came for it.
	triggerExpecting = "hayate.rule.expecting"

	wakeSource = "/hayate/rules/"
	wakeLayout = "2006-01-02T15:04:05.000000Z"
)

// alarm knows the earliest wake that was stored lately.
type alarm struct {
	mu   sync.Mutex
	next time.Time
	ring chan struct{} // holds one: next has become earlier
}

func (a *alarm) init() { a.ring = make(chan struct{}, 1) }

// at notes a wake that is stored. It never waits.
func (a *alarm) at(t time.Time) {
	a.mu.Lock()
	earlier := a.next.IsZero() || t.Before(a.next)
	if earlier {
		a.next = t
	}
	a.mu.Unlock()
	if earlier {
		select {
		case a.ring <- struct{}{}:
		default:
		}
	}
}

// wait is how long until the wake, and no more than most.
func (a *alarm) wait(now time.Time, most time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next.IsZero() {
		return most
	}
	return max(0, min(most, a.next.Sub(now)))
}

func (a *alarm) clear() {
	a.mu.Lock()
	a.next = time.Time{}
	a.mu.Unlock()
}

// wakeLoop wakes rules as their time comes, until ctx ends.
func (r *Router) wakeLoop(ctx context.Context) error {
	for {
		r.alarm.clear()
		if err := r.wakeRules(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("wake rules", "err", err)
			if !pause(ctx, time.Second) {
				return ctx.Err()
			}
		}
		for {
			d := r.alarm.wait(r.now(), r.cfg.SweepEvery)
			if d == 0 {
				break
			}
			t := time.NewTimer(d)
			select {
			case <-ctx.Done():
				t.Stop()
				return ctx.Err()
			case <-t.C:
			case <-r.alarm.ring:
				t.Stop()
				continue
			}
			break
		}
	}
}

// wakeRules accepts an event for each state whose time has come, forgets states
// that say nothing any more, and begins to expect what nothing came for yet.
func (r *Router) wakeRules(ctx context.Context) error {
	cat := r.cat.Load()
	if len(cat.forms) > 0 {
		r.stateless.Store(false)
	} else if r.stateless.Load() {
		return nil
	}
	var errs []error
	for {
		now := r.now()
		p, err := r.store.States(ctx, StateQuery{DueBy: now.Add(r.cfg.SweepEvery), Limit: sweepLimit})
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		woken := 0
		for i := range p.Items {
			s := &p.Items[i]
			if s.Wake.After(now) {
				r.alarm.at(s.Wake)
				break
			}
			woken++
			if err := r.wake(ctx, cat, s); err != nil {
				errs = append(errs, err)
			}
		}
		if woken < sweepLimit || len(errs) > 0 {
			break
		}
	}
	n, err := r.store.ForgetStates(ctx, StateQuery{ExpiredBy: r.now(), Limit: sweepLimit})
	if err != nil {
		errs = append(errs, err)
	}
	if n > 0 {
		r.log.Debug("states expired", "states", n)
	}
	if err := r.expect(ctx, cat); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 && len(cat.forms) == 0 {
		p, err := r.store.States(ctx, StateQuery{})
		r.stateless.Store(err == nil && p.Total == 0)
	}
	return errors.Join(errs...)
}

// wake accepts the event that a due state stands for. A rule that is not in force
// any more forgets what it waited for.
func (r *Router) wake(ctx context.Context, cat *catalog, s *StateRecord) error {
	form := cat.forms[s.Rule]
	if form == nil {
		_, err := r.store.ForgetStates(ctx, StateQuery{Rule: s.Rule, Names: []string{s.Name}})
		return err
	}
	kind, news := form.Waking(s.Name, s.Body)
	e, err := wakeEvent("hayate.rule."+kind, s.Rule, s.Name, s.Wake, news)
	if err != nil {
		return err
	}
	rc, err := r.Accept(ctx, e)
	if err != nil || !rc.Duplicate {
		return err
	}
	// Decided on by somebody else, who has changed the state; a state that is as it
	// was has been brought back from elsewhere, and would be due for ever.
	have, err := r.bodies(ctx, s.Rule, []string{s.Name})
	if err != nil || string(have[0]) != string(s.Body) {
		return err
	}
	r.log.Warn("a rule was woken for what is decided already, it forgets it", "rule", s.Rule, "state", s.Name)
	_, err = r.store.ForgetStates(ctx, StateQuery{Rule: s.Rule, Names: []string{s.Name}})
	return err
}

func wakeEvent(kind string, rule hayate.Ref, name string, at time.Time, news stateful.News) (hayate.Event, error) {
	data, err := json.Marshal(news)
	if err != nil {
		return hayate.Event{}, fmt.Errorf("wake rule %s: %w", rule, err)
	}
	e := hayate.Event{ID: name + "@" + at.UTC().Format(wakeLayout), Source: wakeSource + string(rule), Type: kind, Subject: news.Key, Time: at.UTC(),
		DataContentType: "application/json", Data: data}
	if e.Subject == "" {
		e.Subject = string(rule)
	}
	return e, nil
}

// wakeOf reads what wakeEvent wrote: the rule, the name of its state, and when.
func wakeOf(e *hayate.Event) (rule hayate.Ref, name string, at time.Time, ok bool) {
	ref, ours := strings.CutPrefix(e.Source, wakeSource)
	if !ours {
		return "", "", time.Time{}, false
	}
	switch e.Type {
	case TriggerAbsent, TriggerResumed, TriggerBreaker, triggerExpecting:
	default:
		return "", "", time.Time{}, false
	}
	i := strings.LastIndexByte(e.ID, '@')
	if i < 0 {
		return "", "", time.Time{}, false
	}
	at, err := time.Parse(wakeLayout, e.ID[i+1:])
	return hayate.Ref(ref), e.ID[:i], at, err == nil
}

// wakes notes the earliest wake of new states, for whoever has them stored.
func (d *decider) wakes(states []stateful.State) {
	for _, s := range states {
		if !s.Wake.IsZero() && (d.wake.IsZero() || s.Wake.Before(*d.wake)) {
			*d.wake = s.Wake
		}
	}
}

// woken decides what a rule does about its own wake.
func (d *decider) woken(ctx context.Context, ref hayate.Ref, name string, at time.Time) error {
	rule, form := d.cat.rules[ref], d.cat.forms[ref]
	if rule == nil || form == nil {
		return nil
	}
	key, shared := stateful.KeyOf(name)
	in := stateful.Input{At: d.event.AcceptedAt, Wake: at, Key: key}
	f := d.firing(rule)
	in.Event = string(f.Event)
	switch {
	case d.event.Type == triggerExpecting:
		d.out.Guarded = append(d.out.Guarded, Guarded{Rule: ref, Names: form.Keys(key, key), MaxKeys: form.MaxKeys(),
			Decide: func(have []json.RawMessage, _ bool) stateful.Outcome {
				out := form.Expect(key, in.At, have)
				d.wakes(out.States)
				return out
			}})
		return nil
	case shared || d.event.Type == TriggerBreaker:
		names := []string{name}
		have, err := d.r.bodies(ctx, ref, names)
		if err != nil {
			return err
		}
		if in.Ended, err = d.r.endings(ctx, in.At, stateful.Watched(have)); err != nil {
			return err
		}
		d.out.Guarded = append(d.out.Guarded, Guarded{Rule: ref, Names: names, MaxKeys: form.MaxKeys(),
			Decide: func(have []json.RawMessage, _ bool) stateful.Outcome {
				out := form.Decide(in, have)
				d.wakes(out.States)
				return out
			}})
		return nil
	}
	return d.guard(ctx, rule, form, in, f)
}

// expectAtOnce is how many keys are looked up together.
const expectAtOnce = 500

// expect begins to expect the keys that rules name, where nothing came yet.
func (r *Router) expect(ctx context.Context, cat *catalog) error {
	for ref, form := range cat.forms {
		for keys := range slices.Chunk(form.Initial(), expectAtOnce) {
			names := make([]string, len(keys))
			for i, key := range keys {
				names[i] = form.Keys(key, key)[keyAt(form, key)]
			}
			have, err := r.bodies(ctx, ref, names)
			if err != nil {
				return err
			}
			for i, key := range keys {
				if len(have[i]) > 0 {
					continue
				}
				e, err := wakeEvent(triggerExpecting, ref, names[i], r.now(), stateful.News{Rule: string(ref), Key: key})
				if err == nil {
					_, err = r.Accept(ctx, e)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}
