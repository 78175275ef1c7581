package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// where gathers the conditions of a query.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.parts = append(w.parts, cond)
	w.args = append(w.args, args...)
}

// in adds a condition that a column has one of the values.
func (w *where) in(column string, values []any) {
	w.add(column+" IN (?"+strings.Repeat(",?", len(values)-1)+")", values...)
}

func (w *where) String() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.parts, " AND ")
}

// between bounds the time of creation. Numbers are never behind the time of
// their row, and never further ahead of it than lead: that bounds the scan.
func (w *where) between(q *router.Query, lead int64) {
	if !q.After.IsZero() {
		w.add("at>? AND seq>=?", q.After.UnixNano(), q.After.UnixMicro())
	}
	if !q.Before.IsZero() {
		w.add("at<? AND seq<=?", q.Before.UnixNano(), q.Before.UnixMicro()+lead)
	}
}

func (w *where) ids(ids []string) {
	if len(ids) == 0 {
		return
	}
	raw := make([]any, len(ids))
	for i, id := range ids {
		raw[i] = idBytes(id)
	}
	w.in("id", raw)
}

// listing is a query on one table, cut to a page.
type listing struct {
	table, columns string
	where          where
	q              *router.Query
	// total is the number of rows where that is known without counting, or -1.
	total int
	// filtered says that accept refuses rows, so that they must be counted one by one.
	filtered bool
}

// run calls accept with the rows in order; accept returns how many things of the
// page the row holds, and keep is called with the index of each that is on it.
func (s *Store) list(ctx context.Context, l *listing, scan func(*sql.Rows) (int, error), keep func(i int)) (total int, err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, sqlError(err)
	}
	defer tx.Rollback() // nothing was written
	text := "SELECT " + l.columns + " FROM " + l.table + l.where.String() + " ORDER BY seq"
	if !l.q.Ascending {
		text += " DESC"
	}
	args := l.where.args
	skip, limit := max(l.q.Offset, 0), l.q.Limit
	if !l.filtered {
		if total, err = s.total(ctx, tx, l); err != nil || limit == 0 {
			return total, err
		}
		text += " LIMIT ? OFFSET ?"
		args = append(args[:len(args):len(args)], limit, skip)
		skip, limit = 0, -1
	}
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return 0, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	seen := 0
	for rows.Next() {
		n, err := scan(rows)
		if err != nil {
			return 0, sqlError(err)
		}
		for i := range n {
			if at := seen + i; at >= skip && (limit < 0 || at-skip < limit) {
				keep(i)
			}
		}
		seen += n
	}
	if l.filtered {
		total = seen
	}
	return total, sqlError(rows.Err())
}

func (s *Store) total(ctx context.Context, tx *sql.Tx, l *listing) (n int, err error) {
	if l.total >= 0 {
		return l.total, nil
	}
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM "+l.table+l.where.String(), l.where.args...).Scan(&n)
	return n, sqlError(err)
}

// Executions implements router.History.
func (s *Store) Executions(ctx context.Context, q router.Query) (router.Page[hayate.Execution], error) {
	var p router.Page[hayate.Execution]
	err := s.ready(ctx)
	if err == nil {
		err = s.executions(ctx, &q, &p)
	}
	if err != nil {
		return router.Page[hayate.Execution]{}, fmt.Errorf("list executions: %w", err)
	}
	return p, nil
}

