package router

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// States keep what rules remember from event to event. They are written by
// Accept alone, together with the decision that they lead to: a rule's decisions
// about one key happen one after the other, whatever process makes them, and
// each event counts once.
//
// Embedded: the decision is made within the commit that stores the event, so
// that events that race for one key neither wait for each other nor try again.
// MongoDB: the event is stored first, undecided; then the state is replaced on
// condition that it is the one that was read, and holds the verdict on the event
// until that is stored with it; then the event becomes decided. Whoever meets an
// undecided event goes on with it: a redelivery, or who accepts what Sweep
// returned.
type States interface {
	// States returns what the query selects, in the order of rule and name; with
	// DueBy, the longest due first.
	States(ctx context.Context, q StateQuery) (Page[StateRecord], error)
	// ForgetStates removes what the query selects, at most q.Limit where that is
	// positive, and returns how many. It is nothing to forget what is not there.
	ForgetStates(ctx context.Context, q StateQuery) (int, error)
}

// StateRecord is what a rule remembers under one name.
type StateRecord struct {
	Rule    hayate.Ref
	Name    string
	Body    json.RawMessage
	Wake    time.Time // when it is due; zero: never
	Expires time.Time // from when it says nothing any more; zero: never
}

// StateQuery selects states. Zero fields select everything; all that are set
// must hold.
type StateQuery struct {
	Rule  hayate.Ref
	Names []string
	// DueBy selects those whose Wake is not later, ExpiredBy those whose Expires is
	// not later; one without such a time is not selected.
	DueBy, ExpiredBy time.Time
	Offset, Limit    int // Limit 0: only Total is wanted; negative: no limit
}

// Guarded is a firing that depends on what its rule remembers.
type Guarded struct {
	// Firing names it in the decision's Firings; "" where only the states change.
	Firing hayate.FiringID
	Rule   hayate.Ref
	// Names are the states that it depends on. The first carries the others: every
	// change of any of them changes it too.
	Names []string
	// MaxKeys is how many states the rule may have.
	MaxKeys int
	// Decide gives the verdict and the new states; have holds the bodies under
	// Names, nil where there is none. full says that the rule has MaxKeys states and
	// some of Names not. It is pure and quick, and may be called more than once; the
	// outcome that is stored counts.
	Decide func(have []json.RawMessage, full bool) stateful.Outcome
}

// Settle takes the verdict on a guarded firing into the decision.
func (d *Decision) Settle(g *Guarded, v stateful.Verdict) {
	i := slices.IndexFunc(d.Firings, func(f hayate.Firing) bool { return f.ID == g.Firing })
	if i < 0 {
		return
	}
	if v.Fires() {
		if d.Firings[i].Reason == "" {
			d.Firings[i].Reason = v.Reason
		}
		return
	}
	d.Executions = slices.DeleteFunc(slices.Clone(d.Executions), func(x hayate.Execution) bool { return x.Rule == g.Rule })
	d.Firings = slices.Clone(d.Firings)
	if v.Nothing {
		d.Firings = slices.Delete(d.Firings, i, i+1)
		return
	}
	f := &d.Firings[i]
	if f.Status == hayate.FiringFailed && v.Status == hayate.FiringNoted {
		return // why it could not be decided says more
	}
	f.Status, f.Reason, f.Executions = v.Status, v.Reason, nil
}

// MaxAgain bounds how often a store asks for a decision anew because a state is
// not any more the one that the decision looked at.
const MaxAgain = 16
