package amqp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate/internal/delayqueue"
)

// want notes a receiver that waits.
func (q *Queue) want(targets []string) error {
	names := make([]string, len(targets))
	for i, t := range targets {
		name, err := q.b.taskQueue(t)
		if err != nil {
			return err
		}
		names[i] = name
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, t := range targets {
		r := q.targets[t]
		if r == nil {
			r = &receiving{target: t, queue: names[i], wake: make(chan struct{}, 1)}
			q.targets[t] = r
		}
		r.waiting++
		if r.waiting == 1 {
			signal(r.wake)
			signal(q.wake)
		}
	}
	return nil
}

func (q *Queue) unwant(targets []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range targets {
		r := q.targets[t]
		if r.waiting--; r.waiting == 0 {
			r.idle = time.Now()
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// session receives for all targets that anybody waits for, on one connection.
func (q *Queue) session(ctx context.Context, conn *rabbit.Connection) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, r := range q.targets {
			r.running = false
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		q.mu.Lock()
		for _, r := range q.targets {
			if !r.running {
				r.running = true
				wg.Go(func() { q.pump(ctx, conn, r) })
			}
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
		}
	}
}

// pump receives for one target while anybody waits.
func (q *Queue) pump(ctx context.Context, conn *rabbit.Connection, r *receiving) {
	for ctx.Err() == nil {
		err := q.consume(ctx, conn, r)
		if ctx.Err() != nil || conn.IsClosed() {
			return
		}
		if err != nil {
			q.b.log.Warn("receiving tasks, again in a second", "queue", r.queue, "err", err)
			t := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	}
}

var errDeleted = errors.New("the queue was deleted")

// consume receives on a channel of its own until that is lost; nil says that another
// channel is due.
func (q *Queue) consume(ctx context.Context, conn *rabbit.Connection, r *receiving) error {
	c, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	defer c.Close() // it may have been lost
	closed := c.NotifyClose(make(chan *rabbit.Error, 1))
	canceled := c.NotifyCancel(make(chan string, 1))
	if err := c.Qos(q.b.cfg.Prefetch, 0, false); err != nil {
		return fmt.Errorf("bound the deliveries: %w", err)
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var quiet silence
	var deliveries <-chan rabbit.Delivery
	tag := ""
	for {
		if wanted := q.wanted(r); wanted && deliveries == nil {
			if err := q.b.topo.ensure(r.queue, q.b.topo.declareTasks(r.queue)); err != nil {
				return err
			}
			tag = newID()
			slow := time.AfterFunc(suspectAfter, func() { q.b.suspect(r.queue) })
			deliveries, err = c.Consume(r.queue, tag, false, false, false, false, nil)
			if slow.Stop(); err != nil {
				q.b.suspect(r.queue)
				q.b.topo.forget(r.queue)
				return fmt.Errorf("consume: %w", err)
			}
		} else if !wanted && deliveries != nil {
			if err := c.Cancel(tag, false); err != nil {
				return fmt.Errorf("stop consuming: %w", err)
			}
			for d := range deliveries {
				q.arrived(ctx, r, c, d)
			}
			deliveries = nil
			q.release(ctx, r)
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-closed:
			return closeError(e)
		case <-canceled:
			q.b.topo.lost(r.queue)
			return errDeleted
		case <-r.wake:
		case now := <-tick.C:
			if deliveries == nil {
				quiet.broken(now)
				continue
			}
			ready, _ := q.b.topo.depth(r.queue)
			if renew, err := quiet.renew(now, ready, q.holds(r.queue), q.b.cfg.Prefetch); renew {
				return err
			}
		case d, ok := <-deliveries:
			if !ok {
				return errors.New("the deliveries ended")
			}
			quiet.broken(time.Now())
			q.arrived(ctx, r, c, d)
		}
	}
}

// wanted says whether anybody waits, or has within idleAfter.
func (q *Queue) wanted(r *receiving) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return r.waiting > 0 || time.Since(r.idle) < idleAfter
}

// holds is the number of a queue's tasks that are in this process's hands.
func (q *Queue) holds(queue string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, h := range q.inHand {
		if h.queue == queue {
			n++
		}
	}
	return n
}

// release gives the tasks that wait in this process to others.
func (q *Queue) release(ctx context.Context, r *receiving) {
	for _, it := range q.q.Take(r.target) {
		item := it.Value.item
		item.NotBefore = it.NotBefore
		if err := q.resend(ctx, it.Value, item); err != nil {
			q.b.log.Debug("task not given to others", "execution_id", item.Execution, "err", err)
		}
	}
}

// arrived takes a delivery in. One that is known is not offered twice: a message
// comes again when a connection is lost, or when its confirm was.
func (q *Queue) arrived(ctx context.Context, r *receiving, c *rabbit.Channel, d rabbit.Delivery) {
	it, err := readTask(&d)
	if err != nil {
		q.reject(ctx, r.queue, c, d, err)
		return
	}
	id := d.MessageId
	if id == "" {
		id = newID()
	}
	q.mu.Lock()
	if h := q.inHand[id]; h != nil {
		h.mu.Lock()
		h.ch, h.tag = c, d.DeliveryTag
		h.mu.Unlock()
		q.mu.Unlock()
		return
	}
	known := q.done.has(id)
	h := &held{id: id, tries: triesOf(&d), queue: r.queue, item: it, ch: c, tag: d.DeliveryTag}
	if !known {
		q.inHand[id] = h
	}
	q.mu.Unlock()
	if known {
		_ = c.Ack(d.DeliveryTag, false) // or it comes again
		return
	}
	// What has come out of a delay and has a long way to go takes the next one.
	if it.NotBefore.Sub(q.b.cfg.Now()) > 2*holdable {
		if err := q.resend(ctx, h, it); err != nil {
			q.b.log.Debug("task not delayed further yet", "execution_id", it.Execution, "err", err)
		}
		return
	}
	if err := q.q.Return(delayqueue.Item[*held]{Value: h, Target: r.target, NotBefore: it.NotBefore}); err != nil {
		q.mu.Lock()
		delete(q.inHand, id)
		q.mu.Unlock() // closing: the server keeps it
	}
}

// reject puts a message aside that is no task.
func (q *Queue) reject(ctx context.Context, queue string, c *rabbit.Channel, d rabbit.Delivery, why error) {
	m := rabbit.Publishing{ContentType: d.ContentType, DeliveryMode: rabbit.Persistent, MessageId: d.MessageId, Type: d.Type, Headers: d.Headers, Body: d.Body}
	if err := q.b.bury(ctx, m, queue, why.Error()); err != nil {
		_ = d.Nack(false, true) // it comes again
		return
	}
	_ = c.Ack(d.DeliveryTag, false) // or it comes again
}
