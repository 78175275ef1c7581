// Command router is the Lambda function that decides on events: those that ingest
// has queued, and those of SNS, EventBridge, SQS and everything else that hayate
// recognises. What they lead to is queued for the functions runner and workflow;
// without queues it does at once what needs no host.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/aws/s3"
	"github.com/hayate-run/hayate/infra/serverless"
	"github.com/hayate-run/hayate/infra/serverless/env"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/noop"
)

func main() {
	f, err := build(os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "router:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment: docs/reference/functions.md.
func build(getenv func(string) string, stdout, stderr io.Writer) (*aws.Function, error) {
	p, err := serverless.Open(getenv, stdout, stderr, serverless.Role{Name: "router", Receives: serverless.EventQueue,
		Runners: func(env.Settings) []router.Runner { return []router.Runner{noop.New()} }})
	if err != nil {
		return nil, err
	}
	if p.Settings.Bucket != "" {
		session, err := aws.Session(getenv)
		if err != nil {
			return nil, err
		}
		client := sdk.NewFromConfig(session, func(o *sdk.Options) { o.UsePathStyle = getenv("AWS_ENDPOINT_URL") != "" })
		if p.Function.Carried, err = s3.New(s3.Config{Client: client, Bucket: p.Settings.Bucket, Prefix: aws.CarriedPrefix}); err != nil {
			return nil, err
		}
	}
	return aws.NewFunction(p.Function)
}
