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
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// fault is something that happens to RabbitMQ.
type fault struct {
	name string
	// strike makes it happen, mend ends it.
	strike, mend func(t testing.TB)
	// cause is what the status must say within five seconds, and whether it is a
	// failure or, since it mends itself, a note.
	cause string
	note  bool
	lasts time.Duration // at least
}

// causeWithin is how soon the status must name what is wrong. Five seconds are what
// hayate means to need, and what the log shows; the rest is for a busy machine.
const causeWithin = 20 * time.Second

// TestFaultsOfRabbitMQ lets one thing after the other happen to the server, under
// load and with actions in the middle of their work. Each time the API goes on
// accepting, the status names the cause, and once it is over every execution ends
// once, and every effect was had once, with nobody having reset anything.
func TestFaultsOfRabbitMQ(t *testing.T) {
	var node rabbittest.Node
	t.Cleanup(node.Stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(node.Ctl(t, "list_queues", "name", "state", "messages_ready", "messages_unacknowledged", "consumers"))
			t.Log(node.Ctl(t, "list_unresponsive_queues"))
			t.Log(node.Log())
		}
	})
	proxy := node.NewProxy(t)
	c := newCluster(t, proxy.URL(node.URL(t)))
	// The lease of workers elsewhere is shorter than some faults last: while the broker
	// is away nobody may be taken for lost.
	packs := c.packs(t)
	a := c.start(t, packs, "--worker-lease", "10s")
	b := c.start(t, "", "--worker-lease", "10s")
	c.worker(t, filepath.Join(t.TempDir(), "worker"))
	hayatetest.Eventually(t, time.Minute, "both know the rules", func() (bool, string) {
		n := b.Count(t, "rules", "")
		return n == 3, fmt.Sprint(n)
	})
	sent := 0
	for _, f := range []fault{
		{"killed", func(testing.TB) { node.Kill() }, node.Start, "cannot be reached", false, 2 * time.Second},
		{"stopped", node.Shutdown, node.Start, "cannot be reached", false, 14 * time.Second},
		{"queues deleted", func(t testing.TB) {
			for _, q := range []string{"hayate.task.local", "hayate.task.workflow", "hayate.worker.tokyo", "hayate.desk"} {
				node.Ctl(t, "delete_queue", q)
			}
		}, func(testing.TB) {}, "had been deleted", true, 0},
		{"memory alarm on", func(t testing.TB) { node.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1MB") },
			func(t testing.TB) { node.Ctl(t, "set_vm_memory_high_watermark", "absolute", "512MB") }, "an alarm is on (low on memory)", false, 3 * time.Second},
		{"cut", func(testing.TB) { proxy.Cut() }, func(testing.TB) { proxy.Heal() }, "does not answer", false, cutFor()},
	} {
		begun := time.Now()
		sent += c.under(t, &node, &f, a, b, sent)
		t.Logf("%s: all over after %s", f.name, time.Since(begun).Round(100*time.Millisecond))
	}
	statuses := map[string]int{}
	for _, x := range b.Executions(t, "") {
		statuses[x.Status]++
	}
	if len(statuses) != 1 || statuses["succeeded"] == 0 {
		t.Errorf("executions ended as %v, want all succeeded", statuses)
	}
}

// cutFor is how long the network is cut.
func cutFor() time.Duration {
	if testing.Short() {
		return 10 * time.Second
	}
	return time.Minute
}

// under sends work before, while and after a fault, and returns how many executions
// that were.
func (c *cluster) under(t *testing.T, node *rabbittest.Node, f *fault, a, b *hayatetest.Server, before int) int {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	want := map[string]int{}
	send := func(s *hayatetest.Server, when string, n int) {
		for i := range n {
			for _, typ := range []string{"test.note", "test.far"} {
				id := strings.ReplaceAll(fmt.Sprint(f.name, "/", when, "/", typ, i), " ", "_")
				body := hayatetest.Event("//test", id, typ, fmt.Sprintf(`{"n":%q}`, id))
				begun := time.Now()
				if status, _, err := s.Post(body); status != http.StatusAccepted || err != nil {
					t.Errorf("%s, %s: the API answers %d, %v", f.name, when, status, err)
				}
				if took := time.Since(begun); took > 20*time.Second {
					t.Errorf("%s, %s: the API took %s", f.name, when, took)
				}
				want[id]++
			}
		}
		id := strings.ReplaceAll(fmt.Sprint(f.name, "/", when, "/flow"), " ", "_")
		s.Send(t, hayatetest.Event("//test", id, "test.flow", fmt.Sprintf(`{"n":%q}`, id)))
		for i := range 3 {
			want[fmt.Sprint(id, "-", i+1)]++
		}
	}
	const n = 5
	slow := strings.ReplaceAll(f.name, " ", "_") + "/slow"
	if code, _, errs := a.CLI(t, "run", "ops.slow", "n="+slow, "until="+gate, "--async"); code != 0 {
		t.Fatalf("run: %s", errs)
	}
	want[slow]++
	hayatetest.Eventually(t, time.Minute, "the slow action has begun elsewhere", func() (bool, string) {
		return c.noted(t)[slow] == 1, ""
	})
	send(a, "before", n)
	f.strike(t)
	struck := time.Now()
	send(b, "while", n)
	c.awaitCause(t, f, a, struck)
	if err := os.WriteFile(gate, nil, 0o600); err != nil { // the slow action ends while nobody can be told
		t.Fatal(err)
	}
	send(a, "still", n)
	over := time.NewTimer(time.Until(struck.Add(f.lasts)))
	<-over.C
	f.mend(t)
	send(b, "after", n)
	total := 1 + 4*(2*n+4)
	defer func() {
		if t.Failed() {
			t.Log(node.Ctl(t, "list_queues", "name", "state", "messages_ready", "messages_unacknowledged", "consumers"))
			t.Log(node.Ctl(t, "list_consumers", "queue_name", "prefetch_count", "active"))
			t.Log(node.Ctl(t, "list_unresponsive_queues"))
			code, out, _ := a.CLI(t, "status")
			t.Log(code, out)
		}
	}()
	awaitEnd(t, b, 4*time.Minute, before+total)
	got := c.noted(t)
	for id, times := range want {
		if got[id] != times {
			t.Errorf("%s: the effect %s was had %d times", f.name, id, got[id])
		}
	}
	hayatetest.Eventually(t, time.Minute, "the status is healthy again", func() (bool, string) {
		code, out, _ := a.CLI(t, "status")
		return code == 0, out
	})
	return total
}

// awaitCause waits until the status names the cause.
func (c *cluster) awaitCause(t *testing.T, f *fault, s *hayatetest.Server, struck time.Time) {
	t.Helper()
	for {
		asked := time.Now()
		code, out, errs := s.CLI(t, "status")
		if strings.Contains(out, f.cause) && (code != 0) != f.note {
			t.Logf("%s: the status names the cause after %s", f.name, asked.Sub(struck).Round(100*time.Millisecond))
			return
		}
		if asked.Sub(struck) > causeWithin {
			t.Errorf("%s: after %s the status ends with %d and says\n%s%s", f.name, asked.Sub(struck), code, out, errs)
			return
		}
	}
}
