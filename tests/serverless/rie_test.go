package serverless_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// envRIE names Amazon's Runtime Interface Emulator, which aws-sam-cli carries:
// tests/aws/build.sh takes it out of there.
const envRIE = "HAYATE_TEST_RIE"

// rie finds the emulator.
func rie(t *testing.T) string {
	t.Helper()
	path := os.Getenv(envRIE)
	if path == "" {
		path = "../aws/target/aws-lambda-rie"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("HAYATE_REQUIRE_SERVERS") == "1" {
			t.Fatalf("no Runtime Interface Emulator, and HAYATE_REQUIRE_SERVERS=1 demands it: %v", err)
		}
		t.Skipf("no Runtime Interface Emulator: %v; run tests/aws/build.sh, or set %s", err, envRIE)
	}
	return path
}

// TestAmazonsOwnEmulator runs each function behind the emulator of the Runtime API
// that Amazon ships, so that our host is not the only judge.
func TestAmazonsOwnEmulator(t *testing.T) {
	t.Parallel()
	path := rie(t)
	uri := server.Database(t)
	queue := emulator.Queue(t, nil)
	env := append(emulator.Env(t), "HAYATE_MONGODB_URI="+uri, "HAYATE_QUEUES=local="+queue+" workflow="+queue, "HAYATE_EVENT_QUEUE="+queue, "HAYATE_TOKEN="+token,
		"TMPDIR="+t.TempDir(), "AWS_LAMBDA_FUNCTION_TIMEOUT=60")
	request := func(path string) string {
		return `{"version":"2.0","rawPath":"` + path + `","headers":{"authorization":"Bearer ` + token + `"},"requestContext":{"http":{"method":"GET","path":"` + path + `","sourceIp":"192.0.2.1"},"domainName":"x.lambda-url.us-east-1.on.aws"}}`
	}
	event := `{"specversion":"1.0","id":"1","source":"//rie","type":"example.happened"}`
	for name, c := range map[string]struct{ payload, want string }{
		"ingest":   {event, `"event_id":"1"`},
		"router":   {event, `{"events":[{"id":"`},
		"runner":   {`{"Records":[{"messageId":"m","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q","body":"{\"execution\":\"6924a5f00000000000000001\"}"}]}`, `{"batchItemFailures":[]}`},
		"workflow": {`{"hayate":"tick"}`, `{"status":"ticked"}`},
		"api":      {request("/readyz"), `"statusCode":200`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary, err := binaryOf(name)
			if err != nil {
				t.Fatal(err)
			}
			url := startRIE(t, path, binary, env)
			// An emulator that has no function yet says so with a status of its own.
			answer := post(t, url, c.payload)
			if !strings.Contains(answer, c.want) {
				t.Errorf("%s answered %s, want %s", name, answer, c.want)
			}
			if again := post(t, url, c.payload); !strings.Contains(again, c.want) {
				t.Errorf("%s answered the second time %s, want %s", name, again, c.want)
			}
		})
	}
}

// startRIE starts the emulator with a function and returns where to invoke it. Its
// port is taken beforehand, since it takes the one it is told.
func startRIE(t *testing.T, rie, binary string, env []string) string {
	t.Helper()
	addr, runtime := freePort(t), freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, rie, "--runtime-interface-emulator-address", addr, "--runtime-api-address", runtime, binary)
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the emulator: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed: the error says so
		if t.Failed() {
			t.Logf("the emulator wrote:\n%s", tail(log.String(), 4000))
		}
	})
	return "http://" + addr + "/2015-03-31/functions/function/invocations"
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// post invokes the function, waiting for the emulator where it is not up yet.
func post(t *testing.T, url, payload string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the emulator does not answer: %v", err)
		}
	}
}
