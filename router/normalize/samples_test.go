package normalize_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/router/normalize"
)

// sample says what must come of a file below the samples' folder: by which
// source it is recognised, how many events it holds, and their types (each once,
// in their order).
type sample struct {
	file, source string
	events       int
	types        string
}

var samples = []sample{
	{"aws-alb/alb-lambda-target-request-headers-only.json", "lambda-http", 1, "aws.elb.request"},
	{"aws-alb/alb-lambda-target-request-multivalue-headers.json", "lambda-http", 1, "aws.elb.request"},
	{"aws-amazonmq/activemq-event.json", "amazonmq", 1, "aws.amazonmq.activemq-message"},
	{"aws-amazonmq/rabbitmq-event.json", "amazonmq", 1, "aws.amazonmq.rabbitmq-message"},
	{"aws-apigateway/apigw-request.json", "lambda-http", 1, "aws.apigateway.request"},
	{"aws-apigateway/apigw-v2-request-jwt-authorizer.json", "lambda-http", 1, "aws.apigateway.request"},
	{"aws-apigateway/apigw-v2-request-no-authorizer.json", "lambda-http", 1, "aws.apigateway.request"},
	{"aws-apigateway/apigw-websocket-request.json", "lambda-http", 1, "aws.apigateway.websocket-connect"},
	{"aws-autoscaling/autoscaling-event-launch-successful.json", "eventbridge", 1, "aws.autoscaling.ec2-instance-launch-successful"},
	{"aws-autoscaling/autoscaling-event-terminate-action.json", "eventbridge", 1, "aws.autoscaling.ec2-instance-terminate-lifecycle-action"},
	{"aws-cloudformation/cloudformationCustomResourceCreate.json", "cloudformation", 1, "aws.cloudformation.custom-resource.create"},
	{"aws-cloudwatch-alarm/cloudWatchAlarmEventSingleMetric.json", "cloudwatch", 1, "aws.cloudwatch.alarm"},
	{"aws-cloudwatch-alarm/cloudwatch-alarm-sns-payload-multiple-metrics.json", "aws-records", 1, "aws.cloudwatch.alarm"},
	{"aws-cloudwatch-alarm/cloudwatch-alarm-sns-payload-single-metric.json", "aws-records", 1, "aws.cloudwatch.alarm"},
	{"aws-cloudwatch-alarm/keep-high-cpu-usage.json", "cloudwatch", 1, "aws.cloudwatch.alarm"},
	{"aws-cloudwatch-logs/cloudwatch-logs-event.json", "cloudwatch-logs", 2, "aws.logs.event"},
	{"aws-codebuild/codebuild-state-change.json", "eventbridge", 1, "aws.codebuild.codebuild-build-state-change"},
	{"aws-codecommit/code-commit-event.json", "aws-records", 1, "aws.codecommit.triggereventtest"},
	{"aws-codedeploy/codedeploy-deployment-event.json", "eventbridge", 1, "aws.codedeploy.codedeploy-deployment-state-change-notification"},
	{"aws-codepipeline/codepipeline-execution-state-change-event.json", "eventbridge", 1, "aws.codepipeline.codepipeline-pipeline-execution-state-change"},
	{"aws-config/awsConfigRuleScheduled.json", "config-rule", 1, "aws.config.rule-evaluation"},
	{"aws-config/config-event.json", "config-rule", 1, "aws.config.rule-evaluation"},
	{"aws-dynamodb/dynamodb-event.json", "aws-records", 2, "aws.dynamodb.insert"},
	{"aws-dynamodb/dynamodb-time-window-event.json", "aws-records", 3, "aws.dynamodb.insert aws.dynamodb.modify aws.dynamodb.remove"},
	{"aws-ecr/ecr-image-push-event.json", "eventbridge", 1, "aws.ecr.ecr-image-action"},
	{"aws-ecr/ecr-image-scan-event.json", "eventbridge", 1, "aws.ecr.ecr-image-scan"},
	{"aws-ecs/ecs-container-instance-state-change.json", "eventbridge", 1, "aws.ecs.ecs-container-instance-state-change"},
	{"aws-eventbridge/eventBridgeEvent.json", "eventbridge", 1, "aws.ec2.ec2-instance-state-change-notification"},
	{"aws-eventbridge/s3EventBridgeNotificationObjectCreatedEvent.json", "eventbridge", 1, "aws.s3.object-created"},
	{"aws-function-url/lambda-urls-request.json", "lambda-http", 1, "aws.lambda.url-request"},
	{"aws-iot/iot-button-event.json", "iot-button", 1, "aws.iot.button.single"},
	{"aws-kinesis/kinesis-event.json", "aws-records", 2, "aws.kinesis.record"},
	{"aws-kinesis/kinesis-firehose-event.json", "firehose", 2, "aws.firehose.record"},
	{"aws-msk-kafka/kafka-event.json", "kafka", 1, "aws.kafka.record"},
	{"aws-s3/s3-event-with-decoded.json", "aws-records", 1, "com.amazonaws.s3.ObjectCreated:Put"},
	{"aws-s3/s3-event.json", "aws-records", 1, "com.amazonaws.s3.ObjectCreated:Put"},
	{"aws-s3/s3-lifecycle-event.json", "aws-records", 1, "com.amazonaws.s3.s3:LifecycleTransition"},
	{"aws-secretsmanager/secretsmanager-secret-rotation-event.json", "secretsmanager", 1, "aws.secretsmanager.rotation.createsecret"},
	{"aws-ses/ses-lambda-event.json", "aws-records", 1, "aws.ses.mail-received"},
	{"aws-sns/sns-event.json", "aws-records", 1, "com.amazonaws.sns.Notification"},
	{"aws-sqs/snsSqsFifoEvent.json", "aws-records", 1, "com.amazonaws.sns.Notification"},
	{"aws-sqs/sqs-event.json", "aws-records", 1, "aws.sqs.message"},
	{"aws-sqs/sqsDlqTriggerEvent.json", "aws-records", 1, "aws.sqs.message"},
	{"aws-vpc-lattice/vpcLatticeV2Event.json", "lambda-http", 1, "aws.vpc-lattice.request"},
	{"axiom/keep-alert.json", "axiom", 1, "co.axiom.alert.open"},
	{"azure-devops/build.complete.json", "azure-devops", 1, "com.azure.devops.build.complete"},
	{"azure-devops/git.push.json", "azure-devops", 1, "com.azure.devops.git.push"},
	{"bitbucket/pull-request-created.json", "bitbucket", 1, "com.bitbucket.pullrequest.updated"},
	{"bitbucket/repo-commit-status-created.json", "bitbucket", 1, "com.bitbucket.repo.commit_status_created"},
	{"bitbucket/repo-push.json", "bitbucket", 1, "com.bitbucket.repo.push"},
	{"bitbucket-server/pr-opened.json", "bitbucket-server", 1, "com.bitbucket.server.pr.opened"},
	{"bitbucket-server/repo-refs-changed.json", "bitbucket-server", 1, "com.bitbucket.server.repo.refs_changed"},
	{"cdevents/artifact-published.json", "cdevents", 1, "dev.cdevents.artifact.published.0.3.0"},
	{"cdevents/build-finished.json", "cdevents", 1, "dev.cdevents.build.finished.0.3.0"},
	{"cdevents/incident-detected.json", "cdevents", 1, "dev.cdevents.incident.detected.0.3.0"},
	{"cdevents/pipelinerun-finished.json", "cdevents", 1, "dev.cdevents.pipelinerun.finished.0.3.0"},
	{"cdevents/service-deployed.json", "cdevents", 1, "dev.cdevents.service.deployed.0.3.0"},
	{"checkly/keep-alert.json", "checkly", 1, "com.checklyhq.alert_recovery"},
	{"checkmk/keep-alert.json", "checkmk", 1, "com.checkmk.host.recovery"},
	{"circleci/job-completed.json", "circleci", 1, "com.circleci.job-completed"},
	{"coralogix/keep-alert.json", "coralogix", 1, "com.coralogix.alert.trigger"},
	{"dash0/keep-alert.json", "dash0", 1, "com.dash0.alert.resolved"},
	{"datadog/event-fired.json", "datadog", 1, "com.datadog.alert.triggered"},
	{"datadog/keep-high-cpu-usage.json", "datadog", 1, "com.datadog.metric-alert"},
	{"docker-hub/docker-hub-build-notice.json", "docker-hub", 1, "com.docker.hub.push"},
	{"gcp-monitoring/keep-5xx-errors-production.json", "gcp-monitoring", 1, "com.google.cloud.monitoring.incident.open"},
	{"gitea/pull-request-event.json", "gitea", 1, "io.gitea.pull_request.opened"},
	{"gitea/push-event.json", "gitea", 1, "io.gitea.push"},
	{"github/check-run-completed.json", "github", 1, "com.github.check_run.completed"},
	{"github/dependabot-alert-created.json", "github", 1, "com.github.dependabot_alert.created"},
	{"github/deployment-status.json", "github", 1, "com.github.deployment_status.success"},
	{"github/issue-comment-created.json", "github", 1, "com.github.issue_comment.created"},
	{"github/issues-opened.json", "github", 1, "com.github.issues.opened"},
	{"github/ping.json", "github", 1, "com.github.ping"},
	{"github/pull-request-opened.json", "github", 1, "com.github.pull_request.opened"},
	{"github/push.json", "github", 1, "com.github.push"},
	{"gitlab/deployment-event.json", "gitlab", 1, "com.gitlab.deployment.success"},
	{"gitlab/job-event.json", "gitlab", 1, "com.gitlab.job.created"},
	{"gitlab/merge-request-event.json", "gitlab", 1, "com.gitlab.merge_request.open"},
	{"gitlab/pipeline-event.json", "gitlab", 1, "com.gitlab.pipeline.success"},
	{"gitlab/push-event.json", "gitlab", 1, "com.gitlab.push"},
	{"gogs/push-event.json", "gogs", 1, "io.gogs.push"},
	{"google-cloud/audit-log-entry.json", "cloud-audit", 1, "google.cloud.audit.log.v1.written"},
	{"google-cloud/cloudbuild.json", "cloud-build", 1, "google.cloud.cloudbuild.build.v1.statusChanged"},
	{"google-cloud/pubsub-message.json", "pubsub", 1, "google.cloud.pubsub.topic.v1.messagePublished"},
	{"google-cloud/storage-object.json", "cloud-storage", 1, "google.cloud.storage.object.v1.finalized"},
	{"grafana/keep-highmemoryconsumption.json", "grafana", 1, "com.grafana.alert-rule"},
	{"grafana/unified-alert-v9.json", "grafana", 1, "com.grafana.alert.firing"},
	{"graylog/keep-alert.json", "graylog", 1, "org.graylog.event"},
	{"jenkins/build-result.json", "jenkins", 1, "io.jenkins.build.completed"},
	{"jenkins/gwt-bitbucket-server-hmac.json", "bitbucket-server", 1, "com.bitbucket.server.repo.comment.added"},
	{"jira/webhook-cloud-comment-created.json", "jira", 1, "com.atlassian.jira.comment_created"},
	{"jira/webhook-issue-created.json", "jira", 1, "com.atlassian.jira.issue_created"},
	{"jira/webhook-issue-updated-raised-priority.json", "jira", 1, "com.atlassian.jira.issue_updated"},
	{"librenms/keep-alert.json", "librenms", 1, "org.librenms.recovery"},
	{"nagios/service-critical.json", "nagios", 1, "com.nagios.service.problem"},
	{"netbox/keep-alert.json", "netbox", 1, "com.netbox.site.created"},
	{"newrelic/issue-activated.json", "newrelic", 1, "com.newrelic.issue.activated"},
	{"opsgenie/alert-create.json", "opsgenie", 1, "com.opsgenie.alert.create"},
	{"pagerduty/incident-triggered-v3.json", "pagerduty", 1, "com.pagerduty.incident.triggered"},
	{"prometheus-alertmanager/keep-highcpuusage.json", "alertmanager", 1, "io.prometheus.alert.firing"},
	{"prometheus-alertmanager/post-request.json", "alertmanager", 1, "io.prometheus.alert.firing"},
	{"prometheus-alertmanager/two-alerts-firing.json", "alertmanager", 2, "io.prometheus.alert.firing"},
	{"rundeck/execution-failure.json", "rundeck", 1, "com.rundeck.execution.failure"},
	{"sentry/keep-browser-timeout.json", "sentry", 1, "io.sentry.event"},
	{"signalfx/keep-simulate.json", "signalfx", 1, "com.signalfx.alert.anomalous"},
	{"slack/AppMentionPayload.json", "slack", 1, "com.slack.app_mention"},
	{"slack/ChannelCreatedPayload.json", "slack", 1, "com.slack.channel_created"},
	{"uptimerobot/monitor-down.json", "uptimerobot", 1, "com.uptimerobot.down"},
	{"wazuh/keep-alert.json", "wazuh", 1, "com.wazuh.alert"},
	{"zabbix/alert-average.json", "zabbix", 1, "com.zabbix.problem"},
}

