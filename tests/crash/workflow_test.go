package crash_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

const (
	// workflowsEnv and killsEnv set how many workflows run and how often the server
	// is killed; more find rarer mistakes.
	workflowsEnv = "HAYATE_CRASH_WORKFLOWS"
	killsEnv     = "HAYATE_CRASH_KILLS"
)

// workflowPack has a workflow of all that could go wrong when its server dies: a
// sequence, a fan-out with a join, items, a sub-workflow, a loop that comes to its
// join again and again, a task that is retried, one that may be repeated, and
// ones with an effect: they append their execution's id to a file.
func workflowPack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	action := func(name, runner, more string) string {
		return fmt.Sprintf("name: %s\nrunner_type: %s\nenabled: true\n%s", name, runner, more)
	}
	shell := func(command string) string {
		return fmt.Sprintf("parameters:\n  file: {type: string, required: true}\n  cmd: {immutable: true, default: %q}\n", command)
	}
	flow := func(name string) string {
		return "entry_point: workflows/" + name + ".yaml\nparameters: {file: {type: string, required: true}}\n"
	}
	hayatetest.WritePack(t, dir, "flows", map[string]string{
		"actions/effect.yaml": action("effect", "local-shell-cmd", shell("echo $HAYATE_IDEMPOTENCY_KEY >>{{ file }}")),
		"actions/flaky.yaml":  action("flaky", "local-shell-cmd", shell("echo $HAYATE_IDEMPOTENCY_KEY >>{{ file }}.flaky; exit 3")),
		"actions/again.yaml":  action("again", "local-shell-cmd", "idempotent: true\n"+shell("echo $HAYATE_IDEMPOTENCY_KEY >>{{ file }}.again")),
		"actions/inner.yaml":  action("inner", "orquesta", flow("inner")),
		"actions/outer.yaml":  action("outer", "orquesta", flow("outer")),
		"actions/workflows/inner.yaml": `
version: 1.0
input: [file]
tasks:
  before: {action: core.noop, next: [{do: touch}]}
  touch: {action: flows.effect, input: {file: <% ctx(file) %>}, next: [{when: <% succeeded() %>, publish: [{how: done}]}, {when: <% failed() %>, publish: [{how: unknown}], do: noop}]}
output: [{how: <% ctx().get(how) %>}]
`,
		"actions/workflows/outer.yaml": `
version: 1.0
input: [file]
vars: [{n: 1}]
tasks:
  first: {action: core.noop, next: [{do: [inner, many, turn, flaky, again]}]}
  inner: {action: flows.inner, input: {file: <% ctx(file) %>}, next: [{do: joined}]}
  many: {with: <% range(10).toList() %>, action: core.noop, next: [{do: joined}]}
  turn: {action: core.noop, next: [{do: [left, right]}]}
  left: {action: core.noop, next: [{do: meet}]}
  right: {action: core.noop, next: [{do: meet}]}
  meet:
    join: all
    action: core.noop
    next:
      - {when: <% ctx(n) < 3 %>, publish: [{n: <% ctx(n) + 1 %>}], do: turn}
      - {when: <% ctx(n) >= 3 %>, do: joined}
  flaky: {action: flows.flaky, input: {file: <% ctx(file) %>}, retry: {when: <% failed() %>, count: 2}, next: [{when: <% failed() %>, do: joined}]}
  again: {action: flows.again, input: {file: <% ctx(file) %>}, next: [{do: joined}]}
  joined: {join: all, action: core.noop, next: [{do: last}]}
  last: {action: core.noop, delay: 1}
`,
	})
	return dir
}

// perWorkflow are the executions below a workflow, by action.
var perWorkflow = map[string]int{"core.noop": 1 + 10 + 4*3 + 2, "flows.inner": 1, "flows.flaky": 3, "flows.again": 1}

func numberOf(t *testing.T, env string, otherwise int) int {
	t.Helper()
	v := os.Getenv(env)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number of at least 1", env, v)
	}
	return n
}

