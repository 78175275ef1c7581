package router

import (
	"context"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
)

// waiters are those who wait for the end of executions.
type waiters struct {
	mu sync.Mutex
	m  map[hayate.ExecutionID][]chan struct{}
}

func (w *waiters) add(id hayate.ExecutionID) chan struct{} {
	c := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m == nil {
		w.m = map[hayate.ExecutionID][]chan struct{}{}
	}
	w.m[id] = append(w.m[id], c)
	return c
}

func (w *waiters) remove(id hayate.ExecutionID, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.m[id]
	for i := range list {
		if list[i] == c {
			w.m[id] = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(w.m[id]) == 0 {
		delete(w.m, id)
	}
}

// wake tells those who wait that something happened to an execution.
func (w *waiters) wake(id hayate.ExecutionID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.m[id] {
		close(c)
	}
	delete(w.m, id)
}

// waitAgain is how often an execution is looked at that another process may end.
const waitAgain = 500 * time.Millisecond

// Wait returns an execution once it has ended, or waits for an answer, or ctx
// has ended. What this process does itself it hears of at once.
func (r *Router) Wait(ctx context.Context, id hayate.ExecutionID) (hayate.Execution, error) {
	for {
		c := r.waiters.add(id)
		x, err := r.Execution(ctx, id)
		if err != nil || x.Status.Completed() || x.Status == hayate.StatusPending {
			r.waiters.remove(id, c)
			return x, err
		}
		t := time.NewTimer(waitAgain)
		select {
		case <-ctx.Done():
			t.Stop()
			r.waiters.remove(id, c)
			return x, ctx.Err()
		case <-c:
		case <-t.C:
			r.waiters.remove(id, c)
		}
		t.Stop()
	}
}
