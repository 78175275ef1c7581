package orquesta

import (
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows/flow"
)

// spec is a workflow as it is written.
type spec struct {
	input, vars, output []binding
	tasks               []*taskSpec // in the order of the document
	byName              map[string]*taskSpec
}

// binding is a name and the value or expression it is bound to. An input written
// as a bare name has no default.
type binding struct {
	name string
	bare bool
	raw  any
	val  *template
}

// taskSpec is a task as it is written, inline parameters taken apart.
type taskSpec struct {
	name      string
	hasAction bool
	action    any
	input     any
	hasInput  bool
	delay     any
	join      *joinSpec
	with      *withSpec
	retry     *retrySpec
	next      []transition
}

// joinSpec is how many inbound tasks a join waits for.
type joinSpec struct {
	all   bool
	count int
}

type withSpec struct {
	items       string   // the whole text
	names       []string // names given to the parts of an item; nil where none are
	list        string   // the text of the expression
	concurrency any
}

type retrySpec struct {
	when         string
	count, delay any
}

// transition is one item of next.
type transition struct {
	when    string
	hasWhen bool
	publish []binding
	do      []string
	implied bool // do was not written
}

// reader turns a document into a spec. It takes what it can and leaves to the
// schema, or to problems, what is wrong.
type reader struct {
	problems []flow.Problem
}

func (r *reader) problem(n *yamldoc.Node, spec, schema, message string) {
	r.problems = append(r.problems, flow.Problem{Category: "syntax", Message: message, SpecPath: spec, SchemaPath: schema,
		Line: n.Line(), Column: n.Column()})
}

// toValue turns a document's node into a value as Python's loader gives it.
func toValue(n *yamldoc.Node) any {
	switch n.Kind() {
	case yamldoc.Bool:
		b, _ := n.Bool()
		return b
	case yamldoc.Int:
		if i, ok := n.Int(); ok {
			return i
		}
		if v, err := value.DecodeString(string(n.JSON())); err == nil {
			return v
		}
	case yamldoc.Float:
		f, _ := n.Float()
		return f
	case yamldoc.String, yamldoc.Timestamp, yamldoc.Binary:
		return n.Text()
	case yamldoc.Sequence:
		l := make(value.List, len(n.Items()))
		for i, item := range n.Items() {
			l[i] = toValue(item)
		}
		return l
	case yamldoc.Mapping:
		m := value.NewMap(len(n.Entries()))
		for _, e := range n.Entries() {
			switch e.Key.Kind() {
			case yamldoc.Sequence, yamldoc.Mapping:
				m.Set(e.Name(), toValue(e.Value))
			default:
				m.Set(toValue(e.Key), toValue(e.Value))
			}
		}
		return m
	}
	return nil
}

func (r *reader) spec(root *yamldoc.Node) *spec {
	s := &spec{byName: map[string]*taskSpec{}}
	s.input = bindings(toValue(root.Get("input")), true)
	s.vars = bindings(toValue(root.Get("vars")), false)
	s.output = bindings(toValue(root.Get("output")), false)
	tasks := root.Get("tasks")
	if tasks.Kind() != yamldoc.Mapping {
		return s
	}
	for _, e := range tasks.Entries() {
		name, ok := e.Key.Str()
		if !ok {
			r.problem(e.Key, "tasks", "properties.tasks.patternProperties", "The task name "+value.Repr(toValue(e.Key))+" is not a text; put it in quotes.")
			continue
		}
		if e.Value.Kind() != yamldoc.Mapping {
			continue // the schema says so
		}
		t := r.task(name, e.Value)
		s.tasks = append(s.tasks, t)
		s.byName[name] = t
	}
	return s
}

func bindings(v any, bare bool) []binding {
	l, _ := v.(value.List)
	var out []binding
	for _, item := range l {
		switch item := item.(type) {
		case string:
			if bare {
				out = append(out, binding{name: item, bare: true})
			}
		case *value.Map:
			for k, v := range item.All() {
				out = append(out, binding{name: value.Str(k), raw: v})
			}
		}
	}
	return out
}

func (r *reader) task(name string, n *yamldoc.Node) *taskSpec {
	t := &taskSpec{name: name}
	if len(n.Entries()) == 0 {
		r.problem(n, "tasks."+name, taskPath, "{} should be non-empty")
	}
	if in := n.Get("input"); in != nil {
		t.input, t.hasInput = toValue(in), true
	}
	if a := n.Get("action"); !a.IsNull() {
		t.hasAction = true
		t.action = toValue(a)
		if s, ok := t.action.(string); ok {
			action, params := inlineAction(s)
			t.action = action
			if params != nil {
				m := value.NewMap(len(params))
				for _, p := range params {
					m.Set(p.name, p.val)
				}
				t.input, t.hasInput = m, true
			}
		}
	}
	t.delay = toValue(n.Get("delay"))
	switch j := toValue(n.Get("join")).(type) {
	case string:
		t.join = &joinSpec{all: true}
	case int64:
		t.join = &joinSpec{count: int(j)}
	}
	t.with = readWith(n.Get("with"))
	if re := n.Get("retry"); re.Kind() == yamldoc.Mapping {
		when, _ := re.Get("when").Str()
		t.retry = &retrySpec{when: when, count: toValue(re.Get("count")), delay: toValue(re.Get("delay"))}
	}
	for i, tr := range n.Get("next").Items() {
		if tr.Kind() != yamldoc.Mapping {
			continue
		}
		if len(tr.Entries()) == 0 {
			r.problem(tr, "tasks."+name+".next["+strconv.Itoa(i)+"]", taskPath+".properties.next.items", "{} should be non-empty")
		}
		t.next = append(t.next, readTransition(tr))
	}
	return t
}

func readWith(n *yamldoc.Node) *withSpec {
	w := &withSpec{}
	switch n.Kind() {
	case yamldoc.String:
		w.items, _ = n.Str()
	case yamldoc.Mapping:
		w.items, _ = n.Get("items").Str()
		w.concurrency = toValue(n.Get("concurrency"))
	default:
		return nil
	}
	w.list = strings.TrimSpace(w.items)
	if i := strings.Index(w.items, " in "); i >= 0 {
		w.names = strings.Split(strings.ReplaceAll(w.items[:i], " ", ""), ",")
		w.list = strings.TrimSpace(w.items[i+4:])
	}
	return w
}

func readTransition(n *yamldoc.Node) transition {
	var tr transition
	if w := n.Get("when"); w != nil {
		tr.when, tr.hasWhen = w.Str()
	}
	switch p := toValue(n.Get("publish")).(type) {
	case string:
		for _, q := range parseInline(p) {
			tr.publish = append(tr.publish, binding{name: q.name, raw: q.val})
		}
	case value.List:
		tr.publish = bindings(p, false)
	}
	switch d := toValue(n.Get("do")).(type) {
	case nil:
		tr.do, tr.implied = []string{"continue"}, true
	case string:
		for _, name := range strings.Split(d, ",") {
			tr.do = append(tr.do, strings.TrimSpace(name))
		}
	case value.List:
		for _, name := range d {
			if s, ok := name.(string); ok {
				tr.do = append(tr.do, s)
			}
		}
	}
	return tr
}

// taskPath is where the schema describes a task.
const taskPath = "properties.tasks.patternProperties." + wordPattern
