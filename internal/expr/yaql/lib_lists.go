package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

func listLibrary() []*overload {
	c := p("collection", tIterable)
	return []*overload{
		fn("list", doList).more(tAny),
		fn("#list", func(f *frame) (any, error) { return value.Tuple(f.rest), f.grow(len(f.rest) * wordSize) }).more(tAny),
		mt("flatten", doFlatten, c),
		mt("toList", func(f *frame) (any, error) { return f.tuple(f.args[0]) }, c),
		fn("#indexer", doListIndex, p("list", tSeq), p("index", tInt)),
		fn("#operator_in", func(f *frame) (any, error) { return f.contains(f.args[1], f.args[0]) }, p("value", tAny), c),
		mt("contains", func(f *frame) (any, error) { return f.contains(f.args[0], f.args[1]) }, c, p("value", tAny)),
		fn("#operator_+", doAddLists, p("left", tIterable), p("right", tIterable)),
		fn("#operator_*", func(f *frame) (any, error) { return f.repeatList(0, 1) }, p("left", tSeq), p("right", tInt)),
		fn("#operator_*", func(f *frame) (any, error) { return f.repeatList(1, 0) }, p("left", tInt), p("right", tSeq)),
		fn("isList", func(f *frame) (any, error) { return isSequence(f.args[0]), nil }, p("arg", tAny)),
		ext("len", doSeqLen, p("sequence", tSeq)),
		ext("len", doCount, p("collection", tIterator)),
		mt("delete", doDeleteAt, c, p("position", tInt), opt("count", tInt, int64(1))),
		mt("replace", doReplaceAt, c, p("position", tInt), p("value", tAny), opt("count", tInt, int64(1))),
		mt("replaceMany", doReplaceMany, c, p("position", tInt), p("values", tIterable), opt("count", tInt, int64(1))),
		mt("insert", doIterInsert, p("collection", tIterableNoSet), p("position", tInt), p("value", tAny)),
		mt("insert", doListInsert, p("collection", tSeq), p("position", tInt), p("value", tAny)),
		mt("insertMany", doInsertMany, c, p("position", tInt), p("values", tIterable)),
	}
}

// tuple returns the elements as a list: the same where it is an immutable one.
func (f *frame) tuple(v any) (any, error) {
	switch v.(type) {
	case value.List, value.Tuple:
		return v, nil
	}
	items, err := f.ev.collect(v)
	if err != nil {
		return nil, err
	}
	return value.Tuple(append([]any(nil), items...)), f.grow(len(items) * wordSize)
}

// spread calls f with the items, and instead of iterators with their elements.
func (ev *evaluator) spread(items []any, add func(any) error) error {
	for _, v := range items {
		if !isIterator(v) {
			if err := add(v); err != nil {
				return err
			}
			continue
		}
		err := ev.each(v, func(x any) (bool, error) { return false, ev.spread([]any{x}, add) })
		if err != nil {
			return err
		}
	}
	return nil
}

func doList(f *frame) (any, error) {
	out := value.Tuple{}
	err := f.ev.spread(f.rest, func(v any) error {
		out = append(out, v)
		return f.grow(wordSize)
	})
	return out, err
}

// doFlatten is lazy, and goes into everything that can be iterated over.
func doFlatten(f *frame) (any, error) {
	stack := []next{f.ev.walk(f.args[0])}
	return f.ev.newIter(func() (any, bool, error) {
		for len(stack) > 0 {
			v, ok, err := stack[len(stack)-1]()
			if err != nil {
				return nil, false, err
			}
			switch {
			case !ok:
				stack = stack[:len(stack)-1]
			case !isIterable(v):
				return v, true, nil
			case len(stack) > maxNested:
				return nil, false, limit("list nested deeper than %d", maxNested)
			default:
				stack = append(stack, f.ev.walk(v))
			}
		}
		return nil, false, nil
	}, f.args[0])
}

func doListIndex(f *frame) (any, error) {
	items, _ := value.Items(f.args[0])
	i, err := f.index(1, "IndexError")
	if err != nil {
		return nil, err
	}
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return nil, &Error{Kind: "IndexError", Message: className(f.args[0]) + " index out of range"}
	}
	return items[i], nil
}

// contains is Python's v in c. A set wants v hashable.
func (f *frame) contains(c, v any) (any, error) {
	switch c := c.(type) {
	case *value.Set:
		if err := f.ev.hashable(v); err != nil {
			return nil, err
		}
		return c.Has(v), nil
	case *view:
		if c.kind == viewKeys {
			if err := f.ev.hashable(v); err != nil {
				return nil, err
			}
			return c.m.Has(v), nil
		}
		if c.kind == viewItems && !c.mutable {
			return f.hasItem(c.m, v)
		}
	}
	found := false
	err := f.ev.each(c, func(x any) (bool, error) {
		var err error
		found, err = f.ev.equal(x, v)
		return found, err
	})
	return found, err
}

// hasItem says whether a map has an entry, which Python unpacks into two.
func (f *frame) hasItem(m *value.Map, item any) (any, error) {
	w, err := f.ev.elements(item)
	if err != nil {
		return nil, Raise("TypeError", "cannot unpack non-iterable %s object", typeName(item))
	}
	var pair []any
	for len(pair) < 3 {
		v, ok, err := w()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		pair = append(pair, v)
	}
	switch {
	case len(pair) < 2:
		return nil, Raise("ValueError", "not enough values to unpack (expected 2, got %d)", len(pair))
	case len(pair) > 2:
		return nil, Raise("ValueError", "too many values to unpack (expected 2)")
	}
	if err := f.ev.hashable(pair[0]); err != nil {
		return nil, err
	}
	v, ok := m.Get(pair[0])
	if !ok {
		return false, nil
	}
	return f.ev.equal(v, pair[1])
}

