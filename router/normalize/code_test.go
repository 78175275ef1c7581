package normalize_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
)

// headed is a request with headers.
func headed(hint, body string, pairs ...string) *normalize.Request {
	r := request("fresh", hint, []byte(body))
	r.Header = func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.EqualFold(pairs[i], name) {
				return pairs[i+1]
			}
		}
		return ""
	}
	return r
}

const (
	received = "2026-01-02T03:04:05Z"
	repo     = `"repository":{"url":"https://api.github.com/repos/o/r","name":"r","updated_at":"2026-01-01T00:00:01Z","owner":{"url":"https://api.github.com/users/o"}},"sender":{"login":"s","url":"https://api.github.com/users/s"}`
	repoURL  = "https://api.github.com/repos/o/r"
)

// What the CloudEvents adapter says about GitHub's events: type (without
// com.github.), source, subject and time.
func TestGitHubFollowsTheAdapter(t *testing.T) {
	t.Parallel()
	tests := []struct{ event, body, typ, source, subject, time string }{
		{"push", `"ref":"refs/heads/main","commits":[]`, "push", repoURL, "refs/heads/main", received},
		{"create", `"ref":"v1","ref_type":"tag"`, "create.tag", repoURL, "v1", received},
		{"delete", `"ref":"b","ref_type":"branch"`, "delete.branch", repoURL, "b", received},
		{"issues", `"action":"opened","issue":{"id":5,"number":7,"updated_at":"2026-01-01T00:00:02Z"}`, "issues.opened", repoURL, "7", "2026-01-01T00:00:02Z"},
		{"issue_comment", `"action":"created","issue":{"url":"https://i"},"comment":{"id":8,"updated_at":"2026-01-01T00:00:02Z"}`, "issue_comment.created", "https://i", "8", "2026-01-01T00:00:02Z"},
		{"pull_request", `"action":"closed","number":9,"pull_request":{"id":1,"updated_at":"2026-01-01T00:00:02Z"}`, "pull_request.closed", repoURL, "9", "2026-01-01T00:00:02Z"},
		{"pull_request_review", `"action":"submitted","pull_request":{"url":"https://p"},"review":{"id":3,"submitted_at":"2026-01-01T00:00:02Z"}`, "pull_request_review.submitted", "https://p", "3", "2026-01-01T00:00:02Z"},
		{"pull_request_review_thread", `"action":"resolved","thread":{},"pull_request":{"id":4,"url":"https://p"}`, "pull_request_review_thread.resolved", "https://p", "4", received},
		{"check_run", `"action":"created","check_run":{"id":1,"completed_at":null,"started_at":"2026-01-01T00:00:02Z"}`, "check_run.created", repoURL, "1", "2026-01-01T00:00:02Z"},
		{"commit_comment", `"action":"created","comment":{"id":1,"url":"https://c","commit_id":"abc","updated_at":null}`, "commit_comment.created", "https://c/abc", "1", received},
		{"deployment", `"action":"created","deployment":{"id":1,"updated_at":"2026-01-01T00:00:02Z"}`, "deployment", repoURL, "1", "2026-01-01T00:00:02Z"},
		{"deployment_status", `"action":"created","deployment":{"url":"https://d"},"deployment_status":{"url":"https://d/1","state":"failure"}`, "deployment_status.failure", "https://d", "https://d/1", received},
		{"deployment_review", `"action":"approved","deployment":{"url":"https://d"},"workflow_run":{"id":2}`, "deployment_review.approved", "https://d", "2", received},
		{"fork", `"forkee":{"url":"https://f","created_at":"2026-01-01T00:00:02Z"}`, "fork", repoURL, "https://f", "2026-01-01T00:00:02Z"},
		{"gollum", `"pages":[]`, "gollum", repoURL, "", received},
		{"github_app_authorization", `"action":"revoked"`, "github_app_authorization", "https://api.github.com/users/s", "", received},
		{"installation_repositories", `"action":"added","installation":{"id":6,"account":{"url":"https://a"}}`, "installation_repositories.added", "https://a", "6", received},
		{"label", `"action":"created","label":{"name":"bug"}`, "label.created", repoURL, "bug", received},
		{"marketplace_purchase", `"action":"purchased","effective_date":"2026-01-01T00:00:02+00:00","marketplace_purchase":{"account":{"login":"l"}}`, "marketplace_purchase.purchased", "https://api.github.com/users", "l", "2026-01-01T00:00:02Z"},
		{"membership", `"action":"added","scope":"team","team":{"url":"https://t"},"member":{"login":"m"}`, "membership.team.added", "https://t", "m", received},
		{"merge_group", `"action":"destroyed","merge_group":{"head_ref":"h"}`, "merge_group.destroyed", repoURL, "h", received},
		{"organization", `"action":"member_added","organization":{"url":"https://o"},"membership":{"user":{"login":"m"}}`, "organization.member_added", "https://o", "m", received},
		{"page_build", `"build":{"url":"https://b"}`, "page_build", repoURL, "https://b", received},
		{"public", ``, "public", "https://api.github.com/users/o", "r", "2026-01-01T00:00:01Z"},
		{"repository", `"action":"renamed"`, "repository.renamed", "https://api.github.com/users/o", "r", "2026-01-01T00:00:01Z"},
		{"repository_dispatch", `"action":"deploy"`, "repository_dispatch.deploy", "https://api.github.com/users/o", "", received},
		{"security_advisory", `"action":"published","security_advisory":{"ghsa_id":"G"}`, "security_advisory.published", "github.com", "G", received},
		{"secret_scanning_alert", `"action":"created","alert":{"number":1,"updated_at":null,"created_at":"2026-01-01T00:00:02Z"}`, "secret_scanning_alert.created", repoURL, "1", "2026-01-01T00:00:02Z"},
		{"star", `"action":"created","starred_at":"2026-01-01T00:00:02Z"`, "star.created", repoURL, "", "2026-01-01T00:00:02Z"},
		{"status", `"sha":"abc","state":"pending","context":"ci","updated_at":"2026-01-01T00:00:02+00:00"`, "status.pending", repoURL, "abc", "2026-01-01T00:00:02Z"},
		{"workflow_dispatch", `"workflow":".github/w.yml","inputs":{}`, "workflow_dispatch", repoURL, ".github/w.yml", received},
		{"workflow_job", `"action":"queued","workflow_job":{"name":"build"}`, "workflow_job.queued", repoURL, "build", received},
		{"workflow_run", `"action":"completed","workflow_run":{"id":1},"workflow":{"name":"CI"}`, "workflow_run.completed", repoURL, "CI", received},
		{"release", `"action":"published","release":{"id":1,"created_at":"2026-01-01T00:00:00Z","published_at":"2026-01-01T00:00:02Z"}`, "release.published", repoURL, "1", "2026-01-01T00:00:02Z"},
		{"something_new", `"action":"done"`, "something_new.done", repoURL, "", received},
	}
	for _, tt := range tests {
		body := "{" + tt.body + "," + repo + "}"
		if tt.body == "" {
			body = "{" + repo + "}"
		}
		e := one(t, headed("", body, "X-GitHub-Event", tt.event, "X-GitHub-Delivery", "d-1"))
		got := strings.Join([]string{e.Type, e.Source, e.Subject, e.Time.Format("2006-01-02T15:04:05Z07:00"), e.ID}, " | ")
		want := strings.Join([]string{"com.github." + tt.typ, tt.source, tt.subject, tt.time, "d-1"}, " | ")
		if got != want {
			t.Errorf("%s: event is\n%s, want\n%s", tt.event, got, want)
		}
		if string(e.Data) != body {
			t.Errorf("%s: data is %s", tt.event, e.Data)
		}
	}
}

