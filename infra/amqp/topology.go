package amqp

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
)

// The bounds of queues. They are constants, since a queue keeps the arguments it
// was declared with.
const (
	// deliveryLimit is how often a message is delivered whose receivers die with it.
	deliveryLimit = 20
	maxQueued     = 1_000_000
	maxDead       = 100_000
	keepDead      = 14 * 24 * 3600 * 1000 // ms
)

// topology declares queues and exchanges, each once a connection, and measures
// the queues it knows.
type topology struct {
	b *Broker

	mu       sync.Mutex
	conn     *rabbit.Connection
	declared map[string]bool           // on this connection
	differs  map[string]string         // by queue: which argument is not as wanted
	depths   map[string]int            // of the queues that are measured
	wanted   map[string]func(ch) error // how to declare what is measured
	gone     map[string]time.Time      // when a queue was seen to be deleted
}

type ch = *rabbit.Channel

func (t *topology) init(b *Broker) {
	t.b, t.declared, t.differs, t.depths, t.wanted = b, map[string]bool{}, map[string]string{}, map[string]int{}, map[string]func(ch) error{}
	t.gone = map[string]time.Time{}
}

// begin declares what everything stands on.
func (t *topology) begin(conn *rabbit.Connection) error {
	t.mu.Lock()
	t.conn = conn
	clear(t.declared)
	t.mu.Unlock()
	return t.ensure(t.b.name("dead"), t.declareDead)
}

func (t *topology) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = nil
	clear(t.declared)
}

// ensure declares a queue unless that was done on this connection. One that was
// deleted of late is left alone for as long as settleFor says.
func (t *topology) ensure(name string, declare func(ch) error) error {
	t.mu.Lock()
	conn, done := t.conn, t.declared[name]
	rest := settleFor - time.Since(t.gone[name])
	t.mu.Unlock()
	if !done && rest > 0 {
		settled := time.NewTimer(rest)
		defer settled.Stop()
		select {
		case <-settled.C:
		case <-t.b.closed:
		}
		t.mu.Lock()
		conn, done = t.conn, t.declared[name]
		t.mu.Unlock()
	}
	switch {
	case done:
		return nil
	case conn == nil:
		if err := t.b.in.state(); err != nil {
			return err
		}
		return fmt.Errorf("declare %s: not connected: %w", name, hayate.ErrBusy)
	}
	c, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("declare %s: %v: %w", name, err, hayate.ErrBusy)
	}
	defer c.Close()
	if err := declare(c); err != nil {
		return fmt.Errorf("declare %s: %w", name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == conn {
		t.declared[name] = true
		t.wanted[name] = declare
	}
	return nil
}

// knows says whether a queue is one of those that this process uses.
func (t *topology) knows(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wanted[name] != nil
}

// forget has a queue declared again when it is next needed.
func (t *topology) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.declared, name)
}

// declareDead declares where messages go that cannot be delivered.
func (t *topology) declareDead(c ch) error {
	if err := c.ExchangeDeclare(t.b.name("tasks"), "direct", true, false, false, false, nil); err != nil {
		return refusal(err)
	}
	if err := c.ExchangeDeclare(t.b.name("dead"), "fanout", true, false, false, false, nil); err != nil {
		return refusal(err)
	}
	return t.queue(c, t.b.name("dead"), t.b.name("dead"), "", rabbit.Table{"x-queue-type": "quorum", "x-message-ttl": int64(keepDead), "x-max-length": int64(maxDead)})
}

// declareTasks returns what declares a queue of tasks or reports.
func (t *topology) declareTasks(queue string) func(ch) error {
	return func(c ch) error {
		return t.queue(c, queue, t.b.name("tasks"), queue, rabbit.Table{
			"x-queue-type": "quorum", "x-delivery-limit": int64(deliveryLimit), "x-max-length": int64(maxQueued), "x-overflow": "reject-publish",
			"x-dead-letter-exchange": t.b.name("dead"), "x-dead-letter-strategy": "at-least-once",
		})
	}
}

// declareDelay returns what declares a queue that holds messages for a time, and
// the exchange that fills it. What leaves it keeps its routing key, and so goes
// to the queue it is for.
func (t *topology) declareDelay(name string, ms int64) func(ch) error {
	return func(c ch) error {
		if err := c.ExchangeDeclare(name, "fanout", true, false, false, false, nil); err != nil {
			return refusal(err)
		}
		return t.queue(c, name, name, "", rabbit.Table{
			"x-queue-type": "quorum", "x-message-ttl": ms, "x-max-length": int64(maxQueued), "x-overflow": "reject-publish",
			"x-dead-letter-exchange": t.b.name("tasks"), "x-dead-letter-strategy": "at-least-once",
		})
	}
}

