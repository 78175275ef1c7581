package simulation_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// outcome is how a workflow ended: what faults must not change.
type outcome struct {
	status   hayate.Status
	result   string
	children []string // task, item and retry of each
}

// undisturbed are the outcomes of workflows that no fault struck, by name and input.
type undisturbed map[string]outcome

// everything is what the store holds in the end.
type everything struct {
	executions []hayate.Execution
	byID       map[hayate.ExecutionID]*hayate.Execution
	children   map[hayate.ExecutionID][]*hayate.Execution
	events     []router.EventRecord
}

func (w *world) everything() (*everything, error) {
	ctx := context.Background()
	xs, err := w.store.Executions(ctx, router.Query{Limit: -1, Ascending: true})
	if err != nil {
		return nil, err
	}
	es, err := w.store.Events(ctx, router.Query{Limit: -1, Ascending: true})
	if err != nil {
		return nil, err
	}
	a := &everything{executions: xs.Items, events: es.Items, byID: map[hayate.ExecutionID]*hayate.Execution{}, children: map[hayate.ExecutionID][]*hayate.Execution{}}
	for i := range a.executions {
		x := &a.executions[i]
		a.byID[x.ID] = x
		if x.Parent != "" {
			a.children[x.Parent] = append(a.children[x.Parent], x)
		}
	}
	return a, nil
}

// check holds what is stored, and what happened, against the promises.
func (w *world) check() {
	a, err := w.everything()
	if err != nil {
		w.observed.fail("read the store: %v", err)
		return
	}
	w.checkEvents(a)
	w.checkExecutions(a)
	w.checkRuns(a)
	w.checkThemes(a)
	for id := range w.started {
		if a.byID[id] == nil {
			w.observed.fail("execution %s, whose start was acknowledged, is not stored", id)
		}
	}
	findings, err := w.store.Check(context.Background())
	for _, f := range findings {
		w.observed.fail("the store's check says: %s", f)
	}
	if err != nil {
		w.observed.fail("check the store: %v", err)
	}
}

// checkEvents: every acknowledged event is stored, and decided on once by each rule.
func (w *world) checkEvents(a *everything) {
	byName := map[string]*router.EventRecord{}
	for i := range a.events {
		e := &a.events[i]
		if byName[e.Event.UID()] != nil {
			w.observed.fail("event %s of %s is stored twice", e.Event.ID, e.Event.Source)
		}
		byName[e.Event.UID()] = e
	}
	fired := 0
	for id, acked := range w.acked {
		e := byName[(&hayate.Event{ID: id, Source: "/sim"}).UID()]
		if e == nil || e.ID != acked {
			w.observed.fail("event %s, acknowledged as %s, is not stored", id, acked)
			continue
		}
		want := map[hayate.Ref]int{"sim.every": 2, hayate.NewRef("sim", w.flowOf[id]): 1}
		if len(e.Firings) != len(want) {
			w.observed.fail("event %s was decided on %d times, want %d", id, len(e.Firings), len(want))
		}
		for _, f := range e.Firings {
			if f.Status != hayate.FiringSucceeded || len(f.Executions) != want[f.Rule] {
				w.observed.fail("rule %s decided on event %s: %s with %d executions, want %d", f.Rule, id, f.Status, len(f.Executions), want[f.Rule])
			}
			delete(want, f.Rule)
			for _, x := range f.Executions {
				if a.byID[x] == nil {
					w.observed.fail("execution %s of event %s is not stored", x, id)
				}
			}
		}
	}
	for i := range a.events {
		for _, f := range a.events[i].Firings {
			fired += len(f.Executions)
		}
	}
	have := 0
	for _, x := range a.executions {
		if x.Event != "" && x.Parent == "" {
			have++
		}
	}
	if have != fired {
		w.observed.fail("%d executions came of rules, the rules decided on %d", have, fired)
	}
}

