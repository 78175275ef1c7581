package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// checkThemes holds what the themes of the seed did against the promises.
func (w *world) checkThemes(a *everything) {
	w.checkQuestions(a)
	w.checkRetries(a)
	if w.themes[triggers] {
		w.checkAnnounced(a)
	}
	if w.themes[windows] && !w.observed.jumped {
		w.checkWindows(a)
	}
	if w.themes[timers] {
		w.checkTicks(a)
	}
}

// early is by how much the clocks of two processes may differ.
const early = 8 * time.Second

// checkQuestions: a question has the answer that was acknowledged, expires only
// when its time is over, and lets its workflow go on once.
func (w *world) checkQuestions(a *everything) {
	for i := range a.executions {
		x := &a.executions[i]
		if x.Runner != "inquirer" || !x.Status.Completed() {
			continue
		}
		var got struct{ Response *struct{ N int } }
		if err := json.Unmarshal(x.Result, &got); err != nil {
			w.observed.fail("question %s: %v", x.ID, err)
		}
		given, acked := w.accepted[x.ID]
		how := ""
		switch {
		case x.Status == hayate.StatusSucceeded && (got.Response == nil || !slices.Contains(w.answers[x.ID], got.Response.N)):
			w.observed.fail("question %s has an answer that nobody gave: %s", x.ID, x.Result)
			continue
		case acked && (x.Status != hayate.StatusSucceeded || got.Response.N != given):
			w.observed.fail("question %s ended %s with %s, though the answer %d was acknowledged", x.ID, x.Status, x.Result, given)
		case x.Status == hayate.StatusSucceeded:
			how = fmt.Sprintf(`{"output":{"how":"answered","go":%d}}`, got.Response.N)
		case x.Status == hayate.StatusTimeout:
			how = `{"output":{"how":"late","go":0}}`
			if open := x.Ended.Sub(asked(x)); open < time.Minute-early && !w.observed.jumped {
				w.observed.fail("question %s expired after %s", x.ID, open)
			}
		}
		p := a.byID[x.Parent]
		if how == "" || p == nil || !p.Status.Completed() || w.wasCanceled(a, p) || lost(a, p) {
			continue
		}
		if string(p.Result) != how || p.Status != hayate.StatusSucceeded || len(a.children[p.ID]) != 2 {
			w.observed.fail("workflow %s ended %s with %s after %d tasks, its question %s", p.ID, p.Status, p.Result, len(a.children[p.ID]), x.Status)
		}
	}
}

func asked(x *hayate.Execution) time.Time {
	for _, l := range x.Log {
		if l.Status == hayate.StatusPending {
			return l.Time
		}
	}
	return x.Created
}

// checkRetries: what failed is retried as often as its policy says.
func (w *world) checkRetries(a *everything) {
	for i := range a.executions {
		x := &a.executions[i]
		l, ok := retryLimits[x.Action]
		if !ok || !x.Status.Completed() || w.wasCanceled(a, x) {
			continue
		}
		var c taskContext
		if err := json.Unmarshal(x.Context, &c); err != nil {
			w.observed.fail("context of %s: %v", x.ID, err)
		}
		want := x.Status == l.on && c.Policies.Retry.Count < l.most
		if got := a.byID[router.RetryID(x.ID)] != nil; got != want {
			w.observed.fail("execution %s of %s, retry %d, ended %s: retried is %t, want %t", x.ID, x.Action, c.Policies.Retry.Count, x.Status, got, want)
		}
	}
}

// checkAnnounced: every end is an event, with the status that it has, and leads
// to what its rule says once.
func (w *world) checkAnnounced(a *everything) {
	told := map[string]*router.EventRecord{}
	for i := range a.events {
		if e := &a.events[i]; e.Event.Type == router.TriggerAction {
			told[e.Event.ID] = e
		}
	}
	for i := range a.executions {
		x := &a.executions[i]
		e := told[string(x.ID)]
		if e == nil {
			w.observed.fail("the end of execution %s of %s, %s, was not announced", x.ID, x.Action, x.Status)
			continue
		}
		var said struct{ Status hayate.Status }
		if err := json.Unmarshal(e.Event.Data, &said); err != nil || said.Status != x.Status {
			w.observed.fail("execution %s ended %s, announced was %s, %v", x.ID, x.Status, said.Status, err)
		}
		want := 0
		if x.Action == "sim.effect" && x.Status == hayate.StatusSucceeded {
			want = 1
		}
		if len(e.Firings) != want || want == 1 && len(e.Firings[0].Executions) != 1 {
			w.observed.fail("the end of execution %s of %s, %s, led to %d firings, want %d", x.ID, x.Action, x.Status, len(e.Firings), want)
		}
	}
}

