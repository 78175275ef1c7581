// Package cron says when StackStorm's timers tick: at fixed intervals
// (core.st2.IntervalTimer), at a date (core.st2.DateTimer), and whenever fields
// of date and time match (core.st2.CronTimer). The meaning of the parameters is
// that of APScheduler 3, which StackStorm uses; what happens where clocks are
// changed is told at Schedule.Next.
//
// The package reads no clock. It loads time zones by name: the one thing that it
// asks of the host, and a program that links time/tzdata has them everywhere.
package cron

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// The trigger types that Parse knows.
const (
	IntervalTimer = "core.st2.IntervalTimer"
	CronTimer     = "core.st2.CronTimer"
	DateTimer     = "core.st2.DateTimer"
)

// maxInterval bounds an interval, so that adding some of them overflows nothing.
const maxInterval = 100 * 365 * 24 * time.Hour

// Error says which parameter of a timer is wrong, and what would be right.
type Error struct {
	Field string // "" where it is about all of them
	Text  string
	// Unknown says that timers of the type have no such parameter.
	Unknown bool
}

// Error gives "field: text".
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Text
	}
	return e.Field + ": " + e.Text
}

func bad(field, format string, args ...any) error {
	return &Error{Field: field, Text: fmt.Sprintf(format, args...)}
}

// Schedule says when a timer ticks. It is immutable and made by Parse; the zero
// value never ticks.
type Schedule struct {
	loc    *time.Location
	every  time.Duration // interval timers
	anchor time.Time     // interval timers: the ticks are anchor + k·every, k any integer
	at     time.Time     // date timers
	fields *fields       // cron timers

	misfire Misfire
}

// IsTimer says whether the trigger type is a timer's.
func IsTimer(trigger string) bool {
	return trigger == IntervalTimer || trigger == CronTimer || trigger == DateTimer
}

// Parse reads the parameters of a timer, a JSON object. zone is the time zone of
// timers that name none; nil is UTC. Members that are null count as absent. An
// error holds one *Error for each parameter that is wrong: see Problems.
func Parse(trigger string, params json.RawMessage, zone *time.Location) (Schedule, error) {
	m, err := members(params)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{loc: zone}
	if zone == nil {
		s.loc = time.UTC
	}
	var errs []error
	if v, ok := m["timezone"]; ok {
		loc, err := location(v)
		if err != nil {
			errs = append(errs, err)
		} else {
			s.loc = loc
		}
	}
	if v, ok := m["misfire"]; ok {
		s.misfire, err = misfireOf(v)
		errs = append(errs, err)
	}
	switch trigger {
	case IntervalTimer:
		err = s.readInterval(m)
	case DateTimer:
		err = s.readDate(m)
	case CronTimer:
		err = s.readCron(m)
	default:
		err = bad("", "%q is no timer, want %s, %s or %s", trigger, IntervalTimer, CronTimer, DateTimer)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return Schedule{}, err
	}
	return s, nil
}

// Problems takes an error of Parse apart.
func Problems(err error) []*Error {
	var one *Error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Error
		for _, e := range many.Unwrap() {
			out = append(out, Problems(e)...)
		}
		return out
	}
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return nil
}

// Misfire says what becomes of ticks that were missed because nothing ran.
type Misfire string

// The policies. The zero value leaves it to whoever runs the timers.
const (
	Skip Misfire = "skip" // they are lost
	Once Misfire = "once" // the newest of them comes late
	All  Misfire = "all"  // all of them come late
)

// Misfires are the policies that a timer may name.
var Misfires = []string{string(Skip), string(Once), string(All)}

func misfireOf(v any) (Misfire, error) {
	name, _ := v.(string)
	if !slices.Contains(Misfires, name) {
		return "", bad("misfire", "found %s%s want one of %s", shown(v), or(yamldoc.Suggest(name, Misfires), ","), strings.Join(Misfires, ", "))
	}
	return Misfire(name), nil
}

// Misfire is the policy that the timer names, "" where it names none.
func (s Schedule) Misfire() Misfire { return s.misfire }

// members returns those members of an object that are not null.
func members(params json.RawMessage) (map[string]any, error) {
	if len(params) == 0 {
		return nil, nil
	}
	v, err := value.Decode(params)
	if err != nil {
		return nil, bad("", "the parameters are not JSON: %v", err)
	}
	o, ok := v.(*value.Map)
	if !ok {
		return nil, bad("", "the parameters are not an object")
	}
	m := make(map[string]any, o.Len())
	for k, v := range o.All() {
		if name, ok := k.(string); ok && v != nil {
			m[name] = v
		}
	}
	return m, nil
}

func location(v any) (*time.Location, error) {
	name, ok := v.(string)
	// "" and "Local" mean the host's zone to the time package: nobody wrote that.
	if ok && name != "" && name != "Local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, bad("timezone", "unknown time zone %s, want a name of the IANA database such as Asia/Tokyo, Europe/Berlin or UTC", shown(v))
}

// shown is a value as a message shows it.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	return value.Str(v)
}

// always are the parameters that every timer has.
var always = []string{"timezone", "misfire"}

// only refuses parameters that a timer does not have.
func only(m map[string]any, known ...string) error {
	known = append(known, always...)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, name) {
			text := fmt.Sprintf("unknown parameter%s Known are %s", or(yamldoc.Suggest(name, known), "."), strings.Join(known, ", "))
			errs = append(errs, &Error{Field: name, Text: text, Unknown: true})
		}
	}
	return errors.Join(errs...)
}

