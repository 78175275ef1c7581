package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/attempt"
)

// DeskConfig is what a Desk needs. Router and Secrets are required.
type DeskConfig struct {
	Router  *router.Router
	Secrets router.Secrets
	// Bundle opens the bundle of a registered pack and says its digest and size;
	// ErrNotFound for a pack that lies in every binary. Default: none is registered.
	Bundle func(ctx context.Context, pack string) (r io.ReadCloser, digest string, size int64, err error)
	// Lease is how long a worker may be silent before its attempt counts as lost.
	// Default 15 minutes: a network that is cut for less does no harm.
	Lease time.Duration
	Now   func() time.Time // default time.Now
}

// Desk applies what workers say. Its methods may be called from many goroutines,
// and by many processes for one store.
type Desk struct{ c DeskConfig }

// DefaultLease is how long a worker may be silent unless the Desk is told otherwise.
const DefaultLease = 15 * time.Minute

// bundlePart is how much of a bundle one reply carries.
const bundlePart = 1 << 20

// NewDesk returns a Desk.
func NewDesk(c DeskConfig) (*Desk, error) {
	if c.Router == nil || c.Secrets == nil {
		return nil, fmt.Errorf("remote: Router or Secrets is missing: %w", hayate.ErrInvalid)
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Bundle == nil {
		c.Bundle = func(_ context.Context, pack string) (io.ReadCloser, string, int64, error) {
			return nil, "", 0, fmt.Errorf("pack %s: %w", pack, hayate.ErrNotFound)
		}
	}
	return &Desk{c}, nil
}

// Handle applies a message as it came, and returns the answer as it goes back. It
// is all that a function needs which is given the messages of a queue: whatever
// carries them, the same message twice does what once does. An error says that the
// message is to be delivered again.
func (d *Desk) Handle(ctx context.Context, body []byte) ([]byte, error) {
	q, err := ReadRequest(body)
	a := refuse("", err)
	if err == nil {
		a = d.Apply(ctx, q)
	}
	out, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("answer a worker: %w", err)
	}
	if !a.Final() {
		return out, fmt.Errorf("message of worker %s: %w", q.Worker, a.Err())
	}
	return out, nil
}

// Apply does what a request asks for and answers it.
func (d *Desk) Apply(ctx context.Context, q Request) Reply {
	a, err := d.apply(ctx, &q)
	if err != nil {
		return refuse(q.ID, err)
	}
	a.ID = q.ID
	return a
}

func (d *Desk) apply(ctx context.Context, q *Request) (Reply, error) {
	if strings.ContainsAny(q.Worker, "/\n") || len(q.Worker) > 200 {
		return Reply{}, fmt.Errorf("worker %.200q: want a name without slashes of at most 200 bytes: %w", q.Worker, hayate.ErrInvalid)
	}
	switch q.Kind {
	case KindClaim:
		return d.claim(ctx, q)
	case KindBundle:
		return d.bundle(ctx, q)
	case KindRelease:
		// Of a claim whose grant may not have arrived: the task's token is enough.
		if err := d.check(q.Token, taskSubject(q.Execution), attemptSubject(q.hold())); err != nil {
			return Reply{}, err
		}
		return Reply{}, d.c.Router.Release(ctx, q.hold())
	}
	h := q.hold()
	if err := d.check(q.Token, attemptSubject(h)); err != nil {
		return Reply{}, err
	}
	switch q.Kind {
	case KindHeartbeat:
		sig, err := d.c.Router.Heartbeat(ctx, h, d.until())
		return Reply{Cancel: sig.Cancel, Lease: d.c.Lease}, err
	case KindOutput:
		return Reply{}, d.c.Router.Output(ctx, h, q.Lines)
	case KindComplete:
		return Reply{}, d.complete(ctx, q, h)
	case KindLost:
		return Reply{}, d.c.Router.Lost(ctx, h)
	}
	return Reply{}, fmt.Errorf("a worker asks for %q, which this version does not know: %w", q.Kind, hayate.ErrInvalid)
}

func (d *Desk) until() time.Time { return d.c.Now().UTC().Add(d.c.Lease) }

