package yaql

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// timePatterns are the texts that the directives of strptime take, in the C
// locale.
func timePattern(c byte) string {
	switch c {
	case 'd':
		return `(?P<d>3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9])`
	case 'f':
		return `(?P<f>[0-9]{1,6})`
	case 'H':
		return `(?P<H>2[0-3]|[0-1]\d|\d)`
	case 'I':
		return `(?P<I>1[0-2]|0[1-9]|[1-9]| [1-9])`
	case 'G':
		return `(?P<G>\d\d\d\d)`
	case 'j':
		return `(?P<j>36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9])`
	case 'm':
		return `(?P<m>1[0-2]|0[1-9]|[1-9])`
	case 'M':
		return `(?P<M>[0-5]\d|\d)`
	case 'S':
		return `(?P<S>6[0-1]|[0-5]\d|\d)`
	case 'U', 'W':
		return `(?P<` + string(c) + `>5[0-3]|[0-4]\d|\d)`
	case 'V':
		return `(?P<V>5[0-3]|0[1-9]|[1-4]\d|\d)`
	case 'w':
		return `(?P<w>[0-6])`
	case 'u':
		return `(?P<u>[1-7])`
	case 'y':
		return `(?P<y>\d\d)`
	case 'Y':
		return `(?P<Y>\d\d\d\d)`
	case 'z':
		return `(?P<z>[+-]\d\d:?[0-5]\d(:?[0-5]\d(\.\d{1,6})?)?|Z)`
	case 'a':
		return `(?P<a>mon|tue|wed|thu|fri|sat|sun)`
	case 'A':
		return `(?P<A>monday|tuesday|wednesday|thursday|friday|saturday|sunday)`
	case 'b':
		return `(?P<b>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`
	case 'B':
		return `(?P<B>january|february|march|april|may|june|july|august|september|october|november|december)`
	case 'p':
		return `(?P<p>am|pm)`
	case 'Z':
		return `(?P<Z>utc|gmt)`
	}
	return ""
}

// expandFormat replaces the directives that stand for several others.
func expandFormat(format string) string {
	r := strings.NewReplacer("%%", "%%", "%c", "%a %b %d %H:%M:%S %Y", "%x", "%m/%d/%y", "%X", "%H:%M:%S")
	return r.Replace(format)
}

// timeRegex turns a format into a regular expression.
func timeRegex(format string) (string, error) {
	var b strings.Builder
	expanded := expandFormat(format)
	for i := 0; i < len(expanded); i++ {
		c := expanded[i]
		switch {
		case strings.IndexByte(" \t\n\r\v\f", c) >= 0:
			for i+1 < len(expanded) && strings.IndexByte(" \t\n\r\v\f", expanded[i+1]) >= 0 {
				i++
			}
			b.WriteString(`\s+`)
		case c != '%':
			if strings.IndexByte(`\.^$*+?(){}[]|`, c) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case i+1 == len(expanded):
			return "", Raise("ValueError", "stray %% in format '%s'", format)
		default:
			i++
			if expanded[i] == '%' {
				b.WriteByte('%')
				continue
			}
			p := timePattern(expanded[i])
			if p == "" {
				return "", Raise("ValueError", "'%c' is a bad directive in format %s", expanded[i], value.Repr(format))
			}
			b.WriteString(p)
		}
	}
	return b.String(), nil
}

// maxTimeText bounds the texts that are read as dates.
const maxTimeText = 1000

// strptime reads a date by a format, as Python's datetime.strptime does.
func (ev *evaluator) strptime(text, format string) (*datetime, error) {
	if len(text) > maxTimeText || len(format) > maxTimeText {
		return nil, Raise("ValueError", "time data longer than %d bytes", maxTimeText)
	}
	expr, err := timeRegex(format)
	if err != nil {
		return nil, err
	}
	if err := ev.budget.Step(20 + len(expr)); err != nil {
		return nil, err
	}
	re, err := pyre.Compile(expr, pyre.IgnoreCase)
	if err != nil {
		return nil, regexError(err)
	}
	m, err := re.Match(text)
	if err != nil {
		return nil, regexError(err)
	}
	if m == nil {
		return nil, Raise("ValueError", "time data %s does not match format %s", value.Repr(text), value.Repr(format))
	}
	if _, end := m.Span(0); end != len(text) {
		return nil, Raise("ValueError", "unconverted data remains: %s", text[end:])
	}
	parts := map[byte]string{}
	for i := 1; i <= re.Groups(); i++ {
		if name := re.GroupName(i); name != "" {
			if s, ok := m.Group(i); ok {
				parts[name[0]] = s
			}
		}
	}
	return fromParts(parts)
}

