package shell_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/shell"
)

// Where the mode cannot be changed the first line's interpreter runs the file.
func TestMissingExecuteBitOfAnothersFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody else for a moment")
	}
	task := script(t, "#!/bin/sh\necho ran\n", 0o644)
	for _, dir := range []string{task.PackDir, filepath.Dir(task.PackDir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	// The call as such changes one thread only, and this one ends with the test.
	runtime.LockOSThread()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); errno != 0 {
		t.Skipf("become somebody else: %v", errno)
	}
	defer func() {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0)); errno == 0 {
			runtime.UnlockOSThread()
		}
	}()
	status, v := run(t, shell.Config{}, task)
	if status != hayate.StatusSucceeded || v.stdout() != "ran" {
		t.Errorf("%s, %+v, want it to run through its interpreter", status, v)
	}
	if fi, err := os.Stat(filepath.Join(task.PackDir, "actions", "run.sh")); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v, want it unchanged", fi, err)
	}
}
