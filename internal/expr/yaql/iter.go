package yaql

import (
	"fmt"
	"sort"
	"strconv"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func itoa(i int) string { return strconv.Itoa(i) }

// maxChain bounds how many iterators may stand upon each other.
const maxChain = 1000

// next gives the next element; ok is false at the end, and then always.
type next func() (v any, ok bool, err error)

// iter is a lazy sequence that can be walked once.
type iter struct {
	next  next
	chain int           // how many iterators it stands upon
	shown func() string // its text, where Python's is not that of a generator
}

// memo is an iterator that remembers what it gave: each walk starts anew.
type memo struct {
	src  *iter
	seen []any
}

// ordering is what orderBy returns: sorted when it is first walked.
type ordering struct {
	src    any
	fields []orderField
	sorted value.List
	done   bool
}

type orderField struct {
	key        *lambda
	descending bool
	sc         *scope
}

// newIter makes an iterator that stands upon the sources; each element costs a
// step.
func (ev *evaluator) newIter(f next, sources ...any) (any, error) {
	chain := 0
	for _, s := range sources {
		chain = max(chain, chainOf(s))
	}
	if chain++; chain > maxChain {
		return nil, limit("more than %d iterators upon each other", maxChain)
	}
	done := false
	return &iter{chain: chain, next: func() (any, bool, error) {
		if done {
			return nil, false, nil
		}
		if err := ev.budget.Step(1); err != nil {
			return nil, false, err
		}
		v, ok, err := f()
		if !ok || err != nil {
			done = true
			return nil, false, err
		}
		return v, true, nil
	}}, nil
}

// shownIter is newIter for an iterator that Python shows in a way of its own.
func (ev *evaluator) shownIter(shown func() string, f next) (any, error) {
	v, err := ev.newIter(f)
	if it, ok := v.(*iter); ok {
		it.shown = shown
	}
	return v, err
}

func chainOf(v any) int {
	switch v := v.(type) {
	case *iter:
		return v.chain
	case *memo:
		return v.src.chain + 1
	case *ordering:
		return chainOf(v.src) + 1
	}
	return 0
}

func limit(format string, args ...any) error {
	return &Error{Kind: "LimitExceeded", Message: fmt.Sprintf(format, args...), Err: value.ErrLimit}
}

// walk returns a walk over an iterable.
func (ev *evaluator) walk(v any) next {
	switch v := v.(type) {
	case value.List:
		return ev.walkItems(v)
	case value.Tuple:
		return ev.walkItems(v)
	case *value.Array:
		return ev.walkItems(v.Items)
	case *value.Set:
		return ev.walkItems(setItems(v))
	case *view:
		return ev.walkItems(v.items())
	case *iter:
		return v.next
	case *memo:
		return v.walk(ev)
	case *ordering:
		var items next
		return func() (any, bool, error) {
			if items == nil {
				if err := ev.order(v); err != nil {
					return nil, false, err
				}
				items = ev.walkItems(v.sorted)
			}
			return items()
		}
	}
	return func() (any, bool, error) {
		return nil, false, Raise("TypeError", "'%s' object is not iterable", typeName(v))
	}
}

func (ev *evaluator) walkItems(items []any) next {
	i := 0
	return func() (any, bool, error) {
		if i >= len(items) {
			return nil, false, nil
		}
		if err := ev.budget.Step(1); err != nil {
			return nil, false, err
		}
		i++
		return items[i-1], true, nil
	}
}

func (m *memo) walk(ev *evaluator) next {
	i := 0
	return func() (any, bool, error) {
		if i == len(m.seen) {
			v, ok, err := m.src.next()
			if !ok || err != nil {
				return nil, false, err
			}
			if err := ev.budget.Grow(wordSize); err != nil {
				return nil, false, err
			}
			m.seen = append(m.seen, v)
		}
		i++
		return m.seen[i-1], true, nil
	}
}

// wordSize is what one element of a list is charged.
const wordSize = 16

// each calls f with every element until f says stop or fails.
func (ev *evaluator) each(v any, f func(any) (stop bool, err error)) error {
	w := ev.walk(v)
	for {
		x, ok, err := w()
		if err != nil || !ok {
			return err
		}
		if stop, err := f(x); stop || err != nil {
			return err
		}
	}
}

// collect returns the elements in a list that the caller may read only.
func (ev *evaluator) collect(v any) ([]any, error) {
	switch v := v.(type) {
	case value.List:
		return v, nil
	case value.Tuple:
		return v, nil
	case *value.Array:
		return v.Items, nil
	case *value.Set:
		return setItems(v), nil
	case *view:
		return v.items(), nil
	}
	var out []any
	err := ev.each(v, func(x any) (bool, error) {
		out = append(out, x)
		return false, ev.budget.Grow(wordSize)
	})
	return out, err
}

// elements is collect for anything Python can iterate over: strings and maps too.
func (ev *evaluator) elements(v any) (next, error) {
	switch v := v.(type) {
	case string:
		runes := chars(v)
		return ev.walkItems(runes), nil
	case *value.Map:
		return ev.walkItems(v.Keys()), nil
	case *dict:
		return ev.walkItems(v.m.Keys()), nil
	}
	if !isIterable(v) {
		return nil, Raise("TypeError", "'%s' object is not iterable", typeName(v))
	}
	return ev.walk(v), nil
}

// chars returns the characters of a string.
func chars(s string) []any {
	out := make([]any, 0, len(s))
	for _, r := range s {
		out = append(out, string(r))
	}
	return out
}

// order sorts an ordering: stable, by its fields, with the operators < and >.
func (ev *evaluator) order(o *ordering) error {
	if o.done {
		return nil
	}
	items, err := ev.collect(o.src)
	if err != nil {
		return err
	}
	if err := ev.budget.Grow(len(items) * wordSize); err != nil {
		return err
	}
	s := &sorter{ev: ev, o: o, items: append(value.List(nil), items...)}
	s.keys = make([][]any, len(items))
	sort.Stable(s)
	if s.err != nil {
		return s.err
	}
	o.sorted, o.done = s.items, true
	return nil
}

// sorter sorts with keys that are computed when first needed.
type sorter struct {
	ev    *evaluator
	o     *ordering
	items value.List
	keys  [][]any
	err   error
}

// Len is the number of items.
func (s *sorter) Len() int { return len(s.items) }

// Swap exchanges two items.
func (s *sorter) Swap(i, j int) {
	s.items[i], s.items[j] = s.items[j], s.items[i]
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
}

func (s *sorter) key(i, field int) any {
	for len(s.keys[i]) <= field && s.err == nil {
		var k any
		k, s.err = s.o.fields[len(s.keys[i])].key.call1(s.items[i])
		s.keys[i] = append(s.keys[i], k)
	}
	if s.err != nil {
		return nil
	}
	return s.keys[i][field]
}

// Less says whether item i stands before item j; after an error nothing does.
func (s *sorter) Less(i, j int) bool {
	for f := range s.o.fields {
		a, b := s.key(i, f), s.key(j, f)
		if s.err != nil {
			return false
		}
		c, err := s.ev.compare(a, b, s.o.fields[f].sc)
		if err != nil {
			s.err = err
			return false
		}
		if c == 0 {
			continue
		}
		return (c < 0) != s.o.fields[f].descending
	}
	return false
}

// compare orders two values with the operators < and > of the language.
func (ev *evaluator) compare(a, b any, sc *scope) (int, error) {
	less, err := ev.operate(opLess, a, b, sc)
	if err != nil {
		return 0, err
	}
	if truth(less) {
		return -1, nil
	}
	greater, err := ev.operate(opGreater, a, b, sc)
	if err != nil {
		return 0, err
	}
	if truth(greater) {
		return 1, nil
	}
	return 0, nil
}
