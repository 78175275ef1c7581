package router_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// replayed is a world with events of the given hosts, several at each moment.
func replayed(t *testing.T, content router.Content, hosts ...string) *world {
	t.Helper()
	at, n := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), 0
	w := newWorld(t, func(c *router.Config) {
		c.Now = func() time.Time { return at.Add(time.Duration(n/7) * time.Second) }
	}, funcRunner{"fn", succeed})
	w.load(content)
	for i, host := range hosts {
		n = i
		w.accept(hayate.Event{ID: fmt.Sprint(i), Source: "/s", Type: "test.alert", Data: json.RawMessage(fmt.Sprintf(`{"host":%q}`, host))})
	}
	n = 7 * 3600
	return w
}

func TestDiffTellsWhatAChangeOfRulesWouldDo(t *testing.T) {
	content := router.Content{
		Packs:   []router.Pack{{Ref: "test"}, {Ref: "other"}},
		Actions: []hayate.Action{action("note", "fn", hayate.Parameter{Name: "text", Type: "string"})},
		Rules:   []hayate.Rule{rule("same", "test.note", `{"text":"{{ trigger.host }}"}`), rule("gone", "test.note", ""), rule("text", "test.note", `{"text":"old {{ trigger.host }}"}`)},
	}
	other := rule("aside", "test.note", "")
	other.Pack = "other"
	content.Rules = append(content.Rules, other)
	w := replayed(t, content, "web1", "web2")
	changed := router.Content{Packs: []router.Pack{{Ref: "test"}}, Actions: content.Actions,
		Rules: []hayate.Rule{content.Rules[0], rule("text", "test.note", `{"text":"new {{ trigger.host }}"}`), rule("new", "test.note", "")}}
	changed.Rules[2].Criteria = json.RawMessage(`{"trigger.host":{"type":"equals","pattern":"web2"}}`)
	before, err := w.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	counts, err := w.Diff(t.Context(), router.DiffQuery{Content: changed}, func(d router.Difference) error {
		line := d.Change + " " + string(d.Rule)
		for _, c := range d.Changed {
			line += fmt.Sprintf(" %s %s %s", c.Name, c.Before, c.After)
		}
		got = append(got, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"removed test.gone", `changed test.text text "old web1" "new web1"`, "added test.new"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if counts.Events != 2 || counts.Added != 1 || counts.Removed != 1 || counts.Changed != 1 || len(counts.Rules) != 3 {
		t.Errorf("got %+v", counts)
	}
	after, err := w.Stats(t.Context())
	if err != nil || after.Events != before.Events || after.Firings != before.Firings || fmt.Sprint(after.Executions) != fmt.Sprint(before.Executions) {
		t.Errorf("the comparison left something: %+v, was %+v, %v", after, before, err)
	}
	if rs := w.Rules(); len(rs) != 4 || rs[1].Name != "gone" {
		t.Errorf("the comparison changed what is registered: %+v", rs)
	}
}

func TestDiffOfEveryEventOnce(t *testing.T) {
	hosts := make([]string, 1000) // several pages, and seven events at each moment
	for i := range hosts {
		hosts[i] = "web1"
	}
	content := router.Content{Packs: []router.Pack{{Ref: "test"}}, Actions: []hayate.Action{action("note", "fn")}, Rules: []hayate.Rule{rule("gone", "test.note", "")}}
	w := replayed(t, content, hosts...)
	seen := map[hayate.EventID]int{}
	counts, err := w.Diff(t.Context(), router.DiffQuery{Content: router.Content{Packs: content.Packs}}, func(d router.Difference) error {
		seen[d.Event]++
		return nil
	})
	if err != nil || counts.Events != 1000 || counts.Removed != 1000 || len(seen) != 1000 {
		t.Errorf("got %+v, %d different events, %v; want each of 1000 once", counts, len(seen), err)
	}
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	counts, err = w.Diff(t.Context(), router.DiffQuery{Content: router.Content{Packs: content.Packs}, After: at, Before: at.Add(3 * time.Second)}, func(router.Difference) error { return nil })
	if err != nil || counts.Events != 14 {
		t.Errorf("between two moments: got %+v, %v; want 14 events", counts, err)
	}
	enough := errors.New("enough")
	if _, err := w.Diff(t.Context(), router.DiffQuery{Content: router.Content{Packs: content.Packs}}, func(router.Difference) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v, want the error of who looks on", err)
	}
}

// What a rule only notes or holds back is no firing: of a count that becomes lower,
// the firings that would be new and those that would be gone are told.
func TestDiffOfARuleThatCounts(t *testing.T) {
	content := func(n int) router.Content {
		c := pastContent(pastRule("count", fmt.Sprintf(`{"count":{"at_least":%d,"within":"1h"}}`, n), "", "", "x"))
		c.Packs = []router.Pack{{Ref: "test"}}
		return c
	}
	w := replayed(t, content(3), "a", "a", "a")
	var got []string
	counts, err := w.Diff(t.Context(), router.DiffQuery{Content: content(2)}, func(d router.Difference) error {
		got = append(got, fmt.Sprintf("%s %s %s: %s", d.Change, d.Before, d.Status, d.Reason))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"added noted succeeded: 2 of 2 within 1h", "removed  succeeded: noted: 1 of 2 within 1h"}; !slices.Equal(got, want) || counts.Changed != 0 {
		t.Errorf("got %q, %+v; want %q", got, counts, want)
	}
}

func TestDiffAgainstWhatWasRecorded(t *testing.T) {
	content := router.Content{Packs: []router.Pack{{Ref: "test"}}, Actions: []hayate.Action{action("note", "fn")}, Rules: []hayate.Rule{rule("r", "test.note", "")}}
	w := replayed(t, content, "web1")
	if _, err := w.SetRuleEnabled(t.Context(), "test.r", false); err != nil {
		t.Fatal(err)
	}
	// The operator's switch outlives other versions of the rule.
	for recorded, want := range map[bool]int{false: 0, true: 1} {
		counts, err := w.Diff(t.Context(), router.DiffQuery{Content: content, Recorded: recorded}, func(router.Difference) error { return nil })
		if err != nil || counts.Removed != want {
			t.Errorf("recorded %v: got %+v, %v; want %d removed", recorded, counts, err, want)
		}
	}
}

func TestDiffNamesWhatIsRefused(t *testing.T) {
	w := replayed(t, router.Content{})
	bad := rule("bad", "test.note", "")
	bad.Pattern = json.RawMessage(`{"host":"web1"}`)
	_, err := w.Diff(t.Context(), router.DiffQuery{Content: router.Content{Packs: []router.Pack{{Ref: "test"}}, Rules: []hayate.Rule{bad}}}, func(router.Difference) error { return nil })
	if !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), "test.bad") {
		t.Errorf("got %v, want the rule that is wrong", err)
	}
}
