package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/record"
)

// maxLive bounds the executions that are kept in memory only to spare a read.
const maxLive = 8192

// row is an execution with what the store keeps beside it.
type row struct {
	hayate.Execution
	seq  int64
	tree int64 // 0: it follows its event
	told bool
	// disk is the status on disk, which differs from the execution's while volatile.
	disk     hayate.Status
	volatile bool // the claim is in memory only
	dirty    bool // the transaction has changed it (never set in live)
	fresh    bool // the transaction has inserted it (never set in live)
	saved    bool // the transaction makes it durable as it is (never set in live)
	stored   bool // the tables have a row of it, though perhaps not as it is
}

// live holds the executions that are being worked on, and those that the tables
// do not have as they are yet. For a volatile one it is the truth, for the others
// a copy of what is on disk.
type live struct {
	mu   sync.Mutex
	rows map[hayate.ExecutionID]*liveRow
	// volatile are the ids of the rows that are.
	volatile map[hayate.ExecutionID]struct{}
	// handed says which claimable executions the process knows about: those that
	// are in a queue, and those that somebody is about to put there.
	handed map[hayate.ExecutionID]handed
}

type liveRow struct {
	row
	busy    int  // transactions that are changing it
	pending bool // the journal has it, the tables do not have it as it is
}

type handed int

const (
	stored handed = iota + 1 // by this process; its caller puts it into a queue
	queued
)

func (l *live) init() {
	l.rows = map[hayate.ExecutionID]*liveRow{}
	l.volatile = map[hayate.ExecutionID]struct{}{}
	l.handed = map[hayate.ExecutionID]handed{}
}

// hold returns the row for a transaction to work on, and keeps others from
// changing it in memory until settle.
func (l *live) hold(id hayate.ExecutionID) (row, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[id]
	if !ok {
		return row{}, false
	}
	r.busy++
	return r.row, true
}

// adopt keeps a row that was read from disk, held.
func (l *live) adopt(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[r.ID] = &liveRow{row: *r, busy: 1}
}

// settle takes over what a transaction has done, or forgets it. inTables says that
// it has written into the tables all that it and others before it have saved.
func (l *live) settle(t *tx, committed, inTables bool) {
	var wrote map[hayate.ExecutionID]*row
	var slid []*row
	switch {
	case committed && inTables:
		wrote = t.s.w.pend.rows
	case committed && t.slid != nil:
		slid = t.slid.rows
	}
	if len(t.rows)+len(wrote)+len(slid) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, r := range t.rows {
		if r.fresh {
			if !committed {
				delete(l.handed, id)
			} else if !inTables || !r.Status.Completed() {
				l.rows[id] = &liveRow{row: r.settled(inTables), pending: !inTables}
			}
			continue
		}
		have := l.rows[id]
		have.busy--
		if committed && r.dirty {
			have.row = r.settled(inTables)
			have.pending = have.pending || r.saved
			if r.volatile {
				l.volatile[id] = struct{}{}
			} else {
				delete(l.volatile, id)
			}
			if !r.Status.Claimable() {
				delete(l.handed, id)
			}
		}
		if committed && inTables {
			have.pending = false
		}
		l.forget(id, have)
	}
	for id := range wrote {
		l.inTables(id)
	}
	for _, r := range slid {
		l.inTables(r.ID)
	}
	l.trim()
}

// inTables notes that the tables have a row as it was saved last.
func (l *live) inTables(id hayate.ExecutionID) {
	if r := l.rows[id]; r != nil {
		r.pending, r.stored = false, true
		l.forget(id, r)
	}
}

// settled is the row as live keeps it.
func (r *row) settled(inTables bool) row {
	x := *r
	x.stored = r.stored || r.saved && inTables
	x.dirty, x.fresh, x.saved = false, false, false
	return x
}

// forget drops a row that nobody will ask for.
func (l *live) forget(id hayate.ExecutionID, r *liveRow) {
	if r.busy == 0 && !r.pending && r.Status.Completed() {
		delete(l.rows, id)
	}
}

// trim forgets rows that are on disk as they are, in no order.
func (l *live) trim() {
	kept := len(l.volatile) + maxPending
	if len(l.rows) <= maxLive+kept {
		return
	}
	over := len(l.rows) - maxLive/2 - kept
	for id, r := range l.rows {
		if over == 0 {
			return
		}
		if r.busy == 0 && !r.volatile && !r.pending {
			delete(l.rows, id)
			over--
		}
	}
}

// inMemory runs f on the row of an idempotent execution that no transaction is
// changing, and keeps what f makes of it. ok is false where there is none such.
func (l *live) inMemory(id hayate.ExecutionID, f func(*row) error) (x hayate.Execution, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, found := l.rows[id]
	if !found || r.busy > 0 || !r.Idempotent {
		return x, false, nil
	}
	next := r.row
	next.Execution = cloneExecution(next.Execution)
	if err := f(&next); err != nil {
		return x, true, err
	}
	r.row = next
	if next.volatile {
		l.volatile[id] = struct{}{}
	}
	if !next.Status.Claimable() {
		delete(l.handed, id)
	}
	return shared(next.Execution), true, nil
}

// volatiles returns the executions whose claims are in memory.
func (l *live) volatiles() map[hayate.ExecutionID]row {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.volatile) == 0 {
		return nil
	}
	m := make(map[hayate.ExecutionID]row, len(l.volatile))
	for id := range l.volatile {
		r := l.rows[id].row
		r.Execution = cloneExecution(r.Execution)
		m[id] = r
	}
	return m
}

