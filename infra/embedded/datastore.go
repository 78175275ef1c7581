package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Datastore keeps key-value pairs. It is open as long as its store is.
type Datastore struct{ s *Store }

var _ router.Datastore = (*Datastore)(nil)

// Get implements router.Datastore.
func (d *Datastore) Get(ctx context.Context, now time.Time, keys ...router.Key) (map[router.Key]router.Item, error) {
	if err := d.s.ready(ctx); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	got := make(map[router.Key]router.Item, len(keys))
	for _, k := range keys {
		var body []byte
		err := d.s.rd.pair.QueryRowContext(ctx, k.Scope, k.User, k.Name, now.UnixNano()).Scan(&body)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read key %s: %w", k.Name, sqlError(err))
		}
		it, err := readItem(body)
		if err != nil {
			return nil, fmt.Errorf("read key %s: %w", k.Name, err)
		}
		got[k] = it
	}
	return got, nil
}

func readItem(body []byte) (it router.Item, err error) {
	if err = json.Unmarshal(body, &it); err != nil {
		return it, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return it, nil
}

// Set implements router.Datastore.
func (d *Datastore) Set(ctx context.Context, k router.Key, it router.Item) error {
	body, err := json.Marshal(it)
	if err != nil {
		return fmt.Errorf("set key %s: %v: %w", k.Name, err, hayate.ErrInvalid)
	}
	var expires any
	if !it.Expires.IsZero() {
		expires = it.Expires.UnixNano()
	}
	err = d.s.do(ctx, func(t *tx) error {
		_, err := t.exec(t.st.putPair, k.Scope, k.User, k.Name, expires, body)
		return err
	})
	if err != nil {
		return fmt.Errorf("set key %s: %w", k.Name, err)
	}
	return nil
}

// Delete implements router.Datastore.
func (d *Datastore) Delete(ctx context.Context, k router.Key) error {
	found := false
	err := d.s.do(ctx, func(t *tx) error {
		res, err := t.exec(t.st.dropPair, k.Scope, k.User, k.Name)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		found = n > 0
		return err
	})
	if err == nil && !found {
		err = hayate.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete key %s: %w", k.Name, err)
	}
	return nil
}

// Keys implements router.Datastore.
func (d *Datastore) Keys(ctx context.Context, now time.Time, q router.KeyQuery) ([]router.Pair, error) {
	pairs, err := d.keys(ctx, now, q)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return pairs, nil
}

func (d *Datastore) keys(ctx context.Context, now time.Time, q router.KeyQuery) ([]router.Pair, error) {
	if err := d.s.ready(ctx); err != nil {
		return nil, err
	}
	var w where
	w.add("(expires IS NULL OR expires>?)", now.UnixNano())
	if q.Scope != "" {
		w.add("scope=?", q.Scope)
	}
	if q.User != "" {
		w.add("user=?", q.User)
	}
	if q.Prefix != "" {
		w.add("substr(name,1,length(?))=?", q.Prefix, q.Prefix)
	}
	rows, err := d.s.read.QueryContext(ctx, "SELECT scope, user, name, body FROM pairs"+w.String()+
		" ORDER BY scope, user, name LIMIT ? OFFSET ?", append(w.args, q.Limit, max(q.Offset, 0))...)
	if err != nil {
		return nil, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	var pairs []router.Pair
	for rows.Next() {
		var p router.Pair
		var body []byte
		if err := rows.Scan(&p.Scope, &p.User, &p.Name, &body); err != nil {
			return nil, sqlError(err)
		}
		if p.Item, err = readItem(body); err != nil {
			return nil, fmt.Errorf("key %s: %w", p.Name, err)
		}
		pairs = append(pairs, p)
	}
	return pairs, sqlError(rows.Err())
}
