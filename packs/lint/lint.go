// Package lint finds what is wrong with packs beyond what makes a file
// unreadable: references that lead nowhere, parameters that an action does not
// take, conditions that cannot hold, templates and workflows with mistakes. It
// finds all of it at once, each with its place and, where it can, with what would
// be right.
//
// Errors are what cannot work; what StackStorm registers without complaint, and
// what may come with a pack that is not here, is a warning.
package lint

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
)

// Pack is a pack with the folder that it was read from.
type Pack struct {
	*packs.Pack        // nil where it cannot even be named
	FS          fs.FS  // the pack's own folder
	Name        string // how findings name the folder
	// Found is what reading found. Errors in pack.yaml refuse the pack.
	Found []packs.Diagnostic
}

// Read reads the pack in a folder of fsys for Check.
func Read(fsys fs.FS, dir, name string) Pack {
	p := Pack{Name: name}
	p.Pack, p.Found = packs.Read(fsys, dir)
	base := path.Clean(dir)
	for i := range p.Found {
		file := p.Found[i].File
		if base != "." {
			file = strings.TrimPrefix(file, base+"/")
		}
		p.Found[i].File = p.path(file)
	}
	var err error
	if p.FS, err = fs.Sub(fsys, base); err != nil {
		p.FS = fsys
	}
	return p
}

// path is how findings name a file of the pack.
func (p *Pack) path(file string) string {
	if p.Name == "" || p.Name == "." {
		return file
	}
	return path.Join(p.Name, file)
}

// Refused says whether the pack as a whole must not be used.
func (p *Pack) Refused() bool {
	return p.Pack == nil || slices.ContainsFunc(p.Found, func(d packs.Diagnostic) bool {
		return d.Severity == packs.Error && d.File == p.path("pack.yaml")
	})
}

// Check returns all that is wrong with the given packs, what reading them found
// included, sorted by place. Those beside them are there to be referred to, and
// are not looked at; the shipped pack core always is.
func Check(given []Pack, beside ...Pack) []packs.Diagnostic {
	l := newLinter(given, beside)
	for i := range given {
		p := &given[i]
		l.found = append(l.found, p.Found...)
		if p.Pack == nil {
			continue
		}
		l.p = p
		l.actionFiles()
		l.sensors()
		for k := range p.Rules {
			l.rule(&p.Rules[k])
		}
		for k := range p.Pack.Refused.Rules {
			l.rule(&p.Pack.Refused.Rules[k])
		}
		for k := range p.Aliases {
			l.alias(&p.Aliases[k])
		}
		for k := range p.Policies {
			l.policy(&p.Policies[k])
		}
	}
	l.conditions(given)
	yamldoc.Sort(l.found)
	said := map[packs.Diagnostic]bool{}
	return slices.DeleteFunc(l.found, func(d packs.Diagnostic) bool {
		twice := said[d]
		said[d] = true
		return twice
	})
}

// linter looks things up in all packs.
type linter struct {
	p        *Pack // at hand
	packs    map[string]bool
	actions  map[hayate.Ref]*hayate.Action
	names    []string // of actions, sorted
	triggers map[hayate.Ref]*hayate.TriggerType
	kinds    []string // names of trigger types, sorted
	runners  map[string]*hayate.Runner
	listed   map[string][]string // names of files, by folder
	found    []packs.Diagnostic
}

func newLinter(given, beside []Pack) *linter {
	all := slices.Concat(beside, given)
	if !slices.ContainsFunc(all, isCore) {
		all = append([]Pack{Read(packs.Shipped(), "core", "core")}, all...)
	}
	l := &linter{packs: map[string]bool{}, actions: map[hayate.Ref]*hayate.Action{}, triggers: map[hayate.Ref]*hayate.TriggerType{}, runners: map[string]*hayate.Runner{}, listed: map[string][]string{}}
	for _, p := range all {
		if p.Pack == nil {
			continue
		}
		l.packs[p.Ref] = true
		for _, list := range [][]hayate.Action{p.Pack.Refused.Actions, p.Actions} {
			for i := range list {
				l.actions[list[i].Ref()] = &list[i]
			}
		}
		for i := range p.TriggerTypes {
			t := &p.TriggerTypes[i]
			l.triggers[t.Ref()], l.packs[t.Pack] = t, true
		}
	}
	for ref := range l.actions {
		l.names = append(l.names, string(ref))
	}
	for ref := range l.triggers {
		l.kinds = append(l.kinds, string(ref))
	}
	slices.Sort(l.names)
	slices.Sort(l.kinds)
	known := packs.Runners()
	for i := range known {
		for _, name := range append([]string{known[i].Name}, known[i].Aliases...) {
			l.runners[name] = &known[i]
		}
	}
	return l
}

// isCore says whether a pack is core with the triggers of the system. StackStorm's
// own pack of this name lacks them.
func isCore(p Pack) bool {
	return p.Pack != nil && p.Ref == "core" && slices.ContainsFunc(p.TriggerTypes, func(t hayate.TriggerType) bool { return t.Ref() == "core.st2.webhook" })
}

