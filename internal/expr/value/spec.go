package value

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Spec is a format specification of Python: fill, align, sign, #, 0, width,
// grouping, precision, type.
type Spec struct {
	fill      string
	align     byte // < > = ^, 0 for the default
	sign      byte // + - or space
	alt       bool
	zero      bool // the width begins with 0
	width     int
	group     byte // , or _
	precision int  // -1 where there is none
	kind      rune
}

// ParseSpec reads a format specification.
func ParseSpec(text string) (*Spec, error) {
	s := &Spec{precision: -1}
	r := []rune(text)
	i := 0
	isAlign := func(k int) bool { return k < len(r) && strings.ContainsRune("<>=^", r[k]) }
	switch {
	case isAlign(1):
		s.fill, s.align = string(r[0]), byte(r[1])
		i = 2
	case isAlign(0):
		s.align = byte(r[0])
		i = 1
	}
	if i < len(r) && strings.ContainsRune("+- ", r[i]) {
		s.sign = byte(r[i])
		i++
	}
	if i < len(r) && r[i] == '#' {
		s.alt = true
		i++
	}
	if i < len(r) && r[i] == '0' {
		if s.fill == "" {
			s.fill = "0"
			if s.align == 0 {
				s.align, s.zero = '=', true
			}
		}
		i++
	}
	number := func() (n int, ok bool) {
		for ; i < len(r) && r[i] >= '0' && r[i] <= '9'; i++ {
			n, ok = min(n*10+int(r[i]-'0'), maxWidth+1), true
		}
		return n, ok
	}
	s.width, _ = number()
	if i < len(r) && (r[i] == ',' || r[i] == '_') {
		s.group = byte(r[i])
		i++
	}
	if i < len(r) && r[i] == '.' {
		i++
		n, ok := number()
		if !ok {
			return nil, ValueErrorf("Format specifier missing precision")
		}
		s.precision = n
	}
	if i < len(r) {
		s.kind = r[i]
		i++
	}
	if i < len(r) {
		return nil, ValueErrorf("Invalid format specifier")
	}
	if s.group != 0 && s.kind != 0 && !strings.ContainsRune("deEfFgG%", s.kind) && (s.group == ',' || !strings.ContainsRune("boxX", s.kind)) {
		return nil, ValueErrorf("Cannot specify '%c' with '%c'.", s.group, s.kind)
	}
	if s.width > maxWidth || s.precision > maxWidth {
		return nil, fmt.Errorf("format a text: field is too wide: %w", ErrLimit)
	}
	return s, nil
}

// Format is Python's format(v, spec).
func Format(v any, spec string) (string, error) {
	if spec == "" {
		return Str(v), nil
	}
	if st, ok := v.(Stringer); ok && !IsNumber(v) {
		v = st.PyStr()
	}
	t, isText := v.(string)
	if !isText && !IsNumber(v) {
		return "", TypeErrorf("unsupported format string passed to %s.__format__", Type(v))
	}
	s, err := ParseSpec(spec)
	if err != nil {
		return "", err
	}
	if isText {
		switch {
		case s.kind != 0 && s.kind != 's':
			return "", s.unknown(v)
		case s.sign != 0:
			return "", ValueErrorf("Sign not allowed in string format specifier")
		case s.alt:
			return "", ValueErrorf("Alternate form (#) not allowed in string format specifier")
		case s.group != 0:
			return "", ValueErrorf("Cannot specify '%c' with 's'.", s.group)
		case s.align == '=' && s.zero:
			s.align = '<' // a width that begins with 0
		case s.align == '=':
			return "", ValueErrorf("'=' alignment not allowed in string format specifier")
		}
		return s.text(t), nil
	}
	if s.align == 0 {
		s.align = '>'
	}
	if f, ok := v.(float64); ok {
		return s.float(f)
	}
	if strings.ContainsRune("eEfFgG%", s.kind) && s.kind != 0 {
		f, err := ToFloat(v)
		if err != nil {
			return "", err
		}
		return s.float(f)
	}
	if b, ok := v.(bool); ok && s.kind == 0 && s.precision < 0 && s.group == 0 {
		return s.integerOrBool(b)
	}
	if s.kind != 0 && !strings.ContainsRune("bcdoxXn", s.kind) {
		return "", s.unknown(v)
	}
	if s.precision >= 0 {
		return "", ValueErrorf("Precision not allowed in integer format specifier")
	}
	if s.kind == 'c' && s.sign != 0 {
		return "", ValueErrorf("Sign not allowed with integer format specifier 'c'")
	}
	i, _ := ToBig(v)
	return s.integer(i)
}

func (s *Spec) integerOrBool(b bool) (string, error) {
	i, _ := ToBig(b)
	return s.integer(i)
}

func (s *Spec) unknown(v any) error {
	return ValueErrorf("Unknown format code '%c' for object of type '%s'", s.kind, Type(v))
}

// text pads a text, cut to the precision.
func (s *Spec) text(t string) string {
	if s.precision >= 0 {
		n := 0
		for i := range t {
			if n == s.precision {
				t = t[:i]
				break
			}
			n++
		}
	}
	if s.align == 0 {
		s.align = '<'
	}
	return s.pad("", t)
}

