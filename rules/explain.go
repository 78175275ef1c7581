package rules

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/rules/cesql"
)

// Explanation says what a rule makes of an event, condition by condition.
type Explanation struct {
	Rule hayate.Ref `json:"rule"`
	// Matched says that every condition holds. Enabled says whether the rule is in
	// force at all; its conditions are evaluated in any case.
	Matched bool `json:"matched"`
	Enabled bool `json:"enabled"`
	// SameTrigger says that the event is of the rule's trigger, or that the rule
	// waits for none in particular.
	SameTrigger bool `json:"same_trigger"`
	// NearTrigger says that it is of another trigger, and that this may be the
	// mistake: the names are alike, or all conditions hold.
	NearTrigger bool        `json:"near_trigger,omitempty"`
	Conditions  []Condition `json:"conditions"`
	// Failed counts the conditions that do not hold.
	Failed int `json:"failed"`
	// Error says why the rule could not be evaluated, as its firing would.
	Error string `json:"error,omitempty"`
	// Hint is the most probable cause: that the rule is not enabled, or of the
	// conditions' hints the surest.
	Hint *Hint `json:"hint,omitempty"`
	// Past is what the rule's past makes of it, where the rule has one.
	Past *Past `json:"past,omitempty"`
}

// Past is a verdict on an event by what its rule remembers.
type Past struct {
	// Recorded says that the decision was made so; otherwise it is what the rule
	// would decide now.
	Recorded bool                `json:"recorded"`
	Status   hayate.FiringStatus `json:"status"`
	Reason   string              `json:"reason,omitempty"`
}

// Verdict is what a condition came to.
type Verdict string

// The verdicts.
const (
	Holds    Verdict = "holds"
	Fails    Verdict = "fails"
	Errs     Verdict = "error"
	Awaiting Verdict = "needs" // datastore values that were not given
)

// Condition is one condition of a rule, held against the event.
type Condition struct {
	// Dialect is rule, trigger, criteria, pattern or filters.
	Dialect string `json:"dialect"`
	// Place is where the condition looks: a key, a path, an attribute.
	Place    string          `json:"place"`
	Operator string          `json:"operator"`
	Operand  json.RawMessage `json:"operand,omitempty"`
	// Found is the value at the place; null is a value, absent is none.
	Found   json.RawMessage `json:"found,omitempty"`
	Verdict Verdict         `json:"verdict"`
	Error   string          `json:"error,omitempty"`
	Hint    *Hint           `json:"hint,omitempty"`
}

