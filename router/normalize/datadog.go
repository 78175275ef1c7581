package normalize

import (
	"strings"
	"time"
)

// Datadog: its webhook integration's default body, and bodies built from its
// variables. The type says what the alert did (triggered, recovered, …) where
// the body tells, else what kind of event it is.

func isDatadog(in *input) bool {
	doc := in.doc
	return doc.has("event_type") && doc.has("last_updated") && doc.has("org") ||
		doc.has("monitor_id") && doc.has("query") ||
		doc.has("alert_transition") && (doc.has("alert_id") || doc.has("title"))
}

func datadogEvents(in *input) error {
	doc := in.doc
	title := firstOf(doc.str("title"), doc.str("event_title"), doc.str("alert_title"))
	monitor := firstOf(doc.str("monitor_id"), doc.str("alert_id"), monitorOf(doc.str("body")))
	d := draft{
		typ:         "com.datadog." + firstOf(datadogTransition(doc, title), slug(doc.str("event_type")), slug(doc.str("type")), "event"),
		source:      joined("/", "https://app.datadoghq.com/monitors", monitor),
		subject:     title,
		time:        moment(firstOf(doc.str("last_updated"), doc.str("date"))),
		correlation: firstOf(doc.str("aggreg_key"), doc.str("alert_cycle_key"), monitor),
		within:      10 * time.Minute,
	}
	if id := firstOf(doc.str("id"), doc.str("event_id")); id != "" {
		d.id = joined(".", id, slug(doc.str("alert_transition")))
	}
	return in.emit(d)
}

// datadogTransition is what the alert did: the variable, or the title's first
// words in brackets.
func datadogTransition(doc value, title string) string {
	if t := slug(doc.str("alert_transition")); t != "" {
		return "alert." + t
	}
	word, _, found := strings.Cut(strings.TrimPrefix(title, "["), "]")
	if !found || !strings.HasPrefix(title, "[") {
		return ""
	}
	state, _, _ := strings.Cut(word, " on ")
	switch s := slug(state); s {
	case "triggered", "recovered", "warn", "no-data", "re-triggered", "re-warn", "re-no-data":
		return "alert." + s
	}
	return ""
}

// monitorOf finds the monitor in the address that the default body ends with.
func monitorOf(body string) string {
	_, rest, found := strings.Cut(body, "/monitors#")
	if !found {
		if _, rest, found = strings.Cut(body, "/monitors/"); !found {
			return ""
		}
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return rest
	}
	return rest[:end]
}
