package sqs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/internal/delayqueue"
	"github.com/hayate-run/hayate/router"
)

// QueueConfig is what a Queue needs. Client and URLs are required.
type QueueConfig struct {
	Client *sqs.Client
	// URLs are the queues of SQS by the target whose items they carry. A target that
	// ends with * stands for all that begin so and have no queue of their own.
	URLs map[string]string
	// Others takes the items for other targets. Default: none, and putting one is
	// ErrInvalid.
	Others router.Queue
	// Visibility is how long a received item is this process's before SQS offers
	// it again, in whole seconds. Default 30 s.
	Visibility time.Duration
	// RoundUp delays items to the next whole second, where a receiver that waited for
	// the rest would be paid for it. Default: the receiver waits.
	RoundUp bool
	// Wait is how long one request waits for items, in whole seconds, at most 20.
	// Default 20 s.
	Wait time.Duration
	// DepthEvery is how old the answer of Depth may be. Default 5 s; negative:
	// nobody asks, and it is 0.
	DepthEvery time.Duration
	Now        func() time.Time // default time.Now
	Log        *slog.Logger     // default: silence
}

// Queue is a router.Queue on queues of SQS, one a target. What is not due within
// the 15 minutes that SQS delays a message hops from message to message. Its
// methods may be called from many goroutines.
type Queue struct {
	c     QueueConfig
	local *delayqueue.Queue[received] // received, and waiting for a receiver or the last second

	mu      sync.Mutex // guards sources and closed
	sources map[string]*source
	closed  bool
	closing chan struct{}
	work    sync.WaitGroup

	depth  atomic.Int64
	asked  atomic.Int64 // when the depth was last asked for, in nanoseconds
	asking atomic.Bool
}

var _ router.Queue = (*Queue)(nil)

// source is a queue of SQS that items are received from.
type source struct {
	target, url string
	waiting     int // receivers that wait for its items
	polling     bool
}

// received is an item as SQS delivered it.
type received struct {
	item    router.QueueItem
	url     string
	receipt string
	until   time.Time // from when on SQS offers it to others
}

// localBound bounds what is received and not handed out. A request brings no more
// than there are receivers that wait, so this is never reached.
const localBound = 1 << 20

// NewQueue returns a queue. It connects to nothing.
func NewQueue(c QueueConfig) (*Queue, error) {
	if c.Client == nil {
		return nil, fmt.Errorf("queue on SQS: Client is missing: %w", hayate.ErrInvalid)
	}
	if c.Visibility == 0 {
		c.Visibility = 30 * time.Second
	}
	if c.Wait == 0 {
		c.Wait = 20 * time.Second
	}
	if c.DepthEvery == 0 {
		c.DepthEvery = 5 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{c: c, local: delayqueue.New[received](localBound, c.Now), sources: map[string]*source{}, closing: make(chan struct{})}
	for target, url := range c.URLs {
		q.sources[target] = &source{target: target, url: url}
	}
	return q, nil
}

var errClosed = fmt.Errorf("the queue is closed: %w", hayate.ErrBusy)

func (q *Queue) isClosed() bool {
	select {
	case <-q.closing:
		return true
	default:
		return false
	}
}

// Put implements router.Queue.
func (q *Queue) Put(ctx context.Context, items ...router.QueueItem) error {
	if q.isClosed() {
		return errClosed
	}
	byURL := map[string][]aws.Message{}
	var others []router.QueueItem
	for _, it := range items {
		if url := q.url(it.Target); url != "" {
			byURL[url] = append(byURL[url], q.message(it))
		} else {
			others = append(others, it)
		}
	}
	var errs []error
	for _, url := range slices.Sorted(maps.Keys(byURL)) {
		errs = append(errs, NewSender(q.c.Client, url).Send(ctx, byURL[url]...))
	}
	switch {
	case len(others) == 0:
	case q.c.Others != nil:
		errs = append(errs, q.c.Others.Put(ctx, others...))
	default:
		errs = append(errs, fmt.Errorf("queue execution %s: no queue is configured for target %q: %w", others[0].Execution, others[0].Target, hayate.ErrInvalid))
	}
	return errors.Join(errs...)
}

// url is the queue for a target, "" where there is none.
func (q *Queue) url(target string) string {
	if url, ok := q.c.URLs[target]; ok {
		return url
	}
	best, found := "", ""
	for pattern, url := range q.c.URLs {
		if begin, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(target, begin) && len(pattern) > len(best) {
			best, found = pattern, url
		}
	}
	return found
}

// message carries an item. SQS counts whole seconds; whoever receives it waits
// for the rest.
func (q *Queue) message(it router.QueueItem) aws.Message {
	m := aws.Message{Body: aws.EncodeItem(it)}
	if !it.NotBefore.IsZero() {
		m.Delay = min(max(it.NotBefore.Sub(q.c.Now()), 0), maxDelay)
		if q.c.RoundUp {
			m.Delay = min((m.Delay + time.Second - 1).Truncate(time.Second), maxDelay)
		}
	}
	return m
}

// Receive implements router.Queue for targets that have a queue of SQS.
func (q *Queue) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	if err := q.wait(targets, 1); err != nil {
		return router.Delivery{}, fmt.Errorf("receive from queue: %w", err)
	}
	defer q.wait(targets, -1) //nolint:errcheck // the same targets as above
	for {
		it, err := q.local.Receive(ctx, targets...)
		switch {
		case errors.Is(err, delayqueue.ErrClosed):
			return router.Delivery{}, fmt.Errorf("receive from queue: %w", errClosed)
		case errors.Is(err, delayqueue.ErrNoTarget):
			return router.Delivery{}, fmt.Errorf("receive from queue: %w: %w", err, hayate.ErrInvalid)
		case err != nil:
			return router.Delivery{}, fmt.Errorf("receive from queue: %w", err)
		}
		// What has waited here too long is about to be another's.
		if q.c.Now().Before(it.Value.until.Add(-q.c.Visibility / 3)) {
			return q.delivery(it.Value), nil
		}
	}
}

