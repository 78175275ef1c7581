package httpapi

import (
	"crypto/md5" // of StackStorm's uid of a trigger; it proves nothing
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/router"
)

// maxTicks is the most ticks to come that a caller may ask for.
const maxTicks = 1000

// timer is a timer in StackStorm's shape, which is that of a trigger.
type timer struct {
	ID          string          `json:"id"`
	Ref         string          `json:"ref"`
	UID         string          `json:"uid"`
	Name        string          `json:"name"`
	Pack        string          `json:"pack"`
	Type        string          `json:"type"`
	Parameters  json.RawMessage `json:"parameters"`
	Description string          `json:"description"`
	RefCount    int             `json:"ref_count"`
}

func viewTimer(t *router.Timer) timer {
	pack := hayate.Ref(t.Type).Pack()
	sum := md5.Sum(t.Parameters)
	return timer{ID: t.ID, Ref: pack + "." + t.ID, UID: "trigger:" + pack + ":" + t.ID + ":" + hex.EncodeToString(sum[:]), Name: t.ID, Pack: pack,
		Type: t.Type, Parameters: t.Parameters, Description: t.Schedule, RefCount: len(t.Rules)}
}

func (s *Server) listTimers(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	want := first(v.Get("timer_type"), v.Get("type"))
	if want != "" && !cron.IsTimer(want) {
		return wrong("timer_type", "Timer type %s not in supported types - %s, %s, %s", want, cron.IntervalTimer, cron.CronTimer, cron.DateTimer)
	}
	all, err := s.Router.Timers(r.Context(), 0)
	if err != nil {
		return err
	}
	out := []timer{}
	for i := range all {
		if want == "" || all[i].Type == want {
			out = append(out, viewTimer(&all[i]))
		}
	}
	return s.list(w, r, len(out), 0, out)
}

func (s *Server) getTimer(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Router.Timer(r.Context(), timerID(r), 0)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, viewTimer(&t))
	return nil
}

// timerID takes an id, or a reference made of it.
func timerID(r *http.Request) string {
	id := r.PathValue("id")
	return id[strings.LastIndexByte(id, '.')+1:]
}

// listSchedules lists timers in hayate's own shape, with the ticks to come.
func (s *Server) listSchedules(w http.ResponseWriter, r *http.Request) error {
	n, err := ticksAsked(r)
	if err != nil {
		return err
	}
	all, err := s.Router.Timers(r.Context(), n)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	out := []router.Timer{}
	for i := range all {
		if (v.Get("type") == "" || all[i].Type == v.Get("type")) && (v.Get("rule") == "" || waits(&all[i], hayate.Ref(v.Get("rule")))) {
			out = append(out, all[i])
		}
	}
	return s.list(w, r, len(out), 0, out)
}

func waits(t *router.Timer, rule hayate.Ref) bool {
	for _, ref := range t.Rules {
		if ref == rule {
			return true
		}
	}
	return false
}

func (s *Server) getSchedule(w http.ResponseWriter, r *http.Request) error {
	n, err := ticksAsked(r)
	if err != nil {
		return err
	}
	t, err := s.Router.Timer(r.Context(), timerID(r), n)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, t)
	return nil
}

func ticksAsked(r *http.Request) (int, error) {
	text := first(r.URL.Query().Get("next"), "1")
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxTicks {
		return 0, wrong("next", "found %q, want the number of ticks to come, 0 to %d", text, maxTicks)
	}
	return n, nil
}
