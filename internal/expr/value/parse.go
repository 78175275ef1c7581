package value

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// ParseInt is Python's int(text, base): white space around it, a sign, digits of
// any script, single underscores between digits, and for base 0 or a matching
// base a prefix 0x, 0o, 0b. Texts that are none give Python's ValueError.
func ParseInt(text string, base int) (any, error) {
	bad := func() error {
		return ValueErrorf("invalid literal for int() with base %d: %s", base, Repr(text))
	}
	s := asciiDigits(strings.TrimFunc(text, unicode.IsSpace))
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	b := base
	if len(s) > 1 && s[0] == '0' {
		p := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'O': 8, 'b': 2, 'B': 2}[s[1]]
		switch {
		case p != 0 && (base == 0 || base == p):
			b, s = p, strings.TrimPrefix(s[2:], "_")
		case base == 0 && strings.Trim(s, "0_") != "":
			return nil, bad()
		}
	}
	if b == 0 {
		b = 10
	}
	if s == "" || strings.Contains(s, "__") || s[0] == '_' || s[len(s)-1] == '_' {
		return nil, bad()
	}
	s = strings.ReplaceAll(s, "_", "")
	for i := 0; i < len(s); i++ {
		if digitOf(s[i]) >= b {
			return nil, bad()
		}
	}
	if len(s) > 4300 && b&(b-1) != 0 {
		return nil, ValueErrorf("Exceeds the limit (4300 digits) for integer string conversion: value has %d digits; use sys.set_int_max_str_digits() to increase the limit", len(s))
	}
	if i, err := strconv.ParseInt(s, b, 64); err == nil {
		if neg {
			i = -i
		}
		return i, nil
	}
	i, ok := new(big.Int).SetString(s, b)
	if !ok {
		return nil, bad()
	}
	if neg {
		i.Neg(i)
	}
	return BigInt(i), nil
}

func digitOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return 99
}

// asciiDigits replaces decimal digits of other scripts.
func asciiDigits(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return strings.Map(func(r rune) rune {
				if d := DigitValue(r); d >= 0 {
					return '0' + rune(d)
				}
				return r
			}, s)
		}
	}
	return s
}

// DigitValue returns what a decimal digit of any script stands for, -1 for other
// characters.
func DigitValue(r rune) int {
	if r < 0x80 {
		if r >= '0' && r <= '9' {
			return int(r - '0')
		}
		return -1
	}
	if !unicode.Is(unicode.Nd, r) {
		return -1
	}
	// Digits come in runs of ten that begin with zero; runs may touch.
	d := 0
	for unicode.Is(unicode.Nd, r-1) {
		r--
		d++
	}
	return d % 10
}

// ParseFloat is Python's float(text). Texts that are no number give its ValueError.
func ParseFloat(text string) (float64, error) {
	s := asciiDigits(strings.TrimFunc(text, unicode.IsSpace))
	bad := func() error { return ValueErrorf("could not convert string to float: %s", Repr(text)) }
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "inf", "infinity", "nan":
		if len(s)-len(strings.TrimLeft(s, "+-")) > 1 {
			return 0, bad()
		}
		f, _ := strconv.ParseFloat(strings.TrimLeft(s, "+-"), 64)
		if s[0] == '-' {
			f = -f
		}
		return f, nil
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' {
			if i == 0 || i == len(s)-1 || digitOf(s[i-1]) > 9 || digitOf(s[i+1]) > 9 {
				return 0, bad()
			}
			continue
		}
		if (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
			return 0, bad()
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, bad()
	}
	return f, nil
}
