package normalize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
)

// document is a parsed JSON text. Nodes refer to the text, so that a part of
// it (one record of a batch) can be passed on byte for byte.
type document struct {
	text  []byte
	nodes []node
}

// node is one JSON value. Siblings and children are indexes into the document;
// 0 means none, because node 0 is the root and nobody's child.
type node struct {
	kind                  byte // '{' '[' '"' '0' 't' 'f' 'n'
	escaped, keyEscaped   bool
	keyStart, keyEnd      int32
	start, end            int32
	child, next, children int32
}

// value is a node of a document; its zero value is absent.
type value struct {
	doc *document
	at  int32
}

// parse reads one JSON text (RFC 8259) of at most depth nested containers. The
// error names the place and is of kind ErrInvalid.
func parse(text []byte, depth int) (value, error) {
	if len(text) > 1<<30 {
		return value{}, fmt.Errorf("body: %d bytes are more than can be read: %w", len(text), hayate.ErrTooLarge)
	}
	if !utf8.Valid(text) {
		return value{}, fmt.Errorf("body: byte %d is not UTF-8, and Content-Type names no other charset: %w", firstInvalid(text), hayate.ErrInvalid)
	}
	p := parser{doc: &document{text: text, nodes: make([]node, 0, len(text)/24+4)}, room: depth}
	p.space()
	if p.err == "" {
		p.value(0, 0, false)
	}
	p.space()
	if p.err == "" && p.pos < len(text) {
		p.fail("text after the end of the value")
	}
	if p.err != "" {
		line := bytes.Count(text[:p.pos], []byte{'\n'}) + 1
		column := p.pos - bytes.LastIndexByte(text[:p.pos], '\n')
		return value{}, fmt.Errorf("body: not JSON at line %d, column %d: %s: %w", line, column, p.err, hayate.ErrInvalid)
	}
	return value{p.doc, 0}, nil
}

func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

type parser struct {
	doc  *document
	pos  int
	room int // how much deeper containers may nest
	err  string
}

func (p *parser) fail(why string) {
	if p.err == "" {
		p.err = why
	}
}

