// Package delayqueue is a bounded queue in memory whose items are addressed to
// targets and may be receivable only from a time on. Items of one target that
// are due are received in the order in which they became due.
package delayqueue

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// The reasons why a queue refuses.
var (
	ErrFull     = errors.New("queue is full")
	ErrClosed   = errors.New("queue is closed")
	ErrNoTarget = errors.New("no target is named")
)

// longest is the longest the queue trusts one timer: a wall clock that was set
// forward is noticed after that time.
const longest = 10 * time.Second

// Item is something queued.
type Item[T any] struct {
	Value     T
	Target    string
	NotBefore time.Time // zero: at once
}

// Queue holds items. Its methods may be called from many goroutines.
type Queue[T any] struct {
	now   func() time.Time
	bound int

	mu      sync.Mutex
	n       int // items waiting, due or not
	targets map[string]*target[T]
	delayed delayed[T]
	seq     uint64
	timer   *time.Timer
	armed   time.Time // what the timer waits for; zero: it is not armed
	closed  bool
}

type target[T any] struct {
	due     fifo[Item[T]]
	waiters fifo[*waiter[T]]
}

// waiter is a blocked Receive, listed at each of its targets. done is guarded
// by the queue's mutex: set once it has an item or has left.
type waiter[T any] struct {
	got     chan Item[T]
	done    bool
	targets []string
}

// New returns a queue of at most bound items, which reads the time from now.
func New[T any](bound int, now func() time.Time) *Queue[T] {
	return &Queue[T]{now: now, bound: bound, targets: map[string]*target[T]{}}
}

// Put adds all items, or none and returns ErrFull or ErrClosed.
func (q *Queue[T]) Put(items ...Item[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.n+len(items) > q.bound {
		return ErrFull
	}
	q.add(items)
	return nil
}

// Return adds an item that was received before, even to a full queue.
func (q *Queue[T]) Return(it Item[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.add([]Item[T]{it})
	return nil
}

// Len is the number of items that wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

func (q *Queue[T]) add(items []Item[T]) {
	var now time.Time
	for _, it := range items {
		q.n++
		if !it.NotBefore.IsZero() {
			if now.IsZero() {
				now = q.now()
			}
			if it.NotBefore.After(now) {
				q.seq++
				heap.Push(&q.delayed, entry[T]{it, q.seq})
				continue
			}
		}
		q.offer(it)
	}
	q.arm()
}

// offer hands a due item to who has waited longest for its target, or files it.
func (q *Queue[T]) offer(it Item[T]) {
	t := q.target(it.Target)
	for t.waiters.len() > 0 {
		w := t.waiters.pop()
		if w.done {
			continue
		}
		w.done = true
		q.n--
		w.got <- it // has room for one
		q.forget(w)
		return
	}
	t.due.push(it)
}

// arm sets the timer for the earliest delayed item.
func (q *Queue[T]) arm() {
	if len(q.delayed) == 0 || q.closed {
		return
	}
	at := q.delayed[0].NotBefore
	if !q.armed.IsZero() && !at.Before(q.armed) {
		return
	}
	q.armed = at
	d := min(at.Sub(q.now()), longest)
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.wake)
		return
	}
	q.timer.Reset(d)
}

func (q *Queue[T]) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed = time.Time{}
	if q.closed {
		return
	}
	q.ripen()
	q.arm()
}

// ripen offers the delayed items that have become due.
func (q *Queue[T]) ripen() {
	if len(q.delayed) == 0 {
		return
	}
	at := q.now()
	for len(q.delayed) > 0 && !q.delayed[0].NotBefore.After(at) {
		q.offer(heap.Pop(&q.delayed).(entry[T]).Item)
	}
}

