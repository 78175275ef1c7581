package simulate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/simulate"
)

func parse(t testing.TB, text string, o workflows.Options) *workflows.Definition {
	t.Helper()
	def, problems := workflows.Parse(workflows.Detect([]byte(text)), "test.yaml", []byte(text), o)
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	return def
}

// The same remedy in the three dialects.
var remedies = map[string]string{
	workflows.Orquesta: `
version: 1.0
input: [host]
output: [{log: <% ctx(log) %>}]
tasks:
  check:
    action: x.check host=<% ctx(host) %>
    next:
      - {when: <% succeeded() %>, publish: [{log: <% result().out %>}], do: close}
      - {when: <% failed() %>, publish: [{log: down}], do: restart}
  restart:
    action: x.restart
    delay: 30
    next: [{when: <% succeeded() %>, do: close}]
  close: {action: x.close}
`,
	workflows.Mistral: `
version: '2.0'
x.remedy:
  input: [host]
  output: {log: <% $.log %>}
  tasks:
    check:
      action: x.check host=<% $.host %>
      publish: {log: <% task(check).result.out %>}
      publish-on-error: {log: down}
      on-success: close
      on-error: restart
    restart: {action: x.restart, wait-before: 30, on-success: close}
    close: {action: x.close}
`,
	workflows.ActionChain: `
chain:
  - {name: check, ref: x.check, params: {host: "{{ host }}"}, on-success: close, on-failure: restart}
  - {name: restart, ref: x.restart, on-success: close}
  - {name: close, ref: x.close}
`,
}

func TestAllDialectsTellTheSameStory(t *testing.T) {
	t.Parallel()
	for dialect, text := range remedies {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			r, err := simulate.Run(parse(t, text, workflows.Options{}), simulate.Plan{Inputs: json.RawMessage(`{"host":"web1"}`),
				Outcomes: []simulate.Outcome{{Task: "check", Status: hayate.StatusFailed, Takes: 2 * time.Second}, {Task: "nowhere"}}})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, x := range r.Tasks {
				names = append(names, x.Name)
			}
			if got := strings.Join(names, " "); got != "check restart close" || r.Status != hayate.StatusSucceeded {
				t.Errorf("it ran %s and %s", got, r.Status)
			}
			want := 32 * time.Second
			if dialect == workflows.ActionChain {
				want = 2 * time.Second // a chain knows no delay
			} else if string(r.Output) != `{"log":"down"}` {
				t.Errorf("output %s", r.Output)
			}
			if r.Took != want {
				t.Errorf("it took %s, want %s", r.Took, want)
			}
			check := r.Tasks[0]
			if got := string(check.Tries[0].Input); got != `{"host":"web1"}` || check.Tries[0].Assumed || !r.Tasks[1].Tries[0].Assumed {
				t.Errorf("tries %+v", check.Tries)
			}
			ways := map[string]string{}
			for _, w := range check.Transitions {
				ways[w.To] = string(w.Verdict)
			}
			if ways["restart"] != "taken" || ways["close"] == "taken" || len(ways) != 2 {
				t.Errorf("transitions %v", ways)
			}
			if fmt.Sprint(r.Unused) != "[nowhere]" {
				t.Errorf("unused %v", r.Unused)
			}
		})
	}
}

