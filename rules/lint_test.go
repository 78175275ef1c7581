package rules_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

func TestLintFinds(t *testing.T) {
	crit := func(s string) hayate.Rule { return st2Rule(s) }
	pat := func(s string) hayate.Rule { return hayate.Rule{Pattern: json.RawMessage(s)} }
	for _, c := range []struct {
		name string
		rule hayate.Rule
		want string // code: part of the text; "" for nothing
	}{
		{"nothing", crit(`{"trigger.a":{"type":"gt","pattern":1},"trigger.a#2":{"type":"lt","pattern":2},"trigger.b":{"type":"regex","pattern":"a+b"}}`), ""},
		{"an unknown operator", crit(`{"trigger.a":{"type":"is","pattern":1}}`), "invalid: unknown operator"},
		{"no type", crit(`{"trigger.a":{"pattern":1}}`), "never: has no type"},
		{"an unknown member", crit(`{"trigger.a":{"type":"equals","patern":1}}`), "spelling: means nothing in a criterion, did you mean \"pattern\"?"},
		{"no pattern", crit(`{"trigger.a":{"type":"equals"}}`), "never: has no pattern"},
		{"a key without trigger", crit(`{"body.a":{"type":"equals","pattern":1}}`), "never: the key does not begin with trigger"},
		{"a key that is no path", crit(`{"trigger.a b":{"type":"equals","pattern":1}}`), "never: the key cannot be read"},
		{"a broken regex", crit(`{"trigger.a":{"type":"regex","pattern":"("}}`), "never: the pattern is no regular expression"},
		{"a look-ahead", crit(`{"trigger.a":{"type":"regex","pattern":"a(?=b)"}}`), "regex: the regular expression has look-ahead"},
		{"a back-reference", crit(`{"trigger.a":{"type":"regex","pattern":"(a)\\1"}}`), "regex: the regular expression has a back-reference"},
		{"an escaped backslash", crit(`{"trigger.a":{"type":"regex","pattern":"a\\\\1"}}`), ""},
		{"two values at once", crit(`{"trigger.a#1":{"type":"equals","pattern":"x"},"trigger.a#2":{"type":"equals","pattern":"y"}}`), "contradiction: never holds together with trigger.a#1"},
		{"a value without its prefix", crit(`{"trigger.a":{"type":"equals","pattern":"x"},"trigger.a#2":{"type":"startswith","pattern":"y"}}`), "contradiction:"},
		{"members that all fail", crit(`{"trigger.a":{"type":"in","pattern":["x","y"]},"trigger.a#2":{"type":"startswith","pattern":"z"}}`), "contradiction:"},
		{"an empty range", crit(`{"trigger.a":{"type":"gt","pattern":5},"trigger.a#2":{"type":"lt","pattern":5}}`), "contradiction: never holds together with trigger.a: nothing is greater"},
		{"present and absent", crit(`{"trigger.a":{"type":"nexists","pattern":1},"trigger.a#2":{"type":"exists","pattern":1}}`), "contradiction:"},
		{"search without condition", crit(`{"trigger.a":{"type":"search","pattern":{"item.x":{"type":"eq","pattern":1}}}}`), "never: search needs a condition"},
		{"a child without item", crit(`{"trigger.a":{"type":"search","condition":"any","pattern":{"trigger.x":{"type":"eq","pattern":1}}}}`), "never: the key does not begin with item"},
		{"exists for its opposite", crit(`{"trigger.a":{"type":"exists","pattern":false}}`), "reversed: exists does not look at its pattern"},
		{"a number for a prefix", crit(`{"trigger.a":{"type":"startswith","pattern":1}}`), "never: startswith takes a string"},
		{"a broken template", crit(`{"trigger.a":{"type":"eq","pattern":"{{ trigger.x"}}`), "never: the template cannot be read"},
		{"two anything-but", pat(`{"a":[{"anything-but":"x"},{"anything-but":"y"}]}`), "always: several anything-but"},
		{"exclusive conditions", pat(`{"$and":[{"a":["x"]},{"a":[{"prefix":"y"}]}]}`), "contradiction: two conditions"},
		{"conditions that meet", pat(`{"$and":[{"a":["xy"]},{"a":[{"prefix":"x"}]}]}`), ""},
		{"a mixed chain", hayate.Rule{Filters: json.RawMessage(`[{"sql":"a AND b OR c"}]`)}, "ambiguous: AND, OR"},
		{"a filter against the trigger", hayate.Rule{Trigger: hayate.Trigger{Type: "a.b"}, Filters: json.RawMessage(`[{"prefix":{"type":"x."}}]`)}, `contradiction: never holds together with the trigger: that wants "a.b"`},
		{"a filter that fits the trigger", hayate.Rule{Trigger: hayate.Trigger{Type: "a.b"}, Filters: json.RawMessage(`[{"prefix":{"type":"a."}},{"exact":{"source":"/s"}},{"suffix":{"source":"s"}}]`)}, ""},
		{"filters that exclude each other", hayate.Rule{Filters: json.RawMessage(`[{"exact":{"source":"/s"}},{"exact":{"source":"/t"}}]`)}, "contradiction: never holds together with filter 1"},
		{"no condition at all", hayate.Rule{}, "always: the rule has neither"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Pack, c.rule.Name = "p", "r"
			var got []string
			for _, f := range rules.Lint([]hayate.Rule{c.rule}) {
				got = append(got, f.Code+": "+f.Text)
			}
			if all := strings.Join(got, "\n"); c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("got %q, want %q", all, c.want)
			}
		})
	}
}

