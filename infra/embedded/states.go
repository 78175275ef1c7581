package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
)

// settleGuarded decides guarded firings on the states as they are within the
// transaction, and writes nothing. again says that a decision must be made anew.
func (t *tx) settleGuarded(gs []router.Guarded) (outs []stateful.Outcome, again bool, err error) {
	outs = make([]stateful.Outcome, len(gs))
	for i := range gs {
		g := &gs[i]
		have := make([]json.RawMessage, len(g.Names))
		missing := false
		for k, name := range g.Names {
			var body []byte
			switch err := t.st.getState.QueryRow(string(g.Rule), name).Scan(&body); {
			case errors.Is(err, sql.ErrNoRows):
				missing = true
			case err != nil:
				return nil, false, fmt.Errorf("read state %s of rule %s: %w", name, g.Rule, sqlError(err))
			}
			have[k] = body
		}
		full := false
		if missing {
			var n int
			if err := t.st.countStates.QueryRow(string(g.Rule), g.MaxKeys).Scan(&n); err != nil {
				return nil, false, fmt.Errorf("count states of rule %s: %w", g.Rule, sqlError(err))
			}
			full = n >= g.MaxKeys
		}
		if outs[i] = g.Decide(have, full); outs[i].Again {
			return nil, true, nil
		}
	}
	return outs, false, nil
}

// remember stores the new states of guarded firings.
func (t *tx) remember(gs []router.Guarded, outs []stateful.Outcome) error {
	for i := range outs {
		g := &gs[i]
		for k, st := range outs[i].States {
			var err error
			if st.Body == nil {
				_, err = t.exec(t.st.dropState, string(g.Rule), g.Names[k])
			} else {
				_, err = t.exec(t.st.putState, string(g.Rule), g.Names[k], microsOrNull(st.Wake), microsOrNull(st.Expires), []byte(st.Body))
			}
			if err != nil {
				return fmt.Errorf("store state %s of rule %s: %w", g.Names[k], g.Rule, err)
			}
		}
	}
	return nil
}

func microsOrNull(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return micros(at)
}

// stateWhere is the condition of a query.
func stateWhere(q *router.StateQuery) where {
	var w where
	if q.Rule != "" {
		w.add("rule=?", string(q.Rule))
	}
	if len(q.Names) > 0 {
		names := make([]any, len(q.Names))
		for i, n := range q.Names {
			names[i] = n
		}
		w.in("name", names)
	}
	if !q.DueBy.IsZero() {
		w.add("wake<=?", q.DueBy.UnixMicro())
	}
	if !q.ExpiredBy.IsZero() {
		w.add("expires<=?", q.ExpiredBy.UnixMicro())
	}
	return w
}

// States implements router.States.
func (s *Store) States(ctx context.Context, q router.StateQuery) (router.Page[router.StateRecord], error) {
	p, err := s.listStates(ctx, &q)
	if err != nil {
		return router.Page[router.StateRecord]{}, fmt.Errorf("list states: %w", err)
	}
	return p, nil
}

func (s *Store) listStates(ctx context.Context, q *router.StateQuery) (p router.Page[router.StateRecord], err error) {
	if err := s.ready(ctx); err != nil {
		return p, err
	}
	w := stateWhere(q)
	order := "rule, name"
	if !q.DueBy.IsZero() {
		order = "wake, rule, name"
	}
	// A look at single states does not wait behind a long listing.
	db := s.read
	if len(q.Names) > 0 {
		db = s.quick
	}
	if q.Limit != 0 {
		rows, err := db.QueryContext(ctx, "SELECT rule, name, wake, expires, body FROM states"+w.String()+" ORDER BY "+order+" LIMIT ? OFFSET ?",
			append(w.args, q.Limit, max(q.Offset, 0))...)
		if err != nil {
			return p, sqlError(err)
		}
		defer rows.Close() // rows.Err is asked below
		for rows.Next() {
			var r router.StateRecord
			var wake, expires sql.NullInt64
			var body []byte
			if err := rows.Scan(&r.Rule, &r.Name, &wake, &expires, &body); err != nil {
				return p, sqlError(err)
			}
			r.Body, r.Wake, r.Expires = body, instantOf(wake), instantOf(expires)
			p.Items = append(p.Items, r)
		}
		if err := rows.Err(); err != nil {
			return p, sqlError(err)
		}
	}
	if p.Total = len(p.Items) + max(q.Offset, 0); q.Limit < 0 || q.Limit > 0 && len(p.Items) < q.Limit && (len(p.Items) > 0 || q.Offset <= 0) {
		return p, nil
	}
	return p, sqlError(db.QueryRowContext(ctx, "SELECT count(*) FROM states"+w.String(), w.args...).Scan(&p.Total))
}

func instantOf(u sql.NullInt64) time.Time {
	if !u.Valid {
		return time.Time{}
	}
	return time.UnixMicro(u.Int64).UTC()
}

// ForgetStates implements router.States.
func (s *Store) ForgetStates(ctx context.Context, q router.StateQuery) (int, error) {
	// Looking needs no commit.
	p, err := s.listStates(ctx, &router.StateQuery{Rule: q.Rule, Names: q.Names, DueBy: q.DueBy, ExpiredBy: q.ExpiredBy})
	if err != nil || p.Total == 0 {
		return 0, err
	}
	var n int64
	err = s.do(ctx, func(t *tx) error {
		w := stateWhere(&q)
		limit := -1
		if q.Limit > 0 {
			limit = q.Limit
		}
		st, err := t.s.w.db.Prepare("DELETE FROM states WHERE (rule, name) IN (SELECT rule, name FROM states" + w.String() + " LIMIT ?)")
		if err != nil {
			return sqlError(err)
		}
		defer st.Close() // what it did is known
		res, err := t.exec(st, append(w.args, limit)...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return sqlError(err)
	})
	if err != nil {
		return 0, fmt.Errorf("forget states: %w", err)
	}
	return int(n), nil
}