var units = map[string]time.Duration{
	"weeks": 7 * 24 * time.Hour, "days": 24 * time.Hour, "hours": time.Hour, "minutes": time.Minute, "seconds": time.Second,
}

func (s *Schedule) readInterval(m map[string]any) error {
	errs := []error{only(m, "unit", "delta")}
	known := []string{"weeks", "days", "hours", "minutes", "seconds"}
	name, _ := m["unit"].(string)
	unit, ok := units[name]
	switch {
	case m["unit"] == nil:
		errs = append(errs, bad("unit", "is missing, want one of %s", strings.Join(known, ", ")))
	case !ok:
		errs = append(errs, bad("unit", "found %s%s want one of %s", shown(m["unit"]), or(yamldoc.Suggest(name, known), ","), strings.Join(known, ", ")))
	}
	if !ok {
		name, unit = "units", time.Hour
	}
	return errors.Join(append(errs, s.readDelta(m["delta"], name, unit))...)
}

func (s *Schedule) readDelta(v any, name string, unit time.Duration) error {
	n, ok := integer(v)
	switch {
	case v == nil:
		return bad("delta", "is missing, want the number of %s", name)
	case !ok:
		return bad("delta", "found %s, want a whole number of %s", shown(v), name)
	case n < 1:
		return bad("delta", "found %d, want at least 1", n)
	case n > int64(maxInterval/unit):
		return bad("delta", "found %d %s, the most is %d", n, name, maxInterval/unit)
	}
	s.every = time.Duration(n) * unit
	return nil
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// integer reads a whole number, or a text of one, as StackStorm's schemas cast it.
func integer(v any) (int64, bool) {
	switch v.(type) {
	case nil, bool, float64:
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value.Str(v)), 10, 64)
	return n, err == nil
}

// dateForms are the dates that a DateTimer may have, without and with an offset.
var dateForms = []string{
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "20060102T150405",
}

var offsetForms = []string{"", "Z07:00", " Z07:00", "Z0700", " Z0700", "Z07"}

func (s *Schedule) readDate(m map[string]any) error {
	return errors.Join(only(m, "date"), s.readMoment(m["date"]))
}

func (s *Schedule) readMoment(v any) error {
	if v == nil {
		return bad("date", "is missing, want a date and time such as 2030-01-31T12:00:00Z")
	}
	text, _ := v.(string)
	text = strings.TrimSpace(text)
	for _, form := range dateForms {
		for _, offset := range offsetForms {
			t, err := time.Parse(form+offset, text)
			t = t.Truncate(time.Microsecond) // as exact as Python's dates
			switch {
			case err != nil:
				continue
			case t.Year() < 1:
			case offset == "":
				s.at = instant(t, s.loc)
				return nil
			default:
				s.at = t.UTC()
				return nil
			}
		}
	}
	return bad("date", "found %s, want a date and time such as 2030-01-31T12:00:00Z, 2030-01-31T12:00:00+09:00 or, in the timer's zone, 2030-01-31 12:00:00", shown(v))
}

// Zone is the zone that the timer's fields and dates are read in.
func (s Schedule) Zone() *time.Location {
	if s.loc == nil {
		return time.UTC
	}
	return s.loc
}

// Anchored says that the ticks depend on when the timer was begun: those of an
// interval timer.
func (s Schedule) Anchored() bool { return s.every > 0 }

// From returns the schedule of an interval timer with the anchor: its ticks are
// anchor + k·interval for every integer k, so that a clock that was wrong when the
// timer was begun silences nothing. Other schedules stay as they are.
func (s Schedule) From(anchor time.Time) Schedule {
	s.anchor = anchor
	return s
}

// Next returns the first tick after a time, in the timer's zone, and whether
// there is one. The set of ticks is fixed: whatever times Next is asked for, it
// answers with members of it, and leaves none out.
//
// Of a cron timer, where the zone's clocks are changed:
//
//   - A local time that is skipped when clocks go forward runs later by as much as
//     they go forward (02:30 runs at 03:30). Where several were skipped, only the
//     first of them runs.
//   - A local time that comes twice when clocks go back runs once, the second time.
//   - A timer whose hour is "*" is bound to no hour: it runs in all hours that there
//     are, so it neither runs what was skipped nor pauses where an hour comes twice.
//
// The first two are what APScheduler 3 does. Its answers for the third depend on
// the tick before; these do not, since several processes must find the same ticks.
func (s Schedule) Next(after time.Time) (time.Time, bool) {
	switch {
	case s.every > 0:
		return s.nextInterval(after)
	case !s.at.IsZero():
		return s.at.In(s.loc), s.at.After(after)
	case s.fields != nil:
		return s.fields.next(after, s.loc)
	}
	return time.Time{}, false
}

func (s *Schedule) nextInterval(after time.Time) (time.Time, bool) {
	since := after.Sub(s.anchor)
	if since == math.MaxInt64 || since == math.MinInt64 { // Sub saturates after 292 years
		return time.Time{}, false
	}
	back := since % s.every
	if back < 0 {
		back += s.every
	}
	return after.Add(s.every - back).In(s.loc), true
}
