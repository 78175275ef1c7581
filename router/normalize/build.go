package normalize

import (
	"strconv"
	"unicode/utf8"
)

// builder collects values that are not JSON yet (a form, XML) as JSON that
// keeps the order in which names first appeared.
type builder struct {
	names  []string
	fields map[string]*builder // members, where it is an object
	items  []*builder          // elements, where it is an array
	array  bool
	text   string
	null   bool
	seen   bool // an element of XML stands here, even an empty one
}

// field returns the member of that name, making it where there is none.
func (b *builder) field(name string) *builder {
	if b.fields == nil {
		b.fields = map[string]*builder{}
	}
	f := b.fields[name]
	if f == nil {
		f = &builder{null: true}
		b.fields[name] = f
		b.names = append(b.names, name)
	}
	return f
}

// element appends an element, turning b into an array.
func (b *builder) element() *builder {
	b.array = true
	e := &builder{null: true}
	b.items = append(b.items, e)
	return e
}

// step goes from b to what a bracket with that key means in a form's name: an
// element where the key is empty or the next index, else a member. A text that
// is there already is kept.
func (b *builder) step(key string) *builder {
	if b.fields == nil && (key == "" || key == strconv.Itoa(len(b.items))) {
		if !b.null && !b.array {
			first := b.text
			b.text = ""
			b.element().put(first)
		}
		return b.element()
	}
	if b.array {
		b = b.element()
	}
	if !b.null && b.fields == nil {
		b.fields, b.names = map[string]*builder{}, nil
		b.field("#text").put(b.text)
	}
	return b.field(key)
}

// fresh says whether no element of XML was put there yet.
func (b *builder) fresh() bool { return !b.seen }

// put sets the text; a second text, or one beside members, makes an array or a
// "#text" member, so that nothing is lost.
func (b *builder) put(text string) {
	switch {
	case b.fields != nil:
		b.field("#text").put(text)
	case b.array:
		b.element().put(text)
	case b.null:
		b.text, b.null = text, false
	default:
		first := b.text
		b.text = ""
		b.element().put(first)
		b.element().put(text)
	}
}

func (b *builder) appendJSON(out []byte) []byte {
	switch {
	case b.array:
		out = append(out, '[')
		for i, e := range b.items {
			if i > 0 {
				out = append(out, ',')
			}
			out = e.appendJSON(out)
		}
		return append(out, ']')
	case b.fields != nil:
		out = append(out, '{')
		for i, name := range b.names {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, name), ':')
			out = b.fields[name].appendJSON(out)
		}
		return append(out, '}')
	case b.null:
		return append(out, "null"...)
	}
	return appendString(out, b.text)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string; what is not UTF-8 becomes U+FFFD.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			out = append(out, c)
		}
		i++
	}
	return append(out, '"')
}

// merged is an object: the members of the first value as they stand, then the
// given ones. Names must not repeat.
func merged(first value, more ...member) []byte {
	size := len(first.raw()) + 2
	for _, m := range more {
		size += len(m.name) + len(m.json) + 4
	}
	out := make([]byte, 0, size)
	out = append(out, '{')
	n := 0
	for name, v := range first.members() {
		if n++; n > 1 {
			out = append(out, ',')
		}
		out = append(appendString(out, name), ':')
		out = append(out, v.raw()...)
	}
	for _, m := range more {
		if m.json == nil || first.get(m.name).exists() {
			continue
		}
		if n++; n > 1 {
			out = append(out, ',')
		}
		out = append(appendString(out, m.name), ':')
		out = append(out, m.json...)
	}
	return append(out, '}')
}

// member is a name and a JSON text; a nil text means that there is none.
type member struct {
	name string
	json []byte
}
