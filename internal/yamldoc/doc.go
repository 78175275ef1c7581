// Package yamldoc reads YAML documents into typed values that know where they
// stand. Scalars follow YAML 1.1 as PyYAML's SafeLoader applies it (yes is true,
// 0777 is octal, 1:30 is ninety, 0o7 is text), because that is what the people
// who wrote StackStorm's packs saw. It is the only importer of the YAML
// library, of which it uses the syntax tree alone.
//
// Everything is bounded: the size of the text, the depth, and the number of
// values after aliases are expanded.
package yamldoc

import "strconv"

// Kind is the type of a value.
type Kind uint8

// The kinds of value.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	Timestamp // a date or a time; its text is in ISO 8601, as Python's isoformat writes it
	Binary    // !!binary; its text is base64
	Sequence
	Mapping
)

var kindNames = [...]string{"null", "a boolean", "an integer", "a number", "text", "a date", "binary data", "a list", "a mapping"}

// String names the kind for a message: "a list".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Node is a value with its position. Nodes are read-only; where a document
// repeats a value by an alias, the node is shared. A nil *Node behaves as an
// absent value: its accessors find nothing.
type Node struct {
	kind    Kind
	line    int32
	column  int32
	height  int32 // levels below and with this node, aliases expanded
	size    int64 // values below and with this node, aliases expanded
	text    string
	number  float64 // Float; Bool as 0 or 1
	items   []*Node
	entries []Entry
}

// Entry is one key of a mapping and its value.
type Entry struct {
	Key, Value *Node
}

// Name is the key's text, as it is written in JSON.
func (e Entry) Name() string { return e.Key.keyText() }

// Kind returns the kind; Null for a nil node.
func (n *Node) Kind() Kind {
	if n == nil {
		return Null
	}
	return n.kind
}

// Line and Column, both counted from 1, say where the value begins; 0 for nil.
func (n *Node) Line() int {
	if n == nil {
		return 0
	}
	return int(n.line)
}

// Column is the character in the line, counted from 1; 0 for nil.
func (n *Node) Column() int {
	if n == nil {
		return 0
	}
	return int(n.column)
}

// IsNull says whether the node is absent or null.
func (n *Node) IsNull() bool { return n.Kind() == Null }

// Str returns the text of a String or Timestamp, and whether it is one.
func (n *Node) Str() (string, bool) {
	if k := n.Kind(); k == String || k == Timestamp {
		return n.text, true
	}
	return "", false
}

// Text returns any scalar as text: numbers in decimal, booleans as true or
// false, null and collections as "".
func (n *Node) Text() string {
	switch n.Kind() {
	case Bool, Int, Float:
		return string(n.AppendJSON(nil))
	case String, Timestamp, Binary:
		return n.text
	}
	return ""
}

// Bool returns a boolean, and whether the value is one.
func (n *Node) Bool() (value, ok bool) {
	if n.Kind() != Bool {
		return false, false
	}
	return n.number != 0, true
}

// Int returns an integer that fits 64 bits, and whether the value is one.
func (n *Node) Int() (int64, bool) {
	if n.Kind() != Int {
		return 0, false
	}
	i, err := strconv.ParseInt(n.text, 10, 64)
	return i, err == nil
}

// Float returns an integer or a float as a float, and whether the value is one.
func (n *Node) Float() (float64, bool) {
	switch n.Kind() {
	case Float:
		return n.number, true
	case Int:
		f, err := strconv.ParseFloat(n.text, 64)
		return f, err == nil
	}
	return 0, false
}

// Items returns the elements of a sequence; the caller must not change them.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Entries returns the entries of a mapping in the order of the document,
// merged ones first; the caller must not change them.
func (n *Node) Entries() []Entry {
	if n == nil {
		return nil
	}
	return n.entries
}

// Get returns the value of a text key, or nil.
func (n *Node) Get(key string) *Node {
	_, v := n.Lookup(key)
	return v
}

// Lookup returns the key and the value of a text key, or nils.
func (n *Node) Lookup(key string) (k, v *Node) {
	if n == nil {
		return nil, nil
	}
	for i := range n.entries {
		if e := &n.entries[i]; e.Key.kind == String && e.Key.text == key {
			return e.Key, e.Value
		}
	}
	return nil, nil
}

// At follows a JSON pointer (RFC 6901) and returns the value, or nil. "" is the
// node itself.
func (n *Node) At(pointer string) *Node {
	for n != nil && pointer != "" {
		if pointer[0] != '/' {
			return nil
		}
		var token string
		token, pointer = cutToken(pointer[1:])
		switch n.kind {
		case Mapping:
			var next *Node
			for _, e := range n.entries {
				if e.Key.keyText() == token {
					next = e.Value
				}
			}
			n = next
		case Sequence:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
		default:
			return nil
		}
	}
	return n
}

func cutToken(s string) (token, rest string) {
	end := len(s)
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			end = i
			break
		}
	}
	raw, rest := s[:end], s[end:]
	var b []byte
	for i := 0; i < len(raw); i++ {
		if raw[i] == '~' && i+1 < len(raw) && (raw[i+1] == '0' || raw[i+1] == '1') {
			if b == nil {
				b = append(make([]byte, 0, len(raw)), raw[:i]...)
			}
			i++
			b = append(b, "~/"[raw[i]-'0'])
			continue
		}
		if b != nil {
			b = append(b, raw[i])
		}
	}
	if b != nil {
		return string(b), rest
	}
	return raw, rest
}
