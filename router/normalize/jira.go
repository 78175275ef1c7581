package normalize

import "strings"

// Jira: the issue's key is the correlation key of everything about the issue.

func isJira(in *input) bool {
	return in.doc.has("webhookEvent") && in.doc.has("timestamp")
}

func jiraEvents(in *input) error {
	doc, issue := in.doc, in.doc.get("issue")
	self := firstOf(issue.str("self"), doc.str("comment", "self"), doc.str("project", "self"), doc.str("user", "self"))
	event := strings.TrimPrefix(doc.str("webhookEvent"), "jira:")
	return in.emit(draft{
		typ:         "com.atlassian.jira." + firstOf(slug(event), "event"),
		source:      origin(self),
		subject:     firstOf(issue.str("key"), doc.str("project", "key"), doc.str("version", "name"), doc.str("sprint", "name")),
		id:          firstOf(in.header("X-Atlassian-Webhook-Identifier"), digest(self, string(doc.raw()))),
		time:        moment(doc.str("timestamp")),
		correlation: issue.str("key"),
	})
}
