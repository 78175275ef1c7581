package amqp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/amqp"
	"github.com/hayate-run/hayate/router"
)

// raw is a channel that knows nothing of hayate.
func raw(t *testing.T, url string) *rabbit.Channel {
	t.Helper()
	conn, err := rabbit.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func execution(n int) hayate.ExecutionID {
	return hayate.ExecutionID(hayate.NewID(time.Unix(1_700_000_000, 0), fmt.Sprint(n)))
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	over := time.NewTimer(30 * time.Second)
	defer over.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-over.C:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func TestMessagesThatAreNoTasksArePutAsideWithTheReason(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	b := open(t, amqp.Config{URL: url})
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(1)}); err != nil {
		t.Fatal(err)
	}
	c := raw(t, url)
	if err := c.PublishWithContext(t.Context(), "hayate.tasks", "hayate.task.local", true, false, rabbit.Publishing{Body: []byte("rubbish"), MessageId: "x"}); err != nil {
		t.Fatal(err)
	}
	d, err := b.Queue().Receive(t.Context(), "")
	if err != nil || d.Execution != execution(1) {
		t.Fatalf("received %s, %v", d.Execution, err)
	}
	var dead rabbit.Delivery
	eventually(t, "the message is among the dead", func() bool {
		m, ok, err := c.Get("hayate.dead", true)
		if err != nil {
			t.Fatal(err)
		}
		dead = m
		return ok
	})
	reason, _ := dead.Headers["x-hayate-reason"].(string)
	if string(dead.Body) != "rubbish" || !strings.Contains(reason, "the body is no task") {
		t.Errorf("the dead message is %q with the reason %q", dead.Body, reason)
	}
	if notes := strings.Join(b.Notes(), "\n"); !strings.Contains(notes, "the body is no task") {
		t.Errorf("the notes do not tell of it: %s", notes)
	}
}

func TestATaskWhoseReceiversDieIsPutAsideByTheServer(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	b := open(t, amqp.Config{URL: url})
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(1)}); err != nil {
		t.Fatal(err)
	}
	c := raw(t, url)
	for i := 0; ; i++ {
		m, ok, err := c.Get("hayate.task.local", false)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if i < 20 {
				t.Errorf("the task was gone after %d deliveries", i)
			}
			break
		}
		if err := m.Nack(false, true); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the task is among the dead", func() bool {
		m, ok, err := c.Get("hayate.dead", true)
		if err != nil {
			t.Fatal(err)
		}
		deaths, _ := m.Headers["x-death"].([]any)
		if !ok {
			return false
		}
		first, _ := deaths[0].(rabbit.Table)
		if first["reason"] != "delivery_limit" {
			t.Errorf("it died of %v", first["reason"])
		}
		return true
	})
}

func TestAQueueWithOtherArgumentsIsUsedAndNamed(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	if _, err := raw(t, url).QueueDeclare("hayate.task.local", true, false, false, false, rabbit.Table{"x-queue-type": "classic"}); err != nil {
		t.Fatal(err)
	}
	b := open(t, amqp.Config{URL: url})
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(1)}); err != nil {
		t.Fatal(err)
	}
	if d, err := b.Queue().Receive(t.Context(), ""); err != nil || d.Execution != execution(1) {
		t.Fatalf("received %s, %v", d.Execution, err)
	}
	if notes := strings.Join(b.Notes(), "\n"); !strings.Contains(notes, "hayate.task.local") || !strings.Contains(notes, "x-dead-letter-exchange is none, want hayate.dead") {
		t.Errorf("the notes do not name the argument: %s", notes)
	}
}

