package lint

import (
	"time"

	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
)

// Timers returns warnings for the rules of packs whose timer does not tick any
// more, or never does: a day that no month has, a date that lies before now.
func Timers(given []Pack, now time.Time) []packs.Diagnostic {
	l := &linter{}
	for i := range given {
		p := &given[i]
		if p.Pack == nil {
			continue
		}
		l.p = p
		for k := range p.Rules {
			r := &p.Rules[k]
			if !cron.IsTimer(r.Trigger.Type) {
				continue
			}
			s, err := cron.Parse(r.Trigger.Type, r.Trigger.Parameters, nil)
			if err != nil {
				continue // reading the file found it
			}
			if _, ticks := s.Next(now); ticks {
				continue
			}
			text := "the timer never ticks: no day that is still to come fits"
			if r.Trigger.Type == cron.DateTimer {
				text = "the timer never ticks: its date has passed"
			}
			l.warn(r.Source, []string{"trigger", "parameters"}, "never-ticks", "%s", text)
		}
	}
	yamldoc.Sort(l.found)
	return l.found
}