func (s *Store) executions(ctx context.Context, q *router.Query, p *router.Page[hayate.Execution]) error {
	if only := *q; len(q.IDs) == 1 {
		if only.IDs = nil; unfiltered(&only) {
			return s.oneExecution(q, p)
		}
	}
	if len(q.Status) > 0 {
		// The disk answers for statuses, so it must know what memory knows.
		if err := s.persist(ctx); err != nil {
			return err
		}
	}
	if err := s.readable(ctx); err != nil {
		return err
	}
	memory := s.live.volatiles()
	l := listing{table: "executions", columns: executionColumns, q: q, total: -1}
	// What conditions cannot say is asked of each execution.
	rest := router.Query{Text: q.Text, User: q.User, Unverified: q.Unverified}
	var err error
	if rest.Event, err = s.executionConditions(&l.where, q); err != nil {
		return err
	}
	l.filtered = rest.Text != "" || rest.User != "" || rest.Unverified || rest.Event != ""
	switch {
	case unfinished(q.Status):
		l.table += " INDEXED BY executions_duty"
	case unsuccessful(q.Status):
		l.table += " INDEXED BY executions_ends"
	}
	if only := *q; len(l.where.parts) == 0 {
		l.total = int(s.w.shown.Load().executions())
	} else if only.Status = nil; len(q.Status) > 0 && unfiltered(&only) {
		l.total = s.w.shown.Load().of(q.Status)
	}
	var x hayate.Execution
	p.Total, err = s.list(ctx, &l, func(rows *sql.Rows) (int, error) {
		r, err := scanRow(rows)
		if err != nil {
			return 0, err
		}
		x = r.Execution
		if m, ok := memory[x.ID]; ok && m.Version > x.Version {
			x = m.Execution
		}
		if l.filtered && !record.MatchExecution(&rest, &x) {
			return 0, nil
		}
		return 1, nil
	}, func(int) { p.Items = append(p.Items, x) })
	return err
}

// execution returns one execution: from memory, else from the tables.
func (s *Store) execution(id hayate.ExecutionID) (hayate.Execution, bool, error) {
	// An execution leaves memory only once the tables have it, and may come back
	// while they are read.
	for range 2 {
		if x, ok := s.live.get(id); ok {
			return x, true, nil
		}
		r, err := scanRow(s.rd.execution.QueryRow(idBytes(id)))
		if err == nil {
			return r.Execution, true, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return hayate.Execution{}, false, sqlError(err)
		}
	}
	return hayate.Execution{}, false, nil
}

// oneExecution answers a query for one id, the commonest.
func (s *Store) oneExecution(q *router.Query, p *router.Page[hayate.Execution]) error {
	x, ok, err := s.execution(hayate.ExecutionID(q.IDs[0]))
	if err != nil || !ok {
		return err
	}
	p.Total = 1
	if from, to := record.Window(q.Offset, q.Limit, 1); to > from {
		p.Items = []hayate.Execution{x}
	}
	return nil
}

// executionConditions turns a query into conditions. It returns the event where
// they do not say it: an execution may name one that is not (any more) stored.
func (s *Store) executionConditions(w *where, q *router.Query) (event hayate.EventID, err error) {
	w.ids(q.IDs)
	if len(q.Status) > 0 {
		numbers := make([]any, len(q.Status))
		for i, st := range q.Status {
			numbers[i] = statusNumber(st)
		}
		w.in("status", numbers)
		// What the partial indexes cover, in their own words.
		switch {
		case unfinished(q.Status):
			w.add("duty IS NOT NULL")
		case unsuccessful(q.Status):
			w.add("status IN (5,6,7,9)")
		}
	}
	if q.Action != "" {
		w.add("action=?", textHash(q.Action))
	}
	if q.Rule != "" {
		w.add("rule=?", textHash(q.Rule))
	}
	if q.Runner != "" {
		w.add("runner=?", textHash(q.Runner))
	}
	if q.NoParent {
		w.add("parent IS NULL")
	}
	const ofEvent = "(CASE WHEN tree IS NULL THEN (SELECT %s FROM events e WHERE e.seq<executions.seq ORDER BY e.seq DESC LIMIT 1) ELSE (SELECT %[1]s FROM events e WHERE e.seq=tree) END)=?"
	if q.Type != "" {
		w.add(fmt.Sprintf(ofEvent, "type"), textHash(q.Type))
	}
	if q.Source != "" {
		w.add(fmt.Sprintf(ofEvent, "source"), textHash(q.Source))
	}
	w.between(q, s.w.shown.Load().lead)
	if q.Event != "" {
		seq, n, err := s.findEvent(q.Event)
		switch {
		case err != nil:
			return "", err
		case seq == 0:
			event = q.Event
			w.add("tree IS NOT NULL")
		default:
			w.add("(seq>? AND seq<=? OR tree=?)", seq, seq+n, seq)
		}
	}
	if q.Parent != "" {
		tree, err := s.findTree(q.Parent)
		if err != nil {
			return "", err
		}
		w.add("parent=?", idBytes(q.Parent))
		if tree != 0 {
			w.add("tree=?", tree)
		}
	}
	return event, nil
}

