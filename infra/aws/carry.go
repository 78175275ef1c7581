package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// The attributes of a message that carries an event, and their values.
const (
	attributeForm     = "hayate"   // formEvent or formClaim
	attributeAccepted = "accepted" // when the event was accepted, RFC 3339
	formEvent         = "event"    // the body is the event, in CloudEvents' JSON format
	formClaim         = "claim"    // the body is a claim
)

// CarriedPrefix is that of the keys of carried events in their bucket, whose
// lifecycle removes them once no queue can hold their messages any more.
const CarriedPrefix = "carried/"

// carryLimit is the size from which an event is not carried but checked in: the
// message holds a reference to it. SQS takes more since 2025; topics, queues of
// other makers and its own batches do not.
const carryLimit = 200 << 10

// maxCarried bounds what is fetched for a claim, in bytes.
const maxCarried = 64 << 20

// claim stands in a message for an event that lies in the blobs.
type claim struct {
	ID     string `json:"id"` // of the event, for people who read dead letters
	Source string `json:"source"`
	Type   string `json:"type"`
	Hash   string `json:"hash"`
	Size   int64  `json:"size"`
}

// Carrier carries accepted events over a queue. It may be used from many
// goroutines.
type Carrier struct {
	To Sender
	// Blobs keep what is too large for a message; nil: that is refused.
	Blobs router.Blobs
}

// Send makes events durable in the queue. AcceptedAt must be set: it travels
// with them. ErrTooLarge says that an event fits no message and there are no
// blobs.
func (c *Carrier) Send(ctx context.Context, events ...hayate.Event) error {
	messages := make([]Message, len(events))
	for i := range events {
		e := &events[i]
		m := Message{Body: plainText(e.AppendJSON(nil)), Attributes: map[string]string{
			attributeForm: formEvent, attributeAccepted: e.AcceptedAt.UTC().Format(time.RFC3339Nano)}}
		if len(m.Body) > carryLimit {
			if c.Blobs == nil {
				return fmt.Errorf("carry event %s: it has %d bytes and no bucket is configured for more than %d: %w", e.ID, len(m.Body), carryLimit, hayate.ErrTooLarge)
			}
			ref, err := c.Blobs.Put(ctx, strings.NewReader(m.Body))
			if err != nil {
				return fmt.Errorf("carry event %s: %w", e.ID, err)
			}
			b, err := json.Marshal(claim{e.ID, e.Source, e.Type, ref.Hash, ref.Size})
			if err != nil {
				return fmt.Errorf("carry event %s: %w", e.ID, err)
			}
			m.Body, m.Attributes[attributeForm] = plainText(b), formClaim
		}
		messages[i] = m
	}
	return c.To.Send(ctx, messages...)
}

// plainText writes JSON so that SQS takes it: the two characters of the basic
// plane that it refuses, and that can only stand in a string, are escaped.
func plainText(b []byte) string {
	return noncharacters.Replace(string(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
}

var noncharacters = strings.NewReplacer("\uFFFE", `\ufffe`, "\uFFFF", `\uffff`)

// unpack reads the event that a message carries; ok is false where it carries
// something else.
func unpack(ctx context.Context, blobs router.Blobs, m *record) (e hayate.Event, ok bool, err error) {
	body := []byte(m.Body)
	switch m.attribute(attributeForm) {
	case formEvent:
	case formClaim:
		if body, err = fetch(ctx, blobs, body); err != nil {
			return e, true, err
		}
	default:
		return e, false, nil
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, true, fmt.Errorf("carried event: %w", err)
	}
	if e.AcceptedAt, err = time.Parse(time.RFC3339Nano, m.attribute(attributeAccepted)); err != nil {
		e.AcceptedAt = m.sent()
	}
	return e, true, nil
}

// fetch returns what a claim refers to.
func fetch(ctx context.Context, blobs router.Blobs, body []byte) ([]byte, error) {
	var c claim
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("claim of a carried event: %v: %w", err, hayate.ErrInvalid)
	}
	if blobs == nil {
		return nil, fmt.Errorf("event %s lies in a bucket, and none is configured: %w", c.ID, hayate.ErrInvalid)
	}
	if c.Size > maxCarried {
		return nil, fmt.Errorf("event %s has %d bytes, the limit is %d: %w", c.ID, c.Size, maxCarried, hayate.ErrTooLarge)
	}
	r, err := blobs.Get(ctx, c.Hash)
	if err != nil {
		return nil, fmt.Errorf("fetch event %s: %w", c.ID, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxCarried))
	if err != nil {
		return nil, fmt.Errorf("fetch event %s: %v: %w", c.ID, err, hayate.ErrBusy)
	}
	if int64(len(b)) != c.Size {
		return nil, fmt.Errorf("event %s has %d bytes in the bucket, its claim says %d: %w", c.ID, len(b), c.Size, hayate.ErrInvalid)
	}
	return b, nil
}
