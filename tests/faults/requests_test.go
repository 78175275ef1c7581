package faults_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// problem is an answer that says what is wrong with a request.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field"`
}

func readProblem(t *testing.T, r hayatetest.Reply) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(r.Body, &p); err != nil {
		t.Fatalf("status %d, the answer is no JSON: %s", r.Status, r.Body)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("media type %q, want application/problem+json", ct)
	}
	if p.Status != r.Status || p.Title == "" || p.Detail == "" {
		t.Errorf("the problem is incomplete: %s", r.Body)
	}
	return p
}

// TestSizes: an event of exactly the limit is taken, one byte more is not.
func TestSizes(t *testing.T) {
	s := hayatetest.Start(t, hayatetest.Options{Packs: pack(t, noopRule)})
	const limit = 1 << 20
	data := func(n int) []byte { return []byte(`"` + strings.Repeat("a", n-2) + `"`) }
	send := func(id string, n int) hayatetest.Reply {
		return s.Do(t, http.MethodPost, "/v1/events", data(n), "Content-Type", "application/json",
			"ce-specversion", "1.0", "ce-id", id, "ce-source", "/test/sizes", "ce-type", "test.noop")
	}
	r := send("fits", limit)
	if r.Status != http.StatusAccepted {
		t.Fatalf("an event of 1 MiB: status %d, %s", r.Status, r.Body)
	}
	var a hayatetest.Accepted
	if err := json.Unmarshal(r.Body, &a); err != nil {
		t.Fatal(err)
	}
	if x := s.AwaitEnd(t, s.OfEvent(t, a.ID).ID, 20*time.Second); x.Status != "succeeded" {
		t.Errorf("its execution ended %s", x.Status)
	}
	var back struct {
		Payload string `json:"payload"`
	}
	if s.Get(t, "/api/v1/triggerinstances/"+a.ID, &back); len(back.Payload) != limit-2 {
		t.Errorf("%d bytes of it came back, want %d", len(back.Payload), limit-2)
	}
	r = send("too large", limit+1)
	if r.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("one byte more: status %d, want 413", r.Status)
	}
	if p := readProblem(t, r); !strings.Contains(p.Detail, fmt.Sprint(limit)) {
		t.Errorf("the problem does not name the limit: %s", p.Detail)
	}
	if r := s.Do(t, http.MethodPost, "/v1/webhooks/anything", data(limit+1), "Content-Type", "application/json"); r.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a webhook of one byte more: status %d, want 413", r.Status)
	}
	if n := s.Count(t, "triggerinstances", ""); n != 1 {
		t.Errorf("%d events are stored, want the one that fits", n)
	}
}

// TestDeepJSON: nesting without end is refused or survived, wherever it comes in.
func TestDeepJSON(t *testing.T) {
	s := hayatetest.Start(t, hayatetest.Options{Packs: pack(t, map[string]string{"rules/deep.yaml": `
name: deep
enabled: true
trigger: {type: test.deep}
criteria:
  trigger.a.b.c: {type: exists, pattern: ""}
action: {ref: core.echo, parameters: {message: "{{ trigger }}"}}
`})})
	for _, depth := range []int{900, 9_999, 200_000} {
		for _, form := range []struct{ open, end string }{{"[", "]"}, {`{"a":`, "}"}} {
			inner := "1"
			body := []byte(strings.Repeat(form.open, depth) + inner + strings.Repeat(form.end, depth))
			for _, path := range []string{"/v1/events", "/v1/webhooks/deep", "/v1/webhooks/github", "/api/v1/webhooks/st2"} {
				r := s.Do(t, http.MethodPost, path, body, "Content-Type", "application/json", "ce-specversion", "1.0",
					"ce-id", fmt.Sprint(depth, form.open), "ce-source", "/test/deep", "ce-type", "test.deep")
				if r.Status >= 500 {
					t.Errorf("%d times %s to %s: status %d, %s", depth, form.open, path, r.Status, r.Body)
				}
				if depth > 100_000 && r.Status < 400 {
					t.Errorf("%d times %s to %s: status %d, want a refusal", depth, form.open, path, r.Status)
				}
			}
		}
	}
	if r := s.Do(t, http.MethodGet, "/readyz", nil); r.Status != http.StatusOK {
		t.Errorf("the server is not ready any more: %d", r.Status)
	}
}

