package ruletest_test

import (
	"encoding/json"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/ruletest"
)

// endingSuite has a rule that deploys with guards, one that tells of deployments
// that failed, and one that tells of open circuit breakers.
func endingSuite(t *testing.T, guard string) *ruletest.Suite {
	s := suite(t)
	s.Content.Rules = s.Content.Rules[:1]
	if guard != "" {
		s.Content.Rules[0].Guard = json.RawMessage(guard)
	}
	told := func(name, trigger, criteria, text string) hayate.Rule {
		return hayate.Rule{Pack: "shop", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: trigger}, Criteria: json.RawMessage(criteria),
			Actions: []hayate.RuleAction{{Ref: "other.tell", Parameters: json.RawMessage(`{"text":"` + text + `"}`)}}}
	}
	s.Content.Rules = append(s.Content.Rules,
		told("alert", "core.st2.generic.actiontrigger", `{"trigger.status":{"type":"inside","pattern":["failed","timeout"]},"trigger.action_name":{"type":"equals","pattern":"shop.deploy"}}`,
			"{{ trigger.action_name }} {{ trigger.status }}: {{ trigger.result }}"),
		told("open", "hayate.rule.breaker", `{}`, "{{ trigger.rule }} since {{ trigger.opened }}"))
	return s
}

func TestExecutionsEndAsTheCaseSays(t *testing.T) {
	t.Parallel()
	event := func(after string) string {
		return "    - {type: com.github.push, data: {ref: refs/heads/main, size: 5}, after: " + after + "}\n"
	}
	head := "  at: '2026-01-05T09:00:00Z'\n  events:\n"
	breaker := `{"breaker":{"failures":2,"within":"1m","open":"10m"}}`
	for _, c := range []struct{ name, guard, text, want string }{
		{"a rule that waits for failures", "", head + event("0s") + `  executions: [{rule: shop.deploy, ends: failed, after: 30s, result: {stderr: no space}}]
  expect: [{rule: shop.deploy}, {rule: shop.alert, parameters: {text: "shop.deploy failed: {'stderr': 'no space'}"}}]
`, ""},
		{"and not for what went well", "", head + event("0s") + "  executions: [{rule: shop.deploy, ends: succeeded}]\n  expect: [{rule: shop.deploy}]\n  expect_not: ['*']\n", ""},
		{"the case says why it did not fire", "", head + event("0s") + "  executions: [{rule: shop.deploy, ends: succeeded}]\n  expect: [{rule: shop.alert}]\n",
			`✗ trigger.status inside ["failed","timeout"], found "succeeded"`},
		{"a breaker opens, tries once, and closes", breaker, head + event("0s") + event("10s") + event("20s") + event("11m") + event("12m") +
			`  executions: [{rule: shop.deploy, ends: failed, after: 5s, count: 2}, {rule: shop.deploy, ends: succeeded, after: 5s}]
  expect:
    - {rule: shop.deploy, event: 1}
    - {rule: shop.deploy, event: 2}
    - {rule: shop.deploy, event: 3, status: suppressed}
    - {rule: shop.deploy, event: 4}
    - {rule: shop.deploy, event: 5}
    - {rule: shop.alert, count: 2}
    - {rule: shop.open, parameters: {text: "shop.deploy since 2026-01-05T09:00:15Z"}}
`, ""},
		{"a breaker opens though nothing comes any more", breaker, head + event("0s") + event("10s") +
			"  executions: [{ends: timeout, after: 5s, action: shop.deploy}]\n  expect: [{rule: shop.open}, {rule: shop.deploy, count: 2}, {rule: shop.alert, count: 2}]\n  expect_not: ['*']\n", ""},
		{"a breaker that opened is open, though its failures are past", breaker, head + event("0s") + event("10s") + event("5m") +
			"  executions: [{rule: shop.deploy, ends: failed, after: 5s}]\n  expect: [{rule: shop.deploy, count: 2}, {rule: shop.deploy, event: 3, status: suppressed}]\n", ""},
		{"a probe under way holds back what comes", breaker, head + event("0s") + event("10s") + event("11m") + event("12m") +
			`  executions: [{rule: shop.deploy, event: 3, ends: running}, {rule: shop.deploy, ends: failed}]
  expect: [{rule: shop.deploy, count: 3}, {rule: shop.deploy, event: 4, status: suppressed}]
`, ""},
		{"no more at once than may be", `{"concurrent":1}`, head + event("0s") + event("10s") + event("1m") +
			"  executions: [{rule: shop.deploy, ends: succeeded, after: 30s}]\n  expect: [{rule: shop.deploy, event: 1}, {rule: shop.deploy, event: 2, status: suppressed}, {rule: shop.deploy, event: 3}]\n", ""},
		{"what was never started does not end", "", head + event("0s") + "  executions: [{rule: shop.alert, ends: failed}]\n  expect: [{rule: shop.deploy}]\n",
			"no execution was started that is to end failed"},
		{"a misspelt rule", "", head + event("0s") + "  executions: [{rule: shop.alrt, ends: failed}]\n  expect: [{rule: shop.deploy}]\n", `did you mean "shop.alert"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantProblem(t, endingSuite(t, c.guard), "- name: c\n"+c.text, c.want)
		})
	}
}

// A rule that starts what it waits for is stopped as in a server.
func TestExecutionsThatStartEachOtherEnd(t *testing.T) {
	t.Parallel()
	s := endingSuite(t, "")
	s.Content.Rules[1].Criteria = nil
	res, err := s.Run(t.Context(), &parse(t, `
- name: c
  events: [{type: com.github.push, data: {ref: refs/heads/main, size: 5}}]
  executions: [{ends: failed, after: 1s, result: {stderr: ""}}]
  expect: [{rule: shop.deploy}, {rule: shop.alert, count: 16}, {rule: shop.alert, status: loop}]
`)[0])
	if err != nil || !res.Passed {
		t.Errorf("got %+v, error %v", res.Problems, err)
	}
}

// A breaker whose mutants no case notices is found.
func TestMutantsOfABreaker(t *testing.T) {
	t.Parallel()
	s := endingSuite(t, `{"breaker":{"failures":2,"within":"1m","open":"10m"}}`)
	s.Content.Rules = s.Content.Rules[:1]
	cases := parse(t, `
- name: c
  events:
    - {type: com.github.push, data: {ref: refs/heads/main, size: 5}}
    - {type: com.github.push, data: {ref: refs/heads/main, size: 5}, after: 10s}
    - {type: com.github.push, data: {ref: refs/heads/main, size: 5}, after: 6m}
  executions: [{rule: shop.deploy, ends: failed, after: 1s}]
  expect: [{rule: shop.deploy, count: 2}, {rule: shop.deploy, status: suppressed}]
`)
	ms, err := s.Mutants(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	survived := map[string]bool{}
	for _, m := range ms {
		survived[m.Change] = !m.Killed
	}
	for change, want := range map[string]bool{"guard dropped": false, "guard.breaker.failures: 2 → 3": false, "guard.breaker.within: 1m → 2m": true, "guard.breaker.open: 10m → 5m": false} {
		if got, there := survived[change]; !there || got != want {
			t.Errorf("%s survived: %v (among the mutants: %v), want %v", change, got, there, want)
		}
	}
}
