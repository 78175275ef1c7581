package simulation_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

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
		rc, err = s.p.w.observed.accept(ctx, s.Store, e, decide)
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
	case len(c.Told) > 0:
		return string(c.Told[0])
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
		x, err = s.p.w.observed.claim(ctx, s.Store, c)
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
		// Only what may still be claimed is marked: it may have been in the meantime.
		page, err := s.Store.Executions(ctx, router.Query{IDs: texts(ids), Limit: -1})
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range page.Items {
			if page.Items[i].Status.Claimable() {
				s.queued[page.Items[i].ID] = true
			}
		}
		return err
	})
}

func (s *store) Executions(ctx context.Context, q router.Query) (page router.Page[hayate.Execution], err error) {
	object := string(q.Parent)
	if len(q.IDs) > 0 {
		object = q.IDs[0]
	}
	err = s.p.call("executions", object, func() (err error) {
		page, err = s.p.w.observed.executions(ctx, s.Store, q)
		return err
	})
	return page, err
}

func (s *store) Events(ctx context.Context, q router.Query) (page router.Page[router.EventRecord], err error) {
	object := ""
	if len(q.IDs) > 0 {
		object = q.IDs[0]
	}
	err = s.p.call("events", object, func() (err error) {
		page, err = s.Store.Events(ctx, q)
		return err
	})
	return page, err
}

func (s *store) States(ctx context.Context, q router.StateQuery) (page router.Page[router.StateRecord], err error) {
	object := s.p.slot.name
	if len(q.Names) > 0 {
		object = string(q.Rule) + " " + q.Names[0]
	}
	err = s.p.call("states", object, func() (err error) {
		page, err = s.Store.States(ctx, q)
		return err
	})
	return page, err
}

func (s *store) ForgetStates(ctx context.Context, q router.StateQuery) (n int, err error) {
	err = s.p.call("forget states", s.p.slot.name, func() (err error) {
		n, err = s.Store.ForgetStates(ctx, q)
		return err
	})
	return n, err
}

func (s *store) Enter(ctx context.Context, gate string, x hayate.ExecutionID, limit int) error {
	return s.p.call("enter", gate+" "+string(x), func() error { return s.Store.Enter(ctx, gate, x, limit) })
}

func (s *store) Holders(ctx context.Context, gate string) (ids []hayate.ExecutionID, err error) {
	err = s.p.call("holders", gate, func() (err error) {
		ids, err = s.Store.Holders(ctx, gate)
		return err
	})
	return ids, err
}

func (s *store) Leave(ctx context.Context, gate string, xs ...hayate.ExecutionID) error {
	return s.p.call("leave", gate+" "+string(xs[0]), func() error { return s.Store.Leave(ctx, gate, xs...) })
}

func texts(ids []hayate.ExecutionID) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	return list
}
