package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// TestDiffOfALargeFolder: a folder of rules is compared that is larger than any
// other request may be, which stays bounded.
func TestDiffOfALargeFolder(t *testing.T) {
	t.Parallel()
	packs, next := t.TempDir(), t.TempDir()
	rule := func(i, text int) string {
		return fmt.Sprintf("name: r%d\nenabled: true\ntrigger: {type: test.big}\ncriteria:\n  trigger.n: {type: equals, pattern: %d}\naction:\n  ref: core.echo\n  parameters: {message: %q}\n",
			i, i, strings.Repeat("x", text))
	}
	files := map[string]string{}
	for i := range 1200 {
		files[fmt.Sprintf("rules/r%d.yaml", i)] = rule(i, 1000)
	}
	hayatetest.WritePack(t, next, "big", files)
	hayatetest.WritePack(t, packs, "big", map[string]string{"rules/r7.yaml": rule(7, 10)})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs})
	s.Send(t, hayatetest.Event("/t", "1", "test.big", `{"n":7}`))
	s.Send(t, hayatetest.Event("/t", "2", "test.big", `{"n":8}`))
	code, out, errs := hayatetest.Run(t, []string{"HAYATE_SERVER=" + s.URL}, "rule", "diff", next)
	if code != 1 || !strings.Contains(out, "2 event(s): 1 firing(s) would be new, 0 gone, 1 otherwise") {
		t.Errorf("exit code %d, output\n%s%s", code, out, errs)
	}
	large := []byte(`{"packs":["big"],"rules":[],"type":"` + strings.Repeat("x", 2<<20) + `"}`)
	if r := s.Do(t, http.MethodPost, "/v1/rules/diff", large, "Content-Type", "application/json"); r.Status != http.StatusOK {
		t.Errorf("2 MiB to compare: status %d, %s", r.Status, r.Body)
	}
	if r := s.Do(t, http.MethodPost, "/v1/rules/big.r7/explain", large, "Content-Type", "application/json"); r.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("2 MiB to explain: status %d, want 413", r.Status)
	}
}

// TestTheBreakerTells: a circuit breaker that opens is told of and shown at once,
// and by kill -9 nothing of it is lost.
func TestTheBreakerTells(t *testing.T) {
	t.Parallel()
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "ops", map[string]string{
		"rules/restart.yaml": "name: restart\nenabled: true\ntrigger: {type: test.down}\nguard: {breaker: {failures: 2, within: 1h, open: 1h}}\n" +
			"action: {ref: core.local, parameters: {cmd: exit 1}}\n",
		"rules/told.yaml": "name: told\nenabled: true\ntrigger: {type: hayate.rule.breaker}\ncriteria: {trigger.rule: {type: equals, pattern: ops.restart}}\n" +
			"action: {ref: core.echo, parameters: {message: \"open since {{ trigger.opened }}\"}}\n",
	})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs})
	for i := range 2 {
		a := s.Send(t, hayatetest.Event("/t", fmt.Sprint(i), "test.down", `{}`))
		s.AwaitEnd(t, s.OfEvent(t, a.ID).ID, 60*time.Second)
	}
	hayatetest.Eventually(t, 60*time.Second, "what tells of the breaker", func() (bool, string) {
		xs := s.Executions(t, "rule=ops.told")
		return len(xs) == 1 && xs[0].Status == "succeeded", fmt.Sprint(xs)
	})
	state := func() string {
		_, out, errs := hayatetest.Run(t, []string{"HAYATE_SERVER=" + s.URL}, "rule", "state", "ops.restart")
		return out + errs
	}
	if got := state(); !strings.Contains(got, "circuit breaker open since ") {
		t.Errorf("the rule's state is\n%s", got)
	}
	s.Kill()
	s = hayatetest.Start(t, hayatetest.Options{Packs: packs, Data: s.Data})
	if got := state(); !strings.Contains(got, "circuit breaker open since ") {
		t.Errorf("after a crash the rule's state is\n%s", got)
	}
	if a := s.Send(t, hayatetest.Event("/t", "3", "test.down", `{}`)); a.Executions != 0 {
		t.Errorf("the open breaker let %d through", a.Executions)
	}
	if n := s.Count(t, "executions", "rule=ops.told"); n != 1 {
		t.Errorf("it was told of %d times", n)
	}
}
