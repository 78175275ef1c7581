package simulation_test

import (
	"context"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// queue is a queue as one process sees it. What the process received and did not
// acknowledge comes back when the process dies, as a broker has it.
type queue struct {
	router.Queue
	p *process

	mu    sync.Mutex
	seq   int
	open  map[int]router.Delivery
	ended bool
}

func (q *queue) Put(ctx context.Context, items ...router.QueueItem) error {
	f, rnd := q.p.w.plan.next("put", string(items[0].Execution))
	return q.p.struck(f, func() error {
		own := append([]router.QueueItem(nil), items...)
		for i := range items {
			again := items[i]
			again.NotBefore = latest(again.NotBefore, q.p.now())
			switch f.kind {
			case late:
				own[i].NotBefore = again.NotBefore.Add(time.Duration(rnd.Int64N(int64(f.d) + 1)))
			case twice:
				again.NotBefore = again.NotBefore.Add(time.Duration(rnd.IntN(20_000)) * time.Millisecond)
				own = append(own, again)
			}
		}
		return q.Queue.Put(ctx, own...)
	})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (q *queue) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	if q.p.unreachable() {
		return router.Delivery{}, errWorld
	}
	d, err := q.Queue.Receive(ctx, targets...)
	if err != nil {
		return d, err
	}
	f, _ := q.p.w.plan.next("receive", string(d.Execution))
	if err := q.p.struck(f, func() error { return nil }); err != nil {
		q.giveBack(d)
		return router.Delivery{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		q.giveBack(d)
		return router.Delivery{}, errWorld
	}
	q.seq++
	n := q.seq
	q.open[n] = d
	return router.Delivery{QueueItem: d.QueueItem,
		Ack: func(ctx context.Context) error {
			return q.settle(n, "ack", d.Execution, func() error { return d.Ack(ctx) })
		},
		Nack: func(ctx context.Context, delay time.Duration) error {
			return q.settle(n, "nack", d.Execution, func() error { return d.Nack(ctx, delay) })
		},
	}, nil
}

// settle ends a delivery. One that could not be ended comes again.
func (q *queue) settle(n int, call string, id hayate.ExecutionID, effect func() error) error {
	err := q.p.call(call, string(id), effect)
	q.mu.Lock()
	d, open := q.open[n]
	delete(q.open, n)
	q.mu.Unlock()
	if err != nil && open {
		q.giveBack(d)
	}
	return err
}

// giveBack offers a delivery again, whatever may have become of it.
func (q *queue) giveBack(d router.Delivery) {
	// A queue that is closed has lost it, as the queue of a dead process has.
	_ = d.Nack(context.Background(), time.Second)
}

// end gives back what the process holds: it is dead.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	for n, d := range q.open {
		q.giveBack(d)
		delete(q.open, n)
	}
}
