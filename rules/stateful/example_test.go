package stateful_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// A rule that fires for the third event of a host within ten minutes, and then
// not again for half an hour.
func Example() {
	r := &hayate.Rule{Pack: "net", Name: "flapping",
		When:  json.RawMessage(`{"per": "{{ trigger.host }}", "count": {"at_least": 3, "within": "10m"}}`),
		Guard: json.RawMessage(`{"cooldown": "30m"}`)}
	form, issues := stateful.Parse(r)
	if len(issues) > 0 {
		fmt.Println(issues)
		return
	}
	event := hayate.Event{ID: "1", Data: []byte(`{"host": "web-1"}`)}
	key, err := form.Key("", &event)
	if err != nil {
		fmt.Println(err)
		return
	}
	have := make([]json.RawMessage, len(form.Keys(key, key)))
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for i := range 6 {
		out := form.Decide(stateful.Input{At: at.Add(time.Duration(i) * time.Minute), Event: fmt.Sprint(i), Own: true, Key: key}, have)
		for k := range out.States {
			have[k] = out.States[k].Body
		}
		fmt.Printf("fires %t: %s\n", out.Verdict.Fires(), out.Verdict.Reason)
	}
	// Output:
	// fires false: 1 of 3 within 10m for web-1
	// fires false: 2 of 3 within 10m for web-1
	// fires true: 3 of 3 within 10m for web-1
	// fires false: 1 of 3 within 10m for web-1
	// fires false: 2 of 3 within 10m for web-1
	// fires false: 3 of 3 within 10m for web-1; cooldown until 2026-01-05T09:32:00Z
}
