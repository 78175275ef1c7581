package pyre

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// parser reads a pattern; positions are counted in characters.
type parser struct {
	src    []rune
	i      int
	flags  Flags
	groups int // the number of the next group
	names  map[string]int
	open   map[int]bool // groups that are being read
	depth  int
	// behind is the first group of the look-behind that is being read, or 0.
	behind int
	// conds are the groups that conditionals ask for, checked at the end.
	conds map[int]int
	err   error
}

// parse returns the parser, for its groups, and the pattern as a node.
func parse(pattern string, flags Flags) (*parser, *node, error) {
	for {
		p := &parser{src: []rune(pattern), flags: flags, groups: 1,
			names: map[string]int{}, open: map[int]bool{}, conds: map[int]int{}}
		root := p.alternatives(flags, true)
		if p.err == nil && p.i < len(p.src) {
			p.fail(p.i, "unbalanced parenthesis")
		}
		for _, g := range sortedInts(p.conds) {
			if g >= p.groups && p.err == nil {
				p.fail(p.conds[g], "invalid group reference %d", g)
			}
		}
		if p.err != nil {
			return nil, nil, p.err
		}
		if p.flags&Verbose != 0 && flags&Verbose == 0 {
			flags |= Verbose // (?x) was found: read again
			continue
		}
		return p, root, nil
	}
}

func sortedInts(m map[int]int) []int {
	var out []int
	for i := 0; len(out) < len(m); i++ {
		if _, ok := m[i]; ok {
			out = append(out, i)
		}
	}
	return out
}

// fail notes the first error, at a position in characters.
func (p *parser) fail(at int, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{placed(p.src, at, fmt.Sprintf(format, args...))}
	}
}

// placed appends a position as Python's re.error does.
func placed(src []rune, at int, msg string) string {
	msg = fmt.Sprintf("%s at position %d", msg, at)
	line, start, several := 1, 0, false
	for i, r := range src {
		if r == '\n' {
			several = true
			if i < at {
				line++
				start = i + 1
			}
		}
	}
	if several {
		msg += fmt.Sprintf(" (line %d, column %d)", line, at-start+1)
	}
	return msg
}

func (p *parser) peek() rune {
	if p.i < len(p.src) {
		return p.src[p.i]
	}
	return -1
}

func (p *parser) take(r rune) bool {
	if p.peek() == r {
		p.i++
		return true
	}
	return false
}

// alternatives reads up to a closing parenthesis or the end.
func (p *parser) alternatives(flags Flags, top bool) *node {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		p.fail(p.i, "pattern is nested too deeply")
		return &node{op: opSeq}
	}
	first := p.sequence(&flags, top)
	if p.peek() != '|' {
		return first
	}
	alt := &node{op: opAlt, subs: []*node{first}}
	for p.err == nil && p.take('|') {
		alt.subs = append(alt.subs, p.sequence(&flags, false))
	}
	return alt
}

func (p *parser) sequence(flags *Flags, top bool) *node {
	seq := &node{op: opSeq}
	for p.err == nil {
		start := p.i
		c := p.peek()
		if c == -1 || c == '|' || c == ')' {
			break
		}
		p.i++
		if *flags&Verbose != 0 {
			if strings.ContainsRune(" \t\n\r\v\f", c) {
				continue
			}
			if c == '#' {
				for p.i < len(p.src) && p.src[p.i] != '\n' {
					p.i++
				}
				p.take('\n')
				continue
			}
		}
		switch c {
		case '\\':
			seq.add(p.escape(start, *flags))
		case '[':
			seq.add(p.class(start, *flags))
		case '.':
			seq.add(&node{op: opAny, flags: *flags})
		case '^':
			at := rune(atBegin)
			if *flags&Multiline != 0 {
				at = atLine
			}
			seq.add(&node{op: opAt, r: at})
		case '$':
			at := rune(atEnd)
			if *flags&Multiline != 0 {
				at = atEndLine
			}
			seq.add(&node{op: opAt, r: at})
		case '(':
			if n := p.group(start, flags, top && len(seq.subs) == 0); n != nil {
				seq.add(n)
			}
		case '*', '+', '?':
			p.repeat(seq, start, c)
		case '{':
			if !p.counted(seq, start) {
				seq.add(literal(c, *flags))
			}
		default:
			seq.add(literal(c, *flags))
		}
	}
	return seq
}

