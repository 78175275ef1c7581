package yaql

import (
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// generatorLibrary has what makes sequences out of nothing, some without end.
func generatorLibrary() []*overload {
	return []*overload{
		fn("range", func(f *frame) (any, error) { return f.series(int64(0), f.args[0], int64(1)) }, p("stop", tInt)),
		fn("range", func(f *frame) (any, error) { return f.series(f.args[0], f.args[1], f.args[2]) },
			p("start", tInt), p("stop", tInt), opt("step", tInt, int64(1))),
		fn("sequence", func(f *frame) (any, error) { return f.series(f.args[0], nil, f.args[1]) },
			opt("start", tInt, int64(0)), opt("step", tInt, int64(1))),
		mt("repeat", doRepeat, p("value", tAny), opt("times", tInt, int64(-1))),
		mt("cycle", doCycle, collectionParam),
		fn("generate", doGenerate, p("initial", tAny), p("predicate", tLambda), p("producer", tLambda),
			opt("selector", tLambda, nil), opt("decycle", tBool, false)),
		fn("generateMany", doGenerateMany, p("initial", tAny), p("producer", tLambda),
			opt("selector", tLambda, nil), opt("decycle", tBool, false), opt("depthFirst", tBool, false)),
	}
}

// number is an integer argument without bool.
func number(v any) any {
	if b, ok := v.(bool); ok {
		return clampInt(b)
	}
	return v
}

// series counts from start by step until stop, or for ever where stop is nil.
func (f *frame) series(start, stop, step any) (any, error) {
	i, by := number(start), number(step)
	down := false
	switch s := by.(type) {
	case int64:
		down = s < 0
		if s == 0 && stop != nil {
			return nil, Raise("ValueError", "range() arg 3 must not be zero")
		}
	case *big.Int:
		down = s.Sign() < 0
	}
	stop = number(stop)
	op := "<"
	if down {
		op = ">"
	}
	return f.ev.shownIter(func() string {
		switch {
		case stop != nil:
			return "<range_iterator object>"
		case by == any(int64(1)):
			return "count(" + value.Str(i) + ")"
		}
		return "count(" + value.Str(i) + ", " + value.Str(by) + ")"
	}, func() (any, bool, error) {
		v := i
		if stop != nil {
			if more, err := value.Order(op, v, stop); err != nil || !more {
				return nil, false, err
			}
		}
		var err error
		i, err = value.Arith("+", v, by)
		return v, true, err
	})
}

func doRepeat(f *frame) (any, error) {
	left, err := f.size(1)
	if err != nil {
		return nil, err
	}
	return f.ev.shownIter(func() string {
		if left < 0 {
			return "repeat(" + repr(f.args[0]) + ")"
		}
		return "repeat(" + repr(f.args[0]) + ", " + value.Str(left) + ")"
	}, func() (any, bool, error) {
		if left == 0 {
			return nil, false, nil
		}
		left--
		return f.args[0], true, nil
	})
}

func doCycle(f *frame) (any, error) {
	src := f.ev.walk(f.args[0])
	var seen []any
	i, ended := 0, false
	return f.ev.newIter(func() (any, bool, error) {
		if !ended {
			v, ok, err := src()
			if err != nil {
				return nil, false, err
			}
			if ok {
				seen = append(seen, v)
				return v, true, f.grow(wordSize)
			}
			ended = true
		}
		if len(seen) == 0 {
			return nil, false, nil
		}
		v := seen[i]
		i = (i + 1) % len(seen)
		return v, true, nil
	}, f.args[0])
}

func doGenerate(f *frame) (any, error) {
	item, test, producer, sel := f.args[0], f.test(1), f.lambda(2), f.lambda(3)
	past := value.NewSet()
	started := false
	return f.ev.newIter(func() (any, bool, error) {
		var err error
		if started {
			if item, err = producer.call1(item); err != nil {
				return nil, false, err
			}
		}
		started = true
		if ok, err := test(item); err != nil || !ok {
			return nil, false, err
		}
		if f.bool(4) {
			n := past.Len()
			if err := f.member(past, item); err != nil {
				return nil, false, err
			}
			if past.Len() == n {
				return nil, false, nil
			}
		}
		if sel == nil {
			return item, true, nil
		}
		v, err := sel.call1(item)
		return v, true, err
	})
}

// doGenerateMany walks a tree, the children of an item being produced after the
// item was given.
func doGenerateMany(f *frame) (any, error) {
	producer, sel := f.lambda(1), f.lambda(2)
	g := &growth{f: f, queue: []any{f.args[0]}, depthFirst: f.bool(4)}
	past := value.NewSet()
	var parent any
	started := false
	return f.ev.newIter(func() (any, bool, error) {
		if started {
			children, err := producer.call1(parent)
			if err != nil {
				return nil, false, err
			}
			if err := g.add(children); err != nil {
				return nil, false, err
			}
		}
		for len(g.queue) > 0 {
			item := g.pop()
			if f.bool(3) {
				n := past.Len()
				if err := f.member(past, item); err != nil {
					return nil, false, err
				}
				if past.Len() == n {
					continue
				}
			}
			parent, started = item, true
			if sel == nil {
				return item, true, nil
			}
			v, err := sel.call1(item)
			return v, true, err
		}
		return nil, false, nil
	})
}

// growth is the queue of a tree walk.
type growth struct {
	f          *frame
	queue      []any
	depthFirst bool
}

func (g *growth) pop() any {
	v := g.queue[0]
	g.queue = g.queue[1:]
	return v
}

// add puts children at the end, or depth first at the front, in their order.
func (g *growth) add(children any) error {
	w, err := g.f.ev.elements(children)
	if err != nil {
		return err
	}
	var items []any
	for {
		v, ok, err := w()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := g.f.grow(wordSize); err != nil {
			return err
		}
		items = append(items, v)
	}
	if !g.depthFirst {
		g.queue = append(g.queue, items...)
		return nil
	}
	if err := g.f.ev.budget.Step(len(g.queue) / 8); err != nil {
		return err
	}
	g.queue = append(items, g.queue...)
	return nil
}
