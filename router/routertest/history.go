package routertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var historyTests = map[string]func(*testing.T, *fixture){
	"lists executions by every filter":        historyExecutions,
	"lists events by every filter":            historyEvents,
	"lists firings by every filter":           historyFirings,
	"finds text in executions, ignoring case": historyExecutionText,
	"finds text in events, ignoring case":     historyEventText,
	"finds text in firings, ignoring case":    historyFiringText,
	"cuts pages out of executions":            historyPages,
	"cuts pages out of events and firings":    historyEventPages,
	"sees what was acknowledged, at once":     historyFresh,
	"lists nothing of an empty store":         historyEmpty,
	"refuses after close":                     historyClosed,
}

// archive fills a store with a small past: per event n in 0…7 one execution of
// varying make, a workflow with two children, and two executions by hand.
type archive struct {
	executions []hayate.Execution // oldest first
	events     []router.EventRecord
	firings    []hayate.Firing
}

func (f *fixture) archive(t *testing.T) *archive {
	t.Helper()
	a := &archive{}
	for n := range 8 {
		e := f.event(n * 10)
		if n%2 == 1 {
			e.Type = "suite.odd"
		}
		if n%4 == 3 {
			e.Source += "/third"
		}
		var xs []hayate.Execution
		for k := range n % 3 {
			x := execution(&e, k)
			if n >= 4 {
				x.Action, x.Runner = "core.local", "local-shell-cmd"
			}
			xs = append(xs, x)
		}
		rc, err := f.Accept(ctx(t), e, starts(xs...))
		if err != nil {
			t.Fatalf("Accept: %v", err)
		}
		r := router.EventRecord{ID: rc.ID, Event: e, At: e.AcceptedAt}
		for i := range xs {
			r.Firings = append(r.Firings, firing(&e, &xs[i]))
		}
		a.events = append(a.events, r)
		a.firings = append(a.firings, r.Firings...)
		for _, x := range rc.Executions {
			switch n {
			case 4:
				x = f.claim(t, x.ID, "a", e.AcceptedAt)
			case 5:
				x = f.claim(t, x.ID, "a", e.AcceptedAt)
				f.complete(t, &x, e.AcceptedAt.Add(time.Second))
			case 2:
				x = f.get(t, x.ID)
				if err := x.To(hayate.StatusFailed, e.AcceptedAt); err != nil {
					t.Fatal(err)
				}
				f.commit(t, router.Change{Update: []hayate.Execution{x}})
			}
			a.executions = append(a.executions, f.get(t, x.ID))
		}
	}
	parent := a.executions[len(a.executions)-1] // of the event at 70 s
	for n := range 2 {
		kid := child(&parent, n)
		f.commit(t, router.Change{Insert: []hayate.Execution{kid}})
		a.executions = append(a.executions, f.get(t, kid.ID))
	}
	for n := range 2 {
		x := manual(f.source, 100+n)
		f.commit(t, router.Change{Insert: []hayate.Execution{x}})
		a.executions = append(a.executions, f.get(t, x.ID))
	}
	return a
}

