package packs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Read reads the pack in a folder of fsys; "." is the root. It returns all that
// could be read and every finding, sorted by place. The pack is nil only where
// its reference cannot be told: without it nothing else has a name. Errors say
// what was left out; a pack with an error in pack.yaml should not be used,
// though the rest of it is there.
func Read(fsys fs.FS, dir string) (*Pack, []Diagnostic) {
	r := &reader{fsys: fsys, dir: path.Clean(dir), shapes: newShapes(), runners: readRunners()}
	r.pack = &Pack{Documents: map[string]*yamldoc.Node{}, dir: r.dir}
	if r.readPack() {
		r.readConfigSchema()
		r.each("triggers", r.readTriggerType)
		r.each("sensors", r.readSensor)
		r.each("actions", r.readAction)
		r.each("rules", r.readRule)
		r.each("aliases", r.readAlias)
		r.each("policies", r.readPolicy)
		r.digest()
	} else {
		r.pack = nil
	}
	yamldoc.Sort(r.found)
	return r.pack, r.found
}

// reader reads one pack.
type reader struct {
	fsys    fs.FS
	dir     string
	pack    *Pack
	shapes  *shapes
	runners []runner
	system  map[string]*hayate.TriggerType // core's, once a rule asks
	places  map[string]int                 // of what was read, in its list, by kind and reference

	file   string // inside the pack, being read
	found  []Diagnostic
	errors int
}

// inDir is the name of a pack's file for messages.
func inDir(dir, file string) string {
	if dir == "." || dir == "" {
		return file
	}
	return dir + "/" + file
}

func (r *reader) report(n *yamldoc.Node, s yamldoc.Severity, code, format string, args []any) {
	if s == Error {
		r.errors++
	}
	r.found = append(r.found, Diagnostic{File: inDir(r.dir, r.file), Line: n.Line(), Column: n.Column(), Severity: s,
		Code: code, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) errorf(n *yamldoc.Node, code, format string, args ...any) {
	r.report(n, Error, code, format, args)
}

func (r *reader) warnf(n *yamldoc.Node, code, format string, args ...any) {
	r.report(n, Warning, code, format, args)
}

// document reads a file of the pack into a mapping, or reports why not.
func (r *reader) document(file string) *yamldoc.Node {
	r.file = file
	src, err := fs.ReadFile(r.fsys, path.Join(r.dir, file))
	if err != nil {
		r.errorf(nil, "unreadable", "cannot be read: %v", err)
		return nil
	}
	n, found := yamldoc.Parse(src, yamldoc.Options{File: inDir(r.dir, file)})
	r.found = append(r.found, found...)
	if yamldoc.HasErrors(found) {
		r.errors++
		return nil
	}
	r.pack.Documents[file] = n
	if n.Kind() != yamldoc.Mapping {
		if n.IsNull() {
			r.errorf(n, "wrong-type", "the file is empty, expected a mapping")
			return nil
		}
		r.errorf(n, "wrong-type", "the file holds %s, expected a mapping", n.Kind())
		return nil
	}
	return n
}

// each reads the metadata files of a folder, by name.
func (r *reader) each(folder string, read func(*yamldoc.Node)) {
	entries, err := fs.ReadDir(r.fsys, path.Join(r.dir, folder))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.file = folder
			r.errorf(nil, "unreadable", "cannot be read: %v", err)
		}
		return
	}
	for _, e := range entries {
		name := e.Name()
		if ext := path.Ext(name); e.IsDir() || name[0] == '.' || (ext != ".yaml" && ext != ".yml") {
			continue
		}
		if folder == "actions" && strings.TrimSuffix(name, path.Ext(name)) == "config" {
			continue // an old place for configuration, never an action
		}
		if n := r.document(folder + "/" + name); n != nil && r.inPack(n) {
			read(n)
		}
	}
}

// inPack checks that a document names no other pack. Those of core may name
// hayate; see ownerOf.
func (r *reader) inPack(n *yamldoc.Node) bool {
	v := n.Get("pack")
	if s, ok := v.Str(); v.IsNull() || (ok && (s == "" || s == r.pack.Ref || s == systemOwner && r.pack.Ref == "core")) {
		return true
	}
	r.errorf(v, "other-pack", "the pack is %q, but the file is in the pack %q", v.Text(), r.pack.Ref)
	return false
}

