package rules

import (
	"cmp"
	"math"
	"slices"

	"github.com/hayate-run/hayate"
)

// compiled is one rule, its conditions read.
type compiled struct {
	rule     *hayate.Rule
	clauses  [][]predicate // of the pattern; nil where it has none
	filters  *filter
	criteria *criteria
	typ      predicate  // that the event is of the rule's trigger
	typed    bool       // typ is set
	params   *predicate // that it carries the trigger's parameters
}

// entry is what verification needs of a rule, without a detour.
type entry struct {
	rule     *hayate.Rule
	typeHash uint64
	clauses  span  // of index.clauses, or of index.preds
	extra    int32 // filters and criteria, -1 where it has none
	flags    entryFlags
}

type entryFlags uint8

const (
	isTyped entryFlags = 1 << iota
	isBackstop
	hasPattern
	oneClause // clauses is that clause's predicates
)

// guard is a value, or a range of numbers, that the event must have for a rule
// to hold, kept where looking at it costs little: most rules that are found fail
// here.
type guard struct {
	path   pathID // noPath where there is none
	tag    uint32 // of the value's key, or rangeTag
	lo, hi float32
}

// rangeTag marks a guard that is a range.
const rangeTag = 0

// tagBits are bits of a key, never rangeTag.
func tagBits(key uint64) uint32 { return uint32(key>>32) | 1 }

// widened is a guard's bounds of a range, which may take in a little more.
func widened(a *alternative) (lo, hi float32) {
	lo, hi = float32(a.lo), float32(a.hi)
	if float64(lo) > a.lo {
		lo = math.Nextafter32(lo, float32(math.Inf(-1)))
	}
	if float64(hi) < a.hi {
		hi = math.Nextafter32(hi, float32(math.Inf(1)))
	}
	return lo, hi
}

type extra struct {
	params   *predicate
	filters  *filter
	criteria *criteria
}

// index finds the rules of a set that an event can concern. It is immutable.
type index struct {
	rules   []entry // by reference
	guards  []guard // one a rule
	clauses []span
	preds   []predicate
	extras  []extra

	table   table
	buckets []bucket
	lists   []uint32
	narrow  []secondPlace
	probes  []probe // by path
	lens    []uint16
	masks   []mask
	pieces  []pieceFilter
	ranges  []ranges
	always  uint64 // the key of what concerns every event
}

// bucket holds the rules under one key, and where to look for more of them.
type bucket struct {
	list span
	// narrow has the places of second conditions: first those that want no such
	// value, then those that want a value.
	narrow span
	absent uint32 // how many want none
}

// secondPlace is a second condition below a key: the value at a path, or, for
// keyNotText and keyNotNumber, that there is no such value.
type secondPlace struct {
	path pathID
	kind keyKind
}

// single marks a table value that is a rule, not a bucket.
const single = 1 << 31

// probe says which keys exist at a path.
type probe struct {
	kinds  uint16 // bits of keyKind
	prefix [4]span
	nets   span
	piece  int32
	ranges int32
}

func (p *probe) has(k keyKind) bool { return p.kinds>>k&1 == 1 }

// mask is a network's length, per family.
type mask struct {
	bits int16
	v6   bool
}

// longList is the length from which on a bucket is narrowed by a second condition.
const longList = 5

// builder makes an index.
type builder struct {
	w       *paths
	ix      *index
	rules   []compiled
	census  *census
	buckets map[uint64]*bucketDraft
	drafts  map[pathID]*probeDraft
	alts    map[string][]alternative
	text    []byte
}

type bucketDraft struct {
	rules  []uint32
	narrow map[secondPlace]struct{}
	home   []pathID // places already used on the way here
}

type probeDraft struct {
	kinds   uint16
	lens    [4][]uint16
	masks   []mask
	pieces  []uint32
	numbers []interval
}

