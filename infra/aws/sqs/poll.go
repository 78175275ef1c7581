package sqs

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/internal/delayqueue"
)

// early is how long before it is due an item is kept here; one that comes sooner
// is sent on its next hop.
const early = 2 * time.Second

// The pauses between requests that fail.
const (
	minPause = 200 * time.Millisecond
	maxPause = 10 * time.Second
)

// poll asks SQS for items as long as anybody waits for them. A request is not
// broken off when its receiver leaves: what SQS has handed out by then would be
// nobody's until its visibility ends.
func (q *Queue) poll(s *source) {
	ctx, stop := q.untilClosed()
	defer stop()
	again := minPause
	for {
		q.mu.Lock()
		want := s.waiting
		if want == 0 || q.closed {
			s.polling = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		out, err := q.c.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &s.url, MaxNumberOfMessages: int32(min(want, maxEntries)),
			VisibilityTimeout: int32(q.c.Visibility / time.Second), WaitTimeSeconds: int32(q.c.Wait / time.Second)})
		if err != nil {
			if ctx.Err() == nil {
				q.c.Log.Error("receive task", "queue", s.url, "err", err)
			}
			pause(ctx, again)
			again = min(2*again, maxPause)
			continue
		}
		again = minPause
		until := q.c.Now().Add(q.c.Visibility)
		for i := range out.Messages {
			m := &out.Messages[i]
			it, err := aws.DecodeItem(text(m.Body))
			if err != nil {
				// It comes again until SQS moves it to the dead letters.
				q.c.Log.Error("message refused", "queue", s.url, "message_id", text(m.MessageId), "err", err)
				continue
			}
			it.Target = s.target
			q.keep(ctx, received{it, s.url, text(m.ReceiptHandle), until})
		}
	}
}

// keep files a received item, or sends it on where it is long not due.
func (q *Queue) keep(ctx context.Context, r received) {
	if r.item.NotBefore.Sub(q.c.Now()) > early {
		err := q.Put(ctx, r.item)
		if err == nil {
			err = q.remove(ctx, &r)
		}
		if err != nil {
			q.c.Log.Warn("task not sent on, it will come again", "execution_id", r.item.Execution, "err", err)
		}
		return
	}
	if err := q.local.Put(delayqueue.Item[received]{Value: r, Target: r.item.Target, NotBefore: r.item.NotBefore}); err != nil {
		q.c.Log.Debug("task not kept, it will come again", "execution_id", r.item.Execution, "err", err)
	}
}

// untilClosed is a context that ends when the queue closes.
func (q *Queue) untilClosed() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan struct{})
	go func() {
		select {
		case <-q.closing:
		case <-stop:
		}
		cancel()
	}()
	return ctx, func() { close(stop) }
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0 // an attribute that the service does not give
	}
	return n
}
