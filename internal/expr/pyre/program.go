package pyre

import "unicode/utf8"

// code is what an instruction of the backtracking machine does.
type code uint8

const (
	doMatch  code = iota // the whole pattern matched
	doReturn             // a part (look-around, atomic) matched
	doChar               // one character: r
	doSet                // one of set
	doAny                // any but newline
	doAnyNL              // any
	doJump               // to x
	doSplit              // to x, and if that fails to y
	doSave               // register n := position
	doAt                 // position r
	doRef                // the text of group n
	doRun                // min to max characters of the next instruction, then x
	doInit               // loop registers n, n+1
	doLoop               // again to x or on to y
	doLook               // sub-program at x, on to y
	doAtomic             // sub-program at x, on to y
	doCond               // to x if group n took part, else to y
)

type inst struct {
	code     code
	lazy     bool
	poss     bool
	negate   bool
	behind   bool
	flags    Flags
	r        rune
	set      *set
	n        int
	x, y     int
	min, max int // for a look-behind, min is its width
}

// program is a pattern for the backtracking machine.
type program struct {
	insts     []inst
	groups    int
	registers int
	// first is a literal that every match begins with, in UTF-8.
	first string
}

const (
	maxProgram = 1 << 16
	maxCopies  = 1 << 10
)

// assembler turns nodes into instructions.
type assembler struct {
	p      *program
	widths map[int][2]int
	err    error
}

func assemble(root *node, groups int) (*program, error) {
	a := &assembler{p: &program{groups: groups, registers: 2 * groups}, widths: map[int][2]int{}}
	root.width(a.widths) // learns the widths of all groups
	a.node(root)
	a.emit(inst{code: doMatch})
	if a.err != nil {
		return nil, a.err
	}
	for i := 0; i < len(a.p.insts) && a.p.insts[i].code == doChar; i++ {
		a.p.first += string(a.p.insts[i].r)
	}
	return a.p, nil
}

func (a *assembler) emit(i inst) int {
	if len(a.p.insts) >= maxProgram && a.err == nil {
		a.err = &Error{"pattern is too large"}
	}
	if a.err == nil {
		a.p.insts = append(a.p.insts, i)
	}
	return len(a.p.insts) - 1
}

func (a *assembler) here() int { return len(a.p.insts) }

// single returns the instruction of a node that matches exactly one character.
func single(n *node) (inst, bool) {
	switch n.op {
	case opLit:
		return inst{code: doChar, r: n.r}, true
	case opSet:
		return inst{code: doSet, set: n.set}, true
	case opAny:
		if n.flags&DotAll != 0 {
			return inst{code: doAnyNL}, true
		}
		return inst{code: doAny}, true
	case opSeq:
		if len(n.subs) == 1 {
			return single(n.subs[0])
		}
	}
	return inst{}, false
}

func (a *assembler) node(n *node) {
	if a.err != nil {
		return
	}
	if i, ok := single(n); ok {
		a.emit(i)
		return
	}
	switch n.op {
	case opSeq:
		for _, s := range n.subs {
			a.node(s)
		}
	case opAlt:
		a.alt(n.subs)
	case opRepeat:
		a.repeat(n)
	case opGroup:
		a.emit(inst{code: doSave, n: 2 * n.group})
		a.node(n.subs[0])
		a.emit(inst{code: doSave, n: 2*n.group + 1})
	case opAt:
		a.emit(inst{code: doAt, r: n.r, flags: n.flags})
	case opRef:
		a.emit(inst{code: doRef, n: n.group, flags: n.flags})
	case opAtomic:
		a.part(inst{code: doAtomic}, n.subs[0])
	case opLook:
		i := inst{code: doLook, negate: n.negate, behind: n.behind}
		if n.behind {
			lo, hi := n.subs[0].width(a.widths)
			if lo != hi {
				a.err = &Error{"look-behind requires fixed-width pattern"}
				return
			}
			i.min = lo
		}
		a.part(i, n.subs[0])
	case opCond:
		at := a.emit(inst{code: doCond, n: n.group})
		a.p.set(at, a.here(), 0)
		a.node(n.subs[0])
		if len(n.subs) < 2 {
			a.p.set(at, a.p.insts[at].x, a.here())
			return
		}
		jump := a.emit(inst{code: doJump})
		a.p.set(at, a.p.insts[at].x, a.here())
		a.node(n.subs[1])
		a.p.set(jump, a.here(), 0)
	}
}

func (p *program) set(at, x, y int) { p.insts[at].x, p.insts[at].y = x, y }

// part emits an instruction with a sub-program.
func (a *assembler) part(i inst, body *node) {
	at := a.emit(i)
	start := a.here()
	a.node(body)
	a.emit(inst{code: doReturn})
	a.p.set(at, start, a.here())
}

func (a *assembler) alt(subs []*node) {
	var jumps []int
	for i, s := range subs {
		if i == len(subs)-1 {
			a.node(s)
			break
		}
		split := a.emit(inst{code: doSplit})
		start := a.here()
		a.node(s)
		jumps = append(jumps, a.emit(inst{code: doJump}))
		a.p.set(split, start, a.here())
	}
	for _, j := range jumps {
		a.p.set(j, a.here(), 0)
	}
}

func (a *assembler) repeat(n *node) {
	body := n.subs[0]
	if one, ok := single(body); ok {
		at := a.emit(inst{code: doRun, lazy: n.lazy, poss: n.possessive, min: n.min, max: n.max})
		a.emit(one)
		a.p.set(at, a.here(), 0)
		return
	}
	if n.possessive {
		plain := *n
		plain.possessive = false
		a.part(inst{code: doAtomic}, &plain)
		return
	}
	if n.max == 1 && n.min == 0 {
		split := a.emit(inst{code: doSplit})
		start := a.here()
		a.node(body)
		if n.lazy {
			a.p.set(split, a.here(), start)
		} else {
			a.p.set(split, start, a.here())
		}
		return
	}
	if n.max == 1 && n.min == 1 {
		a.node(body)
		return
	}
	reg := a.p.registers
	a.p.registers += 2
	if a.p.registers > maxCopies*4 && a.err == nil {
		a.err = &Error{"pattern has too many loops"}
	}
	a.emit(inst{code: doInit, n: reg})
	loop := a.emit(inst{code: doLoop, n: reg, min: n.min, max: n.max, lazy: n.lazy})
	start := a.here()
	a.node(body)
	a.emit(inst{code: doJump, x: loop})
	a.p.set(loop, start, a.here())
}

// step matches one character at pos and returns its length, 0 where it differs.
func (i *inst) step(text string, pos int) int {
	if pos >= len(text) {
		return 0
	}
	r, n := rune(text[pos]), 1
	if r >= utf8.RuneSelf {
		r, n = utf8.DecodeRuneInString(text[pos:])
	}
	ok := true
	switch i.code {
	case doChar:
		ok = r == i.r
	case doSet:
		ok = i.set.has(r)
	case doAny:
		ok = r != '\n'
	}
	if !ok {
		return 0
	}
	return n
}
