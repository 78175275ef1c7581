package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/router"
)

// rule is a rule in StackStorm's shape.
type rule struct {
	ID          string              `json:"id"`
	Ref         hayate.Ref          `json:"ref"`
	UID         string              `json:"uid"`
	Name        string              `json:"name"`
	Pack        string              `json:"pack"`
	Description string              `json:"description"`
	Type        any                 `json:"type"`
	Trigger     any                 `json:"trigger"`
	Criteria    json.RawMessage     `json:"criteria"`
	Pattern     json.RawMessage     `json:"pattern,omitempty"`
	Filters     json.RawMessage     `json:"filters,omitempty"`
	When        json.RawMessage     `json:"when,omitempty"`
	Guard       json.RawMessage     `json:"guard,omitempty"`
	Calendar    json.RawMessage     `json:"calendar,omitempty"`
	Action      *hayate.RuleAction  `json:"action,omitempty"`
	Actions     []hayate.RuleAction `json:"actions,omitempty"`
	Enabled     bool                `json:"enabled"`
	Mode        string              `json:"mode,omitempty"`
	Tags        json.RawMessage     `json:"tags"`
	Source      string              `json:"metadata_file,omitempty"`
	// Timer is the timer that an enabled rule waits for; only where one rule is shown.
	Timer *ruleTimer `json:"timer,omitempty"`
}

// ruleTimer tells when a rule's timer ticks.
type ruleTimer struct {
	ID       string      `json:"id"`
	Timezone string      `json:"timezone"`
	Last     time.Time   `json:"last,omitzero"`
	Next     []time.Time `json:"next"`
}

func viewRule(x *hayate.Rule) rule {
	params := orObject(x.Trigger.Parameters)
	kind := x.Kind
	if kind == "" {
		kind = hayate.KindStandard
	}
	out := rule{
		ID: router.RuleID(x.Ref()), Ref: x.Ref(), UID: "rule:" + x.Pack + ":" + x.Name, Name: x.Name, Pack: x.Pack,
		Description: x.Description, Enabled: x.Enabled, Mode: x.Mode, Source: x.Source,
		Type:     map[string]any{"ref": kind, "parameters": struct{}{}},
		Trigger:  map[string]any{"type": x.Trigger.Type, "ref": x.Trigger.Type, "parameters": params, "description": ""},
		Criteria: orObject(x.Criteria), Pattern: x.Pattern, Filters: x.Filters, Tags: x.Tags,
		When: x.When, Guard: x.Guard, Calendar: x.Calendar,
	}
	if len(out.Tags) == 0 {
		out.Tags = json.RawMessage("[]")
	}
	if len(x.Actions) == 1 {
		a := x.Actions[0]
		a.Parameters = orObject(a.Parameters)
		out.Action = &a
	} else {
		out.Actions = x.Actions
	}
	return out
}

func orObject(b json.RawMessage) json.RawMessage {
	if len(b) == 0 || string(b) == "null" {
		return json.RawMessage("{}")
	}
	return b
}

func (s *Server) listRules(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	out := []rule{}
	for _, x := range s.Router.Rules() {
		switch {
		case v.Get("pack") != "" && v.Get("pack") != x.Pack,
			v.Get("name") != "" && v.Get("name") != x.Name,
			v.Get("trigger") != "" && v.Get("trigger") != x.Trigger.Type,
			v.Get("enabled") != "" && truth(v.Get("enabled")) != x.Enabled,
			v.Get("action") != "" && !runs(&x, hayate.Ref(v.Get("action"))):
			continue
		}
		out = append(out, viewRule(&x))
	}
	return s.list(w, r, len(out), 0, out)
}

func runs(x *hayate.Rule, ref hayate.Ref) bool {
	for _, a := range x.Actions {
		if a.Ref == ref {
			return true
		}
	}
	return false
}

// findRule takes a reference or an id.
func (s *Server) findRule(r *http.Request) (hayate.Rule, error) {
	want := r.PathValue("ref")
	x, err := s.Router.Rule(hayate.Ref(want))
	if err == nil {
		return x, nil
	}
	for _, x := range s.Router.Rules() {
		if router.RuleID(x.Ref()) == want {
			return x, nil
		}
	}
	return x, err
}

func (s *Server) getRule(w http.ResponseWriter, r *http.Request) error {
	x, err := s.findRule(r)
	if err != nil {
		return err
	}
	out := viewRule(&x)
	if cron.IsTimer(x.Trigger.Type) {
		timers, err := s.Router.Timers(r.Context(), 3)
		if err != nil {
			return err
		}
		for i := range timers {
			if t := &timers[i]; waits(t, x.Ref()) {
				out.Timer = &ruleTimer{t.ID, t.Zone, t.Last, t.Next}
			}
		}
	}
	s.answer(w, http.StatusOK, out)
	return nil
}

