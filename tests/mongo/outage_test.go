// Package mongo_test holds a router on MongoDB against a server that misbehaves
// under load.
package mongo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

// The environment variables that the test reads: what chooses the faults, and the
// command that hurts the primary of a real replica set (replica-set.sh).
const (
	envSeed    = "HAYATE_MONGO_SEED"
	envTrouble = "HAYATE_MONGO_TROUBLE"
)

// How the load is and how long each trouble lasts. back is how soon after it the
// next event must be taken.
const (
	senders   = 16
	trouble   = 4 * time.Second
	back      = 15 * time.Second
	settling  = 60 * time.Second
	faultRate = 0.02
)

// plain keeps secrets as they are: this test has none.
type plain struct{}

func (plain) Seal(s string) (string, error) { return s, nil }
func (plain) Open(s string) (string, error) { return s, nil }

// counter is a runner that counts its effects by execution.
type counter struct {
	mu      sync.Mutex
	effects map[hayate.ExecutionID]int
}

func (*counter) Describe() []hayate.Runner { return []hayate.Runner{{Name: "count"}} }

func (c *counter) Run(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.effects[t.Execution]++
	return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, nil
}

// content has two rules for each event: one starts an action whose effect must not
// happen twice, the other one that may be repeated.
func content() router.Content {
	c := router.Content{}
	for _, name := range []string{"once", "again"} {
		c.Actions = append(c.Actions, hayate.Action{Pack: "outage", Name: name, Runner: "count", Enabled: true, Idempotent: name == "again"})
		c.Rules = append(c.Rules, hayate.Rule{Pack: "outage", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: "outage.happened"},
			Actions: []hayate.RuleAction{{Ref: hayate.Ref("outage." + name)}}})
	}
	return c
}

// load sends events, each again until it is acknowledged.
type load struct {
	r     *router.Router
	next  atomic.Int64
	last  atomic.Int64 // when an event was last acknowledged, in Unix nanoseconds
	acked sync.Map     // hayate.EventID
}

func (l *load) send(ctx context.Context) {
	for ctx.Err() == nil {
		e := hayate.Event{ID: strconv.FormatInt(l.next.Add(1), 10), Source: "/outage", Type: "outage.happened", Data: []byte(`{}`)}
		for ctx.Err() == nil {
			rc, err := l.r.Accept(ctx, e)
			if err == nil {
				l.acked.Store(rc.ID, true)
				l.last.Store(time.Now().UnixNano())
				break
			}
		}
	}
}

// resumed waits until an event is acknowledged that was not before now.
func (l *load) resumed(t *testing.T, what string) {
	t.Helper()
	from := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for l.last.Load() <= from.UnixNano() {
		if time.Since(from) > back {
			t.Fatalf("%s: no event was taken for %s after it was over", what, back)
		}
		<-tick.C
	}
	t.Logf("%s: the first event was taken %s after it was over", what, time.Since(from).Round(time.Millisecond))
}

// TestOutage has a router on a server that loses connections and answers, steps
// down, goes away and hangs, under load. Writes go on soon after each; no
// acknowledged event is lost; each has its executions once, and each effect that
// must not be repeated happened once.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	var server mongotest.Server
	defer server.Stop()
	uri := server.Database(t)
	command := os.Getenv(envTrouble)
	if !server.Own() && command == "" {
		t.Skipf("the server is not this test's to stop, and %s names no command that does", envTrouble)
	}
	if !server.Own() {
		underLoad(t, uri, func(l *load) { hurtPrimary(t, l, command) })
		return
	}
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv(envSeed); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", envSeed, err)
		}
		seed = n
	}
	t.Logf("%s=%d", envSeed, seed)
	set := mongotest.NewReplicaSet(t, uri, "timeoutMS=3000&serverSelectionTimeoutMS=2500&heartbeatFrequencyMS=500")
	set.Delay = trouble
	underLoad(t, set.URI, func(l *load) { hurt(t, l, set, &server, seed) })
}

