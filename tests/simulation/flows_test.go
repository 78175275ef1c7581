package simulation_test

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
	"big": `
version: 1.0
input: [n]
tasks:
  large: {action: sim.large, input: {n: <% ctx(n) %>}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n %>}, {long: <% len(result().text) %>}], do: after}]}
  after: {action: sim.work, input: {n: <% ctx(x) + ctx(long) %>}, next: [{publish: [{x: <% result().n %>}]}]}
output: [{x: <% ctx(x) %>}]
`,
	"keeps": `
version: 1.0
input: [n]
tasks:
  add: {action: sim.work, input: {n: <% int(st2kv('system.base')) + ctx(n) %>}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n %>}], do: default}]}
  default: {action: sim.kept, next: [{when: <% succeeded() %>, publish: [{x: <% ctx(x) + int(result().n) %>}]}]}
output: [{x: <% ctx(x) %>}]
`,
	"breaks": `
version: 1.0
input: [n]
vars: [{sum: 0}]
tasks:
  begin: {action: sim.work, input: {n: 0}, next: [{do: good}]}
  good: {action: sim.work, input: {n: 1}, next: [{when: <% succeeded() %>, publish: [{g: <% result().n %>}], do: bad}]}
  bad: {action: sim.bad, input: {n: 20}, next: [{when: <% succeeded() %>, publish: [{b: <% result().n %>}], do: after}]}
  after: {action: sim.work, input: {n: <% ctx(g) + ctx(b) %>}, next: [{publish: [{sum: <% result().n %>}]}]}
output: [{sum: <% ctx(sum) %>}]
`,
	"governed": `
version: 1.0
input: [n]
tasks:
  crowd:
    with: <% range(4).toList() %>
    action: sim.few
    input: {n: <% item() %>}
    next: [{when: <% succeeded() %>, publish: [{all: <% result().select($.n) %>}], do: tried}]
  tried: {action: sim.tried, input: {n: 2}, next: [{when: <% succeeded() %>, publish: [{x: <% result().n %>}]}]}
output: [{x: <% ctx(x) %>}, {all: <% ctx(all) %>}]
`,
	"asks": `
version: 1.0
input: [n]
vars: [{how: unknown}, {go: 0}]
tasks:
  ask:
    action: sim.ask
    next:
      - {when: <% succeeded() %>, publish: [{how: answered}, {go: <% result().response.n %>}], do: after}
      - {when: <% failed() %>, publish: [{how: late}], do: after}
  after: {action: sim.work, input: {n: 1}}
output: [{how: <% ctx(how) %>}, {go: <% ctx(go) %>}]
`,
}

// flowNames are the workflows that end of themselves and well, in a fixed order.
var flowNames = []string{"sequence", "fan", "items", "retry", "outer", "loop", "handler", "once", "big", "keeps", "governed"}

// flowsApart are those that some themes know how to go about.
var flowsApart = []string{"breaks", "asks"}
