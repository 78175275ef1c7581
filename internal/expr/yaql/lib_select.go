package yaql

import (
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// selectLibrary has the queries that give the elements one by one.
func selectLibrary() []*overload {
	c := collectionParam
	pred := p("predicate", tLambda)
	where := mt("where", doWhere, c, pred)
	sel := mt("select", doSelect, c, p("selector", tLambda))
	take := mt("limit", doLimit, c, p("count", tInt))
	return []*overload{
		where, where.renamed("filter"),
		sel, sel.renamed("map"),
		take, take.renamed("take"),
		mt("skip", doSkip, c, p("count", tInt)),
		ext("append", doAppend, c).more(tAny),
		ext("distinct", doDistinct, c, opt("keySelector", tLambda, nil)),
		ext("enumerate", doEnumerate, c, opt("start", tIntN, int64(0))),
		ext("concat", func(f *frame) (any, error) { return f.chain(f.rest) }).more(tIterable),
		mt("selectMany", doSelectMany, c, p("selector", tLambda)),
		mt("takeWhile", doTakeWhile, c, pred),
		mt("skipWhile", doSkipWhile, c, pred),
		mt("reverse", doReverse, c),
		mt("zip", func(f *frame) (any, error) { return f.zip(false, nil) }).more(tIterable),
		zipLongest(),
		mt("join", doJoin, p("collection1", tIterable), p("collection2", tIterable), pred, p("selector", tLambda)),
		mt("accumulate", doAccumulate, c, p("selector", tLambda), opt("seed", tAny, skipped)),
		mt("defaultIfEmpty", doDefaultIfEmpty, c, p("default", tIterable)),
	}
}

func zipLongest() *overload {
	o := mt("zipLongest", func(f *frame) (any, error) {
		pad, _ := given(f.named, "default")
		return f.zip(true, pad)
	}).more(tIterable)
	o.named = &param{}
	return o
}

func doWhere(f *frame) (any, error) {
	src, test := f.ev.walk(f.args[0]), f.test(1)
	return f.ev.newIter(func() (any, bool, error) {
		for {
			v, ok, err := src()
			if !ok || err != nil {
				return nil, false, err
			}
			if ok, err := test(v); ok || err != nil {
				return v, ok, err
			}
		}
	}, f.args[0])
}

func doSelect(f *frame) (any, error) {
	src, sel := f.ev.walk(f.args[0]), f.lambda(1)
	return f.ev.newIter(func() (any, bool, error) {
		v, ok, err := src()
		if !ok || err != nil {
			return nil, false, err
		}
		v, err = sel.call1(v)
		return v, true, err
	}, f.args[0])
}

// counted is the count of skip, limit and slice, which Python's islice wants
// positive and no larger than a size. It takes -1 for the sign of a count that is none
// at all, and names what is wrong accordingly.
func (f *frame) counted(name string) (int64, error) {
	n := f.int(1)
	if _, big := f.args[1].(*big.Int); !big && n < -1 {
		name = "Indices"
	} else if !big && n >= 0 {
		return n, nil
	}
	return 0, Raise("ValueError", "%s for islice() must be None or an integer: 0 <= x <= sys.maxsize.", name)
}

func doLimit(f *frame) (any, error) {
	left, err := f.counted("Stop argument")
	if err != nil {
		return nil, err
	}
	src := f.ev.walk(f.args[0])
	return f.ev.newIter(func() (any, bool, error) {
		if left == 0 {
			return nil, false, nil
		}
		left--
		return src()
	}, f.args[0])
}

func doSkip(f *frame) (any, error) {
	left, err := f.counted("Indices")
	if err != nil {
		return nil, err
	}
	src := f.ev.walk(f.args[0])
	return f.ev.newIter(func() (any, bool, error) {
		for ; left > 0; left-- {
			if _, ok, err := src(); !ok || err != nil {
				return nil, false, err
			}
		}
		return src()
	}, f.args[0])
}

func doAppend(f *frame) (any, error) {
	return f.chain([]any{f.args[0], value.Tuple(f.rest)})
}

func doDistinct(f *frame) (any, error) {
	src, key := f.ev.walk(f.args[0]), f.lambda(1)
	seen := value.NewSet()
	return f.ev.newIter(func() (any, bool, error) {
		for {
			v, ok, err := src()
			if !ok || err != nil {
				return nil, false, err
			}
			k := v
			if key != nil {
				if k, err = key.call1(v); err != nil {
					return nil, false, err
				}
			}
			n := seen.Len()
			if err := f.member(seen, k); err != nil {
				return nil, false, err
			}
			if seen.Len() > n {
				return v, true, nil
			}
		}
	}, f.args[0])
}

func doEnumerate(f *frame) (any, error) {
	if f.args[1] == nil {
		return f.failing(Raise("TypeError", "'NoneType' object cannot be interpreted as an integer"))
	}
	src := f.ev.walk(f.args[0])
	var i any = f.args[1]
	if b, ok := i.(bool); ok {
		i = clampInt(b)
	}
	return f.ev.newIter(func() (any, bool, error) {
		v, ok, err := src()
		if !ok || err != nil {
			return nil, false, err
		}
		pair := &value.Array{Items: value.List{i, v}}
		i, err = value.Arith("+", i, int64(1))
		return pair, true, err
	}, f.args[0])
}

// failing is an iterator that fails when it is walked.
func (f *frame) failing(err error) (any, error) {
	return f.ev.newIter(func() (any, bool, error) { return nil, false, err })
}

func doSelectMany(f *frame) (any, error) {
	src, sel := f.ev.walk(f.args[0]), f.lambda(1)
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
			if v, err = sel.call1(v); err != nil {
				return nil, false, err
			}
			if !isIterable(v) {
				return v, true, nil
			}
			inner = f.ev.walk(v)
		}
	}, f.args[0])
}

