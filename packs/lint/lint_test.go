package lint_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/packs/lint"
)

const packYAML = "name: shop\ndescription: d\nversion: 1.2.3\nauthor: a\nemail: e@example.com\npipefail: true\n"

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// checkShop checks the pack shop alone.
func checkShop(fsys fs.FS) []packs.Diagnostic {
	return lint.Check([]lint.Pack{lint.Read(fsys, "shop", "shop")})
}

// texts are findings as a user reads them.
func texts(found []packs.Diagnostic) []string {
	out := make([]string, len(found))
	for i, d := range found {
		out[i] = d.String()
	}
	return out
}

func wantFindings(t *testing.T, found []packs.Diagnostic, want []string) {
	t.Helper()
	if got := texts(found); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestShippedPacksAreClean(t *testing.T) {
	t.Parallel()
	entries, err := fs.ReadDir(packs.Shipped(), ".")
	if err != nil {
		t.Fatal(err)
	}
	var all []lint.Pack
	for _, e := range entries {
		all = append(all, lint.Read(packs.Shipped(), e.Name(), e.Name()))
	}
	if found := lint.Check(all); len(found) > 0 {
		t.Error(found)
	}
}

func TestCheckFollowsReferences(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"shop/pack.yaml":           file(packYAML),
		"shop/triggers/sold.yaml":  file("name: sold\n"),
		"shop/aliases/say.yaml":    file("name: say\naction_ref: core.ecoh\nformats: [say]\n"),
		"shop/policies/retry.yaml": file("name: again\nresource_ref: shop.sell\npolicy_type: action.retry\nparameters: {retry_on: timeout}\n"),
		"shop/rules/a.yaml": file(`name: a
trigger: {type: shop.sodl}
action:
  ref: core.echo
  parameters:
    mesage: hello
    cmd: rm
actions:
  - {ref: core.remote, parameters: {cmd: x, hosts: y}}
  - {ref: core.remote, parameters: {cmd: x, timeout: 5, dir: z}}
`),
		"shop/rules/b.yaml": file("name: b\ntrigger: {type: com.github.push}\nactions: [{ref: core.noop}, {ref: nope.x}]\n"),
	}
	want := []string{
		`shop/aliases/say.yaml:2:13: warning: there is no action "core.ecoh", did you mean "core.echo"?`,
		`shop/policies/retry.yaml:2:15: warning: there is no action "shop.sell"`,
		`shop/rules/a.yaml:2:17: warning: there is no trigger type "shop.sodl", did you mean "shop.sold"?`,
		`shop/rules/a.yaml:4:8: warning: the action "core.echo" requires the parameter "message"`,
		`shop/rules/a.yaml:6:13: warning: the action "core.echo" takes no parameter "mesage", did you mean "message"?`,
		`shop/rules/a.yaml:7:10: warning: the parameter "cmd" of the action "core.echo" is immutable`,
		`shop/rules/a.yaml:10:11: warning: the action "core.remote" requires the parameter "hosts"`,
		`shop/rules/a.yaml:10:62: warning: the parameter "dir" of the action "core.remote" is immutable`,
		`shop/rules/b.yaml:3:35: warning: there is no action "nope.x": its pack is not among those looked at`,
	}
	wantFindings(t, checkShop(fsys), want)
}

// The events that rules themselves give rise to are trigger types like others.
func TestCheckKnowsTheEventsOfRules(t *testing.T) {
	t.Parallel()
	rule := func(name, trigger, field string) *fstest.MapFile {
		return file("name: " + name + "\ntrigger: {type: hayate.rule." + trigger + "}\ncriteria: {trigger." + field + ": {type: eq, pattern: shop.till}}\naction: {ref: core.noop}\n")
	}
	wantFindings(t, checkShop(fstest.MapFS{
		"shop/pack.yaml":          file(packYAML),
		"shop/rules/absent.yaml":  rule("absent", "absent", "rule"),
		"shop/rules/breaker.yaml": rule("breaker", "breaker", "rule"),
		"shop/rules/resumed.yaml": rule("resumed", "resumed", "rule"),
		"shop/rules/typo.yaml":    rule("typo", "absnt", "rule"),
		"shop/rules/wrong.yaml":   rule("wrong", "absent", "rul"),
	}), []string{
		`shop/rules/typo.yaml:2:17: warning: there is no trigger type "hayate.rule.absnt", did you mean "hayate.rule.absent"?`,
		`shop/rules/wrong.yaml:3:12: warning: the payload of hayate.rule.absent has no "rul", did you mean "trigger.rule"?`,
	})
}

func TestCheckFindsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"shop/pack.yaml": file(packYAML),
		"shop/triggers/sold.yaml": file(`name: sold
payload_schema: {type: object, properties: {amount: {type: number}, customer: {type: object}}}
`),
		"shop/actions/ship.yaml": file(`name: ship
runner_type: local-shell-script
entry_point: shipp.sh
parameters:
  address: {type: string, required: true}
  note: {type: string, default: "{{ address"}
  weight: {type: integer}
`),
		"shop/actions/ship.sh": file("#!/bin/sh\n"),
		"shop/actions/call.yaml": file(`name: call
runner_type: http-request
parameters:
  url: {default: "http://localhost"}
  timeot: {type: integer, default: 5}
`),
		"shop/actions/flow.yaml": file("name: flow\nrunner_type: orquesta\nentry_point: workflows/flow.yaml\n"),
		"shop/actions/workflows/flow.yaml": file(`version: 1.0
tasks:
  one:
    action: shop.ship
    input: {adress: x}
    next: [{when: <% succeeded( %>, do: two}]
  two:
    action: shop.shipp
  three:
    action: nope.other
    next: [{do: four}]
`),
		"shop/actions/old.yaml": file("name: old\nrunner_type: action-chain\nentry_point: chains/old.yaml\n"),
		"shop/actions/chains/old.yaml": file(`chain:
  - name: a
    ref: shop.ship
    params: {address: x, weigth: 1}
`),
		"shop/actions/older.yaml": file("name: older\nrunner_type: mistral-v2\nentry_point: workflows/older.yaml\n"),
		"shop/actions/workflows/older.yaml": file(`version: '2.0'
shop.older:
  tasks:
    a:
      action: shop.ship
`),
		"shop/rules/a.yaml": file(`name: a
trigger: {type: shop.sold}
criteria:
  trigger.amuont: {type: gt, pattern: 5}
  trigger.customer: {type: equals, pattern: x}
  trigger.customer#2: {type: equals, pattern: y}
  trigger.text: {type: regex, pattern: "("}
  amount: {type: equals, pattern: 1}
action:
  ref: shop.ship
  parameters:
    address: "{{ trigger.address }"
    weight: heavy
`),
		"shop/rules/b.yaml": file(`name: b
trigger: {type: shop.sold}
criteria:
  trigger.amount: {type: greater, pattern: 5}
  trigger.amount#2: {type: regex, pattern: "a(?=b)"}
action: {ref: shop.shop}
`),
		"shop/rules/c.yaml": file(`name: c
trigger: {type: shop.sold}
pattern: {amount: 5, customer: {name: [{prefx: a}]}}
action: {ref: core.noop}
`),
		"shop/rules/d.yaml":       file("name: d\ntrigger: {type: shop.sold}\ncriteria: {trigger.amount: {type: gt, pattern: 1}}\naction: {ref: core.noop}\n"),
		"shop/rules/e.yaml":       file("name: e\ntrigger: {type: shop.sold}\ncriteria: {trigger.amount: {pattern: 1, type: gt}}\naction: {ref: core.noop}\n"),
		"shop/aliases/ship.yaml":  file("name: ship\naction_ref: shop.ship\nformats: ['ship to {{ adress }}']\nack: {format: '{{ x'}\n"),
		"shop/policies/one.yaml":  file("name: one\nresource_ref: shop.ship\npolicy_type: action.concurrency.attr\nparameters: {threshold: 1, attributes: [adress]}\n"),
		"shop/sensors/watch.yaml": file("class_name: Watch\nentry_point: watch.py\nname: w\ntrigger_types: []\n"),
	}
	want := `shop/actions/call.yaml:5:3: warning: the runner "http-request" has no parameter "timeot", and nothing of the action uses it, did you mean "timeout"?
shop/actions/chains/old.yaml:3:10: Action "shop.ship" has unexpected input "weigth".
shop/actions/older.yaml:2:14: warning: the runner "mistral-v2"
shop/actions/ship.yaml:3:14: warning: the entry point "shipp.sh" is not in the pack: there is no file actions/shipp.sh, did you mean "ship.sh"?
shop/actions/ship.yaml:6:33: the template cannot be read
shop/actions/workflows/flow.yaml:5:5: Action "shop.ship" is missing required input "address".
shop/actions/workflows/flow.yaml:5:5: Action "shop.ship" has unexpected input "adress".
shop/actions/workflows/flow.yaml:6:19: Parse error
shop/actions/workflows/flow.yaml:8:13: there is no action "shop.shipp", did you mean "shop.ship"?
shop/actions/workflows/flow.yaml:10:13: warning: there is no action "nope.other": its pack is not among those looked at
shop/actions/workflows/flow.yaml:11:17: The task "four" is not defined.
shop/actions/workflows/older.yaml:5:15: Action "shop.ship" is missing required input "address".
shop/aliases/ship.yaml:3:11: warning: the action "shop.ship" takes no parameter "adress", did you mean "address"?
shop/aliases/ship.yaml:4:15: the template cannot be read
shop/policies/one.yaml:4:41: warning: the action "shop.ship" takes no parameter "adress", did you mean "address"?
shop/rules/a.yaml:4:3: warning: the payload of shop.sold has no "amuont", did you mean "trigger.amount"?
shop/rules/a.yaml:6:3: warning: never holds together with trigger.customer: that wants "x"
shop/rules/a.yaml:7:3: warning: the pattern is no regular expression
shop/rules/a.yaml:8:3: warning: the key does not begin with trigger: it leads nowhere; write: trigger.amount
shop/rules/a.yaml:12:14: the template cannot be read
shop/rules/a.yaml:13:13: warning: the parameter "weight" takes an integer, found text
shop/rules/b.yaml:4:26: unknown operator "greater", did you mean "greaterthan"?
shop/rules/b.yaml:5:3: warning: the regular expression has look-ahead
shop/rules/b.yaml:6:15: warning: there is no action "shop.shop", did you mean "shop.ship"?
shop/rules/c.yaml:3:19: amount: must be a list of allowed values, found the number 5; write [5]
shop/rules/c.yaml:3:33: customer.name: unknown operator "prefx", did you mean "prefix"?
shop/rules/e.yaml:2:1: warning: rule shop.d has the same trigger and conditions: both fire for the same events
shop/sensors/watch.yaml:2:14: warning: the entry point "watch.py" is not in the pack`
	got := texts(checkShop(fsys))
	lines := strings.Split(want, "\n")
	for i := range max(len(lines), len(got)) {
		if i >= len(lines) || i >= len(got) || !strings.HasPrefix(got[i], lines[i]) {
			t.Fatalf("line %d differs; got\n%s\nwant\n%s", i+1, strings.Join(got, "\n"), want)
		}
	}
}

