package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Registry keeps registered documents. It is open as long as its store is.
type Registry struct{ s *Store }

var _ router.Registry = (*Registry)(nil)

// feed wakes those that wait for a change of the registry.
type feed struct {
	mu      sync.Mutex
	changed chan struct{}
	closed  bool
}

func (f *feed) init() { f.changed = make(chan struct{}) }

func (f *feed) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *feed) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.changed)
	}
}

// Put implements router.Registry. The documents of one call share a revision;
// when one is refused, none is stored.
func (r *Registry) Put(ctx context.Context, docs ...router.Document) (int64, error) {
	var revision int64
	err := r.s.do(ctx, func(t *tx) error {
		for i := range docs {
			if err := t.expect(&docs[i]); err != nil {
				return err
			}
		}
		revision = t.counts.revision
		if len(docs) == 0 {
			return nil
		}
		revision++
		for i := range docs {
			if _, err := t.exec(t.st.putDocument, docs[i].Kind, docs[i].Ref, revision, []byte(docs[i].Body)); err != nil {
				return fmt.Errorf("%s %s: %w", docs[i].Kind, docs[i].Ref, err)
			}
		}
		t.counts.revision = revision
		t.after = append(t.after, r.s.changes.tell)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("register: %w", err)
	}
	return revision, nil
}

// revisionOf returns the revision of a registered document, or -1.
func (t *tx) revisionOf(k router.DocumentKey) (int64, error) {
	have := int64(-1)
	if err := t.st.document.QueryRow(k.Kind, k.Ref).Scan(&have); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%s %s: %w", k.Kind, k.Ref, sqlError(err))
	}
	return have, nil
}

func (t *tx) expect(d *router.Document) error {
	if d.Expect == nil {
		return nil
	}
	have, err := t.revisionOf(d.DocumentKey)
	if err != nil || have == *d.Expect {
		return err
	}
	return fmt.Errorf("%s %s: its revision is %d, not %d: %w", d.Kind, d.Ref, have, *d.Expect, hayate.ErrConflict)
}

// Delete implements router.Registry.
func (r *Registry) Delete(ctx context.Context, keys ...router.DocumentKey) (int64, error) {
	var revision int64
	err := r.s.do(ctx, func(t *tx) error {
		var there []router.DocumentKey
		for _, k := range keys {
			have, err := t.revisionOf(k)
			if err != nil {
				return err
			}
			if have >= 0 {
				there = append(there, k)
			}
		}
		revision = t.counts.revision
		if len(there) == 0 {
			return nil
		}
		revision++
		for _, k := range there {
			if _, err := t.exec(t.st.dropDocument, revision, k.Kind, k.Ref); err != nil {
				return fmt.Errorf("%s %s: %w", k.Kind, k.Ref, err)
			}
		}
		t.counts.revision = revision
		t.after = append(t.after, r.s.changes.tell)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("unregister: %w", err)
	}
	return revision, nil
}

// List implements router.Registry.
func (r *Registry) List(ctx context.Context, kind string, since int64) ([]router.Document, int64, error) {
	docs, revision, err := r.list(ctx, kind, since)
	if err != nil {
		return nil, 0, fmt.Errorf("list registered: %w", err)
	}
	return docs, revision, nil
}

func (r *Registry) list(ctx context.Context, kind string, since int64) ([]router.Document, int64, error) {
	if err := r.s.ready(ctx); err != nil {
		return nil, 0, err
	}
	tx, err := r.s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, sqlError(err)
	}
	defer tx.Rollback() // nothing was written
	var newest int64
	if err := tx.Stmt(r.s.rd.revision).QueryRowContext(ctx).Scan(&newest); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, 0, sqlError(err)
	}
	rows, err := tx.Stmt(r.s.rd.documents).QueryContext(ctx, since, kind, kind)
	if err != nil {
		return nil, 0, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	var docs []router.Document
	for rows.Next() {
		var d router.Document
		var body []byte
		if err := rows.Scan(&d.Kind, &d.Ref, &d.Revision, &d.Deleted, &body); err != nil {
			return nil, 0, sqlError(err)
		}
		if d.Deleted && since == 0 {
			continue
		}
		d.Body = body
		docs = append(docs, d)
	}
	return docs, newest, sqlError(rows.Err())
}

// Wait implements router.Registry.
func (r *Registry) Wait(ctx context.Context, since int64) error {
	for {
		changed := r.s.changes.next()
		if err := r.s.ready(ctx); err != nil {
			return fmt.Errorf("wait for a change: %w", err)
		}
		if r.s.w.shown.Load().revision > since {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for a change: %w", ctx.Err())
		}
	}
}
