package amqp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"
)

// probeEvery is how often the server is asked whether it answers.
const probeEvery = time.Second

// Health says what keeps messages from going out or coming in: nil, or the cause
// in words for the operator. It costs nothing.
func (b *Broker) Health() error {
	if err := b.out.state(); err != nil {
		return err
	}
	return b.in.state()
}

// watch notes since when all is well.
func (b *Broker) watch(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		well := b.Health() == nil
		b.mu.Lock()
		switch {
		case !well:
			b.steady = time.Time{}
		case b.steady.IsZero():
			b.steady = time.Now()
		}
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Steady is for how long messages have gone in and out without a break: workers who
// are silent for less may only have been cut off.
func (b *Broker) Steady() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.steady.IsZero() {
		return 0
	}
	return time.Since(b.steady)
}

// keepNotes is how long what went by is told.
const keepNotes = 5 * time.Minute

// notes are what an operator should know although it is over or harmless.
type notes struct {
	mu   sync.Mutex
	list []note
}

type note struct {
	at   time.Time
	text string
}

const maxNotes = 20

func (n *notes) add(at time.Time, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	n.list = slices.DeleteFunc(n.list, func(x note) bool { return x.text == text })
	if len(n.list) >= maxNotes {
		n.list = n.list[1:]
	}
	n.list = append(n.list, note{at, text})
}

// Notes lists what happened of late and is repaired or tolerated, newest last.
func (b *Broker) Notes() []string {
	now := b.cfg.Now()
	out := b.topo.findings()
	b.notes.mu.Lock()
	defer b.notes.mu.Unlock()
	for _, n := range b.notes.list {
		if now.Sub(n.at) < keepNotes {
			out = append(out, n.at.UTC().Format(time.RFC3339)+": "+n.text)
		}
	}
	if n := b.topo.dead(); n > 0 {
		out = append(out, fmt.Sprintf("%d messages lie in the queue %s, with the reason in each; what they were about is sent again from the store", n, b.name("dead")))
	}
	return out
}

// probeReceiving asks for the depths of the queues: so the server's silence is
// noticed within seconds, and Depth costs nothing.
func (b *Broker) probeReceiving(ctx context.Context, conn *rabbit.Connection) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		if err := b.topo.measure(conn); err != nil {
			return err
		}
		b.in.heard()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// probePublishing sends a message to nobody and waits for its confirm: a server
// that is short of memory tells only who sends.
func (b *Broker) probePublishing(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		if !b.out.isBlocked() {
			wait, cancel := context.WithTimeout(ctx, answerWait)
			_ = b.pub.send(wait, "", "", false, rabbit.Publishing{Type: "hayate.probe"}) // an answer is noted, its lack too
			cancel()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *link) isBlocked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked != ""
}