func (n *node) add(s *node) {
	if s != nil {
		n.subs = append(n.subs, s)
	}
}

func (p *parser) repeat(seq *node, start int, c rune) {
	lo, hi := 0, unlimited
	switch c {
	case '+':
		lo = 1
	case '?':
		hi = 1
	}
	p.finishRepeat(seq, start, lo, hi)
}

// maxCount is Python's MAXREPEAT on machines of 64 bits.
const maxCount = 4294967295

// counted reads {m}, {m,}, {,n} or {m,n} and says whether there is one.
func (p *parser) counted(seq *node, start int) bool {
	mark := p.i
	if p.peek() == '}' {
		return false
	}
	number := func() (int, bool) {
		n, from := 0, p.i
		for p.i < len(p.src) && p.src[p.i] >= '0' && p.src[p.i] <= '9' {
			if n <= maxCount {
				n = n*10 + int(p.src[p.i]-'0')
			}
			p.i++
		}
		return n, p.i > from
	}
	lo, has := number()
	hi := lo
	if p.take(',') {
		n, ok := number()
		if hi = n; !ok {
			hi = unlimited
		}
	} else if !has {
		p.i = mark
		return false
	}
	if !p.take('}') {
		p.i = mark
		return false
	}
	if lo >= maxCount || hi >= maxCount {
		p.fail(start, "the repetition number is too large")
	}
	if hi != unlimited && hi < lo {
		p.fail(mark, "min repeat greater than max repeat")
	}
	p.finishRepeat(seq, start, lo, hi)
	return true
}

func (p *parser) finishRepeat(seq *node, start, lo, hi int) {
	if len(seq.subs) == 0 || seq.subs[len(seq.subs)-1].op == opAt {
		p.fail(start, "nothing to repeat")
		return
	}
	body := seq.subs[len(seq.subs)-1]
	if body.op == opRepeat {
		p.fail(start, "multiple repeat")
		return
	}
	n := &node{op: opRepeat, subs: []*node{body}, min: lo, max: hi}
	if p.take('?') {
		n.lazy = true
	} else if p.take('+') {
		n.possessive = true
	}
	seq.subs[len(seq.subs)-1] = n
}

// group reads what follows an opening parenthesis. A nil node means that there
// is nothing to match: a comment or flags.
func (p *parser) group(start int, flags *Flags, first bool) *node {
	if !p.take('?') {
		return p.capture(start, *flags, "", 0)
	}
	c := p.peek()
	if c == -1 {
		p.fail(p.i, "unexpected end of pattern")
		return nil
	}
	p.i++
	switch c {
	case 'P':
		return p.named(start, *flags)
	case ':':
		return p.closed(start, p.alternatives(*flags, false))
	case '>':
		return &node{op: opAtomic, subs: []*node{p.closed(start, p.alternatives(*flags, false))}}
	case '#':
		for p.i < len(p.src) && p.src[p.i] != ')' {
			p.i++
		}
		if !p.take(')') {
			p.fail(start, "missing ), unterminated comment")
		}
		return nil
	case '=', '!', '<':
		return p.look(start, *flags, c)
	case '(':
		return p.conditional(start, *flags)
	}
	if c == '-' || strings.ContainsRune("aiLmsux", c) {
		return p.inline(start, flags, c, first)
	}
	p.unknownExtension(start, "?", c)
	return nil
}