// ExplainAll holds an event against every rule, enabled or not, with the
// datastore values given. Rules that match come first, those that are enabled
// before the others, then those of the event's trigger, then those whose trigger
// may be mistaken, then the others, each group with the nearest misses first. need names
// datastore keys without which some condition could not be decided; call again
// with them.
func ExplainAll(rs []hayate.Rule, e *hayate.Event, values map[string]string) (out []Explanation, need []string) {
	out = make([]Explanation, 0, len(rs))
	for i := range rs {
		x, keys := explain(&rs[i], e, values)
		out = append(out, x)
		for _, k := range keys {
			if !slices.Contains(need, k) {
				need = append(need, k)
			}
		}
	}
	backstops(rs, out)
	slices.SortStableFunc(out, func(a, b Explanation) int {
		return cmp.Or(-compareBool(a.Matched, b.Matched), -compareBool(a.Matched && a.Enabled, b.Matched && b.Enabled),
			-compareBool(a.SameTrigger, b.SameTrigger), -compareBool(a.NearTrigger, b.NearTrigger),
			cmp.Compare(a.Failed, b.Failed), cmp.Compare(hintRank(a.Hint), hintRank(b.Hint)), strings.Compare(string(a.Rule), string(b.Rule)))
	})
	return out, need
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// backstops takes the match from backstop rules whose trigger has a standard
// rule that matched.
func backstops(rs []hayate.Rule, xs []Explanation) {
	for i := range rs {
		if rs[i].Kind != hayate.KindBackstop || !xs[i].Matched {
			continue
		}
		for k := range rs {
			if rs[k].Kind == hayate.KindBackstop || !xs[k].Matched || !rs[k].Enabled || rs[k].Mode == hayate.ModeShadow || rs[k].Trigger.Type != rs[i].Trigger.Type {
				continue
			}
			xs[i].add(Condition{Dialect: "rule", Place: "type", Operator: "backstop", Operand: text(string(xs[k].Rule)), Verdict: Fails,
				Hint: &Hint{Cause: "backstop", Text: fmt.Sprintf("a backstop rule acts only where no standard rule of its trigger matches, and %s does", xs[k].Rule)}})
			xs[i].finish()
			break
		}
	}
}

// Explain says what the set's rule with this reference makes of the event. A
// reference that the set does not have gives an Explanation whose Error says so.
func (s *Set) Explain(ref hayate.Ref, e *hayate.Event, values map[string]string) (Explanation, []string) {
	r, err := s.Rule(ref)
	if err != nil {
		return Explanation{Rule: ref, Error: err.Error()}, nil
	}
	out, need := ExplainAll([]hayate.Rule{*r}, e, values)
	return out[0], need
}

// explainer explains one rule.
type explainer struct {
	x    Explanation
	rule *hayate.Rule
	v    view
	ev   evaluation
	c    compiled
	need []string
	err  error // the first, as matching meets it
}

func explain(r *hayate.Rule, e *hayate.Event, values map[string]string) (Explanation, []string) {
	p := &explainer{x: Explanation{Rule: r.Ref(), Enabled: r.Enabled, SameTrigger: true}, rule: r}
	g := &grower{w: newPaths(), keep: true}
	c, bad := compileRule(g, r)
	if len(bad) > 0 {
		p.x.Error = errors.Join(bad...).Error()
		p.x.add(Condition{Dialect: "rule", Place: "rule", Operator: "compiles", Verdict: Errs, Error: p.x.Error,
			Hint: &Hint{Cause: CauseBroken, Text: p.x.Error}})
		p.x.finish()
		return p.x, nil
	}
	p.c = c
	p.v.read(g.w, e)
	p.ev.begin(&p.v, values)
	p.trigger()
	if c.filters != nil {
		p.filters(c.filters)
	}
	if c.clauses != nil {
		p.pattern()
	}
	if c.criteria != nil {
		p.criteria()
	}
	if p.err != nil {
		p.x.Error = p.err.Error()
	}
	p.x.finish()
	return p.x, p.need
}

func (x *Explanation) add(c Condition) { x.Conditions = append(x.Conditions, c) }

// finish draws the conclusions from the conditions.
func (x *Explanation) finish() {
	x.Failed, x.Hint = 0, nil
	for i := range x.Conditions {
		c := &x.Conditions[i]
		if c.Verdict == Holds {
			continue
		}
		x.Failed++
		if c.Hint != nil && (x.Hint == nil || hintRank(c.Hint) < hintRank(x.Hint)) {
			x.Hint = c.Hint
		}
	}
	x.Matched = x.Failed == 0
	if !x.Enabled && (x.Hint == nil || x.Hint.Cause != CauseBroken) {
		x.Hint = &Hint{Cause: CauseDisabled, Text: "the rule is not enabled", Fix: "enabled: true"}
	}
	x.NearTrigger = false
	if x.SameTrigger || x.Failed != 1 {
		return
	}
	for i := range x.Conditions {
		if c := &x.Conditions[i]; c.Dialect == "trigger" && c.Verdict != Holds {
			x.NearTrigger = c.Hint != nil && c.Hint.Cause != CauseTrigger || c.Place == "type" && len(x.Conditions) > 1
		}
	}
}

func text(s string) json.RawMessage { return value.AppendString(nil, s, false) }

func encode(v any) json.RawMessage {
	b, err := value.Encode(v)
	if err != nil {
		return text(value.Str(v))
	}
	return b
}

func verdict(ok bool) Verdict {
	if ok {
		return Holds
	}
	return Fails
}

func (p *explainer) trigger() {
	want, got := p.rule.Trigger.Type, p.v.event.Type
	if want == "" {
		return
	}
	c := Condition{Dialect: "trigger", Place: "type", Operator: "equals", Operand: text(want), Found: text(got), Verdict: verdict(want == got)}
	if want != got {
		p.x.SameTrigger = false
		c.Hint = hintText(want, got, "trigger type")
		if c.Hint == nil {
			c.Hint = &Hint{Cause: CauseTrigger, Text: fmt.Sprintf("the rule waits for %s, the event is a %s", want, got)}
		}
	}
	p.x.add(c)
	if p.c.params == nil {
		return
	}
	ok := p.v.any(p.c.params)
	c = Condition{Dialect: "trigger", Place: "parameters", Operator: "equals", Operand: json.RawMessage(p.c.params.alts[0].text), Verdict: verdict(ok)}
	if s := p.v.event.Extension(hayate.ExtTriggerParameters); s != "" {
		c.Found = text(s)
		if json.Valid([]byte(s)) {
			c.Found = json.RawMessage(s)
		}
	}
	if !ok {
		p.x.SameTrigger = false
		c.Hint = parametersHint(c.Operand, c.Found)
	}
	p.x.add(c)
}

// parametersHint compares the parameters that a rule's trigger wants with those
// that an event carries.
func parametersHint(want, got json.RawMessage) *Hint {
	if got == nil {
		return &Hint{Cause: CauseTrigger, Text: "the event does not carry the parameters of a trigger (attribute " + hayate.ExtTriggerParameters + ")"}
	}
	w, err1 := value.Decode(want)
	g, err2 := value.Decode(got)
	wm, ok1 := w.(*value.Map)
	gm, ok2 := g.(*value.Map)
	if err1 == nil && err2 == nil && ok1 && ok2 {
		for k, v := range wm.All() {
			other, _ := gm.Get(k)
			if h := hintValues(v, other); h != nil && !value.Equal(v, other) {
				return &Hint{Cause: h.Cause, Text: "parameter " + value.Str(k) + ": " + h.Text, Fix: value.Str(k) + ": " + string(encode(other))}
			}
		}
	}
	return &Hint{Cause: CauseTrigger, Text: "the event comes from a trigger with other parameters"}
}

func (p *explainer) criteria() {
	if len(p.c.criteria.list) > 0 && p.ev.empty() {
		p.x.add(Condition{Dialect: "criteria", Place: "trigger", Operator: "has data", Verdict: Fails,
			Hint: &Hint{Cause: CauseMissing, Text: "the event has no data: then criteria never hold, not even nexists"}})
		return
	}
	decided := p.x.holdSoFar()
	for i := range p.c.criteria.list {
		c := &p.c.criteria.list[i]
		out := Condition{Dialect: "criteria", Place: c.key, Operator: c.name}
		if c.pattern.doc.kind != kindNone {
			out.Operand = encode(c.pattern.doc.value())
		}
		found, err := c.found(&p.ev)
		if err == nil && found != nil {
			out.Found = encode(found)
		}
		p.ev.inner = p.ev.inner[:0]
		ok, err := c.holds(&p.ev)
		var need needError
		switch {
		case errors.As(err, &need):
			out.Verdict = Awaiting
			p.need = append(p.need, need.keys...)
		case err != nil:
			out.Verdict, out.Error = Errs, err.Error()
		default:
			out.Verdict = verdict(ok)
		}
		if out.Verdict != Holds {
			if decided && err != nil && p.err == nil && out.Verdict == Errs {
				p.err = c.failed(err)
			}
			decided = false
			out.Hint = p.criterionHint(c, found, err)
		}
		p.x.add(out)
	}
}

// holdSoFar says whether every condition up to here holds.
func (x *Explanation) holdSoFar() bool {
	for i := range x.Conditions {
		if x.Conditions[i].Verdict != Holds {
			return false
		}
	}
	return true
}

// pattern explains the clause that comes nearest: the others are branches of
// $or that hold even less.
func (p *explainer) pattern() {
	if !p.v.object {
		p.x.add(Condition{Dialect: "pattern", Place: "data", Operator: "is an object", Verdict: Fails,
			Hint: &Hint{Cause: CauseMissing, Text: "the event's data is not a JSON object, and a pattern names members of one"}})
		return
	}
	best, most := 0, -1
	for i, ps := range p.c.clauses {
		n := 0
		for k := range ps {
			if p.v.any(&ps[k]) {
				n += 2
			} else if p.v.first(ps[k].path) >= 0 {
				n++
			}
		}
		if p.v.satisfies(ps) {
			n = 1 << 30
		}
		if n > most {
			best, most = i, n
		}
	}
	ps := p.c.clauses[best]
	all := true
	for k := range ps {
		ok := p.v.any(&ps[k])
		all = all && ok
		c := p.predicate("pattern", strings.Join(p.v.w.names(ps[k].path), "."), &ps[k], ok)
		if len(p.c.clauses) > 1 {
			c.Place += " (branch " + strconv.Itoa(best+1) + " of " + strconv.Itoa(len(p.c.clauses)) + ")"
		}
		p.x.add(c)
	}
	if all && !p.v.satisfies(ps) {
		p.x.add(Condition{Dialect: "pattern", Place: "arrays", Operator: "same element", Verdict: Fails,
			Hint: &Hint{Cause: CauseElements, Text: "each value is there, but not in one element of the array: fields below one array must hold for the same element"}})
	}
}

// predicate explains a predicate on one place.
func (p *explainer) predicate(dialect, place string, pr *predicate, ok bool) Condition {
	c := Condition{Dialect: dialect, Place: place, Operator: "one of", Verdict: verdict(ok)}
	b := []byte{'['}
	for i := range pr.alts {
		if i > 0 {
			b = append(b, ',')
		}
		b = pr.alts[i].appendJSON(b)
	}
	c.Operand = append(b, ']')
	found := p.values(pr.path)
	switch len(found) {
	case 0:
	case 1:
		c.Found = encode(found[0])
	default:
		c.Found = encode(value.List(found))
	}
	if !ok {
		c.Hint = p.predicateHint(dialect, pr, found)
	}
	return c
}

// values are the scalars at a place, in the order of the event.
func (p *explainer) values(at pathID) []any {
	var found []any
	for i := p.v.first(at); i >= 0; i = p.v.fields[i].next {
		f := &p.v.fields[i]
		switch {
		case f.kind == kindString:
			found = append(found, string(f.val))
		case f.kind < kindArray:
			if x, err := value.Decode(f.val); err == nil {
				found = append(found, x)
			}
		}
	}
	slices.Reverse(found)
	return found
}

// filterHint is the surest hint of what fails in a filter.
func (p *explainer) filterHint(f *filter) *Hint {
	var best *Hint
	try := func(h *Hint) {
		if h != nil && (best == nil || hintRank(h) < hintRank(best)) {
			best = h
		}
	}
	switch f.kind {
	case filterPredicates:
		for i := range f.preds {
			if pr := &f.preds[i]; !p.v.any(pr) {
				try(p.predicateHint("filters", pr, p.values(pr.path)))
			}
		}
	case filterAll, filterAny:
		for i := range f.of {
			if ok, failed := f.of[i].eval(&p.v); !ok || failed {
				try(p.filterHint(&f.of[i]))
			}
		}
	case filterNot:
		if ok, failed := f.of[0].eval(&p.v); ok && !failed {
			try(&Hint{Cause: CauseValue, Text: "what must not hold does"})
		} else {
			try(p.filterHint(&f.of[0]))
		}
	case filterSQL:
		return p.filterHint(f.lowered)
	}
	return best
}

// attributesOf are the values of the attributes that a filter looks at; nil for an
// expression, which shows its own.
func (p *explainer) attributesOf(f *filter, into *value.Map) {
	for i := range f.preds {
		if at := f.preds[i].path; at != noPath {
			if vals := p.values(at); len(vals) > 0 {
				into.Set(p.v.w.attrs[at.index()], vals[0])
			}
		}
	}
	for i := range f.of {
		p.attributesOf(&f.of[i], into)
	}
}

func (p *explainer) filters(f *filter) {
	for i := range f.of {
		x := &f.of[i]
		ok, failed := x.eval(&p.v)
		if x.kind == filterPredicates {
			for k := range x.preds {
				pr := &x.preds[k]
				name := "an attribute that no event has"
				if pr.path != noPath {
					name = p.v.w.attrs[pr.path.index()]
				}
				p.x.add(p.predicate("filters", name, pr, p.v.any(pr)))
			}
			continue
		}
		c := Condition{Dialect: "filters", Place: strconv.Itoa(i), Operator: x.doc.keys[0], Verdict: verdict(ok && !failed), Operand: encode(x.doc.vals[0].value())}
		if x.kind == filterSQL {
			val, err := x.sql.Eval(eventAttributes{&p.v})
			c.Found = text(val.String())
			if err != nil {
				c.Error, c.Found = err.Error(), nil
				c.Hint = &Hint{Cause: CauseError, Text: err.Error() + "; an expression with an error lets no event pass"}
				if h := p.filterHint(x); h != nil && err.Kind == cesql.ErrMissingAttribute {
					c.Hint = h
				}
			} else if _, isBool := val.Bool(); !isBool {
				c.Hint = &Hint{Cause: CauseType, Text: "the expression gives " + val.String() + ", not a boolean"}
			}
		}
		if c.Verdict != Holds && c.Hint == nil {
			c.Hint = p.filterHint(x)
		}
		if x.kind != filterSQL {
			seen := new(value.Map)
			if p.attributesOf(x, seen); seen.Len() > 0 {
				c.Found = encode(seen)
			}
		}
		p.x.add(c)
	}
}
