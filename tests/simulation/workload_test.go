package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// flows are the workflows that are disturbed.
var flows = map[string]string{
	"sequence": `
version: 1.0
input: [n]
tasks:
  one: {action: sim.work, input: {n: <% ctx(n) %>}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n + 1 %>}], do: two}]}
  two: {action: sim.work, input: {n: <% ctx(x) %>}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n + 1 %>}], do: three}]}
  three: {action: sim.work, delay: 1, input: {n: <% ctx(x) %>}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n + 1 %>}]}]}
output: [{x: <% ctx(x) %>}]
`,
	"fan": `
version: 1.0
input: [n]
tasks:
  begin: {action: sim.work, input: {n: 0}, next: [{do: [left, middle, right]}]}
  left: {action: sim.work, input: {n: 1}, next: [{publish: [{l: <% result().n %>}], do: joined}]}
  middle: {action: sim.work, input: {n: 20}, next: [{publish: [{m: <% result().n %>}], do: joined}]}
  right: {action: sim.work, input: {n: 300}, next: [{publish: [{r: <% result().n %>}], do: joined}]}
  joined: {join: all, action: sim.work, input: {n: <% ctx(l) + ctx(m) + ctx(r) %>}, next: [{publish: [{sum: <% result().n %>}]}]}
output: [{sum: <% ctx(sum) %>}]
`,
	"items": `
version: 1.0
input: [n]
tasks:
  many:
    with: {items: <% range(5).toList() %>, concurrency: 2}
    action: sim.work
    input: {n: <% item() %>}
    next: [{publish: [{all: <% result() %>}]}]
output: [{all: <% ctx(all) %>}]
`,
	"retry": `
version: 1.0
input: [n]
tasks:
  flaky: {action: sim.flaky, input: {n: <% ctx(n) %>}, retry: {count: 3, delay: 2}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n %>}]}]}
output: [{x: <% ctx(x) %>}]
`,
	"outer": `
version: 1.0
input: [n]
tasks:
  begin: {action: sim.work, input: {n: 0}, next: [{do: [inner, beside]}]}
  inner: {action: sim.sequence, input: {n: <% ctx(n) %>}, next: [{when: <% succeeded() %>, publish: [{x: <% result().output.x %>}], do: joined}]}
  beside: {action: sim.items, input: {n: 1}, next: [{do: joined}]}
  joined: {join: all, action: sim.work, input: {n: <% ctx(x) %>}}
output: [{x: <% ctx(x) %>}]
`,
	"loop": `
version: 1.0
input: [n]
vars: [{i: 0}]
tasks:
  begin: {action: sim.work, input: {n: 0}, next: [{do: turn}]}
  turn:
    action: sim.work
    input: {n: <% ctx(i) %>}
    next:
      - {when: <% succeeded() and ctx(i) < 3 %>, publish: [{i: <% ctx(i) + 1 %>}], do: turn}
output: [{i: <% ctx(i) %>}]
`,
	"handler": `
version: 1.0
input: [n]
tasks:
  bad: {action: sim.fail, input: {n: 1}, next: [{when: <% failed() %>, publish: [{how: handled}], do: tidy}]}
  tidy: {action: sim.work, input: {n: 2}}
output: [{how: <% ctx(how) %>}]
`,
	"once": `
version: 1.0
input: [n]
tasks:
  touch:
    action: sim.effect
    input: {n: <% ctx(n) %>}
    next:
      - {when: <% succeeded() %>, publish: [{how: done}], do: tidy}
      - {when: <% failed() %>, publish: [{how: unknown}], do: tidy}
  tidy: {action: sim.work, input: {n: 2}}
output: [{how: <% ctx(how) %>}]
`,
}

// flowNames are the workflows in a fixed order.
var flowNames = []string{"sequence", "fan", "items", "retry", "outer", "loop", "handler", "once"}

// content is what is registered: an event runs two plain actions by one rule and
// the workflow it names by another.
func content() router.Content {
	n := hayate.Parameters{{Name: "n", Type: "integer", Schema: json.RawMessage(`{"type":"integer"}`)}}
	act := func(name, runner string, idempotent bool) hayate.Action {
		return hayate.Action{Pack: "sim", Name: name, Runner: runner, Enabled: true, Parameters: n, Idempotent: idempotent}
	}
	pass := json.RawMessage(`{"n":"{{ trigger.n }}"}`)
	c := router.Content{
		Actions: []hayate.Action{act("work", "sim", true), act("effect", "sim", false), act("flaky", "sim", true), act("fail", "sim", true)},
		Rules: []hayate.Rule{{Pack: "sim", Name: "every", Enabled: true, Trigger: hayate.Trigger{Type: "sim.alert"},
			Actions: []hayate.RuleAction{{Ref: "sim.work", Parameters: pass}, {Ref: "sim.effect", Parameters: pass}}}},
		Workflows: map[hayate.Ref][]byte{},
	}
	for _, name := range flowNames {
		ref := hayate.NewRef("sim", name)
		c.Actions = append(c.Actions, act(name, "orquesta", false))
		c.Workflows[ref] = []byte(flows[name])
		c.Rules = append(c.Rules, hayate.Rule{Pack: "sim", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: "sim.alert"},
			Criteria: json.RawMessage(fmt.Sprintf(`{"trigger.flow":{"type":"equals","pattern":%q}}`, name)),
			Actions:  []hayate.RuleAction{{Ref: ref, Parameters: pass}}})
	}
	return c
}

// runner performs the actions of one process.
type runner struct{ p *process }

// Describe implements router.Runner.
func (r runner) Describe() []hayate.Runner { return []hayate.Runner{{Name: "sim"}} }

// Run takes some time, has its effect in the middle of it, and stops when it is
// told to. A dead process has no effect.
func (r runner) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	w := r.p.w
	if r.p.isDead() {
		return hayate.Result{}, errWorld
	}
	w.observed.began(&t)
	rnd := w.plan.random(fmt.Sprintf("perform %s %d", t.Execution, t.Attempt))
	before, after := time.Duration(rnd.IntN(1500))*time.Millisecond, time.Duration(rnd.IntN(1500))*time.Millisecond
	if f, _ := w.plan.next("perform", fmt.Sprintf("%s attempt %d", t.Execution, t.Attempt)); f.kind == slow {
		after += f.d // it hangs
	}
	pauseFor(ctx, before)
	if ctx.Err() != nil || r.p.isDead() {
		return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
	}
	w.observed.effect(&t)
	pauseFor(ctx, after)
	if ctx.Err() != nil {
		return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
	}
	var c struct {
		Orquesta struct {
			Attempt int `json:"task_attempt"`
		}
	}
	if err := json.Unmarshal(t.Context, &c); err != nil {
		return hayate.Result{}, err
	}
	res := hayate.Result{Status: hayate.StatusSucceeded, Value: t.Parameters}
	if name := t.Action.Name; name == "fail" || name == "flaky" && c.Orquesta.Attempt < 2 {
		res.Status = hayate.StatusFailed
	}
	return res, nil
}
