package pyre

import (
	"strings"
	"unicode/utf8"
)

// maxStack bounds the machine's memory, in entries.
const maxStack = 1 << 20

// entry is one thing to do on the way back: try again at an instruction, try a
// run with one character less or more, or restore a register.
type entry struct {
	kind uint8
	pc   int32 // the instruction, or the register
	pos  int
	aux  int
}

const (
	tryAgain     uint8 = iota
	shorten            // a greedy run: aux is the least position
	lengthen           // a lazy run: aux is how many more are allowed, -1 for any
	restore            // pos is the value
	lengthenLoop       // a lazy loop that takes one more turn
)

// machine matches one text at a time.
type machine struct {
	prog  *program
	text  string
	regs  []int
	stack []entry
	steps int
	how   mode
	// avoid is a position where the whole match must not end: the one it would
	// begin at, since a search goes from left to right.
	avoid int
}

func (m *machine) reset(text string) {
	m.text = text
	if len(m.regs) != m.prog.registers {
		m.regs = make([]int, m.prog.registers)
	}
	m.steps = stepBase + stepsPerByte*min(len(text), 1<<24)
}

// release drops what a pooled machine must not hold on to.
func (m *machine) release() {
	m.text = ""
	if cap(m.stack) > 1<<14 {
		m.stack = nil
	}
}

// spans copies the groups of the last match.
func (m *machine) spans() []int { return append([]int(nil), m.regs[:2*m.prog.groups]...) }

// find looks for a match that begins at from or, by mode, behind it.
func (m *machine) find(from int, how mode, avoid int) (bool, error) {
	m.how, m.avoid = how, avoid
	for at := from; ; {
		if how == anywhere && m.prog.first != "" {
			i := strings.Index(m.text[at:], m.prog.first)
			if i < 0 {
				return false, nil
			}
			at += i
		}
		for i := range m.regs {
			m.regs[i] = -1
		}
		m.stack = m.stack[:0]
		end, ok, err := m.run(0, at)
		if err != nil {
			return false, err
		}
		if ok {
			m.regs[0], m.regs[1] = at, end
			return true, nil
		}
		if how != anywhere || at >= len(m.text) {
			return false, nil
		}
		at += runeLen(m.text, at)
	}
}

func runeLen(s string, i int) int {
	if s[i] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return n
}

func (m *machine) push(e entry) { m.stack = append(m.stack, e) }

// save sets a register so that the way back restores it.
func (m *machine) save(reg, v int) {
	m.push(entry{kind: restore, pc: int32(reg), pos: m.regs[reg]})
	m.regs[reg] = v
}

// run executes from pc at pos until the program or the part ends, or until every
// way that began here has failed.
func (m *machine) run(pc, pos int) (int, bool, error) {
	base := len(m.stack)
	for {
		m.steps--
		if m.steps < 0 || len(m.stack) > maxStack {
			return 0, false, ErrSteps
		}
		in := &m.prog.insts[pc]
		ok := true
		switch in.code {
		case doMatch:
			if ok = (m.how != whole || pos == len(m.text)) && pos != m.avoid; ok {
				return pos, true, nil
			}
		case doReturn:
			m.keep(base)
			return pos, true, nil
		case doChar, doSet, doAny, doAnyNL:
			n := in.step(m.text, pos)
			if ok = n > 0; ok {
				pos += n
				pc++
			}
		case doJump:
			pc = in.x
		case doSplit:
			m.push(entry{pc: int32(in.y), pos: pos})
			pc = in.x
		case doSave:
			m.save(in.n, pos)
			pc++
		case doAt:
			ok = m.at(in, pos)
			pc++
		case doRef:
			pos, ok = m.ref(in, pos)
			pc++
		case doRun:
			pos, ok = m.characters(pc, in, pos)
			pc = in.x
		case doInit:
			m.save(in.n, 0)
			m.save(in.n+1, -1)
			pc++
		case doLoop:
			pc = m.loop(in, pos)
		case doLook, doAtomic:
			var err error
			if pos, ok, err = m.part(in, pos); err != nil {
				return 0, false, err
			}
			pc = in.y
		case doCond:
			pc = in.y
			if m.regs[2*in.n+1] >= 0 {
				pc = in.x
			}
		}
		if !ok {
			if pc, pos, ok = m.back(base); !ok {
				return 0, false, nil
			}
		}
	}
}

// loop decides what follows one turn of a loop, as Python does: a turn that
// matched nothing ends it, once the least number of turns is reached.
func (m *machine) loop(in *inst, pos int) int {
	count, last := m.regs[in.n], m.regs[in.n+1]
	if count < in.min {
		m.save(in.n, count+1)
		return in.x
	}
	if (in.max != unlimited && count >= in.max) || pos == last {
		return in.y
	}
	if in.lazy {
		m.push(entry{kind: lengthenLoop, pc: int32(in.x - 1), pos: pos})
		return in.y
	}
	m.push(entry{pc: int32(in.y), pos: pos})
	m.save(in.n, count+1)
	m.save(in.n+1, pos)
	return in.x
}