func TestTheSameMessageTwiceIsOneTask(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	b := open(t, amqp.Config{URL: url})
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(9)}); err != nil {
		t.Fatal(err)
	}
	c := raw(t, url)
	body, _ := json.Marshal(map[string]string{"execution": string(execution(1))}) // texts
	for range 3 {
		if err := c.PublishWithContext(t.Context(), "hayate.tasks", "hayate.task.local", true, false, rabbit.Publishing{Body: body, MessageId: "same"}); err != nil {
			t.Fatal(err)
		}
	}
	got := map[hayate.ExecutionID]int{}
	for range 2 {
		d, err := b.Queue().Receive(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		got[d.Execution]++
		if err := d.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if d, err := b.Queue().Receive(ctx, ""); err == nil {
		t.Errorf("received %s once more", d.Execution)
	}
	if got[execution(1)] != 1 || got[execution(9)] != 1 {
		t.Errorf("received %v", got)
	}
}

func TestDelaysLongerThanAStepArePassedOn(t *testing.T) {
	t.Parallel()
	b := open(t, amqp.Config{URL: node.VirtualHost(t)})
	due := time.Now().Add(3500 * time.Millisecond)
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(1), NotBefore: due}, router.QueueItem{Execution: execution(2), NotBefore: due.Add(-2 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		id hayate.ExecutionID
		at time.Time
	}{{execution(2), due.Add(-2 * time.Second)}, {execution(1), due}} {
		d, err := b.Queue().Receive(t.Context(), "")
		if err != nil || d.Execution != want.id {
			t.Fatalf("received %s, %v; want %s", d.Execution, err, want.id)
		}
		if off := time.Since(want.at); off < -5*time.Millisecond || off > 2*time.Second {
			t.Errorf("%s came %s after its time", d.Execution, off)
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestTasksThatWaitForABusyProcessGoToAnother(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	busy, idle := open(t, amqp.Config{URL: url}), open(t, amqp.Config{URL: url})
	const n = 10
	for i := range n {
		if err := busy.Queue().Put(t.Context(), router.QueueItem{Execution: execution(i)}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := busy.Queue().Receive(t.Context(), "") // and with it come others, which nobody takes here
	if err != nil {
		t.Fatal(err)
	}
	got := map[hayate.ExecutionID]bool{first.Execution: true}
	for len(got) < n {
		d, err := idle.Queue().Receive(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Error(err)
		}
		got[d.Execution] = true
	}
	if err := first.Ack(t.Context()); err != nil {
		t.Errorf("the task in hand cannot be acknowledged any more: %v", err)
	}
}

func TestConfigurationMistakesAreToldTogether(t *testing.T) {
	t.Parallel()
	_, err := amqp.New(amqp.Config{URL: "http://user:secret@h/", Prefix: "a b"})
	if !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), "amqp://") || !strings.Contains(err.Error(), `"a b"`) || strings.Contains(err.Error(), "secret") {
		t.Errorf("New says %v", err)
	}
	b := open(t, amqp.Config{URL: node.VirtualHost(t)})
	if err := b.Queue().Put(t.Context(), router.QueueItem{Execution: execution(1), Target: "amqp:a b"}); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("Put for a target that is none says %v", err)
	}
}

func TestEventsComeInByTheBinding(t *testing.T) {
	t.Parallel()
	url := node.VirtualHost(t)
	c := raw(t, url)
	if _, err := c.QueueDeclare("theirs", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	b, err := amqp.New(amqp.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan hayate.Event, 10)
	tries := 0
	b.Source("theirs", func(_ context.Context, e hayate.Event) (router.Receipt, error) {
		if e.ID == "busy" && tries == 0 {
			tries++
			return router.Receipt{}, hayate.ErrBusy
		}
		if err := e.Validate(); err != nil {
			return router.Receipt{}, err
		}
		events <- e
		return router.Receipt{}, nil
	})
	run(t, b)
	for _, m := range []rabbit.Publishing{
		{ContentType: "text/plain", Body: []byte("full"), Headers: rabbit.Table{"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "//disk",
			"cloudEvents:type": "disk.full", "cloudEvents_subject": "/var", "cloudEvents:urgent": true}},
		{ContentType: "application/cloudevents+json; charset=utf-8", Body: []byte(`{"specversion":"1.0","id":"2","source":"//disk","type":"disk.full","data":{"n":1}}`)},
		{ContentType: "application/cloudevents-batch+json", Body: []byte(`[{"specversion":"1.0","id":"3","source":"//disk","type":"disk.full"},{"specversion":"1.0","id":"busy","source":"//disk","type":"disk.full"}]`)},
		{ContentType: "application/json", MessageId: "m-4", Body: []byte(`{"hello":"world"}`)},
		{ContentType: "application/cloudevents+json", Body: []byte(`{"specversion":"1.0","id":"5"}`)},
	} {
		if err := c.PublishWithContext(t.Context(), "", "theirs", true, false, m); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]hayate.Event{}
	for len(got) < 5 {
		e := <-events
		got[e.ID] = e
	}
	one := got["1"]
	if one.Type != "disk.full" || one.Subject != "/var" || string(one.Data) != "full" || one.DataContentType != "text/plain" || one.Extension("urgent") != "true" {
		t.Errorf("the event in binary mode is %+v", one)
	}
	if two := got["2"]; string(two.Data) != `{"n":1}` {
		t.Errorf("the event in structured mode is %+v", two)
	}
	if four := got["m-4"]; four.Source == "" || !strings.Contains(string(four.Data), "world") {
		t.Errorf("what is no CloudEvent came as %+v of %v", four, got)
	}
	eventually(t, "the message without a source is among the dead", func() bool {
		m, ok, err := c.Get("hayate.dead", true)
		if err != nil {
			t.Fatal(err)
		}
		reason, _ := m.Headers["x-hayate-reason"].(string)
		return ok && strings.Contains(reason, "source")
	})
}
