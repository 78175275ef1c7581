package embedded_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
)

// BenchmarkAcceptComplete takes events through the store as the router does:
// accept with one execution, dispatch, claim, complete. One operation is one
// event, finished and on disk.
func BenchmarkAcceptComplete(b *testing.B) {
	for _, idempotent := range []bool{true, false} {
		for _, writers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("idempotent=%t/writers=%d", idempotent, writers), func(b *testing.B) {
				s := open(b, b.TempDir())
				var next atomic.Int64
				var wg sync.WaitGroup
				before, spent := commits(b, s), cpu(b)
				b.ResetTimer()
				for range writers {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if err := oneEvent(b, s, n, idempotent); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64((cpu(b)-spent).Microseconds())/float64(b.N), "cpu-µs/event")
				b.ReportMetric(float64(commits(b, s)-before)/float64(b.N), "commits/event")
				st, err := s.Stats(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(st.Bytes)/float64(b.N), "disk-B/event")
			})
		}
	}
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func commits(b *testing.B, s *embedded.Store) int64 {
	st, err := s.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return st.Commits
}

// benchEvent is the n-th event of a benchmark, and the execution it starts.
func benchEvent(n int64, idempotent bool) (hayate.Event, hayate.Execution) {
	at := time.Now().UTC().Truncate(time.Microsecond)
	e := hayate.Event{
		ID: fmt.Sprintf("8a6f2c1e-%012d", n), Source: "//zabbix.example.com", Type: "zabbix.problem", Subject: "web-17",
		Time: at, Data: []byte(`{"eventid":"102984","name":"High CPU load on web-17","severity":"4","host":"web-17","ip":"10.0.3.17","tags":[{"tag":"scope","value":"performance"}]}`),
		Extensions: map[string]any{"correlationkey": "zabbix-102984"}, AcceptedAt: at,
	}
	uid := e.UID()
	id := hayate.RuleExecutionID(at, uid, "ops.restart", 0)
	ev := hayate.EventIDOf(at, uid)
	return e, hayate.Execution{
		ID: id, Root: id, Action: "core.noop", Runner: "noop", Rule: "ops.restart", Event: ev, Trace: string(ev), Idempotent: idempotent,
		Status: hayate.StatusScheduled, Parameters: json.RawMessage(`{"host":"web-17","service":"nginx"}`), Lineage: []hayate.Ref{"ops.restart"},
		Context: json.RawMessage(`{"trigger_instance":{"id":"` + string(ev) + `","name":""},"rule":{"id":"` + string(ev) + `","name":"restart"},"user":"stanley","pack":"ops"}`),
		Created: at, Log: []hayate.Transition{{Time: at, Status: hayate.StatusRequested}, {Time: at, Status: hayate.StatusScheduled}},
	}
}

func oneEvent(b *testing.B, s *embedded.Store, n int64, idempotent bool) error {
	ctx := b.Context()
	e, x := benchEvent(n, idempotent)
	d := router.Decision{Executions: []hayate.Execution{x}, Firings: []hayate.Firing{{
		ID: hayate.FiringIDOf(e.AcceptedAt, e.UID(), x.Rule), Rule: x.Rule, RuleRevision: "5d41402abc4b2a76", Event: x.Event, At: e.AcceptedAt,
		Status: hayate.FiringSucceeded, Executions: []hayate.ExecutionID{x.ID}, Parameters: []json.RawMessage{x.Parameters},
	}}}
	if _, err := s.Accept(ctx, e, decided(d)); err != nil {
		return err
	}
	if err := s.Dispatched(ctx, x.ID); err != nil {
		return err
	}
	now := time.Now()
	x, err := s.Claim(ctx, router.Claim{Execution: x.ID, Worker: "worker-1", At: now, Until: now.Add(time.Minute)})
	if err != nil {
		return err
	}
	return s.Complete(ctx, router.Completion{Hold: router.Hold{Execution: x.ID, Attempt: x.Attempt, Worker: x.Worker}, At: time.Now(),
		Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{"succeeded":true}`)}})
}
