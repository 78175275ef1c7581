package faults_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/noop"
	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// encoding stands for sealing, of which these tests have no need.
type encoding struct{}

func (encoding) Seal(plain string) (string, error) {
	return base64.StdEncoding.EncodeToString([]byte(plain)), nil
}

func (encoding) Open(sealed string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	return string(b), err
}

// TestClockJumpsBack: hours that come twice lose no event, repeat none, and leave
// what was delayed due.
func TestClockJumpsBack(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64 // of the clock, in nanoseconds
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	store, err := embedded.Open(embedded.Config{Dir: t.TempDir(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r, err := router.New(router.Config{Store: store, Queue: store.Queue(), Registry: store.Registry(), Datastore: store.Datastore(),
		Blobs: store.Blobs(), Secrets: encoding{}, SoleOwner: true, Runners: []router.Runner{noop.New()}, Now: now, SweepEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	err = r.Load(ctx, router.Content{
		Actions: []hayate.Action{{Pack: "core", Name: "noop", Runner: "noop", Enabled: true}},
		Rules: []hayate.Rule{{Pack: "t", Name: "r", Enabled: true, Trigger: hayate.Trigger{Type: "test.noop"},
			Actions: []hayate.RuleAction{{Ref: "core.noop"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(run, 5*time.Second) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}()

	event := func(i int) hayate.Event {
		return hayate.Event{ID: fmt.Sprint(i), Source: "/clock", Type: "test.noop", DataContentType: "application/json", Data: []byte("{}")}
	}
	ids := map[hayate.EventID]int{}
	jumps := []time.Duration{0, -time.Hour, -2 * time.Hour, time.Hour, -24 * time.Hour, 0}
	n := 0
	for _, jump := range jumps {
		offset.Store(int64(jump))
		for range 10 {
			rc, err := r.Accept(ctx, event(n))
			if err != nil || rc.Duplicate {
				t.Fatalf("event %d after a jump of %s: duplicate %t, %v", n, jump, rc.Duplicate, err)
			}
			ids[rc.ID]++
			n++
		}
	}
	for i := range n {
		rc, err := r.Accept(ctx, event(i))
		if err != nil || !rc.Duplicate || ids[rc.ID] != 1 {
			t.Errorf("event %d sent again: duplicate %t, known id %t, %v", i, rc.Duplicate, ids[rc.ID] == 1, err)
		}
	}
	offset.Store(int64(time.Hour))
	x, err := r.Start(ctx, router.Start{Action: "core.noop", Delay: 30 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	offset.Store(0) // the delay now lies further ahead than it was
	offset.Store(int64(2 * time.Hour))
	hayatetest.Eventually(t, 20*time.Second, "everything is executed, the delayed one too", func() (bool, string) {
		p, err := r.Executions(ctx, router.Query{Status: []hayate.Status{hayate.StatusSucceeded}})
		if err != nil {
			t.Fatal(err)
		}
		y, err := r.Execution(ctx, x.ID)
		if err != nil {
			t.Fatal(err)
		}
		return p.Total == n+1, fmt.Sprintf("%d of %d, the delayed one is %s", p.Total, n+1, y.Status)
	})
	if findings, err := store.Check(ctx); err != nil || len(findings) > 0 {
		t.Errorf("store check: %v, %v", findings, err)
	}
}
