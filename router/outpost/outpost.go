// Package outpost is a worker that never touches a store: it receives tasks for its
// tag, claims them by messages, performs them, and says what came of it. All it
// needs to survive is its spool: whatever it has claimed is written there until the
// end of it was answered, so that neither a broker that is away nor its own death
// loses a result or repeats an effect.
package outpost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/remote"
)

// Spool keeps entries over the death of the process. Its methods return once their
// effect is durable, and may be called from many goroutines.
type Spool interface {
	// Put stores an entry, replacing the one of the same claim.
	Put(e Entry) error
	// Drop removes the entry of a claim; it is nothing to remove what is not there.
	Drop(claim string) error
	// All returns the entries, in no certain order.
	All() ([]Entry, error)
}

// State is how far an attempt has come.
type State string

// The states of an entry.
const (
	Claiming State = "claiming" // asked for, and perhaps granted: nothing was begun
	Begun    State = "begun"    // granted, and the runner may have started
	Done     State = "done"     // it ended: Result has yet to be told
)

// Entry is what a spool keeps of one claim.
type Entry struct {
	State     State              `json:"state"`
	Claim     string             `json:"claim"`
	Execution hayate.ExecutionID `json:"execution"`
	// Token is the task's while claiming, then the attempt's.
	Token   string         `json:"token"`
	Attempt int            `json:"attempt,omitempty"`
	Worker  string         `json:"worker"` // who holds it, in full
	Result  *hayate.Result `json:"result,omitempty"`
	At      time.Time      `json:"at,omitzero"` // when it ended
}

// Config is what a Worker needs. Queue, Client, Spool and Targets are required.
type Config struct {
	Queue   router.Queue
	Client  *remote.Client
	Spool   Spool
	Targets []string
	Runners []router.Runner
	// Pack returns the folder of a pack of a digest, and makes it where it is missing;
	// digest "" is a pack of the binary.
	Pack func(ctx context.Context, g *remote.Granted) (dir string, err error)
	// Workers bounds the attempts performed at once. Default 8.
	Workers int
	// ClaimWait bounds how long a task waits for its claim to be answered before it
	// is given back. Default 20 s.
	ClaimWait time.Duration
	// HeartbeatEvery is how often the holds are extended, and it is heard whether
	// anybody canceled; three times a lease where that is more often. Default 10 s.
	HeartbeatEvery time.Duration
	// OnLost is called for each attempt that died with an earlier process of this
	// worker, so that leftovers can be ended. Default: nothing.
	OnLost func(hayate.ExecutionID)
	Log    *slog.Logger // default: silence
	Now    func() time.Time
}

// Worker performs tasks.
type Worker struct {
	c       Config
	runners map[string]bound
	active  active
	lease   atomic.Int64  // the shortest that was granted, in nanoseconds; 0: none yet
	deliver chan struct{} // a token in it: the spool has something to tell
}

type bound struct {
	router.Runner
	asserts bool
}

// New returns a Worker, or an error that names everything missing. It starts nothing.
func New(c Config) (*Worker, error) {
	var errs []error
	for what, missing := range map[string]bool{"Queue": c.Queue == nil, "Client": c.Client == nil, "Spool": c.Spool == nil, "Targets": len(c.Targets) == 0} {
		if missing {
			errs = append(errs, fmt.Errorf("outpost: %s is missing: %w", what, hayate.ErrInvalid))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Pack == nil {
		c.Pack = func(context.Context, *remote.Granted) (string, error) { return "", nil }
	}
	if c.Workers == 0 {
		c.Workers = 8
	}
	if c.ClaimWait == 0 {
		c.ClaimWait = 20 * time.Second
	}
	if c.HeartbeatEvery == 0 {
		c.HeartbeatEvery = 10 * time.Second
	}
	if c.OnLost == nil {
		c.OnLost = func(hayate.ExecutionID) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	w := &Worker{c: c, runners: map[string]bound{}, active: active{m: map[string]*running{}, asking: map[string]bool{}}, deliver: make(chan struct{}, 1)}
	for _, r := range c.Runners {
		for _, d := range r.Describe() {
			for _, name := range append([]string{d.Name}, d.Aliases...) {
				w.runners[name] = bound{r, d.Asserts}
			}
		}
	}
	return w, nil
}

func (w *Worker) now() time.Time { return w.c.Now().UTC().Truncate(time.Microsecond) }

// Running is the number of attempts that are being performed.
func (w *Worker) Running() int { return len(w.active.list()) }

// Run tells what an earlier process left in the spool and performs tasks until ctx
// ends. Then it takes no more, waits until the running attempts have ended or drain
// has passed, stops the rest, and tells what it can within a moment; what it cannot
// stays in the spool for the next process.
func (w *Worker) Run(ctx context.Context, drain time.Duration) error {
	w.recover()
	telling, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTelling()
	var tellers sync.WaitGroup
	tellers.Go(func() { w.tellAll(telling) })
	tellers.Go(func() { w.keepAlive(telling) })

	g, gctx := errgroup.WithContext(ctx)
	for range w.c.Workers {
		g.Go(func() error { return w.work(gctx) })
	}
	<-gctx.Done()
	stopping := time.AfterFunc(drain, w.active.stopAll)
	defer stopping.Stop()
	err := g.Wait()
	w.lastWords()
	stopTelling()
	tellers.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// lastWait bounds how long a worker that stops waits for the last answers.
const lastWait = 3 * time.Second

// lastWords waits until the spool is empty, but not long.
func (w *Worker) lastWords() {
	over := time.NewTimer(lastWait)
	defer over.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := w.c.Spool.All()
		if err != nil || len(left) == 0 {
			return
		}
		select {
		case <-over.C:
			w.c.Log.Warn("stopping with results that could not be told yet; the next process of this worker tells them", "results", len(left))
			return
		case <-tick.C:
		}
	}
}

// work performs tasks, one after the other, until ctx ends.
func (w *Worker) work(ctx context.Context) error {
	for {
		d, err := w.c.Queue.Receive(ctx, w.c.Targets...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			w.c.Log.Error("receive task", "err", err)
			if !pause(ctx, time.Second) {
				return ctx.Err()
			}
			continue
		}
		w.take(ctx, d)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
