package router

import (
	"context"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// staleShare is the share of a rule set that lies outside its main index, or is
// there only to be skipped, from which on the set is made anew.
const staleShare = 0.05

// rebuild makes the set of rules anew, in the background, when single changes have
// made it stale. Matching goes on with the old set meanwhile, and so do changes,
// which are noted and made once more on the new one. Router.loading guards it.
type rebuild struct {
	wake  chan struct{} // has room for one; somebody saw a stale set
	loads int           // how often the whole content was replaced
	// noted are the changes since the set was taken that is being made anew; nil
	// while none is.
	noted map[hayate.Ref]*hayate.Rule // nil values are removed
}

func (b *rebuild) init() { b.wake = make(chan struct{}, 1) }

// changeSet returns a set with one rule put in or taken out. The caller holds
// loading, and puts the set into effect.
func (r *Router) changeSet(old *rules.Set, rule *hayate.Rule, in bool) (*rules.Set, error) {
	var add []hayate.Rule
	var remove []hayate.Ref
	kept := (*hayate.Rule)(nil)
	if in {
		add, kept = []hayate.Rule{*rule}, rule
	} else {
		remove = []hayate.Ref{rule.Ref()}
	}
	set, err := old.With(add, remove)
	if err != nil {
		return nil, err
	}
	if r.rebuild.noted != nil {
		r.rebuild.noted[rule.Ref()] = kept
	}
	if set.Stale() > staleShare {
		select {
		case r.rebuild.wake <- struct{}{}:
		default: // it is known already
		}
	}
	return set, nil
}

// rebuildLoop makes stale sets anew until ctx ends.
func (r *Router) rebuildLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.rebuild.wake:
			r.rebuildSet()
		}
	}
}

// rebuildSet makes the set anew if it is stale. It takes seconds for a hundred
// thousand rules, and holds loading only at both ends.
func (r *Router) rebuildSet() {
	r.loading.Lock()
	old, loads := r.cat.Load().set, r.rebuild.loads
	if old.Stale() <= staleShare {
		r.loading.Unlock()
		return
	}
	r.rebuild.noted = map[hayate.Ref]*hayate.Rule{}
	r.loading.Unlock()

	set := old.Rebuild()

	r.loading.Lock()
	defer r.loading.Unlock()
	noted := r.rebuild.noted
	r.rebuild.noted = nil
	if r.rebuild.loads != loads {
		return // all rules were loaded anew meanwhile
	}
	var add []hayate.Rule
	var remove []hayate.Ref
	for ref, rule := range noted {
		if rule == nil {
			remove = append(remove, ref)
		} else {
			add = append(add, *rule)
		}
	}
	if len(noted) > 0 {
		var err error
		if set, err = set.With(add, remove); err != nil {
			r.log.Error("rule index not made anew", "err", err) // the old one stays in effect
			return
		}
	}
	next := *r.cat.Load()
	next.set = set
	r.cat.Store(&next)
	r.log.Debug("rule index made anew", "rules", set.Len())
}
