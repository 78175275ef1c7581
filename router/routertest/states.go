package routertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
)

var stateTests = map[string]func(*testing.T, *fixture){
	"stores states with the decision":                statesStored,
	"counts a repeated event once":                   statesRepeated,
	"counts an event once that races with itself":    statesSelfRace,
	"decides events that race one after the other":   statesRace,
	"changes several states together":                statesTogether,
	"starts nothing where the verdict suppresses":    statesSuppress,
	"records nothing where the verdict says nothing": statesNothing,
	"leaves states alone that are to stay":           statesStay,
	"decides anew where a state has moved on":        statesAgain,
	"gives up where deciding anew never ends":        statesForEver,
	"says when a rule has as many states as it may":  statesFull,
	"removes a state that says nothing":              statesRemoved,
	"lists those that are due, the longest first":    statesDue,
	"lists in order, by rule and name, in pages":     statesListed,
	"forgets what is asked":                          statesForget,
	"forgets what has expired, and no more":          statesExpire,
	"keeps states across a restart":                  statesReopen,
	"decides for several rules at once":              statesSeveral,
	"refuses after close":                            statesClosed,
}

// tally is a state of these tests: how often it was written, and by whom.
type tally struct {
	N int `json:"n"`
}

// counting decides as a rule that counts: the n-th event's verdict says n. The
// first of the names carries the others.
func counting(rule hayate.Ref, names ...string) router.Decide {
	return guarding(rule, names, 1000, func(have []json.RawMessage, _ bool) stateful.Outcome {
		return counted(have, stateful.Verdict{})
	})
}

// counted adds one to each state.
func counted(have []json.RawMessage, v stateful.Verdict) stateful.Outcome {
	out := stateful.Outcome{Verdict: v}
	for _, raw := range have {
		var c tally
		if raw != nil {
			if err := json.Unmarshal(raw, &c); err != nil {
				panic(err) // only what this function wrote
			}
		}
		c.N++
		if v.Reason == "" {
			out.Verdict.Reason = strconv.Itoa(c.N)
		}
		b, err := json.Marshal(c)
		if err != nil {
			panic(err) // a number
		}
		out.States = append(out.States, stateful.State{Body: b})
	}
	return out
}

// guarding decides that an event starts one execution of a rule, if f lets it.
func guarding(rule hayate.Ref, names []string, most int, f func([]json.RawMessage, bool) stateful.Outcome) router.Decide {
	return func(_ context.Context, e *hayate.Event) (router.Decision, error) {
		x := execution(e, 0)
		x.Rule = rule
		x.ID = hayate.RuleExecutionID(e.AcceptedAt, e.UID(), rule, 0)
		x.Root = x.ID
		fi := firing(e, &x)
		return router.Decision{Firings: []hayate.Firing{fi}, Executions: []hayate.Execution{x},
			Guarded: []router.Guarded{{Firing: fi.ID, Rule: rule, Names: names, MaxKeys: most, Decide: f}}}, nil
	}
}

func (f *fixture) tally(t *testing.T, rule hayate.Ref, name string) int {
	t.Helper()
	p, err := f.States(ctx(t), router.StateQuery{Rule: rule, Names: []string{name}, Limit: -1})
	if err != nil || len(p.Items) > 1 {
		t.Fatalf("States gave %d, error %v", len(p.Items), err)
	}
	if len(p.Items) == 0 {
		return 0
	}
	var c tally
	if err := json.Unmarshal(p.Items[0].Body, &c); err != nil {
		t.Fatalf("state is %s: %v", p.Items[0].Body, err)
	}
	return c.N
}

func (f *fixture) acceptWith(t *testing.T, n int, d router.Decide) router.Receipt {
	t.Helper()
	rc, err := f.Accept(ctx(t), f.event(n), d)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	return rc
}

func (f *fixture) firings(t *testing.T, id hayate.EventID) []hayate.Firing {
	t.Helper()
	p, err := f.Firings(ctx(t), router.Query{Event: id, Limit: -1})
	if err != nil {
		t.Fatalf("Firings: %v", err)
	}
	return p.Items
}

