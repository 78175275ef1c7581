package rules

// A clause is a conjunction of predicates over the data. Values that lie below
// the same array of objects must come from the same element of it (EventBridge's
// array consistency): values in different elements do not add up to a match.

// satisfies says whether the event satisfies every predicate of a clause.
func (v *view) satisfies(ps []predicate) bool {
	bound := 0
	for i := range ps {
		if !v.any(&ps[i]) && !(len(v.trails) > 0 && ps[i].allowsAbsence()) {
			return false
		}
		if len(v.trails) > 0 && !ps[i].path.isAttr() && v.inTrail(ps[i].path) {
			bound++
		}
	}
	if bound < 2 {
		// Nothing constrains anything; an absence then means: nowhere.
		return len(v.trails) == 0 || v.all(ps)
	}
	c := chooser{v: v, ps: ps, steps: stepsPerField*len(v.fields) + 1000}
	ok, done := c.choose(0)
	if done {
		return ok
	}
	return newSieve(v, ps).holds()
}

func (v *view) all(ps []predicate) bool {
	for i := range ps {
		if !v.any(&ps[i]) {
			return false
		}
	}
	return true
}

// inTrail says whether a value at the place lies in an array of objects.
func (v *view) inTrail(p pathID) bool {
	for i := v.first(p); i >= 0; i = v.fields[i].next {
		if v.fields[i].trail >= 0 {
			return true
		}
	}
	return false
}

// stepsPerField bounds the search for consistent values before the sieve, which
// is linear, takes over.
const stepsPerField = 16

// maxChosen bounds the predicates that one search can bind.
const maxChosen = 64

// chooser looks for one value per predicate such that all are consistent, going
// back where a choice does not lead on.
type chooser struct {
	v      *view
	ps     []predicate
	steps  int
	chosen [maxChosen]int32 // trails
	n      int
	absent [maxChosen]int32 // predicates to be decided last
	na     int
}

// choose decides predicate k and those behind it; done is false where the steps
// ran out.
func (c *chooser) choose(k int) (ok, done bool) {
	if k == len(c.ps) {
		ok = c.absences()
		return ok, c.steps > 0
	}
	p := &c.ps[k]
	if c.n == maxChosen || c.na == maxChosen {
		c.steps = 0
	}
	if c.steps <= 0 {
		return false, false
	}
	free := false // a value outside arrays was tried: others outside add nothing
	for i := c.v.first(p.path); i >= 0; i = c.v.fields[i].next {
		f := &c.v.fields[i]
		c.steps--
		if c.steps <= 0 {
			return false, false
		}
		if f.trail < 0 && free || !c.v.allows(p, f) || !c.fits(f.trail) {
			continue
		}
		free = free || f.trail < 0
		n := c.n
		if f.trail >= 0 {
			c.chosen[n] = f.trail
			c.n++
		}
		ok, done = c.choose(k + 1)
		c.n = n
		if ok || !done {
			return ok, done
		}
	}
	if p.allowsAbsence() {
		c.absent[c.na] = int32(k)
		c.na++
		ok, done = c.choose(k + 1)
		c.na--
		return ok, done
	}
	return false, true
}

// fits says whether a trail agrees with every chosen one.
func (c *chooser) fits(t int32) bool {
	if t < 0 {
		return true
	}
	for i := range c.n {
		c.steps--
		if !c.v.agree(t, c.chosen[i], &c.steps) {
			return false
		}
	}
	return true
}

// agree says whether two trails name the same element of every array that both
// go through. Arrays are numbered in the order in which they begin, so a trail's
// numbers rise from its root to its end.
func (v *view) agree(a, b int32, steps *int) bool {
	for a >= 0 && b >= 0 && a != b {
		*steps--
		x, y := &v.trails[a], &v.trails[b]
		switch {
		case x.array == y.array:
			if x.elem != y.elem {
				return false
			}
			return true // the same element: the rest of the way is one
		case x.array > y.array:
			a = x.up
		default:
			b = y.up
		}
	}
	return true
}

