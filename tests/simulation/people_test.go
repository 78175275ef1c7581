package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// send delivers an event until it is acknowledged.
func (w *world) send(id, flow string, n, number int) {
	e := hayate.Event{ID: id, Source: "/sim", Type: "sim.alert", Data: fmt.Appendf(nil, `{"flow":%q,"n":%d}`, flow, n)}
	w.ask("event "+id, number, func(r *router.Router) error {
		rc, err := r.Accept(context.Background(), e)
		if err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if first, ok := w.acked[id]; ok && first != rc.ID {
			w.observed.fail("event %s was acknowledged as %s and as %s", id, first, rc.ID)
		}
		w.acked[id], w.flowOf[id] = rc.ID, flow
		return nil
	})
}

// start starts an execution and returns it once that is acknowledged. A start
// that failed and is repeated may have happened as well.
func (w *world) start(ref hayate.Ref, n, number int) (id hayate.ExecutionID) {
	w.ask("start of "+string(ref), number, func(r *router.Router) error {
		x, err := r.Start(context.Background(), router.Start{Action: ref, Parameters: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))})
		if err == nil {
			id = x.ID
			w.mu.Lock()
			defer w.mu.Unlock()
			w.started[id] = true
		}
		return err
	})
	return id
}

// rerun starts an execution once more.
func (w *world) rerun(id hayate.ExecutionID, number int) {
	w.ask("rerun of "+string(id), number, func(r *router.Router) error {
		x, err := r.Rerun(context.Background(), id, nil, "", 0)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.started[x.ID] = true
		}
		return err
	})
}

// cancel asks for the end of an execution, which may have ended.
func (w *world) cancel(id hayate.ExecutionID, number int) {
	w.mu.Lock()
	w.canceled[id] = true
	w.mu.Unlock()
	w.ask("cancel of "+string(id), number, func(r *router.Router) error {
		x, err := r.Cancel(context.Background(), id, "somebody")
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.obeyed[id] = x.Status
		}
		return err
	}, hayate.ErrConflict)
}

// pause asks a workflow to start no more, which may have ended or not begun.
func (w *world) pause(id hayate.ExecutionID, number int) {
	w.ask("pause of "+string(id), number, func(r *router.Router) error {
		x, err := r.Pause(context.Background(), id)
		if err == nil && x.Status == hayate.StatusScheduled {
			w.observed.fail("execution %s is %s after its pause was accepted", id, x.Status)
		}
		return err
	}, hayate.ErrConflict)
}

// resume lets a workflow go on, which may not be paused.
func (w *world) resume(id hayate.ExecutionID, number int) {
	w.ask("resume of "+string(id), number, func(r *router.Router) error {
		_, err := r.Resume(context.Background(), id)
		return err
	}, hayate.ErrConflict)
}

// flowBelow is a workflow that a run has started, or the run itself.
func (w *world) flowBelow(id hayate.ExecutionID, number int) hayate.ExecutionID {
	found := id
	w.ask("tasks of "+string(id), number, func(r *router.Router) error {
		p, err := r.Executions(context.Background(), router.Query{Parent: id, Ascending: true, Limit: 100})
		for _, x := range p.Items {
			if isFlow(x.Runner) {
				found = x.ID
			}
		}
		return err
	})
	return found
}

// await waits for the end of an execution.
func (w *world) await(id hayate.ExecutionID, number int) hayate.ExecutionID {
	for begun := time.Now(); id != "" && time.Since(begun) < rest; time.Sleep(2 * time.Second) {
		over := false
		w.ask("look at "+string(id), number, func(r *router.Router) error {
			x, err := r.Execution(context.Background(), id)
			over = x.Status.Completed()
			return err
		})
		if over {
			return id
		}
	}
	return ""
}

// again continues a workflow from its task bad.
func (w *world) again(id hayate.ExecutionID, number int) {
	w.ask("continuation of "+string(id), number, func(r *router.Router) error {
		x, err := r.RerunTasks(context.Background(), router.Again{Ref: id, Tasks: []string{"bad"}}, "", 0)
		if errors.Is(err, hayate.ErrConflict) {
			return fmt.Errorf("%w: %w", err, hayate.ErrBusy) // another of its tasks still runs
		}
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.started[x.ID] = true
		}
		return err
	})
}

// answerAll gives all open questions an answer.
func (w *world) answerAll(n, number int) {
	var open []router.Inquiry
	w.ask("open questions", number, func(r *router.Router) (err error) {
		open, err = r.Inquiries(context.Background(), 100)
		return err
	})
	for _, q := range open {
		w.mu.Lock()
		w.answers[q.ID] = append(w.answers[q.ID], n)
		w.mu.Unlock()
		w.ask("answer to "+string(q.ID), number, func(r *router.Router) error {
			err := r.Respond(context.Background(), q.ID, fmt.Appendf(nil, `{"n":%d}`, n), "")
			if err == nil {
				w.mu.Lock()
				defer w.mu.Unlock()
				if first, twice := w.accepted[q.ID]; twice {
					w.observed.fail("question %s was answered with %d and with %d", q.ID, first, n)
				}
				w.accepted[q.ID] = n
			}
			return err
		}, hayate.ErrInvalid)
	}
}