func TestGitHubGuessesTheEventWithoutItsHeader(t *testing.T) {
	t.Parallel()
	for want, members := range map[string]string{
		"com.github.push":                         `"ref":"r","commits":[]`,
		"com.github.ping":                         `"zen":"z","hook_id":1`,
		"com.github.pull_request.opened":          `"action":"opened","number":1,"pull_request":{}`,
		"com.github.pull_request_review.edited":   `"action":"edited","pull_request":{},"review":{}`,
		"com.github.issue_comment.created":        `"action":"created","issue":{},"comment":{}`,
		"com.github.code_scanning_alert.fixed":    `"action":"fixed","alert":{"rule":{}}`,
		"com.github.secret_scanning_alert.opened": `"action":"opened","alert":{"secret_type":"t"}`,
		"com.github.create.branch":                `"ref":"b","ref_type":"branch","master_branch":"main"`,
		"com.github.repository.archived":          `"action":"archived"`,
	} {
		e := one(t, request("fresh", "", []byte("{"+members+","+repo+"}")))
		if e.Type != want {
			t.Errorf("%s: type is %s, want %s", members, e.Type, want)
		}
		if strings.HasPrefix(e.ID, "fresh") {
			t.Errorf("%s: id %s is not derived from the body", members, e.ID)
		}
	}
}

