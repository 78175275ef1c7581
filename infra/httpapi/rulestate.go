package httpapi

import (
	"encoding/json"
	"net/http"
)

// ruleState is what a rule remembers under one key.
type ruleState struct {
	Rule    string          `json:"rule"`
	Of      string          `json:"of"` // key, target or rule
	Key     string          `json:"key"`
	Summary []string        `json:"summary"`
	Wake    string          `json:"wake,omitempty"`
	Expires string          `json:"expires,omitempty"`
	State   json.RawMessage `json:"state"`
}

func (s *Server) listRuleState(w http.ResponseWriter, r *http.Request) error {
	x, err := s.findRule(r)
	if err != nil {
		return err
	}
	q, err := listQuery(r, 50)
	if err != nil {
		return err
	}
	p, err := s.Router.RuleStates(r.Context(), x.Ref(), keyAsked(r), q.Offset, q.Limit)
	if err != nil {
		return err
	}
	out := make([]ruleState, len(p.Items))
	for i, st := range p.Items {
		out[i] = ruleState{Rule: string(st.Rule), Of: st.Of, Key: st.Key, Summary: st.Summary, Wake: stamp(st.Wake), Expires: stamp(st.Expires), State: st.Body}
	}
	return s.list(w, r, p.Total, q.Limit, out)
}

// keyAsked is the key that a request names, nil for all.
func keyAsked(r *http.Request) *string {
	if v, ok := r.URL.Query()["key"]; ok {
		return &v[0]
	}
	return nil
}

func (s *Server) resetRuleState(w http.ResponseWriter, r *http.Request) error {
	x, err := s.findRule(r)
	if err != nil {
		return err
	}
	n, err := s.Router.ForgetRule(r.Context(), x.Ref(), keyAsked(r))
	if err != nil {
		return err
	}
	s.Log.Info("rule has forgotten", "rule", x.Ref(), "states", n, "user", caller(r))
	s.answer(w, http.StatusOK, struct {
		Rule      string `json:"rule"`
		Forgotten int    `json:"forgotten"`
	}{string(x.Ref()), n})
	return nil
}
