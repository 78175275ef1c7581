package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// execution returns a stored execution, or ErrNotFound.
func (s *Store) execution(act string, id hayate.ExecutionID) (*execution, error) {
	x, ok := s.execs[id]
	if !ok {
		return nil, fmt.Errorf("%s execution %s: %w", act, id, hayate.ErrNotFound)
	}
	return x, nil
}

// Claim implements router.Claims.
func (s *Store) Claim(ctx context.Context, c router.Claim) (hayate.Execution, error) {
	if err := s.enter(ctx, "claim"); err != nil {
		return hayate.Execution{}, err
	}
	defer s.mu.Unlock()
	x, err := s.execution("claim", c.Execution)
	if err != nil {
		return hayate.Execution{}, err
	}
	if err := record.Claim(&x.Execution, c); err != nil {
		return hayate.Execution{}, err
	}
	x.dispatched = false
	s.writes++
	return clone(x.Execution), nil
}

// Heartbeat implements router.Claims.
func (s *Store) Heartbeat(ctx context.Context, h router.Hold, until time.Time) (router.Signal, error) {
	if err := s.enter(ctx, "heartbeat"); err != nil {
		return router.Signal{}, err
	}
	defer s.mu.Unlock()
	x, err := s.execution("hold", h.Execution)
	if err != nil {
		return router.Signal{}, err
	}
	s.writes++
	return record.Heartbeat(&x.Execution, h, until)
}

// Output implements router.Claims.
func (s *Store) Output(ctx context.Context, h router.Hold, lines []hayate.OutputLine) error {
	if err := s.enter(ctx, "output"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	x, err := s.execution("output of", h.Execution)
	if err != nil {
		return err
	}
	if err := record.Check(&x.Execution, h); err != nil {
		return err
	}
	have := s.lines[h.Execution]
	for _, l := range lines {
		l.Execution, l.Attempt = h.Execution, h.Attempt
		if at, found := slices.BinarySearchFunc(have, l, compareLines); !found {
			have = slices.Insert(have, at, l)
		}
	}
	s.lines[h.Execution] = have
	return nil
}

func compareLines(a, b hayate.OutputLine) int {
	return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Attempt, b.Attempt))
}

// Complete implements router.Claims.
func (s *Store) Complete(ctx context.Context, c router.Completion) error {
	if err := s.enter(ctx, "complete"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := s.checkEnd(&c); err != nil {
		return err
	}
	if c.Step != nil {
		if err := s.check(c.Step); err != nil {
			return fmt.Errorf("complete execution %s: %w", c.Execution, err)
		}
	}
	s.end(&c)
	if c.Step != nil {
		s.execs[c.Execution].told = true
		s.apply(c.Step)
	}
	s.writes++
	return nil
}

// checkEnd returns ErrConflict where a completion is stale.
func (s *Store) checkEnd(c *router.Completion) error {
	x, err := s.execution("complete", c.Execution)
	if err != nil {
		return err
	}
	next := clone(x.Execution)
	return record.Complete(&next, *c)
}

// end writes a completion that was checked. Named twice in a change, an attempt
// ends once.
func (s *Store) end(c *router.Completion) {
	x := s.execs[c.Execution]
	next := clone(x.Execution)
	if record.Complete(&next, *c) == nil {
		x.Execution, x.told = next, false
	}
}
