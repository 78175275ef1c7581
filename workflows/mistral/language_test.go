package mistral_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/flow"
	"github.com/hayate-run/hayate/workflows/mistral"
)

// The statements of the language, one a case: what is written, which tasks fail, and
// what comes of it.
var statements = []struct {
	name    string
	tasks   string // of a workflow without input or output; else a whole document
	inputs  string
	fail    string // names of tasks that fail
	status  hayate.Status
	output  string
	started string
}{
	// Tasks.
	{"a task with neither action nor workflow does nothing", "    a: {on-success: b}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "b"},
	{"inline parameters are the input", "    a:\n      action: x.a n=1 s='t u' l=[1,2] e=<% 1 + 1 %>\n", "", "", "succeeded", "", "a"},
	{"names may have hyphens", "    a-b: {action: x.a, on-success: c-d}\n    c-d: {action: x.b}\n", "", "", "succeeded", "{}", "a-b c-d"},
	{"std.noop and std.fail run nothing", "    a: {action: std.noop, on-success: b}\n    b: {action: std.fail, on-error: c}\n    c: {action: x.c}\n", "", "", "succeeded", "{}", "c"},
	{"std.echo gives its output", "    a: {action: std.echo output='hi', publish: {o: <% task(a).result %>}}\n", "", "", "succeeded", `{"o":"hi"}`, ""},

	// Input, vars, output.
	{"an input has a default, which what is given replaces", "version: '2.0'\nw:\n  input: [a, {b: 2}]\n  output: {s: \"<% $.a + $.b %>\"}\n  tasks: {t: {action: x.t}}\n",
		`{"a":1,"b":5}`, "", "succeeded", `{"s":6}`, "t"},
	{"vars see the input", "version: '2.0'\nw:\n  input: [a]\n  vars: {v: \"<% $.a * 2 %>\"}\n  output: {v: <% $.v %>}\n  tasks: {t: {action: x.t}}\n", `{"a":4}`, "", "succeeded", `{"v":8}`, "t"},
	{"what is published hides vars, which hide input", "version: '2.0'\nw:\n  input: [{x: in}]\n  vars: {x: var}\n  output: {x: <% $.x %>}\n  tasks: {t: {action: x.t, publish: {x: pub}}}\n",
		"", "", "succeeded", `{"x":"pub"}`, "t"},
	{"without an output all that was published is one", "    a: {action: x.a, publish: {p: 1}, on-success: b}\n    b: {action: x.b, publish: {q: 2}}\n", "", "", "succeeded", `{"p":1,"q":2}`, "a b"},
	{"output-on-error is the output of a failure", "version: '2.0'\nw:\n  output: {o: good}\n  output-on-error: {o: bad}\n  tasks: {t: {action: x.t}}\n", "", "t", "failed", `{"o":"bad"}`, "t"},
	{"an output that cannot be evaluated fails the workflow", "version: '2.0'\nw:\n  output: {o: <% $.nothing.at.all %>}\n  tasks: {t: {action: x.t}}\n", "", "", "failed", "", "t"},

	// Publish.
	{"entries are published together, not one after the other", "    a: {action: x.a, publish: {v: 1}, on-success: b}\n    b: {action: x.b, publish: {v: 2, w: <% $.v %>}}\n", "", "", "succeeded", `{"v":2,"w":1}`, "a b"},
	{"conditions see what was just published", "    a: {action: x.a, publish: {v: 3}, on-success: [{b: <% $.v = 3 %>}, {c: <% $.v = 4 %>}]}\n    b: {action: x.b}\n    c: {action: x.c}\n", "", "", "succeeded", `{"v":3}`, "a b"},
	{"publish is for success, publish-on-error for failure", "    a: {action: x.a, publish: {v: ok}, publish-on-error: {v: bad}, on-error: b}\n    b: {action: x.b}\n", "", "a", "succeeded", `{"v":"bad"}`, "a b"},
	{"a result is text as it is, never evaluated again", "    a: {action: std.echo output=\"<% '<' + '% 1 %' + '>' %>\", publish: {v: <% task(a).result %>}}\n", "", "", "succeeded", "{\"v\":\"\\u003c% 1 %\\u003e\"}", ""},
	{"a clause may publish for its branch and for all", "    a: {action: x.a, on-success: {publish: {branch: {v: 1}, global: {g: 2}}, next: [b]}}\n    b: {action: x.b, publish: {w: \"<% $.v + $.g + global(g) %>\"}}\n",
		"", "", "succeeded", `{"v":1,"w":5}`, "a b"},
	{"keep-result: false forgets the result, not what was published", "    a: {action: x.a, keep-result: false, publish: {o: <% task(a).result.n %>}, on-success: b}\n    b: {action: x.b, publish: {r: <% task(a).result %>}}\n",
		"", "", "succeeded", `{"o":1,"r":null}`, "a b"},

	// Clauses.
	{"on-complete follows either way", "    a: {action: x.a, on-complete: b}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "a b"},
	{"on-complete does not handle an error", "    a: {action: x.a, on-complete: b}\n    b: {action: x.b}\n", "", "a", "failed", "{}", "a b"},
	{"on-error handles it", "    a: {action: x.a, on-error: b}\n    b: {action: x.b}\n", "", "a", "succeeded", "{}", "a b"},
	{"an error clause of which nothing holds does not", "    a: {action: x.a, on-error: [{b: <% false %>}]}\n    b: {action: x.b}\n", "", "a", "failed", "{}", "a"},
	{"the command noop handles an error", "    a: {action: x.a, on-error: noop}\n", "", "a", "succeeded", "{}", "a"},
	{"on-success comes before on-complete", "    a: {action: x.a, on-complete: c, on-success: b}\n    b: {action: x.b}\n    c: {action: x.c}\n", "", "", "succeeded", "{}", "a b c"},
	{"a clause may be a name", "    a: {action: x.a, on-success: b}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "a b"},
	{"other branches go on after an error", "    a: {action: x.a}\n    b: {action: x.b, on-success: c}\n    c: {action: x.c}\n", "", "a", "failed", "{}", "a b c"},
	{"a task reached by two branches without a join runs twice", "    a: {action: x.a, on-success: c}\n    b: {action: x.b, on-success: c}\n    c: {action: x.c}\n", "", "", "succeeded", "{}", "a b c c"},

	// Commands.
	{"fail ends the workflow at once", "    a: {action: x.a, on-success: [fail, b]}\n    b: {action: x.b}\n", "", "", "failed", "{}", "a"},
	{"fail takes a message in either form", "    a: {action: x.a, on-success: [\"fail(msg='no <% 1 %>')\"]}\n", "", "", "failed", "{}", "a"},
	{"succeed ends it too", "    a: {action: x.a, on-success: [succeed, b]}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "a"},
	{"a command may have a condition", "    a: {action: x.a, on-success: [{fail: <% false %>}, b]}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "a b"},

	// Joins.
	{"join all fails as soon as one branch cannot come", "    a: {action: x.a, on-success: j}\n    b: {action: x.b, on-success: j, on-error: c}\n    c: {action: x.c}\n    j: {join: all, action: x.j}\n", "", "b", "failed", "{}", "a b c"},
	{"a failed join may be handled", "    a: {action: x.a, on-success: j, on-error: noop}\n    b: {action: x.b, on-success: j}\n    j: {join: all, action: x.j, on-error: k}\n    k: {action: x.k}\n", "", "a", "succeeded", "{}", "a b k"},
	{"join one runs once", "    a: {action: x.a, on-success: j}\n    b: {action: x.b, on-success: j}\n    j: {join: one, action: x.j}\n", "", "", "succeeded", "{}", "a b j"},
	{"join 2 of 3 runs once two came", "    a: {action: x.a, on-success: j}\n    b: {action: x.b, on-success: j, on-error: noop}\n    c: {action: x.c, on-success: j}\n    j: {join: 2, action: x.j}\n", "", "b", "succeeded", "{}", "a b c j"},
	{"join 2 of 3 fails where fewer can come", "    a: {action: x.a, on-success: j, on-error: noop}\n    b: {action: x.b, on-success: j, on-error: noop}\n    c: {action: x.c, on-success: j}\n    j: {join: 2, action: x.j}\n", "", "a b", "failed", "{}", "a b c"},
	{"later branches win at a join, variable by variable", "    a: {action: x.a, publish: {m: {p: 1}, n: 1}, on-success: j}\n    b: {action: x.b, publish: {m: {q: 2}}, on-success: j}\n    j: {join: all, action: x.j}\n", "", "", "succeeded", `{"m":{"q":2},"n":1}`, "a b j"},

	// Items.
	{"no items succeed with an empty list", "    a: {with-items: \"i in <% [] %>\", action: x.a, publish: {r: <% task(a).result %>}}\n", "", "", "succeeded", `{"r":[]}`, ""},
	{"lists of items must be as long as each other", "    a: {with-items: [\"i in <% [1,2] %>\", \"j in <% [1] %>\"], action: x.a}\n", "", "", "failed", "{}", ""},
	{"what is no list fails the task", "    a: {with-items: i in <% 7 %>, action: x.a, on-error: b}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "b"},
	{"an item that fails lets the others finish", "    a: {with-items: \"i in [1, 2, 3]\", action: x.a, on-error: b}\n    b: {action: x.b}\n", "", "a", "succeeded", "{}", "a a a b"},
	{"a workflow runs for each item", "version: '2.0'\nname: p.w\nworkflows:\n  main: {tasks: {a: {with-items: \"i in [1, 2]\", workflow: sub n=<% $.i %>, publish: {r: <% task(a).result.o %>}}}}\n  sub: {input: [n], output: {o: \"<% $.n * 10 %>\"}, tasks: {s: {action: x.s}}}\n",
		"", "", "succeeded", `{"r":[10,20]}`, "s s"},

	// Policies.
	{"retry tries again as often as it says", "    a: {action: x.a, retry: {count: 2, delay: 1}}\n", "", "a", "failed", "{}", "a a a"},
	{"break-on ends the tries", "    a: {action: x.a, retry: {count: 5, delay: 1, break-on: \"<% task(a).result.stderr = 'no' %>\"}}\n", "", "a", "failed", "{}", "a"},
	{"continue-on repeats a success", "    a: {action: x.a, retry: {count: 2, delay: 1, continue-on: <% true %>}}\n", "", "", "succeeded", "{}", "a a a"},
	{"a retry may be one line", "    a: {action: x.a, retry: count=1 delay=2 break-on=<% false %>}\n", "", "a", "failed", "{}", "a a"},
	{"fail-on makes an error of a success", "    a: {action: x.a, fail-on: <% task(a).result.n = 1 %>, on-error: b}\n    b: {action: x.b}\n", "", "", "succeeded", "{}", "a b"},
	{"wait-before and wait-after may be expressions", "    a: {action: x.a, wait-before: <% 1 + 1 %>, wait-after: 1, publish: {v: 1}, on-success: b}\n    b: {action: x.b}\n", "", "", "succeeded", `{"v":1}`, "a b"},
	{"pause-before: false does not pause", "    a: {action: x.a, pause-before: false}\n", "", "", "succeeded", "{}", "a"},

	// Defaults.
	{"task-defaults apply where a task says nothing", "version: '2.0'\nw:\n  task-defaults: {on-error: [r], retry: {count: 1, delay: 1}}\n  tasks: {a: {action: x.a}, b: {action: x.b, on-error: noop}, r: {action: x.r}}\n", "", "a b", "succeeded", "", "a b a r b"},
	{"a task does not follow itself by default", "version: '2.0'\nw:\n  task-defaults: {on-error: [r]}\n  tasks: {a: {action: x.a}, r: {action: x.r}}\n", "", "a r", "failed", "{}", "a r"},

	// Workbooks.
	{"a workflow is called by its name or its full name", "version: '2.0'\nname: p.w\nworkflows:\n  main: {tasks: {a: {workflow: p.w.sub, on-success: b}, b: {workflow: sub}}}\n  sub: {tasks: {s: {action: x.s}}}\n", "", "", "succeeded", "{}", "s s"},
	{"a sub-workflow that fails fails its task", "version: '2.0'\nname: p.w\nworkflows:\n  main: {tasks: {a: {workflow: sub, on-error: b}, b: {action: x.b}}}\n  sub: {tasks: {s: {action: x.s}}}\n", "", "s", "succeeded", "{}", "s b"},
	{"inline parameters of a workflow go over its input", "version: '2.0'\nname: p.w\nworkflows:\n  main: {tasks: {a: {workflow: sub n=2, input: {n: 1, m: 3}, publish: {r: <% task(a).result.o %>}}}}\n  sub: {input: [n, m], output: {o: \"<% $.n * 10 + $.m %>\"}, tasks: {s: {}}}\n",
		"", "", "succeeded", `{"r":23}`, ""},
	{"inline parameters of another action do not", "    a: {action: x.a n=2, input: {n: 1}}\n", "", "", "succeeded", "{}", "a"},

	// Expressions.
	{"task() is the current task, task(name) the newest of that name", "    a: {action: x.a, publish: {s: <% task().name %>, n: <% task(nobody) %>, st: <% task(a).state %>, k: \"{{ task('a').type }}\"}}\n", "", "", "succeeded", `{"k":"ACTION","n":null,"s":"a","st":"SUCCESS"}`, "a"},
	{"$ and _ are the context, in text each expression is its Python text", "    a: {action: x.a, publish: {l: \"{{ _.nix | default('d') }}\", t: \"n=<% null %> b=<% true %> l=<% [1, 'a'] %>\"}}\n", "", "", "succeeded", `{"l":"d","t":"n=None b=True l=[1, 'a']"}`, "a"},
	{"env() tells of the execution", "    a: {action: x.a, publish: {e: <% env().st2_execution_id %>, x: <% execution().id %>}}\n", "", "", "succeeded", `{"e":"r","x":"r"}`, "a"},
	{"StackStorm's functions are there", "    a: {action: x.a, publish: {j: \"<% json_dump([1]) %>\", p: \"<% json_parse('[2]') %>\", h: <% to_human_time_from_seconds(61) %>, q: \"<% jsonpath_query(json_parse('{\\\"a\\\": 5}'), 'a') %>\", v: \"<% version_compare('1.0.0', '2.0.0') %>\", n: <% use_none(null) %>}}\n",
		"", "", "succeeded", `{"h":"1m1s","j":"[1]","n":"%*****__%NONE%__*****%","p":[2],"q":[5],"v":-1}`, "a"},

	// Reverse.
	{"a reverse workflow fails with any of its tasks", "version: '2.0'\nw: {type: reverse, tasks: {a: {action: x.a}, b: {action: x.b, requires: a}}}\n", "", "a", "failed", "{}", "a"},
}

func TestStatementsOfTheLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range statements {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := c.tasks
			if !strings.HasPrefix(text, "version") {
				text = workflow(text)
			}
			w := newWorld(t, text)
			w.perform = failing(strings.Fields(c.fail)...)
			inputs := c.inputs
			if inputs == "" {
				inputs = "{}"
			}
			w.start(inputs).drain().want(c.status, c.output)
			if got := strings.Join(w.started, " "); got != c.started {
				t.Errorf("started %q, want %q", got, c.started)
			}
		})
	}
}

func TestInputsOfActions(t *testing.T) {
	t.Parallel()
	for tasks, want := range map[string]string{
		"    a:\n      action: x.a n=1 s='t u' l=[1,2] e=<% 1 + 1 %> b=true\n": `{"n":1,"s":"t u","l":[1,2],"e":2,"b":true}`,
		"    a: {action: x.a n=2, input: {n: 1}}\n":                            `{"n":1}`,
		"    a: {action: std.http url='http://h/' verify=false}\n":             `{"url":"http://h/","verify_ssl_cert":false}`,
		"    a: {action: <% 'x.a' %>, input: <% dict(k => 1) %>}\n":            `{"k":1}`,
	} {
		w := newWorld(t, workflow(tasks)).start("{}")
		if len(w.waiting) != 1 || string(w.waiting[0].Input) != want {
			t.Errorf("%s gives %+v, want %s", tasks, w.waiting, want)
		}
	}
}

func TestHTTPIsThatOfCore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, workflow("    a: {action: std.http url=http://h/, publish: {s: <% task(a).result.status %>, c: <% task(a).result.content %>}}\n"))
	w.perform = func(s flow.Start) (hayate.Status, string) {
		if s.Action != "core.http" {
			t.Errorf("action %s", s.Action)
		}
		return hayate.StatusSucceeded, `{"status_code":200,"body":"hi","headers":{},"parsed":false}`
	}
	w.start("{}").drain().want(hayate.StatusSucceeded, `{"c":"hi","s":200}`)
}

func TestPauseHoldsWhatFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, workflow("    a: {action: x.a, on-success: [b, pause, c, fail]}\n    b: {action: x.b}\n    c: {action: x.c}\n")).start("{}")
	w.one()
	if w.run.Status() != hayate.StatusPaused {
		t.Fatalf("status %s after the command pause", w.run.Status())
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	w.drain().want(hayate.StatusFailed, "{}")
	if got := strings.Join(w.started, " "); got != "a b" && got != "a" {
		t.Errorf("started %s: fail ends the workflow once it is resumed", got)
	}
	w = newWorld(t, workflow("    a: {action: x.a, on-success: [pause, b]}\n    b: {action: x.b}\n")).start("{}")
	w.one()
	if w.run.Status() != hayate.StatusPaused || len(w.waiting) != 0 {
		t.Fatalf("status %s, waiting %v", w.run.Status(), w.waiting)
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	w.drain().want(hayate.StatusSucceeded, "{}")
	if got := strings.Join(w.started, " "); got != "a b" {
		t.Errorf("started %s", got)
	}
}

func TestTimeLimitsNameThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, workflow("    a: {action: x.a, timeout: 7}\n")).start("{}")
	if len(w.timers) != 1 || w.timers[0].After != 7*time.Second {
		t.Fatalf("timers %+v", w.timers)
	}
	w.tell(flow.Fact{Kind: flow.TimerDue, Timer: w.timers[0].Timer})
	w.want(hayate.StatusFailed, "{}")
	if !strings.Contains(string(w.end.Output), "Task timed out [timeout(s)=7].") {
		t.Errorf("output %s", w.end.Output)
	}
}

