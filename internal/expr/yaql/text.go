package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxText bounds the texts of values that are not charged to a budget.
const maxText = 16 << 20

// str is Python's str(v).
func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case *datetime, *timespan, int64:
		return value.Str(v)
	}
	return repr(v)
}

// repr is Python's repr(v).
func repr(v any) string {
	w := writer{limit: maxText}
	w.value(v, 0)
	return string(w.b)
}

// text is str(v), charged to the budget.
func (ev *evaluator) text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	_, left := ev.budget.Left()
	if s, ok := v.(value.Stringer); ok {
		return s.PyStr(), nil
	}
	w := writer{limit: int(min(left, maxText))}
	w.value(v, 0)
	if w.full {
		return "", ev.budget.Grow(1<<63 - 1)
	}
	return string(w.b), ev.budget.Grow(len(w.b))
}

// writer writes the repr of a value until its limit.
type writer struct {
	b     []byte
	limit int
	full  bool
}

func (w *writer) value(v any, depth int) {
	if w.full {
		return
	}
	if len(w.b) > w.limit || depth > maxNested {
		w.full = len(w.b) > w.limit
		w.b = append(w.b, "..."...)
		return
	}
	switch v := v.(type) {
	case value.List:
		w.tuple(v, depth)
	case value.Tuple:
		w.tuple(v, depth)
	case *value.Array:
		w.items('[', v.Items, ']', depth)
	case *value.Map:
		w.dict(v, depth)
	case *dict:
		w.dict(v.m, depth)
	case *value.Set:
		w.set(v, depth)
	case *view:
		w.view(v, depth)
	case *iter:
		if v.shown != nil {
			w.b = append(w.b, v.shown()...)
			return
		}
		w.b = append(w.b, "<generator object>"...)
	case *memo, *ordering:
		w.b = append(w.b, "<generator object>"...)
	case *scope:
		w.b = append(w.b, "<yaql.language.contexts.Context object>"...)
	default:
		w.b = append(w.b, value.Repr(v)...)
	}
}

func (w *writer) tuple(items []any, depth int) {
	w.items('(', items, ')', depth)
	if len(items) == 1 && !w.full {
		w.b = append(w.b[:len(w.b)-1], ',', ')')
	}
}

func (w *writer) items(open byte, items []any, end byte, depth int) {
	w.b = append(w.b, open)
	for i, x := range items {
		if w.full {
			return
		}
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		w.value(x, depth+1)
	}
	w.b = append(w.b, end)
}

func (w *writer) dict(m *value.Map, depth int) {
	w.b = append(w.b, '{')
	for i := 0; i < m.Len() && !w.full; i++ {
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		k, x := m.At(i)
		w.value(k, depth+1)
		w.b = append(w.b, ": "...)
		w.value(x, depth+1)
	}
	w.b = append(w.b, '}')
}

func (w *writer) set(s *value.Set, depth int) {
	w.b = append(w.b, "frozenset("...)
	if s.Len() > 0 {
		w.items('{', setItems(s), '}', depth)
	}
	w.b = append(w.b, ')')
}

func (w *writer) view(v *view, depth int) {
	w.b = append(w.b, v.class()...)
	w.b = append(w.b, '(')
	if v.mutable {
		w.items('[', v.items(), ']', depth)
	} else {
		w.dict(v.m, depth)
	}
	w.b = append(w.b, ')')
}
