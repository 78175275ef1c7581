package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// execution is an execution in StackStorm's shape. What is empty and optional is
// absent, as there.
type execution struct {
	ID              hayate.ExecutionID   `json:"id"`
	Status          hayate.Status        `json:"status"`
	Action          any                  `json:"action"`
	Runner          any                  `json:"runner"`
	LiveAction      any                  `json:"liveaction"`
	Parameters      json.RawMessage      `json:"parameters,omitempty"`
	Context         json.RawMessage      `json:"context,omitempty"`
	Result          json.RawMessage      `json:"result,omitempty"`
	ResultSize      int                  `json:"result_size,omitempty"`
	Parent          hayate.ExecutionID   `json:"parent,omitempty"`
	Children        []hayate.ExecutionID `json:"children,omitempty"`
	Log             []logEntry           `json:"log"`
	Rule            any                  `json:"rule,omitempty"`
	Trigger         any                  `json:"trigger,omitempty"`
	TriggerType     any                  `json:"trigger_type,omitempty"`
	TriggerInstance any                  `json:"trigger_instance,omitempty"`
	Start           string               `json:"start_timestamp"`
	End             string               `json:"end_timestamp,omitempty"`
	Elapsed         float64              `json:"elapsed_seconds,omitempty"`
	Delay           int64                `json:"delay,omitempty"` // ms

	// hayate's own.
	Verified   bool         `json:"verified"`
	Attempt    int          `json:"attempt,omitempty"`
	Worker     string       `json:"worker,omitempty"`
	Trace      string       `json:"trace,omitempty"`
	Lineage    []hayate.Ref `json:"lineage,omitempty"`
	Idempotent bool         `json:"idempotent,omitempty"`
	Deadline   string       `json:"deadline,omitempty"`
	// Of a single execution: the policy that it waits for, and what a policy made
	// follow it.
	HeldBy    hayate.Ref         `json:"held_by,omitempty"`
	RetriedBy hayate.ExecutionID `json:"retried_by,omitempty"`
	Target    string             `json:"target,omitempty"`
}

type logEntry struct {
	Timestamp string        `json:"timestamp"`
	Status    hayate.Status `json:"status"`
}

// viewExecution shapes an execution. ev is its event, nil where there is none or
// it is gone.
func (s *Server) viewExecution(x hayate.Execution, ev *router.EventRecord) execution {
	out := execution{
		ID: x.ID, Status: x.Status, Parameters: x.Parameters, Context: x.Context, Result: x.Result, ResultSize: len(x.Result),
		Parent: x.Parent, Start: stamp(x.Created), End: stamp(x.Ended), Verified: x.Verified, Attempt: x.Attempt,
		Worker: x.Worker, Trace: x.Trace, Lineage: x.Lineage, Idempotent: x.Idempotent, Target: x.Target, Deadline: stamp(x.Deadline), Log: make([]logEntry, len(x.Log)),
	}
	for i, l := range x.Log {
		out.Log[i] = logEntry{stamp(l.Time), l.Status}
	}
	if !x.Ended.IsZero() {
		out.Elapsed = x.Ended.Sub(x.Created).Seconds()
	}
	if !x.NotBefore.IsZero() {
		out.Delay = x.NotBefore.Sub(x.Created).Milliseconds()
	}
	a, err := s.Router.Action(x.Action)
	if err != nil {
		a = hayate.Action{Pack: x.Action.Pack(), Name: x.Action.Name(), Runner: x.Runner}
	}
	out.Action = viewAction(&a)
	out.Runner = map[string]any{"name": x.Runner}
	out.LiveAction = map[string]any{"id": x.ID, "action": x.Action, "action_is_workflow": workflow(x.Runner), "parameters": x.Parameters,
		"callback": map[string]any{}, "runner_info": map[string]any{"hostname": x.Worker}}
	if x.ResultRef != nil {
		out.ResultSize = int(x.ResultRef.Size)
	}
	if x.Rule != "" {
		if rule, err := s.Router.Rule(x.Rule); err == nil {
			out.Rule = viewRule(&rule)
		} else {
			out.Rule = map[string]string{"ref": string(x.Rule), "name": x.Rule.Name(), "pack": x.Rule.Pack(), "id": router.RuleID(x.Rule)}
		}
	}
	if ev != nil {
		out.TriggerInstance = viewInstance(ev)
		ref := hayate.Ref(ev.Event.Type)
		named := map[string]string{"ref": string(ref), "name": ref.Name(), "pack": ref.Pack()}
		out.Trigger, out.TriggerType = named, named
	}
	return out
}

