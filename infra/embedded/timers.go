package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Timers keeps what timers remember. It is open as long as its store is.
type Timers struct{ s *Store }

var _ router.Timers = (*Timers)(nil)

// TimerStates implements router.Timers.
func (k *Timers) TimerStates(ctx context.Context) ([]router.TimerState, error) {
	if err := k.s.ready(ctx); err != nil {
		return nil, fmt.Errorf("read timers: %w", err)
	}
	rows, err := k.s.rd.timers.QueryContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read timers: %w", sqlError(err))
	}
	defer rows.Close()
	var out []router.TimerState
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("read timers: %w", sqlError(err))
		}
		var st router.TimerState
		if err := json.Unmarshal(body, &st); err != nil {
			return nil, fmt.Errorf("read timers: %w: %w", errDamaged, err)
		}
		out = append(out, st)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read timers: %w", sqlError(err))
	}
	return out, nil
}

// PutTimers implements router.Timers: in one commit.
func (k *Timers) PutTimers(ctx context.Context, states ...router.TimerState) error {
	err := k.s.do(ctx, func(t *tx) error {
		for i := range states {
			st := &states[i]
			var have int64
			err := t.st.timer.QueryRow(st.ID).Scan(&have)
			switch {
			case err != nil && !errors.Is(err, sql.ErrNoRows):
				return sqlError(err)
			case have > st.Token:
				return fmt.Errorf("%s: token %d comes after %d: %w", st.ID, st.Token, have, hayate.ErrConflict)
			}
			body, err := json.Marshal(st)
			if err != nil {
				return fmt.Errorf("%s: %v: %w", st.ID, err, hayate.ErrInvalid)
			}
			if _, err := t.exec(t.st.putTimer, st.ID, st.Token, body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store timers: %w", err)
	}
	return nil
}

// DropTimers implements router.Timers.
func (k *Timers) DropTimers(ctx context.Context, token int64, ids ...string) error {
	err := k.s.do(ctx, func(t *tx) error {
		for _, id := range ids {
			if _, err := t.exec(t.st.dropTimer, id, token); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget timers: %w", err)
	}
	return nil
}
