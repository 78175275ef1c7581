package embedded_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
)

func stats(t *testing.T, s *embedded.Store) router.Stats {
	t.Helper()
	st, err := s.Stats(t.Context())
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	return st
}

// through takes one event through the store.
func through(t *testing.T, s *embedded.Store, n int, idempotent bool) {
	t.Helper()
	e, x := benchEvent(int64(n), idempotent)
	if _, err := s.Accept(t.Context(), e, decided(router.Decision{Executions: []hayate.Execution{x}})); err != nil {
		t.Fatalf("Accept: %v", err)
	}
	x, err := s.Claim(t.Context(), router.Claim{Execution: x.ID, Worker: "w", At: e.AcceptedAt, Until: e.AcceptedAt.Add(time.Minute)})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	err = s.Complete(t.Context(), router.Completion{Hold: router.Hold{Execution: x.ID, Attempt: 1, Worker: "w"}, At: e.AcceptedAt,
		Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}})
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
}

func TestEventCostsTwoCommitsOrThree(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for n, c := range []struct {
		idempotent bool
		want       int64
	}{{true, 2}, {false, 3}} {
		before := stats(t, s).Commits
		through(t, s, n, c.idempotent)
		if got := stats(t, s).Commits - before; got != c.want {
			t.Errorf("an event whose action is idempotent: %t cost %d commits, want %d", c.idempotent, got, c.want)
		}
	}
}

func TestRefusalsCostNoCommit(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	through(t, s, 1, false)
	before := stats(t, s)
	_, x := benchEvent(1, false)
	if _, err := s.Claim(t.Context(), router.Claim{Execution: x.ID, Worker: "w"}); err == nil {
		t.Error("a second claim was granted")
	}
	if err := s.Commit(t.Context(), router.Change{Update: []hayate.Execution{{ID: x.ID, Version: 77}}}); err == nil {
		t.Error("a stale update was committed")
	}
	if after := stats(t, s); after.Commits != before.Commits || after.Writes != before.Writes {
		t.Errorf("refusals cost %d commits", after.Commits-before.Commits)
	}
}

func TestWritersShareCommits(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for n := range 4 {
				through(t, s, w*100+n, true)
			}
		})
	}
	wg.Wait()
	st := stats(t, s)
	if st.Writes != 512 || st.Commits*2 > st.Writes {
		t.Errorf("%d writes of 64 writers took %d commits, want 512 writes in less than half as many", st.Writes, st.Commits)
	}
	t.Logf("%d writes of 64 writers in %d commits", st.Writes, st.Commits)
}

func TestBackupOfStoreInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "store"))
	fill(t, s, 50)
	ref, err := s.Blobs().Put(t.Context(), strings.NewReader("a large result"))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1000; !stop.Load(); n++ {
			through(t, s, n, true)
		}
	})
	copied := filepath.Join(dir, "copy")
	err = s.Backup(t.Context(), copied)
	stop.Store(true)
	wg.Wait()
	if err != nil {
		t.Fatalf("Backup: %v", err)
	}
	if err := s.Backup(t.Context(), copied); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second backup to the same place gives %v, want a refusal", err)
	}
	b := open(t, copied)
	if found, err := b.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("Check of the copy found %q, error %v", found, err)
	}
	if st := stats(t, b); st.Events < 50 || st.Blobs != 1 {
		t.Errorf("the copy has %d events and %d blobs, want at least 50 and one", st.Events, st.Blobs)
	}
	r, err := b.Blobs().Get(t.Context(), ref.Hash)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	r.Close() // only opened
}

func TestPurgedRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for n := range 40 {
				e := hayate.Event{ID: fmt.Sprint(w, "-", n), Source: "//big", Type: "t", AcceptedAt: at, DataContentType: "text/plain", Data: make([]byte, 16<<10)}
				if _, err := s.Accept(t.Context(), e, decided(router.Decision{})); err != nil {
					t.Errorf("Accept: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s = reopen(t, s, dir) // so that the log is empty
	full := stats(t, s)
	for range 100 {
		n, err := s.Purge(t.Context(), router.PurgeQuery{Before: at.Add(time.Second), ForgetKeys: at.Add(time.Second), Limit: 200})
		if err != nil {
			t.Fatalf("Purge: %v", err)
		}
		if n == 0 {
			break
		}
	}
	for range 20 { // each gives back a bounded number of pages
		if _, err := s.Purge(t.Context(), router.PurgeQuery{Limit: 1}); err != nil {
			t.Fatalf("Purge: %v", err)
		}
	}
	s = reopen(t, s, dir)
	rest := stats(t, s)
	if rest.Events != 0 || rest.Keys != 0 {
		t.Errorf("%d events and %d keys remain", rest.Events, rest.Keys)
	}
	if rest.Bytes > full.Bytes/2 {
		t.Errorf("%d bytes remain of %d although nothing is left", rest.Bytes, full.Bytes)
	}
	t.Logf("%d bytes with 640 events, %d after", full.Bytes, rest.Bytes)
}

func TestLateOpenIsFast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s, 50)
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for n := range 30 {
				e, x := numbered(1000 + w*100 + n)
				if _, err := s.Accept(t.Context(), e, decided(router.Decision{Executions: []hayate.Execution{x}})); err != nil {
					t.Errorf("Accept: %v", err)
				}
			}
		})
	}
	wg.Wait()
	began := time.Now()
	s = reopen(t, s, dir)
	took := time.Since(began)
	got, err := s.Sweep(t.Context(), router.SweepQuery{Now: time.Now(), Limit: 5000})
	if err != nil || len(got.Dispatch) != 50+32*30 {
		t.Errorf("Sweep found %d, error %v; want all that was left", len(got.Dispatch), err)
	}
	t.Logf("closed and opened in %s, swept %d in %s", took, len(got.Dispatch), time.Since(began)-took)
}

func TestOutputOfRunningAttemptSurvivesClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	e, x := numbered(0)
	if _, err := s.Accept(t.Context(), e, decided(router.Decision{Executions: []hayate.Execution{x}})); err != nil {
		t.Fatalf("Accept: %v", err)
	}
	x, err := s.Claim(t.Context(), router.Claim{Execution: x.ID, Worker: "w", At: e.AcceptedAt, Until: e.AcceptedAt.Add(time.Minute)})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if err := s.Output(t.Context(), router.Hold{Execution: x.ID, Attempt: 1, Worker: "w"}, []hayate.OutputLine{{Seq: 1, Stream: hayate.Stdout, Text: "half"}}); err != nil {
		t.Fatalf("Output: %v", err)
	}
	lines, err := reopen(t, s, dir).Lines(t.Context(), x.ID, 0, -1)
	if err != nil || len(lines) != 1 || lines[0].Text != "half" {
		t.Errorf("Lines gave %+v, error %v; want the one written before", lines, err)
	}
}

func TestExecutionOfEventThatIsNotStored(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	fill(t, s, 3)
	_, x := numbered(77)
	if err := s.Commit(t.Context(), router.Change{Insert: []hayate.Execution{x}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	p, err := s.Executions(t.Context(), router.Query{Event: x.Event, Limit: -1})
	if err != nil || p.Total != 1 || p.Items[0].ID != x.ID {
		t.Errorf("Executions gave %+v, error %v; want the one that names the event", p, err)
	}
}

func TestAbandonedCallerIsStillFirst(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for n := range 50 {
		e, _ := numbered(n)
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			// The outcome is not known to one who leaves.
			_, _ = s.Accept(ctx, e, decided(router.Decision{}))
		})
		wg.Go(leave)
		if _, err := s.Accept(t.Context(), e, decided(router.Decision{})); err != nil {
			t.Errorf("Accept of event %d by another: %v", n, err)
		}
		wg.Wait()
	}
	if st := stats(t, s); st.Events != 50 || st.Keys != 50 {
		t.Errorf("%d events and %d keys, want 50 of each", st.Events, st.Keys)
	}
}
