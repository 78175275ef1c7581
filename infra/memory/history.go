package memory

import (
	"context"
	"slices"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// Executions implements router.History.
func (s *Store) Executions(ctx context.Context, q router.Query) (router.Page[hayate.Execution], error) {
	if err := s.enter(ctx, "list executions"); err != nil {
		return router.Page[hayate.Execution]{}, err
	}
	defer s.mu.Unlock()
	var found []*execution
	for _, id := range s.execList {
		x := s.execs[id]
		if !record.MatchExecution(&q, &x.Execution) {
			continue
		}
		if (q.Type != "" || q.Source != "") && !s.cameFrom(&q, x.Event) {
			continue
		}
		found = append(found, x)
	}
	return page(&q, found, func(x *execution) hayate.Execution { return clone(x.Execution) }), nil
}

func (s *Store) cameFrom(q *router.Query, id hayate.EventID) bool {
	r, ok := s.events[id]
	return ok && (q.Type == "" || q.Type == r.Event.Type) && (q.Source == "" || q.Source == r.Event.Source)
}

// Events implements router.History.
func (s *Store) Events(ctx context.Context, q router.Query) (router.Page[router.EventRecord], error) {
	if err := s.enter(ctx, "list events"); err != nil {
		return router.Page[router.EventRecord]{}, err
	}
	defer s.mu.Unlock()
	var found []*router.EventRecord
	for _, id := range s.eventList {
		if r := s.events[id]; record.MatchEvent(&q, r) {
			found = append(found, r)
		}
	}
	return page(&q, found, cloneRecord), nil
}

// Firings implements router.History.
func (s *Store) Firings(ctx context.Context, q router.Query) (router.Page[hayate.Firing], error) {
	if err := s.enter(ctx, "list firings"); err != nil {
		return router.Page[hayate.Firing]{}, err
	}
	defer s.mu.Unlock()
	var found []hayate.Firing
	for _, id := range s.eventList {
		r := s.events[id]
		for i := range r.Firings {
			if record.MatchFiring(&q, r, &r.Firings[i]) {
				found = append(found, r.Firings[i])
			}
		}
	}
	return page(&q, found, func(f hayate.Firing) hayate.Firing { return f }), nil
}

// page cuts what a query asks for from all it selects, oldest first.
func page[T, E any](q *router.Query, found []E, get func(E) T) router.Page[T] {
	p := router.Page[T]{Total: len(found)}
	if !q.Ascending {
		slices.Reverse(found)
	}
	from, to := record.Window(q.Offset, q.Limit, len(found))
	for _, e := range found[from:to] {
		p.Items = append(p.Items, get(e))
	}
	return p
}

// Lines implements router.History.
func (s *Store) Lines(ctx context.Context, id hayate.ExecutionID, after int64, limit int) ([]hayate.OutputLine, error) {
	if err := s.enter(ctx, "list output"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	have := s.lines[id]
	from := slices.IndexFunc(have, func(l hayate.OutputLine) bool { return l.Seq > after })
	if from < 0 {
		return nil, nil
	}
	_, to := record.Window(from, limit, len(have))
	return slices.Clone(have[from:to]), nil
}
