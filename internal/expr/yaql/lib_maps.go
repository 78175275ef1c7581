package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

func mapLibrary() []*overload {
	d := p("dict", tMap)
	dict := fn("dict", doDict).more(tRule).rules()
	return []*overload{
		dict,
		dict.renamed("#map"),
		fn("dict", doDictOfPairs, p("items", tIterable)).rules(),
		mt("toDict", doToDict, p("collection", tIterable), p("keySelector", tLambda), opt("valueSelector", tLambda, nil)),
		fn("#indexer", func(f *frame) (any, error) { return f.ev.mapItem(f.mapping(0), f.args[1]) }, d, p("key", tAny)),
		fn("#indexer", doGet, d, p("key", tAny), p("default", tAny)),
		mt("get", doGet, d, p("key", tAny), opt("default", tAny, nil)),
		mt("set", func(f *frame) (any, error) { return f.with([]rule{{f.args[1], f.args[2]}}) }, d, p("key", tAny), p("value", tAny)).rules(),
		mt("set", doSetMany, d, p("replacements", tMap)).rules(),
		mt("set", doSetInline, d).more(tRule).rules(),
		mt("keys", viewOf(viewKeys), d),
		mt("values", viewOf(viewValues), d),
		mt("items", viewOf(viewItems), d),
		mt("containsKey", doContainsKey, d, p("key", tAny)),
		mt("containsValue", doContainsValue, d, p("value", tAny)),
		fn("#operator_+", doAddMaps, p("left", tMap), p("right", tMap)),
		fn("isDict", func(f *frame) (any, error) { _, ok := asMap(f.args[0]); return ok, nil }, p("arg", tAny)),
		ext("len", func(f *frame) (any, error) { return int64(f.mapping(0).Len()), nil }, d),
		mt("delete", func(f *frame) (any, error) { return f.without(f.rest) }, d).more(tAny),
		mt("deleteAll", doDeleteAll, d, p("keys", tIterable)),
		mt("mergeWith", doMergeWith, d, p("another", tMap), opt("listMerger", tLambda, nil),
			opt("itemMerger", tLambda, nil), opt("maxLevels", tInt, int64(0))),
	}
}

// put stores an entry, charged to the budget, or fails on a key that cannot be.
func (ev *evaluator) put(m *value.Map, k, v any) error {
	if err := ev.hashable(k); err != nil {
		return err
	}
	if err := ev.budget.Grow(2 * wordSize); err != nil {
		return err
	}
	m.Set(k, v)
	return nil
}

