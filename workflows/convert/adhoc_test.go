package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/convert"
	"github.com/hayate-run/hayate/workflows/simulate"
)

// A workbook whose tasks call its own actions: with parameters in line, in both
// languages, with defaults, items and a failure.
const book = `version: '2.0'
name: shop
actions:
  greet:
    base: core.local
    base-input: {cmd: "echo <% $.greeting %> <% $.who %>", list: ["<% $.who %>"]}
    input: [who, greeting: hello]
  loud:
    base: core.local cmd="echo <% $.what.toUpper() %>"
    input: [what]
  jin:
    base: core.remote
    base-input: {hosts: "{{ _.hosts }}", cmd: "ls {{ _.dir | upper }}"}
    input: [hosts, dir: /tmp]
  out:
    base: core.local
    base-input: {cmd: "<% $.cmd %>"}
    input: [cmd]
    output: "<% $.stdout %>!"
workflows:
  main:
    input: [name: ada, hosts: [a, b]]
    output: {last: <% $.last %>}
    tasks:
      one: {action: greet who="world", on-success: two}
      two: {action: shop.greet, input: {who: "<% $.name %>", greeting: "<% $.hosts %>"}, on-success: three}
      three: {action: loud, input: {what: <% $.name %>}, on-success: four}
      four: {action: jin, input: {hosts: "{{ _.hosts | join(',') }}"}, on-success: five}
      five: {with-items: h in <% $.hosts %>, action: greet who=<% $.h %>, on-success: six}
      six: {action: std.fail, on-error: seven}
      seven: {action: out cmd=ls, publish: {last: <% task(seven).result %>}}
`

func TestCallsOfAWorkbooksOwnActionsBecomeThoseOfTheirBase(t *testing.T) {
	t.Parallel()
	all, problems := convert.Convert(workflows.Mistral, []byte(book))
	if len(problems) > 0 || len(all) != 2 || all[0].Name != "main" || all[1].Name != "out" {
		t.Fatalf("%v %v", all, problems)
	}
	for _, n := range all[0].Notes {
		if n.Kind == convert.Lost {
			t.Errorf("not converted: %s", n.Message)
		}
	}
	calls := func(dialect string, text []byte, seven string) []string {
		def, problems := workflows.Parse(dialect, "w", text, workflows.Options{Known: []string{"st2", "parent"}})
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		r, err := simulate.Run(def, simulate.Plan{Outcomes: []simulate.Outcome{{Task: "six", Status: "failed"}, {Task: "seven", Result: []byte(seven)}}})
		if err != nil || r.Status != "succeeded" || string(r.Output) != `{"last":"x!"}` {
			t.Fatalf("%s: the run is %s with %s %s, %v", dialect, r.Status, r.Output, r.Errors, err)
		}
		var out []string
		for _, task := range r.Tasks {
			for _, y := range task.Tries {
				if task.Name != "six" && task.Name != "seven" {
					out = append(out, fmt.Sprintf("%s %s %s", task.Name, y.Action, y.Input))
				}
			}
		}
		return out
	}
	source, result := calls(workflows.Mistral, []byte(book), `{"stdout":"x"}`), calls(workflows.Orquesta, all[0].YAML, `{"output":{"result":"x!"}}`)
	if len(source) != 6 || !slices.Equal(source, result) {
		t.Errorf("the source calls\n%s\nthe result\n%s\nof\n%s", strings.Join(source, "\n"), strings.Join(result, "\n"), all[0].YAML)
	}
	for _, want := range []string{"action: shop_out", "result().output.result", "cmd: exit 1"} {
		if !strings.Contains(string(all[0].YAML), want) {
			t.Errorf("%q is not in\n%s", want, all[0].YAML)
		}
	}
	// What makes something of its result is a workflow with one task.
	def, problems := workflows.Parse(workflows.Orquesta, "out", all[1].YAML, workflows.Options{})
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, all[1].YAML)
	}
	r, err := simulate.Run(def, simulate.Plan{Inputs: []byte(`{"cmd":"ls"}`), Outcomes: []simulate.Outcome{{Task: "call", Result: []byte(`{"stdout":"abc"}`)}}})
	if err != nil || string(r.Output) != `{"result":"abc!"}` {
		t.Errorf("the action made %s of its result, %v\n%s", r.Output, err, all[1].YAML)
	}
}
