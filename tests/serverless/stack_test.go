package serverless_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/aws/sqs"
	"github.com/hayate-run/hayate/infra/lambdahost"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/aws/awstest"
)

// The whole of template.yaml: the five functions as they are deployed, behind
// queues of an emulator, on a MongoDB.

// emulator has the queues and buckets of all tests.
var emulator awstest.Server

// token lets the tests in.
const token = "a-token-for-the-tests"

// marks counts the effects of stories, by the path that was asked for.
type marks struct {
	*httptest.Server
	mu sync.Mutex
	n  map[string]int
}

func newMarks(t *testing.T) *marks {
	t.Helper()
	m := &marks{n: map[string]int{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.n[r.URL.Path]++
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *marks) counts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.n)
}

// storyMarks are those of one whole story.
var storyMarks = []string{"one", "many-1", "many-2", "many-3", "two"}

// stack is a stack that serves.
type stack struct {
	*lambdahost.Stack
	t     *testing.T
	store *mongo.Store
	marks *marks
}

// newStack deploys template.yaml on this host.
func newStack(t *testing.T, c lambdahost.StackConfig, env map[string]string) *stack {
	t.Helper()
	c.Session = emulator.Session(t)
	uri := server.Database(t)
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Template, err = lambdahost.ReadTemplate("template.yaml", text, nil); err != nil {
		t.Fatalf("ReadTemplate: %v", err)
	}
	packs, err := filepath.Abs("testdata/packs")
	if err != nil {
		t.Fatal(err)
	}
	c.Name = awstest.Name("st")
	c.Env = map[string]string{"HAYATE_MONGODB_URI": uri, "HAYATE_PACKS": packs, "HAYATE_TOKEN": token, "HAYATE_KEYS": filepath.Join(t.TempDir(), "keys"), "TMPDIR": t.TempDir()}
	maps.Copy(c.Env, env)
	c.Command = func(id string) []string {
		path, err := binaryOf(strings.ToLower(strings.TrimSuffix(id, "Function")))
		if err != nil {
			t.Errorf("build: %v", err)
		}
		return []string{path}
	}
	var out bytes.Buffer
	c.Output = &out
	st, err := lambdahost.NewStack(c)
	if err != nil {
		t.Fatalf("NewStack: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- st.Run(ctx, func(*lambdahost.Stack) { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		t.Fatalf("Run: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			t.Logf("the functions wrote:\n%s", tail(out.String(), 20_000))
		}
		if strings.Contains(out.String(), token) || strings.Contains(out.String(), uri) {
			t.Error("the functions wrote a secret into their log")
		}
	})
	return &stack{st, t, open(t, uri), newMarks(t)}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// call makes a request and returns the status and the answer.
func (s *stack) call(method, url, body string, header map[string]string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

var bearer = map[string]string{"Authorization": "Bearer " + token}

// story is the event that begins a story; more makes its data larger.
func (s *stack) story(id string, more int) string {
	s.t.Helper()
	return string(marshal(s.t, map[string]any{"specversion": "1.0", "id": id, "source": "//test", "type": "story.begun",
		"data": map[string]string{"url": s.marks.URL, "id": id, "more": strings.Repeat("x", more)}}))
}

// post posts a story to ingest.
func (s *stack) post(id string, more int) {
	s.t.Helper()
	if status, answer := s.call("POST", s.URL("IngestFunction")+"v1/events", s.story(id, more), bearer); status != http.StatusAccepted {
		s.t.Fatalf("ingest answered %d %s, want 202", status, answer)
	}
}

// roots waits until as many executions of rules have ended, and returns them.
func (s *stack) roots(n int, limit time.Duration) []hayate.Execution {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		p, err := s.store.Executions(s.t.Context(), router.Query{NoParent: true, Limit: -1})
		if err != nil {
			s.t.Fatalf("Executions: %v", err)
		}
		ended := 0
		for _, x := range p.Items {
			if x.Status.Completed() {
				ended++
			}
		}
		if ended == n && len(p.Items) == n {
			return p.Items
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			all, _ := s.store.Executions(s.t.Context(), router.Query{Limit: -1})
			for _, x := range all.Items {
				s.t.Logf("%s %s %s attempt %d of %s", x.ID, x.Action, x.Status, x.Attempt, x.Parent)
			}
			s.t.Fatalf("%d executions of rules, %d of them ended; want %d", len(p.Items), ended, n)
		}
	}
}

func TestStories(t *testing.T) {
	t.Parallel()
	s := newStack(t, lambdahost.StackConfig{}, nil)
	s.post("first", 0)
	s.post("first", 0) // once more
	s.post("large", 300<<10)
	// A topic and a bus send to the queue itself.
	to := sqs.NewSender(emulator.SQS(t), s.URL("EventQueue"))
	if err := to.Send(t.Context(), aws.Message{Body: s.story("queued", 0)}); err != nil {
		t.Fatalf("Send: %v", err)
	}
	for _, x := range s.roots(3, time.Minute) {
		if x.Status != hayate.StatusSucceeded || string(x.Result) != `{"output":{"status":200}}` {
			t.Errorf("story %s is %s with %s, want success", x.ID, x.Status, x.Result)
		}
	}
	counts := s.marks.counts()
	for _, id := range []string{"first", "large", "queued"} {
		for _, m := range storyMarks {
			if n := counts["/"+id+"/"+m]; n != 1 {
				t.Errorf("story %s left the mark %s %d times, want once", id, m, n)
			}
		}
	}
	settled(t, s.store)
	s.faces()
}

