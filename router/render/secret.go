package render

import (
	"encoding/json"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Mask stands where a secret was, as in StackStorm.
const Mask = "********"

// sealedPrefix marks a sealed value in stored parameters.
const sealedPrefix = "sealed:v1:"

// Seal encrypts the values of secret parameters.
func (p *Plan) Seal(params json.RawMessage, seal func(string) (string, error)) (json.RawMessage, error) {
	if !p.secret || len(params) == 0 {
		return params, nil
	}
	m, err := decodeObject(params)
	if err != nil {
		return nil, err
	}
	for _, x := range p.params {
		v, ok := m.Get(x.Name)
		if !x.Secret || !ok || v == nil {
			continue
		}
		text, err := value.Encode(v)
		if err != nil {
			return nil, err
		}
		s, err := seal(string(text))
		if err != nil {
			return nil, err
		}
		m.Set(x.Name, sealedPrefix+s)
	}
	return value.Encode(m)
}

// open decrypts what Seal encrypted.
func (p *Plan) open(m *value.Map) (*value.Map, error) {
	if !p.secret {
		return m, nil
	}
	out := new(value.Map)
	for k, v := range m.All() {
		name := k.(string)
		s, ok := v.(string)
		if x := p.byName[name]; ok && x != nil && x.Secret && strings.HasPrefix(s, sealedPrefix) {
			plain, err := p.rd.open(s[len(sealedPrefix):])
			if err != nil {
				return nil, Errorf(Cast, "parameter %q cannot be opened: %v. Was the key file replaced?", name, err)
			}
			if v, err = value.Decode([]byte(plain)); err != nil {
				return nil, Errorf(Cast, "parameter %q cannot be read: %v", name, err)
			}
		}
		out.Set(name, v)
	}
	return out, nil
}

// Merge lays parameters over the stored ones of an earlier execution, secrets
// opened.
func (p *Plan) Merge(stored, over json.RawMessage) (json.RawMessage, error) {
	m, err := decodeObject(stored)
	if err != nil {
		return nil, err
	}
	if m, err = p.open(m); err != nil {
		return nil, err
	}
	more, err := decodeObject(over)
	if err != nil {
		return nil, err
	}
	out := new(value.Map)
	for k, v := range m.All() {
		if x := p.byName[k.(string)]; x == nil || !x.Immutable {
			out.Set(k, v)
		}
	}
	for k, v := range more.All() {
		out.Set(k, v)
	}
	return value.Encode(out)
}

// Mask replaces the values of secret parameters.
func (p *Plan) Mask(params json.RawMessage) json.RawMessage {
	if !p.secret || len(params) == 0 {
		return params
	}
	m, err := decodeObject(params)
	if err != nil {
		return nil
	}
	for _, x := range p.params {
		if v, ok := m.Get(x.Name); ok && x.Secret && v != nil {
			m.Set(x.Name, Mask)
		}
	}
	b, err := value.Encode(m)
	if err != nil {
		return nil
	}
	return b
}

// MaskSealed masks sealed values where the action is not known any more.
func MaskSealed(params json.RawMessage) json.RawMessage {
	if !strings.Contains(string(params), sealedPrefix) {
		return params
	}
	m, err := decodeObject(params)
	if err != nil {
		return nil
	}
	for name, v := range m.All() {
		if s, ok := v.(string); ok && strings.HasPrefix(s, sealedPrefix) {
			m.Set(name, Mask)
		}
	}
	b, err := value.Encode(m)
	if err != nil {
		return nil
	}
	return b
}

// MaskResult masks the members of a result that the output schema calls secret:
// below outputKey, or of the whole where that is "".
func MaskResult(result, outputSchema json.RawMessage, outputKey string) json.RawMessage {
	if len(result) == 0 || len(outputSchema) == 0 || !strings.Contains(string(outputSchema), `"secret"`) || outputKey == "" {
		return result
	}
	s, err := value.Decode(outputSchema)
	if err != nil {
		return result
	}
	v, err := value.Decode(result)
	if err != nil {
		return result
	}
	m, ok := v.(*value.Map)
	if !ok {
		return result
	}
	part, ok := m.Get(outputKey)
	if !ok {
		return result
	}
	out := new(value.Map)
	for k, x := range m.All() {
		if k == outputKey {
			x = maskBySchema(part, s, 0)
		}
		out.Set(k, x)
	}
	b, err := value.Encode(out)
	if err != nil {
		return nil
	}
	return b
}

// maskBySchema follows a schema into a value. The legacy form, properties at the
// top without a type, is followed too.
func maskBySchema(v, s any, depth int) any {
	sm, ok := s.(*value.Map)
	if !ok || depth > maxDepth {
		return v
	}
	if secret, _ := sm.Get("secret"); secret == true {
		return Mask
	}
	switch v := v.(type) {
	case *value.Map:
		props, _ := sm.Get("properties")
		pm, ok := props.(*value.Map)
		if !ok {
			if _, typed := sm.Get("type"); typed {
				return v
			}
			pm = sm
		}
		out := new(value.Map)
		for k, x := range v.All() {
			if sub, ok := pm.Get(k); ok {
				x = maskBySchema(x, sub, depth+1)
			}
			out.Set(k, x)
		}
		return out
	case value.List:
		items, ok := sm.Get("items")
		if !ok {
			return v
		}
		out := make(value.List, len(v))
		for i, x := range v {
			out[i] = maskBySchema(x, items, depth+1)
		}
		return out
	}
	return v
}
