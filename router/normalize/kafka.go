package normalize

// Kafka records from Amazon MSK or a self-managed cluster, as Lambda gets them:
// one event a record, topics in the order of the request.

func isKafka(in *input) bool {
	s := in.doc.str("eventSource")
	return (s == "aws:kafka" || s == "SelfManagedKafka") && in.doc.get("records").isObject()
}

func kafkaEvents(in *input) error {
	source := firstOf(in.doc.str("eventSourceArn"), in.doc.str("bootstrapServers"))
	for _, batch := range in.doc.get("records").members() {
		for r := range batch.items() {
			id := joined("/", r.str("topic"), r.str("partition"), r.str("offset"))
			err := in.packed(r, r.str("value"), envelope{id: id, name: source}, draft{
				typ:     "aws.kafka.record",
				source:  source,
				subject: r.str("topic"),
				id:      id,
				same:    true,
				time:    moment(r.str("timestamp")),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
