package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// maxPage is the longest page that a caller may ask for by number.
const maxPage = 10_000

// stamp is a time as StackStorm's API writes it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

func rawJSON(b []byte) any {
	if !json.Valid(b) {
		return string(b)
	}
	return json.RawMessage(b)
}

func first(vs ...string) string {
	for _, v := range vs {
		if v != "" {
			return v
		}
	}
	return ""
}

// listQuery reads what all lists have in common: limit, offset, id, time range,
// order and text. limit -1 asks for everything.
func listQuery(r *http.Request, limit int) (router.Query, error) {
	v := r.URL.Query()
	q := router.Query{Limit: limit, Text: v.Get("text"), Type: v.Get("type"), Source: v.Get("source")}
	if t := v.Get("limit"); t != "" {
		n, err := strconv.Atoi(t)
		switch {
		case err != nil || n == 0 || n < -1:
			return q, wrong("limit", "found %q, want a number above 0, or -1 for all", t)
		case n > maxPage:
			return q, wrong("limit", "found %d, the most is %d; use offset for the rest, or -1 for all", n, maxPage)
		}
		q.Limit = n
	}
	if t := v.Get("offset"); t != "" {
		n, err := strconv.ParseInt(t, 10, 32)
		if err != nil || n < 0 {
			return q, wrong("offset", "found %q, want a number from 0 to 2147483647", t)
		}
		q.Offset = int(n)
	}
	if t := v.Get("id"); t != "" {
		q.IDs = strings.Split(t, ",")
	}
	var err error
	for name, at := range map[string]*time.Time{"timestamp_gt": &q.After, "timestamp_lt": &q.Before, "enforced_at_gt": &q.After, "enforced_at_lt": &q.Before} {
		if t := v.Get(name); t != "" {
			if *at, err = parseTime(name, t); err != nil {
				return q, err
			}
		}
	}
	if t := v.Get("timestamp"); t != "" {
		a, b, ok := strings.Cut(t, "..")
		if !ok {
			return q, wrong("timestamp", "found %q, want two times joined by ..", t)
		}
		if q.After, err = parseTime("timestamp", a); err != nil {
			return q, err
		}
		if q.Before, err = parseTime("timestamp", b); err != nil {
			return q, err
		}
	}
	q.Ascending = v.Get("timestamp_gt") != "" || truth(v.Get("sort_asc")) || v.Get("sort") == "start_timestamp" || v.Get("sort") == "occurrence_time" || v.Get("sort") == "enforced_at"
	if truth(v.Get("sort_desc")) {
		q.Ascending = false
	}
	return q, nil
}

func truth(t string) bool {
	switch strings.ToLower(t) {
	case "true", "1", "yes", "y":
		return true
	}
	return false
}

func parseTime(name, t string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if at, err := time.Parse(layout, t); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, wrong(name, "found %q, want a time such as 2026-01-31T12:00:00Z", t)
}

// list answers a page with StackStorm's headers, cut to the attributes asked for.
func (s *Server) list(w http.ResponseWriter, r *http.Request, total, limit int, items any) error {
	w.Header().Set("X-Total-Count", strconv.Itoa(total))
	if limit != 0 {
		w.Header().Set("X-Limit", strconv.Itoa(limit))
	}
	v := r.URL.Query()
	include, exclude := attributes(v["include_attributes"]), attributes(v["exclude_attributes"])
	if len(include) > 0 && len(exclude) > 0 {
		return wrong("include_attributes", "stands beside exclude_attributes; give one of them")
	}
	if len(include)+len(exclude) > 0 {
		cut, err := project(items, include, exclude)
		if err != nil {
			return err
		}
		items = cut
	}
	s.answer(w, http.StatusOK, items)
	return nil
}

func attributes(vs []string) []string {
	var out []string
	for _, v := range vs {
		for _, a := range strings.Split(v, ",") {
			if a = strings.TrimSpace(a); a != "" {
				out = append(out, a)
			}
		}
	}
	return out
}

// project cuts objects to the included attributes (dotted names lead inward; id
// and ref always stay), or takes the excluded ones away.
func project(items any, include, exclude []string) ([]map[string]json.RawMessage, error) {
	b, err := plainJSON(items)
	if err != nil {
		return nil, err
	}
	var objs []map[string]json.RawMessage
	if err := json.Unmarshal(b, &objs); err != nil {
		return nil, err
	}
	for i, o := range objs {
		if len(include) == 0 {
			for _, a := range exclude {
				delete(o, a)
			}
			continue
		}
		cut := map[string]json.RawMessage{}
		for _, a := range append([]string{"id", "ref"}, include...) {
			if err := copyAttribute(cut, o, strings.Split(a, ".")); err != nil {
				return nil, err
			}
		}
		objs[i] = cut
	}
	return objs, nil
}

func copyAttribute(to, from map[string]json.RawMessage, path []string) error {
	v, ok := from[path[0]]
	if !ok {
		return nil
	}
	if len(path) == 1 {
		to[path[0]] = v
		return nil
	}
	var inner, have map[string]json.RawMessage
	if json.Unmarshal(v, &inner) != nil {
		to[path[0]] = v
		return nil
	}
	if json.Unmarshal(to[path[0]], &have) != nil || have == nil {
		have = map[string]json.RawMessage{}
	}
	if err := copyAttribute(have, inner, path[1:]); err != nil {
		return err
	}
	b, err := plainJSON(have)
	to[path[0]] = b
	return err
}

// executionQuery reads the filters of the execution list.
func (s *Server) executionQuery(r *http.Request) (router.Query, bool, error) {
	q, err := listQuery(r, 100)
	if err != nil {
		return q, false, err
	}
	v := r.URL.Query()
	if t := v.Get("status"); t != "" {
		for _, st := range strings.Split(t, ",") {
			q.Status = append(q.Status, hayate.Status(st))
		}
	}
	q.Action = hayate.Ref(v.Get("action"))
	q.Runner = v.Get("runner")
	q.User = v.Get("user")
	q.Unverified = v.Get("verified") == "false"
	q.Event = hayate.EventID(v.Get("trigger_instance"))
	q.Type = first(v.Get("trigger"), v.Get("trigger_type"))
	switch p := v.Get("parent"); p {
	case "":
	case "null":
		q.NoParent = true
	default:
		q.Parent = hayate.ExecutionID(p)
	}
	if name := v.Get("rule"); name != "" {
		// StackStorm matches the rule's name; a reference is taken too.
		ok := false
		for _, rule := range s.Router.Rules() {
			if string(rule.Ref()) == name || rule.Name == name {
				q.Rule, ok = rule.Ref(), true
				break
			}
		}
		if !ok {
			return q, false, nil
		}
	}
	return q, true, nil
}
