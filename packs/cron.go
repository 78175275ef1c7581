package packs

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

const cronTimer = "core.st2.CronTimer"

// cronFields are the fields of core.st2.CronTimer with their least and greatest
// values, as APScheduler bounds them.
var cronFields = map[string]struct{ least, most int }{
	"year": {1970, 9999}, "month": {1, 12}, "day": {1, 31}, "week": {1, 53},
	"day_of_week": {0, 6}, "hour": {0, 23}, "minute": {0, 59}, "second": {0, 59},
}

var (
	cronRange  = regexp.MustCompile(`^(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?$`)
	cronMonth  = regexp.MustCompile(`^(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:-(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))?$`)
	cronDay    = regexp.MustCompile(`^(?i:mon|tue|wed|thu|fri|sat|sun)(?:-(?i:mon|tue|wed|thu|fri|sat|sun))?$`)
	cronNthDay = regexp.MustCompile(`^(?i:(?:1st|2nd|3rd|4th|5th|last)\s+(?:mon|tue|wed|thu|fri|sat|sun)|last)$`)
)

// checkCron checks the expressions of a cron timer: APScheduler refuses those
// that it cannot read when the rule is saved.
func (r *reader) checkCron(parameters *yamldoc.Node) {
	for _, e := range parameters.Entries() {
		field, ok := cronFields[e.Name()]
		if !ok || e.Value.IsNull() {
			continue
		}
		for part := range strings.SplitSeq(e.Value.Text(), ",") {
			if part = strings.TrimSpace(part); !isCronPart(e.Name(), part, field.least, field.most) {
				r.errorf(e.Value, "bad-value", "%q is no expression for the field %q of a cron timer (%d to %d)", part, e.Name(), field.least, field.most)
			}
		}
	}
}

func isCronPart(field, part string, least, most int) bool {
	switch {
	case field == "month" && cronMonth.MatchString(part), field == "day_of_week" && cronDay.MatchString(part),
		field == "day" && cronNthDay.MatchString(part):
		return true
	}
	m := cronRange.FindStringSubmatch(part)
	if m == nil {
		return false
	}
	within := func(s string, missing int) (int, bool) {
		if s == "" {
			return missing, true
		}
		i, err := strconv.Atoi(s)
		return i, err == nil && i >= least && i <= most
	}
	from, ok := within(m[1], least)
	to, ok2 := within(m[2], most)
	step, err := strconv.Atoi("0" + m[3])
	return ok && ok2 && from <= to && err == nil && (m[3] == "" || step > 0)
}
