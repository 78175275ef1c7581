package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/textfold"
)

// Hint is a probable cause of a condition that does not hold, and what to do
// about it.
type Hint struct {
	Cause Cause  `json:"cause"`
	Text  string `json:"text"`
	// Fix is what to write instead; "" where nothing certain can be said.
	Fix string `json:"fix,omitempty"`
}

// Cause is a kind of everyday mistake.
type Cause string

// The causes, the surest first.
const (
	CauseBroken   Cause = "broken"   // the rule does not compile
	CauseDisabled Cause = "disabled" // the rule is not in force
	CauseType     Cause = "type"     // string against number, missing or needless quotes
	CauseCase     Cause = "case"     // upper and lower case
	CauseWidth    Cause = "width"    // full and half width, full-width digits
	CauseForm     Cause = "form"     // composed and decomposed characters, hiragana and katakana
	CauseSpace    Cause = "space"    // white space around the value
	CausePath     Cause = "path"     // the field is elsewhere
	CauseName     Cause = "name"     // the field's name is spelt otherwise
	CauseList     Cause = "list"     // a list or an object where one value was expected
	CauseOperator Cause = "operator" // another operator would hold
	CauseSpelling Cause = "spelling" // the value is nearly the one wanted
	CauseElements Cause = "elements" // values in different elements of an array
	CauseMissing  Cause = "missing"  // there is no such field
	CauseError    Cause = "error"    // the condition cannot be evaluated
	CauseTrigger  Cause = "trigger"  // another kind of event
	CauseValue    Cause = "value"    // simply another value
)

var causes = []Cause{
	CauseBroken, CauseDisabled, CauseType, CauseCase, CauseWidth, CauseForm, CauseSpace, CausePath, CauseName, CauseList,
	CauseOperator, CauseSpelling, CauseElements, CauseMissing, CauseError, CauseTrigger, CauseValue,
}

// hintRank orders hints by how sure they are.
func hintRank(h *Hint) int {
	if h == nil {
		return len(causes)
	}
	return slices.Index(causes, h.Cause)
}

// hintText compares two texts that ought to be equal; nil where nothing but the
// value differs.
func hintText(want, got, what string) *Hint {
	h := func(c Cause, fix, format string, args ...any) *Hint {
		return &Hint{Cause: c, Text: fmt.Sprintf(format, args...), Fix: fix}
	}
	fold := func(f textfold.Form) bool { return f.Fold(want) == f.Fold(got) }
	trimmed := strings.TrimFunc(got, invisible)
	switch {
	case want == got:
		return nil
	case trimmed == strings.TrimFunc(want, invisible):
		if trimmed == got {
			return h(CauseSpace, quote(got), "the rule's %s has white space around it", what)
		}
		return h(CauseSpace, quote(got), "the event's %s has white space or invisible characters around it", what)
	case fold(textfold.Case):
		return h(CauseCase, quote(got), "the %s differs only in upper and lower case", what)
	case spaced(want) == spaced(got):
		return h(CauseSpace, quote(got), "the %s has other white space within it, such as a non-breaking space", what)
	case fold(textfold.NFC):
		return h(CauseForm, "fold: [nfkc]", "the %s looks the same, but one is written with combining characters", what)
	case fold(textfold.Width), fold(textfold.NFKC), fold(textfold.Width | textfold.Case), fold(textfold.NFKC | textfold.Case):
		return h(CauseWidth, "fold: [nfkc, case]", "the %s differs only in full and half width", what)
	case fold(textfold.NFKC | textfold.Case | textfold.Width | textfold.Kana):
		return h(CauseForm, "fold: [nfkc, case, width, kana]", "the %s differs only in hiragana, katakana and their width", what)
	case strings.TrimFunc(textfold.Case.Fold(got), invisible) == strings.TrimFunc(textfold.Case.Fold(want), invisible):
		return h(CauseSpace, quote(got), "the %s differs only in white space and case", what)
	}
	if look(want) == look(got) {
		return h(CauseForm, quote(got), "the %s looks the same, but has other dashes, quotes or the like", what)
	}
	if n := len(want)/4 + 1; len(want) > 2 && distance(want, got, n+1) <= n {
		return h(CauseSpelling, quote(got), "the %s is nearly the one wanted, perhaps a typo", what)
	}
	return nil
}

