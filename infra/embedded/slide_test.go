package embedded_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
)

// wide makes a run of the which-th execution and steps it n times. Each step starts so many tasks, and ends those of the step
// before, but for one.
func wide(t *testing.T, s *embedded.Store, which, n, tasks int) hayate.ExecutionID {
	t.Helper()
	_, x := numbered(which)
	x.Event, x.Runner = "", "orquesta"
	if err := s.Commit(t.Context(), router.Change{Insert: []hayate.Execution{x}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	var running []hayate.Execution
	for i := range n {
		c := router.Change{Run: &router.RunDelta{ID: x.ID, From: int64(i), Head: fmt.Appendf(nil, `{"step":%d}`, i),
			Entries: map[string]json.RawMessage{fmt.Sprint("t", i): json.RawMessage(`{"a":1}`), "last": fmt.Append(nil, i)}}}
		for j := 1; j < len(running); j++ {
			y := running[j]
			y.Status, y.Result = hayate.StatusCanceled, json.RawMessage(`"over"`)
			c.Update, c.Told = append(c.Update, y), append(c.Told, y.ID)
		}
		running = running[:0]
		for j := range tasks {
			y := x
			y.ID, y.Parent = hayate.ChildExecutionID(x.Created, x.ID, i, j, 0), x.ID
			running = append(running, y)
		}
		c.Insert = running
		if err := s.Commit(t.Context(), c); err != nil {
			t.Fatalf("Commit of step %d: %v", i, err)
		}
	}
	return x.ID
}

// cutOff makes a store and a copy of it, as a crash would leave it, of whose journal
// the oldest rows have gone into the tables. The first run has ended before that, so that
// the tables have it whole, and the journal the last of its steps. An idle store settles
// all after a moment, so that more than one attempt may be needed.
func cutOff(t *testing.T, n, tasks int) (s *embedded.Store, dir string, runs []hayate.ExecutionID) {
	t.Helper()
	for range 20 {
		from := t.TempDir()
		s, dir = open(t, from), t.TempDir()
		fill(t, s, 3)
		runs = []hayate.ExecutionID{wide(t, s, 3, n, tasks), wide(t, s, 4, n/2, tasks)}
		db, err := sql.Open("sqlite", filepath.Join(from, "hayate.db"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec("VACUUM INTO ?", filepath.Join(dir, "hayate.db"))
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if db, err = sql.Open("sqlite", filepath.Join(dir, "hayate.db")); err != nil {
			t.Fatal(err)
		}
		var rows, version int
		err = db.QueryRow("SELECT count(*), (SELECT max(version) FROM runs) FROM journal").Scan(&rows, &version)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if version == n && rows > n/2+2 {
			return s, dir, runs
		}
		t.Logf("the journal has %d rows and the tables a run at %d of %d: once more", rows, version, n)
	}
	t.Fatal("no journal begins in the middle")
	return nil, "", nil
}

// TestJournalThatBeginsInTheMiddle opens such a copy: what the journal says of a run
// that the tables have already must not replace it.
func TestJournalThatBeginsInTheMiddle(t *testing.T) {
	t.Parallel()
	const n, tasks = 38, 200
	s, dir, runs := cutOff(t, n, tasks)
	for what, s := range map[string]*embedded.Store{"the original": s, "the copy": open(t, dir)} {
		for i, id := range runs {
			n := n / (i + 1)
			r, err := s.Run(t.Context(), id)
			if err != nil || r.Version != int64(n) || string(r.Head) != fmt.Sprintf(`{"step":%d}`, n-1) || len(r.Entries) != n+1 || string(r.Entries["last"]) != fmt.Sprint(n-1) {
				t.Errorf("%s has run %d at %d with %d entries, last %s, error %v; want all of %d steps", what, i, r.Version, len(r.Entries), r.Entries["last"], err, n)
			}
			p, err := s.Executions(t.Context(), router.Query{Parent: id, Status: []hayate.Status{hayate.StatusCanceled}})
			if want := (n - 1) * (tasks - 1); err != nil || p.Total != want {
				t.Errorf("%s has %d tasks of run %d that ended, error %v; want %d", what, p.Total, i, err, want)
			}
			p, err = s.Executions(t.Context(), router.Query{Parent: id})
			if err != nil || p.Total != n*tasks {
				t.Errorf("%s has %d tasks of run %d, error %v; want %d", what, p.Total, i, err, n*tasks)
			}
		}
		sw, err := s.Sweep(t.Context(), router.SweepQuery{Now: time.Now(), Limit: n * tasks})
		// Those of the events and of the runs, and of each run the tasks of the last step and one of each before.
		if want := 3 + 2 + 2*tasks + n - 1 + n/2 - 1; err != nil || what == "the copy" && len(sw.Dispatch) != want {
			t.Errorf("%s has %d executions to dispatch, error %v; want %d", what, len(sw.Dispatch), err, want)
		}
		for i := range 3 {
			e, _ := numbered(i)
			if rc, err := s.Accept(t.Context(), e, decided(router.Decision{})); err != nil || !rc.Duplicate {
				t.Errorf("%s accepts event %d again, error %v", what, i, err)
			}
		}
		if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("Check of %s found %q, error %v", what, found, err)
		}
	}
}
