package orquesta

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/workflows/flow"
)

// world performs what a run asks for, and keeps what it made durable.
type world struct {
	t       testing.TB
	def     *Definition
	run     *Run
	head    json.RawMessage
	entries map[string]json.RawMessage
	reload  bool // rebuild the run before every step
	waiting []flow.Start
	started map[string]int
	finish  []flow.Command
	at      time.Time
	steps   int
	bytes   int
	refused error // of the last fact
	// perform says what becomes of a child.
	perform func(s flow.Start) (hayate.Status, string)
}

func newWorld(t testing.TB, def *Definition) *world {
	return &world{t: t, def: def, run: New(def, "run"), entries: map[string]json.RawMessage{}, started: map[string]int{},
		at:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		perform: func(flow.Start) (hayate.Status, string) { return succeeded, "null" }}
}

func parse(t testing.TB, text string) *Definition {
	t.Helper()
	def, problems := Parse([]byte(text), "sha256:x", flow.Options{})
	if len(problems) > 0 {
		t.Fatalf("parse: %+v", problems)
	}
	return def
}

// tell tells the run a fact and does what it asks for.
func (w *world) tell(f flow.Fact) []flow.Command {
	w.t.Helper()
	if w.reload && w.head != nil {
		r, err := Load(w.def, w.head, w.entries)
		if err != nil {
			w.t.Fatalf("after %d steps: %v", w.steps, err)
		}
		r.SetID("run")
		w.run = r
	}
	w.at = w.at.Add(time.Second)
	f.At = w.at
	w.steps++
	d, commands, err := w.run.Step(f)
	if need, ok := err.(*flow.Need); ok {
		f.Values = map[flow.Lookup]flow.Value{}
		for _, l := range need.Lookups {
			f.Values[l] = flow.Value{Value: "kv", Found: true}
		}
		d, commands, err = w.run.Step(f)
	}
	if w.refused = err; err != nil && f.Kind != flow.RerunAsked {
		w.t.Fatalf("step %d: %v", w.steps, err)
	}
	if d.Empty() {
		return nil
	}
	w.head = d.Head
	w.bytes += len(d.Head)
	for k, v := range d.Entries {
		w.entries[k] = v
		w.bytes += len(v)
	}
	for _, c := range commands {
		switch c.Kind {
		case flow.StartChild:
			id := fmt.Sprintf("%s|%d|%d|%d|%d", c.Start.Task, c.Start.Route, c.Start.Entry, c.Start.Item, c.Start.Attempt)
			if w.started[id]++; w.started[id] > 1 {
				w.t.Fatalf("child %s was started twice", id)
			}
			w.waiting = append(w.waiting, c.Start)
		case flow.Finish:
			w.finish = append(w.finish, c)
		}
	}
	return commands
}

func (w *world) start(inputs string) *world {
	w.t.Helper()
	w.tell(flow.Fact{Kind: flow.Started, Inputs: json.RawMessage(inputs)})
	return w
}

func childFact(s flow.Start, status hayate.Status, result string) flow.Fact {
	return flow.Fact{Kind: flow.ChildChanged, Child: flow.Child{Task: s.Task, Route: s.Route, Entry: s.Entry, Item: s.Item,
		Attempt: s.Attempt, Status: status, Result: json.RawMessage(result)}}
}

// drain completes children, in the order that pick chooses, until none is left.
func (w *world) drain(limit int, pick func(n int) int) *world {
	w.t.Helper()
	for n := 0; len(w.waiting) > 0 && n < limit; n++ {
		i := 0
		if pick != nil {
			i = pick(len(w.waiting))
		}
		s := w.waiting[i]
		w.waiting[i] = w.waiting[0]
		w.waiting = w.waiting[1:]
		status, result := w.perform(s)
		w.tell(childFact(s, status, result))
	}
	return w
}

func (w *world) ended() flow.Command {
	w.t.Helper()
	if len(w.finish) != 1 {
		w.t.Fatalf("the run finished %d times, want once; status %s", len(w.finish), w.run.Status())
	}
	return w.finish[0]
}

