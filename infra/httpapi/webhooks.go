package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/normalize"
	"github.com/hayate-run/hayate/rules"
)

// postWebhook takes a source's own payload, recognises it, and accepts the
// events in it. The answer is 202 once all of them are durable.
func (s *Server) postWebhook(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	hint := strings.Trim(r.PathValue("url"), "/")
	if err := s.checkSignature(r, hint, body); err != nil {
		return err
	}
	if r.Header.Get("X-Amz-Sns-Message-Type") != "" {
		done, err := s.snsMessage(r, body)
		if err != nil {
			return err
		}
		if done {
			s.answer(w, http.StatusOK, map[string]string{"status": "confirmed"})
			return nil
		}
	}
	q := r.URL.Query()
	for _, t := range []string{"access_token", "x-auth-token", "st2-api-key"} {
		q.Del(t)
	}
	events, err := normalize.Events(&normalize.Request{
		Hint: hint, Header: r.Header.Get, ContentType: r.Header.Get("Content-Type"), Query: q, Body: body, Now: s.Now().UTC(), NewID: requestID,
		// A payload of a source that must sign comes in by no other way unsigned.
		Check: func(source string, n *normalize.Request) error {
			c, ok := s.Signatures[source]
			if !ok || source == hint {
				return nil
			}
			header := n.Header
			if header == nil {
				header = func(string) string { return "" }
			}
			if err := c.Check(header, n.Body, s.Now()); err != nil {
				return fmt.Errorf("a payload of %s must be signed: %w", source, errors.Join(err, errUnauthorized))
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	out := make([]accepted, 0, len(events))
	for _, e := range events {
		a, err := s.accept(r, e)
		if err != nil {
			return err
		}
		out = append(out, a)
	}
	s.answer(w, http.StatusAccepted, map[string]any{"events": out})
	return nil
}

// checkSignature authenticates a webhook that has a secret configured.
func (s *Server) checkSignature(r *http.Request, hint string, body []byte) error {
	c, ok := s.Signatures[hint]
	if !ok {
		return nil
	}
	if err := c.Check(r.Header.Get, body, s.Now()); err != nil {
		s.Log.Warn("webhook refused", "webhook", hint, "err", err)
		return fmt.Errorf("webhook %s: %w", hint, errors.Join(err, errUnauthorized))
	}
	return nil
}

// droppedHeaders are not part of a webhook's payload: StackStorm's, and those that
// are a secret themselves.
var droppedHeaders = map[string]bool{"St2-Api-Key": true, "X-Auth-Token": true, "Cookie": true, "Authorization": true, "St2-Trace-Tag": true,
	"X-Gitlab-Token": true, "Proxy-Authorization": true}

// dropped says whether a header of a webhook is kept out of the event: whoever reads
// events must not learn what authenticates them.
func (s *Server) dropped(webhook, header string) bool {
	c, ok := s.Signatures[webhook]
	return droppedHeaders[header] || ok && c.Kind == "token" && strings.EqualFold(c.Header, header)
}

// postStackStormWebhook behaves as StackStorm's webhooks: /webhooks/st2 takes
// {trigger, payload}; any other url must be registered by an enabled rule on
// core.st2.webhook. The answer is 202 and the body.
func (s *Server) postStackStormWebhook(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	name := strings.Trim(r.PathValue("url"), "/")
	if err := s.checkSignature(r, name, body); err != nil {
		return err
	}
	v, err := webhookBody(r, body)
	if err != nil {
		return err
	}
	if name == "st2" {
		err = s.injectTrigger(r, v)
	} else {
		err = s.genericWebhook(r, name, v)
	}
	if err != nil {
		return err
	}
	s.answer(w, http.StatusAccepted, v)
	return nil
}

// webhookBody reads a body as StackStorm does: JSON as it is, forms as lists of
// values.
func webhookBody(r *http.Request, body []byte) (json.RawMessage, error) {
	mt := mediaType(r)
	switch {
	case len(body) == 0:
		return json.RawMessage("{}"), nil
	case mt == "" || hayate.IsJSONType(mt):
		if !json.Valid(body) {
			var v any
			return nil, fmt.Errorf("Failed to parse request body: %v: %w", json.Unmarshal(body, &v), hayate.ErrInvalid)
		}
		return body, nil
	case mt == "application/x-www-form-urlencoded":
		q, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, fmt.Errorf("Failed to parse request body: %v: %w", err, hayate.ErrInvalid)
		}
		return json.Marshal(q)
	case mt == "multipart/form-data":
		return multipartBody(r, body)
	}
	return nil, fmt.Errorf("Failed to parse request body: unsupported Content-Type %q: %w", mt, hayate.ErrInvalid)
}

func multipartBody(r *http.Request, body []byte) (json.RawMessage, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("Failed to parse request body: %v: %w", err, hayate.ErrInvalid)
	}
	form, err := readMultipart(body, params["boundary"])
	if err != nil {
		return nil, fmt.Errorf("Failed to parse request body: %v: %w", err, hayate.ErrInvalid)
	}
	return json.Marshal(form)
}

func (s *Server) injectTrigger(r *http.Request, v json.RawMessage) error {
	var b struct {
		Trigger string          `json:"trigger"`
		Payload json.RawMessage `json:"payload"`
		Trace   string          `json:"trace_tag"`
	}
	if err := json.Unmarshal(v, &b); err != nil {
		return wrong("trigger", "the body must be an object with trigger and payload")
	}
	if b.Trigger == "" {
		return wrong("trigger", "is missing")
	}
	if !s.knownTrigger(b.Trigger) {
		return fmt.Errorf("Trigger type with reference %s doesn't exist in the database: %w", b.Trigger, hayate.ErrInvalid)
	}
	e := hayate.Event{ID: requestID(), Source: "/api/v1/webhooks/st2", Type: b.Trigger, DataContentType: "application/json", Data: orObject(b.Payload)}
	e.SetExtension(hayate.ExtTraceTag, first(r.Header.Get("St2-Trace-Tag"), b.Trace))
	e.SetExtension(hayate.ExtLineage, r.Header.Get("Hayate-Lineage"))
	_, err := s.accept(r, e)
	return err
}

func (s *Server) knownTrigger(ref string) bool {
	for _, t := range s.Router.Triggers() {
		if string(t.Ref()) == ref {
			return true
		}
	}
	for _, x := range s.Router.Rules() {
		if x.Trigger.Type == ref {
			return true
		}
	}
	return false
}

func (s *Server) genericWebhook(r *http.Request, name string, v json.RawMessage) error {
	if !s.Router.HasWebhook(name) {
		return fmt.Errorf("Webhook %s not registered with st2: %w", name, hayate.ErrNotFound)
	}
	headers, lower := map[string]string{"Host": r.Host}, map[string]string{"host": r.Host}
	for k, vs := range r.Header {
		if !s.dropped(name, k) {
			headers[k] = strings.Join(vs, ", ")
			lower[strings.ToLower(k)] = headers[k]
		}
	}
	data, err := json.Marshal(struct {
		Headers map[string]string `json:"headers"`
		Lower   map[string]string `json:"headers_lower"`
		Body    json.RawMessage   `json:"body"`
	}{headers, lower, v})
	if err != nil {
		return err
	}
	id := requestID()
	e := hayate.Event{ID: id, Source: "/api/v1/webhooks/" + (&url.URL{Path: name}).EscapedPath(), Type: router.TriggerWebhook, DataContentType: "application/json", Data: data}
	params, err := json.Marshal(map[string]string{"url": name})
	if err != nil {
		return err
	}
	e.SetExtension(hayate.ExtTriggerParameters, rules.TriggerParameters(router.TriggerWebhook, params))
	e.SetExtension(hayate.ExtTraceTag, first(r.Header.Get("St2-Trace-Tag"), "webhook-"+name+"-"+id[:8]))
	e.SetExtension(hayate.ExtLineage, r.Header.Get("Hayate-Lineage"))
	_, err = s.accept(r, e)
	return err
}
