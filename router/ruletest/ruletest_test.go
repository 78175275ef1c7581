package ruletest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/ruletest"
)

const rulesYAML = `criteria:
  trigger.ref:
    type: equals
    pattern: refs/heads/main
  trigger.size:
    type: greaterthan
    pattern: 3
action:
  ref: shop.deploy
  parameters:
    branch: "{{ trigger.ref }}"
    size: "{{ trigger.size }}"
`

// suite has two rules: deploy, of criteria, and audit, of a pattern.
func suite(t *testing.T) *ruletest.Suite {
	t.Helper()
	doc, found := yamldoc.Parse([]byte(rulesYAML), yamldoc.Options{})
	if len(found) > 0 {
		t.Fatal(found)
	}
	deploy := hayate.Rule{Pack: "shop", Name: "deploy", Enabled: true, Source: "rules/deploy.yaml", Trigger: hayate.Trigger{Type: "com.github.push"},
		Criteria: doc.Get("criteria").JSON(), Actions: []hayate.RuleAction{{Ref: "shop.deploy", Parameters: doc.Get("action").Get("parameters").JSON()}}}
	audit := hayate.Rule{Pack: "shop", Name: "audit", Enabled: true, Source: "rules/audit.yaml", Trigger: hayate.Trigger{Type: "com.github.push"},
		Pattern: json.RawMessage(`{"who": ["root", {"prefix": "adm"}], "n": [{"numeric": [">", 1]}]}`),
		Actions: []hayate.RuleAction{{Ref: "other.note", Parameters: json.RawMessage(`{"who": "{{ trigger.who }}"}`)}}}
	return &ruletest.Suite{
		Content: router.Content{Packs: []router.Pack{{Ref: "shop"}}, Rules: []hayate.Rule{deploy, audit},
			Actions: []hayate.Action{{Pack: "shop", Name: "deploy", Enabled: true, Runner: "noop", Parameters: hayate.Parameters{
				{Name: "inner", Immutable: true, Default: json.RawMessage(`"x {{branch}}"`)},
				{Name: "branch", Type: "string", Schema: json.RawMessage(`{"type":"string"}`)},
				{Name: "size", Type: "integer", Schema: json.RawMessage(`{"type":"integer"}`)}}}}},
		RunnerTypes: []hayate.Runner{{Name: "noop"}},
		Documents:   map[string]*yamldoc.Node{"rules/deploy.yaml": doc},
	}
}

// parse reads cases that have no mistakes.
func parse(t *testing.T, text string) []ruletest.Case {
	t.Helper()
	pack := fstest.MapFS{
		"etc/push.json":   {Data: []byte(`{"ref":"refs/heads/main","size":5}`)},
		"etc/zabbix.json": {Data: []byte(`{"event_id":"7","event_value":"1","event_name":"down","trigger_id":"2"}`)},
	}
	cases, found := ruletest.Parse(pack, []byte(text), "t.yaml")
	if len(found) > 0 {
		t.Fatal(found)
	}
	return cases
}

