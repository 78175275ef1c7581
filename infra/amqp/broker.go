package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
)

// Config is what a Broker needs. Only URL is required.
type Config struct {
	// URL is the server's address, amqp:// or amqps://, with user, password and
	// virtual host.
	URL string
	// TLS is for amqps. Default: the system's authorities, the URL's host name. With
	// a client certificate and no user in the URL the certificate logs in (EXTERNAL).
	TLS *tls.Config
	// Prefix begins the names of all queues and exchanges. Default "hayate".
	Prefix string
	// Name is what the server's tools call the connections. Default "hayate".
	Name string
	Log  *slog.Logger // default: silence
	// Prefetch is the most tasks of one target that wait in this process for a
	// receiver. Default 32.
	Prefetch int
	// ConfirmWait bounds how long a publisher waits for the server. Default 3 s.
	ConfirmWait time.Duration
	// Heartbeat is the interval of AMQP's own signs of life; a connection without
	// any for three of them is given up. Default 5 s.
	Heartbeat time.Duration
	// Token makes the token that a task for a worker's tag carries: see package
	// remote. Default: it carries none.
	Token func(hayate.ExecutionID) (string, error)
	Now   func() time.Time // default time.Now
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Broker is a RabbitMQ server as hayate uses it. Its methods may be called from
// many goroutines.
type Broker struct {
	cfg  Config
	host string // for people
	log  *slog.Logger

	out     *link // publishes
	in      *link // receives, acknowledges and declares
	pub     publisher
	topo    topology
	queue   *Queue
	notes   notes
	workers presences

	suspects chan string // queues that may not answer
	// sessions run on each receiving connection; they are known before Run.
	sessions []func(context.Context, *rabbit.Connection) error

	mu     sync.Mutex
	steady time.Time // since when all is well; zero: it is not
	onBack []func()
	closed chan struct{}
	once   sync.Once
}

// New returns a Broker, or an error that names everything wrong. It connects to
// nothing: Run does.
func New(c Config) (*Broker, error) {
	if c.Prefix == "" {
		c.Prefix = "hayate"
	}
	if c.Name == "" {
		c.Name = "hayate"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Prefetch == 0 {
		c.Prefetch = 32
	}
	if c.ConfirmWait == 0 {
		c.ConfirmWait = 3 * time.Second
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 5 * time.Second
	}
	var errs []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("amqp: the URL is not one: %w", hayate.ErrInvalid)) // its text may hold a password
	case u.Scheme != "amqp" && u.Scheme != "amqps":
		errs = append(errs, fmt.Errorf("amqp: the URL begins with %q, want amqp:// or amqps://: %w", u.Scheme, hayate.ErrInvalid))
	case u.Host == "":
		errs = append(errs, fmt.Errorf("amqp: the URL names no host, want amqp://USER:PASSWORD@HOST/VHOST: %w", hayate.ErrInvalid))
	}
	if !prefixes.MatchString(c.Prefix) {
		errs = append(errs, fmt.Errorf("amqp: prefix %q: want letters, digits, dots, dashes and underscores, at most 64: %w", c.Prefix, hayate.ErrInvalid))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	b := &Broker{cfg: c, host: u.Host, log: c.Log, closed: make(chan struct{}), suspects: make(chan string, 64)}
	b.out, b.in = newLink(b, "out"), newLink(b, "in")
	b.pub.init(b)
	b.topo.init(b)
	b.queue = newQueue(b)
	return b, nil
}

// Queue returns the queue of this process.
func (b *Broker) Queue() *Queue { return b.queue }

// name makes the full name of a queue or exchange.
func (b *Broker) name(s string) string { return b.cfg.Prefix + "." + s }

// OnBack registers a function that is called whenever messages can be published
// again after they could not. It must return at once.
func (b *Broker) OnBack(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onBack = append(b.onBack, f)
}

func (b *Broker) back() {
	b.mu.Lock()
	fs := b.onBack
	b.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

// Run keeps the connections until ctx ends; then receivers end with ErrBusy. It
// may be called once.
func (b *Broker) Run(ctx context.Context) error {
	defer b.Close()
	var wg sync.WaitGroup
	wg.Go(func() { b.out.run(ctx, b.servePublishing) })
	wg.Go(func() { b.in.run(ctx, b.serveReceiving) })
	wg.Go(func() { b.watch(ctx) })
	wg.Go(func() { b.heal(ctx) })
	wg.Wait()
	return ctx.Err()
}

// Close ends those who wait. The connections end with Run's context. Twice is fine.
func (b *Broker) Close() {
	b.once.Do(func() {
		close(b.closed)
		b.queue.q.Close()
	})
}

// Ready waits until messages can be published and received, or ctx ends.
func (b *Broker) Ready(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Health()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-tick.C:
		}
	}
}

// serveReceiving runs all sessions of a receiving connection until one ends.
func (b *Broker) serveReceiving(ctx context.Context, conn *rabbit.Connection) error {
	if err := b.topo.begin(conn); err != nil {
		return err
	}
	defer b.topo.end()
	all := append([]func(context.Context, *rabbit.Connection) error{b.probeReceiving, b.queue.session}, b.sessions...)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := conn.NotifyClose(make(chan *rabbit.Error, 1))
	b.in.up()
	b.back()
	b.log.Info("receiving from RabbitMQ", "host", b.host)
	var wg sync.WaitGroup
	for _, f := range all {
		wg.Go(func() {
			if err := f(ctx, conn); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	select {
	case e := <-lost:
		cancel(closeError(e))
	case <-ctx.Done():
	}
	err := context.Cause(ctx)
	_ = conn.CloseDeadline(time.Now().Add(time.Second)) // it may be closed already
	wg.Wait()
	return err
}

// closeError is why a connection or channel ended.
func closeError(e *rabbit.Error) error {
	if e == nil {
		return errors.New("the connection was closed")
	}
	return e
}
