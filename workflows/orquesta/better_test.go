package orquesta

import (
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/flow"
)

// The tests of this file are about what StackStorm gets wrong:
// docs/reference/orquesta-differences.md.

func TestEachTurnOfALoopWaitsForItsOwnBranches(t *testing.T) {
	w := newWorld(t, parse(t, `
version: 1.0
vars: [{n: 0}]
tasks:
  lead: {action: core.noop, next: [{do: l}]}
  l: {action: core.noop, next: [{publish: [{n: <% ctx(n) + 1 %>}], do: [b, w]}]}
  b: {action: core.noop, next: [{do: j}]}
  w: {action: core.noop, next: [{do: y}]}
  y: {action: core.noop, next: [{do: j}]}
  j: {join: all, action: core.noop, next: [{when: <% ctx(n) < 3 %>, do: l}]}
output: [{n: <% ctx(n) %>}]
`)).start("{}").drain(100, nil)
	if end := w.ended(); end.Status != succeeded || string(end.Output) != `{"n":3}` || len(w.run.seq) != 16 {
		t.Errorf("ended %s with %s after %d tasks, want 16", end.Status, end.Output, len(w.run.seq))
	}
}

func TestWhatFollowsCleanupBesideFailRuns(t *testing.T) {
	w := newWorld(t, parse(t, `
version: 1.0
tasks:
  a: {action: core.noop, next: [{when: <% failed() %>, do: [clean, fail]}]}
  clean: {action: core.noop, next: [{do: tell}]}
  tell: {action: core.noop}
`))
	w.perform = func(s flow.Start) (hayate.Status, string) {
		if s.Task == "a" {
			return failed, "null"
		}
		return succeeded, "null"
	}
	w.start("{}").drain(10, nil)
	if w.ended().Status != failed || len(w.started) != 3 {
		t.Errorf("ended %s, started %v", w.ended().Status, w.started)
	}
}

func TestOutputSeesABranchThatEndedEarlier(t *testing.T) {
	w := newWorld(t, parse(t, `
version: 1.0
tasks:
  a: {action: core.noop, next: [{publish: [{x: 1}], do: a2}]}
  a2: {action: core.noop, next: [{when: <% failed() %>, do: b2}]}
  b: {action: core.noop, next: [{do: c}]}
  c: {action: core.noop}
  b2: {action: core.noop}
output: [{x: <% ctx(x) %>}]
`)).start("{}").drain(10, func(int) int { return 0 })
	if end := w.ended(); end.Status != succeeded || string(end.Output) != `{"x":1}` {
		t.Errorf("ended %s with %s, errors %s", end.Status, end.Output, end.Errors)
	}
}

func TestRerunLeavesNothingOfTheFirstRun(t *testing.T) {
	w := newWorld(t, parse(t, `
version: 1.0
tasks:
  a: {action: core.noop, next: [{publish: [{a: <% result() %>}], do: b}]}
  b: {action: core.noop, next: [{publish: [{b: <% result() %>}], do: c}]}
  c: {action: core.noop, next: [{publish: [{old: <% result() %>}], do: d}]}
  d: {action: core.noop, next: [{publish: [{d: 1}]}]}
output: [{all: <% ctx() %>}]
`))
	round := "1"
	w.perform = func(s flow.Start) (hayate.Status, string) { return succeeded, round }
	w.start("{}").drain(10, nil)
	round, w.finish = "2", nil
	w.tell(flow.Fact{Kind: flow.RerunAsked, Tasks: []flow.Rerun{{Task: "a"}}})
	w.drain(10, nil)
	if got := string(w.ended().Output); got != `{"all":{"a":2,"b":2,"old":2,"d":1}}` {
		t.Errorf("output %s", got)
	}
}

func TestRerunOfItemsRunsThoseThatFailed(t *testing.T) {
	text := "version: 1.0\ntasks:\n  a:\n    with: <% [1, 2, 3].select($) %>\n    action: core.noop x=<% item() %>\n    next: [{when: <% succeeded() %>, publish: [{r: <% result() %>}]}]\noutput: [{r: <% ctx().get(r) %>}]\n"
	for _, c := range []struct {
		reset bool
		want  int
	}{{false, 4}, {true, 6}} {
		w := newWorld(t, parse(t, text))
		w.reload = true
		ok := false
		w.perform = func(s flow.Start) (hayate.Status, string) {
			if s.Item == 1 && !ok {
				return failed, "0"
			}
			return succeeded, string(s.Input)
		}
		w.start("{}").drain(10, nil)
		if w.ended().Status != failed {
			t.Fatalf("ended %s", w.ended().Status)
		}
		ok, w.finish = true, nil
		w.tell(flow.Fact{Kind: flow.RerunAsked, Tasks: []flow.Rerun{{Task: "a", ResetItems: c.reset}}})
		w.drain(10, nil)
		if end := w.ended(); string(end.Output) != `{"r":[{"x":1},{"x":2},{"x":3}]}` || len(w.started) != c.want {
			t.Errorf("reset %v: ended with %s after %d starts, want %d", c.reset, end.Output, len(w.started), c.want)
		}
	}
}

