package normalize

// Dash0: an issue opens, changes and is resolved under one identifier.

func isDash0(in *input) bool {
	return in.doc.has("type") && in.doc.has("data", "issue", "issueIdentifier")
}

func dash0Events(in *input) error {
	issue := in.doc.get("data", "issue")
	end := moment(issue.str("end"))
	return in.emit(draft{
		typ:         "com.dash0." + slug(in.doc.str("type")),
		source:      joined("/", "https://app.dash0.com", issue.str("dataset")),
		subject:     issue.str("summary"),
		id:          joined(".", issue.str("id"), slug(in.doc.str("type")), issue.str("status"), issue.str("end")),
		time:        firstTime(end, moment(issue.str("start"))),
		correlation: issue.str("issueIdentifier"),
	})
}
