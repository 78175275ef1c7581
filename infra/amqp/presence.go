package amqp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"
)

// presenceEvery is how often a worker says that it is there.
const presenceEvery = 3 * time.Second

// maxWorkers bounds the workers that are remembered, keepWorkers how long after they
// were last heard.
const (
	maxWorkers  = 10_000
	keepWorkers = 7 * 24 * time.Hour
)

// Presence is what a worker says of itself.
type Presence struct {
	Worker  string    `json:"worker"`
	Tags    []string  `json:"tags"`
	Host    string    `json:"host"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Running int       `json:"running"` // attempts that it holds
	// Seen is when it was last heard, by the clock of who listens.
	Seen time.Time `json:"last_seen"`
	// Stopping says that it has taken leave.
	Stopping bool `json:"stopping,omitempty"`
}

// presences are the workers that were heard.
type presences struct {
	mu sync.Mutex
	m  map[string]Presence
}

func (b *Broker) declarePresence(conn *rabbit.Connection) (*rabbit.Channel, error) {
	c, err := conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	if err := c.ExchangeDeclare(b.name("presence"), "fanout", true, false, false, false, nil); err != nil {
		return nil, refusal(err)
	}
	return c, nil
}

// Announce has this process say regularly what now returns. It must be called
// before Run.
func (b *Broker) Announce(now func() Presence) {
	b.sessions = append(b.sessions, func(ctx context.Context, conn *rabbit.Connection) error {
		c, err := b.declarePresence(conn)
		if err != nil {
			return err
		}
		defer c.Close() // it may have been lost
		tick := time.NewTicker(presenceEvery)
		defer tick.Stop()
		for {
			b.say(ctx, now())
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// say sends one presence; one that is lost is followed by another.
func (b *Broker) say(ctx context.Context, p Presence) {
	body, err := json.Marshal(p)
	if err != nil || b.out.state() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ConfirmWait)
	defer cancel()
	if _, err := b.pub.post(ctx, b.name("presence"), "", false, rabbit.Publishing{ContentType: "application/json", Type: "hayate.presence", Body: body}); err != nil {
		b.log.Debug("presence not told", "err", err)
	}
}

// Leave says once that a worker stops.
func (b *Broker) Leave(ctx context.Context, p Presence) {
	p.Stopping = true
	b.say(ctx, p)
}

// Listen has this process hear workers' presences. It must be called before Run.
func (b *Broker) Listen() {
	b.sessions = append(b.sessions, func(ctx context.Context, conn *rabbit.Connection) error {
		c, err := b.declarePresence(conn)
		if err != nil {
			return err
		}
		defer c.Close() // it may have been lost
		q, err := c.QueueDeclare(b.name("heard."+newID()), false, true, true, false, rabbit.Table{"x-max-length": int64(maxWorkers)})
		if err != nil {
			return refusal(err)
		}
		if err := c.QueueBind(q.Name, "", b.name("presence"), false, nil); err != nil {
			return refusal(err)
		}
		heard, err := c.Consume(q.Name, newID(), true, true, false, false, nil)
		if err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case m, ok := <-heard:
				if !ok {
					return errDeleted
				}
				b.hear(m.Body)
			}
		}
	})
}

func (b *Broker) hear(body []byte) {
	var p Presence
	if json.Unmarshal(body, &p) != nil || p.Worker == "" {
		return // not a worker's
	}
	p.Seen = b.cfg.Now().UTC()
	b.workers.mu.Lock()
	defer b.workers.mu.Unlock()
	if b.workers.m == nil {
		b.workers.m = map[string]Presence{}
	}
	if _, known := b.workers.m[p.Worker]; known || len(b.workers.m) < maxWorkers {
		b.workers.m[p.Worker] = p
	}
	for name, old := range b.workers.m {
		if p.Seen.Sub(old.Seen) > keepWorkers {
			delete(b.workers.m, name)
		}
	}
}

// Workers lists the workers that were heard since this process began, by name.
func (b *Broker) Workers() []Presence {
	b.workers.mu.Lock()
	defer b.workers.mu.Unlock()
	out := make([]Presence, 0, len(b.workers.m))
	for _, p := range b.workers.m {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Presence) int { return strings.Compare(a.Worker, b.Worker) })
	return out
}
