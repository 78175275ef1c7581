package yamldoc

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// JSON returns the value as JSON: keys in the order of the document, integers of
// any size as integers, floats always with a point or an exponent, dates as
// text. Infinities and NaN, which JSON lacks, become null; keys that are not
// text are written as it. nil for a nil node.
func (n *Node) JSON() json.RawMessage {
	if n == nil {
		return nil
	}
	return n.AppendJSON(nil)
}

// AppendJSON appends the value as JSON.
func (n *Node) AppendJSON(b []byte) []byte {
	switch n.Kind() {
	case Bool:
		return strconv.AppendBool(b, n.number != 0)
	case Int:
		return append(b, n.text...)
	case Float:
		if math.IsInf(n.number, 0) || math.IsNaN(n.number) {
			return append(b, "null"...)
		}
		return appendFloat(b, n.number)
	case String, Timestamp, Binary:
		return appendString(b, n.text)
	case Sequence:
		b = append(b, '[')
		for i, it := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = it.AppendJSON(b)
		}
		return append(b, ']')
	case Mapping:
		b = append(b, '{')
		for i, e := range n.entries {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, e.Key.keyText())
			b = append(b, ':')
			b = e.Value.AppendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// keyText is a key as JSON writes it.
func (n *Node) keyText() string {
	if n == nil {
		return ""
	}
	switch n.kind {
	case String, Timestamp, Binary, Int:
		return n.text
	}
	return string(n.AppendJSON(nil))
}

// appendFloat writes a float as Python's repr does: the shortest digits that
// read back the same, positional between 1e-4 and 1e16.
func appendFloat(b []byte, f float64) []byte {
	if a := math.Abs(f); a == 0 || (a >= 1e-4 && a < 1e16) {
		start := len(b)
		b = strconv.AppendFloat(b, f, 'f', -1, 64)
		for _, c := range b[start:] {
			if c == '.' {
				return b
			}
		}
		return append(b, ".0"...)
	}
	return strconv.AppendFloat(b, f, 'e', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string without escaping what JSON does not ask for.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			i++
			start = i
			continue
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
