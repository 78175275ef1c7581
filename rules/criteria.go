package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/jsonpath"
	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/textfold"
)

// criteria are StackStorm's conditions of one rule. All must hold; they are
// evaluated in the order of the document, and the first that fails, or cannot
// be evaluated, ends it.
type criteria struct{ list []criterion }

// criterion is one condition: a key, an operator and a pattern. Sets hold many
// of them; what few need is behind pointers.
type criterion struct {
	key  string
	name string // the operator as written
	// path is where the key leads if it names members of the data only; noPath
	// otherwise.
	path    pathID
	op      operator
	missing bool          // there is no type: never true
	fold    textfold.Form // differences that do not count
	pattern pattern
	*uncommon
}

// uncommon is what criteria on plain keys do without.
type uncommon struct {
	root  string   // the first name of a key that is names only: item, system …
	names []string // those behind it
	expr  *jsonpath.Path
	wrong error // why the key cannot be read

	condition string // of search, as are the children
	children  []criterion
	unknown   []string // members that mean nothing
}

// plain is what every criterion without uncommon parts shares; nothing writes
// to it.
var plain = &uncommon{}

// own makes the uncommon parts the criterion's own.
func (c *criterion) own() *uncommon {
	if c.uncommon == plain {
		c.uncommon = &uncommon{}
	}
	return c.uncommon
}

// pattern is a criterion's operand.
type pattern struct {
	val   any // of a string: as StackStorm's template engine would leave it
	text  string
	lower string // text in lower case, for the operators that ignore case
	lo    float64
	*compiledPattern

	isText bool
	isNum  bool // lo is its value
	long   bool // it has more digits than a double holds
}

// compiledPattern is what few patterns are compiled to.
type compiledPattern struct {
	tmpl  *template
	re    *pyre.Regexp
	reErr error
	doc   doc // as written, where it was asked for
}

// literal is what patterns share that are compiled to nothing; nothing writes
// to it.
var literal = &compiledPattern{}

// needError says which datastore keys an evaluation needs first.
type needError struct{ keys []string }

func (e needError) Error() string { return "needs the datastore keys " + strings.Join(e.keys, ", ") }

// readCriteria compiles a criteria mapping.
func readCriteria(g *grower, bad *problems, raw []byte) *criteria {
	at := []string{"criteria"}
	d, ok := readDocument(bad, at, raw, kindObject)
	if !ok {
		return nil
	}
	return &criteria{readCriterionList(g, bad, at, &d, "trigger")}
}

func readCriterionList(g *grower, bad *problems, at []string, d *doc, root string) []criterion {
	list := make([]criterion, 0, len(d.keys))
	for i, key := range d.keys {
		at := append(slices.Clip(at), key)
		if slices.Contains(d.keys[:i], key) {
			bad.add(at, "stands here twice; end the second key in #2 to test one field twice")
			continue
		}
		if d.vals[i].kind != kindObject {
			bad.add(at, "must be an object with type and pattern, found %s", d.vals[i].describe())
			continue
		}
		list = append(list, readCriterion(g, bad, at, key, &d.vals[i], root))
	}
	return list
}

// criterionKeys are the members of a criterion.
var criterionKeys = []string{"type", "pattern", "condition", "fold"}

