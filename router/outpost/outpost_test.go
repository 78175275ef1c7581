package outpost_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/outpost"
	"github.com/hayate-run/hayate/router/remote"
)

// site is a cloud with a desk, and a wire to a worker that can be cut.
type site struct {
	t     *testing.T
	rt    *router.Router
	desk  *remote.Desk
	queue *memory.Queue
	keys  *keyfile.Secrets

	mu   sync.Mutex
	cut  bool
	lose remote.Kind // the answers to these are lost
	said []remote.Kind
}

// Call is remote.Caller.
func (s *site) Call(ctx context.Context, q remote.Request) (remote.Reply, error) {
	s.mu.Lock()
	cut, lose := s.cut, s.lose
	s.mu.Unlock()
	if cut {
		<-ctx.Done()
		return remote.Reply{}, hayate.ErrBusy
	}
	a := s.desk.Apply(context.WithoutCancel(ctx), q)
	s.mu.Lock()
	s.said = append(s.said, q.Kind)
	s.mu.Unlock()
	if q.Kind == lose {
		<-ctx.Done()
		return remote.Reply{}, hayate.ErrBusy
	}
	return a, nil
}

func (s *site) set(cut bool, lose remote.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut, s.lose = cut, lose
}

// spool keeps entries in memory, for as long as a test takes.
type spool struct {
	mu sync.Mutex
	m  map[string]outpost.Entry
}

func (s *spool) Put(e outpost.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[e.Claim] = e
	return nil
}

func (s *spool) Drop(claim string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, claim)
	return nil
}

func (s *spool) All() ([]outpost.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []outpost.Entry
	for _, e := range s.m {
		all = append(all, e)
	}
	return all, nil
}

// runner counts what it does, and does it for a minute.
type runner struct {
	mu   sync.Mutex
	runs map[string]int
}

func (r *runner) Describe() []hayate.Runner { return []hayate.Runner{{Name: "fn", Asserts: true}} }

func (r *runner) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	r.mu.Lock()
	r.runs[t.IdempotencyKey]++
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
	case <-time.After(time.Minute):
		return hayate.Result{Status: hayate.StatusSucceeded, Value: t.Parameters}, nil
	}
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, queue: memory.NewQueue(memory.QueueConfig{})}
	var err error
	if s.keys, err = keyfile.Open(filepath.Join(t.TempDir(), "keys")); err != nil {
		t.Fatal(err)
	}
	s.rt, err = router.New(router.Config{Store: memory.New(), Queue: s.queue, Registry: memory.NewRegistry(), Datastore: memory.NewDatastore(), Blobs: memory.NewBlobs(),
		Secrets: s.keys, RunnerTypes: []hayate.Runner{{Name: "fn"}}, Workers: -1})
	if err != nil {
		t.Fatal(err)
	}
	secret := hayate.Parameter{Name: "password", Type: "string", Secret: true, Schema: json.RawMessage(`{"type":"string","secret":true}`)}
	if err := s.rt.Load(t.Context(), router.Content{Actions: []hayate.Action{{Pack: "ops", Name: "do", Runner: "fn", Enabled: true, Target: "amqp:tokyo", Parameters: hayate.Parameters{secret}}}}); err != nil {
		t.Fatal(err)
	}
	if s.desk, err = remote.NewDesk(remote.DeskConfig{Router: s.rt, Secrets: s.keys}); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts an execution, whose task carries its token as a broker's queue makes it do.
func (s *site) start() hayate.ExecutionID {
	s.t.Helper()
	x, err := s.rt.Start(s.t.Context(), router.Start{Action: "ops.do", Parameters: json.RawMessage(`{"password":"s3cret"}`)})
	if err != nil {
		s.t.Fatal(err)
	}
	return x.ID
}

// tokens is a queue that gives tasks their tokens.
type tokens struct {
	router.Queue
	keys *keyfile.Secrets
}

func (q tokens) Receive(ctx context.Context, targets ...string) (router.Delivery, error) {
	d, err := q.Queue.Receive(ctx, targets...)
	if err != nil {
		return d, err
	}
	d.Token, err = remote.TaskToken(q.keys, d.Execution)
	return d, err
}

// work runs a worker until the returned function is called.
func (s *site) work(kept outpost.Spool, r router.Runner) (stop func()) {
	s.t.Helper()
	w, err := outpost.New(outpost.Config{Queue: tokens{s.queue, s.keys}, Client: remote.NewClient(s, "tokyo-1", "tokyo"), Spool: kept, Targets: []string{"amqp:tokyo"}, Runners: []router.Runner{r}, Workers: 2})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, 0) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

func (s *site) wantStatus(id hayate.ExecutionID, want hayate.Status) hayate.Execution {
	s.t.Helper()
	x, err := s.rt.Execution(s.t.Context(), id)
	if err != nil || x.Status != want {
		s.t.Errorf("execution %s is %s, %v; want %s", id, x.Status, err, want)
	}
	return x
}

func TestAResultIsToldOnceTheWireIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept, r := newSite(t), &spool{m: map[string]outpost.Entry{}}, &runner{runs: map[string]int{}}
		id := s.start()
		stop := s.work(kept, r)
		time.Sleep(10 * time.Second)
		s.wantStatus(id, hayate.StatusRunning)
		s.set(true, "")
		time.Sleep(time.Hour)
		s.wantStatus(id, hayate.StatusRunning)
		s.set(false, "")
		time.Sleep(20 * time.Second)
		x := s.wantStatus(id, hayate.StatusSucceeded)
		if string(x.Result) != `{"password":"s3cret"}` || !x.Verified || x.Ended.Sub(x.Started) > 2*time.Minute {
			t.Errorf("the result is %s, verified %t, after %s", x.Result, x.Verified, x.Ended.Sub(x.Started))
		}
		if r.runs[string(id)] != 1 {
			t.Errorf("it was performed %d times", r.runs[string(id)])
		}
		stop()
		if all, _ := kept.All(); len(all) != 0 {
			t.Errorf("the spool holds %+v", all)
		}
	})
}

func TestAClaimWhoseAnswerIsLostIsOneClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept, r := newSite(t), &spool{m: map[string]outpost.Entry{}}, &runner{runs: map[string]int{}}
		s.set(false, remote.KindClaim)
		id := s.start()
		stop := s.work(kept, r)
		time.Sleep(8 * time.Second) // one claim was granted, and nobody knows
		x := s.wantStatus(id, hayate.StatusRunning)
		s.set(false, "")
		time.Sleep(2 * time.Minute)
		if y := s.wantStatus(id, hayate.StatusSucceeded); y.Attempt != x.Attempt || r.runs[string(id)] != 1 {
			t.Errorf("it took %d attempts and %d runs, want %d and one", y.Attempt, r.runs[string(id)], x.Attempt)
		}
		stop()
	})
}

func TestAClaimThatNobodyAnswersIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept, r := newSite(t), &spool{m: map[string]outpost.Entry{}}, &runner{runs: map[string]int{}}
		s.set(false, remote.KindClaim)
		id := s.start()
		stop := s.work(kept, r)
		time.Sleep(22 * time.Second) // longer than a task waits for its claim
		s.set(false, "")
		time.Sleep(5 * time.Minute)
		s.wantStatus(id, hayate.StatusSucceeded)
		if r.runs[string(id)] != 1 {
			t.Errorf("it was performed %d times", r.runs[string(id)])
		}
		stop()
	})
}

func TestAnAttemptThatDiedWithItsWorkerIsToldAsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), &runner{runs: map[string]int{}}
		died := &spool{m: map[string]outpost.Entry{}}
		id := s.start()
		stop := s.work(died, r)
		time.Sleep(10 * time.Second)
		// What the dead process left, before its end said anything.
		left := &spool{m: map[string]outpost.Entry{}}
		all, _ := died.All()
		for _, e := range all {
			left.m[e.Claim] = e
		}
		if len(all) != 1 || all[0].State != outpost.Begun {
			t.Fatalf("the spool holds %+v, want one that was begun", all)
		}
		s.set(true, "")
		stop()
		s.set(false, "")
		stop = s.work(left, r)
		time.Sleep(10 * time.Second)
		s.wantStatus(id, hayate.StatusAbandoned)
		stop()
		if r.runs[string(id)] != 1 {
			t.Errorf("it was performed %d times", r.runs[string(id)])
		}
	})
}

func TestTokensAllowWhatTheyAreFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		one, two := s.start(), s.start()
		token, err := remote.TaskToken(s.keys, one)
		if err != nil {
			t.Fatal(err)
		}
		c := remote.NewClient(s, "w", "tokyo")
		if _, err := c.Claim(t.Context(), router.Claim{Execution: two, Token: token}); !errors.Is(err, hayate.ErrDenied) {
			t.Errorf("another task's token claims: %v", err)
		}
		g, err := c.Take(t.Context(), router.Claim{Execution: one, Token: token}, "c1")
		if err != nil {
			t.Fatal(err)
		}
		if string(g.Task.Parameters) != `{"password":"s3cret"}` {
			t.Errorf("the task has the parameters %s", g.Task.Parameters)
		}
		for _, q := range []remote.Request{
			{Kind: remote.KindComplete, Execution: two, Attempt: 1, Claim: "c1", Token: g.Token, Result: &hayate.Result{Status: hayate.StatusSucceeded}},
			{Kind: remote.KindComplete, Execution: one, Attempt: 1, Claim: "c1", Token: token, Result: &hayate.Result{Status: hayate.StatusSucceeded}},
			{Kind: remote.KindHeartbeat, Execution: one, Attempt: 2, Claim: "c1", Token: g.Token},
			{Kind: remote.KindRelease, Execution: two, Claim: "c1", Token: g.Token},
		} {
			q.ID, q.Worker = "q", "w"
			if a := s.desk.Apply(t.Context(), q); a.Code != "denied" {
				t.Errorf("%s with a token that is not for it: %+v", q.Kind, a)
			}
		}
		s.wantStatus(two, hayate.StatusScheduled)
		if err := c.Complete(t.Context(), router.Completion{Hold: g.Hold, Result: hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}}); err != nil {
			t.Fatal(err)
		}
		if err := c.Complete(t.Context(), router.Completion{Hold: g.Hold, Result: hayate.Result{Status: hayate.StatusFailed}}); !errors.Is(err, hayate.ErrConflict) {
			t.Errorf("a result that comes again says %v", err)
		}
		s.wantStatus(one, hayate.StatusSucceeded)
	})
}
