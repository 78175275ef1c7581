package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/inquirer"
)

// process is one life of a router: from its start until it is dropped. Once it
// is dead nothing it still does reaches the world.
type process struct {
	w     *world
	slot  *slot
	r     *router.Router
	queue *queue
	stop  context.CancelFunc
	done  chan struct{} // closed once Run has returned
	gone  chan struct{} // closed by a crash

	mu       sync.Mutex
	dead     bool
	cutUntil time.Time
}

// slot is where one process at a time lives.
type slot struct {
	name string

	mu    sync.Mutex
	skew  time.Duration
	lives int
	p     *process // nil while there is none
}

func (s *slot) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p
}

func (p *process) now() time.Time { return p.slot.now() }

func (s *slot) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

func (p *process) unreachable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead || time.Now().Before(p.cutUntil)
}

func (p *process) cutOff(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutUntil = time.Now().Add(d)
}

// crash ends the process at once. Twice is fine.
func (p *process) crash() {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return
	}
	p.dead = true
	p.mu.Unlock()
	p.stop()
	p.queue.end()
	close(p.gone)
}

// launch starts the next life of a slot.
func (w *world) launch(s *slot) *process {
	s.mu.Lock()
	s.lives++
	name := fmt.Sprintf("%s%d", s.name, s.lives)
	s.mu.Unlock()
	p := &process{w: w, slot: s, done: make(chan struct{}), gone: make(chan struct{})}
	inner := w.queue
	if w.sole {
		// The queue of the embedded mode dies with its process.
		inner = memory.NewQueue(memory.QueueConfig{Now: s.now})
	}
	p.queue = &queue{Queue: inner, p: p, open: map[int]router.Delivery{}}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	c := router.Config{Store: &store{Store: w.store, p: p, queued: map[hayate.ExecutionID]bool{}}, Queue: p.queue,
		Registry: registry{w.registry, p}, Datastore: datastore{w.data, p}, Blobs: blobs{w.blobs, p},
		Secrets: noSecrets{}, Runners: []router.Runner{runner{p}, inquirer.New()}, RunnerTypes: []hayate.Runner{{Name: "orquesta"}},
		Worker: name, Workers: 3, SoleOwner: w.sole, Lease: lease, SweepEvery: 5 * time.Second, Retention: -1, InlineResult: inline,
		Now: s.now, NewID: w.newID}
	if w.leases != nil {
		c.Leases = leases{w.leases, p}
	}
	if w.themes[timers] {
		c.Timers = timerStates{w.timers, p}
	}
	r, err := router.New(c)
	if err == nil {
		err = r.Load(ctx, w.content)
	}
	if err != nil && !errors.Is(err, errWorld) {
		w.observed.fail("process %s does not start: %v", name, err)
	}
	p.r = r
	w.running.Go(func() {
		defer close(p.done)
		// A process that cannot load its content, or recover, ends and is started again.
		if err == nil {
			_ = r.Run(ctx, drain)
		}
		if w.sole {
			inner.Close()
		}
	})
	if err != nil {
		p.crash()
		return p
	}
	s.mu.Lock()
	s.p = p
	s.mu.Unlock()
	return p
}

// supervise starts a slot's process again whenever it has ended.
func (w *world) supervise(ctx context.Context, s *slot) {
	for ctx.Err() == nil {
		p := w.launch(s)
		select {
		case <-p.gone:
		case <-p.done:
		case <-ctx.Done():
			p.stop()
			<-p.done
		}
		s.mu.Lock()
		s.p = nil
		lives := s.lives
		s.mu.Unlock()
		pauseFor(ctx, time.Duration(w.plan.random(fmt.Sprintf("pause %s %d", s.name, lives)).IntN(3000))*time.Millisecond)
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// strike lets the timed faults of a slot happen.
func (w *world) strike(ctx context.Context, s *slot, kind faultKind, number int) {
	for _, f := range w.plan.timed(kind, number) {
		pauseFor(ctx, f.at-time.Since(w.plan.start))
		if ctx.Err() != nil {
			return
		}
		w.plan.note(f.fault)
		p := s.current()
		switch {
		case kind == jump:
			s.mu.Lock()
			s.skew += f.d
			s.mu.Unlock()
			w.observed.setApart(!w.sole)
		case p == nil:
		case kind == restart:
			p.stop()
		case kind == kill:
			p.crash()
		}
	}
}

// noSecrets leaves everything readable.
type noSecrets struct{}

func (noSecrets) Seal(s string) (string, error) { return "open:" + s, nil }
func (noSecrets) Open(s string) (string, error) { return strings.TrimPrefix(s, "open:"), nil }
