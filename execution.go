package hayate

import (
	"encoding/json"
	"regexp"
	"slices"
	"time"
)

// Status is where an execution stands. The names are StackStorm's.
type Status string

// The statuses of an execution.
const (
	StatusRequested Status = "requested" // accepted, not yet handed to anyone
	StatusScheduled Status = "scheduled" // may be claimed
	StatusDelayed   Status = "delayed"   // may be claimed once NotBefore has come
	StatusRunning   Status = "running"   // claimed by a worker
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusTimeout   Status = "timeout"
	StatusAbandoned Status = "abandoned" // the worker was lost and what it did is unknown
	StatusCanceling Status = "canceling"
	StatusCanceled  Status = "canceled"
	StatusPending   Status = "pending" // waits for a person, or for a callback
	StatusPausing   Status = "pausing"
	StatusPaused    Status = "paused"
	StatusResuming  Status = "resuming"
)

// Statuses are all statuses, in the order of the documentation.
var Statuses = []Status{StatusRequested, StatusScheduled, StatusDelayed, StatusRunning, StatusSucceeded, StatusFailed,
	StatusTimeout, StatusAbandoned, StatusCanceling, StatusCanceled, StatusPending, StatusPausing, StatusPaused, StatusResuming}

// Completed says whether the status is final: such an execution never changes again.
func (s Status) Completed() bool {
	switch s {
	case StatusSucceeded, StatusFailed, StatusTimeout, StatusAbandoned, StatusCanceled:
		return true
	}
	return false
}

// Cancelable says whether a cancel request has an effect. A pending execution is
// not in StackStorm's set; it is answered, or times out.
func (s Status) Cancelable() bool {
	switch s {
	case StatusRequested, StatusScheduled, StatusDelayed, StatusRunning, StatusPausing, StatusPaused, StatusResuming:
		return true
	}
	return false
}

// Claimable says whether a worker may be given the execution.
func (s Status) Claimable() bool {
	return s == StatusRequested || s == StatusScheduled || s == StatusDelayed
}

// transitions lists, for each status, what may follow.
var transitions = map[Status][]Status{
	StatusRequested: {StatusScheduled, StatusDelayed, StatusRunning, StatusCanceling, StatusCanceled, StatusFailed},
	StatusScheduled: {StatusDelayed, StatusRunning, StatusCanceling, StatusCanceled, StatusFailed, StatusPaused},
	StatusDelayed:   {StatusRequested, StatusScheduled, StatusRunning, StatusCanceling, StatusCanceled, StatusFailed},
	StatusRunning: {StatusSucceeded, StatusFailed, StatusTimeout, StatusAbandoned, StatusCanceling, StatusCanceled,
		StatusPending, StatusPausing, StatusPaused, StatusScheduled, StatusDelayed},
	StatusPending:  {StatusSucceeded, StatusFailed, StatusTimeout, StatusCanceling, StatusCanceled, StatusRunning},
	StatusPausing:  {StatusPaused, StatusRunning, StatusResuming, StatusCanceling, StatusSucceeded, StatusFailed, StatusTimeout, StatusAbandoned, StatusCanceled},
	StatusPaused:   {StatusResuming, StatusRunning, StatusCanceling, StatusCanceled, StatusFailed, StatusSucceeded, StatusTimeout},
	StatusResuming: {StatusRunning, StatusPausing, StatusPaused, StatusCanceling, StatusSucceeded, StatusFailed, StatusCanceled, StatusTimeout},
	// A run that is canceled because its deadline has passed ends as a timeout.
	StatusCanceling: {StatusCanceled, StatusAbandoned, StatusTimeout},
}

// CanBecome says whether an execution in status s may take the status next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// Execution is one run of an action: what was asked, by whom, where it stands
// and what came of it. A workflow is an execution with children.
type Execution struct {
	ID     ExecutionID `json:"id"`
	Action Ref         `json:"action"`
	Runner string      `json:"runner"`
	Status Status      `json:"status"`
	// Parameters is a JSON object: those supplied and those whose default was a
	// template, rendered. Values of secret parameters are sealed.
	Parameters json.RawMessage `json:"parameters,omitempty"`
	// Context is a JSON object with StackStorm's keys: user, pack,
	// trigger_instance, rule, parent, orquesta, trace_context, ….
	Context json.RawMessage `json:"context,omitempty"`

	Event   EventID     `json:"event,omitempty"`   // what it came from, directly or through its parent
	Rule    Ref         `json:"rule,omitempty"`    // the rule that started it
	Parent  ExecutionID `json:"parent,omitempty"`  // the workflow it is a task of
	Root    ExecutionID `json:"root,omitempty"`    // the topmost ancestor; its own id where it has no parent
	Trace   string      `json:"trace,omitempty"`   // one id from the event to the last result
	Lineage []Ref       `json:"lineage,omitempty"` // rules that led here, oldest first

	Idempotent bool `json:"idempotent,omitempty"` // may be attempted again after a lost worker
	// Follow says that something follows its end beside what its parent makes of it:
	// a retry, an announcement, a place that becomes free. A sweeper finds it until
	// that is done.
	Follow bool `json:"follow,omitempty"`
	// Target says who may claim it: "" any local worker, "amqp:<tag>", "lambda:<name>".
	Target    string        `json:"target,omitempty"`
	NotBefore time.Time     `json:"not_before,omitzero"` // not to be claimed earlier
	Timeout   time.Duration `json:"timeout,omitempty"`   // the runner's own bound; 0 where it has none
	// Deadline is when a workflow must be over; zero: nothing bounds it, or it has
	// not begun and its action says when.
	Deadline time.Time `json:"deadline,omitzero"`

	Attempt    int             `json:"attempt"`              // attempts so far; the current one while running
	Worker     string          `json:"worker,omitempty"`     // who holds the current attempt
	LeaseUntil time.Time       `json:"lease_until,omitzero"` // when the attempt counts as lost
	Cancel     string          `json:"cancel,omitempty"`     // user who asked to cancel
	Result     json.RawMessage `json:"result,omitempty"`     // JSON; nil until there is one
	ResultRef  *BlobRef        `json:"result_ref,omitempty"` // where a large result lies instead
	Verified   bool            `json:"verified"`             // an assertion held; only meaningful when succeeded

	Created time.Time    `json:"created"`
	Started time.Time    `json:"started,omitzero"`
	Ended   time.Time    `json:"ended,omitzero"`
	Log     []Transition `json:"log"`
	// Version counts the stored changes; stores compare it when they write.
	Version int64 `json:"version"`
}

