package chain_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/chain"
	"github.com/hayate-run/hayate/workflows/flow"
)

const backup = `
vars:
  dir: "/backup/{{ host }}"
  keep: 3
chain:
  - name: dump
    ref: core.local
    params:
      cmd: "dump {{ host }}"
      opts: {dir: "{{ dir }}", keep: [1, 2]}
      n: 5
    publish:
      file: "{{ dump.stdout }}"
    on-success: copy
    on-failure: tidy
  - name: copy
    ref: core.local
    parameters: {cmd: "cp {{ file }} {{ keep }} {{ st2kv.system.target }} {{ action_context.parent.user }}"}
    on-failure: tidy
  - name: tidy
    ref: core.local
    params: {cmd: "rm {{ __results.dump.stdout }}"}
`

// world steps a run, rebuilding it before every step.
type world struct {
	t       *testing.T
	def     *chain.Definition
	run     *chain.Run
	head    json.RawMessage
	entries map[string]json.RawMessage
	start   *flow.Start
	end     *flow.Command
	status  hayate.Status
}

func newWorld(t *testing.T, text string) *world {
	t.Helper()
	def, problems := chain.Parse([]byte(text), "d", flow.Options{})
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	return &world{t: t, def: def, run: chain.New(def, "r"), entries: map[string]json.RawMessage{}}
}

