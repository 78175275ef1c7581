// Package value holds the data that expressions work on, with the meaning
// Python gives it, since StackStorm's users see that meaning in every text an
// expression yields.
//
// A value is one of
//
//	nil, bool, int64, *big.Int (only outside int64), float64, string,
//	List, *Map, *Set, Bytes,
//
// and whatever an expression language adds for itself (YAQL's dates and
// iterators). Numbers keep their kind: 1 and 1.0 are different values that
// compare equal. Maps keep the order of insertion. Values are not changed once
// they are shared; whoever builds one owns it until then.
package value

// List is an ordered sequence. A nil List is an empty one.
type List []any

// Bytes is Python's bytes.
type Bytes []byte

// Map is an ordered mapping. Keys are hashable values: nil, bool, numbers,
// strings, and lists of them (tuples). The zero Map is empty and ready to use.
type Map struct {
	keys  []any
	vals  []any
	index map[any]int // by hash key; nil while small
}

// Set is a set of hashable values that remembers the order of insertion.
type Set struct{ m Map }
