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
	for i := 0; i < len(format); {
		if format[i] != '%' {
			b.WriteByte(format[i])
			i++
			continue
		}
		text, n := d.field(format[i:])
		if err := ev.budget.Grow(len(text)); err != nil {
			return "", err
		}
		b.WriteString(text)
		i += n
	}
	return b.String(), nil
}

// maxField bounds the width that a format may ask for.
const maxField = 1000

// field writes the directive at the start of a format, with glibc's flags (- no
// padding, _ spaces, 0 zeroes, ^ upper case, # the other case), width and the
// modifiers E and O, and returns its length.
func (d *datetime) field(format string) (text string, length int) {
	i := 1
	var pad, letters byte
	for ; i < len(format) && strings.IndexByte("-_0^#", format[i]) >= 0; i++ {
		if c := format[i]; c == '^' || c == '#' {
			letters = c
		} else {
			pad = c
		}
	}
	width := 0
	for ; i < len(format) && format[i] >= '0' && format[i] <= '9' && width < maxField; i++ {
		width = width*10 + int(format[i]-'0')
	}
	if i+1 < len(format) && (format[i] == 'E' || format[i] == 'O') {
		i++
	}
	if i == len(format) {
		return format, len(format)
	}
	s, known := d.directive(format[i])
	if !known {
		return format[:i+1], i + 1
	}
	numeric := strings.IndexByte("CdefgGHIjklmMsSuUVwWyYz", format[i]) >= 0
	if pad != 0 && numeric {
		s = repad(s, pad)
	}
	if n := min(width, maxField) - len(s); n > 0 && pad != '-' {
		fill := " "
		if numeric && pad != '_' && strings.IndexByte("ekl", format[i]) < 0 || pad == '0' {
			fill = "0"
		}
		s = strings.Repeat(fill, n) + s
	}
	switch {
	case letters == '^', letters == '#' && strings.IndexByte("aAbBh", format[i]) >= 0:
		s = strings.ToUpper(s)
	case letters == '#' && strings.IndexByte("pZ", format[i]) >= 0:
		s = strings.ToLower(s)
	}
	return s, i + 1
}

// repad replaces the padding of a number: - by nothing, _ by spaces, 0 by zeroes.
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

// directive is what one letter stands for, and whether it stands for anything.
func (d *datetime) directive(c byte) (text string, known bool) {
	if text = d.datePart(c); text == "" {
		text = d.timePart(c)
	}
	switch c {
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	case 'G', 'g', 'V':
		return d.isoWeek(c), true
	case 'z', 'Z':
		return d.zoneName(c), true
	}
	return text, text != ""
}

// datePart is a directive about the day, else nothing.
func (d *datetime) datePart(c byte) string {
	t := d.civil()
	week := (d.us/day + 1) % 7 // from Sunday
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
		return fmt.Sprint(t.year / 100)
	case 'd':
		return fmt.Sprintf("%02d", t.day)
	case 'D', 'x':
		return fmt.Sprintf("%02d/%02d/%02d", t.month, t.day, t.year%100)
	case 'e':
		return fmt.Sprintf("%2d", t.day)
	case 'F':
		return fmt.Sprintf("%d-%02d-%02d", t.year, t.month, t.day)
	case 'j':
		return fmt.Sprintf("%03d", yday)
	case 'm':
		return fmt.Sprintf("%02d", t.month)
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
	}
	return ""
}

// timePart is a directive about the time of day, else nothing.
func (d *datetime) timePart(c byte) string {
	t := d.civil()
	hour12 := (t.hour+11)%12 + 1
	switch c {
	case 'f':
		return fmt.Sprintf("%06d", t.micro)
	case 'H':
		return fmt.Sprintf("%02d", t.hour)
	case 'I':
		return fmt.Sprintf("%02d", hour12)
	case 'k':
		return fmt.Sprintf("%2d", t.hour)
	case 'l':
		return fmt.Sprintf("%2d", hour12)
	case 'M':
		return fmt.Sprintf("%02d", t.minute)
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
	case 'T', 'X':
		return fmt.Sprintf("%02d:%02d:%02d", t.hour, t.minute, t.second)
	}
	return ""
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
