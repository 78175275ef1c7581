package packs

import (
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// checkTimer checks the parameters of a timer. It says all that the schema of the
// trigger would, and what APScheduler refuses when the rule is saved. given is
// nil where there are none; trigger is then what the findings are about.
func (r *reader) checkTimer(trigger, given *yamldoc.Node, ref string) {
	at := given
	if given.IsNull() {
		at = trigger
	}
	_, err := cron.Parse(ref, jsonOf(given), nil) // in which zone changes nothing
	for _, p := range cron.Problems(err) {
		place := at
		for _, e := range given.Entries() {
			if e.Name() == p.Field {
				place = e.Value
				if place.IsNull() || p.Unknown {
					place = e.Key
				}
			}
		}
		r.errorf(place, "bad-value", "the parameters of %s: %s", ref, p)
	}
}
