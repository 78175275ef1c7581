package normalize

import "strings"

// Bitbucket Cloud and Bitbucket Server (Data Center). The event's name is in a
// header in the cloud and in the body on the server; its colons become dots.

func isBitbucket(in *input) bool {
	if in.header("X-Event-Key") != "" || strings.HasPrefix(in.header("User-Agent"), "Bitbucket-Webhooks/") {
		return true
	}
	doc := in.doc
	return strings.Contains(doc.str("repository", "links", "self", "href"), "/2.0/repositories/") ||
		doc.has("repository", "full_name") && strings.HasPrefix(doc.str("repository", "uuid"), "{")
}

func bitbucketEvents(in *input) error {
	doc := in.doc
	key := firstOf(in.header("X-Event-Key"), bitbucketKey(doc))
	d := draft{
		typ:    joined(".", "com.bitbucket", strings.ReplaceAll(key, ":", ".")),
		source: firstOf(doc.str("repository", "links", "html", "href"), doc.str("repository", "links", "self", "href")),
		same:   true,
	}
	switch {
	case doc.has("pullrequest"):
		pr := doc.get("pullrequest")
		d.subject = pr.str("id")
		d.correlation = firstOf(pr.str("links", "html", "href"), joined("/", d.source, "pull-requests", d.subject))
		d.time = firstTime(moment(pr.str("updated_on")), moment(pr.str("created_on")))
	case doc.has("issue"):
		d.subject = doc.str("issue", "id")
		d.correlation = joined("/", d.source, "issues", d.subject)
		d.time = moment(doc.str("issue", "updated_on"))
	case doc.has("commit_status"):
		s := doc.get("commit_status")
		d.subject = s.str("key")
		d.correlation = firstOf(s.str("links", "commit", "href"), s.str("url"))
		d.time = moment(s.str("updated_on"))
	case doc.has("push"):
		change := doc.get("push", "changes").first()
		d.subject = firstOf(change.str("new", "name"), change.str("old", "name"))
		d.time = moment(change.str("new", "target", "date"))
	}
	return in.emit(d)
}

// bitbucketKey guesses the event's name where the header is missing.
func bitbucketKey(doc value) string {
	age := func(object value) string {
		if object.str("created_on") == object.str("updated_on") {
			return "created"
		}
		return "updated"
	}
	switch {
	case doc.has("push"):
		return "repo:push"
	case doc.has("commit_status"):
		return "repo:commit_status_" + age(doc.get("commit_status"))
	case doc.has("pullrequest") && doc.has("comment"):
		return "pullrequest:comment_" + age(doc.get("comment"))
	case doc.has("pullrequest") && doc.has("approval"):
		return "pullrequest:approved"
	case doc.has("pullrequest"):
		switch doc.str("pullrequest", "state") {
		case "MERGED":
			return "pullrequest:fulfilled"
		case "DECLINED":
			return "pullrequest:rejected"
		}
		return "pullrequest:" + age(doc.get("pullrequest"))
	case doc.has("issue") && doc.has("comment"):
		return "issue:comment_created"
	case doc.has("issue"):
		return "issue:" + age(doc.get("issue"))
	case doc.has("fork"):
		return "repo:fork"
	case doc.has("changes"):
		return "repo:updated"
	}
	return "event"
}

func isBitbucketServer(in *input) bool {
	return in.doc.has("eventKey") && in.doc.has("actor") && (in.doc.has("repository") || in.doc.has("pullRequest") || in.doc.has("new"))
}

func bitbucketServerEvents(in *input) error {
	doc := in.doc
	repository := doc.get("repository")
	if !repository.exists() { // it was changed itself
		repository = doc.get("new")
	}
	d := draft{
		typ:  joined(".", "com.bitbucket.server", strings.ReplaceAll(doc.str("eventKey"), ":", ".")),
		same: true,
		time: moment(doc.str("date")),
	}
	if pr := doc.get("pullRequest"); pr.isObject() {
		repository = pr.get("toRef", "repository")
		d.subject = pr.str("id")
		d.correlation = firstOf(pr.get("links", "self").first().str("href"),
			joined("/", repository.str("project", "key"), repository.str("slug"), "pull-requests", d.subject))
	} else {
		d.subject = firstOf(doc.get("changes").first().str("refId"), doc.str("comment", "id"))
	}
	d.source = firstOf(strings.TrimSuffix(repository.get("links", "self").first().str("href"), "/browse"),
		joined("/", "bitbucket", repository.str("project", "key"), repository.str("slug")))
	return in.emit(d)
}
