package normalize

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/hayate-run/hayate"
)

// A CloudWatch alarm arrives as the message of an SNS notification, as an
// EventBridge event, or as the input of a Lambda function that is the alarm's
// action. All three become aws.cloudwatch.alarm with the same source, subject,
// id and correlation key, so a state change that comes twice counts once. The
// data is what came, and the alarm's new state is the extension alarmstate.

func isAlarm(in *input) bool {
	doc := in.doc
	switch {
	case doc.has("AlarmName"):
		return doc.has("NewStateValue") || doc.has("AlarmArn") || doc.has("StateChangeTime")
	case doc.has("alarmArn"):
		return doc.get("alarmData").isObject()
	}
	return doc.has("Message", "AlarmName")
}

// alarm is a change of an alarm's state, however it came.
type alarm struct{ arn, account, region, name, state, time string }

func readAlarm(doc value) alarm {
	switch {
	case doc.has("alarmData"): // action of the alarm
		return alarm{doc.str("alarmArn"), doc.str("accountId"), doc.str("region"), doc.str("alarmData", "alarmName"),
			doc.str("alarmData", "state", "value"), firstOf(doc.str("alarmData", "state", "timestamp"), doc.str("time"))}
	case doc.has("detail", "alarmName"): // EventBridge
		return alarm{doc.get("resources").first().str(), doc.str("account"), doc.str("region"), doc.str("detail", "alarmName"),
			doc.str("detail", "state", "value"), firstOf(doc.str("detail", "state", "timestamp"), doc.str("time"))}
	case doc.has("Message", "AlarmName"):
		doc = doc.get("Message")
	}
	return alarm{doc.str("AlarmArn"), doc.str("AWSAccountId"), doc.str("Region"), doc.str("AlarmName"),
		doc.str("NewStateValue"), doc.str("StateChangeTime")}
}

func alarmEvents(in *input) error {
	a := readAlarm(in.doc)
	key := firstOf(a.arn, joined("/", a.account, a.region, a.name))
	d := draft{
		typ:         "aws.cloudwatch.alarm",
		source:      "aws.cloudwatch",
		subject:     a.name,
		time:        moment(a.time),
		correlation: key,
		within:      10 * time.Minute,
	}
	if !d.time.IsZero() {
		d.id = joined("/", key, a.state, d.time.Format("2006-01-02T15:04:05.000Z"))
	}
	if state := clean(a.state); state != "" {
		d.extensions = map[string]any{"alarmstate": state}
	}
	return in.emit(d)
}

// A subscription of a log group delivers its lines in one compressed batch: one
// event a line, with the batch's group and stream in its data.

func isLogs(in *input) bool { return in.doc.has("awslogs", "data") }

// maxInflated bounds what a compressed batch may grow to, in bytes.
const maxInflated = 16 << 20

func logsEvents(in *input) error {
	packed, err := base64.StdEncoding.DecodeString(in.doc.str("awslogs", "data"))
	if err != nil {
		return fmt.Errorf("awslogs.data: %v: %w", err, hayate.ErrInvalid)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("awslogs.data: %v: %w", err, hayate.ErrInvalid)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
	if err != nil {
		return fmt.Errorf("awslogs.data: %v: %w", err, hayate.ErrInvalid)
	}
	if len(text) > maxInflated {
		return fmt.Errorf("awslogs.data: inflates to more than %d bytes: %w", maxInflated, hayate.ErrTooLarge)
	}
	batch, err := parse(text, in.depth())
	if err != nil {
		return fmt.Errorf("awslogs.data: %w", err)
	}
	common := []member{
		{"owner", batch.get("owner").raw()}, {"logGroup", batch.get("logGroup").raw()}, {"logStream", batch.get("logStream").raw()},
		{"subscriptionFilters", batch.get("subscriptionFilters").raw()}, {"messageType", batch.get("messageType").raw()},
	}
	typ := "aws.logs.event"
	if batch.str("messageType") == "CONTROL_MESSAGE" { // CloudWatch trying whether it gets through
		typ = "aws.logs.control"
	}
	for line := range batch.get("logEvents").items() {
		err := in.emit(draft{
			typ:     typ,
			source:  joined("/", "aws.logs", batch.str("owner"), batch.str("logGroup")),
			subject: batch.str("logStream"),
			id:      joined("/", batch.str("logStream"), line.str("id")),
			same:    true,
			time:    moment(line.str("timestamp")),
			data:    merged(line, append(common, payloadMember(line.str("message"))...)...),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
