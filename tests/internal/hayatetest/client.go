package hayatetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// newClient returns a client that keeps a connection for each of many callers.
func newClient() *http.Client {
	return &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute},
	}
}

// Accepted is the answer to an event.
type Accepted struct {
	ID         string `json:"id"`
	EventID    string `json:"event_id"`
	Duplicate  bool   `json:"duplicate"`
	Executions int    `json:"executions"`
}

// Execution is what tests look at of an execution.
type Execution struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Action struct {
		Ref string `json:"ref"`
	} `json:"action"`
	Result          map[string]any    `json:"result"`
	Parameters      map[string]any    `json:"parameters"`
	TriggerInstance map[string]any    `json:"trigger_instance"`
	Attempt         int               `json:"attempt"`
	Verified        bool              `json:"verified"`
	Trace           string            `json:"trace"`
	Start           string            `json:"start_timestamp"`
	End             string            `json:"end_timestamp"`
	Elapsed         float64           `json:"elapsed_seconds"`
	Log             []ExecutionStatus `json:"log"`
}

// ExecutionStatus is an entry of an execution's log.
type ExecutionStatus struct {
	Timestamp string `json:"timestamp"`
	Status    string `json:"status"`
}

// Ended says whether an execution is over.
func (x *Execution) Ended() bool {
	switch x.Status {
	case "succeeded", "failed", "timeout", "abandoned", "canceled":
		return true
	}
	return false
}

// Event makes the body of a CloudEvent in structured mode.
func Event(source, id, typ, data string) []byte {
	b, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": source, "type": typ,
		"datacontenttype": "application/json", "data": json.RawMessage(data)})
	if err != nil {
		panic(err) // data is written by the test
	}
	return b
}

// Structured is the media type of what Event makes.
const Structured = "application/cloudevents+json"

// Post sends an event; an error says that no answer came, and anything but 202 is
// left to the caller.
func (s *Server) Post(body []byte) (status int, a Accepted, err error) {
	r, err := s.Try(http.MethodPost, "/v1/events", body, "Content-Type", Structured)
	if err != nil || r.Status != http.StatusAccepted {
		return r.Status, a, err
	}
	return r.Status, a, json.Unmarshal(r.Body, &a)
}

// Send sends an event that must be accepted.
func (s *Server) Send(t testing.TB, body []byte) Accepted {
	t.Helper()
	status, a, err := s.Post(body)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("send event: status %d, %v", status, err)
	}
	return a
}

// Reply is an answer, read whole.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request. header holds names and values in turn.
func (s *Server) Do(t testing.TB, method, path string, body []byte, header ...string) Reply {
	t.Helper()
	r, err := s.Try(method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Try is Do for a server that may not answer. A header Host becomes the request's.
func (s *Server) Try(method, path string, body []byte, header ...string) (Reply, error) {
	req, err := http.NewRequest(method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	if s.Token != "" {
		req.Header.Set("X-Auth-Token", s.Token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return Reply{res.StatusCode, res.Header, b}, err
}

// Get reads a JSON value that must be there.
func (s *Server) Get(t testing.TB, path string, into any) http.Header {
	t.Helper()
	r := s.Do(t, http.MethodGet, path, nil)
	if r.Status != http.StatusOK {
		t.Fatalf("GET %s: status %d, %s", path, r.Status, r.Body)
	}
	if err := json.Unmarshal(r.Body, into); err != nil {
		t.Fatalf("GET %s: %v in %.200s", path, err, r.Body)
	}
	return r.Header
}

// Count is how many executions fit a query such as "status=succeeded".
func (s *Server) Count(t testing.TB, list, query string) int {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q.Set("limit", "1")
	var some []json.RawMessage
	h := s.Get(t, "/api/v1/"+list+"?"+q.Encode(), &some)
	n, err := strconv.Atoi(h.Get("X-Total-Count"))
	if err != nil {
		t.Fatalf("list %s: X-Total-Count: %v", list, err)
	}
	return n
}

// Executions lists the executions that fit a query, all of them, page by page.
func (s *Server) Executions(t testing.TB, query string) []Execution {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	const page = 5000
	q.Set("limit", strconv.Itoa(page))
	q.Set("sort_asc", "true")
	var all []Execution
	for {
		q.Set("offset", strconv.Itoa(len(all)))
		var some []Execution
		s.Get(t, "/api/v1/executions?"+q.Encode(), &some)
		all = append(all, some...)
		if len(some) < page {
			return all
		}
	}
}

// Execution reads one execution.
func (s *Server) Execution(t testing.TB, id string) Execution {
	t.Helper()
	var x Execution
	s.Get(t, "/api/v1/executions/"+url.PathEscape(id), &x)
	return x
}

// OfEvent returns the one execution that an event led to, once it has come.
func (s *Server) OfEvent(t testing.TB, event string) Execution {
	t.Helper()
	xs := s.Executions(t, "trigger_instance="+event)
	if len(xs) != 1 {
		t.Fatalf("event %s has %d executions, want one", event, len(xs))
	}
	return xs[0]
}

// Start asks for an execution of an action and returns its id.
func (s *Server) Start(t testing.TB, action string, parameters map[string]any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"action": action, "parameters": parameters})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Do(t, http.MethodPost, "/api/v1/executions", body, "Content-Type", "application/json")
	var x Execution
	if err := json.Unmarshal(r.Body, &x); r.Status != http.StatusCreated || err != nil {
		t.Fatalf("start %s: status %d, %s", action, r.Status, r.Body)
	}
	return x.ID
}

// Await waits until an execution is in one of the statuses, and returns it.
func (s *Server) Await(t testing.TB, id string, limit time.Duration, statuses ...string) Execution {
	t.Helper()
	var x Execution
	Eventually(t, limit, fmt.Sprintf("execution %s is %v", id, statuses), func() (bool, string) {
		x = s.Execution(t, id)
		for _, st := range statuses {
			if x.Status == st {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%s, result %v", x.Status, x.Result)
	})
	return x
}

// AwaitEnd waits until an execution has ended, and returns it.
func (s *Server) AwaitEnd(t testing.TB, id string, limit time.Duration) Execution {
	t.Helper()
	return s.Await(t, id, limit, "succeeded", "failed", "timeout", "abandoned", "canceled")
}