// newIndex files rules, which must be in the order of their references.
func newIndex(w *paths, rules []compiled) *index {
	b := &builder{w: w, rules: rules, ix: &index{}, census: newCensus(w, 2*len(rules)),
		buckets: make(map[uint64]*bucketDraft, len(rules)), drafts: map[pathID]*probeDraft{}, alts: map[string][]alternative{}}
	b.ix.always = bitsKey(w, noPath, keyAlways, 0)
	for i := range rules {
		b.cover(&rules[i])
	}
	b.census.freeze()
	for i := range rules {
		cv := b.cover(&rules[i])
		for k := range cv.keys {
			b.file(&cv.keys[k], uint32(i))
		}
		known := make([]pathID, 0, 8)
		for k := range cv.keys {
			known = append(known, cv.keys[k].path)
		}
		g := b.guard(&rules[i], cv.keys)
		b.ix.guards = append(b.ix.guards, g)
		b.entry(&rules[i], append(known, g.path))
	}
	b.narrow()
	b.freeze()
	return b.ix
}

// entry lays a rule's conditions out for verification. known are the places
// that the keys have looked at: they are looked at again last.
func (b *builder) entry(r *compiled, known []pathID) {
	ix := b.ix
	e := entry{rule: r.rule, extra: -1}
	if r.typed {
		e.typeHash = b.w.hashText(bytesOf(r.rule.Trigger.Type))
		e.flags |= isTyped
	}
	if r.rule.Kind == hayate.KindBackstop {
		e.flags |= isBackstop
	}
	if r.clauses != nil {
		e.flags |= hasPattern
		e.clauses = span{uint32(len(ix.clauses)), uint32(len(r.clauses))}
		for _, c := range r.clauses {
			price := func(p *predicate) int {
				n := p.price()
				if slices.Contains(known, p.path) {
					n += 30
				}
				return n
			}
			slices.SortStableFunc(c, func(x, y predicate) int { return cmp.Compare(price(&x), price(&y)) })
			sp := span{uint32(len(ix.preds)), uint32(len(c))}
			if len(r.clauses) == 1 {
				e.clauses = sp
				e.flags |= oneClause
			} else {
				ix.clauses = append(ix.clauses, sp)
			}
			for _, p := range c {
				p.alts = b.shared(p.alts)
				ix.preds = append(ix.preds, p)
			}
		}
	}
	if r.params != nil || r.filters != nil || r.criteria != nil {
		e.extra = int32(len(ix.extras))
		ix.extras = append(ix.extras, extra{r.params, r.filters, r.criteria})
	}
	ix.rules = append(ix.rules, e)
}

// shared returns the same memory for equal alternatives: many rules name the
// same few values, which then stay in the cache.
func (b *builder) shared(alts []alternative) []alternative {
	b.text = b.text[:0]
	for i := range alts {
		b.text = append(alts[i].appendJSON(b.text), byte(alts[i].op))
	}
	if s, ok := b.alts[string(b.text)]; ok {
		return s
	}
	alts = slices.Clip(alts)
	b.alts[string(b.text)] = alts
	return alts
}

// price orders predicates: the cheap ones that fail often first.
func (p *predicate) price() int {
	n := len(p.alts)
	for i := range p.alts {
		switch p.alts[i].op {
		case opExists, opNot:
			n += 40
		case opAbsent:
			n += 60
		case opFold, opPrefixFold, opSuffixFold, opWildcard, opContains, opCIDR, opIP:
			n += 20
		case opRange:
			n += 10
		}
	}
	return n
}

// cover chooses the keys of a rule.
func (b *builder) cover(r *compiled) cover {
	c := b.census
	var best cover
	if r.clauses != nil {
		all := cover{ok: true}
		for i := range r.clauses {
			all = both(all, c.clause(r.clauses[i]))
		}
		best = cheaper(best, all)
	}
	if r.filters != nil {
		best = cheaper(best, r.filters.cover(c))
	}
	if r.criteria != nil {
		best = cheaper(best, r.criteria.cover(c))
	}
	if r.params != nil {
		best = cheaper(best, c.predicate(r.params))
	}
	if r.typed {
		best = cheaper(best, c.predicate(&r.typ))
	}
	if !best.ok {
		best = cover{keys: []key{{kind: keyAlways, path: noPath}}}
	}
	return best
}

// draft is what a map has at a key; what is not there yet is made.
func draft[K comparable, T any](m map[K]*T, k K) *T {
	d := m[k]
	if d == nil {
		d = new(T)
		m[k] = d
	}
	return d
}