// wait counts a receiver of the targets in or out, and sees to it that somebody
// asks SQS for their items.
func (q *Queue) wait(targets []string, n int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed && n > 0 {
		return errClosed
	}
	for _, t := range targets {
		if q.sources[t] == nil {
			return fmt.Errorf("no queue is configured for target %q: %w", t, hayate.ErrInvalid)
		}
	}
	for _, t := range targets {
		s := q.sources[t]
		s.waiting += n
		if s.waiting > 0 && !s.polling && !q.closed {
			s.polling = true
			q.work.Go(func() { q.poll(s) })
		}
	}
	return nil
}

func (q *Queue) delivery(r received) router.Delivery {
	return router.Delivery{QueueItem: r.item,
		Ack: func(ctx context.Context) error { return q.remove(ctx, &r) },
		Nack: func(ctx context.Context, delay time.Duration) error {
			seconds := int32(max(0, (delay+time.Second-1)/time.Second))
			_, err := q.c.Client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &r.url, ReceiptHandle: &r.receipt, VisibilityTimeout: seconds})
			if err != nil {
				return fmt.Errorf("return execution %s to queue: %w", r.item.Execution, kind(err))
			}
			return nil
		},
	}
}

func (q *Queue) remove(ctx context.Context, r *received) error {
	if _, err := q.c.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &r.url, ReceiptHandle: &r.receipt}); err != nil {
		return fmt.Errorf("acknowledge execution %s: %w", r.item.Execution, kind(err))
	}
	return nil
}

// Depth implements router.Queue: what SQS said when it was last asked, which it
// is in the background.
func (q *Queue) Depth() int {
	if q.c.DepthEvery > 0 && q.c.Now().UnixNano()-q.asked.Load() >= int64(q.c.DepthEvery) {
		q.mu.Lock()
		if !q.closed && q.asking.CompareAndSwap(false, true) {
			q.work.Go(func() {
				defer q.asking.Store(false)
				q.askDepth()
			})
		}
		q.mu.Unlock()
	}
	return int(q.depth.Load())
}

// waitingTimeout bounds how long Waiting asks.
const waitingTimeout = 3 * time.Second

// Waiting says how many items SQS holds for a target, those delayed and those in
// somebody's hands included, and whether that is known. SQS counts roughly.
func (q *Queue) Waiting(target string) (int, bool) {
	url, ok := q.c.URLs[target]
	if !ok {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitingTimeout)
	defer cancel()
	n, err := q.count(ctx, url, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	return int(n), err == nil
}

// count sums counts of a queue of SQS.
func (q *Queue) count(ctx context.Context, url string, names ...types.QueueAttributeName) (total int64, err error) {
	out, err := q.c.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return 0, fmt.Errorf("count what waits in %s: %w", url, kind(err))
	}
	for _, name := range names {
		total += number(out.Attributes[string(name)])
	}
	return total, nil
}

func (q *Queue) askDepth() {
	ctx, stop := q.untilClosed()
	defer stop()
	defer func() { q.asked.Store(q.c.Now().UnixNano()) }()
	total := int64(0)
	for _, url := range q.c.URLs {
		n, err := q.count(ctx, url, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
		if err != nil {
			q.c.Log.Warn("depth of queue not known", "queue", url, "err", err)
			return
		}
		total += n
	}
	q.depth.Store(total)
}

// Close ends all that wait with ErrBusy; what was received and not handed out
// comes again to others. Twice is fine.
func (q *Queue) Close() error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.closing)
	}
	q.mu.Unlock()
	q.local.Close()
	q.work.Wait()
	return nil
}
