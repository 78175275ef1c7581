//go:build unix

package shell_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/shell"
)

// stubborn ignores SIGTERM, and so does its grandchild, which has left the
// session, closed its output and lost its parent. Both write their ids.
const stubborn = `trap '' TERM
(setsid sh -c 'trap "" TERM; echo $$ > "$DIR/daemon.tmp"; mv "$DIR/daemon.tmp" "$DIR/daemon"; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &)
echo $$ > "$DIR/leader"
while [ ! -f "$DIR/daemon" ]; do sleep 0.01; done
echo ready
while :; do sleep 1; done`

// running says whether a process that wrote its id to a file is alive.
func running(t *testing.T, file string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("the process has not started: %v", err)
	}
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func needProc(t *testing.T) {
	t.Helper()
	for _, need := range []string{"/proc/self/environ", "/usr/bin/setsid"} {
		if _, err := os.Stat(need); err != nil {
			t.Skipf("needs %s: %v", need, err)
		}
	}
}

func TestCancelEndsGrandchildren(t *testing.T) {
	t.Parallel()
	needProc(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	task := command(t, stubborn, "env", map[string]string{"DIR": dir})
	status, v := runWith(t, ctx, shell.Config{Grace: 100 * time.Millisecond}, task, func(_ hayate.Stream, line string) {
		if line == "ready" {
			cancel()
		}
	})
	if status != hayate.StatusCanceled || v.ReturnCode != -9 || v.Error != "Action canceled." || v.stdout() != "ready" {
		t.Errorf("%s, %+v, want canceled with -9 and the output so far", status, v)
	}
	for _, name := range []string{"leader", "daemon"} {
		if running(t, filepath.Join(dir, name)) {
			t.Errorf("the %s is alive after cancel", name)
		}
	}
}

func TestTimeoutEndsGrandchildren(t *testing.T) {
	t.Parallel()
	needProc(t)
	dir := t.TempDir()
	task := command(t, stubborn, "env", map[string]string{"DIR": dir}, "timeout", 2)
	status, v := run(t, shell.Config{Grace: 100 * time.Millisecond}, task)
	if status != hayate.StatusTimeout || v.ReturnCode != -9 || v.Error != "Action failed to complete in 2 seconds" {
		t.Errorf("%s, %+v", status, v)
	}
	for _, name := range []string{"leader", "daemon"} {
		if running(t, filepath.Join(dir, name)) {
			t.Errorf("the %s is alive after the timeout", name)
		}
	}
}

func TestCancelAsksPolitelyFirst(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	task := command(t, `trap 'echo cleaned up; exit 7' TERM; echo ready; while :; do sleep 0.01; done`)
	status, v := runWith(t, ctx, shell.Config{}, task, func(_ hayate.Stream, line string) {
		if line == "ready" {
			cancel()
		}
	})
	if status != hayate.StatusCanceled || v.stdout() != "ready\ncleaned up" || v.ReturnCode != 7 {
		t.Errorf("%s, %+v, want canceled after the command cleaned up", status, v)
	}
}

func TestCancelBeforeStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	status, _ := runWith(t, ctx, shell.Config{}, command(t, "touch "+file), nil)
	if _, err := os.Stat(file); status != hayate.StatusCanceled || err == nil {
		t.Errorf("%s, stat: %v, want canceled and nothing started", status, err)
	}
}

func TestDeadlineIsATimeout(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if status, v := runWith(t, ctx, shell.Config{}, command(t, "sleep 60"), nil); status != hayate.StatusTimeout {
		t.Errorf("%s, %+v, want timeout", status, v)
	}
}

// An action that starts a service must not take it away again.
func TestDetachedProcessSurvivesItsCommand(t *testing.T) {
	t.Parallel()
	needProc(t)
	const start = `setsid sh -c 'echo $$ > "$DIR/tmp"; mv "$DIR/tmp" "$DIR/daemon"; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &
while [ ! -f "$DIR/daemon" ]; do sleep 0.01; done`
	dir := t.TempDir()
	task := command(t, start, "env", map[string]string{"DIR": dir})
	status, v := run(t, shell.Config{}, task)
	if status != hayate.StatusSucceeded || !running(t, filepath.Join(dir, "daemon")) {
		t.Errorf("%s, %+v, want succeeded and the service running", status, v)
	}
	if err := shell.KillLeftovers(string(task.Execution)); err != nil {
		t.Error(err)
	}
	if running(t, filepath.Join(dir, "daemon")) {
		t.Error("the service is alive after KillLeftovers")
	}

	dir = t.TempDir()
	task = command(t, start, "env", map[string]string{"DIR": dir})
	status, v = run(t, shell.Config{KillDetached: true}, task)
	if status != hayate.StatusSucceeded || running(t, filepath.Join(dir, "daemon")) {
		t.Errorf("KillDetached: %s, %+v, want succeeded and nothing running", status, v)
	}
}

// What keeps the output open belongs to the attempt.
func TestBackgroundProcessWithOpenOutput(t *testing.T) {
	t.Parallel()
	task := command(t, "sleep 60 & exit 4")
	task.Timeout = 300 * time.Millisecond
	status, v := run(t, shell.Config{}, task)
	if status != hayate.StatusTimeout || !strings.Contains(v.Error, "exited with 4") {
		t.Errorf("%s, %+v, want timeout and the reason", status, v)
	}
}

