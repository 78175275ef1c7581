package yamldoc

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The short tags that PyYAML's SafeLoader knows.
const (
	tagNull      = "!!null"
	tagBool      = "!!bool"
	tagInt       = "!!int"
	tagFloat     = "!!float"
	tagStr       = "!!str"
	tagTimestamp = "!!timestamp"
	tagBinary    = "!!binary"
	tagMerge     = "!!merge"
	tagValue     = "!!value"
	tagSeq       = "!!seq"
	tagMap       = "!!map"
	tagSet       = "!!set"
	tagOmap      = "!!omap"
	tagPairs     = "!!pairs"
)

// The implicit forms of YAML 1.1, in PyYAML's variant: a float's exponent has a
// sign, a float that begins with a point has none.
var (
	intForm = regexp.MustCompile(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+` +
		`|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	floatForm = regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?` +
		`|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	timeForm = regexp.MustCompile(`^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})` +
		`(?:\.([0-9]*))?(?:[ \t]*(Z|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?)?$`)
)

// resolve returns the tag of a plain scalar.
func resolve(s string) string {
	if s == "" {
		return tagNull
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
		return resolveNumber(s)
	case strings.IndexByte("~nNyYtTfFoO<=", c) < 0:
		return tagStr
	}
	switch s {
	case "~", "null", "Null", "NULL":
		return tagNull
	case "yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "FALSE",
		"on", "On", "ON", "off", "Off", "OFF":
		return tagBool
	case "<<":
		return tagMerge
	case "=":
		return tagValue
	}
	return tagStr
}

func resolveNumber(s string) string {
	switch last := s[len(s)-1]; {
	case !(last >= '0' && last <= '9') && strings.IndexByte("_.ZabcdefABCDEFnN", last) < 0:
		return tagStr // no form ends so
	case intForm.MatchString(s):
		return tagInt
	case floatForm.MatchString(s):
		return tagFloat
	case isTimestamp(s):
		return tagTimestamp
	}
	return tagStr
}

// isTimestamp adds to the pattern that a date without a time has two digits
// for month and day.
func isTimestamp(s string) bool {
	return len(s) >= 10 && s[4] == '-' && timeForm.MatchString(s) &&
		(len(s) == 10 && s[7] == '-' || strings.IndexByte(s, ':') > 0)
}

// scalar gives a node the value that a tag makes of a text.
func (n *Node) scalar(tag, s string) error {
	switch tag {
	case tagNull:
		n.kind = Null
		return nil
	case tagStr:
		n.kind, n.text = String, s
		return nil
	case tagBool:
		return n.setBool(s)
	case tagInt:
		return n.setInt(s)
	case tagFloat:
		return n.setFloat(s)
	case tagTimestamp:
		return n.setTime(s)
	case tagBinary:
		return n.setBinary(s)
	case tagValue:
		return fmt.Errorf(`a bare "=" has no value in YAML 1.1: quote it`)
	case tagMerge:
		return fmt.Errorf(`"<<" merges mappings and is only a key: quote it`)
	case tagSeq, tagOmap, tagPairs:
		return fmt.Errorf("expected a list for the tag %s, found a scalar", tag)
	case tagMap, tagSet:
		return fmt.Errorf("expected a mapping for the tag %s, found a scalar", tag)
	}
	return fmt.Errorf("unknown tag %s", tag)
}

func (n *Node) setBool(s string) error {
	n.kind = Bool
	switch strings.ToLower(s) {
	case "yes", "true", "on":
		n.number = 1
	case "no", "false", "off":
		n.number = 0
	default:
		return fmt.Errorf("%q is not a boolean", s)
	}
	return nil
}

func (n *Node) setInt(s string) error {
	n.kind = Int
	digits, negative := cutSign(strings.ReplaceAll(s, "_", ""))
	var v *big.Int
	ok := false
	switch {
	case digits == "0":
		v, ok = new(big.Int), true
	case strings.HasPrefix(digits, "0b"):
		v, ok = parseInt(digits[2:], 2)
	case strings.HasPrefix(digits, "0x"):
		v, ok = parseInt(digits[2:], 16)
	case strings.HasPrefix(digits, "0"):
		v, ok = parseInt(digits, 8)
	case strings.Contains(digits, ":"):
		v, ok = parseSexagesimal(digits)
	default:
		v, ok = parseInt(digits, 10)
	}
	if !ok {
		return fmt.Errorf("%q is not an integer", s)
	}
	if negative {
		v.Neg(v)
	}
	n.text = v.String()
	return nil
}

// maxDigits bounds an integer: beyond it, turning digits into a number and
// back would cost more than reading the document.
const maxDigits = 4096

func parseInt(digits string, base int) (*big.Int, bool) {
	if len(digits) == 0 || len(digits) > maxDigits {
		return nil, false
	}
	for i := 0; i < len(digits); i++ {
		if digits[i] == '+' || digits[i] == '-' {
			return nil, false
		}
	}
	return new(big.Int).SetString(digits, base)
}

func parseSexagesimal(s string) (*big.Int, bool) {
	if len(s) > maxDigits {
		return nil, false
	}
	v := new(big.Int)
	sixty := big.NewInt(60)
	for part := range strings.SplitSeq(s, ":") {
		p, ok := parseInt(part, 10)
		if !ok {
			return nil, false
		}
		v.Mul(v, sixty).Add(v, p)
	}
	return v, true
}

func cutSign(s string) (digits string, negative bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[1:], s[0] == '-'
	}
	return s, false
}

