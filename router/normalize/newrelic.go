package normalize

// New Relic workflows: an issue is created, activated, acknowledged and closed
// under one id.

func isNewRelic(in *input) bool {
	return in.doc.has("issueUrl") && in.doc.has("state") && in.doc.has("id")
}

func newRelicEvents(in *input) error {
	doc := in.doc
	state := slug(doc.str("state"))
	return in.emit(draft{
		typ:         joined(".", "com.newrelic.issue", state),
		source:      firstOf(origin(doc.str("issueUrl")), "com.newrelic"),
		subject:     doc.str("title"),
		id:          joined(".", doc.str("id"), state, slug(doc.str("trigger")), doc.str("updatedAt")),
		time:        firstTime(moment(doc.str("updatedAt")), moment(doc.str("createdAt"))),
		correlation: doc.str("id"),
	})
}
