package orquesta

import (
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// maxNameCopies bounds the work of following names through a workflow; a
// definition beyond it is not checked for unassigned variables to the end.
const maxNameCopies = 20_000_000

// nameSet is a set of variable names. It is shared, and copied to be changed.
type nameSet map[string]bool

// follower walks a workflow and knows what is assigned where.
type follower struct {
	*inspector
	copies int
	may    map[string]nameSet // what may be assigned on entering a task, over all ways
	all    nameSet            // what is assigned anywhere that can be reached
}

// context checks that variables are assigned before they are read. Expressions
// are searched for the usual spellings of a reference, not evaluated. A join is
// taken to see what any of its branches assigned.
func (in *inspector) context() {
	f := &follower{inspector: in, all: nameSet{}}
	start := nameSet{}
	for _, name := range in.known {
		start[name] = true
	}
	f.bindingsInOrder(in.spec.input, "input", start)
	f.bindingsInOrder(in.spec.vars, "vars", start)
	f.all = f.with(start)
	f.spread(start)
	f.walk(start)
	f.bindingsInOrder(in.spec.output, "output", f.all)
}

func (f *follower) with(set nameSet, names ...string) nameSet {
	f.copies += len(set) + 1
	out := make(nameSet, len(set)+len(names))
	for k := range set {
		out[k] = true
	}
	for _, n := range names {
		out[n] = true
	}
	return out
}

func (f *follower) bindingsInOrder(bs []binding, prop string, set nameSet) {
	for i, b := range bs {
		if !b.bare {
			n := strconv.Itoa(i)
			f.references(b.raw, set, prop+"["+n+"]", "properties."+prop, prop, n)
		}
		set[b.name] = true
	}
}

// spread finds what may be assigned on entering each task, to a fixed point.
func (f *follower) spread(start nameSet) {
	f.may = map[string]nameSet{}
	queue := append([]string(nil), f.links.start...)
	for _, name := range queue {
		f.may[name] = start
	}
	for len(queue) > 0 && f.copies < maxNameCopies {
		name := queue[0]
		queue = queue[1:]
		t := f.spec.byName[name]
		if t == nil {
			continue
		}
		for i := range t.next {
			tr := &t.next[i]
			for _, b := range tr.publish {
				f.all[b.name] = true
			}
			for _, to := range tr.do {
				if f.enter(to, f.may[name], tr.publish) && f.spec.byName[to] != nil {
					queue = append(queue, to)
				}
			}
		}
	}
}

// enter adds names to what may be assigned on entering a task, and says whether
// that is news.
func (f *follower) enter(to string, set nameSet, publish []binding) bool {
	have, known := f.may[to]
	var fresh []string
	f.copies += len(set) / 8
	for n := range set {
		if !have[n] {
			fresh = append(fresh, n)
		}
	}
	for _, b := range publish {
		if !have[b.name] {
			fresh = append(fresh, b.name)
		}
	}
	if known && len(fresh) == 0 {
		return false
	}
	f.may[to] = f.with(have, fresh...)
	return true
}

// walk visits the tasks in breadth, in the order and as often as StackStorm does.
func (f *follower) walk(start nameSet) {
	type visit struct {
		name string
		set  nameSet
	}
	var queue []visit
	for _, name := range f.links.start {
		queue = append(queue, visit{name, start})
	}
	visited := map[string]bool{}
	last := map[string]nameSet{}
	for i := 0; i < len(queue) && f.copies < maxNameCopies; i++ {
		v := queue[i]
		visited[v.name] = true
		t := f.spec.byName[v.name]
		if t == nil {
			continue
		}
		after := f.task(t, v.set)
		for _, h := range f.links.next(t) {
			if visited[h.to] {
				continue
			}
			set := after[h.ref]
			dest := f.spec.byName[h.to]
			if dest != nil && dest.join != nil {
				queue = append(queue, visit{h.to, f.may[h.to]})
				continue
			}
			if l, ok := last[h.to]; ok && sameSet(l, set) {
				continue
			}
			last[h.to] = set
			queue = append(queue, visit{h.to, set})
		}
	}
}

// task checks one task and returns what is assigned after each transition.
func (f *follower) task(t *taskSpec, set nameSet) []nameSet {
	spec := "tasks." + t.name
	check := func(v any, prop string, at ...string) {
		f.references(v, set, spec+"."+prop, taskPath+".properties."+strings.ReplaceAll(prop, ".", ".properties."),
			append([]string{"tasks", t.name}, at...)...)
	}
	check(t.delay, "delay", "delay")
	if t.with != nil {
		check(t.with.items, "with.items", "with", "items")
		check(t.with.concurrency, "with.concurrency", "with", "concurrency")
	}
	check(t.action, "action", "action")
	check(t.input, "input", "input")
	after := make([]nameSet, len(t.next))
	for i := range t.next {
		tr := &t.next[i]
		n := strconv.Itoa(i)
		at := []string{"tasks", t.name, "next", n}
		path := spec + ".next[" + n + "]"
		f.references(tr.when, set, path+".when", nextPath+"when", append(at, "when")...)
		after[i] = set
		for j, b := range tr.publish {
			m := strconv.Itoa(j)
			f.references(b.raw, after[i], path+".publish["+m+"]", nextPath+"publish", append(at, "publish", m)...)
			if !after[i][b.name] {
				after[i] = f.with(after[i], b.name)
			}
		}
		f.references(value.List(anyList(tr.do)), after[i], path+".do", nextPath+"do", append(at, "do")...)
	}
	return after
}

func anyList(ss []string) []any {
	out := make([]any, len(ss))
	for i, s := range ss {
		out[i] = s
	}
	return out
}

// references reports the variables that v reads and set lacks.
func (f *follower) references(v any, set nameSet, spec, schema string, at ...string) {
	if s, ok := v.(string); ok {
		if params := parseInline(s); params != nil {
			l := make(value.List, len(params))
			for i, p := range params {
				l[i] = p.val
			}
			v = l
		}
	}
	for _, r := range findReferences(v, nil) {
		add := func(message string) {
			f.add(flow.Problem{Category: "context", Language: r.language, Expression: r.text, Message: message,
				SpecPath: spec, SchemaPath: schema}, at...)
		}
		if strings.HasPrefix(r.name, "__") {
			add(`Variable "` + r.name + `" that is prefixed with double underscores is considered a private variable and cannot be referenced.`)
		}
		if !set[r.name] {
			add(`Variable "` + r.name + `" is referenced before assignment.`)
		}
	}
}

// reference is a variable that a text reads.
type reference struct{ language, text, name string }

func findReferences(v any, out []reference) []reference {
	switch v := v.(type) {
	case string:
		language := languageOf(v)
		if language == "" {
			return out
		}
		names := map[string]bool{}
		for _, expr := range expressionsIn(v, language) {
			namesIn(expr, names)
		}
		sorted := make([]string, 0, len(names))
		for n := range names {
			sorted = append(sorted, n)
		}
		sort.Strings(sorted)
		for _, n := range sorted {
			out = append(out, reference{language, v, n})
		}
	case value.List:
		for _, x := range v {
			out = findReferences(x, out)
		}
	case *value.Map:
		for k, x := range v.All() {
			out = findReferences(k, out)
			out = findReferences(x, out)
		}
	}
	return out
}

var (
	// refRun is one run of a reference: what can follow ctx( without a space.
	refRun = regexp.MustCompile(`\bctx\(['"]?[\]\[a-zA-Z0-9_'".()]*['"]?\)\.?[\]\[a-zA-Z0-9_'".()]*`)
	// refSpellings are the ways to name a variable; each is searched once a run.
	refSpellings = []*regexp.Regexp{
		regexp.MustCompile(`\bctx\(\)\.([a-zA-Z0-9_]+)(\(?)`),
		regexp.MustCompile(`\bctx\(([a-zA-Z0-9_]+)\)()`),
		regexp.MustCompile(`\bctx\('([a-zA-Z0-9_]+)'\)()`),
		regexp.MustCompile(`\bctx\("([a-zA-Z0-9_]+)"\)()`),
	}
)

func namesIn(expr string, names map[string]bool) {
	if !strings.Contains(expr, "ctx(") {
		return
	}
	for _, run := range refRun.FindAllString(expr, -1) {
		for _, spelling := range refSpellings {
			for _, m := range spelling.FindAllStringSubmatch(run, -1) {
				if m[2] == "" { // a method of ctx() is no variable
					names[m[1]] = true
					break
				}
			}
		}
	}
}
