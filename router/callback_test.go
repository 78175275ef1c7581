package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// handsOver leaves its work to somebody who calls back.
type handsOver struct {
	tokens chan string
	result string
}

func (h handsOver) Describe() []hayate.Runner { return []hayate.Runner{{Name: "over", Callback: true}} }

func (h handsOver) Run(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	h.tokens <- t.Callback
	return hayate.Result{Status: hayate.StatusPending, Value: json.RawMessage(h.result)}, nil
}

const callbackFlow = `
version: 1.0
tasks:
  one: {action: test.over, next: [{publish: [{x: <% result().n %>}]}]}
output: [{x: <% ctx().x %>}]
`

func TestCallbackEndsATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handsOver{make(chan string, 1), `{}`}
		w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, h)
		c := flowContent(callbackFlow)
		c.Actions = append(c.Actions, action("over", "over"))
		w.load(c)
		w.serve()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		token := <-h.tokens
		synctest.Wait()
		if _, err := w.CallBack(t.Context(), router.Callback{Token: "made up"}); !errors.Is(err, hayate.ErrDenied) {
			t.Errorf("a made up token: %v, want denied", err)
		}
		if _, err := w.CallBack(t.Context(), router.Callback{Token: token, Status: "running"}); !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("a status that is no end: %v, want invalid", err)
		}
		for range 2 {
			if _, err := w.CallBack(t.Context(), router.Callback{Token: token, Result: json.RawMessage(`{"n":7}`)}); err != nil {
				t.Errorf("CallBack: %v", err)
			}
		}
		if _, err := w.CallBack(t.Context(), router.Callback{Token: token, Status: hayate.StatusFailed}); !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("another outcome: %v, want a conflict", err)
		}
		y, err := w.Wait(t.Context(), x.ID)
		if want := `{"output":{"x":7}}`; err != nil || y.Status != hayate.StatusSucceeded || string(y.Result) != want {
			t.Errorf("the workflow is %s with %s, %v; want success with %s", y.Status, y.Result, err, want)
		}
	})
}

func TestCallbackThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handsOver{make(chan string, 1), `{"expires":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`}
		w := newWorld(t, nil, h)
		w.load(router.Content{Actions: []hayate.Action{action("over", "over")}})
		w.serve()
		x, err := w.Start(t.Context(), router.Start{Action: "test.over"})
		if err != nil {
			t.Fatal(err)
		}
		token := <-h.tokens
		time.Sleep(59 * time.Minute)
		if y, err := w.Execution(t.Context(), x.ID); err != nil || y.Status != hayate.StatusPending {
			t.Errorf("before its time is over it is %s, %v; want pending", y.Status, err)
		}
		time.Sleep(2 * time.Minute)
		if y, err := w.Execution(t.Context(), x.ID); err != nil || y.Status != hayate.StatusTimeout {
			t.Errorf("after its time it is %s, %v; want timeout", y.Status, err)
		}
		if _, err := w.CallBack(t.Context(), router.Callback{Token: token}); !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("a late callback: %v, want a conflict", err)
		}
	})
}
