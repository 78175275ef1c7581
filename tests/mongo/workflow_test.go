package mongo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

const (
	// envStepper makes the test binary a process that steps workflows: it names the
	// database; envEffects the file that its actions append to.
	envStepper = "HAYATE_MONGO_STEPPER"
	envEffects = "HAYATE_MONGO_EFFECTS"
	// envEvery is how many commands lie between two kills; 1 kills at every one.
	envEvery = "HAYATE_MONGO_KILL_EVERY"
)

func TestMain(m *testing.M) {
	if uri := os.Getenv(envStepper); uri != "" {
		if err := step(uri, os.Getenv(envEffects)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// appender is a runner that appends the execution's id to a file.
type appender struct{ file string }

func (*appender) Describe() []hayate.Runner { return []hayate.Runner{{Name: "append"}} }

func (a *appender) Run(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	f, err := os.OpenFile(a.file+"."+t.Action.Name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return hayate.Result{}, err
	}
	defer f.Close() // what was written is in the file
	if _, err := f.WriteString(string(t.Execution) + "\n"); err != nil {
		return hayate.Result{}, err
	}
	return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, nil
}

// flow has a fan-out, a loop that comes to its join again, and an effect that must
// not happen twice.
const flow = `
version: 1.0
vars: [{n: 1}]
tasks:
  first: {action: steps.again, next: [{do: [once, turn]}]}
  once: {action: steps.once, next: [{do: joined}]}
  turn: {action: steps.again, next: [{do: [left, right]}]}
  left: {action: steps.again, next: [{do: meet}]}
  right: {action: steps.again, next: [{do: meet}]}
  meet:
    join: all
    action: steps.again
    next:
      - {when: <% ctx(n) < 2 %>, publish: [{n: <% ctx(n) + 1 %>}], do: turn}
      - {when: <% ctx(n) >= 2 %>, do: joined}
  joined: {join: all, action: steps.again}
`

// tasks are the executions below the workflow, by action.
var tasks = map[hayate.Ref]int{"steps.again": 1 + 2*4 + 1, "steps.once": 1}

// stepRouter returns a router that knows the workflow.
func stepRouter(ctx context.Context, store *mongo.Store, workers int, file string) (*router.Router, error) {
	r, err := router.New(router.Config{Store: store, Queue: store.Queue(), Registry: store.Registry(), Datastore: store.Datastore(), Blobs: store.Blobs(),
		Secrets: plain{}, Runners: []router.Runner{&appender{file}}, RunnerTypes: []hayate.Runner{{Name: "orquesta"}},
		Workers: workers, SweepEvery: 100 * time.Millisecond, Lease: 600 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	c := router.Content{Workflows: map[hayate.Ref][]byte{"steps.flow": []byte(flow), "steps.long": []byte(long), "steps.outer": []byte(outer)}}
	for name := range c.Workflows {
		c.Actions = append(c.Actions, hayate.Action{Pack: "steps", Name: name.Name(), Runner: "orquesta", Enabled: true, EntryPoint: "workflows/x.yaml"})
	}
	for _, name := range []string{"once", "again"} {
		c.Actions = append(c.Actions, hayate.Action{Pack: "steps", Name: name, Runner: "append", Enabled: true, Idempotent: name == "again"})
	}
	return r, r.Load(ctx, c)
}

// step is a process that steps workflows and performs their tasks until it is killed.
func step(uri, file string) error {
	ctx := context.Background()
	store, err := mongo.Open(ctx, mongo.Config{URI: uri, Poll: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	r, err := stepRouter(ctx, store, 4, file)
	if err != nil {
		return err
	}
	return r.Run(ctx, time.Second)
}

// stepper is such a process.
type stepper struct {
	cmd   *exec.Cmd
	ended chan struct{}
	said  strings.Builder
}

func startStepper(t *testing.T, uri, file string) *stepper {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &stepper{cmd: exec.Command(exe), ended: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), envStepper+"="+uri, envEffects+"="+file)
	s.cmd.Stderr = &s.said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // it is killed
		close(s.ended)
	}()
	return s
}

func (s *stepper) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

// TestWorkflowOutlivesItsStepper kills the process that steps a workflow at its
// commands to the store in turn, before the server has carried one out and after,
// and lets another go on. Each time the workflow ends, no task is there twice, and
// the effect that must not be repeated has happened at most once.
func TestWorkflowOutlivesItsStepper(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	var server mongotest.Server
	defer server.Stop()
	uri := server.Database(t)
	p := mongotest.NewProxy(t, uri)
	store, err := mongo.Open(t.Context(), mongo.Config{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() // nothing is lost with it
	file := filepath.Join(t.TempDir(), "effects")
	r, err := stepRouter(t.Context(), store, -1, file)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t, r: r, file: file}

	p.Arm(mongotest.Cut{})
	id := w.start()
	s := startStepper(t, p.URI, file) // through the proxy, which counts
	w.await(id, s)
	commands := p.Seen()
	s.kill()
	w.check(id)
	every := max(commands/8, 1)
	if v := os.Getenv(envEvery); v != "" {
		if every, err = strconv.Atoi(v); err != nil || every < 1 {
			t.Fatalf("%s is %q, want a number of at least 1", envEvery, v)
		}
	}
	kills := 0
	at := map[string]int{}
	for n := 1; n <= commands; n += every {
		for _, after := range []bool{false, true} {
			id := w.start()
			var s *stepper
			killed, hit := make(chan string, 1), make(chan struct{})
			p.Arm(mongotest.Cut{At: n, After: after, Dead: true, Then: func(command string) {
				<-hit // s is set
				killed <- command
				_ = s.cmd.Process.Kill()
			}})
			s = startStepper(t, p.URI, file)
			close(hit)
			if w.endsOr(id, s, killed, at) {
				kills++
			}
			s.kill()
			p.Arm(mongotest.Cut{})
			next := startStepper(t, uri, file)
			w.await(id, next)
			next.kill()
			w.check(id)
		}
	}
	if kills == 0 {
		t.Error("the process was never killed in the middle")
	}
	t.Logf("%d commands undisturbed; killed %d times, at %v; %d effects were in doubt", commands, kills, at, w.abandoned)
	// The last stepper was killed, perhaps in the middle of its last step: a sweep
	// finishes that.
	if _, err := store.Sweep(t.Context(), router.SweepQuery{Now: time.Now(), Limit: 100}); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if found, err := store.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("a check found %q, error %v", found, err)
	}
}

// watched looks at workflows from outside.
type watched struct {
	t         *testing.T
	r         *router.Router
	file      string
	abandoned int
}

func (w *watched) start() hayate.ExecutionID {
	w.t.Helper()
	x, err := w.r.Start(w.t.Context(), router.Start{Action: "steps.flow"})
	if err != nil {
		w.t.Fatalf("Start: %v", err)
	}
	return x.ID
}

// ended says whether the workflow and its tasks are over.
func (w *watched) ended(id hayate.ExecutionID) bool {
	w.t.Helper()
	x, err := w.r.Execution(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("Execution: %v", err)
	}
	if !x.Status.Completed() {
		return false
	}
	// The task that ended it may be written last.
	p, err := w.r.Executions(w.t.Context(), router.Query{Parent: id, Status: unfinished()})
	if err != nil {
		w.t.Fatalf("Executions: %v", err)
	}
	return p.Total == 0
}

// await waits until the workflow has ended.
func (w *watched) await(id hayate.ExecutionID, s *stepper) {
	w.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !w.ended(id) {
		select {
		case <-tick.C:
		case <-s.ended:
			w.t.Fatalf("the process that was to go on has ended: %s", s.said.String())
		case <-deadline.C:
			s.kill()
			w.t.Fatalf("workflow %s has not ended after a minute: %s", id, s.said.String())
		}
	}
}

// endsOr waits until the process is killed, or the workflow has ended without it, or
// the process has, whom the server kept waiting.
func (w *watched) endsOr(id hayate.ExecutionID, s *stepper, killed <-chan string, at map[string]int) bool {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case command := <-killed:
			at[command]++
			return true
		case <-s.ended:
			select {
			case command := <-killed:
				at[command]++
				return true
			default:
				return false
			}
		case <-tick.C:
			if w.ended(id) {
				return false
			}
		}
	}
}

// check holds the workflow's tasks against what they have done.
func (w *watched) check(id hayate.ExecutionID) {
	w.t.Helper()
	x, err := w.r.Execution(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.r.Executions(w.t.Context(), router.Query{Parent: id, Limit: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	got := map[hayate.Ref]int{}
	lost := 0
	for _, c := range p.Items {
		got[c.Action]++
		n := w.effects(c)
		switch {
		case c.Action == "steps.once" && n > 1:
			w.t.Errorf("the effect of %s happened %d times", c.ID, n)
		case c.Status == hayate.StatusSucceeded && n == 0:
			w.t.Errorf("%s of %s succeeded without its effect", c.ID, c.Action)
		case c.Status == hayate.StatusAbandoned && c.Action == "steps.once":
			lost++
		case c.Status != hayate.StatusSucceeded:
			w.t.Errorf("%s of %s is %s: %s", c.ID, c.Action, c.Status, c.Result)
		}
	}
	w.abandoned += lost
	if x.Status != hayate.StatusSucceeded || !maps.Equal(got, tasks) {
		w.t.Errorf("workflow %s ended %s with the tasks %v, %d in doubt; want it succeeded with %v: %s", id, x.Status, got, lost, tasks, x.Result)
	}
}

// effects counts the lines of an execution.
func (w *watched) effects(x hayate.Execution) int {
	b, err := os.ReadFile(w.file + "." + x.Action.Name())
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.TrimSpace(line) == string(x.ID) {
			n++
		}
	}
	return n
}
