// Command api is the Lambda function behind whose URL hayate's HTTP face lies: what
// the command line, StackStorm's clients and the console ask for.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/httpapi"
	"github.com/hayate-run/hayate/infra/serverless"
)

// version is stamped at build time: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	f, err := build(os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment: docs/reference/functions.md.
func build(getenv func(string) string, stdout, stderr io.Writer) (*aws.HTTP, error) {
	p, err := serverless.Open(getenv, stdout, stderr, serverless.Role{Name: "api", Receives: "none"})
	if err != nil {
		return nil, err
	}
	desk, err := p.Desk()
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{Router: p.Router, Desk: desk, Log: p.Log, Version: version, Signatures: p.Settings.Webhooks,
		Ready: map[string]func(context.Context) error{"store": p.Store.Ready}})
	if err != nil {
		return nil, err
	}
	return aws.NewHTTP(p.Function, api, admit(p))
}

// admit lets the bearer of the configured token in, once it is registered.
func admit(p *serverless.Parts) func(context.Context) error {
	var done atomic.Bool
	return func(ctx context.Context) error {
		if p.Settings.Token == "" || done.Load() {
			return nil
		}
		err := p.Router.AdmitToken(ctx, p.Settings.Token, "operator", "HAYATE_TOKEN")
		done.Store(err == nil)
		return err
	}
}
