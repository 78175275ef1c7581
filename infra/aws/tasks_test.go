package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/noop"
)

// sent keeps what was sent to a queue.
type sent struct {
	mu   sync.Mutex
	list []aws.Message
	err  error
}

func (s *sent) Send(_ context.Context, ms ...aws.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.list = append(s.list, ms...)
	}
	return s.err
}

// batch is what Lambda makes of messages of the queue named tasks.
func batch(t *testing.T, ms ...aws.Message) json.RawMessage {
	t.Helper()
	var list []any
	for i, m := range ms {
		attributes := map[string]any{}
		for k, v := range m.Attributes {
			attributes[k] = map[string]string{"stringValue": v, "dataType": "String"}
		}
		list = append(list, map[string]any{"messageId": fmt.Sprintf("m%d", i+1), "body": m.Body, "eventSource": "aws:sqs", "messageAttributes": attributes,
			"eventSourceARN": "arn:aws:sqs:eu-west-1:1:tasks", "attributes": map[string]string{"SentTimestamp": fmt.Sprint(clock().UnixMilli())}})
	}
	b, err := json.Marshal(map[string]any{"Records": list})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stopped is a store whose claims and reads fail while it is away.
type stopped struct {
	*memory.Store
	away bool
}

var errAway = fmt.Errorf("the store is away: %w", hayate.ErrBusy)

func (s *stopped) Claim(ctx context.Context, c router.Claim) (hayate.Execution, error) {
	if s.away {
		return hayate.Execution{}, errAway
	}
	return s.Store.Claim(ctx, c)
}

// tasks is a function that performs core.noop.
func tasks(t *testing.T) (f *aws.Tasks, rt *router.Router, s *stopped, own, dead *sent) {
	t.Helper()
	s, own, dead = &stopped{Store: memory.New()}, &sent{}, &sent{}
	rt, err := router.New(router.Config{Store: s, Queue: memory.NewQueue(memory.QueueConfig{}), Registry: memory.NewRegistry(), Datastore: memory.NewDatastore(),
		Blobs: memory.NewBlobs(), Secrets: open{}, Runners: []router.Runner{noop.New()}, Workers: -1, Frozen: true, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	f, err = aws.NewTasks(aws.FunctionConfig{Router: rt, Content: content(), Now: clock, Batches: aws.Batches{Own: own, OwnName: "tasks", DeadLetters: dead}})
	if err != nil {
		t.Fatal(err)
	}
	if err := rt.Load(t.Context(), content()); err != nil {
		t.Fatal(err)
	}
	return f, rt, s, own, dead
}

func started(t *testing.T, rt *router.Router, delay time.Duration) (hayate.Execution, aws.Message) {
	t.Helper()
	x, err := rt.Start(t.Context(), router.Start{Action: "core.noop", Delay: delay})
	if err != nil {
		t.Fatal(err)
	}
	return x, aws.Message{Body: aws.EncodeItem(router.QueueItem{Execution: x.ID, NotBefore: x.NotBefore})}
}

func answerOf(t *testing.T, f interface {
	Invoke(context.Context, json.RawMessage) (any, error)
}, payload json.RawMessage) string {
	t.Helper()
	out, err := f.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const allDone = `{"batchItemFailures":[]}`

func TestTasksOfABatch(t *testing.T) {
	t.Parallel()
	f, rt, _, own, dead := tasks(t)
	a, ma := started(t, rt, 0)
	b, mb := started(t, rt, time.Hour)
	if got := answerOf(t, f, batch(t, ma, mb, ma, aws.Message{Body: "no task"})); got != allDone {
		t.Errorf("answer is %s, want that all is seen to", got)
	}
	if x, err := rt.Execution(t.Context(), a.ID); err != nil || x.Status != hayate.StatusSucceeded || x.Attempt != 1 {
		t.Errorf("the first is %s, attempt %d, %v; want success at once, though it came twice", x.Status, x.Attempt, err)
	}
	if len(own.list) != 1 || own.list[0].Body != mb.Body || own.list[0].Delay != 15*time.Minute || own.list[0].Attributes["tries"] != "0" {
		t.Errorf("sent again: %+v, want %s in 15 minutes", own.list, b.ID)
	}
	if len(dead.list) != 1 || dead.list[0].Body != "no task" || !strings.Contains(dead.list[0].Attributes["reason"], "message is no task") || dead.list[0].Attributes["from"] != "tasks" {
		t.Errorf("dead letters: %+v, want the one that is no task, with the reason", dead.list)
	}
}

func TestTasksWithoutTheStore(t *testing.T) {
	t.Parallel()
	f, rt, s, own, dead := tasks(t)
	x, m := started(t, rt, 0)
	s.away = true
	for n, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
		if got := answerOf(t, f, batch(t, m)); got != allDone {
			t.Fatalf("answer is %s, want that it is seen to", got)
		}
		m = own.list[n]
		if m.Delay != want {
			t.Errorf("try %d: it comes again in %s, want %s", n+1, m.Delay, want)
		}
	}
	own.err = errors.New("the queue is away too")
	if got := answerOf(t, f, batch(t, m)); got != `{"batchItemFailures":[{"itemIdentifier":"m1"}]}` {
		t.Errorf("without the queue the answer is %s, want that SQS delivers it again", got)
	}
	s.away = false
	answerOf(t, f, batch(t, m))
	if y, err := rt.Execution(t.Context(), x.ID); err != nil || y.Status != hayate.StatusSucceeded || len(dead.list) != 0 {
		t.Errorf("afterwards it is %s, %v, with %d dead letters; want success", y.Status, err, len(dead.list))
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	f, _, _, _, _ := tasks(t)
	for _, payload := range []string{`{"hayate":"tick"}`, `{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}`} {
		if got := answerOf(t, f, json.RawMessage(payload)); got != `{"status":"ticked"}` {
			t.Errorf("%s was answered with %s", payload, got)
		}
	}
	if _, err := f.Invoke(t.Context(), json.RawMessage(`{"source":"aws.s3"}`)); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("anything else: %v, want invalid", err)
	}
}
