// Package cluster tests several processes of the real binary on one MongoDB and
// one RabbitMQ.
package cluster

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// The servers that the tests share; each test has a database and a virtual host of its own.
var (
	database mongotest.Server
	rabbit   rabbittest.Node
)

func TestMain(m *testing.M) {
	code := hayatetest.Main(m)
	database.Stop()
	rabbit.Stop()
	os.Exit(code)
}

// cluster is what the processes of a test share.
type cluster struct {
	store, queue string
	keys         string
	effects      string // the file in which actions count their effects
}

func newCluster(t *testing.T, queue string) *cluster {
	t.Helper()
	dir := t.TempDir()
	return &cluster{store: database.Database(t), queue: queue, keys: filepath.Join(dir, "keys"), effects: filepath.Join(dir, "effects")}
}

// start starts a process of the cluster.
func (c *cluster) start(t *testing.T, packs string, args ...string) *hayatetest.Server {
	t.Helper()
	return hayatetest.Start(t, hayatetest.Options{Packs: packs,
		Args: append([]string{"--store", c.store, "--queue", c.queue, "--keys", c.keys}, args...)})
}

// packs writes a pack whose rule notes the idempotency key of each event's effect
// in the file, and a workflow of three such steps.
func (c *cluster) packs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	note := "#!/bin/sh\necho \"$HAYATE_IDEMPOTENCY_KEY $1\" >> \"" + c.effects + "\"\n"
	hayatetest.WritePack(t, dir, "ops", map[string]string{
		"actions/note.yaml": "name: note\nrunner_type: local-shell-script\nentry_point: note.sh\nparameters:\n  n:\n    type: string\n    position: 0\n",
		"actions/note.sh":   note,
		"actions/flow.yaml": "name: flow\nrunner_type: orquesta\nentry_point: workflows/flow.yaml\nparameters:\n  n:\n    type: string\n",
		"actions/workflows/flow.yaml": `version: 1.0
input:
  - n
tasks:
  one:
    action: ops.note
    input: {n: "<% ctx(n) %>-1"}
    next: [{when: "<% succeeded() %>", do: two}]
  two:
    action: ops.note
    input: {n: "<% ctx(n) %>-2"}
    next: [{when: "<% succeeded() %>", do: three}]
  three:
    action: ops.note
    input: {n: "<% ctx(n) %>-3"}
`,
		"rules/note.yaml":   "name: note\nenabled: true\ntrigger:\n  type: test.note\naction:\n  ref: ops.note\n  parameters:\n    n: \"{{ trigger.n }}\"\n",
		"rules/far.yaml":    "name: far\nenabled: true\ntrigger:\n  type: test.far\naction:\n  ref: ops.note\n  target: amqp:tokyo\n  parameters:\n    n: \"{{ trigger.n }}\"\n",
		"actions/slow.yaml": "name: slow\nrunner_type: local-shell-script\nentry_point: slow.sh\ntarget: amqp:tokyo\nparameters:\n  n:\n    type: string\n    position: 0\n  until:\n    type: string\n    position: 1\n",
		"actions/slow.sh":   "#!/bin/sh\necho \"$HAYATE_IDEMPOTENCY_KEY $1\" >> \"" + c.effects + "\"\nwhile [ ! -e \"$2\" ]; do sleep 0.1; done\necho done\n",
		"rules/flow.yaml":   "name: flow\nenabled: true\ntrigger:\n  type: test.flow\naction:\n  ref: ops.flow\n  parameters:\n    n: \"{{ trigger.n }}\"\n",
	})
	return dir
}

// noted reads the effects: how often each was had, by its parameter.
func (c *cluster) noted(t *testing.T) map[string]int {
	t.Helper()
	b, err := os.ReadFile(c.effects)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out, keys := map[string]int{}, map[string]bool{}
	for line := range strings.Lines(string(b)) {
		key, n, _ := strings.Cut(strings.TrimSpace(line), " ")
		if keys[key] {
			t.Errorf("the effect with key %s was had twice", key)
		}
		keys[key] = true
		out[n]++
	}
	return out
}

// awaitEnd waits until as many executions of the cluster have ended as there should be.
func awaitEnd(t *testing.T, s *hayatetest.Server, limit time.Duration, want int) {
	t.Helper()
	hayatetest.Eventually(t, limit, fmt.Sprintf("%d executions have ended", want), func() (bool, string) {
		counts, n := map[string]int{}, 0
		r, err := s.Try(http.MethodGet, "/readyz", nil)
		if err != nil || r.Status != http.StatusOK {
			return false, fmt.Sprint(r.Status, err)
		}
		for _, x := range s.Executions(t, "") {
			counts[x.Status]++
			if x.Ended() {
				n++
			}
		}
		return n == want, fmt.Sprint(counts)
	})
}

func TestOneOfTwoProcessesDiesAndTheOtherGoesOn(t *testing.T) {
	c := newCluster(t, rabbit.VirtualHost(t))
	a := c.start(t, c.packs(t), "--lease", "3s")
	b := c.start(t, "", "--lease", "3s") // it has the packs from the store
	hayatetest.Eventually(t, 10*time.Second, "both know the rules", func() (bool, string) {
		n := b.Count(t, "rules", "")
		return n == 3, fmt.Sprint(n)
	})
	const events, flows = 40, 10
	send := func(s *hayatetest.Server, typ string, from, to int) {
		for i := from; i < to; i++ {
			s.Send(t, hayatetest.Event("//test", fmt.Sprint(typ, i), typ, fmt.Sprintf(`{"n":"%s%d"}`, typ, i)))
		}
	}
	send(a, "test.note", 0, events/2)
	send(b, "test.flow", 0, flows)
	send(b, "test.note", events/2, events)
	a.Kill()
	awaitEnd(t, b, 60*time.Second, events+4*flows)
	effects := c.noted(t)
	abandoned := 0
	for _, x := range b.Executions(t, "") {
		switch x.Status {
		case "succeeded":
		case "abandoned":
			abandoned++ // the killed process had begun it: it is not done again silently
		case "failed":
			if x.Action.Ref != "ops.flow" {
				t.Errorf("%s %s is %s: %v", x.Action.Ref, x.ID, x.Status, x.Result)
			}
		default:
			t.Errorf("%s %s is %s: %v", x.Action.Ref, x.ID, x.Status, x.Result)
		}
	}
	t.Logf("%d effects, %d executions abandoned with the process that died", len(effects), abandoned)
	if err := b.Stop(); err != nil {
		t.Errorf("the other process does not stop well: %v", err)
	}
}
