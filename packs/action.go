package packs

import (
	"bytes"
	"math"
	"slices"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

func (r *reader) readAction(n *yamldoc.Node) {
	fine := r.check(n, r.shapes.action, "the action")
	run := r.runnerOf(n)
	fine = run != nil && r.checkParameters(n, run) && fine
	if run == nil {
		run = &runner{}
	}
	p := r.pack
	before := r.errors
	deadline := r.deadline(n.Get("deadline"), run.Name)
	fine = fine && r.errors == before
	a := hayate.Action{
		Pack:         p.Ref,
		Name:         text(n.Get("name")),
		Description:  text(n.Get("description")),
		Runner:       run.Name,
		EntryPoint:   text(n.Get("entry_point")),
		Enabled:      boolOr(n.Get("enabled"), true),
		Parameters:   parameters(n.Get("parameters")),
		OutputSchema: jsonOf(n.Get("output_schema")),
		Tags:         jsonOf(n.Get("tags")),
		Notify:       jsonOf(n.Get("notify")),
		Idempotent:   boolOr(n.Get("idempotent"), false),
		Target:       text(n.Get("target")),
		Pipefail:     optionalBool(n.Get("pipefail")),
		Expect:       expectOf(n.Get("expect")),
		Deadline:     deadline,
		Source:       r.file,
		Revision:     revision(n),
	}
	if a.Pipefail == nil {
		a.Pipefail = p.Pipefail
	}
	if !fine {
		p.Refused.Actions = append(p.Refused.Actions, a)
		return
	}
	p.Actions = put(r, p.Actions, a, n.Get("name"), "action", (*hayate.Action).Ref, func(a *hayate.Action) string { return a.Source })
}

// runnerOf finds the runner that an action names. StackStorm's names of before
// 2.10, and runners that it dropped since, are understood with a warning.
func (r *reader) runnerOf(n *yamldoc.Node) *runner {
	at := n.Get("runner_type")
	name, ok := at.Str()
	if !ok {
		return nil // reported already
	}
	run := findRunner(r.runners, name)
	switch {
	case run == nil:
		known := make([]string, len(r.runners))
		for i := range r.runners {
			known[i] = r.runners[i].Name
		}
		r.errorf(at, "unknown-runner", "unknown runner %q%s", name, yamldoc.Suggest(name, known))
	case run.removed != "":
		r.warnf(at, "removed-runner", "the runner %q is not in StackStorm any more since %s", name, run.removed)
	case run.Name != name && name != "orchestra":
		r.warnf(at, "old-runner", "%q is an old name of the runner %q, which StackStorm does not know any more", name, run.Name)
	}
	return run
}

// overridable are the keys of a runner's parameter that an action may change.
var overridable = []string{"default", "description", "enum", "immutable", "required"}

// checkParameters checks what the schema of a single parameter cannot say:
// overrides of the runner's, positions, immutables.
func (r *reader) checkParameters(n *yamldoc.Node, run *runner) bool {
	before := r.errors
	type placed struct {
		at   float64
		name string
	}
	var positions []placed
	for _, e := range n.Get("parameters").Entries() {
		theirs := run.params.Get(e.Name())
		if theirs != nil {
			r.checkOverride(e, theirs)
		}
		if k, pos := e.Value.Lookup("position"); k != nil {
			at, _ := pos.Float()
			if i := slices.IndexFunc(positions, func(p placed) bool { return p.at == at }); i >= 0 {
				r.errorf(pos, "bad-position", "the parameters %q and %q have the same position %s", positions[i].name, e.Name(), pos.Text())
				continue
			}
			positions = append(positions, placed{at, e.Name()})
		}
		r.checkImmutable(e, theirs)
	}
	if len(positions) > 1 {
		slices.SortFunc(positions, func(a, b placed) int { return int(math.Copysign(1, a.at-b.at)) })
		for i, p := range positions {
			if p.at != positions[0].at+float64(i) {
				r.errorf(n.Get("parameters").Get(p.name).Get("position"), "bad-position",
					"the positions are not contiguous: %q follows %q", p.name, positions[i-1].name)
				break
			}
		}
	}
	return r.errors == before
}

func (r *reader) checkOverride(e yamldoc.Entry, theirs *yamldoc.Node) {
	for _, attr := range e.Value.Entries() {
		name := attr.Name()
		if slices.Contains(overridable, name) {
			continue
		}
		was := theirs.Get(name)
		if (was.IsNull() && attr.Value.IsNull()) || bytes.Equal(was.JSON(), attr.Value.JSON()) {
			continue
		}
		r.errorf(attr.Key, "bad-override", "%q of the runner's parameter %q cannot be changed by an action; only default, description, enum, immutable and required can",
			name, e.Name())
	}
}

func (r *reader) checkImmutable(e yamldoc.Entry, theirs *yamldoc.Node) {
	k, _ := e.Value.Lookup("immutable")
	if k == nil {
		return
	}
	if theirs.Get("immutable") != nil {
		r.errorf(k, "bad-override", "the parameter %q is immutable in the runner and cannot be changed by an action", e.Name())
		return
	}
	if own, _ := e.Value.Lookup("default"); own == nil {
		if inherited, _ := theirs.Lookup("default"); inherited == nil {
			r.errorf(k, "no-default", "the immutable parameter %q needs a default", e.Name())
		}
	}
}

func expectOf(n *yamldoc.Node) *hayate.Expect {
	if n.IsNull() {
		return nil
	}
	x := &hayate.Expect{
		Stdout: text(n.Get("stdout")), Stderr: text(n.Get("stderr")),
		NotStdout: text(n.Get("not_stdout")), NotStderr: text(n.Get("not_stderr")),
		Schema: jsonOf(n.Get("schema")),
	}
	for _, it := range n.Get("exit_codes").Items() {
		if i, ok := it.Int(); ok {
			x.ExitCodes = append(x.ExitCodes, int(i))
		}
	}
	for _, it := range n.Get("ranges").Items() {
		rg := hayate.Range{Path: text(it.Get("path"))}
		if f, ok := it.Get("min").Float(); ok {
			rg.Min = &f
		}
		if f, ok := it.Get("max").Float(); ok {
			rg.Max = &f
		}
		x.Ranges = append(x.Ranges, rg)
	}
	for _, it := range n.Get("files").Items() {
		f := hayate.File{Path: text(it.Get("path"))}
		f.Absent, _ = it.Get("absent").Bool()
		f.Fresh, _ = it.Get("fresh").Bool()
		f.MaxAge, _ = it.Get("max_age").Float()
		f.MinSize, _ = it.Get("min_size").Int()
		x.Files = append(x.Files, f)
	}
	return x
}
