package mongo_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

// long does not end of itself within a test, nor does what runs it.
const (
	long  = "version: 1.0\ntasks:\n  first: {action: steps.again, next: [{do: late}]}\n  late: {action: steps.once, delay: 3600}\n"
	outer = "version: 1.0\ntasks:\n  sub: {action: steps.long}\n"
)

// TestADeadlineInMongo ends workflows at their deadline in the store that processes
// share, where the process that stepped them lives and where it was killed: the run is a
// timeout, its sub-workflow and the task that waited are canceled, and the event of it is
// there once.
func TestADeadlineInMongo(t *testing.T) {
	var server mongotest.Server
	defer server.Stop()
	uri := server.Database(t)
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
	for _, kill := range []bool{false, true} {
		s := startStepper(t, uri, file)
		x, err := r.Start(t.Context(), router.Start{Action: "steps.outer", Deadline: time.Now().Add(8 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		await(t, s, "the last task waits", func() bool { return below(t, store, x.ID)["steps.once"] == hayate.StatusDelayed })
		if kill {
			s.kill()
			s = startStepper(t, uri, file)
		}
		await(t, s, "the run is over", func() bool {
			if x, err = r.Execution(t.Context(), x.ID); err != nil {
				t.Fatal(err)
			}
			return x.Status.Completed()
		})
		if x.Status != hayate.StatusTimeout || !strings.Contains(string(x.Result), "did not end by its deadline") {
			t.Errorf("killed %t: the run is %s with %s", kill, x.Status, x.Result)
		}
		await(t, s, "all below it is canceled", func() bool {
			all := below(t, store, x.ID)
			return all["steps.long"] == hayate.StatusCanceled && all["steps.once"] == hayate.StatusCanceled
		})
		var counts map[string]int
		await(t, s, "the event of it is there", func() bool {
			counts = about(t, store, x.ID)
			return counts["core.hayate.deadline_passed"] > 0
		})
		if counts["core.hayate.deadline_passed"] != 1 || counts["core.hayate.deadline_near"] > 1 {
			t.Errorf("killed %t: events %v; want the deadline passed once, the warning once at most", kill, counts)
		}
		s.kill()
	}
}

// about counts the events about an execution, by type.
func about(t *testing.T, store *mongo.Store, id hayate.ExecutionID) map[string]int {
	t.Helper()
	p, err := store.Events(t.Context(), router.Query{Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, rec := range p.Items {
		if strings.Contains(string(rec.Event.Data), string(id)) {
			out[rec.Event.Type]++
		}
	}
	return out
}

// below are the executions below a run, by action, with their status.
func below(t *testing.T, store *mongo.Store, id hayate.ExecutionID) map[hayate.Ref]hayate.Status {
	t.Helper()
	out := map[hayate.Ref]hayate.Status{}
	p, err := store.Executions(t.Context(), router.Query{Parent: id, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Items {
		out[x.Action] = x.Status
		for a, st := range below(t, store, x.ID) {
			out[a] = st
		}
	}
	return out
}

// await waits until something holds, for a minute and a half at most.
func await(t *testing.T, s *stepper, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(90 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-s.ended:
			t.Fatalf("%s: the process has ended: %s", what, s.said.String())
		case <-late:
			t.Fatalf("%s: not within 90 seconds", what)
		}
	}
}