func (n *Node) setFloat(s string) error {
	n.kind = Float
	digits, negative := cutSign(strings.ToLower(strings.ReplaceAll(s, "_", "")))
	var v float64
	switch {
	case digits == ".inf", digits == "inf", digits == "infinity":
		v = math.Inf(1)
	case digits == ".nan", digits == "nan":
		v = math.NaN()
	case strings.HasPrefix(digits, "0x"), strings.HasPrefix(digits, "+"), strings.HasPrefix(digits, "-"):
		return fmt.Errorf("%q is not a number", s)
	case strings.Contains(digits, ":"):
		for part := range strings.SplitSeq(digits, ":") {
			p, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return fmt.Errorf("%q is not a number", s)
			}
			v = v*60 + p
		}
	default:
		p, err := strconv.ParseFloat(digits, 64)
		if err != nil && !math.IsInf(p, 0) { // too large is infinite, as in Python
			return fmt.Errorf("%q is not a number", s)
		}
		v = p
	}
	if negative {
		v = -v
	}
	n.number = v
	return nil
}

// setTime reads a date or a time; the text becomes what Python's isoformat says.
func (n *Node) setTime(s string) error {
	n.kind = Timestamp
	m := timeForm.FindStringSubmatch(s)
	if m == nil {
		return fmt.Errorf("%q is not a date", s)
	}
	num := func(i int) int {
		v, _ := strconv.Atoi(m[i]) // digits by the pattern; absent is 0
		return v
	}
	date := time.Date(num(1), time.Month(num(2)), num(3), 0, 0, 0, 0, time.UTC)
	if num(1) < 1 || int(date.Month()) != num(2) || date.Day() != num(3) {
		return fmt.Errorf("there is no day %s", s)
	}
	if m[4] == "" {
		n.text = date.Format(time.DateOnly)
		return nil
	}
	if num(4) > 23 || num(5) > 59 || num(6) > 59 {
		return fmt.Errorf("there is no time %s", s)
	}
	text := date.Format(time.DateOnly) + fmt.Sprintf("T%02d:%02d:%02d", num(4), num(5), num(6))
	micro := (m[7] + "000000")[:6]
	if micro != "000000" {
		text += "." + micro
	}
	if m[8] == "Z" {
		text += "+00:00"
	} else if m[8] != "" {
		if num(10) > 23 || num(11) > 59 {
			return fmt.Errorf("there is no time zone %s", m[8])
		}
		sign := m[9]
		if num(10) == 0 && num(11) == 0 {
			sign = "+"
		}
		text += fmt.Sprintf("%s%02d:%02d", sign, num(10), num(11))
	}
	n.text = text
	return nil
}

func (n *Node) setBinary(s string) error {
	n.kind = Binary
	clean := strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, s)
	raw, err := base64.StdEncoding.DecodeString(clean)
	if err != nil {
		return fmt.Errorf("not base64: %v", err)
	}
	n.text = base64.StdEncoding.EncodeToString(raw)
	return nil
}
