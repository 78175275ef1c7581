package yaql

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// dateReader reads dates as people write them: ISO 8601, RFC 2822 and their
// like, with the same readings as Python's dateutil. What a text leaves out is
// today's, at midnight.
type dateReader struct {
	text   string
	tokens []string
	i      int

	ymd      []int64
	yearAt   int // index in ymd, or -1
	monthAt  int
	century  bool // the year has its century
	weekday  int64
	hour     int64 // -1: not given
	minute   int64
	second   int64
	micro    int64
	half     int // 1: am or pm was seen
	zoneName string
	nameAt   int // the token that is the name, or -1
	zoned    bool
	off      int64
}

func unknownDate(text string) error {
	return &Error{Kind: "ParserError", Message: "Unknown string format: " + text}
}

// parseDate reads a date. Without a zone in the text the result is naive.
func (ev *evaluator) parseDate(text string) (*datetime, error) {
	if len(text) > maxTimeText {
		return nil, unknownDate(shortened(text, 100))
	}
	if err := ev.budget.Step(10 + len(text)); err != nil {
		return nil, err
	}
	r := &dateReader{text: text, tokens: dateTokens(text), yearAt: -1, monthAt: -1, weekday: -1, hour: -1, nameAt: -1}
	for r.i = 0; r.i < len(r.tokens); r.i++ {
		if !r.token(r.tokens[r.i]) {
			return nil, unknownDate(text)
		}
	}
	return r.date(ev)
}

// dateTokens cuts a text into words, numbers and single characters.
func dateTokens(s string) []string {
	var out []string
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case unicode.IsSpace(r):
			out, s = append(out, " "), s[n:]
			continue
		case r >= '0' && r <= '9':
			pieces, length := digitsWith(s)
			out, s = append(out, pieces...), s[length:]
			continue
		case unicode.IsLetter(r):
			for n < len(s) {
				r, k := utf8.DecodeRuneInString(s[n:])
				if !unicode.IsLetter(r) {
					break
				}
				n += k
			}
		}
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}

// digitsWith cuts the number at the start of s: digits, or digits with a point or
// comma among them. With several points it is several numbers, and the points.
func digitsWith(s string) (pieces []string, length int) {
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	n := digits(0)
	pieces = append(pieces, s[:n])
	for n < len(s) && s[n] == '.' && digits(n+1) > n+1 {
		m := digits(n + 1)
		pieces = append(pieces, ".", s[n+1:m])
		n = m
	}
	switch {
	case len(pieces) == 3:
		return []string{s[:n]}, n
	case len(pieces) == 1 && n >= 2 && n < len(s) && s[n] == ',' && digits(n+1) > n+1:
		n = digits(n + 1)
		return []string{s[:n]}, n
	}
	return pieces, n
}

func (r *dateReader) peek(k int) string {
	if r.i+k < len(r.tokens) {
		return r.tokens[r.i+k]
	}
	return ""
}

// token takes one token, and those that belong to it.
func (r *dateReader) token(t string) bool {
	if t[0] >= '0' && t[0] <= '9' {
		return r.number(strings.ReplaceAll(t, ",", "."))
	}
	if i := nameStart(t, dayNames[:]); i >= 0 {
		r.weekday = int64(i)
		return true
	}
	if i := nameStart(t, monthNames[:]); i >= 0 {
		return r.monthName(int64(i + 1))
	}
	if pm, ok := halfOfDay(t); ok {
		return r.setHalf(pm)
	}
	switch {
	case r.hour >= 0 && r.zoneName == "" && !r.zoned && looksLikeZone(t):
		r.zoneName, r.nameAt = t, r.i
		if isUTC(t) {
			r.zoned = true
		}
		return true
	case r.hour >= 0 && (t == "+" || t == "-"):
		return r.offset(t == "-")
	}
	return isFiller(t)
}

// nameStart is the index of the name that t is, in full or by three letters.
func nameStart(t string, names []string) int {
	for i, n := range names {
		if strings.EqualFold(t, n) || strings.EqualFold(t, n[:3]) || n == "September" && strings.EqualFold(t, "sept") {
			return i
		}
	}
	return -1
}

func halfOfDay(t string) (pm, ok bool) {
	switch strings.ToLower(t) {
	case "am", "a":
		return false, true
	case "pm", "p":
		return true, true
	}
	return false, false
}

func (r *dateReader) setHalf(pm bool) bool {
	if r.hour < 0 || r.hour > 12 || r.half != 0 {
		return false
	}
	r.half = 1
	if r.hour %= 12; pm {
		r.hour += 12
	}
	return true
}

func isUTC(t string) bool { return t == "UTC" || t == "GMT" || t == "Z" || t == "z" }

func looksLikeZone(t string) bool {
	if isUTC(t) {
		return true
	}
	if len(t) > 5 {
		return false
	}
	for i := 0; i < len(t); i++ {
		if t[i] < 'A' || t[i] > 'Z' {
			return false
		}
	}
	return true
}

