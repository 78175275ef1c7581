package value

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError says what is wrong with a JSON text, in the words of Python's json
// module.
type SyntaxError struct {
	Problem      string // "Expecting value"
	Line, Column int    // counted from 1, in characters
	Offset       int    // counted from 0, in characters
}

// Error gives Python's text: Expecting value: line 1 column 1 (char 0).
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s: line %d column %d (char %d)", e.Problem, e.Line, e.Column, e.Offset)
}

// Decode reads one JSON text. Objects become maps in the order of the text (of
// repeated keys the last value counts), numbers without fraction and exponent
// integers of any size, other numbers floats. Texts nested deeper than MaxDepth
// are refused. Wrong texts give a *SyntaxError.
func Decode(data []byte) (any, error) { return decode(string(data), false) }

// DecodeString is Decode of a string.
func DecodeString(s string) (any, error) { return decode(s, false) }

// Loads is Python's json.loads: Decode that takes NaN, Infinity and -Infinity too.
func Loads(s string) (any, error) { return decode(s, true) }

func decode(s string, constants bool) (any, error) {
	d := decoder{s: s, constants: constants}
	d.space()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.i < len(s) {
		return nil, d.fail("Extra data", d.i)
	}
	return v, nil
}

type decoder struct {
	s         string
	i         int
	constants bool
}

func (d *decoder) fail(problem string, at int) error {
	before := d.s[:min(at, len(d.s))]
	line := strings.Count(before, "\n")
	return &SyntaxError{
		Problem: problem, Line: line + 1,
		Column: utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1,
		Offset: utf8.RuneCountInString(before),
	}
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) value(depth int) (any, error) {
	if d.i >= len(d.s) {
		return nil, d.fail("Expecting value", d.i)
	}
	switch c := d.s[d.i]; {
	case c == '"':
		return d.str()
	case c == '{':
		if depth >= MaxDepth {
			return nil, d.fail("Nested too deeply", d.i)
		}
		return d.object(depth)
	case c == '[':
		if depth >= MaxDepth {
			return nil, d.fail("Nested too deeply", d.i)
		}
		return d.array(depth)
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case d.word("null"):
		return nil, nil
	case d.word("true"):
		return true, nil
	case d.word("false"):
		return false, nil
	case d.constants && d.word("NaN"):
		return math.NaN(), nil
	case d.constants && d.word("Infinity"):
		return math.Inf(1), nil
	}
	return nil, d.fail("Expecting value", d.i)
}

func (d *decoder) word(w string) bool {
	if strings.HasPrefix(d.s[d.i:], w) {
		d.i += len(w)
		return true
	}
	return false
}

func (d *decoder) number() (any, error) {
	start := d.i
	if d.s[d.i] == '-' {
		d.i++
		if d.constants && d.word("Infinity") {
			return math.Inf(-1), nil
		}
	}
	digits := d.i
	for d.i < len(d.s) && isDigit(d.s[d.i]) {
		d.i++
		if d.s[digits] == '0' {
			break
		}
	}
	if d.i == digits {
		return nil, d.fail("Expecting value", start)
	}
	end := d.i
	if d.i+1 < len(d.s) && d.s[d.i] == '.' && isDigit(d.s[d.i+1]) {
		d.i++
		d.digits()
	}
	if d.i < len(d.s) && d.s[d.i]|0x20 == 'e' {
		j := d.i + 1
		if j < len(d.s) && (d.s[j] == '+' || d.s[j] == '-') {
			j++
		}
		if j < len(d.s) && isDigit(d.s[j]) {
			d.i = j
			d.digits()
		}
	}
	text := d.s[start:d.i]
	if d.i == end {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i, nil
		}
		if len(text) > 4300 {
			return nil, d.fail("Number too long", start)
		}
		i, _ := new(big.Int).SetString(text, 10)
		return i, nil
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range gives an infinity, as in Python
	return f, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (d *decoder) digits() {
	for d.i < len(d.s) && isDigit(d.s[d.i]) {
		d.i++
	}
}

func (d *decoder) array(depth int) (any, error) {
	d.i++
	d.space()
	if d.i < len(d.s) && d.s[d.i] == ']' {
		d.i++
		return List{}, nil
	}
	list := List{}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		d.space()
		if d.i < len(d.s) {
			switch d.s[d.i] {
			case ']':
				d.i++
				return list, nil
			case ',':
				d.i++
				d.space()
				continue
			}
		}
		return nil, d.fail("Expecting ',' delimiter", d.i)
	}
}

func (d *decoder) object(depth int) (any, error) {
	d.i++
	d.space()
	m := &Map{}
	if d.i < len(d.s) && d.s[d.i] == '}' {
		d.i++
		return m, nil
	}
	for {
		if d.i >= len(d.s) || d.s[d.i] != '"' {
			return nil, d.fail("Expecting property name enclosed in double quotes", d.i)
		}
		k, err := d.str()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.i >= len(d.s) || d.s[d.i] != ':' {
			return nil, d.fail("Expecting ':' delimiter", d.i)
		}
		d.i++
		d.space()
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		m.Set(k, v)
		d.space()
		if d.i < len(d.s) {
			switch d.s[d.i] {
			case '}':
				d.i++
				return m, nil
			case ',':
				d.i++
				d.space()
				continue
			}
		}
		return nil, d.fail("Expecting ',' delimiter", d.i)
	}
}

func (d *decoder) str() (any, error) {
	start := d.i
	d.i++
	for j := d.i; j < len(d.s); j++ {
		c := d.s[j]
		if c == '"' {
			s := d.s[d.i:j]
			d.i = j + 1
			if !utf8.ValidString(s) {
				s = strings.ToValidUTF8(s, "\ufffd")
			}
			return s, nil
		}
		if c == '\\' || c < 0x20 {
			return d.escaped(start, j)
		}
	}
	return nil, d.fail("Unterminated string starting at", start)
}

// escaped reads a string on from its first escape.
func (d *decoder) escaped(start, j int) (any, error) {
	b := append(make([]byte, 0, 2*(j-d.i)+16), d.s[d.i:j]...)
	for j < len(d.s) {
		c := d.s[j]
		switch {
		case c == '"':
			d.i = j + 1
			return strings.ToValidUTF8(string(b), "\ufffd"), nil
		case c < 0x20:
			return nil, d.fail("Invalid control character at", j)
		case c != '\\':
			b = append(b, c)
			j++
			continue
		}
		if j+1 >= len(d.s) {
			break
		}
		switch e := d.s[j+1]; e {
		case '"', '\\', '/':
			b = append(b, e)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, n := d.unicode(j)
			if n == 0 {
				return nil, d.fail("Invalid \\uXXXX escape", j+1)
			}
			b = utf8.AppendRune(b, r)
			j += n
			continue
		default:
			return nil, d.fail("Invalid \\escape", j)
		}
		j += 2
	}
	return nil, d.fail("Unterminated string starting at", start)
}

// unicode reads \uXXXX at i, or two of them that are a surrogate pair, and says
// how long they are; 0 where there is none.
func (d *decoder) unicode(i int) (rune, int) {
	hex := func(i int) (rune, bool) {
		if i+6 > len(d.s) || d.s[i] != '\\' || d.s[i+1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(d.s[i+2:i+6], 16, 32)
		return rune(u), err == nil
	}
	r, ok := hex(i)
	if !ok {
		return 0, 0
	}
	if r >= 0xd800 && r < 0xdc00 {
		if low, ok := hex(i + 6); ok && low >= 0xdc00 && low < 0xe000 {
			return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, 12
		}
	}
	return r, 6
}
