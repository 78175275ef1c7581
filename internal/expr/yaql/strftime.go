package yaql

import (
	"fmt"
	"strings"
)

var (
	dayNames   = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	monthNames = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
)

// strftime writes a date by a format of C's strftime in the C locale, as glibc
// does it; unknown directives stay as they are.
func (ev *evaluator) strftime(d *datetime, format string) (string, error) {
	if err := ev.budget.Grow(len(format) * 8); err != nil {
		return "", err
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		if pad := format[i]; strings.IndexByte("-_0", pad) >= 0 && i+1 < len(format) {
			i++
			b.WriteString(repad(d.directive(format[i]), pad))
			continue
		}
		b.WriteString(d.directive(format[i]))
	}
	return b.String(), nil
}

// repad applies glibc's flags: - without padding, _ with spaces, 0 with zeroes.
func repad(s string, flag byte) string {
	t := strings.TrimLeft(s, " 0")
	if t == "" && s != "" {
		t = "0"
	}
	switch n := len(s) - len(t); flag {
	case '_':
		return strings.Repeat(" ", n) + t
	case '0':
		return strings.Repeat("0", n) + t
	}
	return t
}

// directive is what one letter stands for.
func (d *datetime) directive(c byte) string {
	t := d.civil()
	week := (d.us/day + 1) % 7 // from Sunday
	hour12 := (t.hour+11)%12 + 1
	yday := yearDay(t.year, t.month, t.day)
	switch c {
	case 'a':
		return dayNames[d.weekday()][:3]
	case 'A':
		return dayNames[d.weekday()]
	case 'b', 'h':
		return monthNames[t.month-1][:3]
	case 'B':
		return monthNames[t.month-1]
	case 'c':
		return fmt.Sprintf("%s %s %2d %02d:%02d:%02d %d", dayNames[d.weekday()][:3], monthNames[t.month-1][:3], t.day, t.hour, t.minute, t.second, t.year)
	case 'C':
		return fmt.Sprintf("%02d", t.year/100)
	case 'd':
		return fmt.Sprintf("%02d", t.day)
	case 'D', 'x':
		return fmt.Sprintf("%02d/%02d/%02d", t.month, t.day, t.year%100)
	case 'e':
		return fmt.Sprintf("%2d", t.day)
	case 'f':
		return fmt.Sprintf("%06d", t.micro)
	case 'F':
		return fmt.Sprintf("%d-%02d-%02d", t.year, t.month, t.day)
	case 'H':
		return fmt.Sprintf("%02d", t.hour)
	case 'I':
		return fmt.Sprintf("%02d", hour12)
	case 'j':
		return fmt.Sprintf("%03d", yday)
	case 'k':
		return fmt.Sprintf("%2d", t.hour)
	case 'l':
		return fmt.Sprintf("%2d", hour12)
	case 'm':
		return fmt.Sprintf("%02d", t.month)
	case 'M':
		return fmt.Sprintf("%02d", t.minute)
	case 'n':
		return "\n"
	case 'p', 'P':
		return meridiem(t.hour, c == 'P')
	case 'r':
		return fmt.Sprintf("%02d:%02d:%02d %s", hour12, t.minute, t.second, meridiem(t.hour, false))
	case 'R':
		return fmt.Sprintf("%02d:%02d", t.hour, t.minute)
	case 's':
		return fmt.Sprint((d.us - epoch) / second)
	case 'S':
		return fmt.Sprintf("%02d", t.second)
	case 't':
		return "\t"
	case 'T', 'X':
		return fmt.Sprintf("%02d:%02d:%02d", t.hour, t.minute, t.second)
	case 'u':
		return fmt.Sprint(d.weekday() + 1)
	case 'U':
		return fmt.Sprintf("%02d", (yday+6-week)/7)
	case 'w':
		return fmt.Sprint(week)
	case 'W':
		return fmt.Sprintf("%02d", (yday+6-d.weekday())/7)
	case 'y':
		return fmt.Sprintf("%02d", t.year%100)
	case 'Y':
		return fmt.Sprint(t.year)
	case '%':
		return "%"
	case 'G', 'g', 'V':
		return d.isoWeek(c)
	case 'z', 'Z':
		return d.zoneName(c)
	}
	return "%" + string(c)
}

func meridiem(hour int64, lower bool) string {
	s := "AM"
	if hour >= 12 {
		s = "PM"
	}
	if lower {
		return strings.ToLower(s)
	}
	return s
}

// isoWeek is the year or week of ISO 8601.
func (d *datetime) isoWeek(c byte) string {
	thursday := &datetime{us: (d.us/day - d.weekday() + 3) * day}
	t := thursday.civil()
	switch c {
	case 'G':
		return fmt.Sprint(t.year)
	case 'g':
		return fmt.Sprintf("%02d", t.year%100)
	}
	return fmt.Sprintf("%02d", (yearDay(t.year, t.month, t.day)-1)/7+1)
}

func (d *datetime) zoneName(c byte) string {
	switch {
	case d.zone == zoneNone:
		return ""
	case c == 'z':
		return offsetText(d.off, "")
	case d.zone == zoneUTC:
		return "UTC"
	}
	return ""
}