func workflow(runner string) bool {
	switch runner {
	case "orquesta", "action-chain", "mistral-v2":
		return true
	}
	return false
}

// viewExecutions shapes a list, fetching the events of all of them at once.
func (s *Server) viewExecutions(r *http.Request, xs []hayate.Execution) ([]execution, error) {
	ids := map[string]bool{}
	for _, x := range xs {
		if x.Event != "" {
			ids[string(x.Event)] = true
		}
	}
	events := map[hayate.EventID]*router.EventRecord{}
	if len(ids) > 0 {
		q := router.Query{Limit: -1}
		for id := range ids {
			q.IDs = append(q.IDs, id)
		}
		p, err := s.Router.Events(r.Context(), q)
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			events[p.Items[i].ID] = &p.Items[i]
		}
	}
	out := make([]execution, len(xs))
	for i, x := range xs {
		out[i] = s.viewExecution(x, events[x.Event])
	}
	return out, nil
}

func (s *Server) listExecutions(w http.ResponseWriter, r *http.Request) error {
	q, some, err := s.executionQuery(r)
	if err != nil {
		return err
	}
	if !some {
		return s.list(w, r, 0, q.Limit, []execution{})
	}
	p, err := s.Router.Executions(r.Context(), q)
	if err != nil {
		return err
	}
	out, err := s.viewExecutions(r, p.Items)
	if err != nil {
		return err
	}
	return s.list(w, r, p.Total, q.Limit, out)
}

// oneExecution reads an execution; "last" is the newest that is no task of a
// workflow.
func (s *Server) oneExecution(r *http.Request) (hayate.Execution, error) {
	id := r.PathValue("id")
	q := router.Query{IDs: []string{id}, Limit: 1}
	if id == "last" {
		q.IDs, q.NoParent = nil, true
	}
	p, err := s.Router.Executions(r.Context(), q)
	if err != nil {
		return hayate.Execution{}, err
	}
	if len(p.Items) == 0 {
		return hayate.Execution{}, fmt.Errorf("Execution with id \"%s\" not found: %w", id, hayate.ErrNotFound)
	}
	return p.Items[0], nil
}

// maxWait bounds how long a request may wait for the end of an execution.
const maxWait = 50 * time.Second

// getExecution shows an execution. With wait=SECONDS the answer comes once it has
// ended, or the time has passed.
func (s *Server) getExecution(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	if t := r.URL.Query().Get("wait"); t != "" && !x.Status.Completed() {
		secs, err := strconv.ParseFloat(t, 64)
		if err != nil || secs < 0 {
			return wrong("wait", "found %q, want seconds", t)
		}
		ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(secs*float64(time.Second)), maxWait))
		defer cancel()
		y, err := s.Router.Wait(ctx, x.ID)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		x = s.Router.Masked(y)
	}
	return s.answerExecution(w, r, http.StatusOK, x)
}

func (s *Server) answerExecution(w http.ResponseWriter, r *http.Request, status int, x hayate.Execution) error {
	vs, err := s.viewExecutions(r, []hayate.Execution{x})
	if err != nil {
		return err
	}
	children, err := s.Router.Executions(r.Context(), router.Query{Parent: x.ID, Limit: -1, Ascending: true})
	if err != nil {
		return err
	}
	for _, c := range children.Items {
		vs[0].Children = append(vs[0].Children, c.ID)
	}
	if vs[0].HeldBy, err = s.Router.HeldBy(r.Context(), &x); err != nil {
		return err
	}
	if vs[0].RetriedBy, err = s.Router.RetriedBy(r.Context(), &x); err != nil {
		return err
	}
	include, exclude := attributes(r.URL.Query()["include_attributes"]), attributes(r.URL.Query()["exclude_attributes"])
	if len(include)+len(exclude) > 0 {
		cut, err := project(vs, include, exclude)
		if err != nil {
			return err
		}
		s.answer(w, status, cut[0])
		return nil
	}
	s.answer(w, status, vs[0])
	return nil
}

