package rules

import (
	"strings"
	"unicode/utf8"
)

// fnmatch is Python's fnmatch.fnmatchcase: * and ? and [seq] and [!seq] over the
// whole text. It goes back to the last star only, so its time is bounded by the
// product of the lengths.
func fnmatch(pattern, s string) bool {
	star, back := -1, 0
	p, i := 0, 0
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, back = p+1, i
				p++
				continue
			}
			if ok, m := fnmatchOne(pattern[p:], r); ok {
				p += m
				i += n
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n = utf8.DecodeRuneInString(s[back:])
		back += n
		p, i = star, back
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// fnmatchOne holds a character against what stands first in a pattern and
// returns the length of that.
func fnmatchOne(p string, r rune) (bool, int) {
	switch p[0] {
	case '?':
		return true, 1
	case '[':
		if end := classEnd(p); end > 0 {
			return inClass(p[1:end], r), end + 1
		}
	}
	x, n := utf8.DecodeRuneInString(p)
	return x == r, n
}

// classEnd finds the bracket that closes a class, 0 where none does: then the
// opening one is an ordinary character.
func classEnd(p string) int {
	j := 1
	if j < len(p) && p[j] == '!' {
		j++
	}
	if j < len(p) && p[j] == ']' {
		j++
	}
	k := strings.IndexByte(p[min(j, len(p)):], ']')
	if k < 0 {
		return 0
	}
	return j + k
}

// inClass holds a character against the inside of a class. A range whose ends
// are in the wrong order is empty, as in Python from 3.9 on.
func inClass(class string, r rune) bool {
	rest, negated := strings.CutPrefix(class, "!")
	rs := []rune(rest)
	found := false
	for i := 0; i < len(rs); i++ {
		if i+2 < len(rs) && rs[i+1] == '-' {
			found = found || rs[i] <= r && r <= rs[i+2]
			i += 2
			continue
		}
		found = found || rs[i] == r
	}
	return found != negated
}
