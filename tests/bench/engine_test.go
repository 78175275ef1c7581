package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/noop"
)

// engine is hayate in this process, on a store of its own that is synced.
type engine struct {
	*router.Router
	store *embedded.Store
	dir   string
	steps *stepRunner
}

// stepRunner performs bench.step as the libraries beside perform theirs: a function
// of this process is called, and its result is recorded.
type stepRunner struct{ n atomic.Int64 }

func (*stepRunner) Describe() []hayate.Runner {
	return []hayate.Runner{{Name: "bench-step", Description: "Counts."}}
}

func (r *stepRunner) Run(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
	r.n.Add(1)
	return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`0`)}, nil
}

// newEngine starts a router whose only pack is bench: a rule on bench.event that runs
// core.noop, and the workloads as workflows.
func newEngine(t testing.TB) *engine {
	t.Helper()
	dir := t.TempDir()
	store, err := embedded.Open(embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	secrets, err := keyfile.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	steps := &stepRunner{}
	r, err := router.New(router.Config{Store: store, Queue: store.Queue(), Registry: store.Registry(), Datastore: store.Datastore(),
		Blobs: store.Blobs(), Secrets: secrets, SoleOwner: true, Runners: []router.Runner{noop.New(), steps},
		RunnerTypes: []hayate.Runner{{Name: "orquesta", Description: "Runs an Orquesta workflow."}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := r.Load(ctx, content()); err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(run, time.Minute) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &engine{Router: r, store: store, dir: dir, steps: steps}
}

func content() router.Content {
	c := router.Content{
		Actions: []hayate.Action{{Pack: "core", Name: "noop", Runner: "noop", Enabled: true},
			{Pack: "bench", Name: "step", Runner: "bench-step", Enabled: true, Idempotent: true}},
		Workflows: map[hayate.Ref][]byte{},
		Rules: []hayate.Rule{
			{Pack: "bench", Name: "noop", Enabled: true, Trigger: hayate.Trigger{Type: "bench.event"}, Actions: []hayate.RuleAction{{Ref: "core.noop"}}},
			{Pack: "bench", Name: "step", Enabled: true, Trigger: hayate.Trigger{Type: "bench.step"}, Actions: []hayate.RuleAction{{Ref: "bench.step"}}},
		},
	}
	for name, text := range map[string]string{"W1": sequence(5), "W2": sequence(1), "W3": fan(100), "W4": sequence(1000), "loop": loop, "items": items} {
		a := hayate.Action{Pack: "bench", Name: name, Runner: "orquesta", Enabled: true, EntryPoint: "workflows/" + name + ".yaml"}
		for _, p := range []string{"turns", "count"} {
			if strings.Contains(text, "input: ["+p+"]") {
				a.Parameters = append(a.Parameters, hayate.Parameter{Name: p, Type: "integer", Required: true, Schema: json.RawMessage(`{"type": "integer"}`)})
			}
		}
		c.Actions = append(c.Actions, a)
		c.Workflows[a.Ref()] = []byte(text)
	}
	return c
}

// sequence is a workflow of n tasks, one after the other.
func sequence(n int) string {
	var b strings.Builder
	b.WriteString("version: 1.0\ntasks:\n")
	for i := range n - 1 {
		fmt.Fprintf(&b, "  t%d: {action: bench.step, next: [{do: t%d}]}\n", i, i+1)
	}
	fmt.Fprintf(&b, "  t%d: {action: bench.step}\n", n-1)
	return b.String()
}

// fan is a workflow of n parallel tasks and a join.
func fan(n int) string {
	var b strings.Builder
	b.WriteString("version: 1.0\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&b, "  t%d: {action: bench.step, next: [{do: joined}]}\n", i)
	}
	b.WriteString("  joined: {join: all}\n")
	return b.String()
}

// loop runs one task as often as its input says, with a condition and a variable
// each time.
const loop = `
version: 1.0
input: [turns]
vars: [{n: 1}]
tasks:
  lead: {next: [{do: turn}]}
  turn:
    action: bench.step
    next:
      - when: <% succeeded() and ctx(n) < ctx(turns) %>
        publish: [{n: <% ctx(n) + 1 %>}]
        do: turn
output: [{n: <% ctx(n) %>}]
`

// items runs one task for each number below its input.
const items = `
version: 1.0
input: [count]
tasks:
  each:
    with: <% range(ctx(count)).toList() %>
    action: bench.step
`

// run does a workflow once and returns when its end is durable.
func (e *engine) run(ctx context.Context, name, parameters string) error {
	x, err := e.Start(ctx, router.Start{Action: hayate.NewRef("bench", name), Parameters: json.RawMessage(parameters)})
	if err == nil {
		x, err = e.Wait(ctx, x.ID)
	}
	if err == nil && x.Status != hayate.StatusSucceeded {
		err = fmt.Errorf("%s ended %s: %s", name, x.Status, x.Result)
	}
	return err
}

// event is the n-th event of a type.
func event(n int64, typ string) hayate.Event {
	return hayate.Event{ID: strconv.FormatInt(n, 10), Source: "/bench", Type: typ, DataContentType: "application/json",
		Data: json.RawMessage(`{"host": "shop-web-02", "severity": "High", "value": 17}`)}
}

// react does one step as an event that a rule runs an action for.
func (e *engine) react(ctx context.Context, n int64) error {
	rc, err := e.Accept(ctx, event(n, "bench.step"))
	if err != nil {
		return err
	}
	x, err := e.Wait(ctx, rc.Executions[0].ID)
	if err == nil && x.Status != hayate.StatusSucceeded {
		err = fmt.Errorf("event ended %s: %s", x.Status, x.Result)
	}
	return err
}