// invisible characters come with copied text.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200b' || r == '\u200c' || r == '\u200d' || r == '\ufeff' || r == '\u2060'
}

// hintValues compares values of possibly different types.
func hintValues(want, got any) *Hint {
	w, wText := want.(string)
	g, gText := got.(string)
	switch {
	case wText && gText:
		h := hintText(w, g, "value")
		if h != nil && strings.HasPrefix(h.Fix, `"`) {
			h.Fix = "pattern: " + h.Fix
		}
		return h
	case wText && got != nil && !isContainer(got):
		if spellings(got, w) {
			return &Hint{Cause: CauseType, Fix: "pattern: " + string(encode(got)),
				Text: fmt.Sprintf("the rule has a string, the event a %s: take the quotes away", kindName(got))}
		}
		return &Hint{Cause: CauseType, Text: fmt.Sprintf("the rule has a string, the event a %s", kindName(got))}
	case gText && want != nil && !isContainer(want):
		if digits := textfold.NFKC.Fold(g); digits != g && spellings(want, digits) {
			return &Hint{Cause: CauseWidth, Fix: "pattern: " + quote(digits) + ", fold: [nfkc]",
				Text: fmt.Sprintf("the event has a string of full-width digits, the rule a %s", kindName(want))}
		}
		if spellings(want, g) {
			return &Hint{Cause: CauseType, Fix: "pattern: " + quote(g),
				Text: fmt.Sprintf("the rule has a %s, the event a string: put it in quotes", kindName(want))}
		}
		return &Hint{Cause: CauseType, Text: fmt.Sprintf("the rule has a %s, the event a string", kindName(want))}
	}
	return nil
}

// spellings says whether a text spells a value, as JSON or Python would.
func spellings(v any, s string) bool {
	s = strings.TrimFunc(s, invisible)
	if strings.EqualFold(s, value.Str(v)) || s == string(encode(v)) {
		return true
	}
	if b, ok := v.(bool); ok {
		yes := []string{"true", "yes", "on", "1"}
		no := []string{"false", "no", "off", "0"}
		return b && slices.Contains(yes, strings.ToLower(s)) || !b && slices.Contains(no, strings.ToLower(s))
	}
	f, err := value.ParseFloat(s)
	return err == nil && value.Equal(f, v) || sexagesimal(s, v)
}

// sexagesimal says whether a number is what YAML 1.1 makes of a text like 1:30
// without quotes.
func sexagesimal(s string, v any) bool {
	parts := strings.Split(s, ":")
	total := int64(0)
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || len(parts) > 3 {
			return false
		}
		total = total*60 + int64(n)
	}
	return len(parts) > 1 && value.Equal(total, v)
}

func isContainer(v any) bool {
	switch v.(type) {
	case value.List, *value.Map:
		return true
	}
	return false
}

func kindName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "truth value"
	case string:
		return "string"
	case value.List:
		return "list"
	case *value.Map:
		return "object"
	}
	return "number"
}

