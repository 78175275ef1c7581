package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
)

// base is what the functions on the store have in common: they make the content
// be in effect before they do anything, and say afterwards what they did.
type base struct {
	c FunctionConfig
	*state
}

type state struct {
	mu     sync.Mutex
	loaded time.Time               // when the content was last made to be in effect
	ended  map[hayate.Status]int64 // what was reported of ended executions
}

func newBase(c FunctionConfig) (base, error) {
	if c.Router == nil {
		return base{}, fmt.Errorf("lambda function: Router is missing: %w", hayate.ErrInvalid)
	}
	if c.Reload == 0 {
		c.Reload = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return base{c, &state{ended: map[hayate.Status]int64{}}}, nil
}

// load makes the content be in effect, and takes over what operators changed.
func (b *base) load(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	if !b.loaded.IsZero() && now.Sub(b.loaded).Abs() < b.c.Reload {
		return nil
	}
	err := b.c.Router.Load(ctx, b.c.Content)
	switch {
	case err == nil:
	case b.loaded.IsZero() && (errors.Is(err, hayate.ErrBusy) || ctx.Err() != nil):
		return err // the store is away; nothing can be done yet
	default:
		b.c.Log.Error("load packs", "err", err) // what is refused is left out, or the old changes stay
	}
	b.loaded = now
	return nil
}

// report writes what an invocation did.
func (b *base) report(t *tally, id string) {
	b.mu.Lock()
	for status, n := range b.c.Router.Counts().Ended {
		if n > b.ended[status] {
			t.add("Executions"+metricOf[status], n-b.ended[status])
			b.ended[status] = n
		}
	}
	b.mu.Unlock()
	if err := b.c.Metrics.emit(t, b.c.Now(), id); err != nil {
		b.c.Log.Warn("metrics not written", "err", err)
	}
}

// metricOf names the ends of executions in metrics.
var metricOf = map[hayate.Status]string{
	hayate.StatusSucceeded: "Succeeded", hayate.StatusFailed: "Failed", hayate.StatusTimeout: "TimedOut",
	hayate.StatusAbandoned: "Abandoned", hayate.StatusCanceled: "Canceled",
}
