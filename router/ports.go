package router

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/hayate-run/hayate"
)

// The ports: what the router needs of the world. Every adapter passes the suite
// of its port in router/routertest. Unless a comment says otherwise, methods may
// be called from many goroutines, return once their effect is durable, honour
// ctx while they wait, and after Close return hayate.ErrBusy. An error that is
// neither ErrNotFound, ErrConflict, ErrInvalid nor ErrTooLarge says that the
// outcome is unknown: the caller repeats, and identifiers make that harmless.

// Journal makes the commits of an event's way durable: accept, step, sweep.
type Journal interface {
	// Accept stores the event unless one with its UID is known, together with
	// what decide says about it. AcceptedAt must be set by the caller. For a
	// known event decide is not called, nothing is written, and the receipt is
	// the first one's, with Duplicate set. Two callers racing with one UID: one
	// stores, the other gets its receipt. decide may be called and its outcome
	// thrown away; an error of it stores nothing. It may wait for nothing but
	// other ports.
	//
	// Embedded: one commit. MongoDB: the event's document with the firings and the
	// executions to be, then the executions (ids are deterministic: duplicates
	// are ignored), then the document's mark; Sweep finishes what was cut off. Where
	// firings are Guarded, see States.
	Accept(ctx context.Context, e hayate.Event, decide Decide) (Receipt, error)

	// Commit applies a change whole (embedded) or in an order that Sweep can
	// finish (MongoDB). It returns ErrConflict, having changed nothing visible,
	// when an updated execution or run has another version than expected, and
	// ignores inserted executions that exist.
	Commit(ctx context.Context, c Change) error

	// Run returns the state of a workflow run: ErrNotFound where there is none.
	Run(ctx context.Context, id hayate.ExecutionID) (Run, error)

	// Sweep returns what nobody may be working on: see Swept. With nothing to
	// find it is cheap. Several sweepers may run at once.
	Sweep(ctx context.Context, q SweepQuery) (Swept, error)
}

// Decide says what is to be done about an event. It depends only on the event
// and on recorded values.
type Decide func(ctx context.Context, e *hayate.Event) (Decision, error)

// Decision is what the rules say about an event.
type Decision struct {
	Firings    []hayate.Firing
	Executions []hayate.Execution // in status scheduled, delayed or failed
	// Failed says that routing itself failed (a rule could not be evaluated at
	// all); the event is recorded as such, with the reason.
	Failed string
	// Guarded are the firings that depend on what their rules remember; see States.
	Guarded []Guarded
}

// Receipt is the answer to an accepted event.
type Receipt struct {
	ID         hayate.EventID
	AcceptedAt time.Time
	Duplicate  bool
	// Executions are those that this call stored and that somebody must now
	// dispatch; empty for a duplicate.
	Executions []hayate.Execution
}

// EventRecord is an accepted event as history shows it.
type EventRecord struct {
	ID      hayate.EventID  `json:"id"`
	Event   hayate.Event    `json:"event"`
	At      time.Time       `json:"accepted_at"`
	Firings []hayate.Firing `json:"firings"`
	Failed  string          `json:"failed,omitempty"`
}

// Change is a set of writes that belong together.
type Change struct {
	// Insert are new executions.
	Insert []hayate.Execution
	// Update are executions as they shall be; each Version is the one that was
	// read. The store writes Version+1.
	Update []hayate.Execution
	// Complete are attempts that end with this change; their own Step is nil. A
	// stale one refuses the whole change.
	Complete []Completion
	// Run is the step of a workflow run, nil where there is none.
	Run *RunDelta
	// Told are completed executions of whose end those have heard who must: the
	// parent's run by this step, or whoever sees to what follows.
	Told []hayate.ExecutionID
}

// Run is the stored state of a workflow run: a small head, and entries that are
// written once and only ever added or replaced by key.
type Run struct {
	ID      hayate.ExecutionID
	Version int64
	Head    json.RawMessage
	Entries map[string]json.RawMessage
	// Wake is when the run wants to be swept even if nothing happens; zero: never.
	Wake time.Time
}

// RunDelta is what one step of a run wrote.
type RunDelta struct {
	ID hayate.ExecutionID
	// From is the version the step was computed from; 0 creates the run.
	From    int64
	Head    json.RawMessage
	Entries map[string]json.RawMessage // only those added or changed
	Wake    time.Time
	// Done says that the run has ended: it is not swept any more.
	Done bool
}

// SweepQuery bounds a sweep.
type SweepQuery struct {
	Now time.Time
	// StaleAfter is the age from which an undispatched execution counts as
	// forgotten. Zero returns all that may be claimed: what a process does when
	// it starts and its queue is empty.
	StaleAfter time.Duration
	Limit      int // most of each kind; at least 1
}

