package shapes

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// effects is the world that actions change: a server that counts what was asked of
// it, by name.
type effects struct {
	URL string

	mu    sync.Mutex
	had   map[string]int
	gates map[string]chan struct{} // what is asked for waits until its gate is open
}

// newEffects starts a server; it ends with the test.
func newEffects(t *testing.T) *effects {
	t.Helper()
	e := &effects{had: map[string]int{}, gates: map[string]chan struct{}{"paused-1": make(chan struct{})}}
	s := httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(s.Close)
	e.URL = s.URL
	return e
}

// serve counts POST /?n=NAME; refuse is refused.
func (e *effects) serve(w http.ResponseWriter, r *http.Request) {
	n := r.URL.Query().Get("n")
	if n == "refuse" {
		http.Error(w, "refused", http.StatusConflict)
		return
	}
	e.mu.Lock()
	e.had[n]++
	gate := e.gates[n]
	e.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"ok":true}`)) // to one who has left nobody need tell
}

// open lets what waits at a gate go on.
func (e *effects) open(n string) { close(e.gates[n]) }

func (e *effects) count(n string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.had[n]
}

func (e *effects) once(t *testing.T, n string) {
	t.Helper()
	if got := e.count(n); got != 1 {
		t.Errorf("the effect %q was had %d times, want once", n, got)
	}
}

func (e *effects) never(t *testing.T, n string) {
	t.Helper()
	if got := e.count(n); got != 0 {
		t.Errorf("the effect %q was had %d times, want never", n, got)
	}
}
