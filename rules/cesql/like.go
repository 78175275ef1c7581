package cesql

import (
	"strings"
	"unicode/utf8"
)

// likePart is a piece of a LIKE pattern: text, any character (_), or any run of
// characters (%).
type likePart struct {
	text string
	one  bool
	many bool
}

// parseLike reads a pattern; \% and \_ stand for themselves.
func parseLike(s string) []likePart {
	var out []likePart
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, likePart{text: b.String()})
			b.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '%' || s[i+1] == '_'):
			i++
			b.WriteByte(s[i])
		case c == '%':
			flush()
			if n := len(out); n == 0 || !out[n-1].many {
				out = append(out, likePart{many: true})
			}
		case c == '_':
			flush()
			out = append(out, likePart{one: true})
		default:
			b.WriteByte(c)
		}
	}
	flush()
	return out
}

// matchLike matches the whole text, going back to the last % only, so that its
// time is bounded by the product of the lengths.
func matchLike(parts []likePart, s string) bool {
	p, i := 0, 0
	star, back := -1, 0
	for p < len(parts) || i < len(s) {
		if p < len(parts) {
			switch x := &parts[p]; {
			case x.many:
				star, back = p+1, i
				p++
				continue
			case x.one && i < len(s):
				_, n := utf8.DecodeRuneInString(s[i:])
				p++
				i += n
				continue
			case !x.one && strings.HasPrefix(s[i:], x.text):
				p++
				i += len(x.text)
				continue
			}
		}
		if star < 0 || back >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[back:])
		back += n
		p, i = star, back
	}
	return true
}
