package packs

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

// kinds is a set of kinds of value.
type kinds uint16

func kindSet(ks ...yamldoc.Kind) (s kinds) {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

func (s kinds) has(k yamldoc.Kind) bool { return s&(1<<k) != 0 }

// String lists the kinds for a message: "text or a list".
func (s kinds) String() string {
	var names []string
	for k := yamldoc.Null; k <= yamldoc.Mapping; k++ {
		if s.has(k) && !(k == yamldoc.Int && s.has(yamldoc.Float)) {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, " or ")
}

// shape says what a value of a document may look like. nil accepts anything.
type shape struct {
	kinds    kinds // 0: any
	nullable bool  // null is fine
	strict   bool  // a key with null is not taken for an absent one

	keys []key
	// Keys that are not listed: refused, unless open; those that match names have
	// the shape named. A silent shape does not even warn of near misses.
	open   bool
	silent bool
	names  *regexp.Regexp
	named  *shape

	items    *shape
	least    int // fewest items
	most     int // most items; 0: no bound
	distinct bool

	enum    []string
	pattern *regexp.Regexp
	whole   bool // a count: an integer not below 0
	// refuse looks at a value of the right kind; "" is fine.
	refuse func(n *yamldoc.Node) string
	also   func(r *reader, n *yamldoc.Node) // further checks, with findings of their own
}

// key is a key of a mapping.
type key struct {
	name     string
	shape    *shape
	required bool
}

// check reports all that is wrong with a value, and says whether nothing is.
func (r *reader) check(n *yamldoc.Node, s *shape, what string) bool {
	if s == nil {
		return true
	}
	if n.IsNull() && s.nullable {
		return true
	}
	if s.kinds != 0 && !s.kinds.has(n.Kind()) {
		r.errorf(n, "wrong-type", "%s is %s, expected %s", what, n.Kind(), s.kinds)
		return false
	}
	ok := r.checkScalar(n, s, what)
	switch n.Kind() {
	case yamldoc.Mapping:
		ok = r.checkMapping(n, s, what) && ok
	case yamldoc.Sequence:
		ok = r.checkItems(n, s, what) && ok
	}
	if s.refuse != nil {
		if why := s.refuse(n); why != "" {
			r.errorf(n, "bad-value", "%s %s", what, why)
			ok = false
		}
	}
	if s.also != nil {
		before := r.errors
		s.also(r, n)
		ok = ok && r.errors == before
	}
	return ok
}

func (r *reader) checkScalar(n *yamldoc.Node, s *shape, what string) bool {
	if s.whole {
		if i, ok := n.Int(); !ok || i < 0 {
			r.errorf(n, "bad-value", "%s is %s, expected an integer not below 0", what, n.Text())
			return false
		}
	}
	if s.enum != nil {
		if !contains(s.enum, n.Text()) {
			r.errorf(n, "bad-value", "%s is %q, expected one of %s%s", what, n.Text(), strings.Join(s.enum, ", "), yamldoc.Suggest(n.Text(), s.enum))
			return false
		}
	}
	if s.pattern != nil && !s.pattern.MatchString(n.Text()) {
		r.errorf(n, "bad-value", "%s %q does not match %s", what, n.Text(), s.pattern)
		return false
	}
	return true
}

func (r *reader) checkItems(n *yamldoc.Node, s *shape, what string) bool {
	ok := true
	items := n.Items()
	if len(items) < s.least || (s.most > 0 && len(items) > s.most) {
		r.errorf(n, "bad-value", "%s has %d items, expected %s", what, len(items), bounds(s.least, s.most))
		ok = false
	}
	seen := map[string]bool{}
	for i, it := range items {
		if s.items != nil {
			ok = r.check(it, s.items, what+"["+strconv.Itoa(i)+"]") && ok
		}
		if s.distinct {
			text := string(it.JSON())
			if seen[text] {
				r.errorf(it, "bad-value", "%s lists %s twice", what, text)
				ok = false
			}
			seen[text] = true
		}
	}
	return ok
}

func bounds(least, most int) string {
	switch {
	case most == 0:
		return "at least " + strconv.Itoa(least)
	case least == 0:
		return "at most " + strconv.Itoa(most)
	}
	return strconv.Itoa(least) + " to " + strconv.Itoa(most)
}

func (r *reader) checkMapping(n *yamldoc.Node, s *shape, what string) bool {
	ok := true
	for _, e := range n.Entries() {
		name := e.Name()
		if k := s.key(name); k != nil {
			if e.Value.IsNull() && !k.required && !s.strict {
				continue
			}
			ok = r.check(e.Value, k.shape, strconv.Quote(name)) && ok
			continue
		}
		if s.names != nil && s.names.MatchString(name) {
			ok = r.check(e.Value, s.named, strconv.Quote(name)) && ok
			continue
		}
		ok = r.unknownKey(e, s, what) && ok
	}
	for _, k := range s.keys {
		if k.required && n.Get(k.name) == nil {
			r.errorf(n, "missing-key", "%s lacks the key %q", what, k.name)
			ok = false
		}
	}
	return ok
}

func (s *shape) key(name string) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

func (r *reader) unknownKey(e yamldoc.Entry, s *shape, what string) bool {
	name := e.Name()
	switch {
	case s.names == nil && s.keys == nil: // any mapping
		return true
	case s.names != nil && s.keys == nil && !s.open:
		r.errorf(e.Key, "bad-name", "the name %q in %s is not made of letters, digits and underscores", name, what)
		return false
	case s.open && (s.silent || s.keys == nil):
		return true
	}
	known := make([]string, 0, len(s.keys))
	for _, k := range s.keys {
		known = append(known, k.name)
	}
	hint := yamldoc.Suggest(name, known)
	if s.open {
		if hint != "" {
			r.warnf(e.Key, "unknown-key", "unknown key %q in %s%s", name, what, hint)
		}
		return true
	}
	r.errorf(e.Key, "unknown-key", "unknown key %q%s", name, hint)
	return false
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
