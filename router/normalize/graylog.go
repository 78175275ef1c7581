package normalize

// Graylog: an event of an event definition. Events with the same definition and
// key belong together.

func isGraylog(in *input) bool {
	return in.doc.has("event_definition_id") && in.doc.get("event").isObject()
}

func graylogEvents(in *input) error {
	doc, e := in.doc, in.doc.get("event")
	return in.emit(draft{
		typ:         "org.graylog.event",
		source:      firstOf(e.str("origin_context"), "org.graylog/"+doc.str("event_definition_id")),
		subject:     firstOf(doc.str("event_definition_title"), e.str("message")),
		id:          e.str("id"),
		same:        true,
		time:        moment(e.str("timestamp")),
		correlation: joined("/", doc.str("event_definition_id"), e.str("key")),
	})
}