func TestStepRunsAWorkflowToItsOutput(t *testing.T) {
	w := newWorld(t, parse(t, `
version: 1.0
input: [name, {greeting: hello}]
vars: [{n: 0}]
tasks:
  greet:
    action: core.echo message="<% ctx(greeting) %>, <% ctx(name) %>"
    next:
      - when: <% succeeded() %>
        publish: [{said: <% result().stdout %>}, {n: <% ctx(n) + 1 %>}]
        do: [a, b]
  a: {action: core.noop, next: [{do: both}]}
  b: {next: [{do: both}]}
  both:
    join: all
    action: core.noop
output: [{said: <% ctx(said) %>}, {n: <% ctx(n) %>}]
`))
	w.perform = func(s flow.Start) (hayate.Status, string) {
		if s.Task == "greet" {
			if string(s.Input) != `{"message":"hello, 世界"}` {
				t.Errorf("greet gets %s", s.Input)
			}
			return succeeded, `{"stdout":"hello, 世界"}`
		}
		return succeeded, "null"
	}
	end := w.start(`{"name":"世界"}`).drain(100, nil).ended()
	if end.Status != succeeded || string(end.Output) != `{"said":"hello, 世界","n":1}` || end.Errors != nil {
		t.Errorf("ended %s with %s, errors %s", end.Status, end.Output, end.Errors)
	}
}

func TestStepIgnoresWhatItKnows(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.noop, next: [{do: b}]}\n  b: {action: core.noop}\n")).start("{}")
	a := w.waiting[0]
	w.tell(childFact(a, running, "null"))
	w.tell(childFact(a, succeeded, `1`))
	head := string(w.head)
	for _, again := range []flow.Fact{childFact(a, succeeded, "1"), childFact(a, failed, "2"), childFact(a, running, ""),
		{Kind: flow.Started}, {Kind: flow.ResumeAsked}, {Kind: flow.TimerDue, Timer: "x"}} {
		if d, commands, err := w.run.Step(again); err != nil || !d.Empty() || len(commands) > 0 {
			t.Errorf("%+v gives %+v, %v, %v", again, d, commands, err)
		}
	}
	if string(w.head) != head || len(w.waiting) != 2 {
		t.Errorf("the run moved: %d children", len(w.waiting))
	}
}

