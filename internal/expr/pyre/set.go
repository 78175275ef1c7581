package pyre

import "unicode"

// set is a set of characters as a pattern writes it.
type set struct {
	negate bool
	flags  Flags
	ranges []span
	kinds  []byte // categories: d D s S w W
	ascii  [2]uint64
}

type span struct{ lo, hi rune }

// finish works out the answers for ASCII.
func (s *set) finish() *set {
	for r := rune(0); r < 128; r++ {
		if s.slow(r) {
			s.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return s
}

func (s *set) has(r rune) bool {
	if r >= 0 && r < 128 {
		return s.ascii[r>>6]&(1<<(r&63)) != 0
	}
	return s.slow(r)
}

func (s *set) slow(r rune) bool {
	in := s.member(r)
	if !in && s.flags&IgnoreCase != 0 {
		for o := otherCase(r, s.flags); o != r && !in; o = otherCase(o, s.flags) {
			in = s.member(o)
		}
	}
	return in != s.negate
}

func (s *set) member(r rune) bool {
	for _, p := range s.ranges {
		if r >= p.lo && r <= p.hi {
			return true
		}
	}
	for _, k := range s.kinds {
		if inCategory(k, r, s.flags&ASCII != 0) {
			return true
		}
	}
	return false
}

func inCategory(kind byte, r rune, ascii bool) bool {
	if ascii && r >= 0x80 {
		return kind < 'a' // the negated ones: D, S, W
	}
	switch kind {
	case 'd':
		return isDigit(r)
	case 'D':
		return !isDigit(r)
	case 's':
		return isSpace(r, ascii)
	case 'S':
		return !isSpace(r, ascii)
	case 'w':
		return isWord(r)
	}
	return !isWord(r)
}

func isDigit(r rune) bool {
	if r < 0x80 {
		return r >= '0' && r <= '9'
	}
	return unicode.Is(unicode.Nd, r)
}

// isSpace is Python's str.isspace of one character; re.ASCII leaves out the
// separators 1C to 1F.
func isSpace(r rune, ascii bool) bool {
	switch {
	case r == ' ', r >= '\t' && r <= '\r':
		return true
	case r >= 0x1c && r <= 0x1f:
		return !ascii
	case r < 0x80:
		return false
	}
	return r == 0x85 || unicode.Is(unicode.Z, r)
}

func isWord(r rune) bool {
	if r < 0x80 {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

// otherCase steps through the characters that IgnoreCase holds equal to r, in a
// circle. Python adds to Unicode's folding that i, I, İ and ı are one.
func otherCase(r rune, flags Flags) rune {
	if flags&ASCII != 0 {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 32
		case r >= 'A' && r <= 'Z':
			return r + 32
		}
		return r
	}
	switch r {
	case 'i':
		return 'I'
	case 'I':
		return 'İ'
	case 'İ':
		return 'ı'
	case 'ı':
		return 'i'
	}
	return unicode.SimpleFold(r)
}

// sameFold says whether IgnoreCase holds two characters equal.
func sameFold(a, b rune, flags Flags) bool {
	if a == b {
		return true
	}
	for o := otherCase(a, flags); o != a; o = otherCase(o, flags) {
		if o == b {
			return true
		}
	}
	return false
}

// literal returns the node of one character, a set where case does not matter.
func literal(r rune, flags Flags) *node {
	if flags&IgnoreCase != 0 && otherCase(r, flags) != r {
		s := &set{flags: flags, ranges: []span{{r, r}}}
		return &node{op: opSet, set: s.finish(), r: r, flags: flags}
	}
	return &node{op: opLit, r: r, flags: flags}
}
