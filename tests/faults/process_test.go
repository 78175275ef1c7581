package faults_test

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// TestStaticBinary: no interpreter, no library, and within its budget.
func TestStaticBinary(t *testing.T) {
	hayatetest.NeedLinux(t)
	f, err := elf.Open(hayatetest.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary needs a dynamic loader")
		}
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	if len(libs) > 0 {
		t.Errorf("the binary needs the libraries %v", libs)
	}
	st, err := os.Stat(hayatetest.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(st.Size())/1e6)
	if st.Size() > 60<<20 {
		t.Errorf("the binary has %d bytes, want at most 60 MiB", st.Size())
	}
}

// TestEmptyChroot: nobody's process in a root folder that holds the binary and
// nothing else takes an event and runs what needs no file.
func TestEmptyChroot(t *testing.T) {
	hayatetest.NeedRoot(t)
	const nobody = 65534
	root := t.TempDir()
	passable(t, root)
	bin := filepath.Join(root, "hayate")
	copyFile(t, hayatetest.Binary(t), bin)
	data := filepath.Join(root, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	s, err := hayatetest.TryStart(t, hayatetest.Options{Data: "/data", Bin: "/hayate", Args: []string{"--shipped", "core,hello"},
		Attr: &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Do(t, "POST", "/api/v1/webhooks/hello", []byte(`{"name": "chroot"}`), "Content-Type", "application/json")
	if r.Status != 202 {
		t.Fatalf("webhook: status %d, %s", r.Status, r.Body)
	}
	hayatetest.Eventually(t, 20*time.Second, "the event has an execution", func() (bool, string) {
		n := s.Count(t, "executions", "")
		return n == 1, fmt.Sprint(n)
	})
	id := s.Start(t, "core.noop", nil)
	if x := s.AwaitEnd(t, id, 20*time.Second); x.Status != "succeeded" {
		t.Errorf("core.noop ended %s: %v", x.Status, x.Result)
	}
	// There is no shell: the command says so and fails, and nothing else suffers.
	id = s.Start(t, "core.local", map[string]any{"cmd": "true"})
	if x := s.AwaitEnd(t, id, 20*time.Second); x.Status != "failed" {
		t.Errorf("core.local without a shell ended %s", x.Status)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestIdle: a server that has nothing to do is small and was quick to start. The
// budgets are 60 MB and 150 ms; the time is asserted loosely, since tests share
// their machine.
func TestIdle(t *testing.T) {
	best := time.Hour
	var s *hayatetest.Server
	for range 3 {
		s = hayatetest.Start(t, hayatetest.Options{Args: []string{"--shipped", "core,hello,samples"}})
		best = min(best, s.Startup)
	}
	t.Logf("start to serving %s, %.1f MB of memory", best.Round(time.Millisecond), float64(s.RSS(t))/1e6)
	if best > 1500*time.Millisecond {
		t.Errorf("it took %s to serve, want 150 ms on an idle machine", best)
	}
	if rss := s.RSS(t); rss > 60_000_000 {
		t.Errorf("%d bytes of memory, want at most 60 MB", rss)
	}
}