func TestKillLeftovers(t *testing.T) {
	needProc(t)
	for _, mark := range []string{"HAYATE_EXECUTION_ID", "ST2_ACTION_EXECUTION_ID"} {
		t.Run(mark, func(t *testing.T) {
			t.Parallel()
			id := string(newExecution())
			start := func(id string) (*exec.Cmd, <-chan error) {
				cmd := exec.Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
				cmd.Env = append(os.Environ(), mark+"="+id)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if _, err := out.Read(make([]byte, 16)); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- cmd.Wait() }()
				return cmd, done
			}
			_, mine := start(id)
			otherCmd, other := start(id + "0")
			if err := shell.KillLeftovers(id); err != nil {
				t.Error(err)
			}
			if err := <-mine; err == nil || !strings.Contains(err.Error(), "killed") {
				t.Errorf("the leftover ended with %v, want it killed", err)
			}
			select {
			case err := <-other:
				t.Errorf("another execution's process ended: %v", err)
			default:
				if err := syscall.Kill(-otherCmd.Process.Pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
				<-other
			}
			if err := shell.KillLeftovers(id); err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
	if err := shell.KillLeftovers(""); err == nil {
		t.Error("an empty id is no execution, but there was no error")
	}
}

// resources counts this process's children and open files.
func resources(t *testing.T) (children, files int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	tasks, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tasks {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			children++
		}
	}
	return children, len(fds)
}

func TestThousandRunsLeaveNothing(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 100
	}
	r := shell.New(shell.Config{})
	one := func(i int) {
		res, err := r.Run(context.Background(), command(t, fmt.Sprintf("echo %d; exit %d", i, i%3)), nil)
		want := hayate.StatusFailed
		if i%3 == 0 {
			want = hayate.StatusSucceeded
		}
		if err != nil || res.Status != want {
			t.Errorf("run %d: %s %s, %v, want %s", i, res.Status, res.Value, err, want)
		}
	}
	one(0) // opens what the runtime keeps open
	children, files := resources(t)
	goroutines := runtime.NumGoroutine()
	for i := range runs {
		one(i)
	}
	if c, f := resources(t); c > children || f > files {
		t.Errorf("after %d runs: %d children and %d files, before %d and %d", runs, c, f, children, files)
	}
	if n := runtime.NumGoroutine(); n > goroutines+1 { // one may be about to end
		t.Errorf("after %d runs: %d goroutines, before %d", runs, n, goroutines)
	}
}

// fakeSudo answers like sudo, without becoming anybody.
func fakeSudo(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sudo")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSudo(t *testing.T) {
	if _, err := os.Stat("/bin/bash"); err != nil {
		t.Skip("bash is not installed")
	}
	sudo := fakeSudo(t, `echo "sudo $*" | head -1; while [ "$1" != -- ]; do [ "$1" = -S ] && read -r password; shift; done; shift
echo "prompt [$SUDO_PROMPT] password [$password]"; exec "$@"`)
	_, v := run(t, shell.Config{Sudo: sudo}, command(t, `echo "it's $0"`, "sudo", true))
	if want := "sudo -E -- bash -c echo \"it's $0\"\nprompt [] password []\nit's bash"; v.stdout() != want {
		t.Errorf("without a password: %q, want %q", v.stdout(), want)
	}
	_, v = run(t, shell.Config{Sudo: sudo}, command(t, `true`, "sudo", true, "sudo_password", "pässword"))
	if want := "sudo -S -E -- bash -c true\nprompt [] password [********]"; v.stdout() != want {
		t.Errorf("with a password: %q, want %q", v.stdout(), want)
	}
	task := script(t, "#!/bin/sh\nprintf '<%s>' \"$@\"\n", 0o755)
	task.RunnerParameters = object(t, "sudo", true)
	task.Parameters = object(t, "text", `it's "$HOME"`)
	_, v = run(t, shell.Config{Sudo: sudo}, task)
	if want := `<--text=it's "$HOME">`; !strings.HasSuffix(v.stdout(), want) {
		t.Errorf("a script's argument: %q, want it to end with %q", v.stdout(), want)
	}
}

func TestWrongSudoPassword(t *testing.T) {
	sudo := fakeSudo(t, `echo "sudo: 1 incorrect password attempt" >&2; exit 1`)
	status, v := run(t, shell.Config{Sudo: sudo}, command(t, "true", "sudo", true, "sudo_password", "x-wrong-x"))
	if status != hayate.StatusFailed || v.ReturnCode != -1 || !strings.HasPrefix(v.Error, "Invalid sudo password provided") {
		t.Errorf("%s, %+v, want failed with -1", status, v)
	}
}

func TestRootNeedsNoSudo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := exec.LookPath("sudo"); err == nil {
		t.Skip("sudo is installed")
	}
	if status, v := run(t, shell.Config{}, command(t, "id -u", "sudo", true)); status != hayate.StatusSucceeded || v.stdout() != "0" {
		t.Errorf("%s, %+v, want it to run as root", status, v)
	}
}

func BenchmarkRun(b *testing.B) {
	r := shell.New(shell.Config{})
	task := command(b, "true")
	for b.Loop() {
		if _, err := r.Run(context.Background(), task, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// A descendant that cleared its environment and left the session is found
// through its parent, and remembered when that dies first.
func TestCancelEndsUnmarkedDescendants(t *testing.T) {
	t.Parallel()
	needProc(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	task := command(t, `env -i DIR="$DIR" PATH="$PATH" setsid sh -c 'trap "" TERM; echo $$ > "$DIR/tmp"; mv "$DIR/tmp" "$DIR/child"; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &
while [ ! -f "$DIR/child" ]; do sleep 0.01; done
echo ready
while :; do sleep 1; done`, "env", map[string]string{"DIR": dir})
	status, v := runWith(t, ctx, shell.Config{Grace: 50 * time.Millisecond}, task, func(_ hayate.Stream, line string) {
		if line == "ready" {
			cancel()
		}
	})
	if status != hayate.StatusCanceled || running(t, filepath.Join(dir, "child")) {
		t.Errorf("%s, %+v, or the descendant is alive", status, v)
	}
}
