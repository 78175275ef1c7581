// Command workflow is the Lambda function that begins workflows, tells their runs
// of timers that have come and of tasks that ended elsewhere, and, called by a
// clock every minute, brings back what was lost on its way.
//
// A task that ends steps its run where it ends, as in every shape of hayate: one
// invocation less for each.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/serverless"
)

func main() {
	f, err := build(os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "workflow:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment: docs/reference/functions.md.
func build(getenv func(string) string, stdout, stderr io.Writer) (*aws.Tasks, error) {
	p, err := serverless.Open(getenv, stdout, stderr, serverless.Role{Name: "workflow", Receives: "workflow"})
	if err != nil {
		return nil, err
	}
	return aws.NewTasks(p.Function)
}
