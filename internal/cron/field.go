package cron

import (
	"errors"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// The fields of a cron timer, most significant first, as APScheduler orders them.
const (
	year = iota
	month
	day
	week
	dayOfWeek
	hour
	minute
	second
	numFields
)

var fieldNames = []string{"year", "month", "day", "week", "day_of_week", "hour", "minute", "second"}

var (
	least = [numFields]int{1970, 1, 1, 1, 0, 0, 0, 0}
	most  = [numFields]int{9999, 12, 31, 53, 6, 23, 59, 59}
)

var (
	weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	months   = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	ordinals = []string{"1st", "2nd", "3rd", "4th", "5th", "last"}
)

const last = 5 // the index of "last" in ordinals

// span is every step-th number from first to last.
type span struct{ first, last, step int }

// fields is a cron timer. Sets of numbers are bit masks.
type fields struct {
	years   []span
	month   uint64
	day     uint64 // days by number
	nth     [6]uint8
	lastDay bool
	week    uint64
	weekday uint64
	hour    uint64
	minute  uint64
	second  uint64
	anyHour bool // bound to no hour: the field is absent, or "*"
}

// all is the mask of the numbers of a field.
func all(field int) uint64 { return mask(span{least[field], most[field], 1}) }

func mask(s span) uint64 {
	var m uint64
	for i := s.first; i <= s.last; i += s.step {
		m |= 1 << i
	}
	return m
}

// readCron reads the fields. Those that are absent and less significant than all
// that are given are at their least (week and day of week: any), other absent
// ones are any, as APScheduler has it.
func (s *Schedule) readCron(m map[string]any) error {
	errs := []error{only(m, fieldNames...)}
	given := -1
	for i, name := range fieldNames {
		if _, ok := m[name]; ok {
			given = i
		}
	}
	if given < 0 && errs[0] == nil {
		return bad("", "the timer names no field, want at least one of %s", strings.Join(fieldNames, ", "))
	}
	f := &fields{}
	for i, name := range fieldNames {
		text := "*"
		if v, ok := m[name]; ok {
			switch v.(type) {
			case bool, float64, value.List, *value.Map:
				errs = append(errs, bad(name, "found %s, want a number or an expression such as %s", shown(v), examples(i)))
				continue
			}
			text = value.Str(v)
		} else if i > given && i != week && i != dayOfWeek {
			text = strconv.Itoa(least[i])
		}
		for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
			errs = append(errs, f.add(i, strings.TrimSpace(part)))
		}
	}
	f.anyHour = f.hour == all(hour)
	s.fields = f
	return errors.Join(errs...)
}

// examples shows what a field may hold.
func examples(field int) string {
	switch field {
	case month:
		return "3, */3, 1-6, jan-mar or 1,7"
	case day:
		return "15, */2, 1-7, 2nd tue, last fri, last or 1,15"
	case dayOfWeek:
		return "0 (Monday), mon-fri, sat or 0,2,4"
	case year:
		return "2030, */2 or 2030-2035"
	}
	return strconv.Itoa(most[field]/2) + ", */5, " + strconv.Itoa(least[field]) + "-10, 10-20/2 or 1,5"
}

var (
	numberPart = regexp.MustCompile(`^(?:\*|([0-9]+)(?:-([0-9]+))?)(?:/([0-9]+))?$`)
	namePart   = regexp.MustCompile(`^([a-z]+)(?:-([a-z]+))?$`)
	nthPart    = regexp.MustCompile(`^(1st|2nd|3rd|4th|5th|last) +([a-z]+)$`)
)

// add reads one expression of a field.
func (f *fields) add(field int, part string) error {
	lower := strings.ToLower(part)
	if m := numberPart.FindStringSubmatch(part); m != nil {
		s, err := numbers(field, part, m)
		if err == nil {
			f.put(field, s)
		}
		return err
	}
	if field == day {
		if lower == "last" {
			f.lastDay = true
			return nil
		}
		if m := nthPart.FindStringSubmatch(lower); m != nil {
			d := index(weekdays, m[2])
			if d < 0 {
				return bad("day", "%q is no weekday, want one of %s", m[2], strings.Join(weekdays, ", "))
			}
			f.nth[index(ordinals, m[1])] |= 1 << d
			return nil
		}
	}
	if m := namePart.FindStringSubmatch(lower); m != nil && (field == month || field == dayOfWeek) {
		return f.addNames(field, part, m[1], m[2])
	}
	return bad(fieldNames[field], "%q is no expression, want for example %s", part, examples(field))
}

