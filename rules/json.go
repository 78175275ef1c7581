package rules

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The readers below walk over JSON that is known to be valid (events are
// checked when they are accepted, rules when they are compiled). On other bytes
// they stop early, but never read out of bounds.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// special returns the position of the first quote or backslash from i on, or
// len(b). It looks at eight bytes at a time: a byte of x is zero where the text
// has the character, and subtracting one then sets its highest bit.
func special(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	const quotes, slashes = '"' * ones, '\\' * ones
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		x, y := w^quotes, w^slashes
		if m := ((x-ones)&^x | (y-ones)&^y) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '"' || b[i] == '\\' {
			break
		}
	}
	return i
}

// skipString returns the position behind the string whose opening quote is at
// i, and whether it has escapes.
func skipString(b []byte, i int) (end int, escaped bool) {
	for i++; ; i += 2 {
		i = special(b, i)
		if i >= len(b) {
			return len(b), escaped
		}
		if b[i] == '"' {
			return i + 1, escaped
		}
		escaped = true
	}
}

// skipScalar returns the position behind a number or a literal.
func skipScalar(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// skipValue returns the position behind the value that begins at i.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		i, _ = skipString(b, i)
		return i
	case '{', '[':
		return skipContainer(b, i)
	}
	return skipScalar(b, i)
}

func skipContainer(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch structure[b[i]] {
		case 0:
			i++
		case 1:
			i, _ = skipString(b, i)
		case 2:
			depth++
			i++
		default:
			i++
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// structure says what a byte outside strings does: 1 opens a string, 2 a
// container, 3 closes one.
var structure = [256]uint8{'"': 1, '{': 2, '[': 2, '}': 3, ']': 3}

// unescape appends the text of a JSON string without its quotes.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		j := bytes.IndexByte(s[i:], '\\')
		if j < 0 || i+j+1 >= len(s) {
			return append(dst, s[i:]...)
		}
		dst = append(dst, s[i:i+j]...)
		i += j + 1
		c := s[i]
		i++
		switch c {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r := hex4(s[i:])
			i = min(i+4, len(s))
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
					low = hex4(s[i+2:])
				}
				if d := utf16.DecodeRune(r, low); d != utf8.RuneError {
					r, i = d, i+6
				} else {
					r = utf8.RuneError
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func hex4(s []byte) rune {
	if len(s) < 4 {
		return utf8.RuneError
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return utf8.RuneError
		}
		r = r<<4 | rune(c)
	}
	return r
}

// doc is a JSON value of a rule, members in the order of the document and
// duplicates kept.
type doc struct {
	kind kind
	text string // a string's text, a number's spelling
	keys []string
	vals []doc // members' or items' values
}

// maxDepth bounds the nesting of a rule's documents.
const maxDepth = 200

// parseDoc reads valid JSON; ok is false where it is nested too deeply.
func parseDoc(b []byte) (d doc, ok bool) {
	p := docParser{b: b}
	d = p.value(0)
	return d, !p.deep
}

type docParser struct {
	b    []byte
	i    int
	deep bool
}

func (p *docParser) value(depth int) doc {
	if p.i = skipSpace(p.b, p.i); p.i >= len(p.b) {
		return doc{}
	}
	if depth > maxDepth {
		p.deep = true
		p.i = len(p.b)
		return doc{}
	}
	switch c := p.b[p.i]; c {
	case '"':
		return doc{kind: kindString, text: p.str()}
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	default:
		end := skipScalar(p.b, p.i)
		d := doc{kind: scalarKind(c), text: string(p.b[p.i:end])}
		p.i = end
		return d
	}
}

func (p *docParser) str() string {
	end, escaped := skipString(p.b, p.i)
	s := p.b[p.i+1 : max(end-1, p.i+1)]
	p.i = end
	if escaped {
		return string(unescape(nil, s))
	}
	return string(s)
}

func (p *docParser) object(depth int) doc {
	d := doc{kind: kindObject}
	p.i++
	for p.more('}') {
		d.keys = append(d.keys, p.str())
		p.i = skipSpace(p.b, p.i) + 1 // the colon
		d.vals = append(d.vals, p.value(depth+1))
	}
	return d
}

func (p *docParser) array(depth int) doc {
	d := doc{kind: kindArray}
	p.i++
	for p.more(']') {
		d.vals = append(d.vals, p.value(depth+1))
	}
	return d
}

// more goes to the next member of an object or array; where there is none it
// passes the end, and says so.
func (p *docParser) more(end byte) bool {
	for ; ; p.i++ {
		p.i = skipSpace(p.b, p.i)
		if p.i >= len(p.b) || p.b[p.i] == end {
			p.i++
			return false
		}
		if p.b[p.i] != ',' {
			return true
		}
	}
}

// get returns a member of an object.
func (d *doc) get(key string) (*doc, bool) {
	for i, k := range d.keys {
		if k == key {
			return &d.vals[i], true
		}
	}
	return nil, false
}

// describe names a value for messages: its kind, and its text where short.
func (d *doc) describe() string {
	switch d.kind {
	case kindString:
		return "the string " + quote(d.text)
	case kindNumber:
		return "the number " + d.text
	case kindArray:
		return "a list"
	case kindObject:
		return "an object"
	}
	return d.kind.String()
}
