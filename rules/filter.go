package rules

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/cesql"
)

// filter is a tree of CloudEvents Subscriptions filters.
type filter struct {
	kind  filterKind
	preds []predicate // of exact, prefix and suffix: all must hold
	of    []filter    // of all, any and not
	sql   *cesql.Expression
	// lowered is what the index knows of sql: predicates without which it is false.
	lowered *filter
	doc     *doc // as written
}

type filterKind uint8

const (
	filterPredicates filterKind = iota
	filterAll
	filterAny
	filterNot
	filterSQL
	filterOpen // nothing is known: may be true
)

// readFilters compiles a list of filters, all of which must hold.
func readFilters(g *grower, bad *problems, raw []byte) *filter {
	at := []string{"filters"}
	d, ok := readDocument(bad, at, raw, kindArray)
	if !ok {
		return nil
	}
	r := filterReader{g: g, bad: bad, at: at}
	if len(d.vals) == 0 {
		return nil // no filter: everything passes
	}
	return &filter{kind: filterAll, of: r.list(&d)}
}

type filterReader struct {
	g   *grower
	bad *problems
	at  []string
}

func (r *filterReader) problem(format string, args ...any) { r.bad.add(r.at, format, args...) }

func (r *filterReader) list(d *doc) []filter {
	out := make([]filter, 0, len(d.vals))
	for i := range d.vals {
		r.at = append(r.at, strconv.Itoa(i))
		f := r.one(&d.vals[i])
		f.doc = &d.vals[i]
		out = append(out, f)
		r.at = r.at[:len(r.at)-1]
	}
	return out
}

// dialects are the names of filters. The specification says sql; cesql is what
// Knative says.
var dialects = []string{"exact", "prefix", "suffix", "all", "any", "not", "sql", "cesql"}

func (r *filterReader) one(d *doc) filter {
	if d.kind != kindObject || len(d.keys) != 1 {
		r.problem("a filter is an object with exactly one of %s", strings.Join(dialects, ", "))
		return filter{}
	}
	name, v := d.keys[0], &d.vals[0]
	r.at = append(r.at, name)
	defer func() { r.at = r.at[:len(r.at)-1] }()
	switch name {
	case "exact":
		return r.attributes(opString, v)
	case "prefix":
		return r.attributes(opPrefix, v)
	case "suffix":
		return r.attributes(opSuffix, v)
	case "all", "any":
		if v.kind != kindArray || len(v.vals) == 0 {
			r.problem("must be a list of at least one filter, found %s", v.describe())
			return filter{}
		}
		k := filterAll
		if name == "any" {
			k = filterAny
		}
		return filter{kind: k, of: r.list(v)}
	case "not":
		if v.kind != kindObject {
			r.problem("must be one filter, found %s", v.describe())
			return filter{}
		}
		return filter{kind: filterNot, of: []filter{r.one(v)}}
	case "sql", "cesql":
		return r.sql(v)
	}
	r.problem("unknown dialect%s", didYouMean(name, dialects))
	return filter{}
}

func (r *filterReader) attributes(o op, d *doc) filter {
	f := filter{kind: filterPredicates}
	if d.kind != kindObject || len(d.keys) == 0 {
		r.problem("must be an object of attributes and their values, found %s", d.describe())
		return f
	}
	for i, name := range d.keys {
		v := &d.vals[i]
		switch {
		case name == "":
			r.problem("names an attribute without a name")
		case v.kind != kindString:
			r.problem("%s: must be a string, found %s", name, v.describe())
		case v.text == "":
			r.problem("%s: must not be empty", name)
		default:
			f.preds = append(f.preds, predicate{path: r.attribute(name), alts: []alternative{{op: o, text: v.text}}})
		}
	}
	return f
}

// attribute is the place of an attribute; no event has one whose name the
// specification forbids, data among them.
func (r *filterReader) attribute(name string) pathID {
	if !hayate.ValidAttributeName(name) || name == "data" {
		return noPath
	}
	return r.g.attr(name)
}

