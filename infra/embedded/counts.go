package embedded

import (
	"slices"

	"github.com/hayate-run/hayate"
)

// counts is what the store knows of its own size. It is a row that every commit
// rewrites, so that no count needs a scan.
type counts struct {
	seq      int64 // the newest number
	events   int64
	firings  int64
	keys     int64
	revision int64 // of the registry
	lead     int64 // the most microseconds that a number was ahead of its row's time
	statuses [16]int64
}

// statuses gives each status its number on disk. Numbers are never reused.
var statuses = []hayate.Status{hayate.StatusRequested, hayate.StatusScheduled, hayate.StatusDelayed, hayate.StatusRunning,
	hayate.StatusSucceeded, hayate.StatusFailed, hayate.StatusTimeout, hayate.StatusAbandoned, hayate.StatusCanceling,
	hayate.StatusCanceled, hayate.StatusPending, hayate.StatusPausing, hayate.StatusPaused, hayate.StatusResuming}

// otherStatus is the number of a status that this program does not know.
const otherStatus = 15

func statusNumber(s hayate.Status) int {
	if i := slices.Index(statuses, s); i >= 0 {
		return i
	}
	return otherStatus
}

// executions is the number of executions in all.
func (c *counts) executions() int64 {
	var n int64
	for _, k := range c.statuses {
		n += k
	}
	return n
}

// of is the number of executions in one of the statuses.
func (c *counts) of(list []hayate.Status) int {
	var n int64
	seen := map[int]bool{}
	for _, s := range list {
		if i := statusNumber(s); !seen[i] {
			seen[i] = true
			n += c.statuses[i]
		}
	}
	return int(n)
}

// finished is the number of executions that have completed.
func (c *counts) finished() int64 {
	var n int64
	for i, s := range statuses {
		if s.Completed() {
			n += c.statuses[i]
		}
	}
	return n
}

const (
	cSeq = iota + 1
	cEvents
	cFirings
	cKeys
	cRevision
	cLead
	cStatus = 16 // and one for each status
)

func (c *counts) append(b []byte) []byte {
	b = putInt(b, cSeq, c.seq)
	b = putInt(b, cEvents, c.events)
	b = putInt(b, cFirings, c.firings)
	b = putInt(b, cKeys, c.keys)
	b = putInt(b, cRevision, c.revision)
	b = putInt(b, cLead, c.lead)
	for i, n := range c.statuses {
		b = putInt(b, cStatus+i, n)
	}
	return b
}

func readCounts(b []byte) (counts, error) {
	var c counts
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case cSeq:
			c.seq = f.n
		case cEvents:
			c.events = f.n
		case cFirings:
			c.firings = f.n
		case cKeys:
			c.keys = f.n
		case cRevision:
			c.revision = f.n
		case cLead:
			c.lead = f.n
		default:
			if i := f.field - cStatus; i >= 0 && i < len(c.statuses) {
				c.statuses[i] = f.n
			}
		}
	}
	return c, f.err
}
