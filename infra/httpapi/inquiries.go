package httpapi

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

func (s *Server) listInquiries(w http.ResponseWriter, r *http.Request) error {
	q, err := listQuery(r, 20)
	if err != nil {
		return err
	}
	out, err := s.Router.Inquiries(r.Context(), q.Limit)
	if err != nil {
		return err
	}
	return s.list(w, r, len(out), q.Limit, out)
}

func (s *Server) getInquiry(w http.ResponseWriter, r *http.Request) error {
	q, err := s.Router.Inquiry(r.Context(), hayate.ExecutionID(r.PathValue("id")))
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, q)
	return nil
}

// respondInquiry answers a question: {"id": …, "response": …}.
func (s *Server) respondInquiry(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Response json.RawMessage `json:"response"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	if len(b.Response) == 0 {
		return wrong("response", "is missing")
	}
	id := hayate.ExecutionID(r.PathValue("id"))
	if err := s.Router.Respond(r.Context(), id, b.Response, caller(r)); err != nil {
		return err
	}
	s.answer(w, http.StatusOK, map[string]any{"id": id, "response": b.Response})
	return nil
}

// inspectWorkflow checks the definition in the body; an empty list says that it
// is sound.
func (s *Server) inspectWorkflow(w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, router.InspectWorkflow(first(r.URL.Query().Get("runner"), "orquesta"), text))
	return nil
}
