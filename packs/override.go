package packs

import (
	"errors"
	"io/fs"
	"path"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Overrides are what an operator's files say about the resources of packs, over
// the packs' own files: overrides/_global.yaml and overrides/<pack>.yaml.
type Overrides struct {
	layers []*yamldoc.Node // later ones win
}

// ReadOverrides reads the overrides for a pack from a folder of fsys. Absent
// files override nothing. A file with an error is left out whole.
func ReadOverrides(fsys fs.FS, dir, pack string) (Overrides, []Diagnostic) {
	r := &reader{fsys: fsys, dir: path.Clean(dir), shapes: newShapes(), pack: &Pack{Documents: map[string]*yamldoc.Node{}}}
	var o Overrides
	for _, file := range []string{"_global.yaml", pack + ".yaml"} {
		if _, err := fs.Stat(fsys, path.Join(r.dir, file)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		n := r.document(file)
		if n == nil || !r.check(n, r.shapes.override, "the file") {
			continue
		}
		if file == "_global.yaml" && !r.withoutExceptions(n) {
			continue
		}
		o.layers = append(o.layers, n)
	}
	return o, r.found
}

func (r *reader) withoutExceptions(n *yamldoc.Node) bool {
	before := r.errors
	for _, kind := range n.Entries() {
		if k, _ := kind.Value.Lookup("exceptions"); k != nil {
			r.errorf(k, "bad-value", "exceptions belong into the file of a pack, not into _global.yaml")
		}
	}
	return r.errors == before
}

// enabled returns what the overrides say about a resource, or what was so.
func (o Overrides) enabled(kind, name string, was bool) bool {
	for _, l := range o.layers {
		section := l.Get(kind)
		was = boolOr(section.Get("defaults").Get("enabled"), was)
		was = boolOr(section.Get("exceptions").Get(name).Get("enabled"), was)
	}
	return was
}

// Counts are numbers of resources by kind.
type Counts struct {
	Actions, Rules, Sensors, Aliases int
}

// Override applies overrides to the pack's resources and counts those it
// changed.
func (p *Pack) Override(o Overrides) Counts {
	var c Counts
	apply := func(kind, name string, enabled *bool, count *int) {
		if is := o.enabled(kind, name, *enabled); is != *enabled {
			*enabled = is
			*count++
		}
	}
	for i := range p.Actions {
		apply("actions", p.Actions[i].Name, &p.Actions[i].Enabled, &c.Actions)
	}
	for i := range p.Rules {
		apply("rules", p.Rules[i].Name, &p.Rules[i].Enabled, &c.Rules)
	}
	for i := range p.Sensors {
		apply("sensors", p.Sensors[i].ClassName, &p.Sensors[i].Enabled, &c.Sensors)
	}
	for i := range p.Aliases {
		apply("aliases", p.Aliases[i].Name, &p.Aliases[i].Enabled, &c.Aliases)
	}
	return c
}
