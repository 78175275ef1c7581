package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Leases keeps leases.
type Leases struct {
	mu     sync.Mutex
	leases map[string]lease
	closed bool
}

var _ router.Leases = (*Leases)(nil)

// lease remains when it is released, so that its token goes on growing.
type lease struct {
	owner string // "" while nobody holds it
	until time.Time
	token int64
}

// NewLeases returns a keeper of no leases.
func NewLeases() *Leases { return &Leases{leases: map[string]lease{}} }

func (l *Leases) enter(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return fmt.Errorf("%s: the leases are closed: %w", act, hayate.ErrBusy)
	}
	return nil
}

// Acquire implements router.Leases.
func (l *Leases) Acquire(ctx context.Context, name, owner string, now, until time.Time) (int64, error) {
	if err := l.enter(ctx, "acquire lease "+name); err != nil {
		return 0, err
	}
	defer l.mu.Unlock()
	le := l.leases[name]
	switch {
	case le.owner == owner && owner != "":
	case le.owner != "" && le.until.After(now):
		return 0, fmt.Errorf("acquire lease %s: %s holds it until %s: %w", name, le.owner, le.until.UTC().Format(time.RFC3339), hayate.ErrConflict)
	default:
		le.owner = owner
		le.token++
	}
	le.until = until
	l.leases[name] = le
	return le.token, nil
}

// Release implements router.Leases.
func (l *Leases) Release(ctx context.Context, name, owner string) error {
	if err := l.enter(ctx, "release lease "+name); err != nil {
		return err
	}
	defer l.mu.Unlock()
	if le := l.leases[name]; le.owner == owner {
		le.owner, le.until = "", time.Time{}
		l.leases[name] = le
	}
	return nil
}

// Close ends the leases. Twice is fine.
func (l *Leases) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}
