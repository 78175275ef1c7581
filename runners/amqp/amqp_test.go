package amqp_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/amqp"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

var node rabbittest.Node

func TestMain(m *testing.M) {
	code := m.Run()
	node.Stop()
	os.Exit(code)
}

func perform(t *testing.T, ctx context.Context, parameters map[string]any) hayate.Result {
	t.Helper()
	b, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	res, err := amqp.New().Run(ctx, hayate.Task{RunnerParameters: b, IdempotencyKey: "key-1"}, func(hayate.Stream, string) {})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestAnEventIsPublishedAndConfirmed(t *testing.T) {
	url := node.URL(t)
	conn, err := rabbit.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.QueueDeclare("theirs", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	base := map[string]any{"url": url, "routing_key": "theirs", "type": "disk.full", "source": "//disk", "subject": "/var", "data": map[string]any{"n": 1}, "extensions": map[string]any{"urgency": "high"}}
	if res := perform(t, t.Context(), base); res.Status != hayate.StatusSucceeded || !res.Verified {
		t.Fatalf("it ended %s: %s", res.Status, res.Value)
	}
	base["mode"] = "structured"
	if res := perform(t, t.Context(), base); res.Status != hayate.StatusSucceeded {
		t.Fatalf("it ended %s: %s", res.Status, res.Value)
	}
	m, ok, err := c.Get("theirs", true)
	if err != nil || !ok {
		t.Fatalf("no message: %v", err)
	}
	if string(m.Body) != `{"n":1}` || m.ContentType != "application/json" || m.Headers["cloudEvents:id"] != "key-1" ||
		m.Headers["cloudEvents:type"] != "disk.full" || m.Headers["cloudEvents:urgency"] != "high" || m.MessageId != "key-1" {
		t.Errorf("binary mode: %s %v %s", m.Body, m.Headers, m.ContentType)
	}
	if m, ok, err = c.Get("theirs", true); err != nil || !ok {
		t.Fatalf("no second message: %v", err)
	}
	var e hayate.Event
	if err := json.Unmarshal(m.Body, &e); err != nil || e.ID != "key-1" || e.Subject != "/var" {
		t.Errorf("structured mode: %s, %v", m.Body, err)
	}

	base["routing_key"] = "nowhere"
	if res := perform(t, t.Context(), base); res.Status != hayate.StatusFailed || !strings.Contains(string(res.Value), "leads to no queue") {
		t.Errorf("to nowhere it ended %s: %s", res.Status, res.Value)
	}
	base["exchange"] = "missing"
	if res := perform(t, t.Context(), base); res.Status != hayate.StatusFailed || !strings.Contains(string(res.Value), "no exchange 'missing'") {
		t.Errorf("to a missing exchange it ended %s: %s", res.Status, res.Value)
	}
}

func TestWhatCannotBeSentFails(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]map[string]any{
		"an address that is none": {"url": "http://u:secret@h/", "type": "a.b"},
		"an event without type":   {"url": "amqp://u:secret@127.0.0.1:1/"},
		"nobody there":            {"url": "amqp://u:secret@127.0.0.1:1/", "type": "a.b"},
	} {
		res := perform(t, t.Context(), p)
		if res.Status != hayate.StatusFailed || strings.Contains(string(res.Value), "secret") {
			t.Errorf("%s: it ended %s: %s", name, res.Status, res.Value)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res := perform(t, ctx, map[string]any{"url": "amqp://127.0.0.1:1/", "type": "a.b"}); res.Status != hayate.StatusCanceled {
		t.Errorf("canceled, it ended %s", res.Status)
	}
}
