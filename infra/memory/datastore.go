package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// Datastore keeps key-value pairs.
type Datastore struct {
	mu     sync.Mutex
	items  map[router.Key]router.Item
	closed bool
}

var _ router.Datastore = (*Datastore)(nil)

// NewDatastore returns an empty datastore.
func NewDatastore() *Datastore { return &Datastore{items: map[router.Key]router.Item{}} }

func (d *Datastore) enter(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fmt.Errorf("%s: the datastore is closed: %w", act, hayate.ErrBusy)
	}
	return nil
}

func expired(it *router.Item, now time.Time) bool {
	return !it.Expires.IsZero() && !it.Expires.After(now)
}

// Get implements router.Datastore.
func (d *Datastore) Get(ctx context.Context, now time.Time, keys ...router.Key) (map[router.Key]router.Item, error) {
	if err := d.enter(ctx, "read keys"); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	got := make(map[router.Key]router.Item, len(keys))
	for _, k := range keys {
		if it, ok := d.items[k]; ok && !expired(&it, now) {
			got[k] = it
		}
	}
	return got, nil
}

// Set implements router.Datastore.
func (d *Datastore) Set(ctx context.Context, k router.Key, it router.Item) error {
	if err := d.enter(ctx, "set key "+k.Name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.items[k] = it
	return nil
}

// Delete implements router.Datastore.
func (d *Datastore) Delete(ctx context.Context, k router.Key) error {
	if err := d.enter(ctx, "delete key "+k.Name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if _, ok := d.items[k]; !ok {
		return fmt.Errorf("delete key %s: %w", k.Name, hayate.ErrNotFound)
	}
	delete(d.items, k)
	return nil
}

// Keys implements router.Datastore.
func (d *Datastore) Keys(ctx context.Context, now time.Time, q router.KeyQuery) ([]router.Pair, error) {
	if err := d.enter(ctx, "list keys"); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	var list []router.Pair
	for k, it := range d.items {
		if (q.Scope == "" || k.Scope == q.Scope) && (q.User == "" || k.User == q.User) &&
			strings.HasPrefix(k.Name, q.Prefix) && !expired(&it, now) {
			list = append(list, router.Pair{Key: k, Item: it})
		}
	}
	slices.SortFunc(list, func(a, b router.Pair) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.User, b.User), cmp.Compare(a.Name, b.Name))
	})
	from, to := record.Window(q.Offset, q.Limit, len(list))
	return list[from:to], nil
}

// Close ends the datastore. Twice is fine.
func (d *Datastore) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}
