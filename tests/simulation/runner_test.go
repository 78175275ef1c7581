package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// runner performs the actions of one process.
type runner struct{ p *process }

// Describe implements router.Runner.
func (r runner) Describe() []hayate.Runner { return []hayate.Runner{{Name: "sim"}} }

// Run takes some time, has its effect in the middle of it, and stops when it is
// told to. A dead process has no effect.
func (r runner) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	w := r.p.w
	if r.p.isDead() {
		return hayate.Result{}, errWorld
	}
	w.observed.began(&t)
	rnd := w.plan.random(fmt.Sprintf("perform %s %d", t.Execution, t.Attempt))
	before, after := time.Duration(rnd.IntN(1500))*time.Millisecond, time.Duration(rnd.IntN(1500))*time.Millisecond
	if f, _ := w.plan.next("perform", fmt.Sprintf("%s attempt %d", t.Execution, t.Attempt)); f.kind == slow {
		after += f.d // it hangs
	}
	pauseFor(ctx, before)
	if ctx.Err() != nil || r.p.isDead() {
		return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
	}
	w.observed.effect(&t)
	pauseFor(ctx, after)
	if ctx.Err() != nil {
		return hayate.Result{Status: hayate.StatusCanceled, Value: json.RawMessage(`{}`)}, nil
	}
	return answer(&t)
}

// taskContext is what an attempt's outcome depends on beside its action.
type taskContext struct {
	Orquesta struct {
		Attempt int `json:"task_attempt"`
	}
	Policies struct {
		Retry struct {
			Count int `json:"retry_count"`
		}
	}
	Parent struct {
		Again struct {
			Tasks []string `json:"tasks"`
		} `json:"re-run"`
	}
}

// answer is what an attempt comes to: its parameters, and a status that its place
// decides on, never its number, since attempts that were lost are repeated.
func answer(t *hayate.Task) (hayate.Result, error) {
	var c taskContext
	if err := json.Unmarshal(t.Context, &c); err != nil {
		return hayate.Result{}, err
	}
	res := hayate.Result{Status: hayate.StatusSucceeded, Value: t.Parameters}
	var in struct{ N json.Number }
	if err := json.Unmarshal(t.Parameters, &in); err != nil {
		return res, err
	}
	n, err := in.N.Int64()
	if err != nil {
		return res, err
	}
	switch name := t.Action.Name; {
	case name == "fail",
		name == "flaky" && c.Orquesta.Attempt < 2,
		name == "tried" && c.Policies.Retry.Count < int(n),
		name == "bad" && c.Parent.Again.Tasks == nil:
		res.Status = hayate.StatusFailed
	case name == "timed" && c.Policies.Retry.Count < int(n):
		res.Status = hayate.StatusTimeout
	case name == "large":
		res.Value = fmt.Appendf(nil, `{"n":%d,"text":%q}`, n, strings.Repeat("x", longText))
	}
	return res, nil
}
