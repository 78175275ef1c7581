package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// A callback ends an execution whose runner handed the work over to somebody and
// left it pending. Its token is the permission: a sealed text that names the
// attempt, so that nothing is stored for it and nobody can make one up.

// callbackPrefix tells a callback's token from everything else that is sealed.
const callbackPrefix = "callback "

// callbackToken is the token for an attempt, "" where its runner needs none.
func (r *Router) callbackToken(x *hayate.Execution, b *boundAction) (string, error) {
	if !b.runner.Callback {
		return "", nil
	}
	token, err := r.secrets.Seal(callbackPrefix + string(x.ID) + " " + strconv.Itoa(x.Attempt))
	if err != nil {
		return "", fmt.Errorf("make the callback's token: %w", err)
	}
	return token, nil
}

// Callback is what came of work that was handed over.
type Callback struct {
	Token  string          `json:"token"`
	Status hayate.Status   `json:"status"` // succeeded (default), failed or timeout
	Result json.RawMessage `json:"result"`
}

// CallBack ends a pending execution. The same callback twice is fine; ErrDenied
// says that the token is none, ErrConflict that the execution has ended in another
// way or is not pending yet.
func (r *Router) CallBack(ctx context.Context, c Callback) (hayate.Execution, error) {
	plain, err := r.secrets.Open(c.Token)
	id, attempt, ok := strings.Cut(strings.TrimPrefix(plain, callbackPrefix), " ")
	if err != nil || !ok || !strings.HasPrefix(plain, callbackPrefix) {
		return hayate.Execution{}, fmt.Errorf("the token is no callback's: %w", hayate.ErrDenied)
	}
	if c.Status == "" {
		c.Status = hayate.StatusSucceeded
	}
	if !slices.Contains([]hayate.Status{hayate.StatusSucceeded, hayate.StatusFailed, hayate.StatusTimeout}, c.Status) {
		return hayate.Execution{}, fmt.Errorf("status: found %q, want succeeded, failed or timeout: %w", c.Status, hayate.ErrInvalid)
	}
	if len(c.Result) > r.cfg.InlineResult {
		return hayate.Execution{}, fmt.Errorf("result: it has %d bytes, the limit is %d: %w", len(c.Result), r.cfg.InlineResult, hayate.ErrTooLarge)
	}
	for range maxRetries {
		x, err := r.Execution(ctx, hayate.ExecutionID(id))
		switch {
		case err != nil:
			return x, err
		case strconv.Itoa(x.Attempt) != attempt:
			return x, fmt.Errorf("execution %s is at attempt %d, the token is of attempt %s: %w", id, x.Attempt, attempt, hayate.ErrConflict)
		case x.Status == c.Status:
			return x, nil // said already
		case x.Status != hayate.StatusPending:
			return x, fmt.Errorf("execution %s is %s and waits for no callback: %w", id, x.Status, hayate.ErrConflict)
		}
		x.Result = orNull(c.Result)
		err = r.settlePending(ctx, &x, c.Status)
		if errors.Is(err, hayate.ErrConflict) {
			continue
		}
		return x, err
	}
	return hayate.Execution{}, fmt.Errorf("callback to execution %s: it keeps changing: %w", id, hayate.ErrBusy)
}

// expireCallbacks ends what nobody called back for in time: the member "expires"
// of a pending result says until when.
func (r *Router) expireCallbacks(ctx context.Context) error {
	var errs []error
	for name, b := range r.runners {
		if !b.Callback || b.Name != name {
			continue
		}
		p, err := r.store.Executions(ctx, Query{Status: []hayate.Status{hayate.StatusPending}, Runner: name, Limit: sweepLimit, Ascending: true})
		if err != nil {
			return err
		}
		for i := range p.Items {
			x := &p.Items[i]
			var v struct {
				Expires time.Time `json:"expires"`
			}
			if json.Unmarshal(x.Result, &v) != nil || v.Expires.IsZero() || v.Expires.After(r.now()) {
				continue
			}
			x.Result = errorResult("nobody called back before " + v.Expires.Format(time.RFC3339))
			if err := r.settlePending(ctx, x, hayate.StatusTimeout); err != nil && !errors.Is(err, hayate.ErrConflict) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
