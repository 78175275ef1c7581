package normalize

// Amazon SQS: one event a message. A body that is JSON of a known source becomes
// that source's events; any other JSON body stands in the data as "payload".

func (in *input) sqsRecord(r value) error {
	body := r.str("body")
	done, err := in.unwrap([]byte(body), envelope{id: r.str("messageId"), name: r.str("eventSourceARN")})
	if done || err != nil {
		return err
	}
	return in.emit(draft{
		typ:         "aws.sqs.message",
		source:      r.str("eventSourceARN"),
		subject:     r.str("attributes", "MessageGroupId"),
		id:          r.str("messageId"),
		same:        true,
		time:        moment(r.str("attributes", "SentTimestamp")),
		correlation: r.str("attributes", "MessageGroupId"),
		data:        merged(r, payloadMember(body)...),
	})
}
