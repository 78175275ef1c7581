package rules

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxClauses bounds the combinations that the $or of one pattern multiply to.
const maxClauses = 1000

// reserved are the names that EventBridge keeps as operators, now or later:
// inside $or they are no field names.
var reserved = []string{
	"exactly", "prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "cidr", "exists", "anything-but", "regex",
	"=", "<", "<=", ">", ">=", "not-wildcard", "not-equals-ignore-case", "not-anything-but",
	"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
	"ip-address-in-range", "ip-address-not-in-range",
}

// patternReader reads an EventBridge event pattern into a disjunction of
// clauses.
type patternReader struct {
	g    *grower
	bad  *problems
	at   []string // the field in the rule, for messages
	path []string // the field in the event
	over bool     // the clauses became too many
}

// readPattern compiles a pattern; it is valid only where no problem was added.
func readPattern(g *grower, bad *problems, raw []byte) [][]predicate {
	r := patternReader{g: g, bad: bad, at: []string{"pattern"}}
	d, ok := readDocument(bad, r.at, raw, kindObject)
	if !ok {
		return nil
	}
	return r.object(&d, false)
}

// readDocument parses a part of a rule that must be JSON of a kind.
func readDocument(bad *problems, at []string, raw []byte, want kind) (doc, bool) {
	if !json.Valid(raw) {
		bad.add(at, "is not JSON: %s", jsonError(raw))
		return doc{}, false
	}
	d, ok := parseDoc(raw)
	switch {
	case !ok:
		bad.add(at, "is nested more than %d deep", maxDepth)
	case d.kind != want:
		bad.add(at, "must be %s, found %s", want, d.describe())
	default:
		return d, true
	}
	return doc{}, false
}

func jsonError(raw []byte) string {
	var x any
	if err := json.Unmarshal(raw, &x); err != nil {
		return err.Error()
	}
	return "unreadable"
}

func (r *patternReader) problem(format string, args ...any) { r.bad.add(r.at, format, args...) }

// in reads below a name.
func (r *patternReader) in(name string, f func()) {
	r.at = append(r.at, name)
	f()
	r.at = r.at[:len(r.at)-1]
}

// object reads the fields of one object; all must hold.
func (r *patternReader) object(d *doc, inOr bool) [][]predicate {
	if len(d.keys) == 0 {
		r.problem("is empty: name at least one field")
		return nil
	}
	all := [][]predicate{nil}
	for i, key := range d.keys {
		val := &d.vals[i]
		r.in(key, func() {
			if slices.Contains(d.keys[:i], key) {
				r.problem("stands here twice; write $and: [{…}, {…}] where both must hold")
				return
			}
			switch {
			case key == "$or" || key == "$and":
				all = r.product(all, r.list(key, val))
				return
			case inOr && slices.Contains(reserved, key):
				r.problem("is an operator, not a field: inside $or every object names fields of the event")
				return
			}
			r.path = append(r.path, key)
			all = r.product(all, r.field(val, inOr))
			r.path = r.path[:len(r.path)-1]
		})
	}
	return all
}

// list reads the objects of $or and $and.
func (r *patternReader) list(key string, d *doc) [][]predicate {
	if d.kind != kindArray {
		r.problem("must be a list of objects, found %s", d.describe())
		return nil
	}
	if key == "$or" && len(d.vals) < 2 || len(d.vals) == 0 {
		r.problem("needs at least two objects")
		return nil
	}
	out := [][]predicate{nil}
	if key == "$or" {
		out = nil
	}
	for i := range d.vals {
		r.in(strconv.Itoa(i), func() {
			if d.vals[i].kind != kindObject {
				r.problem("must be an object, found %s", d.vals[i].describe())
				return
			}
			part := r.object(&d.vals[i], key == "$or")
			if key == "$or" {
				out = append(out, part...)
			} else {
				out = r.product(out, part)
			}
		})
	}
	return out
}

// product conjoins two disjunctions.
func (r *patternReader) product(a, b [][]predicate) [][]predicate {
	if n := len(a) * len(b); n > maxClauses {
		if !r.over {
			r.problem("the branches of $or multiply to more than %d combinations: split the rule", maxClauses)
		}
		r.over = true
		return a[:min(len(a), 1)]
	}
	if len(b) == 1 {
		for i := range a {
			a[i] = append(a[i], b[0]...)
		}
		return a
	}
	out := make([][]predicate, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, append(slices.Clip(x), y...))
		}
	}
	return out
}

