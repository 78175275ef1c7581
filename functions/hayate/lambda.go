package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/cli"
	"github.com/hayate-run/hayate/infra/lambdahost"
)

// lambdaLocal serves the functions of a template until ctx ends.
func lambdaLocal(ctx context.Context, l cli.LambdaLocal, ready func(urls map[string]string)) error {
	t, err := readTemplate(l.Template, l.Parameters)
	if err != nil {
		return err
	}
	session, err := awsSession(ctx)
	if err != nil {
		return err
	}
	if _, err := session.Credentials.Retrieve(ctx); err != nil {
		return fmt.Errorf("the emulator wants credentials, any will do; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: %w", hayate.ErrInvalid)
	}
	for _, r := range must(t.Resources("AWS::Serverless::Function")) {
		if path := bootstrap(l.Binaries, r.ID); !exists(path) {
			return fmt.Errorf("%s is not there; build the functions with: make functions: %w", path, hayate.ErrNotFound)
		}
	}
	s, err := lambdahost.NewStack(lambdahost.StackConfig{Template: t, Name: l.Name, Env: l.Env, Session: session, Listen: l.Listen, Unreliable: l.Unreliable,
		Concurrency: l.Concurrency, Output: l.Output, Log: slog.New(slog.NewJSONHandler(l.Output, nil)).With("function", "local"),
		Command: func(id string) []string { return []string{bootstrap(l.Binaries, id)} }})
	if err != nil {
		return err
	}
	return s.Run(ctx, func(s *lambdahost.Stack) { ready(s.URLs()) })
}

func readTemplate(file string, parameters map[string]string) (*lambdahost.Template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, hayate.ErrNotFound)
	}
	t, err := lambdahost.ReadTemplate(file, text, parameters)
	if err != nil {
		return nil, err
	}
	_, err = t.Resources("") // so that what cannot be resolved is said first
	return t, err
}

// must returns what was read without an error before.
func must(list []lambdahost.Resource, _ error) []lambdahost.Resource { return list }

// bootstrap is the binary of a function: below its logical id, as sam build has
// it, or its short name.
func bootstrap(dir, id string) string {
	if path := filepath.Join(dir, id, "bootstrap"); exists(path) {
		return path
	}
	return filepath.Join(dir, strings.ToLower(strings.TrimSuffix(id, "Function")), "bootstrap")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lambdaPlan writes what a deployment would create and cost.
func lambdaPlan(p cli.LambdaPlan, w io.Writer) error {
	t, err := readTemplate(p.Template, p.Parameters)
	if err != nil {
		return err
	}
	return lambdahost.Plan(t, p.Flow, w)
}