func TestGitLabFollowsTheAdapter(t *testing.T) {
	t.Parallel()
	const project = `"project":{"web_url":"https://gl.example/p"},"repository":{"homepage":"https://gl.example/h"}`
	const noon = "2026-01-01T12:00:00Z"
	tests := []struct{ body, typ, source, subject, time string }{
		{`"object_kind":"push","checkout_sha":"abc"`, "push", "https://gl.example/h", "abc", received},
		{`"object_kind":"push","checkout_sha":null,"after":"000"`, "push", "https://gl.example/h", "000", received},
		{`"object_kind":"tag_push","ref":"refs/tags/v1"`, "tag_push", "https://gl.example/h", "refs/tags/v1", received},
		{`"object_kind":"issue","object_attributes":{"id":1,"iid":2,"state":"opened","action":"open"}`, "issue.opened", "https://gl.example/h", "2", received},
		{`"object_kind":"note","object_attributes":{"id":3,"noteable_type":"Commit","url":"https://gl.example/c#note_3","created_at":"2026-01-01 12:00:00 UTC"},"commit":{"url":"https://gl.example/commit"}`, "note.commit", "https://gl.example/commit", "3", noon},
		{`"object_kind":"note","object_attributes":{"id":3,"noteable_type":"MergeRequest","url":"https://gl.example/m#note_3","created_at":"2026-01-01 12:00:00 UTC"}`, "note.merge_request", "https://gl.example/m", "3", noon},
		{`"object_kind":"note","object_attributes":{"id":3,"noteable_type":"Issue","url":"https://gl.example/i#note_3","created_at":"2026-01-01 21:00:00 +0900"}`, "note.issue", "https://gl.example/i", "3", noon},
		{`"object_kind":"note","object_attributes":{"id":3,"noteable_type":"Snippet","url":"https://gl.example/s#note_3"}`, "note.snippet", "https://gl.example/s", "3", received},
		{`"object_kind":"merge_request","object_attributes":{"iid":4,"action":"merge","created_at":"2026-01-01T12:00:00Z"}`, "merge_request.merge", "https://gl.example/h", "4", noon},
		{`"object_kind":"wiki_page","object_attributes":{"slug":"home","action":"create"}`, "wiki_page.create", "https://gl.example/p", "home", received},
		{`"object_kind":"pipeline","object_attributes":{"id":5,"status":"failed","created_at":"2026-01-01 12:00:00 UTC"}`, "pipeline.failed", "https://gl.example/p", "5", received},
		{`"object_kind":"build","build_id":6,"build_status":"running"`, "job.running", "https://gl.example/h", "6", received},
		{`"object_kind":"release","action":"create","tag":"v1","id":7`, "release.create", "https://gl.example/h", "7", received},
	}
	for _, tt := range tests {
		e := one(t, headed("", "{"+tt.body+","+project+"}", "X-Gitlab-Event", "any", "Idempotency-Key", "k-1"))
		got := strings.Join([]string{e.Type, e.Source, e.Subject, e.Time.Format("2006-01-02T15:04:05Z07:00"), e.ID}, " | ")
		want := strings.Join([]string{"com.gitlab." + tt.typ, tt.source, tt.subject, tt.time, "k-1"}, " | ")
		if got != want {
			t.Errorf("%s: event is\n%s, want\n%s", tt.body, got, want)
		}
	}
	pipeline := one(t, request("fresh", "", []byte(`{"object_kind":"pipeline","object_attributes":{"id":5,"status":"failed"},"project":{"web_url":"https://gl.example/h"}}`)))
	job := one(t, request("fresh", "", []byte(`{"object_kind":"build","build_id":6,"build_status":"failed","pipeline_id":5,"repository":{"homepage":"https://gl.example/h"}}`)))
	if k := pipeline.Extension(hayate.ExtCorrelation); k == "" || k != job.Extension(hayate.ExtCorrelation) {
		t.Errorf("a pipeline and its job have the keys %q and %q", k, job.Extension(hayate.ExtCorrelation))
	}
}

