package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/noop"
)

// open seals nothing.
type open struct{}

func (open) Seal(s string) (string, error) { return s, nil }
func (open) Open(s string) (string, error) { return s, nil }

// away is a registry that cannot be reached.
type away struct{ router.Registry }

func (away) List(context.Context, string, int64) ([]router.Document, int64, error) {
	return nil, 0, fmt.Errorf("the registry is away: %w", hayate.ErrBusy)
}

// content has a rule for every event of type example.happened, that runs core.noop,
// and one that runs an action that this function has no runner for.
func content() router.Content {
	rule := func(name, action string) hayate.Rule {
		return hayate.Rule{Pack: "suite", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: "example.happened"},
			Actions: []hayate.RuleAction{{Ref: hayate.Ref(action)}}}
	}
	return router.Content{
		Packs: []router.Pack{{Ref: "core"}, {Ref: "suite"}},
		Rules: []hayate.Rule{rule("does-nothing", "core.noop"), rule("elsewhere", "suite.elsewhere")},
		Actions: []hayate.Action{
			{Pack: "core", Name: "noop", Runner: "noop", Enabled: true},
			{Pack: "suite", Name: "elsewhere", Runner: "remote-shell-cmd", Enabled: true},
		},
	}
}

type fixture struct {
	*aws.Function
	store *memory.Store
	rt    *router.Router
}

func newFunction(t *testing.T, registry router.Registry, now func() time.Time) fixture {
	t.Helper()
	store := memory.New()
	rt, err := router.New(router.Config{Store: store, Queue: memory.NewQueue(memory.QueueConfig{}), Registry: registry, Datastore: memory.NewDatastore(),
		Blobs: memory.NewBlobs(), Secrets: open{}, Runners: []router.Runner{noop.New()}, Workers: -1, Worker: "this", Now: now})
	if err != nil {
		t.Fatalf("router.New: %v", err)
	}
	f, err := aws.NewFunction(aws.FunctionConfig{Router: rt, Content: content(), Now: now})
	if err != nil {
		t.Fatalf("NewFunction: %v", err)
	}
	return fixture{f, store, rt}
}

func clock() time.Time { return time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC) }

// cloudEvent is an event in CloudEvents' own form.
func cloudEvent(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"//suite","type":"example.happened","data":{"n":1}}`, id)
}

// statuses returns the status of each execution by its action.
func (f fixture) statuses(t *testing.T) map[hayate.Ref][]hayate.Status {
	t.Helper()
	p, err := f.store.Executions(t.Context(), router.Query{Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	m := map[hayate.Ref][]hayate.Status{}
	for _, x := range p.Items {
		m[x.Action] = append(m[x.Action], x.Status)
	}
	return m
}

func TestInvokeDoesWhatItCan(t *testing.T) {
	t.Parallel()
	f := newFunction(t, memory.NewRegistry(), clock)
	for n, duplicate := range []bool{false, true} {
		out, err := f.Invoke(t.Context(), json.RawMessage(cloudEvent("1")))
		if err != nil {
			t.Fatalf("Invoke: %v", err)
		}
		if o := out.(aws.Outcome); len(o.Events) != 1 || o.Events[0].Duplicate != duplicate {
			t.Errorf("delivery %d gave %+v, want one event, known before: %t", n, o, duplicate)
		}
		got := fmt.Sprint(f.statuses(t))
		if want := "map[core.noop:[succeeded] suite.elsewhere:[scheduled]]"; got != want {
			t.Errorf("delivery %d left %s, want %s", n, got, want)
		}
	}
}

func TestRepeatedInvocationRepeatsEventsWithoutAnID(t *testing.T) {
	t.Parallel()
	f := newFunction(t, memory.NewRegistry(), clock)
	for n, request := range []string{"a", "a", "b"} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: request})
		out, err := f.Invoke(ctx, json.RawMessage(`{"free":"form"}`))
		if err != nil {
			t.Fatalf("Invoke: %v", err)
		}
		if o := out.(aws.Outcome); len(o.Events) != 1 || o.Events[0].Duplicate != (n == 1) {
			t.Errorf("invocation %d gave %+v, want a new event but for the repeated request", n, o)
		}
	}
}

func TestInvokeOfABatch(t *testing.T) {
	t.Parallel()
	record := func(id, body, group string) string {
		attributes := `{}`
		if group != "" {
			attributes = fmt.Sprintf(`{"MessageGroupId":%q,"SequenceNumber":"1"}`, group)
		}
		return fmt.Sprintf(`{"messageId":%q,"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:q","body":%q,"attributes":%s}`, id, body, attributes)
	}
	tooLarge := strings.Repeat("x", 1<<20+1)
	for name, c := range map[string]struct {
		group, want string
		done        int
	}{
		"without order, the others are done":     {"", `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`, 2},
		"in order, what follows a failure waits": {"g", `{"batchItemFailures":[{"itemIdentifier":"m2"},{"itemIdentifier":"m3"}]}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFunction(t, memory.NewRegistry(), clock)
			batch := `{"Records":[` + record("m1", cloudEvent("1"), c.group) + "," + record("m2", tooLarge, c.group) + "," + record("m3", cloudEvent("3"), c.group) + "]}"
			out, err := f.Invoke(t.Context(), json.RawMessage(batch))
			if err != nil {
				t.Fatalf("Invoke: %v", err)
			}
			b, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != c.want {
				t.Errorf("answer is %s, want %s", b, c.want)
			}
			if got := len(f.statuses(t)["core.noop"]); got != c.done {
				t.Errorf("%d messages were done, want %d", got, c.done)
			}
		})
	}
}

