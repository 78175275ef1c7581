package normalize

// source is one line of the table: how a kind of sender is recognised and how
// its events are made.
type source struct {
	name    string
	aliases []string // further hints that name it
	is      func(*input) bool
	events  func(*input) error
	// lenient says that the hint alone is enough: people write these bodies by
	// hand, and events makes the best of whatever comes.
	lenient bool
}

// sources is the table. Adding a source means one file and one line here. The
// order matters where bodies look alike: what is more special stands first.
var sources = [...]source{
	// Envelopes of clouds.
	{name: "cloudevents", is: isCloudEvent, events: cloudEvents},
	{name: "cdevents", is: isCDEvent, events: cdEvents},
	{name: "eventbridge", aliases: []string{"aws-eventbridge", "aws-events", "aws-autoscaling", "aws-codebuild", "aws-codedeploy",
		"aws-codepipeline", "aws-ecr", "aws-ecs"}, is: isEventBridge, events: eventBridgeEvents},
	{name: "cloudwatch", aliases: []string{"aws-cloudwatch-alarm", "aws-cloudwatch", "cloudwatch-alarm"}, is: isAlarm, events: alarmEvents},
	{name: "cloudwatch-logs", aliases: []string{"aws-cloudwatch-logs"}, is: isLogs, events: logsEvents},
	{name: "sns", aliases: []string{"aws-sns"}, is: isSNS, events: snsEvents},
	{name: "aws-records", aliases: []string{"sqs", "aws-sqs", "s3", "aws-s3", "kinesis", "aws-kinesis", "dynamodb", "aws-dynamodb", "ses",
		"aws-ses", "codecommit", "aws-codecommit"}, is: isRecords, events: recordsEvents},
	{name: "s3-test", is: isS3Test, events: s3TestEvents},
	{name: "firehose", is: isFirehose, events: firehoseEvents},
	{name: "kafka", aliases: []string{"aws-msk-kafka", "msk"}, is: isKafka, events: kafkaEvents},
	{name: "amazonmq", aliases: []string{"aws-amazonmq"}, is: isAmazonMQ, events: amazonMQEvents},
	{name: "lambda-http", aliases: []string{"aws-alb", "aws-apigateway", "aws-function-url", "aws-vpc-lattice"}, is: isLambdaHTTP, events: lambdaHTTPEvents},
	{name: "config-rule", aliases: []string{"aws-config"}, is: isConfigRule, events: configRuleEvents},
	{name: "cloudformation", aliases: []string{"aws-cloudformation"}, is: isCloudFormation, events: cloudFormationEvents},
	{name: "secretsmanager", aliases: []string{"aws-secretsmanager"}, is: isSecretRotation, events: secretRotationEvents},
	{name: "iot-button", aliases: []string{"aws-iot"}, is: isIoTButton, events: iotButtonEvents},
	{name: "pubsub", is: isPubSub, events: pubSubEvents},
	{name: "cloud-storage", is: isCloudStorage, events: cloudStorageEvents},
	{name: "cloud-audit", is: isAuditLog, events: auditLogEvents},
	{name: "cloud-build", is: isCloudBuild, events: cloudBuildEvents},
	{name: "gcp-monitoring", aliases: []string{"google-cloud-monitoring"}, is: isGCPMonitoring, events: gcpMonitoringEvents},
	{name: "azure-devops", aliases: []string{"azuredevops"}, is: isAzureDevOps, events: azureDevOpsEvents},
	{name: "eventgrid", aliases: []string{"azure-eventgrid"}, is: isEventGrid, events: eventGridEvents},

	// Source code and builds. Gitea sends the headers of Gogs and GitHub too, Gogs
	// those of GitHub.
	{name: "gitea", aliases: []string{"forgejo"}, is: isGitea, events: giteaEvents, lenient: true},
	{name: "gogs", is: isGogs, events: gogsEvents, lenient: true},
	{name: "github", is: isGitHub, events: gitHubEvents, lenient: true},
	{name: "gitlab", is: isGitLab, events: gitLabEvents, lenient: true},
	{name: "bitbucket-server", aliases: []string{"stash"}, is: isBitbucketServer, events: bitbucketServerEvents},
	{name: "bitbucket", is: isBitbucket, events: bitbucketEvents, lenient: true},
	{name: "jenkins", is: isJenkins, events: jenkinsEvents, lenient: true},
	{name: "circleci", is: isCircleCI, events: circleCIEvents},
	{name: "docker-hub", aliases: []string{"dockerhub"}, is: isDockerHub, events: dockerHubEvents},
	{name: "rundeck", is: isRundeck, events: rundeckEvents},
	{name: "netbox", is: isNetBox, events: netBoxEvents},
	{name: "jira", is: isJira, events: jiraEvents},
	{name: "slack", is: isSlack, events: slackEvents},

	// Monitoring and incidents.
	{name: "grafana", is: isGrafana, events: grafanaEvents, lenient: true},
	{name: "alertmanager", aliases: []string{"prometheus", "prometheus-alertmanager"}, is: isAlertmanager, events: alertmanagerEvents, lenient: true},
	{name: "pagerduty", is: isPagerDuty, events: pagerDutyEvents},
	{name: "opsgenie", is: isOpsgenie, events: opsgenieEvents},
	{name: "newrelic", is: isNewRelic, events: newRelicEvents},
	{name: "sentry", is: isSentry, events: sentryEvents},
	{name: "graylog", is: isGraylog, events: graylogEvents},
	{name: "wazuh", is: isWazuh, events: wazuhEvents, lenient: true},
	{name: "coralogix", is: isCoralogix, events: coralogixEvents},
	{name: "dash0", is: isDash0, events: dash0Events},
	{name: "axiom", is: isAxiom, events: axiomEvents},
	{name: "signalfx", aliases: []string{"splunk-observability"}, is: isSignalFx, events: signalFxEvents},
	{name: "checkly", is: isChecklyAlert, events: checklyEvents},
	{name: "uptimerobot", is: isUptimeRobot, events: uptimeRobotEvents, lenient: true},
	{name: "datadog", is: isDatadog, events: datadogEvents, lenient: true},
	{name: "librenms", is: isLibreNMS, events: libreNMSEvents, lenient: true},
	{name: "checkmk", is: isCheckmk, events: checkmkEvents},
	{name: "zabbix", is: isZabbix, events: zabbixEvents, lenient: true},
	{name: "nagios", aliases: []string{"icinga", "icinga2", "naemon"}, is: isNagios, events: nagiosEvents, lenient: true},
}
