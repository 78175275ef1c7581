package embedded

import (
	"context"
	"fmt"

	"github.com/hayate-run/hayate"
)

// Enter implements router.Gates.
func (s *Store) Enter(ctx context.Context, gate string, x hayate.ExecutionID, limit int) error {
	err := s.do(ctx, func(t *tx) error {
		var held, taken int
		var last int64
		if err := t.st.inGate.QueryRow(gate, idBytes(x)).Scan(&held); err != nil || held > 0 {
			return sqlError(err)
		}
		if err := t.st.gate.QueryRow(gate).Scan(&taken, &last); err != nil {
			return sqlError(err)
		}
		if taken >= limit {
			return fmt.Errorf("%d hold a place, the limit is %d: %w", taken, limit, hayate.ErrConflict)
		}
		_, err := t.exec(t.st.enterGate, gate, idBytes(x), last+1)
		return err
	})
	if err != nil {
		return fmt.Errorf("execution %s enters gate %s: %w", x, gate, err)
	}
	return nil
}

// Leave implements router.Gates.
func (s *Store) Leave(ctx context.Context, gate string, xs ...hayate.ExecutionID) error {
	if len(xs) == 0 {
		return nil
	}
	err := s.do(ctx, func(t *tx) error {
		for _, x := range xs {
			if _, err := t.exec(t.st.leaveGate, gate, idBytes(x)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leave gate %s: %w", gate, err)
	}
	return nil
}

// Holders implements router.Gates.
func (s *Store) Holders(ctx context.Context, gate string) ([]hayate.ExecutionID, error) {
	if err := s.ready(ctx); err != nil {
		return nil, fmt.Errorf("read gate %s: %w", gate, err)
	}
	rows, err := s.rd.holders.QueryContext(ctx, gate)
	if err != nil {
		return nil, fmt.Errorf("read gate %s: %w", gate, sqlError(err))
	}
	defer rows.Close() // rows.Err is asked below
	var out []hayate.ExecutionID
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read gate %s: %w", gate, sqlError(err))
		}
		out = append(out, hayate.ExecutionID(idText(id)))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read gate %s: %w", gate, sqlError(err))
	}
	return out, nil
}
