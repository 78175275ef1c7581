package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// fromChain converts an ActionChain.
func fromChain(root *yamldoc.Node) Workflow {
	c := &chain{links: root.Get("chain").Items(), byName: map[string]*yamldoc.Node{}, needed: map[string]bool{}, published: map[string]bool{}}
	var sources []string
	for _, n := range c.links {
		name := n.Get("name").Text()
		sources = append(sources, name)
		c.byName[name] = n
		for _, e := range n.Get("publish").Entries() {
			c.published[e.Name()] = true
		}
	}
	c.names = newNames(append(sources, "start"))
	for _, e := range root.Get("vars").Entries() {
		c.vars = append(c.vars, value.MapOf(e.Name(), c.value(e.Value, "vars."+e.Name())))
		c.published[e.Name()] = true
	}
	first := c.first(root)
	reached := c.reach(first)
	for _, n := range c.links {
		name := n.Get("name").Text()
		if !reached[name] {
			c.add(Lost, n, "chain."+name, "the task %q, which nothing leads to", name)
			continue
		}
		c.steps = append(c.steps, c.task(n, name))
	}
	if c.leadsTo(first, reached) { // Orquesta starts with what nothing leads to
		c.steps = slices.Insert(c.steps, 0, &step{name: c.names.of["start"], action: "core.noop", next: []transition{{do: []string{c.names.of[first]}}}})
	}
	c.keep(reached)
	w := c.finish("")
	w.Tasks = c.names.of
	return w
}

// chain converts one ActionChain.
type chain struct {
	draft
	links     []*yamldoc.Node
	byName    map[string]*yamldoc.Node
	names     *names
	needed    map[string]bool // tasks whose results others read
	published map[string]bool
	inputs    []string
}

func (c *chain) first(root *yamldoc.Node) string {
	if d := root.Get("default").Text(); d != "" {
		return d
	}
	named := map[string]bool{}
	for _, n := range c.links {
		named[n.Get("on-success").Text()], named[n.Get("on-failure").Text()] = true, true
	}
	for _, n := range c.links {
		if name := n.Get("name").Text(); !named[name] {
			return name
		}
	}
	return c.links[0].Get("name").Text()
}

