// Package remote is what workers say that never touch a store, and what is answered:
// claims, heartbeats, lines of output and results as messages. How a message
// travels is others' matter: over RabbitMQ, or by HTTPS to the API. A Desk applies
// what arrives to the router, wherever it runs; a Client speaks for the worker.
//
// Every message may arrive twice or late. A claim carries an id of its own, and
// granting it twice is granting it once; a result that comes again is refused as
// stale, which to the worker is as good as an answer.
//
// Who may say what is shown by tokens: the task's, which is in its message in the
// queue, allows to claim it; the attempt's, which comes with the grant, allows
// everything about that attempt and nothing else. What the grant says is sealed for
// the worker that asked, so that whoever carries the message reads no secrets.
package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Kind is what a request asks for.
type Kind string

// The kinds of request.
const (
	KindClaim     Kind = "claim"
	KindHeartbeat Kind = "heartbeat"
	KindOutput    Kind = "output"
	KindComplete  Kind = "complete"
	KindRelease   Kind = "release" // the attempt was not begun
	KindLost      Kind = "lost"    // the attempt was begun, and the worker died with it
	KindBundle    Kind = "bundle"  // a part of a pack
)

// Request is one message of a worker.
type Request struct {
	Kind   Kind   `json:"kind"`
	ID     string `json:"id"` // the same when it is sent again
	Worker string `json:"worker"`
	Tag    string `json:"tag,omitempty"`
	Token  string `json:"token"`

	Execution hayate.ExecutionID `json:"execution,omitempty"`
	// Claim names the claim by which an execution is held.
	Claim   string `json:"claim,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	// Key is the public key that a grant is sealed for.
	Key []byte `json:"key,omitempty"`

	Lines  []hayate.OutputLine `json:"lines,omitempty"`
	Result *hayate.Result      `json:"result,omitempty"`
	At     time.Time           `json:"at,omitzero"` // when the attempt ended, by the worker's clock

	Pack   string `json:"pack,omitempty"`
	Offset int64  `json:"offset,omitempty"`
}

// Reply is the answer to a request.
type Reply struct {
	ID string `json:"id"` // of the request
	// Error says why the request was refused, Code of which kind that is.
	Error string `json:"error,omitempty"`
	Code  string `json:"code,omitempty"`
	// After is when to ask again, where Code is "later".
	After time.Duration `json:"after,omitempty"`

	Attempt    int           `json:"attempt,omitempty"`
	Idempotent bool          `json:"idempotent,omitempty"`
	Token      string        `json:"token,omitempty"` // of the attempt
	Task       []byte        `json:"task,omitempty"`  // sealed: see Grant
	Lease      time.Duration `json:"lease,omitempty"` // how long the hold lasts without a heartbeat
	Cancel     bool          `json:"cancel,omitempty"`

	Digest string `json:"digest,omitempty"` // of the pack
	Data   []byte `json:"data,omitempty"`   // a part of its bundle
	Size   int64  `json:"size,omitempty"`   // of the whole bundle
}

// Grant is what a granted claim tells, sealed for the worker that asked.
type Grant struct {
	Task hayate.Task `json:"task"`
	// Pack and Digest name the content of the action's pack. Digest is "" for a pack
	// that lies in every binary.
	Pack   string `json:"pack"`
	Digest string `json:"digest,omitempty"`
}

// holder is what the store knows a worker by who holds an execution by a claim.
func holder(worker, claim string) string { return worker + "/" + claim }

// codes are the kinds of error on the wire.
func codes() map[string]error {
	return map[string]error{"conflict": hayate.ErrConflict, "not_found": hayate.ErrNotFound, "invalid": hayate.ErrInvalid,
		"denied": hayate.ErrDenied, "too_large": hayate.ErrTooLarge}
}

// refuse makes a reply of an error. What is none of the kinds is "busy": repeat.
func refuse(id string, err error) Reply {
	var later *router.LaterError
	if errors.As(err, &later) {
		return Reply{ID: id, Error: err.Error(), Code: "later", After: later.After}
	}
	for code, kind := range codes() {
		if errors.Is(err, kind) {
			return Reply{ID: id, Error: err.Error(), Code: code}
		}
	}
	return Reply{ID: id, Error: err.Error(), Code: "busy"}
}

// Err is the error of a reply; nil for an answer.
func (r *Reply) Err() error {
	if r.Error == "" && r.Code == "" {
		return nil
	}
	if r.Code == "later" {
		return &router.LaterError{After: r.After}
	}
	kind, ok := codes()[r.Code]
	if !ok {
		kind = hayate.ErrBusy
	}
	return fmt.Errorf("%s: %w", r.Error, kind)
}

// Final says whether a request need not be repeated: it was answered, or refused
// for a reason that repeating does not change.
func (r *Reply) Final() bool { return r.Code != "busy" }

// ReadRequest reads a message; ErrInvalid says that it is none.
func ReadRequest(body []byte) (Request, error) {
	var q Request
	if err := json.Unmarshal(body, &q); err != nil {
		return q, fmt.Errorf("read message of a worker: %v: %w", err, hayate.ErrInvalid)
	}
	if q.Worker == "" || q.Kind == "" {
		return q, fmt.Errorf("read message of a worker: it names no kind or no worker: %w", hayate.ErrInvalid)
	}
	return q, nil
}

// hold is the hold that a request speaks of.
func (q *Request) hold() router.Hold {
	return router.Hold{Execution: q.Execution, Attempt: q.Attempt, Worker: holder(q.Worker, q.Claim)}
}
