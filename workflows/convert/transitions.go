package convert

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// published is what a task publishes on one outcome: a mapping, and where it stands.
type published struct {
	vars *value.Map
	at   *yamldoc.Node
}

// publishes reads what a task publishes when it succeeds, or fails.
func (m *mistral) publishes(n *yamldoc.Node, failed bool) published {
	key, clauses := "publish", []string{"on-complete", "on-success"}
	if failed {
		key, clauses = "publish-on-error", []string{"on-complete", "on-error"}
	}
	p := published{vars: &value.Map{}, at: n.Get(key)}
	add := func(x *yamldoc.Node) {
		if v, ok := toValue(x).(*value.Map); ok {
			for k, y := range v.All() {
				p.vars.Set(k, y)
			}
		}
	}
	add(p.at)
	for _, c := range clauses {
		x := n.Get(c).Get("publish")
		if x.Kind() != yamldoc.Mapping {
			continue
		}
		if p.at == nil {
			p.at = x
		}
		add(x.Get("branch"))
		if x.Get("global") != nil {
			m.add(Differs, x, "tasks."+c+".publish.global", "a global variable is published for its own branch only")
			add(x.Get("global"))
		}
		if x.Get("atomic") != nil {
			m.add(Lost, x, "tasks."+c+".publish.atomic", "atomic variables")
		}
	}
	return p
}

// fresh are the published values that conditions of the same task see.
func (m *mistral) fresh(e yamldoc.Entry) map[string]any {
	out := map[string]any{}
	for _, failed := range []bool{false, true} {
		for k, v := range m.publishes(e.Value, failed).vars.All() {
			out[value.Str(k)] = v
		}
	}
	return out
}

// list is what is published, as Orquesta's list of one variable each. Orquesta
// publishes one after the other, each seeing those before; Mistral all at once. So
// what reads a variable comes before what sets it.
func (p *published) list(c *scope) value.List {
	type variable struct {
		name string
		val  any
	}
	var left []variable
	for k, v := range p.vars.All() {
		left = append(left, variable{value.Str(k), v})
	}
	var out value.List
	for len(left) > 0 {
		at := slices.IndexFunc(left, func(v variable) bool {
			return !slices.ContainsFunc(left, func(w variable) bool { return w.name != v.name && reads(w.val, v.name) })
		})
		if at < 0 {
			at = 0
			c.add(Differs, c.at, c.path, "%q is read by another variable published with it, and the other way round: Orquesta publishes one after the other", left[0].name)
		}
		out = append(out, value.MapOf(left[at].name, c.value(left[at].val)))
		left = slices.Delete(left, at, at+1)
	}
	return out
}

// transitions converts the clauses of a task, and what it publishes.
func (m *mistral) transitions(e yamldoc.Entry, s *step, path string) {
	success, failure, complete := m.clause(e, "on-success"), m.clause(e, "on-error"), m.clause(e, "on-complete")
	for _, failed := range []bool{false, true} {
		own := success
		if failed {
			own = failure
		}
		p := m.publishes(e.Value, failed)
		c := m.scope(p.at, path+".publish")
		if p.at == nil {
			c.at = e.Key
		}
		c.task = e.Name()
		w := &ways{m: m, s: s, path: path, failed: failed, publish: p.list(c)}
		w.cond = m.scope(e.Key, path)
		w.cond.task, w.cond.fresh = e.Name(), map[string]any{}
		for k, v := range p.vars.All() {
			w.cond.fresh[value.Str(k)] = v
		}
		w.add(own, complete)
	}
}

// ways makes the transitions of one outcome of a task.
type ways struct {
	m       *mistral
	s       *step
	path    string
	failed  bool
	publish value.List
	cond    *scope
}

// way is a condition and where it leads.
type way struct {
	when string // with its delimiters; "" for none
	code string // the condition alone
	lang string
	do   []string
}

