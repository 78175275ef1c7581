package embedded

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hayate-run/hayate"
)

// The fields of a row of the journal, and of the records in it.
const (
	jCounts = iota + 1
	jEvent
	jExecution
	jRun
)

const (
	jSeq = iota + 1
	jTree
	jID
	jBody
	jKey
	jKind
	jSource
	jFirings
	jExecutions
	jAt
	jVersion
	jWake
	jDone
	jHead
)

// journal returns the row that makes a transaction durable, in b.
func (t *tx) journal(b []byte) []byte {
	w := t.s.w
	one := w.record
	for _, e := range t.events {
		one = putInt(one[:0], jSeq, e.seq)
		one = putID(one, jID, e.id)
		one = putBytes(one, jKey, e.key[:])
		one = putInt(one, jKind, e.kind)
		one = putInt(one, jSource, e.source)
		one = putInt(one, jFirings, int64(e.firings))
		one = putInt(one, jExecutions, int64(e.executions))
		one = putInt(one, jAt, e.at)
		one = putBytes(one, jBody, e.body)
		b = putPresent(b, jEvent, one)
	}
	for _, r := range t.rows {
		if !r.saved {
			continue
		}
		one = putInt(one[:0], jSeq, r.seq)
		one = putInt(one, jTree, r.tree)
		one = putID(one, jID, r.ID)
		w.body = appendExecution(w.body[:0], &r.Execution, r.told)
		one = putPresent(one, jBody, w.body)
		b = putPresent(b, jExecution, one)
	}
	for _, r := range t.runs {
		one = putID(one[:0], jID, r.id)
		one = putInt(one, jVersion, r.version)
		one = putInt(one, jWake, r.wake)
		one = putBool(one, jDone, r.done)
		one = putPresent(one, jHead, r.head)
		one = putNested(one, jBody, entriesSize(r.entries))
		one = appendEntries(one, r.entries)
		b = putPresent(b, jRun, one)
	}
	w.record = one[:0]
	return putPresent(b, jCounts, t.counts.append(nil))
}

// replay settles the journal that an earlier process left.
func (w *writer) replay() error {
	bodies, err := w.readJournal()
	for i := 0; err == nil && i < len(bodies); i++ {
		err = w.pend.read(bodies[i], &w.counts, w.runInTables)
		w.pend.journal = append(w.pend.journal, journalRow{})
	}
	if err == nil {
		err = w.inTables()
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if w.pend.empty() {
		return nil
	}
	c := w.counts
	w.shown.Store(&c)
	return w.transaction([]*request{{run: settle, done: make(chan struct{})}})
}

// readJournal returns the rows of the journal, the oldest first.
func (w *writer) readJournal() (bodies [][]byte, err error) {
	rows, err := w.db.Query("SELECT body FROM journal ORDER BY seq")
	if err != nil {
		return nil, sqlError(err)
	}
	defer rows.Close() // rows.Err is asked below
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, sqlError(err)
		}
		bodies = append(bodies, body)
	}
	return bodies, sqlError(rows.Err())
}

// runInTables returns the version of a run in the tables, 0 where they have none.
func (w *writer) runInTables(id hayate.ExecutionID) (version int64, err error) {
	err = w.st.runVersion.QueryRow(idBytes(id)).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, sqlError(err)
}

// inTables finds out which pending executions the tables have already.
func (w *writer) inTables() error {
	for id, r := range w.pend.rows {
		var one int64
		err := w.st.hasExecution.QueryRow(idBytes(id)).Scan(&one)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return sqlError(err)
		}
		r.stored = err == nil
	}
	return nil
}

// read takes a row of the journal into what is pending, without the steps of runs
// that are at their version or beyond it in the tables.
func (p *pending) read(body []byte, c *counts, inTables func(hayate.ExecutionID) (int64, error)) error {
	f := fields{rest: body}
	for f.next() {
		var err error
		switch f.field {
		case jCounts:
			*c, err = readCounts(f.bytes)
		case jEvent:
			var e *eventRow
			if e, err = readEventRow(f.bytes); err == nil {
				p.events[e.id] = e
			}
		case jExecution:
			var r *row
			if r, err = readRow(f.bytes); err == nil {
				p.rows[r.ID] = r
			}
		case jRun:
			var r *runRow
			var stored int64
			if r, err = readRunRow(f.bytes); err == nil {
				stored, err = inTables(r.id)
			}
			if err == nil && r.version > stored {
				r.stored = stored > 0
				if have := p.runs[r.id]; have != nil {
					r = have.over(r)
				}
				p.runs[r.id] = r
			}
		}
		if err != nil {
			return err
		}
	}
	return f.err
}

func readEventRow(b []byte) (*eventRow, error) {
	e := &eventRow{}
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case jSeq:
			e.seq = f.n
		case jID:
			e.id = hayate.EventID(f.id())
		case jKey:
			copy(e.key[:], f.bytes)
		case jKind:
			e.kind = f.n
		case jSource:
			e.source = f.n
		case jFirings:
			e.firings = int(f.n)
		case jExecutions:
			e.executions = int(f.n)
		case jAt:
			e.at = f.n
		case jBody:
			e.body = f.raw()
		}
	}
	return e, f.err
}

func readRow(b []byte) (*row, error) {
	r := &row{saved: true}
	var body []byte
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case jSeq:
			r.seq = f.n
		case jTree:
			r.tree = f.n
		case jID:
			r.ID = hayate.ExecutionID(f.id())
		case jBody:
			body = f.bytes
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	x, told, err := readExecution(r.ID, body)
	r.Execution, r.told, r.disk = x, told, x.Status
	return r, err
}

func readRunRow(b []byte) (*runRow, error) {
	r := &runRow{entries: map[string]json.RawMessage{}}
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case jID:
			r.id = hayate.ExecutionID(f.id())
		case jVersion:
			r.version = f.n
		case jWake:
			r.wake = f.n
		case jDone:
			r.done = f.flag()
		case jHead:
			r.head = f.raw()
		case jBody:
			if err := readEntries(f.bytes, r.entries); err != nil {
				return nil, err
			}
		}
	}
	return r, f.err
}

// The fields of a row of entries: keys and values in turn.
const (
	entryKey = iota + 1
	entryValue
)

// entriesSize is the length of what appendEntries appends.
func entriesSize(entries map[string]json.RawMessage) int {
	n := 0
	for k, v := range entries {
		n += 2 + uvarintSize(len(k)) + len(k) + uvarintSize(len(v)) + len(v)
	}
	return n
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

func appendEntries(b []byte, entries map[string]json.RawMessage) []byte {
	for k, v := range entries {
		b = putPresent(b, entryKey, k)
		b = putPresent(b, entryValue, v)
	}
	return b
}

// readEntries reads a row of entries into a map, over what is there. Format 1 wrote
// them as a JSON object.
func readEntries(b []byte, into map[string]json.RawMessage) error {
	if len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, &into)
	}
	var key string
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case entryKey:
			key = f.text()
		case entryValue:
			into[key] = f.raw()
		}
	}
	return f.err
}
