package remote

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Caller brings a request to a Desk and its answer back. It returns an error when
// no answer came while ctx lived: the request may have been applied or not, and
// sending it again is harmless.
type Caller interface {
	Call(ctx context.Context, q Request) (Reply, error)
}

// Granted is an attempt that a worker was granted.
type Granted struct {
	router.Hold
	Claim      string
	Token      string // of the attempt
	Idempotent bool
	Lease      time.Duration
	Grant
}

// Client speaks for one worker. It is router.Claims over messages. Its methods may
// be called from many goroutines.
type Client struct {
	call        Caller
	worker, tag string

	mu      sync.Mutex
	granted map[router.Hold]Granted
}

var _ router.Claims = (*Client)(nil)

// NewClient returns a Client for a worker.
func NewClient(c Caller, worker, tag string) *Client {
	return &Client{call: c, worker: worker, tag: tag, granted: map[router.Hold]Granted{}}
}

// NewID makes an id for a claim or a request.
func NewID() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// again is how long one try to have a request answered lasts.
const again = 5 * time.Second

// ask sends a request until it is answered for good or ctx ends.
func (c *Client) ask(ctx context.Context, q Request) (Reply, error) {
	q.Worker, q.Tag = c.worker, c.tag
	if q.ID == "" {
		q.ID = NewID()
	}
	var last error
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, again) {
		try, cancel := context.WithTimeout(ctx, again)
		a, err := c.call.Call(try, q)
		cancel()
		if err == nil && a.Final() {
			return a, a.Err()
		}
		if err == nil {
			err = a.Err()
		}
		last = err
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return Reply{}, fmt.Errorf("%w: %w", last, ctx.Err())
		case <-t.C:
		}
	}
}

// Claim implements router.Claims. At and Until are the Desk's to choose. It waits
// until it is answered or ctx ends; then the claim may have been granted, and Abandon
// takes it back.
func (c *Client) Claim(ctx context.Context, cl router.Claim) (hayate.Execution, error) {
	g, err := c.Take(ctx, cl, NewID())
	if err != nil {
		return hayate.Execution{}, err
	}
	return hayate.Execution{ID: g.Execution, Attempt: g.Attempt, Worker: g.Worker, Status: hayate.StatusRunning, Idempotent: g.Idempotent,
		Action: g.Task.Action.Ref(), Runner: g.Task.Action.Runner, Context: g.Task.Context}, nil
}

// Take is Claim under a claim id that the caller has chosen, and written down.
func (c *Client) Take(ctx context.Context, cl router.Claim, claim string) (Granted, error) {
	key, err := newKey()
	if err != nil {
		return Granted{}, err
	}
	a, err := c.ask(ctx, Request{Kind: KindClaim, Execution: cl.Execution, Claim: claim, Token: cl.Token, Key: key.PublicKey().Bytes()})
	if err != nil {
		return Granted{}, fmt.Errorf("claim execution %s: %w", cl.Execution, err)
	}
	g := Granted{Hold: router.Hold{Execution: cl.Execution, Attempt: a.Attempt, Worker: holder(c.worker, claim)}, Claim: claim, Token: a.Token,
		Idempotent: a.Idempotent, Lease: a.Lease}
	if g.Grant, err = openGrant(key, a.Task); err != nil {
		return Granted{}, fmt.Errorf("claim execution %s: %w", cl.Execution, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.granted[g.Hold] = g
	return g, nil
}

func openGrant(key *ecdh.PrivateKey, sealed []byte) (Grant, error) {
	plain, err := openWith(key, sealed)
	if err != nil {
		return Grant{}, err
	}
	var g Grant
	if err := json.Unmarshal(plain, &g); err != nil {
		return Grant{}, fmt.Errorf("read the grant: %v: %w", err, hayate.ErrInvalid)
	}
	return g, nil
}

// Remember makes known a hold of an earlier process of this worker.
func (c *Client) Remember(g Granted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.granted[g.Hold] = g
}

// Forget drops what is known of a hold, once its end was answered.
func (c *Client) Forget(h router.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.granted, h)
}

// about begins a request about a hold.
func (c *Client) about(k Kind, h router.Hold) (Request, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.granted[h]
	if !ok {
		return Request{}, fmt.Errorf("attempt %d of execution %s was not granted to this worker: %w", h.Attempt, h.Execution, hayate.ErrConflict)
	}
	return Request{Kind: k, Execution: h.Execution, Attempt: h.Attempt, Claim: g.Claim, Token: g.Token}, nil
}

// Heartbeat implements router.Claims; the Desk chooses until when the lease is.
func (c *Client) Heartbeat(ctx context.Context, h router.Hold, _ time.Time) (router.Signal, error) {
	q, err := c.about(KindHeartbeat, h)
	if err != nil {
		return router.Signal{}, err
	}
	a, err := c.ask(ctx, q)
	return router.Signal{Cancel: a.Cancel}, err
}

// Output implements router.Claims.
func (c *Client) Output(ctx context.Context, h router.Hold, lines []hayate.OutputLine) error {
	q, err := c.about(KindOutput, h)
	if err != nil {
		return err
	}
	q.Lines = lines
	_, err = c.ask(ctx, q)
	return err
}

// Complete implements router.Claims. Blob and Step are the Desk's to make.
func (c *Client) Complete(ctx context.Context, done router.Completion) error {
	q, err := c.about(KindComplete, done.Hold)
	if err != nil {
		return err
	}
	q.Result, q.At = &done.Result, done.At
	_, err = c.ask(ctx, q)
	return err
}

// Abandon takes back a claim that was not begun, whether or not its grant arrived.
// token is the task's.
func (c *Client) Abandon(ctx context.Context, id hayate.ExecutionID, claim, token string) error {
	_, err := c.ask(ctx, Request{Kind: KindRelease, Execution: id, Claim: claim, Token: token})
	return err
}

// Lost says that an attempt was begun and ended with the process that performed it.
func (c *Client) Lost(ctx context.Context, h router.Hold) error {
	q, err := c.about(KindLost, h)
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, q)
	return err
}

// Bundle reads the bundle of a granted attempt's pack, and returns its digest.
func (c *Client) Bundle(ctx context.Context, h router.Hold, pack string, w io.Writer) (string, error) {
	q, err := c.about(KindBundle, h)
	if err != nil {
		return "", err
	}
	q.Pack = pack
	digest := ""
	for {
		a, err := c.ask(ctx, q)
		if err != nil {
			return "", fmt.Errorf("fetch pack %s: %w", pack, err)
		}
		if digest != "" && a.Digest != digest {
			return "", fmt.Errorf("fetch pack %s: it changed meanwhile: %w", pack, hayate.ErrBusy)
		}
		digest = a.Digest
		if _, err := w.Write(a.Data); err != nil {
			return "", fmt.Errorf("fetch pack %s: %w", pack, err)
		}
		q.ID, q.Offset = NewID(), q.Offset+int64(len(a.Data))
		if q.Offset >= a.Size {
			return digest, nil
		}
		if len(a.Data) == 0 {
			return "", errors.New("fetch pack " + pack + ": its bundle ends too early")
		}
	}
}
