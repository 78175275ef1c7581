// Package packdir brings packs from folders, and from the binary itself, to the
// router, and notices when their files change.
package packdir

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/packs/lint"
	"github.com/hayate-run/hayate/router"
)

// Config says where packs are.
type Config struct {
	// Dirs are folders whose subfolders with a pack.yaml are packs. A folder that
	// is a pack itself is taken as one.
	Dirs []string
	// Shipped names packs of the binary to register too; a pack of the same name
	// in Dirs wins.
	Shipped []string
	// Configs is a folder with the configuration of packs, PACK.yaml each; "" for none.
	Configs string
	// Unpack is where shipped packs are written to, since their scripts must be
	// files to be run.
	Unpack string
	// Lint also looks for mistakes between files: see package packs/lint. It takes
	// time, and nothing is refused for what it finds.
	Lint bool
	Log  *slog.Logger // default: silence
}

// Load reads all packs. Diagnostics hold every mistake found, with its place, in
// the order of the files. What is wrong is left out: a file with an error, a rule
// that does not compile, and a whole pack where its pack.yaml has an error. The
// error says that a folder could not be read.
func Load(c Config) (router.Content, []packs.Diagnostic, error) {
	var content router.Content
	var found []packs.Diagnostic
	var errs []error
	var read []lint.Pack
	seen := map[string]string{}
	for _, dir := range c.Dirs {
		names, err := packFolders(dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for i, p := range readAll(names) {
			p, ds := add(&content, seen, p, names[i], c.Configs)
			read, found = append(read, p), append(found, ds...)
		}
	}
	for _, ref := range c.Shipped {
		if seen[ref] != "" {
			continue
		}
		dir, err := unpack(c.Unpack, ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p, ds := add(&content, seen, readAll([]string{dir})[0], dir, c.Configs)
		read, found = append(read, p), append(found, ds...)
	}
	if c.Lint {
		found = append(found, lint.Check(read)...)
	} else {
		for i := range read {
			found = append(found, read[i].Found...)
		}
	}
	slices.SortStableFunc(found, func(a, b packs.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	found = slices.Compact(found)
	slices.SortFunc(content.Packs, func(a, b router.Pack) int { return cmp.Compare(a.Ref, b.Ref) })
	return content, found, errors.Join(errs...)
}

// packFolders returns the folders of packs at dir.
func packFolders(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "pack.yaml")); err == nil {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read packs: %v: %w", err, hayate.ErrInvalid)
	}
	var out []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, "pack.yaml")); err == nil {
			out = append(out, path)
		}
	}
	return out, nil
}

// readAll reads packs side by side.
func readAll(dirs []string) []lint.Pack {
	out := make([]lint.Pack, len(dirs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(dirs)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(dirs); i = int(next.Add(1)) - 1 {
				abs := absolute(dirs[i])
				out[i] = lint.Read(plainDir(filepath.Dir(abs)), filepath.Base(abs), dirs[i])
			}
		})
	}
	wg.Wait()
	return out
}

func absolute(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	return abs
}

// add puts what is right of a pack into the content. The diagnostics are those
// beside what reading it found.
func add(c *router.Content, seen map[string]string, p lint.Pack, dir, configs string) (lint.Pack, []packs.Diagnostic) {
	abs := absolute(dir)
	refuse := func(code, format string, args ...any) []packs.Diagnostic {
		return []packs.Diagnostic{{File: filepath.Join(dir, "pack.yaml"), Severity: packs.Error, Code: code, Message: fmt.Sprintf(format, args...)}}
	}
	if p.Refused() {
		p.Pack = nil // what it says of itself is found already
		return p, refuse("pack-refused", "the pack is not registered, since its pack.yaml has an error")
	}
	if other := seen[p.Ref]; other != "" {
		ds := refuse("duplicate-pack", "pack %s is registered from %s already", p.Ref, other)
		p.Pack = nil
		return p, ds
	}
	seen[p.Ref] = dir
	config, ds := readConfig(p.Pack, configs)
	c.Packs = append(c.Packs, router.Pack{Config: config, ConfigSchema: p.ConfigSchema, Ref: p.Ref, Name: p.Name, Description: p.Description, Version: p.Version,
		Author: p.Author, Digest: p.Digest, Dir: abs, Pipefail: p.Pipefail != nil && *p.Pipefail})
	c.Actions = append(c.Actions, p.Actions...)
	good, wrong := lint.Compile(&p)
	c.Rules = append(c.Rules, good...)
	ds = append(ds, wrong...)
	c.Triggers = append(c.Triggers, p.TriggerTypes...)
	c.Policies = append(c.Policies, p.Policies...)
	for i := range p.Actions {
		a := &p.Actions[i]
		if !isWorkflow(a.Runner) {
			continue
		}
		text, err := fs.ReadFile(plainDir(abs), path.Join("actions", filepath.ToSlash(a.EntryPoint)))
		if err != nil {
			ds = append(ds, packs.Diagnostic{File: filepath.Join(dir, a.Source), Severity: packs.Error, Code: "no-entry-point",
				Message: fmt.Sprintf("the workflow of %s cannot be read: %v", a.Ref(), err)})
			continue
		}
		if c.Workflows == nil {
			c.Workflows = map[hayate.Ref][]byte{}
		}
		c.Workflows[a.Ref()] = text
	}
	return p, ds
}

