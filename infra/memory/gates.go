package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/hayate-run/hayate"
)

// Enter implements router.Gates.
func (s *Store) Enter(ctx context.Context, gate string, x hayate.ExecutionID, limit int) error {
	if err := s.enter(ctx, "enter gate "+gate); err != nil {
		return err
	}
	defer s.mu.Unlock()
	in := s.gates[gate]
	switch {
	case slices.Contains(in, x):
		return nil
	case len(in) >= limit:
		return fmt.Errorf("execution %s enters gate %s: %d hold a place, the limit is %d: %w", x, gate, len(in), limit, hayate.ErrConflict)
	}
	s.gates[gate] = append(in, x)
	s.writes++
	return nil
}

// Holders implements router.Gates.
func (s *Store) Holders(ctx context.Context, gate string) ([]hayate.ExecutionID, error) {
	if err := s.enter(ctx, "read gate "+gate); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return slices.Clone(s.gates[gate]), nil
}

// Leave implements router.Gates.
func (s *Store) Leave(ctx context.Context, gate string, xs ...hayate.ExecutionID) error {
	if err := s.enter(ctx, "leave gate "+gate); err != nil {
		return err
	}
	defer s.mu.Unlock()
	left := slices.DeleteFunc(s.gates[gate], func(x hayate.ExecutionID) bool { return slices.Contains(xs, x) })
	if len(left) == 0 {
		delete(s.gates, gate)
	} else {
		s.gates[gate] = left
	}
	s.writes++
	return nil
}
