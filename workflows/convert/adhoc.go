package convert

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// adhoc is an action of a workbook: another action with some of its input given, and
// perhaps with something made of its result.
type adhoc struct {
	name   string
	node   *yamldoc.Node
	base   string
	input  *value.Map // base-input, what base gives in line over it
	output any
	params []param
}

// param is a parameter of an ad-hoc action.
type param struct {
	name     string
	def      any
	required bool
}

// adhocOf is the workbook's own action that a reference names, nil for none.
func (m *mistral) adhocOf(ref string) *adhoc {
	name := strings.TrimPrefix(ref, m.book+".")
	n := m.actions.Get(name)
	if n == nil {
		return nil
	}
	base, line := flow.Inline(n.Get("base").Text())
	a := &adhoc{name: name, node: n, base: base, input: &value.Map{}, output: toValue(n.Get("output"))}
	if given, ok := toValue(n.Get("base-input")).(*value.Map); ok {
		a.input = given.Clone()
	}
	for k, v := range line.All() {
		a.input.Set(k, v)
	}
	for _, x := range n.Get("input").Items() {
		if x.Kind() != yamldoc.Mapping {
			a.params = append(a.params, param{name: x.Text(), required: true})
			continue
		}
		for _, e := range x.Entries() {
			a.params = append(a.params, param{name: e.Name(), def: toValue(e.Value)})
		}
	}
	return a
}

// reads of a parameter: alone between its delimiters, and anywhere.
var (
	bareRead = regexp.MustCompile(`<%\s*\$\.([A-Za-z_]\w*)\s*%>|\{\{\s*_\.([A-Za-z_]\w*)\s*\}\}`)
	anyRead  = regexp.MustCompile(`(?:\$|\b_)(\.[A-Za-z_]\w*)?`)
)

// call is a task's call of an ad-hoc action as one of its base: the input that the base
// gets, in Orquesta's words. ok is false where it cannot be written so: the action
// makes something of the result, or an expression cannot take what it is given.
func (a *adhoc) call(given *value.Map, convert func(v any) any, base *scope) (in any, ok bool) {
	if a.output != nil {
		return nil, false
	}
	args := map[string]any{}
	for _, p := range a.params {
		v, has := given.Str(p.name)
		switch {
		case has:
			args[p.name] = convert(v)
		case p.required:
			return nil, false
		default:
			args[p.name] = convert(p.def)
		}
	}
	for k, v := range given.All() { // Mistral passes on what the action does not declare too
		if name := value.Str(k); args[name] == nil {
			args[name] = convert(v)
		}
	}
	base.fresh = args
	ok = true
	out := put(a.input, args, base, &ok)
	return out, ok
}

// put writes what parameters are given into a value of the base's input.
func put(v any, args map[string]any, c *scope, ok *bool) any {
	switch v := v.(type) {
	case string:
		return putText(v, args, c, ok)
	case value.List:
		out := make(value.List, len(v))
		for i, x := range v {
			out[i] = put(x, args, c, ok)
		}
		return out
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			out.Set(k, put(x, args, c, ok))
		}
		return out
	}
	return v
}

func putText(s string, args map[string]any, c *scope, ok *bool) any {
	if lang(s) == "" {
		return s
	}
	if at := bareRead.FindStringSubmatchIndex(s); at != nil && at[0] == 0 && at[1] == len(s) {
		a := bareRead.FindStringSubmatch(s)
		v, has := args[a[1]+a[2]]
		*ok = *ok && has
		return v
	}
	var b strings.Builder
	last, language := 0, ""
	speak := func(l string) {
		if l != "" && language != "" && l != language {
			*ok = false
		}
		language = max(language, l)
	}
	code := func(part string) { // text that may hold other expressions
		l := lang(part)
		if l != "" {
			for _, r := range anyRead.FindAllStringSubmatch(part, -1) {
				v, has := args[strings.TrimPrefix(r[1], ".")]
				if _, fits := c.literal(v, l); !has || !fits {
					*ok = false
				}
			}
		}
		speak(l)
		b.WriteString(c.text(part))
	}
	for _, at := range bareRead.FindAllStringSubmatchIndex(s, -1) {
		code(s[last:at[0]])
		a := bareRead.FindStringSubmatch(s[at[0]:at[1]])
		v, has := args[a[1]+a[2]]
		text, isText := v.(string)
		if !isText {
			_, plain := c.literal(v, "yaql")
			has = has && plain
			text = value.Str(v)
		}
		*ok = *ok && has
		speak(lang(text))
		b.WriteString(text)
		last = at[1]
	}
	code(s[last:])
	return b.String()
}