// readConfig reads a pack's configuration where there is one.
func readConfig(p *packs.Pack, dir string) (json.RawMessage, []packs.Diagnostic) {
	if dir == "" {
		return nil, nil
	}
	file := filepath.Join(dir, p.Ref+".yaml")
	src, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && len(p.ConfigSchema) == 0:
		return nil, nil
	case errors.Is(err, os.ErrNotExist):
		src = []byte("{}") // the schema's defaults
	case err != nil:
		return nil, []packs.Diagnostic{{File: file, Severity: packs.Error, Code: "unreadable", Message: err.Error()}}
	}
	return packs.ReadConfig(p, src, file)
}

// isWorkflow says whether a runner's entry point is a definition that the router
// reads, rather than a program that a runner runs.
func isWorkflow(runner string) bool {
	switch runner {
	case "orquesta", "action-chain", "mistral-v2":
		return true
	}
	return false
}

// Unpack writes one pack of the binary below root and returns its folder:
// ErrNotFound for a pack that is not there.
func Unpack(root, ref string) (string, error) { return unpack(root, ref) }

// unpack writes a shipped pack below root and returns its folder. It is done once
// for each content.
func unpack(root, ref string) (string, error) {
	fsys, err := fs.Sub(packs.Shipped(), ref)
	if err != nil {
		return "", fmt.Errorf("shipped pack %s: %w", ref, hayate.ErrNotFound)
	}
	if _, err := fs.Stat(fsys, "pack.yaml"); err != nil {
		return "", fmt.Errorf("there is no pack %q in this binary: %w", ref, hayate.ErrNotFound)
	}
	digest, err := packs.Digest(fsys, ".")
	if err != nil {
		return "", fmt.Errorf("shipped pack %s: %w", ref, err)
	}
	dir := filepath.Join(root, strings.TrimPrefix(digest, "sha256:")[:16], ref)
	if _, err := os.Stat(filepath.Join(dir, "pack.yaml")); err == nil {
		return dir, nil
	}
	tmp := dir + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return "", fmt.Errorf("unpack pack %s: %w", ref, err)
	}
	if err := copyTree(tmp, fsys); err != nil {
		return "", fmt.Errorf("unpack pack %s: %w", ref, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("unpack pack %s: %w", ref, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", fmt.Errorf("unpack pack %s: %w", ref, err)
	}
	return dir, nil
}

// copyTree writes a tree; scripts, which an embedded tree knows no mode of,
// become executable.
func copyTree(dir string, fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(string(b), "#!") {
			mode = 0o755
		}
		return os.WriteFile(to, b, mode)
	})
}

// settle is how long files must be quiet before a change counts as finished.
const settle = 300 * time.Millisecond

// Watch calls changed after files of the folders have changed and are quiet
// again, until ctx ends. Folders that appear later are watched too.
func Watch(ctx context.Context, c Config, changed func()) error {
	if len(c.Dirs) == 0 {
		<-ctx.Done()
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch packs: %w", err)
	}
	defer w.Close()
	dirs := c.Dirs
	if c.Configs != "" {
		dirs = append(slices.Clone(dirs), c.Configs)
	}
	for _, d := range dirs {
		watchTree(w, d, c.Log)
	}
	quiet := time.NewTimer(settle)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return nil
			}
			if e.Has(fsnotify.Create) {
				watchTree(w, e.Name, c.Log)
			}
			if e.Op != fsnotify.Chmod {
				quiet.Reset(settle)
			}
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			// An overflow hides changes: read everything again.
			if c.Log != nil {
				c.Log.Warn("watch packs", "err", err)
			}
			quiet.Reset(settle)
		case <-quiet.C:
			changed()
		}
	}
}

func watchTree(w *fsnotify.Watcher, root string, log *slog.Logger) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // gone again, or a file
		}
		if d.Name() == ".git" || d.Name() == "__pycache__" {
			return filepath.SkipDir
		}
		return w.Add(path)
	})
	if err != nil && log != nil {
		log.Warn("packs of a folder are not watched, reload them with: hayate pack register", "dir", root, "err", err)
	}
}
