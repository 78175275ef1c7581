package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// parseTime reads a time in any of the many forms that Python's dateutil takes,
// which is what StackStorm's timediff operators read values with. What the text
// leaves out is taken from the day of now; without a zone it is UTC.
func parseTime(text string, now time.Time) (time.Time, error) {
	p := timeParser{tokens: timeTokens(text), now: now.UTC()}
	for i := range p.at {
		p.at[i] = -1
	}
	t, ok := p.parse()
	if !ok {
		return time.Time{}, value.Raise("ParserError", "Unknown string format: %s", text)
	}
	return t, nil
}

// timeTokens splits a text into numbers, words and single characters.
func timeTokens(s string) []string {
	var out []string
	rs := []rune(s)
	for i := 0; i < len(rs); {
		start := i
		switch {
		case unicode.IsSpace(rs[i]):
			out = append(out, " ")
			i++
			continue
		case !unicode.IsLetter(rs[i]) && !unicode.IsDigit(rs[i]):
			out = append(out, string(rs[i]))
			i++
			continue
		}
		word := unicode.IsLetter(rs[i])
		letters, dots := word, 0
		for i++; i < len(rs); i++ {
			r := rs[i]
			dotted := dots > 0 && rs[i-1] == '.'
			switch {
			case unicode.IsLetter(r) && (word || dotted):
				letters, word = true, true
			case unicode.IsDigit(r) && (!word || dotted):
				word = false
			case r == '.' || r == ',' && !word && dots == 0 && i-start >= 2:
				dots++
			default:
				goto done
			}
		}
	done:
		out = append(out, splitDotted(string(rs[start:i]), letters, dots)...)
	}
	return out
}

// splitDotted keeps a decimal number whole and takes other dotted words apart.
func splitDotted(tok string, letters bool, dots int) []string {
	if dots == 0 {
		return []string{tok}
	}
	if letters || dots > 1 || strings.HasSuffix(tok, ".") || strings.HasSuffix(tok, ",") {
		var out []string
		for {
			i := strings.IndexAny(tok, ".,")
			if i < 0 {
				break
			}
			if i > 0 {
				out = append(out, tok[:i])
			}
			out = append(out, tok[i:i+1])
			tok = tok[i+1:]
		}
		if tok != "" {
			out = append(out, tok)
		}
		return out
	}
	return []string{strings.Replace(tok, ",", ".", 1)}
}

// The parts of a date that a number may turn out to be.
const (
	partYear = iota
	partMonth
	partDay
)

// timeParser follows dateutil's parser, which reads tokens from left to right
// and sorts year, month and day out at the end.
type timeParser struct {
	tokens  []string
	now     time.Time
	ymd     []int
	at      [3]int // which of ymd is known to be the year, month, day; -1
	century bool   // the year was written in full

	hour, minute, second, micro *int
	weekday                     *int
	ampm                        *int
	zone                        string
	hasZone                     bool
	offset                      *int // seconds
}

var (
	timeJumps  = []string{" ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd", "th"}
	timeDays   = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	timeMonths = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	dayNames   = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	monthNames = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	timeUnits  = [][]string{{"h", "hour", "hours"}, {"m", "minute", "minutes"}, {"s", "second", "seconds"}}
	timeHalves = [][]string{{"am", "a"}, {"pm", "p"}}
)

func (p *timeParser) token(i int) string {
	if i < 0 || i >= len(p.tokens) {
		return ""
	}
	return p.tokens[i]
}

func (p *timeParser) has(i int) bool { return i >= 0 && i < len(p.tokens) }

func (p *timeParser) isJump(i int) bool {
	return slices.Contains(timeJumps, strings.ToLower(p.token(i)))
}

// indexIn finds a word among lists of spellings.
func indexIn(word string, lists [][]string) int {
	word = strings.ToLower(word)
	return slices.IndexFunc(lists, func(l []string) bool { return slices.Contains(l, word) })
}

func monthIndex(word string) int {
	w := strings.ToLower(word)
	if w == "sept" {
		return 9
	}
	if i := slices.Index(timeMonths, w); i >= 0 {
		return i + 1
	}
	return slices.Index(monthNames, w) + 1
}

func weekdayIndex(word string) int {
	w := strings.ToLower(word)
	if i := slices.Index(timeDays, w); i >= 0 {
		return i
	}
	return slices.Index(dayNames, w)
}

func isDigits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func decimalToken(s string) (float64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil && !math.IsInf(x, 0)
}

func (p *timeParser) parse() (time.Time, bool) {
	// More tokens than any date has are none.
	if len(p.tokens) > 100 {
		return time.Time{}, false
	}
	for i := 0; i < len(p.tokens); i++ {
		next, ok := p.step(i)
		if !ok {
			return time.Time{}, false
		}
		i = next
	}
	return p.build()
}