// unfinished says whether a query is for unfinished executions alone, which the
// index of duties finds.
func unfinished(list []hayate.Status) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, hayate.Status.Completed)
}

// unsuccessful says whether a query is for executions alone that ended otherwise
// than well, which the index of ends finds.
func unsuccessful(list []hayate.Status) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(s hayate.Status) bool {
		return !s.Completed() || s == hayate.StatusSucceeded
	})
}

// unfiltered says whether a query selects all executions.
func unfiltered(q *router.Query) bool {
	return len(q.IDs) == 0 && len(q.Status) == 0 && q.Action == "" && q.Runner == "" && q.Rule == "" && q.Type == "" && q.Source == "" &&
		q.Event == "" && q.Parent == "" && !q.NoParent && q.User == "" && !q.Unverified && q.Text == "" && q.After.IsZero() && q.Before.IsZero()
}

// findEvent returns an event's number and how many executions follow it; 0 where
// there is none.
func (s *Store) findEvent(id hayate.EventID) (seq, executions int64, err error) {
	var raw, body []byte
	err = s.rd.event.QueryRow(idBytes(id)).Scan(&seq, &raw, &executions, &body)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return seq, executions, sqlError(err)
}

// findTree returns the number that the children of an execution have as their
// tree; 0 where it is not known.
func (s *Store) findTree(id hayate.ExecutionID) (int64, error) {
	r, err := scanRow(s.rd.execution.QueryRow(idBytes(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil || r.tree != 0 {
		return treeNumber(r), sqlError(err)
	}
	seq, _, err := s.findEvent(r.Event)
	return seq, err
}

func treeNumber(r *row) int64 {
	if r == nil {
		return 0
	}
	return r.tree
}

// persist writes the claims that are in memory.
func (s *Store) persist(ctx context.Context) error {
	memory := s.live.volatiles()
	if len(memory) == 0 {
		return nil
	}
	return s.do(ctx, func(t *tx) error {
		for id := range memory {
			r, err := t.execution("persist", id)
			if errors.Is(err, hayate.ErrNotFound) || err == nil && !r.volatile {
				continue
			}
			if err != nil {
				return err
			}
			t.save(r, r.Execution)
		}
		t.settle = true
		return nil
	})
}

// Events implements router.History.
func (s *Store) Events(ctx context.Context, q router.Query) (router.Page[router.EventRecord], error) {
	var p router.Page[router.EventRecord]
	if err := s.readable(ctx); err != nil {
		return p, fmt.Errorf("list events: %w", err)
	}
	l := listing{table: "events", columns: eventColumns, q: &q, total: -1, filtered: q.Text != "" || q.Rule != ""}
	s.eventConditions(&l.where, &q)
	l.where.between(&q, s.w.shown.Load().lead)
	if len(l.where.parts) == 0 {
		l.total = int(s.w.shown.Load().events)
	}
	var r router.EventRecord
	total, err := s.list(ctx, &l, func(rows *sql.Rows) (n int, err error) {
		if r, err = scanEvent(rows); err != nil {
			return 0, err
		}
		if l.filtered && !record.MatchEvent(&router.Query{Text: q.Text, Rule: q.Rule}, &r) {
			return 0, nil
		}
		return 1, nil
	}, func(int) { p.Items = append(p.Items, r) })
	if err != nil {
		return router.Page[router.EventRecord]{}, fmt.Errorf("list events: %w", err)
	}
	p.Total = total
	return p, nil
}

func (s *Store) eventConditions(w *where, q *router.Query) {
	w.ids(q.IDs)
	if q.Event != "" {
		w.add("id=?", idBytes(q.Event))
	}
	if q.Type != "" {
		w.add("type=?", textHash(q.Type))
	}
	if q.Source != "" {
		w.add("source=?", textHash(q.Source))
	}
	if q.Rule != "" {
		w.add("firings>0")
	}
}

// scanEvent reads eventColumns.
func scanEvent(rows *sql.Rows) (router.EventRecord, error) {
	var seq, executions int64
	var id, body sql.RawBytes
	if err := rows.Scan(&seq, &id, &executions, &body); err != nil {
		return router.EventRecord{}, err
	}
	return readEvent(hayate.EventID(idText(id)), body)
}

// Firings implements router.History. They are part of their events' rows.
func (s *Store) Firings(ctx context.Context, q router.Query) (router.Page[hayate.Firing], error) {
	var p router.Page[hayate.Firing]
	if err := s.readable(ctx); err != nil {
		return p, fmt.Errorf("list firings: %w", err)
	}
	l := listing{table: "events", columns: eventColumns, q: &q, total: -1, filtered: true}
	event := q
	event.IDs, event.Rule = nil, ""
	s.eventConditions(&l.where, &event)
	l.where.add("firings>0")
	s.firingBounds(&l.where, q.IDs)
	if q.Execution != "" {
		r, err := scanRow(s.rd.execution.QueryRow(idBytes(q.Execution)))
		if errors.Is(err, sql.ErrNoRows) {
			return p, nil
		}
		if err != nil {
			return p, fmt.Errorf("list firings: %w", sqlError(err))
		}
		l.where.add("id=?", idBytes(r.Event))
	}
	var found []hayate.Firing
	total, err := s.list(ctx, &l, func(rows *sql.Rows) (int, error) {
		r, err := scanEvent(rows)
		if err != nil {
			return 0, err
		}
		found = found[:0]
		for i := range r.Firings {
			f := &r.Firings[i]
			if !q.Ascending {
				f = &r.Firings[len(r.Firings)-1-i]
			}
			if record.MatchFiring(&q, &r, f) {
				found = append(found, *f)
			}
		}
		return len(found), nil
	}, func(i int) { p.Items = append(p.Items, found[i]) })
	if err != nil {
		return router.Page[hayate.Firing]{}, fmt.Errorf("list firings: %w", err)
	}
	p.Total = total
	return p, nil
}

// firingBounds bounds the events that firings with these ids can belong to: an
// id carries the second in which its event was accepted.
func (s *Store) firingBounds(w *where, ids []string) {
	if len(ids) == 0 {
		return
	}
	var first, last time.Time
	for _, id := range ids {
		at := hayate.IDTime(id)
		if at.IsZero() {
			return
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	w.add("seq>=? AND seq<=?", first.UnixMicro(), last.Add(time.Second).UnixMicro()+s.w.shown.Load().lead)
}

// Lines implements router.History.
func (s *Store) Lines(ctx context.Context, id hayate.ExecutionID, after int64, limit int) ([]hayate.OutputLine, error) {
	lines, err := s.lines(ctx, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list output of execution %s: %w", id, err)
	}
	return lines, nil
}

func (s *Store) lines(ctx context.Context, id hayate.ExecutionID, after int64, limit int) ([]hayate.OutputLine, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if s.out.pending() {
		if err := s.flush(ctx); err != nil {
			return nil, err
		}
	}
	rows, err := s.rd.lines.QueryContext(ctx, idBytes(id), after, limit)
	if err != nil {
		return nil, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	var lines []hayate.OutputLine
	for rows.Next() {
		l := hayate.OutputLine{Execution: id}
		var at int64
		if err := rows.Scan(&l.Seq, &l.Attempt, &at, &l.Stream, &l.Text); err != nil {
			return nil, sqlError(err)
		}
		l.Time = time.Unix(0, at).UTC()
		lines = append(lines, l)
	}
	return lines, sqlError(rows.Err())
}
