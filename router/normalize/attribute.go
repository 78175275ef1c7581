package normalize

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxAttribute bounds an attribute's text in bytes: twice what an object's key
// in S3 can need with half of it percent-encoded.
const maxAttribute = 4096

// clean makes s fit for an attribute: control characters become spaces, what is
// not UTF-8 is replaced, and an excess of length is cut at a character.
func clean(s string) string {
	s = text8(s)
	if strings.IndexFunc(s, isControl) >= 0 {
		s = strings.Map(func(r rune) rune {
			if isControl(r) {
				return ' '
			}
			return r
		}, s)
	}
	if len(s) > maxAttribute {
		s = s[:maxAttribute]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return strings.TrimSpace(s)
}

func isControl(r rune) bool { return r < 0x20 || (r >= 0x7f && r <= 0x9f) }

// reference makes s a URI reference: what may not stand in one is
// percent-encoded, an escape that is none gets its percent sign encoded, and a
// first segment with a colon that is no scheme is marked as a path.
func reference(raw string) string {
	s := encoded(raw)
	if _, err := url.Parse(s); err == nil {
		return s
	}
	if path := "./" + s; !strings.Contains(s, "://") {
		if _, err := url.Parse(path); err == nil {
			return path
		}
	}
	return url.PathEscape(raw)
}

func encoded(s string) string {
	const extra = "-._~:/?#[]@!$&'()*+,;="
	ok := func(i int) bool {
		c := s[i]
		if c == '%' {
			return i+2 < len(s) && isHex([]byte(s[i+1:i+3]))
		}
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(extra, c) >= 0
	}
	for i := range len(s) {
		if ok(i) {
			continue
		}
		var b strings.Builder
		for i := range len(s) {
			if ok(i) {
				b.WriteByte(s[i])
			} else {
				b.WriteString("%" + string("0123456789ABCDEF"[s[i]>>4]) + string("0123456789ABCDEF"[s[i]&15]))
			}
		}
		return b.String()
	}
	return s
}

// slug is s in lower case with everything but letters, digits, dots and
// underscores turned into single hyphens: the form of words in event types.
func slug(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		} else {
			gap = true
		}
	}
	return b.String()
}

// dotted joins the parts that are not empty by dots.
func dotted(parts ...string) string { return joined(".", parts...) }

// joined joins the parts that are not empty.
func joined(sep string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(sep)
		}
		b.WriteString(p)
	}
	return b.String()
}

// digest is the first 128 bits of SHA-256 over the parts, in hexadecimal.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(strconv.AppendInt(nil, int64(len(p)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// layouts are the ways in which sources write a moment with its offset.
var layouts = [...]string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02 15:04:05.999999999 -0700 UTC",
	"2006-01-02 15:04:05.999999999 UTC",
	"2006-01-02 15:04:05.999999999 -0700",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z07.00",
	"2006/01/02 15:04:05 GMT",
	"02/Jan/2006:15:04:05 -0700",
	"02/Jan/2006:15:04:05-0700",
	"Mon, 02 Jan 2006 15:04:05 -0700",
	"Mon, 02 Jan 2006 15:04:05 GMT",
	"Mon Jan _2 15:04:05 UTC 2006",
	"Jan _2, 2006 3:04:05 PM UTC",
}

// moment reads a time: a date with an offset in any of the usual forms, or
// seconds, milli-, micro- or nanoseconds since 1970 by their magnitude. A date
// without an offset is not a moment; the zero time stands for "unknown".
func moment(s string) time.Time {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && strings.Trim(s, "0123456789.") == "" {
		return fromUnix(s, f)
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err == nil && t.Year() > 1 && t.UTC().Year() <= 9999 {
			return t.UTC()
		}
	}
	return time.Time{}
}

func fromUnix(s string, f float64) time.Time {
	whole, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	switch {
	case f < 1e11:
		nanos := number((frac + "000000000")[:9])
		return time.Unix(n, nanos).UTC()
	case f < 1e14:
		return time.UnixMilli(n).UTC()
	case f < 1e17:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

// number reads a decimal number, 0 where it is none.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// origin is scheme and host of a URL, "" where it has none.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// firstOf is the first text that is not empty.
func firstOf(texts ...string) string { return cmp.Or(texts...) }

// firstTime is the first known time.
func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
