package render

import (
	"slices"
	"strings"
	"sync"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// template is a compiled value: a text, or the JSON text of a list or mapping.
type template struct {
	compiled  *jinja.Template
	variables []string
	container bool // the outcome is read as JSON
}

// Renderer compiles templates, once for each text, and knows how secrets are
// opened. It may be used by many goroutines.
type Renderer struct {
	env   *jinja.Env
	open  func(string) (string, error)
	cache cache
}

// New returns a Renderer with StackStorm's Jinja: sandboxed, strict, with its
// filters (st2common/util/jinja.py). open decrypts sealed values.
func New(open func(sealed string) (string, error)) *Renderer {
	hooks := jinja.Hooks{ParseYAML: parseYAML, Decrypt: func(text string) (string, error) {
		plain, err := open(text)
		if err != nil {
			return "", value.ValueErrorf("the value is not a secret of this datastore: %v", err)
		}
		return plain, nil
	}}
	o := jinja.StackStormOptions(hooks, true)
	decrypt := o.Filters["decrypt_kv"]
	o.Filters["decrypt_kv"] = func(c *jinja.Call) (any, error) {
		plain, err := decrypt(c)
		if s, ok := c.Vars().(*variables); ok && err == nil {
			s.noteOpened(plain)
		}
		return plain, err
	}
	return &Renderer{env: jinja.New(o), open: open}
}

func parseYAML(text string) (any, error) {
	doc, ds := yamldoc.Parse([]byte(text), yamldoc.Options{})
	if yamldoc.HasErrors(ds) {
		return nil, value.ValueErrorf("%s", ds[0].Message)
	}
	raw := doc.JSON()
	if raw == nil {
		return nil, nil
	}
	return value.Decode(raw)
}

// cache is a bounded map. It forgets everything when it is full, which costs one
// compilation each.
type cache struct {
	mu sync.Mutex
	m  map[string]*template
}

const maxTemplates = 20_000

func (c *cache) get(key string, make func() *template) *template {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.m[key]; ok {
		return t
	}
	if c.m == nil || len(c.m) >= maxTemplates {
		c.m = map[string]*template{}
	}
	t := make()
	c.m[key] = t
	return t
}

// compile makes a template of a value; nil where its text is no valid template:
// StackStorm takes that for a literal.
func (r *Renderer) compile(v any) *template {
	if s, ok := v.(string); ok {
		return r.cache.get("s"+s, func() *template { return r.compileText(s, false) })
	}
	b, err := value.Encode(v)
	if err != nil {
		return nil
	}
	return r.cache.get("c"+string(b), func() *template { return r.compileText(keepTypes(string(b)), true) })
}

func (r *Renderer) compileText(text string, container bool) *template {
	t, err := r.env.Compile(text)
	if err != nil {
		return nil
	}
	return &template{compiled: t, variables: t.Undeclared(), container: container}
}

// keepTypes turns "{{name}}" in JSON text, quotes included, into
// {{name | to_complex}}, so that a value put there keeps its type. As in
// StackStorm only a bare name without spaces is meant (util/jinja.py).
func keepTypes(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, `"{{`)
		if i < 0 {
			break
		}
		rest := text[i+3:]
		end := strings.Index(rest, `}}"`)
		if end > 0 && bareName(rest[:end]) {
			b.WriteString(text[:i] + "{{" + rest[:end] + " | to_complex}}")
			text = rest[end+3:]
			continue
		}
		b.WriteString(text[:i+3])
		text = rest
	}
	return b.String() + text
}

func bareName(s string) bool {
	for _, r := range s {
		if (r < 'A' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// render renders a template in a graph's scope. opened are the secrets that were
// opened for it. need names datastore keys that were wanted and are not at hand; the
// outcome counts for nothing then.
func (t *template) render(g *graph) (out any, opened, need []string, err error) {
	s := &variables{graph: g}
	text, err := t.compiled.Render(s)
	if len(s.need) > 0 {
		return nil, nil, s.need, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if !t.container {
		return text, append(s.opened, holding(text, s.configured)...), nil, nil
	}
	v, err := value.Decode([]byte(text))
	if err != nil {
		return nil, nil, nil, Errorf(Template, "the rendered value is not JSON: %v", err)
	}
	return v, append(s.opened, holding(v, s.configured)...), nil, nil
}

// variables are what a template sees.
type variables struct {
	graph  *graph
	need   []string
	opened []string // secret texts
	// configured are the secret texts of the pack's configuration. It is rendered as a
	// whole, so they count only where the outcome holds them.
	configured []string
	// shared is where needs and secrets are noted instead, for templates within a
	// rendering.
	shared *variables
}

// noteOpened notes a secret that was opened for the template.
func (s *variables) noteOpened(plain any) {
	if s.shared != nil {
		s.shared.configured = appendSecrets(s.shared.configured, plain)
		return
	}
	s.opened = appendSecrets(s.opened, plain)
}

// Lookup finds a parameter, or one of the names of the scope.
func (s *variables) Lookup(name string) (any, bool, error) {
	if n, ok := s.graph.nodes[name]; ok {
		return n.value, true, nil
	}
	sc := s.graph.scope
	switch name {
	case "st2kv":
		return &keyNode{s: s}, true, nil
	case "system":
		return &keyNode{s: s, path: "system"}, true, nil
	case "trigger":
		if sc.Trigger != nil {
			return sc.Trigger.value(), true, nil
		}
	case "action_context":
		v, err := decodeObject(sc.ActionContext)
		return v, err == nil, err
	case "config_context":
		if sc.Config != nil {
			v, err := sc.Config.render(s)
			return v, err == nil, err
		}
		return new(value.Map), true, nil
	}
	return nil, false, nil
}

// keyNode is st2kv, st2kv.system, or a key below: each attribute makes the name
// longer, and the value is looked up when it is needed. Names are flat: a.b is
// the key "a.b". An absent key is an empty text.
type keyNode struct {
	s    *variables
	path string
}

// Attr goes on along the name.
func (k *keyNode) Attr(name string) (any, bool, error) {
	if k.path == "" {
		if name != "system" && name != "user" {
			return nil, false, nil
		}
		return &keyNode{k.s, name}, true, nil
	}
	return &keyNode{k.s, k.path + "." + name}, true, nil
}

// Resolve looks the key up, or notes that it is needed.
func (k *keyNode) Resolve() (any, error) {
	if v, ok := k.s.graph.scope.KV[k.path]; ok {
		return v, nil
	}
	s := k.s
	if s.shared != nil {
		s = s.shared
	}
	if k.path != "" && !slices.Contains(s.need, k.path) {
		s.need = append(s.need, k.path)
	}
	return "", nil
}
