package lint

import (
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/workflows"
)

// actionFiles checks the files that actions name, their defaults, and the
// workflows.
func (l *linter) actionFiles() {
	for _, list := range [][]hayate.Action{l.p.Actions, l.p.Pack.Refused.Actions} {
		for i := range list {
			a := &list[i]
			for _, e := range l.p.Documents[a.Source].Get("parameters").Entries() {
				way := []string{"parameters", e.Name(), "default"}
				l.templates(a.Source, way, e.Value.Get("default"))
			}
			l.misnamed(a)
			if a.EntryPoint == "" {
				if slices.Contains(needFile, a.Runner) {
					l.warn(a.Source, []string{"entry_point"}, "no-entry-point", "the runner %q needs an entry_point: the file in the folder actions that it runs", a.Runner)
				}
				continue
			}
			src, ok := l.file(a.Source, "actions", a.EntryPoint)
			if ok && slices.Contains(workflows.Dialects, a.Runner) {
				l.workflow(a, src)
			}
		}
	}
}

// needFile are the runners of files.
var needFile = []string{"python-script", "local-shell-script", "remote-shell-script", "winrm-ps-script", "orquesta", "action-chain", "mistral-v2"}

// file reads the entry point of a resource, or notes that it is not there.
func (l *linter) file(source, folder, entry string) ([]byte, bool) {
	name := path.Join(folder, entry)
	if path.IsAbs(entry) || !fs.ValidPath(name) {
		if !path.IsAbs(entry) {
			l.warn(source, []string{"entry_point"}, "no-entry-point", "the entry point %q lies outside the pack", entry)
		}
		return nil, false
	}
	src, err := fs.ReadFile(l.p.FS, name)
	if err == nil {
		return src, true
	}
	l.warn(source, []string{"entry_point"}, "no-entry-point", "the entry point %q is not in the pack: there is no file %s%s", entry, name, yamldoc.Suggest(path.Base(name), l.like(name)))
	return nil, false
}

// like are the names of files beside one that are of its kind.
func (l *linter) like(name string) (names []string) {
	for _, n := range l.files(path.Dir(name)) {
		if path.Ext(n) == path.Ext(name) {
			names = append(names, n)
		}
	}
	return names
}

// files are the names in a folder of the pack.
func (l *linter) files(folder string) []string {
	key := l.p.Name + "\n" + folder
	names, known := l.listed[key]
	if known {
		return names
	}
	entries, err := fs.ReadDir(l.p.FS, folder)
	if err == nil { // where there is no folder, no name is near
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	l.listed[key] = names
	return names
}

// misnamed notes a parameter that means nothing and is nearly one of the
// runner's: nothing else of the action mentions it, and the runner would not
// hand it on.
func (l *linter) misnamed(a *hayate.Action) {
	r := l.runners[a.Runner]
	if r == nil || !slices.Contains([]string{"http-request", "local-shell-cmd", "remote-shell-cmd", "winrm-cmd", "winrm-ps-cmd", "noop"}, r.Name) {
		return
	}
	var known []string
	for _, p := range r.Parameters {
		known = append(known, p.Name)
	}
	if r.Name == "http-request" {
		// It reads most of what it needs from the action's own parameters.
		for _, p := range l.actions["core.http"].Parameters {
			known = append(known, p.Name)
		}
	}
	for _, own := range a.Parameters {
		near := yamldoc.Nearest(own.Name, known)
		if near == "" || slices.Contains(known, own.Name) || a.Parameters.Get(near) != nil {
			continue
		}
		used := slices.ContainsFunc(a.Parameters, func(p hayate.Parameter) bool {
			return p.Name != own.Name && strings.Contains(string(p.Default), own.Name)
		})
		if !used {
			l.warn(a.Source, []string{"parameters", own.Name}, "unknown-runner-parameter",
				"the runner %q has no parameter %q, and nothing of the action uses it, did you mean %q?", a.Runner, own.Name, near)
		}
	}
}

func (l *linter) sensors() {
	for i := range l.p.Sensors {
		s := &l.p.Sensors[i]
		if s.EntryPoint != "" {
			l.file(s.Source, "sensors", s.EntryPoint)
		}
	}
}

// named finds the parameters in a format of an alias: {{ name }}, {{ name=default }}.
var named = regexp.MustCompile(`{{\s*([A-Za-z_]\w*)\s*(?:=[^}]*)?}}`)

func (l *linter) alias(a *packs.Alias) {
	act := l.action(a.Source, []string{"action_ref"}, a.ActionRef)
	doc := l.p.Documents[a.Source]
	for _, key := range []string{"ack", "result"} {
		l.templates(a.Source, []string{key}, doc.Get(key))
	}
	if act == nil || l.runners[act.Runner] == nil {
		return
	}
	takes, known := l.takes(act)
	for _, e := range doc.Get("immutable_parameters").Entries() {
		if _, ok := takes[e.Name()]; !ok {
			l.warn(a.Source, []string{"immutable_parameters", e.Name()}, "unknown-parameter", "the action %q takes no parameter %q%s", act.Ref(), e.Name(), yamldoc.Suggest(e.Name(), known))
		}
	}
	for i, f := range a.Formats {
		for _, text := range f.Representation {
			for _, m := range named.FindAllStringSubmatch(text, -1) {
				if _, ok := takes[m[1]]; !ok {
					l.warn(a.Source, []string{"formats", strconv.Itoa(i)}, "unknown-parameter", "the action %q takes no parameter %q%s", act.Ref(), m[1], yamldoc.Suggest(m[1], known))
				}
			}
		}
	}
}

func (l *linter) policy(p *hayate.Policy) {
	var bound struct {
		Threshold *int `json:"threshold"`
	}
	if p.Type != "action.retry" && json.Unmarshal(p.Parameters, &bound) == nil && bound.Threshold != nil && *bound.Threshold < 1 {
		// StackStorm's schema has no minimum.
		l.warn(p.Source, []string{"parameters", "threshold"}, "never", "with the threshold %d the action never runs: write 1 or more, or disable the action", *bound.Threshold)
	}
	a := l.action(p.Source, []string{"resource_ref"}, p.ResourceRef)
	if a == nil || p.Type != "action.concurrency.attr" {
		return
	}
	var given struct {
		Attributes []string `json:"attributes"`
	}
	if json.Unmarshal(p.Parameters, &given) != nil || l.runners[a.Runner] == nil {
		return
	}
	takes, known := l.takes(a)
	for i, name := range given.Attributes {
		if _, ok := takes[name]; !ok {
			l.warn(p.Source, []string{"parameters", "attributes", strconv.Itoa(i)}, "unknown-parameter", "the action %q takes no parameter %q%s", a.Ref(), name, yamldoc.Suggest(name, known))
		}
	}
}
