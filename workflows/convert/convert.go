// Package convert writes Mistral workflows and ActionChains anew as Orquesta
// workflows. What Orquesta cannot say, or says with another meaning, is not dropped
// in silence: every such place is noted, with its line.
package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows"
)

// Kind is what a note is about.
type Kind string

// The kinds of note.
const (
	// Lost is something of the source that the result does not do.
	Lost Kind = "not converted"
	// Differs is something that the result does in another way, in some cases.
	Differs Kind = "differs"
	// Renamed is a name that Orquesta does not take as it was.
	Renamed Kind = "renamed"
	// Beside is something for the user to do beside the file.
	Beside Kind = "by hand"
)

// Note is a place where the result is not just what the source is.
type Note struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Path    string `json:"path,omitempty"` // of the source
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// Workflow is one workflow as Orquesta.
type Workflow struct {
	// Name is what the source calls it, "" for an ActionChain.
	Name  string
	YAML  []byte
	Notes []Note
	// Tasks are the names of the result's tasks, by those of the source.
	Tasks map[string]string
}

// Convert reads a definition and returns its workflows: one, or those of a workbook,
// the one that runs first. Problems say why it cannot be read; then there is nothing.
func Convert(dialect string, text []byte) ([]Workflow, []workflows.Problem) {
	if _, problems := workflows.Parse(dialect, "", text, workflows.Options{}); len(problems) > 0 && !undetermined(problems) {
		return nil, problems
	}
	root, _ := yamldoc.Parse(text, yamldoc.Options{})
	switch dialect {
	case workflows.ActionChain:
		return []Workflow{fromChain(root)}, nil
	case workflows.Mistral:
		return fromMistral(root), nil
	}
	return nil, []workflows.Problem{{Category: "syntax", Message: fmt.Sprintf("a workflow in the dialect %q is not converted; %s and %s are", dialect, workflows.Mistral, workflows.ActionChain)}}
}

// undetermined says that a workbook only does not say which workflow is first.
func undetermined(problems []workflows.Problem) bool {
	return len(problems) == 1 && strings.HasPrefix(problems[0].Message, "Workbook definition is detected")
}

// notes gathers what there is to say about one workflow.
type notes struct{ list []Note }

func (n *notes) add(kind Kind, at *yamldoc.Node, path, format string, args ...any) {
	x := Note{Kind: kind, Message: fmt.Sprintf(format, args...), Path: path, Line: at.Line(), Column: at.Column()}
	if !slices.Contains(n.list, x) {
		n.list = append(n.list, x)
	}
}

// step is a task of the result.
type step struct {
	name   string
	action any
	input  any
	with   any
	retry  *value.Map
	delay  any
	join   any
	next   []transition
}

// transition is a way on.
type transition struct {
	when    string
	publish value.List
	do      []string
}

// draft is a workflow of the result before it is written.
type draft struct {
	notes
	description string
	input       value.List
	vars        value.List
	output      value.List
	steps       []*step
}

