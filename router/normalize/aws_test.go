package normalize_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
)

// quoted is text as a JSON string.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// attributes is an event in one line, to compare it with.
func attributes(e hayate.Event) string {
	at := "-"
	if !e.Time.IsZero() {
		at = e.Time.Format("2006-01-02T15:04:05.999Z07:00")
	}
	return strings.Join([]string{e.Type, e.Source, "subject=" + e.Subject, "id=" + e.ID, at, "key=" + e.Extension(hayate.ExtCorrelation)}, " ")
}

const (
	alarmARN  = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:disk"
	alarmSNS  = `{"AlarmName":"disk","AWSAccountId":"111122223333","NewStateValue":"ALARM","StateChangeTime":"2026-01-02T03:04:05.678+0000","Region":"EU (Ireland)","AlarmArn":"` + alarmARN + `"}`
	alarmBus  = `{"version":"0","id":"b0","detail-type":"CloudWatch Alarm State Change","source":"aws.cloudwatch","account":"111122223333","time":"2026-01-02T03:04:06Z","region":"eu-west-1","resources":["` + alarmARN + `"],"detail":{"alarmName":"disk","state":{"value":"ALARM","timestamp":"2026-01-02T03:04:05.678+0000"}}}`
	alarmCall = `{"source":"aws.cloudwatch","alarmArn":"` + alarmARN + `","accountId":"111122223333","time":"2026-01-02T03:04:05.678+0000","region":"eu-west-1","alarmData":{"alarmName":"disk","state":{"value":"ALARM","timestamp":"2026-01-02T03:04:05.678+0000"}}}`
)

func notification(message string) string {
	return `{"Type":"Notification","MessageId":"m-1","TopicArn":"arn:aws:sns:eu-west-1:111122223333:alarms","Subject":"s","Message":` + quoted(message) +
		`,"Timestamp":"2026-01-02T03:04:07.000Z","UnsubscribeURL":"https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:eu-west-1:111122223333:alarms:sub-1"}`
}

func snsRecord(message string) string {
	return `{"Records":[{"EventSource":"aws:sns","EventSubscriptionArn":"arn:aws:sns:eu-west-1:111122223333:alarms:sub-1","Sns":` + notification(message) + `}]}`
}

func sqsRecord(body string) string {
	return `{"Records":[{"messageId":"q-1","body":` + quoted(body) + `,"attributes":{"SentTimestamp":"1767323045678"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:111122223333:q"}]}`
}

func httpRequest(path, body string) string {
	return `{"version":"2.0","rawPath":` + quoted(path) + `,"rawQueryString":"","headers":{"content-type":"application/json"},"requestContext":{"domainName":"x.execute-api.eu-west-1.amazonaws.com","requestId":"r-1","timeEpoch":1767323045678,"http":{"method":"POST","path":"/"}},"body":` + quoted(body) + `,"isBase64Encoded":false}`
}

// A state change of an alarm is one event, whichever way it takes, and however
// many of them.
func TestAlarmIsTheSameEventOnEveryWay(t *testing.T) {
	t.Parallel()
	want := "aws.cloudwatch.alarm aws.cloudwatch subject=disk id=" + alarmARN + "/ALARM/2026-01-02T03:04:05.678Z 2026-01-02T03:04:05.678Z key=" + alarmARN
	ways := map[string]struct{ body, data, via string }{
		"bare":                       {alarmSNS, alarmSNS, ""},
		"event bus":                  {alarmBus, alarmBus, ""},
		"action of the alarm":        {alarmCall, alarmCall, ""},
		"SNS over HTTP":              {notification(alarmSNS), alarmSNS, "arn:aws:sns:eu-west-1:111122223333:alarms"},
		"SNS to Lambda":              {snsRecord(alarmSNS), alarmSNS, "arn:aws:sns:eu-west-1:111122223333:alarms"},
		"event bus to SNS":           {notification(alarmBus), alarmBus, "arn:aws:sns:eu-west-1:111122223333:alarms"},
		"SNS to SQS, raw":            {sqsRecord(alarmSNS), alarmSNS, "arn:aws:sqs:eu-west-1:111122223333:q"},
		"SNS to SQS":                 {sqsRecord(notification(alarmSNS)), alarmSNS, "arn:aws:sqs:eu-west-1:111122223333:q,arn:aws:sns:eu-west-1:111122223333:alarms"},
		"SNS to an API":              {httpRequest("/hook", notification(alarmSNS)), alarmSNS, "arn:aws:sns:eu-west-1:111122223333:alarms"},
		"event bus to SQS to Lambda": {sqsRecord(alarmBus), alarmBus, "arn:aws:sqs:eu-west-1:111122223333:q"},
	}
	for name, way := range ways {
		e := one(t, request("id", "", []byte(way.body)))
		if got := attributes(e); got != want {
			t.Errorf("%s: event is\n%s, want\n%s", name, got, want)
		}
		if string(e.Data) != way.data {
			t.Errorf("%s: data is %s", name, e.Data)
		}
		if got := e.Extension("via"); got != way.via {
			t.Errorf("%s: via is %q, want %q", name, got, way.via)
		}
		if got := e.Extension("alarmstate"); got != "ALARM" {
			t.Errorf("%s: alarmstate is %q", name, got)
		}
	}
}