// fromParts makes a date of what the directives read.
func fromParts(parts map[byte]string) (*datetime, error) {
	num := func(c byte, def int64) int64 {
		s, ok := parts[c]
		if !ok {
			return def
		}
		n, err := strconv.ParseInt(strings.TrimSpace(plainDigits(s)), 10, 64)
		if err != nil {
			return def
		}
		return n
	}
	c := civil{year: num('Y', 1900), month: num('m', 1), day: num('d', 1), hour: num('H', 0), minute: num('M', 0), second: num('S', 0)}
	_, hasYear := parts['Y']
	if _, ok := parts['y']; ok {
		hasYear = true
		if c.year = num('y', 0) + 2000; c.year > 2068 {
			c.year -= 100
		}
	}
	for _, k := range []byte{'b', 'B'} {
		if s, ok := parts[k]; ok {
			c.month = nameIndex(s, monthNames[:], k == 'b') + 1
		}
	}
	if _, ok := parts['I']; ok {
		c.hour = num('I', 0) % 12
		if strings.EqualFold(parts['p'], "pm") {
			c.hour += 12
		}
	}
	if s, ok := parts['f']; ok {
		c.micro, _ = strconv.ParseInt((s + "000000")[:6], 10, 64)
	}
	if err := c.place(parts, num, hasYear); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	d := &datetime{us: c.moment()}
	if s, ok := parts['z']; ok {
		d.zone, d.off = zoneOffset, readOffset(s)
	}
	return d, nil
}

// place finds month and day from a day of the year or a week.
func (c *civil) place(parts map[byte]string, num func(byte, int64) int64, hasYear bool) error {
	weekday := int64(-1)
	for _, k := range []byte{'a', 'A'} {
		if s, ok := parts[k]; ok {
			weekday = nameIndex(s, dayNames[:], k == 'a')
		}
	}
	if _, ok := parts['w']; ok {
		weekday = (num('w', 0) + 6) % 7
	}
	if _, ok := parts['u']; ok {
		weekday = num('u', 1) - 1
	}
	yday := num('j', 0)
	_, isoYear := parts['G']
	_, isoWeek := parts['V']
	switch {
	case isoYear != isoWeek:
		return Raise("ValueError", "ISO year directive '%%G' must be used with the ISO week directive '%%V' and a weekday directive ('%%A', '%%a', '%%w', or '%%u').")
	case isoYear && weekday >= 0:
		year := num('G', 1)
		jan4 := daysBefore(year) + 3
		days := jan4 - jan4%7 + (num('V', 1)-1)*7 + weekday
		if days < 0 {
			return Raise("ValueError", "year 0 is out of range")
		}
		t := (&datetime{us: days * day}).civil()
		c.year, c.month, c.day = t.year, t.month, t.day
		return nil
	case yday == 0 && weekday >= 0 && hasYear:
		if _, ok := parts['U']; ok {
			yday = weekDay(c.year, num('U', 0), weekday, false)
		} else if _, ok := parts['W']; ok {
			yday = weekDay(c.year, num('W', 0), weekday, true)
		}
	}
	if yday != 0 {
		t := (&datetime{us: (daysBefore(c.year) + yday - 1) * day}).civil()
		c.year, c.month, c.day = t.year, t.month, t.day
	}
	return nil
}

// weekDay is the day of the year of a weekday in a week counted from the first
// Monday or Sunday.
func weekDay(year, week, weekday int64, monday bool) int64 {
	first := daysBefore(year) % 7
	if !monday {
		first = (first + 1) % 7
		weekday = (weekday + 1) % 7
	}
	if week == 0 {
		return 1 + weekday - first
	}
	return 1 + (7-first)%7 + 7*(week-1) + weekday
}

func nameIndex(s string, names []string, short bool) int64 {
	for i, n := range names {
		if short {
			n = n[:3]
		}
		if strings.EqualFold(s, n) {
			return int64(i)
		}
	}
	return 0
}

// readOffset reads +HH:MM[:SS[.ffffff]] or Z.
func readOffset(s string) int64 {
	if s == "" || s[0] == 'Z' || s[0] == 'z' {
		return 0
	}
	digits := plainDigits(strings.ReplaceAll(s[1:], ":", ""))
	whole, frac, _ := strings.Cut(digits, ".")
	var h, m, sec, us int64
	_, _ = fmt.Sscanf(whole+"000000"[:max(0, 6-len(whole))], "%2d%2d%2d", &h, &m, &sec) // the pattern has seen to the digits
	if frac != "" {
		us, _ = strconv.ParseInt((frac + "000000")[:6], 10, 64)
	}
	off := h*hour + m*minute + sec*second + us
	if s[0] == '-' {
		return -off
	}
	return off
}