// absences decides the predicates that want no value, against the elements
// chosen by the others.
func (c *chooser) absences() bool {
	for i := range c.na {
		for k := c.v.first(c.ps[c.absent[i]].path); k >= 0; k = c.v.fields[k].next {
			c.steps--
			if c.v.fields[k].kind < kindArray && c.fits(c.v.fields[k].trail) {
				return false
			}
		}
	}
	return true
}

// sieve decides a clause in time linear in the event. It works upwards from
// the innermost array elements: which predicates does each satisfy within
// itself? Of an array, the element that satisfies all that lies below the array
// counts, or else the one that satisfies most.
type sieve struct {
	v      *view
	ps     []predicate
	trails []uint64          // per trail: predicates satisfied in it
	free   uint64            // satisfied outside arrays
	below  map[pathID]uint64 // per array path: the predicates below it
}

func newSieve(v *view, ps []predicate) *sieve {
	s := &sieve{v: v, ps: ps[:min(len(ps), maxChosen)], trails: make([]uint64, len(v.trails)), below: map[pathID]uint64{}}
	for i := range v.trails {
		p := v.trails[i].path
		if _, ok := s.below[p]; ok {
			continue
		}
		var m uint64
		for k := range s.ps {
			if v.w.under(s.ps[k].path, p) {
				m |= 1 << k
			}
		}
		s.below[p] = m
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
	clear(s.trails)
	s.free = 0
	present := make([]uint64, len(s.trails)) // absences violated in the trail
	var here uint64
	for k := range s.ps {
		for i := s.v.first(s.ps[k].path); i >= 0; i = s.v.fields[i].next {
			f := &s.v.fields[i]
			bit := uint64(1) << k
			if absent&bit != 0 {
				if f.kind < kindArray {
					if f.trail >= 0 {
						present[f.trail] |= bit
					} else {
						here |= bit
					}
				}
			} else if s.v.allows(&s.ps[k], f) {
				if f.trail >= 0 {
					s.trails[f.trail] |= bit
				} else {
					s.free |= bit
				}
			}
		}
	}
	type best struct {
		got, present, violated uint64
		set                    bool
	}
	arrays := make([]best, s.v.arrays)
	up := make([]int32, s.v.arrays)
	where := make([]pathID, s.v.arrays)
	seen := make([]bool, s.v.arrays)
	// An array's elements are consecutive in no way that matters: a parent's
	// trail is older than its children's, so going backwards settles children first.
	settle := func(a int32) {
		b := arrays[a]
		positive := s.below[where[a]] &^ absent
		viol := b.violated
		if positive != 0 && b.set {
			viol = b.present
		}
		if t := up[a]; t >= 0 {
			s.trails[t] |= b.got
			present[t] |= viol
		} else {
			s.free |= b.got
			here |= viol
		}
	}
	last := make([]int32, s.v.arrays) // the oldest trail of the array
	for i := range s.v.trails {
		a := s.v.trails[i].array
		if !seen[a] {
			seen[a], up[a], last[a], where[a] = true, s.v.trails[i].up, int32(i), s.v.trails[i].path
		}
	}
	for i := len(s.v.trails) - 1; i >= 0; i-- {
		t := &s.v.trails[i]
		b := &arrays[t.array]
		need := s.below[t.path] &^ absent
		got := s.trails[i] & need
		b.violated |= present[i]
		if got != 0 && (!b.set || better(got, present[i], b.got, b.present)) {
			b.got, b.present, b.set = got, present[i], true
		}
		if last[t.array] == int32(i) {
			settle(t.array)
		}
	}
	all := ^uint64(0) >> (64 - len(s.ps))
	return s.free|absent == all|absent && here&absent == 0
}

// better prefers the element that satisfies more, then the one that violates less.
func better(got, present, oldGot, oldPresent uint64) bool {
	if got != oldGot {
		return got&oldGot == oldGot
	}
	return present != oldPresent && present&oldPresent == present
}
