package rules_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// maker makes rules and events out of few words, so that they often meet.
type maker struct{ *rand.Rand }

func pickOf[T any](m maker, of ...T) T { return of[m.IntN(len(of))] }

func (m maker) name() string            { return pickOf(m, "a", "b", "c", "d") }
func (m maker) typ() string             { return pickOf(m, "t.a", "t.b", "com.x.y") }
func (m maker) chance(percent int) bool { return m.IntN(100) < percent }

func (m maker) word() string {
	return pickOf(m, "x", "X", "xy", "alpha", "Alpha", "alphabet", "beta-alpha", "10.0.0.1", "10.0.1.7", "2001:db8::1", "", "5", "true", "web-01.prod", "web-02.prod", "WEB-01.prod")
}

func (m maker) number() string {
	return pickOf(m, "0", "1", "2", "5", "5.0", "5.5", "-3", "1e1", "100")
}

func (m maker) scalar() string {
	switch m.IntN(10) {
	case 0:
		return pickOf(m, "true", "false")
	case 1:
		return "null"
	case 2, 3, 4:
		return m.number()
	}
	return quoted(m.word())
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// value makes a JSON value for an event.
func (m maker) value(depth int) string {
	switch k := m.IntN(10); {
	case depth > 0 && k < 3:
		return m.object(depth - 1)
	case depth > 0 && k < 5:
		var items []string
		for range m.IntN(4) {
			if m.chance(60) {
				items = append(items, m.object(depth-1))
			} else {
				items = append(items, m.value(depth-1))
			}
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return m.scalar()
}

func (m maker) object(depth int) string {
	var members []string
	for _, n := range []string{"a", "b", "c", "d"} {
		if m.chance(55) {
			members = append(members, quoted(n)+":"+m.value(depth))
		}
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func (m maker) event(i int) *hayate.Event {
	e := &hayate.Event{ID: fmt.Sprint(i), Source: "/s/" + m.word(), Type: m.typ(), Subject: m.word(), AcceptedAt: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
	if m.chance(50) {
		e.SetExtension("ext", m.word())
	}
	if m.chance(50) {
		e.Extensions = map[string]any{"num": int32(m.IntN(6)), "flag": m.chance(50), "ext": m.word()}
	}
	if m.chance(20) {
		e.SetExtension(hayate.ExtTriggerParameters, `{"url":"`+m.name()+`"}`)
	}
	switch {
	case m.chance(90):
		e.Data = []byte(m.object(4))
	case m.chance(50):
		e.Data = []byte(m.value(2))
	}
	return e
}

// allowed makes one value of a pattern.
func (m maker) allowed() string {
	w := quoted(m.word())
	if w == `""` {
		w = `"x"`
	}
	switch m.IntN(14) {
	case 0, 1, 2, 3:
		return m.scalar()
	case 4:
		return `{"prefix":` + w + `}`
	case 5:
		return `{"suffix":` + w + `}`
	case 6:
		return `{"` + pickOf(m, "prefix", "suffix") + `":{"equals-ignore-case":` + w + `}}`
	case 7:
		return `{"equals-ignore-case":` + w + `}`
	case 8:
		return `{"wildcard":"` + pickOf(m, "*", "x*", "*pha*", "*alph*et", "web-*.prod", "web-0*prod", "alpha") + `"}`
	case 9:
		return `{"numeric":` + pickOf(m, `["=",5]`, `[">",1]`, `["<",5]`, `[">=",0,"<",5]`, `["<=",-3]`) + `}`
	case 10:
		return `{"cidr":"` + pickOf(m, "10.0.0.0/24", "10.0.0.0/8", "2001:db8::/32") + `"}`
	case 11:
		return `{"anything-but":` + pickOf(m, w, "5", `["x","alpha"]`, `[5,1]`, `{"prefix":"alp"}`, `{"wildcard":"*pha"}`, `{"equals-ignore-case":["ALPHA"]}`) + `}`
	case 12:
		return `{"exists":false}`
	}
	return `{"exists":true}`
}

func (m maker) pattern(depth int, inOr bool) string {
	var members []string
	for _, n := range []string{"a", "b", "c", "d"} {
		if !m.chance(40) && !(n == "d" && len(members) == 0) {
			continue
		}
		if depth > 0 && m.chance(45) {
			members = append(members, quoted(n)+":"+m.pattern(depth-1, inOr))
			continue
		}
		var vals []string
		for range 1 + m.IntN(2) {
			vals = append(vals, m.allowed())
		}
		members = append(members, quoted(n)+":["+strings.Join(vals, ",")+"]")
	}
	if depth > 0 && m.chance(12) {
		members = append(members, `"`+pickOf(m, "$or", "$or", "$and")+`":[`+m.pattern(depth-1, true)+","+m.pattern(depth-1, true)+"]")
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (m maker) filter(depth int) string {
	w := m.word()
	if w == "" {
		w = "x"
	}
	attr := pickOf(m, "type", "source", "subject", "ext", "num", "flag", "id")
	switch k := m.IntN(9); {
	case depth > 0 && k == 0:
		return `{"not":` + m.filter(depth-1) + `}`
	case depth > 0 && k <= 2:
		return `{"` + pickOf(m, "all", "any") + `":[` + m.filter(depth-1) + "," + m.filter(depth-1) + `]}`
	case k <= 4:
		return `{"sql":` + quoted(m.sql(2)) + `}`
	}
	if attr == "type" {
		w = m.typ()
	}
	return `{"` + pickOf(m, "exact", "prefix", "suffix") + `":{"` + attr + `":` + quoted(w) + `}}`
}

func (m maker) sql(depth int) string {
	attr := pickOf(m, "type", "source", "subject", "ext", "num", "flag")
	if depth > 0 && m.chance(45) {
		return "(" + m.sql(depth-1) + ") " + pickOf(m, "AND", "OR", "XOR") + " (" + m.sql(depth-1) + ")"
	}
	w := "'" + m.word() + "'"
	return pickOf(m, attr+" = "+w, attr+" != "+w, attr+" IN ("+w+", 't.a')", attr+" LIKE 'alpha%'", attr+" LIKE '%.prod'", attr+" NOT LIKE 't.%'",
		"EXISTS "+attr, "NOT EXISTS "+attr, attr+" < 3", w+" = "+attr, "flag", "num = '05'", "num IN ('05', '3')", "flag = 'TRUE'", "flag IN ('TRUE')")
}

func (m maker) criteria() string {
	var list []string
	for i := range m.IntN(4) {
		key := "trigger." + m.name()
		if m.chance(30) {
			key += "." + m.name()
		}
		var op, pat string
		switch m.IntN(12) {
		case 0, 1, 2:
			op, pat = pickOf(m, "equals", "eq", "nequals"), m.scalar()
		case 3:
			op, pat = pickOf(m, "contains", "ncontains", "icontains"), m.scalar()
		case 4:
			op, pat = pickOf(m, "startswith", "endswith", "istartswith", "iendswith", "iequals"), quoted(m.word())
		case 5:
			op, pat = pickOf(m, "lt", "gt"), pickOf(m, m.number(), quoted(m.word()))
		case 6:
			op, pat = pickOf(m, "exists", "nexists"), "true"
		case 7:
			op, pat = pickOf(m, "in", "nin"), "["+m.scalar()+","+m.scalar()+"]"
		case 8:
			op, pat = "in", quoted(m.word())
		case 9:
			op, pat = "matchwildcard", `"`+pickOf(m, "*", "web-0?.*", "[xX]*", "alp*")+`"`
		case 10:
			op, pat = pickOf(m, "regex", "iregex", "matchregex"), `"`+pickOf(m, "^alp", "0[12]", "pha$", "(", "web-0[12][.]prod", "(alph)+a", "(?i)ALPHA", "^beta-(al|x)")+`"`
		default:
			op, pat = "equals", pickOf(m, "[]", "{}", `["x"]`, "null", `{"a":1}`)
		}
		list = append(list, fmt.Sprintf(`"%s#%d":{"type":"%s","pattern":%s}`, key, i, op, pat))
	}
	return "{" + strings.Join(list, ",") + "}"
}

func (m maker) rule(i int) hayate.Rule {
	r := hayate.Rule{Pack: pickOf(m, "p", "p-q", "q"), Name: fmt.Sprintf("r%05d", i), Enabled: true}
	if m.chance(50) {
		r.Pattern = json.RawMessage(m.pattern(3, false))
	}
	if m.chance(40) {
		r.Filters = json.RawMessage("[" + m.filter(2) + "]")
	}
	if m.chance(50) {
		r.Criteria = json.RawMessage(m.criteria())
	}
	if m.chance(50) || r.Pattern == nil && r.Filters == nil {
		r.Trigger.Type = m.typ()
		if m.chance(10) {
			r.Trigger.Parameters = json.RawMessage(`{"url":"` + m.name() + `"}`)
		}
	}
	if m.chance(5) {
		r.Kind = hayate.KindBackstop
	}
	return r
}

// expected is what the naive evaluator makes of a set of rules.
func expected(rs []hayate.Rule, e *hayate.Event) []string {
	var out []string
	taken := map[string]bool{} // triggers that a standard rule matched
	add := func(backstop bool) {
		for i := range rs {
			r := &rs[i]
			if (r.Kind == hayate.KindBackstop) != backstop || backstop && taken[r.Trigger.Type] {
				continue
			}
			if v := verdictOf(r, e); v != "" {
				out = append(out, string(r.Ref())+" "+v)
				taken[r.Trigger.Type] = taken[r.Trigger.Type] || !backstop && v == "match"
			}
		}
	}
	add(false)
	add(true)
	slices.Sort(out)
	return out
}

func described(ms []rules.Match) []string {
	var out []string
	for _, m := range ms {
		v := "match"
		if m.Err != nil {
			v = "error"
		}
		out = append(out, string(m.Rule.Ref())+" "+v)
	}
	return out
}

// TestMatchAgreesWithANaiveEvaluator holds sets of generated rules, made at
// once, rule by rule, and rebuilt, against generated events.
func TestMatchAgreesWithANaiveEvaluator(t *testing.T) {
	t.Parallel()
	const sets, perSet, events = 100, 210, 5
	seed := uint64(1)
	pairs, hits, failures := 0, 0, 0
	for n := range sets {
		m := maker{rand.New(rand.NewPCG(seed, uint64(n)))}
		var rs []hayate.Rule
		for i := range perSet {
			rs = append(rs, m.rule(i))
		}
		whole, err := rules.Compile(rs)
		if err != nil {
			t.Fatal(err)
		}
		grown := grow(t, m, rs)
		sc := rules.NewScratch()
		for i := range events {
			e := m.event(i)
			want := expected(rs, e)
			for _, s := range []struct {
				name string
				set  *rules.Set
			}{{"compiled", whole}, {"grown", grown}, {"rebuilt", grown.Rebuild()}} {
				if s.name == "rebuilt" && i > 0 {
					continue
				}
				got := described(s.set.Match(sc, e, nil))
				if !slices.IsSorted(got) {
					t.Errorf("set %d: matches are not in the order of references: %v", n, got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("set %d, %s, event %s %s: %s", n, s.name, e.Data, asJSON(t, e), difference(rs, got, want))
					if failures++; failures > 5 {
						t.FailNow()
					}
				}
			}
			pairs += len(rs)
			hits += len(want)
		}
	}
	t.Logf("%d rules, %d rules × events, %d matches and failures", sets*perSet, pairs, hits)
	if hits < pairs/100 {
		t.Errorf("only %d of %d pairs match: the generator proves little", hits, pairs)
	}
}

// grow makes a Set of the rules step by step, with detours.
func grow(t *testing.T, m maker, rs []hayate.Rule) *rules.Set {
	t.Helper()
	s, err := rules.Compile(rs[:len(rs)/2])
	if err != nil {
		t.Fatal(err)
	}
	with := func(add []hayate.Rule, remove ...hayate.Ref) {
		if s, err = s.With(add, remove); err != nil {
			t.Fatal(err)
		}
	}
	for i := len(rs) / 2; i < len(rs); {
		k := min(i+1+m.IntN(10), len(rs))
		with(rs[i:k])
		if m.chance(30) {
			gone := m.IntN(k)
			with(nil, rs[gone].Ref())
			with(rs[gone : gone+1])
		}
		i = k
	}
	if s.Len() != len(rs) {
		t.Fatalf("%d rules are in the set, want %d", s.Len(), len(rs))
	}
	return s
}

// difference shows the rules on which two answers differ.
func difference(rs []hayate.Rule, got, want []string) string {
	var b strings.Builder
	show := func(what string, a, other []string) {
		for _, s := range a {
			if slices.Contains(other, s) {
				continue
			}
			ref, _, _ := strings.Cut(s, " ")
			k := slices.IndexFunc(rs, func(r hayate.Rule) bool { return string(r.Ref()) == ref })
			r := rs[k]
			fmt.Fprintf(&b, "\n  %s %s (%s): trigger %s %s pattern %s filters %s criteria %s", what, s, r.Kind, r.Trigger.Type, r.Trigger.Parameters, r.Pattern, r.Filters, r.Criteria)
		}
	}
	show("got", got, want)
	show("want", want, got)
	return b.String()
}

func TestTheSieveAgreesWithTheSearch(t *testing.T) {
	t.Parallel()
	m := maker{rand.New(rand.NewPCG(2, 2))}
	n, hits := 0, 0
	for range 3_000 {
		p := m.pattern(3, false)
		for range 10 {
			data := m.object(4)
			chosen, sieved := rules.Consistent([]byte(p), []byte(data))
			if chosen != sieved {
				t.Fatalf("pattern %s, data %s: search %t, sieve %t", p, data, chosen, sieved)
			}
			n++
			if chosen {
				hits++
			}
		}
	}
	t.Logf("%d pairs, %d match", n, hits)
}