// finish checks a draft with Orquesta's own inspection, gives variables that may be
// unset a value, and writes it.
func (d *draft) finish(name string) Workflow {
	text := d.write()
	for range maxRepairs {
		_, problems := workflows.Parse(workflows.Orquesta, name, text, workflows.Options{Known: []string{"st2", "parent"}})
		changed := false
		for _, p := range problems {
			v, ok := strings.CutPrefix(p.Message, `Variable "`)
			v, rest, found := strings.Cut(v, `"`)
			if !ok || !found || !strings.Contains(rest, "referenced before assignment") || d.hasVar(v) {
				continue
			}
			d.vars = append(d.vars, value.MapOf(v, nil))
			d.list = append(d.list, Note{Kind: Differs, Message: fmt.Sprintf("%q may be read before anything set it; it is null then, where the source fails", v)})
			changed = true
		}
		if !changed {
			for _, p := range problems {
				d.list = append(d.list, Note{Kind: Lost, Message: "Orquesta refuses the result: " + p.Category + ": " + p.Message, Path: p.SpecPath})
			}
			break
		}
		text = d.write()
	}
	slices.SortStableFunc(d.list, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
	return Workflow{Name: name, YAML: text, Notes: d.list}
}

// maxRepairs bounds how often a draft is inspected again.
const maxRepairs = 20

func (d *draft) hasVar(name string) bool {
	for _, l := range []value.List{d.vars, d.input} {
		for _, x := range l {
			if m, ok := x.(*value.Map); ok && m.Has(name) || x == name {
				return true
			}
		}
	}
	return false
}

// null gives a variable that is no input the value null to begin with.
func (d *draft) null(name string) {
	if !d.hasVar(name) {
		d.vars = append(d.vars, value.MapOf(name, nil))
	}
}

// write writes a draft as YAML: keys in the order in which one reads them, a blank
// line between tasks.
func (d *draft) write() []byte {
	doc := value.MapOf("version", 1.0)
	if d.description != "" {
		doc.Set("description", d.description)
	}
	for _, part := range []struct {
		key  string
		list value.List
	}{{"input", d.input}, {"vars", d.vars}} {
		if len(part.list) > 0 {
			doc.Set(part.key, part.list)
		}
	}
	tasks := value.NewMap(len(d.steps))
	for _, s := range d.steps {
		tasks.Set(s.name, s.doc())
	}
	doc.Set("tasks", tasks)
	if len(d.output) > 0 {
		doc.Set("output", d.output)
	}
	raw, err := value.AppendJSON(nil, doc)
	if err != nil {
		return nil
	}
	text, err := yamldoc.FromJSON(raw)
	if err != nil {
		return nil
	}
	return spaced(string(text))
}

// spaced puts a blank line before each task but the first, and before the parts.
func spaced(text string) []byte {
	var b strings.Builder
	inTasks, first := false, true
	for _, line := range strings.SplitAfter(text, "\n") {
		switch {
		case strings.HasPrefix(line, "tasks:"):
			inTasks = true
		case line != "" && line[0] != ' ' && line[0] != '\n':
			inTasks = false
		case inTasks && strings.HasPrefix(line, "  ") && len(line) > 2 && line[2] != ' ':
			if !first {
				b.WriteByte('\n')
			}
			first = false
		}
		b.WriteString(line)
	}
	return []byte(b.String())
}

func (s *step) doc() *value.Map {
	m := &value.Map{}
	for _, part := range []struct {
		key string
		val any
	}{{"join", s.join}, {"delay", s.delay}, {"with", s.with}, {"action", s.action}, {"input", s.input}} {
		if part.val != nil {
			m.Set(part.key, part.val)
		}
	}
	if s.retry != nil {
		m.Set("retry", s.retry)
	}
	if len(s.next) == 0 {
		return m
	}
	next := value.List{}
	for _, t := range s.next {
		x := &value.Map{}
		if t.when != "" {
			x.Set("when", t.when)
		}
		if len(t.publish) > 0 {
			x.Set("publish", t.publish)
		}
		switch {
		case len(t.do) == 1:
			x.Set("do", t.do[0])
		case len(t.do) > 1:
			l := value.List{}
			for _, name := range t.do {
				l = append(l, name)
			}
			x.Set("do", l)
		}
		if x.Len() == 0 {
			continue
		}
		next = append(next, x)
	}
	if len(next) > 0 {
		m.Set("next", next)
	}
	return m
}

// names makes names that Orquesta takes of those of a source: words, none of them
// reserved, no two the same.
type names struct {
	of   map[string]string
	used map[string]bool
}

func newNames(sources []string) *names {
	n := &names{map[string]string{}, map[string]bool{"continue": true, "noop": true, "fail": true, "retry": true}}
	for _, plain := range []bool{true, false} { // names that are right keep what they are
		for _, s := range sources {
			w := word(s)
			if (w == s && !n.used[s]) != plain || n.of[s] != "" {
				continue
			}
			for base, i := w, 2; n.used[w]; i++ {
				w = fmt.Sprintf("%s_%d", base, i)
			}
			n.of[s], n.used[w] = w, true
		}
	}
	return n
}

func word(s string) string {
	out := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127 {
			return r
		}
		return '_'
	}, s)
	if out == "" {
		return "_"
	}
	return out
}

func toValue(n *yamldoc.Node) any {
	if n == nil {
		return nil
	}
	v, err := value.Decode(n.JSON())
	if err != nil {
		return nil
	}
	return v
}
