// Package value holds the data that expressions work on, with the meaning
// Python gives it, since StackStorm's users see that meaning in every text an
// expression yields.
//
// A value is one of
//
//	nil, bool, int64, *big.Int (only outside int64), float64, string,
//	List, Tuple, *Array, *Map, *Set, Bytes,
//
// and whatever an expression language adds for itself (YAQL's dates and
// iterators), which may implement Object to say how it is shown and compared.
// Numbers keep their kind: 1 and 1.0 are different values that compare equal.
// Maps keep the order of insertion. Values are not changed once they are
// shared; whoever builds one owns it until then.
//
// Everything that walks a value is bounded in depth (MaxDepth) and in the number
// of parts it looks at, since a small value can hold itself many times over.
package value

// List is an ordered sequence. A nil List is an empty one.
type List []any

// Tuple is Python's tuple: a sequence that is shown in parentheses and never
// equals a list. JSON knows only arrays, so it is encoded as one.
type Tuple []any

// Array is a list by reference, for languages in which a list can be changed
// after it was made. It means the same as a List of its items.
type Array struct{ Items List }

// Bytes is Python's bytes.
type Bytes []byte

// Map is an ordered mapping. Keys are hashable values: nil, bool, numbers,
// strings, and lists of them (tuples). The zero Map is empty and ready to use.
// A nil *Map can be read as an empty one.
type Map struct {
	keys  []any
	vals  []any
	index map[any]int // by hash key; nil while small
}

// Set is a set of hashable values that remembers the order of insertion.
type Set struct{ m Map }

// Object is what a value of a language's own type can tell about itself. Each
// method may be called at any time and has no effect.
type Object interface {
	// PyType is the name of the type in messages: 'datetime', 'generator'.
	PyType() string
	// PyRepr is the text that repr would give.
	PyRepr() string
}

// The optional abilities of an Object.
type (
	// Stringer differs from its repr when it is turned into text.
	Stringer interface{ PyStr() string }
	// Truther can be false.
	Truther interface{ PyTruth() bool }
	// Equaler may equal other values than itself.
	Equaler interface{ PyEqual(other any) bool }
	// Lesser can be ordered: whether it stands before other; ok is false where
	// the two cannot be compared.
	Lesser interface {
		PyLess(other any) (less, ok bool)
	}
	// Keyer has a comparable stand-in that is equal for equal values.
	Keyer interface{ HashKey() any }
)

// MaxDepth bounds how deep values may be nested.
const MaxDepth = 500

// maxParts bounds how many parts of a value one comparison or text looks at.
const maxParts = 1 << 22

// Type is Python's name of a value's type: int, str, dict, NoneType.
func Type(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case float64:
		return "float"
	case List, *Array:
		return "list"
	case Tuple:
		return "tuple"
	case *Map:
		return "dict"
	case *Set:
		return "set"
	case Bytes:
		return "bytes"
	case Object:
		return v.PyType()
	}
	if IsInt(v) {
		return "int"
	}
	return "object"
}

// Truth is Python's bool(v): empty things, zeroes and None are false.
func Truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case int64:
		return v != 0
	case float64:
		return v != 0
	case List:
		return len(v) > 0
	case Tuple:
		return len(v) > 0
	case *Array:
		return len(v.Items) > 0
	case *Map:
		return v.Len() > 0
	case *Set:
		return v.Len() > 0
	case Bytes:
		return len(v) > 0
	case Truther:
		return v.PyTruth()
	}
	return true
}

// Items returns the items of a list or tuple, and whether v is one. The result
// must not be changed.
func Items(v any) ([]any, bool) {
	switch v := v.(type) {
	case List:
		return v, true
	case Tuple:
		return v, true
	case *Array:
		return v.Items, true
	}
	return nil, false
}
