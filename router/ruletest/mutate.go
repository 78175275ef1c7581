package ruletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// put is the rule with another value at some place of a condition.
type put func(v any) hayate.Rule

// others are the operators that one is changed into: its opposite, and the one
// that is a little wider or narrower.
var others = map[string][]string{
	"equals": {"nequals"}, "eq": {"neq"}, "nequals": {"equals"}, "neq": {"eq"}, "iequals": {"nequals", "equals"}, "ieq": {"neq", "eq"},
	"contains": {"ncontains"}, "icontains": {"incontains", "contains"}, "ncontains": {"contains"}, "incontains": {"icontains"},
	"startswith": {"contains", "endswith"}, "istartswith": {"icontains", "startswith"}, "endswith": {"contains", "startswith"}, "iendswith": {"icontains", "endswith"},
	"lessthan": {"greaterthan"}, "lt": {"gt"}, "greaterthan": {"lessthan"}, "gt": {"lt"},
	"timediff_lt": {"timediff_gt"}, "td_lt": {"td_gt"}, "timediff_gt": {"timediff_lt"}, "td_gt": {"td_lt"},
	"exists": {"nexists"}, "nexists": {"exists"}, "inside": {"ninside"}, "in": {"nin"}, "ninside": {"inside"}, "nin": {"in"},
	"matchregex": {"regex"}, "iregex": {"regex"}, "matchwildcard": {"equals"},
}

var conditions = map[string]string{"any": "all", "all": "any", "any2any": "all2any", "all2any": "any2any"}

func (m *mutator) criteria() {
	o := object(m.rule.Criteria)
	if o == nil {
		return
	}
	m.criteriaOf(o, []string{"criteria"}, func(v any) hayate.Rule {
		r := *m.rule
		r.Criteria = encode(v)
		return r
	})
}

func (m *mutator) criteriaOf(o *value.Map, way []string, set put) {
	for k, v := range o.All() {
		key := value.Str(k)
		c, ok := v.(*value.Map)
		if !ok {
			continue
		}
		at := append(slices.Clip(way), key)
		m.add("dropped", at, set(without(o, k)), "add a case with an event that fails only this condition, with expect_not", "%s dropped", key)
		set := func(v any) hayate.Rule { return set(with(o, k, v)) }
		op, _ := c.Str("type")
		name, _ := op.(string)
		pattern, _ := c.Str("pattern")
		for _, other := range others[name] {
			if name == "matchregex" && (strings.HasPrefix(value.Str(pattern), "^") || strings.HasPrefix(value.Str(pattern), ".*")) {
				continue // the two are the same then
			}
			m.add("operator", append(slices.Clip(at), "type"), set(with(c, "type", other)), advice(name, key), "%s: %s → %s", key, name, other)
		}
		if name == "search" {
			if cond, _ := c.Str("condition"); conditions[value.Str(cond)] != "" {
				other := conditions[value.Str(cond)]
				m.add("operator", append(slices.Clip(at), "condition"), set(with(c, "condition", other)),
					"add a case in which only some items hold", "%s: condition %s → %s", key, value.Str(cond), other)
			}
			if children, ok := pattern.(*value.Map); ok {
				m.criteriaOf(children, append(slices.Clip(at), "pattern"), func(v any) hayate.Rule { return set(with(c, "pattern", v)) })
			}
			continue
		}
		if name == "exists" || name == "nexists" {
			continue // their pattern means nothing
		}
		m.constants(key, append(slices.Clip(at), "pattern"), pattern, func(v any) hayate.Rule { return set(with(c, "pattern", v)) })
	}
}

// advice says what would tell an operator from another.
func advice(op, key string) string {
	switch op {
	case "iequals", "ieq", "icontains", "istartswith", "iendswith", "iregex":
		return "add a case in which " + key + " differs in upper and lower case, with expect"
	case "startswith", "endswith":
		return "add a case in which " + key + " has the text at another place, with expect_not"
	case "matchregex":
		return "add a case in which the expression fits later in " + key + ", with expect_not"
	case "matchwildcard":
		return "add a case in which a * of the pattern stands for something, with expect"
	}
	return "add a case in which the condition on " + key + " holds, with expect, and one in which it does not, with expect_not"
}