// unknownExtension shows the character c that was just read, with the one behind
// it where c is a backslash.
func (p *parser) unknownExtension(start int, before string, c rune) {
	s := before + string(c)
	if c == '\\' && p.i < len(p.src) {
		s += string(p.src[p.i])
	}
	p.fail(start+1, "unknown extension %s", s)
}

// closed takes the closing parenthesis of a group.
func (p *parser) closed(start int, n *node) *node {
	if p.err == nil && !p.take(')') {
		p.fail(start, "missing ), unterminated subpattern")
	}
	return n
}

func (p *parser) capture(start int, flags Flags, name string, at int) *node {
	n := p.groups
	p.groups++
	if name != "" {
		if old, ok := p.names[name]; ok {
			p.fail(at, "redefinition of group name %s as group %d; was group %d", value.Repr(name), n, old)
			return nil
		}
		p.names[name] = n
	}
	p.open[n] = true
	body := p.closed(start, p.alternatives(flags, false))
	delete(p.open, n)
	return &node{op: opGroup, group: n, subs: []*node{body}}
}

// named reads the rest of (?P<name>…) or (?P=name).
func (p *parser) named(start int, flags Flags) *node {
	switch {
	case p.take('<'):
		at := p.i
		name := p.name('>')
		return p.capture(start, flags, name, at)
	case p.take('='):
		at := p.i
		name := p.name(')')
		if p.err != nil {
			return nil
		}
		g, ok := p.names[name]
		if !ok {
			p.fail(at, "unknown group name %s", value.Repr(name))
			return nil
		}
		return p.reference(g, at, flags)
	}
	if p.i >= len(p.src) {
		p.fail(p.i, "unexpected end of pattern")
		return nil
	}
	p.i++
	p.unknownExtension(start, "?P", p.src[p.i-1])
	return nil
}

// until reads a name up to its end, which it takes.
func (p *parser) until(end rune, what string) (string, bool) {
	at := p.i
	for p.i < len(p.src) && p.src[p.i] != end {
		p.i++
	}
	name := string(p.src[at:p.i])
	switch {
	case p.i >= len(p.src) && name == "":
		p.fail(at, "missing %s", what)
		return "", false
	case p.i >= len(p.src):
		p.fail(at, "missing %c, unterminated name", end)
		return "", false
	case name == "":
		p.fail(at, "missing %s", what)
		return "", false
	}
	p.i++
	return name, true
}

func (p *parser) name(end rune) string {
	at := p.i
	name, ok := p.until(end, "group name")
	if ok && !isIdentifier(name) {
		p.fail(at, "bad character in group name %s", value.Repr(name))
	}
	return name
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && !unicode.IsMark(r)) {
			return false
		}
	}
	return s != ""
}

// reference makes a back-reference, which must not stand inside its group.
func (p *parser) reference(g, at int, flags Flags) *node {
	if p.open[g] {
		p.fail(at, "cannot refer to an open group")
	}
	if p.behind > 0 && g >= p.behind {
		p.fail(p.i, "cannot refer to group defined in the same lookbehind subpattern")
	}
	return &node{op: opRef, group: g, flags: flags}
}

func (p *parser) look(start int, flags Flags, c rune) *node {
	n := &node{op: opLook}
	if c == '<' {
		if p.i >= len(p.src) {
			p.fail(p.i, "unexpected end of pattern")
			return nil
		}
		c = p.src[p.i]
		p.i++
		if c != '=' && c != '!' {
			p.unknownExtension(start, "?<", c)
			return nil
		}
		n.behind = true
		if p.behind == 0 {
			p.behind = p.groups
			defer func() { p.behind = 0 }()
		}
	}
	n.negate = c == '!'
	n.subs = []*node{p.closed(start, p.alternatives(flags, false))}
	return n
}

