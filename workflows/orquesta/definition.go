// Package orquesta runs StackStorm's Orquesta workflows: it reads and inspects
// definitions, and advances runs fact by fact. See DESIGN.md of package workflows
// for how a run is stored.
package orquesta

import (
	"strings"

	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// The default bounds of a run.
const (
	defaultMaxEntries = 100_000
	defaultMaxItems   = 100_000
)

// Definition is a workflow that has been read, composed and compiled. It is
// immutable and may be used by any number of runs at once.
type Definition struct {
	spec        *spec
	graph       *graph
	programs    map[*taskSpec]*taskProgram
	reevaluate  bool
	keepResults bool // an expression may ask for the results of earlier tasks
	maxEntries  int
	maxItems    int
	rehearse    bool
	digest      string
}

// taskProgram is the compiled part of a task.
type taskProgram struct {
	task        *taskSpec
	action      *template
	input       *template
	delay       *template
	items       *template
	concurrency *template
}

// Parse reads a definition. The problems are those of StackStorm's inspection
// and of reading; a definition that can still be run (because only expressions
// or references are wrong) is returned beside them, else it is nil.
func Parse(text []byte, digest string, o flow.Options) (*Definition, []flow.Problem) {
	root, diags := yamldoc.Parse(text, yamldoc.Options{RefuseDuplicates: true})
	var problems []flow.Problem
	for _, d := range diags {
		if d.Severity == yamldoc.Error {
			problems = append(problems, flow.Problem{Category: "syntax", Message: loadMessage(d), Line: d.Line, Column: d.Column})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if root.Kind() != yamldoc.Mapping {
		return nil, []flow.Problem{{Category: "syntax", Message: "The workflow is not a mapping of names to values.", Line: root.Line(), Column: root.Column()}}
	}
	rd := &reader{}
	s := rd.spec(root)
	l := newLinks(s)
	in := &inspector{root: root, spec: s, links: l, known: o.Known}
	problems = append(rd.problems, in.run()...)
	for _, p := range problems {
		if p.Category == "syntax" || p.Category == "semantics" && strings.HasSuffix(p.Message, "is not defined.") {
			if !runnable(s) {
				return nil, problems
			}
		}
	}
	d := &Definition{spec: s, graph: l.compose(), reevaluate: o.Reevaluate, rehearse: o.Rehearse, digest: digest, maxEntries: o.MaxEntries, maxItems: o.MaxItems}
	if d.maxEntries <= 0 {
		d.maxEntries = defaultMaxEntries
	}
	if d.maxItems <= 0 {
		d.maxItems = defaultMaxItems
	}
	d.keepResults = o.Reevaluate || strings.Contains(string(text), "task(")
	d.compileAll()
	return d, problems
}

// runnable says whether a spec holds together enough to be run: there are tasks,
// and all that is named exists.
func runnable(s *spec) bool {
	for _, t := range s.tasks {
		for _, tr := range t.next {
			for _, to := range tr.do {
				if s.byName[to] == nil && !isReserved(to) {
					return false
				}
			}
		}
	}
	return len(s.tasks) > 0
}

// loadMessage is a finding of the YAML reader in StackStorm's words.
func loadMessage(d yamldoc.Diagnostic) string {
	return "Failed to load workflow definition because " + strings.TrimSuffix(d.Message, ".") + "."
}

func (d *Definition) compileAll() {
	bind := func(bs []binding) {
		for i := range bs {
			bs[i].val = d.compile(bs[i].raw)
		}
	}
	bind(d.spec.input)
	bind(d.spec.vars)
	bind(d.spec.output)
	d.programs = make(map[*taskSpec]*taskProgram, len(d.spec.tasks))
	for _, t := range d.spec.tasks {
		p := &taskProgram{task: t, action: d.compile(t.action), input: d.compile(t.input), delay: d.compile(t.delay)}
		if t.with != nil {
			p.items = d.compile(t.with.list)
			p.concurrency = d.compile(t.with.concurrency)
		}
		d.programs[t] = p
		for i := range t.next {
			bind(t.next[i].publish)
		}
	}
	for _, n := range d.graph.nodes {
		if n.retry != nil {
			n.retry.countT, n.retry.delayT = d.compile(n.retry.count), d.compile(n.retry.delay)
			if n.retry.when != "" {
				n.retry.whenT = d.compile(n.retry.when)
			}
		}
		for _, e := range n.out {
			if e.hasWhen {
				e.criteria = d.compile(e.when)
			}
			e.publish = n.task.next[e.ref].publish
		}
	}
}
