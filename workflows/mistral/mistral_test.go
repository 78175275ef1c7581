package mistral_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/flow"
	"github.com/hayate-run/hayate/workflows/mistral"
)

// world steps a run, rebuilding it before every step, and performs its children.
type world struct {
	t       *testing.T
	def     *mistral.Definition
	run     *mistral.Run
	head    json.RawMessage
	entries map[string]json.RawMessage
	waiting []flow.Start
	timers  []flow.Command
	started []string
	seen    map[string]bool
	end     *flow.Command
	perform func(s flow.Start) (hayate.Status, string)
}

func newWorld(t *testing.T, text string) *world {
	t.Helper()
	def, problems := mistral.Parse([]byte(text), "d", flow.Options{})
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	return &world{t: t, def: def, run: mistral.New(def, "r"), entries: map[string]json.RawMessage{}, seen: map[string]bool{},
		perform: func(flow.Start) (hayate.Status, string) { return hayate.StatusSucceeded, "null" }}
}

func (w *world) tell(f flow.Fact) {
	w.t.Helper()
	if w.head != nil {
		r, err := mistral.Load(w.def, "r", w.head, w.entries)
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Status() != w.run.Status() {
			w.t.Fatalf("rebuilt it is %s, was %s", r.Status(), w.run.Status())
		}
		w.run = r
	}
	f.At = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d, commands, err := w.run.Step(f)
	if err != nil {
		w.t.Fatal(err)
	}
	if d.Head != nil {
		w.head = d.Head
	}
	maps.Copy(w.entries, d.Entries)
	for i := range commands {
		switch c := commands[i]; c.Kind {
		case flow.StartChild:
			id := fmt.Sprint(c.Start.Task, c.Start.Entry, c.Start.Item, c.Start.Attempt)
			if w.seen[id] {
				w.t.Fatalf("child %s was started twice", id)
			}
			w.seen[id] = true
			w.waiting = append(w.waiting, c.Start)
			w.started = append(w.started, c.Start.Task)
		case flow.SetTimer:
			w.timers = append(w.timers, c)
		case flow.Finish:
			w.end = &commands[i]
		}
	}
}

func (w *world) start(inputs string) *world {
	w.t.Helper()
	w.tell(flow.Fact{Kind: flow.Started, Inputs: json.RawMessage(inputs)})
	return w
}

func (w *world) one() {
	w.t.Helper()
	s := w.waiting[0]
	w.waiting = w.waiting[1:]
	status, result := w.perform(s)
	w.tell(flow.Fact{Kind: flow.ChildChanged, Child: flow.Child{Task: s.Task, Entry: s.Entry, Item: s.Item, Attempt: s.Attempt, Status: status, Result: json.RawMessage(result)}})
}

// drain goes on until nothing is left to do but what waits for its owner.
func (w *world) drain() *world {
	w.t.Helper()
	for n := 0; n < 1000 && (len(w.waiting) > 0 || len(w.timers) > 0); n++ {
		if len(w.waiting) > 0 {
			w.one()
			continue
		}
		c := w.timers[0]
		w.timers = w.timers[1:]
		w.tell(flow.Fact{Kind: flow.TimerDue, Timer: c.Timer})
	}
	return w
}

// want checks how the run ended and, as far as it is given, its output.
func (w *world) want(status hayate.Status, output string) {
	w.t.Helper()
	if w.end == nil {
		w.t.Fatalf("the run has not ended, it is %s: %v", w.run.Status(), w.run.Tasks())
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(w.end.Output, &m); err != nil {
		w.t.Fatal(err)
	}
	extra := string(m["extra"])
	delete(m, "tasks")
	delete(m, "extra")
	got, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.end.Status != status || output != "" && string(got) != output {
		w.t.Errorf("ended %s with %s (%s), want %s with %s", w.end.Status, got, extra, status, output)
	}
}

func failing(names ...string) func(flow.Start) (hayate.Status, string) {
	return func(s flow.Start) (hayate.Status, string) {
		for _, n := range names {
			if s.Task == n {
				return hayate.StatusFailed, `{"stderr":"no"}`
			}
		}
		return hayate.StatusSucceeded, fmt.Sprintf(`{"stdout":"%s ok","n":1}`, s.Task)
	}
}

// remedy is a remediation as a canvas would write it, with coordinates in comments.
const remedy = `
version: '2.0'
# canvas: {"width": 900}
ops.remedy:
  type: direct
  input: [host, {service: httpd}]
  output:
    log: <% $.log %>
  output-on-error:
    failed: <% $.host %>
  task-defaults:
    on-error: [report]
  tasks:
    check:
      # [120, 40]
      action: core.remote cmd="systemctl status <% $.service %>" hosts=<% $.host %>
      publish: {log: "<% task(check).result.stdout %>"}
      publish-on-error: {log: was down}
      on-success: [close]
      on-error: [restart]
    restart:
      # [300, 40]
      action: core.remote
      input: {cmd: "systemctl restart {{ _.service }}", hosts: <% $.host %>}
      on-success: close
      on-complete: [audit]
    audit: {action: core.local cmd="logger x"}
    close: {action: nagios.ack}
    report: {action: slack.post text=<% $.log %>}
`

func TestRemediationGoesAllItsWays(t *testing.T) {
	for _, c := range []struct {
		name    string
		fail    []string
		status  hayate.Status
		output  string
		started string
	}{
		{"all is well", nil, hayate.StatusSucceeded, `{"log":"check ok"}`, "check close"},
		{"a restart helps", []string{"check"}, hayate.StatusSucceeded, `{"log":"was down"}`, "check restart close audit"},
		{"a restart fails", []string{"check", "restart"}, hayate.StatusSucceeded, `{"log":"was down"}`, "check restart report audit"},
		{"even the report fails", []string{"check", "restart", "report"}, hayate.StatusFailed, `{"failed":"web1"}`, "check restart report audit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, remedy)
			w.perform = failing(c.fail...)
			w.start(`{"host":"web1"}`)
			if got := string(w.waiting[0].Input); got != `{"cmd":"systemctl status httpd","hosts":"web1"}` {
				t.Errorf("check gets %s", got)
			}
			w.drain().want(c.status, c.output)
			if got := strings.Join(w.started, " "); got != c.started {
				t.Errorf("started %s, want %s", got, c.started)
			}
		})
	}
}

