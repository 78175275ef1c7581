// Package ruletest reads the rule tests of a pack, tests/rules/*.yaml, decides
// them as a router would, without a server and on the case's own time, and finds
// out by mutants of the rules what the tests would not notice.
package ruletest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/router/normalize"
)

// Case is one test: events at their times, and how rules must fire for them.
type Case struct {
	Name   string
	File   string // as findings name it
	Line   int
	At     time.Time      // from when on the rules are in force
	Until  time.Time      // until when time goes by after the last event; zero: not at all
	Events []hayate.Event // AcceptedAt is the case's time and the event's offset
	Keys   map[string]string
	Ends   []Ends // how executions end; others succeed at once
	Expect []Expectation
	// Never are rules that must not fire; Only says that no rule may that Expect
	// does not name. Other rules may fire.
	Never []Never
	Only  bool
}

// Expectation is a firing, or several alike, that must come of a case.
type Expectation struct {
	Line   int // of the rule's name
	Column int
	Rule   hayate.Ref
	Count  int
	// Event is the id of the event it must be for, Status what must have become of
	// it; "" for any event, and for a firing that acts or is a shadow.
	Event  string
	Status hayate.FiringStatus
	// Actions are the parameters that each action must get: others may be there.
	Actions []Parameters
}

// Parameters are some of the parameters of a rule's action; null stands for one
// that is absent, too.
type Parameters struct {
	Action hayate.Ref // "" for any
	Values map[string]json.RawMessage
	names  []string // in the order of the document
}

// Never is a rule that must not fire.
type Never struct {
	Line, Column int
	Rule         hayate.Ref
}

type reader struct {
	pack  fs.FS
	file  string
	found []yamldoc.Diagnostic
}

