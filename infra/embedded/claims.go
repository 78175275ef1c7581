package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// Claim implements router.Claims. The claim of an idempotent execution is kept
// in memory: a dead process has no runners, and the execution may be attempted
// again. A note of it (claimfile.go) outlives the process, so that the next attempt
// has the next number.
func (s *Store) Claim(ctx context.Context, c router.Claim) (hayate.Execution, error) {
	if err := s.ready(ctx); err != nil {
		return hayate.Execution{}, fmt.Errorf("claim execution %s: %w", c.Execution, err)
	}
	x, ok, err := s.live.inMemory(c.Execution, func(r *row) error {
		if err := record.Claim(&r.Execution, c); err != nil {
			return err
		}
		r.volatile = true
		return nil
	})
	if ok {
		if err == nil {
			s.noteClaim(&x, c)
		}
		return x, err
	}
	err = s.do(ctx, func(t *tx) error {
		r, err := t.execution("claim", c.Execution)
		if err != nil {
			return err
		}
		next := cloneExecution(r.Execution)
		if err := record.Claim(&next, c); err != nil {
			return err
		}
		if next.Idempotent {
			r.Execution, r.volatile, r.dirty = next, true, true
		} else {
			t.save(r, next)
		}
		x = cloneExecution(next)
		return nil
	})
	if err != nil {
		return hayate.Execution{}, fmt.Errorf("claim execution %s: %w", c.Execution, err)
	}
	if x.Idempotent {
		s.noteClaim(&x, c)
	}
	return x, nil
}

// Heartbeat implements router.Claims. It is as durable as the claim was.
func (s *Store) Heartbeat(ctx context.Context, h router.Hold, until time.Time) (router.Signal, error) {
	if err := s.ready(ctx); err != nil {
		return router.Signal{}, fmt.Errorf("heartbeat of execution %s: %w", h.Execution, err)
	}
	var sig router.Signal
	_, ok, err := s.live.inMemory(h.Execution, func(r *row) (err error) {
		if !r.volatile {
			return errOnDisk
		}
		sig, err = record.Heartbeat(&r.Execution, h, until)
		return err
	})
	if ok && !errors.Is(err, errOnDisk) {
		return sig, err
	}
	err = s.do(ctx, func(t *tx) error {
		r, err := t.execution("hold", h.Execution)
		if err != nil {
			return err
		}
		next := cloneExecution(r.Execution)
		if sig, err = record.Heartbeat(&next, h, until); err != nil {
			return err
		}
		if r.volatile {
			r.Execution, r.dirty = next, true
			return nil
		}
		t.save(r, next)
		return nil
	})
	if err != nil {
		return router.Signal{}, fmt.Errorf("heartbeat of execution %s: %w", h.Execution, err)
	}
	return sig, nil
}

// errOnDisk says that a row must be changed in a transaction.
var errOnDisk = errors.New("the row is on disk")

