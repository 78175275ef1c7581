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
	hash := uidHash(uid)
	at, known, err := s.known(hash)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	if known {
		return router.Receipt{ID: hayate.EventIDOf(at, uid), AcceptedAt: at, Duplicate: true}, nil
	}
	d, err := decide(ctx, &e)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("decide on event %s: %w", e.ID, err)
	}
	a := &acceptance{id: hayate.EventIDOf(e.AcceptedAt, uid), event: &e, decision: &d, hash: hash}
	a.body = appendEvent(make([]byte, 0, 512+len(e.Data)), &e, d.Firings, d.Failed)
	if err := s.do(ctx, a.write); err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	if a.duplicate {
		return router.Receipt{ID: hayate.EventIDOf(a.first, uid), AcceptedAt: a.first, Duplicate: true}, nil
	}
	return router.Receipt{ID: a.id, AcceptedAt: e.AcceptedAt, Executions: a.inserted}, nil
}

func uidHash(uid string) []byte {
	sum := sha256.Sum256([]byte(uid))
	return sum[:16]
}

// known looks for an event that was accepted before.
func (s *Store) known(hash []byte) (time.Time, bool, error) {
	var at int64
	switch err := s.rd.key.QueryRow(hash).Scan(&at); {
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
	hash     []byte
	body     []byte
	inserted []hayate.Execution

	// duplicate says that another caller, who left without waiting, was first.
	duplicate bool
	first     time.Time
}

func (a *acceptance) write(t *tx) error {
	e, d := a.event, a.decision
	res, err := t.exec(t.st.addKey, a.hash, e.AcceptedAt.UnixNano())
	if err != nil {
		return fmt.Errorf("store key: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, a.known(t))
	}
	seq := t.nextSeq(e.AcceptedAt, 1+int64(len(d.Executions)))
	if _, err := t.exec(t.st.addEvent, seq, idBytes(a.id), textHash(e.Type), textHash(e.Source), len(d.Firings),
		len(d.Executions), e.AcceptedAt.UnixNano(), a.body); err != nil {
		return fmt.Errorf("store event: %w", err)
	}
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

// known answers for an event that was stored since it was looked for.
func (a *acceptance) known(t *tx) error {
	var at int64
	if err := t.st.getKey.QueryRow(a.hash).Scan(&at); err != nil {
		return fmt.Errorf("read key: %w", sqlError(err))
	}
	a.duplicate, a.first = true, time.Unix(0, at).UTC()
	return nil
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
	if _, ok := t.rows[x.ID]; ok {
		return false, nil
	}
	duty, due := dutyColumns(&x, false)
	var rule, parent, treeColumn any
	if x.Rule != "" {
		rule = textHash(x.Rule)
	}
	if x.Parent != "" {
		parent = idBytes(x.Parent)
	}
	if tree != 0 {
		treeColumn = tree
	}
	res, err := t.exec(t.st.addExecution, seq, idBytes(x.ID), statusNumber(x.Status), duty, due, textHash(x.Action), rule,
		textHash(x.Runner), treeColumn, parent, x.Created.UnixNano(), appendExecution(nil, &x, false))
	if err != nil {
		return false, fmt.Errorf("store execution %s: %w", x.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	t.counts.statuses[statusNumber(x.Status)]++
	if t.rows == nil {
		t.rows = map[hayate.ExecutionID]*row{}
	}
	t.rows[x.ID] = &row{Execution: cloneExecution(x), seq: seq, tree: tree, disk: x.Status, fresh: true}
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
	for i := range c.Complete {
		if _, err := t.end(&c.Complete[i]); err != nil {
			return err
		}
	}
	if c.Run == nil {
		return nil
	}
	var version int64
	err := t.st.runVersion.QueryRow(idBytes(c.Run.ID)).Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read run %s: %w", c.Run.ID, sqlError(err))
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
		// Checked once more: one attempt may be named twice.
		e, err := t.end(&c.Complete[i])
		if err != nil {
			return err
		}
		if err := t.saveEnd(e, slices.Contains(c.Told, e.next.ID)); err != nil {
			return err
		}
	}
	for i := range c.Update {
		x := cloneExecution(c.Update[i])
		x.Version++
		if err := t.save(t.rows[x.ID], x); err != nil {
			return err
		}
	}
	if c.Run != nil {
		if err := t.step(c.Run); err != nil {
			return err
		}
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
	var seq, n int64
	var raw, body []byte
	err := t.st.getEvent.QueryRow(idBytes(id)).Scan(&seq, &raw, &n, &body)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read event %s: %w", id, sqlError(err))
	}
	return seq, nil
}

func (t *tx) step(d *router.RunDelta) error {
	var wake any
	if !d.Done && !d.Wake.IsZero() {
		wake = micros(d.Wake)
	}
	id := idBytes(d.ID)
	st, args := t.st.setRun, []any{wake, d.Done, []byte(d.Head), id}
	if d.From == 0 {
		st, args = t.st.addRun, []any{id, wake, d.Done, []byte(d.Head)}
	}
	if _, err := t.exec(st, args...); err != nil {
		return fmt.Errorf("store run %s: %w", d.ID, err)
	}
	if len(d.Entries) == 0 {
		return nil
	}
	// What a step wrote is one row: reading a run merges the rows in their order.
	body, err := json.Marshal(d.Entries)
	if err != nil {
		return fmt.Errorf("store entries of run %s: %v: %w", d.ID, err, hayate.ErrInvalid)
	}
	if _, err := t.exec(t.st.addEntries, id, d.From+1, body); err != nil {
		return fmt.Errorf("store entries of run %s: %w", d.ID, err)
	}
	return nil
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
	if err := t.save(r, r.Execution); err != nil {
		r.told = false
		return err
	}
	return nil
}

// Run implements router.Journal.
func (s *Store) Run(ctx context.Context, id hayate.ExecutionID) (router.Run, error) {
	if err := s.ready(ctx); err != nil {
		return router.Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	r := router.Run{ID: id, Entries: map[string]json.RawMessage{}}
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
		if err := json.Unmarshal(body, &r.Entries); err != nil {
			return r, fmt.Errorf("read run %s: its entries are damaged: %w", id, err)
		}
	}
	if err := rows.Err(); err != nil {
		return r, fmt.Errorf("read run %s: %w", id, sqlError(err))
	}
	return r, nil
}
