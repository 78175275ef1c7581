package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// funcRunner runs a function: what a test wants an action to do.
type funcRunner struct {
	name string
	run  func(ctx context.Context, t hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error)
}

func (f funcRunner) Describe() []hayate.Runner { return []hayate.Runner{{Name: f.name}} }
func (f funcRunner) Run(ctx context.Context, t hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
	return f.run(ctx, t, out)
}

// plainSecrets marks what is sealed, so that a test sees it.
type plainSecrets struct{}

func (plainSecrets) Seal(s string) (string, error) { return "sealed<" + s + ">", nil }
func (plainSecrets) Open(s string) (string, error) {
	if !strings.HasPrefix(s, "sealed<") {
		return "", hayate.ErrInvalid
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "sealed<"), ">"), nil
}

// world is a router with everything in memory.
type world struct {
	*router.Router
	t     *testing.T
	store *memory.Store
	cfg   router.Config
}

func newWorld(t *testing.T, change func(*router.Config), runners ...router.Runner) *world {
	t.Helper()
	store := memory.New()
	cfg := router.Config{Store: store, Queue: memory.NewQueue(memory.QueueConfig{}), Registry: memory.NewRegistry(), Datastore: memory.NewDatastore(),
		Blobs: memory.NewBlobs(), Secrets: plainSecrets{}, Runners: runners, Workers: 4, SweepEvery: 20 * time.Millisecond, SoleOwner: true}
	if change != nil {
		change(&cfg)
	}
	r, err := router.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &world{Router: r, t: t, store: store, cfg: cfg}
}

// serve runs the router until the test ends.
func (w *world) serve() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, time.Second) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
}

