package ruletest

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/rules/stateful"
)

// past makes mutants of what a rule says about its past: when, guard, calendar.
func (m *mutator) past() {
	for _, part := range []struct {
		name string
		of   func(*hayate.Rule) *json.RawMessage
	}{
		{"when", func(r *hayate.Rule) *json.RawMessage { return &r.When }},
		{"guard", func(r *hayate.Rule) *json.RawMessage { return &r.Guard }},
		{"calendar", func(r *hayate.Rule) *json.RawMessage { return &r.Calendar }},
	} {
		o := object(*part.of(m.rule))
		if o == nil {
			continue
		}
		put := func(v any) hayate.Rule {
			r := *m.rule
			*part.of(&r) = encode(v)
			return r
		}
		r := *m.rule
		*part.of(&r) = nil
		m.add("past", []string{part.name}, r, "add a case with a firing that it holds back or brings about", "%s dropped", part.name)
		m.pastOf(part.name, []string{part.name}, o, put)
	}
}

// pastOf changes one thing in a mapping and in those below it.
func (m *mutator) pastOf(name string, way []string, o *value.Map, set put) {
	for k, v := range o.All() {
		at, what := append(slices.Clip(way), value.Str(k)), name+"."+value.Str(k)
		if o.Len() > 1 {
			m.add("past", at, set(without(o, k)), "add a case with a firing that it holds back or brings about", "%s dropped", what)
		}
		inner := func(v any) hayate.Rule { return set(with(o, k, v)) }
		switch x := v.(type) {
		case *value.Map:
			m.pastOf(what, at, x, inner)
		case value.List:
			for i := range x {
				if len(x) > 1 {
					m.add("past", append(slices.Clip(at), strconv.Itoa(i)), inner(slices.Delete(slices.Clone(x), i, i+1)),
						"add a case that needs it", "%s: %s removed from the list", what, short(x[i]))
				}
			}
		case string:
			if d, err := time.ParseDuration(x); err == nil {
				for _, other := range []time.Duration{d * 2, d / 2} {
					m.add("past", at, inner(stateful.Span(other)), "add cases just within and just beyond "+x, "%s: %s → %s", what, x, stateful.Span(other))
				}
			}
		default:
			if _, isBool := v.(bool); isBool {
				m.add("past", at, inner(v == false), "add a case in which it makes a difference", "%s: %s → %s", what, short(v), short(v == false))
			} else if value.IsNumber(v) {
				for _, step := range []int64{1, -1} {
					if other, err := value.Arith("+", v, step); err == nil {
						m.add("past", at, inner(other), "add cases with just as many, and with one less", "%s: %s → %s", what, short(v), short(other))
					}
				}
			}
		}
	}
}
