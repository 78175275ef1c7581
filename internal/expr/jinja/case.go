package jinja

import (
	"unicode"
	"unicode/utf8"
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
