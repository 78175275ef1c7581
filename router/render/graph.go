package render

import (
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// graph holds the values of one rendering and which of them refer to others.
type graph struct {
	rd    *Renderer
	scope *Scope
	nodes map[string]*node
	order []string
	need  []string
}

// node is one value: a template until it is rendered.
type node struct {
	value any
	tpl   *template // nil: the value is final
	state int8      // 0 new, 1 being rendered, 2 done
	// secrets are the secret texts that its rendering opened, or that it took from
	// parameters which are secret or hold secrets themselves.
	secrets []string
}

func newGraph(rd *Renderer, s *Scope) *graph {
	return &graph{rd: rd, scope: s, nodes: map[string]*node{}}
}

func (g *graph) add(name string, v any, isTpl bool) {
	n := &node{value: v}
	if isTpl {
		n.tpl = g.rd.compile(v) // nil for a text that is no valid template: it is a literal
	}
	if _, there := g.nodes[name]; !there {
		g.order = append(g.order, name)
	}
	g.nodes[name] = n
}

// contextNames are the names that templates may use besides parameters.
var contextNames = []string{"st2kv", "system", "action_context", "config_context", "trigger"}

// run renders all templates in the order of their dependencies and casts every
// value to its type.
func (g *graph) run(p *Plan) error {
	for _, name := range g.order {
		if err := g.resolve(p, name, nil); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) resolve(p *Plan, name string, path []string) error {
	n := g.nodes[name]
	switch n.state {
	case 2:
		return nil
	case 1:
		return Errorf(Graph, "Cyclic dependency found in the following variables: %s", strings.Join(append(path[slices.Index(path, name):], name), ", "))
	}
	n.state = 1
	if n.tpl != nil {
		path = append(path, name)
		for _, v := range n.tpl.variables {
			if g.nodes[v] == nil {
				if !g.known(v) {
					return Errorf(Graph, "Dependency unsatisfied in variable %q", v)
				}
				continue
			}
			if err := g.resolve(p, v, path); err != nil {
				return err
			}
			n.secrets = append(n.secrets, g.nodes[v].secrets...)
			if x := p.byName[v]; x != nil && x.Secret {
				n.secrets = appendSecrets(n.secrets, g.nodes[v].value)
			}
		}
		if err := g.renderNode(name, n); err != nil {
			return err
		}
	}
	n.state = 2
	if len(g.need) > 0 {
		return nil // the value is not final yet
	}
	if x := p.byName[name]; x != nil {
		v, err := cast(x, n.value)
		if err != nil && (x.Secret || len(n.secrets) > 0) {
			return Errorf(Cast, "Parameter %q must be %s; what it is is secret and not shown", name, x.castType)
		}
		if err != nil {
			return err
		}
		n.value = v
	}
	return nil
}

func (g *graph) known(name string) bool {
	if name == "trigger" {
		return g.scope.Trigger != nil
	}
	return slices.Contains(contextNames, name)
}

func (g *graph) renderNode(name string, n *node) error {
	v, opened, need, err := n.tpl.render(g)
	for _, k := range need {
		if !slices.Contains(g.need, k) {
			g.need = append(g.need, k)
		}
	}
	if len(g.need) > 0 {
		return nil
	}
	if err != nil {
		return Errorf(Template, "Failed to render parameter %q: %v", name, err)
	}
	n.value, n.secrets = v, append(n.secrets, opened...)
	return nil
}

// isTemplate says whether a value holds template text anywhere.
func isTemplate(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, "{{") || strings.Contains(v, "{%")
	case value.List:
		return slices.ContainsFunc(v, isTemplate)
	case *value.Map:
		for k, x := range v.All() {
			if isTemplate(k) || isTemplate(x) {
				return true
			}
		}
	}
	return false
}
