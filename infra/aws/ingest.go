package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
	"github.com/hayate-run/hayate/router/normalize/signature"
)

// IngestConfig is what an Ingest needs. To is required.
type IngestConfig struct {
	To Carrier
	// Token lets in whoever presents it, as Authorization: Bearer or X-Auth-Token.
	// Default: nobody is let in by a token.
	Token []byte
	// Webhooks are the signatures by which senders of /v1/webhooks/<name> are let in.
	Webhooks map[string]signature.Method
	// MaxEvent bounds an event's data in bytes. Default 1 MiB.
	MaxEvent int
	// Batches says what becomes of messages of other queues that cannot be taken.
	Batches Batches
	Metrics *Metrics         // nil: none are written
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default: silence
}

// Ingest takes events in without a store: whatever it is invoked with becomes
// CloudEvents, and these are durable in the queue when it answers. So it takes
// them while the store is away, and starts fast. It may be called at once from
// many goroutines.
type Ingest struct{ c IngestConfig }

// NewIngest returns a function. It connects to nothing.
func NewIngest(c IngestConfig) (*Ingest, error) {
	if c.To.To == nil {
		return nil, fmt.Errorf("lambda function: the queue is missing: %w", hayate.ErrInvalid)
	}
	if c.MaxEvent == 0 {
		c.MaxEvent = 1 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Ingest{c}, nil
}

// queued is the answer for an event that is durable in the queue.
type queued struct {
	ID      hayate.EventID `json:"id"` // unless the event was known before
	EventID string         `json:"event_id"`
	Source  string         `json:"source"`
	Type    string         `json:"type"`
}

// Invoke answers one invocation: an HTTP request of a function URL or an HTTP API
// with 202 once its events are durable, a batch of SQS with the messages that are
// to be delivered again, anything else with the events, or an error that makes
// Lambda deliver it again.
func (f *Ingest) Invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	t, id := newTally(f.c.Now()), requestID(ctx)
	log := f.c.Log.With("request_id", id)
	defer func() {
		if err := f.c.Metrics.emit(t, f.c.Now(), id); err != nil {
			log.Warn("metrics not written", "err", err)
		}
	}()
	if list := records(payload); list != nil {
		return f.c.Batches.each(ctx, log, t, list, func(ctx context.Context, r *record) error {
			one := append([]byte(`{"Records":[`), r.raw...)
			_, err := f.take(ctx, t, log, append(one, "]}"...), r.ID, nil)
			return err
		}), nil
	}
	r, err := requestOf(ctx, payload)
	if err != nil {
		out, err := f.take(ctx, t, log, payload, id, nil)
		if err != nil {
			log.Error("invocation failed", "err", err)
			return nil, err
		}
		return map[string]any{"events": out}, nil
	}
	return f.answer(ctx, t, log, payload, id, r), nil
}

// answer takes the events of an HTTP request.
func (f *Ingest) answer(ctx context.Context, t *tally, log *slog.Logger, payload []byte, id string, r *http.Request) events.APIGatewayV2HTTPResponse {
	t.add("Requests", 1)
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/livez":
		return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Body: "ok\n"}
	case r.Method != http.MethodPost:
		return problem(http.StatusMethodNotAllowed, "events are posted to /v1/events, webhooks to /v1/webhooks/<source>")
	case path != "" && path != "/v1/events" && !strings.HasPrefix(path, "/v1/webhooks/"):
		return problem(http.StatusNotFound, path+" is not here: this function takes /v1/events and /v1/webhooks/<source>, the api function has the rest")
	}
	out, err := f.take(ctx, t, log, payload, id, f.guard(payload, r))
	status, known := http.StatusServiceUnavailable, "the events could not be queued; repeat in a few seconds"
	switch {
	case err == nil:
		b, err := json.Marshal(answered(path, r.Header.Get("Content-Type"), out))
		if err != nil {
			return problem(http.StatusInternalServerError, "the answer cannot be written")
		}
		return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusAccepted, Headers: map[string]string{"Content-Type": "application/json"}, Body: string(b)}
	case errors.Is(err, hayate.ErrDenied):
		status, known = http.StatusUnauthorized, "a valid token or signature is needed"
	case errors.Is(err, hayate.ErrTooLarge):
		status, known = http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, hayate.ErrInvalid):
		status, known = http.StatusBadRequest, err.Error()
	}
	log.Warn("request refused", "status", status, "err", err)
	t.add("Refused", 1)
	return problem(status, strings.TrimSuffix(strings.TrimSuffix(known, ": "+hayate.ErrInvalid.Error()), ": "+hayate.ErrTooLarge.Error()))
}

