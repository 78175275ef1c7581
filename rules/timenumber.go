package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// number reads the number at token i by its length and its neighbours.
func (p *timeParser) number(i int) (int, bool) {
	tok := p.tokens[i]
	x, _ := decimalToken(tok)
	n := len(tok)
	next := p.token(i + 1)
	switch {
	case len(p.ymd) == 3 && (n == 2 || n == 4) && isDigits(tok) && p.hour == nil &&
		(!p.has(i+1) || next != ":" && indexIn(next, timeUnits) < 0):
		p.hour = intp(atoi(tok[:2]))
		if n == 4 {
			p.minute = intp(atoi(tok[2:]))
		}
		return i, true
	case n == 6 || n > 6 && strings.IndexByte(tok, '.') == 6:
		return i, p.sixDigits(tok)
	case (n == 8 || n == 12 || n == 14) && isDigits(tok):
		return i, p.compact(tok)
	}
	if u := p.unitOf(i); u >= 0 {
		return p.withUnit(i, u)
	}
	switch {
	case p.has(i+2) && next == ":":
		return p.clock(i, x)
	case next == "-" || next == "/" || next == ".":
		return p.dashed(i)
	case !p.has(i+1) || p.isJump(i+1):
		if h := indexIn(p.token(i+2), timeHalves); p.has(i+2) && h >= 0 {
			p.hour = adjustHalf(int(x), h)
			i++
		} else if !p.add(tok, -1) {
			return i, false
		}
		return i + 1, true
	case indexIn(next, timeHalves) >= 0 && x >= 0 && x < 24:
		p.hour = adjustHalf(int(x), indexIn(next, timeHalves))
		return i + 1, true
	case p.mayBeDay(int(x)):
		return i, p.add(tok, -1)
	}
	return i, false
}

// sixDigits reads YYMMDD, or HHMMSS with a fraction.
func (p *timeParser) sixDigits(tok string) bool {
	if len(p.ymd) == 0 && !strings.Contains(tok, ".") {
		return p.add(tok[:2], -1) && p.add(tok[2:4], -1) && p.add(tok[4:], -1)
	}
	if !isDigits(tok[:4]) {
		return false
	}
	p.hour, p.minute = intp(atoi(tok[:2])), intp(atoi(tok[2:4]))
	return p.setSeconds(tok[4:])
}

// compact reads YYYYMMDD, with hhmm and hhmmss.
func (p *timeParser) compact(tok string) bool {
	if !p.add(tok[:4], partYear) || !p.add(tok[4:6], -1) || !p.add(tok[6:8], -1) {
		return false
	}
	if len(tok) > 8 {
		p.hour, p.minute = intp(atoi(tok[8:10])), intp(atoi(tok[10:12]))
	}
	if len(tok) > 12 {
		p.second = intp(atoi(tok[12:]))
	}
	return true
}

// unitOf returns the token that says whether number i is hours, minutes or
// seconds, -1 where there is none.
func (p *timeParser) unitOf(i int) int {
	is := func(k int) bool { return p.has(k) && indexIn(p.tokens[k], timeUnits) >= 0 }
	switch {
	case is(i + 1):
		return i + 1
	case p.token(i+1) == " " && is(i+2):
		return i + 2
	case i > 0 && is(i-1):
		return i - 1
	case i > 1 && i == len(p.tokens)-1 && p.tokens[i-1] == " " && is(i-2):
		return i - 2
	}
	return -1
}

func (p *timeParser) withUnit(i, u int) (int, bool) {
	x, _ := decimalToken(p.tokens[i])
	unit := indexIn(p.tokens[u], timeUnits)
	last := i
	if u > i {
		last = u
	} else {
		unit++
	}
	switch unit {
	case 0:
		p.hour = intp(int(x))
		if rest := x - float64(int(x)); rest > 0 {
			p.minute = intp(int(60 * rest))
		}
	case 1:
		p.setMinutes(x)
	case 2:
		return last, p.setSeconds(p.tokens[i])
	}
	return last, true
}

// clock reads HH:MM, HH:MM:SS and HH:MM:SS.fff.
func (p *timeParser) clock(i int, x float64) (int, bool) {
	p.hour = intp(int(x))
	m, ok := decimalToken(p.tokens[i+2])
	if !ok {
		return i, false
	}
	p.setMinutes(m)
	if p.has(i+4) && p.tokens[i+3] == ":" {
		if !p.setSeconds(p.tokens[i+4]) {
			return i, false
		}
		i += 2
	}
	return i + 2, true
}

