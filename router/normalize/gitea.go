package normalize

import "strings"

// Gitea, Forgejo and Gogs. Their delivery header is new for each delivery, a
// repeated one too, so the body is the identity: it carries the repository's
// time of change.

func isGitea(in *input) bool {
	if firstOf(in.header("X-Gitea-Event"), in.header("X-Forgejo-Event")) != "" {
		return true
	}
	owner := in.doc.get("repository", "owner")
	return owner.has("username") && owner.has("login") && (owner.has("is_admin") || owner.has("visibility") || owner.has("last_login"))
}

func giteaEvents(in *input) error {
	event := firstOf(in.header("X-Gitea-Event"), in.header("X-Forgejo-Event"))
	return in.emit(giteaDraft(in, "io.gitea.", event))
}

func isGogs(in *input) bool {
	if in.header("X-Gogs-Event") != "" {
		return true
	}
	owner := in.doc.get("repository", "owner")
	return owner.has("username") && owner.has("login") && in.doc.has("repository", "full_name")
}

func gogsEvents(in *input) error {
	return in.emit(giteaDraft(in, "io.gogs.", in.header("X-Gogs-Event")))
}

func giteaDraft(in *input, prefix, event string) draft {
	doc := in.doc
	repository := doc.get("repository")
	event = firstOf(event, gitEvent(doc), "event")
	d := draft{
		typ:    prefix + event,
		source: firstOf(repository.str("url"), repository.str("html_url"), doc.str("organization", "url")),
		same:   true,
	}
	if action := doc.str("action"); action != "" {
		d.typ = joined(".", d.typ, slug(action))
	}
	switch {
	case doc.has("pull_request"):
		d.subject = firstOf(doc.str("number"), doc.str("pull_request", "number"))
		d.correlation = firstOf(doc.str("pull_request", "url"), doc.str("pull_request", "html_url"))
		d.time = moment(doc.str("pull_request", "updated_at"))
	case doc.has("issue"):
		d.subject = doc.str("issue", "number")
		d.correlation = firstOf(doc.str("issue", "url"), doc.str("issue", "html_url"), joined("/", d.source, "issues", d.subject))
		d.time = firstTime(moment(doc.str("comment", "updated_at")), moment(doc.str("issue", "updated_at")))
	case doc.has("release"):
		d.subject = doc.str("release", "tag_name")
		d.time = firstTime(moment(doc.str("release", "published_at")), moment(doc.str("release", "created_at")))
	case doc.has("workflow_run"):
		d.subject = doc.str("workflow_run", "id")
		d.correlation = doc.str("workflow_run", "html_url")
	default:
		d.subject = firstOf(doc.str("ref"), repository.str("name"))
		d.time = firstTime(moment(doc.str("head_commit", "timestamp")), moment(doc.get("commits").first().str("timestamp")))
	}
	if d.source != "" && strings.HasPrefix(d.source, "/") {
		d.source = firstOf(repository.str("html_url"), d.source)
	}
	return d
}

// gitEvent guesses the event from the members that only it has, in the
// vocabulary that GitHub and Gitea share.
func gitEvent(doc value) string {
	switch {
	case doc.has("zen"):
		return "ping"
	case doc.has("commits") && doc.has("ref"):
		return "push"
	case doc.has("ref_type"):
		if doc.has("master_branch") || doc.has("sha") || doc.has("description") {
			return "create"
		}
		return "delete"
	}
	// The first whose every member is there; what is more special stands first.
	guesses := [...]struct{ event, members string }{
		{"check_run", "check_run"},
		{"check_suite", "check_suite"},
		{"deployment_status", "deployment_status"},
		{"deployment_protection_rule", "deployment_callback_url"},
		{"deployment", "deployment"},
		{"workflow_job", "workflow_job"},
		{"workflow_run", "workflow_run"},
		{"workflow_dispatch", "workflow inputs"},
		{"pull_request_review_thread", "pull_request thread"},
		{"pull_request_review_comment", "pull_request comment"},
		{"pull_request_review", "pull_request review"},
		{"pull_request", "pull_request"},
		{"issue_comment", "issue comment"},
		{"issues", "issue"},
		{"discussion_comment", "discussion comment"},
		{"discussion", "discussion"},
		{"commit_comment", "comment"},
		{"fork", "forkee"},
		{"gollum", "pages"},
		{"release", "release"},
		{"label", "label"},
		{"milestone", "milestone"},
		{"page_build", "build"},
		{"status", "sha state context"},
		{"merge_group", "merge_group"},
		{"repository_advisory", "repository_advisory"},
		{"registry_package", "registry_package"},
		{"package", "package"},
		{"membership", "scope team member"},
		{"member", "member"},
		{"team", "team"},
		{"installation_repositories", "installation repository_selection"},
		{"sponsorship", "sponsorship"},
		{"security_advisory", "security_advisory"},
		{"branch_protection_rule", "rule"},
		{"deploy_key", "key"},
		{"star", "starred_at"},
		{"meta", "hook hook_id"},
		{"repository_dispatch", "client_payload"},
	}
	for _, g := range guesses {
		all := true
		for name := range strings.SplitSeq(g.members, " ") {
			all = all && doc.has(name)
		}
		if all {
			return g.event
		}
	}
	switch alert := doc.get("alert"); {
	case alert.has("security_advisory"), alert.has("dependency"):
		return "dependabot_alert"
	case alert.has("rule"):
		return "code_scanning_alert"
	case alert.has("secret_type"):
		return "secret_scanning_alert"
	case doc.has("action") && doc.has("repository"):
		return "repository"
	}
	return ""
}
