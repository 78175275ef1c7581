package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

const (
	blobsDir   = "blobs"
	blobPrefix = "sha256:"
	// blobTemp begins the names of files that are being written.
	blobTemp = "new-"
)

// Blobs keeps bytes in files named by their content, 256 folders of them. A
// blob is written beside, synced, and then renamed, so that none is half there.
type Blobs struct {
	dir    string
	now    func() time.Time
	closed atomic.Bool
}

var _ router.Blobs = (*Blobs)(nil)

// openBlobs makes the folder and removes what a dead process was writing.
func openBlobs(dir string, now func() time.Time) (*Blobs, error) {
	b := &Blobs{dir: filepath.Join(dir, blobsDir), now: now}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", fileError(err))
	}
	stale, err := filepath.Glob(filepath.Join(b.dir, blobTemp+"*"))
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("open blobs: %w", fileError(err))
		}
	}
	return b, nil
}

func (b *Blobs) ready(ctx context.Context) error {
	if b.closed.Load() {
		return errClosed
	}
	return ctx.Err()
}

// Put implements router.Blobs.
func (b *Blobs) Put(ctx context.Context, r io.Reader) (hayate.BlobRef, error) {
	ref, err := b.put(ctx, r)
	if err != nil {
		return hayate.BlobRef{}, fmt.Errorf("store blob: %w", err)
	}
	return ref, nil
}

func (b *Blobs) put(ctx context.Context, r io.Reader) (hayate.BlobRef, error) {
	if err := b.ready(ctx); err != nil {
		return hayate.BlobRef{}, err
	}
	f, err := os.CreateTemp(b.dir, blobTemp+"*")
	if err != nil {
		return hayate.BlobRef{}, fileError(err)
	}
	ref, err := fill(f, r)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = b.keep(f.Name(), ref.Hash)
	}
	if err != nil {
		return hayate.BlobRef{}, errors.Join(fileError(err), removeIfThere(f.Name()))
	}
	return ref, nil
}

func fill(f *os.File, r io.Reader) (hayate.BlobRef, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), r)
	if err != nil {
		return hayate.BlobRef{}, err
	}
	return hayate.BlobRef{Hash: blobPrefix + hex.EncodeToString(h.Sum(nil)), Size: n}, f.Sync()
}

// keep gives a written file its name.
func (b *Blobs) keep(temp, hash string) error {
	path, err := b.path(hash)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if _, err := os.Stat(path); err == nil {
		// The time keeps it from being removed as loose before it is referred to.
		now := b.now()
		return errors.Join(os.Chtimes(path, now, now), os.Remove(temp), syncDir(folder))
	}
	if err := os.Mkdir(folder, 0o700); err == nil {
		if err := syncDir(b.dir); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(folder)
}

// path returns where a blob lies; a hash that is none is ErrNotFound.
func (b *Blobs) path(hash string) (string, error) {
	digits, ok := strings.CutPrefix(hash, blobPrefix)
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != sha256.Size || !isLowerHex(digits) {
		return "", fmt.Errorf("%q names no blob: %w", hash, hayate.ErrNotFound)
	}
	return filepath.Join(b.dir, digits[:2], digits[2:]), nil
}

// Get implements router.Blobs.
func (b *Blobs) Get(ctx context.Context, hash string) (io.ReadCloser, error) {
	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	path, err := b.path(hash)
	if err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", hash, hayate.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", hash, fileError(err))
	}
	return f, nil
}

// Delete implements router.Blobs.
func (b *Blobs) Delete(ctx context.Context, hash string) error {
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	path, err := b.path(hash)
	if err != nil {
		return nil // what is no name is not there
	}
	if err := removeIfThere(path); err != nil {
		return fmt.Errorf("delete blob %s: %w", hash, fileError(err))
	}
	return nil
}

// blobGrace is how long a blob that nothing refers to is kept: its owner may
// just be about to refer to it.
const blobGrace = time.Hour

// removeLoose removes a blob that nothing refers to, unless it was stored within
// blobGrace; it says whether it is gone.
func (b *Blobs) removeLoose(hash string) (bool, error) {
	path, err := b.path(hash)
	if err != nil {
		return true, nil // what is no name is not there
	}
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fileError(err)
	}
	if b.now().Sub(fi.ModTime()) < blobGrace {
		return false, nil
	}
	return true, fileError(removeIfThere(path))
}

// count returns the number of blobs and their size.
func (b *Blobs) count() (n, size int64, err error) {
	err = filepath.WalkDir(b.dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), blobTemp) {
			return err
		}
		if fi, err := d.Info(); err == nil { // else it was removed meanwhile
			n++
			size += fi.Size()
		}
		return nil
	})
	return n, size, err
}
