package workflows_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

func TestRunsArePinnedToTheirDefinition(t *testing.T) {
	texts := map[string]string{
		workflows.Orquesta:    "version: 1.0\ntasks:\n  a: {action: core.noop}\n",
		workflows.ActionChain: "chain:\n  - {name: a, ref: core.noop}\n",
		workflows.Mistral:     "version: '2.0'\nw:\n  tasks:\n    a: {action: core.noop}\n",
	}
	for _, dialect := range workflows.Dialects {
		one, problems := workflows.Parse(dialect, "one", []byte(texts[dialect]), workflows.Options{})
		if len(problems) > 0 {
			t.Fatalf("%s: %+v", dialect, problems)
		}
		two, _ := workflows.Parse(dialect, "two", []byte(texts[dialect]+"# changed\n"), workflows.Options{})
		run := workflows.New(one, "r")
		if run.Status() != "" {
			t.Errorf("%s: status %q before it started", dialect, run.Status())
		}
		delta, commands, err := workflows.Step(one, run, workflows.Fact{Kind: workflows.Started})
		if err != nil || len(commands) == 0 || commands[0].Start.Action != "core.noop" {
			t.Fatalf("%s: %v, %v", dialect, commands, err)
		}
		if _, _, err := workflows.Step(two, run, workflows.Fact{Kind: workflows.PauseAsked}); !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("%s: stepped with another definition: %v", dialect, err)
		}
		if _, err := workflows.Load(two, "r", delta.Head, delta.Entries); !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("%s: loaded with another definition: %v", dialect, err)
		}
		if _, err := workflows.Load(one, "r", []byte("{"), nil); !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%s: loaded from a broken head: %v", dialect, err)
		}
		if _, err := workflows.Load(one, "r", delta.Head, nil); !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%s: loaded without entries: %v", dialect, err)
		}
		again, err := workflows.Load(one, "r", delta.Head, delta.Entries)
		if err != nil || again.Status() != run.Status() || len(again.Tasks()) != 1 {
			t.Errorf("%s: loaded %v, %v", dialect, again, err)
		}
		if g := one.Graph(); len(g.Nodes) != 1 || !g.Nodes[0].Start {
			t.Errorf("%s: graph %+v", dialect, g)
		}
	}
}

func TestUnknownDialectIsAProblem(t *testing.T) {
	def, problems := workflows.Parse("bpmn", "x", nil, workflows.Options{})
	if def != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "bpmn") {
		t.Errorf("%v %v", def, problems)
	}
}

func TestReevaluationMakesAnotherDefinition(t *testing.T) {
	text := []byte("version: 1.0\ntasks:\n  a: {action: core.noop}\n")
	off, _ := workflows.Parse(workflows.Orquesta, "x", text, workflows.Options{})
	on, _ := workflows.Parse(workflows.Orquesta, "x", text, workflows.Options{Reevaluate: true})
	if off.Digest() == on.Digest() {
		t.Error("two meanings share a digest")
	}
}
