package embedded_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
)

// BenchmarkAcceptRemembering accepts events from 64 clients, whose rule counts: for
// one key, for a key each, and, to compare, not at all. Each event is on disk when
// its Accept returns.
func BenchmarkAcceptRemembering(b *testing.B) {
	r := &hayate.Rule{Pack: "bench", Name: "count", When: json.RawMessage(`{"per":"{{ trigger.host }}","count":{"at_least":5,"within":"1h"},"max_keys":100000}`)}
	form, issues := stateful.Parse(r)
	if form == nil {
		b.Fatal(issues)
	}
	for name, keys := range map[string]int{"no rule": 0, "one key": 1, "1000 keys": 1000} {
		b.Run(name, func(b *testing.B) {
			s := open(b, b.TempDir())
			var n atomic.Int64
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					e := hayate.Event{ID: strconv.FormatInt(i, 10), Source: "/bench", Type: "bench.happened", Data: []byte(`{"host":"h"}`), AcceptedAt: time.Now().UTC()}
					_, err := s.Accept(context.Background(), e, func(_ context.Context, e *hayate.Event) (router.Decision, error) {
						var d router.Decision
						if keys == 0 {
							return d, nil
						}
						f := hayate.Firing{ID: hayate.FiringIDOf(e.AcceptedAt, e.UID(), r.Ref()), Rule: r.Ref(), At: e.AcceptedAt, Status: hayate.FiringSucceeded}
						in := stateful.Input{At: e.AcceptedAt, Event: e.ID, Own: true, Key: fmt.Sprint(i % int64(keys))}
						d.Firings = []hayate.Firing{f}
						d.Guarded = []router.Guarded{{Firing: f.ID, Rule: r.Ref(), Names: form.Keys(in.Key, in.Key), MaxKeys: form.MaxKeys(),
							Decide: func(have []json.RawMessage, _ bool) stateful.Outcome { return form.Decide(in, have) }}}
						return d, nil
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
