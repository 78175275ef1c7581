package routertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// TestBlobs tests a keeper of blobs.
func TestBlobs(t *testing.T, open func(t *testing.T) router.Blobs) {
	for name, test := range map[string]func(*testing.T, router.Blobs){
		"keeps bytes by their content":      blobsKeep,
		"stores the same bytes once":        blobsOnce,
		"knows no blob that was not stored": blobsMissing,
		"deletes, and nothing twice":        blobsDelete,
		"keeps nothing of a broken reader":  blobsBroken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func store(t *testing.T, b router.Blobs, data []byte) hayate.BlobRef {
	t.Helper()
	ref, err := b.Put(ctx(t), bytes.NewReader(data))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return ref
}

func load(t *testing.T, b router.Blobs, hash string) []byte {
	t.Helper()
	r, err := b.Get(ctx(t), hash)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	defer r.Close() // only read
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return data
}

func blobsKeep(t *testing.T, b router.Blobs) {
	for _, data := range [][]byte{nil, []byte("x"), []byte("日本語\x00\xff"), bytes.Repeat([]byte("large "), 200_000)} {
		ref := store(t, b, data)
		sum := sha256.Sum256(data)
		if want := "sha256:" + hex.EncodeToString(sum[:]); ref.Hash != want || ref.Size != int64(len(data)) {
			t.Errorf("stored %d bytes as %+v, want %s", len(data), ref, want)
		}
		if got := load(t, b, ref.Hash); !bytes.Equal(got, data) {
			t.Errorf("loaded %d bytes, want the %d that were stored", len(got), len(data))
		}
	}
}

func blobsOnce(t *testing.T, b router.Blobs) {
	data := []byte("the same again")
	want := store(t, b, data)
	for i, err := range race(8, func(int) error {
		ref, err := b.Put(ctx(t), bytes.NewReader(data))
		if err == nil && ref != want {
			err = fmt.Errorf("stored as %+v, want %+v", ref, want)
		}
		return err
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if err := b.Delete(ctx(t), want.Hash); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err := b.Get(ctx(t), want.Hash)
	wantKind(t, "Get after one deletion", err, hayate.ErrNotFound)
}

func blobsMissing(t *testing.T, b router.Blobs) {
	sum := sha256.Sum256([]byte("never stored"))
	for _, hash := range []string{"sha256:" + hex.EncodeToString(sum[:]), "sha256:", "", "../../etc/passwd", "sha256:../../x"} {
		_, err := b.Get(ctx(t), hash)
		wantKind(t, fmt.Sprintf("Get %q", hash), err, hayate.ErrNotFound)
		if err := b.Delete(ctx(t), hash); err != nil {
			t.Errorf("Delete %q: %v", hash, err)
		}
	}
}

func blobsDelete(t *testing.T, b router.Blobs) {
	keep, drop := store(t, b, []byte("keep")), store(t, b, []byte("drop"))
	for range 2 {
		if err := b.Delete(ctx(t), drop.Hash); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	_, err := b.Get(ctx(t), drop.Hash)
	wantKind(t, "Get", err, hayate.ErrNotFound)
	if got := load(t, b, keep.Hash); string(got) != "keep" {
		t.Errorf("the other blob is %q", got)
	}
	if ref := store(t, b, []byte("drop")); ref != drop || string(load(t, b, ref.Hash)) != "drop" {
		t.Errorf("stored again as %+v, want %+v", ref, drop)
	}
}

var errReader = errors.New("the connection broke")

func blobsBroken(t *testing.T, b router.Blobs) {
	_, err := b.Put(ctx(t), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errReader)))
	wantKind(t, "Put", err, errReader)
	sum := sha256.Sum256([]byte("half"))
	_, err = b.Get(ctx(t), "sha256:"+hex.EncodeToString(sum[:]))
	wantKind(t, "Get", err, hayate.ErrNotFound)
}