// wantProblem runs a case, of which want is part of what is wrong; "" for a pass.
func wantProblem(t *testing.T, s *ruletest.Suite, text, want string) {
	t.Helper()
	res, err := s.Run(t.Context(), &parse(t, text)[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range res.Problems {
		got = append(append(got, p.Text), p.Detail...)
	}
	if all := strings.Join(got, "\n"); (want == "") != res.Passed || !strings.Contains(all, want) {
		t.Errorf("passed %v, got %q, want %q", res.Passed, all, want)
	}
}

func TestRun(t *testing.T) {
	push := "events: [{type: com.github.push, data: {ref: refs/heads/main, size: 5}}]"
	two := "events:\n    - {type: com.github.push, data: {ref: refs/heads/main, size: 5}}\n    - {type: com.github.push, after: 1m, data: {ref: refs/heads/main, size: 7}}"
	for _, c := range []struct {
		name, text string
		want       string // part of what is wrong; "" for a pass
	}{
		{"a firing", push + "\n  expect: [{rule: shop.deploy}]", ""},
		{"its parameters, cast as the action wants them", push + "\n  expect: [{rule: shop.deploy, parameters: {branch: refs/heads/main, size: 5, other: null}}]", ""},
		{"another parameter", push + "\n  expect: [{rule: shop.deploy, parameters: {size: 6}}]", "shop.deploy fired for event 1, but not as expected\n- size: 6\n+ size: 5"},
		{"a parameter that is not given", push + "\n  expect: [{rule: shop.deploy, parameters: {x: 1}}]", "+ x: nothing"},
		{"another action", push + "\n  expect: [{rule: shop.deploy, actions: [{ref: shop.x}]}]", "+ action 1: shop.deploy"},
		{"an entry for each firing", two + "\n  expect: [{rule: shop.deploy, parameters: {size: 7}}, {rule: shop.deploy, parameters: {size: 5}}]", ""},
		{"two entries that want the same firing", two + "\n  expect: [{rule: shop.deploy, parameters: {size: 7}}, {rule: shop.deploy, parameters: {size: 7}}]", "- size: 7\n+ size: 5"},
		{"a wide entry before a narrow one", two + "\n  expect: [{rule: shop.deploy}, {rule: shop.deploy, event: 1}]", ""},
		{"one firing too many", two + "\n  expect: [{rule: shop.deploy}]", "once more than expected"},
		{"one firing too few", push + "\n  expect: [{rule: shop.deploy, count: 2}]", "fired once, 1 fewer than expected"},
		{"for another event", two + "\n  expect: [{rule: shop.deploy, event: 2, count: 2}]", "(wanted for event 2)"},
		{"no firing, and why", "events: [{type: com.github.push, data: {ref: refs/heads/dev, size: 5}}]\n  expect: [{rule: shop.deploy}]",
			`event 1: ✗ trigger.ref equals "refs/heads/main", found "refs/heads/dev"`},
		{"a firing that must not be", push + "\n  expect_not: [shop.deploy]", "fired for event 1, and must not fire\n+ {\"branch\":\"refs/heads/main\",\"size\":5}"},
		{"only what is expected", push + "\n  expect_not: ['*']", "only the rules in expect may"},
		{"only what is expected, and it is", push + "\n  expect: [{rule: shop.deploy}]\n  expect_not: ['*']", ""},
		{"an event that comes twice counts once", "events: [{id: a, type: com.github.push, data: {ref: refs/heads/main, size: 5}}, {id: a, type: com.github.push, after: 1h, data: {ref: refs/heads/main, size: 5}}]\n  expect: [{rule: shop.deploy}]", ""},
		{"data of a file", "events: [{type: com.github.push, payload_file: etc/push.json}]\n  expect: [{rule: shop.deploy, parameters: {size: 5}}]", ""},
		{"what a source sent", "events: [{as: zabbix, payload_file: etc/zabbix.json}]\n  expect_not: ['*']", ""},
		{"an action of a pack that is not here", "events: [{type: com.github.push, data: {who: admin, n: 2}}]\n  expect: [{rule: shop.audit, parameters: {who: admin}}]", ""},
		{"a parameter that cannot be rendered", "events: [{type: com.github.push, data: {ref: refs/heads/main, size: 4.5}}]\n  expect: [{rule: shop.deploy}]", "shop.deploy: its firing for event 1 failed"},
		{"a failure that is expected", "events: [{type: com.github.push, data: {ref: refs/heads/main, size: 4.5}}]\n  expect: [{rule: shop.deploy, status: failed}]", ""},
		{"a misspelt rule in expect_not is no pass", push + "\n  expect_not: [shop.deplyo]", `there is no rule "shop.deplyo", did you mean "shop.deploy"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantProblem(t, suite(t), "- name: c\n  "+c.text+"\n", c.want)
		})
	}
}

// A firing that is only noted is none, unless the case says so.
func TestRunOfACountingRule(t *testing.T) {
	event := "{type: com.github.push, data: {ref: refs/heads/main, size: 5}}"
	two := "events: [" + event + ", " + event + "]\n  "
	for _, c := range []struct{ name, text, want string }{
		{"the first of two is none", "events: [" + event + "]\n  expect: [{rule: shop.deploy}]", "shop.deploy did not fire\nevent 1: noted: "},
		{"the first of two, held back", "events: [" + event + "]\n  expect: [{rule: shop.deploy, status: noted}]", ""},
		{"the second acts", two + "expect: [{rule: shop.deploy, event: 2}]", ""},
		{"both are told", two + "expect: [{rule: shop.deploy, status: noted}, {rule: shop.deploy}]", ""},
		{"wrong parameters", two + "expect: [{rule: shop.deploy, parameters: {size: 6}}]", "shop.deploy fired for event 2, but not as expected\n- size: 6\n+ size: 5"},
		{"twice where it acts once", two + "expect: [{rule: shop.deploy, count: 2}]", "shop.deploy fired once, 1 fewer than expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := suite(t)
			s.Content.Rules[0].When = json.RawMessage(`{"count":{"at_least":2,"within":"10m"}}`)
			res, err := s.Run(t.Context(), &parse(t, "- name: c\n  "+c.text+"\n")[0])
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range res.Problems {
				got = append(append(got, p.Text), p.Detail...)
			}
			if all := strings.Join(got, "\n"); (c.want == "") != res.Passed || !strings.HasPrefix(all, c.want) {
				t.Errorf("passed %v, got %q, want %q", res.Passed, all, c.want)
			}
		})
	}
}

func TestParseFindsEveryMistake(t *testing.T) {
	_, found := ruletest.Parse(fstest.MapFS{}, []byte(`- name: a
  evnts: []
- name: a
  at: yesterday
  events:
    - {type: x, after: soon}
    - {payload_file: etc/none.json}
    - {data: {}}
  keys: {token: x}
  expect: [{rule: p.r, count: 0}, {rule: p.r, status: fired}, {rule: p.r, parameters: {}, actions: []}]
  executions: [{ends: faild}, {rule: p.r}, {ends: failed, count: 0, after: -1s, status: x}]
`), "t.yaml")
	var got []string
	for _, d := range found {
		got = append(got, d.String())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{`t.yaml:2:3: unknown key "evnts" in a case, did you mean "events"?`, "t.yaml:1:3: a case needs a list of events", "t.yaml:1:3: a case needs expect",
		"t.yaml:3:9: the case in line 1 has this name already", `t.yaml:4:7: at is no RFC 3339 time: "yesterday"`, `t.yaml:6:24: after is no duration: "soon"`,
		"t.yaml:7:22: the payload cannot be read", "t.yaml:8:7: an event needs a type", `t.yaml:9:10: the key "token" has no scope`, "t.yaml:10:31: count must be",
		`t.yaml:10:55: unknown status "fired"`, `t.yaml:11:23: executions do not end "faild", did you mean "failed"?`,
		"t.yaml:11:31: an execution says how it ends", "t.yaml:11:66: count must be", `after is no duration: "-1s"`, `unknown key "status" in an execution`, "state either them or actions"} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %q in\n%s", want, all)
		}
	}
}

func TestUnknownRulesHaveAPlace(t *testing.T) {
	cases := parse(t, "- name: a\n  events: [{type: x}]\n  expect:\n    - rule: shop.deplyo\n  expect_not: [shop.audit, shop.audti]\n")
	var got []string
	for _, d := range ruletest.Unknown(cases, []hayate.Ref{"shop.deploy", "shop.audit"}) {
		got = append(got, d.String())
	}
	want := []string{`t.yaml:4:13: there is no rule "shop.deplyo", did you mean "shop.deploy"?`, `t.yaml:5:28: there is no rule "shop.audti", did you mean "shop.audit"?`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMutants(t *testing.T) {
	s := suite(t)
	weak := parse(t, "- name: weak\n  events: [{type: com.github.push, data: {ref: refs/heads/main, size: 9}}]\n  expect: [{rule: shop.deploy}]\n")
	alive := func(cases []ruletest.Case) map[string]ruletest.Mutant {
		ms, err := s.Mutants(t.Context(), cases)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]ruletest.Mutant{}
		for _, m := range ms {
			if !m.Killed && m.Rule == "shop.deploy" {
				out[m.Change] = m
			}
		}
		return out
	}
	got := alive(weak)
	for change, place := range map[string]string{
		"trigger.ref dropped":  "rules/deploy.yaml:2:3: trigger.ref dropped",
		"trigger.size dropped": "",
		"trigger.size: 3 → 4":  "rules/deploy.yaml:7:5: trigger.size: 3 → 4",
		"parameter branch of shop.deploy: \"{{ trigger.ref }}\" → another value": "",
	} {
		m, ok := got[change]
		if !ok || m.Advice == "" || place != "" && m.String() != place {
			t.Errorf("%s: got %v %q; survivors %v", change, ok, m.String(), got)
		}
	}
	for _, change := range []string{"enabled: true → false", "trigger: com.github.push → another", "trigger.ref: equals → nequals", "trigger.size: greaterthan → lessthan"} {
		if _, ok := got[change]; ok {
			t.Errorf("%s survived a case in which the rule fires", change)
		}
	}
	strong := append(weak, parse(t, `- name: boundary
  events:
    - {type: com.github.push, data: {ref: refs/heads/main, size: 3}}
    - {type: com.github.push, data: {ref: refs/heads/main, size: 4}}
    - {type: com.github.push, data: {ref: refs/heads/dev, size: 4}}
  expect: [{rule: shop.deploy, event: 2, parameters: {branch: refs/heads/main, size: 4}}]
`)...)
	if got := alive(strong); len(got) > 0 {
		t.Errorf("survivors %v", got)
	}
}

func TestMutantsOfEveryDialect(t *testing.T) {
	s := suite(t)
	s.Content.Rules = []hayate.Rule{{Pack: "shop", Name: "all", Enabled: true, Kind: hayate.KindBackstop, Trigger: hayate.Trigger{Type: "a.b", Parameters: json.RawMessage(`{"url":"x"}`)},
		Criteria: json.RawMessage(`{"trigger.l":{"type":"search","condition":"any","pattern":{"item.x":{"type":"in","pattern":["a","b"]}}},"trigger.t":{"type":"regex","pattern":"^a"}}`),
		Pattern:  json.RawMessage(`{"a":["x",{"prefix":"y"},1,true],"b":{"c":[{"anything-but":["p","q"]}]},"$or":[{"d":[{"exists":true}]},{"e":[{"numeric":[">",1,"<=",5]}]}]}`),
		Filters:  json.RawMessage(`[{"exact":{"type":"a.b"}},{"any":[{"prefix":{"id":"1"}},{"not":{"suffix":{"id":"2"}}}]},{"sql":"id = '1'"}]`)}}
	ms, err := s.Mutants(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range ms {
		if m.Killed {
			t.Errorf("%s was killed by no case", m.Change)
		}
		got = append(got, m.Change)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"trigger parameters dropped", "type: backstop → standard", "trigger.l: condition any → all", "item.x: in → nin", `item.x: "a" removed from the list`,
		"item.x dropped", `trigger.t: "^a" → "^a~"`, "a dropped", `a: "x" removed from the list`, `a: "y" → "y~"`, "a: 1 → 2", "a: true → false", "b.c: anything-but", "$or dropped", "$or.0.d exists: true → false",
		"$or.1.e: > 1 → >= 1", "$or.1.e: 5 → 4", `filter 1: exact type: "a.b" → "a.b~"`, "filter 2: any → all", "filter 2, filter 2: not removed", "filter 3:", "negated", "filter 3 dropped"} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %q in\n%s", want, all)
		}
	}
}

func TestMutantsOfWhatARuleRemembers(t *testing.T) {
	s := suite(t)
	s.Content.Rules[0].When = json.RawMessage(`{"count":{"at_least":3,"within":"10m"}}`)
	ms, err := s.Mutants(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range ms {
		if m.Kind == "past" {
			got = append(got, m.Change)
		}
	}
	if want := "when dropped; when.count.at_least: 3 → 4; when.count.at_least: 3 → 2; when.count.within: 10m → 20m; when.count.within: 10m → 5m"; strings.Join(got, "; ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "; "), want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("- name: a\n  events: [{type: x, after: 1s, data: {a: 1}}]\n  expect: [{rule: p.r, count: 2, parameters: {a: [1]}}]\n"))
	f.Add([]byte("- {name: b, at: '2026-01-01T00:00:00Z', events: [{payload_file: a, as: zabbix}], expect_not: ['*', p.r], keys: {system.a: 1}}"))
	pack := fstest.MapFS{"a": {Data: []byte(`{"event_id":"7"}`)}}
	f.Fuzz(func(t *testing.T, src []byte) {
		cases, found := ruletest.Parse(pack, src, "f.yaml")
		for i := range cases {
			if len(found) == 0 && (len(cases[i].Events) == 0 || cases[i].Name == "") {
				t.Errorf("a case without events or name was taken: %+v", cases[i])
			}
		}
	})
}
