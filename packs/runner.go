package packs

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/runners"
)

// runner is what reading a pack must know of a runner.
type runner struct {
	hayate.Runner
	removed string        // since when StackStorm lacks it
	params  *yamldoc.Node // by name, as written
}

// Runners returns the runners that a pack's actions may name, with the
// parameters and results that StackStorm's runners of that name have.
func Runners() []hayate.Runner {
	known := readRunners()
	out := make([]hayate.Runner, len(known))
	for i := range known {
		out[i] = known[i].Runner
	}
	return out
}

// readRunners reads the descriptions. They are built in, so they are right, as a
// test shows.
func readRunners() []runner {
	files := runners.Descriptions()
	names, _ := fs.Glob(files, "*/runner.yaml") // the pattern is right
	var known []runner
	for _, name := range append([]string{"runners.yaml"}, names...) {
		raw, _ := fs.ReadFile(files, name) // Glob found it
		known = append(known, describedIn(raw, name)...)
	}
	return known
}

func describedIn(raw []byte, file string) (known []runner) {
	doc, _ := yamldoc.Parse(raw, yamldoc.Options{File: file})
	for _, e := range doc.Entries() {
		n := e.Value
		r := runner{params: n.Get("parameters")}
		r.Name = e.Name()
		r.Description, _ = n.Get("description").Str()
		for _, a := range n.Get("aliases").Items() {
			r.Aliases = append(r.Aliases, a.Text())
		}
		r.Parameters = parameters(r.params)
		r.OutputKey, _ = n.Get("output_key").Str()
		r.OutputSchema = n.Get("output_schema").JSON()
		r.NoEffect, _ = n.Get("no_effect").Bool()
		r.Asserts, _ = n.Get("asserts").Bool()
		r.Callback, _ = n.Get("callback").Bool()
		r.removed, _ = n.Get("removed").Str()
		known = append(known, r)
	}
	return known
}

// findRunner returns the runner of a name or an alias, or nil.
func findRunner(known []runner, name string) *runner {
	for i := range known {
		if known[i].Name == name || slices.Contains(known[i].Aliases, name) {
			return &known[i]
		}
	}
	return nil
}

// parameters turns a checked mapping of parameter schemas into the form that
// the rest of hayate reads.
func parameters(n *yamldoc.Node) hayate.Parameters {
	entries := n.Entries()
	if len(entries) == 0 {
		return nil
	}
	ps := make(hayate.Parameters, len(entries))
	for i, e := range entries {
		p := hayate.Parameter{Name: e.Name(), Schema: e.Value.JSON()}
		p.Type, _ = e.Value.Get("type").Str()
		p.Description, _ = e.Value.Get("description").Str()
		p.Description = strings.TrimSpace(p.Description)
		p.Default = e.Value.Get("default").JSON()
		p.Required, _ = e.Value.Get("required").Bool()
		p.Immutable, _ = e.Value.Get("immutable").Bool()
		p.Secret, _ = e.Value.Get("secret").Bool()
		if f, ok := e.Value.Get("position").Float(); ok {
			at := int(f)
			p.Position = &at
		}
		ps[i] = p
	}
	return ps
}
