package convert

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// fromMistral converts a workflow, or each workflow of a workbook.
func fromMistral(root *yamldoc.Node) []Workflow {
	book := root.Get("workflows")
	if book == nil {
		for _, e := range root.Entries() {
			switch e.Name() {
			case "version", "name", "description", "tags":
			default:
				m := &mistral{node: e.Value, name: e.Name()}
				return []Workflow{m.convert()}
			}
		}
		return nil
	}
	var names []string
	for _, e := range book.Entries() {
		names = append(names, e.Name())
	}
	var out []Workflow
	actions := map[string]Workflow{}
	for _, e := range book.Entries() {
		m := &mistral{node: e.Value, name: e.Name(), book: root.Get("name").Text(), siblings: names, actions: root.Get("actions")}
		w := m.convert()
		for name, a := range m.own {
			actions[name] = m.adhocWorkflow(a)
		}
		if e.Name() == "main" {
			out = slices.Insert(out, 0, w)
			continue
		}
		out = append(out, w)
	}
	for _, e := range root.Get("actions").Entries() {
		if w, ok := actions[e.Name()]; ok {
			out = append(out, w)
		}
	}
	return out
}

// mistral converts one workflow.
type mistral struct {
	draft
	node     *yamldoc.Node
	name     string
	book     string
	siblings []string      // workflows of the workbook
	actions  *yamldoc.Node // of the workbook
	names    *names
	tasks    *yamldoc.Node
	defaults *yamldoc.Node
	targeted map[string]int    // how many tasks lead to a task
	suffix   map[string]string // where a task's result lies below that of the action it becomes
	own      map[string]*adhoc // the workbook's actions that become actions of their own
	parallel bool
}

func (m *mistral) scope(at *yamldoc.Node, path string) *scope {
	return &scope{notes: &m.notes, at: at, path: path, names: m.names, null: m.null, suffix: m.suffix}
}

func (m *mistral) convert() Workflow {
	n := m.node
	m.tasks, m.defaults = n.Get("tasks"), n.Get("task-defaults")
	var sources []string
	for _, e := range m.tasks.Entries() {
		sources = append(sources, e.Name())
	}
	m.names = newNames(sources)
	m.suffix, m.own = map[string]string{}, map[string]*adhoc{}
	for _, e := range m.tasks.Entries() {
		m.suffix[e.Name()] = m.suffixOf(e)
	}
	m.description = n.Get("description").Text()
	for _, x := range n.Get("input").Items() {
		if x.Kind() != yamldoc.Mapping {
			m.input = append(m.input, x.Text())
			continue
		}
		for _, e := range x.Entries() {
			m.input = append(m.input, value.MapOf(e.Name(), m.scope(e.Value, "input."+e.Name()).value(toValue(e.Value))))
		}
	}
	for _, e := range n.Get("vars").Entries() {
		m.vars = append(m.vars, value.MapOf(e.Name(), m.scope(e.Value, "vars."+e.Name()).value(toValue(e.Value))))
	}
	reverse := n.Get("type").Text() == "reverse"
	m.count()
	for _, e := range m.tasks.Entries() {
		m.steps = append(m.steps, m.task(e, reverse))
	}
	m.outputs()
	if m.parallel && m.mayFail() {
		m.add(Differs, m.tasks, "tasks", "a failure that nothing handles ends an Orquesta workflow at once; Mistral lets the other branches finish")
	}
	w := m.finish(m.name)
	w.Tasks = m.names.of
	return w
}

// count finds how many tasks lead to each task, and whether tasks may run side by
// side.
func (m *mistral) count() {
	m.targeted = map[string]int{}
	for _, e := range m.tasks.Entries() {
		seen := map[string]bool{}
		for _, clause := range clauseNames {
			ts := m.clause(e, clause)
			if len(ts) > 1 {
				m.parallel = true
			}
			for _, t := range ts {
				if !seen[t.to] {
					seen[t.to] = true
					m.targeted[t.to]++
				}
			}
		}
		if len(m.clause(e, "on-complete")) > 0 && len(m.clause(e, "on-success"))+len(m.clause(e, "on-error")) > 0 {
			m.parallel = true
		}
	}
	starts := 0
	for _, e := range m.tasks.Entries() {
		if m.targeted[e.Name()] == 0 {
			starts++
		}
	}
	m.parallel = m.parallel || starts > 1
}

