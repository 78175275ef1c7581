// Package hayatetest runs the real binary for tests: it builds it once, starts
// servers on ports that the system picks, speaks to them, and ends them, gently
// or with SIGKILL. Nothing in it waits for a fixed time: what has to come is
// asked for again and again until it is there or a deadline has passed.
package hayatetest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// binaryEnv names the binary to test; Main sets it to the one that it builds.
const binaryEnv = "HAYATE_TEST_BINARY"

// Main builds the binary, runs the tests and returns their exit code. It is for
// TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(hayatetest.Main(m)) }
//
// A binary named by HAYATE_TEST_BINARY is used as it is.
func Main(m *testing.M) int {
	if os.Getenv(binaryEnv) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "hayate-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "hayatetest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "hayate")
	if err := build(bin); err != nil {
		fmt.Fprintln(os.Stderr, "hayatetest:", err)
		return 1
	}
	if err := os.Setenv(binaryEnv, bin); err != nil {
		fmt.Fprintln(os.Stderr, "hayatetest:", err)
		return 1
	}
	return m.Run()
}

// build makes the binary as a release is made: static and stripped.
func build(to string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", to, "./functions/hayate")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build hayate: %w\n%s", err, out)
	}
	return nil
}

// Root is the folder of the repository: the nearest one upwards with a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}

// Binary is the path of the binary to test.
func Binary(t testing.TB) string {
	t.Helper()
	bin := os.Getenv(binaryEnv)
	if bin == "" {
		t.Fatal("there is no binary: TestMain must call hayatetest.Main")
	}
	return bin
}

// Run runs one command of the binary to its end and returns its exit code and
// what it printed.
func Run(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = t.TempDir() // no hayate.yaml of somebody else
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("run hayate %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// WritePack writes a pack below dir: name is its reference, files its content by
// path. Scripts (#!) become executable. pack.yaml is added where it is missing.
func WritePack(t testing.TB, dir, name string, files map[string]string) {
	t.Helper()
	write := func(path, text string) {
		path = filepath.Join(dir, name, filepath.FromSlash(path))
		mode := os.FileMode(0o644)
		if len(text) > 2 && text[:2] == "#!" {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := files["pack.yaml"]; !ok {
		write("pack.yaml", "ref: "+name+"\nname: "+name+"\ndescription: A pack of a test.\nversion: 1.0.0\nauthor: hayate\nemail: packs@hayate.run\n")
	}
	for path, text := range files {
		write(path, text)
	}
}

// pollEvery is the pause between two looks at a condition.
const pollEvery = 10 * time.Millisecond

// Eventually asks cond until it says true, and fails the test when it has not
// within limit. cond's text says what it found instead.
func Eventually(t testing.TB, limit time.Duration, what string, cond func() (ok bool, found string)) {
	t.Helper()
	over := time.NewTimer(limit)
	defer over.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		ok, found := cond()
		if ok {
			return
		}
		select {
		case <-over.C:
			t.Fatalf("not within %s: %s; found %s", limit, what, found)
		case <-tick.C:
		}
	}
}

// NeedLinux skips a test that looks at /proc or uses Linux's own means.
func NeedLinux(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux: it looks at processes and file systems in Linux's own ways")
	}
}

// NeedRoot skips a test that mounts or changes users.
func NeedRoot(t testing.TB) {
	t.Helper()
	NeedLinux(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a file system or changes the user")
	}
}
