package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/remote"
)

// Hear applies what a worker said and answers it, for whoever is brought the
// messages of the desk's queue by others: an event source of Amazon MQ. What is no
// message is buried with the reason. ErrBusy says that it must come again.
func (b *Broker) Hear(ctx context.Context, d *remote.Desk, body []byte, replyTo string) error {
	q, err := remote.ReadRequest(body)
	if err != nil {
		p := rabbit.Publishing{ContentType: "application/json", DeliveryMode: rabbit.Persistent, MessageId: newID(), Body: body}
		return b.bury(ctx, p, b.deskQueue(), err.Error())
	}
	a := d.Apply(ctx, q)
	if !a.Final() {
		return fmt.Errorf("message of worker %s not applied: %w", q.Worker, errors.Join(a.Err(), hayate.ErrBusy))
	}
	if replyTo == "" {
		return nil
	}
	answer, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("answer worker %s: %w", q.Worker, err)
	}
	reply, cancel := context.WithTimeout(ctx, b.cfg.ConfirmWait)
	defer cancel()
	_, err = b.pub.post(reply, "", replyTo, false, rabbit.Publishing{ContentType: "application/json", Type: typeReply, CorrelationId: q.ID, Body: answer})
	if err != nil {
		b.log.Debug("worker not answered, it asks again", "worker", q.Worker, "err", err)
	}
	return nil
}

// Drain applies and answers all that waits for the desk, one message after the
// other, until none is left or ctx ends, and returns how many there were. It dials
// a connection of its own.
func (b *Broker) Drain(ctx context.Context, d *remote.Desk) (n int, err error) {
	conn, err := rabbit.DialConfig(b.cfg.URL, rabbit.Config{TLSClientConfig: b.cfg.TLS, Heartbeat: b.cfg.Heartbeat, Locale: "en_US",
		Dial: rabbit.DefaultDial(b.cfg.ConfirmWait)})
	if err != nil {
		return 0, fmt.Errorf("connect to RabbitMQ: %v: %w", err, hayate.ErrBusy)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	c, err := conn.Channel()
	if err != nil {
		return 0, fmt.Errorf("open channel: %v: %w", err, hayate.ErrBusy)
	}
	if err := b.topo.ensure(b.deskQueue(), b.topo.declareTasks(b.deskQueue())); err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		m, ok, err := c.Get(b.deskQueue(), false)
		if err != nil {
			return n, fmt.Errorf("fetch from queue %s: %v: %w", b.deskQueue(), err, hayate.ErrBusy)
		}
		if !ok {
			return n, nil
		}
		b.apply(ctx, d, &m)
		n++
	}
	return n, nil
}
