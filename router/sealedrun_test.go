package router_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// hexSecrets hides what is sealed from whoever looks for it in clear.
type hexSecrets struct{}

func (hexSecrets) Seal(s string) (string, error) { return "hex:" + hex.EncodeToString([]byte(s)), nil }
func (hexSecrets) Open(s string) (string, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "hex:"))
	if err != nil || !strings.HasPrefix(s, "hex:") {
		return "", fmt.Errorf("open: %w", hayate.ErrInvalid)
	}
	return string(b), nil
}

// Workflows that keep a secret of their input, and publish it and one of the datastore
// where the dialect can.
var keepers = []struct{ runner, text string }{
	{"orquesta", `
version: 1.0
input: [pw, n]
vars: [{url: 'https://op:<% ctx(pw) %>@db'}]
tasks:
  one:
    action: test.note
    input: {text: '<% ctx(url) %>', other: '<% st2kv("system.token", decrypt=>true) %>'}
    next:
      - when: <% succeeded() %>
        publish: [{again: '<% ctx(pw) %>'}, {token: '<% st2kv("system.token", decrypt=>true) %>'}]
        do: wait
  wait: {action: test.note, delay: 60, next: [{do: two}]}
  two: {action: test.note, input: {text: '<% ctx(again) %>', other: '<% ctx(token) %>'}}
`},
	{"action-chain", `
vars: {copy: '{{pw}}'}
chain:
  - {name: one, ref: test.note, parameters: {text: '{{copy}}', other: x}, publish: {again: '{{pw}}'}, on-success: wait}
  - {name: wait, ref: test.late, on-success: two}
  - {name: two, ref: test.note, parameters: {text: '{{again}}', other: x}}
`},
	{"mistral-v2", `
version: '2.0'
test.flow:
  input: [pw, n]
  tasks:
    one: {action: test.note, input: {text: '<% $.pw %>', other: x}, publish: {again: '<% $.pw %>'}, on-success: wait}
    wait: {action: test.note, wait-before: 60, on-success: two}
    two: {action: test.note, input: {text: '<% $.again %>', other: x}}
`},
}

func TestASecretOfARunIsSealedInTheStore(t *testing.T) {
	const pw, token = `hunter"2 <ä>`, "tok-8851"
	for _, k := range keepers {
		t.Run(k.runner, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen []string
				note := funcRunner{"fn", func(_ context.Context, task hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
					seen = append(seen, string(task.Parameters))
					return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, nil
				}}
				late := funcRunner{"late", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
					time.Sleep(time.Minute)
					return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, nil
				}}
				store, blobs, data := memory.New(), memory.NewBlobs(), memory.NewDatastore()
				world := func() *world {
					w := newWorld(t, func(c *router.Config) {
						c.Store, c.Blobs, c.Secrets, c.Datastore, c.Workers = store, blobs, hexSecrets{}, data, 1
						c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}, {Name: "action-chain"}, {Name: "mistral-v2"}}
					}, note, late)
					flow, say := action("flow", k.runner), action("note", "fn")
					flow.Parameters = hayate.Parameters{{Name: "pw", Schema: json.RawMessage(`{"type":"string","secret":true}`), Type: "string", Secret: true},
						{Name: "n", Schema: json.RawMessage(`{"type":"integer"}`), Type: "integer"}}
					slow := action("late", "late")
					slow.Idempotent = true
					text := json.RawMessage(`{"type":"string"}`)
					say.Parameters = hayate.Parameters{{Name: "text", Schema: text, Type: "string"}, {Name: "other", Schema: text, Type: "string"}}
					w.load(router.Content{Actions: []hayate.Action{flow, say, slow}, Workflows: map[hayate.Ref][]byte{"test.flow": []byte(k.text)}})
					return w
				}
				first := world()
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- first.Run(ctx, time.Second) }()
				if _, err := first.SetKey(t.Context(), router.SetKey{Key: router.Key{Scope: "system", Name: "token"}, Value: token, Secret: true}); err != nil {
					t.Fatal(err)
				}
				params, _ := json.Marshal(map[string]any{"pw": pw, "n": 7})
				x, err := first.Start(t.Context(), router.Start{Action: "test.flow", Parameters: params})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				inClear(t, store, x.ID, pw, token)
				if g, err := first.Graph(t.Context(), x.ID); err != nil || len(g.Tasks) < 2 {
					t.Errorf("its graph has tasks %+v, %v", g.Tasks, err)
				}
				// The next process opens what the first one sealed.
				stop()
				<-done
				second := world()
				second.serve()
				time.Sleep(3 * time.Minute)
				if x, err = second.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusSucceeded {
					t.Fatalf("the run is %s with %s, %v", x.Status, x.Result, err)
				}
				inClear(t, store, x.ID, pw, token)
				var shown struct {
					Tasks []struct{ Input json.RawMessage }
				}
				if err := json.Unmarshal(x.Result, &shown); err != nil || strings.Contains(inputs(shown.Tasks), "hunter") {
					t.Errorf("its result shows the inputs %s, %v", x.Result, err)
				}
				var last struct{ Text, Other string }
				if err := json.Unmarshal([]byte(seen[len(seen)-1]), &last); err != nil || last.Text != pw || k.runner == "orquesta" && last.Other != token {
					t.Errorf("the last task got %+v, %v", last, err)
				}
			})
		})
	}
}