func TestConcurrencyMayBeAnExpression(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"2", "<% 1 + 1 %>", `"{{ 2 }}"`} {
		w := newWorld(t, workflow("    a: {with-items: \"i in [1,2,3,4]\", concurrency: "+c+", action: x.a}\n")).start("{}")
		if len(w.waiting) != 2 {
			t.Errorf("concurrency %s: %d run at once", c, len(w.waiting))
		}
		w.drain().want(hayate.StatusSucceeded, "{}")
	}
}

func TestTheTargetOfAReverseWorkflow(t *testing.T) {
	t.Parallel()
	text := []byte("version: '2.0'\nw: {type: reverse, tasks: {a: {action: x.a}, b: {action: x.b, requires: a}, c: {action: x.c, requires: [a]}, d: {action: x.d}}}\n")
	def, problems := mistral.Parse(text, "d", flow.Options{Target: "b"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	w := &world{t: t, def: def, run: mistral.New(def, "r"), entries: map[string]json.RawMessage{}, seen: map[string]bool{},
		perform: func(flow.Start) (hayate.Status, string) { return hayate.StatusSucceeded, "null" }}
	w.start("{}").drain().want(hayate.StatusSucceeded, "{}")
	if got := strings.Join(w.started, " "); got != "a b" {
		t.Errorf("started %s, want what b requires, and b", got)
	}
	if _, problems := mistral.Parse(text, "d", flow.Options{Target: "x"}); len(problems) != 1 {
		t.Errorf("problems %v", problems)
	}
}

func TestAWorkflowOfAWorkbookIsChosen(t *testing.T) {
	t.Parallel()
	text := []byte("version: '2.0'\nname: p.w\nworkflows: {one: {tasks: {a: {action: x.one}}}, two: {tasks: {a: {action: x.two}}}}\n")
	for _, name := range []string{"two", "p.w.two"} {
		def, problems := mistral.Parse(text, "d", flow.Options{Workflow: name})
		if len(problems) > 0 || def.Graph().Nodes[0].Action != "x.two" {
			t.Errorf("%s: %v", name, problems)
		}
	}
	_, problems := mistral.Parse(text, "d", flow.Options{})
	if len(problems) != 1 || problems[0].Message != "Workbook definition is detected. Default workflow cannot be determined." {
		t.Errorf("problems %v", problems)
	}
}

// The result has StackStorm's shape: the output, and beside it the tasks and the state.
func TestResultShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t, workflow("    a: {action: x.a k=1, publish: {v: 2}}\n")).start("{}").drain()
	var out struct {
		V     int
		Tasks []map[string]any
		Extra map[string]any
	}
	if err := json.Unmarshal(w.end.Output, &out); err != nil {
		t.Fatal(err)
	}
	if out.V != 2 || len(out.Tasks) != 1 || out.Extra["state"] != "SUCCESS" {
		t.Fatalf("output %s", w.end.Output)
	}
	for _, key := range []string{"id", "name", "workflow_execution_id", "workflow_name", "created_at", "updated_at", "state", "state_info", "input", "published", "result"} {
		if _, ok := out.Tasks[0][key]; !ok {
			t.Errorf("a task has no %s", key)
		}
	}
	if in, _ := out.Tasks[0]["input"].(map[string]any); in["k"] != 1.0 {
		t.Errorf("input %v", out.Tasks[0]["input"])
	}
}
