package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// marks of verdicts.
var marks = map[rules.Verdict]string{rules.Holds: "✓", rules.Fails: "✗", rules.Errs: "!", rules.Awaiting: "?"}

// showExplanations prints what rules make of an event: those that match, then
// those of its trigger and those whose trigger may be mistaken, the nearest miss
// first. Rules that wait for other events
// are counted, unless all are wanted or one is named.
func (a *app) showExplanations(xs []rules.Explanation, only hayate.Ref, all bool) {
	others, shown := 0, 0
	for i := range xs {
		x := &xs[i]
		if only != "" && x.Rule != only {
			continue
		}
		if only == "" && !all && !x.SameTrigger && !x.NearTrigger {
			others++
			continue
		}
		shown++
		a.showExplanation(x)
	}
	if shown == 0 && only != "" {
		a.say("rule %s is not registered", only)
	}
	if others > 0 {
		if shown == 0 {
			fmt.Fprintln(a.Stdout, "\nno rule waits for events of this type")
		}
		a.say("\n%d rule(s) wait for other events; --all shows them", others)
	}
}

// outcomes say what came, or would come, of a match other than a firing.
var outcomes = map[hayate.FiringStatus]string{hayate.FiringNoted: ", and waits", hayate.FiringSuppressed: ", but was held back"}

// headline says what became of an event by a rule.
func headline(x *rules.Explanation) string {
	state := "does not match"
	switch {
	case x.Error != "":
		state = "cannot be evaluated"
	case x.Matched && x.Enabled:
		state = "matches"
		if p := x.Past; p != nil {
			state += outcomes[p.Status]
		}
	case x.Matched:
		state = "would match, but is disabled; enable it: hayate rule enable " + string(x.Rule)
	case !x.Enabled:
		state = "is disabled, and does not match"
	}
	return fmt.Sprintf("rule %s %s", x.Rule, state)
}

func (a *app) showExplanation(x *rules.Explanation) {
	fmt.Fprintf(a.Stdout, "\n%s\n", headline(x))
	if x.Error != "" && !toldBy(x) {
		fmt.Fprintf(a.Stdout, "  ! %s\n", x.Error)
	}
	w := 0
	for _, c := range x.Conditions {
		w = max(w, cellWidth(condition(&c)))
	}
	for i := range x.Conditions {
		a.showCondition(&x.Conditions[i], w)
	}
	if p := x.Past; p != nil {
		would := ""
		if !p.Recorded {
			would = "would now be "
		}
		fmt.Fprintln(a.Stdout, strings.TrimRight(fmt.Sprintf("  = %s%s: %s", would, p.Status, p.Reason), ": "))
	}
}

// toldBy says whether a condition tells what keeps the rule from being evaluated.
func toldBy(x *rules.Explanation) bool {
	for i := range x.Conditions {
		if c := &x.Conditions[i]; c.Error != "" && strings.Contains(x.Error, c.Error) {
			return true
		}
	}
	return false
}

// showCondition prints a condition, what was found where it does not hold, and
// below it the probable cause with what to write instead.
func (a *app) showCondition(c *rules.Condition, width int) {
	text := condition(c)
	found := ""
	if c.Verdict != rules.Holds {
		found = "found " + jsonText(c.Found)
		if c.Error != "" {
			found = oneLine(c.Error)
		}
	}
	line := fmt.Sprintf("  %s %s%s  %s", marks[c.Verdict], text, strings.Repeat(" ", width-cellWidth(text)), found)
	fmt.Fprintln(a.Stdout, strings.TrimRight(line, " "))
	h := c.Hint
	if c.Verdict == rules.Holds || h == nil || h.Cause == rules.CauseValue || h.Text == c.Error {
		return // what was found says it all
	}
	line = "    → " + h.Text
	if h.Fix != "" {
		line += "; write " + h.Fix
	}
	fmt.Fprintln(a.Stdout, line)
}

func condition(c *rules.Condition) string {
	return oneLine(strings.TrimSpace(c.Place + " " + c.Operator + " " + jsonText(c.Operand)))
}

// jsonText shows a JSON value; none is "nothing".
func jsonText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	return oneLine(string(raw))
}
