package record

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// MatchExecution says whether the query selects x. The event's type and source
// are not part of an execution: a query for them selects none.
func MatchExecution(q *router.Query, x *hayate.Execution) bool {
	switch {
	case len(q.IDs) > 0 && !slices.Contains(q.IDs, string(x.ID)),
		len(q.Status) > 0 && !slices.Contains(q.Status, x.Status),
		q.Action != "" && q.Action != x.Action,
		q.Runner != "" && q.Runner != x.Runner,
		q.Rule != "" && q.Rule != x.Rule,
		q.Event != "" && q.Event != x.Event,
		q.Parent != "" && q.Parent != x.Parent,
		q.NoParent && x.Parent != "",
		q.User != "" && q.User != user(x),
		q.Unverified && (x.Verified || x.Status != hayate.StatusSucceeded),
		!within(q, x.Created):
		return false
	}
	return q.Text == "" || Contains(q.Text, string(x.ID), string(x.Action), string(x.Rule), string(x.Event), string(x.Parent)) ||
		ContainsJSON(q.Text, x.Parameters)
}

// user is who an execution counts as theirs, as its context says.
func user(x *hayate.Execution) string {
	var c struct{ User string }
	if json.Unmarshal(x.Context, &c) != nil {
		return ""
	}
	return c.User
}

// MatchEvent says whether the query selects the event.
func MatchEvent(q *router.Query, r *router.EventRecord) bool {
	switch {
	case len(q.IDs) > 0 && !slices.Contains(q.IDs, string(r.ID)),
		q.Type != "" && q.Type != r.Event.Type,
		q.Source != "" && q.Source != r.Event.Source,
		q.Event != "" && q.Event != r.ID,
		q.Rule != "" && !slices.ContainsFunc(r.Firings, func(f hayate.Firing) bool { return f.Rule == q.Rule }),
		!within(q, r.At):
		return false
	}
	if q.Text == "" {
		return true
	}
	e := &r.Event
	if Contains(q.Text, string(r.ID), e.ID, e.Type, e.Source, e.Subject) {
		return true
	}
	if e.IsJSON() {
		return ContainsJSON(q.Text, e.Data)
	}
	return Contains(q.Text, string(e.Data))
}

// MatchFiring says whether the query selects f, a firing on the event r.
func MatchFiring(q *router.Query, r *router.EventRecord, f *hayate.Firing) bool {
	switch {
	case len(q.IDs) > 0 && !slices.Contains(q.IDs, string(f.ID)),
		q.Type != "" && q.Type != r.Event.Type,
		q.Source != "" && q.Source != r.Event.Source,
		q.Rule != "" && q.Rule != f.Rule,
		q.Event != "" && q.Event != f.Event,
		q.Execution != "" && !slices.Contains(f.Executions, q.Execution),
		!within(q, f.At):
		return false
	}
	if q.Text == "" || Contains(q.Text, string(f.ID), string(f.Rule), string(f.Event)) {
		return true
	}
	return slices.ContainsFunc(f.Parameters, func(p json.RawMessage) bool { return ContainsJSON(q.Text, p) })
}

func within(q *router.Query, t time.Time) bool {
	return (q.After.IsZero() || t.After(q.After)) && (q.Before.IsZero() || t.Before(q.Before))
}

// Contains says whether one of the texts contains the wanted one, ignoring case.
func Contains(want string, in ...string) bool {
	want = strings.ToLower(want)
	for _, s := range in {
		if strings.Contains(strings.ToLower(s), want) {
			return true
		}
	}
	return false
}

// ContainsJSON says whether a JSON text contains the wanted one, ignoring case,
// as written or with its strings read.
func ContainsJSON(want string, raw []byte) bool {
	s := string(raw)
	if Contains(want, s) {
		return true
	}
	return strings.IndexByte(s, '\\') >= 0 && Contains(want, unescape(s))
}

// unescape replaces JSON's escapes in a text by what they stand for.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			r, n := unit(s[i+1:])
			i += n
			if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
				if low, m := unit(s[i+3:]); m > 0 {
					if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
						r, i = pair, i+2+m
					}
				}
			}
			b.WriteRune(r)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// unit reads four hexadecimal digits, and says how many bytes it took.
func unit(s string) (rune, int) {
	if len(s) < 4 {
		return utf8.RuneError, 0
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		return utf8.RuneError, 0
	}
	return rune(n), 4
}

// Window returns the part of n things that a query's offset and limit select.
func Window(offset, limit, n int) (from, to int) {
	from = min(max(offset, 0), n)
	if limit < 0 || limit > n-from {
		return from, n
	}
	return from, from + limit
}
