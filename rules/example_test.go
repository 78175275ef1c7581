package rules_test

import (
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

func ExampleSet_Match() {
	set, err := rules.Compile([]hayate.Rule{
		{
			Pack: "mon", Name: "critical", Enabled: true,
			Trigger:  hayate.Trigger{Type: "mon.alert"},
			Criteria: json.RawMessage(`{"trigger.host": {"type": "startswith", "pattern": "web-"}, "trigger.severity": {"type": "gt", "pattern": 3}}`),
		},
		{
			Pack: "mon", Name: "production", Enabled: true,
			Pattern: json.RawMessage(`{"tags": {"key": ["env"], "value": ["prod"]}, "severity": [{"numeric": [">=", 4]}]}`),
		},
		{
			Pack: "mon", Name: "anything", Enabled: true,
			Filters: json.RawMessage(`[{"prefix": {"type": "mon."}}, {"sql": "LENGTH(source) > 3"}]`),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	scratch := rules.NewScratch() // one per goroutine
	event := &hayate.Event{
		ID: "1", Source: "/zabbix", Type: "mon.alert",
		Data: []byte(`{"host": "web-01", "severity": 5, "tags": [{"key": "env", "value": "test"}, {"key": "team", "value": "prod"}]}`),
	}
	for _, m := range set.Match(scratch, event, nil) {
		fmt.Println(m.Rule.Ref())
	}
	// Output:
	// mon.anything
	// mon.critical
}

func ExampleSet_With() {
	set, err := rules.Compile(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err = set.With([]hayate.Rule{{Pack: "p", Name: "a", Enabled: true, Trigger: hayate.Trigger{Type: "t"}}}, nil)
	fmt.Println(set.Len(), err)
	set, err = set.With(nil, []hayate.Ref{"p.a"})
	fmt.Println(set.Len(), err)
	// Output:
	// 1 <nil>
	// 0 <nil>
}

func ExampleCompile_problems() {
	_, err := rules.Compile([]hayate.Rule{{
		Pack: "mon", Name: "disk", Enabled: true,
		Criteria: json.RawMessage(`{"trigger.disk": {"type": "equal", "pattern": "sda"}}`),
		Pattern:  json.RawMessage(`{"detail": {"state": "full"}}`),
	}})
	for _, p := range rules.Problems(err) {
		fmt.Println(p)
	}
	// Output:
	// rule mon.disk: pattern.detail.state: must be a list of allowed values, found the string "full"; write ["full"]
	// rule mon.disk: criteria.trigger.disk.type: unknown operator "equal", did you mean "equals"?
}
