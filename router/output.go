package router

import (
	"context"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

// Output is stored in batches: what a busy script prints must not cost a write a line.
const (
	outputBatch = 64
	outputDelay = 200 * time.Millisecond
)

// output stores the lines of one attempt, in order, with secrets masked.
type output struct {
	r       *Router
	ctx     context.Context //nolint:containedctx // of one attempt: lines come by a callback that carries none
	hold    Hold
	secrets *mask.Masker

	mu    sync.Mutex
	seq   int64
	lines []hayate.OutputLine
	timer *time.Timer
}

func (r *Router) newOutput(ctx context.Context, h Hold, secrets []string) *output {
	return &output{r: r, ctx: ctx, hold: h, secrets: mask.New(secrets)}
}

func (o *output) line(s hayate.Stream, text string) {
	text = o.secrets.String(text)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seq++
	o.lines = append(o.lines, hayate.OutputLine{Execution: o.hold.Execution, Attempt: o.hold.Attempt,
		Seq: int64(o.hold.Attempt)<<32 | o.seq, Time: o.r.now(), Stream: s, Text: text})
	switch {
	case len(o.lines) >= outputBatch:
		o.store()
	case o.timer == nil:
		o.timer = time.AfterFunc(outputDelay, o.flush)
	}
}

// flush stores what has gathered.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.store()
}

// store is called with mu held, so that batches arrive in order.
func (o *output) store() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	if len(o.lines) == 0 {
		return
	}
	lines := o.lines
	o.lines = nil
	if err := o.r.store.Output(o.ctx, o.hold, lines); err != nil {
		// The result carries the output too; the stream is for watching.
		o.r.log.Warn("output not stored", "execution_id", o.hold.Execution, "lines", len(lines), "err", err)
	}
}