func doTakeWhile(f *frame) (any, error) {
	src, test := f.ev.walk(f.args[0]), f.test(1)
	return f.ev.newIter(func() (any, bool, error) {
		v, ok, err := src()
		if !ok || err != nil {
			return nil, false, err
		}
		ok, err = test(v)
		return v, ok, err
	}, f.args[0])
}

func doSkipWhile(f *frame) (any, error) {
	src, test := f.ev.walk(f.args[0]), f.test(1)
	skipping := true
	return f.ev.newIter(func() (any, bool, error) {
		for {
			v, ok, err := src()
			if !ok || err != nil {
				return nil, false, err
			}
			if skipping {
				if skipping, err = test(v); err != nil {
					return nil, false, err
				}
			}
			if !skipping {
				return v, true, nil
			}
		}
	}, f.args[0])
}

func doReverse(f *frame) (any, error) {
	items, err := f.ev.collect(f.args[0])
	if err != nil {
		return nil, err
	}
	i := len(items)
	return f.ev.newIter(func() (any, bool, error) {
		if i == 0 {
			return nil, false, nil
		}
		i--
		return items[i], true, nil
	})
}

// zip gives tuples of the elements at the same place: until the shortest ends, or
// until the longest does, padded.
func (f *frame) zip(longest bool, pad any) (any, error) {
	walks := make([]next, len(f.rest))
	for i, c := range f.rest {
		walks[i] = f.ev.walk(c)
	}
	left := len(walks)
	return f.ev.newIter(func() (any, bool, error) {
		if left == 0 {
			return nil, false, nil
		}
		row := make(value.Tuple, len(walks))
		if err := f.grow(len(row) * wordSize); err != nil {
			return nil, false, err
		}
		for i, w := range walks {
			row[i] = pad
			if w == nil {
				continue
			}
			v, ok, err := w()
			if err != nil {
				return nil, false, err
			}
			if ok {
				row[i] = v
				continue
			}
			if left--; !longest || left == 0 {
				left = 0
				return nil, false, nil
			}
			walks[i] = nil
		}
		return row, true, nil
	}, f.rest...)
}

func doJoin(f *frame) (any, error) {
	src, pred, sel := f.ev.walk(f.args[0]), f.lambda(2), f.lambda(3)
	others := f.ev.memorized(f.args[1])
	var mine any
	var inner next
	return f.ev.newIter(func() (any, bool, error) {
		for {
			if inner == nil {
				v, ok, err := src()
				if !ok || err != nil {
					return nil, false, err
				}
				mine, inner = v, f.ev.walk(others)
			}
			other, ok, err := inner()
			if err != nil {
				return nil, false, err
			}
			if !ok {
				inner = nil
				continue
			}
			match, err := pred.call2(mine, other)
			if err != nil {
				return nil, false, err
			}
			if truth(match) {
				v, err := sel.call2(mine, other)
				return v, true, err
			}
		}
	}, f.args[0], f.args[1])
}

func doAccumulate(f *frame) (any, error) {
	src, sel := f.ev.walk(f.args[0]), f.lambda(1)
	total := f.args[2]
	started := false
	return f.ev.newIter(func() (any, bool, error) {
		if !started {
			started = true
			if total != any(skipped) {
				return total, true, nil
			}
			v, ok, err := src()
			if err == nil && !ok {
				err = Raise("TypeError", "accumulate() of empty sequence with no initial value")
			}
			total = v
			return v, ok, err
		}
		v, ok, err := src()
		if !ok || err != nil {
			return nil, false, err
		}
		total, err = sel.call2(total, v)
		return total, true, err
	}, f.args[0])
}

func doDefaultIfEmpty(f *frame) (any, error) {
	c := f.args[0]
	if isIterator(c) {
		c = f.ev.memorized(c)
	}
	_, ok, err := f.ev.walk(c)()
	if err != nil {
		return nil, err
	}
	if !ok {
		return f.args[1], nil
	}
	return c, nil
}
