package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// margin is what an invocation keeps of its time for recording what an attempt
// came to that has to be stopped.
const margin = 2 * time.Second

// Tasks answers invocations with batches of tasks from the queue: executions to
// be performed, workflows to be begun, runs to be stepped. Its router decides
// which of them it can do. It may be called at once from many goroutines.
type Tasks struct{ base }

// NewTasks returns a function. It starts nothing, and connects to nothing.
func NewTasks(c FunctionConfig) (*Tasks, error) {
	b, err := newBase(c)
	if err != nil {
		return nil, err
	}
	return &Tasks{b}, nil
}

// Invoke answers one invocation: a batch of SQS, or the tick of a clock, which is
// {"hayate":"tick"} or a scheduled event of EventBridge. After a tick that found
// more than it could do within its time, the next one goes on.
func (f *Tasks) Invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	t, id := newTally(f.c.Now()), requestID(ctx)
	defer f.report(t, id)
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	if isTick(payload) {
		t.add("Ticks", 1)
		if err := f.c.Router.Tick(ctx); err != nil {
			f.c.Log.Error("tick failed", "request_id", id, "err", err)
			return nil, err
		}
		return map[string]string{"status": "ticked"}, nil
	}
	list := records(payload)
	if list == nil {
		return nil, fmt.Errorf("want a batch of SQS or a tick, found neither: %w", hayate.ErrInvalid)
	}
	return f.c.Batches.each(ctx, f.c.Log.With("request_id", id), t, list, func(ctx context.Context, r *record) error {
		return f.perform(ctx, t, r)
	}), nil
}

// beforeDeadline is ctx, ending a margin before the invocation does.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/4)))
}

// perform does one task. What cannot be done now comes again.
func (f *Tasks) perform(ctx context.Context, t *tally, r *record) error {
	it, err := DecodeItem(r.Body)
	if err != nil {
		return err
	}
	if early := it.NotBefore.Sub(f.c.Now()); early > time.Second {
		return &later{delay: min(early, 15*time.Minute)} // SQS delays by no more at once
	}
	if early := it.NotBefore.Sub(f.c.Now()); early > 0 {
		if !sleep(ctx, early) {
			return &later{delay: early}
		}
	}
	var again error = &later{delay: time.Second, failed: true}
	t.add("Tasks", 1)
	f.c.Router.Perform(ctx, router.Delivery{QueueItem: it,
		Ack: func(context.Context) error {
			again = nil
			return nil
		},
		Nack: func(_ context.Context, delay time.Duration) error {
			again = &later{delay: delay, failed: true} // the store is away, or a policy lets no more in
			return nil
		},
	})
	return again
}

// sleep waits, and says whether ctx is still alive. The rest of a second that SQS
// cannot delay by costs less here than another delivery.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isTick says whether a clock invokes.
func isTick(payload []byte) bool {
	var p struct {
		Hayate string `json:"hayate"`
		Source string `json:"source"`
		Detail string `json:"detail-type"`
	}
	if json.Unmarshal(payload, &p) != nil {
		return false
	}
	return p.Hayate == "tick" || p.Source == "aws.events" && p.Detail == "Scheduled Event"
}
