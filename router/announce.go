package router

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
)

// announce emits StackStorm's actiontrigger for an execution that has ended, if a
// rule waits for such events. The event's id is the execution's, so that a
// repeated announcement is a known event.
func (r *Router) announce(ctx context.Context, x *hayate.Execution, c Completion) {
	cat := r.cat.Load()
	if !cat.actionTrigger || !c.Result.Status.Completed() {
		return
	}
	e, err := actionEvent(cat, x, c)
	if err == nil {
		_, err = r.Accept(ctx, e)
	}
	if err != nil {
		r.log.Error("announce ended execution", "execution_id", x.ID, "err", err)
	}
}

// actionEvent is core.st2.generic.actiontrigger with StackStorm's payload.
func actionEvent(cat *catalog, x *hayate.Execution, c Completion) (hayate.Event, error) {
	params := render.MaskSealed(x.Parameters)
	if b, ok := cat.actions[x.Action]; ok {
		params = b.plan.Mask(x.Parameters)
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
	}{string(x.ID), c.Result.Status, x.Created.Format("2006-01-02 15:04:05.000000-07:00"), x.Action, x.Action, x.Runner, orNull(params), orNull(c.Result.Value)})
	if err != nil {
		return hayate.Event{}, err
	}
	e := hayate.Event{ID: string(x.ID), Source: "/hayate/executions", Type: TriggerAction, Subject: string(x.Action), Time: c.At,
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