// Swept is what a sweep found. Each list holds at most the query's limit; the
// caller sweeps again until all are empty.
type Swept struct {
	// Dispatch may be claimed and was not handed to a queue (or may not have been).
	Dispatch []hayate.Execution
	// Lost are running attempts whose lease ran out.
	Lost []hayate.Execution
	// Untold are completed children whose parent's run has not heard of it, and
	// completed executions with Follow set, until a Change names them in Told.
	Untold []hayate.Execution
	// Due are runs whose Wake has come.
	Due []hayate.ExecutionID
	// Undecided are accepted events whose firings depend on states, and on which no
	// decision is stored: accept them again.
	Undecided []hayate.Event
}

// Claims is all that a worker says about an attempt. The stores implement it;
// infra/amqp does for workers that never touch a store; Router does by adding
// the step of the parent's run to Complete.
type Claims interface {
	// Claim makes the worker the holder of the execution's next attempt: status
	// running, Attempt+1, lease until the given time. ErrConflict says that it
	// is held, finished or canceled; ErrNotFound that it does not exist (any
	// more). The claim is durable before Claim returns, unless the execution is
	// Idempotent: the embedded store may then keep it in memory, since a dead
	// process has no runners.
	Claim(ctx context.Context, c Claim) (hayate.Execution, error)

	// Heartbeat extends the lease and answers what is asked of the holder. A
	// stale hold gets ErrConflict: the worker stops the attempt.
	Heartbeat(ctx context.Context, h Hold, until time.Time) (Signal, error)

	// Output stores lines of output. A repeated line (by Seq) is ignored. It need
	// not be durable before it returns. A stale hold gets ErrConflict.
	Output(ctx context.Context, h Hold, lines []hayate.OutputLine) error

	// Complete ends the attempt: the result's status, value and verdict become
	// the execution's. An execution whose cancellation was asked (status
	// canceling) ends canceled, whatever the result says, unless that is
	// abandoned. A stale hold, or a completed execution, gets
	// ErrConflict and changes nothing; so does a Step whose version differs,
	// and then the caller computes the step anew.
	Complete(ctx context.Context, c Completion) error
}

// Claim asks for an execution.
type Claim struct {
	Execution hayate.ExecutionID
	Worker    string
	At, Until time.Time
	// Token is that of the queue's item, for workers that never touch a store: it
	// shows that the task was delivered to them. Stores ignore it.
	Token string
}

// Hold names an attempt and who holds it.
type Hold struct {
	Execution hayate.ExecutionID
	Attempt   int
	Worker    string
}

// Signal is what is asked of the holder of an attempt.
type Signal struct {
	Cancel bool
}

// Completion ends an attempt.
type Completion struct {
	Hold
	At     time.Time
	Result hayate.Result
	// Blob is where the result's value lies when it is too large to be inline;
	// Result.Value is then a short JSON preview or null.
	Blob *hayate.BlobRef
	// Step is what the completion leads to in the parent's run, committed with it.
	// nil where there is no parent, or where another process steps the run: the
	// execution is then swept as Untold until a Change names it in Told.
	Step *Change
}

// Gates let a bounded number of executions through at once. A place is held by an
// execution and for no time: whoever finds a gate full looks whether its holders
// still run, and lets those leave that do not.
type Gates interface {
	// Enter gives x a place in the gate, unless limit others or more hold one:
	// ErrConflict. Whoever holds a place keeps it, whatever the limit is now. It is
	// durable, and of several who race for the last place one gets it.
	Enter(ctx context.Context, gate string, x hayate.ExecutionID, limit int) error
	// Holders returns those that hold a place, the longest first.
	Holders(ctx context.Context, gate string) ([]hayate.ExecutionID, error)
	// Leave frees the places of executions; it is nothing to free what one does
	// not hold.
	Leave(ctx context.Context, gate string, xs ...hayate.ExecutionID) error
}

// Queue carries executions to whoever performs them. It delivers at least once
// and in no certain order; the claim decides. The durable copy is the execution
// itself, so a queue may lose its memory when the process dies: Sweep fills it.
type Queue interface {
	// Put offers executions; those with NotBefore in the future become
	// receivable then. It waits for nothing: ErrBusy when the queue is full, and
	// the sweeper will bring them back.
	Put(ctx context.Context, items ...QueueItem) error
	// Receive waits until an item for one of the targets is due.
	Receive(ctx context.Context, targets ...string) (Delivery, error)
	// Depth says how many items wait. It costs nothing and may be some seconds old.
	Depth() int
}

// QueueItem is an execution to be performed.
type QueueItem struct {
	Execution hayate.ExecutionID
	Target    string
	NotBefore time.Time
	// Token lets who receives the item claim it without touching a store; "" where
	// the queue does not lead there.
	Token string
}

