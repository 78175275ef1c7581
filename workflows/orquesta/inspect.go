package orquesta

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// inspector finds what is wrong with a workflow before it runs.
type inspector struct {
	root  *yamldoc.Node
	spec  *spec
	links *links
	known []string
	found []flow.Problem
}

func (in *inspector) add(p flow.Problem, at ...string) {
	n := in.at(at)
	p.Line, p.Column = n.Line(), n.Column()
	in.found = append(in.found, p)
}

// at is the node that a path leads to, or the last there is on the way.
func (in *inspector) at(at []string) *yamldoc.Node {
	n := in.root
	for _, key := range at {
		var next *yamldoc.Node
		if i, err := strconv.Atoi(key); err == nil && n.Kind() == yamldoc.Sequence && i >= 0 && i < len(n.Items()) {
			next = n.Items()[i]
		} else {
			next = n.Get(key)
		}
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// publishHint tells how a mapping is published: as a list.
func publishHint(n *yamldoc.Node) string {
	if n.Kind() != yamldoc.Mapping {
		return ""
	}
	if len(n.Entries()) == 0 {
		return "write a list, or leave it out"
	}
	return fmt.Sprintf("write a list: - %s: …", n.Entries()[0].Name())
}

func (in *inspector) run() []flow.Problem {
	in.syntax()
	in.semantics()
	in.expressions()
	in.context()
	sort.SliceStable(in.found, func(i, j int) bool {
		a, b := &in.found[i], &in.found[j]
		if a.SchemaPath != b.SchemaPath {
			return a.SchemaPath < b.SchemaPath
		}
		return a.SpecPath < b.SpecPath
	})
	return in.found
}

func (in *inspector) syntax() {
	doc := toValue(in.root)
	if m, ok := doc.(*value.Map); ok {
		normalizeWith(m)
	}
	for _, v := range languageSchema.check(doc, "", "", nil, nil) {
		p := flow.Problem{Category: "syntax", Message: v.message, SpecPath: v.spec, SchemaPath: v.schema}
		if n := len(v.at); n == 5 && v.at[n-1] == "publish" {
			p.Hint = publishHint(in.at(v.at))
		}
		in.add(p, v.at...)
	}
}

// normalizeWith writes the short form of "with" out, as the schema knows only
// the long one.
func normalizeWith(doc *value.Map) {
	tasks, _ := doc.Str("tasks")
	m, ok := tasks.(*value.Map)
	if !ok {
		return
	}
	for _, t := range m.All() {
		if t, ok := t.(*value.Map); ok {
			if w, ok := t.Str("with"); ok {
				if s, ok := w.(string); ok {
					t.Set("with", value.MapOf("items", s))
				}
			}
		}
	}
}

const (
	noStartMessage = "Unable to identify any tasks to start the workflow. If the workflow has a loop, " +
		"please add a task that serves as an entry point (or lead) into the loop."
	unreachableMessage = `The join task "%s" is unreachable. A join task is determined to be unreachable if there are nested forks ` +
		"from multi-referenced tasks that join on the said task. This is ambiguous to the workflow engine because it does " +
		"not know at which level should the join occurs."
)

func (in *inspector) semantics() {
	s, l := in.spec, in.links
	for _, t := range s.tasks {
		if isReserved(t.name) {
			in.add(flow.Problem{Category: "semantics", Message: `The task name "` + t.name + `" is reserved with special function.`,
				SpecPath: "tasks." + t.name, SchemaPath: taskPath}, "tasks", t.name)
		}
		if t.with != nil && !t.hasAction {
			in.add(flow.Problem{Category: "semantics", Message: "The action property is required for with items task.",
				SpecPath: "tasks." + t.name, SchemaPath: taskPath}, "tasks", t.name)
		}
	}
	if len(s.tasks) > 0 && len(l.start) == 0 {
		in.add(flow.Problem{Category: "semantics", Message: noStartMessage, SpecPath: "tasks", SchemaPath: "properties.tasks"}, "tasks")
	}
	reached := map[string]bool{}
	queue := append([]string(nil), l.start...)
	for i := 0; i < len(queue); i++ {
		t := s.byName[queue[i]]
		if t == nil || reached[t.name] {
			continue
		}
		reached[t.name] = true
		for _, h := range l.next(t) {
			if s.byName[h.to] != nil {
				queue = append(queue, h.to)
			} else if !isReserved(h.to) {
				at := strconv.Itoa(h.ref)
				in.add(flow.Problem{Category: "semantics", Message: `The task "` + h.to + `" is not defined.`,
					SpecPath:   "tasks." + t.name + ".next[" + at + "].do",
					SchemaPath: taskPath + ".properties.next.items.properties.do"}, "tasks", t.name, "next", at, "do")
			}
		}
	}
	in.joins(reached)
}

// joins finds joins that wait for branches which forked into routes of their
// own: no route would ever see all of them.
func (in *inspector) joins(reached map[string]bool) {
	above := in.splitsAbove(reached)
	for _, t := range in.spec.tasks {
		if t.join == nil || !reached[t.name] || (!t.join.all && t.join.count == 0) {
			continue
		}
		for _, p := range in.links.inTasks[t.name] {
			if reached[p] && !sameSet(above[p], above[t.name]) {
				in.add(flow.Problem{Category: "semantics", Message: strings.Replace(unreachableMessage, "%s", t.name, 1),
					SpecPath: "tasks." + t.name, SchemaPath: taskPath}, "tasks", t.name)
				break
			}
		}
	}
}

// splitsAbove returns for each task the splits on the ways to it, itself
// included.
func (in *inspector) splitsAbove(reached map[string]bool) map[string]map[string]bool {
	above := map[string]map[string]bool{}
	var queue []string
	for _, t := range in.spec.tasks {
		if reached[t.name] {
			set := map[string]bool{}
			if in.links.isSplit(t.name) && !in.links.cyclic[t.name] {
				set[t.name] = true
				queue = append(queue, t.name)
			}
			above[t.name] = set
		}
	}
	for len(queue) > 0 {
		t := in.spec.byName[queue[len(queue)-1]]
		queue = queue[:len(queue)-1]
		for _, tr := range t.next {
			for _, to := range tr.do {
				set := above[to]
				if set == nil {
					continue
				}
				grew := false
				for s := range above[t.name] {
					if !set[s] {
						set[s], grew = true, true
					}
				}
				if grew {
					queue = append(queue, to)
				}
			}
		}
	}
	return above
}

func sameSet(a, b map[string]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

// expressions reads every expression there is.
func (in *inspector) expressions() {
	in.bindings(in.spec.input, "input")
	in.bindings(in.spec.vars, "vars")
	in.bindings(in.spec.output, "output")
	for _, t := range in.spec.tasks {
		spec := "tasks." + t.name
		check := func(v any, prop string, at ...string) {
			in.expression(v, spec+"."+prop, taskPath+".properties."+strings.ReplaceAll(prop, ".", ".properties."),
				append([]string{"tasks", t.name}, at...)...)
		}
		check(t.action, "action", "action")
		check(t.delay, "delay", "delay")
		if t.hasInput {
			check(t.input, "input", "input")
		}
		if t.with != nil {
			check(t.with.items, "with.items", "with", "items")
			check(t.with.concurrency, "with.concurrency", "with", "concurrency")
		}
		if t.retry != nil {
			check(t.retry.count, "retry.count", "retry", "count")
			check(t.retry.delay, "retry.delay", "retry", "delay")
			check(t.retry.when, "retry.when", "retry", "when")
		}
		for i := range t.next {
			tr := &t.next[i]
			n := strconv.Itoa(i)
			at := []string{"tasks", t.name, "next", n}
			path := spec + ".next[" + n + "]"
			in.expression(tr.when, path+".when", nextPath+"when", append(at, "when")...)
			for _, b := range tr.publish {
				in.binding(b, path+".publish", nextPath+"publish", append(at, "publish")...)
			}
			for _, to := range tr.do {
				in.expression(to, path+".do", nextPath+"do", append(at, "do")...)
			}
		}
	}
}

const nextPath = taskPath + ".properties.next.items.properties."

func (in *inspector) bindings(bs []binding, prop string) {
	for _, b := range bs {
		in.binding(b, prop, "properties."+prop, prop)
	}
}

func (in *inspector) binding(b binding, spec, schema string, at ...string) {
	in.expression(b.name, spec, schema, at...)
	in.expression(b.raw, spec, schema, at...)
}

// expression checks the syntax of all expressions in a value.
func (in *inspector) expression(v any, spec, schema string, at ...string) {
	switch v := v.(type) {
	case string:
		for _, f := range checkText(v) {
			in.add(flow.Problem{Category: "expressions", Language: f.language, Expression: f.expression, Message: f.message,
				SpecPath: spec, SchemaPath: schema}, at...)
		}
	case value.List:
		for _, x := range v {
			in.expression(x, spec, schema, at...)
		}
	case *value.Map:
		for k, x := range v.All() {
			in.expression(k, spec, schema, at...)
			in.expression(x, spec, schema, at...)
		}
	}
}