// criterionHint finds the probable cause of a criterion that does not hold.
func (p *explainer) criterionHint(c *criterion, found any, err error) *Hint {
	pat := c.pattern.val
	switch {
	case c.missing:
		return &Hint{Cause: CauseBroken, Text: "the criterion has no type: it never holds", Fix: "type: equals"}
	case c.wrong != nil:
		if h := p.wrongKeyHint(c); h != nil {
			return h
		}
		return &Hint{Cause: CauseError, Text: fmt.Sprintf("the key cannot be read: %v; put names with other characters in quotes: trigger.'a name'", c.wrong)}
	case c.pattern.reErr != nil:
		return &Hint{Cause: CauseError, Text: fmt.Sprintf("the pattern is no regular expression: %v", c.pattern.reErr)}
	case c.pattern.tmpl != nil:
		rendered, rerr := c.pattern.tmpl.render(&p.ev)
		if rerr != nil {
			return &Hint{Cause: CauseError, Text: fmt.Sprintf("the pattern cannot be rendered: %v", rerr)}
		}
		pat = rendered
	}
	if c.op == opExistsValue {
		pat = nil
	}
	if found == nil {
		if h := absenceHint(c); h != nil {
			return h
		}
	}
	if found == nil && c.op != opMissingValue && !p.ev.inItem && (c.root != "" && c.root != "trigger" || c.strays("trigger")) {
		if h := p.rootHint(c); h != nil {
			return h
		}
	}
	if found == nil && c.op != opMissingValue {
		return p.missingHint(c.root == "" && c.expr != nil, c.key, c.way(p.v.w), pat)
	}
	if c.op == opMissingValue {
		return &Hint{Cause: CauseValue, Text: "the field is there: " + quote(value.Str(found))}
	}
	if c.pattern.val == nil && c.pattern.tmpl == nil && c.op != opExistsValue && c.op != opNotEquals {
		return &Hint{Cause: CauseBroken, Text: "the criterion has no pattern: it never holds", Fix: "pattern: …"}
	}
	if c.op == opSearch {
		if h := p.searchHint(c, found); h != nil {
			return h
		}
	}
	if h := misuseHint(c, found, pat, err); h != nil {
		return h
	}
	if h := operandHint(c, found, pat); h != nil {
		return h
	}
	if err != nil {
		return &Hint{Cause: CauseError, Text: err.Error()}
	}
	return &Hint{Cause: CauseValue, Text: fmt.Sprintf("the event has %s", encode(found))}
}

// searchHint takes the item that comes nearest and says what fails there.
func (p *explainer) searchHint(c *criterion, found any) *Hint {
	items, ok := found.(value.List)
	if !ok {
		items = value.List{found}
	}
	if len(items) == 0 {
		return &Hint{Cause: CauseMissing, Text: "the list is empty"}
	}
	var best *Hint
	most := -1
	for i, item := range items[:min(len(items), 100)] {
		outer := p.ev.enter(item)
		held := 0
		var first *Hint
		for k := range c.children {
			child := &c.children[k]
			ok, err := child.holds(&p.ev)
			if ok {
				held++
			} else if first == nil {
				v, ferr := child.found(&p.ev)
				if ferr != nil {
					err = ferr
				}
				if first = p.criterionHint(child, v, err); first != nil {
					first = &Hint{Cause: first.Cause, Fix: first.Fix, Text: fmt.Sprintf("in item %d, %s: %s", i, child.key, first.Text)}
				}
			}
		}
		p.ev.leave(outer)
		if held > most && first != nil {
			best, most = first, held
		}
	}
	return best
}

// operandHint looks at value and pattern together.
func operandHint(c *criterion, found, pat any) *Hint {
	list, isList := found.(value.List)
	switch c.op {
	case opEquals, opEqualsFold, opInside:
		if isList {
			for _, x := range list {
				if value.Equal(x, pat) {
					return &Hint{Cause: CauseList, Fix: "type: contains", Text: "the field is a list that contains the value: equals compares with the list itself"}
				}
			}
		}
		if m, ok := found.(*value.Map); ok && !isContainer(pat) {
			return &Hint{Cause: CauseList, Text: "the field is an object; name one of its members: " + strings.Join(memberNames(m), ", ")}
		}
		if l, ok := pat.(value.List); ok && c.op == opEquals && slices.ContainsFunc(l, func(x any) bool { return value.Equal(x, found) }) {
			return &Hint{Cause: CauseOperator, Fix: "type: inside", Text: "the pattern is a list that has the value: equals compares with the list itself"}
		}
	}
	h := pairHint(c, found, pat)
	w, wText := pat.(string)
	g, gText := found.(string)
	if wText && gText && (h == nil || h.Cause == CauseSpelling) {
		// What another operator would do is surer than that texts are alike.
		if other := textHint(c, w, g); other != nil {
			return other
		}
	}
	return h
}

