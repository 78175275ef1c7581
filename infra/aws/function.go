package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/normalize"
)

// FunctionConfig is what a Function needs. Router is required.
type FunctionConfig struct {
	Router *router.Router
	// Content is what is registered before the first event is accepted.
	Content router.Content
	// Reload is how old the operators' run-time changes may be that decisions are
	// made on; default one minute.
	Reload time.Duration
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default: silence
}

// Function answers the invocations of a Lambda function: each holds events of
// some source, and is answered when they are durable and everything that this
// function can do about them is done. It may be called at once from many
// goroutines.
type Function struct {
	c FunctionConfig

	mu     sync.Mutex
	loaded time.Time // when the content was last made to be in effect
}

// NewFunction returns a function. It starts nothing, and connects to nothing.
func NewFunction(c FunctionConfig) (*Function, error) {
	if c.Router == nil {
		return nil, fmt.Errorf("lambda function: Router is missing: %w", hayate.ErrInvalid)
	}
	if c.Reload == 0 {
		c.Reload = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Function{c: c}, nil
}

// Outcome is what an invocation answers that came from anything but SQS.
type Outcome struct {
	Events []Accepted `json:"events"`
}

// Accepted is an event that is durable.
type Accepted struct {
	ID        hayate.EventID `json:"id"`
	Duplicate bool           `json:"duplicate,omitempty"`
}

// Invoke answers one invocation. payload is what the source sent: an SNS
// notification with a CloudWatch alarm in it, an event of EventBridge, a batch of
// SQS, or anything else that package normalize recognises. An error makes Lambda
// deliver an asynchronous invocation again; of a batch of SQS, the answer names
// the messages that are to be delivered again.
func (f *Function) Invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	id := ""
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		id = lc.AwsRequestID // the same when an invocation is repeated
	}
	records := messages(payload)
	if records == nil {
		out, err := f.route(ctx, id, payload)
		if err != nil {
			f.c.Log.Error("invocation failed", "request_id", id, "err", err)
		}
		return Outcome{out}, err
	}
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, r := range records {
		if _, err := f.route(ctx, r.id, r.event); err != nil {
			f.c.Log.Error("message failed", "request_id", id, "message_id", r.id, "err", err)
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.id})
			if r.ordered { // nothing behind it may overtake it
				for _, later := range records[i+1:] {
					answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: later.id})
				}
				break
			}
		}
	}
	return answer, nil
}

// load makes the content be in effect, and takes over what operators changed.
func (f *Function) load(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.c.Now()
	if !f.loaded.IsZero() && now.Sub(f.loaded).Abs() < f.c.Reload {
		return nil
	}
	err := f.c.Router.Load(ctx, f.c.Content)
	switch {
	case err == nil:
	case f.loaded.IsZero() && (errors.Is(err, hayate.ErrBusy) || ctx.Err() != nil):
		return err // the store is away; nothing can be done yet
	default:
		f.c.Log.Error("load packs", "err", err) // what is refused is left out, or the old changes stay
	}
	f.loaded = now
	return nil
}

// route accepts the events of one delivery and does what they lead to.
func (f *Function) route(ctx context.Context, delivery string, payload []byte) ([]Accepted, error) {
	n := 0
	list, err := normalize.Events(&normalize.Request{Body: payload, ContentType: "application/json", Now: f.c.Now().UTC(), NewID: func() string {
		// A repeated delivery repeats the events that bear no id of their own.
		n++
		return delivery + "/" + strconv.Itoa(n)
	}})
	if err != nil {
		return nil, err
	}
	out := make([]Accepted, 0, len(list))
	var errs []error
	for _, e := range list {
		rc, err := f.c.Router.Accept(ctx, e)
		if err == nil {
			out = append(out, Accepted{rc.ID, rc.Duplicate})
			err = f.c.Router.Drain(ctx, rc.ID)
		}
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// message is one message of a batch of SQS, as a batch of one.
type message struct {
	id      string
	event   json.RawMessage
	ordered bool
}

// messages takes a batch of SQS apart; nil where the payload is none.
func messages(payload []byte) []message {
	var batch struct {
		Records []json.RawMessage `json:"Records"`
	}
	if json.Unmarshal(payload, &batch) != nil || len(batch.Records) == 0 {
		return nil
	}
	list := make([]message, len(batch.Records))
	for i, raw := range batch.Records {
		var r struct {
			ID         string            `json:"messageId"`
			Source     string            `json:"eventSource"`
			Attributes map[string]string `json:"attributes"`
		}
		if json.Unmarshal(raw, &r) != nil || r.Source != "aws:sqs" || r.ID == "" {
			return nil
		}
		one := append([]byte(`{"Records":[`), raw...)
		list[i] = message{r.ID, append(one, "]}"...), r.Attributes["MessageGroupId"] != "" && r.Attributes["SequenceNumber"] != ""}
	}
	return list
}
