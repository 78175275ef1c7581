package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// TestStackStormWebhook: the smallest pack greets whoever posts a name, as in
// StackStorm: 202 with the body, 404 for a url that no rule waits for.
func TestStackStormWebhook(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{Args: []string{"--shipped", "core,hello"}})
	body := `{"name": "Kaede"}`
	r := s.Do(t, http.MethodPost, "/api/v1/webhooks/hello", []byte(body), "Content-Type", "application/json", "X-Gitlab-Token", "a-token-of-gitlab")
	if r.Status != http.StatusAccepted {
		t.Fatalf("status %d, %s", r.Status, r.Body)
	}
	var back map[string]string
	if err := json.Unmarshal(r.Body, &back); err != nil || back["name"] != "Kaede" {
		t.Errorf("the answer is %s, want the body", r.Body)
	}
	var x hayatetest.Execution
	hayatetest.Eventually(t, 20*time.Second, "the greeting", func() (bool, string) {
		xs := s.Executions(t, "action=core.echo")
		if len(xs) != 1 || !xs[0].Ended() {
			return false, fmt.Sprint(xs)
		}
		x = xs[0]
		return true, ""
	})
	if x.Status != "succeeded" || !strings.Contains(fmt.Sprint(x.Result["stdout"]), "Hello, Kaede!") {
		t.Errorf("it ended %s: %v", x.Status, x.Result)
	}
	if r := s.Do(t, http.MethodPost, "/api/v1/webhooks/unknown", []byte(body), "Content-Type", "application/json"); r.Status != http.StatusNotFound {
		t.Errorf("a webhook that nobody waits for: status %d, want 404", r.Status)
	}
	if r := s.Do(t, http.MethodGet, "/v1/events", nil); strings.Contains(string(r.Body), "a-token-of-gitlab") {
		t.Errorf("the token that authenticates a webhook is shown with its event: %s", r.Body)
	}
	if n := s.Count(t, "triggerinstances", "trigger=core.st2.webhook"); n != 1 {
		t.Errorf("%d events of webhooks, want 1", n)
	}
}

// TestHandshake: a CloudEvents sender may deliver from the origins that were named,
// compared whole.
func TestHandshake(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{Args: []string{"--webhook-origins", "events.example.com"}})
	for origin, want := range map[string]bool{"events.example.com": true, "example.com": false, "sub.events.example.com": false, "events.example.com.evil.org": false} {
		r := s.Do(t, http.MethodOptions, "/v1/events", nil, "WebHook-Request-Origin", origin)
		if got := r.Header.Get("WebHook-Allowed-Origin"); (got == origin) != want || (r.Status == http.StatusOK) != want {
			t.Errorf("origin %s: status %d, allowed %q, want allowed %t", origin, r.Status, got, want)
		}
	}
}

