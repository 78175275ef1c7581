package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
)

// announce emits StackStorm's actiontrigger for an execution that has ended, if a
// rule waits for such events. The event's id is the execution's, so that a
// repeated announcement is a known event.
func (r *Router) announce(ctx context.Context, x *hayate.Execution) error {
	cat := r.cat.Load()
	if !cat.actionTrigger || !x.Status.Completed() {
		return nil
	}
	e, err := actionEvent(cat, x)
	if err == nil {
		_, err = r.Accept(ctx, e)
	}
	if errors.Is(err, hayate.ErrInvalid) || errors.Is(err, hayate.ErrTooLarge) {
		r.log.Error("end of execution cannot be announced", "execution_id", x.ID, "err", err)
		return nil // nor ever
	}
	if err != nil {
		return fmt.Errorf("announce the end of execution %s: %w", x.ID, err)
	}
	return nil
}

// actionEvent is core.st2.generic.actiontrigger with StackStorm's payload.
func actionEvent(cat *catalog, x *hayate.Execution) (hayate.Event, error) {
	params := render.MaskSealed(x.Parameters)
	if b, ok := cat.actions[x.Action]; ok {
		params = b.plan.Mask(x.Parameters, nil)
	}
	data, err := json.Marshal(struct {
		ID         string          `json:"execution_id"`
		Status     hayate.Status   `json:"status"`
		Start      string          `json:"start_timestamp"`
		ActionName hayate.Ref      `json:"action_name"`
		ActionRef  hayate.Ref      `json:"action_ref"`
		Runner     string          `json:"runner_ref"`
		Parameters json.RawMessage `json:"parameters"`
		Result     json.RawMessage `json:"result"`
	}{string(x.ID), x.Status, x.Created.Format("2006-01-02 15:04:05.000000-07:00"), x.Action, x.Action, x.Runner, orNull(params), orNull(maskAnswer(x))})
	if err != nil {
		return hayate.Event{}, err
	}
	e := hayate.Event{ID: string(x.ID), Source: "/hayate/executions", Type: TriggerAction, Subject: string(x.Action), Time: x.Ended,
		DataContentType: "application/json", Data: data}
	e.SetExtension(hayate.ExtCause, string(x.ID))
	e.SetExtension(hayate.ExtLineage, LineageText(x.Lineage))
	return e, nil
}

// LineageText is how an event carries the rules that led to it.
func LineageText(refs []hayate.Ref) string {
	parts := make([]string, len(refs))
	for i, ref := range refs {
		parts[i] = string(ref)
	}
	return strings.Join(parts, ",")
}
