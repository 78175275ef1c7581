package normalize

import "net/url"

// Amazon SNS posts notifications to an HTTP endpoint and hands them to Lambda
// as records. The attributes are those of the CloudEvents adapter. A message that
// is JSON of a known source (an alarm, an EventBridge event, an S3
// notification, a CloudEvent) becomes that source's events instead.

func isSNS(in *input) bool {
	doc := in.doc
	if in.isRawSNS() {
		return true
	}
	switch doc.str("Type") {
	case "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation":
		return doc.has("MessageId") && doc.has("TopicArn")
	}
	return false
}

// isRawSNS says that the body is the message alone, and that all about it is in
// the headers.
func (in *input) isRawSNS() bool {
	return in.header("X-Amz-Sns-Rawdelivery") == "true" && in.header("X-Amz-Sns-Message-Id") != ""
}

func (in *input) rawSNS() error {
	id, topic := in.header("X-Amz-Sns-Message-Id"), in.header("X-Amz-Sns-Topic-Arn")
	done, err := in.unwrap(in.doc.raw(), envelope{id: id, name: topic})
	if done || err != nil {
		return err
	}
	return in.emit(draft{
		typ:    "com.amazonaws.sns." + firstOf(in.header("X-Amz-Sns-Message-Type"), "Notification"),
		source: firstOf(in.header("X-Amz-Sns-Subscription-Arn"), topic),
		id:     id,
	})
}

func snsEvents(in *input) error {
	if in.isRawSNS() {
		return in.rawSNS()
	}
	return in.notification(in.doc, firstOf(in.header("X-Amz-Sns-Subscription-Arn"), subscriptionArn(in.doc)))
}

// notification emits what one notification or confirmation holds.
func (in *input) notification(n value, subscription string) error {
	kind := firstOf(n.str("Type"), "Notification")
	if kind == "Notification" {
		done, err := in.unwrap([]byte(n.str("Message")), envelope{id: n.str("MessageId"), name: n.str("TopicArn")})
		if done || err != nil {
			return err
		}
	}
	d := draft{
		typ:    "com.amazonaws.sns." + kind,
		source: firstOf(subscription, n.str("TopicArn")),
		id:     n.str("MessageId"),
		time:   moment(n.str("Timestamp")),
		data:   n.raw(),
	}
	if kind == "SubscriptionConfirmation" {
		d.source = n.str("TopicArn")
	}
	if kind == "Notification" {
		d.subject = n.str("Subject")
		if p := payloadMember(n.str("Message")); p != nil {
			d.data = merged(n, p...)
		}
	}
	return in.emit(d)
}

// subscriptionArn finds the subscription in the body, where only the address for
// leaving it names it.
func subscriptionArn(n value) string {
	u, err := url.Parse(firstOf(n.str("UnsubscribeURL"), n.str("UnsubscribeUrl")))
	if err != nil {
		return ""
	}
	return u.Query().Get("SubscriptionArn")
}

// payloadMember is the member "payload" with the JSON object or array that the
// text holds; nothing where it holds none.
func payloadMember(text string) []member {
	if c := firstByte([]byte(text)); c != '{' && c != '[' {
		return nil
	}
	v, err := parse([]byte(text), DefaultMaxDepth)
	if err != nil {
		return nil
	}
	return []member{{"payload", v.raw()}}
}