// TestWorkflowsKilled kills the server again and again while workflows run. Then
// every workflow has ended well, as if undisturbed but for what was in flight: an
// effect that the server died in is there at most once and its task abandoned, what
// may be repeated is there at least once, and nothing has run twice.
func TestWorkflowsKilled(t *testing.T) {
	n, kills := numberOf(t, workflowsEnv, 60), numberOf(t, killsEnv, 6)
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d workflows, %d kills, seed %d", n, kills, seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	file := filepath.Join(t.TempDir(), "effects")
	server := hayatetest.Start(t, hayatetest.Options{Packs: workflowPack(t)})
	ids := make([]string, n)
	var group sync.WaitGroup
	for c := range 8 {
		group.Go(func() {
			for i := c; i < n; i += 8 {
				ids[i] = server.Start(t, "flows.outer", map[string]any{"file": file})
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	each := 3 // before, effect and the outer one itself
	for _, k := range perWorkflow {
		each += k
	}
	// The kills come after random numbers of executions have ended.
	moments := make([]int, kills)
	for i := range moments {
		moments[i] = rnd.IntN(n * each)
	}
	slices.Sort(moments)
	for _, want := range moments {
		hayatetest.Eventually(t, 5*time.Minute, fmt.Sprintf("%d executions end", want), func() (bool, string) {
			got := server.Count(t, "executions", "status=succeeded,failed,abandoned")
			return got >= want, fmt.Sprint(got)
		})
		server.Kill()
		server = server.Again(t)
	}
	for _, id := range ids {
		if x := server.AwaitEnd(t, id, 5*time.Minute); x.Status != "succeeded" {
			t.Errorf("workflow %s ended %s with %v, want succeeded", id, x.Status, x.Result)
		}
	}
	checkTasks(t, server, ids)
	checkEffects(t, server, file, n)
	rerun(t, server, ids[:min(n, 3)], file, n)
	if n := server.Count(t, "executions", "status=running,scheduled,requested,delayed"); n != 0 {
		t.Errorf("%d executions are unfinished", n)
	}
	var check struct{ Findings []string }
	r := server.Do(t, "POST", "/v1/store/check", []byte("{}"))
	if err := json.Unmarshal(r.Body, &check); err != nil || len(check.Findings) > 0 {
		t.Errorf("the store's check says %q, %v", check.Findings, err)
	}
}

// checkTasks counts the tasks of each workflow: a loop's turns, a join that is come
// to again, items and retries are executions of their own, and none is there twice.
func checkTasks(t *testing.T, s *hayatetest.Server, ids []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, id := range ids {
		got := map[string]int{}
		for _, x := range s.Executions(t, "parent="+id) {
			if seen[x.ID] {
				t.Errorf("execution %s is listed twice", x.ID)
			}
			seen[x.ID] = true
			got[x.Action.Ref]++
		}
		if !maps.Equal(got, perWorkflow) {
			t.Errorf("workflow %s has the tasks %v, want %v", id, got, perWorkflow)
		}
	}
}

// checkEffects holds the files against the executions that append to them.
func checkEffects(t *testing.T, s *hayatetest.Server, file string, n int) {
	t.Helper()
	for _, c := range []struct {
		action, file, ended string
		each                int
	}{
		{"flows.effect", file, "succeeded", 1},
		{"flows.flaky", file + ".flaky", "failed", 3},
	} {
		effects := lines(t, c.file)
		slices.Sort(effects)
		if k := len(effects) - len(slices.Compact(slices.Clone(effects))); k > 0 {
			t.Errorf("%d effects of %s happened twice", k, c.action)
		}
		ended := s.Executions(t, "action="+c.action+"&status="+c.ended)
		abandoned := s.Count(t, "executions", "action="+c.action+"&status=abandoned")
		if len(ended)+abandoned != n*c.each {
			t.Errorf("%d of %s %s and %d were abandoned, want %d in all", len(ended), c.action, c.ended, abandoned, n*c.each)
		}
		for _, x := range ended {
			if _, there := slices.BinarySearch(effects, x.ID); !there {
				t.Errorf("execution %s of %s %s, but its effect is not there", x.ID, c.action, c.ended)
			}
		}
		t.Logf("%s: %d %s, %d were lost with a server and abandoned, %d effects", c.action, len(ended), c.ended, abandoned, len(effects))
	}
	again := lines(t, file+".again")
	slices.Sort(again)
	done := s.Executions(t, "action=flows.again&status=succeeded")
	for _, x := range done {
		if _, there := slices.BinarySearch(again, x.ID); !there {
			t.Errorf("execution %s of flows.again succeeded, but its effect is not there", x.ID)
		}
	}
	if len(done) != n {
		t.Errorf("%d of flows.again succeeded, want %d: it may be repeated until it does", len(done), n)
	}
	t.Logf("flows.again: %d succeeded, attempted %d times", len(done), len(again))
}

// rerun runs workflows again: their tasks are new executions.
func rerun(t *testing.T, s *hayatetest.Server, ids []string, file string, n int) {
	t.Helper()
	again := make([]string, len(ids))
	for i, id := range ids {
		var x hayatetest.Execution
		r := s.Do(t, "POST", "/api/v1/executions/"+id+"/re_run", []byte("{}"))
		if err := json.Unmarshal(r.Body, &x); err != nil || r.Status != 201 {
			t.Fatalf("re-run of %s: %d %s", id, r.Status, r.Body)
		}
		again[i] = x.ID
	}
	for _, id := range again {
		if x := s.AwaitEnd(t, id, time.Minute); x.Status != "succeeded" {
			t.Errorf("re-run %s ended %s with %v", id, x.Status, x.Result)
		}
	}
	checkTasks(t, s, append(slices.Clone(ids), again...))
	effects := lines(t, file)
	slices.Sort(effects)
	if k := len(effects) - len(slices.Compact(slices.Clone(effects))); k > 0 {
		t.Errorf("after re-runs %d effects happened twice", k)
	}
	if got := s.Count(t, "executions", "action=flows.effect"); got != n+len(ids) {
		t.Errorf("after %d re-runs there are %d executions of flows.effect, want %d", len(ids), got, n+len(ids))
	}
}