// pad fills a sign or prefix and a body up to the width.
func (s *Spec) pad(prefix, body string) string {
	n := s.width - utf8.RuneCountInString(prefix) - utf8.RuneCountInString(body)
	if n <= 0 {
		return prefix + body
	}
	fill := s.fill
	if fill == "" {
		fill = " "
	}
	switch s.align {
	case '<':
		return prefix + body + strings.Repeat(fill, n)
	case '^':
		return strings.Repeat(fill, n/2) + prefix + body + strings.Repeat(fill, n-n/2)
	case '=':
		return prefix + strings.Repeat(fill, n) + body
	}
	return strings.Repeat(fill, n) + prefix + body
}

func (s *Spec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case s.sign == '+' || s.sign == ' ':
		return string(s.sign)
	}
	return ""
}

func (s *Spec) integer(i *big.Int) (string, error) {
	switch s.kind {
	case 'c':
		if !i.IsInt64() || i.Int64() < 0 || i.Int64() > utf8.MaxRune {
			return "", Raise("OverflowError", "%c arg not in range(0x110000)")
		}
		return s.pad("", string(rune(i.Int64()))), nil
	case 'b':
		return s.digits(i, 2, "0b"), nil
	case 'o':
		return s.digits(i, 8, "0o"), nil
	case 'x':
		return s.digits(i, 16, "0x"), nil
	case 'X':
		return strings.ToUpper(s.digits(i, 16, "0x")), nil
	}
	return s.digits(i, 10, ""), nil
}

func (s *Spec) digits(i *big.Int, base int, prefix string) string {
	t := new(big.Int).Abs(i).Text(base)
	if s.precision > len(t) {
		t = strings.Repeat("0", s.precision-len(t)) + t // %.3d
	}
	if !s.alt {
		prefix = ""
	}
	size := 3
	if base != 10 {
		size = 4
	}
	sign := s.signOf(i.Sign() < 0) + prefix
	return s.grouped(sign, t, "", size)
}

// grouped puts separators between the digits, and fills with zeroes that are
// separated, too.
func (s *Spec) grouped(sign, digits, rest string, size int) string {
	if s.group != 0 {
		if s.align == '=' && s.fill == "0" {
			for len(sign)+len(digits)+(len(digits)-1)/size+len(rest) < s.width {
				digits = "0" + digits
			}
		}
		var b strings.Builder
		for i, c := range digits {
			if i > 0 && (len(digits)-i)%size == 0 {
				b.WriteByte(s.group)
			}
			b.WriteRune(c)
		}
		digits = b.String()
	}
	return s.pad(sign, digits+rest)
}

func (s *Spec) float(f float64) (string, error) {
	kind, precision := s.kind, s.precision
	suffix := ""
	a := math.Abs(f)
	var t string
	switch {
	case math.IsInf(a, 0):
		t = "inf"
	case math.IsNaN(a):
		t = "nan"
	}
	if t != "" {
		if kind == 'F' || kind == 'E' || kind == 'G' {
			t = strings.ToUpper(t)
		}
		if kind == '%' {
			t += "%"
		}
		return s.pad(s.signOf(math.Signbit(f) && t[0]|0x20 != 'n'), t), nil
	}
	switch kind {
	case 0:
		if precision < 0 {
			t = FormatFloat(a)
		} else {
			t = general(a, max(precision, 1), s.alt, true)
		}
	case 'e', 'E', 'f', 'F', '%':
		if precision < 0 {
			precision = 6
		}
		c := byte('f')
		switch kind {
		case 'e', 'E':
			c = 'e'
		case '%':
			a, suffix = a*100, "%"
		}
		t = strconv.FormatFloat(a, c, precision, 64)
	case 'g', 'G', 'n':
		if precision < 0 {
			precision = 6
		}
		t = general(a, max(precision, 1), s.alt, false)
	default:
		return "", s.unknown(f)
	}
	if kind == 'E' || kind == 'G' {
		t = strings.ToUpper(t)
	}
	whole, rest := t, ""
	if i := strings.IndexAny(t, ".eE"); i >= 0 {
		whole, rest = t[:i], t[i:]
	}
	if s.alt && !strings.Contains(rest, ".") {
		rest = "." + rest
	}
	return s.grouped(s.signOf(math.Signbit(f)), whole, rest+suffix, 3), nil
}

// general is %g: so many significant digits, an exponent where it is shorter. A
// float without a type keeps one digit behind the point.
func general(a float64, precision int, alt, point bool) string {
	e := strconv.FormatFloat(a, 'e', precision-1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	limit := precision
	if point {
		limit = precision - 1 // 12.0 with two digits is 1.2e+01
	}
	var t string
	if exp < -4 || exp >= max(limit, 0) && !(point && exp < limit) {
		m, x, _ := strings.Cut(e, "e")
		if !alt && strings.Contains(m, ".") {
			m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
		}
		return m + "e" + x
	}
	t = strconv.FormatFloat(a, 'f', max(precision-1-exp, 0), 64)
	if !alt && strings.Contains(t, ".") {
		t = strings.TrimRight(strings.TrimRight(t, "0"), ".")
	}
	if point && !strings.Contains(t, ".") {
		t += ".0"
	}
	return t
}