func TestEventBridge(t *testing.T) {
	t.Parallel()
	e := one(t, request("id", "", []byte(`{"version":"0","id":"e-1","detail-type":"Order Placed (EU)","source":"my.shop","account":"1","time":"2026-01-02T03:04:05Z","region":"r","resources":[],"detail":{}}`)))
	if got, want := attributes(e), "my.shop.order-placed-eu my.shop subject= id=e-1 2026-01-02T03:04:05Z key="; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	e = one(t, request("id", "", []byte(`{"id":"e-2","detail-type":"CodePipeline Pipeline Execution State Change","source":"aws.codepipeline","time":"2026-01-02T03:04:05Z","resources":["arn:aws:codepipeline:r:1:p"],"detail":{"execution-id":"x"}}`)))
	if got, want := attributes(e), "aws.codepipeline.codepipeline-pipeline-execution-state-change aws.codepipeline subject=arn:aws:codepipeline:r:1:p id=e-2 2026-01-02T03:04:05Z key=x"; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
}

func TestSNSFollowsTheAdapter(t *testing.T) {
	t.Parallel()
	e := one(t, request("id", "", []byte(notification("hello"))))
	if got, want := attributes(e), "com.amazonaws.sns.Notification arn:aws:sns:eu-west-1:111122223333:alarms:sub-1 subject=s id=m-1 2026-01-02T03:04:07Z key="; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	r := request("id", "", []byte(notification(`{"order":7}`)))
	r.ContentType = "text/plain; charset=UTF-8"
	r.Header = func(name string) string {
		return map[string]string{"X-Amz-Sns-Subscription-Arn": "arn:aws:sns:eu-west-1:111122223333:alarms:sub-2"}[name]
	}
	e = one(t, r)
	if e.Source != "arn:aws:sns:eu-west-1:111122223333:alarms:sub-2" {
		t.Errorf("source is %s, want the header's", e.Source)
	}
	if !strings.HasSuffix(string(e.Data), `,"payload":{"order":7}}`) {
		t.Errorf("data lacks the message as JSON: %s", e.Data)
	}
	for _, kind := range []string{"SubscriptionConfirmation", "UnsubscribeConfirmation"} {
		body := strings.Replace(notification("m"), "Notification", kind, 1)
		body = strings.Replace(body, `"Subject":"s",`, "", 1)
		source := "arn:aws:sns:eu-west-1:111122223333:alarms"
		if kind == "UnsubscribeConfirmation" {
			source += ":sub-1"
		}
		want := "com.amazonaws.sns." + kind + " " + source + " subject= id=m-1 2026-01-02T03:04:07Z key="
		if got := attributes(one(t, request("id", "", []byte(body)))); got != want {
			t.Errorf("event is %s, want %s", got, want)
		}
	}
}

func TestSNSWithRawDelivery(t *testing.T) {
	t.Parallel()
	headers := []string{"X-Amz-Sns-Rawdelivery", "true", "X-Amz-Sns-Message-Id", "m-1", "X-Amz-Sns-Message-Type", "Notification",
		"X-Amz-Sns-Topic-Arn", "arn:topic", "X-Amz-Sns-Subscription-Arn", "arn:topic:sub"}
	e := one(t, headed("", `{"order":7}`, headers...))
	if got, want := attributes(e), "com.amazonaws.sns.Notification arn:topic:sub subject= id=m-1 - key="; got != want || string(e.Data) != `{"order":7}` {
		t.Errorf("event is %s with %s, want %s", got, e.Data, want)
	}
	e = one(t, headed("", `{"Records":[`+s3Record("k", "R")+`]}`, headers...))
	if e.Type != "com.amazonaws.s3.ObjectCreated:Put" || e.Extension("via") != "arn:topic" {
		t.Errorf("event is %s via %s", attributes(e), e.Extension("via"))
	}
}