func workflow(tasks string) string {
	return "version: '2.0'\np.w:\n  tasks:\n" + tasks
}

func TestJoinRunsOnce(t *testing.T) {
	text := workflow(`
    a: {action: x.a, publish: {a: 1}, on-success: j}
    b: {action: x.b, publish: {b: 2}, on-success: j}
    j: {join: %s, action: x.j, publish: {j: "<% [$.get(a), $.get(b)] %>"}}
`)
	newWorld(t, strings.Replace(text, "%s", "all", 1)).start("{}").drain().want(hayate.StatusSucceeded, `{"a":1,"b":2,"j":[1,2]}`)
	w := newWorld(t, strings.Replace(text, "%s", "one", 1)).start("{}").drain()
	w.want(hayate.StatusSucceeded, "")
	if n := strings.Count(strings.Join(w.started, " "), "j"); n != 1 {
		t.Errorf("the join ran %d times", n)
	}
	w = newWorld(t, strings.Replace(text, "%s", "all", 1))
	w.perform = failing("b")
	w.start("{}").drain().want(hayate.StatusFailed, "{}")
}

func TestItemsConcurrencyAndRetry(t *testing.T) {
	w := newWorld(t, workflow(`
    each:
      with-items:
        - i in <% [1, 2, 3] %>
        - k in ["a", "b", "c"]
      concurrency: 2
      action: x.each v="<% $.i %><% $.k %>"
      publish: {all: <% task(each).result %>}
      retry: count=1 delay=5
`))
	tries := map[int]int{}
	w.perform = func(s flow.Start) (hayate.Status, string) {
		if tries[s.Item]++; s.Item == 1 && tries[1] == 1 {
			return hayate.StatusFailed, `"no"`
		}
		return hayate.StatusSucceeded, string(s.Input)
	}
	w.start("{}")
	if len(w.waiting) != 2 {
		t.Errorf("%d items run at once, want 2", len(w.waiting))
	}
	w.drain().want(hayate.StatusSucceeded, `{"all":[{"v":"1a"},{"v":"2b"},{"v":"3c"}]}`)
	if len(w.started) != 6 {
		t.Errorf("%d starts, want 6", len(w.started))
	}
}

