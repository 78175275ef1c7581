package embedded

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// Accept implements router.Journal: event, key, firings and executions are one commit.
func (s *Store) Accept(ctx context.Context, e hayate.Event, decide router.Decide) (router.Receipt, error) {
	if err := s.ready(ctx); err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	uid := e.UID()
	if err := s.accepting.enter(ctx, uid); err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	defer s.accepting.leave(uid)
	a := &acceptance{key: uidHash(uid), settled: s.w.settled.Load()}
	at, known, err := s.known(a.key)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	if known {
		return router.Receipt{ID: hayate.EventIDOf(at, uid), AcceptedAt: at, Duplicate: true}, nil
	}
	for range router.MaxAgain {
		d, err := decide(ctx, &e)
		if err != nil {
			return router.Receipt{}, fmt.Errorf("decide on event %s: %w", e.ID, err)
		}
		a.id, a.event, a.decision = hayate.EventIDOf(e.AcceptedAt, uid), &e, &d
		if len(d.Guarded) == 0 {
			a.body = appendEvent(make([]byte, 0, 512+len(e.Data)), &e, d.Firings, d.Failed)
		}
		if err := s.do(ctx, a.write); err != nil {
			return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
		}
		if !a.again {
			break
		}
	}
	if a.again {
		return router.Receipt{}, fmt.Errorf("accept event %s: others were first %d times: %w", e.ID, router.MaxAgain, hayate.ErrBusy)
	}
	if a.duplicate {
		return router.Receipt{ID: hayate.EventIDOf(a.first, uid), AcceptedAt: a.first, Duplicate: true}, nil
	}
	return router.Receipt{ID: a.id, AcceptedAt: e.AcceptedAt, Executions: a.inserted}, nil
}

// uidKey is what an event is known by.
type uidKey [16]byte

func uidHash(uid string) uidKey {
	sum := sha256.Sum256([]byte(uid))
	return uidKey(sum[:16])
}

// known looks for an event that was accepted before.
func (s *Store) known(key uidKey) (time.Time, bool, error) {
	if at, ok := s.w.pend.keys.at(key); ok {
		return time.Unix(0, at).UTC(), true, nil
	}
	if s.filter.absent(&key) {
		return time.Time{}, false, nil
	}
	var at int64
	switch err := s.rd.key.QueryRow(key[:]).Scan(&at); {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, false, nil
	case err != nil:
		return time.Time{}, false, sqlError(err)
	}
	return time.Unix(0, at).UTC(), true, nil
}

// acceptance is an event on its way to disk.
type acceptance struct {
	id       hayate.EventID
	event    *hayate.Event
	decision *router.Decision
	key      uidKey
	settled  int64  // the writer's, before the key was looked for
	body     []byte // empty where the decision depends on states
	inserted []hayate.Execution
	again    bool // the decision must be made anew; nothing was written

	// duplicate says that another caller, who left without waiting, was first.
	duplicate bool
	first     time.Time
}

func (a *acceptance) write(t *tx) error {
	e, d, body := a.event, a.decision, a.body
	a.duplicate, a.again = false, false
	if known, err := a.known(t); known || err != nil {
		return err
	}
	if len(d.Guarded) > 0 {
		outs, again, err := t.settleGuarded(d.Guarded)
		if err != nil || again {
			a.again = again
			return err
		}
		// The caller's decision stays as it is: this may run again.
		settled := *d
		for i := range outs {
			settled.Settle(&d.Guarded[i], outs[i].Verdict)
		}
		if err := t.remember(d.Guarded, outs); err != nil {
			return err
		}
		d = &settled
		body = appendEvent(make([]byte, 0, 512+len(e.Data)), e, d.Firings, d.Failed)
	}
	seq := t.nextSeq(e.AcceptedAt, 1+int64(len(d.Executions)))
	t.changes++
	t.size += 128 + len(body)
	t.events = append(t.events, &eventRow{seq: seq, id: a.id, key: a.key, kind: textHash(e.Type), source: textHash(e.Source),
		firings: len(d.Firings), executions: len(d.Executions), at: e.AcceptedAt.UnixNano(), body: body})
	t.counts.events++
	t.counts.keys++
	t.counts.firings += int64(len(d.Firings))
	a.inserted = a.inserted[:0]
	for i := range d.Executions {
		ok, err := t.insert(d.Executions[i], seq+1+int64(i), 0)
		if err != nil {
			return err
		}
		if ok {
			a.inserted = append(a.inserted, cloneExecution(d.Executions[i]))
		}
	}
	return nil
}

