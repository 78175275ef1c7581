package rules

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // the rule does not compile
	SeverityWarning Severity = "warning" // it compiles, and can hardly be meant so
	SeverityNote    Severity = "note"    // it may be meant so
)

// Finding is something in a rule that its author should look at.
type Finding struct {
	Rule     hayate.Ref `json:"rule"`
	Field    []string   `json:"field"` // as in Problem
	Severity Severity   `json:"severity"`
	// Code names the kind of finding: invalid, never, contradiction, always,
	// unreachable, duplicate, regex, ambiguous, spelling.
	Code string `json:"code"`
	Text string `json:"text"`
	Fix  string `json:"fix,omitempty"`
}

// Lint looks for mistakes in rules, enabled or not, that Compile cannot refuse:
// conditions that never hold or contradict each other, rules that say the same,
// expressions that engines read differently, costly regular expressions. The
// findings come in the order of the rules.
func Lint(rs []hayate.Rule) []Finding {
	l := linter{seen: map[string]hayate.Ref{}, all: map[string]hayate.Ref{}}
	for i := range rs {
		if r := &rs[i]; r.Enabled && r.Kind != hayate.KindBackstop && r.Mode != hayate.ModeShadow && r.Trigger.Type != "" && unconditional(r) {
			l.all[r.Trigger.Type] = r.Ref()
		}
	}
	for i := range rs {
		l.lint(&rs[i])
	}
	return l.out
}

type linter struct {
	rule *hayate.Rule
	out  []Finding
	seen map[string]hayate.Ref // conditions, spelt in one way: the first rule that has them
	all  map[string]hayate.Ref // by trigger: a standard rule that takes every event of it
}

// unconditional says whether a rule takes every event of its trigger.
func unconditional(r *hayate.Rule) bool {
	none := func(raw []byte) bool { return !isGiven(raw) || string(raw) == "{}" || string(raw) == "[]" }
	return !isGiven(r.When) && !isGiven(r.Guard) && !isGiven(r.Calendar) && none(r.Criteria) && none(r.Pattern) && none(r.Filters) && TriggerParameters(r.Trigger.Type, r.Trigger.Parameters) == ""
}

func (l *linter) add(s Severity, code, fix string, field []string, format string, args ...any) {
	l.out = append(l.out, Finding{l.rule.Ref(), field, s, code, fmt.Sprintf(format, args...), fix})
}

func (l *linter) lint(r *hayate.Rule) {
	l.rule = r
	g := &grower{w: newPaths(), keep: true}
	c, bad := compileRule(g, r)
	if len(bad) > 0 {
		l.invalid(&c, bad)
	}
	if len(bad) == 0 && !c.typed && c.filters == nil && c.clauses == nil && (c.criteria == nil || len(c.criteria.list) == 0) {
		l.add(SeverityWarning, "always", "trigger: {type: …}", []string{"trigger"}, "the rule has neither trigger nor conditions: every event matches")
	}
	if first, ok := l.all[r.Trigger.Type]; ok && r.Kind == hayate.KindBackstop {
		l.add(SeverityWarning, "unreachable", "", []string{"type"}, "a backstop rule acts where no standard rule of its trigger matches, and %s matches every event", first)
	}
	if c.criteria != nil {
		for i := range c.criteria.list {
			l.criterion(&c.criteria.list[i], []string{"criteria", c.criteria.list[i].key}, "trigger")
		}
		l.contradictions(c.criteria.list, []string{"criteria"})
	}
	for _, ps := range c.clauses {
		l.clause(g.w, ps)
	}
	if c.filters != nil {
		l.filter(c.filters, []string{"filters"})
		l.attributes(&c)
	}
	if len(bad) == 0 {
		l.duplicate(r)
	}
}

