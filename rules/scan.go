package rules

import (
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/hayate-run/hayate"
)

// kind is the kind of a JSON value.
type kind uint8

const (
	kindNone kind = iota
	kindNull
	kindFalse
	kindTrue
	kindNumber
	kindString
	kindArray // this and what follows are containers
	kindObject
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "false", "true", "a number", "a string", "a list", "an object"}[k]
}

func scalarKind(c byte) kind {
	switch c {
	case 't':
		return kindTrue
	case 'f':
		return kindFalse
	case 'n':
		return kindNull
	}
	return kindNumber
}

// field is a value of the event at a place that some rule reads.
type field struct {
	val   []byte // a string's text, a number's spelling, a container as it stands
	num   float64
	hash  uint64
	next  int32 // the field found at this place before this one, -1
	trail int32 // the elements of object arrays it lies in, -1
	path  pathID
	kind  kind
	flags fieldFlags
}

type fieldFlags uint8

const (
	inArray fieldFlags = 1 << iota // an array was passed on the way
	numRead                        // num is set
	numLong                        // the number has more digits than a double holds
	hashed                         // hash is set
)

// trail is one element of an array, below the elements it lies in.
type trail struct {
	up    int32
	array int32 // tells arrays apart
	elem  int32
	path  pathID // of the array
}

// maxNesting is how many arrays in arrays are looked into.
const maxNesting = 500

// head is the newest field of a place; it is stale where gen differs.
type head struct {
	gen   uint32
	first int32
	n     int32 // how many fields
}

// view is one event, read: the values at the places that rules read.
type view struct {
	w      *paths
	event  *hayate.Event
	gen    uint32
	heads  []head
	fields []field
	trails []trail
	arrays int32
	depth  int    // of arrays in arrays
	texts  []byte // unescaped strings, attributes' texts
	object bool   // the data is a JSON object
	// twice says that a member on the way to some place occurs twice in one
	// object, so that fields do not tell which one counts.
	twice bool
	seen  []head // per node: the object (by position) it was last found in
	fold  []byte // scratch for folded text
	// keyed finds values of places that have very many, by their keys.
	keyed map[uint64]int32
	lists []pathID // the places in keyed
}

// read takes an event apart. The view holds slices of its data until the next one.
func (v *view) read(w *paths, e *hayate.Event) {
	v.w, v.event = w, e
	v.gen++
	if n := w.size(); len(v.heads) < n || v.gen == 0 {
		v.heads = make([]head, n+n/4)
		v.seen = make([]head, len(v.heads))
		v.gen = 1
	}
	v.fields, v.trails, v.texts, v.arrays = v.fields[:0], v.trails[:0], v.texts[:0], 0
	v.object, v.twice = false, false
	for i, name := range w.attrs {
		if text, ok := v.attribute(name); ok {
			v.add(attrPath(i), kindString, text, -1, 0)
		}
	}
	if len(e.Data) == 0 || !e.IsJSON() {
		return
	}
	b := e.Data
	i := skipSpace(b, 0)
	v.object = i < len(b) && b[i] == '{'
	if len(w.nodes) > 1 || w.nodes[0].leaf {
		v.value(b, i, 0, -1, -1, 0)
	}
}

// maxKept is the number of fields whose memory is kept for the next event.
const maxKept = 1 << 14

// release forgets the event, so that its bytes can be freed.
func (v *view) release() {
	clear(v.fields)
	v.fields, v.event = v.fields[:0], nil
	if cap(v.fields) > maxKept || cap(v.texts) > maxKept*16 {
		v.fields, v.trails, v.texts = nil, nil, nil
	}
	if len(v.lists) > 0 {
		v.keyed, v.lists = nil, v.lists[:0]
	}
}

// many is the number of values at one place from which on they are looked up by
// key instead of one after the other.
const many = 48

// lookup finds a field of a place by its key. done is false where the place has
// few values, so that looking at each is cheaper.
func (v *view) lookup(p pathID, key uint64) (f *field, done bool) {
	if v.first(p) < 0 || v.heads[p].n < many {
		return nil, false
	}
	if !slices.Contains(v.lists, p) {
		if v.keyed == nil {
			v.keyed = map[uint64]int32{}
		}
		for i := v.first(p); i >= 0; i = v.fields[i].next {
			if v.fields[i].kind < kindArray {
				v.keyed[v.valueKey(&v.fields[i])] = i
			}
		}
		v.lists = append(v.lists, p)
	}
	i, ok := v.keyed[key]
	if !ok {
		return nil, true
	}
	return &v.fields[i], true
}

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
func textOf(b []byte) string  { return unsafe.String(unsafe.SliceData(b), len(b)) }

// attribute returns an attribute's canonical text.
func (v *view) attribute(name string) ([]byte, bool) {
	e := v.event
	var s string
	switch name {
	case "type":
		s = e.Type
	case "source":
		s = e.Source
	case "id":
		s = e.ID
	case "subject":
		s = e.Subject
	case "specversion":
		s = "1.0"
	case "datacontenttype":
		s = e.DataContentType
	case "dataschema":
		s = e.DataSchema
	case "time":
		if e.Time.IsZero() {
			return nil, false
		}
		n := len(v.texts)
		v.texts = e.Time.AppendFormat(v.texts, time.RFC3339Nano)
		return v.texts[n:len(v.texts):len(v.texts)], true
	default:
		x, ok := e.Extensions[name]
		if !ok {
			return nil, false
		}
		switch x := x.(type) {
		case string:
			return bytesOf(x), true
		case bool:
			return bytesOf(strconv.FormatBool(x)), true
		case int32:
			n := len(v.texts)
			v.texts = strconv.AppendInt(v.texts, int64(x), 10)
			return v.texts[n:len(v.texts):len(v.texts)], true
		}
		return bytesOf(hayate.AttributeText(x)), true
	}
	return bytesOf(s), s != ""
}