func TestPoliciesWait(t *testing.T) {
	w := newWorld(t, workflow(`
    a: {action: x.a, wait-before: 2, wait-after: 3, on-success: b}
    b: {action: x.b, timeout: 4, on-error: c}
    c: {pause-before: true, action: x.c}
`)).start("{}")
	if len(w.timers) != 1 || w.timers[0].After != 2*time.Second || len(w.waiting) != 0 {
		t.Fatalf("timers %+v", w.timers)
	}
	before := w.timers[0]
	w.timers = nil
	w.tell(flow.Fact{Kind: flow.TimerDue, Timer: before.Timer})
	w.one()
	if len(w.timers) != 1 || w.timers[0].After != 3*time.Second {
		t.Fatalf("timers %+v", w.timers)
	}
	after := w.timers[0]
	w.timers = nil
	w.tell(flow.Fact{Kind: flow.TimerDue, Timer: after.Timer})
	if len(w.waiting) != 1 || len(w.timers) != 1 {
		t.Fatalf("b runs with its limit: %v %v", w.waiting, w.timers)
	}
	w.tell(flow.Fact{Kind: flow.TimerDue, Timer: w.timers[0].Timer})
	w.waiting, w.timers = nil, nil
	if w.run.Status() != hayate.StatusPaused {
		t.Fatalf("status %s before c", w.run.Status())
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	w.drain().want(hayate.StatusSucceeded, "{}")
}

func TestWorkbookRunsItsWorkflowsAndActions(t *testing.T) {
	w := newWorld(t, `
version: '2.0'
name: p.book
actions:
  shout: {base: core.echo, base-input: {message: "<% $.text.toUpper() %>!"}, input: [text], output: <% $.stdout %>}
workflows:
  main:
    input: [who]
    output: {said: <% $.said %>}
    tasks:
      call: {workflow: greet name=<% $.who %>, publish: {said: <% task(call).result.text %>}, on-success: [fail: <% $.said = "" %>]}
  greet:
    input: [name]
    output: {text: <% $.text %>}
    tasks:
      say: {action: shout text=<% $.name %>, publish: {text: <% task(say).result %>}}
`)
	w.perform = func(s flow.Start) (hayate.Status, string) {
		return hayate.StatusSucceeded, `{"stdout":` + string(s.Input) + `}`
	}
	w.start(`{"who":"ann"}`)
	if w.waiting[0].Action != "core.echo" {
		t.Errorf("action %s", w.waiting[0].Action)
	}
	w.drain().want(hayate.StatusSucceeded, `{"said":{"message":"ANN!"}}`)
}

func TestCommandsPauseCancelAndRerun(t *testing.T) {
	w := newWorld(t, workflow("    a: {action: x.a, on-success: [fail msg=\"stop <% $.a %>\", b], publish: {a: 7}}\n    b: {action: x.b}\n")).start("{}").drain()
	w.want(hayate.StatusFailed, "{}")
	if !strings.Contains(string(w.end.Output), `"state_info":"stop 7"`) {
		t.Errorf("output %s", w.end.Output)
	}
	two := workflow("    a: {action: x.a, on-success: b}\n    b: {action: x.b}\n")
	w = newWorld(t, two).start("{}")
	w.tell(flow.Fact{Kind: flow.PauseAsked})
	w.drain()
	if w.run.Status() != hayate.StatusPaused {
		t.Errorf("status %s", w.run.Status())
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	w.drain().want(hayate.StatusSucceeded, "{}")
	if got := strings.Join(w.started, " "); got != "a b" {
		t.Errorf("started %s once resumed", got)
	}
	w = newWorld(t, two).start("{}")
	w.tell(flow.Fact{Kind: flow.CancelAsked})
	w.perform = func(flow.Start) (hayate.Status, string) { return hayate.StatusCanceled, "null" }
	w.drain().want(hayate.StatusCanceled, "{}")
	w = newWorld(t, two)
	w.perform = failing("b")
	w.start("{}").drain().want(hayate.StatusFailed, "{}")
	w.perform = failing()
	w.end = nil
	w.tell(flow.Fact{Kind: flow.RerunAsked})
	w.drain().want(hayate.StatusSucceeded, "{}")
	if got := strings.Join(w.started, " "); got != "a b b" {
		t.Errorf("started %s", got)
	}
}

func TestReverseRunsWhatIsRequired(t *testing.T) {
	w := newWorld(t, "version: '2.0'\np.w:\n  type: reverse\n  tasks:\n    a: {action: x.a, publish: {a: 1}}\n    b: {action: x.b, requires: [a]}\n    c: {action: x.c, requires: [a, b]}\n").start("{}").drain()
	w.want(hayate.StatusSucceeded, `{"a":1}`)
	if got := strings.Join(w.started, " "); got != "a b c" {
		t.Errorf("started %s", got)
	}
}

func TestLoopWithoutEndIsStopped(t *testing.T) {
	newWorld(t, workflow("    s: {on-success: a}\n    a: {on-success: b}\n    b: {on-success: a}\n")).start("{}").want(hayate.StatusFailed, "{}")
}

func TestParseReportsProblems(t *testing.T) {
	for text, want := range map[string]string{
		"version: '1.0'\nw: {tasks: {a: {}}}\n":                                      "version must be",
		workflow("    a: {acton: x}\n"):                                              "unknown key \"acton\"",
		workflow("    a: {action: x, on-success: z}\n"):                              "which is not there",
		workflow("    a: {action: x, publish: {v: <% $. %>}}\n"):                     "unexpected",
		workflow("    a: {action: x, on-success: b}\n    b: {on-success: a}\n"):      "no task to start with",
		"version: '2.0'\nname: b\nworkflows: {x: {tasks: {a: }}, y: {tasks: {a: }}}": "cannot be determined",
	} {
		_, problems := mistral.Parse([]byte(text), "", flow.Options{})
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.Message, want)
		}
		if !found {
			t.Errorf("%q is missing in %+v", want, problems)
		}
	}
}
