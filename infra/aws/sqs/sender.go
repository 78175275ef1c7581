// Package sqs implements router.Queue on Amazon SQS, and sends what is carried
// over it. A message is a reference: the durable copy is in the store, so a
// message that comes twice, or late, changes nothing.
package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
)

// The bounds of SQS.
const (
	maxDelay   = 15 * time.Minute
	maxEntries = 10
	// maxBatch bounds the bytes of one request. SQS takes more since 2025, not
	// everything that speaks its protocol does.
	maxBatch = 256 << 10
)

// Sender sends messages to one queue. It may be used from many goroutines.
type Sender struct {
	client *sqs.Client
	url    string
}

var _ aws.Sender = (*Sender)(nil)

// NewSender returns a sender to the queue with that URL. It connects to nothing.
func NewSender(client *sqs.Client, url string) *Sender { return &Sender{client, url} }

// Send implements aws.Sender. ErrBusy names the first message that SQS refused
// this time; those before it may have been sent.
func (s *Sender) Send(ctx context.Context, messages ...aws.Message) error {
	for len(messages) > 0 {
		n, size := 0, 0
		entries := make([]types.SendMessageBatchRequestEntry, 0, maxEntries)
		for n < len(messages) && n < maxEntries {
			e, bytes := entry(n, &messages[n])
			if size += bytes; n > 0 && size > maxBatch {
				break
			}
			entries = append(entries, e)
			n++
		}
		out, err := s.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &s.url, Entries: entries})
		if err != nil {
			return fmt.Errorf("send %d messages to %s: %w", n, s.url, kind(err))
		}
		for _, f := range out.Failed {
			reason := fmt.Errorf("send message to %s: %s: %s", s.url, text(f.Code), text(f.Message))
			if f.SenderFault {
				return fmt.Errorf("%w: %w", reason, hayate.ErrInvalid)
			}
			return fmt.Errorf("%w: %w", reason, hayate.ErrBusy)
		}
		messages = messages[n:]
	}
	return nil
}

// entry is a message of a batch, and how many bytes it counts.
func entry(n int, m *aws.Message) (types.SendMessageBatchRequestEntry, int) {
	id := strconv.Itoa(n)
	e := types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &m.Body, DelaySeconds: int32(min(max(m.Delay, 0), maxDelay) / time.Second)}
	size := len(m.Body)
	if len(m.Attributes) > 0 {
		e.MessageAttributes = make(map[string]types.MessageAttributeValue, len(m.Attributes))
		for k, v := range m.Attributes {
			typ := "String"
			e.MessageAttributes[k] = types.MessageAttributeValue{DataType: &typ, StringValue: &v}
			size += len(k) + len(v) + len(typ)
		}
	}
	return e, size
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// kind gives the errors of SQS the kinds that callers know. What is neither
// missing nor refused for good is to be repeated.
func kind(err error) error {
	var missing *types.QueueDoesNotExist
	var response *awshttp.ResponseError
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%w: %w", err, hayate.ErrNotFound)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &response) && (response.HTTPStatusCode() == http.StatusForbidden || response.HTTPStatusCode() == http.StatusUnauthorized):
		return fmt.Errorf("%w: %w", err, hayate.ErrDenied)
	}
	return fmt.Errorf("%w: %w", err, hayate.ErrBusy)
}
