package render

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Mask stands where a secret was, as in StackStorm.
const Mask = "********"

// sealedPrefix marks a sealed value of a secret parameter in stored parameters,
// privatePrefix one of a private parameter.
const (
	sealedPrefix  = "sealed:v1:"
	privatePrefix = "sealed:v2:"
)

// Private names the parameters that hold secrets though no schema says so, with the
// texts in them that are secret: a template opened a secret of the datastore, or
// named a secret parameter.
type Private map[string][]string

// privateValue is what is sealed of a private parameter.
type privateValue struct {
	Value   json.RawMessage `json:"value"`
	Secrets []string        `json:"secrets"`
}

// Seal encrypts the values of secret and private parameters. A value that looks
// like one sealed as private is sealed too, so that nobody can supply a sealed text
// to have it opened.
func (p *Plan) Seal(params json.RawMessage, private Private, seal func(string) (string, error)) (json.RawMessage, error) {
	if len(params) == 0 || len(private) == 0 && !p.Secret(params) {
		return params, nil
	}
	m, err := decodeObject(params)
	if err != nil {
		return nil, err
	}
	for i := range m.Len() {
		k, v := m.At(i)
		name, _ := k.(string)
		x, s := p.byName[name], ""
		secrets, isPrivate := private[name]
		if text, ok := v.(string); ok && strings.HasPrefix(text, privatePrefix) {
			isPrivate = true
		}
		switch {
		case v == nil:
			continue
		case x != nil && x.Secret:
			s, err = sealValue(sealedPrefix, v, nil, seal)
		case isPrivate:
			s, err = sealValue(privatePrefix, v, secrets, seal)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		m.Set(k, s)
	}
	return value.Encode(m)
}

func sealValue(prefix string, v any, secrets []string, seal func(string) (string, error)) (string, error) {
	text, err := value.Encode(v)
	if err == nil && prefix == privatePrefix {
		text, err = json.Marshal(privateValue{text, secrets})
	}
	if err != nil {
		return "", err
	}
	s, err := seal(string(text))
	if err != nil {
		return "", err
	}
	return prefix + s, nil
}

// open decrypts what Seal encrypted, and says which parameters were private.
func (p *Plan) open(m *value.Map) (*value.Map, Private, error) {
	out, private := new(value.Map), Private{}
	for k, v := range m.All() {
		name, _ := k.(string)
		s, _ := v.(string)
		x := p.byName[name]
		var err error
		if x != nil && x.Secret && strings.HasPrefix(s, sealedPrefix) {
			v, _, err = p.openValue(sealedPrefix, s)
		} else if strings.HasPrefix(s, privatePrefix) {
			v, private[name], err = p.openValue(privatePrefix, s)
		}
		if err != nil {
			return nil, nil, Errorf(Cast, "parameter %q cannot be opened: %v. Was the key file replaced?", name, err)
		}
		out.Set(k, v)
	}
	return out, private, nil
}

func (p *Plan) openValue(prefix, s string) (any, []string, error) {
	plain, err := p.rd.open(s[len(prefix):])
	if err != nil {
		return nil, nil, err
	}
	var of privateValue
	if of.Value = json.RawMessage(plain); prefix == privatePrefix {
		of.Value = nil
		if err := json.Unmarshal([]byte(plain), &of); err != nil {
			return nil, nil, err
		}
	}
	v, err := value.Decode(of.Value)
	return v, of.Secrets, err
}

// Secret says whether stored parameters may hold secrets.
func (p *Plan) Secret(stored json.RawMessage) bool {
	return p.secret || strings.Contains(string(stored), privatePrefix)
}

// holding returns those of the secrets that stand in a value: as one of its texts,
// or inside one unless the secret is so short that it stands everywhere.
func holding(v any, secrets []string) []string {
	if len(secrets) == 0 {
		return nil
	}
	texts := appendSecrets(nil, v)
	var out []string
	for _, s := range secrets {
		if slices.ContainsFunc(texts, func(t string) bool { return t == s || len(s) >= minInside && strings.Contains(t, s) }) {
			out = append(out, s)
		}
	}
	return out
}

// minInside is the length in bytes from which a secret is looked for inside texts.
const minInside = 3

// Merge lays parameters over the stored ones of an earlier execution, secrets
// opened. Private names those of the stored ones that stay private.
func (p *Plan) Merge(stored, over json.RawMessage) (json.RawMessage, Private, error) {
	m, err := decodeObject(stored)
	if err != nil {
		return nil, nil, err
	}
	m, private, err := p.open(m)
	if err != nil {
		return nil, nil, err
	}
	more, err := decodeObject(over)
	if err != nil {
		return nil, nil, err
	}
	out := new(value.Map)
	for k, v := range m.All() {
		if x := p.byName[k.(string)]; x == nil || !x.Immutable {
			out.Set(k, v)
		}
	}
	for k, v := range more.All() {
		out.Set(k, v)
		name, _ := k.(string)
		delete(private, name)
	}
	b, err := value.Encode(out)
	return b, private, err
}

// Mask replaces the values of secret and private parameters: those that are sealed,
// and those that private names.
func (p *Plan) Mask(params json.RawMessage, private Private) json.RawMessage {
	if len(params) == 0 || len(private) == 0 && !p.Secret(params) {
		return params
	}
	m, err := decodeObject(params)
	if err != nil {
		return nil
	}
	for i := range m.Len() {
		k, v := m.At(i)
		name, _ := k.(string)
		x := p.byName[name]
		_, isPrivate := private[name]
		s, _ := v.(string)
		if v != nil && (isPrivate || x != nil && x.Secret || strings.HasPrefix(s, privatePrefix)) {
			m.Set(k, Mask)
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
	if !strings.Contains(string(params), sealedPrefix) && !strings.Contains(string(params), privatePrefix) {
		return params
	}
	m, err := decodeObject(params)
	if err != nil {
		return nil
	}
	for name, v := range m.All() {
		if s, ok := v.(string); ok && (strings.HasPrefix(s, sealedPrefix) || strings.HasPrefix(s, privatePrefix)) {
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
