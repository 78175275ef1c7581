package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/remote"
)

// maxWorkerBody bounds what a worker says at once: a result.
const maxWorkerBody = 16 << 20

// postWorker applies what a worker says that reaches the API and no store. It needs
// no access token: the request's own token is of a task or an attempt, and allows
// that alone.
func (s *Server) postWorker(w http.ResponseWriter, r *http.Request) {
	if s.Desk == nil {
		s.fail(w, r, fmt.Errorf("no workers report here: %w", hayate.ErrNotFound))
		return
	}
	body, err := io.ReadAll(bounded(w, r, maxWorkerBody))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var q remote.Request
	if q, err = remote.ReadRequest(body); err != nil {
		s.fail(w, r, err)
		return
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		q.Token = token
	}
	a := s.Desk.Apply(r.Context(), q)
	status := http.StatusOK
	switch {
	case !a.Final():
		status = http.StatusServiceUnavailable
	case a.Code == "denied":
		status = http.StatusForbidden
	case a.Code != "":
		status = http.StatusConflict
	}
	out, err := json.Marshal(a)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(out) // the worker has gone: it asks again
}
