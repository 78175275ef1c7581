package normalize

// Azure Event Grid's own schema; a delivery is an array of them.

func isEventGrid(in *input) bool {
	return in.doc.has("eventType") && in.doc.has("eventTime") && in.doc.has("id") && in.doc.has("data")
}

func eventGridEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         doc.str("eventType"),
		source:      doc.str("topic"),
		subject:     doc.str("subject"),
		id:          doc.str("id"),
		time:        moment(doc.str("eventTime")),
		correlation: doc.str("subject"),
	})
}
