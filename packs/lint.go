package packs

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Lint reports what packs get wrong about each other: references to actions and
// triggers that do not exist, parameters that an action does not take, lacks or
// keeps immutable. All are warnings, since what is missing may come with another
// pack later; a trigger type of a pack that is not given is not looked for. The
// findings are sorted by place.
func Lint(ps ...*Pack) []Diagnostic {
	l := &linter{packs: map[string]*Pack{}, actions: map[hayate.Ref]*hayate.Action{}, triggers: map[hayate.Ref]bool{}, runners: readRunners()}
	for _, p := range ps {
		l.packs[p.Ref] = p
		for i := range p.Actions {
			a := &p.Actions[i]
			l.actions[a.Ref()] = a
			l.names = append(l.names, string(a.Ref()))
		}
		for i := range p.TriggerTypes {
			l.triggers[p.TriggerTypes[i].Ref()] = true
		}
	}
	slices.Sort(l.names)
	for _, p := range ps {
		for i := range p.Rules {
			l.rule(p, &p.Rules[i])
		}
		for _, a := range p.Aliases {
			l.action(p, a.Source, "/action_ref", a.ActionRef)
		}
		for _, po := range p.Policies {
			l.action(p, po.Source, "/resource_ref", po.ResourceRef)
		}
	}
	yamldoc.Sort(l.found)
	return l.found
}

// linter looks things up in all packs.
type linter struct {
	packs    map[string]*Pack
	actions  map[hayate.Ref]*hayate.Action
	names    []string // of actions, sorted
	triggers map[hayate.Ref]bool
	runners  []runner
	found    []Diagnostic
}

func (l *linter) warn(p *Pack, file, pointer, code, format string, args ...any) {
	l.found = append(l.found, p.At(file, pointer, Warning, code, format, args...))
}

func (l *linter) action(p *Pack, file, pointer string, ref hayate.Ref) *hayate.Action {
	a := l.actions[ref]
	if a == nil {
		l.warn(p, file, pointer, "unknown-action", "there is no action %q%s", ref, yamldoc.Suggest(string(ref), l.names))
	}
	return a
}

func (l *linter) rule(p *Pack, r *hayate.Rule) {
	if t := hayate.Ref(r.Trigger.Type); l.packs[t.Pack()] != nil && !l.triggers[t] {
		var known []string
		for k := range l.triggers {
			known = append(known, string(k))
		}
		slices.Sort(known)
		l.warn(p, r.Source, "/trigger/type", "unknown-trigger", "there is no trigger type %q%s", t, yamldoc.Suggest(string(t), known))
	}
	single := !p.Documents[r.Source].Get("action").IsNull()
	for i := range r.Actions {
		at := "/actions/" + strconv.Itoa(i)
		switch {
		case single && i == 0:
			at = "/action"
		case single:
			at = "/actions/" + strconv.Itoa(i-1)
		}
		if a := l.action(p, r.Source, at+"/ref", r.Actions[i].Ref); a != nil {
			l.parameters(p, r.Source, at, a, r.Actions[i].Parameters)
		}
	}
}

// parameters compares what a rule gives an action with what it takes.
func (l *linter) parameters(p *Pack, file, at string, a *hayate.Action, raw json.RawMessage) {
	takes := map[string]hayate.Parameter{}
	if run := findRunner(l.runners, a.Runner); run != nil {
		for _, theirs := range run.Parameters {
			takes[theirs.Name] = theirs
		}
	}
	for _, own := range a.Parameters {
		if theirs, ok := takes[own.Name]; ok {
			own.Required = own.Required || theirs.Required
			if own.Default == nil {
				own.Default = theirs.Default
			}
		}
		takes[own.Name] = own
	}
	known := make([]string, 0, len(takes))
	for name := range takes {
		known = append(known, name)
	}
	slices.Sort(known)
	given := map[string]json.RawMessage{}
	if raw != nil {
		if err := json.Unmarshal(raw, &given); err != nil {
			return // it was made from a document's mapping: it is an object
		}
	}
	for _, e := range p.Documents[file].At(at + "/parameters").Entries() {
		name := e.Name()
		pointer := at + "/parameters/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		switch t, ok := takes[name]; {
		case !ok:
			l.warn(p, file, pointer, "unknown-parameter", "the action %q takes no parameter %q%s", a.Ref(), name, yamldoc.Suggest(name, known))
		case t.Immutable:
			l.warn(p, file, pointer, "immutable-parameter", "the parameter %q of the action %q is immutable", name, a.Ref())
		}
	}
	for _, name := range known {
		t := takes[name]
		_, has := given[name]
		if t.Required && !has && (t.Default == nil || string(t.Default) == "null") {
			l.warn(p, file, at, "missing-parameter", "the action %q requires the parameter %q", a.Ref(), name)
		}
	}
}