func TestResultsAreEvaluatedOnlyOnRequest(t *testing.T) {
	text := "version: 1.0\ninput: [i]\ntasks:\n  a: {action: core.noop, next: [{publish: [{r: <% result() %>}, {j: \"{{ result() }}\"}]}]}\noutput: [{r: <% ctx(r) %>}, {j: <% ctx(j) %>}, {i: <% ctx(i) %>}]\n"
	for reevaluate, want := range map[bool]string{
		false: `{"r":"<% 1 + 1 %>","j":"<% 1 + 1 %>","i":"<% 2 + 2 %>"}`,
		true:  `{"r":2,"j":2,"i":4}`,
	} {
		def, problems := Parse([]byte(text), "x", flow.Options{Reevaluate: reevaluate})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		w := newWorld(t, def)
		w.perform = func(flow.Start) (hayate.Status, string) { return succeeded, `"<% 1 + 1 %>"` }
		if got := string(w.start(`{"i":"<% 2 + 2 %>"}`).drain(5, nil).ended().Output); got != want {
			t.Errorf("reevaluate %v: %s, want %s", reevaluate, got, want)
		}
	}
}

func TestLateArrivalDoesNotStartARunningJoinAgain(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.noop, next: [{do: j}]}\n  b: {action: core.noop, next: [{do: j}]}\n  j: {join: 1, action: core.noop}\n")).start("{}")
	w.drain(2, nil) // a, b
	if len(w.waiting) != 1 {
		t.Errorf("%d children run, want the join once", len(w.waiting))
	}
	w.drain(5, nil)
	if w.ended().Status != succeeded {
		t.Errorf("ended %s", w.ended().Status)
	}
}

func TestBranchesDoNotSeeEachOthersMaps(t *testing.T) {
	w := newWorld(t, parse(t, `
version: 1.0
vars: [{m: {base: 1}}]
tasks:
  a: {action: core.noop, next: [{publish: [{m: {a: 1}}], do: a2}]}
  b: {action: core.noop, next: [{do: b2}]}
  a2: {action: core.echo message=<% ctx(m) %>}
  b2: {action: core.echo message=<% ctx(m) %>}
`)).start("{}").drain(2, nil)
	var inputs []string
	for _, s := range w.waiting {
		inputs = append(inputs, string(s.Input))
	}
	if got := strings.Join(inputs, " "); got != `{"message":{"base":1,"a":1}} {"message":{"base":1}}` {
		t.Errorf("inputs %s", got)
	}
}

func TestRetryThatCannotBeDecidedFailsTheWorkflow(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.noop, retry: {count: 2, when: <% result().nothing %>}}\n")).start("{}").drain(5, nil)
	if end := w.ended(); end.Status != failed || !strings.Contains(string(end.Errors), "#property#nothing") {
		t.Errorf("ended %s with %s", end.Status, end.Errors)
	}
	w = newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.noop, retry: {count: <% many %>}}\n")).start("{}")
	if end := w.ended(); end.Status != failed || !strings.Contains(string(end.Errors), "is not an integer") {
		t.Errorf("ended %s with %s", end.Status, end.Errors)
	}
}

func TestRetryWaitsAndCountsRuns(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.noop, delay: 9, retry: {count: 2, delay: 3}}\n"))
	var delays []string
	w.perform = func(s flow.Start) (hayate.Status, string) {
		delays = append(delays, s.Delay.String())
		return timeout, "null"
	}
	w.start("{}").drain(9, nil)
	if got := strings.Join(delays, " "); got != "9s 3s 3s" || w.ended().Status != failed {
		t.Errorf("delays %s, ended %s", got, w.ended().Status)
	}
}

func TestAnswerDoesNotWakeAPausedRun(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.ask, next: [{do: b}]}\n  b: {action: core.noop}\n")).start("{}")
	w.tell(childFact(w.waiting[0], pending, "null"))
	w.tell(flow.Fact{Kind: flow.PauseAsked})
	w.drain(1, nil)
	if w.run.Status() != paused || len(w.waiting) != 0 {
		t.Fatalf("the run is %s with %d children", w.run.Status(), len(w.waiting))
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	if w.drain(1, nil).ended().Status != succeeded {
		t.Errorf("ended %s", w.ended().Status)
	}
}

func TestContentsAreThoseOfTheRegistry(t *testing.T) {
	def := parse(t, "version: 1.0\ntasks:\n  a: {action: core.echo other=1}\n  b: {action: core.gone}\n  c: {action: echo}\n  d: {action: \"<% list(1) %>\"}\n  e: {action: core.echo message=1}\n  f: {action: core.echo, input: \"<% dict() %>\"}\n")
	var got []string
	for _, p := range def.Contents(func(ref string) (hayate.Parameters, bool) {
		return hayate.Parameters{{Name: "message", Required: true}, {Name: "style", Required: true, Default: []byte(`"x"`)}}, ref == "core.echo"
	}) {
		got = append(got, p.SpecPath+": "+p.Message)
	}
	want := `tasks.a.input: Action "core.echo" is missing required input "message".
tasks.a.input: Action "core.echo" has unexpected input "other".
tasks.b.action: The action "core.gone" is not registered in the database.
tasks.c.action: The action reference "echo" is not formatted correctly.`
	if strings.Join(got, "\n") != want {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
