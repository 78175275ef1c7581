// Package noop runs actions that do nothing, and do it successfully.
package noop

import (
	"context"
	"encoding/json"

	"github.com/hayate-run/hayate"
)

// Name is the runner's name in action metadata.
const Name = "noop"

// Runner does nothing. Its zero value is ready; it may be used at once from many
// goroutines.
type Runner struct{}

// New returns a Runner.
func New() *Runner { return &Runner{} }

// Describe returns the one runner type it serves.
func (*Runner) Describe() []hayate.Runner {
	return []hayate.Runner{{
		Name:        Name,
		Description: "Does nothing and succeeds.",
		NoEffect:    true,
	}}
}

// Run succeeds with the result of a command that succeeded; a context that has
// ended already means canceled.
func (*Runner) Run(ctx context.Context, _ hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	if ctx.Err() != nil {
		return hayate.Result{
			Status: hayate.StatusCanceled,
			Value:  json.RawMessage(`{"failed":true,"succeeded":false,"return_code":0,"error":"Action canceled."}`),
		}, nil
	}
	return hayate.Result{
		Status: hayate.StatusSucceeded,
		Value:  json.RawMessage(`{"failed":false,"succeeded":true,"return_code":0}`),
	}, nil
}
