package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/delayqueue"
	"github.com/hayate-run/hayate/router"
)

// Queue hands executions over in memory. The durable copy is the execution; a
// process that starts fills its queue from the store.
type Queue struct {
	q   *delayqueue.Queue[router.QueueItem]
	now func() time.Time
}

var _ router.Queue = (*Queue)(nil)

func newQueue(c Config) *Queue {
	if c.QueueBound == 0 {
		c.QueueBound = 100_000
	}
	return &Queue{delayqueue.New[router.QueueItem](c.QueueBound, c.Now), c.Now}
}

// Depth is the number of items that wait, receivable or not yet.
func (q *Queue) Depth() int { return q.q.Len() }

// Put implements router.Queue.
func (q *Queue) Put(ctx context.Context, items ...router.QueueItem) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("queue executions: %w", err)
	}
	own := make([]delayqueue.Item[router.QueueItem], len(items))
	for i, it := range items {
		own[i] = delayqueue.Item[router.QueueItem]{Value: it, Target: it.Target, NotBefore: it.NotBefore}
	}
	if err := q.q.Put(own...); err != nil {
		return fmt.Errorf("queue %d executions: %w", len(items), queueError(err))
	}
	return nil
}

// Receive implements router.Queue.
func (q *Queue) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	it, err := q.q.Receive(ctx, targets...)
	if err != nil {
		return router.Delivery{}, fmt.Errorf("receive from queue: %w", queueError(err))
	}
	return router.Delivery{
		QueueItem: it.Value,
		Ack:       func(context.Context) error { return nil },
		Nack: func(_ context.Context, delay time.Duration) error {
			it.NotBefore = q.now().Add(delay)
			it.Value.NotBefore = it.NotBefore
			if err := q.q.Return(it); err != nil {
				return fmt.Errorf("return execution %s to queue: %w", it.Value.Execution, queueError(err))
			}
			return nil
		},
	}, nil
}

// queueError gives the queue's reasons the kinds that callers know.
func queueError(err error) error {
	switch {
	case errors.Is(err, delayqueue.ErrFull), errors.Is(err, delayqueue.ErrClosed):
		return fmt.Errorf("%w: %w", err, hayate.ErrBusy)
	case errors.Is(err, delayqueue.ErrNoTarget):
		return fmt.Errorf("%w: %w", err, hayate.ErrInvalid)
	}
	return err
}
