package crash_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// workflowPack has a workflow of a sequence, a fan-out with a join, a
// sub-workflow, and a task with an effect: it appends its execution's id to a file.
func workflowPack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	hayatetest.WritePack(t, dir, "flows", map[string]string{
		"actions/effect.yaml": `
name: effect
runner_type: local-shell-cmd
enabled: true
parameters:
  file: {type: string, required: true}
  cmd: {immutable: true, default: "echo $HAYATE_IDEMPOTENCY_KEY >>{{ file }}"}
`,
		"actions/inner.yaml": `
name: inner
runner_type: orquesta
entry_point: workflows/inner.yaml
enabled: true
parameters: {file: {type: string, required: true}}
`,
		"actions/workflows/inner.yaml": `
version: 1.0
input: [file]
tasks:
  before: {action: core.noop, next: [{do: touch}]}
  touch: {action: flows.effect, input: {file: <% ctx(file) %>}, next: [{when: <% succeeded() %>, publish: [{how: done}]}, {when: <% failed() %>, publish: [{how: unknown}], do: noop}]}
output: [{how: <% ctx().get(how) %>}]
`,
		"actions/outer.yaml": `
name: outer
runner_type: orquesta
entry_point: workflows/outer.yaml
enabled: true
parameters: {file: {type: string, required: true}}
`,
		"actions/workflows/outer.yaml": `
version: 1.0
input: [file]
tasks:
  first: {action: core.noop, next: [{do: [inner, many]}]}
  inner: {action: flows.inner, input: {file: <% ctx(file) %>}, next: [{do: joined}]}
  many: {with: <% range(10).toList() %>, action: core.noop, next: [{do: joined}]}
  joined: {join: all, action: core.noop, next: [{do: last}]}
  last: {action: core.noop, delay: 1}
`,
	})
	return dir
}

// TestWorkflowsKilled kills the server again and again while workflows run. Then
// every workflow has ended well, no task has run twice, and an effect that the
// server died in is there at most once.
func TestWorkflowsKilled(t *testing.T) {
	const rounds, each = 5, 40
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d workflows, %d kills, seed %d", rounds*each, rounds, seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	file := filepath.Join(t.TempDir(), "effects")
	server := hayatetest.Start(t, hayatetest.Options{Packs: workflowPack(t)})
	var ids []string
	for range rounds {
		before := server.Count(t, "executions", "status=succeeded")
		for range each {
			ids = append(ids, server.Start(t, "flows.outer", map[string]any{"file": file}))
		}
		// The kill comes after a random number of executions have ended.
		want := before + rnd.IntN(each*14)
		hayatetest.Eventually(t, time.Minute, fmt.Sprintf("%d executions succeed", want), func() (bool, string) {
			n := server.Count(t, "executions", "status=succeeded")
			return n >= want, fmt.Sprint(n)
		})
		server.Kill()
		server = server.Again(t)
	}
	for _, id := range ids {
		if x := server.AwaitEnd(t, id, 2*time.Minute); x.Status != "succeeded" {
			t.Errorf("workflow %s ended %s with %v, want succeeded", id, x.Status, x.Result)
		}
	}
	effects := lines(t, file)
	slices.Sort(effects)
	if n := len(effects) - len(slices.Compact(slices.Clone(effects))); n > 0 {
		t.Errorf("%d effects happened twice", n)
	}
	succeeded := server.Count(t, "executions", "action=flows.effect&status=succeeded")
	abandoned := server.Count(t, "executions", "action=flows.effect&status=abandoned")
	if succeeded+abandoned != len(ids) || len(effects) < succeeded {
		t.Errorf("of %d effects %d succeeded and %d were abandoned, %d happened", len(ids), succeeded, abandoned, len(effects))
	}
	if n := server.Count(t, "executions", "status=running,scheduled,requested,delayed"); n != 0 {
		t.Errorf("%d executions are unfinished", n)
	}
	var check struct{ Findings []string }
	r := server.Do(t, "POST", "/v1/store/check", []byte("{}"))
	if err := json.Unmarshal(r.Body, &check); err != nil || len(check.Findings) > 0 {
		t.Errorf("the store's check says %q, %v", check.Findings, err)
	}
	t.Logf("%d tasks with an effect: %d succeeded, %d were lost with a server and abandoned", len(ids), succeeded, abandoned)
}