func readCriterion(g *grower, bad *problems, at []string, key string, d *doc, root string) criterion {
	c := criterion{key: key, path: noPath, uncommon: plain, pattern: pattern{compiledPattern: literal}}
	c.readKey(g, root)
	for _, k := range d.keys {
		if !slices.Contains(criterionKeys, k) {
			u := c.own()
			u.unknown = append(u.unknown, k)
		}
	}
	typ, ok := d.get("type")
	if !ok {
		c.missing = true
		return c
	}
	if typ.kind != kindString {
		bad.add(append(slices.Clip(at), "type"), "must be the name of an operator, found %s", typ.describe())
		return c
	}
	c.name = typ.text
	if c.op, ok = operators[strings.ToLower(typ.text)]; !ok {
		bad.add(append(slices.Clip(at), "type"), "unknown operator %s%s", quote(typ.text), didYouMean(typ.text, operatorList))
		return c
	}
	if f, ok := d.get("fold"); ok {
		c.fold = readFolding(bad, append(slices.Clip(at), "fold"), f, c.op)
	}
	if cond, ok := d.get("condition"); ok && cond.kind == kindString {
		c.own().condition = cond.text
	}
	p, ok := d.get("pattern")
	if !ok {
		p = &doc{kind: kindNull, text: "null"}
	}
	if c.op == opSearch {
		if p.kind != kindObject {
			bad.add(append(slices.Clip(at), "pattern"), "search takes criteria over item.…, found %s", p.describe())
			return c
		}
		c.own().children = readCriterionList(g, bad, append(slices.Clip(at), "pattern"), p, "item")
	}
	c.readPattern(p, true)
	if g.keep {
		c.pattern.own().doc = *p
	}
	return c
}

// readKey compiles a key. Like StackStorm it accepts any key: one that cannot
// be read fails when it is evaluated.
func (c *criterion) readKey(g *grower, root string) {
	key, _, _ := strings.Cut(c.key, "#")
	expr, err := jsonpath.Parse(key)
	if err != nil {
		c.own().wrong = err
		return
	}
	names, ok := expr.Fields()
	switch {
	case !ok || len(names) < 2:
		c.own().expr = expr
	case root == "trigger" && names[0] == root:
		c.path = g.data(names[1:], true)
	default:
		u := c.own()
		u.root, u.names = names[0], names[1:]
	}
}

// way is the names that a key of names leads along, behind the first one.
func (c *criterion) way(w *paths) []string {
	if c.path != noPath {
		return w.names(c.path)
	}
	return c.names
}

// readPattern compiles the operand. With templates, strings go through the
// template engine first, as in a rule.
func (c *criterion) readPattern(d *doc, templates bool) {
	p := &c.pattern
	p.compiledPattern = literal
	p.val = d.value()
	switch d.kind {
	case kindString:
		p.text, p.isText = d.text, true
		if templates {
			if t := newTemplate(d.text); t != nil {
				p.own().tmpl = t
				p.isText = false
				return
			}
			p.text = plainTemplate(d.text)
			p.val = p.text
		}
		switch c.op {
		case opEqualsFold, opHasFold, opHasNotFold, opStartsFold, opEndsFold:
			p.lower = lower(p.text)
		}
	case kindNumber:
		n := numberAlternative(d.text)
		p.lo, p.long, p.isNum = n.lo, n.long, true
	}
	if re, err := compileRegex(c.op, p.val); re != nil || err != nil {
		own := p.own()
		own.re, own.reErr = re, err
	}
}

// own makes the compiled parts the pattern's own.
func (p *pattern) own() *compiledPattern {
	if p.compiledPattern == literal {
		p.compiledPattern = &compiledPattern{}
	}
	return p.compiledPattern
}

// value turns a part of a rule into a value for expressions.
func (d *doc) value() any {
	switch d.kind {
	case kindTrue:
		return true
	case kindFalse:
		return false
	case kindString:
		return d.text
	case kindNumber:
		// The document was valid JSON, so this is a number.
		n, _ := value.DecodeString(d.text)
		return n
	case kindArray:
		l := make(value.List, len(d.vals))
		for i := range d.vals {
			l[i] = d.vals[i].value()
		}
		return l
	case kindObject:
		m := value.NewMap(len(d.keys))
		for i := range d.vals {
			m.Set(d.keys[i], d.vals[i].value())
		}
		return m
	}
	return nil
}

