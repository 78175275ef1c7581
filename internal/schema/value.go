package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// val is a JSON value that remembers its text.
type val struct {
	kind    kind
	integer bool // a number without point and exponent
	truth   bool
	num     float64
	str     string
	raw     []byte // as written; nil once changed
	items   []val
	members []member
}

type member struct {
	name string
	val  val
}

// member returns the value of a name, the last where it is repeated, or nil.
func (v *val) member(name string) *val {
	for i := len(v.members) - 1; i >= 0; i-- {
		if v.members[i].name == name {
			return &v.members[i].val
		}
	}
	return nil
}

// maxDepth bounds the depth of values and of schemas that refer to themselves.
const maxDepth = 200

var errNotJSON = errors.New("not JSON")

// parser reads JSON (RFC 8259).
type parser struct {
	src []byte
	at  int
}

func parse(src []byte) (val, error) {
	p := parser{src: src}
	v, err := p.value(0)
	if err != nil {
		return val{}, err
	}
	p.space()
	if p.at < len(src) {
		return val{}, p.fail("more text after the value")
	}
	return v, nil
}

func (p *parser) fail(what string) error {
	return fmt.Errorf("%s at byte %d: %w", what, p.at, errNotJSON)
}

func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (v val, err error) {
	p.space()
	if p.at >= len(p.src) {
		return v, p.fail("unexpected end")
	}
	if depth > maxDepth {
		return v, p.fail("nested too deeply")
	}
	start := p.at
	switch c := p.src[p.at]; c {
	case '{':
		err = p.object(&v, depth)
	case '[':
		err = p.array(&v, depth)
	case '"':
		v.kind = kindString
		v.str, err = p.text()
	case 't', 'f':
		v.kind, v.truth = kindBool, c == 't'
		err = p.word(map[bool]string{true: "true", false: "false"}[c == 't'])
	case 'n':
		err = p.word("null")
	default:
		err = p.number(&v)
	}
	v.raw = p.src[start:p.at]
	return v, err
}

func (p *parser) word(w string) error {
	if len(p.src)-p.at < len(w) || string(p.src[p.at:p.at+len(w)]) != w {
		return p.fail("unknown word")
	}
	p.at += len(w)
	return nil
}

func (p *parser) number(v *val) error {
	start := p.at
	digits := func() bool {
		from := p.at
		for p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	if p.src[p.at] == '-' {
		p.at++
	}
	if p.at < len(p.src) && p.src[p.at] == '0' {
		p.at++
	} else if !digits() {
		return p.fail("unexpected character")
	}
	v.kind, v.integer = kindNumber, true
	if p.at < len(p.src) && p.src[p.at] == '.' {
		v.integer = false
		p.at++
		if !digits() {
			return p.fail("unfinished number")
		}
	}
	if p.at < len(p.src) && p.src[p.at]|0x20 == 'e' {
		v.integer = false
		p.at++
		if p.at < len(p.src) && (p.src[p.at] == '+' || p.src[p.at] == '-') {
			p.at++
		}
		if !digits() {
			return p.fail("unfinished number")
		}
	}
	// A number beyond float64 compares as infinite.
	v.num, _ = strconv.ParseFloat(string(p.src[start:p.at]), 64)
	return nil
}

func (p *parser) text() (string, error) {
	start := p.at
	for i := start + 1; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '"':
			p.at = i + 1
			return string(p.src[start+1 : i]), nil
		case c == '\\':
			return p.escaped(start, i)
		case c < 0x20:
			p.at = i
			return "", p.fail("control character in text")
		}
	}
	p.at = len(p.src)
	return "", p.fail("unfinished text")
}

// escaped reads a text with escapes, whose first backslash stands at i.
func (p *parser) escaped(start, i int) (string, error) {
	for ; i < len(p.src); i++ {
		if p.src[i] == '\\' {
			i++
			continue
		}
		if p.src[i] == '"' {
			var s string
			if err := json.Unmarshal(p.src[start:i+1], &s); err != nil {
				return "", p.fail("bad text")
			}
			p.at = i + 1
			return s, nil
		}
	}
	p.at = len(p.src)
	return "", p.fail("unfinished text")
}

