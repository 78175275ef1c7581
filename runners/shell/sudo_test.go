//go:build unix

package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What belongs to another user is signalled by sudo: by its session, and by its
// mark where it left that.
func TestSudoKill(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	sudo := filepath.Join(t.TempDir(), "sudo")
	const fake = "#!/bin/sh\n[ \"$1\" = -S ] && read -r p && [ \"$p\" = pw ] || exit 1\nshift 2\nexec \"$@\"\n"
	if err := os.WriteFile(sudo, []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	const mark = "HAYATE_EXECUTION_ID=5fsudokill"
	start := func(env ...string) *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
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
		return cmd
	}
	leader, marked := start(), start(mark)
	a := &attempt{r: New(Config{Sudo: sudo, Grace: time.Minute}), cmd: leader, p: plan{stdin: "pw\n", marks: []string{mark}}}
	a.sudoKill(syscall.SIGKILL)
	for name, cmd := range map[string]*exec.Cmd{"leader": leader, "marked": marked} {
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the %s process ended with %v, want it killed", name, err)
		}
	}
}
