package sqs_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/aws/sqs"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/routertest"
	"github.com/hayate-run/hayate/tests/aws/awstest"
)

// emulator is the one that all tests share; each has queues of its own.
var emulator awstest.Server

func TestMain(m *testing.M) {
	code := m.Run()
	emulator.Stop()
	os.Exit(code)
}

// newQueue returns a queue with one of SQS for each of the targets.
func newQueue(t *testing.T, c sqs.QueueConfig, targets ...string) *sqs.Queue {
	t.Helper()
	c.Client, c.URLs = emulator.SQS(t), map[string]string{}
	for _, target := range targets {
		c.URLs[target] = emulator.Queue(t, nil)
	}
	if c.Wait == 0 {
		c.Wait = time.Second // so that Close need not wait
	}
	q, err := sqs.NewQueue(c)
	if err != nil {
		t.Fatalf("NewQueue: %v", err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return q
}

func TestQueue(t *testing.T) {
	t.Parallel()
	routertest.TestQueue(t, func(t *testing.T) routertest.QueueUnderTest {
		q := newQueue(t, sqs.QueueConfig{DepthEvery: 200 * time.Millisecond}, "", "elsewhere", "amqp:tokyo", "amqp:osaka", "lambda:run")
		return routertest.QueueUnderTest{Queue: q, Close: q.Close}
	})
}

// TestHops puts an item in a way that SQS delivers far too early, as it does with
// all that are due in more than 15 minutes.
func TestHops(t *testing.T) {
	t.Parallel()
	q := newQueue(t, sqs.QueueConfig{}, "")
	url := q.URL("")
	it := router.QueueItem{Execution: "6924a5f00000000000000001", NotBefore: time.Now().Add(3 * time.Second).Truncate(time.Millisecond).UTC()}
	if err := sqs.NewSender(emulator.SQS(t), url).Send(t.Context(), aws.Message{Body: aws.EncodeItem(it)}); err != nil {
		t.Fatalf("Send: %v", err)
	}
	d, err := q.Receive(t.Context(), "")
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	if d.Execution != it.Execution || time.Now().Before(it.NotBefore) {
		t.Errorf("received %+v at %s, want it not before %s", d.QueueItem, time.Now().UTC(), it.NotBefore)
	}
	if err := d.Ack(t.Context()); err != nil {
		t.Errorf("Ack: %v", err)
	}
}

// TestForeignMessage has something else in the queue: it does no harm, and is left
// to the dead letters.
func TestForeignMessage(t *testing.T) {
	t.Parallel()
	q := newQueue(t, sqs.QueueConfig{}, "")
	it := router.QueueItem{Execution: "6924a5f00000000000000002"}
	if err := sqs.NewSender(emulator.SQS(t), q.URL("")).Send(t.Context(), aws.Message{Body: "{}"}, aws.Message{Body: aws.EncodeItem(it)}); err != nil {
		t.Fatalf("Send: %v", err)
	}
	d, err := q.Receive(t.Context(), "")
	if err != nil || d.Execution != it.Execution {
		t.Errorf("received %+v, error %v; want the task", d.QueueItem, err)
	}
}

func TestTargetWithoutAQueue(t *testing.T) {
	t.Parallel()
	others := memory.NewQueue(memory.QueueConfig{})
	it := router.QueueItem{Execution: "6924a5f00000000000000003", Target: "amqp:tokyo"}
	q := newQueue(t, sqs.QueueConfig{}, "")
	if err := q.Put(t.Context(), it); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("Put: %v, want invalid", err)
	}
	if _, err := q.Receive(t.Context(), it.Target); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("Receive: %v, want invalid", err)
	}
	q = newQueue(t, sqs.QueueConfig{Others: others}, "")
	if err := q.Put(t.Context(), it); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if d, err := others.Receive(t.Context(), it.Target); err != nil || d.Execution != it.Execution {
		t.Errorf("the other queue gave %+v, error %v; want the task", d.QueueItem, err)
	}
}

func TestQueueOfNobody(t *testing.T) {
	t.Parallel()
	c := emulator.SQS(t)
	err := sqs.NewSender(c, emulator.Endpoint(t)+"/000000000000/none-of-that-name").Send(t.Context(), aws.Message{Body: "x"})
	if !errors.Is(err, hayate.ErrNotFound) {
		t.Errorf("Send to no queue: %v, want not found", err)
	}
}