func (p *parser) array(v *val, depth int) error {
	v.kind = kindArray
	p.at++
	p.space()
	if p.at < len(p.src) && p.src[p.at] == ']' {
		p.at++
		return nil
	}
	for {
		it, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.items = append(v.items, it)
		if done, err := p.next(']'); done || err != nil {
			return err
		}
	}
}

func (p *parser) object(v *val, depth int) error {
	v.kind = kindObject
	p.at++
	p.space()
	if p.at < len(p.src) && p.src[p.at] == '}' {
		p.at++
		return nil
	}
	for {
		p.space()
		if p.at >= len(p.src) || p.src[p.at] != '"' {
			return p.fail("expected a name")
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		p.space()
		if p.at >= len(p.src) || p.src[p.at] != ':' {
			return p.fail("expected a colon")
		}
		p.at++
		it, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.members = append(v.members, member{name, it})
		if done, err := p.next('}'); done || err != nil {
			return err
		}
	}
}

// next passes a comma, or the end of a collection.
func (p *parser) next(end byte) (done bool, err error) {
	p.space()
	if p.at < len(p.src) {
		switch p.src[p.at] {
		case end:
			p.at++
			return true, nil
		case ',':
			p.at++
			return false, nil
		}
	}
	return false, p.fail("expected a comma or an end")
}

// equal compares as python-jsonschema does: 1 is 1.0, but neither is true.
func equal(a, b *val) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case kindBool:
		return a.truth == b.truth
	case kindNumber:
		if a.integer && b.integer {
			return string(a.raw) == string(b.raw) || (a.num == b.num && math.Abs(a.num) < 1<<53)
		}
		return a.num == b.num
	case kindString:
		return a.str == b.str
	case kindArray:
		if len(a.items) != len(b.items) {
			return false
		}
		for i := range a.items {
			if !equal(&a.items[i], &b.items[i]) {
				return false
			}
		}
	case kindObject:
		if len(a.members) != len(b.members) {
			return false
		}
		for i := range a.members {
			other := b.member(a.members[i].name)
			if other == nil || !equal(&a.members[i].val, other) {
				return false
			}
		}
	}
	return true
}

func (v *val) appendJSON(b []byte) []byte {
	switch {
	case v.raw != nil:
		return append(b, v.raw...)
	case v.kind == kindArray:
		b = append(b, '[')
		for i := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = v.items[i].appendJSON(b)
		}
		return append(b, ']')
	case v.kind == kindObject:
		b = append(b, '{')
		for i := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, v.members[i].name)
			b = append(b, ':')
			b = v.members[i].val.appendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// appendString appends a JSON string; what is not UTF-8 is replaced.
func appendString(b []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= 0x20 && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	q, _ := json.Marshal(s) // a string always encodes
	return append(b, q...)
}

// maxShown bounds how much of a value a message shows.
const maxShown = 200

// repr is the value as Python would show it.
func (v *val) repr() string {
	var b strings.Builder
	v.writeRepr(&b)
	s := b.String()
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

func (v *val) writeRepr(b *strings.Builder) {
	if b.Len() > maxShown {
		return
	}
	switch v.kind {
	case kindNull:
		b.WriteString("None")
	case kindBool:
		if v.truth {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case kindNumber:
		b.Write(v.raw)
	case kindString:
		b.WriteString(quote(v.str))
	case kindArray:
		b.WriteByte('[')
		for i := range v.items {
			if i > 0 {
				b.WriteString(", ")
			}
			v.items[i].writeRepr(b)
		}
		b.WriteByte(']')
	case kindObject:
		b.WriteByte('{')
		for i := range v.members {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quote(v.members[i].name))
			b.WriteString(": ")
			v.members[i].val.writeRepr(b)
		}
		b.WriteByte('}')
	}
}

// quote writes a text as Python's repr does: in single quotes unless it holds
// one and no double quote.
func quote(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b := []byte{q}
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < 0x20 || r == 0x7f:
			b = fmt.Appendf(b, `\x%02x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, q))
}
