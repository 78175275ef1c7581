package normalize

import "strings"

// GitLab. Attributes as in the CloudEvents adapter; what it does not know follows
// its pattern: com.gitlab.<kind>.<what happened>. The adapter asks for a new id;
// a delivery that GitLab repeats carries the same Idempotency-Key, and where
// the header is missing the body stands for it.

func isGitLab(in *input) bool {
	if in.header("X-Gitlab-Event") != "" {
		return true
	}
	return in.doc.has("object_kind") && (in.doc.has("project") || in.doc.has("repository") || in.doc.has("project_id") || in.doc.has("object_attributes")) ||
		isGitLabSystem(in.doc)
}

// isGitLabSystem recognises what an instance says about itself.
func isGitLabSystem(doc value) bool {
	if !doc.has("event_name") {
		return false
	}
	if doc.has("created_at") {
		return doc.has("project_id") || doc.has("group_id") || doc.has("user_id") || doc.has("key")
	}
	return doc.has("project") && doc.has("project_id")
}

func gitLabEvents(in *input) error {
	doc, attrs := in.doc, in.doc.get("object_attributes")
	homepage := firstOf(doc.str("repository", "homepage"), doc.str("project", "homepage"), doc.str("project", "web_url"), doc.str("group", "web_url"))
	d := draft{
		source: homepage,
		id:     in.header("Idempotency-Key"),
		same:   true,
		time:   in.now(),
	}
	kind := firstOf(doc.str("object_kind"), doc.str("event_name"))
	switch kind {
	case "push":
		d.typ, d.subject = "com.gitlab.push", firstOf(doc.str("checkout_sha"), doc.str("after"))
	case "tag_push":
		d.typ, d.subject = "com.gitlab.tag_push", doc.str("ref")
	case "issue", "work_item":
		d.typ = joined(".", "com.gitlab", kind, attrs.str("state"))
		d.subject = attrs.str("iid")
		d.correlation = attrs.str("url")
	case "note":
		gitLabNote(doc, attrs, &d)
	case "merge_request":
		d.typ = joined(".", "com.gitlab.merge_request", firstOf(attrs.str("action"), attrs.str("state")))
		d.subject = attrs.str("iid")
		d.time = firstTime(moment(attrs.str("created_at")), d.time)
		d.correlation = attrs.str("url")
	case "wiki_page":
		d.typ = joined(".", "com.gitlab.wiki_page", attrs.str("action"))
		d.source = firstOf(doc.str("project", "web_url"), homepage)
		d.subject = attrs.str("slug")
	case "pipeline":
		d.typ = joined(".", "com.gitlab.pipeline", attrs.str("status"))
		d.source = firstOf(doc.str("project", "web_url"), homepage)
		d.subject = attrs.str("id")
		d.correlation = joined("/", d.source, "pipelines", attrs.str("id"))
	case "build", "job":
		d.typ = joined(".", "com.gitlab.job", firstOf(doc.str("job_status"), doc.str("build_status")))
		d.subject = firstOf(doc.str("job_id"), doc.str("build_id"))
		d.correlation = joined("/", homepage, "pipelines", doc.str("pipeline_id"))
	case "deployment":
		d.typ = joined(".", "com.gitlab.deployment", doc.str("status"))
		d.subject = doc.str("deployment_id")
		d.time = firstTime(moment(doc.str("status_changed_at")), d.time)
		d.correlation = joined("/", homepage, "deployments", doc.str("deployment_id"))
	default:
		d.typ = joined(".", "com.gitlab", firstOf(kind, "event"), firstOf(attrs.str("action"), attrs.str("state"), doc.str("action")))
		d.subject = firstOf(attrs.str("iid"), attrs.str("id"), doc.str("id"), doc.str("tag"))
		d.correlation = firstOf(attrs.str("url"), doc.str("url"))
	}
	return in.emit(d)
}

// gitLabNote fills in a comment on a commit, merge request, issue or snippet.
func gitLabNote(doc, attrs value, d *draft) {
	on := map[string]string{"Commit": "commit", "MergeRequest": "merge_request", "Issue": "issue", "Snippet": "snippet"}[attrs.str("noteable_type")]
	d.typ = joined(".", "com.gitlab.note", firstOf(on, slug(attrs.str("noteable_type"))))
	page, _, _ := strings.Cut(attrs.str("url"), "#note_")
	d.source = firstOf(page, d.source)
	if on == "commit" {
		d.source = firstOf(doc.str("commit", "url"), d.source)
	}
	d.subject = attrs.str("id")
	d.correlation = d.source
	d.time = firstTime(moment(attrs.str("created_at")), d.time)
}
