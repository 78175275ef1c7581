package yaql

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// YAQL's own kinds of value stand beside those of package value:
//
//   - value.List and value.Tuple are both the immutable list of YAQL (a tuple in
//     Python), so that data need not be copied when it comes in;
//   - *value.Array is the list that some functions make, a Python list: it is
//     shown in brackets, equals no tuple and cannot be a key;
//   - *value.Map is an immutable map, *dict the mutable one that some functions
//     make: it cannot be a key;
//   - *iter, *memo, *ordering, *view, *datetime, *timespan, *pattern, *scope.
//
// None of them but dates, spans, patterns and scopes leaves Eval.

// marker is the value of an argument that was left out.
type marker struct{}

// skipped stands for an argument left out, and for no receiver.
var skipped = &marker{}

// PyType names the marker's class in Python.
func (*marker) PyType() string { return "MarkerClass" }

// PyRepr is the marker's text in Python.
func (*marker) PyRepr() string { return "<NoValue>" }

// dict is a map that Python holds mutable.
type dict struct{ m *value.Map }

// rule is an evaluated key => value.
type rule struct{ key, val any }

// view is what keys(), values() and items() of a map return.
type view struct {
	m       *value.Map
	kind    viewKind
	mutable bool
}

type viewKind uint8

const (
	viewKeys viewKind = iota
	viewValues
	viewItems
)

func (v *view) items() value.List {
	switch v.kind {
	case viewKeys:
		return v.m.Keys()
	case viewValues:
		return v.m.Values()
	}
	l := make(value.List, 0, v.m.Len())
	for k, x := range v.m.All() {
		l = append(l, value.Tuple{k, x})
	}
	return l
}

// asMap returns the entries of a map of either kind.
func asMap(v any) (*value.Map, bool) {
	switch v := v.(type) {
	case *value.Map:
		return v, true
	case *dict:
		return v.m, true
	}
	return nil, false
}

// isSet says whether v is a set: keys and items of maps are, too.
func isSet(v any) bool {
	switch v := v.(type) {
	case *value.Set:
		return true
	case *view:
		return v.kind != viewValues
	}
	return false
}

// isSequence says whether v is a list of either kind.
func isSequence(v any) bool {
	switch v.(type) {
	case value.List, value.Tuple, *value.Array:
		return true
	}
	return false
}

// isIterator says whether v can be walked but once, or is a memorized iterator.
func isIterator(v any) bool {
	switch v.(type) {
	case *iter, *memo:
		return true
	}
	return false
}

// isIterable says whether v has elements. Strings and maps have none here.
func isIterable(v any) bool {
	switch v.(type) {
	case value.List, value.Tuple, *value.Array, *value.Set, *iter, *memo, *ordering, *view:
		return true
	}
	return false
}

// className is Python's name of a value's class, as messages spell it.
func className(v any) string {
	switch v := v.(type) {
	case value.List, value.Tuple:
		return "tuple"
	case *value.Map:
		return "yaql.language.utils.FrozenDict"
	case *dict:
		return "dict"
	case *value.Set:
		return "frozenset"
	case *iter, *memo, *ordering:
		return "generator"
	case *view:
		return v.class()
	case *scope:
		return "yaql.language.contexts.Context"
	}
	return value.Type(v)
}

// shortClass is className without its module.
func shortClass(v any) string {
	c := className(v)
	return c[strings.LastIndexByte(c, '.')+1:]
}

// typeName is the name that Python's own functions show: with a module for
// classes written in C.
func typeName(v any) string {
	switch v.(type) {
	case *datetime, *timespan:
		return "datetime." + value.Type(v)
	case *pattern:
		return "re.Pattern"
	}
	return shortClass(v)
}

func (v *view) class() string {
	if v.mutable {
		return [...]string{"dict_keys", "dict_values", "dict_items"}[v.kind]
	}
	return [...]string{"KeysView", "ValuesView", "ItemsView"}[v.kind]
}

// truth is Python's bool(v).
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case *dict:
		return v.m.Len() > 0
	case *view:
		return v.m.Len() > 0
	case *timespan:
		return v.days != 0 || v.us != 0
	}
	return value.Truth(v)
}

// maxNested bounds how deep values are compared, shown and hashed.
const maxNested = value.MaxDepth

// maxVisits bounds how many parts of a value one walk looks at.
const maxVisits = 1 << 20

// equal is Python's a == b, charged to the budget by the parts it looks at.
func (ev *evaluator) equal(a, b any) (bool, error) {
	left := maxVisits
	same := equalParts(a, b, 0, &left)
	return same, ev.budget.Step((maxVisits - left) / 4)
}

// equal is Python's a == b.
func equal(a, b any) bool {
	left := maxVisits
	return equalParts(a, b, 0, &left)
}

