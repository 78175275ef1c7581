package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// TestBacklogAtStart: ten thousand executions that wait when the process dies are
// all done by the next, which serves at once.
func TestBacklogAtStart(t *testing.T) {
	t.Parallel()
	const n = 10_000
	dir := t.TempDir()
	packs := pack(t, map[string]string{
		"rules/noop.yaml":  noopRule["rules/noop.yaml"],
		"actions/block.sh": "#!/bin/sh\necho begun >\"$1/begun\"\nexec sleep 300\n",
		"actions/block.yaml": `
name: block
runner_type: local-shell-script
entry_point: block.sh
enabled: true
parameters:
  dir: {type: string, required: true, position: 0}
`})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs, Args: []string{"--workers", "1"}})
	block := s.Start(t, "faults.block", map[string]any{"dir": dir})
	hayatetest.Eventually(t, 20*time.Second, "the only worker is busy", func() (bool, string) {
		_, err := os.Stat(filepath.Join(dir, "begun"))
		return err == nil, "nothing"
	})
	const batch = 500
	for i := 0; i < n; i += batch {
		events := make([]string, batch)
		for j := range events {
			events[j] = string(hayatetest.Event("/test/backlog", strconv.Itoa(i+j), "test.noop", "{}"))
		}
		r := s.Do(t, http.MethodPost, "/v1/events", []byte("["+strings.Join(events, ",")+"]"), "Content-Type", "application/cloudevents-batch+json")
		if r.Status != http.StatusAccepted {
			t.Fatalf("batch at %d: status %d, %s", i, r.Status, r.Body)
		}
	}
	s.Kill()

	s.Args = nil
	s = s.Again(t)
	t.Logf("with %d executions waiting it served after %s", n, s.Startup.Round(time.Millisecond))
	if s.Startup > 10*time.Second {
		t.Errorf("it took %s to serve", s.Startup)
	}
	hayatetest.Eventually(t, 2*time.Minute, "the backlog is done", func() (bool, string) {
		got := s.Count(t, "executions", "status=succeeded")
		return got == n, fmt.Sprintf("%d of %d", got, n)
	})
	if x := s.Execution(t, block); x.Status != "abandoned" {
		t.Errorf("the script that ran is %s, want abandoned", x.Status)
	}
}

// TestBacklogLimit: beyond the limit of waiting executions the answer is 429, and
// what was refused is taken later.
func TestBacklogLimit(t *testing.T) {
	dir := t.TempDir()
	packs := pack(t, map[string]string{
		"rules/noop.yaml":  noopRule["rules/noop.yaml"],
		"actions/block.sh": "#!/bin/sh\necho begun >\"$1/begun\"\nwhile [ ! -e \"$1/go\" ]; do sleep 0.05; done\n",
		"actions/block.yaml": `
name: block
runner_type: local-shell-script
entry_point: block.sh
enabled: true
parameters:
  dir: {type: string, required: true, position: 0}
`})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs, Args: []string{"--workers", "1", "--max-backlog", "5"}})
	block := s.Start(t, "faults.block", map[string]any{"dir": dir})
	s.Await(t, block, 20*time.Second, "running")
	event := func(i int) []byte { return hayatetest.Event("/test/limit", strconv.Itoa(i), "test.noop", "{}") }
	accepted := 0
	var r hayatetest.Reply
	for ; accepted < 50; accepted++ {
		if r = s.Do(t, http.MethodPost, "/v1/events", event(accepted), "Content-Type", hayatetest.Structured); r.Status != http.StatusAccepted {
			break
		}
	}
	// The task that runs may still be being acknowledged: then it has a place.
	if accepted < 4 || accepted > 6 {
		t.Errorf("%d events were accepted with a limit of 5", accepted)
	}
	if r.Status != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q, want 429 and a time", r.Status, r.Header.Get("Retry-After"))
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	hayatetest.Eventually(t, 20*time.Second, "the event is taken once there is room", func() (bool, string) {
		status, _, err := s.Post(event(accepted))
		return err == nil && status == http.StatusAccepted, fmt.Sprint(status, err)
	})
	hayatetest.Eventually(t, 20*time.Second, "all are executed", func() (bool, string) {
		got := s.Count(t, "executions", "status=succeeded&action=core.noop")
		return got == accepted+1, fmt.Sprint(got)
	})
}

