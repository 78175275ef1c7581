package ruletest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/ruletest"
)

func TestRun(t *testing.T) {
	push := hayate.Rule{Pack: "shop", Name: "deploy", Enabled: true, Trigger: hayate.Trigger{Type: "com.github.push"},
		Criteria: json.RawMessage(`{"trigger.ref":{"type":"equals","pattern":"refs/heads/main"}}`)}
	for ref, want := range map[string]string{"refs/heads/main": "", "refs/heads/dev": `found "refs/heads/dev"`} {
		cs, ds := ruletest.Parse([]byte(`- name: push
  events:
    - type: com.github.push
      data: {ref: `+ref+`, deleted: false, repository: {full_name: example/shop}}
  expect: [{rule: shop.deploy}]
`), "t.yaml")
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		wrong, err := ruletest.Run([]hayate.Rule{push}, &cs[0])
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(wrong, "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
}

func TestParseSuggests(t *testing.T) {
	_, ds := ruletest.Parse([]byte("- name: a\n  evnts: []\n"), "t.yaml")
	if len(ds) == 0 || ds[0].String() != `t.yaml:2:3: unknown key "evnts", did you mean "events"?` {
		t.Errorf("got %v", ds)
	}
}

func TestAMisspeltRuleIsNoPass(t *testing.T) {
	cases, found := ruletest.Parse([]byte("- name: c\n  events: [{type: x}]\n  expect_not: [test.nowhere]\n"), "t.yaml")
	if len(found) > 0 {
		t.Fatal(found)
	}
	wrong, err := ruletest.Run([]hayate.Rule{{Pack: "test", Name: "somewhere", Trigger: hayate.Trigger{Type: "y"}, Enabled: true}}, &cases[0])
	if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], `there is no rule "test.nowhere"`) {
		t.Errorf("Run says %q, %v; want that there is no such rule", wrong, err)
	}
}
