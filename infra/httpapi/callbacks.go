package httpapi

import (
	"net/http"

	"github.com/hayate-run/hayate/router"
)

// postCallback ends an execution that waits for it. The token in the body is the
// permission: it names one attempt and nothing else.
func (s *Server) postCallback(w http.ResponseWriter, r *http.Request) {
	r.Body = bounded(w, r, s.MaxBody)
	var c router.Callback
	err := decode(r, &c)
	if err == nil {
		x, e := s.Router.CallBack(r.Context(), c)
		if err = e; err == nil {
			s.answer(w, http.StatusOK, map[string]any{"id": x.ID, "status": x.Status})
			return
		}
	}
	s.fail(w, r, err)
}