// dashed reads 01-01, 01-Jan, 01-01-99 and the same with / and with dots.
func (p *timeParser) dashed(i int) (int, bool) {
	sep := p.tokens[i+1]
	if !p.add(p.tokens[i], -1) {
		return i, false
	}
	member := func(k int) bool {
		if m := monthIndex(p.token(k)); m > 0 {
			return p.add(strconv.Itoa(m), partMonth)
		}
		return p.add(p.token(k), -1)
	}
	if p.has(i+2) && !p.isJump(i+2) {
		if !isDigits(p.tokens[i+2]) && monthIndex(p.tokens[i+2]) == 0 || !member(i+2) {
			return i, false
		}
		if p.has(i+3) && p.tokens[i+3] == sep {
			if !member(i + 4) {
				return i, false
			}
			i += 2
		}
		i++
	}
	return i + 1, true
}

func (p *timeParser) mayBeDay(x int) bool {
	switch {
	case p.at[partDay] >= 0:
		return false
	case p.at[partMonth] < 0:
		return x >= 1 && x <= 31
	}
	year := 2000
	if k := p.at[partYear]; k >= 0 {
		year = p.ymd[k]
	}
	return x >= 1 && x <= daysIn(year, p.ymd[p.at[partMonth]])
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month+1), 0, 0, 0, 0, 0, time.UTC).Day()
}

// resolve says which of the numbers is the year, the month and the day; -1 where
// none is.
func (p *timeParser) resolve() (year, month, day int, ok bool) {
	known := 0
	for _, k := range p.at {
		if k >= 0 {
			known++
		}
	}
	v := p.ymd
	n, m := len(v), p.at[partMonth]
	if n == known && known > 0 || n == 3 && known == 2 {
		return p.resolveKnown()
	}
	switch {
	case n == 0:
		return -1, -1, -1, true
	case n == 1 || m >= 0 && n == 2:
		year, month, day = -1, -1, -1
		other := v[0]
		if m >= 0 {
			month, other = v[m], v[(m+n-1)%n]
		}
		if n > 1 || m < 0 {
			if other > 31 {
				year = other
			} else {
				day = other
			}
		}
		return year, month, day, true
	case n == 2 && v[0] > 31:
		return v[0], v[1], -1, true
	case n == 2 && v[1] > 31:
		return v[1], v[0], -1, true
	case n == 2:
		return -1, v[0], v[1], true
	case n > 3:
		return 0, 0, 0, false
	}
	switch m {
	case 0:
		if v[1] > 31 {
			return v[1], v[0], v[2], true
		}
		return v[2], v[0], v[1], true
	case 1:
		if v[0] > 31 {
			return v[0], v[1], v[2], true
		}
		return v[2], v[1], v[0], true
	case 2:
		if v[1] > 31 {
			return v[1], v[2], v[0], true
		}
		return v[0], v[2], v[1], true
	}
	switch {
	case v[0] > 31 || p.at[partYear] == 0:
		return v[0], v[1], v[2], true
	case v[0] > 12:
		return v[2], v[1], v[0], true
	}
	return v[2], v[0], v[1], true
}

// resolveKnown uses what the spelling gave away; of three numbers the third is
// what is left.
func (p *timeParser) resolveKnown() (year, month, day int, ok bool) {
	at := p.at
	if len(p.ymd) == 3 {
		if k := slices.Index(at[:], -1); k >= 0 {
			at[k] = 3 - (at[0] + at[1] + at[2] + 1)
		}
	}
	get := func(part int) int {
		if at[part] < 0 {
			return -1
		}
		return p.ymd[at[part]]
	}
	return get(partYear), get(partMonth), get(partDay), true
}

// build makes the time, filling in from the day of now.
func (p *timeParser) build() (time.Time, bool) {
	year, month, day, ok := p.resolve()
	if !ok || len(p.ymd) == 0 && p.hour == nil && p.minute == nil && p.second == nil && p.weekday == nil {
		return time.Time{}, false
	}
	wanted := day
	if year < 0 {
		year = p.now.Year()
	} else {
		year = p.fullYear(year)
	}
	if month < 0 {
		month = int(p.now.Month())
	}
	if month < 1 || month > 12 || year < 1 || year > 9999 {
		return time.Time{}, false
	}
	if day < 0 {
		day = min(p.now.Day(), daysIn(year, month))
	}
	part := func(x *int, most int) int {
		if x == nil {
			return 0
		}
		ok = ok && *x >= 0 && *x <= most
		return *x
	}
	h, m, s, us := part(p.hour, 23), part(p.minute, 59), part(p.second, 59), part(p.micro, 999999)
	if !ok || day < 1 || day > daysIn(year, month) {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, h, m, s, us*1000, time.UTC)
	if p.weekday != nil && wanted < 0 {
		t = t.AddDate(0, 0, (*p.weekday-(int(t.Weekday())+6)%7+7)%7)
	}
	if p.offset != nil {
		if *p.offset <= -86400 || *p.offset >= 86400 {
			return time.Time{}, false
		}
		t = t.Add(-time.Duration(*p.offset) * time.Second)
	}
	return t, true
}