func TestGiteaIsNotTakenForGitHub(t *testing.T) {
	t.Parallel()
	const body = `{"ref":"refs/heads/main","commits":[{"timestamp":"2026-01-01T12:00:00+09:00"}],"repository":{"html_url":"https://git.example/o/r","owner":{"login":"o","username":"o"},"full_name":"o/r"}}`
	e := one(t, headed("", body, "X-Gitea-Event", "push", "X-Gogs-Event", "push", "X-GitHub-Event", "push", "X-Gitea-Delivery", "d"))
	if got := attributes(e); !strings.HasPrefix(got, "io.gitea.push https://git.example/o/r subject=refs/heads/main id=") || !strings.HasSuffix(got, " 2026-01-01T03:00:00Z key=") {
		t.Errorf("event is %s", got)
	}
	if e.ID == "d" {
		t.Error("the id is that of the delivery, which is another when it is repeated")
	}
	if e := one(t, headed("", body, "X-Gogs-Event", "push", "X-GitHub-Event", "push")); e.Type != "io.gogs.push" {
		t.Errorf("with the header of Gogs the type is %s", e.Type)
	}
}

func TestOtherCodeHosts(t *testing.T) {
	t.Parallel()
	e := one(t, headed("", `{"actor":{},"repository":{"full_name":"t/r","uuid":"{1}","links":{"html":{"href":"https://bitbucket.org/t/r"}}},"pullrequest":{"id":3,"state":"MERGED","updated_on":"2026-01-01T12:00:00.5+00:00","links":{"html":{"href":"https://bitbucket.org/t/r/pull-requests/3"}}}}`, "X-Event-Key", "pullrequest:fulfilled"))
	if got, want := strings.Replace(attributes(e), e.ID, "*", 1), "com.bitbucket.pullrequest.fulfilled https://bitbucket.org/t/r subject=3 id=* 2026-01-01T12:00:00.5Z key=https://bitbucket.org/t/r/pull-requests/3"; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	e = one(t, headed("", `{"eventKey":"pr:merged","date":"2026-01-01T21:00:00+0900","actor":{},"pullRequest":{"id":3,"links":{"self":[{"href":"https://bb.example/p/3"}]},"toRef":{"repository":{"slug":"r","links":{"self":[{"href":"https://bb.example/projects/P/repos/r/browse"}]}}}}}`))
	if got, want := strings.Replace(attributes(e), e.ID, "*", 1), "com.bitbucket.server.pr.merged https://bb.example/projects/P/repos/r subject=3 id=* 2026-01-01T12:00:00Z key=https://bb.example/p/3"; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
}

func TestBuilds(t *testing.T) {
	t.Parallel()
	check(t, []told{
		{"jenkins, a phase", "", `{"name":"job","url":"job/job/","build":{"full_url":"https://ci.example/job/job/5/","number":5,"phase":"FINALIZED","status":"FAILURE","timestamp":1767323045678}}`,
			"io.jenkins.build.finalized https://ci.example subject=job/5 id=https://ci.example/job/job/5/.finalized.failure 2026-01-02T03:04:05.678Z key=https://ci.example/job/job/5/"},
		{"jenkins, a result", "", `{"jobName":"job","result":"SUCCESS","url":"https://ci.example/job/job/6/","timestamp":1767323045678,"eventId":"e-1"}`,
			"io.jenkins.build.completed https://ci.example subject=job/6 id=e-1 2026-01-02T03:04:05.678Z key=https://ci.example/job/job/6/"},
		{"jenkins, an outbound webhook", "", `{"buildName":"#7","buildUrl":"https://ci.example/job/job/7/","event":"start","projectName":"job"}`,
			"io.jenkins.build.start https://ci.example subject=job/#7 id=https://ci.example/job/job/7/.start - key=https://ci.example/job/job/7/"},
		{"circleci", "", `{"id":"c-1","type":"workflow-completed","happened_at":"2026-01-02T03:04:05.678Z","webhook":{"id":"w"},"project":{"slug":"gh/o/r"},"workflow":{"id":"wf","name":"build"}}`,
			"com.circleci.workflow-completed https://app.circleci.com/pipelines/gh/o/r subject=build id=c-1 2026-01-02T03:04:05.678Z key=wf"},
		{"rundeck", "", `{"trigger":"success","status":"succeeded","executionId":7,"execution":{"href":"https://rd.example/7","job":{"name":"j","href":"https://rd.example/job/1"},"date-ended":{"unixtime":1767323045678}}}`,
			"com.rundeck.execution.success https://rd.example/job/1 subject=j id=https://rd.example/7.success 2026-01-02T03:04:05.678Z key=https://rd.example/7"},
	})
}

func TestCloudEventsAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	const event = `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"x","time":"2026-01-02T03:04:05Z","ext":7,"datacontenttype":"text/plain","data":"hi"}`
	e := one(t, request("fresh", "zabbix", []byte(event)))
	if e.Type != "t" || e.UID() != "/s 1" || e.Extensions["ext"] != int32(7) || string(e.Data) != "hi" || e.DataContentType != "text/plain" {
		t.Errorf("event is %+v", e)
	}
	r := request("fresh", "", []byte("["+event+","+strings.Replace(event, `"id":"1"`, `"id":"2"`, 1)+"]"))
	if events, err := normalize.Events(r); err != nil || len(events) != 2 || events[1].ID != "2" {
		t.Errorf("a batch: %d events, %v; want 2", len(events), err)
	}
	for bad, want := range map[string]string{
		`{"specversion":"1.0","source":"/s","type":"t"}`:                    "id: ",
		`{"specversion":"2.0","id":"1","source":"/s","type":"t"}`:           "specversion: ",
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","BAD":"x"}`: "BAD: ",
	} {
		if _, err := normalize.Events(request("fresh", "", []byte(bad))); !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ErrInvalid of %s", bad, err, want)
		}
	}
}

// Wrapping a body must not be a way around the check of its source.
func TestCheckIsAskedAboutEverySource(t *testing.T) {
	t.Parallel()
	push := "{" + repo + `,"ref":"r","commits":[]}`
	signed := strings.Replace(httpRequest("/v1/webhooks/github", push), `"headers":{`, `"headers":{"x-token":"good",`, 1)
	tests := []struct{ name, body, asked, typ string }{
		{"bare", push, "github", "denied"},
		{"in a Lambda event", httpRequest("/", push), "lambda-http github", "denied"},
		{"in a Lambda event, signed", signed, "lambda-http github", "com.github.push"},
		{"in a message", sqsRecord(push), "aws-records github", "aws.sqs.message"},
		{"in a batch", "[" + push + "," + push + "]", "github", "denied"},
		{"unknown", `{"a":1}`, "", "run.hayate.webhook"},
	}
	for _, tt := range tests {
		var asked []string
		r := request("fresh", "", []byte(tt.body))
		r.Check = func(source string, r *normalize.Request) error {
			asked = append(asked, source)
			if source == "github" && (r.Header == nil || r.Header("X-Token") != "good") {
				return hayate.ErrDenied
			}
			return nil
		}
		events, err := normalize.Events(r)
		got := typesOf(events)
		if errors.Is(err, hayate.ErrDenied) {
			got = "denied"
		}
		if got != tt.typ || strings.Join(asked, " ") != tt.asked {
			t.Errorf("%s: %q after asking about %q, %v; want %q after %q", tt.name, got, asked, err, tt.typ, tt.asked)
		}
	}
}

