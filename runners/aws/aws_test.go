package aws_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/aws"
	"github.com/hayate-run/hayate/tests/aws/awstest"
)

var emulator awstest.Server

func TestMain(m *testing.M) {
	code := m.Run()
	emulator.Stop()
	os.Exit(code)
}

// run performs a task of a runner with its parameters as JSON.
func run(t *testing.T, session sdk.Config, runner, parameters string) (hayate.Status, string) {
	t.Helper()
	r := aws.New(aws.Config{Session: func(context.Context) (sdk.Config, error) { return session, nil }, CallbackURL: "https://api.example/v1/callbacks",
		Now: func() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) }})
	res, err := r.Run(t.Context(), hayate.Task{Execution: "6924a5f00000000000000001", Attempt: 2, IdempotencyKey: "the-key", Callback: "the-token",
		Action: hayate.Action{Runner: runner, EntryPoint: "resize"}, Parameters: json.RawMessage(`{"width":10}`), RunnerParameters: json.RawMessage(parameters)}, nil)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return res.Status, string(res.Value)
}

// received is the next message of a queue.
func received(t *testing.T, url string) (body string, attributes map[string]string) {
	t.Helper()
	out, err := emulator.SQS(t).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("ReceiveMessage: %v, %d messages; want one", err, len(out.Messages))
	}
	attributes = map[string]string{}
	for k, v := range out.Messages[0].MessageAttributes {
		attributes[k] = *v.StringValue
	}
	return *out.Messages[0].Body, attributes
}

func TestMessages(t *testing.T) {
	t.Parallel()
	session, url := emulator.Session(t), emulator.Queue(t, nil)
	arn := emulator.ARN(t, url)

	status, value := run(t, session, aws.SQS, fmt.Sprintf(`{"queue_url":%q,"message":"hello","attributes":{"n":1}}`, url))
	if body, attrs := received(t, url); status != hayate.StatusSucceeded || !strings.Contains(value, "message_id") || body != "hello" || attrs["n"] != "1" || attrs[aws.KeyAttribute] != "the-key" {
		t.Errorf("sqs: %s %s, received %q with %v", status, value, body, attrs)
	}

	topic := awstest.Name("topic")
	made, err := sns.NewFromConfig(session).CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &topic})
	if err != nil {
		t.Fatal(err)
	}
	protocol := "sqs"
	if _, err := sns.NewFromConfig(session).Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: &protocol, Endpoint: &arn}); err != nil {
		t.Fatal(err)
	}
	status, value = run(t, session, aws.SNS, fmt.Sprintf(`{"topic_arn":%q,"message":"to all","subject":"news"}`, *made.TopicArn))
	if body, _ := received(t, url); status != hayate.StatusSucceeded || !strings.Contains(body, `"to all"`) || !strings.Contains(body, `"news"`) {
		t.Errorf("sns: %s %s, received %q", status, value, body)
	}

	bus := eventbridge.NewFromConfig(session)
	rule, pattern, id := awstest.Name("rule"), fmt.Sprintf(`{"source":[%q]}`, topic), "1"
	if _, err := bus.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &rule, EventPattern: &pattern}); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &rule, Targets: []ebtypes.Target{{Id: &id, Arn: &arn}}}); err != nil {
		t.Fatal(err)
	}
	status, value = run(t, session, aws.EventBridge, fmt.Sprintf(`{"event_bus":"default","source":%q,"detail_type":"Backup Done","detail":{"size":5}}`, topic))
	if body, _ := received(t, url); status != hayate.StatusSucceeded || !strings.Contains(value, "event_id") || !strings.Contains(body, `"Backup Done"`) {
		t.Errorf("eventbridge: %s %s, received %q", status, value, body)
	}
}

func TestMessageToNobody(t *testing.T) {
	t.Parallel()
	status, value := run(t, emulator.Session(t), aws.SQS, fmt.Sprintf(`{"queue_url":%q,"message":"x"}`, emulator.Endpoint(t)+"/000000000000/none"))
	if status != hayate.StatusFailed || !strings.Contains(value, "error") {
		t.Errorf("got %s %s, want a failure with the reason", status, value)
	}
}

