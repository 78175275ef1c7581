package crash_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// rememberingPack has rules whose decisions depend on all events before, of which
// only the order is free: whatever it is, their numbers are fixed.
func rememberingPack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	hayatetest.WritePack(t, dir, "mem", map[string]string{
		"rules/count.yaml": `
name: count
enabled: true
trigger: {type: test.host}
when:
  per: "{{ trigger.host }}"
  count: {at_least: 5, within: 1d}
action: {ref: core.noop}
`,
		"rules/once.yaml": `
name: once
enabled: true
trigger: {type: test.host}
when: {per: "{{ trigger.host }}", once: 1d}
action: {ref: core.noop}
`,
		"rules/budget.yaml": `
name: budget
enabled: true
trigger: {type: test.host}
when: {per: "{{ trigger.host }}"}
guard: {budget: {most: 9, within: 1d}}
action: {ref: core.noop}
`,
		"rules/shadow.yaml": `
name: shadow
enabled: true
mode: shadow
trigger: {type: test.host}
guard: {per: "{{ trigger.host }}", cooldown: 1d}
action: {ref: core.noop}
`,
		"rules/beat.yaml": `
name: beat
enabled: true
trigger: {type: test.beat}
when: {per: "{{ trigger.host }}", expected: {every: 4s}}
action: {ref: core.noop}
`,
	})
	return dir
}

// TestKilledInTheMiddleOfWindows kills the server again and again while events of
// many keys race for what rules remember. No kill changes a decision: each event
// counts once, and every number that a count reaches is reached as often as without.
func TestKilledInTheMiddleOfWindows(t *testing.T) {
	const hosts, each, deaths = 4, 100, 6
	const n = hosts * each
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d events, %d kills, seed %d", n, deaths, seed)
	l := &load{n: n, ids: make([]string, n), moved: make(chan struct{}), rnd: rand.New(rand.NewPCG(seed, 2)), body: func(i int) []byte {
		return hayatetest.Event("/test/crash", strconv.Itoa(i), "test.host", fmt.Sprintf(`{"host": "host-%d"}`, i%hosts))
	}}
	server := hayatetest.Start(t, hayatetest.Options{Packs: rememberingPack(t)})
	l.move(server)
	server.Send(t, hayatetest.Event("/test/crash", "beat", "test.beat", `{"host": "host-0"}`))

	var group sync.WaitGroup
	for range 16 {
		group.Go(func() { l.client(t) })
	}
	for i := range deaths {
		at := int64((i + 1) * n / (deaths + 1))
		hayatetest.Eventually(t, 2*time.Minute, fmt.Sprintf("%d events acknowledged", at), func() (bool, string) {
			got := l.acknowledged.Load()
			return got >= at || t.Failed(), fmt.Sprint(got)
		})
		if t.Failed() {
			l.move(nil)
			break
		}
		server.Kill()
		server = server.Again(t)
		l.move(server)
	}
	group.Wait()
	if t.Failed() {
		return
	}
	// The absence falls due while nobody sends, and perhaps while nobody serves.
	server.Kill()
	server = server.Again(t)
	hayatetest.Eventually(t, time.Minute, "the absence is noticed", func() (bool, string) {
		got := decisions(t, server)["mem.beat"]
		return got["succeeded"] > 0, fmt.Sprint(got)
	})
	server.Kill()
	server = server.Again(t)
	want := map[string]map[string]int{
		"mem.count":  {"succeeded": n / 5, "noted": n - n/5},
		"mem.once":   {"succeeded": hosts, "suppressed": n - hosts},
		"mem.budget": {"succeeded": 9, "suppressed": n - 9},
		"mem.shadow": {"shadow": hosts, "suppressed": n - hosts},
		"mem.beat":   {"noted": 1, "succeeded": 1},
	}
	got := decisions(t, server)
	for rule, w := range want {
		if !maps.Equal(got[rule], w) {
			t.Errorf("%s: decided %v, want %v", rule, got[rule], w)
		}
	}
	for rule, w := range want {
		if got := server.Count(t, "executions", "rule="+rule); got != w["succeeded"] {
			t.Errorf("%s has started %d executions, want %d", rule, got, w["succeeded"])
		}
	}
	reached := map[string]int{}
	for _, f := range firings(t, server) {
		if f.Rule == "mem.count" {
			reached[f.Reason]++
		}
	}
	for host := range hosts {
		for k := 1; k <= 5; k++ {
			reason := fmt.Sprintf("%d of 5 within 1d for host-%d", k, host)
			if reached[reason] != each/5 {
				t.Errorf("%q was reached %d times, want %d", reason, reached[reason], each/5)
			}
		}
	}
	if code, out, errs := server.CLI(t, "store", "check"); code != 0 {
		t.Errorf("store check: exit code %d, %s%s", code, out, errs)
	}
}

type firing struct{ Rule, Status, Reason string }

// firings are all decisions that are recorded.
func firings(t *testing.T, s *hayatetest.Server) []firing {
	t.Helper()
	var events []struct{ Firings []firing }
	s.Get(t, "/v1/events?limit=-1", &events)
	var out []firing
	for _, e := range events {
		out = append(out, e.Firings...)
	}
	return out
}

// decisions counts them by rule and status.
func decisions(t *testing.T, s *hayatetest.Server) map[string]map[string]int {
	t.Helper()
	out := map[string]map[string]int{}
	for _, f := range firings(t, s) {
		if out[f.Rule] == nil {
			out[f.Rule] = map[string]int{}
		}
		out[f.Rule][f.Status]++
	}
	return out
}
