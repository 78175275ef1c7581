package simulation_test

import (
	"context"
	"encoding/json"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
)

func isFlow(runner string) bool { return runner == "orquesta" }

// claim implements Claims.Claim beneath the faults: never do more attempts run
// than the policy of their action lets.
func (o *observed) claim(ctx context.Context, s router.Store, c router.Claim) (hayate.Execution, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x, err := s.Claim(ctx, c)
	if err != nil {
		return x, err
	}
	l, bounded := limits[x.Action]
	if !bounded {
		return x, nil
	}
	name := string(x.Action)
	if l.keyed {
		name += " " + string(x.Parameters)
	}
	if o.holds[name] == nil {
		o.holds[name] = map[hayate.ExecutionID]bool{}
	}
	o.holds[name][x.ID] = true
	if n := len(o.holds[name]); n > l.most {
		o.failed("%d executions of %s run at once, %d may", n, name, l.most)
	}
	return x, nil
}

// letGo notes, with mu held, that an attempt is over.
func (o *observed) letGo(id hayate.ExecutionID) {
	for _, in := range o.holds {
		delete(in, id)
	}
}

// accept implements Journal.Accept beneath the faults, and notes in which order
// the store decided on events by what rules remember: it calls Decide within the
// commit, and the last call counts.
func (o *observed) accept(ctx context.Context, s router.Store, e hayate.Event, decide router.Decide) (router.Receipt, error) {
	turn := int64(0)
	rc, err := s.Accept(ctx, e, func(ctx context.Context, e *hayate.Event) (router.Decision, error) {
		d, err := decide(ctx, e)
		for i := range d.Guarded {
			inner := d.Guarded[i].Decide
			d.Guarded[i].Decide = func(have []json.RawMessage, full bool) stateful.Outcome {
				turn = o.turns.Add(1)
				return inner(have, full)
			}
		}
		return d, err
	})
	if err == nil && !rc.Duplicate && turn > 0 {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.decided[rc.ID] = turn
	}
	return rc, err
}
