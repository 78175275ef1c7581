package value

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// Equal is Python's a == b: numbers by value whatever their kind, True equal to
// 1, lists never equal to tuples, maps whatever their order. Two values whose
// comparison would look at more than four million parts are unequal.
func Equal(a, b any) bool {
	n := maxParts
	return equal(a, b, 0, &n)
}

// EqualWithin is Equal within a budget: every four parts that are looked at take
// a step, and a comparison for which the steps do not suffice is ErrLimit.
func EqualWithin(a, b any, budget *Budget) (bool, error) {
	steps, _ := budget.Left()
	n := int(min(4*min(steps, maxParts), maxParts))
	start := n
	ok := equal(a, b, 0, &n)
	if n < 0 {
		return false, budget.Step(maxParts)
	}
	return ok, budget.Step((start - n) / 4)
}

func equal(a, b any, depth int, left *int) bool {
	*left--
	if *left < 0 || depth > MaxDepth {
		return false
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		y, ok := b.(string)
		if !ok {
			return equalObject(b, a)
		}
		return x == y
	case Bytes:
		y, ok := b.(Bytes)
		return ok && string(x) == string(y)
	case List:
		y, ok := listItems(b)
		return ok && equalItems(x, y, depth, left)
	case *Array:
		if x == b {
			return true
		}
		y, ok := listItems(b)
		return ok && equalItems(x.Items, y, depth, left)
	case Tuple:
		y, ok := b.(Tuple)
		return ok && equalItems(x, y, depth, left)
	case *Set:
		y, ok := b.(*Set)
		return ok && x.Len() == y.Len() && x.SubsetOf(y)
	case *Map:
		y, ok := b.(*Map)
		return ok && (x == y || equalMaps(x, y, depth, left))
	case Equaler:
		return x.PyEqual(b)
	}
	if IsNumber(a) {
		if IsNumber(b) {
			c, ok := compareNumbers(a, b)
			return ok && c == 0
		}
		return equalObject(b, a)
	}
	return equalObject(b, a) || comparable2(a, b) && a == b
}

func equalObject(a, b any) bool {
	e, ok := a.(Equaler)
	return ok && e.PyEqual(b)
}

// comparable2 says whether Go can compare both.
func comparable2(a, b any) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable()
}

func listItems(v any) (List, bool) {
	switch v := v.(type) {
	case List:
		return v, true
	case *Array:
		return v.Items, true
	}
	return nil, false
}

func equalItems(x, y []any, depth int, left *int) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !equal(x[i], y[i], depth+1, left) {
			return false
		}
	}
	return true
}

func equalMaps(x, y *Map, depth int, left *int) bool {
	if x.Len() != y.Len() {
		return false
	}
	for i := 0; i < x.Len(); i++ {
		k, v := x.At(i)
		w, ok := y.Get(k)
		if !ok || !equal(v, w, depth+1, left) {
			return false
		}
	}
	return true
}

// Order is Python's a op b for op one of "<", "<=", ">", ">=". Values that
// Python cannot order give its TypeError.
func Order(op string, a, b any) (bool, error) {
	n := maxParts
	return order(op, a, b, 0, &n)
}

// Compare orders two values: negative, zero or positive. It fails as Order does;
// NaN counts as equal to everything.
func Compare(a, b any) (int, error) {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return strings.Compare(x, y), nil
		}
	}
	if less, err := Order("<", a, b); err != nil || less {
		return -1, err
	}
	if less, err := Order("<", b, a); err != nil || less {
		return 1, err
	}
	return 0, nil
}

func order(op string, a, b any, depth int, left *int) (bool, error) {
	*left--
	if *left < 0 || depth > MaxDepth {
		return false, fmt.Errorf("compare values: %w", ErrLimit)
	}
	if IsNumber(a) && IsNumber(b) {
		c, ok := compareNumbers(a, b)
		return ok && holds(op, c), nil
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return holds(op, strings.Compare(x, y)), nil
		}
	case Bytes:
		if y, ok := b.(Bytes); ok {
			return holds(op, strings.Compare(string(x), string(y))), nil
		}
	case List, *Array:
		if y, ok := listItems(b); ok {
			l, _ := listItems(a)
			return orderItems(op, l, y, depth, left)
		}
	case Tuple:
		if y, ok := b.(Tuple); ok {
			return orderItems(op, x, y, depth, left)
		}
	case *Set:
		if y, ok := b.(*Set); ok {
			return orderSets(op, x, y), nil
		}
	case Lesser:
		if ok, known := orderObjects(op, x, a, b); known {
			return ok, nil
		}
	}
	return false, TypeErrorf("'%s' not supported between instances of '%s' and '%s'", op, Type(a), Type(b))
}

func orderObjects(op string, x Lesser, a, b any) (holds, known bool) {
	less, ok := x.PyLess(b)
	if !ok {
		return false, false
	}
	switch op {
	case "<":
		return less, true
	case "<=":
		return less || Equal(a, b), true
	case ">":
		return !less && !Equal(a, b), true
	}
	return !less, true
}

