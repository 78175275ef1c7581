package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// Set is a set of rules made ready for matching. It is immutable: With makes
// another one. It keeps pointers to the rules it was made from, which must not
// be changed afterwards.
type Set struct {
	paths *paths
	// levels hold disjoint rules, each level far smaller than the one before:
	// what was added lately is in small indexes that are cheap to make again.
	levels []level
	n      int
}

// level is an index, less the rules that were removed from it.
type level struct {
	ix   *index
	dead bitset
	gone int
}

// live is the number of rules in force.
func (l *level) live() int { return len(l.ix.rules) - l.gone }

// Compile makes a Set of the enabled ones among the rules; a rule that is not
// enabled is left out. It keeps pointers into rs. On error the Set holds the
// rules that are good, and the error lists what is wrong with every other one
// (see Problems).
func Compile(rs []hayate.Rule) (*Set, error) {
	g := &grower{w: newPaths()}
	list, err := compileAll(g, rs)
	s := &Set{paths: g.w, n: len(list)}
	if len(list) > 0 {
		s.levels = []level{{ix: newIndex(g.w, list)}}
	}
	return s, err
}

// compileAll compiles rules and orders them by reference.
func compileAll(g *grower, rs []hayate.Rule) ([]compiled, error) {
	list := make([]compiled, 0, len(rs))
	var errs []error
	for i := range rs {
		if !rs[i].Enabled {
			continue
		}
		c, bad := compileRule(g, &rs[i])
		if len(bad) > 0 {
			errs = append(errs, bad...)
			continue
		}
		list = append(list, c)
		if stateful.Declared(&rs[i]) {
			list = append(list, compileParts(g, &rs[i])...)
		}
	}
	byRef := func(a, b compiled) int { return compareRules(a.rule, b.rule) }
	if !slices.IsSortedFunc(list, byRef) {
		slices.SortStableFunc(list, byRef)
	}
	kept := list[:0]
	for i := range list {
		if n := len(kept); n > 0 && compareRules(kept[n-1].rule, list[i].rule) == 0 {
			errs = append(errs, &Problem{Rule: list[i].rule.Ref(), Field: []string{"name"}, Text: "another rule has this name; the first one counts"})
			continue
		}
		kept = append(kept, list[i])
	}
	return kept, errors.Join(errs...)
}

// compileRule reads the conditions of one rule.
func compileRule(g *grower, r *hayate.Rule) (compiled, []error) {
	c := compiled{rule: r}
	bad := problems{rule: r.Ref()}
	if r.Kind != "" && r.Kind != hayate.KindStandard && r.Kind != hayate.KindBackstop {
		bad.add([]string{"type"}, "unknown kind %s, want standard or backstop", quote(r.Kind))
	}
	if r.Trigger.Type != "" {
		c.typed = true
		c.typ = predicate{path: g.attr("type"), alts: []alternative{{op: opString, text: r.Trigger.Type}}}
	}
	if t := TriggerParameters(r.Trigger.Type, r.Trigger.Parameters); t != "" {
		c.params = &predicate{path: g.attr(hayate.ExtTriggerParameters), alts: []alternative{{op: opString, text: t}}}
	}
	if len(r.Pattern) > 0 {
		c.clauses = readPattern(g, &bad, r.Pattern)
	}
	if isGiven(r.Filters) {
		c.filters = readFilters(g, &bad, r.Filters)
	}
	if isGiven(r.Criteria) {
		c.criteria = readCriteria(g, &bad, r.Criteria)
	}
	if stateful.Declared(r) {
		checkPast(&bad, r)
	}
	return c, bad.list
}

// checkPast checks what a rule says about its past, and the conditions of its parts.
func checkPast(bad *problems, r *hayate.Rule) {
	form, issues := stateful.Parse(r)
	for _, is := range issues {
		bad.add(is.Path, "%s", is.Text)
	}
	if form == nil {
		return
	}
	parts := form.Parts()
	for i := range parts {
		_, wrong := compileRule(&grower{w: newPaths()}, &parts[i])
		for _, err := range wrong {
			for _, p := range Problems(err) {
				bad.add(append([]string{"when", parts[i].Part}, p.Field...), "%s", p.Text)
			}
		}
	}
}

// compileParts compiles the further conditions of a rule that is good.
func compileParts(g *grower, r *hayate.Rule) []compiled {
	form, _ := stateful.Parse(r)
	if form == nil {
		return nil
	}
	parts := form.Parts()
	list := make([]compiled, len(parts))
	for i := range parts {
		list[i], _ = compileRule(g, &parts[i])
	}
	return list
}

// isGiven says whether a part of a rule stands there: an absent one is empty or null.
func isGiven(raw []byte) bool { return len(raw) > 0 && string(raw) != "null" }

// Len is the number of rules in force; the further conditions of a rule count as
// rules.
func (s *Set) Len() int { return s.n }

// Refs returns the references of the rules in force, in order.
func (s *Set) Refs() []hayate.Ref {
	out := make([]hayate.Ref, 0, s.n)
	s.each(func(r *hayate.Rule) {
		if r.Part == "" {
			out = append(out, r.Ref())
		}
	})
	slices.Sort(out)
	return out
}

func (s *Set) each(f func(*hayate.Rule)) {
	for i := range s.levels {
		l := &s.levels[i]
		for k := range l.ix.rules {
			if !l.dead.has(uint32(k)) {
				f(l.ix.rules[k].rule)
			}
		}
	}
}

