package normalize

// Amazon Kinesis: one event a record of a stream, or of a Firehose delivery.
// The payload, decoded, stands beside the record as "payload".

func (in *input) kinesisRecord(r value) error {
	k := r.get("kinesis")
	env := envelope{id: r.str("eventID"), name: r.str("eventSourceARN")}
	return in.packed(r, k.str("data"), env, draft{
		typ:     "aws.kinesis.record",
		source:  r.str("eventSourceARN"),
		subject: k.str("partitionKey"),
		id:      r.str("eventID"),
		same:    true,
		time:    moment(k.str("approximateArrivalTimestamp")),
	})
}

func isFirehose(in *input) bool {
	return in.doc.has("deliveryStreamArn") && in.doc.get("records").isArray()
}

func firehoseEvents(in *input) error {
	stream := firstOf(in.doc.str("sourceKinesisStreamArn"), in.doc.str("deliveryStreamArn"))
	for r := range in.doc.get("records").items() {
		meta := r.get("kinesisRecordMetadata")
		id := joined("/", meta.str("shardId"), meta.str("sequenceNumber"), meta.str("subsequenceNumber"))
		id = firstOf(id, joined("/", in.doc.str("invocationId"), r.str("recordId")))
		err := in.packed(r, r.str("data"), envelope{id: id, name: in.doc.str("deliveryStreamArn")}, draft{
			typ:     "aws.firehose.record",
			source:  stream,
			subject: meta.str("partitionKey"),
			id:      id,
			same:    true,
			time:    moment(r.str("approximateArrivalTimestamp")),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
