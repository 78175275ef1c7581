package faults_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// tmpfs mounts a small file system and returns its path.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	hayatetest.NeedRoot(t)
	dir := t.TempDir()
	if err := mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestFullDisk fills the disk: events are refused with a reason, what was
// acknowledged stays, and with room again the server goes on without a restart.
func TestFullDisk(t *testing.T) {
	disk := tmpfs(t, "24m")
	filler := filepath.Join(disk, "filler")
	s := hayatetest.Start(t, hayatetest.Options{Data: filepath.Join(disk, "data"), Packs: pack(t, noopRule)})
	send := func(id int) hayatetest.Reply {
		data := fmt.Sprintf(`{"text": %q}`, strings.Repeat("x", 16<<10))
		return s.Do(t, http.MethodPost, "/v1/events", hayatetest.Event("/test/full", fmt.Sprint(id), "test.noop", data), "Content-Type", hayatetest.Structured)
	}
	acknowledged := 0
	for ; acknowledged < 20; acknowledged++ {
		if r := send(acknowledged); r.Status != http.StatusAccepted {
			t.Fatalf("event %d on an empty disk: status %d, %s", acknowledged, r.Status, r.Body)
		}
	}
	if err := os.WriteFile(filler, make([]byte, 32<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v, want no space left", err)
	}
	var refused hayatetest.Reply
	for i := 0; ; i++ {
		if i == 2000 {
			t.Fatal("2000 events were accepted on a full disk")
		}
		if refused = send(acknowledged); refused.Status != http.StatusAccepted {
			break
		}
		acknowledged++
	}
	if refused.Status != http.StatusTooManyRequests && refused.Status != http.StatusServiceUnavailable {
		t.Errorf("status %d on a full disk, want 429 or 503: %s", refused.Status, refused.Body)
	}
	if refused.Header.Get("Retry-After") == "" {
		t.Error("the refusal has no Retry-After")
	}
	if text := strings.ToLower(string(refused.Body)); !strings.Contains(text, "full") && !strings.Contains(text, "space") {
		t.Errorf("the refusal does not say that the disk is full: %s", refused.Body)
	}
	if r := s.Do(t, http.MethodGet, "/livez", nil); r.Status != http.StatusOK {
		t.Errorf("/livez on a full disk: %d", r.Status)
	}
	if n := s.Count(t, "triggerinstances", ""); n != acknowledged {
		t.Errorf("%d events can be read on a full disk, want %d", n, acknowledged)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	hayatetest.Eventually(t, 30*time.Second, "an event is accepted after room was made", func() (bool, string) {
		r := send(acknowledged)
		return r.Status == http.StatusAccepted, fmt.Sprintf("%d %s", r.Status, r.Body)
	})
	acknowledged++
	hayatetest.Eventually(t, 30*time.Second, "everything acknowledged is executed", func() (bool, string) {
		n := s.Count(t, "executions", "status=succeeded")
		return n == acknowledged, fmt.Sprintf("%d of %d", n, acknowledged)
	})
	s.Kill()
	s = s.Again(t)
	if n := s.Count(t, "executions", "status=succeeded"); n != acknowledged {
		t.Errorf("%d executions after a restart, want %d", n, acknowledged)
	}
	if code, out, errs := s.CLI(t, "store", "check"); code != 0 {
		t.Errorf("store check: exit code %d, %s%s", code, out, errs)
	}
}

// refuses starts a server that must not start, and returns what it says.
func refuses(t *testing.T, o hayatetest.Options, words ...string) {
	t.Helper()
	_, err := hayatetest.TryStart(t, o)
	if err == nil {
		t.Fatal("the server started")
	}
	said := err.Error()
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("the message does not name %q: %s", w, said)
		}
	}
	for _, w := range []string{"panic", "goroutine "} {
		if strings.Contains(said, w) {
			t.Errorf("the server did not end in an orderly way: %s", said)
		}
	}
	lines := 0
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "hayate: ") {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("%d lines of complaint, want one: %s", lines, said)
	}
}

// TestReadOnlyDirectory: a directory that cannot be written is named.
func TestReadOnlyDirectory(t *testing.T) {
	t.Run("on a file system that is mounted read-only", func(t *testing.T) {
		disk := tmpfs(t, "8m")
		if err := remountReadOnly(disk); err != nil {
			t.Skipf("cannot mount read-only here: %v", err)
		}
		refuses(t, hayatetest.Options{Data: filepath.Join(disk, "data")}, disk, "read-only")
	})
	t.Run("that belongs to somebody else", func(t *testing.T) {
		hayatetest.NeedLinux(t)
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		o := hayatetest.Options{Data: dir}
		if os.Geteuid() == 0 { // whom no mode stops
			o.Attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			passable(t, dir)
			passable(t, hayatetest.Binary(t))
		}
		refuses(t, o, dir, "denied")
	})
}

