package normalize

// Coralogix alerts. What the address does not say is in a list of key and value.

func isCoralogix(in *input) bool {
	return in.doc.has("alert_id") && in.doc.has("alert_action") && in.doc.get("fields").isArray()
}

func coralogixEvents(in *input) error {
	doc := in.doc
	field := func(key string) string {
		for f := range doc.get("fields").items() {
			if f.str("key") == key {
				return f.str("value")
			}
		}
		return ""
	}
	return in.emit(draft{
		typ:         "com.coralogix.alert." + firstOf(slug(doc.str("alert_action")), "trigger"),
		source:      firstOf(origin(doc.str("alert_url")), "com.coralogix"),
		subject:     doc.str("name"),
		id:          joined(".", doc.str("uuid"), slug(doc.str("alert_action")), field("timestampMs")),
		time:        firstTime(moment(field("timestampISO")), moment(field("timestampMs"))),
		correlation: firstOf(field("dedupKey"), doc.str("alert_id")),
	})
}
