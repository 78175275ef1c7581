package packshare

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hayate-run/hayate"
)

// The bounds of a bundle.
const (
	maxBundle = 256 << 20 // bytes of all files
	maxFiles  = 50_000
)

// Pack writes a pack's folder as a bundle: a compressed tar of the files that its
// digest covers, in order of their names and without times or owners, so that
// the same content makes the same bytes.
func Pack(w io.Writer, fsys fs.FS) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	total, files := int64(0), 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); base == ".git" || base == "__pycache__" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, ".pyc") {
			return nil
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += int64(len(b))
		if files++; total > maxBundle || files > maxFiles {
			return fmt.Errorf("more than %d MiB or %d files: keep data out of packs: %w", maxBundle>>20, maxFiles, hayate.ErrTooLarge)
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(b)), Format: tar.FormatPAX}); err != nil {
			return err
		}
		_, err = t.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(t.Close(), z.Close())
}

// Unpack writes a bundle's files below dir. Anything but plain files with plain
// relative names is ErrInvalid.
func Unpack(dir string, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("the bundle is not compressed: %v: %w", err, hayate.ErrInvalid)
	}
	t := tar.NewReader(z)
	left := int64(maxBundle)
	for files := 0; ; files++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the bundle cannot be read: %v: %w", err, hayate.ErrInvalid)
		}
		switch {
		case h.Typeflag != tar.TypeReg || !fs.ValidPath(h.Name) || strings.Contains(h.Name, `\`):
			return fmt.Errorf("the bundle holds %q, which is no plain file: %w", h.Name, hayate.ErrInvalid)
		case h.Size > left || files > maxFiles:
			return fmt.Errorf("the bundle has more than %d MiB or %d files: %w", maxBundle>>20, maxFiles, hayate.ErrTooLarge)
		}
		left -= h.Size
		if err := unpackFile(filepath.Join(dir, filepath.FromSlash(h.Name)), fs.FileMode(h.Mode)&0o755|0o600, t); err != nil { //nolint:gosec // masked
			return err
		}
	}
}

func unpackFile(name string, mode fs.FileMode, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
