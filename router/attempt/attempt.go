// Package attempt is what every worker does about an attempt of an action beside
// running it: its lines of output are gathered, and its result is held against
// what the action promises. Workers beside the store and workers behind a firewall
// share it.
package attempt

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/schema"
	"github.com/hayate-run/hayate/router/expect"
	"github.com/hayate-run/hayate/router/render"
)

// Verify holds a result against the expectations of the task's action, on the host
// that performed it. asserts says that the runner's own success proves something.
func Verify(t *hayate.Task, asserts bool, began, now time.Time, res hayate.Result) hayate.Result {
	if t.Action.Expect == nil {
		res.Verified = res.Verified || (asserts && res.Status == hayate.StatusSucceeded)
		return res
	}
	return expect.Apply(t.Action.Expect, res, expect.World{Schema: checkSchema, Stat: os.Stat, Began: began, Now: now,
		Path: func(template string) (string, error) { return render.Path(template, t) }})
}

// checkSchema holds a result against the schema of an expectation.
func checkSchema(doc, value json.RawMessage) error {
	s, err := schema.Compile(doc, schema.Options{})
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// Failed is the result of an attempt that failed before, or beside, its runner.
func Failed(format string, args ...any) hayate.Result {
	return hayate.Result{Status: hayate.StatusFailed, Value: ErrorValue(fmt.Sprintf(format, args...))}
}

// Stopped is the result of an attempt whose worker was told to stop.
func Stopped() hayate.Result {
	return hayate.Result{Status: hayate.StatusAbandoned, Value: ErrorValue("the worker was stopped before the action ended")}
}

// ErrorValue is the value of such a result, as StackStorm has it.
func ErrorValue(message string) json.RawMessage {
	b, err := json.Marshal(struct {
		Error     string `json:"error"`
		Traceback string `json:"traceback"`
	}{message, ""})
	if err != nil {
		panic(err) // strings only
	}
	return b
}
