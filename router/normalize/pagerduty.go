package normalize

// PagerDuty webhooks, version 3 and, where still in use, the older ones (one
// event a message). The incident's id is the correlation key.

func isPagerDuty(in *input) bool {
	if in.doc.has("event", "event_type") && in.doc.has("event", "data") {
		return true
	}
	m := in.doc.get("messages").first()
	return m.has("event") && m.has("incident") || m.has("type") && m.has("data", "incident")
}

func pagerDutyEvents(in *input) error {
	if e := in.doc.get("event"); e.isObject() {
		data := e.get("data")
		incident := firstOf(data.str("incident", "id"), data.str("id"))
		return in.emit(draft{
			typ:         "com.pagerduty." + firstOf(slug(e.str("event_type")), "event"),
			source:      firstOf(data.str("service", "self"), data.str("incident", "self"), data.str("self"), origin(data.str("html_url"))),
			subject:     firstOf(data.str("id"), incident),
			id:          e.str("id"),
			same:        true,
			time:        moment(e.str("occurred_at")),
			correlation: incident,
		})
	}
	for m := range in.doc.get("messages").items() {
		incident, event := m.get("incident"), m.str("event")
		if !incident.exists() { // version 1
			incident, event = m.get("data", "incident"), m.str("type")
		}
		err := in.emit(draft{
			typ:         "com.pagerduty." + firstOf(slug(event), "event"),
			source:      firstOf(incident.str("service", "self"), origin(incident.str("html_url"))),
			subject:     incident.str("id"),
			id:          m.str("id"),
			same:        true,
			time:        moment(m.str("created_on")),
			correlation: incident.str("id"),
			data:        m.raw(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
