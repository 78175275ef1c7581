package packs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Digest identifies a pack's content: SHA-256 over the names and bytes of its
// regular files, in order of their names, as "sha256:" and 64 hexadecimal
// digits. What Python and git leave behind (__pycache__, *.pyc, .git) does not
// count.
func Digest(fsys fs.FS, dir string) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); name != dir && (base == ".git" || base == "__pycache__") {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, ".pyc") {
			return nil
		}
		f, err := fsys.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
		if dir == "." {
			inside = name
		}
		// Lengths keep the end of a name and the start of its bytes apart.
		fmt.Fprintf(h, "%d:%s%d:", len(inside), inside, info.Size())
		_, err = io.Copy(h, f)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("digest pack %s: %w", dir, err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
