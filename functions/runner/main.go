// Command runner is the Lambda function that performs actions which need no host:
// HTTP requests, calls of other functions, messages to Amazon's services,
// questions to people. It is invoked with batches of tasks from a queue.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/serverless"
	"github.com/hayate-run/hayate/infra/serverless/env"
	"github.com/hayate-run/hayate/router"
	runneraws "github.com/hayate-run/hayate/runners/aws"
	"github.com/hayate-run/hayate/runners/http"
	"github.com/hayate-run/hayate/runners/inquirer"
	"github.com/hayate-run/hayate/runners/noop"
)

func main() {
	f, err := build(os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment: docs/reference/functions.md.
func build(getenv func(string) string, stdout, stderr io.Writer) (*aws.Tasks, error) {
	p, err := serverless.Open(getenv, stdout, stderr, serverless.Role{Name: "runner", Runners: func(s env.Settings) []router.Runner {
		session := func(context.Context) (sdk.Config, error) { return aws.Session(getenv) }
		return []router.Runner{noop.New(), inquirer.New(), http.New(http.Config{}),
			runneraws.New(runneraws.Config{Session: session, CallbackURL: s.CallbackURL})}
	}})
	if err != nil {
		return nil, err
	}
	return aws.NewTasks(p.Function)
}
