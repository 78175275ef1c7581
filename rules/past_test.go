package rules_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// pairRule waits for one of two kinds of event; the other is a part of it.
func pairRule() hayate.Rule {
	return hayate.Rule{Pack: "p", Name: "pair", Enabled: true, Trigger: hayate.Trigger{Type: "t.own"},
		When: json.RawMessage(`{"both":{"within":"1m","trigger":{"type":"t.other"},"criteria":{"trigger.n":{"type":"gt","pattern":1}}},"cleared":{"trigger":{"type":"t.ok"}}}`)}
}

// partsOf are the rules and parts that an event satisfies.
func partsOf(s *rules.Set, typ, data string) []string {
	var out []string
	for _, m := range s.Match(rules.NewScratch(), &hayate.Event{ID: "1", Source: "/s", Type: typ, Data: []byte(data)}, nil) {
		out = append(out, m.Rule.Pack+"."+strings.ReplaceAll(m.Rule.Name, "\x00", "/")+" "+m.Rule.Part)
	}
	return out
}

func TestPartsOfARuleAreMatchedBesideIt(t *testing.T) {
	t.Parallel()
	backstop := hayate.Rule{Pack: "p", Name: "rest", Kind: hayate.KindBackstop, Enabled: true, Trigger: hayate.Trigger{Type: "t.other"}}
	s, err := rules.Compile([]hayate.Rule{backstop, pairRule()})
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string, s *rules.Set, want map[string][]string) {
		t.Helper()
		for typ, w := range want {
			if got := partsOf(s, typ, `{"n":2}`); !slices.Equal(got, w) {
				t.Errorf("%s, %s matches %q, want %q", when, typ, got, w)
			}
		}
	}
	whole := map[string][]string{"t.own": {"p.pair "}, "t.other": {"p.pair/both both", "p.rest "}, "t.ok": {"p.pair/cleared cleared"}}
	look("compiled", s, whole)
	look("rebuilt", s.Rebuild(), whole)
	if got := partsOf(s, "t.other", `{"n":1}`); !slices.Equal(got, []string{"p.rest "}) {
		t.Errorf("an event that fails the part's criterion matches %q", got)
	}
	if got := s.Refs(); !slices.Equal(got, []hayate.Ref{"p.pair", "p.rest"}) {
		t.Errorf("the set names %q", got)
	}
	without, err := s.With(nil, []hayate.Ref{"p.pair"})
	if err != nil {
		t.Fatal(err)
	}
	look("removed", without, map[string][]string{"t.own": nil, "t.other": {"p.rest "}, "t.ok": nil})
	plain := pairRule()
	plain.When = nil
	replaced, err := s.With([]hayate.Rule{plain}, nil)
	if err != nil {
		t.Fatal(err)
	}
	look("replaced", replaced, map[string][]string{"t.own": {"p.pair "}, "t.other": {"p.rest "}, "t.ok": nil})
	again, err := without.With([]hayate.Rule{pairRule()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	look("added", again, whole)
}

func TestMistakesInThePastRefuseTheRule(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]string{
		`{"count":{"at_least":2}}`: "rule p.pair: when.count: lacks the key \"within\"",
		`{"both":{"within":"1m","criteria":{"trigger.a":{"type":"equal","pattern":1}}}}`: "rule p.pair: when.both.criteria.trigger.a.type: unknown operator",
	} {
		r := pairRule()
		r.When = json.RawMessage(when)
		s, err := rules.Compile([]hayate.Rule{r})
		if err == nil || !strings.Contains(err.Error(), want) || s.Len() != 0 {
			t.Errorf("%s: error %v with %d rules, want %q and none", when, err, s.Len(), want)
		}
	}
}