// A queue whose message can never be read must not stop.
func TestBadPayloadIsKeptInItsEnvelope(t *testing.T) {
	t.Parallel()
	e := one(t, request("id", "", []byte(sqsRecord(`{"specversion":"1.0","type":"t"}`))))
	if e.Type != "aws.sqs.message" || e.ID != "q-1" {
		t.Errorf("event is %s", attributes(e))
	}
}

func s3Record(key, request string) string {
	return `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-01-02T03:04:05.678Z","eventName":"ObjectCreated:Put","responseElements":{"x-amz-request-id":"` + request + `","x-amz-id-2":"host/1="},"s3":{"bucket":{"name":"in"},"object":{"key":"` + key + `","sequencer":"0"}}}`
}

func TestS3FollowsTheAdapter(t *testing.T) {
	t.Parallel()
	body := `{"Records":[` + s3Record("a+b%2Bc", "R1") + `,` + s3Record("d", "R2") + `,` + s3Record("e", "R2") + `]}`
	for name, body := range map[string]string{"direct": body, "SNS": notification(body), "SNS to SQS": sqsRecord(notification(body))} {
		events, err := normalize.Events(request("id", "", []byte(body)))
		if err != nil || len(events) != 3 {
			t.Fatalf("%s: %d events, %v; want 3", name, len(events), err)
		}
		want := "com.amazonaws.s3.ObjectCreated:Put aws:s3.eu-west-1.in subject=a+b%2Bc id=R1.host/1= 2026-01-02T03:04:05.678Z key=in/a+b%2Bc"
		if got := attributes(events[0]); got != want {
			t.Errorf("%s: event is\n%s, want\n%s", name, got, want)
		}
		if got := string(events[0].Data); got != s3Record("a+b%2Bc", "R1") {
			t.Errorf("%s: data is %s", name, got)
		}
		// Deleting many objects is one request: its records share the adapter's id.
		if events[1].ID != "R2.host/1=" || events[2].ID != "R2.host/1=.1" {
			t.Errorf("%s: ids of one request are %s and %s", name, events[1].ID, events[2].ID)
		}
	}
	e := one(t, request("id", "", []byte(sqsRecord(`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-02T03:04:05.678Z","Bucket":"in","RequestId":"R","HostId":"H"}`))))
	if e.Type != "com.amazonaws.s3.TestEvent" || e.ID != "R.H" {
		t.Errorf("test event is %s", attributes(e))
	}
}

func TestSQSMessages(t *testing.T) {
	t.Parallel()
	e := one(t, request("id", "", []byte(sqsRecord(`{"a":1}`))))
	if got, want := attributes(e), "aws.sqs.message arn:aws:sqs:eu-west-1:111122223333:q subject= id=q-1 2026-01-02T03:04:05.678Z key="; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	if !strings.Contains(string(e.Data), `"body":"{\"a\":1}"`) || !strings.HasSuffix(string(e.Data), `"payload":{"a":1}}`) {
		t.Errorf("data is %s, want body and payload", e.Data)
	}
	e = one(t, request("id", "", []byte(sqsRecord(`plain`))))
	if strings.Contains(string(e.Data), "payload") {
		t.Errorf("data of a text has a payload: %s", e.Data)
	}
	// What has no id of its own gets that of the message.
	e = one(t, request("id", "", []byte(sqsRecord(`{"monitorID":"1","alertType":"1"}`))))
	if e.Type != "com.uptimerobot.down" || e.ID != "q-1" {
		t.Errorf("event is %s, want the message's id", attributes(e))
	}
}