// answered is the answer as every shape of hayate gives it: one event, a batch, or
// what a webhook's payload holds.
func answered(path, contentType string, out []queued) any {
	switch {
	case path != "/v1/events":
		return map[string]any{"events": out}
	case len(out) == 1 && !strings.HasPrefix(strings.ToLower(contentType), "application/cloudevents-batch"):
		return out[0]
	}
	return out
}

// guard says who may send a request: whoever Lambda has let in by IAM, who bears
// the token, or whose webhook is signed.
func (f *Ingest) guard(payload []byte, r *http.Request) func(string, *normalize.Request) error {
	var p struct {
		RequestContext struct {
			Authorizer struct {
				IAM json.RawMessage `json:"iam"`
			} `json:"authorizer"`
		} `json:"requestContext"`
	}
	trusted := json.Unmarshal(payload, &p) == nil && len(p.RequestContext.Authorizer.IAM) > 0
	token := r.Header.Get("X-Auth-Token")
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(t)
	}
	trusted = trusted || token != "" && signature.Token(f.c.Token, token) == nil
	onlyEvents := strings.TrimSuffix(r.URL.Path, "/") == "/v1/events"
	return func(source string, n *normalize.Request) error {
		if n.Header == nil {
			return nil // the envelope that Lambda made; the request in it is asked about too
		}
		if onlyEvents && trusted && source != "cloudevents" {
			return fmt.Errorf("/v1/events takes CloudEvents: specversion, id, source and type are needed; other payloads go to /v1/webhooks/<source>: %w", hayate.ErrInvalid)
		}
		name := strings.Trim(n.Hint, "/")
		m, ok := f.c.Webhooks[name]
		if !ok {
			m, ok = f.c.Webhooks[source]
		}
		switch {
		case ok: // what is to be signed comes in by no other way
			return m.Check(n.Header, n.Body, f.c.Now())
		case trusted:
			return nil
		}
		return fmt.Errorf("neither token nor signature: %w", hayate.ErrDenied)
	}
}

// take makes the events of a payload durable in the queue.
func (f *Ingest) take(ctx context.Context, t *tally, log *slog.Logger, payload []byte, delivery string, check func(string, *normalize.Request) error) ([]queued, error) {
	now := f.c.Now().UTC().Truncate(time.Microsecond)
	list, err := eventsOf(payload, delivery, now, check)
	if err != nil {
		return nil, err
	}
	out := make([]queued, len(list))
	for i := range list {
		e := &list[i]
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		if len(e.Data) > f.c.MaxEvent {
			return nil, fmt.Errorf("event %s: data has %d bytes, the limit is %d: %w", e.ID, len(e.Data), f.c.MaxEvent, hayate.ErrTooLarge)
		}
		e.AcceptedAt = now
		out[i] = queued{hayate.EventIDOf(now, e.UID()), e.ID, e.Source, e.Type}
	}
	if err := f.c.To.Send(ctx, list...); err != nil {
		return nil, err
	}
	for _, q := range out {
		log.Info("event queued", "event_id", q.ID, "trace", q.ID, "type", q.Type, "source", q.Source)
	}
	t.add("EventsQueued", int64(len(out)))
	return out, nil
}