func TestInvokeWithoutTheStore(t *testing.T) {
	t.Parallel()
	f := newFunction(t, away{memory.NewRegistry()}, clock)
	if _, err := f.Invoke(t.Context(), json.RawMessage(cloudEvent("1"))); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("Invoke: %v, want busy, so that it is delivered again", err)
	}
	if got := f.statuses(t); len(got) != 0 {
		t.Errorf("something was done without the rules: %v", got)
	}
}

func TestInvokeTakesOverOperatorsChanges(t *testing.T) {
	t.Parallel()
	now := clock()
	registry := memory.NewRegistry()
	f := newFunction(t, registry, func() time.Time { return now })
	deliver := func(id string) {
		t.Helper()
		if _, err := f.Invoke(t.Context(), json.RawMessage(cloudEvent(id))); err != nil {
			t.Fatalf("Invoke: %v", err)
		}
	}
	deliver("1")
	other := newFunction(t, registry, func() time.Time { return now })
	if _, err := other.Invoke(t.Context(), json.RawMessage(cloudEvent("0"))); err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	if _, err := other.rt.SetRuleEnabled(t.Context(), "suite.does-nothing", false); err != nil {
		t.Fatalf("SetRuleEnabled: %v", err)
	}
	deliver("2") // within the minute
	now = now.Add(time.Minute)
	deliver("3")
	if got := len(f.statuses(t)["core.noop"]); got != 2 {
		t.Errorf("the rule fired %d times, want twice: it was disabled elsewhere a minute ago", got)
	}
}

// TestDrainSettlesWhatAnotherLeft has another worker hold the execution, die, and
// its lease run out.
func TestDrainSettlesWhatAnotherLeft(t *testing.T) {
	t.Parallel()
	now := clock()
	f := newFunction(t, memory.NewRegistry(), func() time.Time { return now })
	if err := f.rt.Load(t.Context(), content()); err != nil {
		t.Fatal(err)
	}
	rc, err := f.rt.Accept(t.Context(), hayate.Event{ID: "1", Source: "//suite", Type: "example.happened"})
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	for _, x := range rc.Executions {
		if x.Action != "core.noop" {
			continue
		}
		if _, err := f.store.Claim(t.Context(), router.Claim{Execution: x.ID, Worker: "other", At: now, Until: now.Add(time.Minute)}); err != nil {
			t.Fatalf("Claim: %v", err)
		}
	}
	if err := f.rt.Drain(t.Context(), rc.ID); !errors.Is(err, hayate.ErrBusy) || !strings.Contains(err.Error(), "held by other") {
		t.Errorf("Drain while another holds it: %v, want busy and who", err)
	}
	now = now.Add(2 * time.Minute)
	if err := f.rt.Drain(t.Context(), rc.ID); err != nil {
		t.Errorf("Drain once the lease ran out: %v", err)
	}
	if got := fmt.Sprint(f.statuses(t)["core.noop"]); got != "[succeeded]" {
		t.Errorf("the execution is %s, want succeeded", got)
	}
}

func ExampleFunction_Invoke() {
	rt, err := router.New(router.Config{Store: memory.New(), Queue: memory.NewQueue(memory.QueueConfig{}), Registry: memory.NewRegistry(),
		Datastore: memory.NewDatastore(), Blobs: memory.NewBlobs(), Secrets: open{}, Runners: []router.Runner{noop.New()}, Workers: -1, Now: clock})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := aws.NewFunction(aws.FunctionConfig{Router: rt, Content: content(), Now: clock})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A main would hand f.Invoke to lambda.Start.
	out, err := f.Invoke(context.Background(), json.RawMessage(cloudEvent("1")))
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := json.Marshal(out)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(b))
	// Output: {"events":[{"id":"6b0559185052c17aa9d56a64"}]}
}
