package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Registry keeps registered documents.
type Registry struct {
	mu       sync.Mutex
	docs     map[router.DocumentKey]router.Document
	revision int64
	changed  chan struct{} // closed with every change, then replaced
	closed   bool
}

var _ router.Registry = (*Registry)(nil)

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{docs: map[router.DocumentKey]router.Document{}, changed: make(chan struct{})}
}

func (r *Registry) enter(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return fmt.Errorf("%s: the registry is closed: %w", act, hayate.ErrBusy)
	}
	return nil
}

// Put implements router.Registry. The documents of one call share a revision;
// when one is refused, none is stored.
func (r *Registry) Put(ctx context.Context, docs ...router.Document) (int64, error) {
	if err := r.enter(ctx, "register"); err != nil {
		return 0, err
	}
	defer r.mu.Unlock()
	for _, d := range docs {
		old, ok := r.docs[d.DocumentKey]
		have := int64(-1)
		if ok && !old.Deleted {
			have = old.Revision
		}
		if d.Expect != nil && *d.Expect != have {
			return 0, fmt.Errorf("register %s %s: its revision is %d, not %d: %w", d.Kind, d.Ref, have, *d.Expect, hayate.ErrConflict)
		}
	}
	if len(docs) == 0 {
		return r.revision, nil
	}
	r.advance()
	for _, d := range docs {
		d.Expect, d.Deleted, d.Revision = nil, false, r.revision
		d.Body = slices.Clone(d.Body)
		r.docs[d.DocumentKey] = d
	}
	return r.revision, nil
}

func (r *Registry) advance() {
	r.revision++
	close(r.changed)
	r.changed = make(chan struct{})
}

// Delete implements router.Registry.
func (r *Registry) Delete(ctx context.Context, keys ...router.DocumentKey) (int64, error) {
	if err := r.enter(ctx, "unregister"); err != nil {
		return 0, err
	}
	defer r.mu.Unlock()
	keys = slices.DeleteFunc(slices.Clone(keys), func(k router.DocumentKey) bool {
		d, ok := r.docs[k]
		return !ok || d.Deleted
	})
	if len(keys) == 0 {
		return r.revision, nil
	}
	r.advance()
	for _, k := range keys {
		r.docs[k] = router.Document{DocumentKey: k, Revision: r.revision, Deleted: true}
	}
	return r.revision, nil
}

// List implements router.Registry.
func (r *Registry) List(ctx context.Context, kind string, since int64) ([]router.Document, int64, error) {
	if err := r.enter(ctx, "list registered"); err != nil {
		return nil, 0, err
	}
	defer r.mu.Unlock()
	var list []router.Document
	for _, d := range r.docs {
		if (kind == "" || d.Kind == kind) && d.Revision > since && (!d.Deleted || since != 0) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b router.Document) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Ref, b.Ref))
	})
	return list, r.revision, nil
}

// Wait implements router.Registry.
func (r *Registry) Wait(ctx context.Context, since int64) error {
	for {
		if err := r.enter(ctx, "wait for a change"); err != nil {
			return err
		}
		now, changed := r.revision, r.changed
		r.mu.Unlock()
		if now > since {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for a change: %w", ctx.Err())
		}
	}
}

// Close ends all that wait with ErrBusy. Twice is fine.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.changed)
	}
	return nil
}