// With returns a Set without the rules named in remove and with those in add,
// which replace rules of the same reference; one that is not enabled only
// removes. s stays as it is. It keeps pointers into add. Removing what is not
// there is no error. On error the Set returned holds what was good, and the bad
// rules' old versions are removed.
//
// The cost is that of compiling add and, on average, of compiling a few dozen
// rules again, whatever the size of s.
func (s *Set) With(add []hayate.Rule, remove []hayate.Ref) (*Set, error) {
	g := &grower{w: s.paths}
	list, err := compileAll(g, add)
	n := &Set{paths: g.w, levels: slices.Clone(s.levels)}
	for _, r := range remove {
		n.kill(hayate.Rule{Pack: r.Pack(), Name: r.Name()})
	}
	for i := range add {
		n.kill(add[i])
	}
	if len(list) > 0 {
		n.push(g, list)
	}
	n.paths = g.w
	n.levels = slices.DeleteFunc(n.levels, func(l level) bool { return l.live() == 0 })
	for i := range n.levels {
		n.n += n.levels[i].live()
	}
	return n, err
}

// mergeRatio is how many times larger a level is than the one behind it.
const mergeRatio = 8

// smallBase is the size up to which the first level is made again as well.
const smallBase = 64

// push appends a level of rules, merging it with the last ones where they are
// not far larger.
func (s *Set) push(g *grower, list []compiled) {
	for k := len(s.levels) - 1; k >= 0; k-- {
		l := &s.levels[k]
		if l.live() >= mergeRatio*len(list) && !(k == 0 && l.live() < smallBase) {
			break
		}
		if k == 0 && l.live() >= smallBase && len(list) < l.live()/2 {
			break // the base is made again by Rebuild
		}
		for i := range l.ix.rules {
			if !l.dead.has(uint32(i)) {
				// A rule that was in a level is good.
				c, _ := compileRule(g, l.ix.rules[i].rule)
				list = append(list, c)
			}
		}
		s.levels = s.levels[:k]
	}
	slices.SortFunc(list, func(a, b compiled) int { return compareRules(a.rule, b.rule) })
	s.levels = append(s.levels, level{ix: newIndex(g.w, list)})
}

// kill marks a rule as removed, with its parts.
func (s *Set) kill(r hayate.Rule) {
	s.killOne(r)
	for _, part := range []string{stateful.PartOther, stateful.PartCleared} {
		s.killOne(hayate.Rule{Pack: r.Pack, Name: stateful.PartName(r.Name, part)})
	}
}

func (s *Set) killOne(r hayate.Rule) {
	for i := range s.levels {
		l := &s.levels[i]
		k, ok := slices.BinarySearchFunc(l.ix.rules, &r, func(e entry, r *hayate.Rule) int { return compareRules(e.rule, r) })
		if ok && !l.dead.has(uint32(k)) {
			l.dead = l.dead.with(uint32(k), len(l.ix.rules))
			l.gone++
			return
		}
	}
}

// Stale is the share of the Set that is not in its main index, or is there only
// to be skipped: from about 0.05 on a Rebuild pays.
func (s *Set) Stale() float64 {
	if len(s.levels) == 0 {
		return 0
	}
	return float64(s.n-s.levels[0].live()+s.levels[0].gone) / float64(max(s.n, 1))
}

// Rebuild returns a Set of the same rules in one index. It takes seconds at
// 100 000 rules and reads nothing but s, so it may run beside matching.
func (s *Set) Rebuild() *Set {
	g := &grower{w: newPaths()}
	list := make([]compiled, 0, s.n)
	s.each(func(r *hayate.Rule) {
		// A rule that was in a Set is good.
		c, _ := compileRule(g, r)
		list = append(list, c)
	})
	slices.SortFunc(list, func(a, b compiled) int { return compareRules(a.rule, b.rule) })
	n := &Set{paths: g.w, n: len(list)}
	if len(list) > 0 {
		n.levels = []level{{ix: newIndex(g.w, list)}}
	}
	return n
}

// Rule returns the rule with a reference.
func (s *Set) Rule(ref hayate.Ref) (*hayate.Rule, error) {
	r := hayate.Rule{Pack: ref.Pack(), Name: ref.Name()}
	for i := range s.levels {
		l := &s.levels[i]
		k, ok := slices.BinarySearchFunc(l.ix.rules, &r, func(e entry, r *hayate.Rule) int { return compareRules(e.rule, r) })
		if ok && !l.dead.has(uint32(k)) {
			return l.ix.rules[k].rule, nil
		}
	}
	return nil, fmt.Errorf("rule %s: %w", ref, hayate.ErrNotFound)
}

// compareRules orders rules as their references order as texts.
func compareRules(a, b *hayate.Rule) int {
	if a.Pack == b.Pack {
		return strings.Compare(a.Name, b.Name)
	}
	n := min(len(a.Pack), len(b.Pack))
	if c := strings.Compare(a.Pack[:n], b.Pack[:n]); c != 0 {
		return c
	}
	// One pack's name begins with the other's: look at the bytes behind it.
	for i := n; ; i++ {
		x, okA := refByte(a, i)
		y, okB := refByte(b, i)
		switch {
		case !okA && !okB:
			return 0
		case !okA:
			return -1
		case !okB:
			return 1
		case x != y:
			return cmp.Compare(x, y)
		}
	}
}

// refByte is byte i of the reference pack.name.
func refByte(r *hayate.Rule, i int) (byte, bool) {
	switch {
	case i < len(r.Pack):
		return r.Pack[i], true
	case i == len(r.Pack):
		return '.', true
	case i-len(r.Pack)-1 < len(r.Name):
		return r.Name[i-len(r.Pack)-1], true
	}
	return 0, false
}

// bitset marks rules of an index. The zero bitset is empty.
type bitset []uint64

func (b bitset) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]>>(i%64)&1 == 1 }

// with returns a copy that has i too.
func (b bitset) with(i uint32, n int) bitset {
	c := make(bitset, (n+63)/64)
	copy(c, b)
	c[i/64] |= 1 << (i % 64)
	return c
}
