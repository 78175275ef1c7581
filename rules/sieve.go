package rules

// sieve decides a clause in time linear in the event. It works upwards from
// the innermost array elements: which predicates does each satisfy within
// itself? Of an array, the element that satisfies all that lies below the array
// counts, or else the one that satisfies most. Predicates beyond the 64th are not
// held together; each of them was found to hold by itself.
type sieve struct {
	v      *view
	ps     []predicate
	arrays []sieveArray
	elems  []sieved // per trail
}

// sieved is what an array element, or the event outside arrays, comes to. Bits
// are predicates.
type sieved struct {
	got      uint64 // satisfied
	violated uint64 // absences that a value speaks against
}

// sieveArray is an array of the event.
type sieveArray struct {
	known bool
	up    int32  // the element around it, -1
	first int32  // its first element
	below uint64 // the predicates whose places lie below it

	best  sieved // of its elements, the one that counts
	set   bool   // best is set
	every uint64 // absences violated in any element
}

func newSieve(v *view, ps []predicate) *sieve {
	s := &sieve{v: v, ps: ps[:min(len(ps), maxChosen)], arrays: make([]sieveArray, v.arrays), elems: make([]sieved, len(v.trails))}
	below := map[pathID]uint64{}
	for i := range v.trails {
		t := &v.trails[i]
		m, ok := below[t.path]
		if !ok {
			for k := range s.ps {
				if v.w.under(s.ps[k].path, t.path) {
					m |= 1 << k
				}
			}
			below[t.path] = m
		}
		// Elements come in order, so the first one seen is the oldest.
		if a := &s.arrays[t.array]; !a.known {
			*a = sieveArray{known: true, up: t.up, first: int32(i), below: m}
		}
	}
	return s
}

// under says whether a path leads through another.
func (w *paths) under(p, top pathID) bool {
	if p.isAttr() || top.isAttr() {
		return false
	}
	for n := uint32(p.index()); ; n = w.nodes[n].up {
		if n == uint32(top.index()) {
			return true
		}
		if n == 0 {
			return false
		}
	}
}

// holds tries each way of reading the predicates that allow both a value and
// an absence.
func (s *sieve) holds() bool {
	var mixed []int
	var absent uint64
	for k := range s.ps {
		if !s.ps[k].allowsAbsence() {
			continue
		}
		if len(s.ps[k].alts) == 1 {
			absent |= 1 << k
		} else {
			mixed = append(mixed, k)
		}
	}
	const most = 8
	mixed = mixed[:min(len(mixed), most)]
	for choice := range 1 << len(mixed) {
		a := absent
		for i, k := range mixed {
			if choice>>i&1 == 1 {
				a |= 1 << k
			}
		}
		if s.try(a) {
			return true
		}
	}
	return false
}

// try decides the clause with the predicates in absent read as absences.
func (s *sieve) try(absent uint64) bool {
	outside := s.mark(absent)
	// A parent's element is older than its children's: going backwards, an array
	// is complete before the element around it is looked at.
	for i := len(s.elems) - 1; i >= 0; i-- {
		a := &s.arrays[s.v.trails[i].array]
		e := s.elems[i]
		e.got &= a.below &^ absent
		a.every |= e.violated
		if e.got != 0 && (!a.set || e.better(a.best)) {
			a.best, a.set = e, true
		}
		if a.first != int32(i) {
			continue
		}
		// Where no value binds an element, an absence means every one of them.
		sum := sieved{a.best.got, a.every}
		if a.set {
			sum.violated = a.best.violated
		}
		if a.up >= 0 {
			s.elems[a.up].add(sum)
		} else {
			outside.add(sum)
		}
	}
	all := ^uint64(0) >> (64 - len(s.ps))
	return outside.got|absent == all|absent && outside.violated&absent == 0
}

// mark notes what each value satisfies or violates where it lies, and returns
// that of the values outside arrays.
func (s *sieve) mark(absent uint64) sieved {
	var outside sieved
	clear(s.elems)
	for i := range s.arrays {
		a := &s.arrays[i]
		a.best, a.set, a.every = sieved{}, false, 0
	}
	for k := range s.ps {
		bit := uint64(1) << k
		for i := s.v.first(s.ps[k].path); i >= 0; i = s.v.fields[i].next {
			f := &s.v.fields[i]
			at := &outside
			if f.trail >= 0 {
				at = &s.elems[f.trail]
			}
			switch {
			case absent&bit == 0:
				if s.v.allows(&s.ps[k], f) {
					at.got |= bit
				}
			case f.kind < kindArray:
				at.violated |= bit
			}
		}
	}
	return outside
}

func (e *sieved) add(x sieved) {
	e.got |= x.got
	e.violated |= x.violated
}

// better prefers the element that satisfies more, then the one that violates less.
func (e sieved) better(x sieved) bool {
	if e.got != x.got {
		return e.got&x.got == x.got
	}
	return e.violated != x.violated && e.violated&x.violated == e.violated
}
