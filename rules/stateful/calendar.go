package stateful

import (
	"fmt"
	"time"
)

// Calendar says when a rule may fire: not in a silent window, and, where there
// are active ones, only in one of those.
type Calendar struct {
	zone     *time.Location
	holidays holidays
	silent   []window
	active   []window
	after    bool // what was held back fires when the window has ended
}

// window is a recurring span of time. It begins on a day that all of its
// conditions on days hold for.
type window struct {
	text     string
	weekdays uint8 // bit 0 is Sunday; 0: any day
	holiday  bool  // or on holidays
	workday  bool  // or on days from Monday to Friday that are no holidays
	dates    []dates
	monthDay []int // 1 to 31, -1 the last; empty: any
	weeks    []int // 1 to 5: the n-th such weekday of the month, -1 the last; empty: any
	from, to clock
	whole    bool // the whole day
}

// clock is a time of day in seconds.
type clock int

// dates is a span of days, both ends included; a year of 0 means every year.
type dates struct{ from, to date }

type date struct{ year, month, day int }

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, int(m), d}
}

func (d date) less(o date) bool {
	if d.year != o.year {
		return d.year < o.year
	}
	if d.month != o.month {
		return d.month < o.month
	}
	return d.day < o.day
}

func (ds dates) hold(d date) bool {
	from, to := ds.from, ds.to
	if from.year == 0 {
		d.year = 0
		if to.less(from) { // over the turn of the year
			return !d.less(from) || !to.less(d)
		}
	}
	return !d.less(from) && !to.less(d)
}

// lookAhead bounds how far the end of windows that follow each other is sought.
const lookAhead = 400 * 24 * time.Hour

// Blocked says whether the rule may not fire at a time, until when, and why.
// until is zero where no end is in sight.
func (c *Calendar) Blocked(at time.Time) (blocked bool, until time.Time, why string) {
	if c == nil {
		return false, time.Time{}, ""
	}
	if blocked, why = c.blockedAt(at); !blocked {
		return false, time.Time{}, ""
	}
	limit := at.Add(lookAhead)
	for t := at; t.Before(limit); {
		next, ok := c.change(t)
		if !ok {
			break
		}
		if still, _ := c.blockedAt(next); !still {
			return true, next, why
		}
		t = next
	}
	return true, time.Time{}, why
}

func (c *Calendar) blockedAt(at time.Time) (bool, string) {
	for i := range c.silent {
		if _, ok := c.in(&c.silent[i], at); ok {
			return true, "silent: " + c.silent[i].text
		}
	}
	if len(c.active) == 0 {
		return false, ""
	}
	for i := range c.active {
		if _, ok := c.in(&c.active[i], at); ok {
			return false, ""
		}
	}
	return true, "outside of the active hours"
}

// change returns the next moment at which a window may begin or end.
func (c *Calendar) change(at time.Time) (time.Time, bool) {
	var best time.Time
	try := func(t time.Time) {
		if t.After(at) && (best.IsZero() || t.Before(best)) {
			best = t
		}
	}
	for _, list := range [][]window{c.silent, c.active} {
		for i := range list {
			w := &list[i]
			// An end before the next begin is what matters; without one, the begin.
			day := c.midnight(at, -1)
			for n := range int(lookAhead/(24*time.Hour)) + 1 {
				if c.begins(w, day) {
					from, to := c.span(w, day)
					try(from)
					try(to)
					if from.After(at) {
						break
					}
				}
				if n > 1 && !best.IsZero() && day.After(best) {
					break
				}
				day = c.midnight(day, 1)
			}
		}
	}
	return best, !best.IsZero()
}

// midnight is the beginning of the day that is days away from that of a time.
func (c *Calendar) midnight(at time.Time, days int) time.Time {
	y, m, d := at.In(c.zone).Date()
	return time.Date(y, m, d+days, 0, 0, 0, 0, c.zone)
}

// in says whether a time is in a window, and when that ends.
func (c *Calendar) in(w *window, at time.Time) (end time.Time, ok bool) {
	for _, back := range [...]int{0, -1} {
		day := c.midnight(at, back)
		if !c.begins(w, day) {
			continue
		}
		if from, to := c.span(w, day); !at.Before(from) && at.Before(to) {
			return to, true
		}
	}
	return time.Time{}, false
}

// span is when the window that begins on a day begins and ends.
func (c *Calendar) span(w *window, day time.Time) (from, to time.Time) {
	y, m, d := day.Date()
	moment := func(d int, s clock) time.Time {
		return time.Date(y, m, d, int(s)/3600, int(s)/60%60, int(s)%60, 0, c.zone)
	}
	switch {
	case w.whole:
		return moment(d, 0), moment(d+1, 0)
	case w.to <= w.from:
		return moment(d, w.from), moment(d+1, w.to)
	}
	return moment(d, w.from), moment(d, w.to)
}

// begins says whether a window begins on a day.
func (c *Calendar) begins(w *window, day time.Time) bool {
	d := dateOf(day)
	if len(w.dates) > 0 {
		found := false
		for _, ds := range w.dates {
			found = found || ds.hold(d)
		}
		if !found {
			return false
		}
	}
	last := time.Date(d.year, time.Month(d.month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if !one(w.monthDay, d.day, d.day == last) || !one(w.weeks, (d.day-1)/7+1, d.day > last-7) {
		return false
	}
	if w.weekdays == 0 && !w.holiday && !w.workday {
		return true
	}
	if w.weekdays&(1<<day.Weekday()) != 0 {
		return true
	}
	if !w.holiday && !w.workday {
		return false
	}
	free := c.holidays.has(d)
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	return w.holiday && free || w.workday && !free && !weekend
}

// one says whether a number, or "the last" (-1), is in a list; an empty list
// holds everything.
func one(list []int, n int, last bool) bool {
	if len(list) == 0 {
		return true
	}
	for _, x := range list {
		if x == n || x == -1 && last {
			return true
		}
	}
	return false
}

// Moment writes a time for a reader, in the calendar's zone where there is one.
func (f *Form) moment(t time.Time) string {
	if f.calendar != nil {
		t = t.In(f.calendar.zone)
	} else {
		t = t.UTC()
	}
	return t.Format(time.RFC3339)
}

func (d date) String() string {
	if d.year == 0 {
		return fmt.Sprintf("%02d-%02d", d.month, d.day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}