// invalid reports why a rule does not compile, and leaves of it what is to be
// looked at all the same: the dialects and criteria without such a mistake.
func (l *linter) invalid(c *compiled, bad []error) {
	wrong := map[string]bool{}
	for _, err := range bad {
		for _, p := range Problems(err) {
			l.add(SeverityError, "invalid", "", p.Field, "%s", p.Text)
			if len(p.Field) > 0 {
				wrong[strings.Join(p.Field[:min(len(p.Field), 2)], "\x00")] = true
				wrong[p.Field[0]] = true
			}
		}
	}
	if wrong["pattern"] {
		c.clauses = nil
	}
	if wrong["filters"] {
		c.filters = nil
	}
	if c.criteria != nil {
		c.criteria.list = slices.DeleteFunc(c.criteria.list, func(x criterion) bool { return wrong["criteria\x00"+x.key] })
	}
}

// criterion looks at one criterion.
func (l *linter) criterion(c *criterion, at []string, root string) {
	p := &c.pattern
	for _, k := range c.unknown {
		l.add(SeverityWarning, "spelling", "", append(slices.Clip(at), k), "means nothing in a criterion%s", didYouMean(k, criterionKeys))
	}
	switch {
	case c.missing:
		l.add(SeverityWarning, "never", "type: equals", at, "has no type: it never holds")
		return
	case c.wrong != nil:
		l.add(SeverityWarning, "never", "", at, "the key cannot be read: %v", c.wrong)
	case c.root != "" && c.root != root && c.root != "system", c.strays(root):
		l.add(SeverityWarning, "never", root+"."+c.key, at, "the key does not begin with %s: it leads nowhere", root)
	}
	if strings.ToLower(c.name) != c.name {
		l.add(SeverityWarning, "spelling", "type: "+strings.ToLower(c.name), at, "operators are written in lower case")
	}
	if p.val == nil && p.tmpl == nil && c.op != opNotEquals {
		if c.op == opExistsValue || c.op == opMissingValue {
			l.add(SeverityNote, "spelling", "pattern: true", at, "StackStorm refuses a criterion without pattern, even beside %s", c.name)
		} else {
			l.add(SeverityWarning, "never", "pattern: …", at, "has no pattern: it never holds")
		}
		return
	}
	if other, ok := map[operator]string{opExistsValue: "nexists", opMissingValue: "exists"}[c.op]; ok && p.val == false {
		l.add(SeverityWarning, "reversed", "type: "+other, at, "%s does not look at its pattern, false is not its opposite", c.name)
	}
	switch {
	case p.tmpl != nil && p.tmpl.wrong != nil:
		l.add(SeverityWarning, "never", "", at, "the template cannot be read: %v", p.tmpl.wrong)
	case p.reErr != nil:
		l.add(SeverityWarning, "never", "", at, "the pattern is no regular expression: %v", p.reErr)
	case p.re != nil:
		l.regex(p.text, at)
	}
	if f := c.failures(newCensus(newPaths(), 0)); f.unknown && p.tmpl == nil && p.reErr == nil && c.path != noPath && c.fold == 0 {
		switch c.op {
		case opStarts, opEnds, opStartsFold, opEndsFold, opEqualsFold, opMatchWildcard, opHasFold, opHasNotFold:
			l.add(SeverityWarning, "never", "", at, "%s takes a string, the pattern is %s: every event gives an error", c.name, p.doc.describe())
		}
	}
	if right := misspeltNumber(p.text); (c.op == opLess || c.op == opGreater) && p.tmpl == nil && p.isText && right != "" {
		l.add(SeverityWarning, "never", "pattern: "+right, at, "the pattern %q is text: compared with a number it gives an error", p.text)
	}
	if c.op == opSearch {
		if !slices.Contains([]string{"any", "all", "any2any", "all2any"}, c.condition) {
			l.add(SeverityWarning, "never", "condition: any", at, "search needs a condition: any, all, any2any or all2any")
		}
		for i := range c.children {
			l.criterion(&c.children[i], append(slices.Clip(at), "pattern", c.children[i].key), "item")
		}
		l.contradictions(c.children, append(slices.Clip(at), "pattern"))
	}
}

// misspeltNumber is the number that a text was probably meant to be, "" where it is
// like none: digits in quotes, full-width digits, O for 0 and l for 1.
func misspeltNumber(text string) string {
	digits := 0
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			r += '0' - '０'
		case r == '．':
			return '.'
		case r == 'O' || r == 'o':
			return '0'
		case r == 'l' || r == 'I':
			return '1'
		}
		if r >= '0' && r <= '9' {
			digits++
		}
		return r
	}, strings.TrimSpace(text))
	if digits == 0 || strings.ContainsAny(s, "xX_pP") {
		return ""
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil {
		return ""
	}
	return s
}

