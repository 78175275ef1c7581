package lint_test

import (
	"testing"
	"testing/fstest"

	"github.com/hayate-run/hayate/packs/lint"
)

// FuzzCheck lints files of which nothing is certain: they give findings, each in a
// file of the pack, and nothing worse.
func FuzzCheck(f *testing.F) {
	f.Add("name: a\ntrigger: {type: x.y}\ncriteria: {trigger.a: {type: equals, pattern: 1}}\naction: {ref: core.echo, parameters: {message: '{{ x'}}\n")
	f.Add("name: a\nrunner_type: orquesta\nentry_point: a.yaml\nparameters: {a: {type: string, default: '{% if'}}\n")
	f.Add("version: 1.0\ntasks: {a: {action: core.echo, input: {x: 1}, next: [{do: b}]}}\n")
	f.Add("chain: [{name: a, ref: core.local, params: {cmd: x}}]\nname: a\nrunner_type: action-chain\nentry_point: a.yaml\n")
	f.Add("version: '2.0'\nname: a\nrunner_type: mistral-v2\nentry_point: a.yaml\nw: {tasks: {a: {action: core.local cmd=x}}}\n")
	f.Add("name: a\nresource_ref: core.echo\npolicy_type: action.concurrency.attr\nparameters: {threshold: 1, attributes: [x]}\naction_ref: core.echo\nformats: ['{{ x }}']\n")
	f.Add("name: [a]\ntrigger: x\ncriteria: [1]\naction: {ref: 5, parameters: [1]}\nactions: {a: 1}\nrunner_type: {}\nparameters: [1]\n")
	f.Fuzz(func(t *testing.T, text string) {
		fsys := fstest.MapFS{"p/pack.yaml": file("ref: p\n" + packYAML)}
		for _, folder := range []string{"actions", "rules", "triggers", "sensors", "aliases", "policies"} {
			fsys["p/"+folder+"/a.yaml"] = file(text)
		}
		for _, d := range lint.Check([]lint.Pack{lint.Read(fsys, "p", "p")}) {
			if _, ok := fsys[d.File]; !ok {
				t.Errorf("a finding in %q: %s", d.File, d)
			}
		}
	})
}
