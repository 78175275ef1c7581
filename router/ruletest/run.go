package ruletest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules"
)

// Suite is what cases are held against. Run and Mutants may be called at once.
type Suite struct {
	// Content has the rules under test, and the packs, actions and trigger types
	// that they may name. Actions of packs that are not there are taken for granted.
	Content     router.Content
	RunnerTypes []hayate.Runner
	// Documents are the files of the rules, by their Source, for the places of
	// mutants; Path makes a Source the name that findings show.
	Documents map[string]*yamldoc.Node
	Path      func(source string) string
}

// Result says how a case went.
type Result struct {
	Case     string    `json:"case"`
	File     string    `json:"file"`
	Line     int       `json:"line"`
	Passed   bool      `json:"passed"`
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is one thing that went otherwise than the case says.
type Problem struct {
	Rule hayate.Ref `json:"rule,omitempty"`
	Line int        `json:"line,omitempty"` // of the expectation
	Text string     `json:"text"`
	// Detail are lines that show it: expected parameters after "-", those that came
	// after "+", conditions that do not hold after "✗".
	Detail []string `json:"detail,omitempty"`
}

// fired is a firing with the event that it is for.
type fired struct {
	hayate.Firing
	event string // id
}

// acts says whether a firing does, or as a shadow would do, what its rule says.
func (f *fired) acts() bool {
	return f.Status == hayate.FiringSucceeded || f.Status == hayate.FiringShadow
}

// broke says whether a firing ended in an error.
func (f *fired) broke() bool {
	return f.Status == hayate.FiringFailed || f.Status == hayate.FiringLoop
}

// trial is one run of a case.
type trial struct {
	c      *Case
	h      *router.Rehearsal
	events []hayate.Event // those that were decided on
	by     map[hayate.Ref][]fired
	rules  []hayate.Rule
	out    []Problem
	ids    map[hayate.EventID]string // of the case's events
	ended  []int                     // how often each of the case's Ends was used
}

// Run decides a case. The error says that the rules cannot be used at all.
func (s *Suite) Run(ctx context.Context, c *Case) (Result, error) {
	h, err := s.rehearse(s.Content.Rules)
	if err != nil {
		return Result{}, err
	}
	return run(ctx, c, s.Content.Rules, h)
}

// rehearse makes ready to decide by some rules.
func (s *Suite) rehearse(rs []hayate.Rule) (*router.Rehearsal, error) {
	content := s.Content
	content.Rules = rs
	content.Actions = used(&content)
	return router.Rehearse(router.RehearsalConfig{Content: content, RunnerTypes: s.RunnerTypes})
}

// run decides a case by rules that are ready.
func run(ctx context.Context, c *Case, rs []hayate.Rule, h *router.Rehearsal) (Result, error) {
	t := &trial{c: c, h: h.Anew(c.Keys), by: map[hayate.Ref][]fired{}, rules: rs, ids: map[hayate.EventID]string{}, ended: make([]int, len(c.Ends))}
	if len(c.Ends) > 0 {
		t.h.EndAs(t.ending)
	}
	if err := t.decide(ctx); err != nil {
		return Result{}, err
	}
	t.expected(ctx)
	t.others()
	t.endless()
	res := Result{Case: c.Name, File: c.File, Line: c.Line, Passed: len(t.out) == 0, Problems: t.out}
	slices.SortStableFunc(res.Problems, func(a, b Problem) int { return a.Line - b.Line })
	return res, nil
}

// used are the actions that the rules name: binding thousands of others would take
// most of the time.
func used(c *router.Content) []hayate.Action {
	named := map[hayate.Ref]bool{}
	for i := range c.Rules {
		for _, a := range c.Rules[i].Actions {
			named[a.Ref] = true
		}
	}
	var out []hayate.Action
	for i := range c.Actions {
		if named[c.Actions[i].Ref()] {
			out = append(out, c.Actions[i])
		}
	}
	return out
}

// decide lets the events come, each at its time. One that came before is known,
// and nothing is decided again.
func (t *trial) decide(ctx context.Context) error {
	t.events = slices.Clone(t.c.Events)
	slices.SortStableFunc(t.events, func(a, b hayate.Event) int { return a.AcceptedAt.Compare(b.AcceptedAt) })
	known := map[string]bool{}
	t.events = slices.DeleteFunc(t.events, func(e hayate.Event) bool {
		twice := known[e.UID()]
		known[e.UID()] = true
		return twice
	})
	if err := t.advance(ctx, t.c.At); err != nil {
		return err
	}
	for i := range t.events {
		if err := t.advance(ctx, t.events[i].AcceptedAt); err != nil {
			return err
		}
		t.ids[hayate.EventIDOf(t.events[i].AcceptedAt, t.events[i].UID())] = t.events[i].ID
		fs, err := t.h.Decide(ctx, &t.events[i])
		if err != nil {
			return fmt.Errorf("event %s: %w", t.events[i].ID, err)
		}
		for _, f := range fs {
			t.by[f.Rule] = append(t.by[f.Rule], fired{f, t.events[i].ID})
		}
	}
	if err := t.advance(ctx, t.c.Until); err != nil {
		return err
	}
	for range maxEnds {
		last := t.h.LastEnd()
		if last.IsZero() {
			return nil
		}
		if err := t.advance(ctx, last); err != nil {
			return err
		}
	}
	return fmt.Errorf("executions go on for ever: each that ends starts another: %w", hayate.ErrInvalid)
}

// maxEnds bounds how often executions that end start others.
const maxEnds = 1000

// advance lets time go by: rules fire for what does not come.
func (t *trial) advance(ctx context.Context, to time.Time) error {
	ws, err := t.h.Advance(ctx, to)
	for i := range ws {
		if ws[i].Event.Type == router.TriggerAction {
			t.events = append(t.events, ws[i].Event)
		}
		for _, f := range ws[i].Firings {
			t.by[f.Rule] = append(t.by[f.Rule], fired{f, ws[i].Event.ID})
		}
	}
	return err
}

func (t *trial) problem(rule hayate.Ref, line int, detail []string, format string, args ...any) {
	t.out = append(t.out, Problem{Rule: rule, Line: line, Text: fmt.Sprintf(format, args...), Detail: detail})
}

// known returns the rule of a name, or notes that there is none: a misspelt name
// in expect_not would pass for ever.
func (t *trial) known(ref hayate.Ref, line int) *hayate.Rule {
	names := make([]string, len(t.rules))
	for i := range t.rules {
		if t.rules[i].Ref() == ref {
			return &t.rules[i]
		}
		names[i] = string(t.rules[i].Ref())
	}
	t.problem(ref, line, nil, "there is no rule %q%s", ref, yamldoc.Suggest(string(ref), names))
	return nil
}

// expected holds the firings of each rule that the case expects against what it
// expects of them.
func (t *trial) expected(ctx context.Context) {
	var refs []hayate.Ref
	by := map[hayate.Ref][]*Expectation{}
	for i := range t.c.Expect {
		x := &t.c.Expect[i]
		if by[x.Rule] == nil {
			refs = append(refs, x.Rule)
		}
		by[x.Rule] = append(by[x.Rule], x)
	}
	for _, ref := range refs {
		r := t.known(ref, by[ref][0].Line)
		if r == nil {
			continue
		}
		for _, x := range by[ref] {
			if wrong := x.otherActions(r); len(wrong) > 0 {
				t.problem(ref, x.Line, wrong, "%s starts other actions", ref)
			}
		}
		t.rule(ctx, ref, by[ref])
	}
}

// rule pairs the firings of a rule with the expectations on it.
func (t *trial) rule(ctx context.Context, ref hayate.Ref, xs []*Expectation) {
	var slots []*Expectation
	for _, x := range xs {
		for range x.Count {
			slots = append(slots, x)
		}
	}
	fs := t.by[ref]
	of := pair(slots, fs)
	var left []int // firings that nothing expects
	for i := range fs {
		if !slices.Contains(of, i) {
			left = append(left, i)
		}
	}
	missing := map[*Expectation]int{}
	for k, x := range slots {
		if of[k] < 0 {
			missing[x]++
		}
	}
	// A firing that failed is told as such, and not as one that is missing, too. One
	// that was only noted or held back is missing.
	failed, acted := 0, 0
	for i := range fs {
		switch {
		case fs[i].acts():
			acted++
		case slices.Contains(left, i) && fs[i].broke():
			failed++
		}
	}
	for _, x := range xs {
		n := missing[x]
		if x.Status == "" {
			spared := min(n, failed)
			n, failed = n-spared, failed-spared
		}
		if n == 0 {
			continue
		}
		if i := nearest(x, fs, left); i >= 0 {
			// One that is like it came: say what differs rather than that it is missing.
			f := &fs[left[i]]
			left = slices.Delete(left, i, i+1)
			t.problem(ref, x.Line, differences(x, f), "%s fired for event %s, but not as expected", ref, f.event)
			n--
		}
		if n > 0 {
			t.problem(ref, x.Line, t.misses(ctx, ref, x), "%s", missingText(x, n, acted))
		}
	}
	for _, i := range left {
		f := &fs[i]
		switch {
		case f.acts():
			t.problem(ref, xs[0].Line, t.shown(f), "%s fired for event %s, which is once more than expected", ref, f.event)
		case f.broke():
			t.problem(ref, xs[0].Line, nil, "%s: its firing for event %s failed: %s", ref, f.event, f.Reason)
		}
	}
}

func missingText(x *Expectation, n, came int) string {
	s := fmt.Sprintf("%s did not fire", x.Rule)
	if came > 0 {
		s = fmt.Sprintf("%s fired %s, %d fewer than expected", x.Rule, times(came), n)
	} else if x.Count > 1 {
		s += fmt.Sprintf(", expected %s", times(x.Count))
	}
	if x.Event != "" {
		s += " (wanted for event " + x.Event + ")"
	}
	if x.Status != "" {
		s += fmt.Sprintf(" (wanted with the status %s)", x.Status)
	}
	return s
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// others looks at the firings of rules that the case does not expect.
func (t *trial) others() {
	named := map[hayate.Ref]bool{}
	for i := range t.c.Expect {
		named[t.c.Expect[i].Rule] = true
	}
	for _, n := range t.c.Never {
		if t.known(n.Rule, n.Line) == nil {
			named[n.Rule] = true
			continue
		}
		for i := range t.by[n.Rule] {
			if f := &t.by[n.Rule][i]; f.acts() && !named[n.Rule] {
				t.problem(n.Rule, n.Line, t.shown(f), "%s fired for event %s, and must not fire", n.Rule, f.event)
			} else if f.acts() {
				t.problem(n.Rule, n.Line, nil, "%s is both in expect and in expect_not", n.Rule)
				break
			}
		}
	}
	for i := range t.rules {
		ref := t.rules[i].Ref()
		for k := range t.by[ref] {
			f := &t.by[ref][k]
			never := slices.ContainsFunc(t.c.Never, func(n Never) bool { return n.Rule == ref })
			switch {
			case named[ref]:
			case f.broke():
				t.problem(ref, t.c.Line, nil, "%s: its firing for event %s failed: %s", ref, f.event, f.Reason)
			case t.c.Only && !never && f.acts():
				t.problem(ref, t.c.Line, t.shown(f), "%s fired for event %s, and only the rules in expect may", ref, f.event)
			}
		}
	}
}

// maxMisses bounds the events for which a case says why a rule did not fire.
const maxMisses = 5

// misses names the conditions that kept a rule from firing.
func (t *trial) misses(ctx context.Context, ref hayate.Ref, x *Expectation) (out []string) {
	n := 0
	for i := range t.events {
		e := &t.events[i]
		if x.Event != "" && x.Event != e.ID {
			continue
		}
		why, err := t.h.Explain(ctx, e, ref)
		if err != nil || why.Matched && !t.heldBack(ref, e.ID) {
			continue
		}
		if n++; n > maxMisses {
			return append(out, "…")
		}
		for _, f := range t.by[ref] {
			if f.event == e.ID && !f.acts() {
				out = append(out, fmt.Sprintf("event %s: %s: %s", e.ID, f.Status, f.Reason))
			}
		}
		for _, k := range why.Conditions {
			if k.Verdict != rules.Holds {
				out = append(out, fmt.Sprintf("event %s: ✗ %s %s %s, found %s", e.ID, k.Place, k.Operator, k.Operand, orNothing(k.Found)))
			}
		}
		if h := why.Hint; h != nil && h.Cause != rules.CauseValue {
			line := "event " + e.ID + ": → " + h.Text
			if h.Fix != "" {
				line += "; write: " + h.Fix
			}
			out = append(out, line)
		}
	}
	return out
}

// heldBack says whether a rule noted an event, or its guards suppressed the firing.
func (t *trial) heldBack(ref hayate.Ref, event string) bool {
	return slices.ContainsFunc(t.by[ref], func(f fired) bool {
		return f.event == event && (f.Status == hayate.FiringNoted || f.Status == hayate.FiringSuppressed)
	})
}

func orNothing(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	return string(raw)
}