func statesStored(t *testing.T, f *fixture) {
	want := router.StateRecord{Rule: "suite.rule", Name: "k:ホスト/1", Body: json.RawMessage(`{"b":1.0,"a":[]}`), Wake: after(60), Expires: after(120)}
	rc := f.acceptWith(t, 1, guarding(want.Rule, []string{want.Name}, 10, func(have []json.RawMessage, full bool) stateful.Outcome {
		if have[0] != nil || full {
			t.Errorf("Decide got %s, full %t; want nothing", have[0], full)
		}
		return stateful.Outcome{Verdict: stateful.Verdict{Reason: "1 of 1"}, States: []stateful.State{{Body: want.Body, Wake: want.Wake, Expires: want.Expires}}}
	}))
	if len(rc.Executions) != 1 || rc.Duplicate {
		t.Errorf("receipt is %+v, want one execution", rc)
	}
	p, err := f.States(ctx(t), router.StateQuery{Rule: want.Rule, Limit: -1})
	if err != nil || len(p.Items) != 1 || p.Total != 1 {
		t.Fatalf("States gave %d of %d, error %v; want one", len(p.Items), p.Total, err)
	}
	same(t, "state", p.Items[0], want)
	if string(p.Items[0].Body) != string(want.Body) {
		t.Errorf("body is %s, want %s byte by byte", p.Items[0].Body, want.Body)
	}
	fs := f.firings(t, rc.ID)
	if len(fs) != 1 || fs[0].Status != hayate.FiringSucceeded || fs[0].Reason != "1 of 1" || len(fs[0].Executions) != 1 {
		t.Errorf("firings are %+v, want one that succeeded, because of 1 of 1", fs)
	}
	f.get(t, rc.Executions[0].ID)
}

func statesRepeated(t *testing.T, f *fixture) {
	for range 3 {
		f.acceptWith(t, 1, counting("suite.rule", "k:a"))
	}
	f.acceptWith(t, 2, counting("suite.rule", "k:a"))
	f.acceptWith(t, 1, counting("suite.rule", "k:a"))
	if got := f.tally(t, "suite.rule", "k:a"); got != 2 {
		t.Errorf("two events, delivered five times, count %d", got)
	}
}

func statesSelfRace(t *testing.T, f *fixture) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := f.either(i)
			if _, err := s.Accept(ctx(t), f.event(1), counting("suite.rule", "*", "k:a")); err != nil {
				t.Errorf("Accept: %v", err)
			}
		})
	}
	wg.Wait()
	if got := f.tally(t, "suite.rule", "k:a"); got != 1 {
		t.Errorf("one event, delivered eight times at once, counts %d", got)
	}
}

// either is the store, or another process's view of it where there is one.
func (f *fixture) either(n int) router.Store {
	if f.another != nil && n%2 == 1 {
		return f.another
	}
	return f.Store
}

func statesRace(t *testing.T, f *fixture) {
	const n = 24
	var wg sync.WaitGroup
	reasons := make([]string, n)
	for i := range n {
		wg.Go(func() {
			rc, err := f.either(i).Accept(ctx(t), f.event(i), counting("suite.rule", "k:a"))
			if err != nil {
				t.Errorf("Accept: %v", err)
				return
			}
			if fs := f.firings(t, rc.ID); len(fs) == 1 {
				reasons[i] = fs[0].Reason
			}
		})
	}
	wg.Wait()
	if got := f.tally(t, "suite.rule", "k:a"); got != n {
		t.Errorf("%d events that race count %d", n, got)
	}
	slices.Sort(reasons)
	if len(slices.Compact(reasons)) != n || reasons[0] == "" {
		t.Errorf("the verdicts are %v, want each number once", reasons)
	}
}

func statesTogether(t *testing.T, f *fixture) {
	const n = 16
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := f.either(i).Accept(ctx(t), f.event(i), counting("suite.rule", "*", fmt.Sprint("k:", i%2), "t:x")); err != nil {
				t.Errorf("Accept: %v", err)
			}
		})
	}
	wg.Wait()
	for name, want := range map[string]int{"*": n, "k:0": n / 2, "k:1": n / 2, "t:x": n} {
		if got := f.tally(t, "suite.rule", name); got != want {
			t.Errorf("state %s counts %d, want %d", name, got, want)
		}
	}
}