func (r *reader) errorf(n *yamldoc.Node, code, format string, args ...any) {
	r.found = append(r.found, yamldoc.Diagnostic{File: r.file, Line: n.Line(), Column: n.Column(), Severity: yamldoc.Error, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) keys(n *yamldoc.Node, what string, known ...string) bool {
	if n.Kind() != yamldoc.Mapping {
		r.errorf(n, "wrong-type", "%s is a mapping, found %s", what, n.Kind())
		return false
	}
next:
	for _, e := range n.Entries() {
		for _, k := range known {
			if e.Name() == k {
				continue next
			}
		}
		r.errorf(e.Key, "unknown-key", "unknown key %q in %s%s", e.Name(), what, yamldoc.Suggest(e.Name(), known))
	}
	return true
}

// list returns the items at a key, which must be a list where it is there.
func (r *reader) list(n *yamldoc.Node, key string) []*yamldoc.Node {
	v := n.Get(key)
	if !v.IsNull() && v.Kind() != yamldoc.Sequence {
		r.errorf(v, "wrong-type", "%s is a list, found %s", key, v.Kind())
	}
	return v.Items()
}

// Parse reads a file of cases; pack holds the payload files that they name.
// Findings are positioned; cases of a file with errors are not to be run.
func Parse(pack fs.FS, src []byte, file string) ([]Case, []yamldoc.Diagnostic) {
	doc, ds := yamldoc.Parse(src, yamldoc.Options{File: file})
	r := &reader{pack: pack, file: file, found: ds}
	if yamldoc.HasErrors(ds) {
		return nil, ds
	}
	if doc.Kind() != yamldoc.Sequence {
		r.errorf(doc, "wrong-type", "expected a list of cases, found %s", doc.Kind())
	}
	var out []Case
	names := map[string]int{}
	for _, n := range doc.Items() {
		c, ok := r.readCase(n)
		if !ok {
			continue
		}
		if first, twice := names[c.Name]; twice {
			r.errorf(n.Get("name"), "duplicate-name", "the case in line %d has this name already", first)
		}
		names[c.Name] = c.Line
		out = append(out, c)
	}
	yamldoc.Sort(r.found)
	return out, r.found
}

func (r *reader) readCase(n *yamldoc.Node) (Case, bool) {
	if !r.keys(n, "a case", "name", "description", "at", "until", "events", "keys", "executions", "expect", "expect_not") {
		return Case{}, false
	}
	c := Case{Name: n.Get("name").Text(), File: r.file, Line: n.Line(), Keys: map[string]string{}}
	if c.Name == "" {
		r.errorf(n, "missing-key", "a case needs a name")
	}
	at := time.Unix(0, 0).UTC()
	if t := n.Get("at"); !t.IsNull() {
		var err error
		if at, err = time.Parse(time.RFC3339, t.Text()); err != nil {
			r.errorf(t, "bad-value", "at is no RFC 3339 time: %q; write it in quotes, like \"2026-01-05T09:00:00Z\"", t.Text())
		}
		at = at.UTC()
	}
	c.At, c.Until = at, at
	if u := n.Get("until"); !u.IsNull() {
		d, err := time.ParseDuration(u.Text())
		if err != nil || d < 0 {
			r.errorf(u, "bad-value", "until is no duration: %q; write it like 90s, 5m or 1h30m", u.Text())
		}
		c.Until = at.Add(d)
	}
	for _, e := range n.Get("keys").Entries() {
		name := e.Name()
		if scope, _, ok := strings.Cut(name, "."); !ok || scope != "system" && scope != "user" {
			r.errorf(e.Key, "bad-value", "the key %q has no scope: write system.%s or user.%s", name, name, name)
		}
		c.Keys[name] = e.Value.Text()
	}
	events := r.list(n, "events")
	if len(events) == 0 {
		r.errorf(n, "missing-key", "a case needs a list of events")
	}
	for i, e := range events {
		c.Events = append(c.Events, r.events(e, i, at)...)
	}
	for _, e := range r.list(n, "executions") {
		if x, ok := r.ends(e); ok {
			c.Ends = append(c.Ends, x)
		}
	}
	for _, e := range r.list(n, "expect") {
		if x, ok := r.expectation(e); ok {
			c.Expect = append(c.Expect, x)
		}
	}
	for _, e := range r.list(n, "expect_not") {
		if e.Text() == "*" {
			c.Only = true
			continue
		}
		c.Never = append(c.Never, Never{e.Line(), e.Column(), hayate.Ref(e.Text())})
	}
	if len(c.Expect)+len(c.Never) == 0 && !c.Only {
		r.errorf(n, "missing-key", "a case needs expect or expect_not; \"*\" in expect_not stands for all rules that expect does not name")
	}
	return c, true
}

// maxCount bounds how many firings one entry of expect stands for.
const maxCount = 1000

var statuses = []string{string(hayate.FiringSucceeded), string(hayate.FiringShadow), string(hayate.FiringFailed), string(hayate.FiringLoop),
	string(hayate.FiringNoted), string(hayate.FiringSuppressed)}

func (r *reader) expectation(n *yamldoc.Node) (Expectation, bool) {
	if !r.keys(n, "an expected firing", "rule", "count", "event", "status", "parameters", "actions") {
		return Expectation{}, false
	}
	x := Expectation{Line: n.Get("rule").Line(), Column: n.Get("rule").Column(), Rule: hayate.Ref(n.Get("rule").Text()), Count: 1, Event: n.Get("event").Text(), Status: hayate.FiringStatus(n.Get("status").Text())}
	if x.Rule == "" {
		r.errorf(n, "missing-key", "an expected firing names its rule")
	}
	if v := n.Get("count"); !v.IsNull() {
		count, ok := v.Int()
		if !ok || count < 1 || count > maxCount {
			r.errorf(v, "bad-value", "count must be a whole number from 1 to 1000; a rule that must not fire stands in expect_not")
		}
		x.Count = int(count)
	}
	if x.Status != "" && !slices.Contains(statuses, string(x.Status)) {
		r.errorf(n.Get("status"), "bad-value", "unknown status %q%s", x.Status, yamldoc.Suggest(string(x.Status), statuses))
	}
	ps, as := n.Get("parameters"), n.Get("actions")
	switch {
	case !ps.IsNull() && !as.IsNull():
		r.errorf(as, "bad-value", "parameters are those of the first action: state either them or actions")
	case !ps.IsNull():
		x.Actions = []Parameters{r.parameters(ps, "")}
	}
	for _, a := range r.list(n, "actions") {
		if r.keys(a, "an expected action", "ref", "parameters") {
			x.Actions = append(x.Actions, r.parameters(a.Get("parameters"), hayate.Ref(a.Get("ref").Text())))
		}
	}
	return x, true
}

func (r *reader) parameters(n *yamldoc.Node, ref hayate.Ref) Parameters {
	p := Parameters{Action: ref, Values: map[string]json.RawMessage{}}
	if !n.IsNull() && n.Kind() != yamldoc.Mapping {
		r.errorf(n, "wrong-type", "parameters are a mapping, found %s", n.Kind())
	}
	for _, e := range n.Entries() {
		p.Values[e.Name()] = e.Value.JSON()
		p.names = append(p.names, e.Name())
	}
	return p
}

var eventKeys = []string{"id", "source", "type", "subject", "after", "data", "payload_file", "as", "headers", "content_type", "extensions"}

// events reads an entry of a case's events: a CloudEvent, or what a source sent.
func (r *reader) events(n *yamldoc.Node, i int, at time.Time) []hayate.Event {
	if !r.keys(n, "an event", eventKeys...) {
		return nil
	}
	if a := n.Get("after"); !a.IsNull() {
		d, err := time.ParseDuration(a.Text())
		if err != nil {
			r.errorf(a, "bad-value", "after is no duration: %q; write it like 90s, 5m or 1h30m", a.Text())
		}
		at = at.Add(d)
	}
	var payload []byte
	file := n.Get("payload_file")
	if !file.IsNull() {
		if !n.Get("data").IsNull() {
			r.errorf(file, "bad-value", "an event has either data or a payload_file")
		}
		name := path.Clean(file.Text())
		var err error
		if payload, err = fs.ReadFile(r.pack, name); err != nil {
			r.errorf(file, "no-file", "the payload cannot be read: %v; the name counts from the pack's folder", err)
			return nil
		}
	}
	if n.Get("type").Text() == "" {
		if file.IsNull() {
			r.errorf(n, "missing-key", "an event needs a type, or a payload_file with what a source sent")
			return nil
		}
		return r.sent(n, i, at, payload)
	}
	for _, key := range []string{"as", "headers"} {
		if v := n.Get(key); !v.IsNull() {
			r.errorf(v, "bad-value", "%s is for what a source sent; with a type the payload_file holds the event's data", key)
		}
	}
	e := hayate.Event{ID: n.Get("id").Text(), Source: n.Get("source").Text(), Type: n.Get("type").Text(), Subject: n.Get("subject").Text(),
		DataContentType: n.Get("content_type").Text(), AcceptedAt: at, Data: payload}
	if v := n.Get("data"); !v.IsNull() {
		e.Data = v.JSON()
		if s, ok := v.Str(); ok && e.DataContentType != "" && !e.IsJSON() {
			e.Data = []byte(s)
		}
	}
	for _, x := range n.Get("extensions").Entries() {
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		e.Extensions[x.Name()] = x.Value.Text()
	}
	if e.ID == "" {
		e.ID = fmt.Sprint(i + 1)
	}
	if e.Source == "" {
		e.Source = "/test"
	}
	if err := e.Validate(); err != nil {
		r.errorf(n, "bad-value", "%v", err)
	}
	return []hayate.Event{e}
}

// sent makes events of what a source sent, as the server does.
func (r *reader) sent(n *yamldoc.Node, i int, at time.Time, payload []byte) []hayate.Event {
	headers := map[string]string{}
	for _, h := range n.Get("headers").Entries() {
		headers[strings.ToLower(h.Name())] = h.Value.Text()
	}
	header := func(name string) string { return headers[strings.ToLower(name)] }
	contentType := n.Get("content_type").Text()
	if contentType == "" && header("Content-Type") == "" {
		contentType = "application/json"
	}
	made := 0
	es, err := normalize.Events(&normalize.Request{Hint: n.Get("as").Text(), Header: header, ContentType: contentType, Body: payload, Now: at,
		NewID: func() string { made++; return fmt.Sprintf("%d.%d", i+1, made) }})
	if err != nil {
		r.errorf(n.Get("payload_file"), "bad-value", "the payload is none that can be taken in: %v", err)
	}
	if err == nil && len(es) == 0 {
		r.errorf(n.Get("payload_file"), "bad-value", "the payload holds no event")
	}
	for k := range es {
		es[k].AcceptedAt = at
		if id := n.Get("id").Text(); id != "" && len(es) == 1 {
			es[k].ID = id
		}
	}
	return es
}

// Unknown finds the rules that cases name and that are not there.
func Unknown(cases []Case, known []hayate.Ref) (found []yamldoc.Diagnostic) {
	names := make([]string, len(known))
	for i, ref := range known {
		names[i] = string(ref)
	}
	check := func(c *Case, line, column int, ref hayate.Ref) {
		if !slices.Contains(known, ref) {
			found = append(found, yamldoc.Diagnostic{File: c.File, Line: line, Column: column, Severity: yamldoc.Error, Code: "unknown-rule",
				Message: fmt.Sprintf("there is no rule %q%s", ref, yamldoc.Suggest(string(ref), names))})
		}
	}
	for i := range cases {
		c := &cases[i]
		for _, x := range c.Ends {
			if x.Rule != "" {
				check(c, x.Line, x.Column, x.Rule)
			}
		}
		for _, x := range c.Expect {
			check(c, x.Line, x.Column, x.Rule)
		}
		for _, n := range c.Never {
			check(c, n.Line, n.Column, n.Rule)
		}
	}
	return found
}
