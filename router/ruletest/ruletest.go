// Package ruletest reads the rule tests of a pack, tests/rules/*.yaml, and
// decides them without a server.
package ruletest

import (
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/rules"
)

// Case is one test: events, and how often rules must fire for them.
type Case struct {
	Name   string
	Line   int
	Events []hayate.Event // AcceptedAt is the case's time and the event's offset
	Keys   map[string]string
	// Expect says how often a rule must fire over all events, 0 for never. Rules
	// that are not named may fire.
	Expect map[hayate.Ref]int
}

type reader struct {
	file  string
	found []yamldoc.Diagnostic
}

func (r *reader) errorf(n *yamldoc.Node, code, format string, args ...any) {
	r.found = append(r.found, yamldoc.Diagnostic{File: r.file, Line: n.Line(), Column: n.Column(), Severity: yamldoc.Error, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) keys(n *yamldoc.Node, known ...string) {
	if n.Kind() != yamldoc.Mapping {
		r.errorf(n, "wrong-type", "expected a mapping, found %s", n.Kind())
		return
	}
next:
	for _, e := range n.Entries() {
		for _, k := range known {
			if e.Name() == k {
				continue next
			}
		}
		r.errorf(e.Key, "unknown-key", "unknown key %q%s", e.Name(), yamldoc.Suggest(e.Name(), known))
	}
}

// Parse reads a file of cases. Findings are positioned; cases of a file with
// errors are not to be run.
func Parse(src []byte, file string) ([]Case, []yamldoc.Diagnostic) {
	doc, ds := yamldoc.Parse(src, yamldoc.Options{File: file})
	r := &reader{file: file, found: ds}
	if yamldoc.HasErrors(ds) {
		return nil, ds
	}
	if doc.Kind() != yamldoc.Sequence {
		r.errorf(doc, "wrong-type", "expected a list of cases, found %s", doc.Kind())
	}
	var out []Case
	for _, n := range doc.Items() {
		out = append(out, r.readCase(n))
	}
	return out, r.found
}

func (r *reader) readCase(n *yamldoc.Node) Case {
	r.keys(n, "name", "at", "events", "keys", "expect", "expect_not")
	c := Case{Name: n.Get("name").Text(), Line: n.Line(), Keys: map[string]string{}, Expect: map[hayate.Ref]int{}}
	if c.Name == "" {
		r.errorf(n, "missing-key", "a case needs a name")
	}
	at := time.Unix(0, 0).UTC()
	if t := n.Get("at"); !t.IsNull() {
		var err error
		if at, err = time.Parse(time.RFC3339, t.Text()); err != nil {
			r.errorf(t, "bad-value", "at is no RFC 3339 time: %q", t.Text())
		}
	}
	for _, e := range n.Get("keys").Entries() {
		c.Keys[e.Name()] = e.Value.Text()
	}
	if len(n.Get("events").Items()) == 0 {
		r.errorf(n, "missing-key", "a case needs a list of events")
	}
	for i, e := range n.Get("events").Items() {
		c.Events = append(c.Events, r.event(e, i, at))
	}
	for _, e := range n.Get("expect").Items() {
		r.keys(e, "rule", "count")
		count := int64(1)
		if v := e.Get("count"); !v.IsNull() {
			var ok bool
			if count, ok = v.Int(); !ok || count < 1 {
				r.errorf(v, "bad-value", "count must be a whole number from 1")
			}
		}
		c.Expect[hayate.Ref(e.Get("rule").Text())] = int(count)
	}
	for _, e := range n.Get("expect_not").Items() {
		c.Expect[hayate.Ref(e.Text())] = 0
	}
	if len(c.Expect) == 0 {
		r.errorf(n, "missing-key", "a case needs expect or expect_not")
	}
	return c
}

func (r *reader) event(n *yamldoc.Node, i int, at time.Time) hayate.Event {
	r.keys(n, "id", "source", "type", "subject", "after", "data")
	e := hayate.Event{ID: n.Get("id").Text(), Source: n.Get("source").Text(), Type: n.Get("type").Text(), Subject: n.Get("subject").Text(), AcceptedAt: at}
	if e.ID == "" {
		e.ID = fmt.Sprint(i + 1)
	}
	if e.Source == "" {
		e.Source = "/test"
	}
	if e.Type == "" {
		r.errorf(n, "missing-key", "an event needs a type")
	}
	if a := n.Get("after"); !a.IsNull() {
		d, err := time.ParseDuration(a.Text())
		if err != nil {
			r.errorf(a, "bad-value", "after is no duration: %q", a.Text())
		}
		e.AcceptedAt = at.Add(d)
	}
	e.Data = n.Get("data").JSON()
	return e
}

// Run decides a case and returns what is wrong, one message for each rule;
// none when the case passes.
func Run(rs []hayate.Rule, c *Case) ([]string, error) {
	set, err := rules.Compile(rs)
	if err != nil {
		return nil, err
	}
	fired := map[hayate.Ref]int{}
	var wrong []string
	for i := range c.Events {
		for _, m := range set.Match(rules.NewScratch(), &c.Events[i], c.Keys) {
			switch {
			case len(m.Need) > 0:
				wrong = append(wrong, fmt.Sprintf("%v needs the keys %v", m.Rule.Ref(), m.Need))
			case m.Err != nil:
				wrong = append(wrong, fmt.Sprintf("%v: %v", m.Rule.Ref(), m.Err))
			default:
				fired[m.Rule.Ref()]++
			}
		}
	}
	for ref, want := range c.Expect {
		if !slices.ContainsFunc(rs, func(r hayate.Rule) bool { return r.Ref() == ref }) {
			// A misspelt name in expect_not would pass for ever.
			wrong = append(wrong, fmt.Sprintf("there is no rule %q%s", ref, yamldoc.Suggest(string(ref), names(rs))))
			continue
		}
		if fired[ref] == want {
			continue
		}
		msg := fmt.Sprintf("%v fired %d times, expected %d; fired: %v", ref, fired[ref], want, fired)
		if fired[ref] < want {
			msg += miss(set, ref, c)
		}
		wrong = append(wrong, msg)
	}
	slices.Sort(wrong)
	return wrong, nil
}

func found(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	return string(raw)
}

func names(rs []hayate.Rule) []string {
	out := make([]string, len(rs))
	for i := range rs {
		out[i] = string(rs[i].Ref())
	}
	return out
}

// miss names the conditions that kept a rule from firing.
func miss(set *rules.Set, ref hayate.Ref, c *Case) (out string) {
	for i := range c.Events {
		x, _ := set.Explain(ref, &c.Events[i], c.Keys)
		for _, k := range x.Conditions {
			if k.Verdict != rules.Holds {
				out += fmt.Sprintf("; event %s: %s %s %s, found %s", c.Events[i].ID, k.Place, k.Operator, k.Operand, found(k.Found))
			}
		}
	}
	return out
}
