package packdir

import (
	"errors"
	"io/fs"
	"os"
)

// maxFile bounds a file of a pack that is read whole.
const maxFile = 16 << 20

var (
	errSpecial = errors.New("it is neither a file nor a folder: a pack with a pipe or a device would never be read to its end")
	errLarge   = errors.New("it has more than 16 MiB")
)

// plain is a folder of packs without what cannot be read to an end: opening a pipe
// waits for whoever writes into it, and a device has no end.
type plain struct{ inner fs.FS }

func plainDir(dir string) fs.FS { return plain{os.DirFS(dir)} }

func (p plain) check(op, name string, limit int64) error {
	info, err := fs.Stat(p.inner, name)
	if err != nil {
		return err //nolint:wrapcheck // a PathError says it all
	}
	switch {
	case !info.Mode().IsRegular() && !info.IsDir():
		return &fs.PathError{Op: op, Path: name, Err: errSpecial}
	case limit > 0 && info.Size() > limit:
		return &fs.PathError{Op: op, Path: name, Err: errLarge}
	}
	return nil
}

// Open opens a file or a folder.
func (p plain) Open(name string) (fs.File, error) {
	if err := p.check("open", name, 0); err != nil {
		return nil, err
	}
	return p.inner.Open(name) //nolint:wrapcheck // a PathError says it all
}

// ReadFile reads a file of at most maxFile bytes.
func (p plain) ReadFile(name string) ([]byte, error) {
	if err := p.check("read", name, maxFile); err != nil {
		return nil, err
	}
	return fs.ReadFile(p.inner, name) //nolint:wrapcheck // a PathError says it all
}

// ReadDir lists a folder.
func (p plain) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(p.inner, name) //nolint:wrapcheck // a PathError says it all
}

// Stat tells of what a name leads to.
func (p plain) Stat(name string) (fs.FileInfo, error) {
	return fs.Stat(p.inner, name) //nolint:wrapcheck // a PathError says it all
}
