// Package aws performs actions by Amazon's services: it invokes Lambda functions,
// sends messages to SQS and SNS, and puts events on EventBridge.
//
// A function is not invoked again unless Lambda said that it had not begun: what
// it did would be done twice. Messages are sent again where the answer was lost,
// and carry the execution's idempotency key, so that a receiver can tell.
package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/hayate-run/hayate"
)

// The runners' names in action metadata.
const (
	Lambda      = "aws.lambda"
	SQS         = "aws.sqs"
	SNS         = "aws.sns"
	EventBridge = "aws.eventbridge"
)

// KeyAttribute is the attribute of messages that holds the idempotency key.
const KeyAttribute = "hayate_idempotency_key"

// Config is what a Runner needs. Session is required.
type Config struct {
	// Session gives the SDK's configuration. It is asked when an action first needs
	// it, so that a host without credentials can link this package.
	Session func(ctx context.Context) (aws.Config, error)
	// CallbackURL is told to functions of mode callback: where to call back.
	CallbackURL string
	Now         func() time.Time // default time.Now
}

// Runner performs actions. It may be used at once from many goroutines.
type Runner struct {
	c Config

	mu      sync.Mutex
	session *aws.Config
}

// New returns a Runner.
func New(c Config) *Runner {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Runner{c: c}
}

// Describe implements router.Runner. What actions may say of the runners is in
// runner.yaml, which packs reads.
func (*Runner) Describe() []hayate.Runner {
	return []hayate.Runner{
		{Name: Lambda, Description: "Invokes a Lambda function.", OutputKey: "payload", Asserts: true, Callback: true, Parameters: parameters("function", "qualifier", "mode", "payload", "region", "timeout", "callback_timeout")},
		{Name: SQS, Description: "Sends a message to a queue of SQS.", Asserts: true, Parameters: parameters("queue_url", "message", "attributes", "delay_seconds", "group_id", "deduplication_id", "region", "timeout")},
		{Name: SNS, Description: "Publishes a message to a topic of SNS.", Asserts: true, Parameters: parameters("topic_arn", "message", "subject", "attributes", "group_id", "deduplication_id", "region", "timeout")},
		{Name: EventBridge, Description: "Puts an event on a bus of EventBridge.", Asserts: true, Parameters: parameters("event_bus", "source", "detail_type", "detail", "resources", "region", "timeout")},
	}
}

// settings are the parameters of all these runners.
type settings struct {
	Region  string `json:"region"`
	Timeout int64  `json:"timeout"` // seconds

	Function        string          `json:"function"`
	Qualifier       string          `json:"qualifier"`
	Mode            string          `json:"mode"`
	Payload         json.RawMessage `json:"payload"`
	CallbackTimeout int64           `json:"callback_timeout"` // seconds

	QueueURL        string         `json:"queue_url"`
	TopicARN        string         `json:"topic_arn"`
	Message         string         `json:"message"`
	Subject         string         `json:"subject"`
	Attributes      map[string]any `json:"attributes"`
	DelaySeconds    int32          `json:"delay_seconds"`
	GroupID         string         `json:"group_id"`
	DeduplicationID string         `json:"deduplication_id"`

	EventBus   string          `json:"event_bus"`
	Source     string          `json:"source"`
	DetailType string          `json:"detail_type"`
	Detail     json.RawMessage `json:"detail"`
	Resources  []string        `json:"resources"`
}

// Run performs one attempt. What a service refuses is a failed result with the
// reason as "error"; Run itself returns no error. It streams no output.
func (r *Runner) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	var s settings
	if err := json.Unmarshal(t.RunnerParameters, &s); err != nil {
		return failure(fmt.Errorf("parameters: %w", err)), nil
	}
	outer := ctx
	timeout := t.Timeout
	if timeout == 0 && s.Timeout > 0 {
		timeout = time.Duration(s.Timeout) * time.Second
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	c, err := r.configure(ctx, s.Region)
	if err != nil {
		return failure(err), nil
	}
	var res hayate.Result
	switch t.Action.Runner {
	case Lambda:
		res, err = r.invoke(ctx, c, &t, &s)
	case SQS:
		res, err = send(ctx, c, &t, &s)
	case SNS:
		res, err = publish(ctx, c, &t, &s)
	case EventBridge:
		res, err = putEvent(ctx, c, &s)
	default:
		err = fmt.Errorf("runner %q is none of this package: %w", t.Action.Runner, hayate.ErrInvalid)
	}
	switch {
	case err == nil:
		return res, nil
	case outer.Err() != nil:
		return hayate.Result{Status: hayate.StatusCanceled, Value: errorValue("the action was canceled")}, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return hayate.Result{Status: hayate.StatusTimeout, Value: errorValue(fmt.Sprintf("no answer within %s", timeout))}, nil
	}
	return failure(err), nil
}

// configure is the session in a region.
func (r *Runner) configure(ctx context.Context, region string) (aws.Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil {
		if r.c.Session == nil {
			return aws.Config{}, fmt.Errorf("this process has no access to AWS: %w", hayate.ErrInvalid)
		}
		c, err := r.c.Session(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		r.session = &c
	}
	c := r.session.Copy()
	if region != "" {
		c.Region = region
	}
	return c, nil
}

// maxThrottled is how often a call that a service did not take up is repeated.
const maxThrottled = 8

// onlyThrottles repeats nothing but what was refused for want of room.
func onlyThrottles() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxThrottled
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: map[string]struct{}{
			"TooManyRequestsException": {}, "ThrottlingException": {}, "Throttling": {}, "RequestLimitExceeded": {},
		}}}
	})
}

// succeeded is a result with a value.
func succeeded(v any) (hayate.Result, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return hayate.Result{}, fmt.Errorf("encode the result: %w", err)
	}
	return hayate.Result{Status: hayate.StatusSucceeded, Value: b}, nil
}

func failure(err error) hayate.Result {
	return hayate.Result{Status: hayate.StatusFailed, Value: errorValue(err.Error())}
}

func errorValue(text string) json.RawMessage {
	b, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		panic(err) // texts only
	}
	return b
}

// parameters names the parameters of a runner.
func parameters(names ...string) hayate.Parameters {
	ps := make(hayate.Parameters, len(names))
	for i, n := range names {
		ps[i] = hayate.Parameter{Name: n}
	}
	return ps
}
