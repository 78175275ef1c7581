package embedded_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
)

// fill accepts n events, the i-th of them at second i.
func fill(t *testing.T, s *embedded.Store, n int) {
	t.Helper()
	for i := range n {
		e, x := numbered(i)
		if _, err := s.Accept(t.Context(), e, decided(router.Decision{Executions: []hayate.Execution{x}})); err != nil {
			t.Fatalf("Accept: %v", err)
		}
	}
}

// copyDir copies a store as a crash would leave it: without closing it.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"hayate.db", "hayate.db-wal"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestTornLogOpensWithWholeCommits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n = 20
	fill(t, open(t, dir), n)
	whole := copyDir(t, dir)
	log, err := os.ReadFile(filepath.Join(whole, "hayate.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for cut := 0; cut <= len(log); cut += max(len(log)/12, 1) {
		torn := copyDir(t, dir)
		if err := os.Truncate(filepath.Join(torn, "hayate.db-wal"), int64(cut)); err != nil {
			t.Fatal(err)
		}
		last = checkPrefix(t, torn, fmt.Sprintf("log cut to %d of %d bytes", cut, len(log)), last)
	}
	if got := checkPrefix(t, whole, "whole log", last); got != n {
		t.Errorf("the whole log gives %d events, want %d", got, n)
	}
	garbled := copyDir(t, dir)
	g := append([]byte(nil), log...)
	for i := len(g) - 3000; i < len(g); i++ {
		g[i] ^= 0x5a
	}
	if err := os.WriteFile(filepath.Join(garbled, "hayate.db-wal"), g, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := checkPrefix(t, garbled, "garbled tail", 0); got < n-1 {
		t.Errorf("a garbled tail leaves %d events, want all but the last commit", got)
	}
}

// checkPrefix opens a store that holds some of the first events and nothing
// else, and returns how many.
func checkPrefix(t *testing.T, dir, what string, atLeast int) int {
	t.Helper()
	s := open(t, dir)
	if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("%s: Check found %q, error %v", what, found, err)
	}
	p, err := s.Events(t.Context(), router.Query{Ascending: true, Limit: -1})
	if err != nil || p.Total < atLeast {
		t.Fatalf("%s: %d events, error %v; want at least %d", what, p.Total, err, atLeast)
	}
	for i, r := range p.Items {
		if e, _ := numbered(i); r.Event.ID != e.ID {
			t.Fatalf("%s: event %d is %s, want %s", what, i, r.Event.ID, e.ID)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatalf("%s: Close: %v", what, err)
	}
	return p.Total
}

func TestDamageIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s, 200)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hayate.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"head":   func(b []byte) []byte { copy(b, "this is no database at all"); return b },
		"cut":    func(b []byte) []byte { return b[:len(b)/2] },
		"middle": func(b []byte) []byte { copy(b[len(b)/2:], strings.Repeat("\xff", len(b)/3)); return b },
		"text":   func([]byte) []byte { return []byte("hello\n") },
	} {
		if err := os.WriteFile(file, damage(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := embedded.Open(embedded.Config{Dir: dir})
		if err != nil {
			if !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: Open says %q, want the file and what to do", name, err)
			}
			continue
		}
		found, err := s.Check(t.Context())
		if len(found) == 0 && (err == nil || !strings.Contains(err.Error(), "damaged")) {
			t.Errorf("%s: Check found nothing, error %v", name, err)
		}
		s.Close() // may fail: the file is damaged
	}
}

func TestContradictionsAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for change, want := range map[string]string{
		"DELETE FROM executions WHERE seq=(SELECT max(seq) FROM executions)":         "the counts say",
		"UPDATE executions SET status=4 WHERE seq=(SELECT max(seq) FROM executions)": "its row says otherwise",
		"UPDATE executions SET duty=NULL, due=NULL":                                  "not listed for the sweeper",
		"DELETE FROM keys WHERE hash=(SELECT max(hash) FROM keys)":                   "keys, the counts say",
		"UPDATE events SET body=x'03' WHERE seq=(SELECT max(seq) FROM events)":       "damaged",
		"DELETE FROM events WHERE seq=(SELECT max(seq) FROM events)":                 "belongs to no event",
	} {
		s := open(t, filepath.Join(dir, strings.ReplaceAll(want, " ", "-")))
		fill(t, s, 5)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, strings.ReplaceAll(want, " ", "-"))
		alter(t, path, change)
		found, err := open(t, path).Check(t.Context())
		if err != nil || !strings.Contains(strings.Join(found, "\n"), want) {
			t.Errorf("after %q Check found %q, error %v; want %q", change, found, err, want)
		}
	}
}

// alter changes the database behind the store's back.
func alter(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "hayate.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, "UPDATE meta SET value=99 WHERE name='format'")
	_, err := embedded.Open(embedded.Config{Dir: dir})
	if !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), "has format 99, this program knows formats up to 6") {
		t.Errorf("Open gives %v, want a refusal that names both formats", err)
	}
	alter(t, dir, "UPDATE meta SET value=6 WHERE name='format'")
	open(t, dir)
}

func TestASecondFormatIsMigrated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	key := router.Key{Scope: "system", Name: "x"}
	if err := s.Datastore().Set(t.Context(), key, router.Item{Value: "kept"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, "DROP TABLE timers; DROP TABLE states; DROP TABLE gates; UPDATE meta SET value=2 WHERE name='format'")
	for range 2 { // the second time there is nothing left to do
		s = open(t, dir)
		if err := s.Timers().PutTimers(t.Context(), router.TimerState{ID: "x"}); err != nil {
			t.Errorf("a store of format 2 has no timers: %v", err)
		}
		if err := s.Enter(t.Context(), "gate", "0123456789abcdef01234567", 1); err != nil {
			t.Errorf("a store of format 2 has no gates: %v", err)
		}
		if got, err := s.Datastore().Get(t.Context(), time.Now(), key); err != nil || got[key].Value != "kept" {
			t.Errorf("a store of format 1 held %v, %v; want what was in it", got, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirectoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Getuid() == 0 {
		// Root may write everywhere, but not where a file stands in the way.
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.Open(embedded.Config{Dir: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open of a file gives %v, want its name", err)
		}
		return
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Open(embedded.Config{Dir: dir})
	if !errors.Is(err, hayate.ErrBusy) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open gives %v, want busy and the directory's name", err)
	}
}

func TestClockGoingBackKeepsOrder(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	seconds := []int{100, 101, 40, 41, 102, 39}
	for _, n := range seconds {
		e, x := numbered(n)
		if _, err := s.Accept(t.Context(), e, decided(router.Decision{Executions: []hayate.Execution{x}})); err != nil {
			t.Fatalf("Accept: %v", err)
		}
	}
	p, err := s.Events(t.Context(), router.Query{Ascending: true, Limit: -1})
	if err != nil || len(p.Items) != len(seconds) {
		t.Fatalf("Events gave %d, error %v", len(p.Items), err)
	}
	for i, n := range seconds {
		if e, _ := numbered(n); p.Items[i].Event.ID != e.ID || p.Items[i].ID != hayate.EventIDOf(e.AcceptedAt, e.UID()) {
			t.Errorf("event %d is %s, want %s: the order of acceptance", i, p.Items[i].Event.ID, e.ID)
		}
	}
	at := func(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }
	for _, c := range []struct {
		q    router.Query
		want int
	}{{router.Query{Before: at(100)}, 3}, {router.Query{After: at(40), Before: at(102)}, 3}, {router.Query{After: at(41)}, 3}} {
		if p, err := s.Executions(t.Context(), c.q); err != nil || p.Total != c.want {
			t.Errorf("between %s and %s there are %d, error %v; want %d", c.q.After, c.q.Before, p.Total, err, c.want)
		}
	}
}