// back undoes the last steps down to the last choice above base and takes its
// other way.
func (m *machine) back(base int) (pc, pos int, ok bool) {
	for len(m.stack) > base {
		e := &m.stack[len(m.stack)-1]
		switch e.kind {
		case restore:
			m.regs[e.pc] = e.pos
		case tryAgain:
			pc, pos = int(e.pc), e.pos
			m.stack = m.stack[:len(m.stack)-1]
			return pc, pos, true
		case shorten:
			run := &m.prog.insts[e.pc]
			if e.pos > e.aux {
				_, n := utf8.DecodeLastRuneInString(m.text[:e.pos])
				e.pos -= n
				pos = e.pos
				if pos == e.aux {
					m.stack = m.stack[:len(m.stack)-1]
				}
				return run.x, pos, true
			}
		case lengthen:
			run := &m.prog.insts[e.pc]
			n := m.prog.insts[e.pc+1].step(m.text, e.pos)
			if n > 0 && e.aux != 0 {
				e.pos += n
				e.aux--
				return run.x, e.pos, true
			}
		case lengthenLoop:
			in := &m.prog.insts[e.pc]
			pos = e.pos
			m.stack = m.stack[:len(m.stack)-1]
			m.save(in.n, m.regs[in.n]+1)
			m.save(in.n+1, pos)
			return in.x, pos, true
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
	return 0, 0, false
}

// characters matches a run of one kind of character.
func (m *machine) characters(pc int, in *inst, pos int) (int, bool) {
	one := &m.prog.insts[pc+1]
	count := 0
	for count < in.min {
		n := one.step(m.text, pos)
		if n == 0 {
			return pos, false
		}
		pos += n
		count++
	}
	m.steps -= count / 8
	if in.lazy {
		if in.max == unlimited || count < in.max {
			m.push(entry{kind: lengthen, pc: int32(pc), pos: pos, aux: in.max - count})
		}
		return pos, true
	}
	least, before := pos, count
	for in.max == unlimited || count < in.max {
		n := one.step(m.text, pos)
		if n == 0 {
			break
		}
		pos += n
		count++
	}
	m.steps -= (count - before) / 8
	if pos > least && !in.poss {
		m.push(entry{kind: shorten, pc: int32(pc), pos: pos, aux: least})
	}
	return pos, true
}

// part runs a look-around or an atomic group.
func (m *machine) part(in *inst, pos int) (int, bool, error) {
	at := pos
	if in.behind {
		for range in.min {
			if at == 0 {
				return pos, in.negate, nil
			}
			_, n := utf8.DecodeLastRuneInString(m.text[:at])
			at -= n
		}
	}
	base := len(m.stack)
	end, ok, err := m.run(in.x, at)
	if err != nil || in.code == doAtomic {
		return end, ok, err
	}
	if in.negate {
		if ok {
			for len(m.stack) > base {
				if e := m.stack[len(m.stack)-1]; e.kind == restore {
					m.regs[e.pc] = e.pos
				}
				m.stack = m.stack[:len(m.stack)-1]
			}
		}
		return pos, !ok, nil
	}
	return pos, ok, nil
}

// keep drops the choices above base, but not what restores registers.
func (m *machine) keep(base int) {
	out := m.stack[:base]
	for _, e := range m.stack[base:] {
		if e.kind == restore {
			out = append(out, e)
		}
	}
	m.stack = out
}

// ref matches the text of a group again.
func (m *machine) ref(in *inst, pos int) (int, bool) {
	s, e := m.regs[2*in.n], m.regs[2*in.n+1]
	if s < 0 || e < s {
		return pos, false
	}
	want := m.text[s:e]
	m.steps -= len(want) / 8
	if in.flags&IgnoreCase == 0 {
		return pos + len(want), strings.HasPrefix(m.text[pos:], want)
	}
	for _, w := range want {
		if pos >= len(m.text) {
			return pos, false
		}
		r, n := utf8.DecodeRuneInString(m.text[pos:])
		if !sameFold(w, r, in.flags) {
			return pos, false
		}
		pos += n
	}
	return pos, true
}

// at says whether a position is of the kind asked for.
func (m *machine) at(in *inst, pos int) bool {
	switch in.r {
	case atBegin:
		return pos == 0
	case atLine:
		return pos == 0 || m.text[pos-1] == '\n'
	case atEndLine:
		return pos == len(m.text) || m.text[pos] == '\n'
	case atEnd:
		return pos == len(m.text) || pos == len(m.text)-1 && m.text[pos] == '\n'
	case atVeryEnd:
		return pos == len(m.text)
	}
	before, after := false, false
	ascii := in.flags&ASCII != 0
	if pos > 0 {
		r, _ := utf8.DecodeLastRuneInString(m.text[:pos])
		before = inCategory('w', r, ascii)
	}
	if pos < len(m.text) {
		r, _ := utf8.DecodeRuneInString(m.text[pos:])
		after = inCategory('w', r, ascii)
	}
	// Python's \B does not match in the empty text (until 3.14).
	if in.r == atNotWord {
		return len(m.text) > 0 && before == after
	}
	return before != after
}