// putRule takes the object that getRule gave, with enabled changed. Everything
// else of a rule is changed where it is written: in its pack.
func (s *Server) putRule(w http.ResponseWriter, r *http.Request) error {
	x, err := s.findRule(r)
	if err != nil {
		return err
	}
	var b struct {
		Enabled  *bool           `json:"enabled"`
		Criteria json.RawMessage `json:"criteria"`
		Action   json.RawMessage `json:"action"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	view := viewRule(&x)
	for name, pair := range map[string][2]json.RawMessage{"criteria": {b.Criteria, view.Criteria}} {
		if len(pair[0]) > 0 && !sameJSON(pair[0], pair[1]) {
			return wrong(name, "a rule of a pack is changed in its file (%s); only enabled can be changed here", x.Source)
		}
	}
	if b.Enabled != nil && *b.Enabled != x.Enabled {
		if x, err = s.Router.SetRuleEnabled(r.Context(), x.Ref(), *b.Enabled); err != nil {
			return err
		}
		s.Log.Info("rule changed", "rule", x.Ref(), "enabled", x.Enabled, "user", caller(r))
	}
	s.answer(w, http.StatusOK, viewRule(&x))
	return nil
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	if bytes.Equal(x.Bytes(), y.Bytes()) {
		return true
	}
	var u, v any
	if json.Unmarshal(a, &u) != nil || json.Unmarshal(b, &v) != nil {
		return false
	}
	p, err1 := json.Marshal(u)
	q, err2 := json.Marshal(v)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

// action is an action in StackStorm's shape.
type action struct {
	ID           string          `json:"id"`
	Ref          hayate.Ref      `json:"ref"`
	UID          string          `json:"uid"`
	Name         string          `json:"name"`
	Pack         string          `json:"pack"`
	Description  string          `json:"description"`
	Enabled      bool            `json:"enabled"`
	EntryPoint   string          `json:"entry_point"`
	Runner       string          `json:"runner_type"`
	Parameters   properties      `json:"parameters"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	Tags         json.RawMessage `json:"tags"`
	Notify       json.RawMessage `json:"notify"`
	Source       string          `json:"metadata_file,omitempty"`
	Idempotent   bool            `json:"idempotent,omitempty"`
	Target       string          `json:"target,omitempty"`
	Deadline     string          `json:"deadline,omitempty"`
	Expect       *hayate.Expect  `json:"expect,omitempty"`
}

// properties writes parameters as one object, in their order.
type properties hayate.Parameters

// MarshalJSON writes name: schema.
func (p properties) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range p {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(x.Name)
		if err != nil {
			return nil, err
		}
		b = append(b, name...)
		b = append(b, ':')
		b = append(b, orObject(x.Schema)...)
	}
	return append(b, '}'), nil
}

func viewAction(a *hayate.Action) action {
	out := action{ID: router.ActionID(a.Ref()), Ref: a.Ref(), UID: "action:" + a.Pack + ":" + a.Name, Name: a.Name, Pack: a.Pack,
		Description: a.Description, Enabled: a.Enabled, EntryPoint: a.EntryPoint, Runner: a.Runner, Parameters: properties(a.Parameters),
		OutputSchema: a.OutputSchema, Tags: a.Tags, Notify: orObject(a.Notify), Source: a.Source, Idempotent: a.Idempotent, Target: a.Target, Expect: a.Expect}
	if a.Deadline != nil {
		out.Deadline = a.Deadline.String()
	}
	if len(out.Tags) == 0 {
		out.Tags = json.RawMessage("[]")
	}
	return out
}

func (s *Server) selectActions(r *http.Request) []hayate.Action {
	v := r.URL.Query()
	var out []hayate.Action
	for _, a := range s.Router.Actions() {
		if (v.Get("pack") == "" || v.Get("pack") == a.Pack) && (v.Get("name") == "" || v.Get("name") == a.Name) &&
			(v.Get("id") == "" || strings.Contains(","+v.Get("id")+",", ","+router.ActionID(a.Ref())+",")) {
			out = append(out, a)
		}
	}
	return out
}

func (s *Server) listActions(w http.ResponseWriter, r *http.Request) error {
	out := []action{}
	for _, a := range s.selectActions(r) {
		out = append(out, viewAction(&a))
	}
	return s.list(w, r, len(out), 0, out)
}

