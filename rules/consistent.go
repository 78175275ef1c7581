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
