package ruletest

import (
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/router"
)

// Ends says how executions end: those that a rule, an action or an event starts,
// or all where none is named.
type Ends struct {
	Line, Column int
	Rule         hayate.Ref
	Action       hayate.Ref
	Event        string // the id of the event that they are for
	Count        int    // so many of them; 0: all
	router.Ending
}

var ends = []string{string(hayate.StatusSucceeded), string(hayate.StatusFailed), string(hayate.StatusTimeout), string(hayate.StatusAbandoned),
	string(hayate.StatusCanceled), string(hayate.StatusRunning)}

// ends reads one of a case's executions.
func (r *reader) ends(n *yamldoc.Node) (Ends, bool) {
	if !r.keys(n, "an execution", "rule", "action", "event", "count", "ends", "after", "result") {
		return Ends{}, false
	}
	x := Ends{Line: n.Line(), Column: n.Column(), Rule: hayate.Ref(n.Get("rule").Text()), Action: hayate.Ref(n.Get("action").Text()), Event: n.Get("event").Text()}
	if v := n.Get("rule"); !v.IsNull() {
		x.Line, x.Column = v.Line(), v.Column()
	}
	x.Status = hayate.Status(n.Get("ends").Text())
	switch {
	case x.Status == "":
		r.errorf(n, "missing-key", "an execution says how it ends: failed, for instance")
	case !slices.Contains(ends, string(x.Status)):
		r.errorf(n.Get("ends"), "bad-value", "executions do not end %q%s; one that does not end is running", x.Status, yamldoc.Suggest(string(x.Status), ends))
	}
	if v := n.Get("count"); !v.IsNull() {
		count, ok := v.Int()
		if !ok || count < 1 || count > maxCount {
			r.errorf(v, "bad-value", "count must be a whole number from 1 to 1000; without it all are meant")
		}
		x.Count = int(count)
	}
	if v := n.Get("after"); !v.IsNull() {
		d, err := time.ParseDuration(v.Text())
		if err != nil || d < 0 {
			r.errorf(v, "bad-value", "after is no duration: %q; write it like 90s, 5m or 1h30m", v.Text())
		}
		x.After = d
	}
	if v := n.Get("result"); !v.IsNull() {
		x.Result = v.JSON()
	}
	return x, true
}

// ending says how an execution ends: as the first entry says that it satisfies and
// that is not used up.
func (t *trial) ending(x *hayate.Execution) (router.Ending, bool) {
	for i := range t.c.Ends {
		e := &t.c.Ends[i]
		if e.Rule != "" && e.Rule != x.Rule || e.Action != "" && e.Action != x.Action || e.Event != "" && e.Event != t.ids[x.Event] ||
			e.Count > 0 && t.ended[i] >= e.Count {
			continue
		}
		t.ended[i]++
		return e.Ending, true
	}
	return router.Ending{}, false
}

// endless finds the executions of the case that nothing started.
func (t *trial) endless() {
	for i := range t.c.Ends {
		if e := &t.c.Ends[i]; t.ended[i] == 0 && (e.Rule == "" || t.known(e.Rule, e.Line) != nil) {
			t.problem(e.Rule, e.Line, nil, "no execution was started that is to end %s", e.Status)
		}
	}
}
