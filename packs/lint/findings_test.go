package lint_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/hayate-run/hayate/packs/lint"
)

// A mistake is told once.
func TestCheckTellsAMistakeOnce(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"shop/pack.yaml":    file(packYAML),
		"shop/rules/a.yaml": file("name: a\ntrigger: {type: x}\nwhen: [count: 3]\naction: core.echo\n"),
		"shop/rules/b.yaml": file("# nothing\n"),
	}
	want := []string{`shop/rules/a.yaml:3:7: "when" is a list, expected a mapping`, `shop/rules/a.yaml:4:9: "action" is text, expected a mapping`,
		"shop/rules/b.yaml:1:1: the file is empty, expected a mapping"}
	wantFindings(t, checkShop(fsys), want)
}

// Foldings are no unknown key, and a rule without a name is the same as no other.
func TestCheckOfWhatIsNotOfStackStorm(t *testing.T) {
	t.Parallel()
	wantFindings(t, checkShop(fstest.MapFS{
		"shop/pack.yaml":    file(packYAML),
		"shop/rules/a.yaml": file("name: a\ntrigger: {type: x}\ncriteria: {trigger.a: {type: equals, pattern: ｻｰﾊﾞ, fold: [nfkc], folt: 1}}\naction: {ref: core.noop}\n"),
		"shop/rules/b.yaml": file("name: off\ntrigger: {type: y}\naction: {ref: core.noop}\n"),
		"shop/rules/c.yaml": file("name: c\ntrigger: {type: y}\naction: {ref: core.noop}\n"),
	}), []string{
		`shop/rules/a.yaml:3:67: warning: unknown key "folt" in a criterion, did you mean "fold"?`,
		`shop/rules/b.yaml:1:7: "name" is a boolean, expected text`,
	})
}

// What registers and does nothing, or something else than is written, is told.
func TestCheckFindsWhatNeverHappens(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"shop/pack.yaml": file(packYAML),
		"shop/rules/a.yaml": file(`name: a
trigger: {type: host.down}
criteria:
  trigger.load: {type: greaterthan, pattern: ９０}
  trigger.used: {type: lessthan, pattern: "9O"}
  trigger.version: {type: greaterthan, pattern: 2.1.0}
when:
  count: {at_least: 3, within: 10}
  per: "{{ triger.host }}/{{ event.source }}"
guard: {cooldown: 30}
action:
  ref: core.echo
  parameters: {message: "{{ triger.host }} {{ st2kv.systm.x }} {{ nothere }} {{ st2kv.system.y }} {{ cwd }}"}
`),
		"shop/rules/b.yaml": file(`name: b
trigger: {type: host.up}
action: {ref: other.x, parameters: {a: "{{ theirs }} {{ tirgger.host }}"}}
`),
		"shop/rules/feb.yaml":  file("name: feb\ntrigger: {type: core.st2.CronTimer, parameters: {day: 31, month: feb}}\naction: {ref: core.noop}\n"),
		"shop/rules/leap.yaml": file("name: leap\ntrigger: {type: core.st2.CronTimer, parameters: {day: 29, month: feb}}\naction: {ref: core.noop}\n"),
		"shop/rules/past.yaml": file("name: past\ntrigger: {type: core.st2.DateTimer, parameters: {date: '2020-01-01T00:00:00Z'}}\naction: {ref: core.noop}\n"),
		"shop/rules/next.yaml": file("name: next\ntrigger: {type: core.st2.DateTimer, parameters: {date: '2036-01-01T00:00:00Z'}}\naction: {ref: core.noop}\n"),
		"shop/policies/p.yaml": file("name: p\nresource_ref: core.local\npolicy_type: action.concurrency\nparameters: {threshold: 0}\n"),
		"shop/policies/q.yaml": file("name: q\nresource_ref: core.local\npolicy_type: action.concurrency\nparameters: {threshold: ３}\n"),
	}
	want := []string{
		`shop/policies/p.yaml:4:25: warning: with the threshold 0 the action never runs: write 1 or more, or disable the action`,
		`shop/policies/q.yaml:4:25: the parameters of action.concurrency: threshold: ３ is text, its digits are full-width; write 3`,
		`shop/rules/a.yaml:4:3: warning: the pattern "９０" is text: compared with a number it gives an error; write: pattern: 90`,
		`shop/rules/a.yaml:5:3: warning: the pattern "9O" is text: compared with a number it gives an error; write: pattern: 90`,
		`shop/rules/a.yaml:8:32: warning: when.count.within is 10 seconds; write 10s, or 10m where minutes are meant`,
		`shop/rules/a.yaml:9:8: warning: the template names "triger", which there is not, did you mean "trigger"?`,
		`shop/rules/a.yaml:10:19: warning: guard.cooldown is 30 seconds; write 30s, or 30m where minutes are meant`,
		`shop/rules/a.yaml:13:25: warning: the template names "nothere", which there is not; known are trigger, st2kv, system, action_context, config_context and the action's parameters`,
		`shop/rules/a.yaml:13:25: warning: the template names "triger", which there is not, did you mean "trigger"?`,
		`shop/rules/a.yaml:13:25: warning: st2kv has system and user, and no "systm", did you mean "system"?`,
		`shop/rules/b.yaml:3:15: warning: there is no action "other.x": its pack is not among those looked at`,
		`shop/rules/b.yaml:3:40: warning: the template names "tirgger", which there is not, did you mean "trigger"?`,
	}
	wantFindings(t, checkShop(fsys), want)
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	wantFindings(t, lint.Timers([]lint.Pack{lint.Read(fsys, "shop", "shop")}, at), []string{
		"shop/rules/feb.yaml:2:37: warning: the timer never ticks: no day that is still to come fits",
		"shop/rules/past.yaml:2:37: warning: the timer never ticks: its date has passed",
	})
}
