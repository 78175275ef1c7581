package ruletest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules"
)

// Mutant is a small change of a rule that the cases ought to notice.
type Mutant struct {
	Rule   hayate.Ref `json:"rule"`
	File   string     `json:"file"`
	Line   int        `json:"line"`
	Column int        `json:"column"`
	// Kind is enabled, trigger, type, dropped, operator, constant, past or parameter.
	Kind   string `json:"kind"`
	Change string `json:"change"` // "trigger.severity: gt 4 → lt 4"
	Killed bool   `json:"killed"`
	// By is the first case that notices; Advice says what would kill a survivor.
	By     string `json:"by,omitempty"`
	Advice string `json:"advice,omitempty"`

	rule hayate.Rule
}

// String is one line that names the change and its place.
func (m *Mutant) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Change)
}

// maxMutants bounds the mutants of one rule.
const maxMutants = 500

// Mutants makes the mutants of every rule and holds all cases against each of
// them. The cases must pass on the rules as they are. They come in the order of
// the rules and of the places in them.
func (s *Suite) Mutants(ctx context.Context, cases []Case) ([]Mutant, error) {
	var out []Mutant
	for i := range s.Content.Rules {
		ms := s.of(&s.Content.Rules[i])
		likely := likeliest(cases, s.Content.Rules[i].Ref())
		for k := range ms {
			if err := s.try(ctx, i, &ms[k], likely); err != nil {
				return nil, err
			}
		}
		out = append(out, ms...)
	}
	return out, nil
}

