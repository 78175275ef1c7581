package keyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/routertest"
)

func open(t *testing.T, path string) *keyfile.Secrets {
	t.Helper()
	s, err := keyfile.Open(path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	routertest.TestSecrets(t, func(t *testing.T) router.Secrets { return open(t, filepath.Join(t.TempDir(), "secrets.key")) })
}

func TestKeyFileIsMadeOnFirstUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	sealed, err := open(t, path).Seal("hunter2")
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, error %v; want 0600", fi.Mode(), err)
	}
	if got, err := open(t, path).Open(sealed); err != nil || got != "hunter2" {
		t.Errorf("another process opens it as %q, error %v", got, err)
	}
	if _, err := open(t, path).Open("hunter2"); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("Open of a plain text gives %v, want invalid", err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, error %v", left, err)
	}
}

func TestKeyFileIsMadeOnceByMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, err := keyfile.Open(path)
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			ids[i] = s.Keys()[0]
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("processes that start at once use the keys %v, want one", ids)
			break
		}
	}
}

func TestRotatedKeysStillOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	s := open(t, path)
	old, err := s.Seal("old")
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Rotate()
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	again := open(t, path)
	if keys := again.Keys(); len(keys) != 2 || keys[0] != id {
		t.Errorf("the file has the keys %v, want two, %s first", keys, id)
	}
	if got, err := again.Open(old); err != nil || got != "old" {
		t.Errorf("Open gave %q, error %v; want the old text", got, err)
	}
	if sealed, err := s.Seal("new"); err != nil || !strings.Contains(sealed, id) {
		t.Errorf("sealed as %q, error %v; want with key %s", sealed, err, id)
	}
}

func TestKeyFilesThatOthersCanReadAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	open(t, path)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o622} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := keyfile.Open(path)
		if !errors.Is(err, hayate.ErrDenied) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o gives %v, want a refusal that says what to run", mode, err)
		}
	}
}

func TestFilesThatAreNoKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := keyfile.Open(path)
	if !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open gives %v, want invalid and the file's name", err)
	}
	if _, err := keyfile.StackStorm(path); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("StackStorm gives %v, want invalid", err)
	}
	if _, err := keyfile.Open(filepath.Join(t.TempDir(), "no", "such", "dir")); err == nil {
		t.Error("Open in a directory that is not there gives no error")
	}
}

func TestStackStormKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "datastore_key.json")
	key := `{"hmacKey": {"hmacKeyString": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8", "size": 256},
		"aesKeyString": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "mode": "CBC", "size": 256}`
	if err := os.WriteFile(path, []byte(key), 0o640); err != nil {
		t.Fatal(err)
	}
	k, err := keyfile.StackStorm(path)
	if err != nil {
		t.Fatalf("StackStorm: %v", err)
	}
	const hello = "3030303030000102030405060708090A0B0C0D0E0F7FD12DAFB7E9599D0B849AD8C2E3C21F12DAA8974717A5389F02DCCFAD0EEC0290FF626C"
	if got, err := k.Decrypt(hello); err != nil || got != "hello" {
		t.Errorf("Decrypt gave %q, error %v; want hello", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.StackStorm(path); !errors.Is(err, hayate.ErrDenied) {
		t.Errorf("a file that all can read gives %v, want denied", err)
	}
}
