package amqp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
)

// The pauses between two tries to connect: doubled each time, with jitter, so
// that many processes do not come back at once.
const (
	firstPause  = 100 * time.Millisecond
	longestWait = 5 * time.Second
	dialWait    = 5 * time.Second
	warnEvery   = time.Minute
	// answerWait is how long the server may be silent before it is said to be.
	answerWait = 3 * time.Second
)

// link is one supervised connection. The library can reconnect too, but gives up
// after some tries and leaves messages in flight in doubt: dialling anew and
// building everything anew is less to know.
type link struct {
	b    *Broker
	role string

	mu       sync.Mutex
	conn     *rabbit.Connection
	working  bool
	since    time.Time // when it began or ceased to work
	cause    error     // why it does not
	blocked  string    // why the server takes no messages
	blockedA time.Time
	answered time.Time // when the server last answered a question
	warned   time.Time // when its absence was last logged as a warning
}

func newLink(b *Broker, role string) *link {
	return &link{b: b, role: role, since: b.cfg.Now(), cause: fmt.Errorf("not connected yet")}
}

// run dials, serves and dials again until ctx ends.
func (l *link) run(ctx context.Context, serve func(context.Context, *rabbit.Connection) error) {
	pause := firstPause
	for ctx.Err() == nil {
		conn, err := l.dial(ctx)
		if err == nil {
			begun := time.Now()
			err = l.serve(ctx, conn, serve)
			if time.Since(begun) > longestWait {
				pause = firstPause
			}
		}
		if ctx.Err() != nil {
			return
		}
		l.down(err)
		t := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // jitter, no secret
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		pause = min(2*pause, longestWait)
	}
}

func (l *link) serve(ctx context.Context, conn *rabbit.Connection, serve func(context.Context, *rabbit.Connection) error) error {
	stop := context.AfterFunc(ctx, func() {
		_ = conn.CloseDeadline(time.Now().Add(2 * time.Second)) // it may be closed already
	})
	defer stop()
	err := serve(ctx, conn)
	_ = conn.CloseDeadline(time.Now().Add(time.Second)) // it may be closed already
	if err == nil {
		err = fmt.Errorf("the connection was closed")
	}
	return err
}

func (l *link) dial(ctx context.Context) (*rabbit.Connection, error) {
	c := rabbit.Config{
		Heartbeat: l.b.cfg.Heartbeat, Locale: "en_US",
		Properties: rabbit.Table{"connection_name": l.b.cfg.Name + " " + l.role, "product": "hayate"},
		Dial: func(network, addr string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialWait}
			conn, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// Of the handshake; the library takes it away once the connection is open.
			return conn, conn.SetDeadline(time.Now().Add(2 * dialWait))
		},
	}
	if l.b.cfg.TLS != nil {
		c.TLSClientConfig = l.b.cfg.TLS.Clone()
		if len(c.TLSClientConfig.Certificates) > 0 && !strings.Contains(l.b.cfg.URL, "@") {
			c.SASL = []rabbit.Authentication{&rabbit.ExternalAuth{}}
		}
	}
	conn, err := rabbit.DialConfig(l.b.cfg.URL, c)
	if err != nil {
		return nil, fmt.Errorf("connect: %s", strings.ReplaceAll(err.Error(), l.b.cfg.URL, l.b.host))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.answered = conn, time.Now()
	return conn, nil
}

// up says that the link works.
func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.working, l.since, l.cause, l.blocked, l.answered = true, l.b.cfg.Now(), nil, "", time.Now()
}

// down says that it does not, and why.
func (l *link) down(err error) {
	l.mu.Lock()
	was := l.working
	if was {
		l.since = l.b.cfg.Now()
	}
	l.working, l.conn, l.cause, l.blocked = false, nil, err, ""
	warn := !was && time.Since(l.warned) > warnEvery
	if warn || was {
		l.warned = time.Now()
	}
	l.mu.Unlock()
	switch {
	case was:
		l.b.log.Warn("RabbitMQ lost, connecting again", "host", l.b.host, "connection", l.role, "err", err)
	case warn:
		l.b.log.Warn("RabbitMQ not reached, trying on", "host", l.b.host, "connection", l.role, "err", err)
	default:
		l.b.log.Debug("RabbitMQ not reached, trying again", "host", l.b.host, "connection", l.role, "err", err)
	}
}

// drop ends the connection: another is made at once.
func (l *link) drop() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		_ = conn.CloseDeadline(time.Now().Add(time.Second)) // it may be closed already
	}
}

func (l *link) setBlocked(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason != "" && l.blocked == "" {
		l.blockedA = l.b.cfg.Now()
	}
	l.blocked = reason
}

// heard says that the server has answered.
func (l *link) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = time.Now()
}

// state says what is wrong with the link; nil: nothing.
func (l *link) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case !l.working:
		return fmt.Errorf("RabbitMQ at %s cannot be reached since %s: %v. What is to be sent waits in the store and is sent once it is back: %w", l.b.host, stamp(l.since), l.cause, hayate.ErrBusy)
	case l.blocked != "":
		return fmt.Errorf("RabbitMQ at %s takes no messages since %s: an alarm is on (%s). Free memory or disk on its host; nothing here need be reset: %w", l.b.host, stamp(l.blockedA), l.blocked, hayate.ErrBusy)
	case time.Since(l.answered) > answerWait:
		return fmt.Errorf("RabbitMQ at %s does not answer on the connection %q since %s although it stands: look at the network between: %w", l.b.host, l.role, stamp(l.b.cfg.Now().Add(-time.Since(l.answered))), hayate.ErrBusy)
	}
	return nil
}
