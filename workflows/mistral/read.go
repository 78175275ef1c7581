package mistral

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

var taskKeys = []string{"action", "workflow", "input", "with-items", "concurrency", "publish", "publish-on-error", "retry", "wait-before",
	"wait-after", "timeout", "pause-before", "fail-on", "keep-result", "target", "safe-rerun", "description", "join", "on-success", "on-error",
	"on-complete", "requires", "name", "type", "version", "tags"}

// task reads a task. Where it lacks a key that the defaults have, theirs counts.
func (r *reader) task(name string, n, defaults *yamldoc.Node, path string) *task {
	t := &task{name: name}
	if n.Kind() != yamldoc.Mapping {
		if !n.IsNull() {
			r.problem(n, path, "task %q is no mapping", name)
		}
		n = nil
	}
	r.keys(n, path, taskKeys)
	get := func(key string) *yamldoc.Node {
		if v := n.Get(key); v != nil {
			return v
		}
		return defaults.Get(key)
	}
	own := func(key string) *template { return r.template(n.Get(key), path+"."+key) }
	either := func(key string) *template { return r.template(get(key), path+"."+key) }
	r.work(t, n, path)
	t.publish, t.publishOnError = own("publish"), own("publish-on-error")
	t.concurrent = either("concurrency")
	t.waitBefore, t.waitAfter, t.timeout = either("wait-before"), either("wait-after"), either("timeout")
	t.pauseBefore, t.failOn = either("pause-before"), either("fail-on")
	t.keepResult = own("keep-result")
	t.items = r.withItems(n.Get("with-items"), path+".with-items")
	t.retry = r.retry(get("retry"), path+".retry")
	switch j := n.Get("join"); {
	case j.IsNull():
	case j.Text() == "all":
		t.join = joinAll
	case j.Text() == "one":
		t.join = 1
	default:
		if i, ok := j.Int(); ok && i > 0 {
			t.join = int(i)
		} else {
			r.problem(j, path+".join", "join must be all, one or a number, found %q", j.Text())
		}
	}
	clauses := []string{"on-success", "on-error", "on-complete"}
	clause := func(key string) []target {
		src := get(key)
		if p := src.Get("publish"); src.Kind() == yamldoc.Mapping && src.Get("next") != nil || p.Kind() == yamldoc.Mapping {
			i := slices.Index(clauses, key)
			r.keys(p, path+"."+key+".publish", []string{"branch", "global", "atomic"})
			t.branch[i] = r.template(p.Get("branch"), path+"."+key+".publish.branch")
			t.global[i] = r.template(p.Get("global"), path+"."+key+".publish.global")
		}
		ts := r.clause(src, path+"."+key)
		if n.Get(key) == nil { // a task does not follow itself by default
			ts = slices.DeleteFunc(ts, func(x target) bool { return x.to == name })
		}
		return ts
	}
	t.onSuccess, t.onError, t.onComplete = clause("on-success"), clause("on-error"), clause("on-complete")
	t.hasError = len(t.onError) > 0
	if q := get("requires"); q.Kind() == yamldoc.String {
		t.requires = []string{q.Text()}
	} else {
		for _, x := range q.Items() {
			t.requires = append(t.requires, x.Text())
		}
	}
	return t
}

// work reads what a task does: an action or a workflow, with its input. Inline
// parameters of StackStorm's actions count only where there is no input, as
// StackStorm had it; those of workflows and of Mistral's own actions go over it.
func (r *reader) work(t *task, n *yamldoc.Node, path string) {
	action, sub := n.Get("action"), n.Get("workflow")
	if action != nil && sub != nil {
		r.problem(sub, path, "a task has an action or a workflow, not both")
	}
	in := toValue(n.Get("input"))
	text := action
	if sub != nil {
		text = sub
	}
	t.line, t.column = text.Line(), text.Column()
	name, params := flow.Inline(text.Text())
	if given, ok := in.(*value.Map); ok && params != nil && (sub != nil || strings.HasPrefix(name, "std.") || slices.Contains(r.adhocs, name)) {
		in = over(given, params)
	}
	if in == nil && params != nil {
		in = params
	}
	t.input = compile(in)
	for _, err := range t.input.mistakes() {
		r.problem(n.Get("input"), path+".input", "%s", err)
	}
	switch {
	case sub != nil:
		t.workflow = name
	case action == nil:
		t.action = compile("std.noop")
	default:
		t.action = compile(name)
	}
}

func (r *reader) withItems(n *yamldoc.Node, path string) []itemSpec {
	var texts []*yamldoc.Node
	switch n.Kind() {
	case yamldoc.String:
		texts = []*yamldoc.Node{n}
	case yamldoc.Sequence:
		texts = n.Items()
	default:
		return nil
	}
	var out []itemSpec
	for _, x := range texts {
		name, list, ok := strings.Cut(x.Text(), " in ")
		if !ok {
			r.problem(x, path, "with-items must read \"name in list\", found %q", x.Text())
			continue
		}
		list = strings.TrimSpace(list)
		t := compile(list)
		if t.text == nil {
			v, err := value.DecodeString(list)
			if err != nil {
				r.problem(x, path, "%q is no list", list)
			}
			t = &template{lit: v}
		}
		for _, err := range t.mistakes() {
			r.problem(x, path, "%s", err)
		}
		out = append(out, itemSpec{strings.TrimSpace(name), t})
	}
	return out
}

func (r *reader) retry(n *yamldoc.Node, path string) *retry {
	if n.IsNull() {
		return nil
	}
	if s, ok := n.Str(); ok {
		_, m := flow.Inline("retry " + s)
		get := func(k string) *template {
			v, _ := m.Str(k)
			return compile(v)
		}
		return &retry{get("count"), get("delay"), get("break-on"), get("continue-on")}
	}
	r.keys(n, path, []string{"count", "delay", "break-on", "continue-on"})
	get := func(k string) *template { return r.template(n.Get(k), path+"."+k) }
	return &retry{get("count"), get("delay"), get("break-on"), get("continue-on")}
}

// clause reads on-success and the like: a name, a list of names and of conditions
// by name, or publish and next.
func (r *reader) clause(n *yamldoc.Node, path string) []target {
	switch n.Kind() {
	case yamldoc.String:
		return []target{r.target(n, n.Text(), nil, path)}
	case yamldoc.Sequence:
		var out []target
		for _, x := range n.Items() {
			if x.Kind() != yamldoc.Mapping {
				out = append(out, r.target(x, x.Text(), nil, path))
				continue
			}
			for _, e := range x.Entries() {
				out = append(out, r.target(e.Key, e.Name(), e.Value, path))
			}
		}
		return out
	case yamldoc.Mapping:
		if next := n.Get("next"); next != nil {
			return r.clause(next, path+".next")
		}
		if n.Get("publish").Kind() == yamldoc.Mapping {
			return nil
		}
		var out []target
		for _, e := range n.Entries() {
			out = append(out, r.target(e.Key, e.Name(), e.Value, path))
		}
		return out
	}
	return nil
}

func (r *reader) target(n *yamldoc.Node, text string, when *yamldoc.Node, path string) target {
	name, params := flow.Inline(text)
	if i := strings.IndexByte(text, '('); i > 0 && isCommand(strings.TrimSpace(text[:i])) {
		name = strings.TrimSpace(text[:i])
		_, params = flow.Inline("x " + strings.TrimSuffix(strings.TrimSpace(text[i+1:]), ")"))
	}
	t := target{to: name}
	if v, ok := params.Str("msg"); ok {
		t.msg = compile(v)
	}
	if when != nil {
		t.when = r.template(when, path)
	}
	return t
}