// likeliest are the cases with those first that name a rule: they kill its mutants
// soonest.
func likeliest(cases []Case, ref hayate.Ref) []Case {
	names := func(c *Case) bool {
		return slices.ContainsFunc(c.Expect, func(x Expectation) bool { return x.Rule == ref }) ||
			slices.ContainsFunc(c.Never, func(n Never) bool { return n.Rule == ref })
	}
	out := slices.Clone(cases)
	slices.SortStableFunc(out, func(a, b Case) int {
		switch x, y := names(&a), names(&b); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	return out
}

// try lets the cases look at one mutant of rule i.
func (s *Suite) try(ctx context.Context, i int, m *Mutant, cases []Case) error {
	rs := slices.Clone(s.Content.Rules)
	rs[i] = m.rule
	h, err := s.rehearse(rs)
	if err != nil {
		return fmt.Errorf("mutant %s: %w", m, err)
	}
	for k := range cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		res, err := run(ctx, &cases[k], rs, h)
		if err != nil {
			return fmt.Errorf("mutant %s: %w", m, err)
		}
		if !res.Passed {
			m.Killed, m.By, m.Advice = true, cases[k].Name, ""
			return nil
		}
	}
	return nil
}

// mutator makes the mutants of one rule.
type mutator struct {
	rule *hayate.Rule
	doc  *yamldoc.Node
	file string
	out  []Mutant
	seen map[string]bool
}

// of makes the mutants of a rule. What no longer compiles, or says the same, is
// none.
func (s *Suite) of(r *hayate.Rule) []Mutant {
	m := &mutator{rule: r, doc: s.Documents[r.Source], file: r.Source, seen: map[string]bool{}}
	if s.Path != nil {
		m.file = s.Path(r.Source)
	}
	m.flipEnabled()
	m.trigger()
	m.criteria()
	m.pattern()
	m.filters()
	m.past()
	m.parameters()
	slices.SortStableFunc(m.out, func(a, b Mutant) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return m.out
}

// add keeps a mutant. way leads to its place in the document.
func (m *mutator) add(kind string, way []string, changed hayate.Rule, advice, format string, args ...any) {
	if len(m.out) >= maxMutants {
		return
	}
	if kind != "enabled" {
		probe := changed
		probe.Enabled = true
		if _, err := rules.Compile([]hayate.Rule{probe}); err != nil {
			return
		}
		if kind == "past" {
			if _, err := router.Rehearse(router.RehearsalConfig{Content: router.Content{Rules: []hayate.Rule{probe}}}); err != nil {
				return
			}
		}
	}
	change := fmt.Sprintf(format, args...)
	if m.seen[change] {
		return
	}
	m.seen[change] = true
	at := place(m.doc, way)
	m.out = append(m.out, Mutant{Rule: m.rule.Ref(), File: m.file, Line: at.Line(), Column: at.Column(), Kind: kind, Change: change, Advice: advice, rule: changed})
}

// place finds the key or item that a way leads to, or the nearest one above.
func place(n *yamldoc.Node, way []string) *yamldoc.Node {
	at := n
	for _, step := range way {
		k, v := n.Lookup(step)
		if v == nil {
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Items()) {
				k, v = n.Items()[i], n.Items()[i]
			}
		}
		if v == nil {
			return at
		}
		n, at = v, k
	}
	return at
}

func (m *mutator) flipEnabled() {
	r := *m.rule
	r.Enabled = !r.Enabled
	advice := "add a case in which " + string(m.rule.Ref()) + " fires, with expect"
	if r.Enabled {
		advice = "add a case with an event that the rule would match, with expect_not"
	}
	m.add("enabled", []string{"enabled"}, r, advice, "enabled: %v → %v", m.rule.Enabled, r.Enabled)
}

func (m *mutator) trigger() {
	if t := m.rule.Trigger.Type; t != "" {
		r := *m.rule
		r.Trigger.Type += ".other"
		m.add("trigger", []string{"trigger", "type"}, r, "add a case in which "+string(m.rule.Ref())+" fires, with expect", "trigger: %s → another", t)
	}
	if len(m.rule.Trigger.Parameters) > 0 {
		r := *m.rule
		r.Trigger.Parameters = nil
		m.add("trigger", []string{"trigger", "parameters"}, r,
			"add a case with an event of this trigger that carries other parameters (extensions: {"+hayate.ExtTriggerParameters+": …}), with expect_not", "trigger parameters dropped")
	}
	if m.rule.Kind == hayate.KindBackstop {
		r := *m.rule
		r.Kind = hayate.KindStandard
		m.add("type", []string{"type"}, r, "add a case in which another rule matches the same event, with this rule in expect_not", "type: backstop → standard")
	}
}

// object decodes a JSON object; nil where it is none.
func object(raw json.RawMessage) *value.Map {
	v, err := value.Decode(raw)
	if err != nil {
		return nil
	}
	o, _ := v.(*value.Map)
	return o
}

func encode(v any) json.RawMessage {
	b, err := value.Encode(v)
	if err != nil {
		return json.RawMessage("null") // values that were decoded can be encoded
	}
	return b
}

// with is a map with another value at a key; the map stays as it is.
func with(m *value.Map, key, v any) *value.Map {
	c := m.Clone()
	c.Set(key, v)
	return c
}

func without(m *value.Map, key any) *value.Map {
	c := m.Clone()
	c.Delete(key)
	return c
}

// short is a value in a message.
func short(v any) string {
	s := string(encode(v))
	if t, ok := v.(string); ok && !strings.ContainsAny(t, "\n\t") {
		s = strconv.Quote(t)
	}
	if r := []rune(s); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}

// parameters makes mutants of what the actions are given: firings that cases
// only count do not notice them.
func (m *mutator) parameters() {
	single := m.doc.Get("action") != nil
	for i := range m.rule.Actions {
		o := object(m.rule.Actions[i].Parameters)
		for k, v := range o.All() {
			way := []string{"actions", strconv.Itoa(i), "parameters", value.Str(k)}
			switch {
			case single && i == 0:
				way = []string{"action", "parameters", value.Str(k)}
			case single:
				way[1] = strconv.Itoa(i - 1)
			}
			other, ok := constant(v)
			if !ok {
				continue
			}
			r := *m.rule
			r.Actions = slices.Clone(r.Actions)
			r.Actions[i].Parameters = encode(with(o, k, other))
			m.add("parameter", way, r, fmt.Sprintf("state the parameter in a case: expect: [{rule: %s, parameters: {%s: …}}]", m.rule.Ref(), value.Str(k)),
				"parameter %s of %s: %s → another value", value.Str(k), m.rule.Actions[i].Ref, short(v))
		}
	}
}

// constant is another value of the same type.
func constant(v any) (any, bool) {
	switch x := v.(type) {
	case bool:
		return !x, true
	case string:
		return x + "~", true
	case value.List:
		if len(x) == 0 {
			return nil, false
		}
		return value.List{}, true
	case *value.Map:
		if x.Len() == 0 {
			return nil, false
		}
		return new(value.Map), true
	case nil:
		return nil, false
	}
	if n, err := value.Arith("+", v, int64(1)); err == nil {
		return n, true
	}
	return nil, false
}
