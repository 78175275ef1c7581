package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Leases keeps leases. It is open as long as its store is.
type Leases struct{ s *Store }

var _ router.Leases = (*Leases)(nil)

// Acquire implements router.Leases.
func (l *Leases) Acquire(ctx context.Context, name, owner string, now, until time.Time) (int64, error) {
	var token int64
	err := l.s.do(ctx, func(t *tx) error {
		var holder string
		var end int64
		token = 0
		err := t.st.lease.QueryRow(name).Scan(&holder, &end, &token)
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return sqlError(err)
		case holder == owner && token > 0:
		case holder != "" && end > now.UnixNano():
			return fmt.Errorf("%s holds it until %s: %w", holder, time.Unix(0, end).UTC().Format(time.RFC3339), hayate.ErrConflict)
		default:
			token++
		}
		_, err = t.exec(t.st.putLease, name, owner, until.UnixNano(), token)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("acquire lease %s: %w", name, err)
	}
	return token, nil
}

// Release implements router.Leases. The row remains, so that the token goes on
// growing.
func (l *Leases) Release(ctx context.Context, name, owner string) error {
	err := l.s.do(ctx, func(t *tx) error {
		var holder string
		var end, token int64
		err := t.st.lease.QueryRow(name).Scan(&holder, &end, &token)
		if errors.Is(err, sql.ErrNoRows) || err == nil && holder != owner {
			return nil
		}
		if err != nil {
			return sqlError(err)
		}
		_, err = t.exec(t.st.putLease, name, "", 0, token)
		return err
	})
	if err != nil {
		return fmt.Errorf("release lease %s: %w", name, err)
	}
	return nil
}
