package yamldoc

import (
	"fmt"
	"math"
	"strconv"

	"gopkg.in/yaml.v3"
)

// mapping reads a mapping as PyYAML builds a dict: merged entries come first
// and are overridden by the mapping's own; a repeated key keeps its first place
// and takes its last value.
func (r *reader) mapping(n *Node, y *yaml.Node, depth int) error {
	n.kind = Mapping
	isSet := false
	if y.Style&yaml.TaggedStyle != 0 {
		switch y.Tag {
		case tagMap:
		case tagSet:
			isSet = true
		default:
			r.report(y.Line, y.Column, Error, "bad-value", fmt.Sprintf("unknown tag %s for a mapping", y.Tag))
		}
	}
	set := entrySet{entries: make([]Entry, 0, len(y.Content)/2)}
	for i := 0; i+1 < len(y.Content); i += 2 {
		if r.isMerge(y.Content[i]) {
			if err := r.merge(&set, y.Content[i+1], depth); err != nil {
				return err
			}
		}
	}
	merged := len(set.entries)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if r.isMerge(k) {
			continue
		}
		key, err := r.key(k, depth)
		if err != nil {
			return err
		}
		value, err := r.node(v, depth+1)
		if err != nil {
			return err
		}
		if isSet {
			value = &Node{line: value.line, column: value.column, height: 1, size: 1}
		}
		if at, twice := set.put(Entry{key, value}); twice && !set.own(at, merged, key) {
			r.duplicate(key, set.entries[at].Key)
		}
	}
	n.entries = set.entries
	for _, e := range n.entries {
		n.add(e.Key)
		n.add(e.Value)
	}
	return nil
}

// key reads a key. PyYAML cannot use a list or a mapping as one.
func (r *reader) key(k *yaml.Node, depth int) (*Node, error) {
	if k.Kind == yaml.ScalarNode && r.tagOf(k) == tagValue {
		return &Node{kind: String, text: k.Value, line: int32(k.Line), column: int32(k.Column), height: 1, size: 1}, nil
	}
	key, err := r.node(k, depth+1)
	if err != nil {
		return nil, err
	}
	if key.kind == Sequence || key.kind == Mapping {
		r.report(k.Line, k.Column, Error, "bad-key", fmt.Sprintf("%s cannot be a key", key.kind))
	}
	return key, nil
}

func (r *reader) duplicate(key, first *Node) {
	s := Warning
	if r.RefuseDuplicates {
		s = Error
	}
	r.report(int(key.line), int(key.column), s, "duplicate-key",
		fmt.Sprintf("duplicate key %q: it stands in line %d already; the last one counts", key.keyText(), first.line))
}

func (r *reader) isMerge(k *yaml.Node) bool {
	return k.Kind == yaml.ScalarNode && r.tagOf(k) == tagMerge
}

// merge adds the entries of a mapping, or of a list of mappings of which the
// first wins.
func (r *reader) merge(set *entrySet, y *yaml.Node, depth int) error {
	v, err := r.node(y, depth+1)
	if err != nil {
		return err
	}
	parts := []*Node{v}
	if v.kind == Sequence {
		parts = v.items
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].kind != Mapping {
			r.report(int(parts[i].line), int(parts[i].column), Error, "bad-merge",
				fmt.Sprintf("expected a mapping or a list of mappings to merge, found %s", parts[i].kind))
			continue
		}
		if r.merged += len(parts[i].entries); r.merged > r.MaxValues {
			r.report(y.Line, y.Column, Error, "too-large", fmt.Sprintf("merge keys copy more than %d entries", r.MaxValues))
			return tooDeep
		}
		for _, e := range parts[i].entries {
			set.put(e)
		}
	}
	return nil
}

// entrySet is a dict under construction.
type entrySet struct {
	entries []Entry
	index   map[string]int // by identity; only once there are many
	owned   map[int]bool   // merged entries that the mapping's own keys have replaced
}

const indexFrom = 12

// put adds an entry, or replaces the value where the key is there already; it
// returns the entry's place and whether it replaced one.
func (s *entrySet) put(e Entry) (at int, twice bool) {
	id := identity(e.Key)
	if s.index == nil && len(s.entries) >= indexFrom {
		s.index = make(map[string]int, 2*len(s.entries))
		for i := range s.entries {
			s.index[identity(s.entries[i].Key)] = i
		}
	}
	at = -1
	if s.index != nil {
		if i, ok := s.index[id]; ok {
			at = i
		}
	} else {
		for i := range s.entries {
			if identity(s.entries[i].Key) == id {
				at = i
				break
			}
		}
	}
	if at >= 0 {
		s.entries[at].Value = e.Value
		return at, true
	}
	if s.index != nil {
		s.index[id] = len(s.entries)
	}
	s.entries = append(s.entries, e)
	return len(s.entries) - 1, false
}

// own makes an entry that came by a merge (one of the first so many) the
// mapping's own, so that messages about its key point to where the mapping says
// it. It returns false when the entry was the mapping's own already.
func (s *entrySet) own(at, merged int, key *Node) bool {
	if at >= merged || s.owned[at] {
		return false
	}
	if s.owned == nil {
		s.owned = map[int]bool{}
	}
	s.owned[at] = true
	if was := s.entries[at].Key; was.kind == key.kind && was.text == key.text {
		s.entries[at].Key = key
	}
	return true
}

// identity tells keys apart as Python's dict does: 1, 1.0 and true are one key.
func identity(k *Node) string {
	switch k.kind {
	case String:
		if k.text != "" && k.text[0] == 0 {
			return "\x00s" + k.text
		}
		return k.text
	case Bool, Float:
		if k.number == math.Trunc(k.number) && math.Abs(k.number) < 1e15 {
			return "\x00n" + strconv.FormatInt(int64(k.number), 10)
		}
		return "\x00n" + strconv.FormatFloat(k.number, 'g', -1, 64)
	case Int:
		return "\x00n" + k.text
	case Null:
		return "\x00null"
	case Timestamp:
		return "\x00t" + k.text
	case Binary:
		return "\x00b" + k.text
	}
	return "\x00c" + strconv.FormatInt(int64(k.line), 10) + ":" + strconv.FormatInt(int64(k.column), 10)
}
