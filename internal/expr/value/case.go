package value

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Upper is Python's str.upper: Unicode's full mapping, in which ß becomes SS.
func Upper(s string) string {
	if ascii(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

// Lower is Python's str.lower: Unicode's full mapping, in which a sigma at the end of
// a word has a form of its own and İ becomes two characters.
func Lower(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	if !strings.ContainsAny(s, "İΣ") {
		return strings.Map(unicode.ToLower, s)
	}
	var b strings.Builder
	for i, r := range s {
		writeLower(&b, s, i, r)
	}
	return b.String()
}

// writeLower writes the small form of the character at s[i:].
func writeLower(b *strings.Builder, s string, i int, r rune) {
	switch r {
	case 'İ':
		b.WriteString("i\u0307")
	case 'Σ':
		if finalSigma(s, i) {
			b.WriteRune('ς')
		} else {
			b.WriteRune('σ')
		}
	default:
		b.WriteRune(unicode.ToLower(r))
	}
}

// finalSigma says whether the sigma at s[i:] ends a word: the nearest character
// before it that case does not ignore is cased, the nearest after it is not.
func finalSigma(s string, i int) bool {
	before := false
	for rest := s[:i]; rest != ""; {
		r, n := utf8.DecodeLastRuneInString(rest)
		if !caseIgnorable(r) {
			before = Cased(r)
			break
		}
		rest = rest[:len(rest)-n]
	}
	if !before {
		return false
	}
	for _, r := range s[i+len("Σ"):] {
		if !caseIgnorable(r) {
			return !Cased(r)
		}
	}
	return true
}

// caseIgnorable is Unicode's property Case_Ignorable.
func caseIgnorable(r rune) bool {
	return strings.ContainsRune("'.:·’‘․﹒＇．：\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55", r) || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

// Cased says whether Python takes a character for one that has case.
func Cased(r rune) bool { return IsUpper(r) || IsLower(r) || unicode.IsTitle(r) }

// IsUpper is Unicode's property Uppercase, which Python's str.isupper looks at.
func IsUpper(r rune) bool { return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r) }

// IsLower is Unicode's property Lowercase, which Python's str.islower looks at.
func IsLower(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }

// Capitalize is Python's str.capitalize: a first character in title case, the rest
// small.
func Capitalize(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i == 0 {
			b.WriteString(titleOf(r))
		} else {
			writeLower(&b, s, i, r)
		}
	}
	return b.String()
}

// Title is Python's str.title: what follows a cased character is small.
func Title(s string) string {
	var b strings.Builder
	inside := false
	for i, r := range s {
		if inside {
			writeLower(&b, s, i, r)
		} else {
			b.WriteString(titleOf(r))
		}
		inside = Cased(r)
	}
	return b.String()
}

// SwapCase is Python's str.swapcase.
func SwapCase(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case IsUpper(r):
			writeLower(&b, s, i, r)
		case IsLower(r):
			b.WriteString(Upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// titleOf is the title case of one character, which can be two or three.
func titleOf(r rune) string {
	if r < utf8.RuneSelf {
		return string(unicode.ToUpper(r))
	}
	// The library titles only what begins a word, and a character that case ignores
	// begins none.
	if t := unicode.ToTitle(r); t != r {
		return string(t)
	}
	return cases.Title(language.Und, cases.NoLower).String(string(r))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// AllUpper is Python's str.isupper: there is a cased character, and none is small.
func AllUpper(s string) bool {
	has := false
	for _, r := range s {
		switch {
		case IsLower(r) || unicode.IsTitle(r):
			return false
		case IsUpper(r):
			has = true
		}
	}
	return has
}

// AllLower is Python's str.islower: there is a cased character, and none is great.
func AllLower(s string) bool {
	has := false
	for _, r := range s {
		switch {
		case IsUpper(r) || unicode.IsTitle(r):
			return false
		case IsLower(r):
			has = true
		}
	}
	return has
}

// AllTitle is Python's str.istitle: great characters begin words, small ones follow
// cased ones.
func AllTitle(s string) bool {
	has, inside := false, false
	for _, r := range s {
		switch {
		case IsUpper(r) || unicode.IsTitle(r):
			if inside {
				return false
			}
			has, inside = true, true
		case IsLower(r):
			if !inside {
				return false
			}
		default:
			inside = false
		}
	}
	return has
}

// Fold is Python's str.casefold: Unicode's full folding. Cherokee folds to its great
// letters, which the library has the other way round.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0xab70 && r <= 0xabbf:
			return r - 0xab70 + 0x13a0
		case r >= 0x13f8 && r <= 0x13fd:
			return r - 8
		}
		return r
	}, cases.Fold().String(s))
}
