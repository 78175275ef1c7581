package normalize_test

import "testing"

func TestOtherClouds(t *testing.T) {
	t.Parallel()
	check(t, []told{
		{"cdevents", "", `{"context":{"specversion":"0.6.0","id":"c-1","chainId":"ch","source":"/ci","type":"dev.cdevents.build.finished.0.3.0","timestamp":"2026-01-02T03:04:05.678Z"},"subject":{"id":"b-1","content":{}}}`,
			"dev.cdevents.build.finished.0.3.0 /ci subject=b-1 id=c-1 2026-01-02T03:04:05.678Z key=ch"},
		{"codecommit", "", `{"Records":[{"eventId":"e","eventPartNumber":2,"eventTime":"2026-01-02T03:04:05.678+0000","eventName":"ReferenceChanges","eventSource":"aws:codecommit","eventSourceARN":"arn:r","codecommit":{"references":[{"ref":"refs/heads/main"}]}}]}`,
			"aws.codecommit.referencechanges arn:r subject=refs/heads/main id=e.2 2026-01-02T03:04:05.678Z key="},
		{"ses", "", `{"Records":[{"eventSource":"aws:ses","ses":{"mail":{"messageId":"m","timestamp":"2026-01-02T03:04:05.678Z","destination":["ops@example.com"],"commonHeaders":{"subject":"障害","messageId":"<1@x>"}}}}]}`,
			"aws.ses.mail-received aws.ses/ops@example.com subject=障害 id=m 2026-01-02T03:04:05.678Z key=<1@x>"},
		{"a rule of config", "", `{"invokingEvent":"{\"notificationCreationTime\":\"2026-01-02T03:04:05.678Z\",\"configurationItem\":{\"resourceId\":\"i-1\"}}","resultToken":"t","configRuleArn":"arn:rule","configRuleName":"n"}`,
			"aws.config.rule-evaluation arn:rule subject=n id=HASH 2026-01-02T03:04:05.678Z key=i-1"},
		{"a custom resource", "", `{"RequestType":"Delete","StackId":"arn:stack","LogicalResourceId":"r","RequestId":"q"}`,
			"aws.cloudformation.custom-resource.delete arn:stack subject=r id=q - key=arn:stack/r"},
		{"a rotation", "", `{"Step":"testSecret","SecretId":"arn:secret","ClientRequestToken":"t"}`,
			"aws.secretsmanager.rotation.testsecret arn:secret subject=testSecret id=t/testSecret - key=t"},
		{"a function URL", "", `{"version":"2.0","rawPath":"/x","headers":{},"requestContext":{"domainName":"u.lambda-url.eu-west-1.on.aws","requestId":"r","timeEpoch":1767323045678,"http":{"method":"GET"}}}`,
			"aws.lambda.url-request https://u.lambda-url.eu-west-1.on.aws subject=x id=r 2026-01-02T03:04:05.678Z key="},
		{"a websocket", "", `{"headers":{},"requestContext":{"connectionId":"c","eventType":"MESSAGE","messageId":"m","domainName":"w.example","requestTimeEpoch":1767323045678},"body":"hi"}`,
			"aws.apigateway.websocket-message https://w.example subject= id=m 2026-01-02T03:04:05.678Z key="},
		{"the first API gateway", "", `{"httpMethod":"GET","path":"/p","headers":{"Host":"h.example"},"requestContext":{"requestId":"r"},"body":null}`,
			"aws.apigateway.request https://h.example subject=p id=r - key="},
		{"lattice", "", `{"version":"2.0","path":"/p","method":"GET","headers":{"x-amzn-trace-id":["Root=1"]},"body":"","requestContext":{"serviceNetworkArn":"arn:n","serviceArn":"arn:s","timeEpoch":"1767323045678000"}}`,
			"aws.vpc-lattice.request arn:s subject=p id=Root=1 2026-01-02T03:04:05.678Z key="},
		{"the first lattice", "", `{"raw_path":"/p","method":"GET","headers":{"host":"l.example","x-amzn-trace-id":"Root=1"},"query_string_parameters":{"a":"1"},"body":"","is_base64_encoded":false,"requestContext":{}}`,
			"aws.vpc-lattice.request https://l.example subject=p id=Root=1 - key="},
		{"pubsub", "", `{"subscription":"projects/p/subscriptions/s","message":{"data":"aGk=","messageId":"7","publishTime":"2026-01-02T03:04:05.678Z","orderingKey":"k"}}`,
			"google.cloud.pubsub.topic.v1.messagePublished //pubsub.googleapis.com/projects/p/subscriptions/s subject=k id=7 2026-01-02T03:04:05.678Z key=k"},
		{"cloud storage", "", `{"kind":"storage#object","id":"b/n/1","bucket":"b","name":"n","metageneration":"2","updated":"2026-01-02T03:04:05.678Z"}`,
			"google.cloud.storage.object.v1.finalized //storage.googleapis.com/projects/_/buckets/b subject=objects/n id=b/n/1/2 2026-01-02T03:04:05.678Z key=b/n"},
		{"an audit log", "", `{"logName":"projects/p/logs/a","insertId":"i","timestamp":"2026-01-02T03:04:05.678Z","operation":{"id":"op"},"protoPayload":{"serviceName":"s","resourceName":"r"}}`,
			"google.cloud.audit.log.v1.written //cloudaudit.googleapis.com/projects/p/logs/a subject=s/r id=i.2026-01-02T03:04:05.678Z 2026-01-02T03:04:05.678Z key=op"},
		{"cloud monitoring", "", `{"version":"1.2","incident":{"incident_id":"i","scoping_project_id":"p","policy_name":"disk","state":"closed","started_at":1767323000,"ended_at":1767323045}}`,
			"com.google.cloud.monitoring.incident.closed //monitoring.googleapis.com/projects/p subject=disk id=i.closed 2026-01-02T03:04:05Z key=i"},
		{"azure devops", "", `{"id":"a","eventType":"build.complete","publisherId":"tfs","resource":{"url":"https://d.example/b/1","buildNumber":"1.2","definition":{"url":"https://d.example/d"}},"createdDate":"2026-01-02T03:04:05.678Z"}`,
			"com.azure.devops.build.complete https://d.example/d subject=1.2 id=a 2026-01-02T03:04:05.678Z key=https://d.example/b/1"},
		{"event grid", "", `{"id":"g","eventType":"Microsoft.Storage.BlobCreated","topic":"/subscriptions/1","subject":"/blobs/x","eventTime":"2026-01-02T03:04:05.678Z","data":{}}`,
			"Microsoft.Storage.BlobCreated /subscriptions/1 subject=/blobs/x id=g 2026-01-02T03:04:05.678Z key=/blobs/x"},
	})
}

