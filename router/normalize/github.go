package normalize

import "strings"

// GitHub. Attributes as in the CloudEvents adapter, the exceptions of which are
// the table below. Without its header the event is guessed from the body.

// gitHubRule is what the adapter says about one event. Paths are dotted; of
// several the first that leads to something counts.
type gitHubRule struct {
	source  string // "" means repository.url
	kind    string // paths whose values follow the event's name in the type: "" means action, "-" none
	subject string
	time    string // "" means the time of receipt
	key     string // correlation: what the events of one story share
}

// gitHubRuleOf returns the rule for an event, the general one where it is
// unknown.
func gitHubRuleOf(event string) gitHubRule {
	switch event {
	case "branch_protection_rule":
		return gitHubRule{subject: "rule.id", time: "rule.updated_at"}
	case "check_run":
		return gitHubRule{subject: "check_run.id", time: "check_run.completed_at check_run.started_at", key: "check_run.url"}
	case "check_suite":
		return gitHubRule{subject: "check_suite.id", time: "check_suite.updated_at", key: "check_suite.url"}
	case "code_scanning_alert":
		return gitHubRule{subject: "alert.number", key: "alert.url"}
	case "commit_comment":
		return gitHubRule{source: "comment.url", subject: "comment.id", time: "comment.updated_at"}
	case "content_reference":
		return gitHubRule{subject: "content_reference.id"}
	case "create", "delete":
		return gitHubRule{kind: "ref_type", subject: "ref"}
	case "custom_property":
		return gitHubRule{subject: "definition.property_name"}
	case "dependabot_alert", "repository_vulnerability_alert":
		return gitHubRule{subject: "alert.id alert.number", key: "alert.url"}
	case "deploy_key":
		return gitHubRule{subject: "key.id", time: "key.deleted_at key.created_at"}
	case "deployment":
		return gitHubRule{kind: "-", subject: "deployment.id", time: "deployment.updated_at", key: "deployment.url"}
	case "deployment_protection_rule":
		return gitHubRule{source: "deployment.url", subject: "deployment.id", key: "deployment.url"}
	case "deployment_review":
		return gitHubRule{source: "deployment.url", subject: "workflow_run.id", key: "workflow_run.url"}
	case "deployment_status":
		return gitHubRule{source: "deployment.url", kind: "deployment_status.state", subject: "deployment_status.url",
			time: "deployment_status.updated_at", key: "deployment.url"}
	case "discussion":
		return gitHubRule{subject: "discussion.id", key: "discussion.html_url"}
	case "discussion_comment":
		return gitHubRule{subject: "discussion.id", time: "comment.updated_at", key: "discussion.html_url"}
	case "fork":
		return gitHubRule{kind: "-", subject: "forkee.url", time: "forkee.created_at"}
	case "github_app_authorization":
		return gitHubRule{source: "sender.url", kind: "-"}
	case "gollum", "security_and_analysis":
		return gitHubRule{kind: "-"}
	case "installation", "installation_repositories":
		return gitHubRule{source: "installation.account.url", subject: "installation.id", time: "installation.updated_at"}
	case "installation_target":
		return gitHubRule{source: "installation.account.url account.url", subject: "installation.id"}
	case "issue_comment":
		return gitHubRule{source: "issue.url", subject: "comment.id", time: "comment.updated_at", key: "issue.url"}
	case "issues":
		return gitHubRule{subject: "issue.number", time: "issue.updated_at", key: "issue.url"}
	case "label":
		return gitHubRule{subject: "label.name"}
	case "marketplace_purchase":
		return gitHubRule{source: "sender.url", subject: "marketplace_purchase.account.login", time: "effective_date"}
	case "member":
		return gitHubRule{subject: "member.login"}
	case "membership":
		return gitHubRule{source: "team.url", kind: "scope action", subject: "member.login"}
	case "merge_group":
		return gitHubRule{subject: "merge_group.head_ref"}
	case "meta":
		return gitHubRule{subject: "hook_id", time: "hook.updated_at"}
	case "milestone":
		return gitHubRule{subject: "milestone.number", time: "milestone.updated_at", key: "milestone.url"}
	case "organization":
		return gitHubRule{source: "organization.url", subject: "membership.user.login"}
	case "org_block":
		return gitHubRule{source: "organization.url", subject: "blocked_user.login"}
	case "package":
		return gitHubRule{subject: "package.id", time: "package.updated_at package.created_at"}
	case "page_build":
		return gitHubRule{kind: "-", subject: "build.url", time: "pusher.updated_at"}
	case "ping":
		return gitHubRule{kind: "-", subject: "hook_id"}
	case "project", "project_card", "project_column", "projects_v2", "projects_v2_item", "projects_v2_status_update":
		return gitHubRule{subject: event + ".id", time: event + ".updated_at"}
	}
	return moreGitHubRules(event)
}

