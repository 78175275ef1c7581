package normalize

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Lambda hands over the records of a queue, a stream or a topic as {"Records":
// […]}; each names its service and becomes an event, or the events of what is
// wrapped in it.

func isRecords(in *input) bool {
	r := in.doc.get("Records").first()
	return r.has("eventSource") || r.has("EventSource")
}

func recordsEvents(in *input) error {
	for r := range in.doc.get("Records").items() {
		var err error
		switch service := firstOf(r.str("eventSource"), r.str("EventSource")); service {
		case "aws:s3":
			err = in.s3Record(r)
		case "aws:sns":
			err = in.notification(r.get("Sns"), r.str("EventSubscriptionArn"))
		case "aws:sqs":
			err = in.sqsRecord(r)
		case "aws:kinesis":
			err = in.kinesisRecord(r)
		case "aws:dynamodb":
			err = in.dynamoRecord(r)
		case "aws:ses":
			err = in.sesRecord(r)
		case "aws:codecommit":
			err = in.codeCommitRecord(r)
		default:
			err = in.emit(draft{
				typ:     dotted(slug(strings.ReplaceAll(service, ":", ".")), slug(firstOf(r.str("eventName"), "record"))),
				source:  firstOf(r.str("eventSourceARN"), service),
				id:      firstOf(r.str("eventID"), r.str("eventId"), r.str("messageId")),
				same:    true,
				time:    moment(r.str("eventTime")),
				data:    r.raw(),
				subject: r.str("eventSourceARN"),
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// packed emits a record whose payload is base64: the events wrapped in it, or d
// with the record as data and the payload, decoded, beside it.
func (in *input) packed(record value, payload string, env envelope, d draft) error {
	plain, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		d.data = record.raw()
		return in.emit(d)
	}
	done, err := in.unwrap(plain, env)
	if done || err != nil {
		return err
	}
	more := payloadMember(string(plain))
	if more == nil && utf8.Valid(plain) {
		more = []member{{"payload", appendString(nil, string(plain))}}
	}
	d.data = merged(record, more...)
	return in.emit(d)
}
