package httpapi

import (
	"net/http"
	"time"
)

func (s *Server) listTokens(w http.ResponseWriter, r *http.Request) error {
	ts, err := s.Router.Tokens(r.Context())
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, ts)
	return nil
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		User string `json:"user"`
		Note string `json:"note"`
		TTL  int64  `json:"ttl"` // seconds
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	if b.TTL < 0 {
		return wrong("ttl", "found %d, want seconds", b.TTL)
	}
	secret, t, err := s.Router.CreateToken(r.Context(), b.User, b.Note, time.Duration(b.TTL)*time.Second)
	if err != nil {
		return err
	}
	s.Log.Info("token created", "token_id", t.ID, "user", t.User)
	s.answer(w, http.StatusCreated, map[string]any{"token": secret, "id": t.ID, "user": t.User, "expires": stamp(t.Expires)})
	return nil
}

func (s *Server) deleteToken(w http.ResponseWriter, r *http.Request) error {
	if err := s.Router.DeleteToken(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	s.Log.Info("token deleted", "token_id", r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) checkStore(w http.ResponseWriter, r *http.Request) error {
	findings, err := s.Router.CheckStore(r.Context())
	if err != nil {
		return err
	}
	if findings == nil {
		findings = []string{}
	}
	s.answer(w, http.StatusOK, map[string]any{"findings": findings})
	return nil
}

func (s *Server) storeStats(w http.ResponseWriter, r *http.Request) error {
	st, err := s.Router.Stats(r.Context())
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, st)
	return nil
}

// backupStore writes a copy to a path of the server's host. Only the operator of
// that host may name one.
func (s *Server) backupStore(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Path string `json:"path"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	if b.Path == "" {
		return wrong("path", "is missing")
	}
	if err := s.Router.Backup(r.Context(), b.Path); err != nil {
		return err
	}
	s.Log.Info("store backed up", "path", b.Path)
	s.answer(w, http.StatusOK, map[string]string{"path": b.Path})
	return nil
}

// problems are those of the packs, none where nobody knows.
func (s *Server) problems() Problems {
	if s.Problems == nil {
		return Problems{Findings: []string{}}
	}
	p := s.Problems()
	if p.Findings == nil {
		p.Findings = []string{}
	}
	return p
}

func (s *Server) packProblems(w http.ResponseWriter, _ *http.Request) error {
	s.answer(w, http.StatusOK, s.problems())
	return nil
}

func (s *Server) reloadPacks(w http.ResponseWriter, r *http.Request) error {
	if s.Reload == nil {
		return wrong("packs", "this process has no pack folder to reload")
	}
	report, err := s.Reload(r.Context())
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, report)
	return nil
}