// Delivery is a received item. Ack ends it and must be called once the claim was
// granted or refused; Nack offers it again after a delay. Both may be called
// once, from any goroutine.
type Delivery struct {
	QueueItem
	Ack  func(ctx context.Context) error
	Nack func(ctx context.Context, delay time.Duration) error
}

// History lists what happened, newest first. Results of large executions are
// references; secrets are sealed: the caller masks them.
type History interface {
	Executions(ctx context.Context, q Query) (Page[hayate.Execution], error)
	Events(ctx context.Context, q Query) (Page[EventRecord], error)
	Firings(ctx context.Context, q Query) (Page[hayate.Firing], error)
	// Lines returns the output of an execution with a Seq greater than after.
	Lines(ctx context.Context, id hayate.ExecutionID, after int64, limit int) ([]hayate.OutputLine, error)
}

// Query selects from history. Zero fields select everything; all that are set
// must hold. Unused fields for a kind (Status for events, say) are ignored.
type Query struct {
	IDs    []string // these only
	Status []hayate.Status
	Action hayate.Ref
	Runner string
	Rule   hayate.Ref
	Type   string // the event's type (StackStorm: trigger)
	Source string // the event's source
	Event  hayate.EventID
	// Execution selects the firings that started it.
	Execution hayate.ExecutionID
	// Parent selects the children of an execution; NoParent those without one.
	Parent   hayate.ExecutionID
	NoParent bool
	// User selects the executions that this user started, or that count as theirs.
	User string
	// Unverified selects the executions that succeeded without having asserted
	// anything.
	Unverified bool
	// Text is found in the id, references, parameters or data, ignoring case.
	Text string
	// After and Before bound the time of creation or acceptance, both excluded.
	After, Before time.Time
	Ascending     bool
	Offset, Limit int // Limit 0: only Total is wanted; negative: no limit
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	Total int // all that the query selects, without offset and limit
}

// Registry keeps what operators register and change: packs, rules made by API,
// enabled or disabled resources, configs, tokens. Every write has a revision
// that grows by one.
type Registry interface {
	// Put stores documents, replacing those of the same kind and ref, and returns
	// the new revision. A document with Expect set is refused with ErrConflict
	// unless it exists at just that revision (-1: unless it does not exist).
	Put(ctx context.Context, docs ...Document) (int64, error)
	// Delete removes documents; those that do not exist are ignored.
	Delete(ctx context.Context, keys ...DocumentKey) (int64, error)
	// List returns the documents of a kind ("" for all) changed after a revision
	// (0 for all), ordered by revision, and the newest revision. Removed ones
	// appear with Deleted set when since is not 0.
	List(ctx context.Context, kind string, since int64) ([]Document, int64, error)
	// Wait returns once the newest revision is greater than since.
	Wait(ctx context.Context, since int64) error
}

// DocumentKey names a registered document.
type DocumentKey struct {
	Kind string // "pack", "rule", "action", "trigger", "config", "token", "setting"
	Ref  string
}

// Document is something registered.
type Document struct {
	DocumentKey
	Body     json.RawMessage
	Revision int64
	Expect   *int64 `json:"-"`
	Deleted  bool
}

// Datastore is StackStorm's key-value store.
type Datastore interface {
	// Get returns the values of those keys that exist and have not expired at now.
	Get(ctx context.Context, now time.Time, keys ...Key) (map[Key]Item, error)
	// Set stores a value, replacing the one that was there.
	Set(ctx context.Context, k Key, it Item) error
	// Delete removes a key: ErrNotFound where there is none.
	Delete(ctx context.Context, k Key) error
	// Keys lists keys with a prefix in order of scope, user and name.
	Keys(ctx context.Context, now time.Time, q KeyQuery) ([]Pair, error)
}

// Key names a value. Scope is "system" or "user"; User is set for the latter.
type Key struct {
	Scope, User, Name string
}

// Item is a stored value.
type Item struct {
	Value   string    `json:"value"`
	Secret  bool      `json:"secret,omitempty"` // Value is sealed
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
}

// Pair is a key with its value.
type Pair struct {
	Key
	Item
}

// KeyQuery selects keys.
type KeyQuery struct {
	Scope  string // "" for all
	User   string // of user-scoped keys; "" for all
	Prefix string
	Offset int
	Limit  int // negative: no limit
}

// Leases let one of several processes do what must be done once.
type Leases interface {
	// Acquire takes the lease for owner until the given time and returns its
	// fencing token, which grows with every change of owner; or extends it when
	// owner holds it already (same token). ErrConflict while another holds it.
	Acquire(ctx context.Context, name, owner string, now, until time.Time) (token int64, err error)
	// Release gives the lease up; it is nothing to release what one does not hold.
	Release(ctx context.Context, name, owner string) error
}

