package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/textfold"
)

// absenceHint finds criteria that ask for a field where they mean that there is
// none.
func absenceHint(c *criterion) *Hint {
	switch {
	case c.op == opExistsValue && c.pattern.val == false:
		return &Hint{Cause: CauseOperator, Fix: "type: nexists", Text: "exists asks for the field, whatever its pattern says"}
	case (c.op == opEquals || c.op == opEqualsFold) && c.pattern.val == nil && c.pattern.tmpl == nil:
		return &Hint{Cause: CauseOperator, Fix: "type: nexists, pattern: true", Text: c.name + " never holds with the pattern null; nexists asks for a field that is null or not there"}
	}
	return nil
}

// misuseHint finds operators that work otherwise than the rule takes them to. err
// is what came of the criterion.
func misuseHint(c *criterion, found, pat any, err error) *Hint {
	w, wText := pat.(string)
	g, gText := found.(string)
	switch c.op {
	case opLess, opGreater:
		return boundHint(c, found, pat)
	case opInside:
		if wText && gText && strings.Contains(g, w) {
			return &Hint{Cause: CauseOperator, Fix: "type: contains", Text: "inside looks for the field in the pattern, and here the pattern is in the field"}
		}
	case opHas, opHasFold:
		if l, ok := pat.(value.List); ok && gText {
			for _, x := range l {
				if value.Equal(x, found) || c.op == opHasFold && strings.EqualFold(value.Str(x), g) {
					return &Hint{Cause: CauseOperator, Fix: "type: inside", Text: c.name + " looks for the pattern in the field, and here the field is in the pattern"}
				}
			}
		}
	case opRegex, opRegexFold, opMatchRegex:
		if wText && gText {
			if h := regexHint(c, w, g); h != nil {
				return h
			}
		}
	case opYounger, opOlder:
		if value.IsNumber(found) {
			return &Hint{Cause: CauseType, Text: `timediff reads dates written as text, such as "2026-01-05T09:00:00Z", and the event has a number`}
		}
	}
	if err == nil || gText || c.op == opSearch || !textual(c.op) {
		return nil
	}
	switch x := found.(type) {
	case value.List:
		return &Hint{Cause: CauseList, Text: "the field is a list, and " + c.name + " applies to text: name an item, or use contains or search"}
	case *value.Map:
		return &Hint{Cause: CauseList, Text: "the field is an object; name one of its members: " + strings.Join(memberNames(x), ", ")}
	}
	return &Hint{Cause: CauseType, Text: fmt.Sprintf("%s applies to text, and the event has a %s", c.name, kindName(found))}
}

// textual says whether an operator of criteria is for text alone, or breaks on
// what is no text.
func textual(o operator) bool {
	switch o {
	case opHas, opHasFold, opHasNot, opHasNotFold, opStarts, opStartsFold, opEnds, opEndsFold, opMatchWildcard, opRegex, opRegexFold, opMatchRegex, opEqualsFold:
		return true
	}
	return false
}

// boundHint finds a bound that the value is itself: it is left out.
func boundHint(c *criterion, found, pat any) *Hint {
	if !value.IsNumber(found) || !value.IsNumber(pat) || !value.Equal(found, pat) {
		return nil
	}
	h := &Hint{Cause: CauseOperator, Text: "the value is the bound itself, which " + c.name + " leaves out"}
	step := int64(-1)
	if c.op == opLess {
		step = 1
	}
	if n, err := value.Arith("+", pat, step); err == nil {
		if _, isFloat := pat.(float64); !isFloat {
			h.Fix = "pattern: " + string(encode(n))
		}
	}
	return h
}

// regexHint finds what is no part of a regular expression in Python, and dots that
// ought to fit a line break.
func regexHint(c *criterion, want, got string) *Hint {
	holds := func(o operator, pattern string) bool {
		re, reErr := compileRegex(o, pattern)
		ok, err := apply(o, got, pattern, operands{re: re, reErr: reErr})
		return ok && err == nil
	}
	if i := strings.LastIndexByte(want, '/'); i > 0 && want[0] == '/' {
		for _, o := range []operator{c.op, opRegexFold} {
			if inner := want[1:i]; holds(o, inner) {
				h := &Hint{Cause: CauseOperator, Fix: "pattern: " + quote(inner), Text: "a regular expression stands without slashes"}
				if o != c.op {
					h.Fix = "type: iregex, " + h.Fix
				}
				return h
			}
		}
	}
	if strings.Contains(got, "\n") && holds(c.op, "(?s)"+want) {
		return &Hint{Cause: CauseOperator, Fix: "pattern: " + quote("(?s)"+want), Text: "a dot fits no line break, and the value has one"}
	}
	return nil
}

// alike maps characters to the one that they are mistaken for.
var alike = strings.NewReplacer("‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-", "－", "-", "ー", "-", "ｰ", "-",
	"‘", "'", "’", "'", "′", "'", "“", `"`, "”", `"`, "″", `"`, "〜", "~", "～", "~", "・", "·", "･", "·")

// look is a text as it looks: dashes, quotes and forms of characters do not count.
func look(s string) string { return alike.Replace(textfold.NFKC.Fold(alike.Replace(s))) }

// spaced is a text with one plain space for all white space within it.
func spaced(s string) string { return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ") }

// addressHint says why a text is no address that cidr could compare.
func addressHint(text string) *Hint {
	if _, err := netip.ParseAddrPort(text); err == nil {
		return &Hint{Cause: CauseType, Text: "cidr compares addresses, and the event has an address with a port"}
	}
	if _, err := netip.ParsePrefix(text); err == nil {
		return &Hint{Cause: CauseType, Text: "cidr compares addresses, and the event has a network"}
	}
	if _, err := netip.ParseAddr(text); err != nil {
		return &Hint{Cause: CauseType, Text: "cidr compares addresses, and the event has another text"}
	}
	return nil
}

// foldWildcard folds the pieces of a compiled wildcard.
func foldWildcard(pattern string) string {
	parts := strings.Split(pattern, string([]byte{star}))
	for i := range parts {
		parts[i] = foldText(parts[i])
	}
	return strings.Join(parts, string([]byte{star}))
}

// wrongKeyHint looks for a name with characters that a key has in quotes only.
func (p *explainer) wrongKeyHint(c *criterion) *Hint {
	data, err := p.ev.payload()
	key, _, _ := strings.Cut(c.key, "#")
	rest, ok := strings.CutPrefix(key, "trigger.")
	if err != nil || !ok || p.ev.inItem {
		return nil
	}
	return nestedHint(data, "trigger.", stepsOf(rest))
}
