package router

import (
	"sync/atomic"

	"github.com/hayate-run/hayate"
)

// Metrics counts what this process has done since it started. Reading it costs
// nothing.
type Metrics struct {
	events, duplicates, rejected                             atomic.Int64
	succeeded, failed, timeout, abandoned, canceled, pending atomic.Int64
}

// Counts is a reading of the metrics.
type Counts struct {
	Events     int64 // accepted, each once
	Duplicates int64 // deliveries of known events
	Rejected   int64 // refused because too much waited
	Ended      map[hayate.Status]int64
	Waiting    int // in the queue
	Running    int // attempts of this process
}

func (m *Metrics) ended(s hayate.Status) {
	switch s {
	case hayate.StatusSucceeded:
		m.succeeded.Add(1)
	case hayate.StatusFailed:
		m.failed.Add(1)
	case hayate.StatusTimeout:
		m.timeout.Add(1)
	case hayate.StatusAbandoned:
		m.abandoned.Add(1)
	case hayate.StatusCanceled:
		m.canceled.Add(1)
	case hayate.StatusPending:
		m.pending.Add(1)
	}
}

// Counts reads the metrics.
func (r *Router) Counts() Counts {
	m := &r.metrics
	return Counts{
		Events: m.events.Load(), Duplicates: m.duplicates.Load(), Rejected: m.rejected.Load(),
		Waiting: r.queue.Depth(), Running: len(r.active.holds()),
		Ended: map[hayate.Status]int64{
			hayate.StatusSucceeded: m.succeeded.Load(), hayate.StatusFailed: m.failed.Load(),
			hayate.StatusTimeout: m.timeout.Load(), hayate.StatusAbandoned: m.abandoned.Load(),
			hayate.StatusCanceled: m.canceled.Load(),
		},
	}
}