// Timers keeps what timers must remember over restarts. Writers are fenced: each
// carries the token of the lease under which it ticks.
type Timers interface {
	// TimerStates returns the states, ordered by ID.
	TimerStates(ctx context.Context) ([]TimerState, error)
	// PutTimers stores states, each replacing the one of its ID; the same twice is
	// fine. ErrConflict says that a state was written under a greater token: it
	// stays, and whether the others of the call were stored is open.
	PutTimers(ctx context.Context, states ...TimerState) error
	// DropTimers forgets timers. Those that are not there, or were written under a
	// greater token, are ignored.
	DropTimers(ctx context.Context, token int64, ids ...string) error
}

// TimerState is what is remembered of a timer. Times are whole microseconds.
type TimerState struct {
	ID     string    `json:"id"`
	Token  int64     `json:"token"`  // of the lease under which it was written
	Anchor time.Time `json:"anchor"` // when the timer was begun: intervals are counted from it
	Done   time.Time `json:"done"`   // ticks up to here have been dealt with
	// Last is the newest tick that became an event; zero where none did.
	Last time.Time `json:"last,omitzero"`
}

// Blobs keep large payloads, results and pack bundles by content.
type Blobs interface {
	// Put stores the bytes and returns their reference; the same bytes twice are
	// stored once.
	Put(ctx context.Context, r io.Reader) (hayate.BlobRef, error)
	// Get returns the bytes, or ErrNotFound.
	Get(ctx context.Context, hash string) (io.ReadCloser, error)
	// Delete removes them; it is nothing to remove what is not there.
	Delete(ctx context.Context, hash string) error
}

// Upkeep is what an operator does to a store.
type Upkeep interface {
	// Purge removes finished history that is older than q.Before or exceeds
	// q.Keep, oldest first, at most q.Limit things, and returns how many. It
	// never touches unfinished work: an event, its firings and all executions of
	// its tree go together. The keys of purged events are kept until
	// q.ForgetKeys, so that a late redelivery is still known.
	Purge(ctx context.Context, q PurgeQuery) (int, error)
	// Stats counts what is there.
	Stats(ctx context.Context) (Stats, error)
	// Check looks for damage and for anything that contradicts itself, and returns
	// a line for each finding.
	Check(ctx context.Context) ([]string, error)
	// Backup writes a consistent copy while the store is in use, to a path that
	// must not exist (embedded), or returns ErrInvalid where the server's own
	// tools do it.
	Backup(ctx context.Context, path string) error
}

// PurgeQuery bounds a purge.
type PurgeQuery struct {
	Before     time.Time // remove what ended or was accepted earlier
	Keep       int       // most finished events and executions to keep; 0: no bound
	ForgetKeys time.Time // forget keys of events accepted earlier
	Limit      int
}

// Stats are the counts of a store.
type Stats struct {
	Engine     string           `json:"engine"`
	Bytes      int64            `json:"bytes"` // on disk, 0 where unknown
	Events     int64            `json:"events"`
	Firings    int64            `json:"firings"`
	Executions map[string]int64 `json:"executions"` // by status
	Keys       int64            `json:"keys"`
	Blobs      int64            `json:"blobs"`
	Oldest     time.Time        `json:"oldest,omitzero"`
	Commits    int64            `json:"commits"` // durable commits since start
	Writes     int64            `json:"writes"`  // changes that shared them
}

// Secrets seals values that must not lie open in store or queue.
type Secrets interface {
	// Seal encrypts a text; two calls give different results.
	Seal(plain string) (string, error)
	// Open decrypts what Seal gave, with any key that is still known: ErrInvalid
	// for anything else.
	Open(sealed string) (string, error)
}

// Runner performs attempts of actions in one way.
type Runner interface {
	// Describe returns the runner types it serves.
	Describe() []hayate.Runner
	// Run performs one attempt and returns when nothing of it is left running.
	// Lines of output go to out as they appear. When ctx ends, the attempt is
	// stopped and the status is canceled. An error says that the runner itself
	// could not work; the execution then fails with it.
	Run(ctx context.Context, t hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error)
}

// Store is what one database offers: all ports of one technology.
type Store interface {
	Journal
	Claims
	History
	States
	Upkeep
	Gates
	// Dispatched tells that executions reached their queue, so that the sweeper
	// leaves them alone. It need not be durable before it returns.
	Dispatched(ctx context.Context, ids ...hayate.ExecutionID) error
	// Close stops the store; calls that wait end with ErrBusy. Twice is fine.
	Close() error
}