func (w *world) load(c router.Content) {
	w.t.Helper()
	if err := w.Load(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) accept(e hayate.Event) router.Receipt {
	w.t.Helper()
	rc, err := w.Accept(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return rc
}

// ended waits until all executions that the query selects have ended.
func (w *world) ended(q router.Query, want int) []hayate.Execution {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	q.Limit = -1
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		p, err := w.Executions(w.t.Context(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		n := 0
		for _, x := range p.Items {
			if x.Status.Completed() {
				n++
			}
		}
		if n == want && len(p.Items) == want {
			return p.Items
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d of %d executions ended, want %d: %+v", n, len(p.Items), want, p.Items)
		}
		<-tick.C
	}
}

func succeed(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
	return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{"ok":true}`)}, nil
}

func event(id, data string) hayate.Event {
	return hayate.Event{ID: id, Source: "/test", Type: "test.alert", Data: []byte(data)}
}

func action(name, runner string, ps ...hayate.Parameter) hayate.Action {
	for i := range ps {
		if ps[i].Schema == nil {
			ps[i].Schema = json.RawMessage(fmt.Sprintf(`{"type":%q}`, ps[i].Type))
		}
	}
	return hayate.Action{Pack: "test", Name: name, Runner: runner, Enabled: true, Parameters: ps}
}

func rule(name, actionRef, params string) hayate.Rule {
	r := hayate.Rule{Pack: "test", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: "test.alert"},
		Criteria: json.RawMessage(`{"trigger.host":{"type":"equals","pattern":"web1"}}`), Actions: []hayate.RuleAction{{Ref: hayate.Ref(actionRef)}}}
	if params != "" {
		r.Actions[0].Parameters = json.RawMessage(params)
	}
	return r
}

func TestAnEventRunsTheActionsOfMatchingRules(t *testing.T) {
	var got sync.Map
	w := newWorld(t, nil, funcRunner{"fn", func(_ context.Context, task hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		got.Store(task.Execution, string(task.Parameters))
		return succeed(nil, task, nil)
	}})
	w.load(router.Content{
		Actions: []hayate.Action{action("note", "fn", hayate.Parameter{Name: "host", Type: "string"}, hayate.Parameter{Name: "n", Type: "integer"})},
		Rules:   []hayate.Rule{rule("note", "test.note", `{"host":"{{ trigger.host }}","n":"{{ trigger.n }}"}`)},
	})
	w.serve()
	rc := w.accept(event("1", `{"host":"web1","n":7}`))
	if len(rc.Executions) != 1 {
		t.Fatalf("%d executions, want 1", len(rc.Executions))
	}
	x := w.ended(router.Query{Event: rc.ID}, 1)[0]
	if x.Status != hayate.StatusSucceeded || x.Rule != "test.note" || x.Trace != string(rc.ID) {
		t.Errorf("execution is %+v", x)
	}
	if params, _ := got.Load(x.ID); params != `{"host":"web1","n":7}` {
		t.Errorf("the runner got %v", params)
	}
	if rc := w.accept(event("2", `{"host":"web2","n":7}`)); len(rc.Executions) != 0 {
		t.Errorf("an event that does not match started %d executions", len(rc.Executions))
	}
}

func TestARedeliveredEventIsDecidedOnce(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(router.Content{Actions: []hayate.Action{action("note", "fn")}, Rules: []hayate.Rule{rule("note", "test.note", "")}})
	w.serve()
	var wg sync.WaitGroup
	var mu sync.Mutex
	duplicates := 0
	for range 20 {
		wg.Go(func() {
			rc, err := w.Accept(t.Context(), event("same", `{"host":"web1"}`))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if rc.Duplicate {
				duplicates++
			}
		})
	}
	wg.Wait()
	if duplicates != 19 {
		t.Errorf("%d duplicates of 20 deliveries, want 19", duplicates)
	}
	w.ended(router.Query{}, 1)
}

func TestWhatARuleGetsWrongIsRecordedInItsFiring(t *testing.T) {
	for _, c := range []struct {
		name, params, action, reason string
		executions                   int
	}{
		{"an unknown action", "", "test.nowhere", `Action "test.nowhere" doesn't exist`, 0},
		{"a missing variable", `{"host":"{{ nobody.knows }}"}`, "test.note", `Dependency unsatisfied in variable "nobody"`, 1},
		{"a wrong type", `{"host":5}`, "test.note", `must be a string`, 0},
		{"an unknown parameter", `{"hots":"x"}`, "test.note", `hots`, 0},
		{"an immutable parameter", `{"fixed":"x"}`, "test.note", `immutable`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil, funcRunner{"fn", succeed})
			w.load(router.Content{
				Actions: []hayate.Action{action("note", "fn", hayate.Parameter{Name: "host", Type: "string"},
					hayate.Parameter{Name: "fixed", Type: "string", Immutable: true, Default: json.RawMessage(`"x"`)})},
				Rules: []hayate.Rule{rule("bad", c.action, c.params)},
			})
			rc := w.accept(event("1", `{"host":"web1"}`))
			p, err := w.Firings(t.Context(), router.Query{Event: rc.ID, Limit: 10})
			if err != nil || len(p.Items) != 1 {
				t.Fatalf("firings: %+v, %v", p.Items, err)
			}
			f := p.Items[0]
			if f.Status != hayate.FiringFailed || !strings.Contains(f.Reason, c.reason) {
				t.Errorf("firing is %s %q, want failed with %q", f.Status, f.Reason, c.reason)
			}
			if xs := w.ended(router.Query{}, c.executions); c.executions == 1 && xs[0].Status != hayate.StatusFailed {
				t.Errorf("execution is %s, want failed", xs[0].Status)
			}
		})
	}
}

