package embedded

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
)

// A commit of the hot kinds (events, executions, runs) writes one row into the
// table journal, whatever it changed. What the journal holds is also in memory
// (pending). It goes into the tables once somebody wants to read them or nothing is
// written any more, all of it in one transaction that empties the journal; and where
// too much waits, a portion of the oldest (slide.go). An execution that began and ended
// meanwhile is then written once, a run that took many steps as one row.
const (
	// maxPending bounds the rows that wait, and pendingBytes their size.
	maxPending   = 8192
	pendingBytes = 8 << 20
	// settleDelay is for how long nothing must be written before they are settled.
	settleDelay = 200 * time.Millisecond
)

// eventRow is an accepted event as it goes into the tables.
type eventRow struct {
	seq                 int64
	id                  hayate.EventID
	key                 uidKey
	kind, source        int64 // hashes
	firings, executions int
	at                  int64 // nanoseconds
	body                []byte
}

// runRow is what steps have made of a run.
type runRow struct {
	id      hayate.ExecutionID
	version int64
	wake    int64 // microseconds; 0: never
	done    bool
	head    []byte
	entries map[string]json.RawMessage // added or changed by them
	stored  bool                       // the tables have a row of the run
	owned   bool                       // entries are nobody else's
}

// merge makes of r what a later step made of it.
func (r *runRow) merge(later *runRow) {
	r.version, r.wake, r.done, r.head = later.version, later.wake, later.done, later.head
	if len(later.entries) == 0 {
		return
	}
	if !r.owned {
		r.entries, r.owned = maps.Clone(r.entries), true
		if r.entries == nil {
			r.entries = make(map[string]json.RawMessage, len(later.entries))
		}
	}
	maps.Copy(r.entries, later.entries)
}

// over returns r with what a later step made of it.
func (r *runRow) over(later *runRow) *runRow {
	sum := *later
	sum.stored, sum.owned = r.stored, true
	sum.entries = make(map[string]json.RawMessage, len(r.entries)+len(later.entries))
	maps.Copy(sum.entries, r.entries)
	maps.Copy(sum.entries, later.entries)
	return &sum
}

// pending is what is in the journal and not yet in the tables. Only the writer
// uses it, except for keys.
type pending struct {
	rows   map[hayate.ExecutionID]*row
	events map[hayate.EventID]*eventRow
	runs   map[hayate.ExecutionID]*runRow
	keys   recentKeys
	size   int // bytes in the journal
	// journal are its rows, the oldest first, and order is what they brought.
	journal []journalRow
	order   []brought
	taken   int64 // how many rows there ever were
}

// journalRow is a row of the journal.
type journalRow struct {
	seq     int64
	size    int
	brought int // so many of order
}

// brought is one thing that a row of the journal holds: just one is set.
type brought struct {
	row   *row
	event *eventRow
	run   *runRow
}

// recentKeys are the keys of pending events.
type recentKeys struct {
	mu sync.Mutex
	m  map[uidKey]int64
}

func (k *recentKeys) at(key uidKey) (int64, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.m[key]
	return at, ok
}

func (k *recentKeys) add(events []*eventRow) {
	if len(events) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range events {
		k.m[e.key] = e.at
	}
}

func (k *recentKeys) remove(events []*eventRow) {
	if len(events) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range events {
		delete(k.m, e.key)
	}
}

func (k *recentKeys) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.m)
}

func (p *pending) init() {
	p.rows = map[hayate.ExecutionID]*row{}
	p.events = map[hayate.EventID]*eventRow{}
	p.runs = map[hayate.ExecutionID]*runRow{}
	p.keys.m = map[uidKey]int64{}
}

func (p *pending) empty() bool {
	return len(p.journal) == 0 && len(p.rows) == 0 && len(p.events) == 0 && len(p.runs) == 0
}

// full says whether the tables should take over what is pending and so many rows more.
func (p *pending) full(rows, bytes int) bool {
	return len(p.rows)+len(p.events)+len(p.runs)+rows > maxPending || p.size+bytes > pendingBytes
}

// take keeps what a transaction has written into the journal.
func (p *pending) take(t *tx) {
	before := len(p.order)
	for id, r := range t.rows {
		if r.saved {
			p.rows[id] = r
			p.order = append(p.order, brought{row: r})
		}
	}
	for _, e := range t.events {
		p.events[e.id] = e
		p.order = append(p.order, brought{event: e})
	}
	for id, r := range t.runs {
		if have := p.runs[id]; have != nil {
			have.merge(r)
			r = have
		} else {
			p.runs[id] = r
		}
		p.order = append(p.order, brought{run: r})
	}
	p.keys.add(t.events)
	p.size += t.journaled
	p.taken++
	p.journal = append(p.journal, journalRow{t.journalSeq, t.journaled, len(p.order) - before})
}

// clear forgets all that the tables have taken over.
func (p *pending) clear() {
	clear(p.rows)
	clear(p.events)
	clear(p.runs)
	p.keys.clear()
	clear(p.order)
	p.size, p.journal, p.order = 0, p.journal[:0], p.order[:0]
}

