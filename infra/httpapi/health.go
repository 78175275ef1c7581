package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// livez says that the process answers.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// readyWait bounds how long one dependency may take to answer.
const readyWait = 3 * time.Second

// readyz says whether the process can do its work, naming each dependency.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	checks := map[string]string{}
	for name, check := range s.Ready {
		ctx, cancel := context.WithTimeout(r.Context(), readyWait)
		checks[name] = "ok"
		if err := check(ctx); err != nil {
			checks[name] = err.Error()
			status = http.StatusServiceUnavailable
		}
		cancel()
	}
	state := "ready"
	switch {
	case s.Draining():
		state, status = "draining", http.StatusServiceUnavailable
	case status != http.StatusOK:
		state = "not ready"
	}
	s.answer(w, status, map[string]any{"status": state, "checks": checks, "version": s.Version})
}

// metrics writes the counters in Prometheus' text format.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	c := s.Router.Counts()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	counter := func(name, help string, v int64) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s counter\n%s %d\n", name, help, name, name, v)
	}
	gauge := func(name, help string, v int64) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s %d\n", name, help, name, name, v)
	}
	counter("hayate_events_accepted_total", "Events accepted, each once.", c.Events)
	counter("hayate_events_duplicate_total", "Deliveries of events that were known.", c.Duplicates)
	counter("hayate_events_rejected_total", "Events refused because too much waited.", c.Rejected)
	fmt.Fprint(w, "# HELP hayate_executions_ended_total Executions ended, by status.\n# TYPE hayate_executions_ended_total counter\n")
	for _, st := range endedStatuses(c.Ended) {
		fmt.Fprintf(w, "hayate_executions_ended_total{status=%q} %d\n", st, c.Ended[st])
	}
	gauge("hayate_executions_waiting", "Executions that wait for a worker.", int64(c.Waiting))
	gauge("hayate_executions_running", "Attempts that this process performs.", int64(c.Running))
	gauge("hayate_requests_in_flight", "HTTP requests being handled.", int64(len(s.inFlight)+len(s.strangers)))
	fmt.Fprintf(w, "# HELP hayate_info The version that runs.\n# TYPE hayate_info gauge\nhayate_info{version=%q} 1\n", s.Version)
}

func endedStatuses(m map[hayate.Status]int64) []hayate.Status {
	out := make([]hayate.Status, 0, len(m))
	for st := range m {
		out = append(out, st)
	}
	slices.Sort(out)
	return out
}

func (s *Server) welcome(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "hayate %s\n\nPOST /v1/events          CloudEvents\nPOST /v1/webhooks/NAME   any source's own payload\nGET  /api/v1/executions  StackStorm's API\nGET  /readyz, /livez, /metrics\n", s.Version)
}

// maxAsked bounds the open questions that the status shows.
const maxAsked = 5

// status is one screen: what runs, what waits, what went wrong last.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	st, err := s.Router.Stats(r.Context())
	if err != nil {
		return err
	}
	failed, err := s.Router.Executions(r.Context(), router.Query{Status: []hayate.Status{hayate.StatusFailed, hayate.StatusTimeout, hayate.StatusAbandoned}, Limit: 3})
	if err != nil {
		return err
	}
	last, err := s.Router.Events(r.Context(), router.Query{Limit: 1})
	if err != nil {
		return err
	}
	type failure struct {
		ID     hayate.ExecutionID `json:"id"`
		Action hayate.Ref         `json:"action"`
		Status hayate.Status      `json:"status"`
		Ended  string             `json:"ended"`
	}
	fs := []failure{}
	for _, x := range failed.Items {
		fs = append(fs, failure{x.ID, x.Action, x.Status, stamp(x.Ended)})
	}
	asked, err := s.Router.Inquiries(r.Context(), maxAsked)
	if err != nil {
		return err
	}
	lastEvent := ""
	if len(last.Items) > 0 {
		lastEvent = stamp(last.Items[0].At)
	}
	rules, enabled := s.Router.Rules(), 0
	for i := range rules {
		if rules[i].Enabled {
			enabled++
		}
	}
	checks, healthy := s.check(r.Context())
	notes := []string{}
	if s.Notes != nil {
		notes = append(notes, s.Notes()...)
	}
	workers := any([]string{})
	if s.Workers != nil {
		workers = s.Workers()
	}
	c := s.Router.Counts()
	p := s.problems()
	s.answer(w, http.StatusOK, map[string]any{
		"problems": map[string]int{"errors": p.Errors, "warnings": p.Warnings},
		"version":  s.Version, "healthy": healthy, "checks": checks, "notes": notes, "workers": workers, "store": st, "packs": len(s.Router.Packs()),
		"rules": len(rules), "rules_enabled": enabled, "actions": len(s.Router.Actions()), "waiting": c.Waiting, "running": c.Running,
		"last_event": lastEvent, "last_failures": fs, "paused": st.Executions[string(hayate.StatusPaused)], "inquiries": asked,
	})
	return nil
}

// check asks every part of the process, those that readiness depends on and the
// others, and says whether all is well.
func (s *Server) check(ctx context.Context) (checks map[string]string, healthy bool) {
	checks, healthy = map[string]string{}, true
	for _, parts := range []map[string]func(context.Context) error{s.Ready, s.Health} {
		for n, f := range parts {
			checks[n] = "ok"
			if err := f(ctx); err != nil {
				checks[n], healthy = err.Error(), false
			}
		}
	}
	return checks, healthy
}
