// Package keyfile implements router.Secrets with a key ring in a local file,
// which is made on first use, and reads StackStorm's datastore key. A key file
// that others can read is refused.
package keyfile

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/seal"
	"github.com/hayate-run/hayate/router"
)

// Secrets seals and opens with the keys of a file. Its methods may be called
// from many goroutines.
type Secrets struct {
	path string

	mu   sync.RWMutex
	ring *seal.Ring
}

var _ router.Secrets = (*Secrets)(nil)

// Open reads the key file, or makes one with a new key where there is none. It
// returns ErrDenied for a file that others can read, and ErrInvalid for one that
// is no key file.
func Open(path string) (*Secrets, error) {
	b, err := read(path, 0o077)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make the key file %s: %w", path, err)
		}
		b, err = read(path, 0o077)
	}
	if err != nil {
		return nil, err
	}
	ring, err := seal.ParseRing(b)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, kind(err))
	}
	return &Secrets{path: path, ring: ring}, nil
}

// Parse returns the secrets of a key file's text, as it comes out of a store of
// secrets. They cannot be rotated here. ErrInvalid says that it is none.
func Parse(text []byte) (*Secrets, error) {
	ring, err := seal.ParseRing(text)
	if err != nil {
		return nil, fmt.Errorf("key ring: %w", kind(err))
	}
	return &Secrets{ring: ring}, nil
}

// read reads a file that nobody of the forbidden mode bits may read.
func read(path string, forbidden fs.FileMode) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if open := fi.Mode().Perm() & forbidden; open != 0 {
		return nil, fmt.Errorf("key file %s has mode %04o: others than its owner can use it; run: chmod %o %s: %w",
			path, fi.Mode().Perm(), fi.Mode().Perm()&^forbidden, path, hayate.ErrDenied)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return b, nil
}

// create writes a file with one new key, unless another process was first.
func create(path string) error {
	k, err := seal.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	ring, err := seal.NewRing(k)
	if err != nil {
		return err
	}
	temp, err := write(path, ring)
	if err != nil {
		return err
	}
	// A link, unlike a rename, does not replace what is there.
	err = os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(temp), syncDir(filepath.Dir(path)))
}

// write puts a ring into a new file beside path, on disk, and returns its name.
func write(path string, ring *seal.Ring) (string, error) {
	b, err := json.MarshalIndent(ring, "", "  ")
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal implements router.Secrets.
func (s *Secrets) Seal(plain string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ring.Seal(rand.Reader, plain)
}

// Open implements router.Secrets.
func (s *Secrets) Open(sealed string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	plain, err := s.ring.Open(sealed)
	return plain, kind(err)
}

// kind gives the errors of sealing the kind that callers know.
func kind(err error) error {
	if errors.Is(err, seal.ErrInvalid) {
		return fmt.Errorf("%w: %w", hayate.ErrInvalid, err)
	}
	return err
}

// Rotate adds a new key, which seals from now on, and returns its id. What older
// keys sealed still opens. The file is replaced at once or not at all.
func (s *Secrets) Rotate() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		return "", fmt.Errorf("rotate keys: they lie in no file; rotate them where they are kept: %w", hayate.ErrInvalid)
	}
	k, err := seal.NewKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("rotate %s: %w", s.path, err)
	}
	ring, err := s.ring.Rotated(k)
	if err != nil {
		return "", fmt.Errorf("rotate %s: %w", s.path, kind(err))
	}
	temp, err := write(s.path, ring)
	if err != nil {
		return "", fmt.Errorf("rotate %s: %w", s.path, err)
	}
	if err := os.Rename(temp, s.path); err != nil {
		return "", errors.Join(fmt.Errorf("rotate %s: %w", s.path, err), os.Remove(temp))
	}
	s.ring = ring
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return k.ID, fmt.Errorf("rotate %s: %w", s.path, err)
	}
	return k.ID, nil
}

// Keys are the ids of the keys, the sealing one first.
func (s *Secrets) Keys() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ring.IDs()
}

// StackStorm reads the datastore key of a StackStorm installation. Its group may
// read the file, as StackStorm's own set-up has it; others may not.
func StackStorm(path string) (*seal.SymmetricKey, error) {
	b, err := read(path, 0o007)
	if err != nil {
		return nil, err
	}
	k, err := seal.ParseSymmetricKey(b)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, kind(err))
	}
	return k, nil
}