func holds(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func orderItems(op string, x, y []any, depth int, left *int) (bool, error) {
	for i := range x {
		if i >= len(y) {
			break
		}
		if !equal(x[i], y[i], depth+1, left) {
			return order(op, x[i], y[i], depth+1, left)
		}
	}
	return holds(op, len(x)-len(y)), nil
}

func orderSets(op string, x, y *Set) bool {
	switch op {
	case "<":
		return x.Len() < y.Len() && x.SubsetOf(y)
	case "<=":
		return x.SubsetOf(y)
	case ">":
		return y.Len() < x.Len() && y.SubsetOf(x)
	}
	return y.SubsetOf(x)
}

// compareNumbers compares exactly; ok is false where one is NaN.
func compareNumbers(a, b any) (c int, ok bool) {
	a, b = plain(a), plain(b)
	switch x := a.(type) {
	case int64:
		switch y := b.(type) {
		case int64:
			return cmp64(x, y), true
		case float64:
			c, ok = compareIntFloat(x, y)
			return c, ok
		case *big.Int:
			return big.NewInt(x).Cmp(y), true
		}
	case float64:
		switch y := b.(type) {
		case float64:
			return cmpFloat(x, y)
		case int64:
			c, ok = compareIntFloat(y, x)
			return -c, ok
		case *big.Int:
			c, ok = compareBigFloat(y, x)
			return -c, ok
		}
	case *big.Int:
		switch y := b.(type) {
		case int64:
			return x.Cmp(big.NewInt(y)), true
		case float64:
			return compareBigFloat(x, y)
		case *big.Int:
			return x.Cmp(y), true
		}
	}
	return 0, false
}

func cmp64(x, y int64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func cmpFloat(x, y float64) (int, bool) {
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, x == y
}

func compareIntFloat(x int64, y float64) (int, bool) {
	if x > -1<<53 && x < 1<<53 {
		return cmpFloat(float64(x), y)
	}
	return compareBigFloat(big.NewInt(x), y)
}

func compareBigFloat(x *big.Int, y float64) (int, bool) {
	switch {
	case math.IsNaN(y):
		return 0, false
	case math.IsInf(y, 1):
		return -1, true
	case math.IsInf(y, -1):
		return 1, true
	}
	f := new(big.Float).SetInt(x)
	return f.Cmp(big.NewFloat(y)), true
}

// The hash keys of values that are not Go's int64, string or float64.
type (
	nilKey   struct{}
	bigKey   string
	bytesKey string
	seqKey   string
	setKey   string
	mapKey   string
)

// maxKeyParts bounds how many parts of a container tell it apart as a key.
const maxKeyParts = 1 << 16

// HashKey returns a comparable stand-in for a value, the same for values that
// Python holds equal: 1, 1.0 and True share one. Lists stand in as tuples, maps
// and sets by their members whatever the order; Hashable says whether Python
// would allow it.
func HashKey(v any) any {
	switch x := v.(type) {
	case string, int64:
		return x
	case nil:
		return nilKey{}
	case bool:
		if x {
			return int64(1)
		}
		return int64(0)
	case float64:
		return floatKey(x)
	case *big.Int:
		return bigKey(x.String())
	case Bytes:
		return bytesKey(x)
	case List, Tuple, *Array, *Map, *Set:
		k := keyWriter{left: maxKeyParts}
		return k.container(x, 0)
	case Keyer:
		return x.HashKey()
	}
	if reflect.TypeOf(v).Comparable() {
		return v
	}
	return seqKey(fmt.Sprintf("%T%p", v, v))
}

func floatKey(f float64) any {
	if f != math.Trunc(f) || math.IsInf(f, 0) || math.IsNaN(f) {
		return f
	}
	if f >= -1<<63 && f < 1<<63 {
		return int64(f)
	}
	i, _ := big.NewFloat(f).Int(nil)
	return bigKey(i.String())
}

// Hashable returns Python's TypeError where v cannot be a member of a set or a
// key of a dict.
func Hashable(v any) error {
	switch v := v.(type) {
	case List, *Array, *Map, *Set:
		return TypeErrorf("unhashable type: '%s'", Type(v))
	case Tuple:
		for _, x := range v {
			if err := Hashable(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyWriter spells out containers so that equal ones have equal texts.
type keyWriter struct{ left int }

func (k *keyWriter) container(v any, depth int) any {
	k.left--
	if k.left < 0 || depth > MaxDepth {
		return seqKey("...")
	}
	switch v := v.(type) {
	case *Map:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = k.part(v.keys[i], depth) + k.part(v.vals[i], depth)
		}
		sort.Strings(parts)
		return mapKey(strings.Join(parts, ""))
	case *Set:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = k.part(v.m.keys[i], depth)
		}
		sort.Strings(parts)
		return setKey(strings.Join(parts, ""))
	}
	items, _ := Items(v)
	var b strings.Builder
	for _, x := range items {
		b.WriteString(k.part(x, depth))
	}
	return seqKey(b.String())
}

// part is the text of one member: its kind, its length, its key.
func (k *keyWriter) part(v any, depth int) string {
	var key any
	switch v.(type) {
	case List, Tuple, *Array, *Map, *Set:
		key = k.container(v, depth+1)
	default:
		key = HashKey(v)
	}
	kind, s := "o", ""
	switch x := key.(type) {
	case string:
		kind, s = "s", x
	case int64:
		kind, s = "i", strconv.FormatInt(x, 10)
	case float64:
		kind, s = "f", FormatFloat(x)
	case nilKey:
		kind = "n"
	case bigKey:
		kind, s = "i", string(x)
	case bytesKey:
		kind, s = "b", string(x)
	case seqKey:
		kind, s = "l", string(x)
	case setKey:
		kind, s = "t", string(x)
	case mapKey:
		kind, s = "m", string(x)
	default:
		s = fmt.Sprintf("%T:%v", x, x)
	}
	return kind + strconv.Itoa(len(s)) + ":" + s
}
