package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

const (
	clients = 64
	kills   = 10
	// eventsEnv sets how many events are sent; more find rarer mistakes.
	eventsEnv = "HAYATE_CRASH_EVENTS"
)

// TestKilledUnderLoad sends events from many clients and kills the server again
// and again while they come in. A client repeats an event until it has been
// acknowledged, as a source would. Then every event has exactly one execution,
// which has succeeded, and is known when it is sent once more.
func TestKilledUnderLoad(t *testing.T) {
	n := 5000
	if v := os.Getenv(eventsEnv); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < kills {
			t.Fatalf("%s is %q, want a number of at least %d", eventsEnv, v, kills)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d events, %d clients, %d kills, seed %d", n, clients, kills, seed)
	l := &load{n: n, body: event, ids: make([]string, n), moved: make(chan struct{}), rnd: rand.New(rand.NewPCG(seed, 0))}
	server := hayatetest.Start(t, hayatetest.Options{Packs: noopRule(t)})
	l.move(server)

	var group sync.WaitGroup
	for range clients {
		group.Go(func() { l.client(t) })
	}
	for _, at := range l.moments() {
		hayatetest.Eventually(t, 10*time.Minute, fmt.Sprintf("%d events acknowledged", at), func() (bool, string) {
			got := l.acknowledged.Load()
			return got >= int64(at) || t.Failed(), fmt.Sprint(got)
		})
		if t.Failed() {
			l.move(nil)
			break
		}
		server.Kill()
		server = server.Again(t)
		l.move(server)
	}
	group.Wait()
	if t.Failed() {
		return
	}
	t.Logf("acknowledged %d: %d as new, %d as known from before a kill", l.acknowledged.Load(), l.fresh.Load(), l.repeated.Load())
	l.check(t, server)
}

// load is the sending side.
type load struct {
	n            int
	body         func(i int) []byte // of an event
	ids          []string           // by event: the id under which it was acknowledged first
	rnd          *rand.Rand
	next         atomic.Int64
	acknowledged atomic.Int64
	fresh        atomic.Int64 // acknowledged as new
	repeated     atomic.Int64 // acknowledged as known: the answer before was lost

	mu     sync.Mutex
	server *hayatetest.Server // nil: there will be none any more
	moved  chan struct{}      // closed when another server has come
}

// moments are the counts of acknowledged events at which the process is killed:
// random ones, the last when all have been acknowledged and some are still to be
// executed.
func (l *load) moments() []int {
	at := make([]int, 0, kills)
	for range kills - 1 {
		at = append(at, 1+l.rnd.IntN(l.n-1))
	}
	slices.Sort(at)
	return append(at, l.n)
}

// move tells the clients of a new server.
func (l *load) move(s *hayatetest.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = s
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *load) current() (*hayatetest.Server, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.server, l.moved
}

func event(i int) []byte {
	return hayatetest.Event("/test/crash", strconv.Itoa(i), "test.noop", fmt.Sprintf(`{"kind": "wanted", "number": %d}`, i))
}

// client sends events, each until it is acknowledged.
func (l *load) client(t *testing.T) {
	for {
		i := int(l.next.Add(1)) - 1
		if i >= l.n || !l.deliver(t, i) {
			return
		}
	}
}

func (l *load) deliver(t *testing.T, i int) bool {
	body := l.body(i)
	for try := 1; ; try++ {
		server, moved := l.current()
		if server == nil {
			return false
		}
		status, a, err := server.Post(body)
		switch {
		case err == nil && status == http.StatusAccepted:
			if a.Duplicate && try == 1 {
				t.Errorf("event %d was sent for the first time and answered as known", i)
				return false
			}
			l.ids[i] = a.ID
			if a.Duplicate {
				l.repeated.Add(1)
			} else {
				l.fresh.Add(1)
			}
			l.acknowledged.Add(1)
			return true
		case err == nil && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
			t.Errorf("event %d: status %d", i, status)
			return false
		case err == nil:
			continue // busy: at once again, as an impatient source does
		}
		<-moved // the server is gone: its successor will come
	}
}

// check holds what the store says against what was acknowledged.
func (l *load) check(t *testing.T, s *hayatetest.Server) {
	t.Helper()
	hayatetest.Eventually(t, 2*time.Minute, "no execution is unfinished", func() (bool, string) {
		n := s.Count(t, "executions", "status=requested,scheduled,delayed,running")
		return n == 0, fmt.Sprintf("%d", n)
	})
	if got := s.Count(t, "executions", ""); got != l.n {
		t.Errorf("%d executions for %d events", got, l.n)
	}
	if got := s.Count(t, "executions", "status=succeeded"); got != l.n {
		t.Errorf("%d executions succeeded, want %d", got, l.n)
	}
	if got := s.Count(t, "triggerinstances", ""); got != l.n {
		t.Errorf("%d events are stored, want %d", got, l.n)
	}
	if got := s.Count(t, "ruleenforcements", ""); got != l.n {
		t.Errorf("%d firings are stored, want %d", got, l.n)
	}
	of := map[string]int{}
	for _, x := range s.Executions(t, "include_attributes=status,trigger_instance.id") {
		id, _ := x.TriggerInstance["id"].(string)
		of[id]++
	}
	for i, id := range l.ids {
		if of[id] != 1 {
			t.Errorf("event %d (%s) has %d executions", i, id, of[id])
		}
	}
	for range min(l.n, 500) {
		i := l.rnd.IntN(l.n)
		if a := s.Send(t, event(i)); !a.Duplicate || a.ID != l.ids[i] {
			t.Errorf("event %d sent again: duplicate %t, id %s, want the id %s", i, a.Duplicate, a.ID, l.ids[i])
		}
	}
	if code, out, errs := s.CLI(t, "store", "check"); code != 0 {
		t.Errorf("store check: exit code %d, %s%s", code, out, errs)
	}
}