// pairHint compares the value with the pattern, or with its members.
func pairHint(c *criterion, found, pat any) *Hint {
	switch c.op {
	case opEquals, opEqualsFold:
		h := hintValues(pat, found)
		if h != nil && h.Cause == CauseCase && c.op == opEquals {
			h.Fix = "type: iequals"
		}
		return h
	case opInside:
		l, _ := pat.(value.List)
		var best *Hint
		for _, x := range l {
			if h := hintValues(x, found); h != nil && (best == nil || hintRank(h) < hintRank(best)) {
				best = h
			}
		}
		return best
	case opLess, opGreater:
		_, a := pat.(string)
		_, b := found.(string)
		if a != b {
			h := hintValues(pat, found)
			if h != nil && b {
				// What the rule says is right; a text is no number for any operator.
				h.Fix, h.Text = "", strings.TrimSuffix(h.Text, ": put it in quotes")+": let the source send a number"
			}
			return h
		}
		if a {
			return &Hint{Cause: CauseType, Text: "both are strings, and strings compare as text: \"10\" is less than \"9\""}
		}
	case opHas:
		if l, ok := found.(value.List); ok {
			for _, x := range l {
				if h := hintValues(pat, x); h != nil {
					return h
				}
			}
			return nil
		}
		if _, ok := found.(string); ok {
			if _, ok := pat.(string); !ok {
				return hintValues(pat, found)
			}
		}
	}
	return nil
}