// known answers for an event that was stored since it was looked for: by this
// transaction, in the journal, or, where that was settled meanwhile, in the tables.
func (a *acceptance) known(t *tx) (bool, error) {
	at, ok := int64(0), false
	for _, e := range t.events {
		if e.key == a.key {
			at, ok = e.at, true
		}
	}
	if !ok {
		at, ok = t.s.w.pend.keys.at(a.key)
	}
	if !ok && t.s.w.settled.Load() != a.settled && !t.s.filter.absent(&a.key) {
		switch err := t.st.getKey.QueryRow(a.key[:]).Scan(&at); {
		case err == nil:
			ok = true
		case !errors.Is(err, sql.ErrNoRows):
			return false, fmt.Errorf("read key: %w", sqlError(err))
		}
	}
	if ok {
		a.duplicate, a.first = true, time.Unix(0, at).UTC()
	}
	return ok, nil
}

// textHash is what filters compare instead of a text: 48 bits of FNV-1a.
func textHash[S ~string](s S) int64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return int64(h >> 16)
}

// insert adds an execution unless it exists.
func (t *tx) insert(x hayate.Execution, seq, tree int64) (bool, error) {
	if _, ok := t.rows[x.ID]; ok || t.s.live.has(x.ID) {
		return false, nil
	}
	var room [64]byte
	id := appendID(room[:0], string(x.ID))
	if !t.s.w.seen.isNew(seenExecution, id) {
		var one int64
		switch err := t.st.hasExecution.QueryRow(idBytes(x.ID)).Scan(&one); {
		case err == nil:
			return false, nil
		case !errors.Is(err, sql.ErrNoRows):
			return false, fmt.Errorf("look for execution %s: %w", x.ID, sqlError(err))
		}
	}
	t.s.w.seen.add(seenExecution, id)
	t.changes++
	t.size += rowSize(&x)
	t.counts.statuses[statusNumber(x.Status)]++
	if t.rows == nil {
		t.rows = map[hayate.ExecutionID]*row{}
	}
	t.rows[x.ID] = &row{Execution: cloneExecution(x), seq: seq, tree: tree, disk: x.Status, fresh: true, saved: true}
	if x.Status.Claimable() {
		t.s.live.put(x.ID, stored) // its caller is about to put it into a queue
	}
	return true, nil
}

// Commit implements router.Journal.
func (s *Store) Commit(ctx context.Context, c router.Change) error {
	err := s.do(ctx, func(t *tx) error {
		if err := t.check(&c); err != nil {
			return err
		}
		return t.apply(&c)
	})
	if err != nil {
		return fmt.Errorf("commit change: %w", err)
	}
	return nil
}

// check returns ErrConflict where the change was not computed from what is stored.
func (t *tx) check(c *router.Change) error {
	for i := range c.Update {
		r, err := t.execution("update", c.Update[i].ID)
		if errors.Is(err, hayate.ErrNotFound) {
			return fmt.Errorf("update execution %s: it does not exist: %w", c.Update[i].ID, hayate.ErrConflict)
		}
		if err != nil {
			return err
		}
		if _, err := record.Update(&r.Execution, c.Update[i]); err != nil {
			return err
		}
	}
	t.ending = ending{}
	for i := range c.Complete {
		e, err := t.end(&c.Complete[i])
		if err != nil {
			return err
		}
		t.ending = e
	}
	if c.Run == nil {
		return nil
	}
	version, err := t.runVersion(c.Run.ID)
	if err != nil {
		return fmt.Errorf("read run %s: %w", c.Run.ID, err)
	}
	if version != c.Run.From {
		return fmt.Errorf("step run %s: its version is %d, not %d: %w", c.Run.ID, version, c.Run.From, hayate.ErrConflict)
	}
	return nil
}

// apply writes a change that was checked.
func (t *tx) apply(c *router.Change) error {
	for i := range c.Insert {
		if err := t.insertLoose(c.Insert[i]); err != nil {
			return err
		}
	}
	for i := range c.Complete {
		e, err := t.ending, error(nil)
		if len(c.Complete) > 1 {
			// Checked once more: one attempt may be named twice.
			if e, err = t.end(&c.Complete[i]); err != nil {
				return err
			}
		}
		if err := t.saveEnd(e, slices.Contains(c.Told, e.next.ID)); err != nil {
			return err
		}
	}
	for i := range c.Update {
		x := cloneExecution(c.Update[i])
		x.Version++
		t.save(t.rows[x.ID], x)
	}
	if c.Run != nil {
		t.step(c.Run)
	}
	for _, id := range c.Told {
		if err := t.tell(id); err != nil {
			return err
		}
	}
	return nil
}

// insertLoose adds an execution that does not come with its event.
func (t *tx) insertLoose(x hayate.Execution) error {
	tree, err := t.treeOf(&x)
	if err != nil {
		return err
	}
	seq := t.nextSeq(x.Created, 1)
	if tree == 0 {
		tree = seq
	}
	_, err = t.insert(x, seq, tree)
	return err
}

