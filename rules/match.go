package rules

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/hayate-run/hayate"
)

// Match is a rule that an event concerns: it matched, or it could not be
// evaluated, or it needs datastore values first.
type Match struct {
	// Rule is the rule, or a further condition of one, which its Part names.
	Rule *hayate.Rule
	// Err says that a criterion could not be evaluated. As in StackStorm that is
	// no match, but a failed firing that is recorded with this reason.
	Err error
	// Need names datastore keys ("system.a.b") without which the rule cannot be
	// decided. Other fields say nothing then: ask again with the values.
	Need []string
}

// Scratch is the memory that matching reuses from event to event. It serves one
// goroutine at a time; what Match returns is valid until its next use.
type Scratch struct {
	view  view
	eval  evaluation
	found []uint32
	backs []backstop
	out   []Match
}

// backstop is a rule that waits for the verdict on all others.
type backstop struct {
	ix   *index
	rule uint32
}

// NewScratch returns a Scratch of its own for a goroutine.
func NewScratch() *Scratch { return &Scratch{} }

// Match returns the rules that the event satisfies, in the order of their
// references, among them those that could not be evaluated. values holds the
// datastore values fetched so far, by key; it may be nil. A backstop rule is
// considered only where no standard rule of its trigger matched.
//
// Match may be called by many goroutines at once, each with a Scratch of its
// own. The event's data must be valid JSON where its content type says so.
func (s *Set) Match(sc *Scratch, e *hayate.Event, values map[string]string) []Match {
	clear(sc.out)
	sc.out, sc.backs = sc.out[:0], sc.backs[:0]
	v := &sc.view
	v.read(s.paths, e)
	sc.eval.begin(v, values)
	typeHash := s.paths.hashText(bytesOf(e.Type))
	for i := range s.levels {
		l := &s.levels[i]
		sc.found = sc.found[:0]
		l.ix.search(sc)
		sc.verify(l, typeHash)
	}
	if len(sc.backs) > 0 {
		sc.backstops()
	}
	if len(s.levels) > 1 || len(sc.backs) > 0 {
		slices.SortFunc(sc.out, func(a, b Match) int { return compareRules(a.Rule, b.Rule) })
	}
	v.release()
	return sc.out
}

// search appends the rules that the event's values lead to, some of them twice.
func (ix *index) search(sc *Scratch) {
	v := &sc.view
	ix.hit(sc, ix.always)
	for i := range v.fields {
		f := &v.fields[i]
		if int(f.path) >= len(ix.probes) {
			continue
		}
		p := &ix.probes[f.path]
		if p.kinds == 0 {
			continue
		}
		if p.has(keyPresent) {
			ix.hit(sc, bitsKey(v.w, f.path, keyPresent, 0))
		}
		switch f.kind {
		case kindString:
			ix.text(sc, p, f)
		case kindNumber:
			if p.has(keyNumber) {
				ix.hit(sc, v.valueKey(f))
			}
			if p.ranges >= 0 {
				sc.found = ix.ranges[p.ranges].find(sc.found, f.number())
			}
		case kindNull, kindTrue, kindFalse:
			if p.has(keyLiteral) {
				ix.hit(sc, v.valueKey(f))
			}
		}
	}
}

// valueKey is the key of a scalar as it stands.
func (v *view) valueKey(f *field) uint64 {
	switch f.kind {
	case kindString:
		if f.flags&hashed == 0 {
			f.hash = textKey(v.w, f.path, keyString, f.val)
			f.flags |= hashed
		}
		return f.hash
	case kindNumber:
		return bitsKey(v.w, f.path, keyNumber, numberBits(f.number()))
	}
	return bitsKey(v.w, f.path, keyLiteral, uint64(f.kind))
}

const (
	affixKinds = 1<<keyPrefix | 1<<keySuffix | 1<<keyFoldPrefix | 1<<keyFoldSuffix
	foldKinds  = 1<<keyFold | 1<<keyFoldPrefix | 1<<keyFoldSuffix
	netKinds   = 1<<keyAddress | 1<<keyNetwork
)

