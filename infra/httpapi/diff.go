package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// diffRequest asks what packs would change if they were as they are here.
type diffRequest struct {
	Packs    []string             `json:"packs"` // references; rules and actions are theirs
	Rules    []hayate.Rule        `json:"rules"`
	Actions  []hayate.Action      `json:"actions"`
	Triggers []hayate.TriggerType `json:"triggers"`
	After    time.Time            `json:"timestamp_gt,omitzero"`
	Before   time.Time            `json:"timestamp_lt,omitzero"`
	Type     string               `json:"type"`
	// Against is current, the registered rules, or recorded, what was.
	Against string `json:"against"`
	// Limit bounds the differences that are told; they are counted all the same.
	// 0 means 1000, -1 all.
	Limit int `json:"limit"`
}

// maxDiff bounds the packs that are compared: all the rules of a large site, and
// not what an event or a resource may have. maxDiffs bounds how many comparisons
// are under way at once, since each holds its packs in memory.
const (
	maxDiff  = 64 << 20
	maxDiffs = 2
)

// diffRules streams a line for each firing that would be otherwise, and at last one
// with the summary or with what went wrong.
func (s *Server) diffRules(w http.ResponseWriter, r *http.Request) error {
	select {
	case s.diffs <- struct{}{}:
		defer func() { <-s.diffs }()
	default:
		return fmt.Errorf("%d comparisons of rules are under way already: %w", maxDiffs, hayate.ErrBusy)
	}
	q := diffRequest{Limit: 1000}
	if err := decode(r, &q); err != nil {
		return err
	}
	if len(q.Packs) == 0 {
		return wrong("packs", "name the packs that change")
	}
	if q.Against != "" && q.Against != "current" && q.Against != "recorded" {
		return wrong("against", "found %q, want current or recorded", q.Against)
	}
	ask := router.DiffQuery{After: q.After, Before: q.Before, Type: q.Type, Recorded: q.Against == "recorded",
		Content: router.Content{Rules: q.Rules, Actions: q.Actions, Triggers: q.Triggers}}
	for _, ref := range q.Packs {
		ask.Content.Packs = append(ask.Content.Packs, router.Pack{Ref: ref})
	}
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	begun, told := false, 0
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	line := func(v any) error {
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			begun = true
		}
		return out.Encode(v)
	}
	counts, err := s.Router.Diff(r.Context(), ask, func(d router.Difference) error {
		if told++; q.Limit >= 0 && told > q.Limit {
			return nil
		}
		return line(d)
	})
	switch {
	case err != nil && !begun:
		return err
	case err != nil:
		s.Log.Warn("comparison of rules ended early", "err", err)
		return line(map[string]string{"error": err.Error()})
	}
	if counts.Rules == nil {
		counts.Rules = []router.RuleDiff{}
	}
	return line(map[string]any{"summary": counts})
}