// strays says whether a key is a single name that is not the root.
func (c *criterion) strays(root string) bool {
	if c.expr == nil {
		return false
	}
	names, plain := c.expr.Fields()
	return plain && len(names) == 1 && names[0] != root
}

// costly are the constructs that RE2 does not have: they run on a machine that
// goes back, and is stopped after a number of steps.
var costly = []struct{ construct, name string }{
	{"(?=", "look-ahead"}, {"(?!", "look-ahead"}, {"(?<=", "look-behind"}, {"(?<!", "look-behind"}, {"(?P=", "a back-reference"}, {"(?>", "an atomic group"}, {"(?(", "a conditional"},
}

func (l *linter) regex(s string, at []string) {
	for _, c := range costly {
		if strings.Contains(s, c.construct) {
			l.add(SeverityNote, "regex", "", at, "the regular expression has %s (%s…): its time is not linear, and a long match is given up", c.name, c.construct)
			return
		}
	}
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '\\' {
			if c := s[i+1]; c >= '1' && c <= '9' {
				l.add(SeverityNote, "regex", "", at, `the regular expression has a back-reference (\%c): its time is not linear, and a long match is given up`, c)
				return
			}
			i++
		}
	}
}

// contradictions looks for criteria on one field that cannot hold together.
func (l *linter) contradictions(list []criterion, at []string) {
	for i := range list {
		a := &list[i]
		if a.missing || a.pattern.tmpl != nil || a.wrong != nil {
			continue
		}
		for k := range list {
			b := &list[k]
			if k == i || b.missing || b.pattern.tmpl != nil || a.field() != b.field() {
				continue
			}
			if why := contradict(a, b, i < k); why != "" {
				l.add(SeverityWarning, "contradiction", "", append(slices.Clip(at), b.key), "never holds together with %s: %s", a.key, why)
			}
		}
	}
}

// field is the key without its suffix.
func (c *criterion) field() string {
	f, _, _ := strings.Cut(c.key, "#")
	return f
}

// contradict says why b cannot hold where a does; first avoids saying it twice.
func contradict(a, b *criterion, first bool) string {
	holds := func(v any) bool {
		re, reErr := compileRegex(b.op, b.pattern.val)
		ok, err := apply(b.op, v, b.pattern.val, operands{re: re, reErr: reErr, now: time.Unix(0, 0)})
		return ok && err == nil
	}
	if b.op == opSearch || b.op == opYounger || b.op == opOlder || b.fold != 0 || a.fold != 0 || b.pattern.reErr != nil {
		return ""
	}
	both := a.op == b.op
	switch a.op {
	case opEquals:
		if (!both || first) && a.pattern.val != nil && !holds(a.pattern.val) {
			return "that wants " + string(encode(a.pattern.val))
		}
	case opInside:
		l, ok := a.pattern.val.(value.List)
		if ok && b.op != opEquals && (!both || first) && len(l) > 0 && !slices.ContainsFunc(l, holds) {
			return "that wants one of " + string(encode(l))
		}
	case opMissingValue:
		if !holds(nil) && (b.op == opExistsValue || b.op == opLess || b.op == opGreater) {
			return "that wants the field to be absent"
		}
	case opGreater:
		if b.op == opLess && a.pattern.isNum && b.pattern.isNum && a.pattern.lo >= b.pattern.lo {
			return fmt.Sprintf("nothing is greater than %s and less than %s", value.Str(a.pattern.val), value.Str(b.pattern.val))
		}
	}
	return ""
}