// text looks a string up in every way that rules ask of its place.
func (ix *index) text(sc *Scratch, p *probe, f *field) {
	v := &sc.view
	if p.has(keyString) {
		ix.hit(sc, v.valueKey(f))
	}
	if p.kinds&(affixKinds|foldKinds) != 0 {
		ix.affixes(sc, p, f.path, f.val, keyPrefix)
		if p.kinds&foldKinds != 0 {
			t := v.folded(f.val)
			if p.has(keyFold) {
				ix.hit(sc, textKey(v.w, f.path, keyFold, t))
			}
			ix.affixes(sc, p, f.path, t, keyFoldPrefix)
		}
	}
	if p.piece >= 0 && len(f.val) >= pieceSize {
		ix.scan(sc, &ix.pieces[p.piece], f)
	}
	if p.kinds&netKinds != 0 {
		if addr, ok := parseAddress(f.val); ok {
			ix.address(sc, p, f.path, addr)
		}
	}
}

// affixes looks up the beginnings and ends of a text, of each length in use.
func (ix *index) affixes(sc *Scratch, p *probe, path pathID, t []byte, first keyKind) {
	v := &sc.view
	for i := range 2 {
		k := first + keyKind(i)
		s := p.prefix[k-keyPrefix]
		for _, n := range ix.lens[s.lo : s.lo+s.n] {
			if int(n) > len(t) {
				break
			}
			part := t[:n]
			if i == 1 {
				part = t[len(t)-int(n):]
			}
			ix.hit(sc, textKey(v.w, path, k, part))
		}
	}
}

// scan looks up every four-byte piece of a text.
func (ix *index) scan(sc *Scratch, pf *pieceFilter, f *field) {
	t := f.val
	for i := 0; i+pieceSize <= len(t); i++ {
		piece := binary.LittleEndian.Uint32(t[i:])
		if pf.has(piece) {
			ix.hit(sc, bitsKey(sc.view.w, f.path, keyPiece, uint64(piece)))
		}
	}
}

func (ix *index) address(sc *Scratch, p *probe, path pathID, addr netip.Addr) {
	w := sc.view.w
	if p.has(keyAddress) {
		ix.hit(sc, networkKey(w, path, netip.PrefixFrom(addr, addr.BitLen())))
	}
	for _, m := range ix.masks[p.nets.lo : p.nets.lo+p.nets.n] {
		if m.v6 != addr.Is6() {
			continue
		}
		if n, err := addr.Prefix(int(m.bits)); err == nil {
			ix.hit(sc, networkKey(w, path, n))
		}
	}
}

// hit collects the rules under a key, and under second conditions below it.
func (ix *index) hit(sc *Scratch, h uint64) {
	val, ok := ix.table.get(h)
	if !ok {
		return
	}
	if val&single != 0 {
		sc.found = append(sc.found, val&^single)
		return
	}
	b := &ix.buckets[val]
	sc.found = append(sc.found, ix.lists[b.list.lo:b.list.lo+b.list.n]...)
	v := &sc.view
	narrow := ix.narrow[b.narrow.lo : b.narrow.lo+b.narrow.n]
	for _, n := range narrow[:b.absent] {
		if !v.hasPlain(n.path, n.kind) {
			ix.hit(sc, under(h, bitsKey(v.w, n.path, n.kind, 0)))
		}
	}
	if narrow = narrow[b.absent:]; len(narrow) > len(v.fields) {
		// More places than values: go by the values.
		for i := range v.fields {
			if f := &v.fields[i]; f.kind < kindArray {
				ix.hit(sc, under(h, v.valueKey(f)))
			}
		}
		return
	}
	for _, n := range narrow {
		for i := v.first(n.path); i >= 0; i = v.fields[i].next {
			if f := &v.fields[i]; f.kind < kindArray {
				ix.hit(sc, under(h, v.valueKey(f)))
			}
		}
	}
}

// hasPlain says whether the place, reached through objects only, holds a string
// (keyNotText) or a number (keyNotNumber).
func (v *view) hasPlain(p pathID, k keyKind) bool {
	want := kindString
	if k == keyNotNumber {
		want = kindNumber
	}
	if v.twice {
		return false
	}
	f := v.plain(p)
	return f != nil && f.kind == want
}

