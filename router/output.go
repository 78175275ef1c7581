package router

import (
	"context"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/attempt"
)

// newOutput gathers the lines of an attempt of this process and stores them.
func (r *Router) newOutput(ctx context.Context, h Hold, secrets []string) *attempt.Lines {
	return attempt.NewLines(attempt.LinesConfig{Execution: h.Execution, Attempt: h.Attempt, Secrets: secrets, Now: r.now,
		Store: func(lines []hayate.OutputLine) {
			if err := r.store.Output(ctx, h, lines); err != nil {
				r.log.Warn("output not stored", "execution_id", h.Execution, "lines", len(lines), "err", err)
			}
		}})
}
