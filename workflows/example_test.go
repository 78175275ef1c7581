package workflows_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

const greeting = `
version: 1.0
input:
  - name
tasks:
  greet:
    action: core.echo message="hello <% ctx(name) %>"
    next:
      - when: <% succeeded() %>
        publish: said=<% result().stdout %>
output:
  - said: <% ctx(said) %>
`

// A run is told what happened, and answers with what is to be stored and done.
func ExampleStep() {
	def, problems := workflows.Parse(workflows.Orquesta, "greeting.yaml", []byte(greeting), workflows.Options{})
	if len(problems) > 0 {
		fmt.Println(problems)
		return
	}
	run := workflows.New(def, "a-run")
	now := time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	delta, commands, err := workflows.Step(def, run, workflows.Fact{
		Kind: workflows.Started, At: now, Inputs: json.RawMessage(`{"name":"疾風"}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	start := commands[0].Start
	fmt.Printf("%d entries stored; %s %s\n", len(delta.Entries), start.Action, start.Input)

	_, commands, err = workflows.Step(def, run, workflows.Fact{Kind: workflows.ChildChanged, At: now.Add(time.Second),
		Child: workflows.Child{Task: start.Task, Entry: start.Entry, Item: start.Item, Attempt: start.Attempt,
			Status: hayate.StatusSucceeded, Result: json.RawMessage(`{"stdout":"hello 疾風"}`)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range commands {
		fmt.Println(c.Kind, c.Status, string(c.Output))
	}
	// Output:
	// 3 entries stored; core.echo {"message":"hello 疾風"}
	// finish succeeded {"said":"hello 疾風"}
}

// Everything that is wrong is reported together, with its place.
func ExampleParse() {
	_, problems := workflows.Parse(workflows.Orquesta, "bad.yaml", []byte(`version: 1.0
tasks:
  one:
    action: core.echo message=<% ctx(nobody) %>
    next:
      - do: two
`), workflows.Options{})
	for _, p := range problems {
		fmt.Printf("%d:%d %s: %s\n", p.Line, p.Column, p.Category, p.Message)
	}
	// Output:
	// 4:5 context: Variable "nobody" is referenced before assignment.
	// 6:13 semantics: The task "two" is not defined.
}

// A run is rebuilt from what its steps made durable.
func ExampleLoad() {
	def, _ := workflows.Parse(workflows.Orquesta, "greeting.yaml", []byte(greeting), workflows.Options{})
	run := workflows.New(def, "a-run")
	delta, _, err := workflows.Step(def, run, workflows.Fact{Kind: workflows.Started, Inputs: json.RawMessage(`{"name":"x"}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := workflows.Load(def, "a-run", delta.Head, delta.Entries)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(again.Status(), again.Tasks()[0].Name, again.Tasks()[0].Status)
	// Output: running greet running
}
