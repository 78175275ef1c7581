package cli

import (
	"bytes"
	"encoding/json"
)

// decode reads what the server says. Numbers keep their text: one that no float
// holds, as any event may bring, spoils nothing.
func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into) //nolint:wrapcheck // the caller knows what it asked for
}

// number is a number of a decoded value; 0 where there is none.
func number(v any) float64 {
	n, _ := v.(json.Number)
	f, err := n.Float64()
	if err != nil {
		return 0
	}
	return f
}
