package httpapi

import (
	"io"
	"net/http"

	"github.com/hayate-run/hayate/workflows/draw"
)

// graphTypes are the media types of drawings.
var graphTypes = map[string]string{"svg": "image/svg+xml", "text": "text/plain; charset=utf-8", "dot": "text/vnd.graphviz; charset=utf-8", "mermaid": "text/plain; charset=utf-8"}

// executionGraph shows a workflow's graph and the path its run took: as data, or
// drawn with format=text, svg, dot or mermaid.
func (s *Server) executionGraph(w http.ResponseWriter, r *http.Request) error {
	x, err := s.oneExecution(r)
	if err != nil {
		return err
	}
	g, err := s.Router.Graph(r.Context(), x.ID)
	if err != nil {
		return err
	}
	format := r.URL.Query().Get("format")
	if format == "" || format == "json" {
		s.answer(w, http.StatusOK, g)
		return nil
	}
	out, err := draw.Draw(format, draw.Picture{Title: string(g.Action) + " " + string(g.Execution), Run: true, Status: g.Status, Graph: g.Graph, Tasks: g.Tasks})
	if err != nil {
		return wrong("format", "%v", err)
	}
	w.Header().Set("Content-Type", graphTypes[format])
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // a drawing does nothing
	if _, err := io.WriteString(w, out); err != nil {
		s.Log.Debug("graph not sent", "execution_id", x.ID, "err", err)
	}
	return nil
}
