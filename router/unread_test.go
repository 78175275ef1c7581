package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// unread is a store that does not let one execution be read once.
type unread struct {
	router.Store
	id atomic.Value // of the execution, a string
}

func (u *unread) Executions(ctx context.Context, q router.Query) (router.Page[hayate.Execution], error) {
	if id, _ := u.id.Load().(string); id != "" && slices.Contains(q.IDs, id) {
		u.id.Store("")
		return router.Page[hayate.Execution]{}, errors.New("the store is away")
	}
	return u.Store.Executions(ctx, q)
}

// TestARetryIsNotLostWithTheStore lets the store be away when a task fails that a
// policy retries: the workflow must not hear of the failure.
func TestARetryIsNotLostWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unread{}
		performed := 0
		w := newWorld(t, func(c *router.Config) {
			u.Store, c.Store = c.Store, u
			c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}}
		}, funcRunner{"fn", func(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
			performed++
			if performed > 1 {
				return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, nil
			}
			u.id.Store(string(t.Execution))
			return hayate.Result{Status: hayate.StatusFailed, Value: json.RawMessage(`{}`)}, nil
		}})
		w.load(router.Content{Actions: []hayate.Action{action("note", "fn"), action("flow", "orquesta")},
			Policies:  []hayate.Policy{policy("again", "test.note", hayate.PolicyRetry, `{"retry_on":"failure","max_retry_count":1}`)},
			Workflows: map[hayate.Ref][]byte{"test.flow": []byte("version: 1.0\ntasks:\n  one: {action: test.note}\n")}})
		w.serve()
		x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if x, err = w.Execution(t.Context(), x.ID); err != nil || x.Status != hayate.StatusSucceeded || performed != 2 {
			t.Errorf("the workflow is %s, %v, its task was performed %d times; want succeeded and 2: %s", x.Status, err, performed, x.Result)
		}
	})
}
