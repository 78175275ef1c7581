package yaql

import (
	"fmt"
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

const (
	second = int64(1_000_000) // in microseconds, as everything here
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour

	maxSpanDays = 999_999_999
)

// zoneKind tells how a datetime knows its offset.
type zoneKind uint8

const (
	zoneNone   zoneKind = iota // naive
	zoneUTC                    // dateutil's tzutc
	zoneOffset                 // a fixed offset
)

// datetime is Python's datetime: microseconds since the first day of year 1, as
// its clock on the wall shows them.
type datetime struct {
	us   int64
	zone zoneKind
	off  int64
}

// timespan is Python's timedelta: us is from 0 to less than a day.
type timespan struct{ days, us int64 }

// maxMoment is the end of year 9999.
var maxMoment = daysBefore(10000)*day - 1

// civil is a date and time of day in parts.
type civil struct{ year, month, day, hour, minute, second, micro int64 }

// daysBefore is the number of days from year 1 to the start of a year.
func daysBefore(year int64) int64 {
	y := year - 1
	return y*365 + y/4 - y/100 + y/400
}

func isLeap(y int64) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if isLeap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// yearDay is the number of a day in its year, from 1.
func yearDay(year, month, dayOfMonth int64) int64 {
	n := dayOfMonth
	for m := int64(1); m < month; m++ {
		n += daysIn(year, m)
	}
	return n
}

// check returns Python's ValueError where a part is out of range.
func (c civil) check() error {
	for _, r := range []struct {
		v, lo, hi int64
		problem   string
	}{
		{c.year, 1, 9999, fmt.Sprintf("year %d is out of range", c.year)},
		{c.month, 1, 12, "month must be in 1..12"},
		{c.day, 1, daysIn(c.year, c.month), "day is out of range for month"},
		{c.hour, 0, 23, "hour must be in 0..23"},
		{c.minute, 0, 59, "minute must be in 0..59"},
		{c.second, 0, 59, "second must be in 0..59"},
		{c.micro, 0, 999999, "microsecond must be in 0..999999"},
	} {
		if r.v < r.lo || r.v > r.hi {
			return Raise("ValueError", "%s", r.problem)
		}
	}
	return nil
}

func (c civil) moment() int64 {
	days := daysBefore(c.year) + yearDay(c.year, c.month, c.day) - 1
	return days*day + c.hour*hour + c.minute*minute + c.second*second + c.micro
}

// civil splits the moment into its parts.
func (d *datetime) civil() civil {
	days, rest := d.us/day, d.us%day
	year := days/366 + 1
	for daysBefore(year+1) <= days {
		year++
	}
	n := days - daysBefore(year)
	month := int64(1)
	for n >= daysIn(year, month) {
		n -= daysIn(year, month)
		month++
	}
	return civil{year, month, n + 1, rest / hour, rest % hour / minute, rest % minute / second, rest % second}
}

// weekday is 0 on Mondays.
func (d *datetime) weekday() int64 { return d.us / day % 7 }

// utc is the moment in UTC; that of a naive datetime is what it shows.
func (d *datetime) utc() int64 { return d.us - d.off }

// PyType is the name of the class in Python.
func (*datetime) PyType() string { return "datetime" }

// PyStr is the ISO form with a space.
func (d *datetime) PyStr() string {
	c := d.civil()
	s := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", c.year, c.month, c.day, c.hour, c.minute, c.second)
	if c.micro != 0 {
		s += fmt.Sprintf(".%06d", c.micro)
	}
	if d.zone != zoneNone {
		s += offsetText(d.off, ":")
	}
	return s
}

// offsetText is +HH:MM, with seconds and microseconds where there are any.
func offsetText(off int64, sep string) string {
	sign := '+'
	if off < 0 {
		sign, off = '-', -off
	}
	s := fmt.Sprintf("%c%02d%s%02d", sign, off/hour, sep, off%hour/minute)
	if off%minute != 0 {
		s += fmt.Sprintf("%s%02d", sep, off%minute/second)
		if off%second != 0 {
			s += fmt.Sprintf(".%06d", off%second)
		}
	}
	return s
}

// PyRepr is the constructor call that Python shows.
func (d *datetime) PyRepr() string {
	c := d.civil()
	s := fmt.Sprintf("datetime.datetime(%d, %d, %d, %d, %d", c.year, c.month, c.day, c.hour, c.minute)
	if c.second != 0 || c.micro != 0 {
		s += fmt.Sprintf(", %d", c.second)
	}
	if c.micro != 0 {
		s += fmt.Sprintf(", %d", c.micro)
	}
	switch d.zone {
	case zoneUTC:
		s += ", tzinfo=tzutc()"
	case zoneOffset:
		s += fmt.Sprintf(", tzinfo=tzoffset(None, %d)", d.off/second)
	}
	return s + ")"
}

// PyEqual says whether other is the same moment; naive ones equal only naive ones.
func (d *datetime) PyEqual(other any) bool {
	e, ok := other.(*datetime)
	return ok && d.utc() == e.utc() && (d.zone == zoneNone) == (e.zone == zoneNone)
}

type momentKey struct {
	us    int64
	naive bool
}

// HashKey is the same for the same moment.
func (d *datetime) HashKey() any { return momentKey{d.utc(), d.zone == zoneNone} }

// shifted is d later by a span.
func (d *datetime) shifted(t *timespan) (*datetime, error) {
	if t.days > maxSpanDays/100 || t.days < -maxSpanDays/100 {
		return nil, Raise("OverflowError", "date value out of range")
	}
	us := d.us + t.days*day + t.us
	if us < 0 || us > maxMoment {
		return nil, Raise("OverflowError", "date value out of range")
	}
	return &datetime{us: us, zone: d.zone, off: d.off}, nil
}

// spanOf makes a span of microseconds.
func spanOf(us int64) *timespan {
	t := &timespan{us / day, us % day}
	if t.us < 0 {
		t.days, t.us = t.days-1, t.us+day
	}
	return t
}

// spanOfBig is spanOf for any number of microseconds.
func spanOfBig(us *big.Int) (*timespan, error) {
	q, r := new(big.Int).DivMod(us, big.NewInt(day), new(big.Int))
	if !q.IsInt64() || q.Int64() > maxSpanDays || q.Int64() < -maxSpanDays {
		if q.BitLen() > 31 {
			return nil, Raise("OverflowError", "Python int too large to convert to C int")
		}
		return nil, Raise("OverflowError", "days=%s; must have magnitude <= %d", q, maxSpanDays)
	}
	return &timespan{q.Int64(), r.Int64()}, nil
}

// big is the span in microseconds.
func (t *timespan) big() *big.Int {
	b := new(big.Int).Mul(big.NewInt(t.days), big.NewInt(day))
	return b.Add(b, big.NewInt(t.us))
}

// micros is the span in microseconds, as a value.
func (t *timespan) micros() any { return value.BigInt(t.big()) }

func (t *timespan) zero() bool { return t.days == 0 && t.us == 0 }

func (t *timespan) compare(u *timespan) int {
	switch {
	case t.days != u.days:
		return cmp(t.days, u.days)
	}
	return cmp(t.us, u.us)
}

func cmp(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// PyType is the name of the class in Python.
func (*timespan) PyType() string { return "timedelta" }

// PyStr is Python's text: 1 day, 2:03:04.000005.
func (t *timespan) PyStr() string {
	s := ""
	if t.days != 0 {
		s = fmt.Sprintf("%d day", t.days)
		if t.days != 1 && t.days != -1 {
			s += "s"
		}
		s += ", "
	}
	s += fmt.Sprintf("%d:%02d:%02d", t.us/hour, t.us%hour/minute, t.us%minute/second)
	if t.us%second != 0 {
		s += fmt.Sprintf(".%06d", t.us%second)
	}
	return s
}

// PyRepr is the constructor call that Python shows.
func (t *timespan) PyRepr() string {
	s := ""
	for _, part := range []struct {
		name string
		n    int64
	}{{"days", t.days}, {"seconds", t.us / second}, {"microseconds", t.us % second}} {
		if part.n == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf("%s=%d", part.name, part.n)
	}
	if s == "" {
		s = "0"
	}
	return "datetime.timedelta(" + s + ")"
}

// PyTruth is false for the empty span.
func (t *timespan) PyTruth() bool { return !t.zero() }

// PyEqual says whether other is as long.
func (t *timespan) PyEqual(other any) bool {
	u, ok := other.(*timespan)
	return ok && *t == *u
}

type spanKey timespan

// HashKey is the same for spans as long.
func (t *timespan) HashKey() any { return spanKey(*t) }
