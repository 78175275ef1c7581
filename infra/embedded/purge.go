package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// purgeStep is the most that one transaction of a purge removes, so that others
// do not wait for long.
const purgeStep = 64

// purge is one call of Purge on its way through the store.
type purge struct {
	q      router.PurgeQuery
	cursor int64 // the newest number that was looked at
	done   bool  // nothing more is to be removed
}

// Purge implements router.Upkeep. A tree that is larger than the limit is
// removed whole. Room that becomes free is used again, and given back to the
// file system once it is a quarter of the file.
func (s *Store) Purge(ctx context.Context, q router.PurgeQuery) (int, error) {
	p := &purge{q: q}
	n := 0
	for !p.done && n < q.Limit {
		var removed int
		cursor := p.cursor
		err := s.doAlone(ctx, func(t *tx) (err error) {
			p.cursor = cursor
			removed, err = p.step(t, min(purgeStep, q.Limit-n), n == 0)
			return err
		})
		if err != nil {
			return n, fmt.Errorf("purge: %w", err)
		}
		n += removed
	}
	if n < q.Limit {
		forgotten, err := s.forgetKeys(ctx, q, q.Limit-n)
		if err != nil {
			return n, fmt.Errorf("purge: %w", err)
		}
		n += forgotten
	}
	if err := s.removeLoose(ctx); err != nil {
		return n, fmt.Errorf("purge: %w", err)
	}
	if err := s.shrink(ctx); err != nil {
		return n, fmt.Errorf("purge: %w", err)
	}
	return n, nil
}

// step removes trees of at most limit parts; the first of all may be larger.
func (p *purge) step(t *tx, limit int, first bool) (removed int, err error) {
	seqs, err := t.roots(p.cursor, purgeStep)
	if err != nil {
		return 0, err
	}
	p.done = len(seqs) == 0
	for _, seq := range seqs {
		tr, err := t.tree(seq)
		if err != nil {
			return removed, err
		}
		switch p.verdict(t, tr) {
		case keep:
			p.cursor = seq
			continue
		case keepAll:
			p.done = true
			return removed, nil
		}
		if size := tr.size(); removed+size > limit && !(first && removed == 0) {
			p.done = removed == 0
			return removed, nil
		}
		if err := t.remove(tr); err != nil {
			return removed, err
		}
		p.cursor = seq
		removed += tr.size()
		if removed >= limit {
			return removed, nil
		}
	}
	return removed, nil
}

type verdict int

const (
	keep verdict = iota
	keepAll
	drop
)

func (p *purge) verdict(t *tx, tr *tree) verdict {
	over := p.q.Keep > 0 && t.counts.events+t.counts.finished() > int64(p.q.Keep)
	if !over && !tr.first.Before(p.q.Before) {
		return keepAll // all that follow are newer still
	}
	if tr.finished && (over || tr.last.Before(p.q.Before)) {
		return drop
	}
	return keep
}

// tree is an event with all executions that came of it, or an execution that
// came of none with its children.
type tree struct {
	seq         int64
	event       *router.EventRecord
	rows        []*row
	first, last time.Time // when it was accepted, and its last part accepted or ended
	finished    bool
}

func (tr *tree) size() int {
	if tr.event != nil {
		return len(tr.rows) + 1
	}
	return len(tr.rows)
}

// roots returns the numbers of the trees that follow one, in order.
func (t *tx) roots(after int64, limit int) ([]int64, error) {
	events, err := numbers(t.st.eventSeqs, after, limit)
	if err != nil {
		return nil, err
	}
	alone, err := numbers(t.st.rootSeqs, after, limit)
	if err != nil {
		return nil, err
	}
	all := append(events, alone...)
	slices.Sort(all)
	return all[:min(limit, len(all))], nil
}

func numbers(st *sql.Stmt, args ...any) ([]int64, error) {
	rows, err := st.Query(args...)
	if err != nil {
		return nil, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	var list []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, sqlError(err)
		}
		list = append(list, n)
	}
	return list, sqlError(rows.Err())
}

// tree reads the tree with a number.
func (t *tx) tree(seq int64) (*tree, error) {
	tr := &tree{seq: seq, finished: true}
	var executions int64
	var id, body []byte
	err := t.st.eventAt.QueryRow(seq).Scan(&seq, &id, &executions, &body)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, sqlError(err)
	}
	if err == nil {
		r, err := readEvent(hayate.EventID(idText(id)), body)
		if err != nil {
			return nil, err
		}
		tr.event, tr.first, tr.last = &r, r.At, r.At
	}
	rows, err := t.st.treeExecutions.Query(seq, seq+executions, seq)
	if err != nil {
		return nil, sqlError(err)
	}
	defer rows.Close() // its Err is asked below
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, sqlError(err)
		}
		tr.rows = append(tr.rows, r)
		tr.finished = tr.finished && r.Status.Completed()
		if tr.first.IsZero() {
			tr.first = r.Created
		}
		if r.Ended.After(tr.last) {
			tr.last = r.Ended
		}
	}
	return tr, sqlError(rows.Err())
}

