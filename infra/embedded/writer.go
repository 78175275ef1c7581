package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hayate-run/hayate"
)

// maxBatch bounds the requests that share a commit, and so how long the first of
// them waits for the last.
const maxBatch = 1024

// writer is the one goroutine that changes the database. It takes everything
// that waits and commits it at once (group commit).
type writer struct {
	s    *Store
	db   *sql.DB
	path string
	st   writeStatements

	mu      sync.Mutex
	waiting []*request
	stopped bool
	started bool          // only Open and Close look at it
	wake    chan struct{} // holds one
	done    chan struct{}

	counts counts // as committed; only the writer reads and changes it
	pend   pending
	// versions are those of runs that the tables have, so far as they are known.
	versions map[hayate.ExecutionID]int64
	// unsettled says that something is pending; settled counts how often the tables
	// took over what was.
	unsettled atomic.Bool
	settled   atomic.Int64
	due       *time.Timer // settles what is pending; nil where nothing is
	seen      seen
	relaxed   bool   // commits are not synced now
	buf       []byte // a row of the journal, and a record in it, used again and again
	record    []byte
	body      []byte // records of executions on their way to a statement
	shown     atomic.Pointer[counts]
	commits   atomic.Int64
	writes    atomic.Int64
	wal       walGuard
}

// request is something to be done in the next commit.
type request struct {
	run   func(*tx) error
	alone bool                // run wants a transaction of its own, with nothing pending
	solo  func(*sql.DB) error // instead of run: outside of any transaction
	err   error
	done  chan struct{}
	left  atomic.Bool // nobody waits for it any more
}

// do runs fn in a transaction that it shares with other callers, and returns
// once that is on disk. fn must look before it writes: an error of its own
// before its first write leaves the others alone. It may run more than once.
// Where ctx ends while fn waits or runs, the outcome is unknown.
func (s *Store) do(ctx context.Context, fn func(*tx) error) error {
	return s.wait(ctx, &request{run: fn, done: make(chan struct{})})
}

// doAlone runs fn in a transaction of its own that finds everything in the tables,
// and whose statements may change what is there.
func (s *Store) doAlone(ctx context.Context, fn func(*tx) error) error {
	return s.wait(ctx, &request{run: fn, alone: true, done: make(chan struct{})})
}

// settled returns once the tables have all that was committed before.
func (s *Store) settled(ctx context.Context) error {
	if err := s.ready(ctx); err != nil || !s.w.unsettled.Load() && !s.out.pending() {
		return err
	}
	return s.do(ctx, settle)
}

// readable is settled for those who only read. While the disk refuses every write,
// they are shown what the tables have: all but the last changes.
func (s *Store) readable(ctx context.Context) error {
	err := s.settled(ctx)
	if errors.Is(err, hayate.ErrBusy) && !s.closed.Load() {
		s.log.Warn("lists lack the newest changes until the store can be written again", "err", err)
		return nil
	}
	return err
}

// settle asks for a transaction that empties the journal.
func settle(t *tx) error {
	t.settle = true
	return nil
}

// solo runs fn between two commits.
func (s *Store) solo(ctx context.Context, fn func(*sql.DB) error) error {
	return s.wait(ctx, &request{solo: fn, done: make(chan struct{})})
}

func (s *Store) wait(ctx context.Context, r *request) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := s.w.put(r); err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		r.left.Store(true)
		return ctx.Err()
	}
}

func (w *writer) put(r *request) error {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return errClosed
	}
	w.waiting = append(w.waiting, r)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// newWriter prepares the writing handle; start makes it work.
func newWriter(s *Store, db *sql.DB, path string) (*writer, error) {
	if err := migrate(db, path); err != nil {
		return nil, err
	}
	w := &writer{s: s, db: db, path: path, wake: make(chan struct{}, 1), done: make(chan struct{}), versions: map[hayate.ExecutionID]int64{}}
	w.pend.init()
	if err := w.st.prepare(db); err != nil {
		return nil, sqlError(err)
	}
	if err := w.load(); err != nil {
		return nil, err
	}
	if err := w.wal.open(s, path); err != nil {
		return nil, errors.Join(err, w.wal.close())
	}
	return w, nil
}

// load reads the counts, and the number of the newest row.
func (w *writer) load() error {
	var raw []byte
	if err := w.db.QueryRow("SELECT value FROM meta WHERE name='counts'").Scan(&raw); err != nil {
		return fmt.Errorf("read counts: %w", sqlError(err))
	}
	c, err := readCounts(raw)
	if err != nil {
		return fmt.Errorf("read counts: %w", err)
	}
	w.counts = c
	w.shown.Store(&c)
	return nil
}