// plain returns the value at a place that is reached through objects only.
func (v *view) plain(p pathID) *field {
	for i := v.first(p); i >= 0; i = v.fields[i].next {
		if f := &v.fields[i]; f.flags&inArray == 0 {
			return f
		}
	}
	return nil
}

// verify keeps those of the rules found that the event satisfies.
func (sc *Scratch) verify(l *level, typeHash uint64) {
	found := sc.found
	switch n := len(found); {
	case n > 24:
		slices.Sort(found)
	default:
		for i := 1; i < n; i++ {
			for k := i; k > 0 && found[k] < found[k-1]; k-- {
				found[k], found[k-1] = found[k-1], found[k]
			}
		}
	}
	last := uint32(single)
	for _, r := range found {
		if r == last || l.dead.has(r) {
			continue
		}
		last = r
		if g := l.ix.guards[r]; g.path != noPath && !sc.view.passes(g) {
			continue
		}
		e := &l.ix.rules[r]
		if e.flags&isTyped != 0 && e.typeHash != typeHash {
			continue
		}
		if e.flags&isBackstop != 0 {
			sc.backs = append(sc.backs, backstop{l.ix, r})
			continue
		}
		sc.check(l.ix, e)
	}
}

// passes says whether a value at the guard's place may be the one it wants.
func (v *view) passes(g guard) bool {
	if v.first(g.path) >= 0 && v.heads[g.path].n >= many {
		return true // looking costs more than it saves
	}
	for i := v.first(g.path); i >= 0; i = v.fields[i].next {
		f := &v.fields[i]
		switch {
		case g.tag == rangeTag:
			if f.kind == kindNumber {
				if x := f.number(); x >= float64(g.lo) && x <= float64(g.hi) {
					return true
				}
			}
		case f.kind < kindArray && tagBits(v.valueKey(f)) == g.tag:
			return true
		}
	}
	return false
}

// check decides one rule.
func (sc *Scratch) check(ix *index, e *entry) {
	v := &sc.view
	if e.flags&hasPattern != 0 && !ix.patternHolds(v, e) {
		return
	}
	if e.flags&isTyped != 0 && e.rule.Trigger.Type != v.event.Type {
		return
	}
	if e.extra < 0 {
		sc.out = append(sc.out, Match{Rule: e.rule})
		return
	}
	x := &ix.extras[e.extra]
	if x.params != nil && !v.any(x.params) {
		return
	}
	if x.filters != nil && !x.filters.holds(v) {
		return
	}
	if x.criteria == nil {
		sc.out = append(sc.out, Match{Rule: e.rule})
		return
	}
	ok, err := x.criteria.hold(&sc.eval)
	switch {
	case err != nil:
		sc.out = append(sc.out, undecided(e.rule, err))
	case ok:
		sc.out = append(sc.out, Match{Rule: e.rule})
	}
}

// undecided is the Match of a rule that could not be evaluated.
func undecided(r *hayate.Rule, err error) Match {
	var need needError
	if errors.As(err, &need) {
		return Match{Rule: r, Need: need.keys}
	}
	return Match{Rule: r, Err: err}
}

func (ix *index) patternHolds(v *view, e *entry) bool {
	if !v.object {
		return false
	}
	if e.flags&oneClause != 0 {
		return v.satisfies(ix.preds[e.clauses.lo : e.clauses.lo+e.clauses.n])
	}
	for _, c := range ix.clauses[e.clauses.lo : e.clauses.lo+e.clauses.n] {
		if v.satisfies(ix.preds[c.lo : c.lo+c.n]) {
			return true
		}
	}
	return false
}

// backstops decides the backstop rules, given what all others came to. While a
// standard rule of the trigger needs datastore values, its backstops wait.
func (sc *Scratch) backstops() {
	standard := len(sc.out)
	for _, b := range sc.backs {
		e := &b.ix.rules[b.rule]
		taken := false
		for i := range sc.out[:standard] {
			m := &sc.out[i]
			if m.Err == nil && m.Rule.Part == "" && m.Rule.Mode != hayate.ModeShadow && m.Rule.Trigger.Type == e.rule.Trigger.Type {
				taken = true
				break
			}
		}
		if !taken {
			sc.check(b.ix, e)
		}
	}
}