// underLoad has a router on the database take events while trouble happens.
func underLoad(t *testing.T, uri string, happens func(*load)) {
	t.Helper()
	store, err := mongo.Open(t.Context(), mongo.Config{URI: uri, Poll: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	effects := &counter{effects: map[hayate.ExecutionID]int{}}
	r, err := router.New(router.Config{Store: store, Queue: store.Queue(), Registry: store.Registry(), Datastore: store.Datastore(), Blobs: store.Blobs(),
		Secrets: plain{}, Runners: []router.Runner{effects}, Workers: 16, SweepEvery: time.Second, Lease: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Load(t.Context(), content()); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running, 5*time.Second) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()

	l := &load{r: r}
	sending, enough := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() { l.send(sending) })
	}
	happens(l)
	enough()
	wg.Wait()
	settle(t, r, l, effects)
}

// hurt brings each trouble in turn, and waits for events to be taken after it.
func hurt(t *testing.T, l *load, set *mongotest.ReplicaSet, server *mongotest.Server, seed uint64) {
	t.Helper()
	l.resumed(t, "the start")
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, 1))
	set.Plan(func(int, string) mongotest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if dice.Float64() >= faultRate {
			return mongotest.NoFault
		}
		return mongotest.Faults[dice.IntN(len(mongotest.Faults))]
	})
	lasting(trouble)
	set.Plan(nil)
	l.resumed(t, "faults on the wire")
	set.Down()
	lasting(trouble)
	set.Up()
	l.resumed(t, "no connection")
	server.Pause(t)
	lasting(trouble)
	server.Continue(t)
	l.resumed(t, "a server that hangs")
	t.Logf("%d writes came again and were not repeated", set.Retried())
}

// hurtPrimary brings the troubles of a real set's primary.
func hurtPrimary(t *testing.T, l *load, command string) {
	t.Helper()
	l.resumed(t, "the start")
	for _, trouble := range []struct{ what, begin, end string }{{"a primary that hangs", "pause", "continue"}, {"a primary that is killed", "kill", "start"}} {
		for _, verb := range []string{trouble.begin, trouble.end} {
			if out, err := exec.CommandContext(t.Context(), command, verb).CombinedOutput(); err != nil {
				t.Fatalf("%s %s: %v\n%s", command, verb, err, out)
			}
			if verb == trouble.begin {
				lasting(back)
			}
		}
		l.resumed(t, trouble.what)
	}
}

func lasting(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// settle waits until all work has ended, and counts.
func settle(t *testing.T, r *router.Router, l *load, effects *counter) {
	t.Helper()
	acked := 0
	l.acked.Range(func(any, any) bool { acked++; return true })
	if acked < senders {
		t.Fatalf("only %d events were acknowledged", acked)
	}
	deadline := time.Now().Add(settling)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var xs router.Page[hayate.Execution]
	for {
		open, err := r.Executions(t.Context(), router.Query{Status: unfinished(), Limit: 0})
		if err == nil && open.Total == 0 {
			if xs, err = r.Executions(t.Context(), router.Query{Limit: -1}); err == nil && len(xs.Items) >= 2*acked {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s %d executions have not ended, of %d (error %v)", settling, open.Total, len(xs.Items), err)
		}
		<-tick.C
	}
	byEvent := map[string]int{}
	abandoned := 0
	effects.mu.Lock()
	defer effects.mu.Unlock()
	for _, x := range xs.Items {
		byEvent[fmt.Sprint(x.Event, x.Action)]++
		n := effects.effects[x.ID]
		switch {
		case x.Status == hayate.StatusAbandoned && !x.Idempotent && n <= 1:
			abandoned++
		case x.Status != hayate.StatusSucceeded:
			t.Errorf("execution %s of %s ended %s", x.ID, x.Action, x.Status)
		case n == 0, n > 1 && !x.Idempotent:
			t.Errorf("execution %s of %s: its effect happened %d times", x.ID, x.Action, n)
		}
	}
	l.acked.Range(func(id, _ any) bool {
		for _, action := range []string{"outage.once", "outage.again"} {
			if n := byEvent[fmt.Sprint(id, action)]; n != 1 {
				t.Errorf("event %s has %d executions of %s, want 1", id, n, action)
			}
		}
		return true
	})
	t.Logf("%d events acknowledged, %d executions, %d abandoned since their worker could not be sure", acked, len(xs.Items), abandoned)
}

func unfinished() []hayate.Status {
	var out []hayate.Status
	for _, st := range hayate.Statuses {
		if !st.Completed() {
			out = append(out, st)
		}
	}
	return out
}
