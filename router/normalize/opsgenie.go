package normalize

// Opsgenie: everything about one alert carries its id.

func isOpsgenie(in *input) bool {
	return in.doc.has("action") && in.doc.has("alert", "alertId")
}

func opsgenieEvents(in *input) error {
	doc, a := in.doc, in.doc.get("alert")
	action := slug(doc.str("action"))
	return in.emit(draft{
		typ:         "com.opsgenie.alert." + action,
		source:      joined("/", "com.opsgenie", firstOf(doc.str("integrationId"), doc.str("integrationName"))),
		subject:     a.str("message"),
		id:          joined(".", a.str("alertId"), action, firstOf(a.str("updatedAt"), a.str("insertedAt"))),
		time:        firstTime(moment(a.str("updatedAt")), moment(a.str("createdAt"))),
		correlation: a.str("alertId"),
	})
}