func (r *filterReader) sql(d *doc) filter {
	if d.kind != kindString {
		r.problem("must be a string with an expression, found %s", d.describe())
		return filter{}
	}
	x, err := cesql.Parse(d.text)
	if err != nil {
		r.problem("%v", err)
		return filter{}
	}
	f := filter{kind: filterSQL, sql: x}
	low := r.lower(x.Needs())
	f.lowered = &low
	return f
}

// lower turns what an expression needs to be true into predicates.
func (r *filterReader) lower(n cesql.Need) filter {
	switch n.Kind {
	case cesql.NeedAll, cesql.NeedAny:
		f := filter{kind: filterAll}
		if n.Kind == cesql.NeedAny {
			f.kind = filterAny
		}
		for _, x := range n.Of {
			f.of = append(f.of, r.lower(x))
		}
		return f
	case cesql.NeedAttribute:
		o := map[cesql.Test]op{cesql.IsEqual: opString, cesql.HasPrefix: opPrefix, cesql.HasSuffix: opSuffix, cesql.IsPresent: opExists}[n.Test]
		return filter{kind: filterPredicates, preds: []predicate{{path: r.attribute(n.Attribute), alts: []alternative{{op: o, text: n.Text}}}}}
	}
	return filter{kind: filterOpen}
}

// holds says whether the event passes the filter. An expression that gives an
// error is false, and not over it is true only if no error arose: an event is
// never delivered because of an error.
func (f *filter) holds(v *view) bool {
	ok, failed := f.eval(v)
	return ok && !failed
}

// eval returns the verdict and whether an error arose in an expression.
func (f *filter) eval(v *view) (ok, failed bool) {
	switch f.kind {
	case filterPredicates:
		for i := range f.preds {
			if !v.any(&f.preds[i]) {
				return false, false
			}
		}
		return true, false
	case filterAll, filterAny:
		all := f.kind == filterAll
		for i := range f.of {
			ok, bad := f.of[i].eval(v)
			if bad {
				failed = true
				continue
			}
			if ok != all {
				return ok, false
			}
		}
		return all, failed
	case filterNot:
		ok, failed = f.of[0].eval(v)
		return !ok && !failed, failed
	case filterSQL:
		val, err := f.sql.Eval(eventAttributes{v})
		t, isBool := val.Bool()
		return isBool && t && err == nil, err != nil
	}
	return true, false
}

// cover is the best cover of a filter.
func (f *filter) cover(c *census) cover {
	switch f.kind {
	case filterPredicates:
		return c.clause(f.preds)
	case filterAll:
		var best cover
		for i := range f.of {
			best = cheaper(best, f.of[i].cover(c))
		}
		return best
	case filterAny:
		all := cover{ok: true}
		for i := range f.of {
			all = both(all, f.of[i].cover(c))
		}
		return all
	case filterSQL:
		return f.lowered.cover(c)
	}
	return cover{}
}

// each gives fn the covers of everything the filter requires.
func (f *filter) each(c *census, fn func(cover)) {
	switch f.kind {
	case filterPredicates:
		for i := range f.preds {
			fn(c.predicate(&f.preds[i]))
		}
	case filterAll:
		for i := range f.of {
			f.of[i].each(c, fn)
		}
	case filterAny:
		fn(f.cover(c))
	case filterSQL:
		f.lowered.each(c, fn)
	}
}

// eventAttributes shows an event's attributes to an expression.
type eventAttributes struct{ v *view }

// Attribute returns an attribute's value: a string, a bool or an int32.
func (a eventAttributes) Attribute(name string) (any, bool) {
	e := a.v.event
	if x, ok := e.Extensions[name]; ok && !slices.Contains(coreAttributes, name) {
		return x, true
	}
	s, ok := a.v.attribute(name)
	if !ok {
		return nil, false
	}
	return textOf(s), true
}

var coreAttributes = []string{"id", "source", "type", "subject", "specversion", "time", "datacontenttype", "dataschema"}