func (s *Server) startExecution(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Action     string          `json:"action"`
		Parameters json.RawMessage `json:"parameters"`
		User       *string         `json:"user"`
		Delay      int64           `json:"delay"`
		Deadline   string          `json:"deadline"`
		Context    json.RawMessage `json:"context"`
		Target     string          `json:"target"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	if b.Action == "" {
		return wrong("action", "is missing")
	}
	st := router.Start{Action: hayate.Ref(b.Action), Parameters: b.Parameters, User: caller(r), Delay: time.Duration(b.Delay) * time.Millisecond, Context: b.Context, Target: b.Target}
	if b.User != nil && *b.User != "" && st.User == "" {
		st.User = *b.User
	}
	if b.Deadline != "" {
		at, err := parseTime("deadline", b.Deadline)
		if err != nil {
			return err
		}
		st.Deadline = at
	}
	x, err := s.Router.Start(r.Context(), st)
	if err != nil {
		return err
	}
	return s.answerExecution(w, r, http.StatusCreated, s.Router.Masked(x))
}

func (s *Server) cancelExecution(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	user := first(caller(r), "local")
	x, err = s.Router.Cancel(r.Context(), x.ID, user)
	if errors.Is(err, hayate.ErrConflict) {
		// StackStorm answers 200 with the reason.
		s.answer(w, http.StatusOK, map[string]string{"faultstring": message(err, hayate.ErrConflict)})
		return nil
	}
	if err != nil {
		return err
	}
	return s.answerExecution(w, r, http.StatusOK, s.Router.Masked(x))
}

func (s *Server) putExecution(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Status hayate.Status `json:"status"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	switch b.Status {
	case hayate.StatusCanceling, hayate.StatusCanceled:
		return s.cancelExecution(w, r)
	case hayate.StatusPausing, hayate.StatusPaused, hayate.StatusResuming, hayate.StatusRunning:
	default:
		return wrong("status", "found %q, want pausing, resuming or canceling", b.Status)
	}
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	if b.Status == hayate.StatusPausing || b.Status == hayate.StatusPaused {
		x, err = s.Router.Pause(r.Context(), x.ID)
	} else {
		x, err = s.Router.Resume(r.Context(), x.ID)
	}
	if err != nil {
		return err
	}
	return s.answerExecution(w, r, http.StatusOK, s.Router.Masked(x))
}