// isVolatile says whether the claim of an execution is in memory only.
func (l *live) isVolatile(id hayate.ExecutionID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.volatile[id]
	return ok
}

// recall keeps a row that was read from disk and whose claim is in memory again.
func (l *live) recall(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[r.ID] = &liveRow{row: *r}
	l.volatile[r.ID] = struct{}{}
}

// get returns an execution as it is known in memory.
func (l *live) get(id hayate.ExecutionID) (hayate.Execution, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[id]
	if !ok {
		return hayate.Execution{}, false
	}
	return shared(r.Execution), true
}

// has says whether an execution is known in memory.
func (l *live) has(id hayate.ExecutionID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[id] != nil
}

// mark notes where executions are, and returns those it does not know.
func (l *live) mark(ids []hayate.ExecutionID, h handed) (unknown []hayate.ExecutionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		r, ok := l.rows[id]
		switch {
		case ok && r.Status.Claimable(), !ok && l.handed[id] != 0:
			l.handed[id] = h
		case !ok:
			unknown = append(unknown, id)
		}
	}
	return unknown
}

// put notes where an execution is.
func (l *live) put(id hayate.ExecutionID, h handed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed[id] = h
}

func (l *live) where(id hayate.ExecutionID) handed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handed[id]
}

// origin returns where an execution came from, as it is known in memory: it never
// changes.
func (l *live) origin(id hayate.ExecutionID) (tree int64, event hayate.EventID, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[id]
	if !ok {
		return 0, "", false
	}
	return r.tree, r.Event, true
}

// execution returns the row for the transaction to change. It reads its own
// writes; where there is none it returns ErrNotFound.
func (t *tx) execution(act string, id hayate.ExecutionID) (*row, error) {
	if r, ok := t.rows[id]; ok {
		return r, nil
	}
	held, ok := t.s.live.hold(id)
	r := &held
	if !ok {
		var err error
		if r, err = scanRow(t.st.getExecution.QueryRow(idBytes(id))); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return nil, fmt.Errorf("%s execution %s: %w", act, id, hayate.ErrNotFound)
			}
			return nil, fmt.Errorf("%s execution %s: %w", act, id, sqlError(err))
		}
		t.s.live.adopt(r)
	}
	if t.rows == nil {
		t.rows = map[hayate.ExecutionID]*row{}
	}
	t.rows[id] = r
	return r, nil
}

type scanner interface{ Scan(...any) error }

// scanRow reads executionColumns, and further columns into more.
func scanRow(sc scanner, more ...any) (*row, error) {
	var r row
	var id, body sql.RawBytes
	var tree sql.NullInt64
	if _, single := sc.(*sql.Row); single {
		var b1, b2 []byte
		if err := sc.Scan(append([]any{&r.seq, &b1, &tree, &b2}, more...)...); err != nil {
			return nil, err
		}
		id, body = b1, b2
	} else if err := sc.Scan(append([]any{&r.seq, &id, &tree, &body}, more...)...); err != nil {
		return nil, err
	}
	x, told, err := readExecution(hayate.ExecutionID(idText(id)), body)
	if err != nil {
		return nil, err
	}
	r.Execution, r.told, r.tree, r.disk, r.stored = x, told, tree.Int64, x.Status, true
	return &r, nil
}

// save makes x what is stored of a row that exists.
func (t *tx) save(r *row, x hayate.Execution) {
	t.changes++
	t.size += rowSize(&x)
	t.counts.statuses[statusNumber(r.disk)]--
	t.counts.statuses[statusNumber(x.Status)]++
	r.Execution, r.disk, r.volatile, r.dirty, r.saved = x, x.Status, false, true, true
}

// rowSize is about what an execution takes in the journal.
func rowSize(x *hayate.Execution) int {
	return 256 + len(x.Parameters) + len(x.Context) + len(x.Result)
}

// dutyColumns are NULL only where nothing is left to do: what is unfinished is
// found by them, even if a sweeper has nothing to do about it.
func dutyColumns(x *hayate.Execution, told bool) (duty, due any) {
	d, at := record.DutyOf(x, told)
	switch {
	case d != record.None:
		return int(d), micros(at)
	case x.Status.Completed():
		return nil, nil
	}
	return int(record.None), 0
}

// cloneExecution returns a copy that may be moved on: it has room for two more
// transitions.
func cloneExecution(x hayate.Execution) hayate.Execution {
	x.Log = append(make([]hayate.Transition, 0, len(x.Log)+2), x.Log...)
	return x
}

// shared returns an execution for somebody who may move it on: what is appended to its
// log is his own. What is there is never changed, by nobody.
func shared(x hayate.Execution) hayate.Execution {
	x.Log = x.Log[:len(x.Log):len(x.Log)]
	return x
}

// inflight makes callers with one event wait for each other.
type inflight struct {
	mu sync.Mutex
	m  map[string]chan struct{}
}

func (f *inflight) init() { f.m = map[string]chan struct{}{} }

// enter waits until nobody else is in with this key.
func (f *inflight) enter(ctx context.Context, key string) error {
	for {
		f.mu.Lock()
		other, taken := f.m[key]
		if !taken {
			f.m[key] = make(chan struct{})
			f.mu.Unlock()
			return nil
		}
		f.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *inflight) leave(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.m[key])
	delete(f.m, key)
}
