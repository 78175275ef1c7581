package shapes

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/aws/awstest"
	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// emulator has the queues and buckets of the functions.
var emulator awstest.Server

// names are the functions of template.yaml.
var names = []string{"ingest", "router", "runner", "workflow", "api", "desk"}

// serverless is template.yaml on this host: its functions behind queues of an
// emulator, on MongoDB, and a worker that receives from RabbitMQ and reports by
// HTTPS to the function api.
func serverless(t *testing.T) *place {
	e := newEffects(t)
	mongo, mq := database.Database(t), rabbit.VirtualHost(t)
	const token = "a-token-of-the-shapes"
	args := []string{"lambda", "local", "--template", filepath.Join(root(t), "template.yaml"), "--bin", functions(t), "--name", awstest.Name("shapes"),
		"--parameter", "AmqpUriSecretArn=arn:aws:secretsmanager:us-east-1:123456789012:secret:amqp"}
	for name, v := range map[string]string{"HAYATE_MONGODB_URI": mongo, "HAYATE_AMQP_URI": mq, "HAYATE_TOKEN": token, "HAYATE_PACKS": packs(t, e, "amqp:site"),
		"HAYATE_KEYS": filepath.Join(t.TempDir(), "keys"), "TMPDIR": t.TempDir()} {
		args = append(args, "--env", name+"="+v)
	}
	urls := start(t, 2, emulator.Env(t), args...)
	ingest, api := urls["IngestFunction"], urls["ApiFunction"]
	if ingest == nil || api == nil {
		t.Fatalf("the functions' URLs are %v", urls)
	}
	start(t, 1, nil, "worker", "--tag", "site", "--amqp", mq, "--report", api.String(), "--name", "site-1", "--data", filepath.Join(t.TempDir(), "worker"))
	// Two functions have URLs, where a process has one.
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to := api
		if r.In.Method == http.MethodPost && (r.In.URL.Path == "/v1/events" || strings.HasPrefix(r.In.URL.Path, "/v1/webhooks/")) {
			to = ingest
		}
		r.SetURL(to)
	}})
	t.Cleanup(front.Close)
	p := &place{hayatetest.At(front.URL, token), e}
	hayatetest.Eventually(t, patience, "the api answers", func() (bool, string) {
		r, err := p.Try(http.MethodGet, "/api/v1/rules", nil)
		return err == nil && r.Status == http.StatusOK, string(r.Body)
	})
	return p
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := hayatetest.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// functions builds the functions' binaries.
func functions(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", filepath.Join(dir, name, "bootstrap"), "./functions/"+name)
		cmd.Dir, cmd.Env = root(t), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// start starts a command of hayate that goes on until the test ends, waits for its
// first lines, and returns the URLs that they name.
func start(t *testing.T, lines int, env []string, args ...string) map[string]*url.URL {
	t.Helper()
	cmd := exec.Command(hayatetest.Binary(t), args...)
	cmd.Env, cmd.Dir = append(os.Environ(), env...), t.TempDir()
	var log syncBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan map[string]*url.URL, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		urls := map[string]*url.URL{}
		sc := bufio.NewScanner(out)
		for n := 1; sc.Scan(); n++ {
			if name, text, ok := strings.Cut(sc.Text(), " "); ok {
				if u, err := url.Parse(strings.TrimSpace(text)); err == nil && u.Host != "" {
					urls[name] = u
				}
			}
			if n == lines {
				found <- urls
			}
		}
		_ = cmd.Wait() // ended by the cleanup, or by itself, which the log shows
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-done
			t.Errorf("%s does not stop", args[0])
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", args[0], log.tail())
		}
	})
	select {
	case urls := <-found:
		return urls
	case <-done:
	case <-time.After(patience):
	}
	t.Fatalf("%s does not serve:\n%s", args[0], log.tail())
	return nil
}

// syncBuffer keeps what a process writes.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.String()
	const most = 20_000
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}