// listed checks that a list is just what the filter keeps of all, newest first
// and oldest first.
func listed[T any](t *testing.T, name string, list func(router.Query) (router.Page[T], error), q router.Query, all []T, id func(T) string, keep func(T) bool) {
	t.Helper()
	want := []string{}
	for _, v := range all {
		if keep(v) {
			want = append(want, id(v))
		}
	}
	for _, ascending := range []bool{true, false} {
		q.Ascending, q.Limit = ascending, -1
		p, err := list(q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		got := []string{}
		for _, v := range p.Items {
			got = append(got, id(v))
		}
		if !slices.Equal(got, want) || p.Total != len(want) {
			t.Errorf("%s, ascending %t: got %d in all:\n%v\nwant\n%v", name, ascending, p.Total, got, want)
		}
		slices.Reverse(want)
	}
	q.Limit = 0
	if p, err := list(q); err != nil || p.Total != len(want) || len(p.Items) != 0 {
		t.Errorf("%s, total only: %d with %d items, error %v; want %d", name, p.Total, len(p.Items), err, len(want))
	}
}

func historyExecutions(t *testing.T, f *fixture) {
	a := f.archive(t)
	list := func(q router.Query) (router.Page[hayate.Execution], error) { return f.Executions(ctx(t), q) }
	id := func(x hayate.Execution) string { return string(x.ID) }
	some := a.executions[2]
	parent := a.executions[len(a.executions)-3].Parent
	type test struct {
		q    router.Query
		keep func(hayate.Execution) bool
	}
	for name, c := range map[string]test{
		"all":              {router.Query{}, func(hayate.Execution) bool { return true }},
		"one id":           {router.Query{IDs: []string{string(some.ID)}}, func(x hayate.Execution) bool { return x.ID == some.ID }},
		"two ids":          {router.Query{IDs: []string{string(a.executions[0].ID), string(some.ID), "none"}}, func(x hayate.Execution) bool { return x.ID == some.ID || x.ID == a.executions[0].ID }},
		"status scheduled": {router.Query{Status: []hayate.Status{hayate.StatusScheduled}}, func(x hayate.Execution) bool { return x.Status == hayate.StatusScheduled }},
		"two statuses": {router.Query{Status: []hayate.Status{hayate.StatusRunning, hayate.StatusSucceeded}},
			func(x hayate.Execution) bool {
				return x.Status == hayate.StatusRunning || x.Status == hayate.StatusSucceeded
			}},
		"statuses that ended badly": {router.Query{Status: []hayate.Status{hayate.StatusFailed, hayate.StatusCanceled}},
			func(x hayate.Execution) bool { return x.Status == hayate.StatusFailed }},
		"unfinished and ended": {router.Query{Status: []hayate.Status{hayate.StatusFailed, hayate.StatusRunning}},
			func(x hayate.Execution) bool {
				return x.Status == hayate.StatusFailed || x.Status == hayate.StatusRunning
			}},
		"status and rule": {router.Query{Status: []hayate.Status{hayate.StatusFailed}, Rule: "suite.rule-1"},
			func(x hayate.Execution) bool { return x.Status == hayate.StatusFailed && x.Rule == "suite.rule-1" }},
		"status of none":    {router.Query{Status: []hayate.Status{hayate.StatusTimeout}}, func(hayate.Execution) bool { return false }},
		"action":            {router.Query{Action: "core.local"}, func(x hayate.Execution) bool { return x.Action == "core.local" }},
		"runner":            {router.Query{Runner: "noop"}, func(x hayate.Execution) bool { return x.Runner == "noop" }},
		"rule":              {router.Query{Rule: "suite.rule-1"}, func(x hayate.Execution) bool { return x.Rule == "suite.rule-1" }},
		"event":             {router.Query{Event: some.Event}, func(x hayate.Execution) bool { return x.Event == some.Event }},
		"event with a tree": {router.Query{Event: a.events[7].ID}, func(x hayate.Execution) bool { return x.Event == a.events[7].ID }},
		"event of none":     {router.Query{Event: "0123456789abcdef01234567"}, func(hayate.Execution) bool { return false }},
		"parent":            {router.Query{Parent: parent}, func(x hayate.Execution) bool { return x.Parent == parent }},
		"parent of none":    {router.Query{Parent: some.ID}, func(hayate.Execution) bool { return false }},
		"user":              {router.Query{User: "suite"}, func(x hayate.Execution) bool { return strings.Contains(string(x.Context), `"suite"`) }},
		"unverified":        {router.Query{Unverified: true}, func(x hayate.Execution) bool { return x.Status == hayate.StatusSucceeded && !x.Verified }},
		"user of none":      {router.Query{User: "nobody"}, func(hayate.Execution) bool { return false }},
		"no parent":         {router.Query{NoParent: true}, func(x hayate.Execution) bool { return x.Parent == "" }},
		"after":             {router.Query{After: some.Created}, func(x hayate.Execution) bool { return x.Created.After(some.Created) }},
		"before":            {router.Query{Before: some.Created}, func(x hayate.Execution) bool { return x.Created.Before(some.Created) }},
		"between":           {router.Query{After: after(20), Before: after(71)}, func(x hayate.Execution) bool { return x.Created.After(after(20)) && x.Created.Before(after(71)) }},
		"action and status": {router.Query{Action: "core.local", Status: []hayate.Status{hayate.StatusScheduled}, NoParent: true},
			func(x hayate.Execution) bool {
				return x.Action == "core.local" && x.Status == hayate.StatusScheduled && x.Parent == ""
			}},
		"rule and time": {router.Query{Rule: "suite.rule-0", After: after(15)}, func(x hayate.Execution) bool { return x.Rule == "suite.rule-0" && x.Created.After(after(15)) }},
	} {
		listed(t, name, list, c.q, a.executions, id, c.keep)
	}
	p, err := f.Executions(ctx(t), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	same(t, "all executions", p.Items, a.executions)
}

func historyEvents(t *testing.T, f *fixture) {
	a := f.archive(t)
	list := func(q router.Query) (router.Page[router.EventRecord], error) { return f.Events(ctx(t), q) }
	id := func(r router.EventRecord) string { return string(r.ID) }
	some := a.events[3]
	fired := func(r router.EventRecord, rule hayate.Ref) bool {
		return slices.ContainsFunc(r.Firings, func(x hayate.Firing) bool { return x.Rule == rule })
	}
	type test struct {
		q    router.Query
		keep func(router.EventRecord) bool
	}
	for name, c := range map[string]test{
		"all":           {router.Query{}, func(router.EventRecord) bool { return true }},
		"ids":           {router.Query{IDs: []string{string(some.ID), string(a.events[0].ID)}}, func(r router.EventRecord) bool { return r.ID == some.ID || r.ID == a.events[0].ID }},
		"event":         {router.Query{Event: some.ID}, func(r router.EventRecord) bool { return r.ID == some.ID }},
		"type":          {router.Query{Type: "suite.odd"}, func(r router.EventRecord) bool { return r.Event.Type == "suite.odd" }},
		"source":        {router.Query{Source: some.Event.Source}, func(r router.EventRecord) bool { return r.Event.Source == some.Event.Source }},
		"rule":          {router.Query{Rule: "suite.rule-1"}, func(r router.EventRecord) bool { return fired(r, "suite.rule-1") }},
		"after":         {router.Query{After: some.At}, func(r router.EventRecord) bool { return r.At.After(some.At) }},
		"before":        {router.Query{Before: some.At}, func(r router.EventRecord) bool { return r.At.Before(some.At) }},
		"type and time": {router.Query{Type: "suite.odd", After: after(10)}, func(r router.EventRecord) bool { return r.Event.Type == "suite.odd" && r.At.After(after(10)) }},
		"unused fields": {router.Query{Status: []hayate.Status{hayate.StatusTimeout}, Runner: "noop", NoParent: true, Type: "suite.odd"},
			func(r router.EventRecord) bool { return r.Event.Type == "suite.odd" }},
	} {
		listed(t, name, list, c.q, a.events, id, c.keep)
	}
	p, err := f.Events(ctx(t), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	for i := range p.Items {
		if p.Items[i].Firings == nil {
			p.Items[i].Firings = a.events[i].Firings // none, written either way
		}
	}
	same(t, "all events", p.Items, a.events)
}

func historyFirings(t *testing.T, f *fixture) {
	a := f.archive(t)
	list := func(q router.Query) (router.Page[hayate.Firing], error) { return f.Firings(ctx(t), q) }
	id := func(x hayate.Firing) string { return string(x.ID) }
	some := a.firings[2]
	types := map[hayate.EventID]hayate.Event{}
	for _, r := range a.events {
		types[r.ID] = r.Event
	}
	type test struct {
		q    router.Query
		keep func(hayate.Firing) bool
	}
	for name, c := range map[string]test{
		"all":               {router.Query{}, func(hayate.Firing) bool { return true }},
		"ids":               {router.Query{IDs: []string{string(some.ID), string(a.firings[0].ID)}}, func(x hayate.Firing) bool { return x.ID == some.ID || x.ID == a.firings[0].ID }},
		"rule":              {router.Query{Rule: "suite.rule-1"}, func(x hayate.Firing) bool { return x.Rule == "suite.rule-1" }},
		"event":             {router.Query{Event: some.Event}, func(x hayate.Firing) bool { return x.Event == some.Event }},
		"execution":         {router.Query{Execution: some.Executions[0]}, func(x hayate.Firing) bool { return x.ID == some.ID }},
		"no such execution": {router.Query{Execution: "0123456789abcdef01234567"}, func(hayate.Firing) bool { return false }},
		"type":              {router.Query{Type: "suite.odd"}, func(x hayate.Firing) bool { return types[x.Event].Type == "suite.odd" }},
		"source":            {router.Query{Source: f.source}, func(x hayate.Firing) bool { return types[x.Event].Source == f.source }},
		"after":             {router.Query{After: some.At}, func(x hayate.Firing) bool { return x.At.After(some.At) }},
		"before":            {router.Query{Before: some.At}, func(x hayate.Firing) bool { return x.At.Before(some.At) }},
	} {
		listed(t, name, list, c.q, a.firings, id, c.keep)
	}
	p, err := f.Firings(ctx(t), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		t.Fatalf("Firings: %v", err)
	}
	same(t, "all firings", p.Items, a.firings)
}

func historyExecutionText(t *testing.T, f *fixture) {
	params := []string{
		`{"message":"ディスク障害が発生しました"}`,
		`{"message":"Disk FULL on Web-17"}`,
		`{"message":"\u30c7\u30a3\u30b9\u30af"}`,
		`{"path":"C:\\Temp","quote":"say \"hi\""}`,
	}
	var xs []hayate.Execution
	for n, p := range params {
		xs = append(xs, f.accept(t, n, func(x *hayate.Execution) { x.Parameters = json.RawMessage(p) }))
	}
	for text, want := range map[string][]int{
		"ディスク":                 {0, 2},
		"障害":                   {0},
		"disk full":            {1},
		"WEB-17":               {1},
		`C:\Temp`:              {3},
		`say "hi"`:             {3},
		"SUITE.RULE-0":         {0, 1, 2, 3},
		"core.noop":            {0, 1, 2, 3},
		string(xs[2].ID):       {2},
		string(xs[1].ID)[8:20]: {1},
		"nothing like this":    {},
		"100%":                 {},
		"(":                    {},
	} {
		list := func(q router.Query) (router.Page[hayate.Execution], error) { return f.Executions(ctx(t), q) }
		keep := idsAt(xs, want)
		listed(t, fmt.Sprintf("text %q", text), list, router.Query{Text: text}, xs,
			func(x hayate.Execution) string { return string(x.ID) }, func(x hayate.Execution) bool { return slices.Contains(keep, string(x.ID)) })
	}
}

func idsAt(xs []hayate.Execution, at []int) []string {
	list := []string{}
	for _, i := range at {
		list = append(list, string(xs[i].ID))
	}
	return list
}

func historyEventText(t *testing.T, f *fixture) {
	events := []hayate.Event{
		{Type: "zabbix.problem", Subject: "ホスト一号", Data: []byte(`{"name":"メモリ不足"}`)},
		{Type: "github.push", Subject: "main", Data: []byte(`{"ref":"refs/heads/Feature"}`)},
		{Type: "mail.received", Subject: "x", DataContentType: "text/plain", Data: []byte("本文：再起動してください (now)")},
	}
	var all []router.EventRecord
	for n, e := range events {
		e.ID, e.Source, e.AcceptedAt = fmt.Sprint("Text-", n), f.source, after(n)
		rc, err := f.Accept(ctx(t), e, starts())
		if err != nil {
			t.Fatalf("Accept: %v", err)
		}
		all = append(all, router.EventRecord{ID: rc.ID})
	}
	for text, want := range map[string][]int{
		"ホスト": {0}, "メモリ": {0}, "feature": {1}, "GITHUB": {1}, "再起動": {2}, "(NOW)": {2},
		"text-1": {1}, "TEXT-": {0, 1, 2}, string(all[2].ID): {2}, "存在しない": {},
	} {
		list := func(q router.Query) (router.Page[router.EventRecord], error) { return f.Events(ctx(t), q) }
		listed(t, fmt.Sprintf("text %q", text), list, router.Query{Text: text}, all,
			func(r router.EventRecord) string { return string(r.ID) },
			func(r router.EventRecord) bool {
				return slices.ContainsFunc(want, func(i int) bool { return all[i].ID == r.ID })
			})
	}
}

func historyFiringText(t *testing.T, f *fixture) {
	a := f.archive(t)
	list := func(q router.Query) (router.Page[hayate.Firing], error) { return f.Firings(ctx(t), q) }
	id := func(x hayate.Firing) string { return string(x.ID) }
	some := a.firings[1]
	listed(t, "rule", list, router.Query{Text: "RULE-1"}, a.firings, id, func(x hayate.Firing) bool { return x.Rule == "suite.rule-1" })
	listed(t, "parameter", list, router.Query{Text: "WEB-1"}, a.firings, id, func(hayate.Firing) bool { return true })
	listed(t, "id", list, router.Query{Text: string(some.ID)}, a.firings, id, func(x hayate.Firing) bool { return x.ID == some.ID })
	listed(t, "nothing", list, router.Query{Text: "web-2"}, a.firings, id, func(hayate.Firing) bool { return false })
}

// paged checks pages of a list whose order is known.
func paged(t *testing.T, what string, want []string, list func(router.Query) (got []string, total int, err error), q router.Query) {
	t.Helper()
	n := len(want)
	for _, c := range [][2]int{{0, 1}, {0, 3}, {2, 2}, {n - 1, 5}, {n, 3}, {n + 7, 3}, {0, n}, {3, -1}, {n, -1}, {0, 0}, {2, 0}} {
		q.Offset, q.Limit = c[0], c[1]
		got, total, err := list(q)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		from := min(c[0], n)
		to := n
		if c[1] >= 0 {
			to = min(n, from+c[1])
		}
		if total != n || !slices.Equal(got, want[from:to]) {
			t.Errorf("%s from %d, limit %d: got %v of %d, want %v of %d", what, c[0], c[1], got, total, want[from:to], n)
		}
	}
}

func historyPages(t *testing.T, f *fixture) {
	a := f.archive(t)
	list := func(q router.Query) (got []string, total int, err error) {
		p, err := f.Executions(ctx(t), q)
		for _, x := range p.Items {
			got = append(got, string(x.ID))
		}
		return got, p.Total, err
	}
	var all, local []string
	for _, x := range a.executions {
		all = append(all, string(x.ID))
		if x.Action == "core.local" {
			local = append(local, string(x.ID))
		}
	}
	for _, ascending := range []bool{true, false} {
		paged(t, "all", all, list, router.Query{Ascending: ascending})
		paged(t, "of one action", local, list, router.Query{Ascending: ascending, Action: "core.local"})
		paged(t, "with a text", local, list, router.Query{Ascending: ascending, Text: "core.LOCAL"})
		slices.Reverse(all)
		slices.Reverse(local)
	}
}

func historyEventPages(t *testing.T, f *fixture) {
	a := f.archive(t)
	var events, firings []string
	for _, r := range a.events {
		events = append(events, string(r.ID))
	}
	for _, x := range a.firings {
		firings = append(firings, string(x.ID))
	}
	for _, ascending := range []bool{true, false} {
		paged(t, "events", events, func(q router.Query) (got []string, total int, err error) {
			p, err := f.Events(ctx(t), q)
			for _, r := range p.Items {
				got = append(got, string(r.ID))
			}
			return got, p.Total, err
		}, router.Query{Ascending: ascending})
		paged(t, "firings", firings, func(q router.Query) (got []string, total int, err error) {
			p, err := f.Firings(ctx(t), q)
			for _, x := range p.Items {
				got = append(got, string(x.ID))
			}
			return got, p.Total, err
		}, router.Query{Ascending: ascending})
		slices.Reverse(events)
		slices.Reverse(firings)
	}
}

func historyFresh(t *testing.T, f *fixture) {
	for i, err := range race(4, func(i int) error {
		for n := range 8 {
			e := f.event(i*100 + n)
			x := execution(&e, 0)
			if _, err := f.Accept(ctx(t), e, starts(x)); err != nil {
				return err
			}
			p, err := f.Executions(ctx(t), router.Query{IDs: []string{string(x.ID)}, Limit: 1})
			if err != nil || len(p.Items) != 1 {
				return fmt.Errorf("an acknowledged execution is not to be seen: %w", err)
			}
			q, err := f.Executions(ctx(t), router.Query{Event: x.Event, Status: []hayate.Status{hayate.StatusScheduled}, Limit: 1})
			if err != nil || q.Total != 1 {
				return fmt.Errorf("an acknowledged execution is not to be found by status: %w", err)
			}
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
}

func historyEmpty(t *testing.T, f *fixture) {
	if p, err := f.Executions(ctx(t), router.Query{Limit: -1}); err != nil || p.Total != 0 || len(p.Items) != 0 {
		t.Errorf("Executions gave %+v, error %v; want none", p, err)
	}
	if p, err := f.Events(ctx(t), router.Query{Limit: 10}); err != nil || p.Total != 0 || len(p.Items) != 0 {
		t.Errorf("Events gave %+v, error %v; want none", p, err)
	}
	if p, err := f.Firings(ctx(t), router.Query{Limit: 10}); err != nil || p.Total != 0 || len(p.Items) != 0 {
		t.Errorf("Firings gave %+v, error %v; want none", p, err)
	}
}

func historyClosed(t *testing.T, f *fixture) {
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err := f.Executions(ctx(t), router.Query{})
	wantKind(t, "Executions", err, hayate.ErrBusy)
	_, err = f.Events(ctx(t), router.Query{})
	wantKind(t, "Events", err, hayate.ErrBusy)
	_, err = f.Firings(ctx(t), router.Query{})
	wantKind(t, "Firings", err, hayate.ErrBusy)
	_, err = f.Lines(ctx(t), "0123456789abcdef01234567", 0, 1)
	wantKind(t, "Lines", err, hayate.ErrBusy)
}
