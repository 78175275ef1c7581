package lint

import (
	"path"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/workflows"
)

// workflow inspects the definition of a workflow action.
func (l *linter) workflow(a *hayate.Action, src []byte) {
	file := path.Join("actions", a.EntryPoint)
	_, problems := workflows.Parse(a.Runner, a.EntryPoint, src, workflows.Options{Known: []string{"st2", "parent"}})
	foreign := map[string]bool{}
	problems = append(problems, workflows.Contents(a.Runner, src, func(ref string) (hayate.Parameters, bool) {
		act := l.actions[hayate.Ref(ref)]
		if act == nil {
			foreign[ref] = !l.packs[hayate.Ref(ref).Pack()]
			return nil, false
		}
		return l.all(act), true
	})...)
	if len(problems) == 0 {
		return
	}
	doc, _ := yamldoc.Parse(src, yamldoc.Options{})
	for i := range problems {
		p := &problems[i]
		d := packs.Diagnostic{File: l.p.path(file), Line: p.Line, Column: p.Column, Severity: packs.Error, Code: "workflow-" + p.Category, Message: p.Message}
		if n := place(doc, steps(p.SpecPath)); d.Line == 0 && n != nil {
			d.Line, d.Column = n.Line(), n.Column()
		}
		for ref, is := range foreign {
			if p.Category != "content" || !strings.Contains(p.Message, strconv.Quote(ref)) {
				continue
			}
			d.Code, d.Message = "unknown-action", "there is no action "+strconv.Quote(ref)
			if is {
				d.Severity = packs.Warning
				d.Message += ": its pack is not among those looked at"
			}
			d.Message += yamldoc.Suggest(ref, l.names)
		}
		l.found = append(l.found, d)
	}
}

// all are the parameters of an action and its runner.
func (l *linter) all(a *hayate.Action) hayate.Parameters {
	takes, known := l.takes(a)
	out := make(hayate.Parameters, 0, len(known))
	for _, name := range known {
		p := takes[name]
		if string(p.Default) == "null" {
			p.Default = nil
		}
		out = append(out, p)
	}
	return out
}

// steps takes a path such as tasks.a.next[0].do apart.
func steps(spec string) (way []string) {
	for _, part := range strings.Split(spec, ".") {
		name, rest, _ := strings.Cut(part, "[")
		if name != "" {
			way = append(way, name)
		}
		for rest != "" {
			var i string
			i, rest, _ = strings.Cut(rest, "]")
			way = append(way, i)
			rest = strings.TrimPrefix(rest, "[")
		}
	}
	return way
}