// checkExecutions: effects happened as often as their action may bear, and what
// was lost is seen.
func (w *world) checkExecutions(a *everything) {
	for i := range a.executions {
		x := &a.executions[i]
		if !x.Status.Completed() {
			continue // live has said so
		}
		n := w.observed.effects[string(x.ID)]
		switch {
		case x.Runner != "sim":
		case x.Status == hayate.StatusAbandoned && x.Idempotent:
			w.observed.fail("execution %s of %s was abandoned although it is idempotent", x.ID, x.Action)
		case (x.Status == hayate.StatusSucceeded || x.Status == hayate.StatusFailed) && n == 0:
			w.observed.fail("execution %s of %s %s without an effect: %s", x.ID, x.Action, x.Status, x.Result)
		case x.Status == hayate.StatusCanceled && !w.wasCanceled(a, x):
			w.observed.fail("execution %s of %s was canceled by nobody", x.ID, x.Action)
		}
		if st := w.obeyed[x.ID]; st == hayate.StatusCanceled || st == hayate.StatusCanceling {
			if x.Status != hayate.StatusCanceled && x.Status != hayate.StatusAbandoned {
				w.observed.fail("execution %s of %s ended %s after its cancelation was accepted as %s", x.ID, x.Action, x.Status, st)
			}
		}
	}
}

// wasCanceled says whether somebody asked for the end of x or of what it is part of.
func (w *world) wasCanceled(a *everything, x *hayate.Execution) bool {
	for ; x != nil; x = a.byID[x.Parent] {
		if w.canceled[x.ID] || x.Action == "sim.solo" && x.Status == hayate.StatusCanceled && strings.Contains(string(x.Result), "Canceled by policy sim.solo") {
			return true
		}
	}
	return false
}

// checkRuns: the versions of runs have no gaps, and a workflow in which nothing
// was lost ends as if nothing had happened.
func (w *world) checkRuns(a *everything) {
	for i := range a.executions {
		x := &a.executions[i]
		if x.Runner != "orquesta" || !x.Status.Completed() {
			continue
		}
		run, err := w.store.Run(context.Background(), x.ID)
		if err != nil {
			if !w.wasCanceled(a, x) {
				w.observed.fail("run of %s, %s, which ended with %s: %v", x.ID, name(x), x.Result, err)
			}
			continue
		}
		if steps := w.observed.steps[x.ID]; run.Version != int64(steps) {
			w.observed.fail("run %s has version %d after %d steps", x.ID, run.Version, steps)
		}
		if w.wasCanceled(a, x) || lost(a, x) {
			continue
		}
		got := w.outcomeOf(a, x)
		want, ok := w.want[name(x)]
		if !ok {
			continue // the undisturbed world itself
		}
		if got.status != want.status || got.result != want.result {
			w.observed.fail("%s ended %s with %s, undisturbed %s with %s", name(x), got.status, got.result, want.status, want.result)
		}
		if !slices.Equal(got.children, want.children) {
			w.observed.fail("%s ran the tasks %v, undisturbed %v", name(x), got.children, want.children)
		}
	}
}

// lost says whether some task of a workflow was abandoned.
func lost(a *everything, x *hayate.Execution) bool {
	return x.Status == hayate.StatusAbandoned || slices.ContainsFunc(a.children[x.ID], func(c *hayate.Execution) bool { return lost(a, c) })
}

// name tells workflows of one name and input from others.
func name(x *hayate.Execution) string {
	n := fmt.Sprintf("%s %s", x.Action, x.Parameters)
	if strings.Contains(string(x.Context), `"tasks":["bad"]`) {
		n = "again " + n
	}
	return n
}

func (w *world) outcomeOf(a *everything, x *hayate.Execution) outcome {
	o := outcome{status: x.Status, result: string(x.Result)}
	for _, c := range a.children[x.ID] {
		var at struct {
			Orquesta struct {
				Task    string `json:"task_name"`
				Item    *int   `json:"item_id"`
				Attempt int    `json:"task_attempt"`
			}
		}
		if err := json.Unmarshal(c.Context, &at); err != nil {
			w.observed.fail("context of %s: %v", c.ID, err)
		}
		item := -1
		if at.Orquesta.Item != nil {
			item = *at.Orquesta.Item
		}
		o.children = append(o.children, fmt.Sprintf("%s/%d/%d=%s", at.Orquesta.Task, item, at.Orquesta.Attempt, c.Status))
	}
	slices.SortFunc(o.children, cmp.Compare[string])
	return o
}
