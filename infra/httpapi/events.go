package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	ce "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// maxBatch bounds the events of one batched request.
const maxBatch = 1000

// accepted is the answer to an accepted event.
type accepted struct {
	ID         hayate.EventID `json:"id"` // StackStorm: the trigger instance
	EventID    string         `json:"event_id"`
	Source     string         `json:"source"`
	Type       string         `json:"type"`
	Duplicate  bool           `json:"duplicate,omitempty"`
	Executions int            `json:"executions"`
}

// postEvents takes CloudEvents over HTTP: binary, structured and batched mode.
// The answer is 202 once all of them are durable. Of a batch that fails midway
// the sender repeats the whole: what was accepted is known then.
func (s *Server) postEvents(w http.ResponseWriter, r *http.Request) error {
	if batched(r) {
		events, err := readBatch(r)
		if err != nil {
			return err
		}
		out, err := s.acceptAll(r, events)
		if err != nil {
			return err
		}
		s.answer(w, http.StatusAccepted, out)
		return nil
	}
	e, err := readEvent(r)
	if err != nil {
		return err
	}
	a, err := s.accept(r, e)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusAccepted, a)
	return nil
}

// batchWidth is how many events of a batch are accepted at once, so that they
// share commits.
const batchWidth = 64

// acceptAll accepts events in no certain order.
func (s *Server) acceptAll(r *http.Request, events []hayate.Event) ([]accepted, error) {
	out, errs := make([]accepted, len(events)), make([]error, len(events))
	slots := make(chan struct{}, batchWidth)
	var group sync.WaitGroup
	for i := range events {
		slots <- struct{}{}
		group.Go(func() {
			out[i], errs[i] = s.accept(r, events[i])
			<-slots
		})
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("event %d of the batch: %w", i+1, err)
		}
	}
	return out, nil
}

func (s *Server) accept(r *http.Request, e hayate.Event) (accepted, error) {
	if e.ID == "" {
		e.ID = requestID()
	}
	rc, err := s.Router.Accept(r.Context(), e)
	if err != nil {
		return accepted{}, err
	}
	return accepted{ID: rc.ID, EventID: e.ID, Source: e.Source, Type: e.Type, Duplicate: rc.Duplicate, Executions: len(rc.Executions)}, nil
}

func mediaType(r *http.Request) string {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		mt, _, _ = strings.Cut(r.Header.Get("Content-Type"), ";")
	}
	return strings.ToLower(strings.TrimSpace(mt))
}

func batched(r *http.Request) bool {
	return strings.HasPrefix(mediaType(r), ce.ApplicationCloudEventsBatchJSON)
}

// readEvent reads a CloudEvent in binary or structured mode.
func readEvent(r *http.Request) (hayate.Event, error) {
	m := cehttp.NewMessageFromHttpRequest(r)
	switch m.ReadEncoding() {
	case binding.EncodingStructured:
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return hayate.Event{}, err
		}
		return readStructured(b)
	case binding.EncodingBinary:
		return readBinary(r, m)
	}
	if mt := mediaType(r); strings.HasPrefix(mt, "application/cloudevents") {
		return hayate.Event{}, fmt.Errorf("the CloudEvents format %q is not known, want application/cloudevents+json or application/cloudevents-batch+json: %w", mt, errMediaType)
	}
	return hayate.Event{}, wrong("specversion", "the request is no CloudEvent: neither a ce-specversion header (binary mode) nor the media type application/cloudevents+json (structured mode). "+
		"Other payloads go to /v1/webhooks/<source>")
}

// readStructured reads the JSON format. The SDK would read it too, but says less
// about what is wrong and lets some of it pass.
func readStructured(b []byte) (hayate.Event, error) {
	var e hayate.Event
	if err := json.Unmarshal(b, &e); err != nil {
		return e, attributeError(err)
	}
	return e, attributeError(e.Validate())
}

func readBatch(r *http.Request) ([]hayate.Event, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(b, &raws); err != nil {
		return nil, fmt.Errorf("read batch: want a JSON array of CloudEvents: %v: %w", err, hayate.ErrInvalid)
	}
	if len(raws) > maxBatch {
		return nil, fmt.Errorf("the batch has %d events, the limit is %d: %w", len(raws), maxBatch, hayate.ErrTooLarge)
	}
	out := make([]hayate.Event, len(raws))
	for i, raw := range raws {
		if out[i], err = readStructured(raw); err != nil {
			return nil, fmt.Errorf("event %d of the batch: %w", i+1, err)
		}
	}
	return out, nil
}

