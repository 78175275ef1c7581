package shapes

import (
	"strings"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// packs writes the suite's pack and returns the folder. Where shell actions are
// performed depends on the shape: target is "" for a host that has them, else
// that of a worker elsewhere.
func packs(t *testing.T, e *effects, target string) string {
	t.Helper()
	dir := t.TempDir()
	where := ""
	if target != "" {
		where = "target: " + target + "\n"
	}
	files := map[string]string{
		"actions/restart.yaml": "name: restart\ndescription: Restart a service.\nrunner_type: local-shell-script\nentry_point: restart.sh\nidempotent: true\n" + where +
			"expect: {stdout: is restarted}\nparameters:\n  service: {type: string, required: true, position: 0}\n  host: {type: string, required: true, position: 1}\n",
		"actions/restart.sh": "#!/bin/sh\necho \"$1 on $2 is restarted\"\n",
		"actions/measure.yaml": "name: measure\ndescription: Say how long a password is.\nrunner_type: local-shell-script\nentry_point: measure.sh\n" + where +
			"parameters:\n  password: {type: string, secret: true, position: 0}\n",
		"actions/measure.sh": "#!/bin/sh\necho \"length ${#1}, $1\"\n",
		"actions/call.yaml": "name: call\ndescription: Has an effect.\nrunner_type: http-request\nparameters:\n  n: {type: string, required: true}\n" +
			"  method: {default: POST, immutable: true, type: string}\n  url: {default: \"EFFECTS/?n={{ n | urlencode }}\", immutable: true, type: string}\n",
		"rules/restart.yaml": "name: restart\ndescription: Restart what is down.\nenabled: true\ntrigger: {type: com.zabbix.problem}\n" +
			"criteria:\n  trigger.severity: {type: inside, pattern: [High, Disaster]}\naction:\n  ref: shapes.restart\n  parameters: {service: \"{{ trigger.tags.service }}\", host: \"{{ trigger.host }}\"}\n",
		"rules/call.yaml":   "name: call\nenabled: true\ntrigger: {type: shapes.call}\naction:\n  ref: shapes.call\n  parameters: {n: \"{{ trigger.n }}\"}\n",
		"rules/secret.yaml": "name: secret\nenabled: true\ntrigger: {type: shapes.secret}\naction:\n  ref: shapes.measure\n  parameters: {password: \"{{ st2kv.system.shapes_password | decrypt_kv }}\"}\n",
	}
	for name, flow := range flows {
		files["actions/"+name+".yaml"] = "name: " + name + "\ndescription: A workflow of the suite.\nrunner_type: orquesta\nentry_point: workflows/" + name + ".yaml\n" +
			"parameters:\n  n: {type: string}\n  hosts: {type: array}\n  base: {type: integer}\n"
		files["actions/workflows/"+name+".yaml"] = flow
	}
	for path, text := range files {
		files[path] = strings.ReplaceAll(text, "EFFECTS", e.URL)
	}
	hayatetest.WritePack(t, dir, "shapes", files)
	return dir
}

// flows are the workflows of the suite.
var flows = map[string]string{
	"flow": `version: 1.0
input: [hosts, base]
vars:
  - list: [1, 2.5, true, null, {k: 値}]
tasks:
  add:
    action: core.noop
    next:
      - {when: <% succeeded() %>, publish: [{sum: <% ctx(base) + 1 %>}], do: [left, right]}
  left:
    action: shapes.call n="left"
    next: [{when: <% succeeded() %>, do: both}]
  right:
    action: shapes.call n="right"
    next: [{when: <% succeeded() %>, do: both}]
  both:
    join: all
    action: shapes.call n="joined"
    next: [{when: <% succeeded() %>, do: each}]
  each:
    with: {items: h in <% ctx(hosts) %>, concurrency: 2}
    action: shapes.call
    input: {n: "<% item(h) %>-<% ctx(sum) %>"}
    next:
      - when: <% succeeded() %>
        publish:
          - all: <% ctx(hosts).select($ + '-' + str(ctx(sum))) %>
output:
  - sum: <% ctx(sum) %>
  - all: <% ctx(all) %>
  - list: <% ctx(list) %>
`,
	"remedy": `version: 1.0
tasks:
  check:
    action: shapes.call n="refuse"
    next:
      - {when: <% succeeded() %>, do: well}
      - {when: <% failed() %>, do: repair}
  well:
    action: shapes.call n="all is well"
  repair:
    action: shapes.call n="repaired"
    next:
      - {when: <% succeeded() %>, publish: [{way: repaired}]}
output:
  - way: <% ctx(way) %>
vars:
  - way: none
`,
	"outer": `version: 1.0
input: [n]
tasks:
  inside:
    action: shapes.inner
    input: {n: <% ctx(n) %>}
    next:
      - {when: <% succeeded() %>, publish: [{deep: <% result().output.deep %>}]}
output:
  - deep: <% ctx(deep) %>
`,
	"inner": `version: 1.0
input: [n]
tasks:
  call:
    action: shapes.call
    input: {n: "<% ctx(n) %>-inner"}
output:
  - deep: <% ctx(n) %>-inner
`,
	"approve": `version: 1.0
tasks:
  ask:
    action: core.ask
    input:
      schema:
        type: object
        properties:
          approve: {type: boolean, required: true}
        additionalProperties: false
    next:
      - {when: <% succeeded() %>, publish: [{answer: <% result().response.approve %>}], do: act}
  act:
    action: shapes.call
    input: {n: "approved <% ctx(answer) %>"}
`,
	"waits": `version: 1.0
input: [n]
tasks:
  first:
    action: shapes.call
    input: {n: "<% ctx(n) %>-1"}
    next: [{when: <% succeeded() %>, do: second}]
  second:
    delay: 300
    action: shapes.call
    input: {n: "<% ctx(n) %>-2"}
`,
	"gate": `version: 1.0
input: [n]
tasks:
  first:
    action: shapes.call
    input: {n: "<% ctx(n) %>-1"}
    next: [{when: <% succeeded() %>, do: second}]
  second:
    action: shapes.call
    input: {n: "<% ctx(n) %>-2"}
`,
}