func moreGitHubRules(event string) gitHubRule {
	switch event {
	case "public", "repository_import":
		return gitHubRule{source: "repository.owner.url", kind: "-", subject: "repository.name", time: "repository.updated_at"}
	case "pull_request":
		return gitHubRule{subject: "number", time: "pull_request.updated_at", key: "pull_request.url"}
	case "pull_request_review":
		return gitHubRule{source: "pull_request.url", subject: "review.id", time: "review.submitted_at", key: "pull_request.url"}
	case "pull_request_review_comment":
		return gitHubRule{source: "pull_request.url", subject: "comment.id", time: "pull_request.updated_at", key: "pull_request.url"}
	case "pull_request_review_thread":
		return gitHubRule{source: "pull_request.url", subject: "pull_request.id", key: "pull_request.url"}
	case "push":
		return gitHubRule{kind: "-", subject: "ref"}
	case "registry_package":
		return gitHubRule{subject: "registry_package.html_url", time: "registry_package.updated_at"}
	case "release":
		return gitHubRule{subject: "release.id", time: "release.published_at release.created_at", key: "release.url"}
	case "repository", "repository_ruleset":
		return gitHubRule{source: "repository.owner.url", subject: "repository.name", time: "repository.updated_at"}
	case "repository_advisory":
		return gitHubRule{subject: "repository_advisory.ghsa_id", time: "repository_advisory.updated_at", key: "repository_advisory.url"}
	case "repository_dispatch":
		return gitHubRule{source: "repository.owner.url"}
	case "secret_scanning_alert", "secret_scanning_alert_location":
		return gitHubRule{subject: "alert.number", time: "alert.updated_at alert.created_at", key: "alert.url"}
	case "security_advisory":
		return gitHubRule{source: "github.com", subject: "security_advisory.ghsa_id", time: "security_advisory.updated_at"}
	case "sponsorship":
		return gitHubRule{subject: "sponsorship.sponsor.login"}
	case "star":
		return gitHubRule{time: "starred_at"}
	case "status":
		return gitHubRule{kind: "state", subject: "sha", time: "updated_at"}
	case "team":
		return gitHubRule{subject: "team.id", time: "updated_at"}
	case "team_add":
		return gitHubRule{subject: "team.id"}
	case "workflow_dispatch":
		return gitHubRule{kind: "-", subject: "workflow"}
	case "workflow_job":
		return gitHubRule{subject: "workflow_job.name", key: "workflow_job.run_url"}
	case "workflow_run":
		return gitHubRule{subject: "workflow.name", key: "workflow_run.url"}
	}
	return gitHubRule{}
}

func isGitHub(in *input) bool {
	if in.header("X-GitHub-Event") != "" {
		return true
	}
	for _, url := range [...]string{in.doc.str("repository", "url"), in.doc.str("sender", "url"), in.doc.str("organization", "url")} {
		if strings.HasPrefix(url, "https://api.github.com/") || strings.Contains(url, "/api/v3/") {
			return true
		}
	}
	return in.doc.has("zen") && in.doc.has("hook_id")
}

func gitHubEvents(in *input) error {
	doc := in.doc
	event := firstOf(in.header("X-GitHub-Event"), gitEvent(doc), "event")
	rule := gitHubRuleOf(event)
	d := draft{
		typ:         "com.github." + event,
		source:      gitHubSource(doc, event, rule),
		id:          in.header("X-GitHub-Delivery"),
		same:        true,
		subject:     along(doc, rule.subject),
		time:        in.now(),
		correlation: along(doc, rule.key),
	}
	switch rule.kind {
	case "":
		d.typ = joined(".", d.typ, doc.str("action"))
	case "-":
	default:
		for path := range strings.SplitSeq(rule.kind, " ") {
			d.typ = joined(".", d.typ, along(doc, path))
		}
	}
	for path := range strings.SplitSeq(rule.time, " ") {
		if t := moment(along(doc, path)); !t.IsZero() {
			d.time = t
			break
		}
	}
	if event == "release" && doc.str("action") == "created" {
		d.time = firstTime(moment(doc.str("release", "created_at")), d.time)
	}
	return in.emit(d)
}

func gitHubSource(doc value, event string, rule gitHubRule) string {
	switch event {
	case "security_advisory":
		return rule.source
	case "commit_comment":
		if url := doc.str("comment", "url"); url != "" {
			return joined("/", url, doc.str("comment", "commit_id"))
		}
	case "marketplace_purchase":
		url := doc.str("sender", "url")
		if i := strings.LastIndexByte(url, '/'); i > 0 {
			return url[:i]
		}
	}
	// Organisations and applications send many events that have no repository.
	return firstOf(along(doc, rule.source), doc.str("repository", "url"), doc.str("organization", "url"),
		doc.str("enterprise", "html_url"), doc.str("installation", "account", "url"), doc.str("sender", "url"), "github.com")
}

// along is the text at the first of the paths that leads to one. Paths are
// separated by spaces, their names by dots.
func along(doc value, paths string) string {
	for path := range strings.SplitSeq(paths, " ") {
		v := doc
		for name := range strings.SplitSeq(path, ".") {
			v = v.get(name)
		}
		if s := v.str(); s != "" {
			return s
		}
	}
	return ""
}