func TestLintFindsABackstopThatNeverActs(t *testing.T) {
	on := hayate.Trigger{Type: "mon.alert"}
	rs := []hayate.Rule{
		{Pack: "p", Name: "all", Enabled: true, Trigger: on, Criteria: json.RawMessage(`{}`)},
		{Pack: "p", Name: "rest", Enabled: true, Trigger: on, Kind: hayate.KindBackstop, Criteria: json.RawMessage(`{"trigger.a":{"type":"eq","pattern":1}}`)},
	}
	got := rules.Lint(rs)
	if len(got) != 1 || got[0].Code != "unreachable" || got[0].Rule != "p.rest" || !strings.Contains(got[0].Text, "p.all matches every event") {
		t.Errorf("got %+v", got)
	}
	rs[0].Enabled = false
	if got := rules.Lint(rs); len(got) != 0 {
		t.Errorf("beside a rule that is not enabled: got %+v", got)
	}
}

func TestLintGoesOnAfterAMistake(t *testing.T) {
	r := st2Rule(`{"trigger.a":{"type":"is","pattern":1},"trigger.b":{"type":"equals","pattern":"x"},"trigger.b#2":{"type":"equals","pattern":"y"},"c":{"type":"equals","pattern":1}}`)
	var got []string
	for _, f := range rules.Lint([]hayate.Rule{r}) {
		got = append(got, f.Code)
	}
	if fmt.Sprint(got) != "[invalid never contradiction]" {
		t.Errorf("got %v", got)
	}
}

func ExampleLint() {
	trigger := hayate.Trigger{Type: "mon.alert"}
	for _, f := range rules.Lint([]hayate.Rule{
		{Pack: "web", Name: "down", Trigger: trigger, Pattern: json.RawMessage(`{"state": ["DOWN"]}`)},
		{Pack: "web", Name: "page", Trigger: trigger, Pattern: json.RawMessage(`{ "state":["DOWN"] }`)},
		{Pack: "web", Name: "load", Trigger: trigger, Criteria: json.RawMessage(`{"trigger.load": {"type": "greater", "pattern": 5}}`)},
	}) {
		fmt.Println(f.Severity, f.Rule, f.Text)
	}
	// Output:
	// note web.page rule web.down has the same trigger and conditions: both fire for the same events
	// error web.load unknown operator "greater", did you mean "greaterthan"?
}
