package rules

import "math/bits"

// table maps 64-bit keys to values by open addressing. The keys are hashes of
// what is filed under them; two things with one hash only cost a verification
// more. It is immutable once built.
type table struct {
	tags []uint8 // 0 is free; a miss touches this only
	keys []uint64
	vals []uint32
}

func newTable(n int) table {
	size := 8
	for size*3 < n*4 {
		size *= 2
	}
	return table{make([]uint8, size), make([]uint64, size), make([]uint32, size)}
}

func tagOf(key uint64) uint8 { return uint8(key>>56) | 1 }

// put stores a value under a key that is not there.
func (t *table) put(key uint64, val uint32) {
	mask := uint64(len(t.tags) - 1)
	i := key & mask
	for t.tags[i] != 0 {
		i = (i + 1) & mask
	}
	t.tags[i], t.keys[i], t.vals[i] = tagOf(key), key, val
}

func (t *table) get(key uint64) (uint32, bool) {
	if len(t.tags) == 0 {
		return 0, false
	}
	mask := uint64(len(t.tags) - 1)
	tag := tagOf(key)
	for i := key & mask; ; i = (i + 1) & mask {
		switch t.tags[i] {
		case 0:
			return 0, false
		case tag:
			if t.keys[i] == key {
				return t.vals[i], true
			}
		}
	}
}

// mix spreads the bits of a key.
func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo
}

// under makes the key of a second condition below a first one.
func under(first, second uint64) uint64 { return mix(bits.RotateLeft64(first, 23) ^ second) }

// spans is a run of a shared slice.
type span struct{ lo, n uint32 }

// ranges files rules under intervals of numbers: a segment tree over the
// elementary intervals, so that overlapping ranges take n log n and a look-up
// takes log n and what it finds.
type ranges struct {
	bounds []float64 // sorted
	leaves int       // a power of two
	nodes  []span    // of ids
	ids    []uint32
}

// interval is a range under construction.
type interval struct {
	lo, hi         float64
	loOpen, hiOpen bool
	rule           uint32
}

// segment is the elementary interval of a number: 2i+1 is bounds[i] itself, 2i
// what lies before it.
func (r *ranges) segment(x float64) int {
	lo, hi := 0, len(r.bounds)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r.bounds[mid] < x {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(r.bounds) && r.bounds[lo] == x {
		return 2*lo + 1
	}
	return 2 * lo
}

func newRanges(in []interval, bounds []float64) ranges {
	r := ranges{bounds: bounds, leaves: 1}
	for r.leaves < 2*len(bounds)+1 {
		r.leaves *= 2
	}
	nodes := make([][]uint32, 2*r.leaves)
	for _, iv := range in {
		a, b := r.segment(iv.lo), r.segment(iv.hi)+1
		if iv.loOpen {
			a++
		}
		if iv.hiOpen {
			b--
		}
		for a, b = a+r.leaves, b+r.leaves; a < b; a, b = a/2, b/2 {
			if a&1 == 1 {
				nodes[a] = append(nodes[a], iv.rule)
				a++
			}
			if b&1 == 1 {
				b--
				nodes[b] = append(nodes[b], iv.rule)
			}
		}
	}
	r.nodes = make([]span, len(nodes))
	for i, ids := range nodes {
		r.nodes[i] = span{uint32(len(r.ids)), uint32(len(ids))}
		r.ids = append(r.ids, ids...)
	}
	return r
}

// find appends the rules whose range holds x.
func (r *ranges) find(dst []uint32, x float64) []uint32 {
	if x != x {
		return dst
	}
	for i := r.segment(x) + r.leaves; i > 0; i /= 2 {
		s := r.nodes[i]
		dst = append(dst, r.ids[s.lo:s.lo+s.n]...)
	}
	return dst
}

// pieceFilter says quickly that a four-byte piece is no key.
type pieceFilter struct {
	bits  []uint64
	shift uint8
}

func newPieceFilter(n int) pieceFilter {
	size := 64
	for size < 16*n && size < 1<<16 {
		size *= 2
	}
	return pieceFilter{make([]uint64, size/64), uint8(32 - bits.Len(uint(size-1)))}
}

func (p *pieceFilter) slot(piece uint32) uint32 { return piece * 0x9e3779b1 >> p.shift }

func (p *pieceFilter) add(piece uint32) {
	i := p.slot(piece)
	p.bits[i/64] |= 1 << (i % 64)
}

func (p *pieceFilter) has(piece uint32) bool {
	i := p.slot(piece)
	return p.bits[i/64]>>(i%64)&1 == 1
}