// textHint proposes an operator or a folding under which two strings fit.
func textHint(c *criterion, want, got string) *Hint {
	holds := func(o operator, w, g string) bool {
		re, reErr := compileRegex(o, w)
		ok, err := apply(o, g, w, operands{re: re, reErr: reErr})
		return ok && err == nil
	}
	for _, f := range []struct {
		form textfold.Form
		c    Cause
		text string
		fix  string
	}{
		{textfold.Case, CauseCase, "it would hold without regard to case", ""},
		{textfold.NFKC | textfold.Width, CauseWidth, "it would hold without regard to full and half width", "fold: [nfkc, width]"},
		{textfold.NFKC | textfold.Width | textfold.Case, CauseWidth, "it would hold without regard to width and case", "fold: [nfkc, width, case]"},
		{textfold.NFKC | textfold.Width | textfold.Case | textfold.Kana, CauseForm, "it would hold without regard to width, case and kana", "fold: [nfkc, width, case, kana]"},
	} {
		if slices.Contains(foldable, c.op) && holds(c.op, f.form.Fold(want), f.form.Fold(got)) {
			fix := f.fix
			if fix == "" {
				fix = "type: i" + strings.TrimPrefix(c.name, "i")
			}
			return &Hint{Cause: f.c, Text: f.text, Fix: fix}
		}
	}
	if t := strings.TrimFunc(got, invisible); t != got && holds(c.op, want, t) {
		return &Hint{Cause: CauseSpace, Text: "the event's value has white space or invisible characters around it"}
	}
	if t := strings.TrimFunc(want, invisible); t != want && holds(c.op, t, got) {
		return &Hint{Cause: CauseSpace, Text: "the pattern has white space around it", Fix: "pattern: " + quote(t)}
	}
	type try struct {
		op   operator
		name string
		why  string
	}
	var tries []try
	switch c.op {
	case opEquals:
		tries = []try{{opMatchWildcard, "matchwildcard", "equals takes * and ? literally"}, {opHas, "contains", "the value contains the pattern but is longer"}}
		if strings.ContainsAny(want, `^$.*+?[](){}|\`) {
			tries = append(tries, try{opRegex, "regex", "equals takes a regular expression literally"})
		}
	case opMatchRegex:
		tries = []try{{opRegex, "regex", "matchregex begins at the start of the value, regex searches"}, {opRegexFold, "iregex", "it would hold without regard to case"}}
	case opRegex:
		tries = []try{{opRegexFold, "iregex", "it would hold without regard to case"}, {opMatchWildcard, "matchwildcard", "the pattern is a wildcard, not a regular expression"}, {opHas, "contains", "the value contains the text, whose special characters need a backslash in a regex"}}
	case opHas, opStarts, opEnds:
		if strings.ContainsAny(want, "*?") {
			tries = []try{{opMatchWildcard, "matchwildcard", c.name + " takes * and ? literally"}}
		}
		tries = append(tries, try{opHas, "contains", "the pattern is elsewhere in the value"})
		if strings.ContainsAny(want, `^$.*+?[](){}|\`) {
			tries = append(tries, try{opRegex, "regex", c.name + " takes a regular expression literally"})
		}
	case opMatchWildcard:
		if fnmatch(textfold.Case.Fold(want), textfold.Case.Fold(got)) {
			return &Hint{Cause: CauseCase, Text: "it would hold without regard to case, which a wildcard has: write an iregex"}
		}
		tries = []try{{opHas, "contains", "a wildcard must fit the whole value"}, {opRegex, "regex", "the pattern is a regular expression, not a wildcard"}}
	}
	for _, t := range tries {
		if holds(t.op, want, got) {
			cause := CauseOperator
			if t.op == opRegexFold {
				cause = CauseCase
			}
			return &Hint{Cause: cause, Text: t.why, Fix: "type: " + t.name}
		}
	}
	return nil
}

func memberNames(m *value.Map) []string {
	var out []string
	for k := range m.All() {
		if len(out) == 8 {
			out = append(out, "…")
			break
		}
		out = append(out, value.Str(k))
	}
	return out
}

// predicateHint finds the probable cause for a predicate of a pattern or filter.
func (p *explainer) predicateHint(dialect string, pr *predicate, found []any) *Hint {
	if len(found) == 0 {
		if dialect == "filters" {
			return p.attributeHint(p.attrName(pr))
		}
		var want any
		if len(pr.alts) > 0 {
			want = pr.alts[0].example()
		}
		return p.missingHint(false, "", p.v.w.names(pr.path), want)
	}
	var best *Hint
	for i := range pr.alts {
		for _, f := range found {
			if h := alternativeHint(&pr.alts[i], f); h != nil && (best == nil || hintRank(h) < hintRank(best)) {
				best = h
			}
		}
	}
	if best == nil {
		best = &Hint{Cause: CauseValue, Text: "the event has " + string(encode(found[0]))}
	}
	return best
}

// attributeHint says why there is no such attribute.
func (p *explainer) attributeHint(name string) *Hint {
	h := &Hint{Cause: CauseMissing, Text: "the event has no attribute " + name + didYouMean(name, p.attributeNames())}
	if data, err := p.ev.payload(); err == nil && name != "" {
		if other, _ := p.elsewhere(data, []string{name}, "", nil); other != nil {
			return &Hint{Cause: CausePath, Fix: "pattern or criteria", Text: "filters see attributes only, and " + other.Fix + " is in the data"}
		}
	}
	return h
}

func (p *explainer) attrName(pr *predicate) string {
	if pr.path == noPath {
		return ""
	}
	return p.v.w.attrs[pr.path.index()]
}

func (p *explainer) attributeNames() []string {
	var out []string
	for _, n := range coreAttributes {
		if _, ok := p.v.attribute(n); ok {
			out = append(out, n)
		}
	}
	for n := range p.v.event.Extensions {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// example is a value that the alternative would accept, nil where that is no
// single one.
func (a *alternative) example() any {
	switch a.op {
	case opString, opIP, opFold:
		return a.text
	case opNumber:
		v, err := value.DecodeString(a.text)
		if err != nil {
			return nil
		}
		return v
	case opTrue:
		return true
	case opFalse:
		return false
	}
	return nil
}

func alternativeHint(a *alternative, found any) *Hint {
	if w := a.example(); w != nil {
		if g, ok := found.(string); ok && strings.Contains(a.text, "*") && fnmatch(a.text, g) {
			return &Hint{Cause: CauseOperator, Text: "a plain string takes * literally", Fix: `{"wildcard": ` + quote(a.text) + "}"}
		}
		if text, ok := w.(string); ok {
			if g, ok := found.(string); ok && len(text) > 2 && strings.HasPrefix(g, text) && strings.TrimFunc(g, invisible) != text {
				return &Hint{Cause: CauseOperator, Text: "the value begins with it, and is longer", Fix: `{"prefix": ` + quote(text) + "}"}
			}
		}
		h := hintValues(w, found)
		if h != nil && strings.HasPrefix(h.Fix, "pattern: ") {
			h.Fix = "[" + strings.TrimPrefix(h.Fix, "pattern: ") + "]"
		}
		if h != nil && h.Cause == CauseCase {
			h.Fix = `{"equals-ignore-case": ` + quote(a.text) + "}"
		}
		return h
	}
	g, isText := found.(string)
	switch a.op {
	case opRange:
		if isText {
			if _, err := value.ParseFloat(textfold.NFKC.Fold(g)); err == nil {
				return &Hint{Cause: CauseType, Text: "numeric compares numbers, and the event has a string"}
			}
		}
		if n, err := value.ParseFloat(string(encode(found))); err == nil && value.IsNumber(found) && (a.loOpen && n == a.lo || a.hiOpen && n == a.hi) {
			return &Hint{Cause: CauseOperator, Text: "the value is the bound itself, which < and > leave out; <= and >= take it in"}
		}
	case opCIDR:
		if isText {
			return addressHint(g)
		}
	case opPrefix, opSuffix, opWildcard, opContains:
		if !isText {
			return &Hint{Cause: CauseType, Text: opNames[a.op] + " applies to strings, and the event has a " + kindName(found)}
		}
		var v view
		if t := strings.TrimFunc(g, invisible); t != g && v.textHolds(a, bytesOf(t)) {
			return &Hint{Cause: CauseSpace, Text: "the event's value has white space or invisible characters around it"}
		}
		folded := *a
		folded.text = foldText(a.text)
		if a.op == opWildcard && glob(foldWildcard(a.text), bytesOf(foldText(g))) {
			return &Hint{Cause: CauseCase, Text: "it would hold without regard to case, which a wildcard has"}
		}
		if a.op != opWildcard && v.textHolds(&folded, bytesOf(foldText(g))) {
			return &Hint{Cause: CauseCase, Text: "it would hold without regard to case",
				Fix: `{"` + opNames[a.op] + `": {"equals-ignore-case": ` + quote(a.text) + "}}"}
		}
		for _, o := range []op{opPrefix, opSuffix} {
			if other := (alternative{op: o, text: a.text}); a.op != opWildcard && o != a.op && v.textHolds(&other, bytesOf(g)) {
				return &Hint{Cause: CauseOperator, Text: "the value has it at the other end", Fix: `{"` + opNames[o] + `": ` + quote(a.text) + "}"}
			}
		}
		if a.op != opWildcard && strings.Contains(g, a.text) {
			return &Hint{Cause: CauseOperator, Text: "the value has it in the middle", Fix: `{"wildcard": ` + quote("*"+a.text+"*") + "}"}
		}
	}
	return nil
}