// conditional reads the rest of (?(group)yes|no).
func (p *parser) conditional(start int, flags Flags) *node {
	at := p.i
	name, ok := p.until(')', "group name")
	if !ok {
		return nil
	}
	n := &node{op: opCond}
	if isIdentifier(name) {
		if n.group, ok = p.names[name]; !ok {
			p.fail(at, "unknown group name %s", value.Repr(name))
			return nil
		}
	} else {
		for _, r := range name {
			if r < '0' || r > '9' || n.group > maxCount {
				p.fail(at, "bad character in group name %s", value.Repr(name))
				return nil
			}
			n.group = n.group*10 + int(r-'0')
		}
		switch {
		case n.group == 0:
			p.fail(at, "bad group number")
			return nil
		case n.group >= 1<<30:
			p.fail(at, "invalid group reference %d", n.group)
			return nil
		}
		if _, ok := p.conds[n.group]; !ok && n.group >= p.groups {
			if n.group > len(p.src) {
				p.fail(at, "invalid group reference %d", n.group)
				return nil
			}
			p.conds[n.group] = at
		}
	}
	if p.behind > 0 && (p.open[n.group] || n.group >= p.groups) {
		p.fail(p.i, "cannot refer to an open group")
	} else if p.behind > 0 && n.group >= p.behind {
		p.fail(p.i, "cannot refer to group defined in the same lookbehind subpattern")
	}
	n.add(p.sequence(&flags, false))
	if p.take('|') {
		n.add(p.sequence(&flags, false))
		if p.peek() == '|' {
			p.fail(p.i, "conditional backref with more than two branches")
		}
	}
	return p.closed(start, n)
}

// inline reads the rest of (?flags), which hold for the whole pattern, or of
// (?flags-flags:…).
func (p *parser) inline(start int, flags *Flags, c rune, first bool) *node {
	known := map[rune]Flags{'i': IgnoreCase, 'm': Multiline, 's': DotAll, 'x': Verbose, 'a': ASCII, 'u': 0, 'L': 0}
	var add, del Flags
	var types []rune
	next := func() rune {
		r := p.peek()
		p.i++
		return r
	}
	for c != '-' && c != ')' && c != ':' {
		add |= known[c]
		if c == 'L' {
			p.fail(p.i, "bad inline flags: cannot use 'L' flag with a str pattern")
			return nil
		}
		if c == 'a' || c == 'u' {
			types = append(types, c)
			if len(types) > 1 && types[0] != c {
				p.fail(p.i, "bad inline flags: flags 'a', 'u' and 'L' are incompatible")
				return nil
			}
		}
		if c = next(); c == -1 {
			p.fail(len(p.src), "missing -, : or )")
			return nil
		}
		if _, ok := known[c]; !ok && c != '-' && c != ')' && c != ':' {
			p.unknownFlag(c, "missing -, : or )")
			return nil
		}
	}
	if c == ')' {
		if !first {
			p.fail(start, "global flags not at the start of the expression")
			return nil
		}
		p.flags |= add
		*flags |= add
		return nil
	}
	if c == '-' {
		if c = next(); c == -1 {
			p.fail(len(p.src), "missing flag")
			return nil
		}
		if _, ok := known[c]; !ok {
			p.unknownFlag(c, "missing flag")
			return nil
		}
		for c != ':' {
			if c == 'a' || c == 'u' || c == 'L' {
				p.fail(p.i, "bad inline flags: cannot turn off flags 'a', 'u' and 'L'")
				return nil
			}
			del |= known[c]
			if c = next(); c == -1 {
				p.fail(len(p.src), "missing :")
				return nil
			}
			if _, ok := known[c]; !ok && c != ':' {
				p.unknownFlag(c, "missing :")
				return nil
			}
		}
	}
	if add&del != 0 {
		p.fail(p.i, "bad inline flags: flag turned on and off")
		return nil
	}
	inner := *flags
	if len(types) > 0 {
		inner &^= ASCII
	}
	inner = inner&^del | add
	return p.closed(start, p.alternatives(inner, false))
}

func (p *parser) unknownFlag(c rune, missing string) {
	if unicode.IsLetter(c) {
		missing = "unknown flag"
	}
	p.fail(p.i-1, "%s", missing)
}
