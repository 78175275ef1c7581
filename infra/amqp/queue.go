package amqp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/delayqueue"
	"github.com/hayate-run/hayate/router"
)

const (
	// holdable is the longest a task waits in the memory of a receiver for its time;
	// longer delays are the server's.
	holdable = time.Second
	// idleAfter is how long a task waits for a receiver of this process before it
	// is given to others. It also keeps every delivery far below the server's time
	// limit for acknowledgements.
	idleAfter = 2 * time.Second
	// maxTries is how often a task may be given back; one that a policy holds is, every
	// few seconds.
	maxTries = 10_000
	// remembered bounds the ids of messages known to have been dealt with.
	remembered = 8192
)

// Queue carries tasks over RabbitMQ: see DESIGN.md.
type Queue struct {
	b *Broker
	q *delayqueue.Queue[*held]

	mu      sync.Mutex
	targets map[string]*receiving
	wake    chan struct{} // a token in it: look at targets
	inHand  map[string]*held
	done    memory
}

var _ router.Queue = (*Queue)(nil)

// receiving is what this process receives for a target.
type receiving struct {
	target  string
	queue   string
	waiting int       // receivers
	idle    time.Time // since when there are none
	wake    chan struct{}
	running bool
}

// held is a task that this process has and has not acknowledged.
type held struct {
	id    string
	tries int
	queue string
	item  router.QueueItem

	mu  sync.Mutex
	ch  *rabbit.Channel // where to acknowledge it
	tag uint64
}

func (h *held) at() (*rabbit.Channel, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ch, h.tag
}

func newQueue(b *Broker) *Queue {
	return &Queue{b: b, q: delayqueue.New[*held](1<<30, b.cfg.Now), targets: map[string]*receiving{},
		wake: make(chan struct{}, 1), inHand: map[string]*held{}}
}

// Put implements router.Queue: it returns once the server has all items.
func (q *Queue) Put(ctx context.Context, items ...router.QueueItem) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("queue executions: %w", err)
	}
	if q.closed() {
		return fmt.Errorf("queue executions: the queue is closed: %w", hayate.ErrBusy)
	}
	if err := q.b.out.state(); err != nil && len(items) > 0 {
		return fmt.Errorf("queue %d executions: %w", len(items), err)
	}
	ctx, cancel := context.WithTimeout(ctx, q.b.cfg.ConfirmWait)
	defer cancel()
	posted := make([]*sent, 0, len(items))
	var errs []error
	for _, it := range items {
		s, err := q.post(ctx, it, newID(), 0)
		if err != nil {
			errs = append(errs, err)
			break
		}
		posted = append(posted, s)
	}
	for i, s := range posted {
		err := q.b.pub.await(ctx, s)
		if errors.Is(err, errNoQueue) {
			// Deleted since it was declared: once more, with the same id.
			if name, e := q.b.taskQueue(items[i].Target); e == nil {
				q.b.topo.lost(name)
			}
			var again *sent
			if again, err = q.post(ctx, items[i], s.id, 0); err == nil {
				err = q.b.pub.await(ctx, again)
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("queue %d executions: %w", len(items), errs[0])
	}
	return nil
}

// post publishes a task to its queue, or to one that holds it for a time.
func (q *Queue) post(ctx context.Context, it router.QueueItem, id string, tries int) (*sent, error) {
	b := q.b
	queue, err := b.taskQueue(it.Target)
	if err != nil {
		return nil, err
	}
	if err := b.topo.ensure(queue, b.topo.declareTasks(queue)); err != nil {
		return nil, err
	}
	if it.Token == "" && b.cfg.Token != nil && strings.HasPrefix(it.Target, TargetPrefix) {
		if it.Token, err = b.cfg.Token(it.Execution); err != nil {
			return nil, fmt.Errorf("make the token of execution %s: %w", it.Execution, err)
		}
	}
	m, err := taskMessage(it, id, tries, b.cfg.Now())
	if err != nil {
		return nil, err
	}
	exchange := b.name("tasks")
	if wait := it.NotBefore.Sub(b.cfg.Now()); !it.NotBefore.IsZero() && wait > holdable {
		if exchange, err = b.delayFor(wait); err != nil {
			return nil, err
		}
	}
	return b.pub.post(ctx, exchange, queue, true, m)
}

// delayFor declares and names the longest step that is not longer than d. A task
// goes from step to step until its rest is short enough to be held.
func (b *Broker) delayFor(d time.Duration) (string, error) {
	step := holdable
	for 2*step <= d && step < 1<<20*time.Second {
		step *= 2
	}
	name := b.delayName(step)
	return name, b.topo.ensure(name, b.topo.declareDelay(name, step.Milliseconds()))
}

func (b *Broker) delayName(step time.Duration) string {
	return b.name(fmt.Sprintf("delay.%ds", int64(step/time.Second)))
}

// Depth implements router.Queue: what waits at the server, as of a second ago,
// and in this process.
func (q *Queue) Depth() int {
	n := q.q.Len()
	q.b.topo.mu.Lock()
	defer q.b.topo.mu.Unlock()
	dead := q.b.name("dead")
	for name, d := range q.b.topo.depths {
		if name != dead {
			n += d
		}
	}
	return n
}

// Waiting says how many items wait for a target at the server, as of a second ago;
// with again also those of any target that were given back for some seconds. false:
// it is not known, since the server does not answer.
func (q *Queue) Waiting(target string, again bool) (int, bool) {
	name, err := q.b.taskQueue(target)
	if err != nil || q.b.Health() != nil {
		return 0, false
	}
	n, measured := q.waiting(name, q.b.topo.declareTasks(name))
	for step := holdable; again && step <= shortDelay; step *= 2 {
		delay := q.b.delayName(step)
		more, known := q.waiting(delay, q.b.topo.declareDelay(delay, step.Milliseconds()))
		n, measured = n+more, measured && known
	}
	return n, measured
}

// shortDelay bounds what counts as given back for some seconds.
const shortDelay = 8 * time.Second

// waiting is the depth of a queue. One that this process has not used is declared,
// and measured from then on.
func (q *Queue) waiting(name string, declare func(ch) error) (int, bool) {
	n, measured := q.b.topo.depth(name)
	if !measured {
		_ = q.b.topo.ensure(name, declare) // asked again next time
	}
	return n, measured
}

func (q *Queue) closed() bool {
	select {
	case <-q.b.closed:
		return true
	default:
		return false
	}
}

// Receive implements router.Queue.
func (q *Queue) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	if err := q.want(targets); err != nil {
		return router.Delivery{}, fmt.Errorf("receive from queue: %w", err)
	}
	defer q.unwant(targets)
	it, err := q.q.Receive(ctx, targets...)
	switch {
	case errors.Is(err, delayqueue.ErrClosed):
		return router.Delivery{}, fmt.Errorf("receive from queue: %w: %w", err, hayate.ErrBusy)
	case errors.Is(err, delayqueue.ErrNoTarget):
		return router.Delivery{}, fmt.Errorf("receive from queue: %w: %w", err, hayate.ErrInvalid)
	case err != nil:
		return router.Delivery{}, fmt.Errorf("receive from queue: %w", err)
	}
	h := it.Value
	item := h.item
	item.NotBefore = it.NotBefore
	return router.Delivery{
		QueueItem: item,
		Ack:       func(context.Context) error { return q.ack(h) },
		Nack:      func(ctx context.Context, delay time.Duration) error { return q.giveBack(ctx, h, item, delay) },
	}, nil
}