func (w *ways) add(own, complete []target) {
	ways := w.group(own)
	handled := slices.ContainsFunc(own, func(t target) bool { return t.when == nil })
	rest := w.group(complete)
	if w.failed && !handled {
		// In Mistral only on-error handles a failure: on-complete goes on, and the workflow
		// fails for all that.
		for i := range rest {
			if len(own) > 0 {
				w.m.add(Differs, w.cond.at, w.path+".on-complete", "an error that no condition of on-error takes is handled by on-complete in Orquesta; Mistral fails the workflow")
				break
			}
			if !slices.Contains(rest[i].do, "fail") {
				rest[i].do = append(rest[i].do, "fail")
			}
		}
		if len(rest) > 0 && len(own) == 0 {
			w.m.add(Differs, w.cond.at, w.path+".on-complete", "after a failure what on-complete leads to runs, and the workflow fails; whether more than the first task runs depends on the engine")
		}
	}
	ways = joined(append(ways, rest...))
	plain := false
	for i := range ways {
		if slices.Contains(ways[i].do, "fail") && !w.failed && len(ways[i].do) > 1 {
			ways[i].do = []string{"fail"} // nothing else is started where a workflow fails at once
		}
		plain = plain || ways[i].when == ""
	}
	if len(ways) > 1 && slices.ContainsFunc(ways, func(x way) bool { return slices.Contains(x.do, "fail") }) && !w.failed {
		w.m.add(Differs, w.cond.at, w.path, "where one transition fails the workflow, Orquesta still runs the tasks of the others; Mistral starts none of those that come later")
	}
	if !plain && len(w.publish) > 0 {
		ways = append(ways, way{}) // it publishes whether or not it leads anywhere
	}
	for _, x := range ways {
		w.s.next = append(w.s.next, transition{when: w.when(x), publish: w.publish, do: x.do})
	}
}

// joined puts together what is gone to on the same condition.
func joined(ways []way) []way {
	var out []way
	for _, x := range ways {
		i := slices.IndexFunc(out, func(y way) bool { return y.code == x.code && y.lang == x.lang && (y.when == "") == (x.when == "") })
		if i < 0 {
			out = append(out, x)
			continue
		}
		for _, to := range x.do {
			if !slices.Contains(out[i].do, to) { // Mistral would run it twice
				out[i].do = append(out[i].do, to)
			}
		}
	}
	return out
}

// when is the outcome, and the condition.
func (w *ways) when(x way) string {
	state := "succeeded()"
	if w.failed {
		state = "failed()"
	}
	if x.when == "" {
		return "<% " + state + " %>"
	}
	return delimited(state+" and ("+x.code+")", x.lang)
}

// group gathers targets with equal conditions, in the order of the conditions.
func (w *ways) group(ts []target) []way {
	var out []way
	for _, t := range ts {
		to := t.to
		c := *w.cond
		c.at = t.at
		switch to {
		case "noop", "fail":
			if t.msg {
				c.lost("the message of the command %s", to)
			}
		case "succeed", "pause":
			c.lost("the command %s; noop stands in its place", to)
			to = "noop"
		default:
			to = w.m.names.of[to]
		}
		x := way{do: []string{to}}
		if t.when != nil {
			v := toValue(t.when)
			s, isText := v.(string)
			switch {
			case isText && lang(s) != "":
				x.lang = lang(s)
				x.when = c.text(s)
				x.code = strings.TrimSpace(strings.Trim(x.when, "<%>{}"))
				if spans := strings.Count(s, "<%") + strings.Count(s, "{{"); spans != 1 || strings.Contains(s, "{%") || !bare(s) {
					c.lost("the condition %q is no single expression", s)
					x.code = "false"
				}
			default:
				x.lang, x.when, x.code = "yaql", s, "false"
				if value.Truth(v) {
					x.code = "true"
				}
			}
		}
		out = append(out, x)
	}
	return joined(out)
}

// bare says whether a text is its expression and nothing else.
func bare(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, "<%") && strings.HasSuffix(s, "%>") || strings.HasPrefix(s, "{{") && strings.HasSuffix(s, "}}")
}