// mayFail says whether there is a task whose failure nothing handles for certain.
func (m *mistral) mayFail() bool {
	for _, e := range m.tasks.Entries() {
		handled := false
		for _, t := range m.clause(e, "on-error") {
			handled = handled || t.when == nil
		}
		if !handled {
			return true
		}
	}
	return false
}

// outputs converts the output. Without one Mistral returns all that was published.
func (m *mistral) outputs() {
	out := m.node.Get("output")
	for _, e := range out.Entries() {
		m.output = append(m.output, value.MapOf(e.Name(), m.scope(e.Value, "output."+e.Name()).value(toValue(e.Value))))
	}
	if x := m.node.Get("output-on-error"); x != nil {
		m.add(Lost, x, "output-on-error", "Orquesta has no output of its own for failures: output is rendered however the workflow ends")
	}
	if out != nil {
		return
	}
	var names []string
	for _, s := range m.steps {
		for _, t := range s.next {
			for _, p := range t.publish {
				for k := range p.(*value.Map).All() {
					if name := value.Str(k); !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
		}
	}
	for _, name := range names {
		m.output = append(m.output, value.MapOf(name, "<% ctx().get("+name+") %>"))
	}
	if len(names) > 0 {
		m.add(Differs, m.node, "output", "without an output Mistral returns every variable that was published; the output made for it has them all, null where they were not")
	}
}

var clauseNames = []string{"on-success", "on-error", "on-complete"}

// target is where a clause leads, and the condition's node, nil for none.
type target struct {
	to   string
	when *yamldoc.Node
	at   *yamldoc.Node
	msg  bool
}

var inlineName = regexp.MustCompile(`^\s*([^\s(=]+)`)

// clause reads a clause of a task, or that of the defaults.
func (m *mistral) clause(e yamldoc.Entry, key string) []target {
	n := e.Value.Get(key)
	own := n != nil
	if n == nil {
		n = m.defaults.Get(key)
	}
	var out []target
	var read func(n *yamldoc.Node)
	add := func(at *yamldoc.Node, text string, when *yamldoc.Node) {
		name := strings.TrimSpace(inlineName.FindString(text))
		out = append(out, target{to: name, when: when, at: at, msg: strings.Contains(text, "msg")})
	}
	read = func(n *yamldoc.Node) {
		switch n.Kind() {
		case yamldoc.String:
			add(n, n.Text(), nil)
		case yamldoc.Sequence:
			for _, x := range n.Items() {
				read(x)
			}
		case yamldoc.Mapping:
			if next := n.Get("next"); next != nil || n.Get("publish").Kind() == yamldoc.Mapping {
				read(next)
				return
			}
			for _, x := range n.Entries() {
				when := x.Value
				if when.IsNull() {
					when = nil
				}
				add(x.Key, x.Name(), when)
			}
		}
	}
	read(n)
	if !own {
		out = slices.DeleteFunc(out, func(t target) bool { return t.to == e.Name() })
	}
	return out
}

// get is a key of a task, else of the defaults.
func (m *mistral) get(n *yamldoc.Node, key string) *yamldoc.Node {
	if v := n.Get(key); v != nil {
		return v
	}
	return m.defaults.Get(key)
}

// dropped are the keys that say nothing to Orquesta, and why.
var dropped = []struct {
	key, why string
	kind     Kind
}{
	{"wait-after", "Orquesta has no wait after a task; put a task with a delay behind it", Lost},
	{"timeout", "Orquesta has no time limit for a task; give its action one (the parameter timeout, where it has that)", Lost},
	{"pause-before", "Orquesta cannot pause before a task; let a task ask (core.ask) instead", Lost},
	{"fail-on", "Orquesta cannot make a failure of a success; put the condition on its transitions", Lost},
	{"keep-result", "results are always kept", Differs},
	{"target", "a task cannot choose its executor", Lost},
	{"safe-rerun", "see idempotent: of the action", Lost},
}

func (m *mistral) task(e yamldoc.Entry, reverse bool) *step {
	name, n := e.Name(), e.Value
	path := "tasks." + name
	s := &step{name: m.names.of[name]}
	if s.name != name {
		m.add(Renamed, e.Key, path, "the task is called %q: Orquesta takes words only, and keeps some for itself", s.name)
	}
	for _, d := range dropped {
		if v := m.get(n, d.key); !v.IsNull() {
			if b, ok := v.Bool(); ok && b == (d.key == "keep-result") {
				continue
			}
			m.add(d.kind, v, path+"."+d.key, "%s: %s", d.key, d.why)
		}
	}
	items := m.items(n, s, path)
	m.work(e, s, path, items)
	if w := m.get(n, "wait-before"); !w.IsNull() {
		s.delay = m.scope(w, path+".wait-before").whole(toValue(w))
	}
	m.join(n, s, path)
	if r := m.get(n, "retry"); !r.IsNull() {
		s.retry = m.retry(e, r, path+".retry")
	}
	m.transitions(e, s, path)
	if reverse {
		m.require(e, s)
	}
	return s
}

// whole makes a number of a text that is one.
func (c *scope) whole(v any) any {
	if s, ok := v.(string); ok && lang(s) == "" {
		if i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
			return i
		}
	}
	if f, ok := v.(float64); ok {
		c.lost("%v is no whole number of seconds", f)
		return int64(f)
	}
	return c.value(v)
}

func (m *mistral) join(n *yamldoc.Node, s *step, path string) {
	j := n.Get("join")
	switch {
	case j.IsNull():
		return
	case j.Text() == "all":
		s.join = "all"
	case j.Text() == "one":
		s.join = int64(1)
	default:
		i, _ := j.Int()
		s.join = i
	}
	if s.join != "all" {
		m.add(Differs, j, path+".join", "a join of some branches runs again in Orquesta when another branch arrives; in Mistral it runs once")
	}
	if len(m.clause(yamldoc.Entry{Key: j, Value: n}, "on-error")) > 0 {
		m.add(Differs, j, path+".join", "a join that cannot be reached fails the workflow in Orquesta; in Mistral its on-error may handle that")
	}
}

// items converts with-items and concurrency, and returns the items' variables.
func (m *mistral) items(n *yamldoc.Node, s *step, path string) []string {
	w := n.Get("with-items")
	if w.IsNull() {
		return nil
	}
	c := m.scope(w, path+".with-items")
	var names, lists []string
	texts := w.Items()
	if w.Kind() == yamldoc.String {
		texts = []*yamldoc.Node{w}
	}
	for _, x := range texts {
		name, list, _ := strings.Cut(x.Text(), " in ")
		names, lists = append(names, strings.TrimSpace(name)), append(lists, c.list(strings.TrimSpace(list), s.name))
	}
	m.vars = append(m.vars, c.made()...)
	items := lists[0]
	if len(lists) > 1 {
		parts := make([]string, len(lists))
		for i, l := range lists {
			if lang(l) != "yaql" {
				c.lost("lists of items in Jinja that go together; write them in YAQL")
			}
			parts[i] = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(l, "<%"), "%>"))
		}
		items = strings.Join(names, ", ") + " in <% zip(" + strings.Join(parts, ", ") + ") %>"
		m.add(Differs, w, path+".with-items", "lists of unequal length are filled with null in Orquesta; Mistral refuses them")
	}
	s.with = items
	if l := m.get(n, "concurrency"); !l.IsNull() {
		s.with = value.MapOf("items", items, "concurrency", m.scope(l, path+".concurrency").whole(toValue(l)))
		m.add(Differs, l, path+".concurrency", "with few at once, Orquesta starts no further items after one failed and none runs; Mistral runs them all")
	}
	return names
}

