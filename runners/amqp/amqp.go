// Package amqp performs actions by publishing a CloudEvent to a RabbitMQ, by
// CloudEvents' AMQP binding. The attempt succeeds once the server has confirmed the
// message and some queue has taken it. The event's id is the execution's idempotency
// key unless the action says otherwise, so a receiver knows an event that was sent
// again.
package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
)

// Name is the runner's name in action metadata.
const Name = "amqp.publish"

// Runner publishes. Its zero value is ready; it may be used at once from many
// goroutines.
type Runner struct{}

// New returns a Runner.
func New() *Runner { return &Runner{} }

// Describe returns the one runner type it serves.
func (*Runner) Describe() []hayate.Runner {
	return []hayate.Runner{{Name: Name, Description: "Publishes a CloudEvent to a RabbitMQ.", Asserts: true}}
}

type settings struct {
	URL        string          `json:"url"`
	Exchange   string          `json:"exchange"`
	RoutingKey string          `json:"routing_key"`
	Type       string          `json:"type"`
	Source     string          `json:"source"`
	Subject    string          `json:"subject"`
	ID         string          `json:"id"`
	Data       json.RawMessage `json:"data"`
	Extensions map[string]any  `json:"extensions"`
	Mode       string          `json:"mode"`
	Timeout    float64         `json:"timeout"`
}

// Run performs one attempt.
func (r *Runner) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	var s settings
	if err := json.Unmarshal(t.RunnerParameters, &s); err != nil {
		return hayate.Result{}, fmt.Errorf("parameters of %s: %v: %w", Name, err, hayate.ErrInvalid)
	}
	e, err := event(&t, &s)
	if err != nil {
		return outcome(hayate.StatusFailed, map[string]any{"error": err.Error()})
	}
	if s.Timeout <= 0 {
		s.Timeout = 15
	}
	limit := time.Duration(s.Timeout * float64(time.Second))
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = publish(bounded, &s, message(e, s.Mode))
	switch {
	case err == nil:
		return outcome(hayate.StatusSucceeded, map[string]any{"id": e.ID})
	case ctx.Err() != nil:
		return outcome(hayate.StatusCanceled, map[string]any{"error": "Action canceled."})
	case bounded.Err() != nil:
		return outcome(hayate.StatusTimeout, map[string]any{"error": fmt.Sprintf("the server has not confirmed within %s; it may have the event", limit)})
	}
	return outcome(hayate.StatusFailed, map[string]any{"error": strings.ReplaceAll(err.Error(), s.URL, "the address")})
}

func outcome(status hayate.Status, value map[string]any) (hayate.Result, error) {
	b, err := json.Marshal(value)
	return hayate.Result{Status: status, Value: b, Verified: status == hayate.StatusSucceeded}, err
}

// event makes the event of a task.
func event(t *hayate.Task, s *settings) (*hayate.Event, error) {
	e := &hayate.Event{ID: s.ID, Source: s.Source, Type: s.Type, Subject: s.Subject}
	if e.ID == "" {
		e.ID = t.IdempotencyKey
	}
	if e.Source == "" {
		e.Source = "//hayate"
	}
	if len(s.Data) > 0 && string(s.Data) != "null" {
		e.Data, e.DataContentType = s.Data, "application/json"
	}
	for name, v := range s.Extensions {
		e.SetExtension(name, hayate.AttributeText(v))
	}
	return e, e.Validate()
}

// message puts an event into a message: binary mode unless structured is asked for.
func message(e *hayate.Event, mode string) rabbit.Publishing {
	m := rabbit.Publishing{DeliveryMode: rabbit.Persistent, MessageId: e.ID, AppId: "hayate"}
	if mode == "structured" {
		m.ContentType, m.Body = "application/cloudevents+json; charset=utf-8", e.AppendJSON(nil)
		return m
	}
	m.ContentType, m.Body = e.DataContentType, e.Data
	m.Headers = rabbit.Table{"cloudEvents:specversion": "1.0"}
	for name, v := range map[string]string{"id": e.ID, "source": e.Source, "type": e.Type, "subject": e.Subject} {
		if v != "" {
			m.Headers["cloudEvents:"+name] = v
		}
	}
	for name := range e.Extensions {
		m.Headers["cloudEvents:"+name] = e.Extension(name)
	}
	return m
}

// publish sends one message on a connection of its own.
func publish(ctx context.Context, s *settings, m rabbit.Publishing) error {
	u, err := url.Parse(s.URL)
	if err != nil || (u.Scheme != "amqp" && u.Scheme != "amqps") {
		return fmt.Errorf("url: want amqp:// or amqps://: %w", hayate.ErrInvalid)
	}
	conn, err := rabbit.DialConfig(s.URL, rabbit.Config{Locale: "en_US", Heartbeat: 10 * time.Second, Dial: func(network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		end, _ := ctx.Deadline()
		return c, c.SetDeadline(end) // of the handshake
	}})
	if err != nil {
		return fmt.Errorf("connect to %s: %w", u.Host, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }) // which ends what waits
	defer stop()
	defer conn.CloseDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the message is confirmed, or the attempt has failed
	return confirmed(ctx, conn, s, m)
}

func confirmed(ctx context.Context, conn *rabbit.Connection, s *settings, m rabbit.Publishing) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	returned := ch.NotifyReturn(make(chan rabbit.Return, 1))
	closed := ch.NotifyClose(make(chan *rabbit.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return fmt.Errorf("ask for confirms: %w", err)
	}
	c, err := ch.PublishWithDeferredConfirmWithContext(ctx, s.Exchange, s.RoutingKey, true, false, m)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	ack, err := c.WaitContext(ctx)
	if err != nil {
		return err
	}
	select {
	case r, ok := <-returned: // it comes before the confirm
		if ok {
			return fmt.Errorf("exchange %q with routing key %q leads to no queue: %s", s.Exchange, s.RoutingKey, r.ReplyText)
		}
	default:
	}
	if ack {
		return nil
	}
	select {
	case e := <-closed:
		if e != nil {
			return fmt.Errorf("publish: %s", e.Reason)
		}
	default:
	}
	return errors.New("the server refused the event; is the queue full?")
}