// treeOf returns the number of the event or topmost execution that x belongs to,
// 0 where it stands alone.
func (t *tx) treeOf(x *hayate.Execution) (int64, error) {
	if tree, event, ok := t.s.live.origin(x.Parent); ok && t.rows[x.Parent] == nil {
		if tree != 0 {
			return tree, nil
		}
		return t.eventSeq(event)
	}
	if x.Parent != "" {
		p, err := t.execution("read", x.Parent)
		switch {
		case err == nil && p.tree != 0:
			return p.tree, nil
		case err == nil:
			return t.eventSeq(p.Event)
		case !errors.Is(err, hayate.ErrNotFound):
			return 0, err
		}
	}
	if x.Event != "" {
		return t.eventSeq(x.Event)
	}
	return 0, nil
}

func (t *tx) eventSeq(id hayate.EventID) (int64, error) {
	if e := t.s.w.pend.events[id]; e != nil {
		return e.seq, nil
	}
	for _, e := range t.events {
		if e.id == id {
			return e.seq, nil
		}
	}
	var seq, n int64
	var raw, body []byte
	err := t.st.getEvent.QueryRow(idBytes(id)).Scan(&seq, &raw, &n, &body)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read event %s: %w", id, sqlError(err))
	}
	return seq, nil
}

// maxVersions bounds the versions of runs that are kept to spare a read.
const maxVersions = 8192

// runVersion returns the version of a run, 0 where there is none.
func (t *tx) runVersion(id hayate.ExecutionID) (int64, error) {
	w := t.s.w
	if r := t.runs[id]; r != nil {
		return r.version, nil
	}
	if r := w.pend.runs[id]; r != nil {
		return r.version, nil
	}
	if v, ok := w.versions[id]; ok {
		return v, nil
	}
	key := idBytes(id)
	if w.seen.isNew(seenRun, key) {
		return 0, nil
	}
	var version int64
	if err := t.st.runVersion.QueryRow(key).Scan(&version); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, sqlError(err)
	}
	return version, nil
}

// step makes a delta part of its run, which is at the version it was computed from.
func (t *tx) step(d *router.RunDelta) {
	r := &runRow{id: d.ID, version: d.From + 1, done: d.Done, head: d.Head, entries: d.Entries, stored: d.From > 0}
	if !d.Wake.IsZero() {
		r.wake = micros(d.Wake)
	}
	if have := t.runs[d.ID]; have != nil {
		r = have.over(r)
	}
	if t.runs == nil {
		t.runs = map[hayate.ExecutionID]*runRow{}
	}
	t.runs[d.ID] = r
	if d.From == 0 {
		t.s.w.seen.add(seenRun, idBytes(d.ID))
	}
	t.changes++
	t.size += 64 + len(d.Head)
	for k, v := range d.Entries {
		t.size += len(k) + len(v) + 8
	}
}

// tell notes that the parent's run has heard of an execution's end.
func (t *tx) tell(id hayate.ExecutionID) error {
	r, err := t.execution("tell of", id)
	if errors.Is(err, hayate.ErrNotFound) {
		return nil
	}
	if err != nil || r.told || !r.Status.Completed() {
		return err
	}
	r.told = true
	t.save(r, r.Execution)
	return nil
}

// Run implements router.Journal.
func (s *Store) Run(ctx context.Context, id hayate.ExecutionID) (router.Run, error) {
	if err := s.ready(ctx); err != nil {
		return router.Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	r := router.Run{ID: id, Entries: map[string]json.RawMessage{}}
	if err := s.readable(ctx); err != nil {
		return r, fmt.Errorf("read run %s: %w", id, err)
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, sqlError(err))
	}
	defer tx.Rollback() // nothing was written
	var wake sql.NullInt64
	var head []byte
	err = tx.Stmt(s.rd.run).QueryRowContext(ctx, idBytes(id)).Scan(&r.Version, &wake, &head)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("run %s: %w", id, hayate.ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, sqlError(err))
	}
	r.Head = head
	if wake.Valid {
		r.Wake = time.UnixMicro(wake.Int64).UTC()
	}
	rows, err := tx.Stmt(s.rd.entries).QueryContext(ctx, idBytes(id))
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, sqlError(err))
	}
	defer rows.Close() // rows.Err is asked below
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return r, fmt.Errorf("read run %s: %w", id, sqlError(err))
		}
		// Keys that the step wrote replace those of earlier steps.
		if err := readEntries(body, r.Entries); err != nil {
			return r, fmt.Errorf("read run %s: its entries are damaged: %w", id, err)
		}
	}
	if err := rows.Err(); err != nil {
		return r, fmt.Errorf("read run %s: %w", id, sqlError(err))
	}
	return r, nil
}
