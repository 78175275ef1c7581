package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
)

// The test binary runs itself with these set, to be killed or to be short of disk.
const (
	helperRole = "HAYATE_TEST_HELPER"
	helperDir  = "HAYATE_TEST_DIR"
	helperFrom = "HAYATE_TEST_FROM"
)

func TestMain(m *testing.M) {
	switch os.Getenv(helperRole) {
	case "writer":
		helper(writeForEver)
	case "limited":
		helper(writeLimited)
	case "opener":
		helper(func(s *embedded.Store) error { return nil })
	}
	os.Exit(m.Run())
}

// helper opens the directory, runs f and ends the process.
func helper(f func(*embedded.Store) error) {
	s, err := embedded.Open(embedded.Config{Dir: os.Getenv(helperDir)})
	if err == nil {
		err = errors.Join(f(s), s.Close())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func helperCommand(t *testing.T, role, dir string, from int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), helperRole+"="+role, helperDir+"="+dir, helperFrom+"="+strconv.Itoa(from))
	return cmd
}

// numbered is the n-th event of a helper and the execution it starts; every
// third execution is not idempotent, so that its claim is synced.
func numbered(n int) (hayate.Event, hayate.Execution) {
	e, x := benchEvent(int64(n), n%3 != 0)
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	e.AcceptedAt, x.Created = at, at
	x.ID = hayate.RuleExecutionID(at, e.UID(), x.Rule, 0)
	x.Event = hayate.EventIDOf(at, e.UID())
	x.Root = x.ID
	return e, x
}

// writeForEver takes events through the store at eight at a time, and prints a
// line for whatever was acknowledged, once it was.
func writeForEver(s *embedded.Store) error {
	from, err := strconv.Atoi(os.Getenv(helperFrom))
	if err != nil {
		return err
	}
	ctx := context.Background()
	var mu sync.Mutex
	say := func(what string, n int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, n)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := from + w; ; n += 8 {
				e, x := numbered(n)
				if _, err := s.Accept(ctx, e, decided(router.Decision{Executions: []hayate.Execution{x}})); err != nil {
					fmt.Println(err)
					return
				}
				say("accepted", n)
				x, err := s.Claim(ctx, router.Claim{Execution: x.ID, Worker: "w", At: e.AcceptedAt, Until: e.AcceptedAt.Add(time.Minute)})
				if err != nil {
					fmt.Println(err)
					return
				}
				say("claimed", n)
				if n%5 == 0 {
					continue // stays claimed
				}
				err = s.Complete(ctx, router.Completion{Hold: router.Hold{Execution: x.ID, Attempt: 1, Worker: "w"}, At: e.AcceptedAt,
					Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(strconv.Itoa(n))}})
				if err != nil {
					fmt.Println(err)
					return
				}
				say("completed", n)
			}
		})
	}
	wg.Wait()
	return nil
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := map[string]map[int]bool{"accepted": {}, "claimed": {}, "completed": {}}
	from := 0
	for round := range 4 {
		cmd := helperCommand(t, "writer", dir, from)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; lines.Scan(); {
			what, number, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.Atoi(number)
			if err != nil || said[what] == nil {
				t.Fatalf("the helper says %q", lines.Text())
			}
			said[what][n] = true
			from = max(from, n+100)
			if seen++; seen == 200+round*151 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the helper ended by itself")
		}
		s := open(t, dir)
		checkSaid(t, s, said)
		if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("Check found %q, error %v", found, err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	t.Logf("%d accepted, %d claimed, %d completed were all there after 4 kills", len(said["accepted"]), len(said["claimed"]), len(said["completed"]))
}

func checkSaid(t *testing.T, s *embedded.Store, said map[string]map[int]bool) {
	t.Helper()
	for n := range said["accepted"] {
		e, x := numbered(n)
		p, err := s.Executions(t.Context(), router.Query{Event: x.Event, Limit: -1})
		if err != nil || p.Total != 1 {
			t.Fatalf("event %d has %d executions, error %v; want 1", n, p.Total, err)
		}
		got := p.Items[0]
		if said["completed"][n] && (got.Status != hayate.StatusSucceeded || string(got.Result) != strconv.Itoa(n)) {
			t.Errorf("execution %d is %s with %s, its completion was acknowledged", n, got.Status, got.Result)
		}
		if said["claimed"][n] && got.Attempt != 1 {
			t.Errorf("execution %d is at attempt %d, its claim was acknowledged", n, got.Attempt)
		}
		if said["claimed"][n] && got.Status.Claimable() {
			t.Errorf("execution %d is %s, its claim was acknowledged", n, got.Status)
		}
		if rc, err := s.Accept(t.Context(), e, decided(router.Decision{})); err != nil || !rc.Duplicate {
			t.Errorf("event %d is accepted again, error %v", n, err)
		}
	}
}

// writeLimited writes until the file may not grow any more, then gets room and
// goes on. It prints how many events were acknowledged before and after.
func writeLimited(s *embedded.Store) error {
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		return err
	}
	ctx := context.Background()
	accept := func(n int) error {
		e, x := numbered(n)
		_, err := s.Accept(ctx, e, decided(router.Decision{Executions: []hayate.Execution{x}}))
		return err
	}
	n := 0
	for ; ; n++ {
		err := accept(n)
		if err == nil {
			continue
		}
		if !errors.Is(err, hayate.ErrBusy) {
			return fmt.Errorf("short of room, Accept gives %w, want busy", err)
		}
		fmt.Println("full", n, err)
		break
	}
	if err := accept(n + 1); !errors.Is(err, hayate.ErrBusy) {
		return fmt.Errorf("still short of room, Accept gives %w, want busy", err)
	}
	if _, err := s.Events(ctx, router.Query{Limit: 1}); err != nil {
		return fmt.Errorf("reading while the disk is full: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	for range 50 {
		if err := accept(n); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
		n++
	}
	fmt.Println("end", n)
	return nil
}

func TestFullDiskIsSurvived(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := helperCommand(t, "limited", dir, 0).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, end, found := strings.Cut(string(out), "end ")
	n, err := strconv.Atoi(strings.TrimSpace(end))
	if !found || err != nil || !strings.Contains(string(out), "full") {
		t.Fatalf("the helper says %q", out)
	}
	s := open(t, dir)
	p, err := s.Events(t.Context(), router.Query{})
	// The one that was refused last may be there: its outcome was unknown.
	if err != nil || p.Total < n || p.Total > n+1 {
		t.Errorf("there are %d events, error %v; want the %d acknowledged ones", p.Total, err, n)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("Check found %q, error %v", found, err)
	}
}

func TestSecondProcessIsToldWhoHoldsTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	out, err := helperCommand(t, "opener", dir, 0).Output()
	want := fmt.Sprintf("the data directory %s is in use by process %d", dir, os.Getpid())
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("a second process says %q, error %v; want %q", out, err, want)
	}
	if _, err := embedded.Open(embedded.Config{Dir: dir}); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("a second Open gives %v, want busy", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if out, err := helperCommand(t, "opener", dir, 0).CombinedOutput(); err != nil {
		t.Errorf("after Close another process gives %v: %s", err, out)
	}
}
