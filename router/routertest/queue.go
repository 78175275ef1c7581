package routertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// QueueUnderTest is a queue and how the suite may treat it.
type QueueUnderTest struct {
	Queue router.Queue
	// Bound is how many items fit; 0: so many that the suite does not try.
	Bound int
	// Close ends the queue; nil where it has no end of its own.
	Close func() error
}

// TestQueue tests a queue. Items are delayed by fractions of a second in real
// time, since a queue may be a server with a clock of its own.
func TestQueue(t *testing.T, open func(t *testing.T) QueueUnderTest) {
	for name, test := range map[string]func(*testing.T, QueueUnderTest){
		"delivers what was put":                 queueDelivers,
		"delivers everything to many receivers": queueMany,
		"delivers by target":                    queueTargets,
		"wakes a receiver that waits":           queueWakes,
		"delivers later what is not yet due":    queueDelays,
		"offers again what was given back":      queueNack,
		"forgets what was acknowledged":         queueAck,
		"stops waiting when the context ends":   queueContext,
		"loses nothing to receivers that leave": queueLeavers,
		"refuses when it is full":               queueFull,
		"tells its depth":                       queueDepth,
		"ends those that wait when it closes":   queueClose,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func items(t *testing.T, target string, n int) []router.QueueItem {
	list := make([]router.QueueItem, n)
	for i := range list {
		list[i] = router.QueueItem{Execution: hayate.ExecutionID(hayate.NewID(after(i), t.Name(), target, fmt.Sprint(i))), Target: target}
	}
	return list
}

func put(t *testing.T, u QueueUnderTest, its ...router.QueueItem) {
	t.Helper()
	if err := u.Queue.Put(ctx(t), its...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// receive takes one item and acknowledges it.
func receive(t *testing.T, u QueueUnderTest, targets ...string) router.QueueItem {
	t.Helper()
	d, err := u.Queue.Receive(ctx(t), targets...)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	if err := d.Ack(ctx(t)); err != nil {
		t.Fatalf("Ack: %v", err)
	}
	return d.QueueItem
}

// nothing fails the test if an item arrives within a short while.
func nothing(t *testing.T, u QueueUnderTest, targets ...string) {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if d, err := u.Queue.Receive(c, targets...); err == nil {
		t.Errorf("received %s, want nothing", d.Execution)
	} else {
		wantKind(t, "Receive", err, context.DeadlineExceeded)
	}
}

func queueDelivers(t *testing.T, u QueueUnderTest) {
	want := map[hayate.ExecutionID]bool{}
	for _, it := range items(t, "", 5) {
		put(t, u, it)
		want[it.Execution] = true
	}
	put(t, u)
	for range 5 {
		it := receive(t, u, "")
		if !want[it.Execution] || it.Target != "" {
			t.Errorf("received %+v, want one of those put", it)
		}
		delete(want, it.Execution)
	}
	nothing(t, u, "")
}

func queueMany(t *testing.T, u QueueUnderTest) {
	const n, receivers = 60, 6
	var mu sync.Mutex
	got := map[hayate.ExecutionID]int{}
	c, cancel := context.WithCancel(ctx(t))
	defer cancel()
	var wg sync.WaitGroup
	for range receivers {
		wg.Go(func() {
			for {
				d, err := u.Queue.Receive(c, "")
				if err != nil {
					return
				}
				if err := d.Ack(context.WithoutCancel(c)); err != nil {
					t.Errorf("Ack: %v", err)
				}
				mu.Lock()
				if got[d.Execution]++; len(got) == n {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	all := items(t, "", n)
	for i := 0; i < n; i += 6 {
		put(t, u, all[i:i+6]...)
	}
	wg.Wait()
	if len(got) != n {
		t.Errorf("received %d different items, want %d", len(got), n)
	}
}

func queueTargets(t *testing.T, u QueueUnderTest) {
	local, tokyo, fn := items(t, "", 1)[0], items(t, "amqp:tokyo", 1)[0], items(t, "lambda:run", 1)[0]
	put(t, u, local, tokyo, fn)
	if got := receive(t, u, "amqp:tokyo"); got.Execution != tokyo.Execution || got.Target != "amqp:tokyo" {
		t.Errorf("received %+v, want that for tokyo", got)
	}
	nothing(t, u, "amqp:tokyo", "amqp:osaka")
	a, b := receive(t, u, "", "lambda:run"), receive(t, u, "lambda:run", "")
	same(t, "received of two targets", idsOf(a.Execution, b.Execution), idsOf(local.Execution, fn.Execution))
}

func queueWakes(t *testing.T, u QueueUnderTest) {
	got := make(chan router.QueueItem, 1)
	go func() {
		d, err := u.Queue.Receive(ctx(t), "elsewhere", "")
		if err == nil {
			err = d.Ack(ctx(t))
		}
		if err != nil {
			t.Errorf("Receive: %v", err)
		}
		got <- d.QueueItem
	}()
	it := items(t, "", 1)[0]
	put(t, u, it)
	if g := <-got; g.Execution != it.Execution {
		t.Errorf("received %s, want %s", g.Execution, it.Execution)
	}
}

func queueDelays(t *testing.T, u QueueUnderTest) {
	its := items(t, "", 3)
	began := time.Now()
	its[0].NotBefore = began.Add(400 * time.Millisecond)
	its[1].NotBefore = began.Add(200 * time.Millisecond)
	its[2].NotBefore = began.Add(-time.Hour)
	put(t, u, its...)
	for _, want := range []router.QueueItem{its[2], its[1], its[0]} {
		got := receive(t, u, "")
		// A queue may round delays, to a millisecond say.
		if early := time.Until(want.NotBefore); got.Execution != want.Execution || early > 5*time.Millisecond {
			t.Errorf("received %s, %s too early; want %s", got.Execution, early, want.Execution)
		}
	}
}

func queueNack(t *testing.T, u QueueUnderTest) {
	it := items(t, "", 1)[0]
	put(t, u, it)
	d, err := u.Queue.Receive(ctx(t), "")
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	back := time.Now()
	if err := d.Nack(ctx(t), 250*time.Millisecond); err != nil {
		t.Fatalf("Nack: %v", err)
	}
	nothing(t, u, "")
	if got := receive(t, u, ""); got.Execution != it.Execution || time.Since(back) < 240*time.Millisecond {
		t.Errorf("received %s after %s, want %s after 250 ms", got.Execution, time.Since(back), it.Execution)
	}
	nothing(t, u, "")
}

func queueAck(t *testing.T, u QueueUnderTest) {
	it := items(t, "", 1)[0]
	put(t, u, it)
	receive(t, u, "")
	nothing(t, u, "")
	put(t, u, it) // the same execution again is a new item
	if got := receive(t, u, ""); got.Execution != it.Execution {
		t.Errorf("received %s, want %s", got.Execution, it.Execution)
	}
}

func queueContext(t *testing.T, u QueueUnderTest) {
	c, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := u.Queue.Receive(c, "")
	wantKind(t, "Receive", err, context.Canceled)
	nothing(t, u, "")
}

func queueLeavers(t *testing.T, u QueueUnderTest) {
	all := items(t, "", 20)
	got := map[hayate.ExecutionID]bool{}
	for _, it := range all {
		c, cancel := context.WithCancel(ctx(t))
		left := make(chan router.Delivery, 1)
		go func() {
			defer close(left)
			if d, err := u.Queue.Receive(c, ""); err == nil {
				left <- d
			}
		}()
		go cancel()
		put(t, u, it)
		if d, ok := <-left; ok {
			got[d.Execution] = true
			if err := d.Ack(ctx(t)); err != nil {
				t.Fatalf("Ack: %v", err)
			}
		}
	}
	for len(got) < len(all) {
		got[receive(t, u, "").Execution] = true
	}
}

func queueFull(t *testing.T, u QueueUnderTest) {
	if u.Bound == 0 {
		t.Skip("this queue says no bound")
	}
	its := items(t, "", u.Bound+1)
	its[0].NotBefore = time.Now().Add(time.Hour)
	put(t, u, its[:u.Bound]...)
	wantKind(t, "Put into a full queue", u.Queue.Put(ctx(t), its[u.Bound]), hayate.ErrBusy)
	receive(t, u, "")
	put(t, u, its[u.Bound])
}

func queueDepth(t *testing.T, u QueueUnderTest) {
	if u.Queue.Depth() != 0 {
		t.Errorf("an empty queue says depth %d", u.Queue.Depth())
	}
	put(t, u, items(t, "", 4)...)
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for u.Queue.Depth() != 4 && time.Now().Before(deadline) {
		<-tick.C // it may be some seconds old
	}
	if got := u.Queue.Depth(); got != 4 {
		t.Errorf("depth is %d, want 4", got)
	}
}

func queueClose(t *testing.T, u QueueUnderTest) {
	if u.Close == nil {
		t.Skip("this queue has no end of its own")
	}
	ended := make(chan error, 1)
	go func() {
		_, err := u.Queue.Receive(ctx(t), "")
		ended <- err
	}()
	if err := u.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := <-ended; !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("a waiting Receive got %v, want busy", err)
	}
	wantKind(t, "Put", u.Queue.Put(ctx(t), items(t, "", 1)...), hayate.ErrBusy)
	_, err := u.Queue.Receive(ctx(t), "")
	wantKind(t, "Receive", err, hayate.ErrBusy)
	if err := u.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}