func (b *builder) bucket(h uint64) *bucketDraft { return draft(b.buckets, h) }

func (b *builder) probe(p pathID) *probeDraft { return draft(b.drafts, p) }

// file puts a rule under a key.
func (b *builder) file(k *key, rule uint32) {
	switch k.kind {
	case keyAlways:
		d := b.bucket(b.ix.always)
		d.rules = append(d.rules, rule)
		return
	case keyNotText, keyNotNumber:
		top := b.ix.always
		if r := &b.rules[rule]; r.typed {
			tk := key{kind: keyString, path: r.typ.path, text: r.rule.Trigger.Type}
			top = tk.hash(b.w)
			b.probe(tk.path).kinds |= 1 << keyString
		}
		b.below(top, secondPlace{k.path, k.kind}, k.hash(b.w), rule, noPath)
		return
	}
	d := b.probe(k.path)
	d.kinds |= 1 << k.kind
	switch k.kind {
	case keyPrefix, keySuffix, keyFoldPrefix, keyFoldSuffix:
		i := k.kind - keyPrefix
		n := uint16(min(len(k.text), 1<<15))
		k.text = k.text[:n]
		if at, ok := slices.BinarySearch(d.lens[i], n); !ok {
			d.lens[i] = slices.Insert(d.lens[i], at, n)
		}
	case keyPiece:
		d.pieces = append(d.pieces, pieceOf(k.text))
	case keyNetwork:
		m := mask{int16(k.alt.net.Bits()), k.alt.net.Addr().Is6()}
		if !slices.Contains(d.masks, m) {
			d.masks = append(d.masks, m)
		}
	case keyRange:
		a := k.alt
		d.numbers = append(d.numbers, interval{a.lo, a.hi, a.loOpen, a.hiOpen, rule})
		return
	}
	bd := b.bucket(k.hash(b.w))
	if n := len(bd.rules); n == 0 || bd.rules[n-1] != rule {
		bd.rules = append(bd.rules, rule)
	}
	bd.home = append(bd.home[:0], k.path)
}

// below files a rule under a second condition below a key.
func (b *builder) below(top uint64, p secondPlace, second uint64, rule uint32, home pathID) uint64 {
	d := b.bucket(top)
	if d.narrow == nil {
		d.narrow = map[secondPlace]struct{}{}
	}
	d.narrow[p] = struct{}{}
	h := under(top, second)
	n := b.bucket(h)
	if m := len(n.rules); m == 0 || n.rules[m-1] != rule {
		n.rules = append(n.rules, rule)
	}
	n.home = append(append(n.home[:0], d.home...), p.path)
	return h
}

// maxNarrow bounds how many conditions below each other narrow a list.
const maxNarrow = 3

// narrow splits long lists by second conditions.
func (b *builder) narrow() {
	var long []uint64
	for h, d := range b.buckets {
		if len(d.rules) > longList {
			long = append(long, h)
		}
	}
	slices.Sort(long)
	for len(long) > 0 {
		h := long[len(long)-1]
		long = long[:len(long)-1]
		d := b.buckets[h]
		if len(d.home) >= maxNarrow {
			continue
		}
		rules := d.rules
		d.rules = nil
		for _, r := range rules {
			cv := b.second(&b.rules[r], d.home, 8, func(k keyKind) bool { return k <= keyLiteral || k == keyNotText || k == keyNotNumber })
			if !cv.ok {
				d.rules = append(d.rules, r)
				continue
			}
			for k := range cv.keys {
				x := &cv.keys[k]
				p := secondPlace{x.path, x.kind}
				if p.kind < keyNotText {
					p.kind = keyString // the value itself, whatever its kind
				}
				n := b.below(h, p, x.hash(b.w), r, x.path)
				if len(b.buckets[n].rules) == longList+1 {
					long = append(long, n)
				}
			}
		}
	}
}

