package router_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

func TestSecretsOfAnAnswerAreMasked(t *testing.T) {
	w, _ := newAsking(t, "", nil)
	q := w.pending()
	x, err := w.Execution(t.Context(), q.ID)
	if err != nil {
		t.Fatal(err)
	}
	x.Result = json.RawMessage(`{"schema":{"type":"object","properties":{"code":{"type":"string","secret":true},"why":{"type":"string"}}},` +
		`"response":{"code":"hunter2","why":"because"}}`)
	if got := string(w.Masked(x).Result); strings.Contains(got, "hunter2") || !strings.Contains(got, `"response":{"code":"********","why":"because"}`) {
		t.Errorf("shown is %s", got)
	}
	if !strings.Contains(string(x.Result), "hunter2") {
		t.Error("the workflow gets the masked answer")
	}
}

const passing = `
version: 1.0
input: [pw]
tasks:
  say:
    action: test.note
    input: {text: 'with <% ctx(pw) %>', other: plain}
`

func TestWhatAWorkflowPassesOnOfItsSecretsIsPrivate(t *testing.T) {
	secrets := make(chan []string, 1)
	runner := funcRunner{"fn", func(_ context.Context, task hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		secrets <- append(task.Secrets, string(task.Parameters))
		return hayate.Result{Status: hayate.StatusSucceeded}, nil
	}}
	w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, runner)
	flow, note := action("flow", "orquesta"), action("note", "fn")
	flow.Parameters = hayate.Parameters{{Name: "pw", Schema: json.RawMessage(`{"type":"string","secret":true}`), Type: "string", Secret: true}}
	note.Parameters = hayate.Parameters{{Name: "text", Schema: json.RawMessage(`{"type":"string"}`), Type: "string"},
		{Name: "other", Schema: json.RawMessage(`{"type":"string"}`), Type: "string"}}
	w.load(router.Content{Actions: []hayate.Action{flow, note}, Workflows: map[hayate.Ref][]byte{"test.flow": []byte(passing)}})
	w.serve()
	if _, err := w.Start(t.Context(), router.Start{Action: "test.flow", Parameters: json.RawMessage(`{"pw":"hunter2"}`)}); err != nil {
		t.Fatal(err)
	}
	x := w.ended(router.Query{Action: "test.note"}, 1)[0]
	if got, want := <-secrets, []string{"hunter2", `{"text":"with hunter2","other":"plain"}`}; !slices.Equal(got, want) {
		t.Errorf("the task has secrets and parameters %q, want %q", got, want)
	}
	stored, err := w.Execution(t.Context(), x.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(stored.Parameters), `"text":"sealed:`) {
		t.Errorf("stored is %s", stored.Parameters)
	}
	if got := string(w.Masked(stored).Parameters); got != `{"text":"********","other":"plain"}` {
		t.Errorf("shown is %s", got)
	}
}