// queue declares a queue and binds it. One that exists with other arguments is
// used as it is, and the argument is named among the notes.
func (t *topology) queue(c ch, name, exchange, key string, args rabbit.Table) error {
	_, err := c.QueueDeclare(name, true, false, false, false, args)
	var e *rabbit.Error
	if errors.As(err, &e) && e.Code == rabbit.PreconditionFailed {
		t.mu.Lock()
		conn := t.conn
		t.differs[name] = differing(e.Reason)
		t.mu.Unlock()
		t.b.log.Warn("queue exists with other arguments, using it as it is", "queue", name, "differs", differing(e.Reason))
		if conn == nil {
			return fmt.Errorf("not connected: %w", hayate.ErrBusy)
		}
		if c, err = conn.Channel(); err != nil {
			return fmt.Errorf("%v: %w", err, hayate.ErrBusy)
		}
		defer c.Close()
	} else if err != nil {
		return refusal(err)
	} else {
		t.mu.Lock()
		delete(t.differs, name)
		t.mu.Unlock()
	}
	return refusal(c.QueueBind(name, key, exchange, false, nil))
}

var inequivalent = regexp.MustCompile(`inequivalent arg '([^']+)' .*?(?:received (.*?) but current is (.*))?$`)

// differing names the argument of a server's complaint.
func differing(reason string) string {
	m := inequivalent.FindStringSubmatch(reason)
	if m == nil {
		return reason
	}
	if m[2] == "" {
		return m[1]
	}
	return fmt.Sprintf("%s is %s, want %s", m[1], clean(m[3]), clean(m[2]))
}

// clean takes the server's wording off a value: "the value 'x' of type 'longstr'".
func clean(s string) string {
	s = strings.TrimPrefix(s, "the value ")
	if i := strings.Index(s, " of type "); i >= 0 {
		s = s[:i]
	}
	return strings.Trim(s, "'")
}

// refusal gives a server's refusal its kind: what is forbidden or malformed will
// not get better by itself.
func refusal(err error) error {
	var e *rabbit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.Code == rabbit.AccessRefused:
		return fmt.Errorf("%s; grant the user configure, write and read on names that begin with the prefix: %w", e.Reason, hayate.ErrDenied)
	case errors.As(err, &e) && e.Code == rabbit.PreconditionFailed:
		return fmt.Errorf("%s: %w", e.Reason, hayate.ErrConflict)
	}
	return fmt.Errorf("%v: %w", err, hayate.ErrBusy)
}

// findings says which queues are not as they should be.
func (t *topology) findings() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, q := range slices.Sorted(maps.Keys(t.differs)) {
		out = append(out, fmt.Sprintf("queue %s is used as it is: %s; to have it as wanted, stop hayate, delete the queue while it is empty, start again", q, t.differs[q]))
	}
	return out
}

// measure asks for the depth of every queue that was declared. One that is gone
// is declared again, and noted.
func (t *topology) measure(conn *rabbit.Connection) error {
	c, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	defer func() { c.Close() }()
	t.mu.Lock()
	names := slices.Sorted(maps.Keys(t.wanted))
	t.mu.Unlock()
	for _, name := range names {
		q, err := c.QueueDeclarePassive(name, true, false, false, false, nil)
		var e *rabbit.Error
		if errors.As(err, &e) && e.Code == rabbit.NotFound {
			if c, err = conn.Channel(); err != nil {
				return fmt.Errorf("open channel: %w", err)
			}
			t.lost(name)
			t.mu.Lock()
			declare := t.wanted[name]
			t.mu.Unlock()
			if err := t.ensure(name, declare); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("ask for the depth of %s: %w", name, err)
		}
		t.mu.Lock()
		t.depths[name] = q.Messages
		t.mu.Unlock()
	}
	return nil
}

// lost notes that a queue was deleted behind our back.
func (t *topology) lost(name string) {
	t.mu.Lock()
	known := t.declared[name]
	delete(t.declared, name)
	t.depths[name] = 0
	if known {
		t.gone[name] = time.Now()
	}
	t.mu.Unlock()
	if known {
		t.b.notes.add(t.b.cfg.Now(), "the queue %s had been deleted and was declared again; tasks that were in it are sent again from the store", name)
		t.b.log.Warn("queue was deleted, declaring it again", "queue", name)
		t.b.back()
	}
}

// depth is the number of messages that wait in a queue, as it was last measured.
func (t *topology) depth(name string) (n int, measured bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, measured = t.depths[name]
	return n, measured
}

// dead is the number of messages that could not be delivered.
func (t *topology) dead() int {
	n, _ := t.depth(t.b.name("dead"))
	return n
}