// checkWindows: a router that nothing disturbs decides the same on the same
// events at the same times.
func (w *world) checkWindows(a *everything) {
	var order []*router.EventRecord
	for i := range a.events {
		if w.observed.decided[a.events[i].ID] > 0 {
			order = append(order, &a.events[i])
		}
	}
	slices.SortFunc(order, func(x, y *router.EventRecord) int {
		return int(w.observed.decided[x.ID] - w.observed.decided[y.ID])
	})
	var at time.Time
	again := memory.New()
	r, err := router.New(router.Config{Store: again, Queue: memory.NewQueue(memory.QueueConfig{}), Registry: memory.NewRegistry(), Datastore: w.data,
		Blobs: memory.NewBlobs(), Secrets: noSecrets{}, Runners: []router.Runner{runner{}}, Now: func() time.Time { return at }})
	if err == nil {
		err = r.Load(context.Background(), router.Content{Actions: actions()[:1], Rules: pastRules()})
	}
	for _, e := range order {
		if at = e.At; err == nil {
			_, err = r.Accept(context.Background(), e.Event)
		}
	}
	if err != nil {
		w.observed.fail("decide once more: %v", err)
		return
	}
	page, err := again.Events(context.Background(), router.Query{Limit: -1})
	if err != nil {
		w.observed.fail("decide once more: %v", err)
	}
	want := map[hayate.EventID]string{}
	for i := range page.Items {
		want[page.Items[i].ID] = firings(&page.Items[i])
	}
	for _, e := range order {
		if got := firings(e); got != want[e.ID] {
			w.observed.fail("on event %s %s was decided:\n%s\nundisturbed:\n%s", e.Event.Type, e.Event.ID, got, want[e.ID])
		}
	}
}

// firings are a decision's, in words.
func firings(e *router.EventRecord) string {
	var list []string
	for _, f := range e.Firings {
		if f.Rule != "sim.after" {
			list = append(list, fmt.Sprintf("%s %s %s %d", f.Rule, f.Status, f.Reason, len(f.Executions)))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// grace is how late a tick may come and is not lost, with what clocks may differ.
const grace = time.Minute - early

// checkTicks: a tick is one event with one execution, in time and in order, and
// what ticks once does so once. Only what came later than the grace may be lost.
func (w *world) checkTicks(a *everything) {
	var ticks []*router.EventRecord
	once := 0
	for i := range a.events {
		e := &a.events[i]
		if !strings.HasPrefix(e.Event.Source, "/hayate/timers/") {
			continue
		}
		if len(e.Firings) == 0 && e.At.After(w.off.Add(-time.Minute)) {
			ticks = append(ticks, e) // its rule was switched off while it was on its way
			continue
		}
		if len(e.Firings) != 1 || len(e.Firings[0].Executions) != 1 {
			w.observed.fail("tick %s of %s led to %d firings", e.Event.ID, e.Event.Type, len(e.Firings))
			continue
		}
		if e.Firings[0].Rule == "sim.punctual" {
			once++
			continue
		}
		ticks = append(ticks, e)
	}
	slices.SortFunc(ticks, func(x, y *router.EventRecord) int { return x.Event.Time.Compare(y.Event.Time) })
	due, awake := w.plan.start.Add(onceAfter), false
	for i := 1; i < len(ticks); i++ {
		from, to := ticks[i-1].Event.Time, ticks[i].Event.Time
		switch gap := to.Sub(from); {
		case gap <= 0 || gap%tickEvery != 0:
			w.observed.fail("ticks %s and %s are %s apart, the timer's interval is %s", from, to, gap, tickEvery)
		case gap > tickEvery && ticks[i].At.Sub(to.Add(-tickEvery)) < grace && !w.observed.jumped:
			w.observed.fail("no tick came between %s and %s", from, to)
		}
		awake = awake || from.Before(due) && !to.Before(due) && ticks[i].At.Sub(due) < grace
	}
	if once > 1 || once == 0 && awake && !w.observed.jumped {
		w.observed.fail("the timer that ticks once did so %d times", once)
	}
}