// constants changes a value that an event is compared with.
func (m *mutator) constants(what string, way []string, v any, set put) {
	if l, ok := v.(value.List); ok {
		for i := range l {
			if len(l) > 1 {
				m.add("constant", append(slices.Clip(way), strconv.Itoa(i)), set(slices.Delete(slices.Clone(l), i, i+1)),
					fmt.Sprintf("add a case in which %s is %s", what, short(l[i])), "%s: %s removed from the list", what, short(l[i]))
			}
		}
		return
	}
	if _, isBool := v.(bool); value.IsNumber(v) && !isBool {
		for _, step := range []int64{1, -1} {
			other, err := value.Arith("+", v, step)
			if err != nil {
				continue
			}
			m.add("constant", way, set(other), fmt.Sprintf("add cases at the boundary: %s is %s, and one less and one more", what, short(v)),
				"%s: %s → %s", what, short(v), short(other))
		}
		return
	}
	if other, ok := constant(v); ok {
		m.add("constant", way, set(other), fmt.Sprintf("add a case in which the condition on %s holds, with expect", what), "%s: %s → %s", what, short(v), short(other))
	}
}

func (m *mutator) pattern() {
	o := object(m.rule.Pattern)
	if o == nil {
		return
	}
	m.patternOf(o, nil, func(v any) hayate.Rule {
		r := *m.rule
		r.Pattern = nil
		if p, ok := v.(*value.Map); !ok || p.Len() > 0 {
			r.Pattern = encode(v)
		}
		return r
	})
}

func (m *mutator) patternOf(o *value.Map, way []string, set put) {
	for k, v := range o.All() {
		key := value.Str(k)
		at := append(slices.Clip(way), key)
		name, place := strings.Join(at, "."), append([]string{"pattern"}, at...)
		m.add("dropped", place, set(without(o, k)), "add a case with an event that fails only this condition, with expect_not", "%s dropped", name)
		set := func(v any) hayate.Rule { return set(with(o, k, v)) }
		switch x := v.(type) {
		case *value.Map:
			m.patternOf(x, at, set)
		case value.List:
			for i := range x {
				item := func(v any) hayate.Rule {
					l := slices.Clone(x)
					l[i] = v
					return set(l)
				}
				if branch, ok := x[i].(*value.Map); ok && strings.HasPrefix(key, "$") {
					m.patternOf(branch, append(slices.Clip(at), strconv.Itoa(i)), item)
					continue
				}
				if len(x) > 1 && !strings.HasPrefix(key, "$") {
					m.add("constant", append(slices.Clip(place), strconv.Itoa(i)), set(slices.Delete(slices.Clone(x), i, i+1)), fmt.Sprintf("add a case in which %s is %s, with expect", name, short(x[i])),
						"%s: %s removed from the list", name, short(x[i]))
				}
				m.alternative(name, append(slices.Clip(place), strconv.Itoa(i)), x[i], item)
			}
			if key == "$or" && len(x) > 2 {
				for i := range x {
					m.add("dropped", append(slices.Clip(place), strconv.Itoa(i)), set(slices.Delete(slices.Clone(x), i, i+1)),
						"add a case with an event for which only this branch holds, with expect", "%s: branch %d dropped", name, i+1)
				}
			}
		}
	}
}

// alternative changes one of the values that a field of a pattern may have.
func (m *mutator) alternative(name string, way []string, v any, set put) {
	o, ok := v.(*value.Map)
	if !ok {
		m.constants(name, way, v, set)
		return
	}
	for k, x := range o.All() {
		op := value.Str(k)
		inner := func(v any) hayate.Rule { return set(with(o, k, v)) }
		at := append(slices.Clip(way), op)
		switch op {
		case "anything-but":
			m.add("operator", way, set(unbut(x)), "add a case in which "+name+" is another value, with expect", "%s: anything-but %s → that", name, short(x))
			if l, ok := x.(value.List); ok && len(l) > 1 {
				m.constants(name, at, l, inner)
			}
		case "numeric":
			m.numeric(name, at, x, inner)
		case "exists":
			m.constants(name+" exists", at, x, inner)
		case "equals-ignore-case":
			m.add("operator", way, set(x), "add a case in which "+name+" differs in upper and lower case, with expect", "%s: equals-ignore-case %s → exactly", name, short(x))
			m.constants(name, at, x, inner)
		case "wildcard", "prefix", "suffix", "exactly":
			m.constants(name, at, x, inner)
		case "cidr":
			m.add("constant", at, inner("203.0.113.0/25"), "add a case in which "+name+" lies in the network, with expect", "%s: cidr %s → another", name, short(x))
		}
	}
}

