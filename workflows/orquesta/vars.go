package orquesta

import (
	"sync/atomic"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// vars are the variables a task sees: a large map that many share, and a small
// one over it. Both are immutable, so a task that publishes one variable costs
// the same whether ten or ten thousand are there.
type vars struct {
	base, over *value.Map
	whole      atomic.Pointer[value.Map] // what all returned
}

var noVars = &vars{}

// maxOver is how large the small map grows, at least, before it is merged into
// the large one; beyond, it may grow to the square root of the large one.
const maxOver = 32

func newVars(m *value.Map) *vars { return &vars{base: m} }

// get returns a variable.
func (v *vars) get(name string) (any, bool) {
	if x, ok := v.over.Str(name); ok {
		return x, true
	}
	return v.base.Str(name)
}

// set returns vars in which a name has a value, whatever it had before.
func (v *vars) set(name string, val any) *vars {
	over := v.over.Clone()
	over.Set(name, val)
	return v.put(over)
}

// merge returns vars with the delta merged in: maps are merged with the maps of
// that name, other values replaced.
func (v *vars) merge(delta *value.Map) *vars {
	if delta.Len() == 0 {
		return v
	}
	if v.base.Len() == 0 && v.over.Len() == 0 {
		return &vars{base: delta}
	}
	over := v.over.Clone()
	for k, x := range delta.All() {
		name, _ := k.(string)
		if old, ok := v.get(name); ok {
			x = merged(old, x)
		}
		over.Set(k, x)
	}
	return v.put(over)
}

func (v *vars) put(over *value.Map) *vars {
	if n := over.Len(); n <= maxOver || n*n <= v.base.Len() {
		return &vars{base: v.base, over: over}
	}
	return &vars{base: joined(v.base, over)}
}

func joined(base, over *value.Map) *value.Map {
	m := base.Clone()
	for k, x := range over.All() {
		m.Set(k, x)
	}
	return m
}

// all returns every variable in one map, which must not be changed.
func (v *vars) all() *value.Map {
	if v.over.Len() == 0 {
		if v.base == nil {
			return &value.Map{}
		}
		return v.base
	}
	if m := v.whole.Load(); m != nil {
		return m
	}
	m := joined(v.base, v.over)
	v.whole.Store(m)
	return m
}

// merged lays right over left: maps are merged, anything else replaces. Neither
// is changed.
func merged(left, right any) any {
	l, ok := left.(*value.Map)
	r, ok2 := right.(*value.Map)
	if !ok || !ok2 {
		return right
	}
	m := l.Clone()
	for k, x := range r.All() {
		if old, ok := m.Get(k); ok {
			x = merged(old, x)
		}
		m.Set(k, x)
	}
	return m
}

// list is a list of contexts as a task sees it, and how it came to be: one arrival
// of a branch at a task. It is immutable, and shares its beginnings with the
// lists it was made of. In StackStorm's terms it is ctxs.in and prev of a task:
// the indexes of left, then those of base (without the initial context if there
// is a left), then that of the variables published on the way.
type list struct {
	id     int
	left   *list // earlier arrivals at the same task; nil where there is none
	base   *list // what the task that led here saw; nil for the initial context
	delta  *value.Map
	index  int // of delta among the contexts
	edge   *edge
	from   int // sequence index of the task that led here
	seen   *vars
	behind *vars // seen without the initial context
}

// vars returns the variables that a list of contexts amounts to.
func (l *list) vars() *vars {
	if l.seen == nil {
		fold(l, func(x *list) **vars { return &x.seen })
	}
	return l.seen
}

// tail returns the variables without those of the initial context.
func (l *list) tail() *vars {
	if l.behind == nil {
		fold(l, func(x *list) **vars { return &x.behind })
	}
	return l.behind
}

// fold computes the variables of l and of what it builds on. It does not recurse
// along base, which may be as long as the run.
func fold(l *list, slot func(*list) **vars) {
	var path []*list
	for x := l; *slot(x) == nil; x = below(x) {
		path = append(path, x)
		if x.base == nil {
			break
		}
	}
	for i := len(path) - 1; i >= 0; i-- {
		x := path[i]
		switch {
		case x.base == nil && slot(x) == &x.behind:
			x.behind = noVars
		case x.base == nil:
			x.seen = newVars(x.delta)
		case x.left == nil:
			*slot(x) = (*slot(x.base)).merge(x.delta)
		default:
			*slot(x) = (*slot(x.left)).merge(x.base.tail().all()).merge(x.delta)
		}
	}
}

// below is what fold needs first.
func below(l *list) *list {
	if l.left != nil {
		return l.left
	}
	return l.base
}

// indexes returns the list as StackStorm shows it. maxIndexes bounds it, since
// joins in a loop double it with every turn.
func (l *list) indexes() []int {
	var out []int
	var walk func(l *list, skip bool)
	walk = func(l *list, skip bool) {
		if len(out) > maxIndexes {
			return
		}
		if l.base == nil {
			if !skip {
				out = append(out, 0)
			}
			return
		}
		if l.left != nil {
			walk(l.left, skip)
			skip = true
		}
		walk(l.base, skip)
		if l.delta != nil {
			out = append(out, l.index)
		}
	}
	walk(l, false)
	return out
}

const maxIndexes = 100_000