// addNames reads "jan", "jan-mar", "mon" or "mon-fri".
func (f *fields) addNames(field int, part, from, to string) error {
	names, base := weekdays, 0
	if field == month {
		names, base = months, 1
	}
	if to == "" {
		to = from
	}
	a, b := index(names, from), index(names, to)
	for i, n := range []string{from, to} {
		if []int{a, b}[i] < 0 {
			return bad(fieldNames[field], "unknown name %q%s want one of %s", n, or(yamldoc.Suggest(n, names), ","), strings.Join(names, ", "))
		}
	}
	if a > b {
		return bad(fieldNames[field], "the range %q ends before it begins, want for example %s,%s-%s", part, names[b], from, names[len(names)-1])
	}
	f.put(field, span{a + base, b + base, 1})
	return nil
}

func index(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// numbers reads "*", "*/a", "a", "a/c", "a-b" and "a-b/c", with APScheduler's
// bounds: a step must not exceed the range.
func numbers(field int, part string, m []string) (span, error) {
	name := fieldNames[field]
	s := span{least[field], most[field], 1}
	for i, into := range []*int{&s.first, &s.last, &s.step} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil || (i < 2 && (n < least[field] || n > most[field])) {
			if m[i+1] == part {
				return s, bad(name, "%s is out of range, want %d to %d", part, least[field], most[field])
			}
			return s, bad(name, "%s in %q is out of range, want %d to %d", m[i+1], part, least[field], most[field])
		}
		*into = n
	}
	if m[1] != "" && m[2] == "" && m[3] == "" {
		s.last = s.first
	}
	if s.first > s.last {
		return s, bad(name, "the range %q ends before it begins, want %d-%d", part, s.last, s.first)
	}
	if m[3] != "" && (s.step < 1 || s.step > s.last-s.first) {
		return s, bad(name, "the step %d in %q is out of range, want 1 to %d", s.step, part, s.last-s.first)
	}
	return s, nil
}

// put adds numbers to a field.
func (f *fields) put(field int, s span) {
	if field == year {
		f.years = append(f.years, s)
		return
	}
	into := [numFields]*uint64{month: &f.month, day: &f.day, week: &f.week, dayOfWeek: &f.weekday, hour: &f.hour, minute: &f.minute, second: &f.second}
	*into[field] |= mask(s)
}

// nextYear returns the least matching year from y on, or 0.
func (f *fields) nextYear(y int) int {
	best := 0
	for _, s := range f.years {
		n := max(y, s.first)
		n += (s.step - (n-s.first)%s.step) % s.step
		if n <= s.last && (best == 0 || n < best) {
			best = n
		}
	}
	return best
}

// from returns the least member of a set that is not below n, or -1.
func from(set uint64, n int) int {
	if set &= ^uint64(0) << n; set != 0 {
		return bits.TrailingZeros64(set)
	}
	return -1
}

// days returns the days of a month that match.
func (f *fields) days(y int, m time.Month) uint64 {
	first := (int(time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Weekday()) + 6) % 7 // Monday is 0
	length := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
	set := f.day
	if f.lastDay {
		set |= 1 << length
	}
	for nth, wanted := range f.nth {
		for d := 0; wanted != 0 && d < 7; d++ {
			if wanted&(1<<d) == 0 {
				continue
			}
			at := 1 + (d-first+7)%7
			if nth == last {
				at += (length - at) / 7 * 7
			} else {
				at += nth * 7
			}
			if at <= length {
				set |= 1 << at
			}
		}
	}
	set &= 1<<(length+1) - 1
	if f.weekday == all(dayOfWeek) && f.week == all(week) {
		return set
	}
	for d := from(set, 1); d > 0; d = from(set, d+1) {
		if f.weekday&(1<<((first+d-1)%7)) == 0 || !f.inWeek(y, m, d) {
			set &^= 1 << d
		}
	}
	return set
}

func (f *fields) inWeek(y int, m time.Month, d int) bool {
	if f.week == all(week) {
		return true
	}
	_, w := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).ISOWeek()
	return f.week&(1<<w) != 0
}