// TestInvalidCloudEvents: each mistake gets a 4xx whose problem names the field.
func TestInvalidCloudEvents(t *testing.T) {
	s := hayatetest.Start(t, hayatetest.Options{})
	const structured = hayatetest.Structured
	binary := func(header ...string) []string {
		return append([]string{"Content-Type", "application/json"}, header...)
	}
	for _, c := range []struct {
		name   string
		header []string
		body   string
		status int
		field  string
	}{
		{"binary without an id", binary("ce-specversion", "1.0", "ce-source", "/s", "ce-type", "t"), "{}", 400, "id"},
		{"binary without a source", binary("ce-specversion", "1.0", "ce-id", "1", "ce-type", "t"), "{}", 400, "source"},
		{"binary without a type", binary("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s"), "{}", 400, "type"},
		{"binary of another version", binary("ce-specversion", "0.3", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), "{}", 400, "specversion"},
		{"binary of no known version", binary("ce-specversion", "7", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), "{}", 400, "specversion"},
		{"binary with a bad time", binary("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t", "ce-time", "yesterday"), "{}", 400, "time"},
		{"binary with a bad source", binary("ce-specversion", "1.0", "ce-id", "1", "ce-source", "not a uri", "ce-type", "t"), "{}", 400, "source"},
		{"binary with data that is no JSON", binary("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), "{", 400, "data"},
		{"structured that is no JSON", []string{"Content-Type", structured}, "{", 400, ""},
		{"structured that is a list", []string{"Content-Type", structured}, "[]", 400, ""},
		{"structured without a version", []string{"Content-Type", structured}, `{"id":"1","source":"/s","type":"t"}`, 400, "specversion"},
		{"structured of another version", []string{"Content-Type", structured}, `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, 400, "specversion"},
		{"structured without an id", []string{"Content-Type", structured}, `{"specversion":"1.0","source":"/s","type":"t"}`, 400, "id"},
		{"structured with an empty id", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"","source":"/s","type":"t"}`, 400, "id"},
		{"structured without a source", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","type":"t"}`, 400, "source"},
		{"structured without a type", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","source":"/s"}`, 400, "type"},
		{"structured with a bad time", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"soon"}`, 400, "time"},
		{"structured with an id that is a number", []string{"Content-Type", structured}, `{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, 400, "id"},
		{"structured with both kinds of data", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"AA=="}`, 400, "data"},
		{"structured with bad base64", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"%"}`, 400, "data_base64"},
		{"structured with a bad extension name", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","source":"/s","type":"t","Bad_Name":"x"}`, 400, "Bad_Name"},
		{"structured with an object as an extension", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1","source":"/s","type":"t","extra":{}}`, 400, "extra"},
		{"structured with a control character", []string{"Content-Type", structured}, `{"specversion":"1.0","id":"1\u0007","source":"/s","type":"t"}`, 400, "id"},
		{"a batch that is no list", []string{"Content-Type", "application/cloudevents-batch+json"}, `{}`, 400, ""},
		{"a batch with one bad event", []string{"Content-Type", "application/cloudevents-batch+json"}, `[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"specversion":"1.0","id":"2","source":"/s"}]`, 400, "type"},
		{"a format that is not known", []string{"Content-Type", "application/cloudevents+avro"}, `x`, 415, ""},
		{"no CloudEvent at all", []string{"Content-Type", "application/json"}, `{"id":"1"}`, 400, "specversion"},
		{"no media type", nil, `hello`, 400, "specversion"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.Do(t, http.MethodPost, "/v1/events", []byte(c.body), c.header...)
			p := readProblem(t, r)
			if r.Status != c.status || p.Field != c.field {
				t.Errorf("status %d, field %q, want %d, %q: %s", r.Status, p.Field, c.status, c.field, r.Body)
			}
			if c.field != "" && !strings.Contains(strings.ToLower(p.Detail), strings.ToLower(c.field)) {
				t.Errorf("the detail does not name %s: %s", c.field, p.Detail)
			}
		})
	}
	var events []json.RawMessage
	if s.Get(t, "/v1/events", &events); len(events) != 0 {
		t.Errorf("%d events were stored of requests that were refused", len(events))
	}
}

// TestWrongMediaTypes: a webhook of a form that nobody reads is refused, a JSON one
// that is none too.
func TestWrongMediaTypes(t *testing.T) {
	s := hayatetest.Start(t, hayatetest.Options{Args: []string{"--shipped", "core,hello"}})
	for _, c := range []struct {
		path, mediaType, body string
		low, high             int
	}{
		{"/v1/webhooks/x", "application/json", "{", 400, 400},
		{"/v1/webhooks/x", "image/png", "\x89PNG", 400, 415},
		{"/v1/webhooks/x", "multipart/form-data", "x", 400, 415},
		{"/api/v1/webhooks/hello", "application/json", "{", 400, 400},
		{"/api/v1/webhooks/hello", "application/octet-stream", "\x00", 400, 415},
		{"/api/v1/executions", "application/json", "[", 400, 400},
		{"/api/v1/executions", "application/json", `{"action": 7}`, 400, 400},
	} {
		r := s.Do(t, http.MethodPost, c.path, []byte(c.body), "Content-Type", c.mediaType)
		if r.Status < c.low || r.Status > c.high {
			t.Errorf("POST %s of %s: status %d, want %d to %d: %s", c.path, c.mediaType, r.Status, c.low, c.high, r.Body)
		}
		var o map[string]any
		if err := json.Unmarshal(r.Body, &o); err != nil || (o["detail"] == nil && o["faultstring"] == nil) {
			t.Errorf("POST %s of %s: the answer tells nothing: %s", c.path, c.mediaType, r.Body)
		}
	}
}

// TestInFlightLimit: beyond the limit the answer is 429 at once, with the time to
// come back, and the health check still answers.
func TestInFlightLimit(t *testing.T) {
	s := hayatetest.Start(t, hayatetest.Options{Args: []string{"--max-in-flight", "1"}})
	// A request whose body does not come to its end takes the only place.
	hold := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "POST /v1/webhooks/slow HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"n\": 1", s.Addr)
		return c
	}
	answered := func(c net.Conn) bool { // it came while the place was still taken
		if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	held := hold()
	var event []byte
	var r hayatetest.Reply
	tries := 0
	hayatetest.Eventually(t, 20*time.Second, "another request is refused", func() (bool, string) {
		if answered(held) {
			held = hold()
		}
		tries++
		event = hayatetest.Event("/test/flight", fmt.Sprint(tries), "test.noop", "{}")
		r = s.Do(t, http.MethodPost, "/v1/events", event, "Content-Type", hayatetest.Structured)
		return r.Status == http.StatusTooManyRequests && !answered(held), fmt.Sprint(r.Status)
	})
	if r.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	readProblem(t, r)
	if r := s.Do(t, http.MethodGet, "/livez", nil); r.Status != http.StatusOK {
		t.Errorf("/livez: status %d while all places are taken", r.Status)
	}
	if err := held.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(held, `, "more": 1}`+" ")
	res, err := http.ReadResponse(bufio.NewReader(held), nil)
	if err != nil {
		t.Fatalf("the held request was not answered: %v", err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Errorf("the held request: status %d", res.StatusCode)
	}
	hayatetest.Eventually(t, 20*time.Second, "the event is taken once there is room", func() (bool, string) {
		status, a, err := s.Post(event)
		return err == nil && status == http.StatusAccepted && !a.Duplicate, fmt.Sprint(status, a, err)
	})
}

// TestSendersThatHangUp: whoever goes away without waiting for the answer leaves
// either nothing, or an event that is acted on.
func TestSendersThatHangUp(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{Packs: pack(t, noopRule)})
	const n = 200
	for i := range n {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%20)*100*time.Microsecond)
		body := string(hayatetest.Event("/test/hangup", fmt.Sprint(i), "test.noop", "{}"))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", hayatetest.Structured)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
		cancel()
	}
	for i := range n { // the sender comes back with all of them
		s.Send(t, hayatetest.Event("/test/hangup", fmt.Sprint(i), "test.noop", "{}"))
	}
	hayatetest.Eventually(t, 40*time.Second, "each event has its execution", func() (bool, string) {
		got := s.Count(t, "executions", "status=succeeded")
		return got == n, fmt.Sprintf("%d of %d", got, n)
	})
	if got := s.Count(t, "executions", ""); got != n {
		t.Errorf("%d executions for %d events", got, n)
	}
}

// TestSlowHeaders: a connection that never finishes its headers does not stay.
func TestSlowHeaders(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the server's ten seconds for headers")
	}
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{})
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /v1/events HTTP/1.1\r\nX-Slow: ")
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	for {
		if _, err := c.Read(b); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("the server still waits for the headers after 30 s")
			}
			return
		}
	}
}