func statesSuppress(t *testing.T, f *fixture) {
	v := stateful.Verdict{Status: hayate.FiringSuppressed, Reason: "cooldown until noon"}
	rc := f.acceptWith(t, 1, guarding("suite.rule", []string{"k:a"}, 10, func(have []json.RawMessage, _ bool) stateful.Outcome { return counted(have, v) }))
	if len(rc.Executions) != 0 {
		t.Errorf("a suppressed firing has executions %v", ids(rc.Executions))
	}
	p, err := f.Executions(ctx(t), router.Query{Limit: -1})
	if err != nil || p.Total != 0 {
		t.Errorf("%d executions are stored, error %v; want none", p.Total, err)
	}
	fs := f.firings(t, rc.ID)
	if len(fs) != 1 || fs[0].Status != v.Status || fs[0].Reason != v.Reason || len(fs[0].Executions) != 0 || len(fs[0].Parameters) != 1 {
		t.Errorf("firings are %+v, want one that is suppressed, with its parameters", fs)
	}
	if got := f.tally(t, "suite.rule", "k:a"); got != 1 {
		t.Errorf("the state counts %d, want 1", got)
	}
}

func statesNothing(t *testing.T, f *fixture) {
	rc := f.acceptWith(t, 1, guarding("suite.rule", []string{"k:a"}, 10, func([]json.RawMessage, bool) stateful.Outcome {
		return stateful.Outcome{Verdict: stateful.Verdict{Nothing: true}}
	}))
	if fs := f.firings(t, rc.ID); len(fs) != 0 || len(rc.Executions) != 0 {
		t.Errorf("firings are %+v, executions %v; want none", fs, ids(rc.Executions))
	}
	found, err := f.Check(ctx(t))
	if err != nil || len(found) != 0 {
		t.Errorf("Check found %q, error %v", found, err)
	}
}

func statesStay(t *testing.T, f *fixture) {
	f.acceptWith(t, 1, counting("suite.rule", "k:a"))
	f.acceptWith(t, 2, guarding("suite.rule", []string{"k:a"}, 10, func([]json.RawMessage, bool) stateful.Outcome {
		return stateful.Outcome{Verdict: stateful.Verdict{Status: hayate.FiringFailed, Reason: "no"}}
	}))
	if got := f.tally(t, "suite.rule", "k:a"); got != 1 {
		t.Errorf("the state counts %d, want 1: the second decision changes none", got)
	}
}

func statesAgain(t *testing.T, f *fixture) {
	rounds := 0
	rc := f.acceptWith(t, 1, func(c context.Context, e *hayate.Event) (router.Decision, error) {
		rounds++
		mine := rounds
		return guarding("suite.rule", []string{"k:a"}, 10, func(have []json.RawMessage, _ bool) stateful.Outcome {
			if mine < 3 {
				return stateful.Outcome{Again: true}
			}
			return counted(have, stateful.Verdict{})
		})(c, e)
	})
	if rounds != 3 || len(rc.Executions) != 1 {
		t.Errorf("decided %d times with %d executions, want three and one", rounds, len(rc.Executions))
	}
	if got := f.tally(t, "suite.rule", "k:a"); got != 1 {
		t.Errorf("the state counts %d, want 1", got)
	}
}

func statesForEver(t *testing.T, f *fixture) {
	_, err := f.Accept(ctx(t), f.event(1), guarding("suite.rule", []string{"k:a"}, 10, func([]json.RawMessage, bool) stateful.Outcome {
		return stateful.Outcome{Again: true}
	}))
	if !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("Accept returned %v, want busy", err)
	}
}

func statesFull(t *testing.T, f *fixture) {
	seen := map[string]bool{}
	for i, name := range []string{"k:a", "k:b", "k:c", "k:a"} {
		f.acceptWith(t, i, guarding("suite.rule", []string{name}, 2, func(have []json.RawMessage, full bool) stateful.Outcome {
			if full {
				seen[name] = true
				return stateful.Outcome{Verdict: stateful.Verdict{Status: hayate.FiringFailed, Reason: "full"}}
			}
			return counted(have, stateful.Verdict{})
		}))
	}
	if len(seen) != 1 || !seen["k:c"] {
		t.Errorf("full was said for %v, want the third of two only", seen)
	}
	if a, c := f.tally(t, "suite.rule", "k:a"), f.tally(t, "suite.rule", "k:c"); a != 2 || c != 0 {
		t.Errorf("states count %d and %d, want 2 and 0", a, c)
	}
}

