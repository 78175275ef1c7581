package aws

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/normalize"
)

// FunctionConfig is what a function on the store needs. Router is required.
type FunctionConfig struct {
	Router *router.Router
	// Content is what is registered before the first invocation is answered.
	Content router.Content
	// Reload is how old the operators' run-time changes may be that decisions are
	// made on; default one minute.
	Reload time.Duration
	// HandOver says that others receive what events lead to from the queue. Without
	// it the function does at once what it has runners for.
	HandOver bool
	// Carried keeps the events that were too large for the queue; nil: there are none.
	Carried router.Blobs
	Batches Batches
	Metrics *Metrics         // nil: none are written
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default: silence
}

// Function answers the invocations of a Lambda function: each holds events of
// some source, and is answered when they are durable and everything that this
// function is to do about them is done. It may be called at once from many
// goroutines.
type Function struct{ base }

// NewFunction returns a function. It starts nothing, and connects to nothing.
func NewFunction(c FunctionConfig) (*Function, error) {
	b, err := newBase(c)
	if err != nil {
		return nil, err
	}
	return &Function{b}, nil
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
	t, id := newTally(f.c.Now()), requestID(ctx)
	defer f.report(t, id)
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	list := records(payload)
	if list == nil {
		out, err := f.route(ctx, t, id, payload)
		if err != nil {
			f.c.Log.Error("invocation failed", "request_id", id, "err", err)
		}
		return Outcome{out}, err
	}
	return f.c.Batches.each(ctx, f.c.Log.With("request_id", id), t, list, func(ctx context.Context, r *record) error {
		e, carried, err := unpack(ctx, f.c.Carried, r)
		switch {
		case err != nil:
			return err
		case carried:
			_, err = f.accept(ctx, t, e)
			return err
		}
		one := append([]byte(`{"Records":[`), r.raw...)
		_, err = f.route(ctx, t, r.ID, append(one, "]}"...), r.sent())
		return err
	}), nil
}

// requestID names the invocation; it is the same when an invocation is repeated.
func requestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// route accepts the events of one delivery and does what they lead to. at is when
// a queue has acknowledged it, where one did.
func (f *Function) route(ctx context.Context, t *tally, delivery string, payload []byte, at ...time.Time) ([]Accepted, error) {
	list, err := eventsOf(payload, delivery, f.c.Now(), nil)
	if err != nil {
		return nil, err
	}
	out := make([]Accepted, 0, len(list))
	var errs []error
	for _, e := range list {
		for _, queued := range at {
			e.AcceptedAt = queued
		}
		a, err := f.accept(ctx, t, e)
		if a.ID != "" {
			out = append(out, a)
		}
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// accept makes an event durable and does what it leads to. The ID of the answer
// is "" unless the event is durable.
func (f *Function) accept(ctx context.Context, t *tally, e hayate.Event) (Accepted, error) {
	rc, err := f.c.Router.Accept(ctx, e)
	if err != nil {
		return Accepted{}, err
	}
	if rc.Duplicate {
		t.add("EventsKnown", 1)
	} else {
		t.add("EventsAccepted", 1)
	}
	a := Accepted{rc.ID, rc.Duplicate}
	if f.c.HandOver {
		return a, nil // what the queue did not take is brought back by the sweeper
	}
	return a, f.c.Router.Drain(ctx, rc.ID)
}

// eventsOf recognises what a payload holds. A repeated delivery repeats the
// events that bear no id of their own.
func eventsOf(payload []byte, delivery string, now time.Time, check func(string, *normalize.Request) error) ([]hayate.Event, error) {
	n := 0
	return normalize.Events(&normalize.Request{Body: payload, ContentType: "application/json", Now: now.UTC(), Check: check, NewID: func() string {
		n++
		return delivery + "/" + strconv.Itoa(n)
	}})
}
