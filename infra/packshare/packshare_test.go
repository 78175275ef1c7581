package packshare_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/infra/packshare"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
)

func writePack(t *testing.T, text string) router.Pack {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ops")
	for name, body := range map[string]string{"pack.yaml": "ref: ops\nname: ops\nversion: 1.0.0\n", "actions/a.sh": text} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := packs.Digest(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	return router.Pack{Ref: "ops", Version: "1.0.0", Digest: digest, Dir: dir, Config: json.RawMessage(`{"token":"s3cret"}`)}
}

func TestPacksAndConfigurationsReachOthers(t *testing.T) {
	t.Parallel()
	registry, blobs := memory.NewRegistry(), memory.NewBlobs()
	secrets, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	config := packshare.Config{Registry: registry, Blobs: blobs, Secrets: secrets, Dir: t.TempDir()}
	one := packshare.New(config)
	config.Dir = t.TempDir()
	two := packshare.New(config)
	ctx := t.Context()
	p := writePack(t, "#!/bin/sh\necho one\n")
	if err := one.Publish(ctx, router.Content{Packs: []router.Pack{p}}); err != nil {
		t.Fatal(err)
	}
	f, err := two.Fetch(ctx)
	if err != nil || len(f.Dirs) != 1 {
		t.Fatalf("Fetch gives %v, %v; want one folder", f.Dirs, err)
	}
	got, err := os.ReadFile(filepath.Join(f.Dirs[0], "actions", "a.sh"))
	if err != nil || string(got) != "#!/bin/sh\necho one\n" {
		t.Errorf("the script is %q, %v", got, err)
	}
	if fi, err := os.Stat(filepath.Join(f.Dirs[0], "actions", "a.sh")); err != nil || fi.Mode()&0o111 == 0 {
		t.Errorf("the script cannot be run: %v, %v", fi.Mode(), err)
	}
	if string(f.Configs["ops"]) != `{"token":"s3cret"}` {
		t.Errorf("the configuration is %s", f.Configs["ops"])
	}
	docs, rev, err := registry.List(ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if bytes.Contains(d.Body, []byte("s3cret")) {
			t.Errorf("%s %s holds the secret in clear: %s", d.Kind, d.Ref, d.Body)
		}
	}
	if err := one.Publish(ctx, router.Content{Packs: []router.Pack{p}}); err != nil {
		t.Fatal(err)
	}
	if _, again, _ := registry.List(ctx, "", 0); again != rev {
		t.Errorf("publishing the same twice makes revision %d of %d", again, rev)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := make(chan packshare.Fetched, 1)
	done := make(chan error, 1)
	go func() {
		done <- two.Follow(ctx, f.Revision, func() (int64, error) {
			f, err := two.Fetch(ctx)
			seen <- f
			return f.Revision, err
		})
	}()
	if err := one.Publish(ctx, router.Content{Packs: []router.Pack{writePack(t, "#!/bin/sh\necho two\n")}}); err != nil {
		t.Fatal(err)
	}
	next := <-seen
	if next.Dirs[0] == f.Dirs[0] {
		t.Errorf("another content lies in the same folder %s", next.Dirs[0])
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ends with %v", err)
	}
}

func TestForeignBundlesAreRefused(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]tar.Header{
		"a name that leads out": {Name: "../x", Typeflag: tar.TypeReg},
		"an absolute name":      {Name: "/etc/x", Typeflag: tar.TypeReg},
		"a link":                {Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
	} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		if err := errors.Join(w.WriteHeader(&h), w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		if err := packshare.Unpack(t.TempDir(), &b); !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
	var b bytes.Buffer
	if err := packshare.Pack(&b, fstest.MapFS{"pack.yaml": {Data: []byte("ref: x\n")}}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "x")
	if err := packshare.Install(dir, "sha256:0000000000000000000000000000000000000000000000000000000000000000", &b); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("a bundle of another digest: got %v, want invalid", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused bundle was unpacked")
	}
}

func FuzzUnpack(f *testing.F) {
	var b bytes.Buffer
	if err := packshare.Pack(&b, fstest.MapFS{"pack.yaml": {Data: []byte("ref: x\n")}, "actions/a.sh": {Data: []byte("#!/bin/sh\n"), Mode: 0o755}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "in")
		_ = packshare.Unpack(dir, bytes.NewReader(in)) // whatever it says
		entries, err := os.ReadDir(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "in" {
				t.Errorf("%q was written outside", e.Name())
			}
		}
	})
}