// Complete implements router.Claims: result, output, and the step that the result
// leads to are one commit.
func (s *Store) Complete(ctx context.Context, c router.Completion) error {
	err := s.do(ctx, func(t *tx) error {
		e, err := t.end(&c)
		if err != nil {
			return err
		}
		if c.Step != nil {
			if err := t.check(c.Step); err != nil {
				return err
			}
		}
		if err := t.saveEnd(e, c.Step != nil); err != nil {
			return err
		}
		if c.Step != nil {
			return t.apply(c.Step)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("complete execution %s: %w", c.Execution, err)
	}
	return nil
}

// ending is a completion that was checked: the row, and what becomes of it.
type ending struct {
	row  *row
	next hayate.Execution
	blob *hayate.BlobRef
}

// end checks a completion.
func (t *tx) end(c *router.Completion) (ending, error) {
	r, err := t.execution("complete", c.Execution)
	if err != nil {
		return ending{}, err
	}
	e := ending{r, cloneExecution(r.Execution), c.Blob}
	return e, record.Complete(&e.next, *c)
}

// saveEnd writes a completion that was checked.
func (t *tx) saveEnd(e ending, told bool) error {
	e.row.told = told && e.next.Status.Completed()
	t.save(e.row, e.next)
	if e.blob == nil {
		return nil
	}
	if _, err := t.exec(t.st.addRef, e.blob.Hash, e.row.seq); err != nil {
		return fmt.Errorf("refer to blob %s: %w", e.blob.Hash, err)
	}
	return nil
}

// Bounds of the output that waits for a commit: its size, and for how long.
const (
	maxOutput   = 1 << 20
	outputDelay = 200 * time.Millisecond
)

// outputs are lines of output that wait for the next commit, whosever it is.
type outputs struct {
	mu    sync.Mutex
	lines []hayate.OutputLine
	size  int
	timer *time.Timer
}

// Output implements router.Claims. The lines are on disk with the next commit,
// at the latest when the attempt is completed or outputDelay has passed.
func (s *Store) Output(ctx context.Context, h router.Hold, lines []hayate.OutputLine) error {
	if err := s.ready(ctx); err != nil {
		return fmt.Errorf("output of execution %s: %w", h.Execution, err)
	}
	held, err := s.checkHold(h)
	if !held && err == nil {
		err = s.do(ctx, func(t *tx) error {
			r, err := t.execution("output of", h.Execution)
			if err != nil {
				return err
			}
			return record.Check(&r.Execution, h)
		})
	}
	if err != nil {
		return fmt.Errorf("output of execution %s: %w", h.Execution, err)
	}
	if s.out.add(h, lines, func() { s.flushLater() }) {
		return nil
	}
	if err := s.flush(ctx); err != nil {
		return fmt.Errorf("output of execution %s: %w", h.Execution, err)
	}
	return nil
}

// checkHold checks a hold in memory; known is false where only the disk can say.
func (s *Store) checkHold(h router.Hold) (known bool, err error) {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	r, ok := s.live.rows[h.Execution]
	if !ok || r.busy > 0 {
		return false, nil
	}
	return true, record.Check(&r.Execution, h)
}

// add keeps lines for the next commit. It returns false when so many wait that
// the caller should see to that commit itself.
func (o *outputs) add(h router.Hold, lines []hayate.OutputLine, later func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range lines {
		l.Execution, l.Attempt = h.Execution, h.Attempt
		o.lines = append(o.lines, l)
		o.size += len(l.Text) + 64
	}
	if o.size > maxOutput {
		return false
	}
	if o.timer == nil {
		o.timer = time.AfterFunc(outputDelay, later)
	}
	return true
}

// pending says whether lines wait.
func (o *outputs) pending() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines) > 0
}

// write puts the lines that wait into the transaction; they are forgotten once
// it is committed.
func (o *outputs) write(t *tx) error {
	o.mu.Lock()
	lines := o.lines
	o.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	for i := range lines {
		l := &lines[i]
		if _, err := t.exec(t.st.addLine, idBytes(l.Execution), l.Seq, l.Attempt, l.Time.UnixNano(), string(l.Stream), l.Text); err != nil {
			return fmt.Errorf("store output of execution %s: %w", l.Execution, err)
		}
	}
	t.after = append(t.after, func() { o.forget(len(lines)) })
	return nil
}

func (o *outputs) forget(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.lines[:n] {
		o.size -= len(o.lines[i].Text) + 64
	}
	o.lines = append([]hayate.OutputLine(nil), o.lines[n:]...)
	if o.timer != nil && len(o.lines) == 0 {
		o.timer.Stop()
		o.timer = nil
	}
}

// flush commits the output that waits.
func (s *Store) flush(ctx context.Context) error {
	return s.do(ctx, func(*tx) error { return nil }) // each transaction begins with it
}

// flushLater asks for a commit without waiting for it.
func (s *Store) flushLater() {
	s.out.mu.Lock()
	s.out.timer = nil
	s.out.mu.Unlock()
	// A closed store has written its output already.
	_ = s.w.put(&request{run: func(*tx) error { return nil }, done: make(chan struct{})})
}
