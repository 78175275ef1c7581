package normalize

// Checkly: failure and recovery of a check share its id as correlation key.

func isChecklyAlert(in *input) bool {
	return in.doc.has("check_id") && in.doc.has("check_name") && in.doc.has("alert_type")
}

func checklyEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         "com.checklyhq." + slug(doc.str("alert_type")),
		source:      joined("/", "https://app.checklyhq.com/checks", doc.str("check_id")),
		subject:     doc.str("check_name"),
		id:          joined(".", firstOf(doc.str("uuid"), doc.str("check_result_id")), slug(doc.str("alert_type"))),
		time:        moment(doc.str("started_at")),
		correlation: doc.str("check_id"),
	})
}