// field reads what stands beside a name: an object of further names, or the list
// of allowed values.
func (r *patternReader) field(d *doc, inOr bool) [][]predicate {
	switch d.kind {
	case kindObject:
		return r.object(d, inOr)
	case kindArray:
	case kindString, kindNumber, kindTrue, kindFalse, kindNull:
		r.problem("must be a list of allowed values, found %s; write [%s]", d.describe(), d.spelling())
		return nil
	}
	if len(d.vals) == 0 {
		r.problem("is an empty list: name at least one value")
		return nil
	}
	p := predicate{path: r.g.data(r.path, false), alts: make([]alternative, 0, len(d.vals))}
	for i := range d.vals {
		if a, ok := r.value(&d.vals[i]); ok {
			p.alts = append(p.alts, a)
		}
	}
	return [][]predicate{{p}}
}

// spelling shows a scalar as JSON.
func (d *doc) spelling() string {
	if d.kind == kindString {
		return quote(d.text)
	}
	return d.text
}

func (r *patternReader) value(d *doc) (a alternative, ok bool) {
	switch d.kind {
	case kindString:
		if addr, ok := parseAddress(bytesOf(d.text)); ok {
			n := netip.PrefixFrom(addr, addr.BitLen())
			return alternative{op: opIP, text: d.text, net: &n}, true
		}
		return alternative{op: opString, text: d.text}, true
	case kindNumber:
		return numberAlternative(d.text), true
	case kindTrue:
		return alternative{op: opTrue}, true
	case kindFalse:
		return alternative{op: opFalse}, true
	case kindNull:
		return alternative{op: opNull}, true
	case kindObject:
		if len(d.keys) != 1 {
			r.problem("an expression has exactly one operator, found %d", len(d.keys))
			return a, false
		}
		return r.operator(d.keys[0], &d.vals[0])
	}
	r.problem("a list cannot stand among the values")
	return a, false
}

func numberAlternative(text string) alternative {
	x, long := parseNumber([]byte(text))
	return alternative{op: opNumber, text: text, lo: x, long: long}
}

func (r *patternReader) operator(name string, d *doc) (a alternative, ok bool) {
	switch name {
	case "exactly":
		return r.textOperator(name, opString, d)
	case "prefix":
		return r.affix(name, opPrefix, opPrefixFold, d)
	case "suffix":
		return r.affix(name, opSuffix, opSuffixFold, d)
	case "equals-ignore-case":
		if a, ok = r.textOperator(name, opFold, d); ok {
			a.text = foldText(a.text)
		}
		return a, ok
	case "wildcard":
		if a, ok = r.textOperator(name, opWildcard, d); ok {
			a.text, ok = r.wildcard(a.text)
		}
		return a, ok
	case "exists":
		switch d.kind {
		case kindTrue:
			return alternative{op: opExists}, true
		case kindFalse:
			return alternative{op: opAbsent}, true
		}
		r.problem("exists takes true or false, found %s", d.describe())
		return a, false
	case "numeric":
		return r.numeric(d)
	case "cidr":
		return r.cidr(d)
	case "anything-but":
		return r.anythingBut(d)
	}
	r.problem("unknown operator %s%s", quote(name), didYouMean(name, operatorNames))
	return a, false
}