func inputs(tasks []struct{ Input json.RawMessage }) string {
	var b strings.Builder
	for _, t := range tasks {
		b.Write(t.Input)
	}
	return b.String()
}

// inClear fails the test where one of the secrets stands in what is stored of a run or
// of its tasks' parameters.
func inClear(t *testing.T, store *memory.Store, id hayate.ExecutionID, secrets ...string) {
	t.Helper()
	st, err := store.Run(t.Context(), id)
	if err != nil {
		p, _ := store.Executions(t.Context(), router.Query{IDs: []string{string(id)}, Limit: 1})
		t.Fatalf("%v; there is %+v", err, p.Items)
	}
	parts := map[string]string{"head": string(st.Head)}
	sealed := 0
	for k, v := range st.Entries {
		parts["entry "+k] = string(v)
		if strings.HasPrefix(string(v), `"sealed:run:v1:`) {
			sealed++
		}
	}
	if sealed == 0 {
		t.Error("nothing of the run is sealed")
	}
	p, err := store.Executions(t.Context(), router.Query{Parent: id, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Items {
		parts["parameters of "+string(x.ID)] = string(x.Parameters)
	}
	for what, text := range parts {
		for _, s := range secrets {
			for _, form := range []string{s, strings.Trim(quote(s), `"`)} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds %q in clear: %s", what, s, text)
				}
			}
		}
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A result that looks like a sealed entry is not opened: who can make a task return a
// sealed text could read any secret by it.
func TestWhatOnlyLooksSealedIsNotOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forged, _ := hexSecrets{}.Seal(`{"password":"hunter2"}`)
		forger := funcRunner{"fn", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
			return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(quote("sealed:run:v1:" + forged))}, nil
		}}
		store, blobs := memory.New(), memory.NewBlobs()
		text := "version: 1.0\ntasks:\n  one:\n    action: test.note\n    next: [{publish: [{r: <% result() %>}], do: two}]\n  two: {action: test.note, delay: 60}\noutput: [{r: <% ctx(r) %>}]\n"
		for round := range 2 {
			w := newWorld(t, func(c *router.Config) {
				c.Store, c.Blobs, c.Secrets, c.RunnerTypes = store, blobs, hexSecrets{}, []hayate.Runner{{Name: "orquesta"}}
			}, forger)
			w.load(router.Content{Actions: []hayate.Action{action("note", "fn"), action("flow", "orquesta")}, Workflows: map[hayate.Ref][]byte{"test.flow": []byte(text)}})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx, time.Second) }()
			if round == 0 {
				if _, err := w.Start(t.Context(), router.Start{Action: "test.flow"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
			} else {
				time.Sleep(2 * time.Minute)
				x := w.ended(router.Query{Action: "test.flow"}, 1)[0]
				if x.Status != hayate.StatusSucceeded || strings.Contains(string(x.Result), "hunter2") || !strings.Contains(string(x.Result), forged) {
					t.Errorf("the run is %s with %s", x.Status, x.Result)
				}
			}
			stop()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}
