package stateful

import "time"

// holidays are the days that count as such.
type holidays struct {
	list []dates
	jp   bool
}

func (h *holidays) has(d date) bool {
	for _, ds := range h.list {
		if ds.hold(d) {
			return true
		}
	}
	return h.jp && japan(d)
}

// japan says whether a day is a national holiday of Japan, by the law of 1948 as
// amended up to 2018 (so from 2022 on; the days moved for the games of 2020 and
// 2021 are not known): its fixed and Monday holidays, the equinoxes, the day that
// stands in for one on a Sunday, and the day between two holidays.
func japan(d date) bool {
	if japanNamed(d) {
		return true
	}
	t := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC)
	// The next day that is no holiday stands in for a holiday on a Sunday.
	for back := t.AddDate(0, 0, -1); japanNamed(dateOf(back)); back = back.AddDate(0, 0, -1) {
		if back.Weekday() == time.Sunday {
			return true
		}
	}
	return japanNamed(dateOf(t.AddDate(0, 0, -1))) && japanNamed(dateOf(t.AddDate(0, 0, 1)))
}

// japanNamed says whether the law names the day.
func japanNamed(d date) bool {
	t := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC)
	monday := func(n int) bool { return t.Weekday() == time.Monday && (d.day-1)/7+1 == n }
	switch d.month {
	case 1:
		return d.day == 1 || monday(2)
	case 2:
		return d.day == 11 || d.day == 23
	case 3:
		return d.day == equinox(d.year, 20.8431)
	case 4:
		return d.day == 29
	case 5:
		return d.day >= 3 && d.day <= 5
	case 7:
		return monday(3)
	case 8:
		return d.day == 11
	case 9:
		return monday(3) || d.day == equinox(d.year, 23.2488)
	case 10:
		return monday(2)
	case 11:
		return d.day == 3 || d.day == 23
	}
	return false
}

// equinox is the day of the month, by the usual approximation, which holds from
// 1980 to 2099.
func equinox(year int, base float64) int {
	n := year - 1980
	return int(base+0.242194*float64(n)) - n/4
}
