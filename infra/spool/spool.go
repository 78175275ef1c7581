// Package spool keeps an outpost's entries in a folder, a file each. A file is
// written beside its place, synced, and put there at once; the folder is synced
// after it: what Put has returned for survives the process and the host.
package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/outpost"
)

// Dir is a spool in a folder. Its methods may be called from many goroutines; the
// folder is held by one process at a time.
type Dir struct {
	path string
	lock *os.File
}

var _ outpost.Spool = (*Dir)(nil)

// Open makes the folder where it is missing and holds it: ErrBusy while another
// process does.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := hold(f); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool %s: another worker holds it, give each its own --data: %w", path, hayate.ErrBusy), f.Close())
	}
	return &Dir{path: path, lock: f}, nil
}

// Close gives the folder up.
func (d *Dir) Close() error { return d.lock.Close() }

var claims = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

const suffix = ".json"

func (d *Dir) file(claim string) (string, error) {
	if !claims.MatchString(claim) {
		return "", fmt.Errorf("spool: claim %q: %w", claim, hayate.ErrInvalid)
	}
	return filepath.Join(d.path, claim+suffix), nil
}

// Put implements outpost.Spool.
func (d *Dir) Put(e outpost.Entry) error {
	name, err := d.file(e.Claim)
	if err != nil {
		return err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	tmp := name + ".new"
	if err := write(tmp, b); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return d.sync()
}

func write(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// Drop implements outpost.Spool. It is not synced: an entry that comes back is told
// once more, and refused.
func (d *Dir) Drop(claim string) error {
	name, err := d.file(claim)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// All implements outpost.Spool. A file that is no entry is put aside, not lost.
func (d *Dir) All() ([]outpost.Entry, error) {
	files, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var out []outpost.Entry
	var errs []error
	for _, f := range files {
		claim, ok := strings.CutSuffix(f.Name(), suffix)
		if !ok {
			continue
		}
		name := filepath.Join(d.path, f.Name())
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped meanwhile
		}
		var e outpost.Entry
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		if err == nil && e.Claim != claim {
			err = fmt.Errorf("it is of claim %q: %w", e.Claim, hayate.ErrInvalid)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("spool: %s is no entry and is put aside as %s.bad: %w", name, f.Name(), err), os.Rename(name, name+".bad"))
			continue
		}
		out = append(out, e)
	}
	return out, errors.Join(errs...)
}
