package delayqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate/internal/delayqueue"
)

type item = delayqueue.Item[string]

func put(t *testing.T, q *delayqueue.Queue[string], items ...item) {
	t.Helper()
	if err := q.Put(items...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func receive(t *testing.T, q *delayqueue.Queue[string], targets ...string) string {
	t.Helper()
	it, err := q.Receive(t.Context(), targets...)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return it.Value
}

func TestItemsOfATargetComeInOrder(t *testing.T) {
	t.Parallel()
	q := delayqueue.New[string](1000, time.Now)
	for n := range 500 {
		put(t, q, item{Value: fmt.Sprint(n), Target: "a"})
		if n%3 == 0 { // keeps the front moving
			if got := receive(t, q, "a"); got != fmt.Sprint(n/3) {
				t.Fatalf("received %s, want %d", got, n/3)
			}
		}
	}
	for n := 167; n < 500; n++ {
		if got := receive(t, q, "b", "a"); got != fmt.Sprint(n) {
			t.Fatalf("received %s, want %d", got, n)
		}
	}
	if q.Len() != 0 {
		t.Errorf("%d items remain", q.Len())
	}
}

func TestDelayedItemsComeWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := delayqueue.New[string](100, time.Now)
		began := time.Now()
		for _, seconds := range []int{90, 5, 40, 5} {
			put(t, q, item{Value: fmt.Sprint(seconds), NotBefore: began.Add(time.Duration(seconds) * time.Second)})
		}
		put(t, q, item{Value: "0"})
		for _, seconds := range []int{0, 5, 5, 40, 90} {
			got := receive(t, q, "")
			if at := time.Since(began); got != fmt.Sprint(seconds) || at != time.Duration(seconds)*time.Second {
				t.Errorf("received %s after %s, want %d at its time", got, at, seconds)
			}
		}
		q.Close()
	})
}

func TestClockSetBackOrForward(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offset time.Duration
		q := delayqueue.New[string](100, func() time.Time { return time.Now().Add(offset) })
		put(t, q, item{Value: "x", NotBefore: time.Now().Add(time.Hour)})
		offset = 2 * time.Hour // the wall clock is corrected: x is due by it
		began := time.Now()
		receive(t, q, "")
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("noticed after %s that the clock was set forward", took)
		}
		put(t, q, item{Value: "y", NotBefore: time.Now().Add(offset + time.Second)})
		offset = 0
		began = time.Now()
		receive(t, q, "")
		if took := time.Since(began); took < 2*time.Hour {
			t.Errorf("received after %s, want not before its time by the clock that was set back", took)
		}
		q.Close()
	})
}

func TestWaitersAreServedFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := delayqueue.New[string](100, time.Now)
		var order []string
		leaving, leave := context.WithCancel(t.Context())
		for _, name := range []string{"first", "leaver", "second", "third"} {
			ctx := t.Context()
			if name == "leaver" {
				ctx = leaving
			}
			go func() {
				if it, err := q.Receive(ctx, "a", "b"); err == nil {
					order = append(order, name+it.Value)
				}
			}()
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		for _, target := range []string{"b", "a", "b"} {
			put(t, q, item{Value: "-" + target, Target: target})
			synctest.Wait()
		}
		if want := []string{"first-b", "second-a", "third-b"}; !slices.Equal(order, want) {
			t.Errorf("served %v, want %v", order, want)
		}
	})
}

func TestFullQueueTakesAllOrNothing(t *testing.T) {
	t.Parallel()
	q := delayqueue.New[string](3, time.Now)
	put(t, q, item{Value: "a"}, item{Value: "b", NotBefore: time.Now().Add(time.Hour)})
	if err := q.Put(item{Value: "c"}, item{Value: "d"}); !errors.Is(err, delayqueue.ErrFull) || q.Len() != 2 {
		t.Errorf("Put of two into room for one gives %v and %d items, want full and 2", err, q.Len())
	}
	put(t, q, item{Value: "c"})
	got := receive(t, q, "")
	if err := q.Return(item{Value: got}); err != nil {
		t.Errorf("Return: %v", err)
	}
	put(t, q) // nothing always fits
	if err := q.Return(item{Value: "more"}); err != nil || q.Len() != 4 {
		t.Errorf("Return to a full queue gives %v and %d items, want 4", err, q.Len())
	}
}

func TestClosedQueueRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := delayqueue.New[string](3, time.Now)
		put(t, q, item{Value: "a", Target: "a"}, item{Value: "b", NotBefore: time.Now().Add(time.Second)})
		ended := make(chan error, 1)
		go func() {
			_, err := q.Receive(t.Context(), "b")
			ended <- err
		}()
		synctest.Wait()
		q.Close()
		q.Close()
		if err := <-ended; !errors.Is(err, delayqueue.ErrClosed) {
			t.Errorf("a waiting Receive gives %v, want closed", err)
		}
		_, err := q.Receive(t.Context(), "a")
		for _, err := range []error{err, q.Put(item{}), q.Return(item{})} {
			if !errors.Is(err, delayqueue.ErrClosed) {
				t.Errorf("after Close: %v, want closed", err)
			}
		}
	})
}

func TestReceiveForNobody(t *testing.T) {
	t.Parallel()
	q := delayqueue.New[string](3, time.Now)
	if _, err := q.Receive(t.Context()); !errors.Is(err, delayqueue.ErrNoTarget) {
		t.Errorf("Receive without a target gives %v", err)
	}
}

func BenchmarkPutReceive(b *testing.B) {
	q := delayqueue.New[string](1<<20, time.Now)
	for b.Loop() {
		if err := q.Put(item{Value: "x", Target: "t"}); err != nil {
			b.Fatal(err)
		}
		if _, err := q.Receive(b.Context(), "t"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTakenItemsAreReceivedByNobody(t *testing.T) {
	t.Parallel()
	q := delayqueue.New[string](10, time.Now)
	put(t, q, item{Value: "due", Target: "a"}, item{Value: "later", Target: "a", NotBefore: time.Now().Add(time.Hour)}, item{Value: "other", Target: "b"})
	var got []string
	for _, it := range q.Take("a") {
		got = append(got, it.Value)
	}
	if !slices.Equal(got, []string{"due", "later"}) || q.Len() != 1 {
		t.Errorf("took %v and left %d, want due and later, and one", got, q.Len())
	}
	if receive(t, q, "a", "b") != "other" {
		t.Error("the item of another target is gone")
	}
	if again := q.Take("a"); len(again) != 0 {
		t.Errorf("took %v twice", again)
	}
}