func (w *world) tell(f flow.Fact) {
	w.t.Helper()
	if w.head != nil {
		r, err := chain.Load(w.def, "r", w.head, w.entries)
		if err != nil {
			w.t.Fatal(err)
		}
		w.run = r
	}
	f.At = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d, commands, err := w.run.Step(f)
	if need, ok := err.(*flow.Need); ok {
		f.Values = map[flow.Lookup]flow.Value{}
		for _, l := range need.Lookups {
			f.Values[l] = flow.Value{Value: "<" + l.Key + ">", Found: true}
		}
		d, commands, err = w.run.Step(f)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if d.Head != nil {
		w.head = d.Head
	}
	maps.Copy(w.entries, d.Entries)
	w.start = nil
	for i := range commands {
		switch commands[i].Kind {
		case flow.StartChild:
			w.start = &commands[i].Start
		case flow.Finish:
			w.end = &commands[i]
		}
	}
	w.status = w.run.Status()
}

func (w *world) begin() {
	w.t.Helper()
	w.tell(flow.Fact{Kind: flow.Started, Inputs: json.RawMessage(`{"host":"db1"}`), Context: json.RawMessage(`{"parent":{"user":"ann"}}`)})
}

func (w *world) child(status hayate.Status, result string) {
	w.t.Helper()
	s := w.start
	if s == nil {
		w.t.Fatalf("no task runs, the chain is %s", w.status)
	}
	w.tell(flow.Fact{Kind: flow.ChildChanged, Child: flow.Child{ID: "c", Task: s.Task, Entry: s.Entry, Item: -1, Status: status, Result: json.RawMessage(result)}})
	if w.start == nil && !status.Completed() {
		w.start = s
	}
}

func (w *world) wantStart(task, input string) {
	w.t.Helper()
	if w.start == nil || w.start.Task != task || string(w.start.Input) != input {
		w.t.Errorf("starts %+v, want %s with %s", w.start, task, input)
	}
}

func TestChainGoesAlongSuccess(t *testing.T) {
	w := newWorld(t, backup)
	w.begin()
	w.wantStart("dump", `{"cmd":"dump db1","opts":{"dir":"/backup/db1","keep":[1,2]},"n":5}`)
	w.child(hayate.StatusSucceeded, `{"stdout":"f.sql"}`)
	w.wantStart("copy", `{"cmd":"cp f.sql 3 <system.target> ann"}`)
	w.child(hayate.StatusSucceeded, `1`)
	if w.end == nil || w.end.Status != hayate.StatusSucceeded {
		t.Fatalf("ended %+v", w.end)
	}
	var out struct {
		Tasks []struct {
			Name, State, ExecutionID string
			Result                   any
		}
		Published map[string]any
	}
	if err := json.Unmarshal(w.end.Output, &out); err != nil || len(out.Tasks) != 2 || out.Published["file"] != "f.sql" {
		t.Errorf("output %s: %v", w.end.Output, err)
	}
}

func TestChainGoesAlongFailureAndTakesTheLastStatus(t *testing.T) {
	w := newWorld(t, backup)
	w.begin()
	w.child(hayate.StatusFailed, `{"stdout":"half"}`)
	w.wantStart("tidy", `{"cmd":"rm half"}`)
	w.child(hayate.StatusTimeout, `null`)
	if w.end == nil || w.end.Status != hayate.StatusTimeout {
		t.Errorf("ended %+v", w.end)
	}
}

func TestChainFailsWhereItCannotRender(t *testing.T) {
	w := newWorld(t, "chain:\n  - {name: a, ref: core.noop, params: {x: \"{{ nobody }}\"}}\n")
	w.begin()
	if w.end == nil || w.end.Status != hayate.StatusFailed || !strings.Contains(string(w.end.Output), "'nobody' is undefined") {
		t.Errorf("ended %+v", w.end)
	}
	w = newWorld(t, "chain:\n  - {name: a, ref: core.noop, publish: {x: \"{{ nobody }}\"}}\n")
	w.begin()
	w.child(hayate.StatusSucceeded, "1")
	if w.end == nil || w.end.Status != hayate.StatusFailed || strings.Contains(string(w.end.Output), "tasks") {
		t.Errorf("ended %+v: %s", w.end, w.end.Output)
	}
}

func TestChainPausesResumesAndCancels(t *testing.T) {
	w := newWorld(t, backup)
	w.begin()
	run := w.start
	w.tell(flow.Fact{Kind: flow.PauseAsked})
	w.start = run
	w.child(hayate.StatusSucceeded, `{"stdout":"f"}`)
	if w.status != hayate.StatusPaused || w.start != nil {
		t.Fatalf("status %s", w.status)
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	w.wantStart("copy", `{"cmd":"cp f 3 <system.target> ann"}`)
	w.child(hayate.StatusPending, "null")
	if w.status != hayate.StatusPaused {
		t.Errorf("status %s while a task waits for a person", w.status)
	}
	w.tell(flow.Fact{Kind: flow.CancelAsked})
	w.start = &flow.Start{Task: "copy", Entry: 1}
	w.child(hayate.StatusCanceled, "null")
	if w.end == nil || w.end.Status != hayate.StatusCanceled {
		t.Errorf("ended %+v", w.end)
	}
}

func TestParseReportsEverything(t *testing.T) {
	_, problems := chain.Parse([]byte(`default: nowhere
other: 1
chain:
  - {name: a, ref: core.noop, on-success: gone}
  - {name: a, ref: core.noop, params: {}, parameters: {x: "{{"}}
  - {ref: x}
`), "", flow.Options{})
	var all []string
	for _, p := range problems {
		all = append(all, p.Message)
		if p.Line == 0 {
			t.Errorf("%q has no place", p.Message)
		}
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{`unknown key "other"`, `"gone"`, `"nowhere"`, "another task", "both", "name must be a text"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

// TestCorpusChains reads the chains of real packs.
func TestCorpusChains(t *testing.T) {
	dir := sharedtest.Corpus(t)
	files, _ := filepath.Glob(filepath.Join(dir, "packs/*/actions/*.yaml"))
	if len(files) == 0 {
		t.Skipf("no packs in %s", dir)
	}
	n, ok := 0, 0
	for _, file := range files {
		meta, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root, _ := yamldoc.Parse(meta, yamldoc.Options{})
		if root.Get("runner_type").Text() != "action-chain" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(file), root.Get("entry_point").Text()))
		if err != nil {
			continue
		}
		if strings.HasSuffix(file, "_failure.meta.yaml") {
			continue // these are meant to be refused
		}
		n++
		if _, problems := chain.Parse(text, "", flow.Options{}); len(problems) == 0 {
			ok++
		} else {
			t.Logf("%s: %+v", file, problems)
		}
	}
	t.Logf("%d chains, %d read without problems", n, ok)
	if ok < n {
		t.Errorf("%d chains cannot be read", n-ok)
	}
}