// isFiller says what may stand between the parts of a date.
func isFiller(t string) bool {
	switch strings.ToLower(t) {
	case " ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd", "th":
		return true
	}
	return false
}

func (r *dateReader) monthName(m int64) bool {
	if !r.add(m, "", true) {
		return false
	}
	if sep := r.peek(1); sep == "-" || sep == "/" {
		if !r.addText(r.peek(2)) {
			return false
		}
		r.i += 2
		if r.peek(1) == sep {
			if !r.addText(r.peek(2)) {
				return false
			}
			r.i += 2
		}
	}
	return true
}

// add takes a part of the date: text is how it was written, where that matters.
func (r *dateReader) add(v int64, text string, month bool) bool {
	if len(r.ymd) == 3 {
		return false
	}
	switch {
	case month:
		if r.monthAt >= 0 {
			return false
		}
		r.monthAt = len(r.ymd)
	case len(text) > 2 || text == "" && v > 100:
		if r.yearAt >= 0 {
			return false
		}
		r.century, r.yearAt = true, len(r.ymd)
	}
	r.ymd = append(r.ymd, v)
	return true
}

func (r *dateReader) addText(t string) bool {
	v, err := strconv.ParseInt(t, 10, 64)
	return err == nil && r.add(v, t, false)
}

func digits(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // callers pass digits
	return n
}

// number takes a number: part of a date, a time, or several of them in one.
func (r *dateReader) number(t string) bool {
	n := len(t)
	dot := strings.IndexByte(t, '.')
	following := r.peek(1)
	switch {
	case len(r.ymd) == 3 && (n == 2 || n == 4) && dot < 0 && r.hour < 0 && following != ":":
		r.hour = digits(t[:2])
		if n == 4 {
			r.minute = digits(t[2:])
		}
		return true
	case n == 6 && dot < 0 && len(r.ymd) == 0:
		return r.addText(t[:2]) && r.addText(t[2:4]) && r.addText(t[4:])
	case n == 6 && dot < 0 || dot == 6:
		r.hour, r.minute = digits(t[:2]), digits(t[2:4])
		return r.seconds(t[4:])
	case (n == 8 || n == 12 || n == 14) && dot < 0:
		if !r.add(digits(t[:4]), t[:4], false) || !r.addText(t[4:6]) || !r.addText(t[6:8]) {
			return false
		}
		if n > 8 {
			r.hour, r.minute = digits(t[8:10]), digits(t[10:12])
		}
		if n > 12 {
			r.second = digits(t[12:])
		}
		return true
	case following == ":" && r.i+2 < len(r.tokens):
		return r.clock(t)
	case (following == "-" || following == "/" || following == ".") && dot < 0:
		return r.separated(t, following)
	case r.i+1 >= len(r.tokens) || isFiller(following):
		return r.alone(t)
	}
	if pm, ok := halfOfDay(following); ok && dot < 0 && n <= 2 {
		r.hour = digits(t)
		r.i++
		return r.setHalf(pm)
	}
	return dot < 0 && digits(t) >= 1 && digits(t) <= 31 && r.addText(t)
}

// alone takes a number that stands for itself: an hour before am or pm, or a
// part of the date.
func (r *dateReader) alone(t string) bool {
	if pm, ok := halfOfDay(r.peek(2)); ok && len(t) <= 2 {
		r.hour = digits(t)
		r.i += 2
		return r.setHalf(pm)
	}
	whole, frac, _ := strings.Cut(t, ".")
	if strings.Trim(frac, "0") != "" || len(whole) > 6 {
		return false
	}
	if r.i++; len(whole) <= 2 {
		return r.addText(whole)
	}
	return r.add(digits(whole), "", false)
}

// seconds takes seconds and their fraction, cut to microseconds.
func (r *dateReader) seconds(t string) bool {
	whole, frac, _ := strings.Cut(t, ".")
	r.second = digits(whole)
	r.micro = digits((frac + "000000")[:6])
	return len(whole) <= 2
}

// clock takes HH:MM[:SS[.ffffff]].
func (r *dateReader) clock(t string) bool {
	m := r.peek(2)
	if len(t) > 2 || len(m) != 2 && len(m) != 1 || !isNumber(m) {
		return false
	}
	r.hour, r.minute, r.second = digits(t), digits(m), 0
	if r.peek(3) == ":" {
		s := strings.ReplaceAll(r.peek(4), ",", ".")
		if !isNumber(s) || !r.seconds(s) {
			return false
		}
		r.i += 2
	}
	r.i += 2
	return true
}

func isNumber(t string) bool { return t != "" && t[0] >= '0' && t[0] <= '9' }

// separated takes a date whose parts are joined by sep.
func (r *dateReader) separated(t, sep string) bool {
	if !r.addText(t) {
		return false
	}
	r.i++
	second := r.peek(1)
	if second == "" || isFiller(second) {
		return true
	}
	if !r.dayOrMonth(second) {
		return false
	}
	r.i++
	if r.peek(1) == sep {
		if !r.dayOrMonth(r.peek(2)) {
			return false
		}
		r.i += 2
	}
	return true
}

