package serverless_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/lambdahost"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

// line is the way of a workflow with the test in Lambda's place: it takes messages
// from the queues and invokes the functions, so that it knows when each stands
// still.
type line struct {
	t      *testing.T
	router *lambdahost.Function
	by     map[string]*lambdahost.Function // by the URL of the queue that invokes it
	urls   []string
	ticks  *lambdahost.Function
	victim *lambdahost.Function
	proxy  *mongotest.Proxy
	store  *mongo.Store
	env    []string // of a function that is not killed
}

// newLine makes a line whose victim, the function of that name, reaches the store
// through a proxy.
func newLine(t *testing.T, victim string) *line {
	t.Helper()
	uri := server.Database(t)
	p := mongotest.NewProxy(t, uri)
	packs, err := filepath.Abs("testdata/packs")
	if err != nil {
		t.Fatal(err)
	}
	run, workflow := emulator.Queue(t, nil), emulator.Queue(t, nil)
	l := &line{t: t, proxy: p, by: map[string]*lambdahost.Function{}, urls: []string{workflow, run}}
	for name, url := range map[string]string{"router": "", "runner": run, "workflow": workflow} {
		path, err := binaryOf(name)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		env := append(emulator.Env(t), "HAYATE_MONGODB_URI="+uri, "HAYATE_PACKS="+packs, "HAYATE_LEASE="+lease.String(), "HAYATE_TICK=500ms",
			fmt.Sprintf("HAYATE_QUEUES=local=%s workflow=%s", run, workflow), "TMPDIR="+t.TempDir())
		l.env = append(env[:len(env):len(env)], "HAYATE_EVENT_QUEUE="+run, "HAYATE_TOKEN="+token)
		if name == victim {
			env = append(env, "HAYATE_MONGODB_URI="+p.URI)
		}
		f, err := lambdahost.New(lambdahost.Config{Name: name, Command: []string{path}, Timeout: 30 * time.Second, Log: &log, Env: env})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = f.Close() // always nil
			if t.Failed() {
				t.Logf("%s wrote:\n%s", name, tail(log.String(), 5000))
			}
		})
		l.by[url] = f
		switch name {
		case "router":
			l.router = f
		case "workflow":
			l.ticks = f
		}
		if name == victim {
			l.victim = f
		}
	}
	l.store = open(t, uri)
	return l
}

// function is another function on the line's store and queues.
func (l *line) function(name, path string) *lambdahost.Function {
	l.t.Helper()
	f, err := lambdahost.New(lambdahost.Config{Name: name, Command: []string{path}, Timeout: 30 * time.Second, Env: l.env})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = f.Close() }) // always nil
	return f
}

// batch is a batch of messages with those bodies.
func (l *line) batch(body func() string) []byte {
	l.t.Helper()
	var list []any
	for n := range batchOfTest {
		list = append(list, map[string]any{"messageId": fmt.Sprint("m", n), "body": body(), "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:q", "attributes": map[string]string{}})
	}
	return marshal(l.t, map[string]any{"Records": list})
}

// started is a new execution of an action that nobody has performed.
func (l *line) started(action hayate.Ref) hayate.ExecutionID {
	l.t.Helper()
	x := hayate.Execution{ID: hayate.ExecutionID(hayate.NewID(time.Now(), fmt.Sprint(time.Now().UnixNano()))), Action: action, Runner: "noop", Status: hayate.StatusScheduled,
		Created: time.Now().UTC(), Context: json.RawMessage(`{"user":"stanley"}`), Parameters: json.RawMessage(`{}`), Idempotent: true}
	if action == "story.steps" {
		x.Runner = "orquesta"
	}
	x.Root, x.Log = x.ID, []hayate.Transition{{Time: x.Created, Status: hayate.StatusRequested}, {Time: x.Created, Status: hayate.StatusScheduled}}
	if err := l.store.Commit(l.t.Context(), router.Change{Insert: []hayate.Execution{x}}); err != nil {
		l.t.Fatalf("insert an execution: %v", err)
	}
	return x.ID
}

