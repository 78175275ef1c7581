package normalize

// Docker Hub: an image was pushed.

func isDockerHub(in *input) bool {
	return in.doc.has("push_data", "pushed_at") && in.doc.has("repository", "repo_name")
}

func dockerHubEvents(in *input) error {
	doc := in.doc
	name := doc.str("repository", "repo_name")
	return in.emit(draft{
		typ:         "com.docker.hub.push",
		source:      firstOf(doc.str("repository", "repo_url"), "https://hub.docker.com/r/"+name),
		subject:     joined(":", name, doc.str("push_data", "tag")),
		id:          joined("/", lastSegment(doc.str("callback_url")), doc.str("push_data", "tag"), doc.str("push_data", "pushed_at")),
		time:        moment(doc.str("push_data", "pushed_at")),
		correlation: joined(":", name, doc.str("push_data", "tag")),
	})
}