// functions is Lambda's API of invocations, with an answer for each function.
func functions(t *testing.T, seen chan<- *http.Request, answers map[string]func(w http.ResponseWriter, body []byte)) sdk.Config {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.Split(r.URL.Path, "/")[3]
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- r
		answers[name](w, body)
	}))
	t.Cleanup(srv.Close)
	url := srv.URL
	return sdk.Config{Region: "eu-west-1", BaseEndpoint: &url, Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	})}
}

func TestLambda(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 100)
	throttled := 0
	echo := func(w http.ResponseWriter, body []byte) {
		w.Header().Set("X-Amz-Executed-Version", "3")
		fmt.Fprintf(w, "%s", body)
	}
	session := functions(t, seen, map[string]func(http.ResponseWriter, []byte){
		"resize": echo,
		"broken": func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, `{"errorType":"ValueError","errorMessage":"no such image"}`)
		},
		"busy": func(w http.ResponseWriter, body []byte) {
			if throttled++; throttled < 3 {
				w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
				w.WriteHeader(http.StatusTooManyRequests)
				fmt.Fprint(w, `{"message":"Rate Exceeded."}`)
				return
			}
			echo(w, body)
		},
		"away": func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("X-Amzn-Errortype", "ServiceException")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"message":"internal"}`)
		},
	})
	for _, c := range []struct {
		name, parameters string
		status           hayate.Status
		value            string
		calls            int
	}{
		{"the action's parameters go to its entry point", `{}`, hayate.StatusSucceeded, `{"payload":{"width":10},"status_code":200,"version":"3"}`, 1},
		{"another payload", `{"payload":{"a":1}}`, hayate.StatusSucceeded, `{"payload":{"a":1},"status_code":200,"version":"3"}`, 1},
		{"the function fails", `{"function":"broken"}`, hayate.StatusFailed, `"error":"ValueError: no such image"`, 1},
		{"it is throttled", `{"function":"busy"}`, hayate.StatusSucceeded, `"width":10`, 3},
		{"nobody knows whether it ran: not again", `{"function":"away"}`, hayate.StatusFailed, `internal`, 1},
		{"a mode that is none", `{"mode":"later"}`, hayate.StatusFailed, `found \"later\"`, 0},
		{"it is only accepted", `{"mode":"async"}`, hayate.StatusSucceeded, `"status_code":200`, 1},
		{"it calls back", `{"mode":"callback","callback_timeout":60}`, hayate.StatusPending, `"expires":"2026-11-24T09:01:00Z"`, 1},
	} {
		status, value := run(t, session, aws.Lambda, c.parameters)
		if status != c.status || !strings.Contains(value, c.value) {
			t.Errorf("%s: got %s %s, want %s with %s", c.name, status, value, c.status, c.value)
		}
		if len(seen) != c.calls {
			t.Errorf("%s: %d calls, want %d", c.name, len(seen), c.calls)
		}
		for len(seen) > 0 {
			r := <-seen
			if text := r.Header.Get("X-Amz-Client-Context"); text != "" {
				b, err := base64.StdEncoding.DecodeString(text)
				if err != nil || !strings.Contains(string(b), `"hayate_idempotency_key":"the-key"`) {
					t.Errorf("%s: client context %s, %v", c.name, b, err)
				}
			}
		}
	}
}

func TestCallbackIsTold(t *testing.T) {
	t.Parallel()
	var got struct {
		Width  int
		Hayate map[string]string
	}
	session := functions(t, make(chan *http.Request, 1), map[string]func(http.ResponseWriter, []byte){"resize": func(w http.ResponseWriter, body []byte) {
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	}})
	run(t, session, aws.Lambda, `{"mode":"callback"}`)
	if got.Width != 10 || got.Hayate["token"] != "the-token" || got.Hayate["url"] != "https://api.example/v1/callbacks" || got.Hayate["hayate_attempt"] != "2" {
		t.Errorf("the function got %+v, want its parameters and how to call back", got)
	}
}