// guard chooses the guard of a rule that is filed under keys.
func (b *builder) guard(r *compiled, keys []key) guard {
	home := make([]pathID, 0, len(keys))
	for i := range keys {
		if k := &keys[i]; k.kind == keyNotText || k.kind == keyNotNumber {
			return guard{path: noPath}
		}
		home = append(home, keys[i].path)
	}
	cv := b.second(r, home, 1, func(k keyKind) bool { return k <= keyLiteral || k == keyRange })
	if !cv.ok {
		return guard{path: noPath}
	}
	k := &cv.keys[0]
	if k.kind == keyRange {
		lo, hi := widened(k.alt)
		return guard{k.path, rangeTag, lo, hi}
	}
	return guard{path: k.path, tag: tagBits(k.hash(b.w))}
}

// second chooses a condition that narrows a list of rules that have those at
// home in common, with at most so many keys, of certain kinds.
func (b *builder) second(r *compiled, home []pathID, most int, fit func(keyKind) bool) cover {
	var best cover
	try := func(cv cover) {
		if !cv.ok || len(cv.keys) > most || len(cv.keys) == 0 {
			return
		}
		for i := range cv.keys {
			k := &cv.keys[i]
			if !fit(k.kind) || slices.Contains(home, k.path) {
				return
			}
		}
		best = cheaper(best, cv)
	}
	if len(r.clauses) == 1 {
		for i := range r.clauses[0] {
			try(b.census.predicate(&r.clauses[0][i]))
		}
	}
	if r.filters != nil {
		r.filters.each(b.census, try)
	}
	if r.criteria != nil {
		r.criteria.each(b.census, try)
	}
	if r.params != nil {
		try(b.census.predicate(r.params))
	}
	if r.typed {
		try(b.census.predicate(&r.typ))
	}
	if best.cost > 0.5 {
		return cover{}
	}
	return best
}

// freeze lays the drafts out flat.
func (b *builder) freeze() {
	ix := b.ix
	keys := make([]uint64, 0, len(b.buckets))
	for h := range b.buckets {
		keys = append(keys, h)
	}
	slices.Sort(keys)
	ix.table = newTable(len(keys))
	for _, h := range keys {
		d := b.buckets[h]
		if len(d.rules) == 1 && len(d.narrow) == 0 {
			ix.table.put(h, d.rules[0]|single)
			continue
		}
		ix.table.put(h, uint32(len(ix.buckets)))
		bk := bucket{list: span{uint32(len(ix.lists)), uint32(len(d.rules))}, narrow: span{uint32(len(ix.narrow)), uint32(len(d.narrow))}}
		for p := range d.narrow {
			if p.kind != keyString {
				bk.absent++
			}
			ix.narrow = append(ix.narrow, p)
		}
		slices.SortFunc(ix.narrow[bk.narrow.lo:], func(x, y secondPlace) int {
			return cmp.Or(-cmp.Compare(x.kind, y.kind), cmp.Compare(x.path, y.path))
		})
		ix.buckets = append(ix.buckets, bk)
		ix.lists = append(ix.lists, d.rules...)
	}
	ix.probes = make([]probe, b.w.size())
	for p, d := range b.drafts {
		pr := probe{kinds: d.kinds, piece: -1, ranges: -1}
		for i := range d.lens {
			pr.prefix[i] = span{uint32(len(ix.lens)), uint32(len(d.lens[i]))}
			ix.lens = append(ix.lens, d.lens[i]...)
		}
		pr.nets = span{uint32(len(ix.masks)), uint32(len(d.masks))}
		ix.masks = append(ix.masks, d.masks...)
		if len(d.pieces) > 0 {
			f := newPieceFilter(len(d.pieces))
			for _, s := range d.pieces {
				f.add(s)
			}
			pr.piece = int32(len(ix.pieces))
			ix.pieces = append(ix.pieces, f)
		}
		if len(d.numbers) > 0 {
			var bounds []float64
			for i := range d.numbers {
				bounds = append(bounds, d.numbers[i].lo, d.numbers[i].hi)
			}
			slices.Sort(bounds)
			pr.ranges = int32(len(ix.ranges))
			ix.ranges = append(ix.ranges, newRanges(d.numbers, slices.Compact(bounds)))
		}
		ix.probes[p] = pr
	}
	ix.preds, ix.rules, ix.lists = slices.Clip(ix.preds), slices.Clip(ix.rules), slices.Clip(ix.lists)
}
