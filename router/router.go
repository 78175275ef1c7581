package router

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/rules"
)

// StackStorm's built-in triggers that the router itself has to do with.
const (
	TriggerWebhook = "core.st2.webhook"
	TriggerAction  = "core.st2.generic.actiontrigger"
)

// Config is what a Router needs. Store, Queue, Registry, Datastore, Blobs and
// Secrets are required.
type Config struct {
	Store     Store
	Queue     Queue
	Registry  Registry
	Datastore Datastore
	Blobs     Blobs
	Secrets   Secrets
	Runners   []Runner
	// RunnerTypes describe runners that actions may name whether or not this
	// process has them: their parameters are checked, and the execution fails with
	// a clear message where nobody can run it.
	RunnerTypes []hayate.Runner
	Log         *slog.Logger // default: silence

	// Worker names this process; it must differ between processes and restarts.
	// Default: a random name.
	Worker string
	// Workers bounds the attempts performed at once. Default 32; negative: none,
	// this process only routes.
	Workers int
	// Targets are what this process performs. Default: "" (local).
	Targets []string
	// SoleOwner says that no other process works on the store: all attempts that
	// are running when Run starts were lost with the process before.
	SoleOwner bool
	// Leases let one of several processes sweep at a time, and timers tick. Default:
	// this one does, whoever else may.
	Leases Leases
	// Timers remembers the ticks of timers. Without it they do not tick.
	Timers Timers
	// SharedQueue says that the queue outlives this process and is shared with
	// others: what was dispatched is in it, unless it lost it.
	SharedQueue bool
	// NoUpkeep says that this process begins no workflows, sweeps and purges nothing:
	// others do.
	NoUpkeep bool
	// Frozen says that this process stands still, or ends, between the calls of its
	// methods, as a function does: Run is not used, and wakes of runs are put into
	// the queue rather than kept in memory. Somebody must call Tick now and then.
	Frozen bool
	// User is who executions of rules run as. Default "stanley", as in StackStorm.
	User string
	// Lease is how long an attempt may go without a heartbeat. Default 30 s.
	Lease time.Duration
	// SweepEvery is the pause between sweeps. Default 5 s.
	SweepEvery time.Duration
	// MaxBacklog bounds the executions that wait; beyond it Accept answers
	// ErrBusy. Default 100 000.
	MaxBacklog int
	// MaxEvent bounds an event's data in bytes. Default 1 MiB.
	MaxEvent int
	// InlineResult bounds the results kept inline, in bytes. Default 256 KiB.
	InlineResult int
	// Retention says how long finished history is kept. Default 30 days; negative:
	// for ever.
	Retention time.Duration
	// RetainCount bounds the finished events and executions kept. Default 0: no bound.
	RetainCount int
	// Zone is the time zone of timers that name none. Default UTC.
	Zone *time.Location
	// TimerMisfire says what becomes of ticks that were missed while nothing ran,
	// where the timer does not say it. Default cron.Skip.
	TimerMisfire cron.Misfire
	// TimerGrace is how late a tick may come and still count as in time. Default 1 minute.
	TimerGrace time.Duration
	// Spare says for how long an attempt is spared though its lease ran out, since its
	// worker may only be cut off: 0 for one that is lost. Default: none is spared.
	Spare func(*hayate.Execution) time.Duration
	// OnLost is called for each attempt of this host whose worker died, before
	// the execution is settled, so that leftovers can be ended. Default: nothing.
	OnLost func(hayate.Execution)
	// Left names the executions of which this host still has processes when Run
	// starts: the claims of idempotent ones may have been in memory only. Those that
	// are not over are told to OnLost before anything is attempted. Default: none.
	Left func() []hayate.ExecutionID
	// Now and NewID are the only sources of time and randomness.
	Now   func() time.Time
	NewID func() string
}

// Router takes events in, decides on them, hands out tasks and settles results.
// All methods may be called at the same time.
type Router struct {
	store     Store
	queue     Queue
	registry  Registry
	data      Datastore
	blobs     Blobs
	secrets   Secrets
	log       *slog.Logger
	cfg       Config
	renderer  *render.Renderer
	runners   map[string]boundRunner
	scratches sync.Pool // *rules.Scratch

	loading sync.Mutex // guards content, rebuild and building a catalog
	content Content
	rebuild rebuild
	cat     atomic.Pointer[catalog]

	active      activeAttempts
	recorders   recorders
	runs        runs
	waiters     waiters
	definitions definitions
	closing     atomic.Bool   // Run has ended: timers fire no more
	nudged      chan struct{} // a token in it: sweep now
	leading     atomic.Bool   // this process holds the sweeper's lease
	// timersChanged wakes the loop of the timers.
	timersChanged chan struct{}
	past          past // the store, but for a rehearsal
	alarm         alarm
	stateless     atomic.Bool // no rule has a past, and nothing is left of any
	metrics       Metrics
}