// TestLoopStops: a rule whose action leads to the event that it waits for is
// stopped, and the firing that was stopped says so.
func TestLoopStops(t *testing.T) {
	t.Parallel()
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "loop", map[string]string{"rules/again.yaml": `
name: again
enabled: true
trigger: {type: core.st2.generic.actiontrigger}
criteria:
  trigger.action_name: {type: equals, pattern: core.noop}
action: {ref: core.noop}
`})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs})
	s.Start(t, "core.noop", nil)
	var fs []struct {
		Status string `json:"status"`
		Reason string `json:"failure_reason"`
	}
	hayatetest.Eventually(t, 30*time.Second, "the loop is stopped", func() (bool, string) {
		s.Get(t, "/api/v1/ruleenforcements?limit=100", &fs)
		for _, f := range fs {
			if f.Status == "loop" {
				if !strings.Contains(f.Reason, "stopped") {
					t.Errorf("the reason does not tell: %s", f.Reason)
				}
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d firings", len(fs))
	})
	const depth = 16
	if n := s.Count(t, "executions", ""); n != depth+1 {
		t.Errorf("%d executions, want the first and %d that followed", n, depth)
	}
	code, out, _ := s.CLI(t, "event", "list")
	if code != 0 || !strings.Contains(out, "not carried out") {
		t.Errorf("the list of events does not show the loop:\n%s", out)
	}
}

// TestLists: the lists page, filter and count as StackStorm's do.
func TestLists(t *testing.T) {
	t.Parallel()
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "p", map[string]string{"rules/r.yaml": "name: r\nenabled: true\ntrigger: {type: test.a}\naction: {ref: core.noop}\n"})
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs})
	for i := range 25 {
		s.Send(t, hayatetest.Event("/test/lists", fmt.Sprint(i), []string{"test.a", "test.b"}[i%2], fmt.Sprintf(`{"n": %d}`, i)))
	}
	hayatetest.Eventually(t, 20*time.Second, "13 executions ended", func() (bool, string) {
		n := s.Count(t, "executions", "status=succeeded")
		return n == 13, fmt.Sprint(n)
	})
	for _, c := range []struct {
		path         string
		items, total string
	}{
		{"/api/v1/executions", "13", "13"},
		{"/api/v1/executions?limit=5", "5", "13"},
		{"/api/v1/executions?limit=5&offset=10", "3", "13"},
		{"/api/v1/executions?status=failed", "0", "0"},
		{"/api/v1/executions?action=core.noop&limit=2", "2", "13"},
		{"/api/v1/triggerinstances?trigger=test.b", "12", "12"},
		{"/api/v1/triggerinstances?limit=10", "10", "25"},
		{"/api/v1/ruleenforcements?rule_ref=p.r&limit=1", "1", "13"},
		{"/api/v1/rules?pack=p", "1", "1"},
		{"/api/v1/rules?enabled=false", "0", "0"},
		{"/api/v1/actions?pack=none", "0", "0"},
		{"/api/executions?limit=1", "1", "13"},
		{"/api/v1/executions/?limit=1", "1", "13"},
	} {
		var items []map[string]any
		h := s.Get(t, c.path, &items)
		if got := fmt.Sprint(len(items)); got != c.items || h.Get("X-Total-Count") != c.total {
			t.Errorf("GET %s: %s items of %s, want %s of %s", c.path, got, h.Get("X-Total-Count"), c.items, c.total)
		}
	}
	for _, path := range []string{"/api/v1/executions?limit=0", "/api/v1/executions?limit=x", "/api/v1/executions?offset=-1", "/api/v1/executions?timestamp_gt=never"} {
		if r := s.Do(t, http.MethodGet, path, nil); r.Status != http.StatusBadRequest || !strings.Contains(string(r.Body), "faultstring") {
			t.Errorf("GET %s: status %d, %s", path, r.Status, r.Body)
		}
	}
	// The command line prints the same objects.
	code, out, _ := s.CLI(t, "execution", "list", "-o", "json", "-n", "3")
	var some []hayatetest.Execution
	if err := json.Unmarshal([]byte(out), &some); code != 0 || err != nil || len(some) != 3 || some[0].Action.Ref != "core.noop" {
		t.Errorf("execution list -o json: exit code %d, %v, %s", code, err, out)
	}
}

// TestHealth: readiness names each dependency, the counters count, and a server that
// stops is not ready any more.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{})
	s.AwaitEnd(t, s.Start(t, "core.noop", nil), 20*time.Second)
	s.Send(t, hayatetest.Event("/test/health", "1", "test.any", "{}"))
	s.Send(t, hayatetest.Event("/test/health", "1", "test.any", "{}"))
	var ready struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	if s.Get(t, "/readyz", &ready); ready.Status != "ready" || ready.Checks["store"] != "ok" {
		t.Errorf("readyz says %+v", ready)
	}
	metrics := string(s.Do(t, http.MethodGet, "/metrics", nil).Body)
	for _, line := range []string{"hayate_events_accepted_total 1", "hayate_events_duplicate_total 1", `hayate_executions_ended_total{status="succeeded"} 1`} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics lacks %q:\n%s", line, metrics)
		}
	}
}
