package amqp

import (
	"context"
	"errors"
	"fmt"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"
)

// A quorum queue that was declared in the seconds before its server was killed may
// come back as a name without a process: it takes nothing, gives nothing, and holds
// up every connection that touches it, for ever. What was in it is in the store or in
// a worker's spool, so it is deleted and declared anew. To be sure, it is looked at
// on a connection of its own, on which the server answers about another queue.
const (
	suspectAfter = 5 * time.Second // of silence about one queue
	healPatience = 5 * time.Second // how long a queue may take to answer when asked
	deleteWait   = 30 * time.Second
	healAgain    = 30 * time.Second // between two looks at one queue
)

// suspect has a queue looked at. It returns at once.
func (b *Broker) suspect(queue string) {
	if queue == "" {
		return
	}
	select {
	case b.suspects <- queue:
	default: // enough to look at
	}
}

// heal looks at suspects until ctx ends.
func (b *Broker) heal(ctx context.Context) {
	looked := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case queue := <-b.suspects:
			if b.topo.knows(queue) && time.Since(looked[queue]) > healAgain && !b.out.isBlocked() {
				looked[queue] = time.Now()
				if err := b.healQueue(ctx, queue); err != nil {
					b.log.Debug("queue not looked at", "queue", queue, "err", err)
				}
			}
		}
	}
}

func (b *Broker) healQueue(ctx context.Context, queue string) error {
	answers, err := b.answers(ctx, queue)
	if err != nil || answers {
		return err
	}
	b.log.Warn("queue does not answer though its server does, replacing it", "queue", queue)
	err = b.with(ctx, deleteWait, func(c ch) error {
		_, err := c.QueueDelete(queue, false, false, false)
		return err
	})
	if err != nil {
		b.notes.add(b.cfg.Now(), "the queue %s does not answer and could not be deleted; delete it: %v", queue, err)
		return fmt.Errorf("delete queue %s: %w", queue, err)
	}
	b.topo.lost(queue)
	b.notes.add(b.cfg.Now(), "the queue %s did not answer any more after its server had died, and was replaced; tasks that were in it are sent again from the store", queue)
	// Both connections may be held up by the old one.
	b.out.drop()
	b.in.drop()
	return nil
}

// answers asks a queue for a message, on a connection of its own. The error says
// that the server did not answer at all.
func (b *Broker) answers(ctx context.Context, queue string) (bool, error) {
	alive := func(c ch) error {
		_, err := c.QueueDeclarePassive(b.name("dead"), true, false, false, false, nil)
		return err
	}
	if err := b.with(ctx, healPatience, alive); err != nil {
		return false, err
	}
	err := b.with(ctx, healPatience, func(c ch) error {
		m, ok, err := c.Get(queue, false)
		if err == nil && ok {
			err = m.Nack(false, true)
		}
		return err
	})
	var e *rabbit.Error
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &e) && e.Code == rabbit.NotFound:
		b.topo.lost(queue)
		return true, nil
	}
	// It said nothing, or that it cannot: the server must still say something else.
	return false, b.with(ctx, healPatience, alive)
}

// with runs f on a connection of its own, but not longer than patience.
func (b *Broker) with(ctx context.Context, patience time.Duration, f func(ch) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := newLink(b, "heal").dial(ctx)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		c, err := conn.Channel()
		if err == nil {
			err = f(c)
		}
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("no answer within %s", patience)
	}
	_ = conn.CloseDeadline(time.Now().Add(time.Second)) // which ends f
	return err
}
