package attempt

import (
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

// Output is stored in batches: what a busy script prints must not cost a write a line.
const (
	batch = 64
	delay = 200 * time.Millisecond
)

// Lines gathers the lines of one attempt, in order, with secrets masked. Its
// methods may be called from many goroutines.
type Lines struct {
	c       LinesConfig
	secrets *mask.Masker

	mu    sync.Mutex
	seq   int64
	lines []hayate.OutputLine
	timer *time.Timer
}

// LinesConfig is what Lines need; all of it.
type LinesConfig struct {
	Execution hayate.ExecutionID
	Attempt   int
	Secrets   []string // texts that are masked
	Now       func() time.Time
	// Store takes the batches, one after the other. The result carries the output
	// too, so what it cannot store is no loss but for those who watch.
	Store func([]hayate.OutputLine)
}

// NewLines returns an empty gathering.
func NewLines(c LinesConfig) *Lines { return &Lines{c: c, secrets: mask.New(c.Secrets)} }

// Line adds a line.
func (o *Lines) Line(s hayate.Stream, text string) {
	text = o.secrets.String(text)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seq++
	o.lines = append(o.lines, hayate.OutputLine{Execution: o.c.Execution, Attempt: o.c.Attempt,
		Seq: int64(o.c.Attempt)<<32 | o.seq, Time: o.c.Now(), Stream: s, Text: text})
	switch {
	case len(o.lines) >= batch:
		o.store()
	case o.timer == nil:
		o.timer = time.AfterFunc(delay, o.Flush)
	}
}

// Flush stores what has gathered.
func (o *Lines) Flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.store()
}

// store is called with mu held, so that batches arrive in order.
func (o *Lines) store() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	if len(o.lines) == 0 {
		return
	}
	lines := o.lines
	o.lines = nil
	o.c.Store(lines)
}
