package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/normalize"
)

// The media types of CloudEvents in structured mode.
const (
	structured = "application/cloudevents+json"
	batch      = "application/cloudevents-batch+json"
)

// eventWorkers bounds the events of one queue that are being accepted at once.
const eventWorkers = 32

// Source has this process accept events from a queue that somebody else fills and
// declares. A message is acknowledged once its events are durable; one that holds no
// event is put aside with the reason. CloudEvents come in the binary or structured
// mode of the AMQP binding; what is none is recognised as a webhook's body is. It
// must be called before Run. Any number of processes may receive from one queue.
func (b *Broker) Source(queue string, accept func(context.Context, hayate.Event) (router.Receipt, error)) {
	b.sessions = append(b.sessions, func(ctx context.Context, conn *rabbit.Connection) error {
		for {
			err := b.receiveEvents(ctx, conn, queue, accept)
			if ctx.Err() != nil || conn.IsClosed() {
				return nil
			}
			b.notes.add(b.cfg.Now(), "no events from the queue %s: %v", queue, err)
			b.log.Warn("receiving events, again in five seconds", "queue", queue, "err", err)
			t := time.NewTimer(longestWait)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	})
}

func (b *Broker) receiveEvents(ctx context.Context, conn *rabbit.Connection, queue string, accept func(context.Context, hayate.Event) (router.Receipt, error)) error {
	c, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	defer c.Close() // it may have been lost
	canceled := c.NotifyCancel(make(chan string, 1))
	if err := c.Qos(eventWorkers, 0, false); err != nil {
		return fmt.Errorf("bound the deliveries: %w", err)
	}
	deliveries, err := c.Consume(queue, newID(), false, false, false, false, nil)
	if err != nil {
		return refusal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-canceled:
			return errDeleted
		case m, ok := <-deliveries:
			if !ok {
				return errors.New("the deliveries ended")
			}
			wg.Go(func() { b.acceptMessage(ctx, queue, &m, accept) }) // as many as Qos lets in
		}
	}
}

// acceptMessage accepts the events of a message. While the store or the backlog
// refuses them the message is kept, and so the queue is not read any further.
func (b *Broker) acceptMessage(ctx context.Context, queue string, m *rabbit.Delivery, accept func(context.Context, hayate.Event) (router.Receipt, error)) {
	events, err := readEvents(m, queue, b.cfg.Now())
	for i := 0; i < len(events) && err == nil; {
		_, err = accept(ctx, events[i])
		switch {
		case err == nil:
			i++
		case errors.Is(err, hayate.ErrInvalid), errors.Is(err, hayate.ErrTooLarge): // it is so for ever
		default:
			b.log.Warn("event not accepted yet, will repeat", "queue", queue, "err", err)
			t := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
				t.Stop()
				_ = m.Nack(false, true) // or it comes again with the end of the connection
				return
			case <-t.C:
				err = nil
			}
		}
	}
	if err != nil {
		p := rabbit.Publishing{ContentType: m.ContentType, DeliveryMode: rabbit.Persistent, MessageId: m.MessageId, Type: m.Type, Headers: m.Headers, Body: m.Body}
		if err := b.bury(ctx, p, queue, err.Error()); err != nil {
			_ = m.Nack(false, true) // it comes again
			return
		}
	}
	_ = m.Ack(false) // or it comes again, and its events are known
}

// readEvents reads the events of a message.
func readEvents(m *rabbit.Delivery, queue string, now time.Time) ([]hayate.Event, error) {
	kind, _, err := mime.ParseMediaType(m.ContentType)
	if err != nil {
		kind = ""
	}
	switch {
	case kind == structured:
		var e hayate.Event
		if err := json.Unmarshal(m.Body, &e); err != nil {
			return nil, fmt.Errorf("the message is no CloudEvent in structured mode: %w", err)
		}
		return []hayate.Event{e}, nil
	case kind == batch:
		var all []hayate.Event
		if err := json.Unmarshal(m.Body, &all); err != nil {
			return nil, fmt.Errorf("the message is no batch of CloudEvents: %v: %w", err, hayate.ErrInvalid)
		}
		return all, nil
	}
	if e, ok := binaryEvent(m); ok {
		return []hayate.Event{e}, nil
	}
	return normalize.Events(&normalize.Request{Hint: queue, ContentType: m.ContentType, Body: m.Body, Now: now.UTC(),
		Header: func(name string) string { return headerText(m.Headers[name]) },
		NewID: func() string {
			if m.MessageId != "" {
				return m.MessageId // the same when it is delivered again
			}
			return newID()
		}})
}

// attribute takes the binding's prefix off a header's name.
func attribute(header string) (string, bool) {
	for _, prefix := range []string{"cloudEvents:", "cloudEvents_"} {
		if name, ok := strings.CutPrefix(header, prefix); ok {
			return name, true
		}
	}
	return "", false
}

// binaryEvent reads a CloudEvent in binary mode: attributes in headers, the data as
// the body, its media type as the message's.
func binaryEvent(m *rabbit.Delivery) (hayate.Event, bool) {
	e := hayate.Event{DataContentType: m.ContentType, Data: m.Body}
	if len(m.Body) == 0 {
		e.Data = nil
	}
	is := false
	for header, value := range m.Headers {
		name, ok := attribute(header)
		if !ok {
			continue
		}
		text := headerText(value)
		switch name {
		case "specversion":
			is = true
		case "id":
			e.ID = text
		case "source":
			e.Source = text
		case "type":
			e.Type = text
		case "subject":
			e.Subject = text
		case "dataschema":
			e.DataSchema = text
		case "time":
			if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
				e.Time = t.UTC()
			}
		default:
			e.SetExtension(name, text)
		}
	}
	return e, is
}

// headerText is a header's value as the text of an attribute.
func headerText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}