// report notes a finding about the node that way leads to in a file of the pack.
func (l *linter) report(s yamldoc.Severity, file string, way []string, code, format string, args ...any) {
	n := place(l.p.Documents[file], way)
	l.found = append(l.found, packs.Diagnostic{File: l.p.path(file), Line: n.Line(), Column: n.Column(), Severity: s, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (l *linter) warn(file string, way []string, code, format string, args ...any) {
	l.report(packs.Warning, file, way, code, format, args...)
}

func (l *linter) fail(file string, way []string, code, format string, args ...any) {
	l.report(packs.Error, file, way, code, format, args...)
}

// place finds what a way of keys and indexes leads to: a plain value itself, a
// mapping or list by its key. Where the way ends early it is the last thing found.
func place(n *yamldoc.Node, way []string) *yamldoc.Node {
	at := n
	for _, step := range way {
		key, v := n.Lookup(step)
		if v == nil {
			if i, err := strconv.Atoi(step); err == nil && n.Kind() == yamldoc.Sequence && i >= 0 && i < len(n.Items()) {
				v = n.Items()[i]
			}
		}
		if v == nil {
			return at
		}
		n, at = v, v
		if key != nil && (v.Kind() == yamldoc.Mapping || v.Kind() == yamldoc.Sequence || v.IsNull()) {
			at = key
		}
	}
	return at
}

// action looks an action up, and notes where there is none.
func (l *linter) action(file string, way []string, ref hayate.Ref) *hayate.Action {
	a := l.actions[ref]
	switch {
	case a != nil:
	case ref.Pack() == "" || ref.Name() == "":
		l.warn(file, way, "unknown-action", "%q is no reference of an action: write pack.action%s", ref, yamldoc.Suggest(string(ref), l.names))
	case !l.packs[ref.Pack()]:
		l.warn(file, way, "unknown-action", "there is no action %q: its pack is not among those looked at%s", ref, yamldoc.Suggest(string(ref), l.names))
	default:
		l.warn(file, way, "unknown-action", "there is no action %q%s", ref, yamldoc.Suggest(string(ref), l.names))
	}
	return a
}

// takes are the parameters of an action, its runner's among them, by name.
func (l *linter) takes(a *hayate.Action) (map[string]hayate.Parameter, []string) {
	out := map[string]hayate.Parameter{}
	if r := l.runners[a.Runner]; r != nil {
		for _, theirs := range r.Parameters {
			out[theirs.Name] = theirs
		}
	}
	for _, own := range a.Parameters {
		if theirs, ok := out[own.Name]; ok {
			own.Required = own.Required || theirs.Required
			own.Immutable = own.Immutable || theirs.Immutable
			if own.Default == nil {
				own.Default = theirs.Default
			}
			if own.Type == "" {
				own.Type = theirs.Type
			}
		}
		out[own.Name] = own
	}
	known := make([]string, 0, len(out))
	for name := range out {
		known = append(known, name)
	}
	slices.Sort(known)
	return out, known
}

// parameters compares what an action is given with what it takes.
func (l *linter) parameters(file string, way []string, a *hayate.Action, given *yamldoc.Node) {
	takes, known := l.takes(a)
	has := map[string]bool{}
	for _, e := range given.Entries() {
		name := e.Name()
		has[name] = true
		at := append(append(slices.Clip(way), "parameters"), name)
		switch t, ok := takes[name]; {
		case !ok && l.runners[a.Runner] != nil:
			l.warn(file, at, "unknown-parameter", "the action %q takes no parameter %q%s", a.Ref(), name, yamldoc.Suggest(name, known))
		case t.Immutable:
			l.warn(file, at, "immutable-parameter", "the parameter %q of the action %q is immutable", name, a.Ref())
		case ok:
			l.typed(file, at, &t, e.Value)
		}
	}
	for _, name := range known {
		t := takes[name]
		if t.Required && !has[name] && (t.Default == nil || string(t.Default) == "null") {
			l.warn(file, append(slices.Clip(way), "ref"), "missing-parameter", "the action %q requires the parameter %q", a.Ref(), name)
		}
	}
}

// typed notes a plain value that is not of a parameter's type and cannot be cast
// to it.
func (l *linter) typed(file string, way []string, p *hayate.Parameter, v *yamldoc.Node) {
	k := v.Kind()
	wrong := false
	switch p.Type {
	case "array":
		wrong = k == yamldoc.Mapping
	case "object":
		wrong = k == yamldoc.Sequence
	case "integer", "number":
		text := v.Text()
		_, err := strconv.ParseFloat(text, 64)
		wrong = k == yamldoc.Mapping || k == yamldoc.Sequence || k == yamldoc.String && err != nil && !isTemplate(text)
	}
	if wrong {
		l.warn(file, way, "wrong-type", "the parameter %q takes %s %s, found %s", p.Name, article(p.Type), p.Type, k)
	}
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an"
	}
	return "a"
}