func (s *Server) findAction(r *http.Request) (hayate.Action, error) {
	want := r.PathValue("ref")
	a, err := s.Router.Action(hayate.Ref(want))
	if err == nil {
		return a, nil
	}
	for _, a := range s.Router.Actions() {
		if router.ActionID(a.Ref()) == want {
			return a, nil
		}
	}
	return a, err
}

func (s *Server) getAction(w http.ResponseWriter, r *http.Request) error {
	a, err := s.findAction(r)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, viewAction(&a))
	return nil
}

func (s *Server) actionView(a hayate.Action) action {
	if ps, err := s.Router.Parameters(a.Ref()); err == nil {
		a.Parameters = ps
	}
	return viewAction(&a)
}

func (s *Server) listActionViews(w http.ResponseWriter, r *http.Request) error {
	out := []action{}
	for _, a := range s.selectActions(r) {
		out = append(out, s.actionView(a))
	}
	return s.list(w, r, len(out), 0, out)
}

func (s *Server) getActionView(w http.ResponseWriter, r *http.Request) error {
	a, err := s.findAction(r)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, s.actionView(a))
	return nil
}

func (s *Server) getActionParameters(w http.ResponseWriter, r *http.Request) error {
	a, err := s.findAction(r)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, map[string]any{"parameters": s.actionView(a).Parameters})
	return nil
}

func (s *Server) listRunners(w http.ResponseWriter, r *http.Request) error {
	type runnerType struct {
		ID          string     `json:"id"`
		Name        string     `json:"name"`
		UID         string     `json:"uid"`
		Description string     `json:"description"`
		Enabled     bool       `json:"enabled"`
		Parameters  properties `json:"runner_parameters"`
		OutputKey   string     `json:"output_key,omitempty"`
	}
	name := r.URL.Query().Get("name")
	out := []runnerType{}
	for _, x := range s.Router.Runners() {
		if name == "" || name == x.Name {
			out = append(out, runnerType{router.ActionID(hayate.Ref("runner." + x.Name)), x.Name, "runner_type:" + x.Name, x.Description, true, properties(x.Parameters), x.OutputKey})
		}
	}
	return s.list(w, r, len(out), 0, out)
}

func viewTrigger(t *hayate.TriggerType) map[string]any {
	return map[string]any{"id": router.ActionID("trigger_type." + t.Ref()), "ref": t.Ref(), "uid": "trigger_type:" + t.Pack + ":" + t.Name,
		"name": t.Name, "pack": t.Pack, "description": t.Description, "payload_schema": orObject(t.PayloadSchema),
		"parameters_schema": orObject(t.ParametersSchema), "tags": []any{}}
}

func (s *Server) listTriggerTypes(w http.ResponseWriter, r *http.Request) error {
	pack := r.URL.Query().Get("pack")
	out := []map[string]any{}
	for _, t := range s.Router.Triggers() {
		if pack == "" || pack == t.Pack {
			out = append(out, viewTrigger(&t))
		}
	}
	return s.list(w, r, len(out), 0, out)
}

func (s *Server) getTriggerType(w http.ResponseWriter, r *http.Request) error {
	for _, t := range s.Router.Triggers() {
		if string(t.Ref()) == r.PathValue("ref") {
			s.answer(w, http.StatusOK, viewTrigger(&t))
			return nil
		}
	}
	return fmt.Errorf("trigger type %s: %w", r.PathValue("ref"), hayate.ErrNotFound)
}

func viewPack(p *router.Pack) map[string]any {
	return map[string]any{"id": router.ActionID(hayate.Ref("pack." + p.Ref)), "ref": p.Ref, "uid": "pack:" + p.Ref, "name": p.Name, "description": p.Description,
		"version": p.Version, "author": p.Author, "path": p.Dir, "digest": p.Digest}
}

func (s *Server) listPacks(w http.ResponseWriter, r *http.Request) error {
	out := []map[string]any{}
	for _, p := range s.Router.Packs() {
		out = append(out, viewPack(&p))
	}
	return s.list(w, r, len(out), 0, out)
}

func (s *Server) getPack(w http.ResponseWriter, r *http.Request) error {
	for _, p := range s.Router.Packs() {
		if p.Ref == r.PathValue("ref") {
			s.answer(w, http.StatusOK, viewPack(&p))
			return nil
		}
	}
	return fmt.Errorf("pack %s: %w", r.PathValue("ref"), hayate.ErrNotFound)
}

func (s *Server) apiRoot(w http.ResponseWriter, _ *http.Request) error {
	s.answer(w, http.StatusOK, map[string]string{"version": s.Version, "docs_url": "https://github.com/hayate-run/hayate"})
	return nil
}
