package crash_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// syncs counts fsync and fdatasync of the server while f runs.
func syncs(t *testing.T, s *hayatetest.Server, f func()) int {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-e", "signal=none", "-o", out, "-p", fmt.Sprint(s.PID()))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("commits are counted with strace, which cannot be started: %v", err)
	}
	var attached bool
	sc := bufio.NewScanner(stderr)
	var said []string
	for sc.Scan() {
		said = append(said, sc.Text())
		if attached = strings.Contains(sc.Text(), "attached"); attached {
			break
		}
	}
	if !attached {
		_ = cmd.Wait() // its words say more than its exit code
		t.Skipf("commits are counted with strace, which cannot trace here: %s", strings.Join(said, "; "))
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for sc.Scan() {
		}
	}()
	f()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-drained
	_ = cmd.Wait() // it ends by the signal
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		// A call that another thread interrupted has a second line: "<... resumed>".
		if strings.Contains(line, "sync(") || strings.Contains(line, "sync_file_range(") {
			n++
		}
	}
	return n
}

func countServer(t *testing.T) *hayatetest.Server {
	t.Helper()
	hayatetest.NeedLinux(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("commits are counted with strace, which is not installed")
	}
	packs := noopRule(t)
	hayatetest.WritePack(t, packs, "effects", map[string]string{"rules/touch.yaml": `
name: touch
enabled: true
trigger: {type: test.touch}
action: {ref: core.local, parameters: {cmd: "true"}}
`,
		"actions/one.yaml":           "name: one\nrunner_type: orquesta\nenabled: true\nentry_point: workflows/one.yaml\n",
		"actions/workflows/one.yaml": "version: 1.0\ntasks:\n  only: {action: core.noop}\n",
	})
	return hayatetest.Start(t, hayatetest.Options{Packs: packs})
}

// TestDurableCommits counts: two commits lead from an event to the end of an
// action that may be repeated, three where running must be on disk first. A workflow
// is stored by the commit that begins its first task.
func TestDurableCommits(t *testing.T) {
	s := countServer(t)
	id := 0
	one := func(typ string) {
		id++
		a := s.Send(t, hayatetest.Event("/test/commits", fmt.Sprint(id), typ, `{"kind": "wanted"}`))
		if x := s.AwaitEnd(t, s.OfEvent(t, a.ID).ID, 20*time.Second); x.Status != "succeeded" {
			t.Fatalf("execution ended %s: %v", x.Status, x.Result)
		}
	}
	workflow := func(action string) {
		if x := s.AwaitEnd(t, s.Start(t, action, map[string]any{}), 20*time.Second); x.Status != "succeeded" {
			t.Fatalf("workflow ended %s: %v", x.Status, x.Result)
		}
	}
	for _, c := range []struct {
		name, of string
		do       func(string)
		want     int
	}{
		{"an event that leads to core.noop", "test.noop", one, 2},
		{"an event that leads to a command", "test.touch", one, 3},
		{"a workflow of one task that may be repeated", "effects.one", workflow, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do(c.of) // whatever happens only the first time has happened
			const events = 10
			got := syncs(t, s, func() {
				for range events {
					c.do(c.of)
				}
			})
			t.Logf("%d syncs for %d events", got, events)
			if got != c.want*events {
				t.Errorf("%d syncs for %d events one after the other, want %d each", got, events, c.want)
			}
		})
	}
}

// TestCommitsAreShared: under load a commit carries many events.
func TestCommitsAreShared(t *testing.T) {
	s := countServer(t)
	const events = 2000
	got := syncs(t, s, func() {
		var next atomic.Int64
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				for i := next.Add(1); i <= events; i = next.Add(1) {
					if status, _, err := s.Post(event(int(i))); err != nil || status != 202 {
						t.Errorf("event %d: status %d, %v", i, status, err)
					}
				}
			})
		}
		group.Wait()
		hayatetest.Eventually(t, time.Minute, "all events are executed", func() (bool, string) {
			n := s.Count(t, "executions", "status=succeeded")
			return n == events, fmt.Sprint(n)
		})
	})
	t.Logf("%d syncs for %d events from %d clients: %.2f an event", got, events, clients, float64(got)/events)
	if got == 0 || got > events/2 {
		t.Errorf("%d syncs for %d events, want far fewer, and some", got, events)
	}
}
