package rules

import (
	"math"
	"regexp/syntax"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// The index must lead to a rule not only where its criteria hold but also where
// one of them cannot be evaluated: that is a failed firing. So a criterion can
// be a key only with the keys of every error that it or an earlier one may give:
// most operators fail exactly where the value is no string (or no number), and
// that the index can tell.

// failures says where evaluating a criterion may give an error.
type failures struct {
	keys    []key
	unknown bool // anywhere
}

// cover is the best cover of the criteria.
func (cr *criteria) cover(c *census) cover {
	var best cover
	cr.each(c, func(cv cover) { best = cheaper(best, cv) })
	return best
}

// each gives f every cover that some criterion offers.
func (cr *criteria) each(c *census, f func(cover)) {
	var errs []key
	for i := range cr.list {
		x := &cr.list[i]
		fail := x.failures(c)
		if fail.unknown {
			return
		}
		errs = append(errs, fail.keys...)
		cv := x.keys(c)
		if !cv.ok {
			continue
		}
		cv.keys = append([]key(nil), cv.keys...)
		for _, k := range errs {
			cv.add(k)
		}
		f(cv)
	}
}

// failures says where the criterion fails.
func (c *criterion) failures(n *census) failures {
	switch {
	case c.missing:
		return failures{}
	case c.wrong != nil, c.expr != nil, c.pattern.tmpl != nil, c.pattern.reErr != nil, c.fold != 0, c.root == "system":
		return failures{unknown: true}
	}
	p := &c.pattern
	switch c.op {
	case opEquals, opNotEquals, opExistsValue, opMissingValue:
		return failures{}
	case opSearch, opYounger, opOlder:
		return failures{unknown: true}
	}
	if p.val == nil {
		return failures{} // false before anything can fail
	}
	switch c.op {
	case opInside, opNotInside:
		if _, ok := p.val.(value.List); ok {
			return failures{}
		}
		return c.failsUnless(n, keyNotText, p.isText)
	case opLess, opGreater:
		if p.isText {
			return c.failsUnless(n, keyNotText, true)
		}
		return c.failsUnless(n, keyNotNumber, p.isNum)
	}
	return c.failsUnless(n, keyNotText, p.isText)
}

// failsUnless says that the criterion fails only where the value is not of a kind.
func (c *criterion) failsUnless(n *census, k keyKind, known bool) failures {
	if !known || c.path == noPath {
		return failures{unknown: true}
	}
	out := key{kind: k, path: c.path}
	if n.frozen {
		n.rate(&out)
	} else {
		n.note(&out)
	}
	return failures{keys: []key{out}}
}

// keys is the cover of the events in which the criterion is true; not ok where
// the index cannot tell.
func (c *criterion) keys(n *census) cover {
	if c.missing {
		return cover{ok: true} // never true
	}
	if c.path == noPath {
		return cover{}
	}
	p := &c.pattern
	never := cover{ok: true}
	if p.val == nil && c.op != opExistsValue && c.op != opMissingValue && c.op != opNotEquals {
		return never
	}
	switch c.op {
	case opExistsValue:
		return n.predicate(&predicate{c.path, []alternative{{op: opExists}}})
	case opEquals:
		return c.equalKeys(n, p.val)
	case opInside:
		return c.insideKeys(n)
	case opLess, opGreater:
		if !p.isNum || math.IsInf(p.lo, 0) {
			return cover{}
		}
		// Closed bounds, so that what a double cannot tell apart is still found.
		a := unbounded()
		if c.op == opLess {
			a.hi = p.lo
		} else {
			a.lo = p.lo
		}
		return n.predicate(&predicate{c.path, []alternative{a}})
	}
	if !p.isText {
		return cover{}
	}
	var a alternative
	ascii := isASCII(p.lower)
	switch {
	case c.op == opStarts:
		a = alternative{op: opPrefix, text: p.text}
	case c.op == opEnds:
		a = alternative{op: opSuffix, text: p.text}
	case c.op == opHas:
		a = alternative{op: opContains, text: p.text}
	case c.op == opEqualsFold && ascii:
		a = alternative{op: opFold, text: p.lower}
	case c.op == opStartsFold && ascii:
		a = alternative{op: opPrefixFold, text: p.lower}
	case c.op == opEndsFold && ascii:
		a = alternative{op: opSuffixFold, text: p.lower}
	case c.op == opRegex || c.op == opMatchRegex:
		t := requiredText(p.text)
		if len(t) < pieceSize {
			return cover{}
		}
		a = alternative{op: opContains, text: t}
	case c.op == opMatchWildcard:
		a = alternative{op: opWildcard, text: looseWildcard(p.text)}
	default:
		return cover{}
	}
	return n.predicate(&predicate{c.path, []alternative{a}})
}

// looseWildcard turns a shell pattern into a wildcard that matches at least as
// much: ? and classes become stars.
func looseWildcard(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '?', '*':
			b.WriteByte(star)
		case '[':
			if end := classEnd(s[i:]); end > 0 {
				b.WriteByte(star)
				i += end
				continue
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// requiredText returns a text that occurs in whatever a regular expression
// matches, "" where none is known. It reads the pattern with Go's syntax: where
// Python's differs, Go's does not accept the pattern, except for the construct
// that is left out here.
func requiredText(pattern string) string {
	if strings.Contains(pattern, "{,") {
		return ""
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	best := ""
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpLiteral:
			if s := string(re.Rune); re.Flags&syntax.FoldCase == 0 && len(s) > len(best) {
				best = s
			}
		case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
			for _, sub := range re.Sub {
				walk(sub)
			}
		case syntax.OpRepeat:
			if re.Min > 0 {
				walk(re.Sub[0])
			}
		}
	}
	walk(re)
	return best
}

// equalKeys covers the values that Python holds equal to v.
func (c *criterion) equalKeys(n *census, v any) cover {
	switch v := v.(type) {
	case string:
		return n.predicate(&predicate{c.path, []alternative{{op: opString, text: v}}})
	case bool:
		return c.truthKeys(n, v)
	}
	if f, ok := toFloat(v); ok {
		num := numberAlternative(value.Str(v))
		num.lo = f
		cv := n.predicate(&predicate{c.path, []alternative{num}})
		if f == 0 || f == 1 {
			cv = c.truthKeys(n, f == 1)
		}
		return cv
	}
	return cover{}
}

// truthKeys covers a truth value and the number that equals it.
func (c *criterion) truthKeys(n *census, v bool) cover {
	alts := []alternative{{op: opFalse}, numberAlternative("0")}
	if v {
		alts = []alternative{{op: opTrue}, numberAlternative("1")}
	}
	return n.predicate(&predicate{c.path, alts})
}

// insideKeys covers the members of a list.
func (c *criterion) insideKeys(n *census) cover {
	l, ok := c.pattern.val.(value.List)
	if !ok {
		return cover{}
	}
	all := cover{ok: true}
	for _, v := range l {
		all = both(all, c.equalKeys(n, v))
	}
	return all
}

// toFloat returns a number that a double comes near to.
func toFloat(v any) (float64, bool) {
	if !value.IsNumber(v) {
		return 0, false
	}
	f, err := value.ToFloat(v)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}