func TestALostAttempt(t *testing.T) {
	for _, c := range []struct {
		name       string
		idempotent bool
		want       hayate.Status
		attempts   int
	}{
		{"of an idempotent action is made again", true, hayate.StatusSucceeded, 2},
		{"of any other action is abandoned", false, hayate.StatusAbandoned, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lost []hayate.ExecutionID
			w := newWorld(t, func(cfg *router.Config) {
				cfg.OnLost = func(x hayate.Execution) { lost = append(lost, x.ID) }
			}, funcRunner{"fn", succeed})
			a := action("note", "fn")
			a.Idempotent = c.idempotent
			w.load(router.Content{Actions: []hayate.Action{a}, Rules: []hayate.Rule{rule("note", "test.note", "")}})
			rc := w.accept(event("1", `{"host":"web1"}`))
			now := time.Now().UTC()
			if _, err := w.store.Claim(t.Context(), router.Claim{Execution: rc.Executions[0].ID, Worker: "gone", At: now, Until: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			w.serve()
			x := w.ended(router.Query{}, 1)[0]
			if x.Status != c.want || x.Attempt != c.attempts {
				t.Errorf("execution is %s after %d attempts, want %s after %d", x.Status, x.Attempt, c.want, c.attempts)
			}
			if len(lost) != 1 {
				t.Errorf("OnLost was called %d times, want once", len(lost))
			}
		})
	}
}

func TestCancel(t *testing.T) {
	began := make(chan struct{})
	w := newWorld(t, func(c *router.Config) { c.Workers = 1 }, funcRunner{"wait", func(ctx context.Context, _ hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		close(began)
		<-ctx.Done()
		return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
	}})
	w.load(router.Content{Actions: []hayate.Action{action("wait", "wait")}})
	running, err := w.Start(t.Context(), router.Start{Action: "test.wait"})
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := w.Start(t.Context(), router.Start{Action: "test.wait", Delay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	w.serve()
	<-began
	for id, want := range map[hayate.ExecutionID]hayate.Status{running.ID: hayate.StatusCanceling, waiting.ID: hayate.StatusCanceled} {
		x, err := w.Cancel(t.Context(), id, "operator")
		if err != nil || x.Status != want {
			t.Errorf("cancel: %s, %v; want %s", x.Status, err, want)
		}
	}
	for _, x := range w.ended(router.Query{}, 2) {
		if x.Status != hayate.StatusCanceled {
			t.Errorf("execution %s ended %s, want canceled", x.ID, x.Status)
		}
	}
	if _, err := w.Cancel(t.Context(), running.ID, "operator"); !errors.Is(err, hayate.ErrConflict) {
		t.Errorf("canceling what has ended: %v, want a conflict", err)
	}
}

func TestSecretsAreSealedInTheStoreAndMaskedInAnswers(t *testing.T) {
	got := make(chan hayate.Task, 1)
	w := newWorld(t, nil, funcRunner{"fn", func(_ context.Context, task hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
		got <- task
		out(hayate.Stdout, "the password is hunter2, they say")
		return succeed(nil, task, nil)
	}})
	w.load(router.Content{Actions: []hayate.Action{action("login", "fn", hayate.Parameter{Name: "password", Type: "string", Secret: true})}})
	x, err := w.Start(t.Context(), router.Start{Action: "test.login", Parameters: json.RawMessage(`{"password":"hunter2"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(x.Parameters), "sealed") {
		t.Errorf("stored parameters are %s", x.Parameters)
	}
	w.serve()
	if task := <-got; string(task.Parameters) != `{"password":"hunter2"}` {
		t.Errorf("the runner got %s", task.Parameters)
	}
	if y := w.ended(router.Query{}, 1)[0]; string(y.Parameters) != `{"password":"********"}` {
		t.Errorf("shown parameters are %s", y.Parameters)
	}
	lines, err := w.Lines(t.Context(), x.ID, 0, 10)
	if err != nil || len(lines) != 1 || lines[0].Text != "the password is ********, they say" {
		t.Errorf("output is %+v, %v", lines, err)
	}
}

func TestALoopOfEventsIsStopped(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	r := hayate.Rule{Pack: "test", Name: "again", Enabled: true, Trigger: hayate.Trigger{Type: router.TriggerAction}, Actions: []hayate.RuleAction{{Ref: "test.note"}}}
	w.load(router.Content{Actions: []hayate.Action{action("note", "fn")}, Rules: []hayate.Rule{r}})
	w.serve()
	if _, err := w.Start(t.Context(), router.Start{Action: "test.note"}); err != nil {
		t.Fatal(err)
	}
	w.ended(router.Query{}, 17) // the first, and sixteen by the rule
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		p, err := w.Firings(t.Context(), router.Query{Limit: -1})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) == 17 && p.Items[0].Status == hayate.FiringLoop {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d firings, the newest %+v; want the 17th stopped as a loop", len(p.Items), p.Items[0])
		}
		<-tick.C
	}
}

func TestABacklogBeyondItsBoundIsRefused(t *testing.T) {
	w := newWorld(t, func(c *router.Config) { c.MaxBacklog = 3 }, funcRunner{"fn", succeed})
	w.load(router.Content{Actions: []hayate.Action{action("note", "fn")}, Rules: []hayate.Rule{rule("note", "test.note", "")}})
	for i := range 3 {
		w.accept(event(fmt.Sprint(i), `{"host":"web1"}`))
	}
	if _, err := w.Accept(t.Context(), event("4", `{"host":"web1"}`)); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("the fourth event: %v, want busy", err)
	}
	w.serve()
	w.ended(router.Query{}, 3)
}

const twoSteps = `
version: 1.0
input: [n]
tasks:
  one:
    action: test.note
    next: [{when: <% succeeded() %>, publish: [{m: <% ctx(n) + 1 %>}], do: many}]
  many:
    with: <% range(ctx(m)).toList() %>
    action: test.note
output: [{m: <% ctx(m) %>}]
`

func TestAWorkflowRunsItsTasks(t *testing.T) {
	w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, funcRunner{"fn", succeed})
	w.load(router.Content{
		Actions:   []hayate.Action{action("note", "fn"), action("flow", "orquesta", hayate.Parameter{Name: "n", Type: "integer"})},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(twoSteps)},
	})
	w.serve()
	x, err := w.Start(t.Context(), router.Start{Action: "test.flow", Parameters: json.RawMessage(`{"n":9}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.ended(router.Query{}, 12)
	y, err := w.Execution(t.Context(), x.ID)
	if err != nil || y.Status != hayate.StatusSucceeded || string(y.Result) != `{"output":{"m":10}}` {
		t.Errorf("the workflow ended %s with %s, %v", y.Status, y.Result, err)
	}
	ids := map[hayate.ExecutionID]bool{}
	for _, c := range w.ended(router.Query{Parent: x.ID}, 11) {
		ids[c.ID] = true
	}
	if len(ids) != 11 {
		t.Errorf("%d different children, want 11", len(ids))
	}
}

func TestAWorkflowOutlivesItsProcess(t *testing.T) {
	content := router.Content{
		Actions:   []hayate.Action{action("note", "fn"), action("flow", "orquesta", hayate.Parameter{Name: "n", Type: "integer"})},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(twoSteps)},
	}
	types := func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }
	var mu sync.Mutex
	done := map[hayate.ExecutionID]int{}
	reached := make(chan struct{}, 100)
	first := newWorld(t, types, funcRunner{"fn", func(ctx context.Context, task hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		mu.Lock()
		n := len(done)
		done[task.Execution]++
		mu.Unlock()
		if n < 5 {
			return succeed(ctx, task, nil)
		}
		reached <- struct{}{}
		<-ctx.Done() // in the middle of it the process goes away
		return hayate.Result{}, ctx.Err()
	}})
	first.load(content)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- first.Run(ctx, 0) }()
	x, err := first.Start(t.Context(), router.Start{Action: "test.flow", Parameters: json.RawMessage(`{"n":9}`)})
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	second := newWorld(t, func(c *router.Config) {
		types(c)
		c.Store, c.Blobs, c.Registry, c.Datastore = first.cfg.Store, first.cfg.Blobs, first.cfg.Registry, first.cfg.Datastore
	}, funcRunner{"fn", func(ctx context.Context, task hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		mu.Lock()
		done[task.Execution]++
		mu.Unlock()
		return succeed(ctx, task, nil)
	}})
	second.load(content)
	second.serve()
	second.ended(router.Query{IDs: []string{string(x.ID)}}, 1)
	mu.Lock()
	defer mu.Unlock()
	for id, n := range done {
		y, err := second.Execution(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if n != 1 {
			t.Errorf("task %s (%s) ran %d times, want once: it is not idempotent", id, y.Status, n)
		}
	}
}
