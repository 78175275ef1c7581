package embedded

import (
	"fmt"
	"time"
)

// slideRows is about how many rows of the journal's oldest go into the tables at
// once where too much is pending: few, since a commit waits for them.
const slideRows = 512

// slid is what a transaction has moved from the beginning of the journal into the
// tables, while it writes what it changes itself at the end.
type slid struct {
	journal int // rows of it
	order   int // what they brought
	bytes   int
	rows    []*row
	events  []*eventRow
	runs    []*runRow
}

// slide writes the oldest that is pending into the tables, until own rows more and
// bytes more have room, and takes it out of the journal. An execution that a later row of
// the journal has again is left to that one. A run is written as it is by now: what
// later rows say of it is then older than the tables, and skipped where the journal
// is replayed.
func (t *tx) slide(own, bytes int) error {
	p := &t.s.w.pend
	d := &slid{}
	runs := map[*runRow]bool{}
	kept := len(p.rows) + len(p.events) + len(p.runs) + own
	for d.journal < len(p.journal) {
		gone := len(d.rows) + len(d.events) + len(d.runs)
		if gone >= slideRows && kept-gone <= maxPending && p.size+bytes-d.bytes <= pendingBytes {
			break
		}
		j := &p.journal[d.journal]
		for _, b := range p.order[d.order : d.order+j.brought] {
			switch {
			case b.event != nil:
				d.events = append(d.events, b.event)
			case b.run != nil:
				if p.runs[b.run.id] == b.run && !runs[b.run] {
					runs[b.run] = true
					d.runs = append(d.runs, b.run)
				}
			case p.rows[b.row.ID] != b.row:
			default:
				if now := t.rows[b.row.ID]; now == nil || !now.saved {
					d.rows = append(d.rows, b.row)
				}
			}
		}
		d.journal, d.order, d.bytes = d.journal+1, d.order+j.brought, d.bytes+j.size
	}
	if d.journal == 0 {
		return nil
	}
	if err := t.write(d.events, d.rows, d.runs); err != nil {
		return err
	}
	if _, err := t.statement(t.st.cutJournal, p.journal[d.journal-1].seq); err != nil {
		return fmt.Errorf("shorten the journal: %w", err)
	}
	t.slid = d
	return nil
}

// slide forgets what a transaction has moved into the tables.
func (p *pending) slide(d *slid) {
	for _, r := range d.rows {
		delete(p.rows, r.ID)
	}
	for _, e := range d.events {
		delete(p.events, e.id)
	}
	p.keys.remove(d.events)
	for _, r := range d.runs {
		delete(p.runs, r.id)
	}
	p.size -= d.bytes
	p.journal = append(p.journal[:0], p.journal[d.journal:]...)
	rest := copy(p.order, p.order[d.order:])
	clear(p.order[rest:])
	p.order = p.order[:rest]
}

// settleLater has what is pending settled once nothing has been written for a while.
func (w *writer) settleLater() {
	before := w.pend.taken
	w.due = time.AfterFunc(settleDelay, func() {
		// A closed store has settled already.
		_ = w.put(&request{done: make(chan struct{}), run: func(t *tx) error {
			if w.pend.taken == before {
				return settle(t)
			}
			if w.due != nil {
				w.settleLater()
			}
			return nil
		}})
	})
}
