package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/infra/settings"
)

// watchEvery is how often a watched list is read again.
const watchEvery = time.Second

func set(q url.Values, name, v string) {
	if v != "" {
		q.Set(name, v)
	}
}

func randomID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// lists prints a list, and with --watch again when it changes.
func (a *app) lists(c *cobra.Command, l *listFlags, path string, q url.Values, cols []column) error {
	if err := l.apply(q); err != nil {
		return err
	}
	last, err := a.listOnce(c.Context(), path, q, cols, nil, l)
	for l.watch && err == nil && sleep(c.Context(), watchEvery) {
		last, err = a.listOnce(c.Context(), path, q, cols, last, l)
	}
	if c.Context().Err() != nil {
		return nil
	}
	return err
}

func (l *listFlags) apply(q url.Values) error {
	if l.limit == 0 || l.limit < -1 {
		return usage("--limit must be above 0, or -1 for all")
	}
	q.Set("limit", strconv.Itoa(l.limit))
	set(q, "text", l.text)
	for name, v := range map[string]string{"timestamp_gt": l.since, "timestamp_lt": l.before} {
		if v == "" {
			continue
		}
		t, err := moment(v)
		if err != nil {
			return err
		}
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
	if l.since != "" {
		q.Set("sort_desc", "true")
	}
	return nil
}

// moment reads a time, or an age.
func moment(v string) (time.Time, error) {
	if d, err := settings.ParseDuration(v); err == nil {
		return time.Now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, v, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%q is neither a time (2026-01-31T12:00:00Z) nor an age (2h, 7d)", v)
}

func (a *app) listOnce(ctx context.Context, path string, q url.Values, cols []column, before []byte, l *listFlags) ([]byte, error) {
	r, err := a.call(ctx, http.MethodGet, path, q, nil, "")
	if err != nil {
		return before, err
	}
	if bytes.Equal(before, r.body) {
		return before, nil
	}
	if before != nil && a.colored(a.Stdout) {
		fmt.Fprint(a.Stdout, "\x1b[H\x1b[2J")
	}
	if err := a.printList(r.body, nameOf(cols), cols); err != nil {
		return nil, err
	}
	if total, err := strconv.Atoi(r.total); err == nil && l.limit > 0 && total > l.limit && (a.output == "table" || a.output == "wide") {
		a.say("%d of %d shown; -n sets how many, --since and --text narrow", l.limit, total)
	}
	return r.body, nil
}

// nameOf says what -o name prints: what the first column calls a thing by.
func nameOf(cols []column) string {
	if len(cols) > 0 {
		switch cols[0].title {
		case "REF":
			return "ref"
		case "NAME":
			return "name"
		}
	}
	return "id"
}

// sleep waits, and says whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
