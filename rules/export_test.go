package rules

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/hayate-run/hayate"
)

// Operate calls an operator as StackStorm's operators.get_operator(name) would
// be: outside a rule, so string patterns are taken as they stand. In that
// setting there is no template engine either: a child of search whose pattern
// is a string cannot be rendered, and counts as false.
func Operate(name string, val, pattern json.RawMessage, condition *string, now time.Time) (bool, error) {
	o, ok := operators[lower(name)]
	if !ok {
		return false, errors.New("unknown operator")
	}
	d, _ := parseDoc(pattern)
	x, _ := parseDoc(val)
	c := criterion{name: "search", op: o, path: noPath, uncommon: &uncommon{}}
	if condition != nil {
		c.condition = *condition
	}
	g := &grower{w: newPaths()}
	if o == opSearch {
		c.children = readCriterionList(g, &problems{}, nil, &d, "item")
		for i := range c.children {
			c.children[i].missing = c.children[i].missing || c.children[i].pattern.isText
		}
	}
	c.readPattern(&d, false)
	v := &view{}
	v.read(g.w, &hayate.Event{AcceptedAt: now})
	ev := &evaluation{}
	ev.begin(v, nil)
	return c.test(ev, x.value())
}

// Glob matches a compiled wildcard, * being written as 0xff.
func Glob(pattern string, s []byte) bool { return glob(pattern, s) }

// Fnmatch is Python's fnmatch.fnmatchcase.
func Fnmatch(pattern, s string) bool { return fnmatch(pattern, s) }

// ParseTime reads a time as dateutil does.
func ParseTime(text string, now time.Time) (time.Time, error) { return parseTime(text, now) }

// Consistent decides a pattern on data in both ways: by going back and by the
// sieve. The data's members must be unique.
func Consistent(pattern, data []byte) (chosen, sieved bool) {
	g := &grower{w: newPaths()}
	clauses := readPattern(g, &problems{}, pattern)
	v := &view{}
	v.read(g.w, &hayate.Event{Data: data})
	for _, ps := range clauses {
		c := chooser{v: v, ps: ps, steps: 1 << 40}
		ok, _ := c.choose(0)
		chosen = chosen || ok
		sieved = sieved || newSieve(v, ps).holds()
	}
	return chosen, sieved
}
