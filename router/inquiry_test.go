package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
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

// failing asks, and fails beside the question.
const failing = `
version: 1.0
tasks:
  ask:
    action: test.ask
    next: [{when: <% succeeded() %>, do: after}]
  break:
    action: test.break
  after:
    action: test.note
`

func TestTheQuestionOfAFailedWorkflowIsWithdrawn(t *testing.T) {
	release := make(chan struct{})
	breaking := funcRunner{"break", func(ctx context.Context, _ hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return hayate.Result{Status: hayate.StatusFailed, Value: json.RawMessage(`{"broken":true}`)}, nil
	}}
	w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, funcRunner{"fn", succeed}, breaking, inquirer.New())
	w.load(router.Content{Actions: []hayate.Action{action("ask", "inquirer"), action("note", "fn"), action("break", "break"), action("flow", "orquesta")},
		Workflows: map[hayate.Ref][]byte{"test.flow": []byte(failing)}})
	w.serve()
	x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
	if err != nil {
		t.Fatal(err)
	}
	q := w.pending()
	close(release)
	if y := w.ended(router.Query{IDs: []string{string(x.ID)}}, 1)[0]; y.Status != hayate.StatusFailed {
		t.Errorf("the workflow ended %s, want failed", y.Status)
	}
	y := w.ended(router.Query{IDs: []string{string(q.ID)}}, 1)[0]
	if y.Status != hayate.StatusCanceled || !strings.Contains(string(y.Result), `"withdrawn":"the workflow has ended"`) {
		t.Errorf("the question ended %s with %s, want canceled and why", y.Status, y.Result)
	}
	if qs, err := w.Inquiries(t.Context(), 10); err != nil || len(qs) != 0 {
		t.Errorf("questions are open: %v, %v", qs, err)
	}
	if err := w.Respond(t.Context(), q.ID, json.RawMessage(`{"continue":true}`), ""); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("an answer after that: %v, want a refusal", err)
	}
}

// The process dies right after it has committed that the workflow failed: the next
// one withdraws the question.
func TestAWithdrawalOutlivesItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, blobs := &doomed{Store: memory.New()}, memory.NewBlobs()
		breaking := funcRunner{"break", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
			return hayate.Result{Status: hayate.StatusFailed, Value: json.RawMessage(`{"broken":true}`)}, nil
		}}
		change := func(c *router.Config) {
			c.Store, c.Blobs, c.RunnerTypes = store, blobs, []hayate.Runner{{Name: "orquesta"}}
		}
		content := router.Content{Actions: []hayate.Action{action("ask", "inquirer"), action("note", "fn"), action("break", "break"), action("flow", "orquesta")},
			Workflows: map[hayate.Ref][]byte{"test.flow": []byte(strings.Replace(failing, "test.break", "test.break\n    delay: 60", 1))}}
		w := newWorld(t, change, funcRunner{"fn", succeed}, breaking, inquirer.New())
		w.load(content)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx, time.Second) }()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		store.set(x.ID, hayate.StatusFailed)
		time.Sleep(2 * time.Minute)
		open, err := store.Store.Executions(t.Context(), router.Query{Status: []hayate.Status{hayate.StatusPending}, Limit: -1})
		if err != nil || !store.isDead() || len(open.Items) != 1 {
			t.Fatalf("dead: %t, open: %d, %v; want a dead process and one open question", store.isDead(), len(open.Items), err)
		}
		stop()
		<-done
		next := newWorld(t, func(c *router.Config) {
			change(c)
			c.Store = store.Store
		}, funcRunner{"fn", succeed}, breaking, inquirer.New())
		next.load(content)
		next.serve()
		time.Sleep(2 * time.Minute)
		if y, err := next.Execution(t.Context(), open.Items[0].ID); err != nil || y.Status != hayate.StatusCanceled {
			t.Errorf("the question is %s, %v; want canceled", y.Status, err)
		}
		if y, err := next.Execution(t.Context(), x.ID); err != nil || y.Status != hayate.StatusFailed {
			t.Errorf("the workflow is %s, %v; want failed", y.Status, err)
		}
	})
}

// nestedAsking asks three workflows down, and fails at the top beside that.
var nestedAsking = map[hayate.Ref][]byte{
	"test.flow":   []byte("version: 1.0\ntasks:\n  sub: {action: test.inner}\n  break: {action: test.break}\n"),
	"test.inner":  []byte("version: 1.0\ntasks:\n  sub: {action: test.asking}\n"),
	"test.asking": []byte("version: 1.0\ntasks:\n  ask: {action: test.ask, next: [{do: after}]}\n  after: {action: test.note}\n"),
}

func TestAQuestionBelowAFailedWorkflowIsWithdrawn(t *testing.T) {
	for name, breaks := range map[string]time.Duration{"before the workflow fails": 30 * time.Second, "after the workflow failed": 0} {
		t.Run("asked "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				breaking := funcRunner{"break", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
					time.Sleep(breaks)
					return hayate.Result{Status: hayate.StatusFailed, Value: json.RawMessage(`{"broken":true}`)}, nil
				}}
				asks := funcRunner{"inquirer", func(ctx context.Context, task hayate.Task, line func(hayate.Stream, string)) (hayate.Result, error) {
					time.Sleep(10 * time.Second)
					return ask(ctx, task, line)
				}}
				w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} }, funcRunner{"fn", succeed}, breaking, asks)
				w.load(router.Content{Workflows: nestedAsking, Actions: []hayate.Action{action("ask", "inquirer"), action("note", "fn"),
					action("break", "break"), action("flow", "orquesta"), action("inner", "orquesta"), action("asking", "orquesta")}})
				w.serve()
				x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				if x, err = w.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusFailed {
					t.Errorf("the workflow is %s, %v; want failed", x.Status, err)
				}
				for _, a := range []hayate.Ref{"test.ask", "test.asking", "test.inner"} {
					p, err := w.Executions(t.Context(), router.Query{Action: a, Limit: -1})
					if err != nil || len(p.Items) != 1 || p.Items[0].Status != hayate.StatusCanceled {
						t.Errorf("of %s there are %+v, %v; want one, canceled", a, p.Items, err)
					}
				}
				if qs, err := w.Inquiries(t.Context(), 10); err != nil || len(qs) != 0 {
					t.Errorf("questions are open: %v, %v", qs, err)
				}
				if p, err := w.Executions(t.Context(), router.Query{Action: "test.note", Limit: -1}); err != nil || len(p.Items) != 0 {
					t.Errorf("what follows the question ran: %+v, %v", p.Items, err)
				}
			})
		})
	}
}
