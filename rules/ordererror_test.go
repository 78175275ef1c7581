package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// An order that Python does not know shows what was compared, after Python's text.
func TestOrderErrorsShowWhatWasCompared(t *testing.T) {
	set, err := rules.Compile([]hayate.Rule{{Pack: "p", Name: "r", Enabled: true, Trigger: hayate.Trigger{Type: "x"},
		Criteria: json.RawMessage(`{"trigger.load":{"type":"greaterthan","pattern":"９０"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	e := hayate.Event{ID: "1", Source: "/x", Type: "x", Data: []byte(`{"load":95}`)}
	ms := set.Match(rules.NewScratch(), &e, nil)
	if len(ms) != 1 || ms[0].Err == nil || !strings.HasSuffix(ms[0].Err.Error(), `'>' not supported between instances of 'int' and 'str' (found 95, pattern "９０")`) {
		t.Errorf("got %+v", ms)
	}
}
