package rules

import (
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// timeDiff compares the age of a time, in seconds, with a pattern (StackStorm
// timediff_lt and timediff_gt). A time without a zone is UTC.
func timeDiff(o operator, v, p any, now time.Time) (bool, error) {
	at, err := parseTime(value.Str(v), now)
	if err != nil {
		return false, err
	}
	var limit float64
	if s, ok := p.(string); ok {
		limit, err = value.ParseFloat(s)
	} else {
		limit, err = value.ToFloat(p)
	}
	if err != nil {
		return false, err
	}
	age := now.Sub(at).Seconds()
	if o == opYounger {
		return age < limit, nil
	}
	return age > limit, nil
}
