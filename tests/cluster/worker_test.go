package cluster

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fmt"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// outpost is a running hayate worker.
type outpost struct {
	cmd  *exec.Cmd
	args []string
	out  buffer
	done chan struct{}
	err  error
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startWorker starts a worker and waits until it receives.
func startWorker(t *testing.T, args ...string) *outpost {
	t.Helper()
	w := &outpost{args: args, done: make(chan struct{})}
	w.cmd = exec.Command(hayatetest.Binary(t), append([]string{"worker"}, args...)...)
	w.cmd.Stdout, w.cmd.Stderr, w.cmd.Dir = &w.out, &w.out, t.TempDir()
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.err = w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(func() {
		w.kill()
		if t.Failed() {
			t.Logf("log of the worker:\n%s", w.out.String())
		}
	})
	hayatetest.Eventually(t, 20*time.Second, "the worker receives", func() (bool, string) {
		select {
		case <-w.done:
			t.Fatalf("the worker ended: %v\n%s", w.err, w.out.String())
		default:
		}
		return strings.Contains(w.out.String(), " works as "), w.out.String()
	})
	return w
}

// kill ends the worker with SIGKILL.
func (w *outpost) kill() {
	_ = w.cmd.Process.Kill() // it may have ended
	<-w.done
}

// stop ends the worker as an operator does.
func (w *outpost) stop(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-w.done
	if w.err != nil {
		t.Errorf("the worker does not stop well: %v", w.err)
	}
}

func (c *cluster) worker(t *testing.T, data string, more ...string) *outpost {
	t.Helper()
	return startWorker(t, append([]string{"--tag", "tokyo", "--amqp", c.queue, "--name", "tokyo-1", "--data", data}, more...)...)
}

func TestAWorkerElsewherePerformsTasksOfItsTag(t *testing.T) {
	c := newCluster(t, rabbit.VirtualHost(t))
	s := c.start(t, c.packs(t))
	const n = 20
	for i := range n {
		s.Send(t, hayatetest.Event("//test", fmt.Sprint("far", i), "test.far", fmt.Sprintf(`{"n":"far%d"}`, i)))
	}
	data := filepath.Join(t.TempDir(), "worker")
	w := c.worker(t, data)
	awaitEnd(t, s, 30*time.Second, n)
	if got := s.Count(t, "executions", "status=succeeded"); got != n {
		t.Errorf("%d of %d succeeded", got, n)
	}
	if got := len(c.noted(t)); got != n {
		t.Errorf("%d effects, want %d", got, n)
	}
	for _, x := range s.Executions(t, "limit=1") {
		if x.Attempt != 1 {
			t.Errorf("%s has %d attempts", x.ID, x.Attempt)
		}
	}
	code, out, _ := s.CLI(t, "status")
	if code != 0 || !strings.Contains(out, "worker tokyo-1 on ") || !strings.Contains(out, "tags: tokyo") {
		t.Errorf("status ends with %d and does not name the worker:\n%s", code, out)
	}
	w.stop(t)
	left, err := filepath.Glob(filepath.Join(data, "spool", "*.json"))
	if err != nil || len(left) != 0 {
		t.Errorf("the spool still holds %v, %v", left, err)
	}
}

func TestAWorkerElsewhereIsCanceledAndDies(t *testing.T) {
	c := newCluster(t, rabbit.VirtualHost(t))
	s := c.start(t, c.packs(t))
	data := filepath.Join(t.TempDir(), "worker")
	w := c.worker(t, data)
	gate := filepath.Join(t.TempDir(), "gate")
	start := func(n string) string {
		code, out, errs := s.CLI(t, "run", "ops.slow", "n="+n, "until="+gate, "--async")
		if code != 0 {
			t.Fatalf("run: %s", errs)
		}
		return strings.TrimSpace(out)
	}
	begun := func(n string) {
		hayatetest.Eventually(t, 15*time.Second, n+" has begun", func() (bool, string) {
			got := c.noted(t)
			return got[n] == 1, fmt.Sprint(got)
		})
	}
	status := func(id, want string) {
		hayatetest.Eventually(t, 25*time.Second, id+" is "+want, func() (bool, string) {
			var x hayatetest.Execution
			s.Get(t, "/api/v1/executions/"+id, &x)
			return x.Status == want, fmt.Sprint(x.Status, x.Result)
		})
	}
	first := start("first")
	begun("first")
	if code, _, errs := s.CLI(t, "execution", "cancel", first); code != 0 {
		t.Fatalf("cancel: %s", errs)
	}
	status(first, "canceled")

	// The worker dies in the middle of an action. Its next process says so at once:
	// nobody waits for the lease, and the effect is not repeated.
	second := start("second")
	begun("second")
	w.kill()
	w = c.worker(t, data)
	status(second, "abandoned")

	// A stopped worker lets what runs end.
	third := start("third")
	begun("third")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.stop(t)
	status(third, "succeeded")
}

func TestAWorkerElsewhereReportsByHTTPS(t *testing.T) {
	c := newCluster(t, rabbit.VirtualHost(t))
	s := c.start(t, c.packs(t), "--role", "api") // nobody answers claims over RabbitMQ
	c.worker(t, filepath.Join(t.TempDir(), "worker"), "--report", s.URL)
	const n = 5
	for i := range n {
		s.Send(t, hayatetest.Event("//test", fmt.Sprint("far", i), "test.far", fmt.Sprintf(`{"n":"far%d"}`, i)))
	}
	awaitEnd(t, s, 30*time.Second, n)
	if got := s.Count(t, "executions", "status=succeeded"); got != n || len(c.noted(t)) != n {
		t.Errorf("%d of %d succeeded, with %d effects", got, n, len(c.noted(t)))
	}
	for _, token := range []string{"", "stolen"} {
		r := s.Do(t, "POST", "/v1/worker", []byte(`{"kind":"complete","id":"1","worker":"x","claim":"c","execution":"65f0c1a0b1c2d3e4f5a6b7c8","attempt":1,"result":{"Status":"succeeded"}}`), "Authorization", "Bearer "+token)
		if r.Status != 403 {
			t.Errorf("with the token %q the answer is %d: %s", token, r.Status, r.Body)
		}
	}
}
