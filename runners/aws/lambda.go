package aws

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/hayate-run/hayate"
)

// The modes of an invocation.
const (
	modeSync     = "sync"
	modeAsync    = "async"
	modeCallback = "callback"
)

// invoke invokes a function. The execution, its attempt and its idempotency key
// are told in the client context (sync), and with the token in the payload
// (callback).
func (r *Runner) invoke(ctx context.Context, c aws.Config, t *hayate.Task, s *settings) (hayate.Result, error) {
	if s.Function == "" {
		s.Function = t.Action.EntryPoint
	}
	if s.Function == "" {
		return hayate.Result{}, fmt.Errorf("neither the parameter function nor the action's entry point names a function: %w", hayate.ErrInvalid)
	}
	payload := bytes.TrimSpace(s.Payload)
	if len(payload) == 0 || string(payload) == "null" {
		payload = t.Parameters
	}
	in := &lambda.InvokeInput{FunctionName: &s.Function, Payload: payload, InvocationType: types.InvocationTypeRequestResponse}
	if s.Qualifier != "" {
		in.Qualifier = &s.Qualifier
	}
	switch s.Mode {
	case "", modeSync:
		custom, err := json.Marshal(map[string]any{"custom": told(t)})
		if err != nil {
			return hayate.Result{}, err
		}
		text := base64.StdEncoding.EncodeToString(custom)
		in.ClientContext = &text
	case modeAsync:
		in.InvocationType = types.InvocationTypeEvent
	case modeCallback:
		in.InvocationType = types.InvocationTypeEvent
		var err error
		if in.Payload, err = r.withCallback(payload, t); err != nil {
			return hayate.Result{}, err
		}
	default:
		return hayate.Result{}, fmt.Errorf("mode: found %q, want sync, async or callback: %w", s.Mode, hayate.ErrInvalid)
	}
	out, err := lambda.NewFromConfig(c, func(o *lambda.Options) { o.Retryer = onlyThrottles() }).Invoke(ctx, in)
	if err != nil {
		return hayate.Result{}, fmt.Errorf("invoke %s: %w", s.Function, err)
	}
	switch {
	case s.Mode == modeCallback:
		return r.pending(s)
	case out.FunctionError != nil:
		return failed(out)
	}
	return succeeded(map[string]any{"status_code": out.StatusCode, "version": aws.ToString(out.ExecutedVersion), "payload": payloadOf(out.Payload)})
}

// told is what a function is told about the work it is part of.
func told(t *hayate.Task) map[string]string {
	return map[string]string{"hayate_execution_id": string(t.Execution), "hayate_attempt": fmt.Sprint(t.Attempt), KeyAttribute: t.IdempotencyKey}
}

// withCallback adds the member hayate to the payload: how to call back, and
// for what.
func (r *Runner) withCallback(payload []byte, t *hayate.Task) ([]byte, error) {
	var v map[string]json.RawMessage
	if err := json.Unmarshal(payload, &v); err != nil || v == nil {
		return nil, fmt.Errorf("payload: with mode callback it must be an object: %w", hayate.ErrInvalid)
	}
	if t.Callback == "" {
		return nil, fmt.Errorf("this process cannot make tokens for callbacks: %w", hayate.ErrInvalid)
	}
	how := told(t)
	how["token"], how["url"] = t.Callback, r.c.CallbackURL
	b, err := json.Marshal(how)
	if err != nil {
		return nil, err
	}
	v["hayate"] = b
	return json.Marshal(v)
}

// pending leaves the execution to whoever calls back.
func (r *Runner) pending(s *settings) (hayate.Result, error) {
	v := map[string]any{"function": s.Function, "waits_for": "callback"}
	if s.CallbackTimeout > 0 {
		v["expires"] = r.c.Now().UTC().Add(time.Duration(s.CallbackTimeout) * time.Second).Format(time.RFC3339)
	}
	res, err := succeeded(v)
	res.Status = hayate.StatusPending
	return res, err
}

// failed is the result of a function that reported an error, or broke.
func failed(out *lambda.InvokeOutput) (hayate.Result, error) {
	var e struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	text := aws.ToString(out.FunctionError)
	if json.Unmarshal(out.Payload, &e) == nil && e.Message != "" {
		text = e.Message
		if e.Type != "" {
			text = e.Type + ": " + e.Message
		}
	}
	res, err := succeeded(map[string]any{"error": text, "status_code": out.StatusCode, "payload": payloadOf(out.Payload)})
	res.Status = hayate.StatusFailed
	return res, err
}

// payloadOf is an answer as JSON; what is none is a text.
func payloadOf(b []byte) any {
	switch b = bytes.TrimSpace(b); {
	case len(b) == 0:
		return nil
	case json.Valid(b):
		return json.RawMessage(b)
	}
	return string(b)
}
