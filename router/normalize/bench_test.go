package normalize_test

import (
	"strings"
	"testing"

	"github.com/hayate-run/hayate/router/normalize"
)

func BenchmarkEvents(b *testing.B) {
	filler := strings.Repeat(`{"id":1234567,"name":"some name","url":"https://api.github.com/repos/o/r/issues/1","flags":[true,false,null]},`, 80)
	for _, bench := range []struct{ name, hint, body string }{
		{"zabbix", "zabbix", zabbix(`"event_value":"1"`)},
		{"zabbix without a hint", "", zabbix(`"event_value":"1"`)},
		{"nothing known", "", `{"host":"web","state":"down","tags":["a","b"],"value":1.5}`},
		{"github push of 10 KB", "github", `{"ref":"refs/heads/main","commits":[` + filler + `{}],` + repo + `}`},
		{"alarm in SNS in SQS", "", sqsRecord(notification(alarmSNS))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := request("id", bench.hint, []byte(bench.body))
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			for b.Loop() {
				if events, err := normalize.Events(r); err != nil || len(events) != 1 {
					b.Fatalf("%d events, %v", len(events), err)
				}
			}
		})
	}
}
