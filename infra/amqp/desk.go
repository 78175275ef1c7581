package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/remote"
)

// The types of the messages between workers and desks.
const (
	typeRequest = "hayate.request"
	typeReply   = "hayate.reply"
)

// deskWorkers bounds the messages of workers that one process applies at once.
const deskWorkers = 32

// requestLife is how long a question waits for a desk. What must not be lost (an end
// of an attempt) waits for ever; a claim that nobody waits for any more must not be
// granted.
const requestLife = 5 * time.Second

// Serve has this process answer workers: it applies their messages to the desk, a
// bounded number at once, and acknowledges each once its effect is stored. It must
// be called before Run.
func (b *Broker) Serve(d *remote.Desk) {
	b.sessions = append(b.sessions, func(ctx context.Context, conn *rabbit.Connection) error {
		for {
			err := b.answer(ctx, conn, d)
			if ctx.Err() != nil || conn.IsClosed() {
				return nil
			}
			if err == nil {
				continue // on another channel
			}
			b.log.Warn("answering workers, again in a second", "err", err)
			t := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	})
}

func (b *Broker) deskQueue() string { return b.name("desk") }

// answer consumes the desk's queue on a channel of its own until that is lost; nil
// says that another channel is due.
func (b *Broker) answer(ctx context.Context, conn *rabbit.Connection, d *remote.Desk) error {
	if err := b.topo.ensure(b.deskQueue(), b.topo.declareTasks(b.deskQueue())); err != nil {
		return err
	}
	c, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	defer c.Close() // it may have been lost
	canceled := c.NotifyCancel(make(chan string, 1))
	if err := c.Qos(deskWorkers, 0, false); err != nil {
		return fmt.Errorf("bound the deliveries: %w", err)
	}
	slow := time.AfterFunc(suspectAfter, func() { b.suspect(b.deskQueue()) })
	deliveries, err := c.Consume(b.deskQueue(), newID(), false, false, false, false, nil)
	if slow.Stop(); err != nil {
		b.suspect(b.deskQueue())
		b.topo.forget(b.deskQueue())
		return fmt.Errorf("consume: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	var quiet silence
	var held atomic.Int64
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-canceled:
			b.topo.lost(b.deskQueue())
			return errDeleted
		case now := <-tick.C:
			ready, _ := b.topo.depth(b.deskQueue())
			if renew, err := quiet.renew(now, ready, int(held.Load()), deskWorkers); renew {
				return err
			}
		case m, ok := <-deliveries:
			if !ok {
				return errors.New("the deliveries ended")
			}
			quiet.broken(time.Now())
			held.Add(1)
			wg.Go(func() { // as many as Qos lets in
				defer held.Add(-1)
				b.apply(context.WithoutCancel(ctx), d, &m)
			})
		}
	}
}

// apply applies one message and answers it. The answer may be lost: who waits for
// it asks again.
func (b *Broker) apply(ctx context.Context, d *remote.Desk, m *rabbit.Delivery) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	q, err := remote.ReadRequest(m.Body)
	if err != nil {
		p := rabbit.Publishing{ContentType: m.ContentType, DeliveryMode: rabbit.Persistent, MessageId: m.MessageId, Type: m.Type, Headers: m.Headers, Body: m.Body}
		if err := b.bury(ctx, p, b.deskQueue(), err.Error()); err == nil {
			_ = m.Ack(false) // or it comes again
		}
		return
	}
	a := d.Apply(ctx, q)
	if !a.Final() {
		b.log.Warn("message of a worker not applied, it repeats it", "worker", q.Worker, "kind", q.Kind, "execution_id", q.Execution, "err", a.Err())
	}
	if m.ReplyTo != "" {
		if body, err := json.Marshal(a); err == nil {
			reply, cancel := context.WithTimeout(ctx, b.cfg.ConfirmWait)
			_, err = b.pub.post(reply, "", m.ReplyTo, false, rabbit.Publishing{ContentType: "application/json", Type: typeReply, CorrelationId: q.ID, Body: body})
			cancel()
			if err != nil {
				b.log.Debug("worker not answered, it asks again", "worker", q.Worker, "err", err)
			}
		}
	}
	if err := m.Ack(false); err != nil {
		b.log.Debug("message of a worker not acknowledged, it comes again", "worker", q.Worker, "err", err)
	}
}