// step reads what begins at token i and returns its last token.
func (p *timeParser) step(i int) (int, bool) {
	tok := p.tokens[i]
	if _, ok := decimalToken(tok); ok {
		return p.number(i)
	}
	if d := weekdayIndex(tok); d >= 0 {
		p.weekday = &d
		return i, true
	}
	if m := monthIndex(tok); m > 0 {
		return p.month(i, m)
	}
	if h := indexIn(tok, timeHalves); h >= 0 {
		if p.hour == nil || *p.hour > 12 {
			return i, false
		}
		p.hour = adjustHalf(*p.hour, h)
		p.ampm = &h
		return i, true
	}
	if p.mayBeZone(tok) {
		p.zone, p.hasZone = tok, true
		if utc := isUTC(tok); utc {
			zero := 0
			p.offset = &zero
		}
		// GMT+3 means what -03:00 means, as the tz database has it.
		if s := p.token(i + 1); s == "+" || s == "-" {
			p.tokens[i+1] = map[string]string{"+": "-", "-": "+"}[s]
			p.offset = nil
		}
		return i, true
	}
	if p.hour != nil && (tok == "+" || tok == "-") {
		return p.zoneOffset(i)
	}
	return i, p.isJump(i)
}

func isUTC(tok string) bool { return slices.Contains([]string{"UTC", "GMT", "Z", "z"}, tok) }

func (p *timeParser) mayBeZone(tok string) bool {
	if p.hour == nil || p.hasZone || p.offset != nil || len(tok) > 5 {
		return false
	}
	return isUTC(tok) || tok != "" && strings.IndexFunc(tok, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0
}

func (p *timeParser) zoneOffset(i int) (int, bool) {
	sign := 1
	if p.tokens[i] == "-" {
		sign = -1
	}
	digits := p.token(i + 1)
	if !isDigits(digits) {
		return i, false
	}
	var h, m int
	switch {
	case len(digits) == 4:
		h, m = atoi(digits[:2]), atoi(digits[2:])
	case p.token(i+2) == ":":
		if !isDigits(p.token(i + 3)) {
			return i, false
		}
		h, m = atoi(digits), atoi(p.token(i+3))
		i += 2
	case len(digits) <= 2:
		h = atoi(digits)
	default:
		return i, false
	}
	off := sign * (h*3600 + m*60)
	p.offset = &off
	if p.isJump(i+2) && p.token(i+3) == "(" && p.token(i+5) == ")" && len(p.token(i+4)) >= 3 {
		i += 4
	}
	return i + 1, true
}

// month reads Jan, Jan-01, Jan-01-99 and Jan of 01.
func (p *timeParser) month(i, m int) (int, bool) {
	if !p.add(strconv.Itoa(m), partMonth) {
		return i, false
	}
	sep := p.token(i + 1)
	switch {
	case sep == "-" || sep == "/":
		if !p.has(i+2) || !p.add(p.tokens[i+2], -1) {
			return i, false
		}
		if p.has(i+4) && p.tokens[i+3] == sep {
			if !p.add(p.tokens[i+4], -1) {
				return i, false
			}
			i += 2
		}
		i += 2
	case sep == " " && p.token(i+3) == " " && strings.EqualFold(p.token(i+2), "of") && p.has(i+4):
		if isDigits(p.tokens[i+4]) {
			if !p.add(strconv.Itoa(p.fullYear(atoi(p.tokens[i+4]))), partYear) {
				return i, false
			}
		}
		i += 4
	}
	return i, true
}

// add notes a part of the date.
func (p *timeParser) add(tok string, part int) bool {
	x, ok := decimalToken(tok)
	if !ok || x > 1e6 {
		return false
	}
	if isDigits(tok) && len(tok) > 2 || x > 100 {
		if part != -1 && part != partYear {
			return false
		}
		p.century = true
		part = partYear
	}
	if part >= 0 {
		if part == partMonth && p.at[part] >= 0 {
			return false
		}
		p.at[part] = len(p.ymd)
	}
	p.ymd = append(p.ymd, int(x))
	return len(p.ymd) <= 3
}

func adjustHalf(hour, half int) *int {
	switch {
	case hour < 12 && half == 1:
		hour += 12
	case hour == 12 && half == 0:
		hour = 0
	}
	return &hour
}

// atoi reads digits; what does not fit is too large for anything here.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1 << 30
	}
	return n
}

func intp(n int) *int { return &n }

// setSeconds reads seconds with an optional fraction.
func (p *timeParser) setSeconds(s string) bool {
	whole, frac, _ := strings.Cut(s, ".")
	if !isDigits(whole) || frac != "" && !isDigits(frac) {
		return false
	}
	p.second = intp(atoi(whole))
	p.micro = intp(atoi((frac + "000000")[:6]))
	return true
}

// setMinutes reads minutes with an optional fraction.
func (p *timeParser) setMinutes(x float64) {
	p.minute, p.second = intp(int(x)), nil
	if rest := x - math.Floor(x); rest > 0 {
		p.second = intp(int(60 * rest))
	}
}

// fullYear completes a year of two digits to the one nearest to now.
func (p *timeParser) fullYear(y int) int {
	if y >= 100 || p.century {
		return y
	}
	this := p.now.Year()
	y += this / 100 * 100
	switch {
	case y >= this+50:
		y -= 100
	case y < this-50:
		y += 100
	}
	return y
}