// hold says whether the criteria hold, or why that cannot be said. Criteria
// never hold for an event without data, not even nexists (StackStorm
// RuleFilter.filter).
func (cr *criteria) hold(ev *evaluation) (bool, error) {
	if len(cr.list) == 0 {
		return true, nil
	}
	if ev.empty() {
		return false, nil
	}
	ev.inner = ev.inner[:0]
	for i := range cr.list {
		c := &cr.list[i]
		ok, err := c.holds(ev)
		if err != nil {
			return false, c.failed(err)
		}
		if !ok {
			if len(ev.inner) > 0 {
				return false, c.failed(errors.Join(ev.inner...))
			}
			return false, nil
		}
	}
	return true, nil
}

// failed says which criterion an error comes from.
func (c *criterion) failed(err error) error {
	var need needError
	if errors.As(err, &need) {
		return err
	}
	return fmt.Errorf("criterion %s (%s): %w", c.key, c.name, err)
}

// holds evaluates one criterion.
func (c *criterion) holds(ev *evaluation) (bool, error) {
	if c.missing {
		return false, nil
	}
	if c.path != noPath && !ev.view.twice {
		if ok, done := c.direct(ev.view); done {
			return ok, nil
		}
	}
	v, err := c.found(ev)
	if err != nil {
		return false, err
	}
	return c.test(ev, v)
}

// direct decides the common cases on the event's bytes, without making values.
func (c *criterion) direct(v *view) (ok, done bool) {
	if c.fold != 0 || c.pattern.tmpl != nil {
		return false, false
	}
	f := v.plain(c.path)
	switch c.op {
	case opExistsValue:
		return f != nil && f.kind != kindNull, true
	case opMissingValue:
		return f == nil || f.kind == kindNull, true
	case opEquals, opNotEquals:
		ok, done = c.pattern.equals(f)
		return ok != (c.op == opNotEquals), done
	case opLess, opGreater:
		if f == nil || f.kind != kindNumber || !c.pattern.isNum || c.pattern.long || f.number() != f.num || f.flags&numLong != 0 {
			return false, false
		}
		if c.op == opLess {
			return f.num < c.pattern.lo, true
		}
		return f.num > c.pattern.lo, true
	}
	if f == nil || f.kind != kindString || !c.pattern.isText {
		return false, false
	}
	s, t := textOf(f.val), c.pattern.text
	switch c.op {
	case opHas:
		return strings.Contains(s, t), true
	case opHasNot:
		return !strings.Contains(s, t), true
	case opStarts:
		return strings.HasPrefix(s, t), true
	case opEnds:
		return strings.HasSuffix(s, t), true
	case opInside:
		return strings.Contains(t, s), true
	case opNotInside:
		return !strings.Contains(t, s), true
	case opEqualsFold, opHasFold, opHasNotFold, opStartsFold, opEndsFold:
		if !isASCII(s) {
			return false, false
		}
		v.fold = appendFolded(v.fold[:0], f.val)
		s, t = textOf(v.fold), c.pattern.lower
		switch c.op {
		case opEqualsFold:
			return s == t, true
		case opHasFold:
			return strings.Contains(s, t), true
		case opHasNotFold:
			return !strings.Contains(s, t), true
		case opStartsFold:
			return strings.HasPrefix(s, t), true
		}
		return strings.HasSuffix(s, t), true
	}
	return false, false
}

// equals compares a field with the pattern where bytes suffice.
func (p *pattern) equals(f *field) (equal, done bool) {
	if p.val == nil {
		return f == nil && false, f != nil && f.kind != kindNull
	}
	if f == nil {
		return false, true
	}
	switch f.kind {
	case kindNull:
		return false, true
	case kindString:
		return p.isText && string(f.val) == p.text, true
	case kindNumber:
		if p.isText {
			return false, true
		}
		if p.isNum && !p.long {
			if x := f.number(); f.flags&numLong == 0 {
				return x == p.lo, true
			}
		}
	case kindTrue, kindFalse:
		if p.isText {
			return false, true
		}
	}
	return false, false
}