// doAddLists joins two lists or two sets at once, all else lazily.
func doAddLists(f *frame) (any, error) {
	x, ok1 := tupleItems(f.args[0])
	y, ok2 := tupleItems(f.args[1])
	if ok1 && ok2 {
		if err := f.grow((len(x) + len(y)) * wordSize); err != nil {
			return nil, err
		}
		return append(append(make(value.Tuple, 0, len(x)+len(y)), x...), y...), nil
	}
	s, ok1 := f.args[0].(*value.Set)
	t, ok2 := f.args[1].(*value.Set)
	if ok1 && ok2 {
		return s.Union(t), f.grow((s.Len() + t.Len()) * 2 * wordSize)
	}
	return f.chain(f.args)
}

// chain walks one iterable after the other.
func (f *frame) chain(parts []any) (any, error) {
	i := 0
	var w next
	return f.ev.newIter(func() (any, bool, error) {
		for i < len(parts) {
			if w == nil {
				w = f.ev.walk(parts[i])
			}
			v, ok, err := w()
			if ok || err != nil {
				return v, ok, err
			}
			i++
			w = nil
		}
		return nil, false, nil
	}, parts...)
}

func (f *frame) repeatList(list, times int) (any, error) {
	v := f.args[list]
	items, _ := value.Items(v)
	n, err := f.index(times, "OverflowError")
	if err != nil {
		return nil, err
	}
	var out []any
	if n > 0 && len(items) > 0 {
		if n > 1<<32/int64(len(items)) {
			return nil, f.grow(1<<63 - 1)
		}
		if err := f.grow(int(n) * len(items) * wordSize); err != nil {
			return nil, err
		}
		out = make([]any, 0, int(n)*len(items))
		for range n {
			out = append(out, items...)
		}
	}
	if _, ok := v.(*value.Array); ok {
		return &value.Array{Items: out}, nil
	}
	return value.Tuple(out), nil
}

func doSeqLen(f *frame) (any, error) {
	items, _ := value.Items(f.args[0])
	return int64(len(items)), nil
}

func doCount(f *frame) (any, error) {
	n := int64(0)
	err := f.ev.each(f.args[0], func(any) (bool, error) { n++; return false, nil })
	return n, err
}

// within says whether position i is among count positions from start on; a
// negative count means all from there.
func within(i, start, count int64) bool {
	if count < 0 {
		return i >= start
	}
	return start <= i && i-start < count
}

func doDeleteAt(f *frame) (any, error) {
	src := f.ev.walk(f.args[0])
	i, start, count := int64(-1), f.int(1), f.int(2)
	return f.ev.newIter(func() (any, bool, error) {
		for {
			v, ok, err := src()
			if !ok || err != nil {
				return nil, false, err
			}
			if i++; !within(i, start, count) {
				return v, true, nil
			}
		}
	}, f.args[0])
}

func doReplaceAt(f *frame) (any, error) {
	return f.replaceAt([]any{f.args[2]}, f.int(1), f.int(3))
}

func doReplaceMany(f *frame) (any, error) {
	return f.replaceAt(f.args[2], f.int(1), f.int(3))
}

// replaceAt puts values in the place of count elements from start on.
func (f *frame) replaceAt(values any, start, count int64) (any, error) {
	if one, ok := values.([]any); ok {
		values = value.Tuple(one)
	}
	src := f.ev.walk(f.args[0])
	i := int64(-1)
	done := false
	var inner next
	return f.ev.newIter(func() (any, bool, error) {
		for {
			if inner != nil {
				v, ok, err := inner()
				if ok || err != nil {
					return v, ok, err
				}
				inner = nil
			}
			v, ok, err := src()
			if !ok || err != nil {
				return nil, false, err
			}
			if i++; !within(i, start, count) {
				return v, true, nil
			}
			if !done {
				done = true
				inner = f.ev.walk(values)
			}
		}
	}, f.args[0], values)
}

func doIterInsert(f *frame) (any, error) {
	return f.insertAt(value.Tuple{f.args[2]}, f.int(1), false)
}

func doInsertMany(f *frame) (any, error) {
	return f.insertAt(f.args[2], f.int(1), true)
}

// insertAt puts values before position at, or behind the last element where at
// is greater; before the first where at is negative and front says so.
func (f *frame) insertAt(values any, at int64, front bool) (any, error) {
	src := f.ev.walk(f.args[0])
	i := int64(-1)
	var inner next
	var held any
	holding, ended := false, false
	if front && at < 0 {
		inner = f.ev.walk(values)
	}
	return f.ev.newIter(func() (any, bool, error) {
		for {
			if inner != nil {
				v, ok, err := inner()
				if ok || err != nil {
					return v, ok, err
				}
				inner = nil
			}
			if holding {
				holding = false
				return held, true, nil
			}
			if ended {
				return nil, false, nil
			}
			v, ok, err := src()
			if err != nil {
				return nil, false, err
			}
			if !ok {
				if ended = true; at > i {
					inner = f.ev.walk(values)
				}
				continue
			}
			if i++; i != at {
				return v, true, nil
			}
			held, holding = v, true
			inner = f.ev.walk(values)
		}
	}, f.args[0], values)
}

// doListInsert is Python's list.insert on a copy.
func doListInsert(f *frame) (any, error) {
	items, _ := value.Items(f.args[0])
	if err := f.grow((len(items) + 1) * wordSize); err != nil {
		return nil, err
	}
	n, err := f.size(1)
	if err != nil {
		return nil, err
	}
	at, _ := slice(len(items), n, 0)
	out := make(value.List, 0, len(items)+1)
	out = append(append(append(out, items[:at]...), f.args[2]), items[at:]...)
	return &value.Array{Items: out}, nil
}