// readBinary reads attributes from headers and data from the body. What the SDK
// would mend silently is refused before.
func readBinary(r *http.Request, m *cehttp.Message) (hayate.Event, error) {
	if t := r.Header.Get("Ce-Time"); t != "" {
		if _, err := time.Parse(time.RFC3339Nano, t); err != nil {
			return hayate.Event{}, wrong("time", "found %q, want RFC 3339, such as 2026-01-31T12:00:00Z", t)
		}
	}
	if source := r.Header.Get("Ce-Source"); strings.ContainsAny(source, " \t") {
		return hayate.Event{}, wrong("source", "found %q, which is not a URI reference: it contains white space", source)
	}
	e, err := binding.ToEvent(r.Context(), m)
	if err != nil {
		if _, yes := tooLarge(err); yes {
			return hayate.Event{}, err
		}
		return hayate.Event{}, fmt.Errorf("read CloudEvent: %v: %w", err, hayate.ErrInvalid)
	}
	out, err := convert(e)
	if err != nil {
		return out, err
	}
	return out, attributeError(out.Validate())
}

// attributeError notes which attribute an error of the root package is about: its
// text begins with the name.
func attributeError(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, hayate.ErrInvalid) {
		return fmt.Errorf("read CloudEvent: %v: %w", err, hayate.ErrInvalid)
	}
	name, _, ok := strings.Cut(err.Error(), ": ")
	if !ok || strings.Contains(name, " ") {
		return err
	}
	return &fieldError{name, err}
}

// convert takes an event out of the SDK's type.
func convert(e *ce.Event) (hayate.Event, error) {
	if v := e.SpecVersion(); v != "1.0" {
		return hayate.Event{}, wrong("specversion", "found %q, want \"1.0\"", v)
	}
	out := hayate.Event{
		ID: e.ID(), Source: e.Source(), Type: e.Type(), Subject: e.Subject(), Time: e.Time(),
		DataContentType: e.DataContentType(), DataSchema: e.DataSchema(), Data: e.Data(),
	}
	for name, v := range e.Extensions() {
		switch x := v.(type) {
		case string, bool, int32:
		default:
			v = fmt.Sprint(x)
			if t, ok := x.(fmt.Stringer); ok {
				v = t.String()
			}
		}
		if out.Extensions == nil {
			out.Extensions = map[string]any{}
		}
		out.Extensions[name] = v
	}
	return out, nil
}

// handshake answers the CloudEvents webhook handshake: consent is given to the
// configured origins only, compared whole, never by the status alone.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Allow", "POST, OPTIONS")
	origin := r.Header.Get("WebHook-Request-Origin")
	if origin == "" {
		return wrong("WebHook-Request-Origin", "the header is missing")
	}
	for _, a := range s.AllowedOrigins {
		if a != "*" && !strings.EqualFold(a, origin) {
			continue
		}
		w.Header().Set("WebHook-Allowed-Origin", a)
		rate := r.Header.Get("WebHook-Request-Rate")
		if rate == "" {
			rate = "*"
		}
		w.Header().Set("WebHook-Allowed-Rate", rate)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return fmt.Errorf("the origin %q may not deliver here; allow it with the setting webhook-origins: %w", origin, hayate.ErrDenied)
}

// eventView is an accepted event as /v1/events shows it.
type eventView struct {
	ID         hayate.EventID  `json:"id"`
	AcceptedAt time.Time       `json:"accepted_at"`
	Event      hayate.Event    `json:"event"`
	Firings    []hayate.Firing `json:"firings"`
	Failed     string          `json:"failed,omitempty"`
}

func viewEvent(e router.EventRecord) eventView {
	if e.Firings == nil {
		e.Firings = []hayate.Firing{}
	}
	return eventView{e.ID, e.At, e.Event, e.Firings, e.Failed}
}

func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := listQuery(r, 100)
	if err != nil {
		return err
	}
	p, err := s.Router.Events(r.Context(), q)
	if err != nil {
		return err
	}
	out := make([]eventView, len(p.Items))
	for i, e := range p.Items {
		out[i] = viewEvent(e)
	}
	return s.list(w, r, p.Total, q.Limit, out)
}

func (s *Server) getEvent(w http.ResponseWriter, r *http.Request) error {
	e, err := s.event(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, viewEvent(e))
	return nil
}

// event reads an event; "last" is the newest.
func (s *Server) event(r *http.Request, id string) (router.EventRecord, error) {
	q := router.Query{IDs: []string{id}, Limit: 1}
	if id == "last" {
		q.IDs = nil
	}
	p, err := s.Router.Events(r.Context(), q)
	if err != nil {
		return router.EventRecord{}, err
	}
	if len(p.Items) == 0 {
		return router.EventRecord{}, fmt.Errorf("event %s: %w", id, hayate.ErrNotFound)
	}
	return p.Items[0], nil
}

