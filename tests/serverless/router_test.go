package serverless_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/lambdahost"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

var (
	server mongotest.Server
	// buildDir is where binaries are built to; TestMain makes and removes it.
	buildDir string
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(envFunction); mode != "" {
		runFunction(mode)
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "hayate-functions-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	defer server.Stop()
	defer emulator.Stop()
	return m.Run()
}

// binaries are built once each, as they are deployed but for the architecture and
// what is inlined.
var (
	building sync.Mutex
	built    = map[string]string{}
)

func binaryOf(name string) (string, error) {
	building.Lock()
	defer building.Unlock()
	if built[name] != "" {
		return built[name], nil
	}
	path := filepath.Join(buildDir, name)
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", path, "../../functions/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	built[name] = path
	return path, nil
}

// lease is how long an attempt of a killed function counts as alive.
const lease = 500 * time.Millisecond

// function returns the router function on a database; log takes what it says.
func function(t *testing.T, uri string) (f *lambdahost.Function, log *bytes.Buffer) {
	t.Helper()
	path, err := binaryOf("router")
	if err != nil {
		t.Fatalf("build functions/router: %v", err)
	}
	packs, err := filepath.Abs("testdata/packs")
	if err != nil {
		t.Fatal(err)
	}
	log = &bytes.Buffer{}
	f, err = lambdahost.New(lambdahost.Config{Name: "hayate-router", Command: []string{path}, Timeout: 30 * time.Second, Log: log,
		Env: []string{"HAYATE_MONGODB_URI=" + uri, "HAYATE_PACKS=" + packs, "HAYATE_LEASE=" + lease.String(), "TMPDIR=" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if t.Failed() {
			t.Logf("the function wrote:\n%s", log.String())
		}
	})
	return f, log
}

// open opens the store that the function writes to.
func open(t *testing.T, uri string) *mongo.Store {
	t.Helper()
	s, err := mongo.Open(t.Context(), mongo.Config{URI: uri})
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// alarm is an SNS event with an alarm of that name that has just been raised.
func alarm(t *testing.T, name string) []byte {
	t.Helper()
	message := marshal(t, map[string]any{
		"AlarmName": name, "AlarmDescription": "the queue grows", "AWSAccountId": "210987654321",
		"AlarmArn":      "arn:aws:cloudwatch:eu-west-1:210987654321:alarm:" + name,
		"NewStateValue": "ALARM", "OldStateValue": "OK", "NewStateReason": "Threshold Crossed: 3 datapoints were greater than the threshold (100.0).",
		"StateChangeTime": "2026-11-24T09:30:15.250+0000", "Region": "EU (Ireland)",
		"Trigger": map[string]any{"MetricName": "ApproximateNumberOfMessagesVisible", "Namespace": "AWS/SQS", "Statistic": "MAXIMUM", "Period": 60, "Threshold": 100.0},
	})
	return marshal(t, map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "arn:aws:sns:eu-west-1:210987654321:alarms:5a1c",
		"Sns": map[string]any{
			"Type": "Notification", "MessageId": "7f0c6b1e-0000-5000-8000-" + fmt.Sprintf("%012x", len(name)), "TopicArn": "arn:aws:sns:eu-west-1:210987654321:alarms",
			"Subject": "ALARM: " + name, "Message": string(message), "Timestamp": "2026-11-24T09:30:15.301Z", "MessageAttributes": map[string]any{},
		},
	}}})
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// events lists the events on an alarm.
func events(t *testing.T, s *mongo.Store, name string) []router.EventRecord {
	t.Helper()
	p, err := s.Events(t.Context(), router.Query{Type: "aws.cloudwatch.alarm", Limit: -1})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	var list []router.EventRecord
	for _, r := range p.Items {
		if r.Event.Subject == name {
			list = append(list, r)
		}
	}
	return list
}

// once fails the test unless the alarm is one event with one firing, and one
// execution that succeeded.
func once(t *testing.T, s *mongo.Store, name string) hayate.Execution {
	t.Helper()
	es := events(t, s, name)
	if len(es) != 1 || len(es[0].Firings) != 1 || len(es[0].Firings[0].Executions) != 1 || es[0].Firings[0].Rule != "alarms.raised" {
		t.Fatalf("%s: %d events: %+v; want one with one firing", name, len(es), es)
	}
	p, err := s.Executions(t.Context(), router.Query{Event: es[0].ID, Limit: -1})
	if err != nil {
		t.Fatalf("Executions: %v", err)
	}
	if len(p.Items) != 1 {
		t.Fatalf("%s: %d executions, want one", name, len(p.Items))
	}
	x := p.Items[0]
	if x.ID != es[0].Firings[0].Executions[0] || x.Action != "core.noop" || x.Status != hayate.StatusSucceeded {
		t.Errorf("%s: execution %s of %s is %s, want core.noop to have succeeded", name, x.ID, x.Action, x.Status)
	}
	return x
}

// settled fails the test if anything is left to be done, or is not as it should be.
func settled(t *testing.T, s *mongo.Store) {
	t.Helper()
	sw, err := s.Sweep(t.Context(), router.SweepQuery{Now: time.Now().Add(time.Hour), Limit: 10})
	if err != nil || len(sw.Dispatch)+len(sw.Lost)+len(sw.Untold)+len(sw.Due) != 0 {
		t.Errorf("a sweep found %+v, error %v; want nothing", sw, err)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("a check found %q, error %v; want nothing", found, err)
	}
}

type outcome struct {
	Events []struct {
		ID        hayate.EventID
		Duplicate bool
	}
}

func invoke(t *testing.T, f *lambdahost.Function, payload []byte) outcome {
	t.Helper()
	var out outcome
	b, err := f.Invoke(t.Context(), payload)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	return out
}

func TestAlarmIsRoutedOnce(t *testing.T) {
	t.Parallel()
	uri := server.Database(t)
	f, _ := function(t, uri)
	first := invoke(t, f, alarm(t, "queue-grows"))
	if len(first.Events) != 1 || first.Events[0].Duplicate {
		t.Fatalf("first delivery gave %+v, want one new event", first)
	}
	s := open(t, uri)
	x := once(t, s, "queue-grows")
	if x.Event != first.Events[0].ID || x.Attempt != 1 {
		t.Errorf("execution is of event %s, attempt %d; want %s, 1", x.Event, x.Attempt, first.Events[0].ID)
	}
	again := invoke(t, f, alarm(t, "queue-grows"))
	if len(again.Events) != 1 || !again.Events[0].Duplicate || again.Events[0].ID != first.Events[0].ID {
		t.Errorf("second delivery gave %+v, want the first event as known", again)
	}
	if y := once(t, s, "queue-grows"); y.Version != x.Version {
		t.Errorf("the second delivery changed the execution: version %d, then %d", x.Version, y.Version)
	}
	settled(t, s)
}

// TestKilledFunction kills the function at each of its commands to the store in
// turn, before the server has carried it out and after. Whatever is left, a
// redelivery ends it.
func TestKilledFunction(t *testing.T) {
	t.Parallel()
	uri := server.Database(t)
	p := mongotest.NewProxy(t, uri)
	f, _ := function(t, p.URI)
	p.Arm(mongotest.Cut{})
	invoke(t, f, alarm(t, "never-killed"))
	commands := p.Seen()
	s := open(t, uri)
	once(t, s, "never-killed")
	kills := map[bool]int{}
	for n := 1; n <= commands; n++ {
		for _, c := range []struct{ cold, after bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
			name := fmt.Sprintf("killed-%d-%t-%t", n, c.cold, c.after)
			if c.cold {
				f.Kill()
			}
			killed := ""
			p.Arm(mongotest.Cut{At: n, After: c.after, Then: func(command string) {
				killed = command
				f.Kill()
			}})
			_, err := f.Invoke(t.Context(), alarm(t, name))
			p.Arm(mongotest.Cut{})
			if killed == "" {
				continue // the database is made, so there are fewer commands than at first
			}
			kills[c.cold]++
			if !errors.Is(err, lambdahost.ErrExited) {
				t.Errorf("%s: killed at %s, the invocation ended with %v; want that the process ended", name, killed, err)
			}
			redeliver(t, f, name)
			once(t, s, name)
		}
	}
	if kills[false] < 10 || kills[true] <= kills[false] {
		t.Errorf("the function was killed %v times (cold: true), want it at every command", kills)
	}
	t.Logf("%d commands of the first delivery; killed %d times while warm, %d times from cold", commands, kills[false], kills[true])
	settled(t, s)
}

// redeliver delivers an alarm until the function says that it is done, as Lambda
// does with asynchronous invocations, but sooner.
func redeliver(t *testing.T, f *lambdahost.Function, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(lease / 5)
	defer tick.Stop()
	for {
		_, err := f.Invoke(ctx, alarm(t, name))
		if err == nil {
			return
		}
		var fe *lambdahost.FunctionError
		if !errors.As(err, &fe) || !strings.Contains(fe.Message, "is held by") {
			t.Fatalf("%s: redelivery failed with %v, want that the attempt is still held at most", name, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: redelivery does not end: %v", name, err)
		}
	}
}

func TestBatchOfMessages(t *testing.T) {
	t.Parallel()
	uri := server.Database(t)
	f, _ := function(t, uri)
	record := func(id, body string) map[string]any {
		return map[string]any{"messageId": id, "receiptHandle": "r", "body": body, "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
			"eventSourceARN": "arn:aws:sqs:eu-west-1:210987654321:events", "attributes": map[string]string{"ApproximateReceiveCount": "1"}}
	}
	inner := func(name string) string {
		var e struct {
			Records []struct{ Sns map[string]any }
		}
		if err := json.Unmarshal(alarm(t, name), &e); err != nil {
			t.Fatal(err)
		}
		return string(marshal(t, e.Records[0].Sns))
	}
	b, err := f.Invoke(t.Context(), marshal(t, map[string]any{"Records": []any{
		record("m1", inner("first")), record("m2", strings.Repeat("x", 1<<20+1)), record("m3", inner("third")),
	}}))
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	if got, want := string(b), `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`; got != want {
		t.Errorf("answer is %s, want %s: the others must not come again", got, want)
	}
	s := open(t, uri)
	once(t, s, "first")
	once(t, s, "third")
}

func TestEventBridge(t *testing.T) {
	t.Parallel()
	uri := server.Database(t)
	f, _ := function(t, uri)
	out := invoke(t, f, marshal(t, map[string]any{"version": "0", "id": "b1946ac9-2492-d234-7c62-35d7b1b6e0aa", "detail-type": "Object Created",
		"source": "example.backup", "account": "210987654321", "time": "2026-11-24T09:30:15Z", "region": "eu-west-1", "resources": []string{}, "detail": map[string]any{"size": 5}}))
	if len(out.Events) != 1 {
		t.Fatalf("an event of EventBridge gave %+v, want one event", out)
	}
	p, err := open(t, uri).Events(t.Context(), router.Query{IDs: []string{string(out.Events[0].ID)}, Limit: -1})
	if err != nil || len(p.Items) != 1 || len(p.Items[0].Firings) != 0 {
		t.Errorf("Events gave %+v, error %v; want the event without a firing", p.Items, err)
	}
}

func TestStoreIsAway(t *testing.T) {
	t.Parallel()
	f, _ := function(t, "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200")
	var fe *lambdahost.FunctionError
	if _, err := f.Invoke(t.Context(), alarm(t, "lost")); !errors.As(err, &fe) {
		t.Errorf("Invoke without a store: %v, want an error of the function, so that Lambda delivers again", err)
	}
}

// TestAlarmSamples delivers the recorded alarms.
func TestAlarmSamples(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Samples(t)
	files, err := filepath.Glob(filepath.Join(dir, "aws-cloudwatch-alarm", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no samples of alarms in %s; set HAYATE_SAMPLES", dir)
	}
	f, _ := function(t, server.Database(t))
	done := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, second := invoke(t, f, b), invoke(t, f, b)
		switch {
		case len(first.Events) == 0:
			t.Errorf("%s: no event", file)
		case len(first.Events) != len(second.Events) || !second.Events[0].Duplicate || second.Events[0].ID != first.Events[0].ID:
			t.Errorf("%s: delivered again it gave %+v, at first %+v", file, second, first)
		default:
			done++
		}
	}
	t.Logf("%d samples, %d routed once", len(files), done)
}