func TestStreamsAndQueues(t *testing.T) {
	t.Parallel()
	b64 := base64.StdEncoding.EncodeToString
	tests := []struct{ name, body, want, data string }{
		{"kinesis", `{"Records":[{"kinesis":{"partitionKey":"p","data":"` + b64([]byte("hi")) + `","approximateArrivalTimestamp":1767323045.5},"eventSource":"aws:kinesis","eventID":"shard:1","eventSourceARN":"arn:s"}]}`,
			"aws.kinesis.record arn:s subject=p id=shard:1 2026-01-02T03:04:05.5Z key=", `"payload":"hi"}`},
		{"kinesis with an alarm", `{"Records":[{"kinesis":{"data":"` + b64([]byte(alarmBus)) + `"},"eventSource":"aws:kinesis","eventID":"shard:1","eventSourceARN":"arn:s"}]}`,
			"aws.cloudwatch.alarm aws.cloudwatch subject=disk id=" + alarmARN + "/ALARM/2026-01-02T03:04:05.678Z 2026-01-02T03:04:05.678Z key=" + alarmARN, "}"},
		{"firehose", `{"invocationId":"i","deliveryStreamArn":"arn:d","records":[{"recordId":"1","approximateArrivalTimestamp":1767323045678,"data":"` + b64([]byte(`{"a":1}`)) + `"}]}`,
			"aws.firehose.record arn:d subject= id=i/1 2026-01-02T03:04:05.678Z key=", `"payload":{"a":1}}`},
		{"kafka", `{"eventSource":"aws:kafka","eventSourceArn":"arn:k","records":{"t-0":[{"topic":"t","partition":0,"offset":15,"timestamp":1767323045678,"value":"` + b64([]byte("\xff")) + `"}]}}`,
			"aws.kafka.record arn:k subject=t id=t/0/15 2026-01-02T03:04:05.678Z key=", `"value":"/w=="}`},
		{"activemq", `{"eventSource":"aws:mq","eventSourceArn":"arn:m","messages":[{"messageID":"ID:1","timestamp":1767323045678,"correlationID":"c","data":"` + b64([]byte("hi")) + `","destination":{"physicalName":"q"}}]}`,
			"aws.amazonmq.activemq-message arn:m subject=q id=ID:1 2026-01-02T03:04:05.678Z key=c", `"payload":"hi"}`},
		{"rabbitmq", `{"eventSource":"aws:rmq","eventSourceArn":"arn:m","rmqMessagesByQueue":{"q::/":[{"basicProperties":{"messageId":"7","correlationId":"c"},"data":"` + b64([]byte("hi")) + `"}]}}`,
			"aws.amazonmq.rabbitmq-message arn:m subject=q::/ id=7 - key=c", `"payload":"hi"}`},
		{"dynamodb", `{"Records":[{"eventID":"1","eventName":"MODIFY","eventSource":"aws:dynamodb","eventSourceARN":"arn:t","dynamodb":{"ApproximateCreationDateTime":1767323045,"Keys":{"k": {"S":"v"}}}}]}`,
			`aws.dynamodb.modify arn:t subject= id=1 2026-01-02T03:04:05Z key={"k":{"S":"v"}}`, "}}}"},
		{"an unknown service", `{"Records":[{"eventID":"1","eventName":"New Thing","eventSource":"aws:new","eventSourceARN":"arn:n"}]}`,
			"aws.new.new-thing arn:n subject=arn:n id=1 - key=", "}"},
	}
	for _, tt := range tests {
		e := one(t, request("id", "", []byte(tt.body)))
		if got := attributes(e); got != tt.want {
			t.Errorf("%s: event is\n%s, want\n%s", tt.name, got, tt.want)
		}
		if !strings.HasSuffix(string(e.Data), tt.data) {
			t.Errorf("%s: data is %s, want it to end in %s", tt.name, e.Data, tt.data)
		}
	}
}

func packedLogs(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(b.Bytes()) + `"}}`
}