// TestPathologicalRegex: patterns on which a backtracking engine never ends do not
// hold up the event, nor the rules beside them.
func TestPathologicalRegex(t *testing.T) {
	t.Parallel()
	rule := func(name, pattern string) string {
		return fmt.Sprintf(`
name: %s
enabled: true
trigger: {type: test.regex}
criteria:
  trigger.text: {type: matchregex, pattern: '%s'}
action: {ref: core.noop}
`, name, pattern)
	}
	s := hayatetest.Start(t, hayatetest.Options{Packs: pack(t, map[string]string{
		"rules/nested.yaml":    rule("nested", `^(a+)+$`),
		"rules/backref.yaml":   rule("backref", `^(a|aa)+\1(a*)*\2b$`),
		"rules/lookahead.yaml": rule("lookahead", `^(?=(a+)+$)(a*a*a*a*)*c$`),
		"rules/plain.yaml":     rule("plain", `^a`),
	})})
	body := hayatetest.Event("/test/regex", "1", "test.regex", fmt.Sprintf(`{"text": "%s!"}`, strings.Repeat("a", 5000)))
	begun := time.Now()
	a := s.Send(t, body)
	took := time.Since(begun)
	t.Logf("decided in %s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the decision took %s", took)
	}
	var fs []struct {
		Rule   struct{ Ref string } `json:"rule"`
		Status string               `json:"status"`
		Reason string               `json:"failure_reason"`
	}
	s.Get(t, "/api/v1/ruleenforcements?trigger_instance="+a.ID, &fs)
	status := map[string]string{}
	for _, f := range fs {
		status[f.Rule.Ref] = f.Status
		if f.Status == "failed" && !strings.Contains(f.Reason, "steps") && !strings.Contains(f.Reason, "limit") {
			t.Errorf("rule %s failed without saying that a limit was reached: %s", f.Rule.Ref, f.Reason)
		}
	}
	if status["faults.plain"] != "succeeded" {
		t.Errorf("the plain rule beside them: %q, want succeeded", status["faults.plain"])
	}
	if status["faults.nested"] != "" {
		t.Errorf("the nested rule: %q, want no firing: it does not match", status["faults.nested"])
	}
}

// TestScriptThatDoesNotStop ignores SIGTERM and forks children that do so too: the
// timeout ends all of them, and so does a cancellation.
func TestScriptThatDoesNotStop(t *testing.T) {
	t.Parallel()
	hayatetest.NeedLinux(t)
	packs := pack(t, map[string]string{
		"actions/stubborn.sh": `#!/bin/sh
trap '' TERM
sh -c 'trap "" TERM; sh -c "trap \"\" TERM; echo \$\$ >>\"$0/pids\"; while :; do sleep 1; done" "$0" & echo $$ >>"$0/pids"; while :; do sleep 1; done' "$1" &
echo $$ >>"$1/pids"
while :; do sleep 1; done
`,
		"actions/stubborn.yaml": `
name: stubborn
runner_type: local-shell-script
entry_point: stubborn.sh
enabled: true
parameters:
  dir: {type: string, required: true, position: 0}
`})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs, Args: []string{"--lease", "3s"}})
	pids := func(dir string) []int {
		b, err := os.ReadFile(filepath.Join(dir, "pids"))
		if err != nil {
			return nil
		}
		var ps []int
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil {
				ps = append(ps, pid)
			}
		}
		return ps
	}
	gone := func(dir string) {
		t.Helper()
		if len(pids(dir)) != 3 {
			t.Errorf("%d processes had begun, want 3", len(pids(dir)))
		}
		hayatetest.Eventually(t, 10*time.Second, "no process is left", func() (bool, string) {
			var left []int
			for _, pid := range pids(dir) {
				if syscall.Kill(pid, 0) == nil {
					left = append(left, pid)
				}
			}
			return len(left) == 0, fmt.Sprint(left)
		})
	}
	t.Run("by its timeout", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		id := s.Start(t, "faults.stubborn", map[string]any{"dir": dir, "timeout": 2})
		if x := s.AwaitEnd(t, id, 40*time.Second); x.Status != "timeout" {
			t.Errorf("it ended %s, want timeout: %v", x.Status, x.Result)
		}
		gone(dir)
	})
	t.Run("by cancellation", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		id := s.Start(t, "faults.stubborn", map[string]any{"dir": dir})
		hayatetest.Eventually(t, 20*time.Second, "all three processes run", func() (bool, string) {
			n := len(pids(dir))
			return n == 3, fmt.Sprint(n)
		})
		if code, _, errs := s.CLI(t, "execution", "cancel", id); code != 0 {
			t.Fatalf("cancel: exit code %d, %s", code, errs)
		}
		if x := s.AwaitEnd(t, id, 40*time.Second); x.Status != "canceled" {
			t.Errorf("it ended %s, want canceled", x.Status)
		}
		gone(dir)
	})
}

// TestFloodOfOutput: a script that prints without end is bounded, in its result and
// in the server's memory; what is too large to stand in the execution is beside it.
func TestFloodOfOutput(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{})
	id := s.Start(t, "core.local", map[string]any{"cmd": "yes 'a line of a script that prints far too much' | head -n 2000000 || true", "timeout": 60})
	x := s.AwaitEnd(t, id, 90*time.Second)
	var result struct {
		Stdout string `json:"stdout"`
	}
	s.Get(t, "/api/v1/executions/"+id+"/result", &result)
	t.Logf("status %s, %d bytes kept, %d MB of memory", x.Status, len(result.Stdout), s.RSS(t)>>20)
	if n := len(result.Stdout); n < 1000 || n > 16<<20 {
		t.Errorf("%d bytes of output in the result", n)
	}
	if rss := s.RSS(t); rss > 400<<20 {
		t.Errorf("%d MB of memory after it", rss>>20)
	}
}
