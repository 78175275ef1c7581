package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// ticks are the times for which the events of timers were scheduled, in order.
func ticks(t *testing.T, s *hayatetest.Server) []time.Time {
	t.Helper()
	var records []struct {
		Event struct{ ID string }
	}
	s.Get(t, "/v1/events?type=core.st2.IntervalTimer&limit=-1", &records)
	out := make([]time.Time, len(records))
	for i, r := range records {
		at, err := time.Parse(time.RFC3339, r.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = at
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// TestTimerOfSeveralProcesses has three processes on one MongoDB and a timer that
// ticks each second. Two of the three are killed, one after the other, so that the
// one that ticked is among them unless it is the last. Each second has one event.
func TestTimerOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "")
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "beat", map[string]string{"rules/beat.yaml": `
name: beat
enabled: true
trigger: {type: core.st2.IntervalTimer, parameters: {unit: seconds, delta: 1}}
action: {ref: core.noop}
`})
	// The first to start holds the lease.
	servers := []*hayatetest.Server{c.start(t, packs), c.start(t, ""), c.start(t, "")}
	last := servers[2]
	more := func(limit time.Duration) time.Duration {
		have, began := len(ticks(t, last)), time.Now()
		hayatetest.Eventually(t, limit, "three more ticks, and none is behind", func() (bool, string) {
			got := ticks(t, last)
			return len(got) >= have+3 && time.Since(got[len(got)-1]) < 2*time.Second, fmt.Sprint(len(got))
		})
		return time.Since(began)
	}
	more(30 * time.Second)
	for i, s := range servers[:2] {
		s.Kill()
		t.Logf("ticks go on %s after kill %d", more(20*time.Second).Round(100*time.Millisecond), i+1)
	}
	// What one process switches holds in the others; here there is one left.
	if code, _, stderr := last.CLI(t, "rule", "disable", "beat.beat"); code != 0 {
		t.Fatal(stderr)
	}
	got := ticks(t, last)
	for i := 1; i < len(got); i++ {
		if d := got[i].Sub(got[i-1]); d != time.Second {
			t.Errorf("tick %s comes %s after the one before", got[i], d)
		}
	}
	hayatetest.Eventually(t, 60*time.Second, "each tick has one execution", func() (bool, string) {
		return last.Count(t, "executions", "rule=beat.beat&status=succeeded") == len(ticks(t, last)), ""
	})
	t.Logf("%d ticks", len(got))
}
