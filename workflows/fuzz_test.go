package workflows_test

import (
	"encoding/json"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

// FuzzParse reads any text as a workflow of each dialect, and runs what can be
// read for some steps, with every task succeeding.
func FuzzParse(f *testing.F) {
	f.Add(greeting)
	f.Add("version: 1.0\ntasks:\n  a: {with: {items: \"x in <% [1, [2]] %>\", concurrency: 1}, action: core.noop, retry: {count: 2}, next: [{publish: a=1 b=\"x\", do: [retry, fail, noop, b]}]}\n  b: {join: all, delay: 1}\n")
	f.Add("tasks:\n  s: {next: [{do: a}]}\n  a: {next: [{do: \"a, b\"}, {when: <% true %>, do: b}]}\n  b: {join: 1}\noutput: [{x: <% ctx() %>}]\n")
	f.Add("chain:\n  - {name: a, ref: core.noop, on-success: b, publish: {x: \"{{ a.result }}\"}}\n  - {name: b, ref: core.noop}\n")
	f.Add("version: '2.0'\nw:\n  input: [{x: 1}]\n  output: {r: <% $.r %>}\n  tasks:\n    a: {action: core.noop, with-items: i in <% [1, 2] %>, retry: count=1 delay=0, publish: {r: <% task(a).result %>}, on-success: [b, {c: <% true %>}], on-error: fail}\n    b: {on-complete: c}\n    c: {join: all, wait-before: 1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, dialect := range workflows.Dialects {
			def, _ := workflows.Parse(dialect, "fuzz.yaml", []byte(text), workflows.Options{MaxEntries: 200, MaxItems: 50})
			if def == nil {
				continue
			}
			def.Graph()
			run := workflows.New(def, "run")
			facts := []workflows.Fact{{Kind: workflows.Started}}
			for i := 0; i < 20 && len(facts) > 0; i++ {
				delta, commands, err := workflows.Step(def, run, facts[0])
				facts = facts[1:]
				if err != nil {
					continue
				}
				if delta.Head != nil && !json.Valid(delta.Head) {
					t.Errorf("the head is no JSON: %s", delta.Head)
				}
				for k, e := range delta.Entries {
					if !json.Valid(e) {
						t.Errorf("entry %s is no JSON: %s", k, e)
					}
				}
				for _, c := range commands {
					if c.Kind == workflows.StartChild {
						facts = append(facts, workflows.Fact{Kind: workflows.ChildChanged, Child: workflows.Child{Task: c.Start.Task, Route: c.Start.Route,
							Entry: c.Start.Entry, Item: c.Start.Item, Attempt: c.Start.Attempt, Status: hayate.StatusSucceeded, Result: json.RawMessage("1")}})
					}
				}
			}
			run.Tasks()
		}
	})
}
