package cron

import "time"

// Local times without a zone are handled as times in UTC ("plain" times); an
// offset turns them into instants.

// nextPlain returns the first plain time that matches, not before t.
func (f *fields) nextPlain(t time.Time) (time.Time, bool) {
	y, m, d := t.Date()
	h, mi, s := t.Clock()
	// What is less significant than a field that moves on starts at its least.
	ny := f.nextYear(y)
	if ny == 0 {
		return time.Time{}, false
	}
	if ny != y {
		y, m, d, h, mi, s = ny, 1, 1, 0, 0, 0
	}
	// A timer for 29 February that is a Monday comes within 40 years; a timer that
	// never comes (30 February) is given up at the last year.
	for {
		nm := from(f.month, int(m))
		if nm < 0 {
			if y = f.nextYear(y + 1); y == 0 {
				return time.Time{}, false
			}
			m, d, h, mi, s = 1, 1, 0, 0, 0
			continue
		}
		if time.Month(nm) != m {
			m, d, h, mi, s = time.Month(nm), 1, 0, 0, 0
		}
		days := f.days(y, m)
		for nd := from(days, d); nd > 0; nd = from(days, d) {
			if nd != d {
				d, h, mi, s = nd, 0, 0, 0
			}
			if h, mi, s, ok := f.nextClock(h, mi, s); ok {
				return time.Date(y, m, d, h, mi, s, 0, time.UTC), true
			}
			d, h, mi, s = d+1, 0, 0, 0
		}
		m, d, h, mi, s = m+1, 1, 0, 0, 0
	}
}

// nextClock returns the first time of day that matches, not before h:m:s.
func (f *fields) nextClock(h, m, s int) (int, int, int, bool) {
	nh := from(f.hour, h)
	if nh < 0 {
		return 0, 0, 0, false
	}
	if nh > h {
		return nh, from(f.minute, 0), from(f.second, 0), true
	}
	nm := from(f.minute, m)
	if nm == m {
		if ns := from(f.second, s); ns >= 0 {
			return h, m, ns, true
		}
		nm = from(f.minute, m+1)
	}
	if nm >= 0 {
		return h, nm, from(f.second, 0), true
	}
	if nh = from(f.hour, h+1); nh < 0 {
		return 0, 0, 0, false
	}
	return nh, from(f.minute, 0), from(f.second, 0), true
}

// never is the end of the last stretch of a zone.
var never = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)

// widest is more than any zone is away from UTC, twice.
const widest = 36 * time.Hour

// stretch is a time during which a zone's offset stays the same.
type stretch struct {
	start, end time.Time // start is zero where there is none before
	offset     time.Duration
}

func offsetAt(t time.Time, loc *time.Location) time.Duration {
	_, s := t.In(loc).Zone()
	return time.Duration(s) * time.Second
}

func stretchAt(t time.Time, loc *time.Location) stretch {
	start, end := t.In(loc).ZoneBounds()
	offset := offsetAt(t, loc)
	if end.IsZero() {
		end = never
	}
	if !end.After(t) {
		// Beyond the zone's table the time package cuts stretches at years of 365
		// days: the last day of a leap year lies behind the end of its own.
		end = t.Add(24 * time.Hour)
		for low := t; offsetAt(end.Add(-time.Second), loc) != offset; {
			if mid := low.Add(end.Sub(low) / 2).Truncate(time.Second); offsetAt(mid, loc) == offset {
				low = mid
			} else {
				end = mid
			}
		}
	}
	return stretch{start.UTC(), end.UTC(), offset}
}

// next is Schedule.Next for cron timers.
func (f *fields) next(after time.Time, loc *time.Location) (time.Time, bool) {
	t := after.UTC().Truncate(time.Second).Add(time.Second)
	for t.Before(never) {
		st := stretchAt(t, loc)
		skipped, found := f.skipped(t, st, loc)
		plain, ok := f.nextPlain(t.Add(st.offset))
		if !ok {
			return skipped.In(loc), found
		}
		at := plain.Add(-st.offset)
		if at.Before(st.end) && (f.anyHour || !f.again(plain, st, loc)) {
			if found && skipped.Before(at) {
				at = skipped
			}
			return at.In(loc), true
		}
		if found {
			return skipped.In(loc), true
		}
		// Stretches in which nothing matches are passed over.
		t = st.end
		if far := at.Add(-widest); far.After(t) {
			t = far
		}
	}
	return time.Time{}, false
}

// skipped returns the instant at which the first matching local time that was
// skipped at the beginning of the stretch is made up for, if it is not before t.
func (f *fields) skipped(t time.Time, st stretch, loc *time.Location) (time.Time, bool) {
	if f.anyHour || st.start.IsZero() {
		return time.Time{}, false
	}
	before := offsetAt(st.start.Add(-time.Second), loc)
	if before >= st.offset || !t.Before(st.start.Add(st.offset-before)) {
		return time.Time{}, false
	}
	plain, ok := f.nextPlain(st.start.Add(before))
	if !ok || !plain.Before(st.start.Add(st.offset)) {
		return time.Time{}, false
	}
	at := plain.Add(-before)
	return at, !at.Before(t)
}

// again says that the plain time comes once more after the stretch.
func (f *fields) again(plain time.Time, st stretch, loc *time.Location) bool {
	return !plain.Before(st.end.Add(offsetAt(st.end, loc)))
}

// instant is when a plain time is in a zone: the second time where it comes
// twice, and where it is skipped as much later as the clock goes forward.
func instant(plain time.Time, loc *time.Location) time.Time {
	// Two days around hold every offset that the plain time can have. The stretch
	// that begins latest and holds it is the second time.
	st := stretchAt(plain.Add(-widest), loc)
	at := plain.Add(-st.offset)
	for !at.Before(st.end) || !plain.Before(st.end.Add(offsetAt(st.end, loc))) {
		next := stretchAt(st.end, loc)
		if plain.Before(st.end.Add(next.offset)) {
			break // skipped between the two: the offset before counts
		}
		st, at = next, plain.Add(-next.offset)
	}
	return at
}