func TestRetriesAndLimitsPassAtOnce(t *testing.T) {
	t.Parallel()
	def := parse(t, `
version: '2.0'
w:
  tasks:
    a: {action: x.a, retry: {count: 5, delay: 60}, on-success: b}
    b: {action: x.b, timeout: 3600, on-error: c}
    c: {pause-before: true, action: x.c, wait-after: 10}
`, workflows.Options{})
	r, err := simulate.Run(def, simulate.Plan{Outcomes: []simulate.Outcome{
		{Task: "a", Status: hayate.StatusFailed, Times: 2}, {Task: "a"}, {Task: "b", Takes: 24 * time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := 2*time.Minute + time.Hour + 10*time.Second; r.Status != hayate.StatusSucceeded || r.Took != want || len(r.Pauses) != 1 || len(r.Tasks[0].Tries) != 3 {
		t.Errorf("%s after %s (want %s), pauses %v, %d tries", r.Status, r.Took, want, r.Pauses, len(r.Tasks[0].Tries))
	}
	r, err = simulate.Run(def, simulate.Plan{StayPaused: true, Outcomes: []simulate.Outcome{{Task: "b", Status: hayate.StatusFailed}}})
	if err != nil || r.Status != hayate.StatusPaused {
		t.Errorf("%s, %v; it shall stay paused", r.Status, err)
	}
}

func TestALoopWithoutEndIsStopped(t *testing.T) {
	t.Parallel()
	for dialect, text := range map[string]string{
		"orquesta": "version: 1.0\ntasks:\n  s: {action: x.s, next: [{do: a}]}\n  a: {action: x.a, next: [{do: b}]}\n  b: {action: x.b, next: [{do: a}]}\n",
		"mistral":  "version: '2.0'\nw: {tasks: {s: {action: x.s, on-success: a}, a: {action: x.a, on-success: b}, b: {action: x.b, on-success: a}}}\n",
		"chain":    "chain:\n  - {name: a, ref: x.a, on-success: b}\n  - {name: b, ref: x.b, on-success: a}\n",
	} {
		r, err := simulate.Run(parse(t, text, workflows.Options{MaxEntries: 100}), simulate.Plan{})
		if err != nil || r.Status != hayate.StatusFailed || !strings.Contains(string(r.Errors), "stopped") && !strings.Contains(string(r.Errors), "not allowed") {
			t.Errorf("%s: %s %s %v", dialect, r.Status, r.Errors, err)
		}
		if n := len(r.Tasks); n < 90 || n > 200 {
			t.Errorf("%s: stopped after %d tasks, the bound is 100", dialect, n)
		}
	}
}

func TestTheBoundOfARunIsTheStated(t *testing.T) {
	t.Parallel()
	def := parse(t, "version: 1.0\ntasks:\n  s: {action: x.s, next: [{do: a}]}\n  a: {action: x.a, next: [{do: b}]}\n  b: {action: x.b, next: [{do: a}]}\n", workflows.Options{})
	r, err := simulate.Run(def, simulate.Plan{})
	if err != nil || r.Status != hayate.StatusFailed || !strings.Contains(string(r.Errors), "more than the 100000 allowed") {
		t.Errorf("%s %s %v", r.Status, r.Errors, err)
	}
}

func TestDatastoreValuesAreGiven(t *testing.T) {
	t.Parallel()
	def := parse(t, "version: 1.0\ntasks:\n  a: {action: x.a v=<% st2kv('system.color') %>}\n", workflows.Options{})
	r, err := simulate.Run(def, simulate.Plan{Context: json.RawMessage(`{"st2":{"user":"ann"}}`), Datastore: map[string]string{"system.color": "red"}})
	if err != nil || r.Status != hayate.StatusSucceeded || string(r.Tasks[0].Tries[0].Input) != `{"v":"red"}` {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	_, err := simulate.Run(parse(t, remedies[workflows.Orquesta], workflows.Options{}), simulate.Plan{Outcomes: []simulate.Outcome{{Task: "check", Status: "running"}}})
	if !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
}

const rehearsal = `
workflow: w.yaml
inputs: {n: 2}
expected_task_sequence: [a, b, c, d]
expected_workflow_status: failed
expected_errors:
  - {type: error, message: Execution failed. See result for details., task_id: d, result: broken}
mock_action_executions:
  - {task_id: b, status: succeeded, result: 7}
  - {task_id: d, status: failed, result_path: why.txt}
expected_output: {seen: 7}
`

// a and b run side by side; c follows a at once, d follows b.
const rehearsed = `
version: 1.0
input: [n]
output: [{seen: <% ctx(seen) %>}]
tasks:
  a: {action: x.a, next: [{do: d}]}
  b: {action: x.b, next: [{publish: [{seen: <% result() %>}], do: c}]}
  c: {action: x.c}
  d: {action: x.d}
`

func TestRehearsalsOfStackStorm(t *testing.T) {
	t.Parallel()
	open := func(path string) ([]byte, error) {
		if path != "why.txt" {
			return nil, fmt.Errorf("there is no %s", path)
		}
		return []byte("broken"), nil
	}
	s, diags := simulate.ReadSuite([]byte(rehearsal), open)
	if len(diags) > 0 || s.Workflow != "w.yaml" || !s.Rehearsal {
		t.Fatalf("%+v %v", s, diags)
	}
	def := parse(t, rehearsed, workflows.Options{Rehearse: true})
	r, err := simulate.Run(def, s.Cases[0].Plan)
	if err != nil {
		t.Fatal(err)
	}
	if ds := s.Cases[0].Expect.Check(&r); len(ds) > 0 {
		t.Errorf("differences: %s", strings.Join(ds, "; "))
	}
	wrong := s.Cases[0].Expect
	wrong.Tasks, wrong.Routes, wrong.Status, wrong.Output = []string{"a", "b", "d", "c"}, [][]string{{}, {"a__t0"}}, hayate.StatusSucceeded, json.RawMessage(`{"seen":8}`)
	if ds := wrong.Check(&r); len(ds) != 4 {
		t.Errorf("%d differences, want 4: %s", len(ds), strings.Join(ds, "; "))
	}
}

// TestRehearsalsOfItsRepository runs the rehearsals that StackStorm ships, where
// HAYATE_REHEARSALS names a folder with them.
func TestRehearsalsOfItsRepository(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("HAYATE_REHEARSALS")
	files, err := filepath.Glob(filepath.Join(dir, "tests", "*.yaml"))
	if err != nil || dir == "" || len(files) == 0 {
		t.Skip("HAYATE_REHEARSALS names no folder with rehearsals")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, diags := simulate.ReadSuite(text, os.ReadFile)
		if len(diags) > 0 {
			t.Errorf("%s: %v", file, diags)
			continue
		}
		wf, err := os.ReadFile(filepath.Join(dir, s.Workflow))
		if err != nil {
			t.Fatal(err)
		}
		r, err := simulate.Run(parse(t, string(wf), workflows.Options{Rehearse: true}), s.Cases[0].Plan)
		if err != nil {
			t.Fatal(err)
		}
		ds := s.Cases[0].Expect.Check(&r)
		if failure := strings.Contains(file, "failure"); failure != (len(ds) > 0) {
			t.Errorf("%s: differences %v", file, ds)
		}
	}
}

func TestMistakesInCasesHaveTheirPlace(t *testing.T) {
	t.Parallel()
	_, diags := simulate.ReadSuite([]byte(`workflow: w.yaml
cases:
  - name: one
    inptus: {}
    results:
      a: {status: fine}
      b: {takes: long}
    expect: {tasks: a}
`), nil)
	var got []string
	for _, d := range diags {
		got = append(got, fmt.Sprintf("%d: %s", d.Line, d.Message))
	}
	for _, want := range []string{`4: unknown key "inptus", did you mean "inputs"?`, `6: unknown status "fine"`, `7: "long" is no duration`, `8: want a list`} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q is missing in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func ExampleRun() {
	text := []byte(remedies[workflows.Orquesta])
	def, _ := workflows.Parse(workflows.Orquesta, "remedy.yaml", text, workflows.Options{})
	outcomes, diags := simulate.ReadOutcomes([]byte("check: {status: failed}\nrestart: {takes: 5s}\n"), nil)
	if yamldoc.HasErrors(diags) {
		fmt.Println(diags)
		return
	}
	r, err := simulate.Run(def, simulate.Plan{Inputs: json.RawMessage(`{"host":"web1"}`), Outcomes: outcomes})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Status, "after", r.Took, string(r.Output))
	for _, t := range r.Tasks {
		for _, w := range t.Transitions {
			fmt.Println(t.Name, "→", w.To, w.Verdict)
		}
	}
	// Output:
	// succeeded after 35s {"log":"down"}
	// check → close refused
	// check → restart taken
	// restart → close taken
}

func FuzzReadSuite(f *testing.F) {
	f.Add([]byte(rehearsal))
	f.Add([]byte("workflow: w\ncases: [{results: {a: [failed, {items: {0: failed}}]}}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		none := func(string) ([]byte, error) { return nil, errors.New("none") }
		if s, ds := simulate.ReadSuite(text, none); !yamldoc.HasErrors(ds) && s.Workflow == "" {
			t.Errorf("no workflow and no mistake: %q", text)
		}
	})
}
