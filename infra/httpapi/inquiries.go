package httpapi

import (
	"encoding/json"
	"fmt"
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
	id, err := s.inquiryID(r)
	if err != nil {
		return err
	}
	q, err := s.Router.Inquiry(r.Context(), id)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, q)
	return nil
}

// inquiryID is the question that a request names; "last" is the newest that waits.
func (s *Server) inquiryID(r *http.Request) (hayate.ExecutionID, error) {
	id := r.PathValue("id")
	if id != "last" {
		return hayate.ExecutionID(id), nil
	}
	open, err := s.Router.Inquiries(r.Context(), 1)
	if err != nil {
		return "", err
	}
	if len(open) == 0 {
		return "", fmt.Errorf("no question waits for an answer: %w", hayate.ErrNotFound)
	}
	return open[0].ID, nil
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
	id, err := s.inquiryID(r)
	if err != nil {
		return err
	}
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