// sampleFiles lists the files below the samples' folder, as folder/name.
func sampleFiles(t *testing.T) (root string, files []string) {
	t.Helper()
	root = sharedtest.Samples(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".json") {
			rel, _ := filepath.Rel(root, path)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return root, files
}

// request is one whose fresh ids tell which call they come from, so that an
// id that is not derived from the request differs between two calls.
func request(call, hint string, body []byte) *normalize.Request {
	n := 0
	return &normalize.Request{
		Hint: hint, ContentType: "application/json", Body: body, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		NewID: func() string { n++; return call + strconv.Itoa(n) },
	}
}

func typesOf(events []hayate.Event) string {
	var types []string
	for _, e := range events {
		if len(types) == 0 || types[len(types)-1] != e.Type {
			types = append(types, e.Type)
		}
	}
	return strings.Join(types, " ")
}

func TestSamplesBecomeTheRightEvents(t *testing.T) {
	t.Parallel()
	known := map[string]sample{}
	for _, s := range samples {
		known[s.file] = s
	}
	root, files := sampleFiles(t)
	agree, events := 0, 0
	for _, file := range files {
		body, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		hint, _, _ := strings.Cut(file, "/")
		got, err := normalize.Events(request("first", hint, body))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := normalize.Events(request("second", hint, body))
		if err != nil || len(again) != len(got) {
			t.Errorf("%s: the second time %d events, %v; the first time %d", file, len(again), err, len(got))
			continue
		}
		events += len(got)
		want, listed := known[file]
		ok := len(got) > 0
		for i := range got {
			if err := got[i].Validate(); err != nil {
				t.Errorf("%s: event %d: %v", file, i, err)
				ok = false
			}
			if listed && got[i].UID() != again[i].UID() {
				t.Errorf("%s: event %d is %q, and %q when it comes again", file, i, got[i].UID(), again[i].UID())
				ok = false
			}
		}
		if source := normalize.Recognize(request("third", hint, body)); listed &&
			(len(got) != want.events || typesOf(got) != want.types || source != want.source) {
			t.Errorf("%s: from %q %d events of %q; want from %q %d of %q",
				file, source, len(got), typesOf(got), want.source, want.events, want.types)
			ok = false
		}
		if !listed {
			t.Logf("%s is not in the table: %d events of %q", file, len(got), typesOf(got))
		}
		if ok {
			agree++
		} else if len(got) == 0 {
			t.Errorf("%s: no event", file)
		}
	}
	t.Logf("%d files, %d agree, %d events", len(files), agree, events)
}

// Whoever posts to an address that names no source gets as many events.
func TestSamplesWithoutAHint(t *testing.T) {
	t.Parallel()
	root, files := sampleFiles(t)
	agree, recognised := 0, 0
	for _, file := range files {
		body, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		hint, _, _ := strings.Cut(file, "/")
		hinted, err := normalize.Events(request("first", hint, body))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got, err := normalize.Events(request("second", "", body))
		if err != nil || len(got) != len(hinted) {
			t.Errorf("%s: %d events, %v; with the hint %d", file, len(got), err, len(hinted))
			continue
		}
		agree++
		if normalize.Recognize(request("third", "", body)) != "" {
			recognised++
		}
		for i := range got {
			if err := got[i].Validate(); err != nil {
				t.Errorf("%s: event %d: %v", file, i, err)
			}
		}
	}
	t.Logf("%d files, %d agree, %d recognised by their looks", len(files), agree, recognised)
}
