package pyre

// op is the kind of a node.
type op uint8

const (
	opLit    op = iota // one character
	opAny              // any character, but newline unless DotAll
	opSet              // one of a set
	opSeq              // one after another
	opAlt              // the first that leads to a match
	opRepeat           // again and again
	opGroup            // a capturing group
	opAt               // a position: at
	opRef              // the text of an earlier group
	opLook             // look-around
	opAtomic           // no way back into it
	opCond             // by whether a group took part
)

// Positions, for opAt.
const (
	atBegin    = 'A'
	atLine     = '^'
	atEndLine  = '$' // multi-line
	atEnd      = 'e' // $ without Multiline: before a final newline too
	atVeryEnd  = 'Z'
	atWord     = 'b'
	atNotWord  = 'B'
	unlimited  = -1
	maxNesting = 200
)

// node is a part of a pattern.
type node struct {
	op    op
	r     rune // opLit: the character; opAt: the position
	set   *set
	flags Flags // in force here
	subs  []*node

	min, max         int // opRepeat; max may be unlimited
	lazy, possessive bool

	group  int  // opGroup, opRef, opCond
	negate bool // opLook
	behind bool // opLook
}

// nullable says whether the node may match the empty text; true when in doubt.
func (n *node) nullable() bool {
	switch n.op {
	case opLit, opAny, opSet:
		return false
	case opSeq:
		for _, s := range n.subs {
			if !s.nullable() {
				return false
			}
		}
		return true
	case opAlt, opCond:
		for _, s := range n.subs {
			if s.nullable() {
				return true
			}
		}
		return n.op == opCond && len(n.subs) < 2
	case opRepeat:
		return n.min == 0 || n.subs[0].nullable()
	case opGroup, opAtomic:
		return n.subs[0].nullable()
	}
	return true
}

// width returns the least and the greatest number of characters the node can
// match, bounded by 1<<30. Groups are those whose width is known so far.
func (n *node) width(groups map[int][2]int) (lo, hi int) {
	const most = 1 << 30
	switch n.op {
	case opLit, opAny, opSet:
		return 1, 1
	case opSeq:
		for _, s := range n.subs {
			l, h := s.width(groups)
			lo, hi = min(lo+l, most), min(hi+h, most)
		}
		return lo, hi
	case opAlt, opCond:
		lo = most
		for _, s := range n.subs {
			l, h := s.width(groups)
			lo, hi = min(lo, l), max(hi, h)
		}
		if n.op == opCond && len(n.subs) < 2 {
			lo = 0
		}
		return lo, hi
	case opRepeat:
		l, h := n.subs[0].width(groups)
		lo = min(l*min(n.min, most/max(l, 1)), most)
		switch {
		case h == 0:
			hi = 0
		case n.max == unlimited:
			hi = most
		default:
			hi = min(h*min(n.max, most/h), most)
		}
		return lo, hi
	case opGroup:
		lo, hi = n.subs[0].width(groups)
		groups[n.group] = [2]int{lo, hi}
		return lo, hi
	case opAtomic:
		return n.subs[0].width(groups)
	case opRef:
		w := groups[n.group]
		return w[0], w[1]
	}
	return 0, 0
}
