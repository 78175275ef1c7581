package rules

import (
	"hash/maphash"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// keyKind is a way of filing a rule under what a value is like.
type keyKind uint8

const (
	keyString     keyKind = iota // the text
	keyNumber                    // the double
	keyLiteral                   // null, false or true
	keyFold                      // the folded text
	keyPrefix                    // the first bytes, of a known length
	keySuffix                    // the last bytes
	keyFoldPrefix                // the same, folded
	keyFoldSuffix
	keyPiece   // four bytes somewhere in the text
	keyAddress // an IP address
	keyNetwork // an IP address's first bits
	keyRange   // a range of numbers
	keyPresent // any value
	keyNotText // under the trigger: no plain string at the place
	keyNotNumber
	keyAlways
)

// key is one access path to a rule: it is found if, and not only if, a value is
// like this.
type key struct {
	kind keyKind
	path pathID
	text string
	alt  *alternative // for numbers, ranges and networks
	cost float64      // the share of events expected to come this way
}

// cover is a set of keys one of which every event has that can concern the rule.
type cover struct {
	keys []key
	cost float64
	ok   bool
}

func (c *cover) add(k key) {
	c.keys = append(c.keys, k)
	c.cost += k.cost
}

// cheaper returns the better of two covers.
func cheaper(a, b cover) cover {
	if !a.ok || b.ok && b.cost < a.cost {
		return b
	}
	return a
}

// both is the cover of a disjunction.
func both(a, b cover) cover {
	if !a.ok || !b.ok {
		return cover{}
	}
	return cover{append(append([]key(nil), a.keys...), b.keys...), a.cost + b.cost, true}
}

// place makes a kind of key at a path distinct from all others.
func place(p pathID, k keyKind) uint64 { return uint64(p)<<8 | uint64(k) }

// hashText hashes bytes with the seed of the paths, so that nobody outside can
// choose values that collide.
func (w *paths) hashText(s []byte) uint64 { return maphash.Bytes(w.seed, s) }

func textKey(w *paths, p pathID, k keyKind, s []byte) uint64 {
	return mix(w.hashText(s) + place(p, k)*0x9e3779b97f4a7c15)
}

func bitsKey(w *paths, p pathID, k keyKind, x uint64) uint64 {
	return mix(mix(x^w.salt) + place(p, k)*0x9e3779b97f4a7c15)
}

func numberBits(x float64) uint64 { return math.Float64bits(x + 0) } // -0 + 0 is 0

func networkKey(w *paths, p pathID, n netip.Prefix) uint64 {
	b := n.Addr().As16()
	return mix(w.hashText(b[:]) + uint64(n.Bits())<<32 + uint64(n.Addr().BitLen()) + place(p, keyNetwork)*0x9e3779b97f4a7c15)
}

// hash is the key's place in the table; ranges and presences have none of their own.
func (k *key) hash(w *paths) uint64 {
	switch k.kind {
	case keyNumber:
		return bitsKey(w, k.path, keyNumber, numberBits(k.alt.lo))
	case keyLiteral:
		return bitsKey(w, k.path, keyLiteral, literalBits(k.alt.op))
	case keyPiece:
		return bitsKey(w, k.path, keyPiece, uint64(pieceOf(k.text)))
	case keyAddress:
		return networkKey(w, k.path, *k.alt.net)
	case keyNetwork:
		return networkKey(w, k.path, *k.alt.net)
	case keyPresent, keyNotText, keyNotNumber:
		return bitsKey(w, k.path, k.kind, 0)
	}
	return textKey(w, k.path, k.kind, bytesOf(k.text))
}

func literalBits(o op) uint64 {
	switch o {
	case opNull:
		return uint64(kindNull)
	case opTrue:
		return uint64(kindTrue)
	}
	return uint64(kindFalse)
}

func pieceOf(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// pieceSize is the length of the pieces under which wildcards are filed.
const pieceSize = 4

// census counts what the rules ask for, so that the rarest can be chosen.
type census struct {
	w        *paths
	seen     map[uint64]struct{}
	distinct map[uint64]float64 // per place and kind: different values
	pieces   map[uint64]uint32  // per place and piece: rules that have it
	bounds   map[pathID][]float64
	frozen   bool
}

func newCensus(w *paths, n int) *census {
	return &census{w: w, seen: make(map[uint64]struct{}, n), distinct: map[uint64]float64{}, pieces: map[uint64]uint32{}, bounds: map[pathID][]float64{}}
}

// note counts a key each time it is asked for.
func (c *census) note(k *key) {
	switch k.kind {
	case keyPresent, keyAlways:
		return
	case keyRange:
		for _, x := range []float64{k.alt.lo, k.alt.hi} {
			if !math.IsInf(x, 0) {
				c.bounds[k.path] = append(c.bounds[k.path], x)
			}
		}
		return
	case keyPiece:
		for i := 0; i+pieceSize <= len(k.text); i++ {
			c.pieces[bitsKey(c.w, k.path, keyPiece, uint64(pieceOf(k.text[i:])))]++
		}
		c.distinct[place(k.path, keyPiece)]++
		return
	}
	h := k.hash(c.w)
	if _, ok := c.seen[h]; !ok {
		c.seen[h] = struct{}{}
		c.distinct[place(k.path, k.kind)]++
	}
}

// rate estimates a key's cost, and makes a text into its rarest piece.
func (c *census) rate(k *key) {
	n := max(c.distinct[place(k.path, k.kind)], 1)
	switch k.kind {
	case keyRange:
		k.cost = c.share(k.path, k.alt)
	case keyPresent:
		k.cost = 0.9
	case keyNotText, keyNotNumber:
		k.cost = 0.05
	case keyAlways:
		k.cost = 1
	case keyLiteral:
		k.cost = 0.4
	case keyPiece:
		best, least := "", uint32(math.MaxUint32)
		for i := 0; i+pieceSize <= len(k.text); i++ {
			s := k.text[i : i+pieceSize]
			if m := c.pieces[bitsKey(c.w, k.path, keyPiece, uint64(pieceOf(s)))]; m < least {
				best, least = s, m
			}
		}
		k.text = best
		k.cost = min(0.8, 0.02+float64(least)/n)
	case keyPrefix, keySuffix, keyFoldPrefix, keyFoldSuffix:
		k.cost = max(1.05/n, 1/math.Pow(64, float64(len(k.text))))
	default:
		k.cost = 1 / n
	}
	k.cost = min(k.cost, 0.95)
}

// freeze ends counting: keys are rated from here on.
func (c *census) freeze() {
	c.frozen = true
	for _, b := range c.bounds {
		slices.Sort(b)
	}
}

// share guesses which share of the numbers at a place lies in a range, taking the
// bounds that rules name there for a sample of them.
func (c *census) share(p pathID, a *alternative) float64 {
	b := c.bounds[p]
	lo, _ := slices.BinarySearch(b, a.lo)
	hi, found := slices.BinarySearch(b, a.hi)
	if found {
		hi++
	}
	return (float64(hi-lo) + 1) / float64(len(b)+2)
}

// keyOf returns the best key of one alternative, false where it has none.
func (c *census) keyOf(p pathID, a *alternative) (key, bool) {
	var ks [4]key
	n := 0
	add := func(k keyKind, text string) {
		ks[n] = key{kind: k, path: p, text: text, alt: a}
		n++
	}
	switch a.op {
	case opString:
		add(keyString, a.text)
	case opIP:
		add(keyAddress, "")
	case opNumber:
		add(keyNumber, "")
	case opNull, opTrue, opFalse:
		add(keyLiteral, "")
	case opFold:
		add(keyFold, a.text)
	case opPrefix, opSuffix, opPrefixFold, opSuffixFold:
		if a.text == "" {
			add(keyPresent, "")
			break
		}
		add(map[op]keyKind{opPrefix: keyPrefix, opSuffix: keySuffix, opPrefixFold: keyFoldPrefix, opSuffixFold: keyFoldSuffix}[a.op], a.text)
	case opContains:
		if len(a.text) >= pieceSize {
			add(keyPiece, a.text)
		} else {
			add(keyPresent, "")
		}
	case opWildcard:
		longest := ""
		for part := range strings.SplitSeq(a.text, string([]byte{star})) {
			if len(part) > len(longest) {
				longest = part
			}
		}
		if len(longest) >= pieceSize {
			add(keyPiece, longest)
		}
		first := strings.IndexByte(a.text, star)
		last := strings.LastIndexByte(a.text, star)
		switch {
		case first < 0:
			n = 0
			add(keyString, a.text)
		case first > 0:
			add(keyPrefix, a.text[:first])
		}
		if last >= 0 && last < len(a.text)-1 {
			add(keySuffix, a.text[last+1:])
		}
		if n == 0 {
			add(keyPresent, "")
		}
	case opRange:
		add(keyRange, "")
	case opCIDR:
		add(keyNetwork, "")
	case opExists, opNot:
		add(keyPresent, "")
	case opAbsent:
		return key{}, false
	}
	best := 0
	for i := range n {
		if !c.frozen {
			c.note(&ks[i])
			continue
		}
		c.rate(&ks[i])
		if ks[i].cost < ks[best].cost {
			best = i
		}
	}
	return ks[best], true
}

// predicate is the cover of a predicate: a key for each alternative.
func (c *census) predicate(p *predicate) cover {
	cv := cover{ok: true}
	if p.path == noPath && !p.allowsAbsence() {
		return cv // never true
	}
	for i := range p.alts {
		k, ok := c.keyOf(p.path, &p.alts[i])
		if !ok {
			cv.ok = false
			continue
		}
		cv.add(k)
	}
	return cv
}

// clause is the cover of a conjunction: its cheapest predicate.
func (c *census) clause(ps []predicate) cover {
	var best cover
	for i := range ps {
		best = cheaper(best, c.predicate(&ps[i]))
	}
	return best
}