// ack ends a task. Where the connection is not the one it came by, the server
// delivers it again, and it is known then.
func (q *Queue) ack(h *held) error {
	q.mu.Lock()
	delete(q.inHand, h.id)
	q.done.add(h.id)
	q.mu.Unlock()
	ch, tag := h.at()
	if err := ch.Ack(tag, false); err != nil {
		return fmt.Errorf("acknowledge task: %v: %w", err, hayate.ErrBusy)
	}
	return nil
}

// giveBack offers a task again after a delay: a short one passes here, a longer
// one at the server. A task that was given back too often goes to the dead ones.
func (q *Queue) giveBack(ctx context.Context, h *held, it router.QueueItem, delay time.Duration) error {
	h.tries++
	it.NotBefore = q.b.cfg.Now().Add(delay)
	if h.tries > maxTries {
		return q.bury(ctx, h, it, fmt.Sprintf("given back %d times", h.tries))
	}
	if delay <= holdable {
		if err := q.q.Return(delayqueue.Item[*held]{Value: h, Target: it.Target, NotBefore: it.NotBefore}); err != nil {
			return fmt.Errorf("return execution %s to queue: %w: %w", it.Execution, err, hayate.ErrBusy)
		}
		return nil
	}
	return q.resend(ctx, h, it)
}

// resend publishes a task anew and acknowledges the old message.
func (q *Queue) resend(ctx context.Context, h *held, it router.QueueItem) error {
	ctx, cancel := context.WithTimeout(ctx, q.b.cfg.ConfirmWait)
	defer cancel()
	s, err := q.post(ctx, it, newID(), h.tries)
	if err == nil {
		err = q.b.pub.await(ctx, s)
	}
	if err != nil {
		// The server still has the message: it comes again when this process lets it go.
		_ = q.q.Return(delayqueue.Item[*held]{Value: h, Target: it.Target, NotBefore: q.b.cfg.Now().Add(holdable)}) // refused when closing: the server has it
		return fmt.Errorf("return execution %s to queue: %w", it.Execution, err)
	}
	return q.ack(h)
}

// bury sends a message to the dead ones, with the reason.
func (q *Queue) bury(ctx context.Context, h *held, it router.QueueItem, reason string) error {
	m, err := taskMessage(it, h.id, h.tries, q.b.cfg.Now())
	if err != nil {
		return err
	}
	if err := q.b.bury(ctx, m, h.queue, reason); err != nil {
		return err
	}
	return q.ack(h)
}

func (b *Broker) bury(ctx context.Context, m rabbit.Publishing, queue, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ConfirmWait)
	defer cancel()
	if m.Headers == nil {
		m.Headers = rabbit.Table{}
	}
	m.Headers[headerReason] = reason
	b.log.Error("message cannot be dealt with, put aside", "queue", queue, "dead", b.name("dead"), "reason", reason)
	b.notes.add(b.cfg.Now(), "a message of %s was put aside into %s: %s", queue, b.name("dead"), reason)
	return b.pub.send(ctx, b.name("dead"), queue, true, m)
}

// memory remembers the ids of messages that were dealt with, the newest ones.
type memory struct {
	ids  map[string]bool
	ring []string
	next int
}

func (m *memory) add(id string) {
	if m.ids == nil {
		m.ids, m.ring = map[string]bool{}, make([]string, remembered)
	}
	if m.ids[id] {
		return
	}
	delete(m.ids, m.ring[m.next])
	m.ids[id], m.ring[m.next] = true, id
	m.next = (m.next + 1) % len(m.ring)
}

func (m *memory) has(id string) bool { return m.ids[id] }
