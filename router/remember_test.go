package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// pastRule is a rule for all events of the type test.alert, with a past, that
// notes what its template says.
func pastRule(name, when, guard, calendar, text string) hayate.Rule {
	r := rule(name, "test.note", fmt.Sprintf(`{"text":%q}`, text))
	r.Criteria = nil
	for _, p := range []struct {
		to   *json.RawMessage
		text string
	}{{&r.When, when}, {&r.Guard, guard}, {&r.Calendar, calendar}} {
		if p.text != "" {
			*p.to = json.RawMessage(p.text)
		}
	}
	return r
}

// pastWorld is a router with rules that have a past, whose action succeeds.
func pastWorld(t *testing.T, c *clock, rs ...hayate.Rule) *world {
	t.Helper()
	w := timerWorld(t, c, nil)
	w.load(pastContent(rs...))
	return w
}

func pastContent(rs ...hayate.Rule) router.Content {
	return router.Content{Actions: []hayate.Action{action("note", "fn", hayate.Parameter{Name: "text", Type: "string"})}, Rules: rs}
}

// story lists the firings of a rule, oldest first: status, reason and text.
func (w *world) story(ref hayate.Ref) []string {
	w.t.Helper()
	p, err := w.Firings(w.t.Context(), router.Query{Rule: ref, Limit: -1, Ascending: true})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, f := range p.Items {
		line := string(f.Status) + ": " + f.Reason
		for _, raw := range f.Parameters {
			var p struct{ Text string }
			if err := json.Unmarshal(raw, &p); err != nil {
				w.t.Fatal(err)
			}
			line += " [" + p.Text + "]"
		}
		out = append(out, line)
	}
	return out
}

func (w *world) tells(ref hayate.Ref, want ...string) {
	w.t.Helper()
	got := w.story(ref)
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		// … stands for any text.
		rest := got[i]
		for k, part := range strings.Split(want[i], "…") {
			at := strings.Index(rest, part)
			if ok = ok && at >= 0 && (k > 0 || at == 0); ok {
				rest = rest[at+len(part):]
			}
		}
	}
	if !ok {
		w.t.Errorf("rule %s:\n got %s\nwant %s", ref, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func TestRacingEventsAreCountedOneByOne(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(pastContent(pastRule("count", `{"count":{"at_least":5,"within":"1h"}}`, "", "", "{{ trigger.n }}")))
	var wg sync.WaitGroup
	var started atomic.Int64
	for i := range 100 {
		wg.Go(func() {
			rc, err := w.Accept(t.Context(), event(fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i)))
			if err != nil {
				t.Error(err)
			}
			started.Add(int64(len(rc.Executions)))
		})
	}
	wg.Wait()
	if started.Load() != 20 {
		t.Errorf("100 events started %d executions, want one for each five", started.Load())
	}
	reached := map[string]int{}
	for _, s := range w.story("test.count") {
		reason, _, _ := strings.Cut(s, " [")
		reached[reason]++
	}
	for k := 1; k <= 5; k++ {
		status := map[bool]string{true: "succeeded", false: "noted"}[k == 5]
		if n := reached[fmt.Sprintf("%s: %d of 5 within 1h", status, k)]; n != 20 {
			t.Errorf("%d of 5 was reached %d times: %v", k, n, reached)
		}
	}
}

func TestAbsenceFiresOnceAndOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{}
		w := pastWorld(t, c,
			pastRule("away", `{"per":"{{ trigger.host }}","expected":{"every":"30s"}}`, "", "", "{{ trigger.key }} since {{ trigger.since }}"),
			hayate.Rule{Pack: "test", Name: "listens", Enabled: true, Trigger: hayate.Trigger{Type: router.TriggerAbsent}, Actions: []hayate.RuleAction{{Ref: "test.note"}}})
		c.set("2026-03-02T09:00:00Z")
		w.serve()
		// Another router with the same store looks, too.
		other := timerWorld(t, c, like(w))
		other.load(pastContent(w.Rules()...))
		other.serve()
		w.accept(event("1", `{"host":"db-1"}`))
		time.Sleep(20 * time.Second)
		w.accept(event("2", `{"host":"db-1"}`))
		time.Sleep(29 * time.Second)
		synctest.Wait()
		w.tells("test.away", "noted: came for db-1; expected again by 2026-03-02T09:00:30Z", "noted: came for db-1; …09:00:50Z")
		time.Sleep(time.Second + 50*time.Millisecond)
		synctest.Wait()
		want := []string{"noted: …", "noted: …", "succeeded: nothing came for db-1 since 2026-03-02T09:00:20Z; expected every 30s [db-1 since 2026-03-02T09:00:20Z]"}
		w.tells("test.away", want...)
		w.tells("test.listens", "succeeded:  []")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		w.tells("test.away", want...)
		w.accept(event("3", `{"host":"db-1"}`))
		time.Sleep(time.Minute)
		synctest.Wait()
		w.tells("test.away", append(want, "noted: came for db-1, back after 3h30s; …", "succeeded: …")...)
	})
}

func TestWhatIsNamedIsExpectedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{}
		w := pastWorld(t, c, pastRule("backup", `{"per":"{{ trigger.host }}","expected":{"every":"1h","keys":["a","b"]}}`, "", "", "{{ trigger.key }}"),
			pastRule("any", `{"expected":{"every":"1h"}}`, "", "", "nothing at all"))
		c.set("2026-03-02T09:00:00Z")
		w.serve()
		time.Sleep(30 * time.Minute)
		w.accept(event("1", `{"host":"a"}`))
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		w.tells("test.backup", "noted: …", "succeeded: nothing has come for b; expected every 1h [b]")
		w.tells("test.any", "noted: …")
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		w.tells("test.backup", "noted: …", "succeeded: …[b]", "succeeded: nothing came for a …[a]")
		w.tells("test.any", "noted: …", "succeeded: …[nothing at all]")
	})
}

func TestPairIsToldByTheRulesOwnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pastRule("pair", `{"per":"{{ trigger.host }}","both":{"within":"1m","trigger":{"type":"test.ping"}}}`, "", "", "{{ trigger.link }}")
		w := pastWorld(t, &clock{}, r)
		ping := func(id string) hayate.Event {
			return hayate.Event{ID: id, Source: "/test", Type: "test.ping", Data: []byte(`{"host":"a"}`)}
		}
		w.accept(event("1", `{"host":"a","link":"eth0"}`))
		time.Sleep(time.Second)
		w.accept(ping("2"))
		time.Sleep(time.Second)
		w.accept(ping("3"))
		time.Sleep(time.Second)
		w.accept(event("4", `{"host":"a","link":"eth1"}`))
		w.tells("test.pair", "noted: 1 of 2 within 1m for a: the rule's own …[eth0]", "succeeded: 2 of 2 within 1m for a [eth0]",
			"noted: 1 of 2 within 1m for a: the other …", "succeeded: 2 of 2 within 1m for a [eth1]")
	})
}

func TestWhatMaintenanceHeldBackIsDoneAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{}
		w := pastWorld(t, c, pastRule("held", `{"per":"{{ trigger.host }}","cleared":{"trigger":{"type":"test.ok"}}}`, "",
			`{"zone":"Asia/Tokyo","silent":{"from":"22:00","to":"23:00","name":"patching"},"after":"fire"}`, "{{ trigger.host }} {{ trigger.n }}"))
		c.set("2026-03-02T13:30:00Z")
		w.serve()
		for i, host := range []string{"a", "b", "a"} {
			w.accept(event(fmt.Sprint(i), fmt.Sprintf(`{"host":%q,"n":%d}`, host, i)))
		}
		w.accept(hayate.Event{ID: "ok", Source: "/test", Type: "test.ok", Data: []byte(`{"host":"b"}`)})
		time.Sleep(30*time.Minute + 50*time.Millisecond)
		synctest.Wait()
		held := "suppressed: silent: patching until 2026-03-02T23:00:00+09:00, fires then if the condition stands"
		w.tells("test.held", held+" [a 0]", held+" [b 1]", held+" [a 2]", "noted: cleared for b", "succeeded: held back until now, the last of 2 [a 2]")
		time.Sleep(time.Minute)
		synctest.Wait()
		p, err := w.Executions(t.Context(), router.Query{Rule: "test.held", Limit: -1})
		if err != nil || len(p.Items) != 1 || p.Items[0].Status != hayate.StatusSucceeded {
			t.Errorf("executions are %+v, error %v; want one that succeeded", p.Items, err)
		}
	})
}

func TestTheBreakerOpensTellsAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		w := timerWorld(t, &clock{}, nil)
		w = newWorld(t, func(c *router.Config) {
			*c = w.cfg
			c.Runners = []router.Runner{funcRunner{"fn", func(ctx context.Context, task hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
				if broken.Load() {
					return hayate.Result{Status: hayate.StatusFailed}, nil
				}
				return succeed(ctx, task, out)
			}}}
		})
		w.load(pastContent(pastRule("broken", "", `{"breaker":{"failures":2,"within":"10m","open":"5m"}}`, "", "x"),
			hayate.Rule{Pack: "test", Name: "listens", Enabled: true, Trigger: hayate.Trigger{Type: router.TriggerBreaker}, Actions: []hayate.RuleAction{{Ref: "test.note"}}}))
		w.serve()
		n := 0
		send := func(pause time.Duration) {
			n++
			w.accept(event(fmt.Sprint(n), `{}`))
			time.Sleep(pause)
			synctest.Wait()
		}
		send(time.Second)
		send(time.Second)
		send(time.Second)
		send(5 * time.Minute)
		send(time.Second) // the probe, which fails
		broken.Store(false)
		send(5 * time.Minute)
		send(time.Second) // the next, which does not
		send(time.Second)
		w.tells("test.broken", "succeeded:  [x]", "succeeded:  [x]", "suppressed: circuit breaker open since …", "suppressed: …", "succeeded: the probe of …",
			"suppressed: circuit breaker open since …", "succeeded: the probe of …", "succeeded:  [x]")
		w.tells("test.listens", "succeeded:  []")
	})
}

// A breaker is seen to be open, half-open and closed without a further event, and
// tells that it opened when it does.
func TestTheBreakerIsSeenAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		hold := make(chan struct{}, 1)
		w := timerWorld(t, &clock{}, nil)
		w = newWorld(t, func(c *router.Config) {
			*c = w.cfg
			c.Runners = []router.Runner{funcRunner{"fn", func(ctx context.Context, task hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
				if broken.Load() {
					return hayate.Result{Status: hayate.StatusFailed}, nil
				}
				<-hold
				return succeed(ctx, task, out)
			}}}
		})
		w.load(pastContent(pastRule("broken", "", `{"concurrent":2,"breaker":{"failures":2,"within":"10m","open":"5m"}}`, "", "x"),
			hayate.Rule{Pack: "test", Name: "listens", Enabled: true, Trigger: hayate.Trigger{Type: router.TriggerBreaker}, Actions: []hayate.RuleAction{{Ref: "test.note"}}}))
		w.serve()
		sees := func(want string) {
			t.Helper()
			p, err := w.RuleStates(t.Context(), "test.broken", nil, 0, -1)
			if err != nil || len(p.Items) != 1 {
				t.Fatalf("got the states %+v, error %v", p.Items, err)
			}
			if got := strings.Join(p.Items[0].Summary, "; "); !strings.HasPrefix(got, want) || want == "" && got != "" {
				t.Errorf("the rule's state is %q, want %q", got, want)
			}
		}
		for i := range 2 {
			w.accept(event(fmt.Sprint(i), `{}`))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		sees("circuit breaker open since ")
		w.tells("test.broken", "succeeded:  [x]", "succeeded:  [x]")
		w.tells("test.listens", "succeeded:  []")
		time.Sleep(5 * time.Minute)
		sees("circuit breaker half-open since ")
		broken.Store(false)
		w.accept(event("probe", `{}`))
		synctest.Wait()
		if p, _ := w.RuleStates(t.Context(), "test.broken", nil, 0, -1); !strings.Contains(strings.Join(p.Items[0].Summary, "; "), ", its probe ") ||
			!strings.Contains(strings.Join(p.Items[0].Summary, "; "), "1 of 2 executions at once") {
			t.Errorf("while its probe runs the state is %q", p.Items[0].Summary)
		}
		hold <- struct{}{}
		time.Sleep(time.Second)
		synctest.Wait()
		sees("nothing of consequence")
		w.tells("test.listens", "succeeded:  []")
	})
}

