package normalize

// Amazon MQ: one event a message of an ActiveMQ or RabbitMQ broker. A RabbitMQ
// message without a messageId has no identity of its own; its bytes and its
// queue stand for it.

func isAmazonMQ(in *input) bool {
	s := in.doc.str("eventSource")
	return s == "aws:mq" || s == "aws:rmq"
}

func amazonMQEvents(in *input) error {
	broker := in.doc.str("eventSourceArn")
	for m := range in.doc.get("messages").items() {
		id := m.str("messageID")
		err := in.packed(m, m.str("data"), envelope{id: id, name: broker}, draft{
			typ:         "aws.amazonmq.activemq-message",
			source:      broker,
			subject:     m.str("destination", "physicalName"),
			id:          id,
			same:        true,
			time:        moment(m.str("timestamp")),
			correlation: m.str("correlationID"),
		})
		if err != nil {
			return err
		}
	}
	for queue, batch := range in.doc.get("rmqMessagesByQueue").members() {
		for m := range batch.items() {
			p := m.get("basicProperties")
			id := p.str("messageId")
			if id == "" {
				id = digest(broker, queue, string(m.get("basicProperties").raw()), m.str("data"))
			}
			err := in.packed(m, m.str("data"), envelope{id: id, name: joined("/", broker, queue)}, draft{
				typ:         "aws.amazonmq.rabbitmq-message",
				source:      broker,
				subject:     queue,
				id:          id,
				correlation: p.str("correlationId"),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
