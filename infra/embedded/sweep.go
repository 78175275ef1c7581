package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// Sweep implements router.Journal. An execution that is in a queue of this
// process is not returned; one that this process has just stored is left to its
// caller until StaleAfter; what an earlier process left is returned at once.
func (s *Store) Sweep(ctx context.Context, q router.SweepQuery) (router.Swept, error) {
	var out router.Swept
	if err := s.readable(ctx); err != nil {
		return out, fmt.Errorf("sweep: %w", err)
	}
	memory := s.live.volatiles()
	now := q.Now.UnixMicro()
	stale := q.Now.Add(-q.StaleAfter).UnixMicro()
	err := s.eachDuty(ctx, record.Dispatch, now, func(r *row, due int64) bool {
		if _, claimed := memory[r.ID]; claimed {
			return true
		}
		switch s.live.where(r.ID) {
		case queued:
			return true
		case stored:
			if due > stale {
				return true
			}
		}
		out.Dispatch = append(out.Dispatch, r.Execution)
		return len(out.Dispatch) < q.Limit
	})
	if err == nil {
		err = s.eachDuty(ctx, record.Lease, now, func(r *row, _ int64) bool {
			if _, newer := memory[r.ID]; !newer {
				out.Lost = append(out.Lost, r.Execution)
			}
			return len(out.Lost) < q.Limit
		})
	}
	if err == nil {
		err = s.eachDuty(ctx, record.Tell, now, func(r *row, _ int64) bool {
			out.Untold = append(out.Untold, r.Execution)
			return len(out.Untold) < q.Limit
		})
	}
	if err == nil {
		out.Due, err = s.dueRuns(ctx, now, q.Limit)
	}
	if err != nil {
		return router.Swept{}, fmt.Errorf("sweep: %w", err)
	}
	for _, r := range memory {
		if duty, at := record.DutyOf(&r.Execution, false); duty == record.Lease && !at.After(q.Now) && len(out.Lost) < q.Limit {
			out.Lost = append(out.Lost, r.Execution)
		}
	}
	return out, nil
}

// eachDuty calls f with the executions that have a duty, the longest due first,
// until it returns false.
func (s *Store) eachDuty(ctx context.Context, d record.Duty, now int64, f func(*row, int64) bool) error {
	rows, err := s.rd.duty.QueryContext(ctx, int(d), now)
	if err != nil {
		return sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	for rows.Next() {
		var due int64
		r, err := scanRow(rows, &due)
		if err != nil {
			return sqlError(err)
		}
		if !f(r, due) {
			return nil
		}
	}
	return sqlError(rows.Err())
}

func (s *Store) dueRuns(ctx context.Context, now int64, limit int) ([]hayate.ExecutionID, error) {
	rows, err := s.rd.due.QueryContext(ctx, now, limit)
	if err != nil {
		return nil, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	var ids []hayate.ExecutionID
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, sqlError(err)
		}
		ids = append(ids, hayate.ExecutionID(idText(id)))
	}
	return ids, sqlError(rows.Err())
}

// Dispatched implements router.Store. What is in a queue is known only in memory:
// the queue has no longer memory either.
func (s *Store) Dispatched(ctx context.Context, ids ...hayate.ExecutionID) error {
	if err := s.ready(ctx); err != nil {
		return fmt.Errorf("mark dispatched: %w", err)
	}
	unknown := s.live.mark(ids, queued)
	if len(unknown) == 0 {
		return nil
	}
	// What an earlier process left must be read first.
	err := s.do(ctx, func(t *tx) error {
		for _, id := range unknown {
			if r, err := t.execution("mark", id); err == nil && r.Status.Claimable() {
				s.live.put(id, queued)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark dispatched: %w", err)
	}
	return nil
}

// micros returns the time for a column, rounded up: nothing is due too early.
func micros(t time.Time) int64 {
	u := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		u++
	}
	return u
}
