// Command desk is the Lambda function between hayate and workers behind a firewall:
// it sends tasks of the targets amqp:TAG to a RabbitMQ, and applies what workers
// say there, whether Amazon MQ brings their messages or a clock has it fetch them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/amqp"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/serverless"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/remote"
)

// Target is the target whose queue of SQS invokes the function.
const target = amqp.TargetPrefix + "*"

// readyWait bounds how long an invocation waits for its connection.
const readyWait = 10 * time.Second

func main() {
	f, err := build(os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "desk:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment: docs/reference/functions.md.
func build(getenv func(string) string, stdout, stderr io.Writer) (*aws.Desk, error) {
	p, err := serverless.Open(getenv, stdout, stderr, serverless.Role{Name: "desk", Receives: target})
	if err != nil {
		return nil, err
	}
	if p.Settings.AMQPURI == "" {
		return nil, fmt.Errorf("HAYATE_AMQP_URI or HAYATE_AMQP_URI_FILE must be set: %w", hayate.ErrInvalid)
	}
	desk, err := p.Desk()
	if err != nil {
		return nil, err
	}
	return aws.NewDesk(p.Function, func(ctx context.Context) (aws.Outposts, error) { return dial(ctx, p, desk) })
}

// outposts is a broker for the time of an invocation.
type outposts struct {
	*amqp.Broker
	desk  *remote.Desk
	close func()
}

func dial(ctx context.Context, p *serverless.Parts, desk *remote.Desk) (*outposts, error) {
	b, err := amqp.New(amqp.Config{URL: p.Settings.AMQPURI, Prefix: p.Settings.AMQPPrefix, Log: p.Log,
		Token: func(id hayate.ExecutionID) (string, error) { return remote.TaskToken(p.Secrets, id) }})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(running) // the context's end
	}()
	o := &outposts{b, desk, func() {
		cancel()
		<-done
	}}
	wait, enough := context.WithTimeout(ctx, readyWait)
	defer enough()
	if err := b.Ready(wait); err != nil {
		o.close()
		return nil, fmt.Errorf("RabbitMQ does not answer: %w: %w", err, hayate.ErrBusy)
	}
	return o, nil
}

// Close implements aws.Outposts.
func (o *outposts) Close() { o.close() }

// Put implements aws.Outposts.
func (o *outposts) Put(ctx context.Context, items ...router.QueueItem) error {
	return o.Queue().Put(ctx, items...)
}

// Hear implements aws.Outposts.
func (o *outposts) Hear(ctx context.Context, m aws.OutpostMessage) error {
	return o.Broker.Hear(ctx, o.desk, m.Body, m.ReplyTo)
}

// Drain implements aws.Outposts.
func (o *outposts) Drain(ctx context.Context) (int, error) {
	n, err := o.Broker.Drain(ctx, o.desk)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		err = nil // the next tick goes on
	}
	return n, err
}
