package crash_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// TestTimerKilled kills the server again and again while a timer ticks each
// second. Every second has one event, and one execution; none has two.
func TestTimerKilled(t *testing.T) {
	t.Parallel()
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "beat", map[string]string{"rules/beat.yaml": `
name: beat
enabled: true
trigger: {type: core.st2.IntervalTimer, parameters: {unit: seconds, delta: 1}}
action: {ref: core.noop}
`})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs})
	for range 10 {
		// A kill comes at a random moment around a tick.
		have := s.Count(t, "triggerinstances", "trigger=core.st2.IntervalTimer")
		hayatetest.Eventually(t, 20*time.Second, "another tick", func() (bool, string) {
			return s.Count(t, "triggerinstances", "trigger=core.st2.IntervalTimer") > have, ""
		})
		random := time.NewTimer(time.Duration(rnd.Int64N(int64(1100 * time.Millisecond))))
		<-random.C
		s.Kill()
		s = s.Again(t)
	}
	if _, _, stderr := s.CLI(t, "rule", "disable", "beat.beat"); stderr != "" {
		t.Fatal(stderr)
	}
	var records []struct {
		Event struct{ ID string }
	}
	s.Get(t, "/v1/events?type=core.st2.IntervalTimer&limit=-1", &records)
	ticks := make([]time.Time, len(records))
	for i, r := range records {
		at, err := time.Parse(time.RFC3339, r.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		ticks[i] = at
	}
	slices.SortFunc(ticks, time.Time.Compare)
	for i := 1; i < len(ticks); i++ {
		if d := ticks[i].Sub(ticks[i-1]); d != time.Second {
			t.Errorf("tick %s comes %s after the one before", ticks[i], d)
		}
	}
	hayatetest.Eventually(t, 20*time.Second, "each tick has one execution", func() (bool, string) {
		return s.Count(t, "executions", "rule=beat.beat&status=succeeded") == len(ticks), ""
	})
	if n := s.Count(t, "executions", ""); n != len(ticks) || n < 10 {
		t.Errorf("%d executions for %d ticks, want one each, and more than ten", n, len(ticks))
	}
	t.Logf("%d ticks over 10 kills", len(ticks))
}
