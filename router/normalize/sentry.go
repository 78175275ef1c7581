package normalize

// Sentry: the older webhook plugin's body, and the integration platform's, which
// names its resource in a header and its action in the body.

func isSentry(in *input) bool {
	if in.header("Sentry-Hook-Resource") != "" {
		return true
	}
	return in.doc.has("event", "event_id") && in.doc.has("culprit") ||
		in.doc.has("action") && in.doc.has("installation", "uuid") && in.doc.has("actor")
}

func sentryEvents(in *input) error {
	doc := in.doc
	if resource := in.header("Sentry-Hook-Resource"); resource != "" || doc.has("installation", "uuid") {
		object := doc.get("data", firstOf(resource, "issue"))
		id := firstOf(object.str("id"), object.str("event_id"))
		return in.emit(draft{
			typ:         joined(".", "io.sentry", firstOf(slug(resource), "issue"), slug(doc.str("action"))),
			source:      firstOf(object.str("web_url"), object.str("url"), "io.sentry/"+doc.str("installation", "uuid")),
			subject:     firstOf(object.str("title"), object.str("shortId")),
			id:          in.header("Request-ID"),
			same:        true,
			time:        firstTime(moment(in.header("Sentry-Hook-Timestamp")), moment(object.str("datetime"))),
			correlation: id,
		})
	}
	e := doc.get("event")
	return in.emit(draft{
		typ:         "io.sentry.event",
		source:      firstOf(doc.str("url"), "io.sentry/"+doc.str("project_slug")),
		subject:     firstOf(e.str("title"), doc.str("message")),
		id:          e.str("event_id"),
		same:        true,
		time:        moment(e.str("timestamp")),
		correlation: doc.str("id"),
	})
}