func (v *view) add(p pathID, k kind, val []byte, trail int32, flags fieldFlags) {
	h := &v.heads[p]
	next := int32(-1)
	if h.gen == v.gen {
		next = h.first
	} else {
		h.gen, h.n = v.gen, 0
	}
	h.first = int32(len(v.fields))
	h.n++
	v.fields = append(v.fields, field{val: val, next: next, trail: trail, path: p, kind: k, flags: flags})
}

// first returns the newest field at a place, -1 where there is none.
func (v *view) first(p pathID) int32 {
	if int(p) >= len(v.heads) {
		return -1
	}
	if h := &v.heads[p]; h.gen == v.gen {
		return h.first
	}
	return -1
}

// value reads the value at i, which node n describes. objects is the trail of the
// objects around it, elems that of all array elements around it.
func (v *view) value(b []byte, i int, n uint32, objects, elems int32, flags fieldFlags) int {
	if i >= len(b) {
		return i
	}
	nd := &v.w.nodes[n]
	switch c := b[i]; c {
	case '"':
		end, escaped := skipString(b, i)
		if nd.leaf {
			s := b[i+1 : max(end-1, i+1)]
			if escaped {
				k := len(v.texts)
				v.texts = unescape(v.texts, s)
				s = v.texts[k:len(v.texts):len(v.texts)]
			}
			v.add(nodePath(n), kindString, s, objects, flags)
		}
		return end
	case '{':
		if nd.raw {
			return v.container(b, i, n, kindObject, objects, elems, flags)
		}
		if nd.childless() {
			return skipContainer(b, i)
		}
		return v.members(b, i, nd, elems, flags)
	case '[':
		if nd.raw {
			return v.container(b, i, n, kindArray, objects, elems, flags)
		}
		if nd.childless() && !nd.leaf {
			return skipContainer(b, i)
		}
		return v.elements(b, i, n, objects, elems)
	default:
		end := skipScalar(b, i)
		if nd.leaf && end > i {
			v.add(nodePath(n), scalarKind(c), b[i:end], objects, flags)
		}
		return end
	}
}

// container adds an object or array as it stands, then what lies in it.
func (v *view) container(b []byte, i int, n uint32, k kind, objects, elems int32, flags fieldFlags) int {
	nd := &v.w.nodes[n]
	at := len(v.fields)
	v.add(nodePath(n), k, nil, elems, flags)
	var end int
	switch {
	case k == kindObject && !nd.childless():
		end = v.members(b, i, nd, elems, flags)
	case k == kindObject:
		end = skipContainer(b, i)
	default:
		end = v.elements(b, i, n, objects, elems)
	}
	v.fields[at].val = b[i:min(end, len(b))]
	return end
}

// members reads an object. Its own position tells one object from another.
func (v *view) members(b []byte, i int, nd *node, elems int32, flags fieldFlags) int {
	start := int32(i)
	i++
	for i < len(b) {
		switch b[i] {
		case '"':
		case '}':
			return i + 1
		default:
			i++
			continue
		}
		end, escaped := skipString(b, i)
		name := b[i+1 : max(end-1, i+1)]
		if escaped {
			k := len(v.texts)
			v.texts = unescape(v.texts, name)
			name = v.texts[k:]
		}
		i = skipSpace(b, end)
		if i < len(b) && b[i] == ':' {
			i = skipSpace(b, i+1)
		}
		kid, ok := v.w.find(nd, name)
		if !ok {
			i = skipValue(b, i)
			continue
		}
		if s := &v.seen[kid]; s.gen == v.gen && s.first == start {
			v.twice = true
		} else {
			s.gen, s.first = v.gen, start
		}
		i = v.value(b, i, kid, elems, elems, flags)
	}
	return i
}

// elements reads an array. Objects and arrays in it get a trail each; scalars
// keep the trail of the objects around the array, since they bind nothing.
func (v *view) elements(b []byte, i int, n uint32, objects, elems int32) int {
	if v.depth >= maxNesting {
		return skipContainer(b, i)
	}
	v.depth++
	defer func() { v.depth-- }()
	array := v.arrays
	v.arrays++
	i++
	for k := int32(0); i < len(b); {
		switch c := b[i]; c {
		case ' ', '\n', '\t', '\r':
			i++
		case ',':
			k++
			i++
		case ']':
			return i + 1
		case '{', '[':
			t := int32(len(v.trails))
			v.trails = append(v.trails, trail{up: elems, array: array, elem: k, path: nodePath(n)})
			i = v.value(b, i, n, objects, t, inArray)
		default:
			j := v.value(b, i, n, objects, elems, inArray)
			if j == i {
				return len(b) // not JSON
			}
			i = j
		}
	}
	return i
}