// New returns a Router, or an error that names everything missing. It starts
// nothing.
func New(c Config) (*Router, error) {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("router: %s is missing: %w", what, hayate.ErrInvalid))
		}
	}
	need(c.Store != nil, "Store")
	need(c.Queue != nil, "Queue")
	need(c.Registry != nil, "Registry")
	need(c.Datastore != nil, "Datastore")
	need(c.Blobs != nil, "Blobs")
	need(c.Secrets != nil, "Secrets")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.setDefaults()
	r := &Router{store: c.Store, queue: c.Queue, registry: c.Registry, data: c.Datastore, blobs: c.Blobs,
		secrets: c.Secrets, past: c.Store, log: c.Log, cfg: c, runners: map[string]boundRunner{},
		renderer: render.New(c.Secrets.Open)}
	for _, impl := range append(slices.Clone(c.Runners), publisher{r}) {
		for _, d := range impl.Describe() {
			for _, name := range append([]string{d.Name}, d.Aliases...) {
				if _, twice := r.runners[name]; twice {
					errs = append(errs, fmt.Errorf("router: runner %s is given twice: %w", name, hayate.ErrInvalid))
				}
				r.runners[name] = boundRunner{d, impl}
			}
		}
	}
	for _, d := range c.RunnerTypes {
		for _, name := range append([]string{d.Name}, d.Aliases...) {
			if _, has := r.runners[name]; !has {
				r.runners[name] = boundRunner{d, nil}
			}
		}
	}
	r.scratches.New = func() any { return rules.NewScratch() }
	r.active.init()
	r.alarm.init()
	r.rebuild.init()
	r.recorders.init()
	r.nudged = make(chan struct{}, 1)
	r.timersChanged = make(chan struct{}, 1)
	cat, err := r.build(Content{}, nil)
	if err != nil {
		errs = append(errs, err)
	}
	r.cat.Store(cat)
	return r, errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = randomID
	}
	if c.Worker == "" {
		c.Worker = "w-" + randomHex(8)
	}
	setDefault(&c.Workers, 32)
	if len(c.Targets) == 0 {
		c.Targets = []string{""}
	}
	if !c.NoUpkeep && !slices.Contains(c.Targets, targetWorkflow) {
		c.Targets = append(slices.Clone(c.Targets), targetWorkflow)
	}
	setDefault(&c.User, "stanley")
	setDefault(&c.Lease, 30*time.Second)
	setDefault(&c.SweepEvery, 5*time.Second)
	setDefault(&c.MaxBacklog, 100_000)
	setDefault(&c.MaxEvent, 1<<20)
	setDefault(&c.InlineResult, 256<<10)
	setDefault(&c.Retention, 30*24*time.Hour)
	setDefault(&c.Zone, time.UTC)
	setDefault(&c.TimerMisfire, cron.Skip)
	setDefault(&c.TimerGrace, time.Minute)
	if c.OnLost == nil {
		c.OnLost = func(hayate.Execution) {}
	}
	if c.Left == nil {
		c.Left = func() []hayate.ExecutionID { return nil }
	}
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func randomID() string { return randomHex(16) }

// now is the router's clock: UTC, microseconds.
func (r *Router) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Microsecond) }

// Run recovers what an earlier process left, then performs attempts, sweeps and
// purges until ctx ends. Then it takes no more work, waits until the running
// attempts have ended or drain has passed, abandons the rest, and returns.
func (r *Router) Run(ctx context.Context, drain time.Duration) error {
	if err := r.Recover(ctx); err != nil {
		return err
	}
	r.recorders.begin()
	g, gctx := errgroup.WithContext(ctx)
	for range max(r.cfg.Workers, 0) {
		g.Go(func() error { return r.work(gctx) })
	}
	g.Go(func() error { return r.keepAlive(gctx) })
	g.Go(func() error { return r.rebuildLoop(gctx) })
	if !r.cfg.NoUpkeep {
		g.Go(func() error { return r.sweepLoop(gctx) })
		g.Go(func() error { return r.wakeLoop(gctx) })
		g.Go(func() error { return r.purgeLoop(gctx) })
		g.Go(func() error { return r.timerLoop(gctx) })
	}
	if !r.cfg.SoleOwner {
		g.Go(func() error { return r.followRegistry(gctx) })
	}
	<-gctx.Done()
	stopping := time.AfterFunc(drain, r.active.stopAll)
	defer stopping.Stop()
	err := g.Wait()
	r.recorders.end()
	r.closing.Store(true)
	if errors.Is(err, context.Canceled) || errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return err
}
