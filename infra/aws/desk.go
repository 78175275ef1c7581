package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Outposts are workers elsewhere, as the function desk reaches them over a RabbitMQ
// for the time of one invocation: a connection would not outlive the freezing of
// the function between two.
type Outposts interface {
	// Close ends the connection.
	Close()
	// Put sends tasks; nil says that the broker has them.
	Put(ctx context.Context, items ...router.QueueItem) error
	// Hear applies what a worker said, and answers it.
	Hear(ctx context.Context, m OutpostMessage) error
	// Drain applies and answers all that waits, until nothing is left or ctx ends.
	Drain(ctx context.Context) (int, error)
}

// OutpostMessage is what a worker said.
type OutpostMessage struct {
	Body    []byte
	ReplyTo string // the queue of who waits for the answer; "" for nobody
}

// Desk answers invocations with what goes to workers elsewhere and comes from
// them: tasks from a queue of SQS, their messages from a RabbitMQ of Amazon MQ, and
// the tick of a clock, which fetches the messages where no broker brings them. It
// may be called at once from many goroutines.
type Desk struct {
	base
	dial func(context.Context) (Outposts, error)
}

// NewDesk returns a function. It starts nothing, and connects to nothing. dial
// connects to the RabbitMQ.
func NewDesk(c FunctionConfig, dial func(context.Context) (Outposts, error)) (*Desk, error) {
	b, err := newBase(c)
	if err != nil {
		return nil, err
	}
	return &Desk{b, dial}, nil
}

// Invoke answers one invocation.
func (f *Desk) Invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	t, id := newTally(f.c.Now()), requestID(ctx)
	defer f.report(t, id)
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	out, err := f.dial(ctx)
	if err != nil {
		return nil, err // the whole batch comes again
	}
	defer out.Close()
	if list := records(payload); list != nil {
		return f.c.Batches.each(ctx, f.c.Log.With("request_id", id), t, list, func(ctx context.Context, r *record) error {
			it, err := DecodeItem(r.Body)
			if err != nil {
				return err
			}
			if err := out.Put(ctx, it); err != nil {
				return err
			}
			t.add("TasksSentOut", 1)
			return nil
		}), nil
	}
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	if isTick(payload) {
		n, err := out.Drain(ctx)
		t.add("MessagesHeard", int64(n))
		if err != nil {
			f.c.Log.Error("drain failed", "request_id", id, "err", err)
			return nil, err
		}
		return map[string]any{"status": "drained", "messages": n}, nil
	}
	list, err := heard(payload)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if err := out.Hear(ctx, m); err != nil {
			f.c.Log.Error("message of a worker not applied, the broker brings it again", "request_id", id, "err", err)
			return nil, err
		}
		t.add("MessagesHeard", 1)
	}
	return map[string]any{"status": "heard", "messages": len(list)}, nil
}

// heard takes a batch of Amazon MQ's RabbitMQ apart.
func heard(payload []byte) ([]OutpostMessage, error) {
	var batch struct {
		Source string `json:"eventSource"`
		Queues map[string][]struct {
			Properties struct {
				ReplyTo string `json:"replyTo"`
			} `json:"basicProperties"`
			Data string `json:"data"`
		} `json:"rmqMessagesByQueue"`
	}
	if err := json.Unmarshal(payload, &batch); err != nil || batch.Source != "aws:rmq" {
		return nil, fmt.Errorf("want tasks of SQS, messages of a RabbitMQ of Amazon MQ or a tick, found none of them: %w", hayate.ErrInvalid)
	}
	var out []OutpostMessage
	for queue, list := range batch.Queues {
		for _, m := range list {
			body, err := base64.StdEncoding.DecodeString(m.Data)
			if err != nil {
				return nil, fmt.Errorf("message of queue %s: %v: %w", queue, err, hayate.ErrInvalid)
			}
			out = append(out, OutpostMessage{body, m.Properties.ReplyTo})
		}
	}
	return out, nil
}
