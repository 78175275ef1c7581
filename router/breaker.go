package router

import (
	"context"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// tellBreaker lets the circuit breaker of an execution's rule hear of its end, if
// that opens it: by the event that tells that it opened. Otherwise the next
// decision of the rule hears of it, and decides the same. Done twice it is a known
// event.
func (r *Router) tellBreaker(ctx context.Context, x *hayate.Execution) error {
	e, err := r.breakerEvent(ctx, x, r.now())
	if err == nil && e != nil {
		_, err = r.Accept(ctx, *e)
	}
	if err != nil {
		return fmt.Errorf("tell the circuit breaker of rule %s of execution %s: %w", x.Rule, x.ID, err)
	}
	return nil
}

// breakerEvent is the event of a circuit breaker that opens by the end of an
// execution; nil where it does not.
func (r *Router) breakerEvent(ctx context.Context, x *hayate.Execution, at time.Time) (*hayate.Event, error) {
	form := r.cat.Load().forms[x.Rule]
	if form == nil || !form.Breaks() || !x.Status.Completed() || x.Status == hayate.StatusSucceeded {
		return nil, nil
	}
	name := form.Keys("", "")[0]
	have, err := r.bodies(ctx, x.Rule, []string{name})
	if err != nil || len(have[0]) == 0 {
		return nil, err
	}
	ended, err := r.endings(ctx, at, stateful.Watched(have))
	if err != nil {
		return nil, err
	}
	opened, opens := form.Opens(have[0], at, ended)
	if !opens {
		return nil, nil
	}
	key, _ := stateful.KeyOf(name)
	e, err := wakeEvent(TriggerBreaker, x.Rule, name, opened, form.Broken(key, opened))
	return &e, err
}

// breaks says whether a rule has a circuit breaker, which is to hear of the end of
// what the rule starts.
func (c *catalog) breaks(rule hayate.Ref) bool {
	form := c.forms[rule]
	return form != nil && form.Breaks()
}
