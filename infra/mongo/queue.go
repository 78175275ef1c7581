package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/delayqueue"
	"github.com/hayate-run/hayate/router"
)

// pollLimit is the most executions that one look brings.
const pollLimit = 256

// Queue finds executions by looking for those that may be claimed. What this
// process puts is handed over in memory; what others have stored is found
// within Config.Poll. Nothing is lost with the memory: the next look finds it.
type Queue struct {
	s *Store
	q *delayqueue.Queue[hayate.ExecutionID]

	all bool // every target is handed over in memory
	own []string

	polling sync.Mutex // held by the one receiver that looks
	looked  time.Time  // when it last did
	more    bool       // it could not bring everything

	mu    sync.Mutex
	known map[hayate.ExecutionID]bool // in memory, or delivered and not acknowledged
	depth atomic.Int64                // as the last look found it
}

var _ router.Queue = (*Queue)(nil)

func newQueue(s *Store, c *Config) *Queue {
	return &Queue{s: s, q: delayqueue.New[hayate.ExecutionID](c.QueueBound, s.now), known: map[hayate.ExecutionID]bool{},
		all: c.HandOver == nil && !c.Serverless, own: c.HandOver}
}

// Put implements router.Queue. Items for targets that are not handed over are
// left to those who receive for them: they find them in the store.
func (q *Queue) Put(ctx context.Context, items ...router.QueueItem) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("queue executions: %w", err)
	}
	if q.s.closed.Load() {
		return fmt.Errorf("queue executions: %w", errClosed)
	}
	var own []delayqueue.Item[hayate.ExecutionID]
	q.mu.Lock()
	for _, it := range items {
		if (q.all || slices.Contains(q.own, it.Target)) && !q.known[it.Execution] {
			own = append(own, delayqueue.Item[hayate.ExecutionID]{Value: it.Execution, Target: it.Target, NotBefore: it.NotBefore})
			q.known[it.Execution] = true
		}
	}
	q.mu.Unlock()
	if len(own) == 0 {
		return nil
	}
	if err := q.q.Put(own...); err != nil {
		for _, it := range own {
			q.forget(it.Value)
		}
		return fmt.Errorf("queue %d executions: %w", len(own), queueError(err))
	}
	return nil
}

func (q *Queue) forget(id hayate.ExecutionID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.known, id)
}

// Receive implements router.Queue. While it waits, one of the receivers of this
// process looks into the store from time to time.
func (q *Queue) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	for {
		if err := q.look(ctx, targets); err != nil {
			return router.Delivery{}, fmt.Errorf("receive from queue: %w", err)
		}
		wait, cancel := context.WithTimeout(ctx, q.s.poll)
		it, err := q.q.Receive(wait, targets...)
		cancel()
		switch {
		case err == nil:
			return q.delivery(it), nil
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			continue
		}
		return router.Delivery{}, fmt.Errorf("receive from queue: %w", queueError(err))
	}
}

func (q *Queue) delivery(it delayqueue.Item[hayate.ExecutionID]) router.Delivery {
	return router.Delivery{
		QueueItem: router.QueueItem{Execution: it.Value, Target: it.Target, NotBefore: it.NotBefore},
		Ack: func(context.Context) error {
			q.forget(it.Value)
			return nil
		},
		Nack: func(_ context.Context, delay time.Duration) error {
			it.NotBefore = q.s.now().Add(delay)
			if err := q.q.Return(it); err != nil {
				q.forget(it.Value)
				return fmt.Errorf("return execution %s to queue: %w", it.Value, queueError(err))
			}
			return nil
		},
	}
}

// look polls the store where it is time to, and nobody else is at it.
func (q *Queue) look(ctx context.Context, targets []string) error {
	if !q.polling.TryLock() {
		return nil
	}
	defer q.polling.Unlock()
	now := q.s.now()
	if now.Sub(q.looked).Abs() < q.s.poll && !(q.more && q.q.Len() < pollLimit/2) {
		return nil
	}
	q.looked = now
	return q.poll(ctx, targets)
}

// poll looks for executions that may be claimed now. It stops early where the
// memory is full: what is there is enough to go on with.
func (q *Queue) poll(ctx context.Context, targets []string) error {
	s := q.s
	if err := s.enter(ctx); err != nil {
		return err
	}
	now := s.now().UnixMicro()
	f := bson.D{{Key: "due", Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lte", Value: now}}}, {Key: "tgt", Value: in(targets)}, {Key: "s", Value: in(claimable())}}
	o := options.Find().SetSort(asc("due")).SetLimit(pollLimit).SetProjection(bson.D{{Key: "tgt", Value: 1}})
	n := 0
	err := each(ctx, s, s.execs, f, o, func(d *execution) (bool, error) {
		n++
		id := hayate.ExecutionID(d.ID)
		q.mu.Lock()
		known := q.known[id]
		q.known[id] = true
		q.mu.Unlock()
		if known {
			return true, nil
		}
		if err := q.q.Put(delayqueue.Item[hayate.ExecutionID]{Value: id, Target: d.Target}); err != nil {
			q.forget(id)
			if errors.Is(err, delayqueue.ErrFull) {
				return false, nil
			}
			return false, queueError(err)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	q.more = n == pollLimit
	if !q.more {
		q.depth.Store(int64(n))
		return nil
	}
	// More wait than one look brings: say how many.
	total, err := s.execs.CountDocuments(ctx, f)
	if err != nil {
		return s.kind(ctx, err)
	}
	q.depth.Store(total)
	return nil
}

// Depth implements router.Queue: what waits in memory, or what the last look
// found, whichever is more.
func (q *Queue) Depth() int { return max(q.q.Len(), int(q.depth.Load())) }

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
