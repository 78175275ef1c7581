package packs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hayate-run/hayate/internal/schema"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// ReadConfig reads the values of a pack's configuration (configs/<pack>.yaml),
// checks them against the pack's config schema where it has one, and returns
// them as a JSON object with defaults filled in. Keys that the schema does not
// name are kept. Templates stay text: who uses the values renders them. The
// values are nil where there is an error.
func ReadConfig(p *Pack, src []byte, file string) (json.RawMessage, []Diagnostic) {
	n, found := yamldoc.Parse(src, yamldoc.Options{File: file})
	r := &reader{pack: p, file: file, found: found}
	if yamldoc.HasErrors(found) {
		return nil, found
	}
	if n.Kind() != yamldoc.Mapping && !n.IsNull() {
		r.errorf(n, "wrong-type", "the file holds %s, expected a mapping", n.Kind())
		return nil, r.found
	}
	value := jsonOf(n)
	if value == nil {
		value = []byte("{}")
	}
	if p.ConfigSchema == nil {
		return value, r.found
	}
	s, attributes, err := configSchema(p.ConfigSchema)
	if err != nil {
		r.errorf(nil, "bad-schema", "the config schema of the pack %s: %s", p.Ref, strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil, r.found
	}
	full, err := s.Complete(value)
	r.schemaErrors(n, err, "config of the pack "+p.Ref)
	for _, e := range n.Entries() {
		v, ok := e.Value.Str()
		if ok && isTemplate(v) && strings.Contains(v, "decrypt_kv") && attributes[e.Name()].Secret {
			r.errorf(e.Value, "bad-value", "%q is secret in the config schema and so decrypted anyway: the filter decrypt_kv must not be used", e.Name())
		}
	}
	yamldoc.Sort(r.found)
	if r.errors > 0 {
		return nil, r.found
	}
	return full, r.found
}

func isTemplate(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// attribute is what reading a config must know of an attribute.
type attribute struct {
	Secret bool `json:"secret"`
}

// configSchema compiles the attributes of a config schema, in their order.
func configSchema(raw json.RawMessage) (*schema.Schema, map[string]attribute, error) {
	var props []schema.Property
	attributes := map[string]attribute{}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil { // the opening brace
		return nil, nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		p := schema.Property{Name: fmt.Sprint(name)}
		if err := d.Decode(&p.Schema); err != nil {
			return nil, nil, err
		}
		var a attribute
		if err := json.Unmarshal(p.Schema, &a); err != nil {
			return nil, nil, err
		}
		attributes[p.Name] = a
		props = append(props, p)
	}
	s, err := schema.Parameters(props, true, schema.Options{})
	return s, attributes, err
}
