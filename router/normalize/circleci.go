package normalize

// CircleCI webhooks: a workflow or a job that ended. Those of one workflow share
// its id as correlation key.

func isCircleCI(in *input) bool {
	return in.doc.has("happened_at") && in.doc.has("type") && in.doc.has("webhook")
}

func circleCIEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         "com.circleci." + firstOf(slug(doc.str("type")), "event"),
		source:      joined("/", "https://app.circleci.com/pipelines", doc.str("project", "slug")),
		subject:     firstOf(doc.str("job", "name"), doc.str("workflow", "name"), doc.str("project", "name")),
		id:          doc.str("id"),
		same:        true,
		time:        moment(doc.str("happened_at")),
		correlation: firstOf(doc.str("workflow", "id"), doc.str("pipeline", "id")),
	})
}
