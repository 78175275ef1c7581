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
	hearing *hearing
	pending map[uint64]*sent // by delivery tag
	byID    map[string]*sent
}

// sent is a message in flight.
type sent struct {
	id       string
	key      string
	hearing  *hearing // of its channel; nil where it may go nowhere
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
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		<-p.room
		return nil, fmt.Errorf("publish: the connection takes nothing: %w", hayate.ErrBusy)
	}
	s := &sent{id: m.MessageId, key: key, done: make(chan error, 1)}
	ch, tag := p.register(s, mandatory)
	if ch == nil {
		<-p.room
		return nil, p.unavailable()
	}
	c, err := ch.PublishWithDeferredConfirmWithContext(ctx, exchange, key, mandatory, false, m)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.settle(tag, s, err)
		return nil, fmt.Errorf("publish: %v: %w", err, hayate.ErrBusy)
	}
	go p.confirm(c, tag, s)
	return s, nil
}

// confirm waits for the server's word on one message: it comes in any order, and a
// queue in trouble keeps it back for its own messages only. The wait ends with the
// channel.
func (p *publisher) confirm(c *rabbit.DeferredConfirmation, tag uint64, s *sent) {
	ack := c.Wait()
	if s.hearing != nil {
		s.hearing.wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !ack:
		p.settle(tag, s, fmt.Errorf("the server refused the message, or the connection was lost before its confirm: %w", hayate.ErrBusy))
	case s.returned:
		p.settle(tag, s, errNoQueue)
	default:
		p.b.out.heard()
		p.settle(tag, s, nil)
	}
}

// hearing notes the returns of one channel's messages.
type hearing struct {
	ask   chan struct{} // taken once what was returned so far has been noted
	ended chan struct{}
}

// wait waits until what was returned before now has been noted: a message's return
// comes before its confirm.
func (h *hearing) wait() {
	select {
	case h.ask <- struct{}{}:
	case <-h.ended:
	}
}

// hear notes returns until the channel is closed.
func (p *publisher) hear(h *hearing, returns <-chan rabbit.Return) {
	defer close(h.ended)
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				return
			}
			p.returned(r)
		case <-h.ask:
		}
	}
}

// register notes a message that is about to be published on the channel it returns;
// nil where there is none.
func (p *publisher) register(s *sent, mandatory bool) (*rabbit.Channel, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch == nil {
		return nil, 0
	}
	tag := p.ch.GetNextPublishSeqNo()
	p.pending[tag] = s
	if mandatory {
		s.hearing = p.hearing
		p.byID[s.id] = s
	}
	return p.ch, tag
}

// settle ends the wait for a message and frees its place, once, whoever comes
// first: its confirm, its failure or the end of the connection. It is called with
// mu held.
func (p *publisher) settle(tag uint64, s *sent, err error) {
	if s == nil || p.pending[tag] != s {
		return
	}
	delete(p.pending, tag)
	if p.byID[s.id] == s {
		delete(p.byID, s.id)
	}
	s.done <- err
	<-p.room
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
		p.b.suspect(s.key)
		if err := p.b.out.state(); err != nil {
			return err
		}
		return fmt.Errorf("publish: no confirm in time: %w", hayate.ErrBusy)
	}
}

// begin makes ch the channel to publish on; what was in flight is in doubt.
func (p *publisher) begin(ch *rabbit.Channel, h *hearing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	p.ch, p.hearing = ch, h
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
		p.settle(tag, s, fmt.Errorf("publish: the connection was lost before the confirm: %w", hayate.ErrBusy))
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
	returns := ch.NotifyReturn(make(chan rabbit.Return)) // without a buffer: see hearing
	closed := ch.NotifyClose(make(chan *rabbit.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for confirms: %w", err), ch.Close())
	}
	h := &hearing{ask: make(chan struct{}), ended: make(chan struct{})}
	wg.Go(func() { b.pub.hear(h, returns) })
	b.pub.begin(ch, h)
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
