package pyre

import (
	"strings"
)

// escapes are the letters that stand for one character.
var escapes = map[rune]rune{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\'}

func isOctal(r rune) bool { return r >= '0' && r <= '7' }

func isASCIIDigit(r rune) bool { return r >= '0' && r <= '9' }

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// escape reads what follows a backslash outside of a class.
func (p *parser) escape(start int, flags Flags) *node {
	c := p.peek()
	if c == -1 {
		p.fail(start, "bad escape (end of pattern)")
		return nil
	}
	p.i++
	switch c {
	case 'A', 'Z':
		return &node{op: opAt, r: c}
	case 'b', 'B':
		return &node{op: opAt, r: c, flags: flags}
	case 'd', 'D', 's', 'S', 'w', 'W':
		s := &set{flags: flags, kinds: []byte{byte(c)}}
		return &node{op: opSet, set: s.finish(), flags: flags}
	case 'x', 'u', 'U', 'N':
		return literal(p.hex(start, c), flags)
	case '0':
		v := rune(0)
		for n := 0; n < 2 && isOctal(p.peek()); n++ {
			v = v*8 + p.src[p.i] - '0'
			p.i++
		}
		return literal(v, flags)
	}
	if isASCIIDigit(c) {
		return p.numbered(start, c, flags)
	}
	if r, ok := escapes[c]; ok {
		return literal(r, flags)
	}
	if isASCIILetter(c) {
		p.fail(start, "bad escape \\%c", c)
		return nil
	}
	return literal(c, flags)
}

// numbered reads a back-reference or an octal escape of three digits.
func (p *parser) numbered(start int, c rune, flags Flags) *node {
	g := int(c - '0')
	if isASCIIDigit(p.peek()) {
		d := p.src[p.i]
		p.i++
		if isOctal(c) && isOctal(d) && isOctal(p.peek()) {
			v := (c-'0')*64 + (d-'0')*8 + p.src[p.i] - '0'
			p.i++
			if v > 0o377 {
				p.fail(start, "octal escape value %s outside of range 0-0o377", string(p.src[start:p.i]))
				return nil
			}
			return literal(v, flags)
		}
		g = g*10 + int(d-'0')
	}
	if g >= p.groups {
		p.fail(start+1, "invalid group reference %d", g)
		return nil
	}
	return p.reference(g, start, flags)
}

// hex reads the digits of \x, \u and \U.
func (p *parser) hex(start int, c rune) rune {
	if c == 'N' {
		p.fail(start, "undefined character name")
		return 0
	}
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[c]
	v := int64(0)
	n := 0
	for n < digits && p.i < len(p.src) {
		d := strings.IndexRune("0123456789abcdef", p.src[p.i]|0x20)
		if d < 0 || p.src[p.i] < '0' {
			break
		}
		v = v*16 + int64(d)
		p.i++
		n++
	}
	if n < digits {
		p.fail(start, "incomplete escape %s", string(p.src[start:p.i]))
		return 0
	}
	if v > 0x10ffff {
		p.fail(start, "bad escape %s", string(p.src[start:p.i]))
		return 0
	}
	return rune(v)
}

// class reads a character class on from its opening bracket.
func (p *parser) class(start int, flags Flags) *node {
	s := &set{flags: flags}
	s.negate = p.take('^')
	for first := true; p.err == nil; first = false {
		at := p.i
		c := p.peek()
		if c == -1 {
			p.fail(start, "unterminated character set")
			return nil
		}
		p.i++
		if c == ']' && !first {
			break
		}
		lo, kind := p.member(at, c)
		if p.err != nil {
			return nil
		}
		if p.peek() != '-' {
			s.add(lo, lo, kind)
			continue
		}
		p.i++
		end := p.peek()
		if end == -1 {
			p.fail(start, "unterminated character set")
			return nil
		}
		if end == ']' {
			p.i++
			s.add(lo, lo, kind)
			s.add('-', '-', 0)
			break
		}
		endAt := p.i
		p.i++
		hi, hiKind := p.member(endAt, end)
		if p.err != nil {
			return nil
		}
		if kind != 0 || hiKind != 0 || hi < lo {
			p.fail(at, "bad character range %s", string(p.src[at:p.i]))
			return nil
		}
		s.add(lo, hi, 0)
	}
	return &node{op: opSet, set: s.finish(), flags: flags}
}

func (s *set) add(lo, hi rune, kind byte) {
	if kind != 0 {
		s.kinds = append(s.kinds, kind)
		return
	}
	s.ranges = append(s.ranges, span{lo, hi})
}

// member reads one member of a class: a character, or the letter of a category.
func (p *parser) member(start int, c rune) (rune, byte) {
	if c != '\\' {
		return c, 0
	}
	e := p.peek()
	if e == -1 {
		p.fail(start, "bad escape (end of pattern)")
		return 0, 0
	}
	p.i++
	switch e {
	case 'd', 'D', 's', 'S', 'w', 'W':
		return 0, byte(e)
	case 'x', 'u', 'U', 'N':
		return p.hex(start, e), 0
	}
	if r, ok := escapes[e]; ok {
		return r, 0
	}
	if isOctal(e) {
		v := e - '0'
		for n := 0; n < 2 && isOctal(p.peek()); n++ {
			v = v*8 + p.src[p.i] - '0'
			p.i++
		}
		if v > 0o377 {
			p.fail(start, "octal escape value %s outside of range 0-0o377", string(p.src[start:p.i]))
		}
		return v, 0
	}
	if isASCIIDigit(e) || isASCIILetter(e) {
		p.fail(start, "bad escape \\%c", e)
	}
	return e, 0
}

// special are the characters that Escape escapes.
const special = "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"

// Escape is Python's re.escape: a pattern that matches the text itself.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