// clause looks at one conjunction of a pattern.
func (l *linter) clause(w *paths, ps []predicate) {
	for i := range ps {
		at := append([]string{"pattern"}, w.names(ps[i].path)...)
		nots := 0
		for k := range ps[i].alts {
			if ps[i].alts[k].op == opNot {
				nots++
			}
		}
		if nots > 1 {
			l.add(SeverityWarning, "always", "one anything-but with a list", at, "several anything-but in one list exclude nothing: each value is allowed by the other one")
		}
		for k := range i {
			if ps[k].path == ps[i].path && disjoint(&ps[k], &ps[i]) {
				l.add(SeverityWarning, "contradiction", "", at, "two conditions on this field exclude each other, unless it is a list")
			}
		}
	}
}

// disjoint says whether no value satisfies both predicates, as far as their
// alternatives are single values or ranges.
func disjoint(a, b *predicate) bool {
	for i := range a.alts {
		for k := range b.alts {
			if mayMeet(&a.alts[i], &b.alts[k]) {
				return false
			}
		}
	}
	return true
}

func mayMeet(a, b *alternative) bool {
	var v view
	for range 2 {
		if x := a.example(); x != nil && a.op != opFold && a.op != opIP {
			f := a.sample()
			return v.holds(b, &f)
		}
		a, b = b, a
	}
	if a.op == opRange && b.op == opRange {
		return math.Max(a.lo, b.lo) <= math.Min(a.hi, b.hi)
	}
	return (a.op == opAbsent) == (b.op == opAbsent)
}

// sample is a field that has an alternative's value.
func (a *alternative) sample() field {
	switch a.op {
	case opNumber:
		return field{kind: kindNumber, val: []byte(a.text)}
	case opTrue:
		return field{kind: kindTrue}
	case opFalse:
		return field{kind: kindFalse}
	}
	return field{kind: kindString, val: []byte(a.text)}
}

func (l *linter) filter(f *filter, at []string) {
	if f.kind == filterSQL && f.sql.Mixed() {
		l.add(SeverityWarning, "ambiguous", "parentheses", at, "AND, OR and XOR stand side by side: engines read that differently; here they go from left to right: %s", f.sql)
	}
	for i := range f.of {
		l.filter(&f.of[i], append(slices.Clip(at), fmt.Sprint(i)))
	}
}

// attributes looks for filters that contradict each other, or the trigger, on an
// attribute: all of the list must hold.
func (l *linter) attributes(c *compiled) {
	type wanted struct{ text, by string }
	exact := map[pathID]wanted{}
	if c.typed {
		exact[c.typ.path] = wanted{c.typ.alts[0].text, "the trigger"}
	}
	each := func(f func(i int, a *alternative, p pathID)) {
		for i := range c.filters.of {
			for k := range c.filters.of[i].preds {
				if p := &c.filters.of[i].preds[k]; p.path != noPath && len(p.alts) == 1 {
					f(i, &p.alts[0], p.path)
				}
			}
		}
	}
	each(func(i int, a *alternative, p pathID) {
		if _, has := exact[p]; !has && a.op == opString {
			exact[p] = wanted{a.text, fmt.Sprintf("filter %d", i+1)}
		}
	})
	each(func(i int, a *alternative, p pathID) {
		var v view
		if want, has := exact[p]; has && !v.textHolds(a, bytesOf(want.text)) {
			l.add(SeverityWarning, "contradiction", "", []string{"filters", fmt.Sprint(i)}, "never holds together with %s: that wants %s", want.by, quote(want.text))
		}
	})
}

// duplicate notices rules with the same trigger and conditions.
func (l *linter) duplicate(r *hayate.Rule) {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %s", cmp.Or(r.Kind, hayate.KindStandard), r.Trigger.Type, TriggerParameters(r.Trigger.Type, r.Trigger.Parameters))
	for _, raw := range [][]byte{r.Criteria, r.Pattern, r.Filters, r.When, r.Guard, r.Calendar} {
		v, err := value.Decode(raw)
		if err != nil {
			v = nil
		}
		if m, ok := v.(*value.Map); ok && m.Len() == 0 {
			v = nil
		}
		fmt.Fprintf(&b, " %s", encode(sorted(v)))
	}
	if first, ok := l.seen[b.String()]; ok {
		l.add(SeverityNote, "duplicate", "", []string{"trigger"}, "rule %s has the same trigger and conditions: both fire for the same events", first)
		return
	}
	l.seen[b.String()] = r.Ref()
}