func TestStepRefusesAndStaysAsItWas(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  a: {action: core.noop}\n")).start("{}")
	for _, bad := range []flow.Fact{{Kind: "other"}, {Kind: flow.RerunAsked},
		childFact(flow.Start{Task: "a", Entry: 9, Item: -1}, succeeded, "1"),
		childFact(flow.Start{Task: "b", Entry: 0, Item: -1}, succeeded, "1"),
		childFact(flow.Start{Task: "a", Entry: 0, Item: -1}, succeeded, "{")} {
		if _, _, err := w.run.Step(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if end := w.drain(10, nil).ended(); end.Status != succeeded {
		t.Errorf("ended %s", end.Status)
	}
}

func TestStepAsksForDatastoreValues(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\nvars: [{h: <% st2kv('system.host') %>}]\ntasks:\n  a: {action: core.noop}\noutput: [{h: <% ctx(h) %>}, {k: \"<% st2kv('system.none', default => 'x') %>\"}]\n"))
	fact := flow.Fact{Kind: flow.Started, Values: map[flow.Lookup]flow.Value{}}
	_, _, err := w.run.Step(fact)
	need, ok := err.(*flow.Need)
	if !ok || len(need.Lookups) != 1 || need.Lookups[0].Key != "system.host" {
		t.Fatalf("want a need, got %v", err)
	}
	if w.run.Status() != "" {
		t.Errorf("the run moved to %s", w.run.Status())
	}
	fact.Values[need.Lookups[0]] = flow.Value{Value: "web1", Found: true}
	w.tell(fact)
	last := childFact(w.waiting[0], succeeded, "null")
	if _, _, err = w.run.Step(last); err == nil || w.run.Status() != running {
		t.Fatalf("the output needs a value; status %s", w.run.Status())
	}
	last.Values = map[flow.Lookup]flow.Value{{Key: "system.none"}: {}}
	w.tell(last)
	if got := string(w.ended().Output); got != `{"h":"web1","k":"x"}` {
		t.Errorf("output %s", got)
	}
}

// TestStepPausesResumesAndCancels goes through what owners may ask.
func TestStepPausesResumesAndCancels(t *testing.T) {
	text := "version: 1.0\ntasks:\n  a: {action: core.noop, next: [{do: b}]}\n  b: {action: core.noop}\n"
	w := newWorld(t, parse(t, text)).start("{}")
	w.tell(flow.Fact{Kind: flow.PauseAsked})
	if w.run.Status() != pausing {
		t.Errorf("status %s after pause", w.run.Status())
	}
	w.drain(1, nil)
	if w.run.Status() != paused || len(w.waiting) != 0 {
		t.Errorf("status %s, %d children", w.run.Status(), len(w.waiting))
	}
	w.tell(flow.Fact{Kind: flow.ResumeAsked})
	if w.run.Status() != running || len(w.waiting) != 1 {
		t.Errorf("status %s, %d children", w.run.Status(), len(w.waiting))
	}
	w.tell(flow.Fact{Kind: flow.CancelAsked})
	w.perform = func(flow.Start) (hayate.Status, string) { return canceled, "null" }
	if end := w.drain(5, nil).ended(); end.Status != canceled {
		t.Errorf("ended %s", end.Status)
	}
	w = newWorld(t, parse(t, text)).start("{}")
	w.tell(childFact(w.waiting[0], pending, "null"))
	if w.run.Status() != paused {
		t.Errorf("status %s while a task waits for a person", w.run.Status())
	}
	if end := w.drain(5, nil).ended(); end.Status != succeeded {
		t.Errorf("ended %s after the answer", end.Status)
	}
}

func TestStepStopsALoopWithoutEnd(t *testing.T) {
	w := newWorld(t, parse(t, "version: 1.0\ntasks:\n  s: {next: [{do: a}]}\n  a: {next: [{do: b}]}\n  b: {next: [{do: a}]}\n")).start("{}")
	end := w.ended()
	if end.Status != failed || !strings.Contains(string(end.Errors), "a loop without end") {
		t.Errorf("ended %s with %s", end.Status, end.Errors)
	}
}

// TestConformanceStep runs every recorded workflow with chance results, once in
// memory and once rebuilt from its entries before every step: both must go the
// same way, and come to an end.
func TestConformanceStep(t *testing.T) {
	dir := filepath.Join(sharedtest.Conformance(t), "orquesta")
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	n := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := value.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		scenarios := listOf(get(doc, "scenarios"))
		if len(scenarios) == 0 {
			continue
		}
		def, _ := Parse([]byte(text(get(doc, "workflow"))), "x", flow.Options{Reevaluate: true})
		if def == nil {
			t.Errorf("%s does not parse", file)
			continue
		}
		inputs := string(appendValue(nil, get(scenarios[0], "inputs")))
		context := appendValue(nil, get(scenarios[0], "context"))
		for seed := range uint64(8) {
			n++
			plain, loaded := chanceRun(t, def, inputs, context, seed, false), chanceRun(t, def, inputs, context, seed, true)
			if got, want := show(exported(loaded.run)), show(exported(plain.run)); got != want {
				t.Errorf("%s, seed %d: rebuilt runs differ:\n%s\n%s", filepath.Base(file), seed, got, want)
			}
			if string(loaded.head) != string(plain.head) || !maps.EqualFunc(loaded.entries, plain.entries, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
				t.Errorf("%s, seed %d: rebuilt runs wrote other entries:\n%s\n%s", filepath.Base(file), seed, loaded.head, plain.head)
			}
		}
	}
	t.Logf("%d runs", n)
}

// chanceRun runs a workflow with results, pauses and reruns that a seed decides.
func chanceRun(t *testing.T, def *Definition, inputs string, context []byte, seed uint64, reload bool) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, def)
	w.reload = reload
	w.perform = func(s flow.Start) (hayate.Status, string) {
		switch rng.IntN(8) {
		case 0:
			return failed, `{"error":"x"}`
		case 1:
			return timeout, "null"
		}
		return succeeded, fmt.Sprintf(`{"code":200,"stdout":"%s.%d","value":[1,2.5]}`, s.Task, s.Item)
	}
	w.tell(flow.Fact{Kind: flow.Started, Inputs: json.RawMessage(inputs), Context: context})
	for round := 0; round < 3; round++ {
		for i := 0; len(w.waiting) > 0 && i < 60; i++ {
			switch rng.IntN(12) {
			case 0:
				w.tell(flow.Fact{Kind: flow.PauseAsked})
			case 1:
				w.tell(childFact(w.waiting[0], pending, "null"))
			}
			w.drain(1, rng.IntN)
			if rng.IntN(3) == 0 || w.run.Status() == paused {
				w.tell(flow.Fact{Kind: flow.ResumeAsked})
			}
		}
		if len(w.waiting) > 0 { // a loop that does not end by chance
			w.tell(flow.Fact{Kind: flow.CancelAsked})
			w.perform = func(flow.Start) (hayate.Status, string) { return canceled, "null" }
			w.drain(100, nil)
		}
		if !w.run.Status().Completed() {
			t.Errorf("seed %d: the run hangs, %s: %s", seed, w.run.Status(), w.head)
			return w
		}
		w.tell(flow.Fact{Kind: flow.RerunAsked})
		if w.refused != nil {
			break
		}
	}
	return w
}
