package simulation_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// errWorld is what a struck call returns: neither kind of error that says that
// nothing happened, so the outcome is unknown.
var errWorld = errors.New("simulated failure")

// call does something to the outside world on behalf of a process, unless the
// process is dead or cut off, and lets a fault strike it.
func (p *process) call(call, object string, effect func() error) error {
	f, _ := p.w.plan.next(call, object)
	return p.struck(f, effect)
}

func (p *process) struck(f fault, effect func() error) error {
	if p.unreachable() {
		return errWorld
	}
	switch f.kind {
	case errorBefore:
		return errWorld
	case crashBefore:
		p.crash()
		return errWorld
	case cut:
		p.cutOff(f.d)
		return errWorld
	case slow:
		time.Sleep(f.d / 2)
		if p.unreachable() {
			return errWorld
		}
	}
	err := effect()
	switch f.kind {
	case errorAfter:
		err = errors.Join(err, errWorld)
	case crashAfter:
		p.crash()
		err = errWorld
	case slow:
		time.Sleep(f.d / 2)
		if p.unreachable() {
			err = errWorld
		}
	}
	return err
}

// store is the common store as one process sees it. Where a process owns the
// store, the marks of what is in its queue are its own and die with it, as those
// of the embedded store do.
type store struct {
	router.Store
	p *process

	mu     sync.Mutex
	queued map[hayate.ExecutionID]bool
}

func (s *store) Accept(ctx context.Context, e hayate.Event, decide router.Decide) (rc router.Receipt, err error) {
	err = s.p.call("accept", e.ID, func() (err error) {
		rc, err = s.Store.Accept(ctx, e, decide)
		return err
	})
	return rc, err
}

func (s *store) Commit(ctx context.Context, c router.Change) error {
	return s.p.call("commit", about(&c), func() error { return s.p.w.observed.commit(ctx, s.Store, c) })
}

// about names what a change is about.
func about(c *router.Change) string {
	switch {
	case c.Run != nil:
		return string(c.Run.ID)
	case len(c.Update) > 0:
		return string(c.Update[0].ID)
	case len(c.Complete) > 0:
		return string(c.Complete[0].Execution)
	case len(c.Insert) > 0:
		return string(c.Insert[0].ID)
	}
	return ""
}

func (s *store) Run(ctx context.Context, id hayate.ExecutionID) (run router.Run, err error) {
	err = s.p.call("run", string(id), func() (err error) {
		run, err = s.Store.Run(ctx, id)
		return err
	})
	return run, err
}

func (s *store) Sweep(ctx context.Context, q router.SweepQuery) (sw router.Swept, err error) {
	err = s.p.call("sweep", s.p.slot.name, func() (err error) {
		sw, err = s.Store.Sweep(ctx, q)
		return err
	})
	if err != nil {
		return router.Swept{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sw.Dispatch = slices.DeleteFunc(sw.Dispatch, func(x hayate.Execution) bool { return s.queued[x.ID] })
	return sw, nil
}

func (s *store) Claim(ctx context.Context, c router.Claim) (x hayate.Execution, err error) {
	err = s.p.call("claim", string(c.Execution), func() (err error) {
		x, err = s.Store.Claim(ctx, c)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.queued, c.Execution)
		}
		return err
	})
	return x, err
}

func (s *store) Heartbeat(ctx context.Context, h router.Hold, until time.Time) (sig router.Signal, err error) {
	err = s.p.call("heartbeat", string(h.Execution), func() (err error) {
		sig, err = s.Store.Heartbeat(ctx, h, until)
		return err
	})
	return sig, err
}

func (s *store) Complete(ctx context.Context, c router.Completion) error {
	return s.p.call("complete", string(c.Execution), func() error { return s.p.w.observed.complete(ctx, s.Store, c) })
}

func (s *store) Dispatched(ctx context.Context, ids ...hayate.ExecutionID) error {
	return s.p.call("dispatched", string(ids[0]), func() error {
		if !s.p.w.sole {
			return s.Store.Dispatched(ctx, ids...)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, id := range ids {
			// It may have been claimed already: then it is in no queue any more.
			page, err := s.Store.Executions(ctx, router.Query{IDs: []string{string(id)}, Limit: 1})
			if err != nil {
				return err
			}
			if len(page.Items) > 0 && page.Items[0].Status.Claimable() {
				s.queued[id] = true
			}
		}
		return nil
	})
}

func (s *store) Executions(ctx context.Context, q router.Query) (page router.Page[hayate.Execution], err error) {
	object := string(q.Parent)
	if len(q.IDs) > 0 {
		object = q.IDs[0]
	}
	err = s.p.call("executions", object, func() (err error) {
		page, err = s.Store.Executions(ctx, q)
		return err
	})
	return page, err
}
