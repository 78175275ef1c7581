package e2e_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// raw sends bytes as they are and returns the beginning of the answer.
func raw(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestBrokenBodies: what arrives broken is the sender's mistake, and nobody is called
// for it.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{})
	head := "POST /v1/webhooks/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	for name, text := range map[string]string{
		"a chunk without length":              head + "Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
		"a chunk that is longer than 64 bits": head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
		"less than was announced":             head + "Content-Length: 100\r\n\r\n{",
	} {
		if got := raw(t, s.Addr, text); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%s: got %.80q, want 400", name, got)
		}
	}
	if log := s.Log(); strings.Contains(log, "level=ERROR") {
		t.Errorf("the log calls for somebody: %s", log)
	}
}

// TestValuesThatNoClientReads: what would make clients fail on a whole list is
// refused, and what is merely odd spoils no list.
func TestValuesThatNoClientReads(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{})
	deep := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	for _, data := range []string{deep, strings.Repeat("9", 5000)} {
		if r := s.Do(t, http.MethodPost, "/v1/events", hayatetest.Event("/t", "x", "t.t", data), "Content-Type", hayatetest.Structured); r.Status != http.StatusBadRequest {
			t.Errorf("event with %.20s…: status %d, want 400", data, r.Status)
		}
		body := `{"action": "core.noop", "context": {"x": ` + data + `}}`
		if r := s.Do(t, http.MethodPost, "/api/v1/executions", []byte(body)); r.Status != http.StatusBadRequest {
			t.Errorf("execution with %.20s…: status %d, want 400", data, r.Status)
		}
		x := s.AwaitEnd(t, s.Start(t, "core.local", map[string]any{"cmd": "echo '" + data + "'"}), time.Minute)
		if _, text := x.Result["stdout"].(string); !text {
			t.Errorf("the command's output %.20s… is taken for a value: %.80v", data, x.Result)
		}
	}
	if r := s.Do(t, http.MethodPost, "/v1/events", []byte("{\"specversion\":\"1.0\",\"id\":\"u\",\"source\":\"/t\",\"type\":\"t.t\",\"data\":{\"a\":\"\xff\"}}"), "Content-Type", hayatetest.Structured); r.Status != http.StatusBadRequest {
		t.Errorf("data that is not UTF-8: status %d, want 400", r.Status)
	}
	r := s.Do(t, http.MethodPost, "/api/v1/webhooks/st2", []byte("{x"))
	if want := `Failed to parse request body: invalid character`; !strings.Contains(string(r.Body), want) {
		t.Errorf("got %s, want it to say %q", r.Body, want)
	}
	body := `{"action": "core.noop", "context": {"huge": 1e999, "user": "root"}}`
	if r := s.Do(t, http.MethodPost, "/api/v1/executions", []byte(body)); r.Status != http.StatusCreated {
		t.Fatalf("a number that no float holds: status %d: %s", r.Status, r.Body)
	} else if strings.Contains(string(r.Body), `"user":"root"`) {
		t.Errorf("an execution was started in another's name: %s", r.Body)
	}
	for _, args := range [][]string{{"execution", "list"}, {"execution", "get", "last"}, {"event", "list"}} {
		if code, _, errs := s.CLI(t, args...); code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
	}
}

// TestStrangersTakeNoPlaces: whoever holds requests open without being known keeps
// neither those who are known, nor health checks, nor the operator from being served.
func TestStrangersTakeNoPlaces(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{Args: []string{"--max-in-flight", "4"}})
	for range 12 {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /v1/callbacks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	hayatetest.Eventually(t, time.Minute, "strangers are refused", func() (bool, string) {
		r := s.Do(t, http.MethodPost, "/v1/callbacks", []byte("{}"))
		return r.Status == http.StatusTooManyRequests, string(r.Body)
	})
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/v1/status", "/api/v1/executions"} {
		if r := s.Do(t, http.MethodGet, path, nil); r.Status != http.StatusOK {
			t.Errorf("GET %s: status %d, want 200: %s", path, r.Status, r.Body)
		}
	}
}