func (w *writer) start() {
	w.started = true
	go w.loop()
}

func (w *writer) loop() {
	defer close(w.done)
	var batch []*request
	for {
		<-w.wake
		for {
			var last bool
			batch, last = w.take(batch[:0])
			if len(batch) > 0 {
				w.commit(batch)
				w.wal.after(w.db)
				continue
			}
			if last {
				return
			}
			break
		}
	}
}

// take returns what waits; last says that nothing will come any more.
func (w *writer) take(batch []*request) (_ []*request, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.waiting), maxBatch)
	for _, r := range w.waiting[:n] {
		if !r.left.Load() {
			batch = append(batch, r)
		}
	}
	if n == len(w.waiting) {
		clear(w.waiting)
		w.waiting = w.waiting[:0]
	} else {
		w.waiting = append(w.waiting[:0:0], w.waiting[n:]...)
	}
	return batch, w.stopped && len(w.waiting) == 0
}

// stop ends the writer once everything that waits is committed. Twice is fine.
func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	if w.started {
		<-w.done
	}
}

func (w *writer) close() error {
	return errors.Join(w.wal.close(), w.st.close(), w.db.Close(), w.wal.closeIndex())
}

// commit makes a batch durable. When it cannot be committed whole, each request
// gets its own transaction, so that one that the disk or the database refuses
// does not take the others along.
func (w *writer) commit(batch []*request) {
	batch = w.alone(batch)
	if len(batch) == 0 {
		return
	}
	err := w.transaction(batch)
	if err != nil && len(batch) > 1 {
		for _, r := range batch {
			r.err = w.transaction([]*request{r})
		}
	} else if err != nil {
		batch[0].err = err
	}
	for _, r := range batch {
		close(r.done)
	}
}

// alone runs the requests that want no transaction, or one of their own, and
// returns the others.
func (w *writer) alone(batch []*request) []*request {
	rest := batch[:0]
	for _, r := range batch {
		switch {
		case r.solo != nil:
			r.err = r.solo(w.db)
		case r.alone:
			if err := w.transaction([]*request{r}); err != nil {
				r.err = err
			}
		default:
			rest = append(rest, r)
			continue
		}
		close(r.done)
	}
	return rest
}

// transaction runs requests and commits them. Errors of single requests are left
// with them; the returned error concerns all.
func (w *writer) transaction(batch []*request) error {
	t := &tx{s: w.s, st: &w.st, counts: w.counts}
	err := w.fill(t, batch)
	if err == nil {
		err = t.commit()
	}
	if err != nil {
		if t.begun {
			// After a full disk SQLite has often rolled back by itself.
			_, _ = w.st.rollback.Exec()
		}
		w.s.live.settle(t, false, false)
		return err
	}
	if t.changes > 0 {
		w.commits.Add(1)
		w.counts = t.counts
		c := t.counts
		w.shown.Store(&c)
	}
	w.keep(t)
	for _, f := range t.after {
		f()
	}
	return nil
}

// keep takes over what a transaction has committed.
func (w *writer) keep(t *tx) {
	w.s.filter.add(t.events)
	switch {
	case t.settled:
		w.settled.Add(1) // before the keys are forgotten: see acceptance.known
		w.s.live.settle(t, true, true)
		for id, r := range t.runs {
			w.remember(id, r)
		}
		for id, r := range w.pend.runs {
			if t.runs[id] == nil {
				w.remember(id, r)
			}
		}
		w.pend.clear()
		w.unsettled.Store(false)
		if w.due != nil {
			w.due.Stop()
			w.due = nil
		}
	case t.journaled > 0:
		if t.slid != nil {
			w.settled.Add(1) // before the keys are forgotten: see acceptance.known
			for _, r := range t.slid.runs {
				w.remember(r.id, r)
			}
			w.pend.slide(t.slid)
		}
		w.pend.take(t)
		w.s.live.settle(t, true, false)
		w.unsettled.Store(true)
		if w.due == nil {
			w.settleLater()
		}
	default:
		w.s.live.settle(t, true, false)
	}
}

// remember keeps the version of a run that is in the tables.
func (w *writer) remember(id hayate.ExecutionID, r *runRow) {
	if r.done {
		delete(w.versions, id)
		return
	}
	if len(w.versions) >= maxVersions {
		clear(w.versions)
	}
	w.versions[id] = r.version
}