func statesRemoved(t *testing.T, f *fixture) {
	f.acceptWith(t, 1, counting("suite.rule", "*", "k:a"))
	f.acceptWith(t, 2, guarding("suite.rule", []string{"*", "k:a"}, 10, func([]json.RawMessage, bool) stateful.Outcome {
		return stateful.Outcome{States: make([]stateful.State, 2)}
	}))
	p, err := f.States(ctx(t), router.StateQuery{Limit: -1})
	if err != nil || p.Total != 0 || len(p.Items) != 0 {
		t.Errorf("States gave %d of %d, error %v; want none", len(p.Items), p.Total, err)
	}
	f.acceptWith(t, 3, counting("suite.rule", "*", "k:a"))
	if got := f.tally(t, "suite.rule", "k:a"); got != 1 {
		t.Errorf("the state counts %d after it was removed, want 1", got)
	}
}

// remember stores one state.
func (f *fixture) remember(t *testing.T, n int, rule hayate.Ref, name string, wake, expires time.Time) {
	t.Helper()
	f.acceptWith(t, n, guarding(rule, []string{name}, 100, func([]json.RawMessage, bool) stateful.Outcome {
		return stateful.Outcome{States: []stateful.State{{Body: json.RawMessage(`{}`), Wake: wake, Expires: expires}}}
	}))
}

