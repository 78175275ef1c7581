package normalize

import "time"

// Wazuh: an alert as its integrator passes it on, or as a short message.

func isWazuh(in *input) bool {
	return in.doc.has("rule", "level") && in.doc.has("agent", "id") && in.doc.has("rule", "id")
}

func wazuhEvents(in *input) error {
	doc, rule := in.doc, in.doc.get("rule")
	return in.emit(draft{
		typ:         "com.wazuh.alert",
		source:      joined("/", "/wazuh", firstOf(doc.str("manager", "name"), doc.str("agent", "id"))),
		subject:     firstOf(doc.str("agent", "name"), doc.str("message"), rule.str("description")),
		id:          doc.str("id"),
		time:        firstTime(moment(doc.str("timestamp")), moment(doc.str("created_at"))),
		correlation: joined("/", doc.str("agent", "id"), rule.str("id")),
		within:      10 * time.Minute,
	})
}