func equalParts(a, b any, depth int, left *int) bool {
	if *left--; *left < 0 || depth > maxNested {
		return false
	}
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		*left -= len(x) / 1024
		return ok && x == y
	case int64:
		if y, ok := b.(int64); ok {
			return x == y
		}
	case value.List:
		y, ok := tupleItems(b)
		return ok && equalItems(x, y, depth, left)
	case value.Tuple:
		y, ok := tupleItems(b)
		return ok && equalItems(x, y, depth, left)
	case *value.Array:
		y, ok := b.(*value.Array)
		return ok && (x == y || equalItems(x.Items, y.Items, depth, left))
	case *value.Map, *dict:
		m, _ := asMap(a)
		n, ok := asMap(b)
		return ok && (m == n || equalMaps(m, n, depth, left))
	case *value.Set, *view:
		if !isSet(a) || !isSet(b) {
			return a == b
		}
		s, t := asSet(a), asSet(b)
		return s.Len() == t.Len() && s.SubsetOf(t)
	case *iter, *memo, *ordering, *scope, *lambda:
		return a == b
	}
	return value.Equal(a, b)
}

func tupleItems(v any) ([]any, bool) {
	switch v := v.(type) {
	case value.List:
		return v, true
	case value.Tuple:
		return v, true
	}
	return nil, false
}

func equalItems(x, y []any, depth int, left *int) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !equalParts(x[i], y[i], depth+1, left) {
			return false
		}
	}
	return true
}

func equalMaps(x, y *value.Map, depth int, left *int) bool {
	if x.Len() != y.Len() {
		return false
	}
	for k, v := range x.All() {
		w, ok := y.Get(k)
		if !ok || !equalParts(v, w, depth+1, left) {
			return false
		}
	}
	return true
}

// hashable is the function of that name, charged to the budget by the parts that
// hashing looks at.
func (ev *evaluator) hashable(v any) error {
	if s, ok := v.(string); ok && len(s) < 1024 {
		return nil
	}
	left := maxVisits
	if err := hashableParts(v, 0, &left); err != nil {
		return err
	}
	return ev.budget.Step(maxVisits - left)
}

// hashable returns Python's TypeError where v cannot be a key or a member.
func hashable(v any) error {
	switch v.(type) {
	case string, int64, nil, bool, float64:
		return nil
	}
	left := maxVisits
	return hashableParts(v, 0, &left)
}

func hashableParts(v any, depth int, left *int) error {
	if *left--; *left < 0 || depth > maxNested {
		return &Error{Kind: "LimitExceeded", Message: "hash a value of too many parts", Err: value.ErrLimit}
	}
	switch v := v.(type) {
	case string:
		*left -= len(v) / 1024
	case *value.Set:
		*left -= v.Len()
	case *value.Array:
		return Raise("TypeError", "unhashable type: 'list'")
	case *dict:
		return Raise("TypeError", "unhashable type: 'dict'")
	case *view:
		if v.kind != viewValues {
			return Raise("TypeError", "unhashable type: '%s'", v.class())
		}
	case value.List:
		return hashableItems(v, depth, left)
	case value.Tuple:
		return hashableItems(v, depth, left)
	case *value.Map:
		for _, x := range v.All() {
			if err := hashableParts(x, depth+1, left); err != nil {
				return err
			}
		}
	}
	return nil
}

func hashableItems(items []any, depth int, left *int) error {
	for _, x := range items {
		if err := hashableParts(x, depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

// asSet returns the members of a set or view. What is not a set is empty.
func asSet(v any) *value.Set {
	switch v := v.(type) {
	case *value.Set:
		return v
	case *view:
		return value.NewSet(v.items()...)
	}
	return value.NewSet()
}

// setItems returns the members in the order in which CPython's hash table keeps
// them where that is the same in every process: for integers. Other sets keep
// the order of insertion.
func setItems(s *value.Set) value.List {
	items := s.Items()
	for _, v := range items {
		if i, ok := v.(int64); !ok || i > 1<<60 || i < -1<<60 {
			return items
		}
	}
	table := make([]any, 8)
	used := 0
	for _, v := range items {
		place(table, v)
		if used++; used*5 >= (len(table)-1)*3 {
			table = grown(table, used)
		}
	}
	out := make(value.List, 0, len(items))
	for _, v := range table {
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}

func grown(table []any, used int) []any {
	size, least := 8, used*4
	if used > 50000 {
		least = used * 2
	}
	for size <= least {
		size *= 2
	}
	bigger := make([]any, size)
	for _, v := range table {
		if v != nil {
			place(bigger, v)
		}
	}
	return bigger
}

// place puts an integer into an open-addressed table as CPython's sets do.
func place(table []any, v any) {
	h := v.(int64)
	if h == -1 {
		h = -2
	}
	mask := uint64(len(table) - 1)
	perturb := uint64(h)
	i := perturb & mask
	for {
		probes := uint64(0)
		if i+9 <= mask {
			probes = 9
		}
		for j := i; j <= i+probes; j++ {
			if table[j] == nil {
				table[j] = v
				return
			}
		}
		perturb >>= 5
		i = (i*5 + 1 + perturb) & mask
	}
}
