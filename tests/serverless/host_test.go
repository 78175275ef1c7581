package serverless_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/lambdahost"
)

// envFunction makes this test binary a function of Lambda's own runtime client,
// so that the host is tested against it.
const envFunction = "HAYATE_TEST_FUNCTION"

// runFunction is that function, in the mode that the variable says.
func runFunction(mode string) {
	switch mode {
	case "exit":
		os.Exit(3)
	case "init":
		lambda.Start("not a function")
	case "stream":
		lambda.Start(func(context.Context) (io.Reader, error) { return strings.NewReader(strings.Repeat("x", 1<<20)), nil })
	default:
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() {
			fmt.Println("asked to end")
			os.Exit(0)
		}))
	}
}

// hostRequest says what the function is to do.
type hostRequest struct {
	Do   string
	Text string
}

func handle(ctx context.Context, r hostRequest) (any, error) {
	switch r.Do {
	case "fail":
		return nil, errors.New("no luck: " + r.Text)
	case "panic":
		panic("out of my mind")
	case "exit":
		os.Exit(7)
	case "hang":
		<-make(chan struct{})
	case "large":
		return strings.Repeat("x", 7<<20), nil
	}
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return map[string]any{"text": r.Text, "id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "left": time.Until(deadline).Milliseconds(),
		"pid": os.Getpid(), "name": os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), "own": os.Getenv("OWN"), "home": os.Getenv("HOME")}, nil
}

// hosted returns a function in the given mode. It is closed when the test ends.
func hosted(t *testing.T, mode string, c lambdahost.Config) *lambdahost.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Command, c.Env = []string{self}, append(c.Env, envFunction+"="+mode)
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	f, err := lambdahost.New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

type hostAnswer struct {
	Text, ID, ARN, Name, Own, Home string
	Left, PID                      int
}

func answerOf(t *testing.T, f *lambdahost.Function, r hostRequest) hostAnswer {
	t.Helper()
	var a hostAnswer
	b, err := f.Invoke(t.Context(), payload(t, r))
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		t.Fatalf("Invoke %+v: %s, error %v", r, b, err)
	}
	return a
}

func payload(t *testing.T, r hostRequest) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHostInvoke(t *testing.T) {
	t.Parallel()
	f := hosted(t, "serve", lambdahost.Config{Name: "greeter", Env: []string{"OWN=mine"}})
	a := answerOf(t, f, hostRequest{Text: "疾風"})
	if a.Text != "疾風" || a.Name != "greeter" || a.Own != "mine" || a.Home != "" {
		t.Errorf("answer is %+v, want the text, the function's name and its own environment only", a)
	}
	if len(a.ID) != 36 || a.ARN != "arn:aws:lambda:us-east-1:123456789012:function:greeter" || a.Left < 1000 || a.Left > 60_000 {
		t.Errorf("answer is %+v, want a request id, an ARN and nearly a minute left", a)
	}
	b := answerOf(t, f, hostRequest{Text: "again"})
	if b.PID != a.PID || b.ID == a.ID || f.Starts() != 1 {
		t.Errorf("second answer is of process %d (%d started), request %s; want process %d and another request", b.PID, f.Starts(), b.ID, a.PID)
	}
}

func TestHostFailuresOfTheFunction(t *testing.T) {
	t.Parallel()
	f := hosted(t, "serve", lambdahost.Config{})
	pid := answerOf(t, f, hostRequest{}).PID
	var fe *lambdahost.FunctionError
	if _, err := f.Invoke(t.Context(), payload(t, hostRequest{"fail", "today"})); !errors.As(err, &fe) || fe.Message != "no luck: today" || fe.Type != "errorString" {
		t.Errorf("Invoke of a failure: %v, want the function's error", err)
	}
	if got := answerOf(t, f, hostRequest{}).PID; got != pid {
		t.Errorf("process %d after an error, want %d as before", got, pid)
	}
	if _, err := f.Invoke(t.Context(), payload(t, hostRequest{Do: "panic"})); !errors.As(err, &fe) || !strings.Contains(fe.Message, "out of my mind") {
		t.Errorf("Invoke of a panic: %v, want it reported", err)
	}
	if _, err := f.Invoke(t.Context(), payload(t, hostRequest{Do: "exit"})); !errors.Is(err, lambdahost.ErrExited) || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("Invoke of an exit: %v, want that the process ended, and how", err)
	}
	if got := answerOf(t, f, hostRequest{}).PID; got == pid {
		t.Error("the process is the same after it ended")
	}
	if b, err := hosted(t, "stream", lambdahost.Config{}).Invoke(t.Context(), []byte(`{}`)); err != nil || len(b) != 1<<20 {
		t.Errorf("Invoke of a stream gave %d bytes, error %v; want a mebibyte", len(b), err)
	}
	if _, err := f.Invoke(t.Context(), payload(t, hostRequest{Do: "large"})); err == nil {
		t.Error("an answer beyond the limit was taken")
	}
	if _, err := f.Invoke(t.Context(), make([]byte, 7<<20)); !errors.Is(err, hayate.ErrTooLarge) {
		t.Errorf("Invoke with a payload beyond the limit: %v, want too large", err)
	}
}