func (s *Server) explainEvent(w http.ResponseWriter, r *http.Request) error {
	e, err := s.event(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	x, err := s.Router.ExplainEvent(r.Context(), e.ID)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, map[string]any{"event": viewEvent(x.Event), "rules": x.Rules})
	return nil
}

// explainRule holds the event in the body against one rule; nothing is stored.
func (s *Server) explainRule(w http.ResponseWriter, r *http.Request) error {
	var e hayate.Event
	if err := decode(r, &e); err != nil {
		return err
	}
	if e.ID == "" {
		e.ID = "test"
	}
	x, err := s.Router.Explain(r.Context(), &e, hayate.Ref(r.PathValue("ref")))
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, x)
	return nil
}

// instance is an accepted event in the shape of StackStorm's trigger instance.
type instance struct {
	ID             hayate.EventID `json:"id"`
	Trigger        string         `json:"trigger"`
	Payload        any            `json:"payload"`
	OccurrenceTime string         `json:"occurrence_time"`
	Status         string         `json:"status"`
}

func viewInstance(e *router.EventRecord) instance {
	status := "processed"
	if e.Failed != "" {
		status = "processing_failed"
	}
	return instance{e.ID, e.Event.Type, payload(&e.Event), stamp(e.At), status}
}

// payload is an event's data as a JSON value.
func payload(e *hayate.Event) any {
	switch {
	case len(e.Data) == 0:
		return map[string]any{}
	case e.IsJSON():
		return rawJSON(e.Data)
	default:
		return string(e.Data)
	}
}

func (s *Server) listInstances(w http.ResponseWriter, r *http.Request) error {
	q, err := listQuery(r, 100)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	q.Type = first(v.Get("trigger"), v.Get("trigger_type"))
	p, err := s.Router.Events(r.Context(), q)
	if err != nil {
		return err
	}
	out := make([]instance, len(p.Items))
	for i := range p.Items {
		out[i] = viewInstance(&p.Items[i])
	}
	return s.list(w, r, p.Total, q.Limit, out)
}

func (s *Server) getInstance(w http.ResponseWriter, r *http.Request) error {
	e, err := s.event(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, viewInstance(&e))
	return nil
}

// enforcement is a firing in the shape of StackStorm's rule enforcement.
type enforcement struct {
	ID          hayate.FiringID     `json:"id"`
	Instance    hayate.EventID      `json:"trigger_instance_id"`
	ExecutionID hayate.ExecutionID  `json:"execution_id,omitempty"`
	Reason      string              `json:"failure_reason,omitempty"`
	Rule        map[string]string   `json:"rule"`
	At          string              `json:"enforced_at"`
	Status      hayate.FiringStatus `json:"status"`
	// Executions are all that the rule started: StackStorm knows but one.
	Executions []hayate.ExecutionID `json:"executions,omitempty"`
}

func viewEnforcement(f hayate.Firing) enforcement {
	e := enforcement{ID: f.ID, Instance: f.Event, Reason: f.Reason, At: stamp(f.At), Status: f.Status, Executions: f.Executions,
		Rule: map[string]string{"ref": string(f.Rule), "id": router.RuleID(f.Rule), "uid": "rule:" + f.Rule.Pack() + ":" + f.Rule.Name()}}
	if len(f.Executions) > 0 && f.Status == hayate.FiringSucceeded {
		e.ExecutionID = f.Executions[0]
	}
	return e
}

func (s *Server) listEnforcements(w http.ResponseWriter, r *http.Request) error {
	q, err := listQuery(r, 50)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	q.Rule = hayate.Ref(v.Get("rule_ref"))
	if id := v.Get("rule_id"); id != "" {
		i := slices.IndexFunc(s.Router.Rules(), func(x hayate.Rule) bool { return router.RuleID(x.Ref()) == id })
		if i < 0 {
			return s.list(w, r, 0, q.Limit, []enforcement{})
		}
		q.Rule = s.Router.Rules()[i].Ref()
	}
	q.Event = hayate.EventID(v.Get("trigger_instance"))
	q.Execution = hayate.ExecutionID(v.Get("execution"))
	p, err := s.Router.Firings(r.Context(), q)
	if err != nil {
		return err
	}
	out := make([]enforcement, len(p.Items))
	for i, f := range p.Items {
		out[i] = viewEnforcement(f)
	}
	return s.list(w, r, p.Total, q.Limit, out)
}

func (s *Server) getEnforcement(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	p, err := s.Router.Firings(r.Context(), router.Query{IDs: []string{id}, Limit: 1})
	if err != nil {
		return err
	}
	if len(p.Items) == 0 {
		return fmt.Errorf("rule enforcement %s: %w", id, hayate.ErrNotFound)
	}
	s.answer(w, http.StatusOK, viewEnforcement(p.Items[0]))
	return nil
}