// begin has a workflow of two steps begin and returns its execution.
func (l *line) begin(id string) hayate.ExecutionID {
	l.t.Helper()
	out := invoke(l.t, l.router, []byte(fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"//test","type":"story.steps"}`, id)))
	p, err := l.store.Executions(l.t.Context(), router.Query{Event: out.Events[0].ID, NoParent: true, Limit: -1})
	if err != nil || len(p.Items) != 1 {
		l.t.Fatalf("%s: %d executions, %v; want one", id, len(p.Items), err)
	}
	return p.Items[0].ID
}

// work delivers messages until the workflow has ended, and ticks where there are
// none.
func (l *line) work(id hayate.ExecutionID) hayate.Execution {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		moved := false
		for _, url := range l.urls {
			moved = l.pass(ctx, url) || moved
		}
		p, err := l.store.Executions(ctx, router.Query{IDs: []string{string(id)}, Limit: 1})
		if err == nil && len(p.Items) == 1 && p.Items[0].Status.Completed() {
			return p.Items[0]
		}
		if !moved {
			_, _ = l.ticks.Invoke(ctx, []byte(`{"hayate":"tick"}`)) // it may be killed
		}
	}
	p, err := l.store.Executions(l.t.Context(), router.Query{Limit: 5})
	for _, x := range p.Items {
		l.t.Logf("%s %s %s attempt %d of %q: %+v", x.ID, x.Action, x.Status, x.Attempt, x.Parent, x.Log)
	}
	l.t.Fatalf("workflow %s does not end; the newest executions are above, %v", id, err)
	return hayate.Execution{}
}

// pass delivers the messages of a queue, and says whether there were any. Those of
// a batch that failed come again at once.
func (l *line) pass(ctx context.Context, url string) bool {
	l.t.Helper()
	c := emulator.SQS(l.t)
	out, err := c.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 30,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
	if err != nil || len(out.Messages) == 0 {
		return false
	}
	var list []any
	for _, m := range out.Messages {
		list = append(list, map[string]any{"messageId": *m.MessageId, "body": *m.Body, "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:q", "attributes": m.Attributes})
	}
	var answer struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	b, err := l.by[url].Invoke(ctx, marshal(l.t, map[string]any{"Records": list}))
	if err == nil {
		err = json.Unmarshal(b, &answer)
	}
	failed := map[string]bool{}
	for _, f := range answer.Failures {
		failed[f.ID] = true
	}
	for _, m := range out.Messages {
		var e error
		if err != nil || failed[*m.MessageId] {
			_, e = c.ChangeMessageVisibility(ctx, &sdk.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
		} else {
			_, e = c.DeleteMessage(ctx, &sdk.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
		}
		if e != nil {
			l.t.Errorf("settle a message: %v", e)
		}
	}
	return true
}

// TestWorkflowFunctionsKilled kills the function that begins and the one that
// steps workflows at each of their commands to the store in turn, once the server
// has carried it out: before the next, that is. The workflow ends all the same, and no task
// that had ended is run again.
func TestWorkflowFunctionsKilled(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"workflow", "runner"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, victim)
			l.sound(l.work(l.begin("warm")), false)
			l.sound(l.work(l.begin("never-killed")), false)
			kills := 0
			for n := 1; n == kills+1; n++ { // until a run has no command of that number
				killed := ""
				l.proxy.Arm(mongotest.Cut{At: n, After: n > 1, Then: func(command string) {
					killed = command
					l.victim.Kill()
				}})
				x := l.work(l.begin(fmt.Sprint("killed-", n)))
				l.proxy.Arm(mongotest.Cut{})
				l.sound(x, killed != "")
				if killed != "" {
					kills++
				}
			}
			if kills < 5 {
				t.Errorf("killed %d times, want once at each of more commands", kills)
			}
			settled(t, l.store)
			t.Logf("killed at each of %d commands to the store", kills)
		})
	}
}

// sound fails the test unless the workflow succeeded by its two tasks, each of
// which ended once. What a step left undone, the next tick does.
func (l *line) sound(x hayate.Execution, killed bool) {
	l.t.Helper()
	invokeAny(l.t, l.ticks, []byte(`{"hayate":"tick"}`))
	p, err := l.store.Executions(l.t.Context(), router.Query{Parent: x.ID, Limit: -1})
	if err != nil {
		l.t.Fatal(err)
	}
	if x.Status != hayate.StatusSucceeded || len(p.Items) != 2 {
		l.t.Errorf("workflow %s is %s with %d tasks, want success by two", x.ID, x.Status, len(p.Items))
	}
	for _, c := range p.Items {
		ends := 0
		for i, s := range c.Log {
			if s.Status.Completed() {
				if ends++; i != len(c.Log)-1 {
					l.t.Errorf("task %s goes on after its end: %+v", c.ID, c.Log)
				}
			}
		}
		if c.Status != hayate.StatusSucceeded || ends != 1 || !killed && c.Attempt != 1 {
			l.t.Errorf("task %s is %s after %d attempts and %d ends, want one success", c.ID, c.Status, c.Attempt, ends)
		}
	}
}

// invokeAny invokes a function whose answer says nothing.
func invokeAny(t *testing.T, f *lambdahost.Function, payload []byte) {
	t.Helper()
	if _, err := f.Invoke(t.Context(), payload); err != nil {
		t.Fatalf("Invoke: %v", err)
	}
}

// TestTimersOfRules has a clock that only the workflow function's ticks can move.
func TestTimersOfRules(t *testing.T) {
	t.Parallel()
	l := newLine(t, "")
	packs, err := filepath.Abs("testdata/clock")
	if err != nil {
		t.Fatal(err)
	}
	path, err := binaryOf("workflow")
	if err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "HAYATE_PACKS="+packs)
	f := l.function("clock", path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		invokeAny(t, f, []byte(`{"hayate":"tick"}`))
		p, err := l.store.Events(ctx, router.Query{Type: "core.st2.IntervalTimer", Limit: -1})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) >= 2 {
			if len(p.Items[0].Firings) != 1 {
				t.Errorf("a tick fired %d rules, want one", len(p.Items[0].Firings))
			}
			return
		}
	}
	t.Error("no timer has ticked twice")
}