// list is a list of items as an expression. One written out becomes an expression, or
// a variable where it holds mappings.
func (c *scope) list(text, task string) string {
	if lang(text) != "" {
		return c.text(text)
	}
	v, err := value.DecodeString(text)
	if err != nil {
		c.lost("the list %s", text)
		return "<% [] %>"
	}
	if lit, ok := yaqlLiteral(v); ok {
		return "<% " + lit + " %>"
	}
	name := task + "_items"
	c.fresh = map[string]any{name: v}
	return "<% ctx()." + name + " %>"
}

// made are the variables that list needed.
func (c *scope) made() value.List {
	var out value.List
	for name, v := range c.fresh {
		out = append(out, value.MapOf(name, v))
	}
	c.fresh = nil
	return out
}

func yaqlLiteral(v any) (string, bool) {
	switch v := v.(type) {
	case value.List:
		parts := make([]string, len(v))
		for i, x := range v {
			var ok bool
			if parts[i], ok = yaqlLiteral(x); !ok {
				return "", false
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", true
	case *value.Map:
		return "", false
	}
	return (&scope{notes: &notes{}}).literal(v, "yaql")
}

// retry converts a policy: Mistral tries again after a failure unless break-on holds,
// and after a success if continue-on does.
func (m *mistral) retry(e yamldoc.Entry, n *yamldoc.Node, path string) *value.Map {
	c := m.scope(n, path)
	c.task, c.fresh = e.Name(), m.fresh(e)
	get := func(key string) any { return toValue(n.Get(key)) }
	if text, ok := n.Str(); ok {
		_, params := flow.Inline("retry " + text)
		get = func(key string) any { v, _ := params.Str(key); return v }
	}
	out := &value.Map{}
	breakOn, continueOn := get("break-on"), get("continue-on")
	if breakOn != nil || continueOn != nil {
		var when []string
		language := "yaql"
		for _, v := range []any{breakOn, continueOn} {
			if s, ok := v.(string); ok && lang(s) == "jinja" {
				language = "jinja"
			}
		}
		failed := "failed()"
		if breakOn != nil {
			failed = "failed() and not " + c.condition(breakOn, language)
		}
		when = append(when, failed)
		if continueOn != nil {
			when = []string{"(" + failed + ")", "(succeeded() and " + c.condition(continueOn, language) + ")"}
		}
		out.Set("when", delimited(strings.Join(when, " or "), language))
	}
	out.Set("count", c.whole(get("count")))
	if d := get("delay"); d != nil {
		out.Set("delay", c.whole(d))
	}
	return out
}

func delimited(code, language string) string {
	if language == "jinja" {
		return "{{ " + code + " }}"
	}
	return "<% " + code + " %>"
}

// condition is a condition as part of an expression of a language.
func (c *scope) condition(v any, language string) string {
	s, ok := c.literal(v, language)
	if ok && c.fresh != nil { // literal does not see what is published in the same step
		inner := *c
		if text, isText := v.(string); isText && lang(text) != "" {
			code := inner.text(text)
			return "(" + strings.TrimSpace(code[2:len(code)-2]) + ")"
		}
	}
	if !ok {
		c.lost("the condition %v, which is in another language than the one beside it or no single expression", value.Str(v))
		return "false"
	}
	return s
}

// require makes a task of a reverse workflow follow on those that it requires.
func (m *mistral) require(e yamldoc.Entry, s *step) {
	of := func(n *yamldoc.Node) []string {
		q := m.get(n, "requires")
		if q.Kind() == yamldoc.String {
			return []string{q.Text()}
		}
		var out []string
		for _, x := range q.Items() {
			out = append(out, x.Text())
		}
		return out
	}
	if len(of(e.Value)) > 1 {
		s.join = "all"
	}
	var do []string
	for _, x := range m.tasks.Entries() {
		if slices.Contains(of(x.Value), e.Name()) {
			do = append(do, m.names.of[x.Name()])
		}
	}
	if len(do) == 0 {
		return
	}
	t := transition{when: "<% succeeded() %>", do: do}
	if len(s.next) > 0 { // it publishes
		t.publish, s.next = s.next[0].publish, s.next[1:]
	}
	s.next = append([]transition{t}, s.next...)
	m.add(Differs, m.node.Get("type"), "type", "a reverse workflow runs what its target requires; this one runs all of its tasks")
}
