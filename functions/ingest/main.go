// Command ingest is the Lambda function that takes events in: by its URL or an HTTP
// API, and from SNS, EventBridge, CloudWatch alarms, S3, SQS and everything else
// that hayate recognises. It needs no store: an event is durable once it is queued
// for the function router.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	sdks3 "github.com/aws/aws-sdk-go-v2/service/s3"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/aws/s3"
	"github.com/hayate-run/hayate/infra/aws/sqs"
	"github.com/hayate-run/hayate/infra/serverless/env"
)

func main() {
	f, err := build(os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment: docs/reference/functions.md.
func build(getenv func(string) string, stdout, stderr io.Writer) (*aws.Ingest, error) {
	s, err := env.Load(getenv)
	if err != nil {
		return nil, err
	}
	if s.EventQueue == "" {
		return nil, fmt.Errorf("HAYATE_EVENT_QUEUE is not set: %w", hayate.ErrInvalid)
	}
	session, err := aws.Session(getenv)
	if err != nil {
		return nil, err
	}
	queues := sdksqs.NewFromConfig(session)
	c := aws.IngestConfig{To: aws.Carrier{To: sqs.NewSender(queues, s.EventQueue)}, Token: []byte(s.Token), Webhooks: s.Webhooks,
		Metrics: &aws.Metrics{Function: "ingest", Out: stdout}, Log: s.NewLog(stderr, "ingest")}
	if s.DeadLetters != "" {
		c.Batches.DeadLetters = sqs.NewSender(queues, s.DeadLetters)
	}
	if s.Bucket != "" {
		client := sdks3.NewFromConfig(session, func(o *sdks3.Options) { o.UsePathStyle = getenv("AWS_ENDPOINT_URL") != "" })
		if c.To.Blobs, err = s3.New(s3.Config{Client: client, Bucket: s.Bucket, Prefix: aws.CarriedPrefix}); err != nil {
			return nil, err
		}
	}
	return aws.NewIngest(c)
}
