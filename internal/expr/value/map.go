package value

import "iter"

// smallMap is the size up to which a map is searched without an index.
const smallMap = 8

// NewMap returns an empty map with room for n entries.
func NewMap(n int) *Map {
	return &Map{keys: make([]any, 0, n), vals: make([]any, 0, n)}
}

// MapOf returns a map of alternating keys and values; it is meant for literals
// in code and panics on an odd number of arguments.
func MapOf(kv ...any) *Map {
	if len(kv)%2 != 0 {
		panic("value: MapOf with a key that has no value")
	}
	m := NewMap(len(kv) / 2)
	for i := 0; i < len(kv); i += 2 {
		m.Set(kv[i], kv[i+1])
	}
	return m
}

// Len is the number of entries.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	return len(m.keys)
}

// At returns the entry at a position in the order of insertion.
func (m *Map) At(i int) (key, val any) { return m.keys[i], m.vals[i] }

// Get returns the value of a key.
func (m *Map) Get(key any) (any, bool) {
	if i := m.find(key); i >= 0 {
		return m.vals[i], true
	}
	return nil, false
}

// Str returns the value of a string key. It does not allocate.
func (m *Map) Str(key string) (any, bool) {
	if m == nil {
		return nil, false
	}
	if m.index == nil {
		for i, k := range m.keys {
			if s, ok := k.(string); ok && s == key {
				return m.vals[i], true
			}
		}
		return nil, false
	}
	if i, ok := m.index[key]; ok {
		return m.vals[i], true
	}
	return nil, false
}

// Has says whether there is such a key.
func (m *Map) Has(key any) bool { return m.find(key) >= 0 }

// Set stores a value. A key that is there already keeps its place and its form
// (a later True does not replace 1).
func (m *Map) Set(key, val any) {
	if i := m.find(key); i >= 0 {
		m.vals[i] = val
		return
	}
	m.keys = append(m.keys, key)
	m.vals = append(m.vals, val)
	switch {
	case m.index != nil:
		m.index[HashKey(key)] = len(m.keys) - 1
	case len(m.keys) > smallMap:
		m.reindex()
	}
}

// Delete removes a key and says whether it was there. It takes time in
// proportion to the map's size.
func (m *Map) Delete(key any) bool {
	i := m.find(key)
	if i < 0 {
		return false
	}
	m.keys = append(m.keys[:i:i], m.keys[i+1:]...)
	m.vals = append(m.vals[:i:i], m.vals[i+1:]...)
	m.index = nil
	if len(m.keys) > smallMap {
		m.reindex()
	}
	return true
}

// Clear removes every entry.
func (m *Map) Clear() { *m = Map{} }

// Clone returns a map with the same entries, whose values are shared.
func (m *Map) Clone() *Map {
	c := NewMap(m.Len())
	if m == nil {
		return c
	}
	c.keys = append(c.keys, m.keys...)
	c.vals = append(c.vals, m.vals...)
	if len(c.keys) > smallMap {
		c.reindex()
	}
	return c
}

// All yields the entries in the order of insertion. The map must not be changed
// meanwhile.
func (m *Map) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		for i := 0; i < m.Len(); i++ {
			if !yield(m.keys[i], m.vals[i]) {
				return
			}
		}
	}
}

// Keys returns the keys in order, in a list of its own.
func (m *Map) Keys() List {
	if m == nil {
		return nil
	}
	return append(List(nil), m.keys...)
}

// Values returns the values in order, in a list of its own.
func (m *Map) Values() List {
	if m == nil {
		return nil
	}
	return append(List(nil), m.vals...)
}

func (m *Map) find(key any) int {
	if m == nil {
		return -1
	}
	if m.index != nil {
		if i, ok := m.index[HashKey(key)]; ok {
			return i
		}
		return -1
	}
	if s, ok := key.(string); ok {
		for i, k := range m.keys {
			if t, ok := k.(string); ok && s == t {
				return i
			}
		}
		return -1
	}
	if len(m.keys) == 0 {
		return -1
	}
	h := HashKey(key)
	for i, k := range m.keys {
		if HashKey(k) == h {
			return i
		}
	}
	return -1
}

func (m *Map) reindex() {
	m.index = make(map[any]int, len(m.keys)+len(m.keys)/2)
	for i, k := range m.keys {
		m.index[HashKey(k)] = i
	}
}

// NewSet returns a set of the items, the first of equals.
func NewSet(items ...any) *Set {
	s := &Set{}
	for _, v := range items {
		s.Add(v)
	}
	return s
}

// Len is the number of members.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return s.m.Len()
}

// Has says whether v is a member.
func (s *Set) Has(v any) bool { return s != nil && s.m.Has(v) }

// Add puts v in and says whether it is new.
func (s *Set) Add(v any) bool {
	if s.m.Has(v) {
		return false
	}
	s.m.Set(v, nil)
	return true
}

// Delete takes v out and says whether it was there.
func (s *Set) Delete(v any) bool { return s.m.Delete(v) }

// Items returns the members in the order of insertion, in a list of its own.
func (s *Set) Items() List {
	if s == nil {
		return nil
	}
	return s.m.Keys()
}

// Union returns the members of either.
func (s *Set) Union(t *Set) *Set {
	u := NewSet(s.Items()...)
	for _, v := range t.Items() {
		u.Add(v)
	}
	return u
}

// Intersect returns the members of both.
func (s *Set) Intersect(t *Set) *Set {
	u := &Set{}
	for _, v := range s.Items() {
		if t.Has(v) {
			u.Add(v)
		}
	}
	return u
}

// Minus returns the members of s that t lacks.
func (s *Set) Minus(t *Set) *Set {
	u := &Set{}
	for _, v := range s.Items() {
		if !t.Has(v) {
			u.Add(v)
		}
	}
	return u
}

// SubsetOf says whether t has every member of s.
func (s *Set) SubsetOf(t *Set) bool {
	if s.Len() > t.Len() {
		return false
	}
	for _, v := range s.Items() {
		if !t.Has(v) {
			return false
		}
	}
	return true
}
