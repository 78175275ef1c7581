package simulation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/router"
)

const (
	base     = 1000 // what the datastore holds under system.base
	inline   = 200  // bytes of results that are kept inline
	longText = 400  // bytes that sim.large adds to its result
)

var number = hayate.Parameters{{Name: "n", Type: "integer", Schema: json.RawMessage(`{"type":"integer"}`)}}

// action is one that the simulation's runner performs, or a workflow.
func action(name, runner string, idempotent bool) hayate.Action {
	return hayate.Action{Pack: "sim", Name: name, Runner: runner, Enabled: true, Parameters: number, Idempotent: idempotent}
}

// actions are what the simulation's runner performs, and the question.
func actions() []hayate.Action {
	var list []hayate.Action
	for _, name := range []string{"work", "flaky", "fail", "large", "few", "tried", "timed", "bad"} {
		list = append(list, action(name, "sim", true))
	}
	for _, name := range []string{"effect", "keyed", "solo"} {
		list = append(list, action(name, "sim", false))
	}
	kept := action("kept", "sim", true)
	kept.Parameters = hayate.Parameters{{Name: "n", Type: "string", Default: json.RawMessage(`"{{ st2kv.system.base }}"`), Schema: json.RawMessage(`{"type":"string"}`)}}
	ask := action("ask", "inquirer", false)
	ask.Parameters = hayate.Parameters{{Name: "ttl", Default: json.RawMessage(`1`)},
		{Name: "schema", Default: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","required":true}}}`)}}
	return append(list, kept, ask)
}

// limit is how many executions of an action a policy lets run at once.
type limit struct {
	most  int
	keyed bool // apart for each value of n
}

var limits = map[hayate.Ref]limit{"sim.few": {2, false}, "sim.keyed": {1, true}, "sim.solo": {1, false}}

// retryLimits says how often a policy retries an action, and what.
var retryLimits = map[hayate.Ref]struct {
	most int
	on   hayate.Status
}{"sim.tried": {2, hayate.StatusFailed}, "sim.timed": {1, hayate.StatusTimeout}}

func policies() []hayate.Policy {
	of := func(name, of, typ, params string) hayate.Policy {
		return hayate.Policy{Pack: "sim", Name: name, Enabled: true, ResourceRef: hayate.NewRef("sim", of), Type: typ, Parameters: json.RawMessage(params)}
	}
	return []hayate.Policy{
		of("few", "few", hayate.PolicyConcurrency, `{"threshold":2,"action":"delay"}`),
		of("keyed", "keyed", hayate.PolicyConcurrencyAttr, `{"threshold":1,"action":"delay","attributes":["n"]}`),
		of("solo", "solo", hayate.PolicyConcurrency, `{"threshold":1,"action":"cancel"}`),
		of("tried", "tried", hayate.PolicyRetry, `{"retry_on":"failure","max_retry_count":2,"delay":1}`),
		of("timed", "timed", hayate.PolicyRetry, `{"retry_on":"timeout","max_retry_count":1,"delay":2}`),
	}
}

var pass = json.RawMessage(`{"n":"{{ trigger.n }}"}`)

func rule(name, trigger string, ref hayate.Ref, params json.RawMessage) hayate.Rule {
	return hayate.Rule{Pack: "sim", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: trigger}, Actions: []hayate.RuleAction{{Ref: ref, Parameters: params}}}
}

// content is what is registered: an event runs two plain actions by one rule and
// the workflow it names by another. Some themes add rules.
func content(th themes, start time.Time) router.Content {
	every := rule("every", "sim.alert", "sim.work", pass)
	every.Actions = append(every.Actions, hayate.RuleAction{Ref: "sim.effect", Parameters: pass})
	c := router.Content{Actions: actions(), Policies: policies(), Rules: []hayate.Rule{every}, Workflows: map[hayate.Ref][]byte{}}
	for _, name := range slices.Concat(flowNames, flowsApart) {
		ref := hayate.NewRef("sim", name)
		c.Actions = append(c.Actions, action(name, "orquesta", false))
		c.Workflows[ref] = []byte(flows[name])
		r := rule(name, "sim.alert", ref, pass)
		r.Criteria = json.RawMessage(fmt.Sprintf(`{"trigger.flow":{"type":"equals","pattern":%q}}`, name))
		c.Rules = append(c.Rules, r)
	}
	if th[triggers] {
		c.Rules = append(c.Rules, afterRule())
	}
	if th[windows] {
		c.Rules = append(c.Rules, pastRules()...)
	}
	if th[timers] {
		c.Rules = append(c.Rules, timerRules(start)...)
	}
	return c
}

// afterRule does something once an effect has ended well.
func afterRule() hayate.Rule {
	r := rule("after", router.TriggerAction, "sim.work", json.RawMessage(`{"n":7}`))
	r.Criteria = json.RawMessage(`{"trigger.action_ref":{"type":"equals","pattern":"sim.effect"},"trigger.status":{"type":"equals","pattern":"succeeded"}}`)
	return r
}

// pastRules are rules that remember, all by host.
func pastRules() []hayate.Rule {
	var list []hayate.Rule
	for _, r := range []struct{ name, when, guard string }{
		{"counted", `{"per":"{{ trigger.host }}","count":{"at_least":3,"within":"30s"}}`, ""},
		{"first", `{"per":"{{ trigger.host }}","once":"20s"}`, ""},
		{"away", `{"per":"{{ trigger.host }}","expected":{"every":"25s"}}`, ""},
		{"cooled", `{"per":"{{ trigger.host }}"}`, `{"cooldown":"15s","budget":{"most":4,"within":"40s"}}`},
	} {
		x := rule(r.name, "sim.pulse", "sim.work", json.RawMessage(`{"n":5}`))
		x.When = json.RawMessage(r.when)
		if r.guard != "" {
			x.Guard = json.RawMessage(r.guard)
		}
		list = append(list, x)
	}
	return list
}

const (
	tickEvery = 7 * time.Second
	onceAfter = 40 * time.Second
)

// timerRules tick: one again and again, until it is switched off, one once.
func timerRules(start time.Time) []hayate.Rule {
	tick, once := rule("tick", cron.IntervalTimer, "sim.work", json.RawMessage(`{"n":8}`)), rule("punctual", cron.DateTimer, "sim.effect", json.RawMessage(`{"n":9}`))
	tick.Trigger.Parameters = json.RawMessage(`{"unit":"seconds","delta":7}`)
	once.Trigger.Parameters = json.RawMessage(fmt.Sprintf(`{"date":%q}`, start.Add(onceAfter).UTC().Format(time.RFC3339)))
	return []hayate.Rule{tick, once}
}
