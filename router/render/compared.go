package render

import (
	"bytes"
	"encoding/json"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Compared returns the values that stored parameters give to names, as JSON whose
// bytes are equal where the values are. Secrets are opened, since what is sealed
// twice differs. A parameter that was left to a plain default has its value;
// StackStorm compares only what is stored, and so takes it for another. What has no
// value is nil.
func (p *Plan) Compared(stored json.RawMessage, names []string) ([]json.RawMessage, error) {
	m, err := decodeObject(stored)
	if err != nil {
		return nil, err
	}
	if m, _, err = p.open(m); err != nil {
		return nil, err
	}
	out := make([]json.RawMessage, len(names))
	for i, name := range names {
		v, ok := m.Str(name)
		if x := p.byName[name]; x != nil && x.hasDef && !x.tpl && (!ok || v == nil) {
			v, ok = x.def, true
		}
		if !ok {
			continue
		}
		b, err := value.Encode(v)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var plain any
		if err := d.Decode(&plain); err != nil {
			return nil, err
		}
		if out[i], err = json.Marshal(plain); err != nil { // sorts the keys
			return nil, err
		}
	}
	return out, nil
}