func uidKeyBytes(uid string) []byte {
	k := uidHash(uid)
	return k[:]
}

// remove removes a tree. The event's key stays, marked as to be forgotten.
func (t *tx) remove(tr *tree) error {
	if e := tr.event; e != nil {
		if _, err := t.exec(t.st.addForgetting, tr.seq, uidKeyBytes(e.Event.UID()), e.At.UnixNano()); err != nil {
			return fmt.Errorf("remove event %s: %w", e.ID, err)
		}
		if _, err := t.exec(t.st.dropEvent, tr.seq); err != nil {
			return fmt.Errorf("remove event %s: %w", e.ID, err)
		}
		t.counts.events--
		t.counts.firings -= int64(len(e.Firings))
	}
	for _, r := range tr.rows {
		if err := t.removeExecution(r); err != nil {
			return fmt.Errorf("remove execution %s: %w", r.ID, err)
		}
	}
	return nil
}

func (t *tx) removeExecution(r *row) error {
	id := idBytes(r.ID)
	if _, err := t.exec(t.st.dropExecution, r.seq); err != nil {
		return err
	}
	for _, st := range []*sql.Stmt{t.st.dropRun, t.st.dropEntries, t.st.dropLines} {
		if _, err := t.exec(st, id); err != nil {
			return err
		}
	}
	t.counts.statuses[statusNumber(r.Status)]--
	if r.ResultRef == nil {
		return nil
	}
	hash := r.ResultRef.Hash
	if _, err := t.exec(t.st.dropRef, hash, r.seq); err != nil {
		return err
	}
	_, err := t.exec(t.st.addRef, hash, 0)
	return err
}

// forgetKeys removes the keys of purged events that were accepted before the
// time, and pairs of the datastore that have long expired.
func (s *Store) forgetKeys(ctx context.Context, q router.PurgeQuery, limit int) (int, error) {
	forgotten := 0 // read only once the transaction is over
	err := s.doAlone(ctx, func(t *tx) error {
		forgotten = 0
		if !q.Before.IsZero() {
			if _, err := t.exec(t.st.dropExpired, q.Before.UnixNano()); err != nil {
				return err
			}
		}
		if q.ForgetKeys.IsZero() {
			return nil
		}
		rows, err := t.st.forgetting.Query(q.ForgetKeys.UnixNano(), limit)
		if err != nil {
			return sqlError(err)
		}
		type key struct {
			seq  int64
			hash []byte
		}
		var keys []key
		for rows.Next() {
			var k key
			if err := rows.Scan(&k.seq, &k.hash); err != nil {
				rows.Close() // the error of the scan is the one to tell
				return sqlError(err)
			}
			keys = append(keys, k)
		}
		if err := rows.Err(); err != nil {
			return sqlError(err)
		}
		for _, k := range keys {
			if _, err := t.exec(t.st.dropKey, k.hash); err != nil {
				return err
			}
			if _, err := t.exec(t.st.dropForgetting, k.seq); err != nil {
				return err
			}
		}
		forgotten = len(keys)
		t.counts.keys -= int64(forgotten)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return forgotten, nil
}

// removeLoose removes blobs that nothing refers to any more.
func (s *Store) removeLoose(ctx context.Context) error {
	return s.doAlone(ctx, func(t *tx) error {
		rows, err := t.st.loose.Query(purgeStep)
		if err != nil {
			return sqlError(err)
		}
		var hashes []string
		for rows.Next() {
			var h string
			if err := rows.Scan(&h); err != nil {
				rows.Close() // the error of the scan is the one to tell
				return sqlError(err)
			}
			hashes = append(hashes, h)
		}
		if err := rows.Err(); err != nil {
			return sqlError(err)
		}
		for _, h := range hashes {
			used, err := numbers(t.st.anyRef, h)
			if err != nil {
				return err
			}
			gone := len(used) > 0
			if !gone {
				if gone, err = s.blobs.removeLoose(h); err != nil {
					return err
				}
			}
			if gone {
				if _, err := t.exec(t.st.dropRef, h, 0); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Free pages are given back in steps of vacuumStep, once they are vacuumShare of
// the file.
const (
	vacuumStep  = 512
	vacuumShare = 0.25
)

// shrink gives free pages back to the file system, a bounded number a call.
func (s *Store) shrink(ctx context.Context) error {
	return s.solo(ctx, func(db *sql.DB) error {
		var free, pages int
		if err := db.QueryRow("PRAGMA freelist_count").Scan(&free); err != nil {
			return sqlError(err)
		}
		if err := db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
			return sqlError(err)
		}
		if free < vacuumStep || float64(free) < vacuumShare*float64(pages) {
			return nil
		}
		rows, err := db.Query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumStep))
		if err != nil {
			return sqlError(err)
		}
		defer rows.Close() // its Err is returned
		for rows.Next() {  // each step of it frees a page
		}
		return sqlError(rows.Err())
	})
}