// Caller asks desks over a broker, and hears their answers on a queue of its own
// that goes with the connection. It is remote.Caller.
type Caller struct {
	b *Broker

	mu      sync.Mutex
	queue   string // "" while there is none
	waiting map[string]chan remote.Reply
}

var _ remote.Caller = (*Caller)(nil)

// Caller returns a Caller. It must be called before Run.
func (b *Broker) Caller() *Caller {
	c := &Caller{b: b, waiting: map[string]chan remote.Reply{}}
	b.sessions = append(b.sessions, c.hear)
	return c
}

// hear receives answers for as long as a connection lives.
func (c *Caller) hear(ctx context.Context, conn *rabbit.Connection) error {
	if err := c.b.topo.ensure(c.b.deskQueue(), c.b.topo.declareTasks(c.b.deskQueue())); err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	defer ch.Close() // it may have been lost
	name := c.b.name("reply." + newID())
	if _, err := ch.QueueDeclare(name, false, true, true, false, rabbit.Table{"x-max-length": int64(10_000)}); err != nil {
		return refusal(err)
	}
	answers, err := ch.Consume(name, newID(), true, true, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	c.set(name)
	defer c.set("")
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-answers:
			if !ok {
				return errors.New("the answers ended")
			}
			var a remote.Reply
			if err := json.Unmarshal(m.Body, &a); err != nil {
				c.b.log.Warn("an answer cannot be read", "err", err)
				continue
			}
			c.mu.Lock()
			w := c.waiting[m.CorrelationId]
			delete(c.waiting, m.CorrelationId)
			c.mu.Unlock()
			if w != nil {
				w <- a
			}
		}
	}
}

func (c *Caller) set(queue string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = queue
}

// Call implements remote.Caller.
func (c *Caller) Call(ctx context.Context, q remote.Request) (remote.Reply, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return remote.Reply{}, fmt.Errorf("ask for %s: %w", q.Kind, err)
	}
	answer := make(chan remote.Reply, 1)
	c.mu.Lock()
	queue := c.queue
	if queue != "" {
		c.waiting[q.ID] = answer
	}
	c.mu.Unlock()
	if queue == "" {
		return remote.Reply{}, c.unreachable()
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting[q.ID] == answer {
			delete(c.waiting, q.ID)
		}
	}()
	m := rabbit.Publishing{ContentType: "application/json", DeliveryMode: rabbit.Persistent, MessageId: newID(), CorrelationId: q.ID, ReplyTo: queue,
		Timestamp: c.b.cfg.Now(), Type: typeRequest, AppId: "hayate", Body: body}
	switch q.Kind {
	case remote.KindClaim, remote.KindHeartbeat, remote.KindOutput, remote.KindBundle:
		m.Expiration = fmt.Sprint(requestLife.Milliseconds())
	case remote.KindComplete, remote.KindRelease, remote.KindLost:
	}
	if err := c.b.pub.send(ctx, c.b.name("tasks"), c.b.deskQueue(), true, m); err != nil {
		if errors.Is(err, errNoQueue) {
			c.b.topo.lost(c.b.deskQueue())
		}
		return remote.Reply{}, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return remote.Reply{}, fmt.Errorf("nobody answered %s; does a process with --role router run? %w", q.Kind, hayate.ErrBusy)
	}
}

func (c *Caller) unreachable() error {
	if err := c.b.Health(); err != nil {
		return err
	}
	return fmt.Errorf("the answers' queue is being declared: %w", hayate.ErrBusy)
}
