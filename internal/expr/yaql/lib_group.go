package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

// groupLibrary has the queries that order, group and cut.
func groupLibrary() []*overload {
	c := collectionParam
	key := p("selector", tLambda)
	return []*overload{
		mt("orderBy", orderWith(false), c, key),
		mt("orderByDescending", orderWith(true), c, key),
		mt("thenBy", thenWith(false), p("collection", tOrdering), key),
		mt("thenByDescending", thenWith(true), p("collection", tOrdering), key),
		mt("groupBy", doGroupBy, c, p("keySelector", tLambda), opt("valueSelector", tLambda, nil), opt("aggregator", tLambda, nil)),
		mt("slice", doSlice, c, p("length", tInt)),
		mt("splitWhere", doSplitWhere, c, p("predicate", tLambda)),
		mt("sliceWhere", doSliceWhere, c, p("predicate", tLambda)),
		mt("splitAt", doSplitAt, c, p("index", tInt)),
	}
}

func orderWith(descending bool) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		if chainOf(f.args[0]) >= maxChain {
			return nil, limit("more than %d iterators upon each other", maxChain)
		}
		return &ordering{src: f.args[0], fields: []orderField{{f.lambda(1), descending, f.sc}}}, nil
	}
}

// thenWith adds a field to the ordering itself.
func thenWith(descending bool) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		o := f.args[0].(*ordering)
		o.fields = append(o.fields, orderField{f.lambda(1), descending, f.sc})
		return o, f.grow(4 * wordSize)
	}
}

// doGroupBy groups at once and aggregates lazily.
func doGroupBy(f *frame) (any, error) {
	key, val := f.lambda(1), f.lambda(2)
	groups := value.NewMap(0)
	err := f.ev.each(f.args[0], func(v any) (bool, error) {
		x := v
		if val != nil {
			var err error
			if x, err = val.call1(v); err != nil {
				return true, err
			}
		}
		k, err := key.call1(v)
		if err != nil {
			return true, err
		}
		if err := f.ev.hashable(k); err != nil {
			return true, err
		}
		g, ok := groups.Get(k)
		if !ok {
			g = &value.Array{}
			groups.Set(k, g)
		}
		list := g.(*value.Array)
		list.Items = append(list.Items, x)
		return false, f.grow(2 * wordSize)
	})
	if err != nil {
		return nil, err
	}
	ag := aggregator{lambda: f.lambda(3), fallback: true}
	i := 0
	return f.ev.newIter(func() (any, bool, error) {
		if i == groups.Len() {
			return nil, false, nil
		}
		k, list := groups.At(i)
		i++
		v, err := ag.group(k, list.(*value.Array))
		return v, true, err
	})
}

// aggregator applies the aggregator of groupBy to the values of each group. An
// aggregator of the old style takes [key, values] and gives a pair; it is known
// by its failure with the values of the first group.
type aggregator struct {
	lambda   *lambda
	fallback bool
	failure  error
}

func (a *aggregator) group(key any, values *value.Array) (any, error) {
	pair := value.Tuple{key, values}
	if a.lambda == nil {
		return pair, nil
	}
	if a.failure == nil {
		v, err := a.lambda.call1(values)
		if err == nil {
			if !looksLikePair(v, values) {
				a.fallback = false
			}
			return value.Tuple{key, v}, nil
		}
		switch asError(err).Kind {
		case "NoMatchingMethodException", "NoMatchingFunctionException", "IndexError":
			a.failure = err
		default:
			return nil, err
		}
	}
	if a.fallback {
		if v, err := a.lambda.call1(pair); err == nil && lengthOf(v) == 2 {
			return v, nil
		} else if err != nil && asError(err).Err != nil {
			return nil, err // a bound of the evaluation
		}
	}
	return nil, a.failure
}

// looksLikePair says whether an aggregate of two values may as well be a pair of
// the old style.
func looksLikePair(v any, values *value.Array) bool {
	items, ok := value.Items(v)
	return ok && len(values.Items) == 2 && len(items) == 2 && equal(items[0], values.Items[0])
}

// lengthOf is Python's len, or -1.
func lengthOf(v any) int {
	if items, ok := value.Items(v); ok {
		return len(items)
	}
	if m, ok := asMap(v); ok {
		return m.Len()
	}
	switch v := v.(type) {
	case string:
		return newChartext(v).n
	case *value.Set:
		return v.Len()
	case *view:
		return v.m.Len()
	}
	return -1
}

func doSlice(f *frame) (any, error) {
	src := f.ev.walk(f.args[0])
	n, err := f.counted("Stop argument")
	if err != nil {
		return f.failing(err)
	}
	return f.ev.newIter(func() (any, bool, error) {
		var part value.Tuple
		for int64(len(part)) < n {
			v, ok, err := src()
			if err != nil {
				return nil, false, err
			}
			if !ok {
				break
			}
			if err := f.grow(wordSize); err != nil {
				return nil, false, err
			}
			part = append(part, v)
		}
		return part, len(part) > 0, nil
	}, f.args[0])
}

// parts gives pieces of all elements, which cut finds: it returns the piece, and
// where to go on; ok is false behind the last.
func (f *frame) parts(cut func(items []any, from int) (piece []any, to int, ok bool, err error)) (any, error) {
	var items []any
	from := -1
	return f.ev.newIter(func() (any, bool, error) {
		var err error
		if from < 0 {
			from = 0
			if items, err = f.ev.collect(f.args[0]); err != nil {
				return nil, false, err
			}
		}
		piece, to, ok, err := cut(items, from)
		from = to
		return value.Tuple(piece), ok, err
	}, f.args[0])
}

func doSplitWhere(f *frame) (any, error) {
	test := f.test(1)
	return f.parts(func(items []any, from int) ([]any, int, bool, error) {
		for end := from; end < len(items); end++ {
			hit, err := test(items[end])
			if err != nil {
				return nil, from, false, err
			}
			if hit {
				return items[from:end], end + 1, true, nil
			}
		}
		return items[min(from, len(items)):], len(items), from < len(items), nil
	})
}

func doSliceWhere(f *frame) (any, error) {
	pred := f.lambda(1)
	var ahead any // the predicate's value for the first element of the next piece
	has := false
	return f.parts(func(items []any, from int) ([]any, int, bool, error) {
		last, known := ahead, has
		for end := from; end < len(items); end++ {
			if end == from && known {
				continue
			}
			v, err := pred.call1(items[end])
			if err != nil {
				return nil, from, false, err
			}
			if known {
				same, err := f.ev.equal(v, last)
				if err != nil {
					return nil, from, false, err
				}
				if !same {
					ahead, has = v, true
					return items[from:end], end, true, nil
				}
			}
			last, known = v, true
		}
		return items[min(from, len(items)):], len(items), from < len(items), nil
	})
}

func doSplitAt(f *frame) (any, error) {
	v, err := f.tuple(f.args[0])
	if err != nil {
		return nil, err
	}
	items, _ := tupleItems(v)
	_, at := slice(len(items), 0, f.int(1))
	return &value.Array{Items: value.List{value.Tuple(items[:at]), value.Tuple(items[at:])}}, nil
}
