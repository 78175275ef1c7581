package normalize

// Rundeck: an execution starts, succeeds or fails.

func isRundeck(in *input) bool {
	return in.doc.has("trigger") && in.doc.has("executionId") && in.doc.get("execution").isObject()
}

func rundeckEvents(in *input) error {
	doc, e := in.doc, in.doc.get("execution")
	href := firstOf(e.str("href"), joined("/", "rundeck", doc.str("executionId")))
	return in.emit(draft{
		typ:         "com.rundeck.execution." + firstOf(slug(doc.str("trigger")), slug(doc.str("status"))),
		source:      firstOf(e.str("job", "href"), origin(href)),
		subject:     e.str("job", "name"),
		id:          joined(".", href, slug(doc.str("trigger"))),
		time:        firstTime(moment(e.str("date-ended", "unixtime")), moment(e.str("date-started", "unixtime"))),
		correlation: href,
	})
}
