package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/workflows"
)

// The events of a run's deadline.
const (
	// TriggerDeadlineNear warns that a run which has not ended nears its deadline.
	TriggerDeadlineNear = "core.hayate.deadline_near"
	// TriggerDeadlinePassed says that a run is being stopped at its deadline.
	TriggerDeadlinePassed = "core.hayate.deadline_passed"
)

// warnPercent is the part of the time after which the warning comes, where the
// action does not say it.
const warnPercent = 80

// due is what the router keeps of a run's deadline.
type due struct {
	// Warn and Deadline are still to come; zero: there is none, or it has been dealt
	// with.
	Warn     time.Time `json:"warn,omitzero"`
	Deadline time.Time `json:"deadline,omitzero"`
	// Overdue says that the run is being stopped because its deadline passed.
	Overdue bool `json:"overdue,omitempty"`
}

// dueOf sets the deadline of an execution whose run is to begin now.
func (r *Router) dueOf(x *hayate.Execution, b *boundAction) (due, error) {
	var d due
	var err error
	d.Deadline, d.Warn, err = r.deadlineOf(x, b, r.now())
	x.Deadline = d.Deadline
	return d, err
}

// deadlineOf says until when a run that begins at a time must be over, and when
// to warn; zero times are none. What the execution was asked with wins over what
// its action says.
func (r *Router) deadlineOf(x *hayate.Execution, b *boundAction, at time.Time) (end, warn time.Time, err error) {
	var d hayate.Deadline
	if b.Deadline != nil {
		d = *b.Deadline
	}
	switch {
	case !x.Deadline.IsZero():
		end = x.Deadline
	case d.After > 0:
		end = at.Add(d.After)
	case d.At != "":
		if end, err = nextTimeOfDay(&d, at, r.cfg.Zone); err != nil {
			return end, warn, err
		}
	default:
		return end, warn, nil
	}
	end = end.UTC().Truncate(time.Microsecond)
	percent := d.WarnPercent
	if percent == 0 {
		percent = warnPercent
	}
	switch {
	case percent >= 100:
	case d.WarnBefore > 0:
		warn = end.Add(-d.WarnBefore)
	default:
		warn = at.Add(end.Sub(at) / 100 * time.Duration(percent))
	}
	return end, warn.Truncate(time.Microsecond), nil
}

// nextTimeOfDay is the next time that clocks in the deadline's zone show its time
// of day, as a cron timer has it where clocks are changed.
func nextTimeOfDay(d *hayate.Deadline, at time.Time, zone *time.Location) (time.Time, error) {
	h, m, _ := strings.Cut(d.At, ":")
	params := map[string]string{"hour": h, "minute": m}
	if d.Zone != "" {
		params["timezone"] = d.Zone
	}
	text, err := json.Marshal(params)
	if err != nil {
		panic(err) // texts only
	}
	s, err := cron.Parse(cron.CronTimer, text, zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("deadline %s: %w: %w", d, err, hayate.ErrInvalid)
	}
	end, _ := s.Next(at) // every day has one
	return end, nil
}

// note lets the router change when the run is due, and says whether there is a
// fact to be told to the run.
func (s *step) note(t *told) bool {
	if t.note != nil && !t.note(s) {
		return false
	}
	if t.fact.Kind == workflows.RerunAsked {
		s.own.Overdue = false // what ended it then does not end it now
	}
	return t.fact.Kind != ""
}

// checkDeadline warns of a run's deadline when it is near, and stops the run when
// it has passed. own is what the store holds; it may be that another process is
// at it too, which repeats what is known.
func (r *Router) checkDeadline(ctx context.Context, id hayate.ExecutionID, own due, at time.Time) error {
	switch {
	case !own.Deadline.IsZero() && !own.Deadline.After(at):
		return r.stopOverdue(ctx, id, own.Deadline)
	case !own.Warn.IsZero() && !own.Warn.After(at):
		return r.warnOfDeadline(ctx, id, own.Deadline, at)
	}
	return nil
}

