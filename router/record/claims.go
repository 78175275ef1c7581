// Package record says what a claim, a heartbeat, a completion and a change make
// of the record of an execution, and which records a query selects. It is the
// part of the ports' contracts that does not depend on where records are kept:
// stores that read a record, change it and write it back take it from here.
// Everything in it is a function of its arguments.
package record

import (
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Claim makes x what a granted claim leaves, or returns ErrConflict and leaves
// it as it was.
func Claim(x *hayate.Execution, c router.Claim) error {
	if !x.Status.Claimable() {
		return fmt.Errorf("claim execution %s for %s: it is %s: %w", x.ID, c.Worker, x.Status, hayate.ErrConflict)
	}
	if c.At.Before(x.NotBefore) {
		return fmt.Errorf("claim execution %s for %s: it waits until %s: %w",
			x.ID, c.Worker, x.NotBefore.UTC().Format(time.RFC3339Nano), hayate.ErrConflict)
	}
	if err := x.To(hayate.StatusRunning, c.At); err != nil {
		return err
	}
	x.Attempt++
	x.Worker = c.Worker
	x.LeaseUntil = c.Until
	x.Version++
	return nil
}

// Held says whether a worker may hold an attempt of an execution in this status.
func Held(s hayate.Status) bool {
	switch s {
	case hayate.StatusRunning, hayate.StatusCanceling, hayate.StatusPausing, hayate.StatusPaused, hayate.StatusResuming:
		return true
	}
	return false
}

// Check returns ErrConflict where h is not the hold on x.
func Check(x *hayate.Execution, h router.Hold) error {
	if Held(x.Status) && x.Attempt == h.Attempt && x.Worker == h.Worker {
		return nil
	}
	return fmt.Errorf("attempt %d of execution %s by %s is stale: it is %s, attempt %d by %q: %w",
		h.Attempt, h.Execution, h.Worker, x.Status, x.Attempt, x.Worker, hayate.ErrConflict)
}

// Heartbeat extends the lease of x, or returns ErrConflict.
func Heartbeat(x *hayate.Execution, h router.Hold, until time.Time) (router.Signal, error) {
	if err := Check(x, h); err != nil {
		return router.Signal{}, err
	}
	x.LeaseUntil = until
	x.Version++
	return router.Signal{Cancel: x.Status == hayate.StatusCanceling}, nil
}

// Complete ends the attempt: x takes the result. ErrConflict says that the hold
// is stale, ErrInvalid that the result's status ends nothing; x is then as it was.
func Complete(x *hayate.Execution, c router.Completion) error {
	if err := Check(x, c.Hold); err != nil {
		return err
	}
	to := c.Result.Status
	if !to.Completed() && to != hayate.StatusPending {
		return fmt.Errorf("complete execution %s as %q: that is not an end: %w", x.ID, to, hayate.ErrInvalid)
	}
	if x.Status == hayate.StatusCanceling && to != hayate.StatusAbandoned {
		to = hayate.StatusCanceled
	}
	if err := x.To(to, c.At); err != nil {
		return err
	}
	x.Result = c.Result.Value
	x.ResultRef = c.Blob
	x.Verified = c.Result.Verified && to == hayate.StatusSucceeded
	x.LeaseUntil = time.Time{}
	x.Version++
	return nil
}

// Update makes of next what is to be stored in place of old, or returns
// ErrConflict where next was not computed from it.
func Update(old *hayate.Execution, next hayate.Execution) (hayate.Execution, error) {
	if old.Version != next.Version {
		return next, fmt.Errorf("update execution %s: its version is %d, not %d: %w",
			next.ID, old.Version, next.Version, hayate.ErrConflict)
	}
	next.Version++
	return next, nil
}

// Duty is what a sweeper has to do about an execution.
type Duty int

// The duties, and what their time means.
const (
	None     Duty = iota
	Dispatch      // it may be claimed, since the time
	Lease         // its attempt is lost at the time, unless the lease is extended
	Tell          // it completed at the time and its parent, or whoever follows its end, has not heard of it
)

// DutyOf returns what a sweeper has to do about x, and from when. told says that
// its end has been heard of.
func DutyOf(x *hayate.Execution, told bool) (Duty, time.Time) {
	switch {
	case x.Status.Claimable():
		if x.NotBefore.After(x.Created) {
			return Dispatch, x.NotBefore
		}
		return Dispatch, x.Created
	case x.Status.Completed():
		if x.Parent == "" && !x.Follow || told {
			return None, time.Time{}
		}
		return Tell, x.Ended
	case Held(x.Status) && !x.LeaseUntil.IsZero():
		return Lease, x.LeaseUntil
	}
	return None, time.Time{}
}