func (w *writer) fill(t *tx, batch []*request) error {
	if err := w.s.out.write(t); err != nil {
		return err
	}
	for _, r := range batch {
		if r.alone {
			t.alone = true
			if err := t.settlePending(); err != nil {
				return err
			}
		}
		before := t.changes
		r.err = r.run(t)
		if r.err != nil && t.changes != before {
			// It failed half-way: nothing of this transaction can be kept.
			return r.err
		}
		if t.changes != before {
			w.writes.Add(1)
		}
	}
	return nil
}

// tx is a transaction while it is filled. Only the writer uses it.
type tx struct {
	s       *Store
	st      *writeStatements
	begun   bool
	changes int // things that its requests have changed
	counts  counts
	rows    map[hayate.ExecutionID]*row // executions read or changed in it
	events  []*eventRow                 // accepted in it
	runs    map[hayate.ExecutionID]*runRow
	size    int      // about what its events, rows and runs take
	ending  ending   // the last completion that was checked
	settle  bool     // the tables shall have all of it
	after   []func() // what to do once it is committed

	alone      bool  // its one request changes what is in the tables
	settled    bool  // it has written into the tables what was pending
	early      bool  // … before anything of its own
	slid       *slid // the oldest of it, which it has written into the tables
	journaled  int   // bytes that it has written into the journal
	journalSeq int64 // the number of that row
}

// exec runs a statement that changes something.
func (t *tx) exec(st *sql.Stmt, args ...any) (sql.Result, error) {
	t.changes++
	return t.statement(st, args...)
}

// statement runs a statement that changes nothing that was not counted.
func (t *tx) statement(st *sql.Stmt, args ...any) (sql.Result, error) {
	if !t.begun {
		if err := t.begin(); err != nil {
			return nil, err
		}
	}
	res, err := st.Exec(args...)
	if err != nil {
		return nil, sqlError(err)
	}
	return res, nil
}

// begin begins the transaction. One that only moves what the journal has into the
// tables need not be on disk at its end: until it is, the journal is. The next
// commit's sync takes it along, and a copy of the log into the database, too.
func (t *tx) begin() error {
	w := t.s.w
	if relaxed := t.changes == 0 && !t.alone; relaxed != w.relaxed {
		mode := "PRAGMA synchronous=FULL"
		if relaxed {
			mode = "PRAGMA synchronous=NORMAL"
		}
		if _, err := w.db.Exec(mode); err != nil {
			return sqlError(err)
		}
		w.relaxed = relaxed
	}
	if _, err := t.st.begin.Exec(); err != nil {
		return sqlError(err)
	}
	t.begun = true
	return nil
}

// commit makes the transaction durable: by the journal, or in the tables where it
// is asked for that, or where so much is pending that it is time.
func (t *tx) commit() error {
	p := &t.s.w.pend
	own := len(t.events) + len(t.runs)
	for _, r := range t.rows {
		if r.saved {
			own++
		}
	}
	if t.changes == 0 && !t.begun && (!t.settle || p.empty()) {
		return nil
	}
	full := p.full(own, t.size)
	if t.settle || t.settled || own == 0 && p.empty() || full && (own > maxPending/2 || t.size > pendingBytes/2) {
		if err := t.settlePending(); err != nil {
			return err
		}
		if err := t.writeOwn(); err != nil {
			return err
		}
		if _, err := t.statement(t.st.counts, t.counts.append(nil)); err != nil {
			return err
		}
	} else {
		if full {
			if err := t.slide(own, t.size); err != nil {
				return err
			}
		}
		w := t.s.w
		b := t.journal(w.buf[:0])
		w.buf = b
		res, err := t.statement(t.st.addJournal, b)
		if err == nil {
			t.journalSeq, err = res.LastInsertId()
		}
		if err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		t.journaled = len(b)
		if cap(b) > pendingBytes {
			w.buf, w.record, w.body = nil, nil, nil
		}
	}
	if _, err := t.st.commit.Exec(); err != nil {
		return sqlError(err)
	}
	return nil
}

// nextSeq returns the number of a row of that time, and reserves n-1 numbers
// after it.
func (t *tx) nextSeq(at time.Time, n int64) int64 {
	seq := max(t.counts.seq+1, at.UnixMicro())
	t.counts.seq = seq + n - 1
	t.counts.lead = max(t.counts.lead, t.counts.seq-at.UnixMicro())
	return seq
}
