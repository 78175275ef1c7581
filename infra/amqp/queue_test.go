package amqp_test

import (
	"context"
	"os"
	"testing"

	"github.com/hayate-run/hayate/infra/amqp"
	"github.com/hayate-run/hayate/router/routertest"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// node is the one that all tests share; each has a virtual host of its own.
var node rabbittest.Node

func TestMain(m *testing.M) {
	code := m.Run()
	node.Stop()
	os.Exit(code)
}

// open returns a broker that is connected; it ends with the test.
func open(t *testing.T, c amqp.Config) *amqp.Broker {
	t.Helper()
	b, err := amqp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	run(t, b)
	return b
}

// run connects a broker until the test ends.
func run(t *testing.T, b *amqp.Broker) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(ctx) // the context's end
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	routertest.TestQueue(t, func(t *testing.T) routertest.QueueUnderTest {
		b := open(t, amqp.Config{URL: node.VirtualHost(t)})
		return routertest.QueueUnderTest{Queue: b.Queue(), Close: func() error { b.Close(); return nil }}
	})
}
