package pyre

import (
	"fmt"
	"strings"
)

// translator writes a pattern for Go's regexp, where RE2 has an exact form.
type translator struct {
	b       strings.Builder
	ascii   bool // exact on ASCII text only
	noFinal bool // exact on text without a newline at its end only
	filled  bool // exact on text that is not empty only
}

// node writes one node as a unit that can be repeated, and says whether it could.
func (t *translator) node(n *node) bool {
	switch n.op {
	case opLit:
		t.rune(n.r)
	case opAny:
		if n.flags&DotAll != 0 {
			t.b.WriteString("(?s:.)")
		} else {
			t.b.WriteString("(?-s:.)")
		}
	case opSet:
		t.set(n.set)
	case opSeq:
		t.b.WriteString("(?:")
		for _, s := range n.subs {
			if !t.node(s) {
				return false
			}
		}
		t.b.WriteByte(')')
	case opAlt:
		t.b.WriteString("(?:")
		for i, s := range n.subs {
			if i > 0 {
				t.b.WriteByte('|')
			}
			if !t.node(s) {
				return false
			}
		}
		t.b.WriteByte(')')
	case opGroup:
		t.b.WriteByte('(')
		if !t.node(n.subs[0]) {
			return false
		}
		t.b.WriteByte(')')
	case opRepeat:
		return t.repeat(n)
	case opAt:
		return t.position(n)
	default:
		return false
	}
	return true
}

func (t *translator) repeat(n *node) bool {
	// How often an empty match is repeated, and what its groups then hold, differs.
	if n.possessive || n.subs[0].nullable() && (n.max > 1 || n.max == unlimited) || n.min > 1000 || n.max > 1000 {
		return false
	}
	t.b.WriteString("(?:")
	if !t.node(n.subs[0]) {
		return false
	}
	switch {
	case n.min == 0 && n.max == unlimited:
		t.b.WriteByte('*')
	case n.min == 1 && n.max == unlimited:
		t.b.WriteByte('+')
	case n.min == 0 && n.max == 1:
		t.b.WriteByte('?')
	case n.max == unlimited:
		fmt.Fprintf(&t.b, "{%d,}", n.min)
	default:
		fmt.Fprintf(&t.b, "{%d,%d}", n.min, n.max)
	}
	if n.lazy {
		t.b.WriteByte('?')
	}
	t.b.WriteByte(')')
	return true
}

func (t *translator) position(n *node) bool {
	switch n.r {
	case atBegin:
		t.b.WriteString(`\A`)
	case atLine:
		t.b.WriteString(`(?m:^)`)
	case atEndLine:
		t.b.WriteString(`(?m:$)`)
	case atEnd:
		t.noFinal = true
		t.b.WriteString(`\z`)
	case atVeryEnd:
		t.b.WriteString(`\z`)
	case atWord, atNotWord:
		// Go knows ASCII words only.
		t.ascii = t.ascii || n.flags&ASCII == 0
		t.filled = t.filled || n.r == atNotWord
		t.b.WriteByte('\\')
		t.b.WriteRune(n.r)
	}
	return true
}

func (t *translator) rune(r rune) {
	if r < 0x80 && !isWord(r) {
		fmt.Fprintf(&t.b, `\x%02x`, r)
		return
	}
	if r < 0x80 {
		t.b.WriteByte(byte(r))
		return
	}
	fmt.Fprintf(&t.b, `\x{%x}`, r)
}

// categories are Python's categories in Go's syntax, for use inside a class.
var categories = map[byte]string{
	'd': `\p{Nd}`, 'D': `\P{Nd}`,
	's': `\t-\r\x1c-\x20\x{85}\p{Z}`,
	'w': `\p{L}\p{N}_`,
}

// set writes a class. Negated categories that are unions (\S, \W) fit only where
// they stand alone; elsewhere the set is exact for ASCII text by its bitmap.
func (t *translator) set(s *set) {
	plain := s.flags&(IgnoreCase|ASCII) == 0
	if plain && len(s.ranges) == 0 && len(s.kinds) == 1 && (s.kinds[0] == 'S' || s.kinds[0] == 'W') {
		t.class(!s.negate, nil, []byte{s.kinds[0] | 0x20})
		return
	}
	for _, k := range s.kinds {
		plain = plain && categories[k] != ""
	}
	if plain {
		t.class(s.negate, s.ranges, s.kinds)
		return
	}
	t.ascii = true
	var ranges []span
	for r := rune(0); r < 128; r++ {
		if !s.has(r) {
			continue
		}
		if n := len(ranges); n > 0 && ranges[n-1].hi == r-1 {
			ranges[n-1].hi = r
		} else {
			ranges = append(ranges, span{r, r})
		}
	}
	if len(ranges) == 0 {
		// Nothing of ASCII is in it: a class that no ASCII text can match.
		ranges = []span{{0x10ffff, 0x10ffff}}
	}
	t.class(false, ranges, nil)
}

func (t *translator) class(negate bool, ranges []span, kinds []byte) {
	t.b.WriteByte('[')
	if negate {
		t.b.WriteByte('^')
	}
	for _, p := range ranges {
		fmt.Fprintf(&t.b, `\x{%x}-\x{%x}`, p.lo, p.hi)
	}
	for _, k := range kinds {
		t.b.WriteString(categories[k])
	}
	t.b.WriteByte(']')
}