func TestHostTimeoutKillsTheProcess(t *testing.T) {
	t.Parallel()
	f := hosted(t, "serve", lambdahost.Config{Timeout: 300 * time.Millisecond})
	if _, err := f.Invoke(t.Context(), payload(t, hostRequest{Do: "hang"})); !errors.Is(err, lambdahost.ErrTimeout) {
		t.Errorf("Invoke: %v, want a time-out", err)
	}
	answerOf(t, f, hostRequest{})
	if f.Starts() != 2 {
		t.Errorf("%d processes were started, want a second one after the time-out", f.Starts())
	}
}

func TestHostKillInTheMiddle(t *testing.T) {
	t.Parallel()
	f := hosted(t, "serve", lambdahost.Config{})
	ended := make(chan error, 1)
	pid := answerOf(t, f, hostRequest{}).PID
	go func() {
		_, err := f.Invoke(t.Context(), payload(t, hostRequest{Do: "hang"}))
		ended <- err
	}()
	for {
		f.Kill()
		select {
		case err := <-ended:
			if !errors.Is(err, lambdahost.ErrExited) {
				t.Errorf("Invoke: %v, want that the process ended", err)
			}
			if got := answerOf(t, f, hostRequest{}).PID; got == pid {
				t.Error("the process is the same after it was killed")
			}
			return
		case <-time.After(10 * time.Millisecond): // the invocation had not begun
		}
	}
}

func TestHostConcurrency(t *testing.T) {
	t.Parallel()
	f := hosted(t, "serve", lambdahost.Config{Concurrency: 3})
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if _, err := f.Invoke(t.Context(), []byte(`{}`)); err != nil {
				t.Errorf("Invoke: %v", err)
			}
		})
	}
	wg.Wait()
	if n := f.Starts(); n < 1 || n > 3 {
		t.Errorf("%d processes were started, want at most 3", n)
	}
}

func TestHostProcessesThatCannotServe(t *testing.T) {
	t.Parallel()
	if _, err := hosted(t, "exit", lambdahost.Config{}).Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, lambdahost.ErrExited) {
		t.Errorf("Invoke of a binary that exits: %v, want that", err)
	}
	var fe *lambdahost.FunctionError
	if _, err := hosted(t, "init", lambdahost.Config{}).Invoke(t.Context(), []byte(`{}`)); !errors.As(err, &fe) {
		t.Errorf("Invoke of a binary without a handler: %v, want its report", err)
	}
	f, err := lambdahost.New(lambdahost.Config{Command: []string{"/nonexistent/bootstrap"}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Invoke of no binary: %v, want that it does not exist", err)
	}
	if _, err := lambdahost.New(lambdahost.Config{}); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("New without a command: %v, want invalid", err)
	}
}

func TestHostClose(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := hosted(t, "serve", lambdahost.Config{Log: &log})
	answerOf(t, f, hostRequest{})
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if !strings.Contains(log.String(), "asked to end") {
		t.Errorf("the function was not asked to end; its log is %q", log.String())
	}
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("Invoke after Close: %v, want busy", err)
	}
}

func TestHostContextEnds(t *testing.T) {
	t.Parallel()
	f := hosted(t, "serve", lambdahost.Config{})
	answerOf(t, f, hostRequest{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := f.Invoke(ctx, payload(t, hostRequest{Do: "hang"})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Invoke: %v, want that its context ended", err)
	}
	answerOf(t, f, hostRequest{})
}