func TestHintsDecideBetweenLookalikesOnly(t *testing.T) {
	t.Parallel()
	tests := []struct{ hint, body, source string }{
		{"alertmanager", strings.Replace(alertBatch, `"receiver"`, `"orgId":1,"receiver"`, 1), "alertmanager"},
		{"", strings.Replace(alertBatch, `"receiver"`, `"orgId":1,"receiver"`, 1), "grafana"},
		{"PROMETHEUS", alertBatch, "alertmanager"},
		{"zabbix/production", `{"anything":1}`, "zabbix"},
		{"zabbix", alertBatch, "alertmanager"},
		{"circleci", `{"anything":1}`, ""},
		{"nobody", `{"anything":1}`, ""},
		{"github", `[1]`, ""},
		{"github", `{`, ""},
	}
	for _, tt := range tests {
		if got := normalize.Recognize(request("fresh", tt.hint, []byte(tt.body))); got != tt.source {
			t.Errorf("%s %.40s: source is %q, want %q", tt.hint, tt.body, got, tt.source)
		}
	}
}

func TestAttributesAreMadeFit(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{"10.0.0.1:9092": "./10.0.0.1:9092", "http://[::1": "http:%2F%2F%5B::1", "/a b": "/a%20b", "urn:x:y": "urn:x:y", "%41%": "%41%25"} {
		e := one(t, request("fresh", "", []byte(`{"detail-type":"T","source":"`+from+`","detail":{}}`)))
		if _, err := url.Parse(e.Source); e.Source != want || err != nil {
			t.Errorf("source %q became %q, %v; want %q", from, e.Source, err, want)
		}
	}
	if e := one(t, request("fresh", "", []byte(`{"detail-type":"障害","source":{},"detail":{}}`))); e.Type != "run.hayate.webhook" {
		t.Errorf("type of a nameless event is %q", e.Type)
	}
	long := strings.Repeat("長", 3000)
	body := fmt.Sprintf(`{"id":"e","detail-type":"T","source":"my app\n%%zz","resources":["a\u0000b\ud800 %s"],"detail":{}}`, long)
	e := one(t, request("fresh", "", []byte(body)))
	if e.Source != "my%20app%20%25zz" {
		t.Errorf("source is %s", e.Source)
	}
	if !strings.HasPrefix(e.Subject, "a b\ufffd 長") || len(e.Subject) > 4096 || len(e.Subject) < 4090 {
		t.Errorf("subject is %.20q of %d bytes", e.Subject, len(e.Subject))
	}
}

func FuzzEvents(f *testing.F) {
	seeds := []string{alarmBus, notification(alarmSNS), sqsRecord(notification(alarmSNS)), snsRecord("x"), httpRequest("/v1/webhooks/x", "{}"), alertBatch,
		zabbix(`"event_value":"1"`), "{" + repo + `,"zen":"z"}`, `[1,{"a":"\u00e9\ud83d\ude00"}]`, "a=1&b[]=2&c[d][]=3", "<a b='1'>c<d/></a>", "text"}
	for i, s := range seeds {
		f.Add([]string{"", "zabbix", "nagios", "github", "alertmanager"}[i%5], "", []byte(s))
	}
	f.Add("", "application/x-www-form-urlencoded", []byte("a[0]=1&a[x]=2&a=3&a[][b]=4"))
	f.Add("", "multipart/form-data; boundary=B", []byte("--B\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n\xff\r\n--B--"))
	f.Add("", "application/xml", []byte("<a><b>1</b>t<b/></a>"))
	f.Add("", "text/plain; charset=iso-2022-jp", []byte("\x1b$B>c32"))
	f.Fuzz(func(t *testing.T, hint, contentType string, body []byte) {
		read := func(call string) ([]hayate.Event, error) {
			r := request(call, hint, body)
			r.ContentType = contentType
			return normalize.Events(r)
		}
		events, err := read("a")
		if err != nil {
			if !errors.Is(err, hayate.ErrInvalid) && !errors.Is(err, hayate.ErrTooLarge) {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		for i := range events {
			if err := events[i].Validate(); err != nil {
				t.Errorf("event %d of %q: %v", i, body, err)
			}
			if !json.Valid(events[i].AppendJSON(nil)) {
				t.Errorf("event %d of %q is not JSON: %s", i, body, events[i].AppendJSON(nil))
			}
		}
		if again, err := read("a"); err != nil || len(again) != len(events) {
			t.Errorf("%q: %d events, then %d, %v", body, len(events), len(again), err)
		}
	})
}
