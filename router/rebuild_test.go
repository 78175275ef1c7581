package router_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// manyRules are rules for an event each: rule i wants host h<i>.
func manyRules(n int) router.Content {
	c := router.Content{Actions: []hayate.Action{action("note", "fn")}}
	for i := range n {
		r := rule(fmt.Sprintf("r%04d", i), "test.note", "")
		r.Criteria = json.RawMessage(fmt.Sprintf(`{"trigger.host":{"type":"equals","pattern":"h%d"}}`, i))
		c.Rules = append(c.Rules, r)
	}
	return c
}

// fires says whether an event of host i fires its rule.
func (w *world) fires(id string, i int) bool {
	w.t.Helper()
	rc, err := w.Accept(w.t.Context(), hayate.Event{ID: id, Source: "/s", Type: "test.alert", Data: json.RawMessage(fmt.Sprintf(`{"host":"h%d"}`, i))})
	if err != nil {
		w.t.Error(err)
	}
	return len(rc.Executions) == 1
}

func TestAStaleIndexIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, funcRunner{"fn", succeed})
		w.load(manyRules(400))
		w.serve()
		for i := range 60 {
			if _, err := w.SetRuleEnabled(t.Context(), hayate.Ref(fmt.Sprintf("test.r%04d", i)), false); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := w.Stale(); s > 0.05 {
			t.Errorf("the set is stale by %.2f", s)
		}
		for _, i := range []int{0, 59, 60, 399} {
			if got, want := w.fires(fmt.Sprint("e", i), i), i >= 60; got != want {
				t.Errorf("rule %d fires: %v, want %v", i, got, want)
			}
		}
	})
}

// A change is in effect when its call has returned, whether or not the index is
// being made anew meanwhile.
func TestChangesOfRulesHoldWhileTheIndexIsMadeAnew(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	w.load(manyRules(300))
	w.serve()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for turn := range 60 {
				i := g*75 + turn
				ref := hayate.Ref(fmt.Sprintf("test.r%04d", i))
				for step, on := range []bool{false, true, false} {
					if _, err := w.SetRuleEnabled(t.Context(), ref, on); err != nil {
						t.Error(err)
						return
					}
					if got := w.fires(fmt.Sprint(i, "-", step), i); got != on {
						t.Errorf("rule %d is enabled: %v, fires: %v", i, on, got)
					}
				}
			}
		}()
	}
	wg.Wait()
	if got := w.fires("last", 74); !got {
		t.Error("a rule that nobody changed is gone")
	}
}
