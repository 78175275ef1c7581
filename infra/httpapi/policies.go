package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// policy is a policy in StackStorm's shape.
type policy struct {
	ID          string          `json:"id"`
	Ref         hayate.Ref      `json:"ref"`
	UID         string          `json:"uid"`
	Name        string          `json:"name"`
	Pack        string          `json:"pack"`
	Description string          `json:"description"`
	Enabled     bool            `json:"enabled"`
	ResourceRef hayate.Ref      `json:"resource_ref"`
	Type        string          `json:"policy_type"`
	Parameters  json.RawMessage `json:"parameters"`
	Source      string          `json:"metadata_file,omitempty"`
}

func viewPolicy(p *hayate.Policy) policy {
	return policy{router.PolicyID(p.Ref()), p.Ref(), "policy:" + p.Pack + ":" + p.Name, p.Name, p.Pack, p.Description, p.Enabled,
		p.ResourceRef, p.Type, orObject(p.Parameters), p.Source}
}

func (s *Server) listPolicies(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	out := []policy{}
	for _, p := range s.Router.Policies() {
		switch {
		case v.Get("pack") != "" && v.Get("pack") != p.Pack,
			v.Get("name") != "" && v.Get("name") != p.Name,
			v.Get("resource_ref") != "" && v.Get("resource_ref") != string(p.ResourceRef),
			v.Get("policy_type") != "" && v.Get("policy_type") != p.Type,
			v.Get("enabled") != "" && truth(v.Get("enabled")) != p.Enabled:
			continue
		}
		out = append(out, viewPolicy(&p))
	}
	return s.list(w, r, len(out), 0, out)
}

// findPolicy takes a reference or an id.
func (s *Server) findPolicy(r *http.Request) (hayate.Policy, error) {
	want := r.PathValue("ref")
	p, err := s.Router.Policy(hayate.Ref(want))
	if err == nil {
		return p, nil
	}
	for _, p := range s.Router.Policies() {
		if router.PolicyID(p.Ref()) == want {
			return p, nil
		}
	}
	return p, err
}

func (s *Server) getPolicy(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findPolicy(r)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, viewPolicy(&p))
	return nil
}

func (s *Server) createPolicy(w http.ResponseWriter, r *http.Request) error {
	b := struct {
		Name        string          `json:"name"`
		Pack        string          `json:"pack"`
		Description string          `json:"description"`
		Enabled     *bool           `json:"enabled"`
		ResourceRef hayate.Ref      `json:"resource_ref"`
		Type        string          `json:"policy_type"`
		Parameters  json.RawMessage `json:"parameters"`
	}{Pack: "default"}
	if err := decode(r, &b); err != nil {
		return err
	}
	for name, v := range map[string]string{"name": b.Name, "resource_ref": string(b.ResourceRef), "policy_type": b.Type} {
		if v == "" {
			return wrong(name, "is missing")
		}
	}
	p, err := s.Router.CreatePolicy(r.Context(), hayate.Policy{Pack: b.Pack, Name: b.Name, Description: b.Description,
		Enabled: b.Enabled == nil || *b.Enabled, ResourceRef: b.ResourceRef, Type: b.Type, Parameters: b.Parameters})
	if err != nil {
		return err
	}
	s.Log.Info("policy created", "policy", p.Ref(), "action", p.ResourceRef, "user", caller(r))
	s.answer(w, http.StatusCreated, viewPolicy(&p))
	return nil
}

// putPolicy takes the object that getPolicy gave, with enabled or parameters
// changed; what it leaves out stays.
func (s *Server) putPolicy(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findPolicy(r)
	if err != nil {
		return err
	}
	var b struct {
		Enabled     *bool           `json:"enabled"`
		Parameters  json.RawMessage `json:"parameters"`
		ResourceRef hayate.Ref      `json:"resource_ref"`
		Type        string          `json:"policy_type"`
		Pack        string          `json:"pack"`
		Name        string          `json:"name"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	for name, pair := range map[string][2]string{"resource_ref": {string(b.ResourceRef), string(p.ResourceRef)}, "policy_type": {b.Type, p.Type},
		"pack": {b.Pack, p.Pack}, "name": {b.Name, p.Name}} {
		if pair[0] != "" && pair[0] != pair[1] {
			return wrong(name, "it is %q and stays so; enabled and parameters can be changed, for all else delete the policy and create another", pair[1])
		}
	}
	if p, err = s.Router.UpdatePolicy(r.Context(), p.Ref(), b.Enabled, b.Parameters); err != nil {
		return err
	}
	s.Log.Info("policy changed", "policy", p.Ref(), "enabled", p.Enabled, "user", caller(r))
	s.answer(w, http.StatusOK, viewPolicy(&p))
	return nil
}

func (s *Server) deletePolicy(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findPolicy(r)
	if err != nil {
		return err
	}
	if err := s.Router.DeletePolicy(r.Context(), p.Ref()); err != nil {
		return err
	}
	s.Log.Info("policy deleted", "policy", p.Ref(), "user", caller(r))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func viewPolicyType(t *hayate.PolicyType) map[string]any {
	kind, name, _ := strings.Cut(t.Name, ".")
	return map[string]any{"id": router.PolicyID("type." + t.Ref()), "ref": t.Ref(), "uid": "policy_type:" + kind + ":" + name, "name": name,
		"resource_type": kind, "enabled": true, "description": t.Description, "parameters": properties(t.Parameters)}
}

func (s *Server) listPolicyTypes(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	out := []map[string]any{}
	for _, t := range hayate.PolicyTypes() {
		view := viewPolicyType(&t)
		if (v.Get("resource_type") == "" || v.Get("resource_type") == view["resource_type"]) && (v.Get("name") == "" || v.Get("name") == view["name"]) {
			out = append(out, view)
		}
	}
	return s.list(w, r, len(out), 0, out)
}

func (s *Server) getPolicyType(w http.ResponseWriter, r *http.Request) error {
	want := r.PathValue("ref")
	for _, t := range hayate.PolicyTypes() {
		if t.Name == want || router.PolicyID("type."+t.Ref()) == want {
			s.answer(w, http.StatusOK, viewPolicyType(&t))
			return nil
		}
	}
	return fmt.Errorf("policy type %s: %w", want, hayate.ErrNotFound)
}