func TestShadowsRememberAndDoNothing(t *testing.T) {
	r := pastRule("shadow", "", `{"cooldown":"1h"}`, "", "x")
	r.Mode = hayate.ModeShadow
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(pastContent(r))
	for i := range 2 {
		if rc := w.accept(event(fmt.Sprint(i), `{}`)); len(rc.Executions) != 0 {
			t.Errorf("a shadow started %v", rc.Executions)
		}
	}
	w.tells("test.shadow", "shadow:  [x]", "suppressed: cooldown until … [x]")
}

func TestAKeyThatCannotBeReadIsSaid(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(pastContent(pastRule("keyed", `{"per":"{{ trigger.host }}","once":"1h"}`, "", "", "x")))
	w.accept(event("1", `{"hostname":"a"}`))
	w.tells("test.keyed", "failed: when.per: …")
}

func TestRuleStatesAreListedAndForgotten(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(pastContent(pastRule("count", `{"per":"{{ trigger.host }}","count":{"at_least":3,"within":"1h"}}`, `{"budget":{"most":5}}`, "", "x")))
	for i, host := range []string{"a", "b", "a"} {
		w.accept(event(fmt.Sprint(i), fmt.Sprintf(`{"host":%q}`, host)))
	}
	summaries := func(key *string) map[string][]string {
		t.Helper()
		p, err := w.RuleStates(t.Context(), "test.count", key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]string{}
		for _, s := range p.Items {
			out[s.Of+" "+s.Key] = s.Summary
		}
		return out
	}
	got := summaries(nil)
	if len(got) != 3 || !slices.Equal(got["key a"], []string{"2 of 3 within 1h"}) || !slices.Equal(got["key b"], []string{"1 of 3 within 1h"}) || got["rule "] == nil {
		t.Errorf("the states are %v", got)
	}
	a := "a"
	if got := summaries(&a); len(got) != 1 {
		t.Errorf("the states of one key are %v", got)
	}
	if n, err := w.ForgetRule(t.Context(), "test.count", &a); err != nil || n != 1 {
		t.Errorf("ForgetRule says %d, error %v; want one", n, err)
	}
	w.accept(event("9", `{"host":"a"}`))
	if got := summaries(&a)["key a"]; !slices.Equal(got, []string{"1 of 3 within 1h"}) {
		t.Errorf("after it was forgotten the key has %v", got)
	}
	if _, err := w.RuleStates(t.Context(), "test.nowhere", nil, 0, 1); !errors.Is(err, hayate.ErrNotFound) {
		t.Errorf("an unknown rule gives %v", err)
	}
}

func TestExplainTellsThePast(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(pastContent(pastRule("count", `{"count":{"at_least":2,"within":"1h"}}`, "", "", "x")))
	rc := w.accept(event("1", `{}`))
	x, err := w.ExplainEvent(t.Context(), rc.ID)
	if err != nil || len(x.Rules) != 1 || x.Rules[0].Past == nil || !x.Rules[0].Past.Recorded || x.Rules[0].Past.Reason != "1 of 2 within 1h" {
		t.Errorf("the recorded event is explained as %+v, error %v", x.Rules, err)
	}
	e := event("2", `{}`)
	for range 2 { // explaining changes nothing
		xs, err := w.Explain(t.Context(), &e, "test.count")
		if err != nil || len(xs) != 1 || xs[0].Past == nil || xs[0].Past.Recorded || xs[0].Past.Status != hayate.FiringSucceeded || xs[0].Past.Reason != "2 of 2 within 1h" {
			t.Errorf("the event to come is explained as %+v, error %v", xs, err)
		}
	}
}

func TestADisabledRuleForgetsWhatItExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := pastWorld(t, &clock{}, pastRule("away", `{"per":"{{ trigger.host }}","expected":{"every":"30s"}}`, "", "", "x"))
		w.serve()
		w.accept(event("1", `{"host":"a"}`))
		if _, err := w.SetRuleEnabled(t.Context(), "test.away", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		w.tells("test.away", "noted: …")
		if p, err := w.RuleStates(t.Context(), "test.away", nil, 0, -1); err != nil || p.Total != 0 {
			t.Errorf("%d states are left, error %v", p.Total, err)
		}
	})
}