// settle writes what is pending into the tables, but for what the transaction
// itself has changed: that follows at its end.
func (t *tx) settlePending() error {
	if t.settled {
		return nil
	}
	t.settled = true
	t.early = t.rows == nil && t.runs == nil
	p := &t.s.w.pend
	events := make([]*eventRow, 0, len(p.events))
	for _, e := range p.events {
		events = append(events, e)
	}
	rows := make([]*row, 0, len(p.rows))
	for id, r := range p.rows {
		if now := t.rows[id]; now == nil || !now.saved {
			rows = append(rows, r)
		}
	}
	runs := make([]*runRow, 0, len(p.runs))
	for id, r := range p.runs {
		if t.runs[id] == nil {
			runs = append(runs, r)
		}
	}
	return t.write(events, rows, runs)
}

// writeOwn writes what the transaction itself has changed into the tables.
func (t *tx) writeOwn() error {
	p := &t.s.w.pend
	rows := make([]*row, 0, len(t.rows))
	for id, r := range t.rows {
		if r.saved {
			r.stored = r.stored || t.early && p.rows[id] != nil
			rows = append(rows, r)
		}
	}
	runs := make([]*runRow, 0, len(t.runs))
	for id, r := range t.runs {
		if have := p.runs[id]; have != nil {
			r = have.over(r)
			r.stored = r.stored || t.early
		}
		runs = append(runs, r)
	}
	if err := t.write(t.events, rows, runs); err != nil {
		return err
	}
	if !p.empty() {
		if _, err := t.statement(t.st.dropJournal); err != nil {
			return fmt.Errorf("empty the journal: %w", err)
		}
	}
	return nil
}

// write puts rows into the tables, in the order of their numbers.
func (t *tx) write(events []*eventRow, rows []*row, runs []*runRow) error {
	slices.SortFunc(events, func(a, b *eventRow) int { return int(a.seq - b.seq) })
	for _, e := range events {
		if _, err := t.statement(t.st.addKey, e.key[:], e.at); err != nil {
			return fmt.Errorf("store key of event %s: %w", e.id, err)
		}
		if _, err := t.statement(t.st.addEvent, e.seq, idBytes(e.id), e.kind, e.source, e.firings, e.executions, e.at, e.body); err != nil {
			return fmt.Errorf("store event %s: %w", e.id, err)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return int(a.seq - b.seq) })
	fresh := make([]*row, 0, len(rows))
	for _, r := range rows {
		if !r.stored {
			fresh = append(fresh, r)
		} else if err := t.updateExecution(r); err != nil {
			return fmt.Errorf("store execution %s: %w", r.ID, err)
		}
	}
	if err := t.insertExecutions(fresh); err != nil {
		return fmt.Errorf("store executions: %w", err)
	}
	for _, r := range runs {
		if err := t.writeRun(r); err != nil {
			return fmt.Errorf("store run %s: %w", r.id, err)
		}
	}
	return nil
}

func (t *tx) updateExecution(r *row) error {
	duty, due := dutyColumns(&r.Execution, r.told)
	w := t.s.w
	w.body = appendExecution(w.body[:0], &r.Execution, r.told)
	_, err := t.statement(t.st.setExecution, statusNumber(r.Status), duty, due, w.body, r.seq)
	return err
}

func (t *tx) insertExecutions(rows []*row) error {
	args := make([]any, 0, 12*executionsAtOnce)
	w := t.s.w
	for len(rows) > 0 {
		n, st := 1, t.st.addExecution
		if len(rows) >= executionsAtOnce {
			n, st = executionsAtOnce, t.st.addExecutions
		}
		args, w.body = args[:0], w.body[:0]
		for _, r := range rows[:n] {
			from := len(w.body)
			w.body = appendExecution(w.body, &r.Execution, r.told)
			args = r.appendColumns(args, w.body[from:len(w.body):len(w.body)])
		}
		if _, err := t.statement(st, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// appendColumns appends the columns of the row.
func (r *row) appendColumns(args []any, body []byte) []any {
	x := &r.Execution
	duty, due := dutyColumns(x, r.told)
	var rule, parent, tree any
	if x.Rule != "" {
		rule = textHash(x.Rule)
	}
	if x.Parent != "" {
		parent = idBytes(x.Parent)
	}
	if r.tree != 0 {
		tree = r.tree
	}
	return append(args, r.seq, idBytes(x.ID), statusNumber(x.Status), duty, due, textHash(x.Action), rule,
		textHash(x.Runner), tree, parent, x.Created.UnixNano(), body)
}

func (t *tx) writeRun(r *runRow) error {
	id := idBytes(r.id)
	var wake any
	if r.wake != 0 && !r.done {
		wake = r.wake
	}
	var err error
	if r.stored {
		_, err = t.statement(t.st.setRun, r.version, wake, r.done, r.head, id)
	} else {
		_, err = t.statement(t.st.addRun, id, r.version, wake, r.done, r.head)
	}
	if err != nil || len(r.entries) == 0 {
		return err
	}
	// What the steps wrote is one row: reading a run merges the rows in their order.
	_, err = t.statement(t.st.addEntries, id, r.version, appendEntries(nil, r.entries))
	return err
}
