package normalize

// Amazon EventBridge delivers every event in one envelope. The type is the
// envelope's source with its detail-type in lower case and hyphens:
// "aws.ec2.ec2-instance-state-change-notification".

func isEventBridge(in *input) bool {
	return in.doc.has("detail-type") && in.doc.has("source") && in.doc.get("detail").isObject()
}

func eventBridgeEvents(in *input) error {
	doc := in.doc
	if doc.str("source") == "aws.cloudwatch" && doc.has("detail", "alarmName") && doc.has("detail", "state", "value") {
		return alarmEvents(in)
	}
	detail := doc.get("detail")
	resource := doc.get("resources").first().str()
	return in.emit(draft{
		typ:     dotted(doc.str("source"), slug(doc.str("detail-type"))),
		source:  doc.str("source"),
		subject: resource,
		id:      doc.str("id"),
		same:    true,
		time:    moment(doc.str("time")),
		// What began and what ended together carry the id of the run.
		correlation: firstOf(detail.str("execution-id"), detail.str("executionArn"), detail.str("deploymentId"),
			detail.str("build-id"), detail.str("taskArn"), detail.str("instance-id"), resource),
	})
}
