package amqp_test

import (
	"context"
	"testing"
	"time"

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
