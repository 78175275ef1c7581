package http

import (
	"encoding/json"
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte("caf\xe9"), "text/plain")
	f.Add([]byte("\x8f\xe1"), "text/html; charset=shift_jis")
	f.Fuzz(func(t *testing.T, raw []byte, contentType string) {
		if out := jsonText(decode(raw, contentType)); !json.Valid(out) {
			t.Errorf("decode(%q, %q) is not text", raw, contentType)
		}
	})
}