// TestCorpusRegistration holds the errors of every file of the corpus against
// what StackStorm's registration says of it: warnings are all that hayate adds.
func TestCorpusRegistration(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Corpus(t)
	raw, err := os.ReadFile(filepath.Join(dir, "expected", "registration.json"))
	if err != nil {
		t.Skipf("no corpus of packs: set HAYATE_CORPUS (%v)", err)
	}
	var want map[string]string
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	fsys := os.DirFS(filepath.Join(dir, "packs"))
	names := map[string]bool{}
	var all []lint.Pack
	for file := range want {
		pack, _, _ := strings.Cut(file, "/")
		if !names[pack] {
			names[pack] = true
			all = append(all, lint.Read(fsys, pack, pack))
		}
	}
	slices.SortFunc(all, func(a, b lint.Pack) int { return strings.Compare(a.Name, b.Name) })
	failed, old := map[string]string{}, map[string]bool{}
	n := 0
	for _, d := range lint.Check(all) {
		n++
		switch {
		case d.Severity == packs.Error:
			failed[d.File] = d.String()
		case d.Code == "old-runner" || d.Code == "removed-runner":
			old[d.File] = true
		}
	}
	for file, verdict := range want {
		if refused := strings.HasPrefix(verdict, "refused"); refused != (failed[file] != "") && !(refused && old[file]) {
			t.Errorf("%s: StackStorm says %s, lint says %q", file, verdict, failed[file])
		}
	}
	t.Logf("%d files of %d packs, %d findings", len(want), len(all), n)
}
