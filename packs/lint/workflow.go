package lint

import (
	"path"
	"slices"
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
	content, foreign := l.contents(a.Runner, src)
	locate(src, problems)
	for _, p := range append(problems, content...) {
		d := packs.Diagnostic{File: l.p.path(file), Line: p.Line, Column: p.Column, Severity: packs.Error, Code: "workflow-" + p.Category, Message: p.Message}
		if p.Hint != "" {
			d.Message += "; " + p.Hint
		}
		l.found = append(l.found, d)
	}
	for _, p := range foreign {
		l.found = append(l.found, packs.Diagnostic{File: l.p.path(file), Line: p.Line, Column: p.Column, Severity: packs.Warning, Code: "unknown-action", Message: p.Message})
	}
}

// Contents checks what a definition asks of actions against those of the packs, and
// of core. Foreign are references to packs that are not among them: these may be
// right.
func Contents(known []Pack, dialect string, text []byte) (wrong, foreign []workflows.Problem) {
	return newLinter(known, nil).contents(dialect, text)
}

func (l *linter) contents(dialect string, text []byte) (wrong, foreign []workflows.Problem) {
	absent := map[string]bool{}
	all := workflows.Contents(dialect, text, func(ref string) (hayate.Parameters, bool) {
		act := l.actions[hayate.Ref(ref)]
		if act == nil {
			absent[ref] = true
			return nil, false
		}
		return l.all(act), true
	})
	locate(text, all)
	refs := make([]string, 0, len(absent))
	for ref := range absent {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	for _, p := range all {
		i := slices.IndexFunc(refs, func(ref string) bool { return strings.Contains(p.Message, strconv.Quote(ref)) })
		if i < 0 {
			wrong = append(wrong, p)
			continue
		}
		p.Message = "there is no action " + strconv.Quote(refs[i])
		if l.packs[hayate.Ref(refs[i]).Pack()] {
			p.Message += yamldoc.Suggest(refs[i], l.names)
			wrong = append(wrong, p)
		} else {
			p.Message += ": its pack is not among those looked at" + yamldoc.Suggest(refs[i], l.names)
			foreign = append(foreign, p)
		}
	}
	return wrong, foreign
}

// locate gives problems the place in the text that their path leads to, where they
// have none.
func locate(text []byte, problems []workflows.Problem) {
	var doc *yamldoc.Node
	for i := range problems {
		p := &problems[i]
		if p.Line > 0 {
			continue
		}
		if doc == nil {
			doc, _ = yamldoc.Parse(text, yamldoc.Options{}) // what is wrong with it is among the problems
		}
		if n := place(doc, steps(p.SpecPath)); n != nil {
			p.Line, p.Column = n.Line(), n.Column()
		}
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