func (r *dateReader) dayOrMonth(t string) bool {
	if i := nameStart(t, monthNames[:]); i >= 0 {
		return r.add(int64(i+1), "", true)
	}
	return r.addText(t)
}

// offset takes +HHMM, +HH:MM or +HH. Behind a name, as in GMT+3, the sign means
// the opposite.
func (r *dateReader) offset(negative bool) bool {
	at, t := r.i, r.peek(1)
	if !isNumber(t) || strings.ContainsAny(t, ".,") {
		return false
	}
	switch {
	case len(t) == 4:
		r.off = digits(t[:2])*hour + digits(t[2:])*minute
		r.i++
	case r.peek(2) == ":" && len(t) <= 2 && len(r.peek(3)) == 2 && isNumber(r.peek(3)):
		r.off = digits(t)*hour + digits(r.peek(3))*minute
		r.i += 3
	case len(t) <= 2:
		r.off = digits(t) * hour
		r.i++
	default:
		return false
	}
	if at > 0 && r.nameAt == at-1 {
		negative = !negative
	}
	if negative {
		r.off = -r.off
	}
	r.zoned, r.zoneName = true, "+"
	return true
}

// date makes a date of what was read.
func (r *dateReader) date(ev *evaluator) (*datetime, error) {
	if len(r.ymd) == 0 && r.weekday < 0 && r.hour < 0 {
		return nil, &Error{Kind: "ParserError", Message: "String does not contain a date: " + r.text}
	}
	year, month, dayOfMonth := r.resolve()
	c := civil{year: year, month: month, day: dayOfMonth, hour: max(0, r.hour), minute: r.minute, second: r.second, micro: r.micro}
	if year < 0 || month < 0 || dayOfMonth < 0 || year < 100 && !r.century {
		us, _, err := ev.now()
		if err != nil {
			return nil, err
		}
		c.complete((&datetime{us: us}).civil(), r.century)
	}
	if err := c.check(); err != nil {
		return nil, &Error{Kind: "ParserError", Message: asError(err).Message + ": " + r.text}
	}
	d := &datetime{us: c.moment()}
	if r.weekday >= 0 && dayOfMonth < 0 {
		d.us += (r.weekday - d.weekday() + 7) % 7 * day
	}
	switch {
	case r.zoned && r.off == 0:
		d.zone = zoneUTC
	case r.zoned:
		if r.off >= day || r.off <= -day {
			return nil, Raise("ValueError", "offset must be a timedelta strictly between -timedelta(hours=24) and timedelta(hours=24).")
		}
		d.zone, d.off = zoneOffset, r.off
	}
	return d, nil
}

// complete takes from today what is missing, and gives a year of two digits the
// nearest century.
func (c *civil) complete(today civil, century bool) {
	if c.year < 0 {
		c.year = today.year
	} else if c.year < 100 && !century {
		c.year += today.year / 100 * 100
		if c.year >= today.year+50 {
			c.year -= 100
		} else if c.year < today.year-50 {
			c.year += 100
		}
	}
	if c.month < 0 {
		c.month = today.month
	}
	if c.day < 0 {
		c.day = today.day
		if c.month >= 1 && c.month <= 12 && c.year >= 1 {
			c.day = min(c.day, daysIn(c.year, c.month))
		}
	}
}

// resolve tells year, month and day apart; what was not given is -1.
func (r *dateReader) resolve() (year, month, dayOfMonth int64) {
	v := r.ymd
	switch {
	case len(v) == 3:
		return r.resolveThree()
	case len(v) == 0:
		return -1, -1, -1
	case r.monthAt >= 0:
		if len(v) == 1 {
			return -1, v[0], -1
		}
		other := 1 - r.monthAt
		if r.yearAt == other || v[other] > 31 {
			return v[other], v[r.monthAt], -1
		}
		return -1, v[r.monthAt], v[other]
	case len(v) == 1:
		if r.yearAt == 0 || v[0] > 31 {
			return v[0], -1, -1
		}
		return -1, -1, v[0]
	case v[0] > 31 || r.yearAt == 0:
		return v[0], v[1], -1
	case v[1] > 31 || r.yearAt == 1:
		return v[1], v[0], -1
	}
	return -1, v[0], v[1]
}

func (r *dateReader) resolveThree() (year, month, dayOfMonth int64) {
	a, b, c := r.ymd[0], r.ymd[1], r.ymd[2]
	if r.yearAt >= 0 && r.monthAt >= 0 {
		return r.ymd[r.yearAt], r.ymd[r.monthAt], r.ymd[3-r.yearAt-r.monthAt]
	}
	switch r.monthAt {
	case 0:
		if b > 31 {
			return b, a, c
		}
		return c, a, b
	case 1:
		if a > 31 {
			return a, b, c
		}
		return c, b, a
	case 2:
		if b > 31 {
			return b, c, a
		}
		return a, c, b
	}
	switch {
	case a > 31 || r.yearAt == 0:
		return a, b, c
	case a > 12:
		return c, b, a
	}
	return c, a, b
}
