package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// steps performs tasks, notes which, and fails those that it is told to.
type steps struct {
	mu     sync.Mutex
	failed map[string]bool
	ran    []string
}

func (s *steps) runner() router.Runner {
	return funcRunner{"fn", func(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		var p struct{ Name string }
		if err := json.Unmarshal(t.Parameters, &p); err != nil {
			return hayate.Result{}, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ran = append(s.ran, p.Name)
		st := hayate.StatusSucceeded
		if s.failed[p.Name] {
			st = hayate.StatusFailed
		}
		return hayate.Result{Status: st, Value: json.RawMessage(fmt.Sprintf(`{"of":%q}`, p.Name))}, nil
	}}
}

// since returns what ran since it was called last.
func (s *steps) since(fail ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ran := s.ran
	s.ran, s.failed = nil, map[string]bool{}
	for _, f := range fail {
		s.failed[f] = true
	}
	slices.Sort(ran)
	return ran
}

const releaseFlow = `
version: 1.0
tasks:
  build: {action: test.step, input: {name: build}, next: [{when: <% succeeded() %>, publish: [{built: <% result().of %>}], do: deploy}]}
  deploy:
    with: {items: '<% list("a", "b", "c") %>', concurrency: 3}
    action: test.step
    input: {name: "deploy-<% item() %>"}
    next: [{when: <% succeeded() %>, do: [sub]}]
  sub: {action: test.inner, next: [{when: <% succeeded() %>, publish: [{done: <% ctx(built) %>}]}]}
output: [{done: <% ctx(done) %>}]
`

func releaseContent() router.Content {
	name := hayate.Parameter{Name: "name", Type: "string"}
	return router.Content{
		Actions: []hayate.Action{action("step", "fn", name), action("flow", "orquesta", hayate.Parameter{Name: "n", Type: "integer"}), action("inner", "orquesta")},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(releaseFlow),
			"test.inner": []byte("version: 1.0\ntasks:\n  in: {action: test.step, input: {name: in}}\n")},
	}
}

func TestRerunFromTasks(t *testing.T) {
	for _, c := range []struct {
		name  string
		fail  []string
		again router.Again
		want  []string
	}{
		{"a plain task", []string{"build"}, router.Again{Tasks: []string{"build"}}, []string{"build", "deploy-a", "deploy-b", "deploy-c", "in"}},
		{"the items that failed", []string{"deploy-b"}, router.Again{Tasks: []string{"deploy"}}, []string{"deploy-b", "in"}},
		{"all items", []string{"deploy-b"}, router.Again{Tasks: []string{"deploy"}, Reset: []string{"deploy"}}, []string{"deploy-a", "deploy-b", "deploy-c", "in"}},
		{"a workflow", []string{"in"}, router.Again{Tasks: []string{"sub"}}, []string{"in"}},
		{"a task that succeeded", []string{"in"}, router.Again{Tasks: []string{"build"}}, []string{"build", "deploy-a", "deploy-b", "deploy-c", "in"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s steps
				w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, s.runner())
				w.load(releaseContent())
				w.serve()
				s.since(c.fail...)
				x, err := w.Start(t.Context(), router.Start{Action: "test.flow", Parameters: json.RawMessage(`{"n":5}`)})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				old, err := w.Execution(t.Context(), x.ID)
				if err != nil || old.Status != hayate.StatusFailed {
					t.Fatalf("the workflow is %s with %s, %v", old.Status, old.Result, err)
				}
				// The pack is registered anew: the run that goes on is the old one.
				changed := releaseContent()
				changed.Workflows["test.flow"] = []byte("version: 1.0\ntasks:\n  other: {action: test.step, input: {name: other}}\n")
				w.load(changed)
				s.since()
				c.again.Ref = x.ID
				y, err := w.RerunTasks(t.Context(), c.again, "eve", 0)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				z, err := w.Execution(t.Context(), y.ID)
				if err != nil || z.Status != hayate.StatusSucceeded || string(z.Result) != `{"output":{"done":"build"}}` {
					t.Errorf("the re-run ended %s with %s, %v", z.Status, z.Result, err)
				}
				if got := s.since(); !slices.Equal(got, c.want) {
					t.Errorf("it ran %v, want %v", got, c.want)
				}
				reset := ""
				if len(c.again.Reset) > 0 {
					reset = `,"reset":["deploy"]`
				}
				if want := fmt.Sprintf(`"re-run":{"ref":%q,"tasks":[%q]%s}`, x.ID, c.again.Tasks[0], reset); !strings.Contains(string(z.Context), want) {
					t.Errorf("context %s, want %s in it", z.Context, want)
				}
				if z.Trace != old.Trace || string(z.Parameters) != `{"n":5}` || z.Parent != "" {
					t.Errorf("re-run %+v", z)
				}
				if same, err := w.Execution(t.Context(), x.ID); err != nil || same.Version != old.Version {
					t.Errorf("the old execution has changed: %+v, %v", same, err)
				}
				a, b := kidsOf(t, w, x.ID), kidsOf(t, w, y.ID)
				for id := range a {
					if b[id] {
						t.Errorf("task %s belongs to both", id)
					}
				}
			})
		})
	}
}

func kidsOf(t *testing.T, w *world, id hayate.ExecutionID) map[hayate.ExecutionID]bool {
	t.Helper()
	p, err := w.Executions(t.Context(), router.Query{Parent: id, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	out := map[hayate.ExecutionID]bool{}
	for _, x := range p.Items {
		out[x.ID] = true
	}
	return out
}

func TestRerunFromTasksIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s steps
		w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, s.runner())
		content := releaseContent()
		content.Actions = append(content.Actions, action("waits", "orquesta"))
		content.Workflows["test.waits"] = []byte("version: 1.0\ntasks:\n  bad: {action: test.step, input: {name: bad}}\n  slow: {action: test.inner, delay: 100}\n")
		w.load(content)
		w.serve()
		start := func(ref hayate.Ref, fail ...string) hayate.ExecutionID {
			s.since(fail...)
			x, err := w.Start(t.Context(), router.Start{Action: ref})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			return x.ID
		}
		good, bad, plain, waits := start("test.flow"), start("test.flow", "build"), start("test.step", "x"), start("test.waits", "bad")
		for what, c := range map[string]struct {
			again router.Again
			kind  error
			says  string
		}{
			"no such execution":     {router.Again{Ref: "000000000000000000000000", Tasks: []string{"build"}}, hayate.ErrNotFound, "not found"},
			"no workflow":           {router.Again{Ref: plain, Tasks: []string{"build"}}, hayate.ErrInvalid, "is run by fn"},
			"it succeeded":          {router.Again{Ref: good, Tasks: []string{"build"}}, hayate.ErrInvalid, "succeeded"},
			"no such task":          {router.Again{Ref: bad, Tasks: []string{"built"}}, hayate.ErrInvalid, "built"},
			"a task never come to":  {router.Again{Ref: bad, Tasks: []string{"build", "deploy"}}, hayate.ErrInvalid, "deploy"},
			"reset of another task": {router.Again{Ref: bad, Tasks: []string{"build"}, Reset: []string{"deploy"}}, hayate.ErrInvalid, "deploy"},
			"no tasks":              {router.Again{Ref: bad}, hayate.ErrInvalid, "no task"},
			"a task still runs":     {router.Again{Ref: waits, Tasks: []string{"bad"}}, hayate.ErrConflict, "slow"},
		} {
			_, err := w.RerunTasks(t.Context(), c.again, "", 0)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want a kind of %q that says %q", what, err, c.kind, c.says)
			}
		}
	})
}
