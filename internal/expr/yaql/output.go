package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

// output turns a result into plain data, as the Python implementation does when
// an evaluation ends: every kind of list and iterator becomes a list, every map a
// map. Sets stay sets; one whose members become lists, maps or sets cannot be, and
// gives Python's TypeError. Parts that need no change are shared.
func (ev *evaluator) output(v any, depth int) (any, error) {
	switch v.(type) {
	case nil, string, int64, bool, float64:
		return v, nil
	}
	if depth > maxNested {
		return nil, limit("value nested deeper than %d", maxNested)
	}
	switch v := v.(type) {
	case value.List:
		return ev.outputList(v, v, depth)
	case value.Tuple:
		return ev.outputList(nil, v, depth)
	case *value.Array:
		return ev.outputList(nil, v.Items, depth)
	case *value.Map:
		return ev.outputMap(v, depth)
	case *dict:
		return ev.outputMap(v.m, depth)
	case *value.Set:
		return ev.outputSet(v, v.Items(), depth)
	case *view:
		if v.kind == viewValues {
			return ev.outputList(nil, v.items(), depth)
		}
		return ev.outputSet(nil, v.items(), depth)
	case *iter, *memo, *ordering:
		out := value.List{}
		err := ev.each(v, func(x any) (bool, error) {
			y, err := ev.output(x, depth+1)
			if err != nil {
				return true, err
			}
			out = append(out, y)
			return false, ev.budget.Grow(wordSize)
		})
		return out, err
	}
	return v, nil
}

// outputList converts items; same is the list itself where it may be shared.
func (ev *evaluator) outputList(same value.List, items []any, depth int) (any, error) {
	if err := ev.budget.Step(len(items)); err != nil {
		return nil, err
	}
	var out value.List
	if same == nil {
		out = make(value.List, 0, len(items))
	}
	for i, x := range items {
		y, err := ev.output(x, depth+1)
		if err != nil {
			return nil, err
		}
		if out == nil && !identical(x, y) {
			out = append(make(value.List, 0, len(items)), items[:i]...)
		}
		if out != nil {
			out = append(out, y)
		}
	}
	if out == nil {
		return same, nil
	}
	return out, ev.budget.Grow(len(out) * wordSize)
}

// identical says whether output left a part as it was.
func identical(x, y any) bool {
	switch x := x.(type) {
	case value.List:
		z, ok := y.(value.List)
		return ok && len(x) == len(z) && (len(x) == 0 || &x[0] == &z[0])
	case value.Tuple:
		return false
	case *value.Map:
		z, ok := y.(*value.Map)
		return ok && x == z
	case *value.Set:
		z, ok := y.(*value.Set)
		return ok && x == z
	case *value.Array, *dict, *view, *iter, *memo, *ordering:
		return false
	}
	return true
}

func (ev *evaluator) outputMap(m *value.Map, depth int) (any, error) {
	if err := ev.budget.Step(m.Len()); err != nil {
		return nil, err
	}
	var out *value.Map
	for i := 0; i < m.Len(); i++ {
		k, x := m.At(i)
		y, err := ev.output(x, depth+1)
		if err != nil {
			return nil, err
		}
		key, err := ev.outputMember(k, depth)
		if err != nil {
			return nil, err
		}
		if out == nil && !identical(x, y) {
			out = value.NewMap(m.Len())
			for j := 0; j < i; j++ {
				out.Set(m.At(j))
			}
		}
		if out != nil {
			out.Set(key, y)
		}
	}
	if out == nil {
		return m, nil
	}
	return out, ev.budget.Grow(out.Len() * 2 * wordSize)
}

// outputMember converts a key or a member of a set, which must stay hashable.
func (ev *evaluator) outputMember(v any, depth int) (any, error) {
	if _, ok := v.(string); ok {
		return v, nil
	}
	switch v.(type) {
	case value.List, value.Tuple, *value.Array, *iter, *memo, *ordering:
		if _, err := ev.output(v, depth+1); err != nil {
			return nil, err
		}
		return nil, Raise("TypeError", "unhashable type: 'list'")
	case *value.Map, *dict:
		return nil, Raise("TypeError", "unhashable type: 'dict'")
	case *value.Set:
		return nil, Raise("TypeError", "unhashable type: 'set'")
	case *view:
		return nil, Raise("TypeError", "unhashable type: 'list'") // only values() can be a member
	}
	return v, nil
}

func (ev *evaluator) outputSet(same *value.Set, items []any, depth int) (any, error) {
	if err := ev.budget.Step(len(items)); err != nil {
		return nil, err
	}
	for _, x := range items {
		if _, err := ev.outputMember(x, depth); err != nil {
			return nil, err
		}
	}
	if same != nil {
		return same, nil
	}
	return value.NewSet(items...), ev.budget.Grow(len(items) * 2 * wordSize)
}
