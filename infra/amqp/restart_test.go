package amqp_test

import (
	"context"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/amqp"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

func TestTheQueueIsThereAgainWithTheServer(t *testing.T) {
	var node rabbittest.Node
	defer node.Stop()
	b := open(t, amqp.Config{URL: node.URL(t)})
	q := b.Queue()
	it := router.QueueItem{Execution: hayate.ExecutionID(hayate.NewID(time.Now(), "restart")), Target: "amqp:tokyo"}
	if err := q.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	node.Kill() // the queue is seconds old, and comes back without life
	node.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	// Whoever kept the task puts it again until the queue takes it, as a sweeper does.
	for {
		if err := q.Put(ctx, it); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	d, err := q.Receive(ctx, "amqp:tokyo")
	if err != nil {
		t.Fatal(err)
	}
	if d.Execution != it.Execution {
		t.Errorf("received %s, want %s", d.Execution, it.Execution)
	}
	if err := d.Ack(ctx); err != nil {
		t.Error(err)
	}
}

// A queue that somebody deletes and declares again at once is one whose consumers
// the server may forget without a word.
func TestAQueueThatIsDeclaredAgainAtOnceIsReceivedFrom(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	b := open(t, amqp.Config{URL: url})
	receive := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		for {
			d, err := b.Queue().Receive(ctx, "")
			if err != nil {
				t.Fatalf("task %d is not received: %v", n, err)
			}
			if err := d.Ack(ctx); err != nil {
				t.Log(err)
			}
			if d.Execution == execution(n) {
				return
			}
		}
	}
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(0)}); err != nil {
		t.Fatal(err)
	}
	receive(0)
	for round := range 2 {
		c := raw(t, url)
		if _, err := c.QueueDelete("hayate.task.local", false, false, false); err != nil {
			t.Fatal(err)
		}
		if _, err := c.QueueDeclare("hayate.task.local", true, false, false, false, rabbit.Table{
			"x-queue-type": "quorum", "x-delivery-limit": int64(20), "x-max-length": int64(1_000_000), "x-overflow": "reject-publish",
			"x-dead-letter-exchange": "hayate.dead", "x-dead-letter-strategy": "at-least-once",
		}); err != nil {
			t.Fatal(err)
		}
		if err := c.QueueBind("hayate.task.local", "hayate.task.local", "hayate.tasks", false, nil); err != nil {
			t.Fatal(err)
		}
		n := 1 + round
		for {
			err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(n)})
			if err == nil {
				break
			} else if t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		receive(n)
		t.Logf("round %d: received after %s", round, time.Since(begun).Round(time.Millisecond))
	}
}
