package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
)

// The records are not to be seen from outside; a damaged one must never be more
// than an error.
func FuzzReadRecord(f *testing.F) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	x := hayate.Execution{ID: "65f0c1a0b1c2d3e4f5a6b7c8", Action: "core.noop", Status: hayate.StatusRunning, Parameters: json.RawMessage(`{"a":1}`),
		Event: "65f0c1a0b1c2d3e4f5a6b7c9", Created: at, Log: []hayate.Transition{{Time: at, Status: hayate.StatusRunning}}, Version: 3}
	e := hayate.Event{ID: "1", Source: "//s", Type: "t", Time: at, Extensions: map[string]any{"a": "b", "c": true, "d": int32(4)}, Data: []byte(`{}`), AcceptedAt: at}
	f.Add(appendExecution(nil, &x, true))
	f.Add(appendEvent(nil, &e, []hayate.Firing{{ID: "65f0c1a0b1c2d3e4f5a6b7d0", Rule: "a.b", At: at}}, "why"))
	f.Add((&counts{seq: 5, events: 6}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, told, err := readExecution("65f0c1a0b1c2d3e4f5a6b7c8", b); err == nil {
			again, toldAgain, err := readExecution(x.ID, appendExecution(nil, &x, told))
			if err != nil || told != toldAgain {
				t.Fatalf("what was read cannot be read again: %v", err)
			}
			if g, w := appendExecution(nil, &again, told), appendExecution(nil, &x, told); !bytes.Equal(g, w) {
				t.Fatalf("execution changed from %x to %x", w, g)
			}
		}
		if r, err := readEvent("65f0c1a0b1c2d3e4f5a6b7c8", b); err == nil {
			if _, err := readEvent(r.ID, appendEvent(nil, &r.Event, r.Firings, r.Failed)); err != nil {
				t.Fatalf("event cannot be read again: %v", err)
			}
		}
		if _, err := readCounts(b); err != nil && !errors.Is(err, errRecord) {
			t.Fatalf("counts: %v", err)
		}
	})
}

func TestIdentifiersKeepTheirText(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"65f0c1a0b1c2d3e4f5a6b7c8", "65F0C1A0B1C2D3E4F5A6B7C8", "x", "eleven char", "twelve chars", "000000000000000000000000", "not hexadecimal of 24 ch", "日本"} {
		if got := idText(idBytes(id)); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
}
