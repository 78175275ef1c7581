package aws

import (
	"context"
	"time"
)

// Message is something to be carried by a queue.
type Message struct {
	Body       string
	Attributes map[string]string
	Delay      time.Duration // in whole seconds, at most 15 minutes
}

// Sender sends messages to one queue. When it returns without error they are
// durable. It delivers at least once. infra/aws/sqs implements it, which
// functions that send nothing do not link.
type Sender interface {
	Send(ctx context.Context, messages ...Message) error
}
