package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/delayqueue"
	"github.com/hayate-run/hayate/router"
)

// QueueConfig is what a queue needs.
type QueueConfig struct {
	Bound int              // most items that wait; default 100 000
	Now   func() time.Time // default time.Now
}

// Queue is a queue in memory: in order per target, by the time from which an
// item is receivable.
type Queue struct {
	q   *delayqueue.Queue[router.QueueItem]
	now func() time.Time
}

var _ router.Queue = (*Queue)(nil)

// NewQueue returns an empty queue.
func NewQueue(c QueueConfig) *Queue {
	if c.Bound == 0 {
		c.Bound = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Queue{delayqueue.New[router.QueueItem](c.Bound, c.Now), c.Now}
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

// Close drops the items and ends all that wait with ErrBusy. Twice is fine.
func (q *Queue) Close() error {
	q.q.Close()
	return nil
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
