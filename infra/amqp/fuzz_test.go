package amqp

import (
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate/router"
)

// FuzzReadTask: whatever lies in a queue is a task or an error, and a task that is
// written is read as it was.
func FuzzReadTask(f *testing.F) {
	m, err := taskMessage(router.QueueItem{Execution: "65f0c1a0b1c2d3e4f5a6b7c8", Target: "amqp:tokyo", NotBefore: time.UnixMicro(1_700_000_000_000_001), Token: "t"}, "id", 3, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Body)
	f.Add([]byte(`{"execution":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		it, err := readTask(&rabbit.Delivery{Body: body})
		if err != nil {
			return
		}
		m, err := taskMessage(it, "id", 0, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := readTask(&rabbit.Delivery{Body: m.Body}); err != nil || again != it {
			t.Errorf("%+v is read as %+v, %v", it, again, err)
		}
	})
}

// FuzzReadEvents: whatever others put into a queue of events is events or an error.
func FuzzReadEvents(f *testing.F) {
	f.Add("application/cloudevents+json", "cloudEvents:specversion", "1.0", []byte(`{"specversion":"1.0","id":"1","source":"//a","type":"b"}`))
	f.Add("text/plain", "cloudEvents_specversion", "1.0", []byte(`x`))
	f.Add("application/json", "", "", []byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, contentType, header, value string, body []byte) {
		events, err := readEvents(&rabbit.Delivery{ContentType: contentType, Headers: rabbit.Table{header: value}, Body: body}, "theirs", time.Unix(0, 0))
		if err == nil && len(events) == 0 && contentType != batch {
			t.Logf("no events in %q", body)
		}
	})
}

func TestDifferingArguments(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'":                    "x-queue-type is classic, want quorum",
		"PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '1000' of type 'long' but current is none": "x-message-ttl is none, want 1000",
		"PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'":                             "durable is false, want true",
		"something else": "something else",
	} {
		if got := differing(reason); got != want {
			t.Errorf("%q is told as %q, want %q", reason, got, want)
		}
	}
}
