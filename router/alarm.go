package router

import (
	"context"
	"time"
)

// wake is when the run wants to be swept next: when what it owes to others should
// have been done, or at its first timer.
func (s *step) wake() time.Time {
	first := s.alarm()
	if late := s.at.Add(s.r.cfg.SweepEvery); !s.own.Owed.empty() && (first.IsZero() || late.Before(first)) {
		return late
	}
	return first
}

// alarm is when the first timer of the run comes, or its deadline, or the warning.
func (s *step) alarm() time.Time {
	if s.x.Status.Completed() {
		return time.Time{}
	}
	return s.own.first()
}

// first is the earliest of the run's timers, its warning and its deadline.
func (o *ownState) first() time.Time {
	var first time.Time
	for _, at := range o.Timers {
		first = earlier(first, at)
	}
	return earlier(earlier(first, o.Warn), o.Deadline)
}

// earlier is the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// setAlarm arranges that the run is told of its next timer: in memory, or by the
// queue where this process may stand still until then.
func (r *Router) setAlarm(lr *liveRun, wake time.Time) {
	if lr.timer != nil {
		lr.timer.Stop()
		lr.timer = nil
	}
	if wake.IsZero() || r.closing.Load() {
		return
	}
	id := lr.id
	if r.cfg.Frozen {
		r.wakeRun(context.Background(), id, wake)
		return
	}
	lr.timer = time.AfterFunc(max(wake.Sub(r.now()), 0), func() {
		if !r.closing.Load() {
			r.tick(context.Background(), id)
		}
	})
}