// Receive waits until an item for one of the targets is due, the queue is
// closed (ErrClosed) or ctx ends.
func (q *Queue[T]) Receive(ctx context.Context, targets ...string) (Item[T], error) {
	var none Item[T]
	if len(targets) == 0 {
		return none, ErrNoTarget
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return none, ErrClosed
	}
	for _, name := range targets {
		if t := q.targets[name]; t != nil && t.due.len() > 0 {
			it := t.due.pop()
			q.n--
			q.drop(name)
			q.mu.Unlock()
			return it, nil
		}
	}
	w := &waiter[T]{got: make(chan Item[T], 1), targets: targets}
	for _, name := range targets {
		q.target(name).waiters.push(w)
	}
	q.mu.Unlock()

	select {
	case it, ok := <-w.got:
		if !ok {
			return none, ErrClosed
		}
		return it, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !w.done {
		w.done = true
		q.forget(w)
		return none, ctx.Err()
	}
	// It was handed an item (or the end) in the same moment.
	if it, ok := <-w.got; ok {
		return it, nil
	}
	return none, ErrClosed
}

// Take removes and returns all items of a target that nobody has received, due or not.
func (q *Queue[T]) Take(name string) []Item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []Item[T]
	if t := q.targets[name]; t != nil {
		for t.due.len() > 0 {
			out = append(out, t.due.pop())
		}
		q.drop(name)
	}
	kept := q.delayed[:0]
	for _, e := range q.delayed {
		if e.Target == name {
			out = append(out, e.Item)
		} else {
			kept = append(kept, e)
		}
	}
	clear(q.delayed[len(kept):])
	q.delayed = kept
	heap.Init(&q.delayed)
	q.n -= len(out)
	return out
}

// forget removes a waiter that is done from the lists of its targets.
func (q *Queue[T]) forget(w *waiter[T]) {
	for _, name := range w.targets {
		t := q.targets[name]
		if t == nil {
			continue
		}
		t.waiters.prune(func(w *waiter[T]) bool { return w.done })
		q.drop(name)
	}
}

func (q *Queue[T]) target(name string) *target[T] {
	t := q.targets[name]
	if t == nil {
		t = &target[T]{}
		q.targets[name] = t
	}
	return t
}

// drop forgets a target that nothing waits at or for.
func (q *Queue[T]) drop(name string) {
	if t := q.targets[name]; t != nil && t.due.len() == 0 && t.waiters.len() == 0 {
		delete(q.targets, name)
	}
}

// Close ends all that wait with ErrClosed and drops the items. Twice is fine.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
	for _, t := range q.targets {
		for t.waiters.len() > 0 {
			if w := t.waiters.pop(); !w.done {
				w.done = true
				close(w.got)
			}
		}
	}
	q.targets, q.delayed, q.n = map[string]*target[T]{}, nil, 0
}

// fifo is a queue in a slice; its space is reused once the front half is free.
type fifo[E any] struct {
	items []E
	head  int
}

func (f *fifo[E]) len() int { return len(f.items) - f.head }

func (f *fifo[E]) push(e E) { f.items = append(f.items, e) }

func (f *fifo[E]) pop() E {
	var zero E
	e := f.items[f.head]
	f.items[f.head] = zero
	f.head++
	if f.head*2 >= len(f.items) {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	return e
}

// prune drops finished entries at both ends at once, and those between when
// they are the greater part.
func (f *fifo[E]) prune(finished func(E) bool) {
	for f.len() > 0 && finished(f.items[f.head]) {
		f.pop()
	}
	for f.len() > 0 && finished(f.items[len(f.items)-1]) {
		var zero E
		f.items[len(f.items)-1] = zero
		f.items = f.items[:len(f.items)-1]
	}
	stale := 0
	for _, e := range f.items[f.head:] {
		if finished(e) {
			stale++
		}
	}
	if stale*2 <= f.len() {
		return
	}
	kept := f.items[:0]
	for _, e := range f.items[f.head:] {
		if !finished(e) {
			kept = append(kept, e)
		}
	}
	clear(f.items[len(kept):])
	f.items, f.head = kept, 0
}

type entry[T any] struct {
	Item[T]
	seq uint64 // keeps items of one time in the order of Put
}

// delayed is a heap, the earliest item first.
type delayed[T any] []entry[T]

func (d delayed[T]) Len() int { return len(d) }
func (d delayed[T]) Less(i, j int) bool {
	if c := d[i].NotBefore.Compare(d[j].NotBefore); c != 0 {
		return c < 0
	}
	return d[i].seq < d[j].seq
}
func (d delayed[T]) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *delayed[T]) Push(x any)   { *d = append(*d, x.(entry[T])) }
func (d *delayed[T]) Pop() any {
	old := *d
	e := old[len(old)-1]
	old[len(old)-1] = entry[T]{}
	*d = old[:len(old)-1]
	return e
}
