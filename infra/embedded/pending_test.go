package embedded_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
)

// steps makes a run of a workflow and steps it n times; each step inserts a child
// and replaces an entry.
func steps(t *testing.T, s *embedded.Store, n int) hayate.ExecutionID {
	t.Helper()
	_, x := numbered(0)
	x.Event, x.Runner = "", "orquesta"
	if err := s.Commit(t.Context(), router.Change{Insert: []hayate.Execution{x}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	for i := range n {
		child := x
		child.ID, child.Parent = hayate.ChildExecutionID(x.Created, x.ID, i, -1, 0), x.ID
		err := s.Commit(t.Context(), router.Change{Insert: []hayate.Execution{child}, Run: &router.RunDelta{
			ID: x.ID, From: int64(i), Head: fmt.Appendf(nil, `{"step":%d}`, i), Wake: x.Created.Add(time.Duration(i+1) * time.Hour),
			Entries: map[string]json.RawMessage{fmt.Sprint("t", i): json.RawMessage(`{"a":1}`), "last": fmt.Append(nil, i)},
		}})
		if err != nil {
			t.Fatalf("Commit of step %d: %v", i, err)
		}
	}
	return x.ID
}

// TestJournalIsSettledWhenOpened copies a store whose tables lack what the journal
// has, as a crash would leave it.
func TestJournalIsSettledWhenOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Events(t.Context(), router.Query{}); err != nil { // so that nothing else is pending
		t.Fatal(err)
	}
	id := steps(t, s, 7)
	fill(t, s, 5)
	c := open(t, copyDir(t, dir))
	for what, s := range map[string]*embedded.Store{"the original": s, "the copy": c} {
		r, err := s.Run(t.Context(), id)
		if err != nil || r.Version != 7 || string(r.Head) != `{"step":6}` || len(r.Entries) != 8 || string(r.Entries["last"]) != "6" || string(r.Entries["t0"]) != `{"a":1}` {
			t.Errorf("%s has the run %+v, error %v; want the seventh step's", what, r, err)
		}
		p, err := s.Executions(t.Context(), router.Query{Parent: id, Limit: -1})
		if err != nil || p.Total != 7 {
			t.Errorf("%s has %d children, error %v; want 7", what, p.Total, err)
		}
		if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("Check of %s found %q, error %v", what, found, err)
		}
		err = s.Commit(t.Context(), router.Change{Run: &router.RunDelta{ID: id, From: 6, Head: []byte(`{}`)}})
		if !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("%s takes a step of an old version: %v", what, err)
		}
		err = s.Commit(t.Context(), router.Change{Run: &router.RunDelta{ID: id, Head: []byte(`{}`)}})
		if !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("%s lets the run be created again: %v", what, err)
		}
		child := p.Items[0]
		child.Status, child.Version = hayate.StatusFailed, 0
		if err := s.Commit(t.Context(), router.Change{Insert: []hayate.Execution{child}}); err != nil {
			t.Errorf("%s: an execution that exists is not ignored: %v", what, err)
		}
		if p, err := s.Executions(t.Context(), router.Query{IDs: []string{string(child.ID)}, Limit: 1}); err != nil || !reflect.DeepEqual(p.Items[0].Status, hayate.StatusScheduled) {
			t.Errorf("%s has replaced an execution that existed: %+v, %v", what, p.Items, err)
		}
	}
}

// TestExecutionThatCameAndWent goes through all in one settlement.
func TestExecutionThatCameAndWent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 6 {
		through(t, s, n, n%2 == 0)
	}
	st := stats(t, s)
	p, err := s.Executions(t.Context(), router.Query{Status: []hayate.Status{hayate.StatusSucceeded}, Limit: -1})
	if err != nil || p.Total != 6 || len(p.Items) != 6 || st.Executions["succeeded"] != 6 {
		t.Errorf("%d succeeded, %d listed, stats %v, error %v; want 6", p.Total, len(p.Items), st.Executions, err)
	}
	s = reopen(t, s, dir)
	if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("Check found %q, error %v", found, err)
	}
	for n := range 6 {
		e, _ := benchEvent(int64(n), true)
		if rc, err := s.Accept(t.Context(), e, decided(router.Decision{})); err != nil || !rc.Duplicate {
			t.Errorf("event %d is accepted again, error %v", n, err)
		}
	}
}

// toFirstFormat drops the tables that format 1 had not.
func toFirstFormat(t *testing.T, dir string) {
	t.Helper()
	first := []string{"meta", "keys", "forgetting", "events", "executions", "refs", "runs", "entries", "lines", "documents", "pairs", "leases"}
	db, err := sql.Open("sqlite", filepath.Join(dir, "hayate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // what fails is told by the statements
	rows, err := db.Query("SELECT name FROM sqlite_master WHERE type='table'")
	if err != nil {
		t.Fatal(err)
	}
	var later []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(first, name) {
			later = append(later, name)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range later {
		if _, err := db.Exec("DROP TABLE " + name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFirstFormatIsMigrated takes away what formats added since, and the mark of the format.
func TestFirstFormatIsMigrated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s, 3)
	id := steps(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	toFirstFormat(t, dir)
	alter(t, dir, "UPDATE meta SET value=1 WHERE name='format'")
	alter(t, dir, `UPDATE entries SET body='{"t0":[1],"last":0}'`) // as format 1 wrote them
	s = open(t, dir)
	if r, err := s.Run(t.Context(), id); err != nil || r.Version != 2 || string(r.Entries["t0"]) != "[1]" {
		t.Errorf("the run is %+v, error %v", r, err)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("Check found %q, error %v", found, err)
	}
	fill(t, s, 5)
	if st := stats(t, s); st.Events != 5 {
		t.Errorf("there are %d events, want 5", st.Events)
	}
}