func (c *chain) reach(first string) map[string]bool {
	seen := map[string]bool{first: true}
	for queue := []string{first}; len(queue) > 0; queue = queue[1:] {
		for _, key := range []string{"on-success", "on-failure"} {
			if to := c.byName[queue[0]].Get(key).Text(); c.byName[to] != nil && !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	return seen
}

// leadsTo says whether a task that is reached leads to another.
func (c *chain) leadsTo(to string, reached map[string]bool) bool {
	for name := range reached {
		if n := c.byName[name]; n.Get("on-success").Text() == to || n.Get("on-failure").Text() == to {
			return true
		}
	}
	return false
}

func (c *chain) task(n *yamldoc.Node, name string) *step {
	path := "chain." + name
	s := &step{name: c.names.of[name], action: n.Get("ref").Text()}
	if s.name != name {
		c.add(Renamed, n, path, "the task %q is called %q: Orquesta takes words only, and keeps some for itself", name, s.name)
	}
	params := n.Get("params")
	if params.IsNull() {
		params = n.Get("parameters")
	}
	if len(params.Entries()) > 0 {
		s.input = c.value(params, path+".params")
	}
	if x := n.Get("notify"); !x.IsNull() {
		c.add(Lost, x, path+".notify", "notify of a task")
	}
	var publish value.List
	for _, e := range n.Get("publish").Entries() {
		publish = append(publish, value.MapOf(e.Name(), c.value(e.Value, path+".publish."+e.Name())))
	}
	for _, way := range [][2]string{{"on-success", "<% succeeded() %>"}, {"on-failure", "<% failed() %>"}} {
		t := transition{when: way[1], publish: slices.Clone(publish)}
		if to := n.Get(way[0]).Text(); c.byName[to] != nil {
			t.do = []string{c.names.of[to]}
		}
		s.next = append(s.next, t)
	}
	return s
}

// keep publishes the results of the tasks that others read, under the tasks' names,
// drops transitions that say nothing, and makes the output of what is published.
func (c *chain) keep(reached map[string]bool) {
	for _, n := range c.links {
		name := n.Get("name").Text()
		i := slices.IndexFunc(c.steps, func(s *step) bool { return reached[name] && s.name == c.names.of[name] })
		if i < 0 {
			continue
		}
		s := c.steps[i]
		for k := range s.next {
			if c.needed[name] {
				s.next[k].publish = append(value.List{value.MapOf(word(name), "<% result() %>")}, s.next[k].publish...)
			}
		}
		s.next = slices.DeleteFunc(s.next, func(t transition) bool { return len(t.do) == 0 && len(t.publish) == 0 })
	}
	var names []string
	for _, n := range c.links {
		for _, e := range n.Get("publish").Entries() {
			if reached[n.Get("name").Text()] && !slices.Contains(names, e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	for _, name := range names {
		c.output = append(c.output, value.MapOf(name, "<% ctx().get('"+name+"') %>"))
	}
	if len(names) > 0 {
		c.add(Differs, c.links[0], "publish", "a chain publishes text; here what is published keeps its type, and output has all variables, null where they were not published")
	}
}

var chainKV = regexp.MustCompile(`^(?:st2kv\.(system|user)\.|(system)\.)([\w.-]+)(\s*\|\s*decrypt_kv)?`)

// value rewrites the Jinja of a chain: its names are variables, results of tasks and
// inputs.
func (c *chain) value(n *yamldoc.Node, path string) any {
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, "<%") && len(lang(v)) > 0 {
				c.add(Differs, n, path, "%q is plain text in a chain, and YAQL in Orquesta", v)
			}
			return c.text(n, path, v)
		case value.List:
			out := make(value.List, len(v))
			for i, x := range v {
				out[i] = walk(x)
			}
			return out
		case *value.Map:
			out := value.NewMap(v.Len())
			for k, x := range v.All() {
				out.Set(k, walk(x))
			}
			return out
		}
		return v
	}
	return walk(toValue(n))
}

func (c *chain) text(n *yamldoc.Node, path, s string) string {
	if !strings.Contains(s, "{{") && !strings.Contains(s, "{%") {
		return s
	}
	t, err := stackstorm.Compile(s)
	if err != nil {
		c.add(Lost, n, path, "the expression cannot be read: %v", err)
		return s
	}
	free := t.Undeclared()
	// A name that the text itself sets, after having read it, is read once before.
	var before string
	for _, name := range slices.Clone(free) {
		if regexp.MustCompile(`\{%-?\s*(set|for)\s+` + name + `\b`).MatchString(s) {
			before += "{% set " + name + " = " + c.name(n, path, name, free) + " %}"
			free = slices.DeleteFunc(free, func(x string) bool { return x == name })
		}
	}
	return before + inDelimiters(s, func(code string) string {
		code = strings.ReplaceAll(strings.ReplaceAll(code, "| to_complex", ""), "|to_complex", "")
		return outsideQuotes(code, func(rest string) (string, int) {
			if a := chainKV.FindStringSubmatch(rest); a != nil {
				key := a[3]
				if a[1] == "system" || a[2] == "system" {
					key = "system." + key
				}
				if a[4] != "" {
					return fmt.Sprintf("st2kv('%s', decrypt=true)", key), len(a[0])
				}
				return fmt.Sprintf("st2kv('%s', default='')", key), len(a[0])
			}
			end := 0
			for end < len(rest) && isWord(rest[end]) {
				end++
			}
			name := c.name(n, path, rest[:end], free)
			if a := definedTest.FindStringSubmatch(rest[end:]); a != nil && slices.Contains(free, rest[:end]) {
				c.null(strings.TrimPrefix(name, "ctx()."))
				return name + notNone(a), end + len(a[0])
			}
			return name, end
		})
	})
}

// name is how Orquesta reads a name; "" leaves it.
func (c *chain) name(n *yamldoc.Node, path, name string, free []string) string {
	switch {
	case !slices.Contains(free, name):
		return name
	case name == "action_context" || name == "config_context" || name == "__results":
		c.add(Lost, n, path, "the name %s", name)
		return name
	case c.byName[name] != nil && !c.published[name]:
		c.needed[name] = true
		return "ctx()." + word(name)
	case !c.published[name] && !c.hasVar(name) && !slices.Contains(c.inputs, name):
		c.inputs = append(c.inputs, name)
		c.input = append(c.input, name)
	}
	return "ctx()." + name
}