func (r *reader) digest() {
	d, err := Digest(r.fsys, r.dir)
	if err != nil {
		r.file = "pack.yaml"
		r.errorf(nil, "unreadable", "%v", err)
	}
	r.pack.Digest = d
}

// readPack reads pack.yaml. It returns false where the reference cannot be told.
func (r *reader) readPack() bool {
	n := r.document("pack.yaml")
	if n == nil {
		return false
	}
	r.check(n, r.shapes.pack, "pack.yaml")
	p := r.pack
	p.Name, _ = n.Get("name").Str()
	p.Version = n.Get("version").Text()
	p.Description, _ = n.Get("description").Str()
	p.Author, _ = n.Get("author").Str()
	p.Email, _ = n.Get("email").Str()
	p.Keywords = texts(n.Get("keywords"))
	p.Contributors = texts(n.Get("contributors"))
	p.Dependencies = texts(n.Get("dependencies"))
	p.PythonVersions = texts(n.Get("python_versions"))
	p.StackStormVersion, _ = n.Get("stackstorm_version").Str()
	p.Pipefail = optionalBool(n.Get("pipefail"))
	if len(p.PythonVersions) == 1 && p.PythonVersions[0] == "2" {
		r.warnf(n.Get("python_versions"), "python2", "the pack is for Python 2 only")
	}
	folder := path.Base(r.dir)
	ref, _ := n.Get("ref").Str()
	switch {
	case ref != "":
		p.Ref = ref
	case packRef.MatchString(folder):
		p.Ref = folder
	case packRef.MatchString(p.Name):
		p.Ref = p.Name
	default:
		r.errorf(n, "no-ref", "neither a key \"ref\", nor the folder, nor the name gives a reference of a-z, 0-9 and _")
		return false
	}
	if p.Ref == "_global" {
		r.errorf(n, "no-ref", "the name _global is reserved")
	}
	if _, err := fs.Stat(r.fsys, path.Join(r.dir, "config.yaml")); err == nil {
		r.file = "config.yaml"
		r.warnf(nil, "old-config", "is not read: write a config.schema.yaml, and the values into configs/%s.yaml", p.Ref)
	}
	return packRef.MatchString(p.Ref)
}

func (r *reader) readConfigSchema() {
	const file = "config.schema.yaml"
	if _, err := fs.Stat(r.fsys, path.Join(r.dir, file)); errors.Is(err, fs.ErrNotExist) {
		return
	}
	n := r.document(file)
	if n == nil {
		return
	}
	if len(n.Entries()) == 0 {
		r.errorf(n, "bad-value", "the config schema is empty")
		return
	}
	if r.check(n, r.shapes.configSchema, "the config schema") {
		r.pack.ConfigSchema = n.JSON()
	}
}

func texts(n *yamldoc.Node) []string {
	var out []string
	for _, it := range n.Items() {
		if s := it.Text(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func optionalBool(n *yamldoc.Node) *bool {
	b, ok := n.Bool()
	if !ok {
		return nil
	}
	return &b
}

func boolOr(n *yamldoc.Node, missing bool) bool {
	b, ok := n.Bool()
	if !ok {
		return missing
	}
	return b
}

// text returns a text without the line end that a block scalar leaves.
func text(n *yamldoc.Node) string {
	s, _ := n.Str()
	return strings.TrimRight(s, "\n")
}

// jsonOf returns a value as JSON; nil where it is absent or null.
func jsonOf(n *yamldoc.Node) []byte {
	if n.IsNull() {
		return nil
	}
	return n.JSON()
}

// revision identifies the content of a document.
func revision(n *yamldoc.Node) string {
	sum := sha256.Sum256(n.AppendJSON(nil))
	return hex.EncodeToString(sum[:8])
}

// put adds an item to a list, replacing one of the same reference, as a second
// registration in StackStorm does.
func put[T any](r *reader, list []T, item T, n *yamldoc.Node, what string, ref func(*T) hayate.Ref, source func(*T) string) []T {
	key := what + " " + string(ref(&item))
	if at, twice := r.places[key]; twice {
		r.warnf(n, "duplicate-name", "the %s is in %s already; this file counts", key, source(&list[at]))
		list[at] = item
		return list
	}
	if r.places == nil {
		r.places = map[string]int{}
	}
	r.places[key] = len(list)
	return append(list, item)
}
