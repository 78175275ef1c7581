package lambdahost_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/lambdahost"
)

// The host is tested against Lambda's own runtime client in tests/serverless;
// here, a function speaks the Runtime API by hand.

const envFunction = "LAMBDAHOST_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(envFunction) == "" {
		os.Exit(m.Run())
	}
	if err := serve("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers a request that is none, which must be refused, and then each
// invocation with its own payload.
func serve(api string) error {
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			return err
		}
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if err := answer(api+"other/response", strings.NewReader("not for this request"), http.StatusBadRequest); err != nil {
			return err
		}
		res, err := http.Post(api+id+"/response", "application/json", next.Body)
		if err != nil {
			return err
		}
		res.Body.Close()
		next.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			return fmt.Errorf("the response was answered with %s", res.Status)
		}
	}
}

func answer(url string, body *strings.Reader, want int) error {
	res, err := http.Post(url, "application/json", body)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("%s was answered with %s, want %d", url, res.Status, want)
	}
	return nil
}

func TestRuntimeAPI(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	f, err := lambdahost.New(lambdahost.Config{Command: []string{self}, Env: []string{envFunction + "=1"}, Timeout: 10 * time.Second, Log: &log})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	for _, payload := range []string{`{"n":1}`, `"日本語"`, ``} {
		b, err := f.Invoke(t.Context(), []byte(payload))
		if err != nil || string(b) != payload {
			t.Errorf("Invoke %q gave %q, error %v; want it back", payload, b, err)
		}
	}
	if f.Starts() != 1 {
		t.Errorf("%d processes were started, want one for all", f.Starts())
	}
	if err := f.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if log.Len() != 0 {
		t.Errorf("the function complains: %s", log.String())
	}
}

func TestNewWithoutACommand(t *testing.T) {
	t.Parallel()
	if _, err := lambdahost.New(lambdahost.Config{}); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("New: %v, want invalid", err)
	}
}