// adhocCall converts the call of an ad-hoc action. What cannot be a call of its base
// becomes one of an action that adhocWorkflow writes.
func (m *mistral) adhocCall(a *adhoc, at *yamldoc.Node, path string, in any, items []string) (ref string, input any, own bool) {
	given, isMap := in.(*value.Map)
	outer := m.scope(at, path+".input")
	outer.items = items
	if in == nil {
		given, isMap = &value.Map{}, true
	}
	if isMap {
		inner := m.scope(a.node, "actions."+a.name)
		if out, ok := a.call(given, outer.value, inner); ok {
			return a.base, out, false
		}
	}
	return m.actionName(a.name), outer.value(in), true
}

// actionName is what the action is called that a part of the workbook becomes.
func (m *mistral) actionName(name string) string { return m.book + "_" + word(name) }

// notInline says whether a task's ad-hoc action becomes an action of its own, without a
// word about it.
func (m *mistral) notInline(a *adhoc, e yamldoc.Entry, params *value.Map) bool {
	quiet := *m
	quiet.draft = draft{}
	_, _, own := quiet.adhocCall(a, e.Value, "", over(toValue(e.Value.Get("input")), params), nil)
	return own
}

// over is a task's input with what its action is given in line over it.
func over(in any, params *value.Map) any {
	given, ok := in.(*value.Map)
	switch {
	case params == nil:
		return in
	case in == nil:
		return params
	case !ok:
		return in
	}
	out := given.Clone()
	for k, v := range params.All() {
		out.Set(k, v)
	}
	return out
}

// suffixOf is where the result of a task lies that runs what was a part of the workbook:
// below the output of a workflow. A task with items has many.
func (m *mistral) suffixOf(e yamldoc.Entry) string {
	if !m.get(e.Value, "with-items").IsNull() {
		return ""
	}
	if sub := e.Value.Get("workflow"); sub != nil {
		ref, _ := flow.Inline(sub.Text())
		if slices.Contains(m.siblings, strings.TrimPrefix(ref, m.book+".")) {
			return ".output"
		}
		return ""
	}
	ref, params := flow.Inline(e.Value.Get("action").Text())
	if a := m.adhocOf(ref); a != nil && m.notInline(a, e, params) {
		return ".output.result"
	}
	return ""
}

// adhocWorkflow is an ad-hoc action as a workflow of its own: its output is the result.
func (m *mistral) adhocWorkflow(a *adhoc) Workflow {
	w := &mistral{node: a.node, name: a.name, book: m.book, names: newNames([]string{"call"})}
	for _, p := range a.params {
		if p.required {
			w.input = append(w.input, p.name)
			continue
		}
		w.input = append(w.input, value.MapOf(p.name, w.scope(a.node, "actions."+a.name+".input").value(p.def)))
	}
	s := &step{name: "call", action: a.base}
	c := w.scope(a.node, "actions."+a.name)
	if a.input.Len() > 0 {
		s.input = c.value(a.input)
	}
	if strings.HasPrefix(a.base, "std.") {
		s.action, s.input = w.standard(c, a.base, s.input)
	}
	out := any("<% result() %>")
	if a.output != nil {
		out = resultOf(a.output)
	}
	s.next = []transition{{when: "<% succeeded() %>", publish: value.List{value.MapOf("result", out)}}}
	w.steps, w.output = []*step{s}, value.List{value.MapOf("result", "<% ctx().result %>")}
	w.null("result")
	return w.finish(a.name)
}

// resultOf is what an action makes of its result: there $ is the result itself.
func resultOf(v any) any {
	switch v := v.(type) {
	case string:
		switch lang(v) {
		case "yaql":
			return strings.ReplaceAll(v, "$", "result()")
		case "jinja":
			return regexp.MustCompile(`\b_(\.|\b)`).ReplaceAllString(v, "result()$1")
		}
	case value.List:
		out := make(value.List, len(v))
		for i, x := range v {
			out[i] = resultOf(x)
		}
		return out
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			out.Set(k, resultOf(x))
		}
		return out
	}
	return v
}
