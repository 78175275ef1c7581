package normalize

// Azure DevOps service hooks. The body has an id of its own; the object's address
// is the correlation key.

func isAzureDevOps(in *input) bool {
	return in.doc.has("eventType") && in.doc.has("publisherId") && in.doc.has("resource")
}

func azureDevOpsEvents(in *input) error {
	doc, r := in.doc, in.doc.get("resource")
	return in.emit(draft{
		typ: "com.azure.devops." + slug(doc.str("eventType")),
		source: firstOf(doc.str("resourceContainers", "project", "baseUrl"), r.str("repository", "url"), r.str("definition", "url"),
			origin(r.str("url"))),
		subject:     firstOf(r.str("buildNumber"), r.get("refUpdates").first().str("name"), r.str("pullRequestId"), r.str("id")),
		id:          doc.str("id"),
		same:        true,
		time:        moment(doc.str("createdDate")),
		correlation: r.str("url"),
	})
}