// faces asks the functions' URLs as clients do.
func (s *stack) faces() {
	t := s.t
	ingest, api := s.URL("IngestFunction"), s.URL("ApiFunction")
	for _, c := range []struct {
		method, url, body string
		header            map[string]string
		status            int
		want              string
	}{
		{"GET", api + "api/v1/executions?limit=1", "", bearer, 200, `"status":"succeeded"`},
		{"GET", api + "api/v1/executions", "", nil, 401, "token"},
		{"GET", api + "readyz", "", nil, 200, `"store":"ok"`},
		{"POST", api + "v1/callbacks", `{"token":"made up"}`, nil, 403, "callback"},
		{"POST", ingest + "v1/events", s.story("x", 0), nil, 401, "token or signature"},
		{"POST", ingest + "v1/events", `{"specversion":"1.0"}`, bearer, 400, "id"},
		{"POST", ingest + "v1/events", s.story("x", 1<<20), bearer, 413, "limit"},
		{"POST", ingest + "api/v1/webhooks/st2", `{}`, bearer, 404, "api function"},
		{"GET", ingest + "v1/events", "", bearer, 405, "posted"},
		{"GET", ingest + "livez", "", nil, 200, "ok"},
	} {
		if status, answer := s.call(c.method, c.url, c.body, c.header); status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s: %d %s, want %d with %q", c.method, c.url, status, tail(answer, 300), c.status, c.want)
		}
	}
	status, answer := s.call("POST", api+"api/v1/executions", `{"action":"core.noop","parameters":{}}`, bearer)
	if status != 201 {
		t.Errorf("starting an action: %d %s, want 201", status, answer)
	}
	for _, x := range s.roots(4, time.Minute) {
		if x.Status != hayate.StatusSucceeded {
			t.Errorf("%s is %s, want success", x.Action, x.Status)
		}
	}
}

// TestUnreliable has messages come twice, in disorder and refused, and functions
// killed in the middle of their work.
func TestUnreliable(t *testing.T) {
	t.Parallel()
	s := newStack(t, lambdahost.StackConfig{Unreliable: true, Visibility: 2 * time.Second, Concurrency: 3}, map[string]string{"HAYATE_LEASE": "3s", "HAYATE_TICK": "1s"})
	const stories = 12
	var killer sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	killer.Go(func() {
		tick := time.NewTicker(700 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.Function([]string{"RouterFunction", "RunnerFunction", "WorkflowFunction"}[n%3]).Kill()
			}
		}
	})
	for n := range stories {
		s.post(fmt.Sprint("story-", n), 0)
	}
	ticking(t, s, &killer, ctx)
	list := s.roots(stories, 90*time.Second)
	cancel()
	killer.Wait()
	succeeded := 0
	counts := s.marks.counts()
	for path, n := range counts {
		if n != 1 {
			t.Errorf("the mark %s was left %d times: an effect was repeated", path, n)
		}
	}
	for _, x := range list {
		var p struct{ ID string }
		if err := json.Unmarshal(x.Parameters, &p); err != nil {
			t.Fatal(err)
		}
		if x.Status != hayate.StatusSucceeded {
			continue
		}
		succeeded++
		for _, m := range storyMarks {
			if counts["/"+p.ID+"/"+m] != 1 {
				t.Errorf("%s succeeded without its mark %s", p.ID, m)
			}
		}
	}
	events, err := s.store.Events(t.Context(), router.Query{Limit: -1})
	if err != nil || len(events.Items) != stories {
		t.Errorf("%d events, %v; want %d", len(events.Items), err, stories)
	}
	all, err := s.store.Executions(t.Context(), router.Query{Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	ends := map[hayate.Status]int{}
	for _, x := range all.Items {
		if ends[x.Status]++; !x.Status.Completed() {
			t.Errorf("%s %s is %s, want an end", x.ID, x.Action, x.Status)
		}
	}
	t.Logf("%d of %d stories succeeded, executions: %v, cold starts: router %d, runner %d, workflow %d", succeeded, stories, ends,
		s.Function("RouterFunction").Starts(), s.Function("RunnerFunction").Starts(), s.Function("WorkflowFunction").Starts())
}

// ticking ticks the workflow function every second: the template's clock ticks
// every minute, which is too long for a test.
func ticking(t *testing.T, s *stack, group *sync.WaitGroup, ctx context.Context) {
	t.Helper()
	group.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = s.Function("WorkflowFunction").Invoke(ctx, []byte(`{"hayate":"tick"}`)) // it may be killed
			}
		}
	})
}
