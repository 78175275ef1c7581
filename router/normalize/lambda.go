package normalize

import "time"

// Inputs that other services hand to a Lambda function directly.

func isConfigRule(in *input) bool {
	return in.doc.has("invokingEvent") && in.doc.has("resultToken")
}

// AWS Config invokes a function to evaluate a rule. The event that led to it is
// JSON inside JSON; it stands beside it as "payload".
func configRuleEvents(in *input) error {
	doc := in.doc
	invoking := doc.str("invokingEvent")
	d := draft{
		typ:     "aws.config.rule-evaluation",
		source:  firstOf(doc.str("configRuleArn"), joined("/", "aws.config", doc.str("accountId"))),
		subject: doc.str("configRuleName"),
		id:      digest(doc.str("configRuleArn"), invoking, doc.str("resultToken")),
		data:    merged(doc, payloadMember(invoking)...),
	}
	if v, err := parse([]byte(invoking), in.depth()); err == nil {
		d.time = moment(v.str("notificationCreationTime"))
		d.correlation = firstOf(v.str("configurationItem", "resourceId"), v.str("configSnapshotId"))
	}
	return in.emit(d)
}

func isCloudFormation(in *input) bool {
	return in.doc.has("RequestType") && in.doc.has("StackId") && in.doc.has("LogicalResourceId")
}

func cloudFormationEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         "aws.cloudformation.custom-resource." + slug(doc.str("RequestType")),
		source:      doc.str("StackId"),
		subject:     doc.str("LogicalResourceId"),
		id:          doc.str("RequestId"),
		same:        true,
		correlation: joined("/", doc.str("StackId"), doc.str("LogicalResourceId")),
	})
}

func isSecretRotation(in *input) bool {
	return in.doc.has("Step") && in.doc.has("SecretId") && in.doc.has("ClientRequestToken")
}

func secretRotationEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         "aws.secretsmanager.rotation." + slug(doc.str("Step")),
		source:      doc.str("SecretId"),
		subject:     doc.str("Step"),
		id:          joined("/", doc.str("ClientRequestToken"), doc.str("Step")),
		correlation: doc.str("ClientRequestToken"),
	})
}

func isIoTButton(in *input) bool {
	return in.doc.has("serialNumber") && in.doc.has("clickType")
}

// Two presses of a button look the same, as do a press and its repetition by
// Lambda; what comes within a minute is taken for one.
func iotButtonEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:     "aws.iot.button." + slug(doc.str("clickType")),
		source:  "aws.iot/" + doc.str("serialNumber"),
		subject: doc.str("serialNumber"),
		within:  time.Minute,
	})
}