func (r *Router) warnOfDeadline(ctx context.Context, id hayate.ExecutionID, deadline, at time.Time) error {
	x, err := r.Execution(ctx, id)
	if err != nil || x.Status.Completed() || x.Status == hayate.StatusCanceling {
		return err
	}
	// The event first: its id is the run's, so that a warning that was not noted is
	// known the next time.
	if err := r.publishDeadline(ctx, &x, TriggerDeadlineNear, deadline, at); err != nil {
		return err
	}
	r.log.Warn("run nears its deadline", "run_id", id, "action", x.Action, "deadline", deadline)
	return r.tell(ctx, id, &told{note: func(s *step) bool {
		if s.own.Warn.IsZero() || s.lr.run.Status().Completed() {
			return false
		}
		s.own.Warn = time.Time{}
		return true
	}})
}

// stopOverdue cancels what is left of a run. It ends as a timeout once its tasks
// have stopped.
func (r *Router) stopOverdue(ctx context.Context, id hayate.ExecutionID, deadline time.Time) error {
	stopped := false
	err := r.tell(ctx, id, &told{fact: workflows.Fact{Kind: workflows.CancelAsked}, note: func(s *step) bool {
		stopped = false
		if s.own.Deadline.IsZero() || s.lr.run.Status().Completed() {
			return false
		}
		s.own.Deadline, s.own.Warn = time.Time{}, time.Time{}
		// What somebody has canceled ends canceled, however long that takes.
		stopped = s.x.Status != hayate.StatusCanceling
		s.own.Overdue = stopped
		return true
	}})
	if err != nil || !stopped {
		return err
	}
	x, err := r.Execution(ctx, id)
	if err != nil {
		return err
	}
	r.log.Warn("run stopped at its deadline", "run_id", id, "action", x.Action, "deadline", deadline)
	return r.publishDeadline(ctx, &x, TriggerDeadlinePassed, deadline, r.now())
}

// publishDeadline makes an event of a run's deadline.
func (r *Router) publishDeadline(ctx context.Context, x *hayate.Execution, trigger string, deadline, at time.Time) error {
	data, err := json.Marshal(struct {
		ID        hayate.ExecutionID `json:"execution_id"`
		Action    hayate.Ref         `json:"action_ref"`
		Rule      hayate.Ref         `json:"rule_ref,omitempty"`
		Parent    hayate.ExecutionID `json:"parent,omitempty"`
		Status    hayate.Status      `json:"status"`
		Started   time.Time          `json:"started_at"`
		Deadline  time.Time          `json:"deadline"`
		Remaining int64              `json:"remaining_seconds"`
	}{x.ID, x.Action, x.Rule, x.Parent, x.Status, x.Started, deadline, max(0, int64(deadline.Sub(at).Seconds()))})
	if err != nil {
		return fmt.Errorf("event %s of run %s: %w", trigger, x.ID, err)
	}
	e := hayate.Event{ID: hayate.Ref(trigger).Name() + "-" + string(x.ID), Source: "/hayate/executions", Type: trigger, Subject: string(x.Action),
		Time: at, DataContentType: "application/json", Data: data}
	e.SetExtension(hayate.ExtCause, string(x.ID))
	e.SetExtension(hayate.ExtLineage, LineageText(x.Lineage))
	if _, err := r.Accept(ctx, e); err != nil {
		return fmt.Errorf("event %s of run %s: %w", trigger, x.ID, err)
	}
	return nil
}

func lateText(deadline time.Time) string {
	return "The run did not begin before its deadline " + deadline.Format(time.RFC3339) + "."
}

// overdueResult adds to the result of a run why it was stopped, if its deadline
// did: among the errors, or as an action chain's error.
func (s *step) overdueResult(result json.RawMessage) json.RawMessage {
	if !s.own.Overdue {
		return result
	}
	text := "The run did not end by its deadline " + s.x.Deadline.Format(time.RFC3339) + "; what was left of it was canceled."
	if s.x.Runner == workflows.ActionChain {
		return withMember(result, "error", json.RawMessage(strconv.Quote(text)))
	}
	var out map[string]json.RawMessage
	var errs []any
	if json.Unmarshal(result, &out) != nil {
		out = map[string]json.RawMessage{"output": orNull(nil)}
	}
	if len(out["errors"]) > 0 && json.Unmarshal(out["errors"], &errs) != nil {
		errs = nil
	}
	all, err := json.Marshal(append(errs, map[string]string{"type": "error", "message": text}))
	if err != nil {
		panic(err) // what was JSON just now
	}
	out["errors"] = all
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // raw messages that were just read
	}
	return b
}

// errDeadline refuses a deadline for what is no workflow.
var errDeadline = errors.New("only workflows have deadlines; what bounds another action is its timeout")