var operatorNames = []string{"exactly", "prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "cidr", "exists", "anything-but"}

func (r *patternReader) textOperator(name string, o op, d *doc) (alternative, bool) {
	if d.kind != kindString {
		r.problem("%s takes a string, found %s", name, d.describe())
		return alternative{}, false
	}
	return alternative{op: o, text: d.text}, true
}

// affix reads prefix and suffix: a string, or {"equals-ignore-case": string}.
func (r *patternReader) affix(name string, plain, folded op, d *doc) (alternative, bool) {
	if d.kind != kindObject {
		return r.textOperator(name, plain, d)
	}
	if len(d.keys) != 1 || d.keys[0] != "equals-ignore-case" || d.vals[0].kind != kindString {
		r.problem(`%s takes a string or {"equals-ignore-case": string}`, name)
		return alternative{}, false
	}
	return alternative{op: folded, text: foldText(d.vals[0].text)}, true
}

// wildcard compiles a pattern in which * stands for any run of characters and
// \* and \\ for themselves.
func (r *patternReader) wildcard(s string) (string, bool) {
	if !utf8.ValidString(s) {
		r.problem("wildcard %s is not UTF-8", quote(s))
		return "", false
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
			if i == len(s) || s[i] != '*' && s[i] != '\\' {
				r.problem(`wildcard %s: a backslash stands only before * or \`, quote(s))
				return "", false
			}
			out = append(out, s[i])
		case '*':
			if len(out) > 0 && out[len(out)-1] == star {
				r.problem("wildcard %s: two * in a row mean the same as one", quote(s))
				return "", false
			}
			out = append(out, star)
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}

func (r *patternReader) numeric(d *doc) (a alternative, ok bool) {
	const want = `numeric takes ["=", n], one bound, or a lower and then an upper bound such as [">", 0, "<=", 5]`
	if d.kind != kindArray || len(d.vals) != 2 && len(d.vals) != 4 {
		r.problem(want)
		return a, false
	}
	a = unbounded()
	for i := 0; i < len(d.vals); i += 2 {
		sign, n := &d.vals[i], &d.vals[i+1]
		if sign.kind != kindString || n.kind != kindNumber {
			r.problem(want)
			return a, false
		}
		x, _ := parseNumber([]byte(n.text))
		if !sameDecimal(n.text, strconv.FormatFloat(x, 'e', -1, 64)) {
			r.problem("numeric compares doubles, and %s is not one", n.text)
			return a, false
		}
		switch {
		case sign.text == "=" && len(d.vals) == 2:
			a.lo, a.hi, a.loOpen, a.hiOpen = x, x, false, false
		case sign.text == ">" && i == 0:
			a.lo, a.loOpen = x, true
		case sign.text == ">=" && i == 0:
			a.lo, a.loOpen = x, false
		case (sign.text == "<" || sign.text == "<=") && (len(d.vals) == 2 || i == 2 && d.vals[0].text[0] == '>'):
			a.hi, a.hiOpen = x, sign.text == "<"
		default:
			r.problem(want)
			return a, false
		}
	}
	if len(d.vals) == 4 && a.lo >= a.hi {
		r.problem("numeric: nothing lies between %s and %s", d.vals[1].text, d.vals[3].text)
		return a, false
	}
	return a, true
}

func (r *patternReader) cidr(d *doc) (a alternative, ok bool) {
	if d.kind != kindString {
		r.problem("cidr takes a network such as 10.0.0.0/8, found %s", d.describe())
		return a, false
	}
	n, err := netip.ParsePrefix(d.text)
	switch {
	case err != nil:
		r.problem("cidr %s is not a network such as 10.0.0.0/8", quote(d.text))
		return a, false
	case n.Bits() == n.Addr().BitLen():
		r.problem("cidr %s is a single address: write it as a plain string", quote(d.text))
		return a, false
	}
	n = n.Masked()
	return alternative{op: opCIDR, net: &n}, true
}

func (r *patternReader) anythingBut(d *doc) (a alternative, ok bool) {
	const want = "anything-but takes a string, a number, a list of strings or of numbers, or one of prefix, suffix, equals-ignore-case, wildcard"
	var sub alternatives
	switch d.kind {
	case kindString:
		sub = alternatives{{op: opString, text: d.text}}
	case kindNumber:
		sub = alternatives{numberAlternative(d.text)}
	case kindArray:
		for i := range d.vals {
			x := &d.vals[i]
			switch {
			case x.kind == kindString && d.vals[0].kind == kindString:
				sub = append(sub, alternative{op: opString, text: x.text})
			case x.kind == kindNumber && d.vals[0].kind == kindNumber:
				sub = append(sub, numberAlternative(x.text))
			default:
				r.problem("%s; found %s in the list", want, x.describe())
				return a, false
			}
		}
	case kindObject:
		if len(d.keys) == 1 {
			return r.anythingButOperator(d.keys[0], &d.vals[0])
		}
	}
	if len(sub) == 0 {
		r.problem("%s", want)
		return a, false
	}
	return alternative{op: opNot, sub: &sub}, true
}

func (r *patternReader) anythingButOperator(name string, d *doc) (a alternative, ok bool) {
	if !slices.Contains([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}, name) {
		r.problem("anything-but cannot be combined with %s", quote(name))
		return a, false
	}
	texts := []doc{*d}
	if d.kind == kindArray {
		texts = d.vals
	}
	var sub alternatives
	for i := range texts {
		t := &texts[i]
		if t.kind != kindString {
			r.problem("anything-but %s takes a string or a list of strings, found %s", name, t.describe())
			return a, false
		}
		if t.text == "" && strings.HasSuffix(name, "fix") {
			r.problem("anything-but %s: every string has the empty %s", name, name)
			return a, false
		}
		s, ok := r.operator(name, t)
		if !ok {
			return a, false
		}
		sub = append(sub, s)
	}
	if len(sub) == 0 {
		r.problem("anything-but %s needs at least one string", name)
		return a, false
	}
	return alternative{op: opNot, sub: &sub}, true
}