func doDict(f *frame) (any, error) {
	m := value.NewMap(len(f.rest))
	for _, a := range f.rest {
		r := a.(*rule)
		if err := f.ev.put(m, r.key, r.val); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// doDictOfPairs takes the first two elements of every element, which may be
// anything Python iterates over, even a string.
func doDictOfPairs(f *frame) (any, error) {
	m := value.NewMap(0)
	err := f.ev.each(f.args[0], func(v any) (bool, error) {
		w, err := f.ev.elements(v)
		if err != nil {
			return true, err
		}
		var pair [2]any
		for i := range pair {
			x, ok, err := w()
			if err != nil {
				return true, err
			}
			if !ok {
				return true, stopIteration("")
			}
			pair[i] = x
		}
		return false, f.ev.put(m, pair[0], pair[1])
	})
	return m, err
}

func stopIteration(message string) error {
	return &Error{Kind: "StopIteration", Message: message}
}

func doToDict(f *frame) (any, error) {
	m := value.NewMap(0)
	key, val := f.lambda(1), f.lambda(2)
	err := f.ev.each(f.args[0], func(v any) (bool, error) {
		k, err := key.call1(v)
		if err != nil {
			return true, err
		}
		if val != nil {
			if v, err = val.call1(v); err != nil {
				return true, err
			}
		}
		return false, f.ev.put(m, k, v)
	})
	return &dict{m}, err
}

func doGet(f *frame) (any, error) {
	if err := f.ev.hashable(f.args[1]); err != nil {
		return nil, err
	}
	if v, ok := f.mapping(0).Get(f.args[1]); ok {
		return v, nil
	}
	return f.args[2], nil
}

// copyMap returns a copy of a map argument, charged to the budget.
func (f *frame) copyMap(i int) (*value.Map, error) {
	m := f.mapping(i)
	if err := f.grow(m.Len() * 2 * wordSize); err != nil {
		return nil, err
	}
	return m.Clone(), f.ev.budget.Step(m.Len())
}

func (f *frame) with(rules []rule) (any, error) {
	m, err := f.copyMap(0)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if err := f.ev.put(m, r.key, r.val); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func doSetMany(f *frame) (any, error) {
	var rules []rule
	for k, v := range f.mapping(1).All() {
		rules = append(rules, rule{k, v})
	}
	return f.with(rules)
}

func doSetInline(f *frame) (any, error) {
	rules := make([]rule, len(f.rest))
	for i, a := range f.rest {
		rules[i] = *a.(*rule)
	}
	return f.with(rules)
}

func viewOf(kind viewKind) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		_, mutable := f.args[0].(*dict)
		return &view{m: f.mapping(0), kind: kind, mutable: mutable}, f.ev.budget.Step(f.mapping(0).Len())
	}
}

func doContainsKey(f *frame) (any, error) {
	if err := f.ev.hashable(f.args[1]); err != nil {
		return nil, err
	}
	return f.mapping(0).Has(f.args[1]), nil
}

func doContainsValue(f *frame) (any, error) {
	return f.contains(f.mapping(0).Values(), f.args[1])
}

func doAddMaps(f *frame) (any, error) {
	m, err := f.copyMap(0)
	if err != nil {
		return nil, err
	}
	for k, v := range f.mapping(1).All() {
		if err := f.ev.put(m, k, v); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (f *frame) without(keys []any) (any, error) {
	for _, k := range keys {
		if err := f.ev.hashable(k); err != nil {
			return nil, err
		}
	}
	gone := value.NewSet(keys...)
	src := f.mapping(0)
	if err := f.grow(src.Len() * 2 * wordSize); err != nil {
		return nil, err
	}
	m := value.NewMap(src.Len())
	for k, v := range src.All() {
		if !gone.Has(k) {
			m.Set(k, v)
		}
	}
	return &dict{m}, f.ev.budget.Step(src.Len() + len(keys))
}

func doDeleteAll(f *frame) (any, error) {
	keys, err := f.ev.collect(f.args[1])
	if err != nil {
		return nil, err
	}
	return f.without(keys)
}

// merger is how mergeWith joins lists and other values.
type merger struct {
	f           *frame
	lists, item *lambda
}

func doMergeWith(f *frame) (any, error) {
	mg := merger{f, f.lambda(2), f.lambda(3)}
	return mg.merge(f.mapping(0), f.mapping(1), f.int(4), 0)
}

func (mg *merger) merge(a, b *value.Map, levels int64, depth int) (any, error) {
	ev := mg.f.ev
	if depth > maxNested {
		return nil, limit("map nested deeper than %d", maxNested)
	}
	if err := ev.budget.Step(a.Len() + b.Len()); err != nil {
		return nil, err
	}
	out := value.NewMap(a.Len() + b.Len())
	for k, x := range a.All() {
		if y, ok := b.Get(k); ok {
			var err error
			if x, err = mg.both(x, y, levels, depth); err != nil {
				return nil, err
			}
		}
		if err := ev.put(out, k, x); err != nil {
			return nil, err
		}
	}
	for k, y := range b.All() {
		if out.Has(k) {
			continue
		}
		if err := ev.put(out, k, y); err != nil {
			return nil, err
		}
	}
	return &dict{out}, nil
}

// both joins two values of the same key.
func (mg *merger) both(x, y any, levels int64, depth int) (any, error) {
	if levels != 1 {
		if n, ok := asMap(y); ok {
			m, ok := asMap(x)
			if !ok {
				return nil, cannotMerge(x, y)
			}
			next := levels - 1
			if levels == 0 {
				next = 0
			}
			return mg.merge(m, n, next, depth+1)
		}
		if isSequence(y) {
			if !isSequence(x) {
				return nil, cannotMerge(x, y)
			}
			return mg.bothLists(x, y)
		}
	}
	if mg.item == nil {
		return y, nil
	}
	return mg.item.call2(x, y)
}

func (mg *merger) bothLists(x, y any) (any, error) {
	if mg.lists != nil {
		return mg.lists.call2(x, y)
	}
	_, pyList1 := x.(*value.Array)
	_, pyList2 := y.(*value.Array)
	if pyList1 != pyList2 {
		if pyList1 {
			return nil, Raise("TypeError", `can only concatenate list (not "tuple") to list`)
		}
		return nil, Raise("TypeError", `can only concatenate tuple (not "list") to tuple`)
	}
	a, _ := value.Items(x)
	b, _ := value.Items(y)
	out := value.Tuple{}
	seen := value.NewSet()
	for _, items := range [][]any{a, b} {
		for _, v := range items {
			if err := mg.f.ev.hashable(v); err != nil {
				return nil, err
			}
			if err := mg.f.grow(3 * wordSize); err != nil {
				return nil, err
			}
			if seen.Add(v) {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

func cannotMerge(x, y any) error {
	return Raise("TypeError", "Cannot merge <class '%s'> with <class '%s'>", className(x), className(y))
}
