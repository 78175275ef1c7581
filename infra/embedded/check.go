package embedded

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hayate-run/hayate"
)

// maxFindings bounds what Check returns.
const maxFindings = 100

// findings gathers the lines of a check.
type findings []string

func (f *findings) add(format string, args ...any) {
	switch {
	case len(*f) < maxFindings:
		*f = append(*f, fmt.Sprintf(format, args...))
	case len(*f) == maxFindings:
		*f = append(*f, "… and more")
	}
}

// Check implements router.Upkeep: the structure of the database (SQLite's
// quick_check), whether every record can be read, and whether records, indexes
// and counts agree.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	if err := s.settled(ctx); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("check: %w", sqlError(err))
	}
	defer tx.Rollback() // nothing was written
	c := &checker{ctx: ctx, tx: tx, blobs: s.blobs}
	for _, f := range []func() error{c.structure, c.events, c.executions, c.links, c.totals} {
		if err := f(); err != nil {
			return c.found, fmt.Errorf("check: %w", sqlError(err))
		}
	}
	return c.found, nil
}

type checker struct {
	ctx   context.Context //nolint:containedctx // of one call of Check
	tx    *sql.Tx
	blobs *Blobs
	found findings
	have  counts // as counted
}

// each runs a query and calls f for each row.
func (c *checker) each(f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := c.tx.QueryContext(c.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // its Err is returned
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c *checker) structure() error {
	return c.each(func(rows *sql.Rows) error {
		var line string
		err := rows.Scan(&line)
		if line != "ok" {
			c.found.add("database: %s", line)
		}
		return err
	}, "PRAGMA quick_check(100)")
}

func (c *checker) events() error {
	return c.each(func(rows *sql.Rows) error {
		var seq, executions, firings int64
		var id, body sql.RawBytes
		if err := rows.Scan(&seq, &id, &executions, &body, &firings); err != nil {
			return err
		}
		r, err := readEvent(hayate.EventID(idText(id)), body)
		if err != nil {
			c.found.add("%v", err)
			return nil
		}
		c.have.events++
		c.have.firings += int64(len(r.Firings))
		if int64(len(r.Firings)) != firings {
			c.found.add("event %s has %d firings, its row says %d", r.ID, len(r.Firings), firings)
		}
		return nil
	}, "SELECT "+eventColumns+", firings FROM events ORDER BY seq")
}

func (c *checker) executions() error {
	return c.each(func(rows *sql.Rows) error {
		var status int
		var duty, due sql.NullInt64
		r, err := scanRow(rows, &status, &duty, &due)
		if err != nil {
			c.found.add("%v", err)
			return nil
		}
		c.have.statuses[status&15]++
		if status != statusNumber(r.Status) {
			c.found.add("execution %s is %s, its row says otherwise (%d)", r.ID, r.Status, status)
		}
		wantDuty, wantDue := dutyColumns(&r.Execution, r.told)
		if !sameColumn(duty, wantDuty) || !sameColumn(due, wantDue) {
			c.found.add("execution %s is %s, but is not listed for the sweeper as such", r.ID, r.Status)
		}
		if r.ResultRef != nil {
			if path, err := c.blobs.path(r.ResultRef.Hash); err != nil || fileSize(path) != r.ResultRef.Size {
				c.found.add("the result of execution %s is missing or cut off: %s", r.ID, r.ResultRef.Hash)
			}
		}
		return nil
	}, "SELECT "+executionColumns+", status, duty, due FROM executions ORDER BY seq")
}

// sameColumn compares a column with what was to be written into it.
func sameColumn(have sql.NullInt64, want any) bool {
	switch w := want.(type) {
	case int:
		return have.Valid && have.Int64 == int64(w)
	case int64:
		return have.Valid && have.Int64 == w
	}
	return !have.Valid
}

// links looks for rows that refer to what is not there.
func (c *checker) links() error {
	type link struct{ what, query string }
	for _, l := range []link{
		{"event %s has no key: it would be accepted again", "SELECT hex(id) FROM events WHERE seq IN (SELECT seq FROM forgetting)"},
		{"execution %s belongs to nothing that is there", "SELECT hex(id) FROM executions x WHERE tree IS NOT NULL AND tree<>seq AND " +
			"NOT EXISTS(SELECT 1 FROM events WHERE seq=x.tree) AND NOT EXISTS(SELECT 1 FROM executions r WHERE r.seq=x.tree)"},
		{"execution %s belongs to no event that is there", "SELECT hex(id) FROM executions x WHERE tree IS NULL AND NOT coalesce((SELECT " +
			"e.seq+e.executions>=x.seq FROM events e WHERE e.seq<x.seq ORDER BY e.seq DESC LIMIT 1), 0)"},
		{"execution %s has no parent any more", "SELECT hex(id) FROM executions x WHERE parent IS NOT NULL AND NOT EXISTS(SELECT 1 FROM executions p WHERE p.id=x.parent)"},
		{"entries of run %s have no run", "SELECT DISTINCT hex(run) FROM entries WHERE run NOT IN (SELECT id FROM runs)"},
	} {
		err := c.each(func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			c.found.add(l.what, lower(id))
			return err
		}, l.query+" LIMIT 100")
		if err != nil {
			return err
		}
	}
	return nil
}

func lower(s string) string {
	b := []byte(s)
	for i, ch := range b {
		if ch >= 'A' && ch <= 'F' {
			b[i] = ch + 'a' - 'A'
		}
	}
	return string(b)
}

// totals compares the counts with what was counted.
func (c *checker) totals() error {
	var raw []byte
	if err := c.tx.QueryRowContext(c.ctx, "SELECT value FROM meta WHERE name='counts'").Scan(&raw); err != nil {
		return err
	}
	want, err := readCounts(raw)
	if err != nil {
		c.found.add("counts: %v", err)
		return nil
	}
	if err := c.tx.QueryRowContext(c.ctx, "SELECT count(*) FROM keys").Scan(&c.have.keys); err != nil {
		return err
	}
	compare := func(what string, have, want int64) {
		if have != want {
			c.found.add("there are %d %s, the counts say %d", have, what, want)
		}
	}
	compare("events", c.have.events, want.events)
	compare("firings", c.have.firings, want.firings)
	compare("keys", c.have.keys, want.keys)
	for i, s := range statuses {
		compare("executions in status "+string(s), c.have.statuses[i], want.statuses[i])
	}
	return nil
}