// passable lets other users reach a path below the temporary folder.
func passable(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecondProcess: a directory belongs to one process at a time.
func TestSecondProcess(t *testing.T) {
	first := hayatetest.Start(t, hayatetest.Options{})
	refuses(t, hayatetest.Options{Data: first.Data}, first.Data, fmt.Sprint(first.PID()), "in use")
	code, _, errs := hayatetest.Run(t, nil, "store", "check", "--data", first.Data)
	if code == 0 || !strings.Contains(errs, "in use") {
		t.Errorf("store check beside a server: exit code %d, %s", code, errs)
	}
	if r := first.Do(t, http.MethodGet, "/readyz", nil); r.Status != http.StatusOK {
		t.Errorf("the first server suffered: %d", r.Status)
	}
}

// TestOccupiedPort: an address in use is named with what to do.
func TestOccupiedPort(t *testing.T) {
	first := hayatetest.Start(t, hayatetest.Options{})
	refuses(t, hayatetest.Options{Args: []string{"--listen", first.Addr}}, first.Addr, "--listen")
}

// TestCorruptedTail: what a torn write leaves at the end of the log is cut off;
// everything acknowledged before it is there.
func TestCorruptedTail(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*os.File, int64) error
	}{
		{"garbage after the end", func(f *os.File, size int64) error {
			_, err := f.WriteAt([]byte(strings.Repeat("\xde\xad\xbe\xef", 1500)), size)
			return err
		}},
		{"half a page after the end", func(f *os.File, size int64) error {
			page := make([]byte, 2048)
			if _, err := f.ReadAt(page, 32); err != nil {
				return err
			}
			_, err := f.WriteAt(page, size)
			return err
		}},
		{"zeros after the end", func(f *os.File, size int64) error { return f.Truncate(size + 64<<10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := hayatetest.Start(t, hayatetest.Options{Packs: pack(t, noopRule)})
			const n = 50
			for i := range n {
				s.Send(t, hayatetest.Event("/test/tail", fmt.Sprint(i), "test.noop", "{}"))
			}
			hayatetest.Eventually(t, 20*time.Second, "all are executed", func() (bool, string) {
				got := s.Count(t, "executions", "status=succeeded")
				return got == n, fmt.Sprint(got)
			})
			s.Kill()
			wal := filepath.Join(s.Data, "hayate.db-wal")
			f, err := os.OpenFile(wal, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.damage(f, st.Size()); err != nil {
				t.Fatal(err)
			}
			s = s.Again(t)
			if got := s.Count(t, "executions", "status=succeeded"); got != n {
				t.Errorf("%d executions, want %d", got, n)
			}
			if code, out, errs := s.CLI(t, "store", "check"); code != 0 {
				t.Errorf("store check: exit code %d, %s%s", code, out, errs)
			}
			a := s.Send(t, hayatetest.Event("/test/tail", "after", "test.noop", "{}"))
			s.AwaitEnd(t, s.OfEvent(t, a.ID).ID, 20*time.Second)
		})
	}
}

// TestBrokenStore: a database that is damaged in the middle is reported, by the
// check with places, and never by a crash.
func TestBrokenStore(t *testing.T) {
	s := hayatetest.Start(t, hayatetest.Options{Packs: pack(t, noopRule)})
	for i := range 300 {
		s.Send(t, hayatetest.Event("/test/broken", fmt.Sprint(i), "test.noop", fmt.Sprintf(`{"text": %q}`, strings.Repeat("y", 500))))
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(s.Data, "hayate.db")
	t.Run("pages overwritten", func(t *testing.T) {
		b, err := os.ReadFile(db)
		if err != nil {
			t.Fatal(err)
		}
		data := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		// More than is free: half of the file may be what the journal left.
		for i := len(b) / 4; i < len(b)/8*7; i++ {
			b[i] ^= 0x5a
		}
		if err := os.WriteFile(filepath.Join(data, "hayate.db"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := hayatetest.Run(t, nil, "store", "check", "--data", data)
		if code == 0 || strings.Contains(errs, "goroutine ") || strings.TrimSpace(out+errs) == "" {
			t.Errorf("store check of a damaged store: exit code %d, %s%s", code, out, errs)
		}
	})
	t.Run("no database at all", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, "hayate.db"), []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, hayatetest.Options{Data: data}, "hayate.db")
	})
}
