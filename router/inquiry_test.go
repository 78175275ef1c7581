package router_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/inquirer"
)

const asking = `
version: 1.0
tasks:
  ask:
    action: test.ask
    next: [{when: <% succeeded() %>, publish: [{go: <% result().response.continue %>}], do: after}]
  after:
    action: test.note
output: [{go: <% ctx(go) %>}]
`

// pending waits until the workflow's question is there.
func (w *world) pending() router.Inquiry {
	w.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		qs, err := w.Inquiries(w.t.Context(), 10)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(qs) == 1 {
			return qs[0]
		}
	}
	w.t.Fatal("no question was asked")
	return router.Inquiry{}
}

func newAsking(t *testing.T, params string, change func(*router.Config)) (*world, hayate.Execution) {
	w := newWorld(t, func(c *router.Config) {
		c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}}
		if change != nil {
			change(c)
		}
	}, funcRunner{"fn", succeed}, inquirer.New())
	ask := action("ask", "inquirer")
	if params != "" {
		ask.Parameters = hayate.Parameters{{Name: "users", Default: json.RawMessage(params)}}
	}
	w.load(router.Content{Actions: []hayate.Action{ask, action("note", "fn"), action("flow", "orquesta")},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(asking)}})
	w.serve()
	x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
	if err != nil {
		t.Fatal(err)
	}
	return w, x
}

func TestAWorkflowWaitsForAnAnswer(t *testing.T) {
	w, x := newAsking(t, `["alice"]`, nil)
	q := w.pending()
	for _, c := range []struct {
		name, response, user string
		want                 error
	}{
		{"of somebody else", `{"continue":true}`, "bob", hayate.ErrDenied},
		{"of the wrong type", `{"continue":"perhaps"}`, "alice", hayate.ErrInvalid},
		{"that lacks what is required", `{}`, "alice", hayate.ErrInvalid},
		{"that fits", `{"continue":true}`, "alice", nil},
		{"given twice", `{"continue":true}`, "alice", hayate.ErrInvalid},
	} {
		if err := w.Respond(t.Context(), q.ID, json.RawMessage(c.response), c.user); !errors.Is(err, c.want) {
			t.Errorf("an answer %s: %v, want %v", c.name, err, c.want)
		}
	}
	y := w.ended(router.Query{IDs: []string{string(x.ID)}}, 1)[0]
	if y.Status != hayate.StatusSucceeded || string(y.Result) != `{"output":{"go":true}}` {
		t.Errorf("the workflow ended %s with %s", y.Status, y.Result)
	}
}

func TestAQuestionExpires(t *testing.T) {
	start := time.Now()
	w, x := newAsking(t, "", func(c *router.Config) {
		// The clock runs a day in a second: the default time to live passes soon.
		c.Now = func() time.Time { now := time.Now(); return now.Add(86_400 * 2 * now.Sub(start)) }
		c.Lease = 1000 * time.Hour
	})
	y := w.ended(router.Query{IDs: []string{string(x.ID)}}, 1)[0]
	if y.Status != hayate.StatusFailed {
		t.Errorf("the workflow ended %s, want failed", y.Status)
	}
	if qs := w.ended(router.Query{Action: "test.ask"}, 1); qs[0].Status != hayate.StatusTimeout {
		t.Errorf("the question ended %s, want timeout", qs[0].Status)
	}
}

func TestTheQuestionOfACanceledWorkflowIsWithdrawn(t *testing.T) {
	w, x := newAsking(t, "", nil)
	q := w.pending()
	if _, err := w.Cancel(t.Context(), x.ID, "operator"); err != nil {
		t.Fatal(err)
	}
	if y := w.ended(router.Query{IDs: []string{string(x.ID)}}, 1)[0]; y.Status != hayate.StatusCanceled {
		t.Errorf("the workflow ended %s, want canceled", y.Status)
	}
	if y := w.ended(router.Query{IDs: []string{string(q.ID)}}, 1)[0]; y.Status != hayate.StatusCanceled {
		t.Errorf("the question ended %s, want canceled", y.Status)
	}
	if err := w.Respond(t.Context(), q.ID, json.RawMessage(`{"continue":true}`), ""); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("an answer after that: %v, want a refusal", err)
	}
}
