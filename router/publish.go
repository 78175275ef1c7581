package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hayate-run/hayate"
)

// The runners by which an execution publishes an event.
const (
	runnerPublish      = "publish"
	runnerAnnouncement = "announcement"
)

// publisher performs the actions that publish: core.inject_trigger, and
// core.announcement. The event's id is the execution's, so that an attempt that
// is made again publishes nothing twice; its lineage is the execution's, so that
// a chain that comes back to its own rule is stopped.
type publisher struct{ r *Router }

// Describe implements Runner. The parameters are in runners.yaml.
func (p publisher) Describe() []hayate.Runner {
	var ds []hayate.Runner
	for _, d := range p.r.cfg.RunnerTypes {
		if d.Name == runnerPublish || d.Name == runnerAnnouncement {
			ds = append(ds, d)
		}
	}
	return ds
}

// Run implements Runner.
func (p publisher) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	x, err := p.r.Execution(ctx, t.Execution)
	if err != nil {
		return hayate.Result{}, err
	}
	e, value, err := p.r.published(&x, &t)
	if err == nil {
		_, err = p.r.Accept(ctx, e)
	}
	switch {
	case errors.Is(err, hayate.ErrInvalid), errors.Is(err, hayate.ErrTooLarge):
		text, merr := json.Marshal(map[string]any{"failed": true, "succeeded": false, "error": err.Error()})
		return hayate.Result{Status: hayate.StatusFailed, Value: text}, merr
	case err != nil:
		return hayate.Result{}, err
	}
	return hayate.Result{Status: hayate.StatusSucceeded, Value: value, Verified: true}, nil
}

// published makes the event of an execution, and the execution's result.
func (r *Router) published(x *hayate.Execution, t *hayate.Task) (hayate.Event, json.RawMessage, error) {
	e := hayate.Event{ID: string(x.ID), Source: "/hayate/executions", Subject: string(x.Action), Time: x.Created, DataContentType: "application/json"}
	e.SetExtension(hayate.ExtCause, string(x.ID))
	e.SetExtension(hayate.ExtLineage, LineageText(x.Lineage))
	if x.Runner == runnerAnnouncement {
		return announcement(e, t)
	}
	var p struct {
		Trigger     string          `json:"trigger"`
		TriggerName string          `json:"trigger_name"`
		Payload     json.RawMessage `json:"payload"`
		TraceTag    string          `json:"trace_tag"`
	}
	if err := json.Unmarshal(t.Parameters, &p); err != nil {
		return e, nil, fmt.Errorf("read the parameters: %v: %w", err, hayate.ErrInvalid)
	}
	ref := hayate.Ref(cmp.Or(p.Trigger, p.TriggerName))
	if ref == "" {
		return e, nil, fmt.Errorf("the parameter trigger is missing: name a trigger as pack.trigger: %w", hayate.ErrInvalid)
	}
	if _, known := r.cat.Load().triggers[ref]; !known {
		return e, nil, fmt.Errorf("trigger type %s is not registered; a pack declares it in triggers/*.yaml: %w", ref, hayate.ErrInvalid)
	}
	e.Type, e.Data = string(ref), p.Payload
	if string(e.Data) == "" || string(e.Data) == "null" {
		e.Data = []byte("{}")
	}
	if p.TraceTag != "" {
		e.SetExtension(hayate.ExtTraceTag, p.TraceTag)
	}
	value, err := json.Marshal(map[string]any{"failed": false, "succeeded": true, "trigger": ref, "payload": json.RawMessage(e.Data), "trace_tag": p.TraceTag})
	return e, value, err
}

// announcement is an event st2.announcement__ROUTE with the parameters as its
// data; the result is StackStorm's: the parameters, and once more as output.
func announcement(e hayate.Event, t *hayate.Task) (hayate.Event, json.RawMessage, error) {
	var p struct {
		Route string `json:"route"`
	}
	if err := json.Unmarshal(t.RunnerParameters, &p); err != nil {
		return e, nil, fmt.Errorf("read the parameters: %v: %w", err, hayate.ErrInvalid)
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(t.Parameters, &out); err != nil {
		return e, nil, fmt.Errorf("read the parameters: %v: %w", err, hayate.ErrInvalid)
	}
	data, err := json.Marshal(map[string]any{"payload": out})
	if err != nil {
		return e, nil, err
	}
	e.Type, e.Data = "st2.announcement__"+cmp.Or(p.Route, "general"), data
	whole, err := json.Marshal(out)
	if err != nil {
		return e, nil, err
	}
	out["output"] = whole
	value, err := json.Marshal(out)
	return e, value, err
}
