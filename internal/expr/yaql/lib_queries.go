package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

// collectionParam is what most queries begin with.
var collectionParam = p("collection", tIterable)

// queryLibrary has the queries that give one value.
func queryLibrary() []*overload {
	c := collectionParam
	aggregate := mt("aggregate", doAggregate, c, p("selector", tLambda), opt("seed", tAny, skipped))
	return []*overload{
		ext("any", doAny, c, opt("predicate", tLambda, nil)),
		ext("all", doAll, c, opt("predicate", tLambda, nil)),
		mt("count", doCount, c),
		mt("memorize", func(f *frame) (any, error) { return f.ev.memorized(f.args[0]), nil }, c),
		mt("sum", doSum, c, opt("initial", tAny, skipped)),
		mt("max", fold("max", (*frame).max2), c, opt("initial", tAny, skipped)),
		mt("min", fold("min", (*frame).min2), c, opt("initial", tAny, skipped)),
		mt("first", doFirst, c, opt("default", tAny, skipped)),
		mt("single", doSingle, c),
		mt("last", doLast, c, opt("default", tAny, skipped)),
		mt("indexOf", doIndexOf, c, p("item", tAny)),
		mt("lastIndexOf", doLastIndexOf, c, p("item", tAny)),
		mt("indexWhere", doIndexWhere, c, p("predicate", tLambda)),
		mt("lastIndexWhere", doLastIndexWhere, c, p("predicate", tLambda)),
		aggregate,
		aggregate.renamed("reduce"),
		fn("isIterable", func(f *frame) (any, error) { return isIterable(f.args[0]), nil }, p("value", tAny)),
	}
}

// memorized makes a one-time walk repeatable. What is no list and no set counts
// as an iterator here, as it was made one on its way in.
func (ev *evaluator) memorized(v any) any {
	switch v := v.(type) {
	case *iter:
		return &memo{src: v}
	case *memo, *ordering:
		return &memo{src: &iter{next: ev.walk(v), chain: chainOf(v)}}
	}
	return v
}

func doAny(f *frame) (any, error) {
	pred := f.lambda(1)
	found := false
	err := f.ev.each(f.args[0], func(v any) (bool, error) {
		if pred == nil {
			found = true
			return true, nil
		}
		r, err := pred.call1(v)
		found = truth(r)
		return found, err
	})
	return found, err
}

func doAll(f *frame) (any, error) {
	pred := f.lambda(1)
	all := true
	err := f.ev.each(f.args[0], func(v any) (bool, error) {
		var err error
		if pred != nil {
			v, err = pred.call1(v)
		}
		all = truth(v)
		return !all, err
	})
	return all, err
}

// fold makes a method that joins all elements with a function of two, which a
// definition of the same name may replace.
func fold(name string, join func(f *frame, a, b any) (any, error)) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		return f.reduce(f.args[0], f.args[1], func(a, b any) (any, error) {
			if f.ev.defs {
				return f.ev.call(name, skipped, []any{a, b}, nil, f.sc)
			}
			return join(f, a, b)
		})
	}
}

func doSum(f *frame) (any, error) {
	return f.reduce(f.args[0], f.args[1], func(a, b any) (any, error) {
		return f.ev.operate(opAdd, a, b, f.sc)
	})
}

func doAggregate(f *frame) (any, error) {
	return f.reduce(f.args[0], f.args[2], f.lambda(1).call2)
}

// reduce is Python's functools.reduce.
func (f *frame) reduce(c, seed any, join func(a, b any) (any, error)) (any, error) {
	total := seed
	err := f.ev.each(c, func(v any) (bool, error) {
		if total == any(skipped) {
			total = v
			return false, nil
		}
		var err error
		total, err = join(total, v)
		return false, err
	})
	if err == nil && total == any(skipped) {
		return nil, Raise("TypeError", "reduce() of empty iterable with no initial value")
	}
	return total, err
}

// orStop gives the default of a query without an answer.
func orStop(def any) (any, error) {
	if def == any(skipped) {
		return nil, stopIteration("")
	}
	return def, nil
}

func doFirst(f *frame) (any, error) {
	v, ok, err := f.ev.walk(f.args[0])()
	if err != nil || ok {
		return v, err
	}
	return orStop(f.args[1])
}

func doSingle(f *frame) (any, error) {
	w := f.ev.walk(f.args[0])
	v, ok, err := w()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, stopIteration("")
	}
	if _, more, err := w(); err != nil || !more {
		return v, err
	}
	return nil, stopIteration("Collection contains more than one item")
}

func doLast(f *frame) (any, error) {
	if items, ok := value.Items(f.args[0]); ok {
		if len(items) == 0 {
			return orStop(f.args[1])
		}
		return items[len(items)-1], nil
	}
	last := f.args[1]
	err := f.ev.each(f.args[0], func(v any) (bool, error) { last = v; return false, nil })
	if err != nil {
		return nil, err
	}
	return orStop(last)
}

// position returns the first or last index of what the test accepts.
func (f *frame) position(last bool, test func(any) (bool, error)) (any, error) {
	at, i := int64(-1), int64(-1)
	err := f.ev.each(f.args[0], func(v any) (bool, error) {
		i++
		ok, err := test(v)
		if ok {
			at = i
		}
		return ok && !last, err
	})
	return at, err
}

func (f *frame) equals(v any) (bool, error) { return equal(v, f.args[1]), nil }

// test is the predicate of an argument as a Go function.
func (f *frame) test(i int) func(any) (bool, error) {
	l := f.lambda(i)
	return func(v any) (bool, error) {
		r, err := l.call1(v)
		return truth(r), err
	}
}

func doIndexOf(f *frame) (any, error) { return f.position(false, f.equals) }

func doLastIndexOf(f *frame) (any, error) { return f.position(true, f.equals) }

func doIndexWhere(f *frame) (any, error) { return f.position(false, f.test(1)) }

func doLastIndexWhere(f *frame) (any, error) { return f.position(true, f.test(1)) }
