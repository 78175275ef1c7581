package lint

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/rules"
)

// rule checks what a rule refers to.
func (l *linter) rule(r *hayate.Rule) {
	doc := l.p.Documents[r.Source]
	t := hayate.Ref(r.Trigger.Type)
	// A CloudEvent's type may begin with the name of a pack and be no trigger of it,
	// as aws.cloudwatch.alarm: such packs have none.
	declares := slices.ContainsFunc(l.kinds, func(k string) bool { return hayate.Ref(k).Pack() == t.Pack() })
	if l.packs[t.Pack()] && l.triggers[t] == nil && (declares || t.Pack() == r.Pack) {
		l.warn(r.Source, []string{"trigger", "type"}, "unknown-trigger", "there is no trigger type %q%s", t, yamldoc.Suggest(string(t), l.kinds))
	}
	if tt := l.triggers[t]; tt != nil {
		l.payload(r, tt)
	}
	single := !doc.Get("action").IsNull()
	for i := range r.Actions {
		way := []string{"actions", strconv.Itoa(i)}
		switch {
		case single && i == 0:
			way = []string{"action"}
		case single:
			way[1] = strconv.Itoa(i - 1)
		}
		given := follow(doc, append(slices.Clip(way), "parameters"))
		names, all := slices.Clone(contextRoots), false
		if k := follow(doc, way).Kind(); r.Actions[i].Ref == "" && k != yamldoc.Mapping {
			continue // reading the file found that it is no mapping
		}
		if a := l.action(r.Source, append(slices.Clip(way), "ref"), r.Actions[i].Ref); a != nil {
			l.parameters(r.Source, way, a, given)
			_, takes := l.takes(a)
			names, all = append(names, takes...), l.runners[a.Runner] != nil
		}
		for _, e := range given.Entries() {
			names = append(names, e.Name())
		}
		l.templates(r.Source, append(slices.Clip(way), "parameters"), given)
		l.roots(r.Source, append(slices.Clip(way), "parameters"), given, names, all)
	}
	l.past(r.Source, doc)
}

// follow is the node that a way leads to, nil where it leads nowhere.
func follow(n *yamldoc.Node, way []string) *yamldoc.Node {
	for _, step := range way {
		next := n.Get(step)
		if i, err := strconv.Atoi(step); next == nil && err == nil && i >= 0 && i < len(n.Items()) {
			next = n.Items()[i]
		}
		n = next
	}
	return n
}

// payload looks for criteria on fields that the trigger's payload has under
// nearly the same name. Schemas are seldom complete, so that a field which is
// like none of them is left alone.
func (l *linter) payload(r *hayate.Rule, t *hayate.TriggerType) {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(t.PayloadSchema, &s) != nil || len(s.Properties) == 0 {
		return
	}
	var known []string
	for name := range s.Properties {
		known = append(known, name)
	}
	slices.Sort(known)
	for _, e := range l.p.Documents[r.Source].Get("criteria").Entries() {
		key, _, _ := strings.Cut(e.Name(), "#")
		name, ok := strings.CutPrefix(key, "trigger.")
		if !ok {
			continue
		}
		name, rest, deep := strings.Cut(name, ".")
		near := yamldoc.Nearest(name, known)
		if slices.Contains(known, name) || near == "" {
			continue
		}
		right := "trigger." + near
		if deep {
			right += "." + rest
		}
		l.warn(r.Source, []string{"criteria", e.Name()}, "unknown-field", "the payload of %s has no %q, did you mean %q?", t.Ref(), name, right)
	}
}

// conditions lets the matcher look at the conditions of all rules together, so
// that rules which say the same find each other.
func (l *linter) conditions(given []Pack) {
	type home struct {
		p    *Pack
		rule *hayate.Rule
	}
	var all []hayate.Rule
	homes := map[hayate.Ref]home{}
	for i := range given {
		p := &given[i]
		if p.Pack == nil {
			continue
		}
		for _, list := range [][]hayate.Rule{p.Pack.Refused.Rules, p.Rules} {
			for k := range list {
				if list[k].Name != "" { // reading the file found that it has none
					homes[list[k].Ref()] = home{p, &list[k]}
				}
			}
		}
	}
	for _, h := range homes {
		all = append(all, *h.rule)
	}
	slices.SortFunc(all, func(a, b hayate.Rule) int { return strings.Compare(string(a.Ref()), string(b.Ref())) })
	for _, f := range rules.Lint(all) {
		h := homes[f.Rule]
		l.p = h.p
		if d := ruleFinding(h.p, h.rule, &f); !l.said(h.rule.Source, f.Field, d.Severity) {
			l.found = append(l.found, d)
		}
	}
}

// ruleFinding gives what the matcher says of a rule its place in the file.
func ruleFinding(p *Pack, r *hayate.Rule, f *rules.Finding) packs.Diagnostic {
	text := f.Text
	if len(f.Field) > 1 && f.Field[0] == "pattern" {
		text = strings.Join(f.Field[1:], ".") + ": " + text
	}
	if f.Fix != "" {
		text += "; write: " + f.Fix
	}
	s := packs.Warning
	if f.Severity == rules.SeverityError {
		s = packs.Error
	}
	n := place(p.Documents[r.Source], f.Field)
	return packs.Diagnostic{File: p.path(r.Source), Line: n.Line(), Column: n.Column(), Severity: s, Code: "rule-" + f.Code, Message: text}
}

// Compile returns the pack's rules that the matcher takes, enabled or not, and
// says what is wrong with the others.
func Compile(p *Pack) (good []hayate.Rule, found []packs.Diagnostic) {
	for i := range p.Rules {
		r := p.Rules[i]
		r.Enabled = true
		if _, err := rules.Compile([]hayate.Rule{r}); err == nil {
			good = append(good, p.Rules[i])
			continue
		}
		for _, f := range rules.Lint([]hayate.Rule{r}) {
			if f.Severity == rules.SeverityError {
				found = append(found, ruleFinding(p, &r, &f))
			}
		}
	}
	return good, found
}

// said tells whether reading the file found an error at the same place already: at
// the value that way leads to, or at its key.
func (l *linter) said(file string, way []string, s yamldoc.Severity) bool {
	doc, name := l.p.Documents[file], l.p.path(file)
	at := []*yamldoc.Node{place(doc, way), follow(doc, way)}
	if n := len(way); n > 0 {
		key, _ := follow(doc, way[:n-1]).Lookup(way[n-1])
		at = append(at, key)
	}
	return slices.ContainsFunc(l.p.Found, func(d packs.Diagnostic) bool {
		return d.File == name && d.Severity <= s &&
			slices.ContainsFunc(at, func(n *yamldoc.Node) bool { return n != nil && d.Line == n.Line() && d.Column == n.Column() })
	})
}