// claim grants an execution. The same claim again is granted again while it holds.
func (d *Desk) claim(ctx context.Context, q *Request) (Reply, error) {
	if err := d.check(q.Token, taskSubject(q.Execution)); err != nil {
		return Reply{}, err
	}
	if q.Claim == "" || strings.Contains(q.Claim, "/") {
		return Reply{}, fmt.Errorf("claim execution %s: the claim has no id: %w", q.Execution, hayate.ErrInvalid)
	}
	worker := holder(q.Worker, q.Claim)
	x, err := d.c.Router.Claim(ctx, router.Claim{Execution: q.Execution, Worker: worker, At: d.c.Now().UTC(), Until: d.until()})
	if errors.Is(err, hayate.ErrConflict) {
		now, e := d.c.Router.Execution(ctx, q.Execution)
		if e != nil {
			return Reply{}, e
		}
		if now.Worker != worker || now.Status != hayate.StatusRunning {
			return Reply{}, err
		}
		x, err = now, nil // it is the second time that this claim arrives
	}
	if err != nil {
		return Reply{}, err
	}
	h := router.Hold{Execution: x.ID, Attempt: x.Attempt, Worker: worker}
	t, p, err := d.c.Router.TaskOf(ctx, &x)
	if err != nil {
		// Nobody can perform it: that is its result.
		c := router.Completion{Hold: h, At: d.c.Now().UTC(), Result: attempt.Failed("%v", err)}
		if err := d.c.Router.Complete(ctx, c); err != nil {
			return Reply{}, err
		}
		return Reply{}, fmt.Errorf("claim execution %s: %v: %w", x.ID, err, hayate.ErrConflict)
	}
	return d.grant(ctx, q, &x, h, t, p)
}

// grant seals what the worker needs.
func (d *Desk) grant(ctx context.Context, q *Request, x *hayate.Execution, h router.Hold, t hayate.Task, p router.Pack) (Reply, error) {
	g := Grant{Task: t, Pack: p.Ref}
	g.Task.PackDir = ""
	r, digest, _, err := d.c.Bundle(ctx, p.Ref)
	switch {
	case err == nil:
		g.Digest = digest
		if err := r.Close(); err != nil {
			return Reply{}, fmt.Errorf("look at the bundle of pack %s: %w", p.Ref, err)
		}
	case !errors.Is(err, hayate.ErrNotFound):
		return Reply{}, err
	}
	plain, err := json.Marshal(g)
	if err != nil {
		return Reply{}, fmt.Errorf("grant execution %s: %w", x.ID, err)
	}
	sealed, err := sealFor(q.Key, plain)
	if err != nil {
		return Reply{}, err
	}
	token, err := d.c.Secrets.Seal(attemptSubject(h))
	if err != nil {
		return Reply{}, fmt.Errorf("grant execution %s: %w", x.ID, err)
	}
	return Reply{Attempt: x.Attempt, Idempotent: x.Idempotent, Token: token, Task: sealed, Lease: d.c.Lease}, nil
}

// complete stores a result. It ended when the worker says, but not in the future.
func (d *Desk) complete(ctx context.Context, q *Request, h router.Hold) error {
	if q.Result == nil {
		return fmt.Errorf("complete execution %s: there is no result: %w", q.Execution, hayate.ErrInvalid)
	}
	at := d.c.Now().UTC()
	if !q.At.IsZero() && q.At.Before(at) {
		x, err := d.c.Router.Execution(ctx, q.Execution)
		if err != nil {
			return err
		}
		if at = q.At; at.Before(x.Started) {
			at = x.Started
		}
	}
	return d.c.Router.Complete(ctx, router.Completion{Hold: h, At: at.UTC().Truncate(time.Microsecond), Result: *q.Result})
}

// bundle answers with a part of a pack, to whoever has the token of an attempt.
func (d *Desk) bundle(ctx context.Context, q *Request) (Reply, error) {
	if err := d.check(q.Token, attemptSubject(q.hold())); err != nil {
		return Reply{}, err
	}
	r, digest, size, err := d.c.Bundle(ctx, q.Pack)
	if err != nil {
		return Reply{}, err
	}
	defer r.Close()
	if q.Offset < 0 || q.Offset > size {
		return Reply{}, fmt.Errorf("pack %s has no byte %d: %w", q.Pack, q.Offset, hayate.ErrInvalid)
	}
	if _, err := io.CopyN(io.Discard, r, q.Offset); err != nil {
		return Reply{}, fmt.Errorf("read the bundle of pack %s: %w", q.Pack, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, bundlePart))
	if err != nil {
		return Reply{}, fmt.Errorf("read the bundle of pack %s: %w", q.Pack, err)
	}
	return Reply{Digest: digest, Data: data, Size: size}, nil
}

// TaskToken makes the token by which who receives a task may claim it.
func TaskToken(s router.Secrets, id hayate.ExecutionID) (string, error) {
	return s.Seal(taskSubject(id))
}

// What a token is for: sealed, it is the token.
func taskSubject(id hayate.ExecutionID) string { return "hayate task " + string(id) }

func attemptSubject(h router.Hold) string {
	return "hayate attempt " + string(h.Execution) + " " + strconv.Itoa(h.Attempt) + " " + h.Worker
}

// check returns ErrDenied unless the token is for one of the subjects.
func (d *Desk) check(token string, subjects ...string) error {
	text, err := d.c.Secrets.Open(token)
	if err == nil {
		for _, s := range subjects {
			if text == s {
				return nil
			}
		}
	}
	return fmt.Errorf("the token is not for this: %w", hayate.ErrDenied)
}