func TestOtherTools(t *testing.T) {
	t.Parallel()
	check(t, []told{
		{"axiom", "", `{"action":"Closed","event":{"monitorID":"m","title":"disk","timestamp":"2026-01-02 03:04:05 +0000 UTC"}}`,
			"co.axiom.alert.closed https://app.axiom.co/monitors/m subject=disk id=HASH 2026-01-02T03:04:05Z key=m"},
		{"checkly", "", `{"check_id":"c","check_name":"web","alert_type":"ALERT_FAILURE","uuid":"u","started_at":"2026-01-02T03:04:05.678Z"}`,
			"com.checklyhq.alert_failure https://app.checklyhq.com/checks/c subject=web id=u.alert_failure 2026-01-02T03:04:05.678Z key=c"},
		{"coralogix", "", `{"uuid":"u","alert_id":"a","name":"disk","alert_action":"resolve","alert_url":"https://c.example/x","fields":[{"key":"timestampMs","value":1767323045678},{"key":"dedupKey","value":"d"}]}`,
			"com.coralogix.alert.resolve https://c.example subject=disk id=u.resolve.1767323045678 2026-01-02T03:04:05.678Z key=d"},
		{"dash0", "", `{"type":"alert.ongoing","data":{"issue":{"id":"i","issueIdentifier":"n","dataset":"d","start":"2026-01-02T03:04:05.678Z","status":"critical","summary":"disk"}}}`,
			"com.dash0.alert.ongoing https://app.dash0.com/d subject=disk id=i.alert.ongoing.critical 2026-01-02T03:04:05.678Z key=n"},
		{"docker hub", "", `{"callback_url":"https://hub.example/hook/h1/","push_data":{"pushed_at":1767323045,"tag":"v1"},"repository":{"repo_name":"o/r","repo_url":"https://hub.example/r/o/r"}}`,
			"com.docker.hub.push https://hub.example/r/o/r subject=o/r:v1 id=h1/v1/1767323045 2026-01-02T03:04:05Z key=o/r:v1"},
		{"graylog", "", `{"event_definition_id":"d","event_definition_title":"disk","event":{"id":"e","timestamp":"2026-01-02T03:04:05.678Z","key":"web","origin_context":"urn:g:1"}}`,
			"org.graylog.event urn:g:1 subject=disk id=e 2026-01-02T03:04:05.678Z key=d/web"},
		{"jira", "", `{"timestamp":1767323045678,"webhookEvent":"jira:issue_updated","issue":{"self":"https://j.example/rest/1","key":"OPS-1"}}`,
			"com.atlassian.jira.issue_updated https://j.example subject=OPS-1 id=HASH 2026-01-02T03:04:05.678Z key=OPS-1"},
		{"netbox", "", `{"event":"updated","timestamp":"2026-01-02T03:04:05.678+00:00","model":"site","request_id":"r","data":{"id":4,"url":"https://n.example/api/4/","display":"Tokyo"},"snapshots":{}}`,
			"com.netbox.site.updated https://n.example subject=Tokyo id=r.site.4.updated 2026-01-02T03:04:05.678Z key=https://n.example/api/4/"},
		{"sentry", "", `{"id":"1","project_slug":"p","culprit":"f","url":"https://s.example/1","event":{"event_id":"e","title":"boom","timestamp":1767323045.5}}`,
			"io.sentry.event https://s.example/1 subject=boom id=e 2026-01-02T03:04:05.5Z key=1"},
		{"signalfx", "", `{"incidentId":"i","detectorUrl":"https://x.example/d","detector":"disk","statusExtended":"ok","timestamp":"2026-01-02T03:04:05Z"}`,
			"com.signalfx.alert.ok https://x.example/d subject=disk id=i.ok.2026-01-02T03:04:05Z 2026-01-02T03:04:05Z key=i"},
		{"slack, an event", "", `{"team_id":"T","api_app_id":"A","type":"event_callback","event_id":"Ev1","event_time":1767323045,"event":{"type":"message","channel":"C","ts":"1.2","thread_ts":"1.1"}}`,
			"com.slack.message com.slack/T/A subject=C id=Ev1 2026-01-02T03:04:05Z key=C/1.1"},
		{"slack, a command", "", `{"team_id":"T","api_app_id":"A","command":"/deploy","trigger_id":"t","channel_id":"C"}`,
			"com.slack.command com.slack/T/A subject=/deploy id=t - key=C"},
		{"slack, a button", "", `{"type":"block_actions","team":{"id":"T"},"user":{"id":"U"},"api_app_id":"A","trigger_id":"t","container":{"message_ts":"1.1"}}`,
			"com.slack.block_actions com.slack/T/A subject= id=t - key=1.1"},
		{"wazuh", "", `{"id":"w","timestamp":"2026-01-02T03:04:05.678+0000","rule":{"id":"2902","level":7,"description":"d"},"agent":{"id":"001","name":"web"},"manager":{"name":"m"}}`,
			"com.wazuh.alert /wazuh/m subject=web id=w 2026-01-02T03:04:05.678Z key=001/2902"},
		{"librenms, acknowledged", "", `{"device_id":"2","rule_id":"3","alert_id":"4","uid":"5","state":"2","hostname":"sw","timestamp":"t"}`,
			"org.librenms.acknowledged /librenms subject=sw id=5.acknowledged.t - key=2/3"},
		{"gitea, a pull request", "gitea", `{"action":"opened","number":2,"pull_request":{"url":"https://g.example/p/2","updated_at":"2026-01-02T03:04:05Z"},"repository":{"html_url":"https://g.example/o/r"}}`,
			"io.gitea.pull_request.opened https://g.example/o/r subject=2 id=HASH 2026-01-02T03:04:05Z key=https://g.example/p/2"},
		{"gitea, a comment", "gitea", `{"action":"created","issue":{"number":3},"comment":{"updated_at":"2026-01-02T03:04:05Z"},"repository":{"html_url":"https://g.example/o/r"}}`,
			"io.gitea.issue_comment.created https://g.example/o/r subject=3 id=HASH 2026-01-02T03:04:05Z key=https://g.example/o/r/issues/3"},
		{"gitea, a release", "gitea", `{"action":"published","release":{"tag_name":"v1","published_at":"2026-01-02T03:04:05Z"},"repository":{"html_url":"https://g.example/o/r"}}`,
			"io.gitea.release.published https://g.example/o/r subject=v1 id=HASH 2026-01-02T03:04:05Z key="},
		{"bitbucket, a push", "bitbucket", `{"push":{"changes":[{"new":null,"old":{"name":"old"}}]},"repository":{"links":{"html":{"href":"https://bb.example/t/r"}}}}`,
			"com.bitbucket.repo.push https://bb.example/t/r subject=old id=HASH - key="},
		{"bitbucket, a build", "bitbucket", `{"commit_status":{"key":"k","created_on":"a","updated_on":"2026-01-02T03:04:05Z","url":"https://ci.example/1"},"repository":{"links":{"html":{"href":"https://bb.example/t/r"}}}}`,
			"com.bitbucket.repo.commit_status_updated https://bb.example/t/r subject=k id=HASH 2026-01-02T03:04:05Z key=https://ci.example/1"},
		{"bitbucket, an issue", "bitbucket", `{"issue":{"id":4,"created_on":"2026-01-02T03:04:05Z","updated_on":"2026-01-02T03:04:05Z"},"repository":{"links":{"html":{"href":"https://bb.example/t/r"}}}}`,
			"com.bitbucket.issue.created https://bb.example/t/r subject=4 id=HASH 2026-01-02T03:04:05Z key=https://bb.example/t/r/issues/4"},
	})
	e := one(t, headed("", `{"action":"created","installation":{"uuid":"u"},"actor":{},"data":{"issue":{"id":"1","title":"boom","web_url":"https://s.example/1"}}}`,
		"Sentry-Hook-Resource", "issue", "Request-ID", "r-1", "Sentry-Hook-Timestamp", "1767323045"))
	if got, want := attributes(e), "io.sentry.issue.created https://s.example/1 subject=boom id=r-1 2026-01-02T03:04:05Z key=1"; got != want {
		t.Errorf("sentry's integration: event is %s, want %s", got, want)
	}
}

// A button pressed twice within a minute may be one press that Lambda repeated.
func TestButtonHasAWindow(t *testing.T) {
	t.Parallel()
	r := request("fresh", "", []byte(`{"serialNumber":"S","clickType":"LONG"}`))
	first := one(t, r)
	if first.Type != "aws.iot.button.long" || one(t, r).ID != first.ID {
		t.Errorf("event is %s, and %s when it comes again", attributes(first), attributes(one(t, r)))
	}
}