func TestLogsAreOneEventALine(t *testing.T) {
	t.Parallel()
	body := packedLogs(t, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":1767323045678,"message":"disk full"},{"id":"2","timestamp":1767323045679,"message":"{\"level\":3}"}]}`)
	events, err := normalize.Events(request("id", "", []byte(body)))
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v; want 2", len(events), err)
	}
	if got, want := attributes(events[0]), "aws.logs.event aws.logs/1/g subject=s id=s/1 2026-01-02T03:04:05.678Z key="; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	if got, want := string(events[1].Data), `"messageType":"DATA_MESSAGE","payload":{"level":3}}`; !strings.HasSuffix(got, want) {
		t.Errorf("data is %s, want it to end in %s", got, want)
	}
	for _, bad := range []string{`{"awslogs":{"data":"!"}}`, `{"awslogs":{"data":"AAAA"}}`, packedLogs(t, "no JSON")} {
		if _, err := normalize.Events(request("id", "", []byte(bad))); !errors.Is(err, hayate.ErrInvalid) || !strings.HasPrefix(err.Error(), "awslogs.data: ") {
			t.Errorf("%.40s: got %v, want ErrInvalid of awslogs.data", bad, err)
		}
	}
	bomb := packedLogs(t, `{"x":"`+strings.Repeat("0", 17<<20)+`"}`)
	if _, err := normalize.Events(request("id", "", []byte(bomb))); !errors.Is(err, hayate.ErrTooLarge) {
		t.Errorf("17 MiB in %d bytes: got %v, want ErrTooLarge", len(bomb), err)
	}
}

func TestRequestsInsideLambdaEvents(t *testing.T) {
	t.Parallel()
	e := one(t, request("id", "", []byte(httpRequest("/stage/v1/webhooks/zabbix", `{"event_id":"7","trigger_id":"1","event_value":"1","host":"web"}`))))
	if e.Type != "com.zabbix.problem" || e.ID != "7.problem" || e.Source != "/webhooks/zabbix" {
		t.Errorf("event is %s", attributes(e))
	}
	e = one(t, request("id", "", []byte(httpRequest("/v1/webhooks/own", `{"a":1}`))))
	if got, want := attributes(e), "run.hayate.webhook.own /webhooks/own subject= id=r-1 - key="; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	e = one(t, request("id", "", []byte(httpRequest("/x", `{"a":1}`))))
	if got, want := attributes(e), "aws.apigateway.request https://x.execute-api.eu-west-1.amazonaws.com subject=x id=r-1 2026-01-02T03:04:05.678Z key="; got != want {
		t.Errorf("event is %s, want %s", got, want)
	}
	if _, err := normalize.Events(request("id", "", []byte(httpRequest("/x", `{"a":`)))); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("broken JSON inside: got %v, want ErrInvalid", err)
	}
	elb := `{"requestContext":{"elb":{"targetGroupArn":"arn:tg"}},"httpMethod":"POST","path":"/v1/webhooks/github","multiValueHeaders":{"X-GitHub-Event":["ping"],"x-github-delivery":["d-1"],"Content-Type":["application/x-www-form-urlencoded"]},"body":"` +
		base64.StdEncoding.EncodeToString([]byte("payload=%7B%22zen%22%3A%22z%22%7D")) + `","isBase64Encoded":true}`
	e = one(t, request("id", "", []byte(elb)))
	if e.Type != "com.github.ping" || e.ID != "d-1" || string(e.Data) != `{"zen":"z"}` {
		t.Errorf("event is %s with %s", attributes(e), e.Data)
	}
	query := `{"requestContext":{"elb":{"targetGroupArn":"arn:tg"}},"httpMethod":"GET","path":"/","queryStringParameters":{"a":"1"},"multiValueQueryStringParameters":{"b":["1","2"]},"headers":{},"body":""}`
	e = one(t, request("id", "", []byte(query)))
	if e.Type != "aws.elb.request" || string(e.Data) != `{"a":"1","b":["1","2"]}` {
		t.Errorf("event is %s with %s", attributes(e), e.Data)
	}
}

func TestEnvelopesInEnvelopesEnd(t *testing.T) {
	t.Parallel()
	body := `{"a":1}`
	for range 12 {
		body = sqsRecord(body)
	}
	if e := one(t, request("id", "", []byte(body))); e.Type != "aws.sqs.message" {
		t.Errorf("type is %s", e.Type)
	}
	body = "{}"
	for range 12 {
		body = httpRequest("/", body)
	}
	one(t, request("id", "", []byte(body)))
}

func TestNumberOfEventsIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"Records":[`)
	for i := range 1001 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s3Record("k", fmt.Sprint(i)))
	}
	b.WriteString(`]}`)
	r := request("id", "", []byte(b.String()))
	if _, err := normalize.Events(r); !errors.Is(err, hayate.ErrTooLarge) {
		t.Errorf("1001 records: got %v, want ErrTooLarge", err)
	}
	r.MaxEvents = 1001
	if events, err := normalize.Events(r); err != nil || len(events) != 1001 {
		t.Errorf("1001 records where so many are allowed: %d events, %v", len(events), err)
	}
}