func (p *parser) space() {
	for p.pos < len(p.doc.text) {
		switch p.doc.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// value parses the value at pos and returns its index.
func (p *parser) value(keyStart, keyEnd int, keyEscaped bool) int32 {
	t := p.doc.text
	if p.pos >= len(t) {
		p.fail("the text ends where a value should begin")
		return 0
	}
	at := int32(len(p.doc.nodes))
	n := node{start: int32(p.pos), keyStart: int32(keyStart), keyEnd: int32(keyEnd), keyEscaped: keyEscaped}
	p.doc.nodes = append(p.doc.nodes, n)
	switch c := t[p.pos]; c {
	case '{', '[':
		n.kind = c
		if p.room == 0 {
			p.fail("nested too deeply")
			return at
		}
		p.room--
		n.child, n.children = p.container(c)
		p.room++
	case '"':
		n.kind = '"'
		n.escaped = p.str()
	case 't':
		n.kind = c
		p.literal("true")
	case 'f':
		n.kind = c
		p.literal("false")
	case 'n':
		n.kind = c
		p.literal("null")
	default:
		n.kind = '0'
		p.number()
	}
	n.end = int32(p.pos)
	p.doc.nodes[at] = n
	return at
}

// container parses an object or array from its opening bracket on.
func (p *parser) container(open byte) (first, count int32) {
	t := p.doc.text
	end := byte('}')
	if open == '[' {
		end = ']'
	}
	p.pos++
	p.space()
	if p.pos < len(t) && t[p.pos] == end {
		p.pos++
		return 0, 0
	}
	last := int32(0)
	for p.err == "" {
		ks, ke, esc := 0, 0, false
		if open == '{' {
			if p.pos >= len(t) || t[p.pos] != '"' {
				p.fail("a member's name in quotes is missing")
				return
			}
			ks = p.pos + 1
			esc = p.str()
			ke = p.pos - 1
			p.space()
			if p.err != "" || p.pos >= len(t) || t[p.pos] != ':' {
				p.fail("a colon is missing after a member's name")
				return
			}
			p.pos++
			p.space()
		}
		at := p.value(ks, ke, esc)
		if p.err != "" {
			return
		}
		if last == 0 {
			first = at
		} else {
			p.doc.nodes[last].next = at
		}
		last = at
		count++
		p.space()
		switch {
		case p.pos >= len(t):
			p.fail("the text ends inside an object or array")
		case t[p.pos] == ',':
			p.pos++
			p.space()
		case t[p.pos] == end:
			p.pos++
			return
		default:
			p.fail("a comma or a closing bracket is missing")
		}
	}
	return
}

// str passes a string and says whether it has escapes.
func (p *parser) str() (escaped bool) {
	t := p.doc.text
	for p.pos++; p.pos < len(t); p.pos++ {
		switch c := t[p.pos]; {
		case c == '"':
			p.pos++
			return escaped
		case c < 0x20:
			p.fail("a control character in a string")
			return
		case c == '\\':
			escaped = true
			p.pos++
			if p.pos >= len(t) {
				break
			}
			switch t[p.pos] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(t) < p.pos+5 || !isHex(t[p.pos+1:p.pos+5]) {
					p.fail("\\u needs four hexadecimal digits")
					return
				}
				p.pos += 4
			default:
				p.fail("an unknown escape in a string")
				return
			}
		}
	}
	p.pos = min(p.pos, len(t))
	p.fail("the text ends inside a string")
	return
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func (p *parser) literal(word string) {
	if !bytes.HasPrefix(p.doc.text[p.pos:], []byte(word)) {
		p.fail("expected " + word)
		return
	}
	p.pos += len(word)
}

func (p *parser) number() {
	t, start := p.doc.text, p.pos
	digits := func() bool {
		from := p.pos
		for p.pos < len(t) && t[p.pos] >= '0' && t[p.pos] <= '9' {
			p.pos++
		}
		return p.pos > from
	}
	if t[p.pos] == '-' {
		p.pos++
	}
	zero := p.pos < len(t) && t[p.pos] == '0'
	from := p.pos
	if !digits() {
		p.pos = start
		p.fail("no value begins with " + strconv.QuoteRune(firstRune(t[start:])))
		return
	}
	if zero && p.pos-from > 1 {
		p.fail("a number begins with 0")
	}
	if p.pos < len(t) && t[p.pos] == '.' {
		p.pos++
		if !digits() {
			p.fail("no digit after a decimal point")
		}
	}
	if p.pos < len(t) && t[p.pos]|0x20 == 'e' {
		p.pos++
		if p.pos < len(t) && (t[p.pos] == '+' || t[p.pos] == '-') {
			p.pos++
		}
		if !digits() {
			p.fail("no digit in an exponent")
		}
	}
}

func firstRune(b []byte) rune {
	r, _ := utf8.DecodeRune(b)
	return r
}

func (v value) node() *node { return &v.doc.nodes[v.at] }

// get follows member names; an array or a scalar on the way leads nowhere. Of
// members with one name the last counts, as everywhere else in hayate.
func (v value) get(path ...string) value {
	for _, name := range path {
		if v.doc == nil || v.node().kind != '{' {
			return value{}
		}
		found := int32(0)
		for i := v.node().child; i != 0; i = v.doc.nodes[i].next {
			n := &v.doc.nodes[i]
			if n.keyEscaped {
				if unquote(v.doc.text[n.keyStart-1:n.keyEnd+1]) == name {
					found = i
				}
			} else if string(v.doc.text[n.keyStart:n.keyEnd]) == name {
				found = i
			}
		}
		if found == 0 {
			return value{}
		}
		v.at = found
	}
	return v
}

func (v value) exists() bool { return v.doc != nil }

// has says whether there is something other than null at the path.
func (v value) has(path ...string) bool {
	w := v.get(path...)
	return w.doc != nil && w.node().kind != 'n'
}

func (v value) isObject() bool { return v.doc != nil && v.node().kind == '{' }
func (v value) isArray() bool  { return v.doc != nil && v.node().kind == '[' }

// len is the number of members or elements.
func (v value) len() int {
	if v.doc == nil {
		return 0
	}
	return int(v.node().children)
}

// raw is the JSON text of the value, nil where it is absent. It must not be
// changed.
func (v value) raw() []byte {
	if v.doc == nil {
		return nil
	}
	n := v.node()
	return v.doc.text[n.start:n.end:n.end]
}

// str is the text of the scalar at the path: strings unescaped, numbers and
// booleans as written, "" for everything else.
func (v value) str(path ...string) string {
	v = v.get(path...)
	if v.doc == nil {
		return ""
	}
	n := v.node()
	switch n.kind {
	case '"':
		if n.escaped {
			return unquote(v.doc.text[n.start:n.end])
		}
		return string(v.doc.text[n.start+1 : n.end-1])
	case '0', 't', 'f':
		return string(v.doc.text[n.start:n.end])
	}
	return ""
}

// items yields the elements of an array.
func (v value) items() iter.Seq[value] {
	return func(yield func(value) bool) {
		if !v.isArray() {
			return
		}
		for i := v.node().child; i != 0; i = v.doc.nodes[i].next {
			if !yield(value{v.doc, i}) {
				return
			}
		}
	}
}

// first is the first element of an array.
func (v value) first() value {
	for e := range v.items() {
		return e
	}
	return value{}
}

// members yields the members of an object in their order.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		if !v.isObject() {
			return
		}
		for i := v.node().child; i != 0; i = v.doc.nodes[i].next {
			if !yield(value{v.doc, i}.key(), value{v.doc, i}) {
				return
			}
		}
	}
}

// key is the name of the member that the value is.
func (v value) key() string {
	n := v.node()
	if n.keyEscaped {
		return unquote(v.doc.text[n.keyStart-1 : n.keyEnd+1])
	}
	return string(v.doc.text[n.keyStart:n.keyEnd])
}

// unquote reads a JSON string that parse has accepted.
func unquote(quoted []byte) string {
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}
