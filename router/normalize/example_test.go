package normalize_test

import (
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
)

func ExampleEvents() {
	events, err := normalize.Events(&normalize.Request{
		Hint:        "zabbix",
		ContentType: "application/json",
		Body:        []byte(`{"event_id":"10528","event_value":"1","host":"www","trigger_id":"9","zabbix_url":"https://zabbix.example"}`),
		Now:         time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		NewID:       func() string { return "fresh" },
	})
	for _, e := range events {
		fmt.Println(e.Type, e.Source, e.Subject, e.ID, e.Extension(hayate.ExtCorrelation))
	}
	fmt.Println(err)
	// Output:
	// com.zabbix.problem https://zabbix.example www 10528.problem zabbix.example/10528
	// <nil>
}

func ExampleRecognize() {
	fmt.Println(normalize.Recognize(&normalize.Request{
		Body: []byte(`{"receiver":"ops","groupLabels":{},"alerts":[]}`),
	}))
	// Output: alertmanager
}
