package crash_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// The scripts append one line to a file, which is their effect, note their
// processes, and then stay: with a child of their own and a grandchild.
const stayingScript = `#!/bin/sh
printf 'attempt %s key %s\n' "$HAYATE_ATTEMPT" "$HAYATE_IDEMPOTENCY_KEY" >>"$1/effect"
if [ -e "$1/enough" ]; then exit 0; fi
sh -c 'sleep 300 & echo $! >>"$0/pids"; echo $$ >>"$0/pids"; wait' "$1" &
echo $$ >>"$1/pids"
wait
`

func scriptPack(t *testing.T, idempotent bool) string {
	t.Helper()
	dir := t.TempDir()
	hayatetest.WritePack(t, dir, "scripts", map[string]string{
		"actions/stay.sh": stayingScript,
		"actions/stay.yaml": fmt.Sprintf(`
name: stay
runner_type: local-shell-script
entry_point: stay.sh
enabled: true
idempotent: %t
parameters:
  dir: {type: string, required: true, position: 0}
`, idempotent),
		"rules/stay.yaml": `
name: stay
enabled: true
trigger: {type: test.stay}
action: {ref: scripts.stay, parameters: {dir: "{{ trigger.dir }}"}}
`})
	return dir
}

// staying starts the script by an event and returns once all its processes run.
func staying(t *testing.T, s *hayatetest.Server, dir string) (event string, pids []int) {
	t.Helper()
	a := s.Send(t, hayatetest.Event("/test/crash", "stay", "test.stay", fmt.Sprintf(`{"dir": %q}`, dir)))
	hayatetest.Eventually(t, 20*time.Second, "the script and its descendants run", func() (bool, string) {
		pids = pids[:0]
		for _, line := range lines(t, filepath.Join(dir, "pids")) {
			if pid, err := strconv.Atoi(line); err == nil {
				pids = append(pids, pid)
			}
		}
		return len(pids) >= 3, fmt.Sprintf("%d of 3", len(pids))
	})
	for _, pid := range pids {
		if !alive(pid) {
			t.Fatalf("process %d of the script does not run", pid)
		}
	}
	return a.ID, pids
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(string(b), " ", "_"))
}

// alive says whether a process runs; one that is dead and not yet waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func awaitDead(t *testing.T, pids []int) {
	t.Helper()
	hayatetest.Eventually(t, 20*time.Second, "no process of the lost attempt is left", func() (bool, string) {
		var left []int
		for _, pid := range pids {
			if alive(pid) {
				left = append(left, pid)
			}
		}
		return len(left) == 0, fmt.Sprint(left)
	})
}

// TestKilledInTheMiddleOfAScript: what a non-idempotent script did is unknown when
// its worker dies, so it is abandoned, ended, and not done again.
func TestKilledInTheMiddleOfAScript(t *testing.T) {
	hayatetest.NeedLinux(t)
	dir := t.TempDir()
	first := hayatetest.Start(t, hayatetest.Options{Packs: scriptPack(t, false)})
	event, pids := staying(t, first, dir)
	before := first.OfEvent(t, event)
	if before.Status != "running" {
		t.Errorf("status before the kill is %s, want running", before.Status)
	}
	first.Kill()

	second := first.Again(t)
	awaitDead(t, pids)
	x := second.Await(t, before.ID, 20*time.Second, "abandoned")
	if x.Attempt != 1 {
		t.Errorf("attempt %d, want 1", x.Attempt)
	}
	if text, _ := x.Result["error"].(string); !strings.Contains(text, "lost") || !strings.Contains(text, x.ID) {
		t.Errorf("the result does not tell what happened and what to do: %v", x.Result)
	}
	a := second.Send(t, hayatetest.Event("/test/crash", "stay", "test.stay", fmt.Sprintf(`{"dir": %q}`, dir)))
	if !a.Duplicate {
		t.Error("the same event is not known after the kill")
	}

	// A third process does not come back to it either.
	second.Kill()
	third := second.Again(t)
	if x = third.Execution(t, before.ID); x.Status != "abandoned" {
		t.Errorf("status after another restart is %s, want abandoned", x.Status)
	}
	if got := lines(t, filepath.Join(dir, "effect")); len(got) != 1 {
		t.Errorf("the effect happened %d times: %q", len(got), got)
	}
}

// TestKilledInTheMiddleOfAnIdempotentScript: an action that may be repeated is, as
// the next attempt of the same execution, under the same key.
func TestKilledInTheMiddleOfAnIdempotentScript(t *testing.T) {
	hayatetest.NeedLinux(t)
	dir := t.TempDir()
	first := hayatetest.Start(t, hayatetest.Options{Packs: scriptPack(t, true)})
	event, pids := staying(t, first, dir)
	before := first.OfEvent(t, event)
	first.Kill()
	if err := os.WriteFile(filepath.Join(dir, "enough"), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	second := first.Again(t)
	x := second.AwaitEnd(t, before.ID, 20*time.Second)
	awaitDead(t, pids)
	if x.Status != "succeeded" {
		t.Errorf("status %s, result %v", x.Status, x.Result)
	}
	got := lines(t, filepath.Join(dir, "effect"))
	if len(got) != 2 {
		t.Fatalf("%d attempts, want two: %q", len(got), got)
	}
	keys := map[string]bool{}
	for i, l := range got {
		number, key, _ := strings.Cut(l, "_key_")
		keys[key] = true
		if want := fmt.Sprintf("attempt_%d", i+1); number != want {
			t.Errorf("the script is told %q, want %q", number, want)
		}
	}
	if x.Attempt != 2 {
		t.Errorf("the execution shows attempt %d, want 2", x.Attempt)
	}
	if len(keys) != 1 || keys[""] {
		t.Errorf("the attempts have the idempotency keys %v, want one and the same", keys)
	}
	if n := second.Count(t, "executions", ""); n != 1 {
		t.Errorf("%d executions, want one: an attempt is no execution", n)
	}
}

// TestStoppedGently: a server that is asked to stop waits for what runs, and
// leaves what waits to its successor.
func TestStoppedGently(t *testing.T) {
	dir := t.TempDir()
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "slow", map[string]string{
		"actions/slow.sh": "#!/bin/sh\necho begun >>\"$1/begun\"\nwhile [ ! -e \"$1/go\" ]; do sleep 0.05; done\necho done >>\"$1/done\"\n",
		"actions/slow.yaml": `
name: slow
runner_type: local-shell-script
entry_point: slow.sh
enabled: true
parameters:
  dir: {type: string, required: true, position: 0}
`})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs, Args: []string{"--workers", "1"}})
	running := s.Start(t, "slow.slow", map[string]any{"dir": dir})
	s.Await(t, running, 20*time.Second, "running")
	waiting := s.Start(t, "core.noop", nil)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	hayatetest.Eventually(t, 20*time.Second, "the server takes no more requests", func() (bool, string) {
		r, err := s.Try("GET", "/readyz", nil)
		return err != nil || r.Status == 503, fmt.Sprint(r.Status)
	})
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	next := s.Again(t)
	if x := next.Execution(t, running); x.Status != "succeeded" {
		t.Errorf("what ran is %s, want succeeded: %v", x.Status, x.Result)
	}
	if x := next.AwaitEnd(t, waiting, 20*time.Second); x.Status != "succeeded" {
		t.Errorf("what waited is %s, want succeeded", x.Status)
	}
	if got := lines(t, filepath.Join(dir, "done")); len(got) != 1 {
		t.Errorf("the script ended %d times, want once", len(got))
	}
}
