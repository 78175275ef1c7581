package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func firstRune(t string) rune {
	r, _ := utf8.DecodeRuneInString(t)
	return r
}

func all(t string, f func(rune) bool) bool {
	for _, r := range t {
		if !f(r) {
			return false
		}
	}
	return t != ""
}

func isAlnum(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// isDigitRune is Python's isdigit: decimal digits and superscripts.
func isDigitRune(r rune) bool {
	return value.DigitValue(r) >= 0 || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", r) || r >= '①' && r <= '⑨'
}

func cased(t string) bool {
	for _, r := range t {
		if unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) {
			return true
		}
	}
	return false
}

// upper is Python's str.upper, which knows that ß becomes two letters.
func upper(t string) string {
	if isASCII(t) {
		return strings.ToUpper(t)
	}
	return strings.NewReplacer("ß", "SS", "ﬁ", "FI", "ﬂ", "FL", "ﬀ", "FF", "ŉ", "ʼN").Replace(mapRunes(t, unicode.ToUpper, "ßﬁﬂﬀŉ"))
}

func mapRunes(t string, f func(rune) rune, but string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(but, r) {
			return r
		}
		return f(r)
	}, t)
}

// lower is Python's str.lower: a final sigma has a form of its own, İ two runes.
func lower(t string) string {
	if isASCII(t) {
		return strings.ToLower(t)
	}
	low := mapRunes(t, unicode.ToLower, "İΣ")
	if !strings.ContainsAny(low, "İΣ") {
		return low
	}
	var b strings.Builder
	var before rune
	for i, r := range low {
		switch r {
		case 'İ':
			b.WriteString("i̇")
		case 'Σ':
			next := firstRune(low[i+len("Σ"):])
			if unicode.IsLetter(before) && !unicode.IsLetter(next) {
				b.WriteRune('ς')
			} else {
				b.WriteRune('σ')
			}
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

func capitalize(t string) string {
	if t == "" {
		return t
	}
	_, n := utf8.DecodeRuneInString(t)
	return titleRune(t[:n]) + lower(t[n:])
}

func titleRune(t string) string {
	if t == "ß" {
		return "Ss"
	}
	return string(unicode.ToTitle(firstRune(t)))
}

// titled is Python's str.title: a letter behind a letter is small.
func titled(t string) string {
	var b strings.Builder
	inside := false
	for _, r := range t {
		isCased := unicode.IsLetter(r) && (unicode.ToLower(r) != r || unicode.ToUpper(r) != r || unicode.IsLower(r))
		switch {
		case inside:
			b.WriteString(lower(string(r)))
		case isCased:
			b.WriteString(titleRune(string(r)))
		default:
			b.WriteRune(r)
		}
		inside = isCased
	}
	return b.String()
}

func swapcase(t string) string {
	var b strings.Builder
	for _, r := range t {
		switch {
		case unicode.IsUpper(r):
			b.WriteString(lower(string(r)))
		case unicode.IsLower(r):
			b.WriteString(upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
