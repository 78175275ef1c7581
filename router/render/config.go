package render

import (
	"encoding/json"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxDepth bounds how deep values may be nested.
const maxDepth = 100

// Config is a pack's configuration: values with templates, and the schema that
// says which of them are secret (StackStorm: util/config_loader.py).
type Config struct {
	rd     *Renderer
	values *value.Map
	schema *value.Map
}

// NewConfig reads a configuration, a JSON object, and its schema: attribute to
// property.
func (r *Renderer) NewConfig(values, schema json.RawMessage) (*Config, error) {
	v, err := decodeObject(values)
	if err != nil {
		return nil, err
	}
	s, err := decodeObject(schema)
	if err != nil {
		return nil, err
	}
	return &Config{r, v, s}, nil
}

// render renders the templates among the values with the datastore in scope. A
// secret value that is a template renders to a ciphertext, which is opened; one
// that is plain text passes as it is. A template that renders to nothing is null.
func (c *Config) render(s *variables) (*value.Map, error) {
	out := new(value.Map)
	for k, v := range c.values.All() {
		prop, _ := c.schema.Get(k)
		x, err := c.leaf(s, v, prop, 0)
		if err != nil {
			return nil, err
		}
		out.Set(k, x)
	}
	return out, nil
}

func (c *Config) leaf(s *variables, v, prop any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, Errorf(Template, "the configuration is nested deeper than %d", maxDepth)
	}
	pm, _ := prop.(*value.Map)
	switch v := v.(type) {
	case *value.Map:
		out := new(value.Map)
		for k, x := range v.All() {
			y, err := c.leaf(s, x, member(pm, k), depth+1)
			if err != nil {
				return nil, err
			}
			out.Set(k, y)
		}
		return out, nil
	case value.List:
		out := make(value.List, len(v))
		for i, x := range v {
			y, err := c.leaf(s, x, item(pm), depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = y
		}
		return out, nil
	case string:
		return c.text(s, v, pm)
	}
	return v, nil
}

func (c *Config) text(s *variables, text string, prop *value.Map) (any, error) {
	if !isTemplate(text) {
		return text, nil
	}
	t := c.rd.compile(text)
	if t == nil {
		return text, nil
	}
	rendered, err := t.compiled.Render(&variables{graph: &graph{rd: c.rd, scope: &Scope{KV: s.graph.scope.KV}}, shared: s})
	if err != nil {
		return nil, err
	}
	if rendered == "" {
		return nil, nil
	}
	if prop != nil {
		if secret, _ := prop.Get("secret"); secret == true {
			plain, err := c.rd.open(rendered)
			if err != nil {
				return nil, value.ValueErrorf("a secret of the pack's configuration cannot be decrypted; set the key with: hayate key set NAME VALUE --encrypt (%v)", err)
			}
			s.configured = appendSecrets(s.configured, plain)
			return plain, nil
		}
	}
	return rendered, nil
}

// member finds the schema of a mapping's member.
func member(p *value.Map, key any) any {
	if p == nil {
		return nil
	}
	if props, ok := p.Get("properties"); ok {
		if m, ok := props.(*value.Map); ok {
			if x, ok := m.Get(key); ok {
				return x
			}
		}
	}
	if pats, ok := p.Get("patternProperties"); ok {
		if m, ok := pats.(*value.Map); ok {
			for expr, x := range m.All() {
				e, isText := expr.(string)
				k, isKey := key.(string)
				if !isText || !isKey {
					continue
				}
				if match, err := pattern(e); err == nil && match(k) {
					return x
				}
			}
		}
	}
	x, _ := p.Get("additionalProperties")
	return x
}

// item finds the schema of a list's items.
func item(p *value.Map) any {
	if p == nil {
		return nil
	}
	x, _ := p.Get("items")
	return x
}