func (s *Server) rerunExecution(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Parameters json.RawMessage `json:"parameters"`
		Tasks      []string        `json:"tasks"`
		Reset      []string        `json:"reset"`
		Delay      int64           `json:"delay"`
		User       *string         `json:"user"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	delay := time.Duration(b.Delay) * time.Millisecond
	var y hayate.Execution
	switch params := string(orObject(b.Parameters)); {
	case len(b.Tasks) > 0 && !sameJSON(json.RawMessage(params), json.RawMessage("{}")):
		return wrong("parameters", "they cannot be changed where a workflow is re-run from tasks")
	case len(b.Tasks) == 0 && len(b.Reset) > 0:
		return wrong("reset", "names tasks, but no tasks are to be re-run")
	case len(b.Tasks) > 0:
		y, err = s.Router.RerunTasks(r.Context(), router.Again{Ref: x.ID, Tasks: b.Tasks, Reset: b.Reset}, caller(r), delay)
	default:
		y, err = s.Router.Rerun(r.Context(), x.ID, b.Parameters, caller(r), delay)
	}
	if err != nil {
		return err
	}
	return s.answerExecution(w, r, http.StatusCreated, s.Router.Masked(y))
}

func (s *Server) executionChildren(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	depth := -1
	if t := r.URL.Query().Get("depth"); t != "" {
		if depth, err = strconv.Atoi(t); err != nil {
			return wrong("depth", "found %q, want a number", t)
		}
	}
	var all []hayate.Execution
	level := []hayate.ExecutionID{x.ID}
	for d := 0; len(level) > 0 && (depth < 0 || d < depth); d++ {
		var next []hayate.ExecutionID
		for _, id := range level {
			p, err := s.Router.Executions(r.Context(), router.Query{Parent: id, Limit: -1, Ascending: true})
			if err != nil {
				return err
			}
			for _, c := range p.Items {
				all = append(all, c)
				if workflow(c.Runner) { // nothing else has children
					next = append(next, c.ID)
				}
			}
		}
		level = next
	}
	out, err := s.viewExecutions(r, all)
	if err != nil {
		return err
	}
	include, exclude := attributes(r.URL.Query()["include_attributes"]), attributes(r.URL.Query()["exclude_attributes"])
	if len(include)+len(exclude) > 0 {
		cut, err := project(out, include, exclude)
		if err != nil {
			return err
		}
		s.answer(w, http.StatusOK, cut)
		return nil
	}
	s.answer(w, http.StatusOK, out)
	return nil
}

func (s *Server) executionResult(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	b, err := s.Router.Result(r.Context(), x)
	if err != nil {
		return err
	}
	if truth(r.URL.Query().Get("download")) {
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", string(x.ID)+".json"))
	}
	s.answer(w, http.StatusOK, b)
	return nil
}

func (s *Server) executionAttribute(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	switch name := r.PathValue("name"); name {
	case "result":
		s.answer(w, http.StatusOK, x.Result)
	case "status":
		s.answer(w, http.StatusOK, x.Status)
	case "trigger_instance":
		vs, err := s.viewExecutions(r, []hayate.Execution{x})
		if err != nil {
			return err
		}
		s.answer(w, http.StatusOK, vs[0].TriggerInstance)
	default:
		return wrong("attribute", "%q is not one of result, trigger_instance, status", name)
	}
	return nil
}

// linesPage is how many lines of output are read at once.
const linesPage = 1000

// executionOutput is what the execution printed so far, as plain text.
func (s *Server) executionOutput(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	want := r.URL.Query().Get("output_type")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for after := int64(0); ; {
		lines, err := s.Router.Lines(r.Context(), x.ID, after, linesPage)
		if err != nil {
			return err
		}
		for _, l := range lines {
			after = l.Seq
			if want == "" || want == "all" || want == string(l.Stream) {
				if _, err := fmt.Fprintln(w, l.Text); err != nil {
					return nil // the caller has gone away
				}
			}
		}
		if len(lines) < linesPage {
			return nil
		}
	}
}

// followEvery is how often a followed execution is looked at.
const followEvery = 200 * time.Millisecond

// streamOutput follows an execution's output as server-sent events, in
// StackStorm's form: records, then EOF.
func (s *Server) streamOutput(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	fmt.Fprint(w, "\n")
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	after := int64(0)
	for {
		ended := x.Status.Completed()
		lines, err := s.Router.Lines(r.Context(), x.ID, after, linesPage)
		if err != nil {
			return nil // the stream has begun: its end tells
		}
		for _, l := range lines {
			after = l.Seq
			b, err := json.Marshal(map[string]any{"id": strings.Join([]string{string(x.ID), strconv.FormatInt(l.Seq, 10)}, "-"), "execution_id": x.ID, "action_ref": x.Action,
				"runner_ref": x.Runner, "timestamp": stamp(l.Time), "output_type": l.Stream, "data": l.Text + "\n"})
			if err != nil {
				return nil
			}
			fmt.Fprintf(w, "event: st2.execution.output__create\ndata: %s\n\n", b)
		}
		if ended && len(lines) < linesPage {
			fmt.Fprint(w, "event: EOF\ndata: ''\n\n")
			return nil
		}
		if err := rc.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-tick.C:
		}
		if x, err = s.Router.Execution(r.Context(), x.ID); err != nil {
			return nil
		}
	}
}
