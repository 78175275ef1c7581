package amqp

import (
	"context"
	"errors"
	"fmt"
	"sync"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
)

// maxInFlight bounds the messages that wait for their confirm.
const maxInFlight = 4096

// errNoQueue says that a message reached no queue. The server confirms such a
// message all the same: only its return tells.
var errNoQueue = fmt.Errorf("the message reached no queue: %w", hayate.ErrBusy)

// publisher sends messages and waits until the server has them.
type publisher struct {
	b    *Broker
	room chan struct{} // a place for each message in flight
	turn chan struct{} // who holds its token may publish

	mu      sync.Mutex
	ch      *rabbit.Channel
	pending map[uint64]*sent // by delivery tag
	byID    map[string]*sent
}

// sent is a message in flight.
type sent struct {
	id       string
	returned bool
	done     chan error // gets one value
}

func (p *publisher) init(b *Broker) {
	p.b, p.room, p.turn = b, make(chan struct{}, maxInFlight), make(chan struct{}, 1)
	p.pending, p.byID = map[uint64]*sent{}, map[string]*sent{}
}

// send publishes a message and returns once the server has it: nil. Any error is
// an ErrBusy, and says that it may or may not have it.
func (p *publisher) send(ctx context.Context, exchange, key string, mandatory bool, m rabbit.Publishing) error {
	s, err := p.post(ctx, exchange, key, mandatory, m)
	if err != nil {
		return err
	}
	return p.await(ctx, s)
}

// post publishes a message without waiting for its confirm.
func (p *publisher) post(ctx context.Context, exchange, key string, mandatory bool, m rabbit.Publishing) (*sent, error) {
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("publish: too many messages wait for their confirm: %w", hayate.ErrBusy)
	}
	s, err := p.postNow(ctx, exchange, key, mandatory, m)
	if err != nil {
		<-p.room
	}
	return s, err
}

func (p *publisher) postNow(ctx context.Context, exchange, key string, mandatory bool, m rabbit.Publishing) (*sent, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("publish: the connection takes nothing: %w", hayate.ErrBusy)
	}
	s := &sent{id: m.MessageId, done: make(chan error, 1)}
	p.mu.Lock()
	ch := p.ch
	if ch == nil {
		p.mu.Unlock()
		return nil, p.unavailable()
	}
	tag := ch.GetNextPublishSeqNo()
	p.pending[tag] = s
	if s.id != "" {
		p.byID[s.id] = s
	}
	p.mu.Unlock()
	if err := ch.PublishWithContext(ctx, exchange, key, mandatory, false, m); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.pending[tag] == s {
			delete(p.pending, tag)
			delete(p.byID, s.id)
		}
		return nil, fmt.Errorf("publish: %v: %w", err, hayate.ErrBusy)
	}
	return s, nil
}

func (p *publisher) unavailable() error {
	if err := p.b.out.state(); err != nil {
		return err
	}
	return fmt.Errorf("publish: the channel is being opened again: %w", hayate.ErrBusy)
}

// await waits for the confirm.
func (p *publisher) await(ctx context.Context, s *sent) error {
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		if err := p.b.out.state(); err != nil {
			return err
		}
		return fmt.Errorf("publish: no confirm in time: %w", hayate.ErrBusy)
	}
}

// begin makes ch the channel to publish on; what was in flight is in doubt.
func (p *publisher) begin(ch *rabbit.Channel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	p.ch = ch
}

// end gives the channel up.
func (p *publisher) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ch = nil
	p.forget()
}

func (p *publisher) forget() {
	for tag, s := range p.pending {
		s.done <- fmt.Errorf("publish: the connection was lost before the confirm: %w", hayate.ErrBusy)
		delete(p.pending, tag)
		<-p.room
	}
	clear(p.byID)
}

// confirmed ends the wait for one message.
func (p *publisher) confirmed(c rabbit.Confirmation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.pending[c.DeliveryTag]
	if s == nil {
		return
	}
	delete(p.pending, c.DeliveryTag)
	if p.byID[s.id] == s {
		delete(p.byID, s.id)
	}
	<-p.room
	switch {
	case !c.Ack:
		s.done <- fmt.Errorf("the server refused the message, its queue may be full: %w", hayate.ErrBusy)
	case s.returned:
		s.done <- errNoQueue
	default:
		s.done <- nil
	}
}

func (p *publisher) returned(r rabbit.Return) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.byID[r.MessageId]; s != nil {
		s.returned = true
	}
}

// servePublishing keeps a publishing channel on a connection while that lives.
func (b *Broker) servePublishing(ctx context.Context, conn *rabbit.Connection) error {
	lost := conn.NotifyClose(make(chan *rabbit.Error, 1))
	blocked := conn.NotifyBlocked(make(chan rabbit.Blocking, 8))
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	wg.Go(func() { b.watchBlocked(ctx, blocked) })
	first := true
	for {
		closed, err := b.openPublishing(conn, &wg)
		if err != nil {
			return err
		}
		if first {
			first = false
			b.out.up()
			b.log.Info("publishing to RabbitMQ", "host", b.host)
			wg.Go(func() { b.probePublishing(ctx) })
		}
		b.back()
		select {
		case e := <-closed:
			b.pub.end()
			b.log.Warn("publishing channel lost, opening another", "err", closeError(e))
			if conn.IsClosed() {
				return closeError(e)
			}
		case e := <-lost:
			b.pub.end()
			return closeError(e)
		case <-ctx.Done():
			b.pub.end()
			return nil
		}
	}
}

// openPublishing opens a channel in confirm mode and has its answers heard.
func (b *Broker) openPublishing(conn *rabbit.Connection, wg *sync.WaitGroup) (chan *rabbit.Error, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	// Without buffers: a return is dealt with before the confirm behind it.
	returns := ch.NotifyReturn(make(chan rabbit.Return))
	confirms := ch.NotifyPublish(make(chan rabbit.Confirmation))
	closed := ch.NotifyClose(make(chan *rabbit.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for confirms: %w", err), ch.Close())
	}
	wg.Go(func() {
		for returns != nil || confirms != nil {
			select {
			case r, ok := <-returns:
				if !ok {
					returns = nil
					continue
				}
				b.pub.returned(r)
			case c, ok := <-confirms:
				if !ok {
					confirms = nil
					continue
				}
				b.out.heard()
				b.pub.confirmed(c)
			}
		}
	})
	b.pub.begin(ch)
	return closed, nil
}

func (b *Broker) watchBlocked(ctx context.Context, blocked <-chan rabbit.Blocking) {
	for {
		select {
		case <-ctx.Done():
			return
		case x, ok := <-blocked:
			if !ok {
				return
			}
			if x.Active {
				b.out.setBlocked(x.Reason)
				b.log.Warn("RabbitMQ takes no messages", "host", b.host, "reason", x.Reason)
				continue
			}
			b.out.setBlocked("")
			b.out.heard()
			b.log.Info("RabbitMQ takes messages again", "host", b.host)
			b.back()
		}
	}
}