// unbut turns what anything-but excludes into what is wanted.
func unbut(v any) any {
	if l, ok := v.(value.List); ok && len(l) > 0 {
		return l[0]
	}
	return v
}

var bounds = map[string]string{"<": "<=", "<=": "<", ">": ">=", ">=": ">"}

// numeric changes the bounds of a range.
func (m *mutator) numeric(name string, way []string, v any, set put) {
	l, _ := v.(value.List)
	for i := 0; i+1 < len(l); i += 2 {
		sign := value.Str(l[i])
		change := func(k int, v any) hayate.Rule {
			c := slices.Clone(l)
			c[k] = v
			return set(c)
		}
		if other := bounds[sign]; other != "" {
			m.add("operator", append(slices.Clip(way), strconv.Itoa(i)), change(i, other), fmt.Sprintf("add a case in which %s is just %s", name, short(l[i+1])),
				"%s: %s %s → %s %s", name, sign, short(l[i+1]), other, short(l[i+1]))
		}
		m.constants(name, append(slices.Clip(way), strconv.Itoa(i+1)), l[i+1], func(v any) hayate.Rule { return change(i+1, v) })
	}
}

func (m *mutator) filters() {
	v, err := value.Decode(m.rule.Filters)
	l, ok := v.(value.List)
	if err != nil || !ok {
		return
	}
	m.filtersOf(l, []string{"filters"}, "", func(v any) hayate.Rule {
		r := *m.rule
		r.Filters = encode(v)
		return r
	})
}

func (m *mutator) filtersOf(l value.List, way []string, where string, set put) {
	for i, v := range l {
		f, ok := v.(*value.Map)
		if !ok {
			continue
		}
		at := append(slices.Clip(way), strconv.Itoa(i))
		name := fmt.Sprintf("%sfilter %d", where, i+1)
		m.add("dropped", at, set(slices.Delete(slices.Clone(l), i, i+1)), "add a case with an event that fails only this filter, with expect_not", "%s dropped: %s", name, short(f))
		m.filter(f, at, name, func(v any) hayate.Rule {
			c := slices.Clone(l)
			c[i] = v
			return set(c)
		})
	}
}

func (m *mutator) filter(f *value.Map, way []string, name string, set put) {
	for k, x := range f.All() {
		kind := value.Str(k)
		at := append(slices.Clip(way), kind)
		inner := func(v any) hayate.Rule { return set(with(f, k, v)) }
		switch kind {
		case "exact", "prefix", "suffix":
			attrs, _ := x.(*value.Map)
			for a, v := range attrs.All() {
				if attrs.Len() > 1 {
					m.add("dropped", append(slices.Clip(at), value.Str(a)), inner(without(attrs, a)), "add a case with an event that fails only this condition, with expect_not",
						"%s: %s %s dropped", name, kind, value.Str(a))
				}
				m.constants(name+": "+kind+" "+value.Str(a), append(slices.Clip(at), value.Str(a)), v, func(v any) hayate.Rule { return inner(with(attrs, a, v)) })
			}
		case "all", "any":
			other := map[string]string{"all": "any", "any": "all"}[kind]
			of, _ := x.(value.List)
			if len(of) > 1 {
				m.add("operator", way, set(value.MapOf(other, x)), "add a case in which only some of the filters hold", "%s: %s → %s", name, kind, other)
			}
			m.filtersOf(of, at, name+", ", inner)
		case "not":
			m.add("operator", way, set(x), "add a case in which the filter holds, with expect", "%s: not removed", name)
			if in, ok := x.(*value.Map); ok {
				m.filter(in, at, name, inner)
			}
		case "sql", "cesql":
			m.add("operator", at, inner("NOT ("+value.Str(x)+")"), "add a case in which the expression holds, with expect", "%s: %s negated", name, short(x))
		}
	}
}
