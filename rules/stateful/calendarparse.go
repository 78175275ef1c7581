package stateful

import (
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// maxWindows bounds the windows of a calendar, and the entries of their lists.
const maxWindows = 100

func (p *parser) calendar(m *value.Map) {
	c := &Calendar{zone: time.UTC}
	p.f.calendar = c
	p.keys(m, reader{
		"zone": func(v any) {
			name, ok := v.(string)
			if !ok || name == "" || name == "Local" {
				p.errorf("is %s, expected the name of a time zone such as Asia/Tokyo", value.Str(v))
				return
			}
			z, err := time.LoadLocation(name)
			if err != nil {
				p.errorf("unknown time zone %q, expected one such as Asia/Tokyo or UTC", name)
				return
			}
			c.zone = z
		},
		"holidays": func(v any) { c.holidays = p.holidays(v) },
		"silent":   func(v any) { c.silent = p.windows(v) },
		"active":   func(v any) { c.active = p.windows(v) },
		"after": func(v any) {
			switch v {
			case "fire":
				c.after = true
			case "drop":
			default:
				p.errorf("is %s, expected fire or drop", value.Str(v))
			}
		},
	})
	if len(c.silent)+len(c.active) == 0 && len(p.issues) == 0 {
		p.errorf("has no windows: it needs silent or active")
	}
}

// each reads the entries of a list, or a single value as the only one.
func (p *parser) each(v any, read func(any)) {
	list, ok := v.(value.List)
	if !ok {
		read(v)
		return
	}
	if len(list) > maxWindows {
		p.errorf("has %d entries, the most are %d", len(list), maxWindows)
		return
	}
	for i, x := range list {
		p.at(strconv.Itoa(i), func() { read(x) })
	}
}

func (p *parser) windows(v any) (out []window) {
	p.each(v, func(x any) {
		if m := p.mapping(x); m != nil {
			out = append(out, p.window(m))
		}
	})
	return out
}

func (p *parser) window(m *value.Map) window {
	w := window{whole: true}
	timed := 0
	at := func(to *clock, end bool) func(any) {
		return func(v any) {
			timed++
			w.whole = false
			s, _ := v.(string)
			c, ok := parseClock(s)
			if !ok || !end && c == 24*3600 {
				p.errorf(`is %s, expected a time of day in quotes, such as "22:00"`, value.Str(v))
			}
			*to = c
		}
	}
	p.keys(m, reader{
		"name": func(v any) {
			if s, ok := v.(string); ok {
				w.text = s
			} else {
				p.errorf("is %s, expected text", kindOf(v))
			}
		},
		"days": func(v any) { p.each(v, func(x any) { p.days(&w, x) }) },
		"dates": func(v any) {
			p.each(v, func(x any) {
				if ds, ok := p.dates(x); ok {
					w.dates = append(w.dates, ds)
				}
			})
		},
		"month_days": func(v any) { p.each(v, func(x any) { w.monthDay = p.ordinal(w.monthDay, x, 31) }) },
		"weeks":      func(v any) { p.each(v, func(x any) { w.weeks = p.ordinal(w.weeks, x, 5) }) },
		"from":       at(&w.from, false),
		"to":         at(&w.to, true),
	})
	if timed == 1 {
		p.errorf("has from or to, but not both")
	}
	if timed == 2 && w.from == w.to {
		p.errorf("begins and ends at the same time of day; leave from and to out for the whole day")
	}
	if m.Len() == 0 {
		p.errorf("is empty; a window needs days, dates or times of day")
	}
	if w.text == "" {
		w.text = describe(m)
	}
	return w
}

// describe names a window by what it is: "mon-fri 22:00–06:00".
func describe(m *value.Map) string {
	var parts []string
	list := func(key, before string) {
		v, ok := m.Str(key)
		if !ok {
			return
		}
		items, isList := v.(value.List)
		if !isList {
			items = value.List{v}
		}
		texts := make([]string, len(items))
		for i, x := range items {
			texts[i] = value.Str(x)
		}
		parts = append(parts, before+strings.Join(texts, ", "))
	}
	list("dates", "")
	list("days", "")
	list("month_days", "day of the month ")
	list("weeks", "week of the month ")
	from, _ := m.Str("from")
	if to, ok := m.Str("to"); ok {
		parts = append(parts, value.Str(from)+"–"+value.Str(to))
	}
	return strings.Join(parts, " ")
}

// ordinal reads a number from 1, or last.
func (p *parser) ordinal(list []int, v any, most int) []int {
	if v == "last" {
		return append(list, -1)
	}
	n := 0
	p.whole(&n, 1, most)(v)
	return append(list, n)
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// days reads mon, mon-fri, holiday, workday.
func (p *parser) days(w *window, v any) {
	s, ok := v.(string)
	if !ok {
		p.errorf("is %s, expected a day such as mon, mon-fri, holiday or workday", kindOf(v))
		return
	}
	switch s {
	case "holiday":
		w.holiday = true
		return
	case "workday":
		w.workday = true
		return
	}
	first, last, span := strings.Cut(s, "-")
	if !span {
		last = first
	}
	a, b := weekday(first), weekday(last)
	if a < 0 || b < 0 {
		known := append([]string{"holiday", "workday"}, weekdays...)
		p.errorf("unknown day %q%s", s, hint(s, known))
		return
	}
	for d := a; ; d = (d + 1) % 7 {
		w.weekdays |= 1 << d
		if d == b {
			return
		}
	}
}

func weekday(s string) int {
	for i, w := range weekdays {
		if s == w {
			return i
		}
	}
	return -1
}

// dates reads 2026-12-29, 2026-12-29..2027-01-03, 12-31 or 12-29..01-03.
func (p *parser) dates(v any) (dates, bool) {
	s, _ := v.(string)
	from, to, span := strings.Cut(s, "..")
	if !span {
		to = from
	}
	a, okA := parseDate(from)
	b, okB := parseDate(to)
	switch {
	case !okA || !okB:
		p.errorf("%s is no date, expected one such as 2026-12-29, 12-31 (every year) or 2026-12-29..2027-01-03", value.Str(v))
	case (a.year == 0) != (b.year == 0):
		p.errorf("%s has a year at one end only", s)
	case a.year != 0 && b.less(a):
		p.errorf("%s ends before it begins", s)
	default:
		return dates{a, b}, true
	}
	return dates{}, false
}

func parseDate(s string) (date, bool) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return dateOf(t), true
	}
	// 2000 was a leap year: February 29 may be named.
	if t, err := time.Parse(time.DateOnly, "2000-"+s); err == nil {
		return date{0, int(t.Month()), t.Day()}, true
	}
	return date{}, false
}

func parseClock(s string) (clock, bool) {
	if s == "24:00" {
		return 24 * 3600, true
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return clock(t.Hour()*3600 + t.Minute()*60 + t.Second()), true
		}
	}
	return 0, false
}

func (p *parser) holidays(v any) (h holidays) {
	p.each(v, func(x any) {
		if x == "jp" {
			h.jp = true
			return
		}
		if s, ok := x.(string); ok && len(s) < 4 {
			p.errorf("unknown calendar of holidays %q%s; dates can be listed", s, yamldoc.Suggest(s, []string{"jp"}))
			return
		}
		if ds, ok := p.dates(x); ok {
			h.list = append(h.list, ds)
		}
	})
	return h
}