func (f *fixture) names(t *testing.T, q router.StateQuery, want ...string) {
	t.Helper()
	p, err := f.States(ctx(t), q)
	if err != nil {
		t.Fatalf("States: %v", err)
	}
	var got []string
	for _, s := range p.Items {
		got = append(got, string(s.Rule)+" "+s.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("States of %+v are %q, want %q", q, got, want)
	}
}

func statesDue(t *testing.T, f *fixture) {
	f.remember(t, 1, "suite.a", "k:1", after(50), time.Time{})
	f.remember(t, 2, "suite.a", "k:2", time.Time{}, time.Time{})
	f.remember(t, 3, "suite.b", "k:3", after(40), time.Time{})
	f.remember(t, 4, "suite.b", "k:4", after(60), time.Time{})
	f.names(t, router.StateQuery{DueBy: after(39), Limit: 10})
	f.names(t, router.StateQuery{DueBy: after(50), Limit: 10}, "suite.b k:3", "suite.a k:1")
	f.names(t, router.StateQuery{DueBy: after(90), Limit: 2}, "suite.b k:3", "suite.a k:1")
	f.remember(t, 5, "suite.b", "k:3", time.Time{}, time.Time{})
	f.names(t, router.StateQuery{DueBy: after(90), Limit: 10}, "suite.a k:1", "suite.b k:4")
}

func statesListed(t *testing.T, f *fixture) {
	for i, name := range []string{"k:c", "*", "k:a", "k:b"} {
		f.remember(t, i, "suite.b", name, time.Time{}, time.Time{})
	}
	f.remember(t, 9, "suite.a", "k:z", time.Time{}, time.Time{})
	f.names(t, router.StateQuery{Limit: -1}, "suite.a k:z", "suite.b *", "suite.b k:a", "suite.b k:b", "suite.b k:c")
	f.names(t, router.StateQuery{Rule: "suite.b", Limit: 2, Offset: 1}, "suite.b k:a", "suite.b k:b")
	f.names(t, router.StateQuery{Names: []string{"k:z", "k:a"}, Limit: -1}, "suite.a k:z", "suite.b k:a")
	if p, err := f.States(ctx(t), router.StateQuery{Rule: "suite.b"}); err != nil || p.Total != 4 || len(p.Items) != 0 {
		t.Errorf("without a limit there are %d of %d, error %v; want none of 4", len(p.Items), p.Total, err)
	}
	if p, err := f.States(ctx(t), router.StateQuery{Rule: "suite.b", Limit: 2, Offset: 1}); err != nil || p.Total != 4 {
		t.Errorf("total is %d, error %v; want 4", p.Total, err)
	}
}

func (f *fixture) forget(t *testing.T, q router.StateQuery, want int) {
	t.Helper()
	if n, err := f.ForgetStates(ctx(t), q); err != nil || n != want {
		t.Errorf("ForgetStates of %+v says %d, error %v; want %d", q, n, err, want)
	}
}

func statesForget(t *testing.T, f *fixture) {
	for i := range 4 {
		f.acceptWith(t, i, counting("suite.a", fmt.Sprint("k:", i)))
	}
	f.acceptWith(t, 9, counting("suite.b", "k:0"))
	f.forget(t, router.StateQuery{Rule: "suite.a", Names: []string{"k:1", "k:nowhere"}}, 1)
	f.names(t, router.StateQuery{Rule: "suite.a", Limit: -1}, "suite.a k:0", "suite.a k:2", "suite.a k:3")
	f.forget(t, router.StateQuery{Rule: "suite.a", Names: []string{"k:1"}}, 0)
	f.forget(t, router.StateQuery{Rule: "suite.a", Limit: 2}, 2)
	f.forget(t, router.StateQuery{Rule: "suite.a"}, 1)
	f.names(t, router.StateQuery{Limit: -1}, "suite.b k:0")
	f.acceptWith(t, 10, counting("suite.a", "k:1"))
	if got := f.tally(t, "suite.a", "k:1"); got != 1 {
		t.Errorf("a forgotten state counts %d, want 1", got)
	}
}

func statesExpire(t *testing.T, f *fixture) {
	f.remember(t, 1, "suite.a", "k:1", time.Time{}, after(50))
	f.remember(t, 2, "suite.a", "k:2", time.Time{}, time.Time{})
	f.remember(t, 3, "suite.a", "k:3", time.Time{}, after(60))
	f.forget(t, router.StateQuery{ExpiredBy: after(49), Limit: 10}, 0)
	f.forget(t, router.StateQuery{ExpiredBy: after(50), Limit: 10}, 1)
	f.names(t, router.StateQuery{Limit: -1}, "suite.a k:2", "suite.a k:3")
}

func statesReopen(t *testing.T, f *fixture) {
	if f.reopen == nil {
		t.Skip("nothing is left of this store when it is closed")
	}
	f.acceptWith(t, 1, counting("suite.rule", "*", "k:a"))
	f.remember(t, 2, "suite.other", "k:x", after(30), after(90))
	before, err := f.States(ctx(t), router.StateQuery{Limit: -1})
	if err != nil {
		t.Fatalf("States: %v", err)
	}
	f.Store = f.reopen(t)
	got, err := f.States(ctx(t), router.StateQuery{Limit: -1})
	if err != nil {
		t.Fatalf("States: %v", err)
	}
	same(t, "states", got, before)
	f.acceptWith(t, 3, counting("suite.rule", "*", "k:a"))
	if n := f.tally(t, "suite.rule", "k:a"); n != 2 {
		t.Errorf("the state counts %d after a restart, want 2", n)
	}
}

func statesSeveral(t *testing.T, f *fixture) {
	both := func(c context.Context, e *hayate.Event) (router.Decision, error) {
		var d router.Decision
		for _, rule := range []hayate.Ref{"suite.a", "suite.b"} {
			one, err := counting(rule, "k:x")(c, e)
			if err != nil {
				return d, err
			}
			if rule == "suite.b" {
				one.Guarded[0].Decide = func(have []json.RawMessage, _ bool) stateful.Outcome {
					return counted(have, stateful.Verdict{Status: hayate.FiringNoted, Reason: "noted"})
				}
			}
			d.Firings, d.Executions, d.Guarded = append(d.Firings, one.Firings...), append(d.Executions, one.Executions...), append(d.Guarded, one.Guarded...)
		}
		return d, nil
	}
	rc := f.acceptWith(t, 1, both)
	if len(rc.Executions) != 1 || rc.Executions[0].Rule != "suite.a" {
		t.Errorf("executions are %v, want one of the first rule", ids(rc.Executions))
	}
	fs := f.firings(t, rc.ID)
	if len(fs) != 2 {
		t.Fatalf("there are %d firings, want 2", len(fs))
	}
	for _, x := range fs {
		if want := map[hayate.Ref]hayate.FiringStatus{"suite.a": hayate.FiringSucceeded, "suite.b": hayate.FiringNoted}[x.Rule]; x.Status != want {
			t.Errorf("the firing of %s is %s, want %s", x.Rule, x.Status, want)
		}
	}
}

func statesClosed(t *testing.T, f *fixture) {
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := f.States(ctx(t), router.StateQuery{Limit: 1}); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("States after Close returned %v, want busy", err)
	}
	if _, err := f.ForgetStates(ctx(t), router.StateQuery{Rule: "suite.rule"}); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("ForgetStates after Close returned %v, want busy", err)
	}
}