// found returns the value that the key leads to: of several the first, of none nil.
func (c *criterion) found(ev *evaluation) (any, error) {
	switch {
	case c.wrong != nil:
		return nil, c.wrong
	case c.expr != nil:
		ctx, err := ev.context()
		if err != nil {
			return nil, err
		}
		v, _, err := c.expr.First(ctx)
		return v, err
	case c.path != noPath && !ev.view.twice:
		return ev.fieldValue(c.path)
	case c.root == "system":
		return ev.stored("system." + strings.Join(c.names, "."))
	}
	if c.path != noPath {
		return ev.walk("trigger", c.way(ev.view.w))
	}
	return ev.walk(c.root, c.names)
}

// test applies the operator to a value.
func (c *criterion) test(ev *evaluation, v any) (bool, error) {
	p := &c.pattern
	pat, re, reErr := p.val, p.re, p.reErr
	if p.tmpl != nil {
		var err error
		if pat, err = p.tmpl.render(ev); err != nil {
			return false, err
		}
		re, reErr = compileRegex(c.op, pat)
	}
	if c.op == opSearch {
		if c.name != "search" {
			// StackStorm's filter knows the operator in lower case only.
			return false, value.TypeErrorf("search() missing 2 required positional arguments: 'criteria_condition' and 'check_function'")
		}
		return c.search(ev, v)
	}
	if c.fold != 0 {
		v, pat = foldValue(c.fold, v), foldValue(c.fold, pat)
	}
	ok, err := apply(c.op, v, pat, operands{re: re, reErr: reErr, now: ev.now})
	if err != nil && (c.op == opLess || c.op == opGreater) {
		// Python's text names the types alone. What a template renders to may be secret.
		if p.tmpl != nil {
			return ok, fmt.Errorf("%w (found %s)", err, brief(v))
		}
		return ok, fmt.Errorf("%w (found %s, pattern %s)", err, brief(v), brief(pat))
	}
	return ok, err
}

// brief is a value in a message, cut short.
func brief(v any) string {
	b, err := value.Encode(v)
	if err != nil {
		return value.Type(v)
	}
	if r := []rune(string(b)); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return string(b)
}

// search holds the children against each item of a list (StackStorm
// operators.search). A child that cannot be evaluated counts as false.
func (c *criterion) search(ev *evaluation, v any) (bool, error) {
	switch c.condition {
	case "any", "all", "all2any", "any2any":
	default:
		return false, value.Raise("UnrecognizedConditionError", "The '%s' condition is not recognized. Only 'any', 'all', 'any2any' and 'all2any' are allowed.", c.condition)
	}
	var items []any
	switch x := v.(type) {
	case *value.Map:
		items = []any{x}
	case string:
		for _, r := range x {
			items = append(items, string(r))
		}
	case value.List:
		items = x
	default:
		return false, value.TypeErrorf("'%s' object is not iterable", value.Type(v))
	}
	every := c.condition == "any" || c.condition == "all"
	some := false
	all := true
	for _, item := range items {
		holds := every
		for i := range c.children {
			ok, err := c.children[i].holdsItem(ev, item)
			if err != nil {
				return false, err
			}
			if every {
				holds = holds && ok
			} else {
				holds = holds || ok
			}
		}
		some = some || holds
		all = all && holds
	}
	if c.condition == "all" || c.condition == "all2any" {
		return all, nil
	}
	return some, nil
}

// holdsItem evaluates a child of search; only a need is an error.
func (c *criterion) holdsItem(ev *evaluation, item any) (bool, error) {
	outer := ev.enter(item)
	defer ev.leave(outer)
	ok, err := c.holds(ev)
	var need needError
	switch {
	case errors.As(err, &need):
		return false, err
	case err != nil:
		ev.innerFailed(c.failed(err))
		return false, nil
	}
	return ok, nil
}