var target = regexp.MustCompile(`^(amqp|lambda):[A-Za-z0-9._-]{1,64}$`)

// ValidTarget says whether a text may be a target; "" may.
func ValidTarget(s string) bool { return s == "" || target.MatchString(s) }

// Transition is one change of status.
type Transition struct {
	Time   time.Time `json:"timestamp"`
	Status Status    `json:"status"`
}

// BlobRef points to bytes kept beside the document.
type BlobRef struct {
	Hash string `json:"hash"` // "sha256:" and 64 hexadecimal digits
	Size int64  `json:"size"`
}

// To moves the execution to a status at a time and logs it. It returns
// ErrConflict where the transition is not legal; a repeated status is none and
// changes nothing.
func (x *Execution) To(s Status, at time.Time) error {
	if x.Status == s {
		return nil
	}
	if x.Status != "" && !x.Status.CanBecome(s) {
		return &TransitionError{x.ID, x.Status, s}
	}
	x.Status = s
	x.Log = append(x.Log, Transition{at, s})
	switch {
	case s == StatusRunning && x.Started.IsZero():
		x.Started = at
	case s.Completed():
		x.Ended = at
	}
	return nil
}

// TransitionError says which change of status was refused. It is an ErrConflict.
type TransitionError struct {
	ID       ExecutionID
	From, To Status
}

func (e *TransitionError) Error() string {
	return "execution " + string(e.ID) + " is " + string(e.From) + " and cannot become " + string(e.To)
}

// Unwrap makes it an ErrConflict.
func (e *TransitionError) Unwrap() error { return ErrConflict }

// FiringStatus says how a rule's decision ended.
type FiringStatus string

// The outcomes of a decision.
const (
	FiringSucceeded FiringStatus = "succeeded" // its executions exist
	FiringFailed    FiringStatus = "failed"    // a criterion or a parameter could not be evaluated
	FiringShadow    FiringStatus = "shadow"    // the rule is in shadow mode: recorded, nothing started
	FiringLoop      FiringStatus = "loop"      // stopped: the event's lineage came back to this rule too often
	// FiringNoted says that the rule remembers the event, and that what it waits for
	// is not complete; FiringSuppressed that it would have fired, but for a guard or
	// its calendar.
	FiringNoted      FiringStatus = "noted"
	FiringSuppressed FiringStatus = "suppressed"
)

// Firing is one rule's decision to act on one event (StackStorm: rule enforcement).
type Firing struct {
	ID           FiringID      `json:"id"`
	Rule         Ref           `json:"rule"`
	RuleRevision string        `json:"rule_revision,omitempty"`
	Event        EventID       `json:"event"`
	At           time.Time     `json:"at"`
	Status       FiringStatus  `json:"status"`
	Reason       string        `json:"reason,omitempty"` // why it failed, was noted or suppressed; or what its rule counted
	Executions   []ExecutionID `json:"executions,omitempty"`
	// Parameters are the rendered parameters of each action, secrets masked.
	Parameters []json.RawMessage `json:"parameters,omitempty"`
}

// Task is one attempt, as a runner gets it: everything rendered, secrets opened.
type Task struct {
	Execution ExecutionID
	Attempt   int
	Action    Action
	// RunnerParameters and Parameters are JSON objects: the values for the
	// runner's and for the action's own parameters, defaults filled in.
	RunnerParameters json.RawMessage
	Parameters       json.RawMessage
	// PackDir is the folder of the action's pack on this host, "" where it has none.
	PackDir string
	Context json.RawMessage
	Timeout time.Duration // 0: none
	// Pipefail is decided: a shell command fails with any member of a pipeline.
	Pipefail bool
	// IdempotencyKey is the same for every attempt of the execution.
	IdempotencyKey string
	// Env is added to the environment of a local process (ST2_ACTION_…, HAYATE_…).
	Env []string
	// Secrets are texts that must not appear in any output.
	Secrets []string
	// Callback is a token by which somebody else may end the execution, once the
	// runner has answered that it is pending; "" where the runner does not ask for
	// one. It is bound to the attempt.
	Callback string
}

// Stream names where a line of output came from.
type Stream string

// The streams, with StackStorm's names of output types.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
	Output Stream = "output"
)

// OutputLine is a piece of output, produced while an attempt runs: valid UTF-8,
// secrets masked.
type OutputLine struct {
	Execution ExecutionID `json:"execution_id"`
	Attempt   int         `json:"attempt"`
	Seq       int64       `json:"seq"`
	Time      time.Time   `json:"timestamp"`
	Stream    Stream      `json:"output_type"`
	Text      string      `json:"data"`
}

// Result is what an attempt came to.
type Result struct {
	Status Status          // one of the completed ones, or pending
	Value  json.RawMessage // JSON, in the form the runner documents
	// Verified says that something was asserted and held.
	Verified bool
}
